"""Many sockets of one address: every honest request is answered, on both listeners."""

from __future__ import annotations

import http.client
import json
import random
import resource
import select
import socket
import string
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from kit.harness import PATIENCE_SECONDS, MakeServer, Server, eventually

# The connections of a listener. One address has half of them.
CONNECTIONS = 40
SHARE = CONNECTIONS // 2

# Sockets of the attacker.
SOCKETS = 200

HONEST_REQUESTS = 20

# The beginnings of requests that do not come.
BEGINNINGS = {
    "silent": b"",
    "half a head": b"GET /healthz HTTP/1.1\r\nHo",
    "slow head": b"GET /healthz HTTP/1.1\r\nHost: a\r\nX-Slow: ",
    "slow body": b"POST /ocsp HTTP/1.1\r\nHost: a\r\nContent-Length: 5000\r\n\r\n",
}


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    directory = tmp_path_factory.mktemp("shares") / "data"
    server = Server(directory, "--connections-max", str(CONNECTIONS)).start()
    try:
        yield server
        server.stop()
    finally:
        server.kill()


def healthy(port: int, source: str = "127.0.0.1") -> int:
    """Returns the status of a request on a connection of its own."""
    connection = http.client.HTTPConnection(
        "127.0.0.1", port, timeout=PATIENCE_SECONDS, source_address=(source, 0)
    )
    connection.request("GET", "/healthz")
    status = connection.getresponse().status
    connection.close()
    return status


def opened(stack: ExitStack, port: int, beginning: bytes = b"") -> socket.socket:
    made = stack.enter_context(socket.create_connection(("127.0.0.1", port), PATIENCE_SECONDS))
    with suppress(BrokenPipeError, ConnectionResetError):
        made.sendall(beginning)
    return made


def is_closed(connection: socket.socket) -> bool:
    """Returns true if the server has closed the connection; it sends nothing on these."""
    if not select.select([connection], [], [], 0)[0]:
        return False
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


@pytest.mark.parametrize("listener", ["management", "public"])
@pytest.mark.parametrize("kind", BEGINNINGS)
def test_many_sockets_of_one_address_do_not_exclude_anybody(
    small: Server, kind: str, listener: str
) -> None:
    attacked = small.port if listener == "management" else small.public_port
    with ExitStack() as stack:
        sockets = [opened(stack, attacked, BEGINNINGS[kind]) for _ in range(SOCKETS)]
        for _ in range(HONEST_REQUESTS):
            if kind.startswith("slow"):
                for connection in sockets:
                    with suppress(OSError):
                        connection.sendall(b"x")
            for port in (small.port, small.public_port):
                for source in ("127.0.0.1", "127.0.0.2"):
                    assert healthy(port, source) == 200
        left = eventually(
            "the address keeps its share at most",
            lambda: [s for s in sockets if not is_closed(s)] if share_is_kept(sockets) else None,
        )
        # The newest ones are left. A request begins after its head was read, and heads that arrive
        # together are read in any order.
        newest = len(left) // 2 if kind == "slow body" else len(left)
        assert set(sockets[len(sockets) - newest :]) <= set(left)


def share_is_kept(sockets: list[socket.socket]) -> bool:
    return sum(not is_closed(connection) for connection in sockets) <= SHARE


def test_the_oldest_connection_without_a_request_gives_its_place(small: Server) -> None:
    with ExitStack() as stack:
        first = opened(stack, small.public_port)
        busy = http.client.HTTPConnection("127.0.0.1", small.public_port, timeout=PATIENCE_SECONDS)
        busy.request("GET", "/healthz")
        assert busy.getresponse().read() is not None
        others = [opened(stack, small.public_port) for _ in range(SHARE - 2)]
        assert healthy(small.public_port) == 200
        eventually("the oldest one is closed", lambda: is_closed(first))
        # The connection of a request is as old as its last answer.
        assert not any(is_closed(connection) for connection in others[1:])
        busy.close()


class Limited(Server):
    """A server whose process may open few files."""

    def command(self) -> list[str]:
        return ["bash", "-c", 'ulimit -n 64; exec "$0" "$@"', *super().command()]


def test_one_listener_does_not_take_the_files_of_the_other(tmp_path: Path, csr: str) -> None:
    server = Limited(tmp_path / "data")
    server.start()
    try:
        with ExitStack() as stack:
            for attacked in (server.public_port, server.port):
                for _ in range(60):
                    opened(stack, attacked)
                for port in (server.port, server.public_port):
                    assert healthy(port) == 200
            api = server.api()
            assert api.issue(csr).status == 200
            api.close()
        assert "cannot accept" not in server.log, server.log
        server.stop()
    finally:
        server.kill()


def test_clients_of_a_trusted_proxy_have_shares_of_their_own(make_server: MakeServer) -> None:
    server = make_server("--connections-max", str(CONNECTIONS), "--trusted-proxies", "127.0.0.1")

    def beginning(client: str) -> bytes:
        head = "POST /ocsp HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n"
        return f"{head}X-Forwarded-For: {client}\r\n\r\n".encode()

    with ExitStack() as stack:
        # Two addresses of one IPv6 network count as one.
        sockets = [
            opened(stack, server.public_port, beginning(f"2001:db8::{number}"))
            for number in range(SHARE + 5)
        ]
        eventually("five gave their places", lambda: sum(map(is_closed, sockets)) == 5)
        others = [
            opened(stack, server.public_port, beginning(f"2001:db8:0:{number + 1}::1"))
            for number in range(10)
        ]
        for connection in others:
            connection.sendall(b"12345")
            assert connection.recv(12) == b"HTTP/1.1 200"
        assert sum(map(is_closed, sockets)) == 5


def test_malformed_heads_get_the_envelope(small: Server) -> None:
    """Random heads that break one rule each. Python's JSON parser judges the answers."""
    chance = random.Random(4)
    statuses: Counter[int] = Counter()
    for number in range(240):
        port = (small.port, small.public_port)[number % 2]
        with ExitStack() as stack:
            connection = opened(stack, port, malformed(chance))
            with suppress(OSError):
                connection.shutdown(socket.SHUT_WR)
            answer = http.client.HTTPResponse(connection, method="GET")
            answer.begin()
            body = json.loads(answer.read())
        statuses[answer.status] += 1
        expected = {400: 10400, 414: 10414, 431: 10431}[answer.status]
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["connection"] == "close" and answer.headers["date"]
        assert (body["success"], body["result"], body["messages"]) == (False, None, [])
        assert [error["code"] for error in body["errors"]] == [expected]
    assert set(statuses) == {400, 414, 431}, statuses


def malformed(chance: random.Random) -> bytes:
    word = "".join(chance.choices(string.ascii_letters, k=chance.randrange(1, 20)))
    rule = chance.randrange(8)
    line, headers = f"GET /{word} HTTP/1.1", f"Host: {word}\r\n"
    if rule == 0:
        line = f"GET /{word} {word} HTTP/1.1"
    elif rule == 1:
        line = f"GET /{word} HTTP/{chance.randrange(2, 10)}.{chance.randrange(10)}"
    elif rule == 2:
        line = f"G({word} / HTTP/1.1"
    elif rule == 3:
        headers += f"{word} : a\r\n"
    elif rule == 4:
        headers += f"{word}\r\n"
    elif rule == 5:
        headers += f"{word}: \0\r\n"
    elif rule == 6:
        line = f"GET /{'a' * 65_600} HTTP/1.1"
    else:
        headers += "".join(f"{word}-{index}: 1\r\n" for index in range(chance.randrange(101, 400)))
    return f"{line}\r\n{headers}\r\n".encode()


def test_few_open_files_are_said_at_the_start(tmp_path: Path) -> None:
    server = Limited(tmp_path / "data", "--connections-max", "500")
    server.start()
    try:
        assert "connections_max" in server.log and "LimitNOFILE" in server.log, server.log
        server.stop()
    finally:
        server.kill()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert hard >= soft > 64, "the limit is that of the server only"
