"""Attacks on a gateway: its memory stays small, and it serves an honest client meanwhile."""

from __future__ import annotations

import concurrent.futures
import functools
import os
import select
import socket
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hyperframe.frame import (
    ContinuationFrame,
    HeadersFrame,
    PingFrame,
    RstStreamFrame,
    SettingsFrame,
)

from kit.apart import UpstreamApart
from kit.gateway import HOST, Clients, Gateway, Http2, ends
from kit.harness import FULL_SIZE, PATIENCE_SECONDS, Server, eventually
from kit.honest import Honest

# The memory that an attack may add, in KiB.
MEMORY_MAX = 64 * 1024

# Connections of one address at the same time. Its limit is 1,000 by default.
CONNECTIONS = 900 if FULL_SIZE else 150

# The most times that the p99 of an honest client may grow, in the full size.
HONEST_RATIO_MAX = 3.0

# The niceness of the attacker in the full size. It would be another machine, whose work takes no
# processor from the gateway, its upstream and the honest client.
ATTACKER_NICENESS = 19

# Requests of the honest client, before each attack.
REQUESTS = 1_000 if FULL_SIZE else 10


@pytest.fixture(scope="module")
def gateway(shared: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    upstream = UpstreamApart()
    Clients(shared, tmp_path_factory.mktemp("clients")).issue()
    gateway = Gateway(shared, tmp_path_factory.mktemp("gateway") / "edge", upstream)
    try:
        yield gateway.start()
        gateway.stop()
    finally:
        gateway.kill()
        upstream.close()


class Beside:
    """An honest client during the block, and the memory that the gateway takes meanwhile."""

    def __init__(self, gateway: Gateway, clients: Clients) -> None:
        self.gateway, self.client = gateway, clients.issue()
        assert gateway.process
        self.process = Path(f"/proc/{gateway.process.pid}")
        self.honest = Honest(gateway, self.client)
        self.before = 0

    def __enter__(self) -> Beside:
        self.honest.__enter__()
        assert self.is_served(REQUESTS)
        self.before = len(self.honest.seconds)
        self.memory = self.kibibytes("VmRSS")
        # The highest value begins anew (proc_pid_clear_refs(5)).
        (self.process / "clear_refs").write_text("5")
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self.honest.__exit__(kind)
        if kind:
            return
        added = self.kibibytes("VmHWM") - self.memory
        assert added < MEMORY_MAX, f"{added} KiB"
        # The gateway accepts new connections, too.
        assert self.gateway.status(self.client) == 200
        if FULL_SIZE:
            seconds = self.honest.seconds
            before, during = p99(seconds[: self.before]), p99(seconds[self.before :])
            print(f"p99 {before * 1e3:.1f} ms before, {during * 1e3:.1f} ms, {added} KiB more")
            assert during < before * HONEST_RATIO_MAX

    def kibibytes(self, name: str) -> int:
        """The resident memory of the gateway: now (VmRSS), or the highest (VmHWM)."""
        text = (self.process / "status").read_text()
        return int(text.split(f"{name}:")[1].split()[0])

    def files(self) -> int:
        """The open files of the gateway, most of which are connections."""
        return len(list((self.process / "fd").iterdir()))

    def is_served(self, count: int = 2) -> bool:
        """Returns true after more answers to the honest client."""
        return self.honest.is_served(count)


def attack(work: Callable[[], None]) -> None:
    """Runs the work of an attacker."""
    nice = functools.partial(os.nice, ATTACKER_NICENESS) if FULL_SIZE else None
    # On Linux, the niceness is that of the thread, which ends here.
    with concurrent.futures.ThreadPoolExecutor(1, initializer=nice) as attacker:
        attacker.submit(work).result()


def p99(seconds: list[float]) -> float:
    return sorted(seconds)[len(seconds) * 99 // 100]


@pytest.fixture
def clients(shared: Server, tmp_path: Path) -> Clients:
    return Clients(shared, tmp_path / "clients")


def send(stream: ssl.SSLSocket, octets: bytes, beside: Beside) -> bool:
    """Sends without reading. Returns false if the gateway ends the connection, or reads nothing
    more while it answers others.
    """
    stream.settimeout(0)
    rest, idle = memoryview(octets), 0
    while rest:
        try:
            rest, idle = rest[stream.send(rest) :], 0
        except (ssl.SSLWantWriteError, ssl.SSLWantReadError):
            _, writable, _ = select.select([], [stream], [], 0.5)
            idle += 0 if writable else 1
            if idle > 2 and beside.is_served():
                return False
        except OSError:
            return False
    return True


# A request whose fields stay out of the table.
GET = b"\x82\x87\x84\x01\x0f" + HOST.encode()

# 4,000 octets that later headers name with one octet each (RFC 7541 §6.2.1).
LARGE = b"\x40\x01a\x7f" + (4_000 - 127 & 0x7F | 0x80).to_bytes() + (4_000 - 127 >> 7).to_bytes()


def whole(stream: int, data: bytes) -> bytes:
    frame = HeadersFrame(stream, data=data, flags=["END_HEADERS", "END_STREAM"])
    return frame.serialize()


FLOODS: dict[str, list[bytes]] = {
    "continuation": [HeadersFrame(1, data=b"").serialize()]
    + [ContinuationFrame(1, data=b"\x00\x01a\x01b" * 2_000).serialize()] * 5_000,
    "settings": [SettingsFrame(0, settings={1: 4096}).serialize()] * 400_000,
    "table size": [
        SettingsFrame(0, settings={1: size}).serialize() for size in (0, 1 << 30) * 100_000
    ],
    "ping": [PingFrame(0, opaque_data=b"12345678").serialize()] * 400_000,
    "reset": [
        whole(stream, GET) + RstStreamFrame(stream, error_code=8).serialize()
        for stream in range(1, 40_000, 2)
    ],
    # Each head has 64 MB when it is decoded.
    "header bomb": [whole(1, GET + LARGE + b"x" * 4_000)]
    + [whole(stream, GET + b"\xbe" * 16_000) for stream in range(3, 1_000, 2)],
    # Each head has 16 kB, and its request does not end.
    "open heads": [
        HeadersFrame(
            stream,
            data=GET + b"\x00\x01b\x7f\x81\x7d" + b"y" * 16_128,
            flags=["END_HEADERS"],
        ).serialize()
        for stream in range(1, 2_000, 2)
    ],
}

# The gateway ends these connections. It does not read the others to their end before it has sent
# its own answers.
ENDED = ("continuation", "reset")


@pytest.mark.parametrize("flood", FLOODS)
def test_a_flood_of_frames_takes_no_memory(gateway: Gateway, clients: Clients, flood: str) -> None:
    client = clients.issue()

    def work() -> None:
        attacker = Http2(gateway.connect(client, "h2"))
        # It reads nothing, and the system does not read for it.
        attacker.stream.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        frames = FLOODS[flood]
        for first in range(0, len(frames), 500):
            if not send(attacker.stream, b"".join(frames[first : first + 500]), beside):
                break
        assert beside.is_served()
        if flood in ENDED:
            attacker.stream.settimeout(PATIENCE_SECONDS)
            assert ends(attacker.stream), "the gateway closes it"
        attacker.stream.close()

    with Beside(gateway, clients) as beside:
        attack(work)


def half_open(gateway: Gateway, clients: Clients) -> Callable[[], socket.socket]:
    """Connections that send a part of a ClientHello."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = gateway.context(None).wrap_bio(incoming, outgoing, server_hostname=HOST)
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    hello = outgoing.read()

    def connect() -> socket.socket:
        stream = socket.create_connection(("127.0.0.1", gateway.port), timeout=PATIENCE_SECONDS)
        stream.sendall(hello[:-1])
        return stream

    return connect


def beginning(gateway: Gateway, clients: Clients, octets: bytes) -> Callable[[], socket.socket]:
    """Connections that send the beginning of a request."""
    context = gateway.context(clients.issue())

    def connect() -> socket.socket:
        stream = gateway.connect(None, context=context)
        stream.sendall(octets)
        return stream

    return connect


START = f"POST / HTTP/1.1\r\nHost: {HOST}\r\n".encode()

SLOW: dict[str, Callable[[Gateway, Clients], Callable[[], socket.socket]]] = {
    "handshakes": half_open,
    "heads": lambda gateway, clients: beginning(
        gateway, clients, START + b"X-Large: " + b"a" * 8_000
    ),
    "bodies": lambda gateway, clients: beginning(
        gateway, clients, START + b"Content-Length: 1000000\r\n\r\n" + b"a" * 8_000
    ),
}


@pytest.mark.parametrize("kind", SLOW)
def test_slow_connections_take_little_memory(gateway: Gateway, clients: Clients, kind: str) -> None:
    connect = SLOW[kind](gateway, clients)

    def work() -> None:
        before = beside.files()
        streams = [connect() for _ in range(CONNECTIONS)]
        eventually("all are open", lambda: beside.files() >= before + CONNECTIONS)
        assert beside.is_served()
        for stream in streams:
            stream.close()

    with Beside(gateway, clients) as beside:
        attack(work)
