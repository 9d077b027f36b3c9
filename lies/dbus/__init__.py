"""A connection to D-Bus for drivers: timed calls, the signals of watched services, connected again by itself.

Needs dbus-next (extra `nl80211` or `cellular`); importing it without raises ImportError. What arrives has
been turned into plain values, which may be of any type whatever the service's documents say:
`lies.dbus.values` reads them.
"""

from lies.dbus._wire import system_address
from lies.dbus.connection import CALL_S, DBusConnection, Signal
from lies.dbus.values import Variant

__all__ = ["CALL_S", "DBusConnection", "Signal", "Variant", "system_address"]
