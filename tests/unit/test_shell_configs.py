"""The mobility consumers' tables: what is wrong is a ConfigError that names table and key."""

from typing import Any

import pytest

from lies._decode import decode
from lies.errors import ConfigError
from lies_fmipv6.config import Config as FastConfig
from lies_fmipv6.config import Role as FastRole
from lies_mipv6.config import Config as HomeConfig
from lies_mipv6.config import Role as HomeRole

ROUTER: dict[str, Any] = {
    "role": "access-router",
    "access": "ap",
    "backbone": "bb",
    "address": "2001:db8:1::1",
    "prefix": "2001:db8:1::/64",
}
NEIGHBOUR: dict[str, Any] = {
    "address": "2001:db8:2::1",
    "lla": "02:00:00:00:00:02",
    "prefix": "2001:db8:2::/64",
    "access_points": ["02:00:00:00:01:02"],
}
MOBILE: dict[str, Any] = {"role": "mobile-node", "link": "wlan0"}
AT_HOME: dict[str, Any] = {**MOBILE, "home_address": "2001:db8:99::99", "home_agent": "2001:db8:99::1"}
AGENT: dict[str, Any] = {
    "role": "home-agent",
    "address": "2001:db8:99::1",
    "home_prefix": "2001:db8:99::/64",
    "backbone": "bb",
}


def decoded(cls: type[Any], table: dict[str, Any]) -> object:
    """The table as the daemon decodes it."""
    return decode(cls, table, file="lies.toml", table="consumers.mob")


def without(table: dict[str, Any], *keys: str) -> dict[str, Any]:
    """The table without some keys."""
    return {k: v for k, v in table.items() if k not in keys}


def test_good_tables_are_taken() -> None:
    """Every role's least table is a configuration."""
    router = decoded(FastConfig, {**ROUTER, "neighbours": [NEIGHBOUR]})
    assert isinstance(router, FastConfig)
    assert router.role is FastRole.ACCESS_ROUTER
    assert len(router.neighbours) == 1
    mobile = decoded(FastConfig, MOBILE)
    assert isinstance(mobile, FastConfig)
    assert mobile.link == "wlan0"
    for table, role in ((AT_HOME, HomeRole.MOBILE_NODE), (AGENT, HomeRole.HOME_AGENT)):
        home = decoded(HomeConfig, table)
        assert isinstance(home, HomeConfig)
        assert home.role is role
        assert not home.insecure


FAST_FAULTS: dict[str, tuple[dict[str, Any], str]] = {
    "unknown role": ({**ROUTER, "role": "router"}, "role: 'router' is none of mobile-node, access-router"),
    "no role": (without(ROUTER, "role"), "role: a key that must be given"),
    "no link": ({"role": "mobile-node"}, "link is needed where role = 'mobile-node'"),
    "empty link": ({**MOBILE, "link": ""}, "link is needed where role = 'mobile-node'"),
    "no access": (without(ROUTER, "access"), "access is needed where role = 'access-router'"),
    "no backbone": (without(ROUTER, "backbone"), "backbone is needed"),
    "no address": (without(ROUTER, "address"), "address is needed"),
    "no prefix": (without(ROUTER, "prefix"), "prefix is needed"),
    "bad address": ({**ROUTER, "address": "2001:db8::g"}, "address: '2001:db8::g' is no IPv6Address"),
    "IPv4 address": ({**ROUTER, "address": "192.0.2.1"}, "address: '192.0.2.1' is no IPv6Address"),
    "multicast address": ({**ROUTER, "address": "ff02::1"}, "address: ff02::1 is no address of one node"),
    "no address at all": ({**ROUTER, "address": "::"}, "address: :: is no address of one node"),
    "link-local address": ({**ROUTER, "address": "fe80::1"}, "address: fe80::1 is no address of one node"),
    "host bits": ({**ROUTER, "prefix": "2001:db8:1::1/64"}, "prefix: '2001:db8:1::1/64' is no IPv6Network"),
    "no /64": ({**ROUTER, "prefix": "2001:db8::/48"}, "prefix: 2001:db8::/48 is no /64"),
    "neighbour's MAC": (
        {**ROUTER, "neighbours": [{**NEIGHBOUR, "lla": "zz"}]},
        "neighbours.lla: 'zz' is no MAC address",
    ),
    "neighbour's prefix": (
        {**ROUTER, "neighbours": [{**NEIGHBOUR, "prefix": "2001:db8::/48"}]},
        "prefix: 2001:db8::/48 is no /64",
    ),
    "neighbour's address": (
        {**ROUTER, "neighbours": [NEIGHBOUR, {**NEIGHBOUR, "address": "x"}]},
        "[consumers.mob.neighbours[1]]: address: 'x' is no IPv6Address",
    ),
    "neighbour without address": (
        {**ROUTER, "neighbours": [without(NEIGHBOUR, "address")]},
        "[consumers.mob.neighbours[0]]: address: a key that must be given",
    ),
    "unknown key": ({**ROUTER, "adress": "2001:db8::1"}, "adress: unknown key; did you mean 'address'?"),
    "unknown mode": ({**MOBILE, "mode": "fast"}, "mode: 'fast' is none of predictive, reactive, none"),
    "parameter": ({**MOBILE, "parameters": {"grace_s": -1}}, "grace_s must lie between 0 and 65535"),
    "no number": (
        {**MOBILE, "parameters": {"grace_s": float("nan")}},
        "[consumers.mob.parameters]: grace_s: not a finite number",
    ),
    "policy": ({**MOBILE, "policy": "level"}, "policy: expected a table, got a string"),
    "buffering": ({**ROUTER, "buffering": "none"}, "buffering: 'none' is none of auto, tun, packet, kernel"),
    "all buffers": ({**ROUTER, "buffer_total_octets": -1}, "buffer_total_octets must lie between 1 and"),
    "no excess": ({**ROUTER, "drain_excess": 0}, "drain_excess must be greater than 0, and at most 100"),
    "rehearsal": ({**ROUTER, "rehearsal_ms": 0.5}, "rehearsal_ms must be 0, or lie between 1 and 60000"),
    "no rehearsal": ({**ROUTER, "rehearsal_ms": -1}, "rehearsal_ms must be 0, or lie between 1 and 60000"),
    "buffer": ({**ROUTER, "buffer_octets": 0}, "buffer_octets must lie between 1 and 1073741824"),
    "limit": ({**ROUTER, "max_bindings": 0}, "max_bindings must lie between 1 and 1048576"),
    "limit of a neighbour": (
        {**ROUTER, "max_expected_per_neighbour": 1 << 21},
        "max_expected_per_neighbour must lie between 1 and 1048576",
    ),
    "probes": ({**ROUTER, "dad_transmits": 6}, "dad_transmits must lie between 0 and 5"),
    "duplicates": (
        {**ROUTER, "duplicates": "share"},
        "duplicates: 'share' is none of assign, host-route, refuse",
    ),
    "both ways to ESP": (
        {**ROUTER, "neighbours": [{**NEIGHBOUR, "esp_key": "ar2", "ike": True}]},
        "neighbours[0]: esp_key and ike: one of them, not both",
    ),
    "key of nobody": (
        {**MOBILE, "keys": [{"key": "car"}]},
        "keys: a key needs router, and no node, where role = 'mobile-node'",
    ),
    "key of a node at a node": (
        {**MOBILE, "keys": [{"key": "car", "router": "2001:db8:1::1", "node": "02:00:00:00:00:01"}]},
        "keys: a key needs router, and no node, where role = 'mobile-node'",
    ),
    "key of a router at a router": (
        {**ROUTER, "keys": [{"key": "car", "router": "2001:db8:2::1"}]},
        "keys: a key needs node, and no router, where role = 'access-router'",
    ),
    "key of no MAC": (
        {**ROUTER, "keys": [{"key": "car", "node": "car"}]},
        "keys.node: 'car' is no MAC address",
    ),
    "two keys": (
        {
            **ROUTER,
            "keys": [
                {"key": "car", "node": "02:00:00:00:00:0a"},
                {"key": "bus", "node": "02:00:00:00:00:0A"},
            ],
        },
        "keys: two keys for 02:00:00:00:00:0A",
    ),
    "key without a name": (
        {**MOBILE, "keys": [{"router": "2001:db8:1::1"}]},
        "[consumers.mob.keys[0]]: key: a key that must be given",
    ),
    "advertisements": (
        {**ROUTER, "advertise_interval_s": 0.0},
        "advertise_interval_s must be greater than 0",
    ),
}
HOME_FAULTS: dict[str, tuple[dict[str, Any], str]] = {
    "unknown role": ({**AGENT, "role": "agent"}, "role: 'agent' is none of mobile-node, home-agent"),
    "no role": (without(AGENT, "role"), "role: a key that must be given"),
    "no link": (without(AT_HOME, "link"), "link is needed where role = 'mobile-node'"),
    "no home address": (without(AT_HOME, "home_address"), "home_address is needed"),
    "no home agent": (without(AT_HOME, "home_agent"), "home_agent is needed"),
    "no address": (without(AGENT, "address"), "address is needed where role = 'home-agent'"),
    "no home prefix": (without(AGENT, "home_prefix"), "home_prefix is needed"),
    "no backbone": (without(AGENT, "backbone"), "backbone is needed"),
    "empty backbone": ({**AGENT, "backbone": ""}, "backbone is needed"),
    "IPv4 home address": ({**AT_HOME, "home_address": "192.0.2.1"}, "home_address: '192.0.2.1' is no"),
    "multicast": ({**AT_HOME, "home_agent": "ff02::1"}, "home_agent: ff02::1 is no address of one node"),
    "bad prefix": ({**AGENT, "home_prefix": "2001:db8::/200"}, "home_prefix: '2001:db8::/200' is no"),
    "grace": ({**AGENT, "grace_s": -0.5}, "grace_s must not be negative"),
    "small mtu": ({**AT_HOME, "mtu": 1279}, "mtu must lie between 1280 and 65535"),
    "large mtu": ({**AT_HOME, "mtu": 65536}, "mtu must lie between 1280 and 65535"),
    "lifetime": ({**AT_HOME, "parameters": {"lifetime_s": 3}}, "lifetime_s must be a multiple of 4"),
    "unknown key": ({**AT_HOME, "home_adress": "::1"}, "home_adress: unknown key; did you mean"),
}


def _refused(cls: type[Any], table: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        decoded(cls, table)
    assert said in str(caught.value)
    assert str(caught.value).startswith("lies.toml: [consumers.mob")
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("name", FAST_FAULTS)
def test_what_fmipv6_cannot_use_is_refused_by_name(name: str) -> None:
    """A ConfigError has file, table, key, and what is wrong with it."""
    _refused(FastConfig, *FAST_FAULTS[name])


@pytest.mark.parametrize("name", HOME_FAULTS)
def test_what_mobile_ipv6_cannot_use_is_refused_by_name(name: str) -> None:
    """A ConfigError has file, table, key, and what is wrong with it."""
    _refused(HomeConfig, *HOME_FAULTS[name])
