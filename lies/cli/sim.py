"""`lies sim`: mobile nodes past access routers on a virtual clock, with the engines that run live."""

import sys
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lies.cli._options import Json, new_app

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lies.sim import Part, SimOptions, Verdict
    from lies.sim.capacity import Capacity

app = new_app()


class ModeChoice(StrEnum):
    """What the mobile nodes do of FMIPv6."""

    PREDICTIVE = "predictive"
    REACTIVE = "reactive"
    NONE = "none"
    ALL = "all"  # the three, one after the other


@app.command()
def sim(
    *,
    mode: Annotated[ModeChoice, typer.Option(help="How handovers are made.")] = ModeChoice.PREDICTIVE,
    nodes: Annotated[int, typer.Option("--nodes", "-m", min=1, max=65_000, help="Mobile nodes.")] = 100,
    routers: Annotated[
        int, typer.Option("--routers", "-n", min=2, max=65_000, help="Access routers, on a ring.")
    ] = 8,
    hours: Annotated[float, typer.Option("--hours", "-t", min=0.001, help="Virtual hours on the road.")] = 0.1,
    spacing_m: Annotated[float, typer.Option(min=20, max=10_000, help="Between access points.")] = 90.0,
    speed_kmh: Annotated[float, typer.Option(min=1, max=500, help="Mean speed.")] = 35.0,
    packets_per_s: Annotated[
        float, typer.Option(min=0, max=1_000_000, help="Data of each node, each way; 0 for none.")
    ] = 100.0,
    loss: Annotated[
        float, typer.Option(min=0, max=1, help="Share of signalling lost, on each link it crosses.")
    ] = 0.0,
    duplicate: Annotated[float, typer.Option(min=0, max=1, help="Share of it that comes twice.")] = 0.0,
    reorder: Annotated[
        float, typer.Option(min=0, max=1, help="Share of it that comes up to 100 ms late.")
    ] = 0.0,
    jitter_ms: Annotated[
        float, typer.Option(min=0, max=10_000, help="Added to each of its delays, evenly spread.")
    ] = 0.0,
    access_ms: Annotated[float, typer.Option(min=0, max=1000, help="Delay of an access link.")] = 1.0,
    backbone_ms: Annotated[float, typer.Option(min=0, max=1000, help="Delay of a backbone link.")] = 2.0,
    l2_gap_ms: Annotated[
        float, typer.Option(min=0, max=10_000, help="Mean time between two access points.")
    ] = 10.0,
    abrupt: Annotated[
        float, typer.Option(min=0, max=1, help="Share of access points that end without a warning.")
    ] = 0.05,
    turn: Annotated[
        float, typer.Option(min=0, max=1, help="Share of access points at which a node turns back.")
    ] = 0.05,
    restart_every: Annotated[
        float, typer.Option(min=0, metavar="S", help="Mean virtual time between failures of a router; 0: none.")
    ] = 0.0,
    seed: Annotated[int, typer.Option(help="Of all chance: same seed, same result.")] = 1,
    capacity: Annotated[
        bool,
        typer.Option(
            "--capacity",
            help="Measure handovers per second and core and octets per node instead, with 10, 100, 1000 nodes.",
        ),
    ] = False,
    json_lines: Json = False,
) -> None:
    """Simulate mobile nodes past access routers, with the engines and the octets that run live.

    Ends with 1 if a packet was delivered to a wrong node, if a tunnel, route or awaited node is left when
    everything has come to its end, or if a mobile node is not connected then.
    """
    from lies.sim import MODES, SimOptions

    if capacity:
        _capacity(seed, json_lines=json_lines)
        return
    modes = MODES if mode is ModeChoice.ALL else (mode.value,)
    summaries, verdicts = [], []
    for each in modes:
        options = SimOptions(
            mode=each,
            nodes=nodes,
            routers=routers,
            hours=hours,
            spacing_m=spacing_m,
            speed_kmh=speed_kmh,
            packets_per_s=packets_per_s,
            loss=loss,
            duplicate=duplicate,
            reorder=reorder,
            jitter_ms=jitter_ms,
            access_ms=access_ms,
            backbone_ms=backbone_ms,
            l2_gap_ms=l2_gap_ms,
            abrupt=abrupt,
            turn=turn,
            restart_every_s=restart_every,
            seed=seed,
        )
        line, verdict = _run(options)
        summaries.append(line)
        verdicts.append(verdict)
        if json_lines:
            from lies.cli._output import print_json

            print_json(line)
    if not json_lines:
        _print(summaries)
    for verdict in verdicts:
        for text in verdict.told:
            typer.echo(f"lies: {text}", err=True)
    if not all(verdict.good for verdict in verdicts):
        raise typer.Exit(1)


def _parts(names: "Sequence[str]") -> "list[Part]":
    from lies.errors import PluginUnavailable
    from lies.registry import Registry

    parts = []
    for name in names:
        part = Registry().consumer(name).simulation()
        if part is None:
            raise PluginUnavailable(f"consumer {name!r}", "it has no part in simulations")
        parts.append(part)
    return parts


def _run(options: "SimOptions") -> "tuple[dict[str, Any], Verdict]":
    from lies.sim import Simulation, summary

    simulation = Simulation(options, _parts(options.consumers))
    with _Progress(options.mode) as progress:
        verdict = simulation.run(progress.tell)
    return summary(simulation, verdict), verdict


class _Progress:
    """A line on a terminal's standard error while there is work, and no trace of it after."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._seen = sys.stderr.isatty()

    def __enter__(self) -> "_Progress":
        return self

    def __exit__(self, *_: object) -> None:
        if self._seen:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()

    def tell(self, share: float) -> None:
        """How much is done, 0.0..1.0."""
        if self._seen:
            sys.stderr.write(f"\r\x1b[K{self._what}: {share:.0%}")
            sys.stderr.flush()
