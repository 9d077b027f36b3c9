"""`lies connect LINK POA`: L2-LinkConnect."""

import contextlib
from typing import Annotated

import typer

from lies.cli._complete import complete_poas
from lies.cli._options import LinkName, RuntimeDir, new_app

app = new_app()


@app.command()
def connect(
    link: LinkName,
    poa: Annotated[
        str,
        typer.Argument(
            metavar="POA", help="Name of the PoA, as `lies poas LINK` shows it.", autocompletion=complete_poas
        ),
    ],
    *,
    runtime_dir: RuntimeDir = None,
) -> None:
    """Move a link to a PoA; ends when the driver has taken the order (RFC 5184 section 4.8)."""
    del runtime_dir  # its callback did it
    from lies.cli._client import run

    run(_connect(link, poa))


async def _connect(link: str, poa: str) -> None:
    from lies.cli._client import connected
    from lies.errors import NotPermitted

    async with connected("connect") as client:
        heard = {poa}
        with contextlib.suppress(NotPermitted):  # who may act need not be allowed to listen
            heard = {p.poa for p in (await client.poa_list(link)).poas}
        await client.link_connect(link, poa)  # a refusal is the one sentence there is to say
    if poa not in heard:
        typer.echo(f"lies: {link} did not hear {poa!r}; it is told to go there all the same", err=True)
