"""An access network inside the machine: two access routers on simulated radios, a correspondent, a mobile node.

    correspondent ---- core ---- ap1 ((  sta  )) ap2 ---- core

Each router is its own access point (an open network) and has a /64 of its own; LIES runs in it as access router, and
in the station as mobile node on the nl80211 driver. Nothing of Mobile IPv6 runs: the correspondent knows the address
that the node had first, and packets to it follow the node through the tunnel of the routers.
"""

import json
import os
import stat
import subprocess
from collections.abc import Iterable, Mapping
from ipaddress import IPv6Address, IPv6Network

from attrs import frozen
from polling import wait_until

from radio.guest import (
    LOGS,
    PATIENCE_S,
    Air,
    Lies,
    Radio,
    access_point,
    daemon,
    listen,
    make_radios,
    mark,
    pause,
    run,
    said,
    start,
    steady,
)

SSID = "orchard"
CORRESPONDENT_PREFIX = IPv6Network("2001:db8:c::/64")
CORRESPONDENT = CORRESPONDENT_PREFIX[2]
BACKBONE = "bb"
_MTU = 1600  # of wires: a packet of a tunnel fits
NEAR_DBM, FAR_DBM = -50.0, -90.0
FADE_S = 4.0
STAY_S = 1.5  # after a handover
_KEYS = LOGS.parent / "keys"


@frozen
class Router:
    """An access router; number: from 1."""

    number: int
    radio: Radio
    channel: int

    @property
    def name(self) -> str:
        """Of its namespace."""
        return self.radio.namespace

    @property
    def prefix(self) -> IPv6Network:
        """Of its access link."""
        return IPv6Network(f"2001:db8:{self.number}::/64")

    @property
    def address(self) -> IPv6Address:
        """Where its tunnels end."""
        return self.prefix[1]

    @property
    def backbone(self) -> IPv6Address:
        """Its link-local address on the backbone."""
        return IPv6Address(f"fe80::b:{self.number:x}")

    @property
    def frequency(self) -> int:
        """Of its channel, in MHz."""
        return 2407 + 5 * self.channel


def care_of(router: Router, station: Radio) -> IPv6Address:
    """The address that a station forms on a router's link (RFC 4862 section 5.5.3)."""
    octets = bytes.fromhex(station.address.replace(":", ""))
    identifier = bytes((octets[0] ^ 2,)) + octets[1:3] + b"\xff\xfe" + octets[3:]
    return IPv6Address(router.prefix.network_address.packed[:8] + identifier)


def build(routers: Iterable[Router], station: Radio) -> None:
    """Wires, addresses and routes; the access points beacon after it."""
    routers = tuple(routers)
    run("modprobe", "-a", "veth", "tun")
    for name in ("core", "cn"):
        run("ip", "netns", "add", name)
    for name in ("core", "cn", station.namespace, *(r.name for r in routers)):
        _quiet(name, forwarding=name != "cn")
    _links("core", [f"link add cn mtu {_MTU} type veth peer name eth0 netns cn mtu {_MTU}"])
    _links("core", ["link set cn up", f"addr add {CORRESPONDENT_PREFIX[1]}/64 dev cn"])
    _links(
        "cn",
        [
            "link set lo up",
            "link set eth0 up",
            f"addr add {CORRESPONDENT}/64 dev eth0",
            f"route add default via {CORRESPONDENT_PREFIX[1]}",
        ],
    )
    _links("core", [f"link add {BACKBONE} mtu {_MTU} type bridge", f"link set {BACKBONE} up"])
    _links("core", [f"addr add fe80::b:0/64 dev {BACKBONE}"])
    for one in routers:
        _links(
            "core",
            [
                f"link add {one.name} mtu {_MTU} type veth peer name {BACKBONE} netns {one.name} mtu {_MTU}",
                f"link set {one.name} master {BACKBONE} up",
                f"route add {one.prefix} via {one.backbone} dev {BACKBONE}",
            ],
        )
        others = [f"route add {o.prefix} via {o.backbone} dev {BACKBONE}" for o in routers if o is not one]
        _links(
            one.name,
            [
                f"link set {BACKBONE} up",
                f"addr add {one.backbone}/64 dev {BACKBONE}",
                *others,
                f"route add default via fe80::b:0 dev {BACKBONE}",
            ],
        )
        access_point(one.radio, channel=one.channel, ssid=SSID)
        _links(one.name, [f"addr add {one.address}/64 dev {one.radio.interface}"])
    _links(station.namespace, [f"link set {station.interface} up"])


def _quiet(namespace: str, *, forwarding: bool) -> None:
    """No duplicate address detection, and no advertisements taken by the kernel."""
    values = {"accept_dad": 0, "dad_transmits": 0, "accept_ra": 0, "router_solicitations": 0, "seg6_enabled": 1}
    if forwarding:
        values["forwarding"] = 1  # DBG
    words = [f"net.ipv6.conf.{which}.{k}={v}" for which in ("all", "default") for k, v in values.items()]
    run("sysctl", "-q", "-w", *words, namespace=namespace)


def _links(namespace: str, lines: Iterable[str]) -> None:
    text = "".join(f"{line}\n" for line in lines)
    subprocess.run(
        ["ip", "-n", namespace, "-6", "-batch", "-"], input=text, text=True, check=True, timeout=PATIENCE_S
    )


# ---- LIES


def shared_key(name: str) -> None:
    """A handover key that every daemon of the machine can read."""
    _KEYS.mkdir(mode=0o700, exist_ok=True)
    file = _KEYS / f"{name}.handover"
    file.write_text(f'key = "{os.urandom(32).hex()}"\n', encoding="ascii")
    file.chmod(stat.S_IRUSR | stat.S_IWUSR)


def toml(value: object) -> str:
    """A value in TOML; tables inline."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{k} = {toml(v)}" for k, v in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(toml, value)) + "]"
    return json.dumps(value)


def table(head: str, options: Mapping[str, object]) -> str:
    """A table of a configuration."""
    return "\n".join([f"[{head}]", *(f"{key} = {toml(value)}" for key, value in options.items()), ""])


# ---- the experiment


class Journey:
    """Two routers and a station that is driven from one to the other and back.

    protected: with keys, so that nothing is insecure; tunnels: of which kind, in all three.
    """

    def __init__(self, *, protected: bool = False, tunnels: str = "auto") -> None:
        radios = make_radios("ap1", "ap2", "sta")
        self.station = radios["sta"]
        self.routers = (Router(1, radios["ap1"], 1), Router(2, radios["ap2"], 6))
        self.pcoa = care_of(self.routers[0], self.station)
        self._air = Air(radios)
        self._air.play([steady(r.name, "sta", NEAR_DBM) for r in self.routers])
        self._here = self.routers[0]
        self._moves = 0
        self._captures: list[subprocess.Popen[str]] = []
        build(self.routers, self.station)
        self._common = {"consumer": "fmipv6", "insecure": not protected, "tunnels": tunnels}
        self._keys: list[dict[str, object]] = []
        if protected:
            self._keys = [{"key": f"sta-{r.name}", "router": str(r.address)} for r in self.routers]
            self._common["keys_dir"] = str(_KEYS)
            for name in ("routers", *(str(k["key"]) for k in self._keys)):
                shared_key(name)
        for one in self.routers:
            daemon(one.name, table("consumers.fmipv6", self._router(one, protected=protected)))

    def _router(self, router: Router, *, protected: bool) -> dict[str, object]:
        neighbours = [
            {
                "address": str(other.address),
                "lla": other.radio.address,
                "prefix": str(other.prefix),
                "access_points": [other.radio.address],
                **({"esp_key": "routers"} if protected else {}),
            }
            for other in self.routers
            if other is not router
        ]
        options = {
            **self._common,
            "role": "access-router",
            "access": router.radio.interface,
            "backbone": BACKBONE,
            "address": str(router.address),
            "prefix": str(router.prefix),
            "access_points": [router.radio.address],
            "neighbours": neighbours,
        }
        if protected:
            options["keys"] = [{"key": f"sta-{router.name}", "node": self.station.address}]
        return options

    def attach(self) -> Lies:
        """The station joins the first access point, and LIES begins in it."""
        interface, name = self.station.interface, self.station.namespace
        frequencies = [str(r.frequency) for r in self.routers]
        run("iw", "dev", interface, "scan", "freq", *frequencies, namespace=name)
        first = self.routers[0]
        run(
            "iw", "dev", interface, "connect", "-w", SSID, str(first.frequency), first.radio.address, namespace=name
        )
        options = {
            **self._common,
            "role": "mobile-node",
            "link": interface,
            "policy": {"leave_below": "none"},  # by predictions alone
        }
        if self._keys:
            options["keys"] = self._keys
        lies = daemon(name, table("drivers.nl80211", {"scan_s": 2.0}) + table("consumers.fmipv6", options))
        listen(lies, "heard")
        wait_until(lambda: str(self.pcoa) in self.addresses(), PATIENCE_S)
        return lies

    def addresses(self) -> str:
        """The station's, as ip shows them."""
        return run("ip", "-6", "-o", "addr", "show", "dev", self.station.interface, namespace=self.station.namespace)

    def ping(self, name: str) -> "subprocess.Popen[str]":
        """Begin to ask the correspondent for an answer every 10 ms, from the station's first address."""
        words = ("ping", "-6", "-n", "-D", "-i", "0.01", "-I", str(self.pcoa), str(CORRESPONDENT))
        process = start(name, *words, namespace=self.station.namespace)
        said(name, "icmp_seq=100")
        return process

    def fade(self) -> None:
        """The access point of the station fades until the station has left it."""
        away = self._here
        (to,) = (r for r in self.routers if r is not away)
        self._moves += 1
        falls = {"from": away.name, "to": "sta", "both_ways": True, "dbm": [[0, NEAR_DBM], [FADE_S, FAR_DBM]]}
        mark("fades", number=self._moves, poa=away.radio.address, to=to.radio.address)
        self._air.play([falls, steady(to.name, "sta", NEAR_DBM)])
        wait_until(lambda: self._arrived() > self._moves, PATIENCE_S)
        mark("moved", number=self._moves)
        self._here = to
        comes = {**falls, "dbm": [[0, FAR_DBM], [1, NEAR_DBM]]}
        self._air.play([comes, steady(to.name, "sta", NEAR_DBM)])
        pause(STAY_S)

    def _arrived(self) -> int:
        """How many care-of addresses the station has had."""
        return (LOGS / "heard.ndjson").read_text(encoding="utf-8").count('"care_of_address_changed"')

    def capture(self, router: Router) -> None:
        """Write down what a router's wire carries, until the end."""
        name = f"capture-{router.name}"
        words = ("tcpdump", "-i", BACKBONE, "-U", "-s", "256", "-w", str(LOGS / f"{router.name}.pcap"), "ip6")
        self._captures.append(start(name, *words, namespace=router.name))
        said(name, "listening on")

    def end(self) -> None:
        """Nothing more comes."""
        pause(0.5)
        for process in self._captures:
            process.terminate()
            process.wait(PATIENCE_S)
