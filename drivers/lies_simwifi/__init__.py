"""The simulated Wi-Fi driver: a mobile node driving past access points."""

from lies_simwifi.driver import SimWifi

__all__ = ["SimWifi"]
