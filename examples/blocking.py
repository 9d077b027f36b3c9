"""Move a link before it breaks: `python examples/blocking.py wlan0` beside a running daemon."""

import sys

from lies.bus import BlockingClient
from lies.events import LinkGoingDown
from lies.remote import find_daemon


def main(link: str) -> None:
    """Move the link whenever it is about to break; no event loop is needed for that."""
    with BlockingClient.connect(find_daemon(), name="keeper") as bus:
        bus.register("link_going_down", link, min_confidence=0.5)
        for event in bus.events():
            if not isinstance(event, LinkGoingDown):
                continue  # it was withdrawn
            others = [p.poa for p in bus.poa_list(link).poas if p.poa != event.poa]  # best first
            if others:
                bus.link_connect(link, others[0])
                print(f"{link} moves from {event.poa} to {others[0]}", flush=True)


main(sys.argv[1])
