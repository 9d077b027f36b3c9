"""`lies sim`: mobile nodes past access routers on a virtual clock, with the engines that run live."""

import gc
import sys
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Self

import typer

from lies.cli._options import Json, new_app

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lies.sim import Part, SimOptions, Verdict

app = new_app()

_CROWDS = (10, 100, 1000)
_ROUNDS = 5


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
    hours: Annotated[
        float, typer.Option("--hours", "-t", min=0.001, help="Virtual hours on the road.")
    ] = 0.1,
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
        float,
        typer.Option(min=0, metavar="S", help="Mean virtual time between failures of a router; 0: none."),
    ] = 0.0,
    seed: Annotated[int, typer.Option(help="Of all chance: same seed, same result.")] = 1,
    capacity: Annotated[
        bool,
        typer.Option(
            "--capacity",
            help="Measure handovers a second with 10, 100, 1000 nodes, and octets a node, instead.",
        ),
    ] = False,
    count: Annotated[
        int, typer.Option(min=10, help="With --capacity: handovers in each of five rounds.")
    ] = 1000,
    json_lines: Json = False,
) -> None:
    """Simulate mobile nodes past access routers, with the engines and the octets that run live.

    Ends with 1 if a packet was delivered to a wrong node, if a tunnel, route or awaited node is left when
    everything has come to its end, or if a mobile node is not connected then.
    """
    from lies.sim import MODES

    if capacity:
        _capacity(count, seed, json_lines=json_lines)
        return
    modes = MODES if mode is ModeChoice.ALL else (mode.value,)
    summaries, verdicts = [], []
    for each in modes:
        options = _options(
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


def _options(**chosen: Any) -> "SimOptions":  # noqa: ANN401 - those of SimOptions
    from lies.sim import SimOptions

    try:
        return SimOptions(**chosen)
    except ValueError as error:  # what no bound of an option says, such as NaN
        raise typer.BadParameter(str(error)) from error


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
    gc.freeze()  # what lasts as long as the simulation need not be looked through again and again
    try:
        with _Progress(options.mode) as progress:
            verdict = simulation.run(progress.tell)
    finally:
        gc.unfreeze()
    return summary(simulation, verdict), verdict


class _Progress:
    """A line on a terminal's standard error while there is work, and no trace of it after."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._seen = sys.stderr.isatty()

    def __enter__(self) -> Self:
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


def _capacity(count: int, seed: int, *, json_lines: bool) -> None:
    """Print both figures; each rate is the best of some rounds, because a core is rarely ours alone."""
    from lies.cli._output import print_json, print_table
    from lies.runtime import cpu_s
    from lies.sim import SimOptions
    from lies.sim.capacity import Capacity, measure, memory

    parts = _parts(SimOptions().consumers)
    best: list[Capacity] = []
    with _Progress("capacity") as progress:
        for number, nodes in enumerate(_CROWDS):
            progress.tell(number / (len(_CROWDS) + 1))
            rounds = measure(parts, nodes, count, cpu_s, rounds=_ROUNDS, seed=seed)
            best.append(max(rounds, key=lambda c: c.handovers_per_s))
        octets = memory(parts, seed=seed)
    if json_lines:
        print_json(
            {
                "type": "capacity",
                "handovers_per_s": {str(c.nodes): round(c.handovers_per_s, 1) for c in best},
                "handovers_per_s_worst": round(min(c.handovers_per_s for c in best), 1),
                "octets_at_routers": round(octets.routers),
                "octets_at_home_agent": round(octets.home_agent),
                "octets_at_mobile_node": round(octets.mobile),
            }
        )
        return
    rows = [
        [str(c.nodes), str(c.handovers), f"{c.handovers_per_s:.0f}", f"{1e6 / c.handovers_per_s:.0f}"]
        for c in best
    ]
    print_table(["nodes", "handovers", "per s and core", "us each"], rows)
    print(
        f"memory of a node between two routers: {octets.routers:.0f} octets at PAR and NAR, "
        f"{octets.home_agent:.0f} at the home agent, {octets.mobile:.0f} at itself"
    )


def _print(summaries: "list[dict[str, Any]]") -> None:
    from lies.cli._output import print_table

    heads = ["mode", "handovers", "predictive", "reactive", "none", "sent", "lost", "reordered"]
    heads.append("paths differ by ms")
    rows = [
        [str(s[k]) for k in ("mode", "handovers", "predictive", "reactive", "none")]
        + [_cell(s[k]) for k in ("packets_sent", "packets_lost", "reordered", "path_difference_ms")]
        for s in summaries
    ]
    print_table(heads, rows)
    keys = {
        "L2 gap ms": "l2_gap_median_ms",
        "total gap ms": "total_gap_median_ms",
        "p99": "total_gap_p99_ms",
        "L3 ms": "l3_gap_median_ms",
        "L3 p99": "l3_gap_p99_ms",
        "FBU-FBack ms": "fbu_fback_median_ms",
        "messages": "messages_per_handover",
        "octets": "octets_per_handover",
    }
    print_table(["mode", *keys], [[s["mode"], *(_cell(s[k]) for k in keys.values())] for s in summaries])
    for s in summaries:
        for cause, count in (s["lost_by_cause"] or {}).items():
            print(f"{s['mode']}: {count} packets lost: {cause}")
        print(
            f"{s['mode']}: {s['misdelivered']} packets delivered wrongly, {s['leftovers']} leftovers, "
            f"{s['unconnected']} of {s['nodes']} nodes not connected at the end, "
            f"{s['broken_rules']} broken rules"
        )


def _cell(value: float | None) -> str:
    if value is None:
        return "-"
    return str(value) if isinstance(value, int) else f"{value:.2f}"
