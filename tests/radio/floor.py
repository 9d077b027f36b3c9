"""What an indication is measured beside: a bare pyroute2 program that notes what nl80211 tells.

`python -m radio.floor FILE`: the file is there once it listens; one JSON object a line.
"""

import json
import sys
from pathlib import Path

from pyroute2 import NL80211

from lies.runtime import monotonic_ns


def main(file: Path) -> None:
    """Listen until killed."""
    nl80211 = NL80211()
    nl80211.bind()
    nl80211.add_membership("mlme")
    with file.open("w", buffering=1, encoding="utf-8") as out:
        while True:
            for message in nl80211.get():
                came_ns = monotonic_ns()
                said = {"came_ns": came_ns, "event": message["event"]}
                out.write(json.dumps({**said, "mac": message.get_attr("NL80211_ATTR_MAC")}) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
