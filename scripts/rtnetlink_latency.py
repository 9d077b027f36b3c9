"""How long a lost or new carrier takes from the kernel to a consumer, beside a bare pyroute2 listener.

A wire in a namespace of its own is set down and up at its far end. The time runs from the request to
the kernel until (a) a process that has a netlink socket and nothing else has read the message, (b) one
with pyroute2 and nothing else has decoded it, (c) the driver rtnetlink of a daemon has seen it, (d) a
consumer in a third process has the indication. (a), (b) and (c, d) take turns.

    python scripts/rtnetlink_latency.py [CHANGES]
"""

import asyncio
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lies.bus import Client
from lies.events import LinkDown, LinkUp
from lies.kernel import messages as m
from lies.kernel.netlink import Netlink
from lies.kernel.netns import ensure_privileged, entered, new_namespace
from lies.runtime import monotonic_ns

ROUNDS = 3
PAUSE_S = 0.02  # between two changes: what is measured is one alone
PATIENCE_S = 30.0
NEAR_INDEX, FAR_INDEX = 1001, 1002  # of equal ones the kernel would tell up to a second later

SOCKET = f"""
import socket, struct, time
listener = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
listener.bind((0, 1))
print("ready", flush=True)
up = True
while True:
    data = listener.recv(65536)
    now_ns = time.monotonic_ns()
    kind, index, flags = struct.unpack_from("=4xH14xiI", data)
    if kind == 16 and index == {NEAR_INDEX} and bool(flags & 0x40) != up:
        up = not up
        print(now_ns, flush=True)
"""
PYROUTE2 = """
import time
from pyroute2 import IPRoute
with IPRoute() as ip:
    ip.bind()
    print("ready", flush=True)
    up = True
    while True:
        for message in ip.get():
            now_ns = time.monotonic_ns()
            if message["event"] == "RTM_NEWLINK" and message.get("ifname") == "near":
                if (message.get("operstate") == "UP") != up:
                    up = not up
                    print(now_ns, flush=True)
"""
CONFIG = '[daemon]\nlog_level = "warning"\n[drivers.eth]\ndriver = "rtnetlink"\ninterfaces = ["near"]\n'


@contextmanager
def running(*words: str, **environ: str) -> Iterator["subprocess.Popen[str]"]:
    """A process that ends with the block."""
    command = [sys.executable, *words]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env={**os.environ, **environ}
    ) as process:
        try:
            yield process
        finally:
            process.send_signal(signal.SIGKILL)


@contextmanager
def daemon() -> Iterator[Path]:
    """A daemon with the driver; its runtime directory."""
    with tempfile.TemporaryDirectory() as name:
        directory, file = Path(name, "run"), Path(name, "lies.toml")
        file.write_text(CONFIG, encoding="utf-8")
        with running("-m", "lies", "run", "-c", str(file), LIES_RUNTIME_DIR=str(directory)) as process:
            while not (directory / "publish").exists() and process.poll() is None:
                threading.Event().wait(0.05)
            yield directory


async def flips(kernel: Netlink, changes: int, seen: asyncio.Queue[tuple[int, ...]]) -> list[tuple[int, ...]]:
    """Change the carrier so often; of each, how long it took until what is put into the queue, in ns."""
    took = []
    for n in range(changes):
        await asyncio.sleep(PAUSE_S)
        began_ns = monotonic_ns()
        kernel.execute([m.set_link(FAR_INDEX, up=bool(n % 2))])
        async with asyncio.timeout(PATIENCE_S):
            took.append(tuple(at_ns - began_ns for at_ns in await seen.get()))
    return took


async def bare(listener: str, kernel: Netlink, changes: int) -> list[tuple[int, ...]]:
    """With a listener alone."""
    seen: asyncio.Queue[tuple[int, ...]] = asyncio.Queue()
    with running("-c", listener) as process:
        assert process.stdout is not None
        process.stdout.readline()
        loop, out = asyncio.get_running_loop(), process.stdout
        loop.add_reader(out, lambda: seen.put_nowait((int(out.readline()),)))
        try:
            return await flips(kernel, changes, seen)
        finally:
            loop.remove_reader(out)


async def through_lies(kernel: Netlink, changes: int) -> list[tuple[int, ...]]:
    """With a daemon, and this process as its consumer: (driver, consumer)."""
    seen: asyncio.Queue[tuple[int, ...]] = asyncio.Queue()
    with daemon() as directory:
        async with await Client.connect(directory, name="watch") as bus:
            async with asyncio.timeout(PATIENCE_S):
                while not [s for s in await bus.links("near") if s.up]:  # noqa: ASYNC110 - the daemon begins
                    await asyncio.sleep(0.05)
            events = bus.events()
            for primitive in ("link_up", "link_down"):
                await bus.register(primitive)

            async def hear() -> None:
                async for event in events:
                    if isinstance(event, LinkUp | LinkDown):
                        seen.put_nowait((event.header.mono_ns, monotonic_ns()))

            hearing = asyncio.create_task(hear())
            try:
                return await flips(kernel, changes, seen)
            finally:
                hearing.cancel()


def line(what: str, took_ns: list[int]) -> float:
    """Print median and 99th percentile of times; the median in us."""
    ordered = sorted(took_ns)
    median_us = statistics.median(ordered) / 1e3
    print(f"{what:34} {median_us:8.0f} {ordered[len(ordered) * 99 // 100] / 1e3:8.0f}")
    return median_us


def main() -> None:
    """Measure and print."""
    changes = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    ensure_privileged()
    namespace = new_namespace()
    with entered(namespace):
        kernel = Netlink()
        kernel.execute([m.new_veth("near", "far", index=NEAR_INDEX, peer_index=FAR_INDEX)])
        kernel.execute([m.set_link(index, up=True) for index in (NEAR_INDEX, FAR_INDEX)])
        each = changes // ROUNDS // 2 * 2
        floor: list[tuple[int, ...]] = []
        alone: list[tuple[int, ...]] = []
        ours: list[tuple[int, ...]] = []
        for _ in range(ROUNDS):
            floor += asyncio.run(bare(SOCKET, kernel, each))
            alone += asyncio.run(bare(PYROUTE2, kernel, each))
            ours += asyncio.run(through_lies(kernel, each))
        kernel.close()
    print(f"{len(ours)} changes of a carrier, each         median us   p99 us")
    line("bare netlink socket", [t[0] for t in floor])
    bare_us = line("bare pyroute2 listener", [t[0] for t in alone])
    driver_us = line("LIES: seen by the driver", [t[0] for t in ours])
    consumer_us = line("LIES: indicated to a consumer", [t[1] for t in ours])
    print(f"beside pyroute2: driver {driver_us / bare_us:.2f}, consumer {consumer_us / bare_us:.2f}")


if __name__ == "__main__":
    main()
