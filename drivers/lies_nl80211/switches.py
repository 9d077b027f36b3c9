"""Radio switches on the asyncio loop."""

import asyncio
import os
from collections.abc import Callable

from lies.runtime import monotonic_ns
from lies_nl80211.door import Door
from lies_nl80211.items import SwitchTold
from lies_nl80211.rfkill import read_switch

_AT_A_TIME = 64
_OCTETS = 64  # of one event; kernels give 8 or 9


class Switches:
    """Tells of every switch as it is, and of each change."""

    def __init__(
        self, door: Door, told: Callable[[SwitchTold], None], now_ns: Callable[[], int] = monotonic_ns
    ) -> None:
        self._door = door
        self._told = told
        self._now_ns = now_ns
        self._loop = asyncio.get_running_loop()
        self._file = door.switches()
        if self._file is not None:
            self._loop.add_reader(self._file, self._readable)

    def close(self) -> None:
        """Close the descriptor."""
        if self._file is not None:
            self._loop.remove_reader(self._file)
            os.close(self._file)
            self._file = None

    def _readable(self) -> None:
        for _ in range(_AT_A_TIME):
            if self._file is None:
                return
            try:
                data = os.read(self._file, _OCTETS)
            except BlockingIOError:
                return
            except OSError:
                data = b""
            if not data:
                self.close()  # the machine's switches went away: interfaces that go down still tell
                return
            switch = read_switch(data)
            if switch is not None:
                self._told(SwitchTold(self._now_ns(), switch, self._door.wiphy_of(switch.number)))
