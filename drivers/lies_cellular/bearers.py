"""The connections (bearers) of one modem: which there are, and which one carries the link."""

from collections.abc import Iterator

from attrs import define, field

from lies_cellular.items import Values

MOST = 256
_OWN_KINDS = frozenset({0, 1})  # MMBearerType: unknown, default; the others carry no IP of ours


@define
class Bearer:
    """One connection, as last told; known: it was looked at."""

    connected: bool = False
    suspended: bool = False  # connected, and nothing passes
    interface: str = ""
    may_roam: bool | None = None
    kind: int = 0
    error: tuple[str, str] = ("", "")
    limit_mbps: float | None = None
    known: bool = False

    def take(self, values: Values) -> None:
        """Some of its properties."""
        self.known = True
        self.connected = values.get("Connected", self.connected)
        self.suspended = values.get("Suspended", self.suspended)
        self.interface = values.get("Interface", self.interface)
        self.kind = values.get("BearerType", self.kind)
        self.error = values.get("ConnectionError", self.error)
        if "Properties" in values:
            self.may_roam = values["Properties"]["allow-roaming"]
        if "Stats" in values:
            (self.limit_mbps,) = values["Stats"]


@define
class Bearers:
    """Of one modem; own: those that this driver had made."""

    of: dict[str, Bearer] = field(factory=dict)
    own: set[str] = field(factory=set)

    def listed(self, paths: tuple[str, ...]) -> list[str]:
        """Those that there are now; the ones that must be looked at."""
        there = paths[-MOST:]
        for path in [p for p in self.of if p not in there]:
            del self.of[path]
            self.own.discard(path)
        new = [p for p in there if p not in self.of]
        for path in new:
            self.of[path] = Bearer()
        return new

    def carrying(self, before: str | None) -> str | None:
        """The one that carries the link: the same as before while it is connected, else the first."""
        up = [p for p, b in self.of.items() if b.connected and not b.suspended and b.kind in _OWN_KINDS]
        return before if before in up else next(iter(up), None)

    def ended(self) -> Iterator[str]:
        """Own ones that carry nothing any more."""
        return (p for p in self.own if p in self.of and self.of[p].known and not self.of[p].connected)
