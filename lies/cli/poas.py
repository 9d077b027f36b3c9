"""`lies poas LINK`: L2-PoAList."""

from typing import Any

import msgspec

from lies.cli._options import Json, LinkName, RuntimeDir, new_app

app = new_app()


@app.command()
def poas(link: LinkName, *, json: Json = False, runtime_dir: RuntimeDir = None) -> None:
    """Show the points of attachment that a link hears, best first (L2-PoAList, RFC 5184 section 4.2)."""
    del runtime_dir  # its callback did it
    from lies.cli._client import run

    run(_show(link, json=json))


async def _show(link: str, *, json: bool) -> None:
    from lies.cli._client import connected
    from lies.cli._events import shown
    from lies.cli._output import print_json, print_table

    async with connected("poas") as client:
        status = await client.link_status(link)
        confirm = await client.poa_list(link)
    if json:
        found: dict[str, Any] = {"type": "poa_list", "link": link}
        if confirm.link is not None:
            found["technology"] = confirm.link.technology.value
        print_json({**found, "poas": msgspec.to_builtins(confirm.poas)})
        return
    rows = [
        (
            "*" if p.poa == status.poa else "",
            p.poa,
            "-" if p.network is None else shown(p.network),
            "-" if p.frequency_mhz is None else f"{p.frequency_mhz:g}",
            p.condition.quality.value,
            "-" if p.condition.bandwidth_mbps is None else f"{p.condition.bandwidth_mbps:.1f}",
        )
        for p in confirm.poas
    ]
    print_table(("", "PoA", "network", "MHz", "quality", "Mbit/s"), rows)
