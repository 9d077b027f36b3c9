"""`lies predict TRACE -o FILE` and `lies predict TRACE... --out-dir DIR`."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from lies.cli._options import new_app

app = new_app()
SUFFIXES = (".gz", ".csv", ".ndjson", ".lies")


@app.command()
def predict(
    traces: Annotated[
        list[Path], typer.Argument(metavar="TRACE", readable=False, help="CSV traces or recordings.")
    ],
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="FILE", help="Where one trace's lines go; - is stdout."),
    ] = None,
    out_dir: Annotated[
        Path | None,
        typer.Option("--out-dir", metavar="DIR", help="Where TRACE.csv.gz's lines go, as DIR/TRACE.ndjson."),
    ] = None,
) -> None:
    """Write the going-down indications that the live abstract entity would give on a trace.

    One JSON object a line with t_s (the trace's clock), time_to_down_ms and confidence. The file is written
    even if it is empty.
    """
    if (output is None) == (out_dir is None):
        raise typer.BadParameter("give either -o FILE or --out-dir DIR")
    if output is not None and len(traces) != 1:
        raise typer.BadParameter("-o takes one TRACE; use --out-dir for several")
    targets = [output] if output is not None else _targets(traces, out_dir or Path())
    for trace, target in zip(traces, targets, strict=True):
        _write(trace, target)


def _targets(traces: list[Path], out_dir: Path) -> list[Path]:
    targets: dict[Path, Path] = {}
    for trace in traces:
        name = trace.name
        for suffix in SUFFIXES:
            name = name.removesuffix(suffix)
        target = out_dir / f"{name}.ndjson"
        if target in targets:
            raise typer.BadParameter(f"{targets[target]} and {trace} would both go to {target}")
        targets[target] = trace
    return list(targets)


def _write(trace: Path, target: Path) -> None:
    from lies.errors import LiesError

    lines = "".join(line + "\n" for line in _lines(trace))
    if str(target) == "-":
        print(lines, end="")
        return
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(lines, encoding="utf-8")
    except OSError as error:
        raise LiesError(f"{target}: cannot be written: {error.strerror or error}") from error


def _lines(trace: Path) -> Iterator[str]:
    import msgspec

    from lies.abstract import AbstractEntity, AeParameters
    from lies.cli._items import links_of
    from lies.events import Header, LinkGoingDown

    for link, items in links_of(trace):
        sequence = 0

        def stamp(t_ns: int) -> Header:
            nonlocal sequence
            sequence += 1
            return Header("predict", 1, sequence, t_ns, t_ns, link)  # noqa: B023 - used within this round only

        entity = AbstractEntity(link, AeParameters(), stamp)
        for item in items:
            for event in entity.feed(item):
                if isinstance(event, LinkGoingDown):
                    yield msgspec.json.encode(
                        {
                            "type": "link_going_down",
                            "t_s": event.header.mono_ns / 1e9,
                            "time_to_down_ms": event.time_to_down_ms,
                            "confidence": event.confidence,
                        }
                    ).decode()
