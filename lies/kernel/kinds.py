"""Words for what the kernel is asked to do in one way or another; a configuration may name them."""

from enum import StrEnum


class TunnelKind(StrEnum):
    """How tunnels are made; on the wire all are plain IPv6 in IPv6 (RFC 2473)."""

    AUTO = "auto"  # what this kernel has, the first one first
    SEG6 = "seg6"  # routes with encap.red and End.DX6: no device per tunnel, nor for all
    IP6TNL = "ip6tnl"  # routes into one ip6tnl device in external mode


class IntakeKind(StrEnum):
    """How packets come to the program."""

    AUTO = "auto"  # TUN, or the packet socket where TUN is closed
    TUN = "tun"
    PACKET = "packet"
