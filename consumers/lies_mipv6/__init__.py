"""Mobile IPv6 (RFC 6275): mobile node and home agent."""

from lies_mipv6.shell import Mipv6

__all__ = ["Mipv6"]
