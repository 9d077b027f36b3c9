"""`lies exec`: a command per event."""

from typing import Annotated

import typer

from lies.cli._complete import complete_kinds
from lies.cli._options import OnlyLink, RuntimeDir, new_app

app = new_app()


@app.command(context_settings={"help_option_names": ["-h", "--help"], "allow_interspersed_args": False})
def exec_(
    command: Annotated[
        list[str],
        typer.Argument(
            metavar="CMD", help="The command and its arguments, behind `--`; no shell is in between."
        ),
    ],
    *,
    on: Annotated[
        list[str],
        typer.Option(
            "--on",
            metavar="KIND",
            help="link_up, link_going_down, report, ...; may be given again.",
            autocompletion=complete_kinds,
        ),
    ],
    link: OnlyLink = "*",
    count: Annotated[
        int | None, typer.Option("-n", "--count", metavar="N", min=1, help="End after N events.")
    ] = None,
    wait_s: Annotated[
        float | None, typer.Option("-W", "--wait", min=0.0, metavar="S", help="End with 27 after S seconds.")
    ] = None,
    errexit: Annotated[
        bool, typer.Option("-e", "--errexit", help="End with 1 as soon as a command fails.")
    ] = False,
    runtime_dir: RuntimeDir = None,
) -> None:
    """Run a command for each event, one at a time and in order, until Ctrl-C, -n events or -W seconds.

    The command gets the event as one line of JSON on its standard input, as `lies trace -j` prints it, and in
    variables: LIES_EVENT, LIES_LINK, LIES_TECHNOLOGY, LIES_PUBLISHER, LIES_SEQUENCE, LIES_MONO_NS and
    LIES_WALL_NS always; LIES_POA, LIES_QUALITY, LIES_BANDWIDTH_MBPS, LIES_REASON, LIES_TIME_TO_DOWN_MS,
    LIES_CONFIDENCE and every other field by its name where the event has it; LIES_POAS has one PoA a line.
    Names of PoAs come from the air: quote them.

    Events that come while a command runs wait. When there are more than 16384 they are lost, which is said
    on standard error. A command that fails is named there too, and the next event is taken. The exit code is
    0 if every command ended with 0, else 1; 2 if the command is not found. Ctrl-C ends with 130 once the
    command that runs has ended; it has 2 seconds before it gets SIGTERM, and 2 more before SIGKILL.
    """
    del runtime_dir  # its callback did it
    from lies.cli._events import kinds
    from lies.cli._exec import Runner, resolved

    primitives, names = kinds(on)
    runner = Runner(resolved(command), names, count=count, errexit=errexit)
    runner.run(primitives, link, wait_s)
    if runner.failures:
        raise typer.Exit(1)
