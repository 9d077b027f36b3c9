"""What the air does: a level in dBm for each pair of sender and receiver, over time.

A scenario is a TOML file. Pairs that it does not name do not hear each other.

    seed = 1                # of noise and losses
    floor_dbm = -92         # nothing is received at this level and below
    soft_db = 4             # so far above it the share of lost frames falls from all to none

    [radios]                # any names, and hwsim's addresses of the radios
    ap = "42:00:00:00:00:00"
    sta = "42:00:00:00:01:00"

    [[paths]]
    from = "ap"
    to = "sta"
    dbm = [[0, -40], [10, -90]]  # s since it is played, dBm; a line between; two at one time are a step
    noise_db = 6            # evenly within so many dB of that
    noise_s = 0             # a new value so often; 0: for each frame
    both_ways = true        # as well from `to` to `from`
"""

import random
import tomllib
from bisect import bisect_right
from collections.abc import Sequence
from pathlib import Path
from typing import Any

FLOOR_DBM, SOFT_DB = -92.0, 4.0


class Level:
    """The level of one direction over time."""

    def __init__(
        self, points: Sequence[Sequence[float]], noise_db: float, noise_s: float, chance: random.Random
    ) -> None:
        if (
            not points
            or any(len(p) != 2 for p in points)
            or sorted(p[0] for p in points) != [p[0] for p in points]
        ):
            raise ValueError("dbm must be a list of [s, dBm], rising in time")
        self._times = [float(t) for t, _ in points]
        self._levels = [float(v) for _, v in points]
        self._noise_db = noise_db
        self._noise_s = noise_s
        self._chance = chance
        self._drawn = (-1, 0.0)

    def at(self, t_s: float) -> float:
        """The level of a frame at a time, in dBm."""
        return self._mean(t_s) + self._noise(t_s)

    def _mean(self, t_s: float) -> float:
        after = bisect_right(self._times, t_s)
        if after == 0 or after == len(self._times):
            return self._levels[max(0, after - 1)]
        t0, t1 = self._times[after - 1 : after + 1]
        v0, v1 = self._levels[after - 1 : after + 1]
        return v0 + (v1 - v0) * (t_s - t0) / (t1 - t0)

    def _noise(self, t_s: float) -> float:
        if not self._noise_db:
            return 0.0
        slot = int(t_s / self._noise_s) if self._noise_s else self._drawn[0] + 1
        if slot != self._drawn[0]:
            self._drawn = (slot, self._chance.uniform(-self._noise_db, self._noise_db))
        return self._drawn[1]


class Scenario:
    """Who hears whom, and how well."""

    def __init__(self, table: dict[str, Any]) -> None:
        radios = {name: octets(address) for name, address in table["radios"].items()}
        self._chance = random.Random(table.get("seed", 1))
        self._floor_dbm = float(table.get("floor_dbm", FLOOR_DBM))
        self._soft_db = float(table.get("soft_db", SOFT_DB))
        self._levels: dict[bytes, dict[bytes, Level]] = {address: {} for address in radios.values()}
        for path in table.get("paths", ()):
            ends = radios[path["from"]], radios[path["to"]]
            for sender, receiver in (ends, ends[::-1])[: 2 if path.get("both_ways") else 1]:
                level = Level(path["dbm"], path.get("noise_db", 0.0), path.get("noise_s", 0.0), self._chance)
                self._levels[sender][receiver] = level

    @classmethod
    def load(cls, file: Path) -> "Scenario":
        """The scenario of a file; ValueError, KeyError or TypeError where it is none."""
        return cls(tomllib.loads(file.read_text(encoding="utf-8")))

    def receivers(self, sender: bytes) -> Sequence[bytes]:
        """Who may hear a radio."""
        return tuple(self._levels.get(sender, ()))

    def received(self, sender: bytes, receiver: bytes, t_s: float) -> int | None:
        """The level of a frame in whole dBm; None: it is lost."""
        level = self._levels.get(sender, {}).get(receiver)
        if level is None:
            return None
        dbm = level.at(t_s)
        above = dbm - self._floor_dbm
        if above <= 0 or (above < self._soft_db and self._chance.random() > above / self._soft_db):
            return None
        return round(dbm)


def octets(address: str) -> bytes:
    """The six octets of an address."""
    found = bytes.fromhex(address.replace(":", ""))
    if len(found) != 6:
        raise ValueError(f"{address} is no address of a radio")
    return found
