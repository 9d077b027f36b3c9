"""The daemon and its children keep of two capabilities those that their plugins declare."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from daemon_kit import daemon, text_of
from fake_plugins import install
from netns_kit import namespace, netlink, wire
from polling import wait_until

from lies._privileges import NUMBERS
from lies.capabilities import Capability

pytestmark = pytest.mark.netns

NONE: set[Capability] = set()
BOTH = set(Capability)
SIMWIFI = '[drivers.car]\ndriver = "simwifi"\nlink = "wlan0"\n'
FMIPV6 = '[consumers.mn]\nconsumer = "fmipv6"\nrole = "mobile-node"\nlink = "wlan0"\ninsecure = true\n'
ISOLATED = "isolate = true\n"


@pytest.fixture
def here() -> Iterator[None]:
    """A namespace with the link wlan0."""
    with namespace(), netlink() as kernel:
        wire(kernel, "wlan0", "far0")
        yield


def held(pid: int, name: str = "CapEff") -> set[Capability]:
    """Which of the capabilities all threads of a process have, in one of its sets."""
    found = set()
    for task in Path(f"/proc/{pid}/task").iterdir():
        lines = dict(line.split(":", 1) for line in (task / "status").read_text().splitlines())
        mask = int(lines[name], 16)
        found.add(frozenset(c for c, number in NUMBERS.items() if mask & 1 << number))
        assert lines["NoNewPrivs"].strip() == "1"
    (same,) = found
    return set(same)


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("config", "in_effect", "in_reserve", "of_children"),
    [
        ("", NONE, NONE, []),
        (SIMWIFI, NONE, NONE, []),
        (SIMWIFI + FMIPV6, BOTH, BOTH, []),
        (SIMWIFI + ISOLATED + FMIPV6, BOTH, BOTH, [NONE]),
        (SIMWIFI + FMIPV6 + ISOLATED, NONE, BOTH, [BOTH]),
    ],
    ids=["nothing", "simwifi", "fmipv6", "simwifi-isolated", "fmipv6-isolated"],
)
def test_what_a_daemon_keeps(
    config: str,
    in_effect: set[Capability],
    in_reserve: set[Capability],
    of_children: list[set[Capability]],
    tmp_path: Path,
) -> None:
    """In effect is what plugins in the process need, in reserve what children do; a child has its own."""
    plugins = config.count("[drivers.") + config.count("[consumers.mn]")
    with daemon(tmp_path, config) as one:
        wait_until(lambda: text_of(one.log).count("[info] running") == plugins, 30)
        assert held(one.process.pid) == in_effect
        assert held(one.process.pid, "CapPrm") == in_reserve
        pids = Path(f"/proc/{one.process.pid}/task/{one.process.pid}/children").read_text().split()
        assert [held(int(pid)) for pid in pids] == of_children
        assert [held(int(pid), "CapPrm") for pid in pids] == of_children
        assert [held(int(pid), "CapAmb") for pid in pids] == [NONE for _ in pids]
        assert one.stop() == 0


@pytest.mark.usefixtures("here")
def test_what_was_given_up_does_not_come_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A plugin that a reload adds and that needs what was given up says so; the others go on."""
    install(tmp_path / "site", monkeypatch)
    with daemon(tmp_path, "[drivers.fake]\n") as one:
        one.wait_up()
        one.file.write_text("[drivers.fake]\n" + FMIPV6)
        os.kill(one.process.pid, 1)
        wait_until(lambda: "failed; it is started again" in text_of(one.log), 30)
        assert (
            "it needs CAP_NET_ADMIN, CAP_NET_RAW, which this daemon gave up when it began: "
            "start the daemon again"
        ) in one.lies("links").stdout
        assert held(one.process.pid) == NONE
        assert one.links()[0]["up"]
        assert one.stop() == 0
