"""The replay driver: recordings and recorded traces through the same abstract entity as live radio."""

from lies_replay.driver import Replay

__all__ = ["Replay"]
