"""An access network inside the machine: two access routers on simulated radios, and who moves between them.

    correspondent ---- core ---- ap1 ((  sta  )) ap2 ---- core

Each router is its own access point (an open network) and has a /64 of its own. LIES runs in it as access
router, and in the station as mobile node on the nl80211 driver. Nothing of Mobile IPv6 runs: the
correspondent knows the address that the node had first, and packets to it follow the node through the
routers' tunnel.
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
    PYTHON,
    Air,
    Control,
    Lies,
    Radio,
    access_point,
    daemon,
    hear,
    joined,
    listen,
    log,
    make_radios,
    mark,
    pause,
    run,
    said,
    start,
    station,
    steady,
    there,
)

SSID = "orchard"
CORRESPONDENT_PREFIX = IPv6Network("2001:db8:c::/64")
CORRESPONDENT = CORRESPONDENT_PREFIX[2]
BACKBONE = "bb"
_MTU = 1600  # of wires: a packet of a tunnel fits
NEAR_DBM, FAR_DBM = -50.0, -90.0
LOOK_DBM = -60  # below it wpa_supplicant looks for another access point
FADE_S = 5.0
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


def care_of(router: Router, radio: Radio) -> IPv6Address:
    """The address that a station forms on a router's link (RFC 4862 section 5.5.3)."""
    octets = bytes.fromhex(radio.address.replace(":", ""))
    identifier = bytes((octets[0] ^ 2,)) + octets[1:3] + b"\xff\xfe" + octets[3:]
    return IPv6Address(router.prefix.network_address.packed[:8] + identifier)


def build(routers: Iterable[Router], mobile: Radio) -> None:
    """Wires, addresses and routes; the access points beacon after it."""
    routers = tuple(routers)
    run("modprobe", "-a", "veth", "tun")
    for name in ("core", "cn"):
        run("ip", "netns", "add", name)
    for name in ("core", "cn", *(r.name for r in routers)):
        _quiet(name, forwarding=name != "cn")
    # a host as the kernel makes it, but for what a mobile node needs (docs/configuration.md)
    keys = ("all.forwarding=1", f"{mobile.interface}.forwarding=0")
    run("sysctl", "-q", "-w", *(f"net.ipv6.conf.{key}" for key in keys), namespace=mobile.namespace)
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
    _links(mobile.namespace, [f"link set {mobile.interface} up"])


def _quiet(namespace: str, *, forwarding: bool) -> None:
    """No duplicate address detection, and no advertisements taken by the kernel."""
    values = {
        "accept_dad": 0,
        "dad_transmits": 0,
        "accept_ra": 0,
        "seg6_enabled": 1,
        "forwarding": int(forwarding),
    }
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

    protected: with keys, so that nothing is insecure; ike: an IKE daemon is to make the associations between
    the routers, instead of a key; tunnels: of which kind, in all three.
    """

    def __init__(self, *, protected: bool = False, ike: bool = False, tunnels: str = "auto") -> None:
        radios = make_radios("ap1", "ap2", "sta")
        self.station = radios["sta"]
        self.routers = (Router(1, radios["ap1"], 1), Router(2, radios["ap2"], 6))
        self.pcoa = care_of(self.routers[0], self.station)
        self._air = Air(radios)
        self._air.play([steady(r.name, "sta", NEAR_DBM) for r in self.routers])
        self._here = self.routers[0]
        self._moves = 0
        self._processes: list[subprocess.Popen[str]] = []
        self._lies: Lies | None = None
        self._supplicant: Control | None = None
        self._pinging = ""
        build(self.routers, self.station)
        self._common = {"consumer": "fmipv6", "insecure": not protected, "tunnels": tunnels}
        self._keys: list[dict[str, object]] = []
        if protected:
            self._keys = [{"key": f"sta-{r.name}", "router": str(r.address)} for r in self.routers]
            self._common["keys_dir"] = str(_KEYS)
            for name in ("routers", *(str(k["key"]) for k in self._keys)):
                shared_key(name)
        guard = {"ike": True} if ike else {"esp_key": "routers"} if protected else {}
        for one in self.routers:
            daemon(one.name, table("consumers.fmipv6", self._router(one, guard)))

    def _router(self, router: Router, guard: Mapping[str, object]) -> dict[str, object]:
        neighbours = [
            {
                "address": str(other.address),
                "lla": other.radio.address,
                "prefix": str(other.prefix),
                "access_points": [other.radio.address],
                **guard,
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
        if self._keys:
            options["keys"] = [{"key": f"sta-{router.name}", "node": self.station.address}]
        return options

    def attach(self) -> None:
        """The station joins the first access point, and LIES begins in it."""
        interface, name = self.station.interface, self.station.namespace
        hear(self.station, *(r.frequency for r in self.routers))
        self._associate(self.routers[0])
        start("iw-event", "iw", "event", "-t", namespace=name)
        options = {
            **self._common,
            "role": "mobile-node",
            "link": interface,
            "policy": {"leave_below": "none"},  # by predictions alone
        }
        if self._keys:
            options["keys"] = self._keys
        self._lies = daemon(
            name, table("drivers.nl80211", {"scan_s": 1.0}) + table("consumers.fmipv6", options)
        )
        listen(self._lies, "heard")
        wait_until(self._settled, PATIENCE_S)

    def _settled(self) -> bool:
        """Whether the station may use its address: nobody has another one of it (RFC 4862 section 5.4)."""
        return any(str(self.pcoa) in s and "tentative" not in s for s in self.addresses().splitlines())

    def _associate(self, router: Router) -> None:
        interface, name = self.station.interface, self.station.namespace
        where = (SSID, str(router.frequency), router.radio.address)
        run("iw", "dev", interface, "connect", *where, namespace=name)
        joined_to = f"Connected to {router.radio.address}"
        wait_until(lambda: joined_to in run("iw", "dev", interface, "link", namespace=name), PATIENCE_S)

    def addresses(self) -> str:
        """The station's, as ip shows them."""
        return run(
            "ip", "-6", "-o", "addr", "show", "dev", self.station.interface, namespace=self.station.namespace
        )

    def ping(self, name: str, source: IPv6Address | None = None) -> None:
        """Begin to ask the correspondent for echoes; source: only ever from that address of the station."""
        words = [PYTHON, "-m", "radio.pinger", str(LOGS / name), str(CORRESPONDENT)]
        words += [str(source)] if source is not None else []
        self._processes.append(start(f"{name}-says", *words, namespace=self.station.namespace))
        self._pinging = name
        there(LOGS / name)
        wait_until(self._answered_of_late, PATIENCE_S)

    def fade(self) -> None:
        """The access point of the station fades until FMIPv6 has left it."""
        away, to = self._fading("fades")
        arrived = self._moves + 1  # and the first one was configured
        wait_until(lambda: self._addresses_told() >= arrived, PATIENCE_S)
        self._faded("moved", away, to)

    def fade_in_vain(self, why: str) -> None:
        """The access point fades until LIES in it has said this; then somebody else moves the station."""
        away, to = self._fading("fades in vain")
        said(f"lies-{away.name}", why)
        run("iw", "dev", self.station.interface, "disconnect", namespace=self.station.namespace)
        self._associate(to)
        heard = LOGS / "heard.ndjson"
        wait_until(lambda: '"handover_done"' in heard.read_text(encoding="utf-8"), PATIENCE_S)
        self._faded("moved in vain", away, to)

    def roam(self) -> None:
        """The access point fades until wpa_supplicant has left it; then the kernel begins with IPv6 anew.

        By itself it would keep address and router of the link that it has left until they expire, minutes
        later: this is what a connection manager does at best.
        """
        assert self._supplicant is not None
        away, to = self._fading("plainly")
        joined(self._supplicant, to.radio.address)
        mark("reassociated", number=self._moves)
        self.ipv6(disable_ipv6=1)
        self.ipv6(disable_ipv6=0)
        wait_until(self._answered_of_late, PATIENCE_S)
        self._faded("moved", away, to)

    def _fading(self, event: str) -> tuple[Router, Router]:
        away = self._here
        (self._here,) = (r for r in self.routers if r is not away)
        self._moves += 1
        mark(event, number=self._moves, poa=away.radio.address, to=self._here.radio.address)
        self._levels(away, [[0, NEAR_DBM], [FADE_S, FAR_DBM]])
        return away, self._here

    def _faded(self, event: str, away: Router, to: Router) -> None:
        mark(event, number=self._moves, to=to.radio.address)
        self._levels(away, [[0, FAR_DBM], [0.5, NEAR_DBM]])
        pause(STAY_S)

    def _levels(self, router: Router, dbm: list[list[float]]) -> None:
        """One access point as said, the others near."""
        others = [steady(r.name, "sta", NEAR_DBM) for r in self.routers if r is not router]
        path = {"from": router.name, "to": "sta", "both_ways": True, "dbm": dbm}
        self._air.play([path, *others])

    def _addresses_told(self) -> int:
        return (LOGS / "heard.ndjson").read_text(encoding="utf-8").count('"care_of_address_changed"')

    def _answered_of_late(self) -> bool:
        """Whether the last requests, but for the very last, have answers."""
        lines = (LOGS / self._pinging).read_text(encoding="ascii").splitlines()[-40:]
        asked = [line.split()[1] for line in lines if line.startswith("s ")]
        answered = {line.split()[1] for line in lines if line.startswith("r ")}
        return len(asked) > 10 and set(asked[-11:-1]) <= answered

    def without_lies(self) -> None:
        """LIES ends in the station, and wpa_supplicant begins, which looks around when the signal falls."""
        assert self._lies is not None
        self._stop()
        self._lies.process.terminate()
        self._lies.process.wait(PATIENCE_S)
        run("iw", "dev", self.station.interface, "disconnect", namespace=self.station.namespace)
        self._supplicant, process = station(
            self.station, ssid=SSID, frequencies=[r.frequency for r in self.routers]
        )
        self._processes.append(process)
        assert self._supplicant.ask(f'SET_NETWORK 0 bgscan "simple:1:{LOOK_DBM}:10"') == "OK"
        joined(self._supplicant)
        bssid = self._supplicant.status()["bssid"]
        (self._here,) = (r for r in self.routers if r.radio.address == bssid)
        # with an address that no tunnel of before leads away from
        self.ipv6(disable_ipv6=1, addr_gen_mode=3)
        self.ipv6(disable_ipv6=0)

    def ipv6(self, **settings: int) -> None:
        """Set sysctls of IPv6 on the station's interface."""
        words = [f"net.ipv6.conf.{self.station.interface}.{key}={value}" for key, value in settings.items()]
        run("sysctl", "-q", "-w", *words, namespace=self.station.namespace)

    def _stop(self) -> None:
        for process in self._processes:
            process.terminate()
            process.wait(PATIENCE_S)
        self._processes.clear()

    def capture(self, router: Router) -> None:
        """Write down what a router's wire carries, until the end."""
        name = f"capture-{router.name}"
        words = ("tcpdump", "-i", BACKBONE, "-U", "-s", "256", "-w", str(LOGS / f"{router.name}.pcap"), "ip6")
        self._processes.append(start(name, *words, namespace=router.name))
        wait_until(lambda: "listening on" in log(name).read_text(encoding="utf-8"), PATIENCE_S)

    def end(self) -> None:
        """Nothing more comes."""
        pause(0.5)
        self._stop()
