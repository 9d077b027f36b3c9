"""L2-LinkConnect and L2-LinkDisconnect: who can follow them, by what, and whether they came true; no I/O.

A request is followed by who manages the interface: wpa_supplicant or iwd over D-Bus, or the kernel itself
(CMD_CONNECT, open networks only) where nobody does. What became of it the kernel's events tell.
"""

from attrs import frozen

from lies_nl80211 import requests
from lies_nl80211.attributes import mac_octets
from lies_nl80211.client import Client
from lies_nl80211.messages import Bss
from lies_nl80211.pending import Order

NOBODY = "nobody"


@frozen
class Plan:
    """An order, with the requests to the kernel where nobody else follows it; or why there is none."""

    order: Order | None = None
    requests: tuple[bytes, ...] = ()
    refusal: str = ""


@frozen
class Steward:
    """Who manages an interface: "wpa_supplicant", "iwd", NOBODY, or "" for somebody who cannot be asked.

    why: it cannot, in words that follow "is managed by another program".
    """

    name: str
    why: str = ""

    @property
    def follows(self) -> bool:
        """Whether requests can be followed."""
        return bool(self.name)


def steward_of(*, dormant: bool, owner: str | None, missing: str) -> Steward:
    """Who manages an interface; owner: who says so on D-Bus; missing: why nobody could have."""
    if owner is not None:
        return Steward(owner)
    if not dormant:
        return Steward(NOBODY)
    hint = missing or "let wpa_supplicant offer D-Bus (wpa_supplicant -u)"
    return Steward("", f"(its link mode is dormant) that cannot be asked over D-Bus: {hint}")


def plan_connect(client: Client | None, steward: Steward, link: str, poa: str) -> Plan:
    """How to move a link to a PoA."""
    refusal = _refusal(client, steward, link)
    if client is None or refusal:
        return Plan(refusal=refusal)
    if poa == client.serving:
        return Plan()
    bssid = mac_octets(poa)
    heard = client.measuring.heard
    bss = heard.get(poa)
    if bssid is None or bss is None or bss.elements.ssid is None:
        return Plan(refusal=f"{poa} is not heard on {link}, or hides its network's name: scan, and ask again")
    present = heard.get(client.serving) if client.serving is not None else None
    same = present is not None and present.elements.ssid == bss.elements.ssid
    order = Order(link, poa, bss.elements.ssid, bss.frequency_mhz, roam=same)
    if steward.name == NOBODY and bss.protected:
        return Plan(
            refusal=f"{poa} is of a protected network, and without wpa_supplicant or iwd only open ones "
            f"can be joined: let one of them manage {link}"
        )
    by_kernel = steward.name == NOBODY
    return Plan(order, _by_kernel(client, bss, bss.elements.ssid, bssid, same=same) if by_kernel else ())


def _refusal(client: Client | None, steward: Steward, link: str) -> str:
    if client is None:
        return f"there is no link {link} any more"
    return "" if steward.follows else f"{link} is managed by another program {steward.why}"


def _by_kernel(client: Client, bss: Bss, ssid: bytes, bssid: bytes, *, same: bool) -> tuple[bytes, ...]:
    previous = mac_octets(client.serving) if same and client.serving is not None else None
    before = (requests.disconnect(client.index),) if client.serving is not None and not same else ()
    return (*before, requests.connect(client.index, ssid, bssid, bss.frequency_mhz, previous))


def plan_disconnect(client: Client | None, steward: Steward, link: str, poa: str | None) -> Plan:
    """How to take a link down; nothing if it is at another PoA than the named one."""
    refusal = _refusal(client, steward, link)
    if client is None or refusal:
        return Plan(refusal=refusal)
    if poa is not None and client.serving not in {None, poa}:
        return Plan()
    order = Order(link, None)
    return Plan(order, (requests.disconnect(client.index),) if steward.name == NOBODY else ())
