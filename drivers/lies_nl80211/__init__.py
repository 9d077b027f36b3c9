"""The Wi-Fi driver: Linux's wireless interfaces through nl80211."""

from lies_nl80211.driver import Nl80211

__all__ = ["Nl80211"]
