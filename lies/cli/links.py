"""`lies links`: L2-LinkStatus of every link."""

from typing import Annotated

import typer

from lies.cli._options import Json, RuntimeDir, new_app

app = new_app()


@app.command()
def links(
    *,
    json: Json = False,
    watch: Annotated[
        bool, typer.Option("--watch", "-w", help="Show it again whenever something changes.")
    ] = False,
    runtime_dir: RuntimeDir = None,
) -> None:
    """Show every link, its PoA and condition (L2-LinkStatus, RFC 5184 section 4.1).

    Below the links: the drivers and consumers that do not run, why, and when they are started again.
    """
    del runtime_dir  # its callback did it
    from lies.cli._client import run
    from lies.cli._links import show, watch_links

    run(watch_links(json=json) if watch else show(json=json))
