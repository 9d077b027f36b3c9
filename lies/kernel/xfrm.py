"""IPsec netlink messages compiled to octets with pyroute2's encoders (linux/xfrm.h).

Every function returns one finished message for lies.kernel.netlink.Netlink(NETLINK_XFRM).execute, or a
socket option's value. They make ESP with integrity in transport mode for the Mobility Header between two
addresses (RFC 5568 section 10).
"""

import struct
from ipaddress import IPv6Address
from typing import Any

from pyroute2.netlink import nlmsg

NETLINK_XFRM = 6
_NEW_STATE, _DELETE_STATE = 0x10, 0x11
_DELETE_POLICY, _UPDATE_POLICY = 0x14, 0x19
_REQUEST, _ACK = 0x1, 0x4
_AF_INET6, _ESP, _MOBILITY = 10, 50, 135
_TRANSPORT = 0  # XFRM_MODE_TRANSPORT
_INPUT, _OUTPUT = 0, 1  # XFRM_POLICY_IN, _OUT
_ALLOW, _BLOCK = 0, 1
_LAST = 0xFFFFFFFF  # the priority that gives way to every other
_BARRIER = 0x4C494553  # "LIES"
IPV6_XFRM_POLICY = 35  # linux/in6.h
_INFINITE = 0xFFFFFFFFFFFFFFFF
_ANY_ALGORITHM = 0xFFFFFFFF
_NAME = 64  # octets of an algorithm's name
INTEGRITY = "hmac(sha256)"  # RFC 4868: a key of 256 bits, of which 128 bits of authenticator are sent
INTEGRITY_KEY = 32  # octets
_INTEGRITY_BITS, _SENT_BITS = 256, 128
_NO_CIPHER = "ecb(cipher_null)"  # RFC 2410; RFC 5568 section 10: confidentiality is not required


class _XfrmMessage(nlmsg):  # type: ignore[misc]  # pyroute2 is untyped
    """A fixed part of some octets, which struct has made, and attributes that are octets too."""

    __slots__ = ()
    prefix = "XFRMA_"
    nla_map = (
        (2, "XFRMA_ALG_CRYPT", "cdata"),
        (5, "XFRMA_TMPL", "cdata"),
        (13, "XFRMA_SRCADDR", "cdata"),
        (20, "XFRMA_ALG_AUTH_TRUNC", "cdata"),
    )


class xfrm_usersa_info(_XfrmMessage):  # noqa: N801 - the kernel's names
    """struct xfrm_usersa_info."""

    __slots__ = ()
    fields = (("body", "224s"),)


class xfrm_usersa_id(_XfrmMessage):  # noqa: N801 - as above
    """struct xfrm_usersa_id."""

    __slots__ = ()
    fields = (("body", "24s"),)


class xfrm_userpolicy_info(_XfrmMessage):  # noqa: N801 - as above
    """struct xfrm_userpolicy_info."""

    __slots__ = ()
    fields = (("body", "168s"),)


class xfrm_userpolicy_id(_XfrmMessage):  # noqa: N801 - as above
    """struct xfrm_userpolicy_id."""

    __slots__ = ()
    fields = (("body", "64s"),)


def _finish(message: Any, kind: int, body: bytes, **attributes: bytes) -> bytes:  # noqa: ANN401 - pyroute2
    message["header"]["type"] = kind
    message["header"]["flags"] = _REQUEST | _ACK
    message["body"] = body
    message["attrs"] = [(f"XFRMA_{name}", value) for name, value in attributes.items()]
    message.encode()
    return bytes(message.data)


def _identity(destination: IPv6Address, spi: int) -> bytes:
    """Struct xfrm_id."""
    return struct.pack("=16s4sB3x", destination.packed, spi.to_bytes(4), _ESP)


def _selector(source: IPv6Address | None, destination: IPv6Address, user: int = 0) -> bytes:
    """Struct xfrm_selector: the Mobility Header between two addresses; source: None for any.

    user: means nothing to a packet, but selectors that differ in it are of different policies.
    """
    sender, length = (bytes(16), 0) if source is None else (source.packed, 128)
    ends = struct.pack("=16s16s8x", destination.packed, sender)
    return ends + struct.pack("=HBBB3xiI", _AF_INET6, 128, length, _MOBILITY, 0, user)


def _unlimited() -> bytes:
    """Struct xfrm_lifetime_cfg without a limit of octets, packets or seconds; empty counters behind it."""
    return struct.pack("=4Q4Q", *(_INFINITE,) * 4, *(0,) * 4) + bytes(32)


def new_state(source: IPv6Address, destination: IPv6Address, spi: int, key: bytes, reqid: int) -> bytes:
    """A security association of one direction, for nothing else; key: INTEGRITY_KEY octets.

    Without a replay window: nobody negotiated the keys, and the counter begins anew with its router.
    """
    body = _selector(source, destination) + _identity(destination, spi) + source.packed + _unlimited()
    body += bytes(12)  # struct xfrm_stats
    body += struct.pack("=IIHBBB7x", 0, reqid, _AF_INET6, _TRANSPORT, 0, 0)
    integrity = struct.pack(f"={_NAME}sII", INTEGRITY.encode(), _INTEGRITY_BITS, _SENT_BITS) + key
    cipher = struct.pack(f"={_NAME}sI", _NO_CIPHER.encode(), 0)
    return _finish(xfrm_usersa_info(), _NEW_STATE, body, ALG_AUTH_TRUNC=integrity, ALG_CRYPT=cipher)


def delete_state(source: IPv6Address, destination: IPv6Address, spi: int) -> bytes:
    """Remove a security association; ESRCH if there is none."""
    body = struct.pack("=16s4sHBx", destination.packed, spi.to_bytes(4), _AF_INET6, _ESP)
    return _finish(xfrm_usersa_id(), _DELETE_STATE, body, SRCADDR=source.packed)


def policy(source: IPv6Address, destination: IPv6Address, reqid: int, *, incoming: bool) -> bytes:
    """The Mobility Header between two addresses goes in ESP, and comes in no other way.

    Replaces an equal one, and goes before all others; reqid: of the associations that will do.
    """
    body = _policy(_selector(source, destination), 0, incoming=incoming)
    template = _template(source, destination, reqid)
    return _finish(xfrm_userpolicy_info(), _UPDATE_POLICY, body, TMPL=template)


def delete_policy(source: IPv6Address, destination: IPv6Address, *, incoming: bool) -> bytes:
    """Remove a policy; ENOENT if there is none."""
    return _delete(_selector(source, destination), incoming=incoming)


def barrier(source: IPv6Address, destination: IPv6Address, *, incoming: bool) -> bytes:
    """The Mobility Header between two addresses goes and comes in no way that no other policy names.

    An IKE daemon adds, replaces and removes policies of its own, by their selectors; this one, whose selector
    is not quite any of theirs, stays.
    """
    body = _policy(_selector(source, destination, _BARRIER), _LAST, incoming=incoming, action=_BLOCK)
    return _finish(xfrm_userpolicy_info(), _UPDATE_POLICY, body)


def delete_barrier(source: IPv6Address, destination: IPv6Address, *, incoming: bool) -> bytes:
    """Remove a barrier; ENOENT if there is none."""
    return _delete(_selector(source, destination, _BARRIER), incoming=incoming)


def only_out_of_esp(address: IPv6Address) -> bytes:
    """The value of IPV6_XFRM_POLICY with which a socket hears at an address what came in ESP, and no more.

    By whatever association: each has a selector of its own, which the kernel sees to. It goes before every
    policy of the host, also one that lets packets pass without ESP.
    """
    body = _policy(_selector(None, address), 0, incoming=True)
    return body + _template(IPv6Address(0), address, reqid=0)


def _policy(selector: bytes, priority: int, *, incoming: bool, action: int = _ALLOW) -> bytes:
    """Struct xfrm_userpolicy_info."""
    direction = _INPUT if incoming else _OUTPUT
    return selector + _unlimited() + struct.pack("=IIBBBB4x", priority, 0, direction, action, 0, 0)


def _template(source: IPv6Address, destination: IPv6Address, reqid: int) -> bytes:
    """Struct xfrm_user_tmpl: ESP in transport mode, by any algorithm."""
    template = _identity(destination, 0) + struct.pack("=H2x16sI", _AF_INET6, source.packed, reqid)
    return template + struct.pack("=BBBx3I", _TRANSPORT, 0, 0, *(_ANY_ALGORITHM,) * 3)


def _delete(selector: bytes, *, incoming: bool) -> bytes:
    direction = _INPUT if incoming else _OUTPUT
    return _finish(xfrm_userpolicy_id(), _DELETE_POLICY, selector + struct.pack("=IB3x", 0, direction))
