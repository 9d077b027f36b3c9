"""The applications that `lies demo --app` knows."""

from collections.abc import Callable, Mapping

from lies.testbed.application import Application
from lies.testbed.download import Download
from lies.testbed.iperf3 import Iperf3, find_iperf3

APPLICATIONS: Mapping[str, Callable[[], Application]] = {
    "iperf3": lambda: Iperf3(find_iperf3(), ("udp", "tcp")),
    "iperf3-udp": lambda: Iperf3(find_iperf3(), ("udp",)),
    "iperf3-tcp": lambda: Iperf3(find_iperf3(), ("tcp",)),
    "http": Download,
}


def application_of(name: str) -> Application:
    """An application by its name; ApplicationFailed if its program is not installed."""
    return APPLICATIONS[name]()
