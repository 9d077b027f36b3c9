"""L2-LinkConnect and L2-LinkDisconnect on open networks, where nobody else manages the interface."""

from attrs import frozen

from lies_nl80211 import requests
from lies_nl80211.attributes import mac_octets
from lies_nl80211.follow import Follower


@frozen
class Plan:
    """Requests in order, or the sentence that says why there is none."""

    requests: tuple[bytes, ...] = ()
    refusal: str = ""


def plan_connect(follower: Follower, link: str, poa: str) -> Plan:
    """How to move a link to a PoA."""
    client = follower.client(link)
    if client is None:
        return Plan(refusal=f"there is no link {link} any more")
    if follower.owned(client.index):
        return Plan(refusal=_owned(link, f"connect it to {poa}"))
    if poa == client.serving:
        return Plan()
    bssid = mac_octets(poa)
    heard = client.measuring.heard
    bss = heard.get(poa)
    if bssid is None or bss is None or bss.elements.ssid is None:
        return Plan(refusal=f"{poa} is not heard on {link}, or hides its network's name: scan, and ask again")
    if bss.protected:
        return Plan(
            refusal=f"{poa} is of a protected network, and without wpa_supplicant or iwd only open ones "
            f"can be joined: let one of them manage {link}"
        )
    present = heard.get(client.serving) if client.serving is not None else None
    previous = None
    before: tuple[bytes, ...] = ()
    if client.serving is not None:
        if present is not None and present.elements.ssid == bss.elements.ssid:
            previous = mac_octets(client.serving)
        else:
            before = (requests.disconnect(client.index),)
    return Plan(
        (*before, requests.connect(client.index, bss.elements.ssid, bssid, bss.frequency_mhz, previous))
    )


def plan_disconnect(follower: Follower, link: str, poa: str | None) -> Plan:
    """How to take a link down; nothing if it is at another PoA than the named one."""
    client = follower.client(link)
    if client is None:
        return Plan(refusal=f"there is no link {link} any more")
    if follower.owned(client.index):
        return Plan(refusal=_owned(link, "disconnect it"))
    if poa is not None and client.serving not in {None, poa}:
        return Plan()
    return Plan((requests.disconnect(client.index),))


def _owned(link: str, what: str) -> str:
    return (
        f"{link} is managed by another program (its link mode is dormant, as wpa_supplicant and iwd set it): "
        f"{what} with that program, or stop it"
    )
