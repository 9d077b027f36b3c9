"""A daemon with the route netlink driver: what users see of `ip link`, recorded and replayed."""

import json
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from daemon_kit import Daemon, daemon, text_of
from netns_kit import ip, namespace, netlink, wire
from polling import wait_until

from lies.errors import TraceFormatError
from lies.kernel import messages as m
from lies.kernel.netlink import Netlink
from lies.trace import read_recording
from lies_rtnetlink import Rtnetlink

pytestmark = pytest.mark.netns

CONFIG = '[drivers.eth]\ndriver = "rtnetlink"\ninterfaces = ["near"]\n'
NEAR = "port:near"
DOWNS = 3  # of the scene that is played
KEYS = ("type", "link", "poa", "reason", "condition", "previous")


@pytest.fixture
def kernel() -> Iterator[Netlink]:
    """A namespace with the wire near - far, up."""
    with namespace(), netlink() as kernel:
        wire(kernel, "near", "far")
        yield kernel


def short(lines: str) -> list[dict[str, Any]]:
    """What was said of the link, without times and numbers, the driver's end left out."""
    found = [json.loads(line) for line in lines.splitlines()]
    kept = [o for o in found if not o["type"].startswith("raw_") and o.get("reason") != "driver_lost"]
    return [{key: o[key] for key in KEYS if key in o} for o in kept]


def types_so_far(file: Path) -> list[str]:
    """The types of the records that can be read by now."""
    try:
        return [r.type for r in read_recording(file)]
    except TraceFormatError:
        return []


def play(one: Daemon, kernel: Netlink) -> None:
    """Each end is set down and up, each time until the daemon has seen it; then the wire is removed."""
    for name, up in (("far", False), ("far", True), ("near", False), ("near", True)):
        kernel.execute([m.set_link(socket.if_nametoindex(name), up=up)])
        wait_until(lambda up=up: [s["up"] for s in one.links()] == [up], 20)  # type: ignore[misc]  # a default is no argument here
    kernel.execute([m.delete_link(socket.if_nametoindex("near"))])
    wait_until(lambda: one.links() == [], 20)


@pytest.mark.parametrize("isolate", [False, True], ids=["inside", "isolated"])
def test_trace_and_recording_of_ip_link(kernel: Netlink, tmp_path: Path, isolate: bool) -> None:
    """`lies trace` shows each change with its reason; a recording of it replays to the same primitives."""
    file = tmp_path / "cable.lies"
    with daemon(tmp_path, CONFIG + ("isolate = true\n" if isolate else "")) as one:
        one.wait_up()
        (link,) = one.links()
        assert (link["link"], link["technology"], link["poa"]) == ("near", "ethernet", NEAR)
        recording = one.begin("record", "-o", str(file))
        with one.begin("trace", "link_up", "link_down", "link_status_changed", "raw", "-j") as trace:
            assert trace.stdout is not None
            assert json.loads(trace.stdout.readline())["type"] == "raw_state"
            wait_until(lambda: "raw_state" in types_so_far(file), 20)
            play(one, kernel)
            lines: list[str] = []
            while sum('"link_down"' in line for line in lines) < DOWNS:
                lines.append(trace.stdout.readline())
            seen = short("".join(lines))
            trace.kill()
        wait_until(lambda: types_so_far(file).count("link_down") == DOWNS, 20)
        recording.send_signal(signal.SIGINT)
        recording.communicate(timeout=20)
        assert [
            (o["type"], o["poa"], o.get("reason")) for o in seen if o["type"] != "link_status_changed"
        ] == [
            ("link_down", NEAR, "carrier"),
            ("link_up", NEAR, None),
            ("link_down", NEAR, "admin_down"),
            ("link_up", NEAR, None),
            ("link_down", NEAR, seen[-1]["reason"]),
        ]
        assert seen[-1]["reason"] in {"removed", "admin_down"}  # removal begins with setting down
        assert one.stop() == 0
        assert text_of(one.log).count("[warning]") == 0
    replayed = one.lies("replay", str(file), "--standalone", "--asap", "-j")
    assert replayed.exit_code == 0, replayed.stderr
    assert short(replayed.stdout) == seen


def test_without_control_a_request_is_refused(kernel: Netlink, tmp_path: Path) -> None:
    """One sentence says that the link cannot be steered, and nothing happens to it."""
    del kernel
    with daemon(tmp_path, CONFIG) as one:
        one.wait_up()
        for words in (("disconnect", "near"), ("connect", "near", NEAR)):
            done = one.lies(*words)
            assert (done.exit_code, done.stderr) == (
                2,
                "lies: the driver of near cannot steer it\n",
            )
        assert one.links()[0]["up"]
        assert one.stop() == 0


def test_with_control_it_is_followed(kernel: Netlink, tmp_path: Path) -> None:
    """`lies disconnect` sets the interface down, `lies connect` up; both as the kernel shows it."""
    del kernel
    with daemon(tmp_path, CONFIG + "control = true\n") as one:
        one.wait_up()
        assert one.lies("disconnect", "near").exit_code == 0
        wait_until(lambda: not one.links()[0]["up"], 20)
        assert "UP" not in ip("-br", "link", "show", "near")[0].rpartition("<")[2].split(",")
        assert one.lies("connect", "near", NEAR).exit_code == 0
        one.wait_up()
        assert one.stop() == 0


def test_it_is_found_where_there_is_an_interface(kernel: Netlink) -> None:
    """Without a configuration the driver offers itself where it would serve something, else not."""
    assert Rtnetlink.discover() == {"rtnetlink": {}}
    kernel.execute([m.delete_link(socket.if_nametoindex("near"))])
    wire(kernel, "lies-x0", "lies-x1")
    assert Rtnetlink.discover() == {}
