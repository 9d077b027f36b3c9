"""Fast handovers for Mobile IPv6 (RFC 5568): mobile node and access router."""

from lies_fmipv6.shell import Fmipv6

__all__ = ["Fmipv6"]
