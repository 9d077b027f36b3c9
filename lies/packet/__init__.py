"""Octets of IPv6, ICMPv6 and Mobility Headers that several consumers share."""
