"""What carries the modem's octets: a pseudo-terminal, or a socket as ModemManager's tests have it."""

import asyncio
import fcntl
import os
import termios
import tty
from contextlib import suppress
from pathlib import Path

from modem.device import Port

_MOST_HELD = 4 << 20  # octets for a port that nobody reads; a real one drops them as well
_PIECE = 65536


class Worker:
    """Answers a port's command lines one after the other."""

    def __init__(self, port: Port) -> None:
        self._port = port
        self._lines: asyncio.Queue[str] = asyncio.Queue()
        self._task = asyncio.get_running_loop().create_task(self._answer())

    def received(self, data: bytes) -> None:
        """Octets from the host."""
        for line in self._port.lines(data):
            self._lines.put_nowait(line)

    def stop(self) -> None:
        """Answer no more."""
        self._task.cancel()

    async def _answer(self) -> None:
        while True:
            answer = self._port.answer(await self._lines.get())
            if answer.delay_s:
                await asyncio.sleep(answer.delay_s)
            self._port.give(answer)


class PtyLine:
    """A port behind a pseudo-terminal; `link` is made to lead to its terminal."""

    def __init__(self, port: Port, link: Path) -> None:
        self._loop = asyncio.get_running_loop()
        self._port, self._link = port, link
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self._waiting = bytearray()
        self._worker = Worker(port)
        port.opened(self)
        self._loop.add_reader(self._master, self._readable)
        link.unlink(missing_ok=True)
        link.symlink_to(os.ttyname(self._slave))

    def write(self, data: bytes) -> None:
        """Send now what fits, the rest when it fits."""
        if len(self._waiting) + len(data) > _MOST_HELD:
            return
        idle = not self._waiting
        self._waiting += data
        if idle:
            self._writable()

    def close(self) -> None:
        """The port is gone: who has it open reads the end."""
        self._link.unlink(missing_ok=True)
        self._worker.stop()
        self._loop.remove_reader(self._master)
        self._loop.remove_writer(self._master)
        self._port.opened(None)
        os.close(self._slave)
        os.close(self._master)

    def _readable(self) -> None:
        # ModemManager claims the terminal for itself when it opens it, and this end keeps the claim alive:
        # who is not the real root could not open the terminal a second time
        fcntl.ioctl(self._slave, termios.TIOCNXCL)
        with suppress(BlockingIOError):
            self._worker.received(os.read(self._master, _PIECE))

    def _writable(self) -> None:
        with suppress(BlockingIOError):
            while self._waiting:
                del self._waiting[: os.write(self._master, self._waiting)]
        if self._waiting:
            self._loop.add_writer(self._master, self._writable)
        else:
            self._loop.remove_writer(self._master)


class SocketLine:
    """A port behind an abstract Unix socket; every connection is a terminal plugged in anew."""

    def __init__(self, port: Port, name: str) -> None:
        self._port, self._name = port, name
        self._writer: asyncio.StreamWriter | None = None
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        """Listen."""
        self._server = await asyncio.start_unix_server(self._serve, f"\0{self._name}")

    def write(self, data: bytes) -> None:
        """Send."""
        if self._writer is not None:
            self._writer.write(data)

    def close(self) -> None:
        """The port is gone."""
        if self._server is not None:
            self._server.close()
        if self._writer is not None:
            self._writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        self._port.opened(self)
        worker = Worker(self._port)
        try:
            while data := await reader.read(_PIECE):
                worker.received(data)
        except ConnectionError:
            pass  # ended as well
        finally:
            worker.stop()
            if self._writer is writer:
                self._writer = None
                self._port.opened(None)
            writer.close()
