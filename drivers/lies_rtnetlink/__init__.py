"""The route netlink driver: every interface that the kernel knows, as a plain link."""

from lies_rtnetlink.driver import Rtnetlink

__all__ = ["Rtnetlink"]
