"""What a test may ask of the machine, by marker; and the proof of spec/conformance.md after a whole run."""

import functools
import os

import conformance
import pytest
import zmq
from hypothesis import HealthCheck, settings
from tools import need

from lies.errors import NotPermitted
from lies.kernel.netns import new_namespace

# A loaded machine makes tests slow, not wrong.
settings.register_profile(
    "lies", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.load_profile("lies")

# ZeroMQ's thread opens its TCP connections, in the namespace in which it began: here, not in a test's.
with zmq.Context.instance().socket(zmq.PAIR):
    pass


@functools.cache
def namespaces_refused() -> str:
    """Why no network namespace can be made here; "" if it can."""
    try:
        os.close(new_namespace())
    except NotPermitted as error:
        return str(error)
    return ""


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test whose marker names what is not here; with CI=true it fails instead."""
    if item.get_closest_marker("netns"):
        need("ip")
        if namespaces_refused():
            if os.environ.get("CI") == "true":
                pytest.fail(namespaces_refused(), pytrace=False)
            pytest.skip(namespaces_refused())
    if item.get_closest_marker("tshark"):
        need("tshark")
    if item.get_closest_marker("traces") and not os.environ.get("LIES_TRACES"):
        pytest.skip("LIES_TRACES names no folder of recorded traces")


def pytest_configure(config: pytest.Config) -> None:
    """Watch which tests pass, to hold spec/conformance.md against them."""
    config.pluginmanager.register(conformance.Watch(config), "conformance")
