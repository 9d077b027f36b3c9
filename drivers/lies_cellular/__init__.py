"""The cellular driver: every modem of ModemManager as a link."""

from lies_cellular.driver import Cellular

__all__ = ["Cellular"]
