"""Metrics while and where the configuration asks for them; nothing of Prometheus is imported before."""

import importlib
import logging
from collections.abc import Callable, Mapping
from typing import Any

from lies._listen import Listen
from lies._scrape import ScrapeServer
from lies.bus.core import BusCore
from lies.bus.messages import PluginState
from lies.bus.server import BusServer
from lies.errors import LiesError, NotPermitted

_log = logging.getLogger("lies.daemon")


def load_metrics() -> Any:  # noqa: ANN401 - the module, which the extra may not have brought
    """The module lies.metrics; PluginUnavailable without its extra."""
    return importlib.import_module("lies.metrics")


class Offer:
    """The counts of one daemon, and the socket that offers them; uid, gid: who owns a socket file."""

    def __init__(
        self,
        core: BusCore,
        server: BusServer,
        plugins: Callable[[], tuple[PluginState, ...]],
        reloads: Mapping[str, int],
        *,
        uid: int | None = None,
        gid: int | None = None,
    ) -> None:
        self._sources = core, server, plugins, reloads
        self._uid, self._gid = uid, gid
        self._wanted: Listen | None = None
        self._metrics: Any = None
        self._scrape: ScrapeServer | None = None

    @property
    def listen(self) -> Listen | None:
        """Where it is offered now."""
        return None if self._scrape is None else self._scrape.listen

    async def start(self, listen: Listen | None) -> None:
        """Offer it there; EndpointInUse, NotPermitted or ConfigError if the socket cannot be had."""
        if listen is None:
            return
        if self._metrics is None:
            self._metrics = load_metrics().Metrics(*self._sources)
            try:
                await self._metrics.start()
            except NotPermitted as error:
                _log.warning("lead times and handovers are not measured", extra={"reason": str(error)})
        scrape = ScrapeServer(listen, self._metrics.render, uid=self._uid, gid=self._gid)
        await scrape.start()
        self._wanted, self._scrape = listen, scrape
        _log.info("metrics are offered", extra={"listen": str(scrape.listen)})

    async def become(self, listen: Listen | None) -> None:
        """Offer it there instead; if that cannot be had, where it was."""
        if listen == self._wanted:
            return
        before = self._scrape
        if listen is None:
            await self.stop()
            return
        try:
            await self.start(listen)
        except LiesError as error:
            _log.error("metrics are not offered there", extra={"listen": str(listen), "reason": str(error)})
            return
        if before is not None:
            await before.stop()

    async def stop(self) -> None:
        """Offer it no more; safe to call twice."""
        scrape, self._scrape, self._wanted = self._scrape, None, None
        if scrape is not None:
            await scrape.stop()
        metrics, self._metrics = self._metrics, None
        if metrics is not None:
            metrics.close()
