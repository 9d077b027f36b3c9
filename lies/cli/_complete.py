"""What the shell offers for an argument: kinds of events, and the names that a running daemon knows."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import typer

from lies.errors import LiesError

if TYPE_CHECKING:
    from lies.bus import BlockingClient

TIMEOUT_S = 0.5  # a person waits at the prompt


def complete_kinds(incomplete: str) -> list[str]:
    """Kinds of events that begin so."""
    from lies.cli._events import REGISTRABLE
    from lies.events import PRIMITIVE_OF_INDICATION

    return [k for k in sorted({*PRIMITIVE_OF_INDICATION, *REGISTRABLE}) if k.startswith(incomplete)]


def complete_links(incomplete: str) -> list[str]:
    """Names of links that begin so; none without a daemon."""
    return _asked(lambda client: [state.link.name for state in client.links()], incomplete)


def complete_poas(ctx: typer.Context, incomplete: str) -> list[str]:
    """Names of the PoAs that the link of the command line hears, and that begin so; best first."""
    link: str = ctx.params.get("link") or ""
    return _asked(lambda client: [entry.poa for entry in client.poa_list(link).poas], incomplete)


def _asked(question: "Callable[[BlockingClient], list[str]]", incomplete: str) -> list[str]:
    from lies.bus import BlockingClient
    from lies.remote import find_daemon

    try:
        with BlockingClient.connect(
            find_daemon(), name="lies-complete", timeout_s=TIMEOUT_S, request_timeout_s=TIMEOUT_S
        ) as client:
            names = question(client)
    except (LiesError, OSError):
        return []  # a prompt is no place for an error
    return [name for name in names if name.startswith(incomplete) and name.isprintable()]
