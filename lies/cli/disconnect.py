"""`lies disconnect LINK`: L2-LinkDisconnect."""

from lies.cli._options import LinkName, RuntimeDir, new_app

app = new_app()


@app.command()
def disconnect(link: LinkName, *, runtime_dir: RuntimeDir = None) -> None:
    """Take a link down; ends when the driver has taken the order (RFC 5184 section 4.9)."""
    del runtime_dir  # its callback did it
    from lies.cli._client import run

    run(_disconnect(link))


async def _disconnect(link: str) -> None:
    from lies.cli._client import connected

    async with connected("disconnect") as client:
        await client.link_disconnect(link)
