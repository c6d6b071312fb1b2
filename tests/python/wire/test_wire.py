"""Hostile input over real sockets: no 5xx, no hung connection, and the server still serves."""

from __future__ import annotations

import json
import random
import select
import socket
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress

import pytest

from kit.harness import PATIENCE_SECONDS, MakeServer, Server

# The time limit of a request in these tests, in seconds.
LIMIT_SECONDS = 1

# Within that limit, and some for a busy machine, a connection is answered or closed.
BOUND_SECONDS = LIMIT_SECONDS + 5


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    directory = tmp_path_factory.mktemp("wire") / "data"
    server = Server(directory, "--request-timeout-seconds", str(LIMIT_SECONDS)).start()
    try:
        yield server
        server.stop()
    finally:
        server.kill()


@pytest.fixture(params=["management", "responder"])
def port(strict: Server, request: pytest.FixtureRequest) -> Iterator[int]:
    """Returns each listener in turn. The API must still work after the test."""
    yield strict.port if request.param == "management" else strict.public_port
    still_serves(strict)


def still_serves(server: Server) -> None:
    api = server.api()
    assert api.total() >= 0
    api.close()


def connect(port: int) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), timeout=BOUND_SECONDS)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def send(connection: socket.socket, data: bytes) -> None:
    """Sends as much as the server still accepts."""
    with suppress(BrokenPipeError, ConnectionResetError):
        connection.sendall(data)


def read_to_end(connection: socket.socket, bound: float = BOUND_SECONDS) -> bytes:
    """Reads until the server closes the connection, which it must do in time."""
    received = b""
    deadline = time.monotonic() + bound
    while True:
        connection.settimeout(max(0.001, deadline - time.monotonic()))
        try:
            more = connection.recv(65536)
        except ConnectionResetError:
            return received
        except TimeoutError:
            raise AssertionError(f"the connection hangs after {received[:200]!r}") from None
        if not more:
            return received
        received += more


def exchange(port: int, data: bytes, *, close: bool = False) -> bytes:
    with connect(port) as connection:
        send(connection, data)
        if close:
            with suppress(OSError):  # The server may have closed it first.
                connection.shutdown(socket.SHUT_WR)
        return read_to_end(connection)


def statuses(received: bytes) -> list[int]:
    """Returns the statuses of consecutive answers, each read by its content-length."""
    found = []
    while received:
        head, separator, rest = received.partition(b"\r\n\r\n")
        assert separator and head.startswith(b"HTTP/1."), received[:200]
        lines = head.split(b"\r\n")
        found.append(int(lines[0].split(b" ")[1]))
        headers = dict(line.lower().split(b": ", 1) for line in lines[1:])
        # Interim answers have no body (RFC 9110 §15.2).
        length = 0 if found[-1] < 200 else int(headers.get(b"content-length", b"0"))
        received = rest[length:]
    return found


def never_5xx(received: bytes) -> list[int]:
    found = statuses(received)
    assert all(status < 500 for status in found), received[:500]
    return found


def request_line(server: Server, method: str = "GET", extra: str = "", query: str = "") -> str:
    path = f"/client/v4/zones/{server.zone_id}/client_certificates{query}"
    return f"{method} {path} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {server.token}\r\n{extra}"


def test_random_bytes_instead_of_http(port: int) -> None:
    chance = random.Random(1)
    for length in [1, 2, 3, 10, 100, 1000, 10_000, 100_000] * 5:
        never_5xx(exchange(port, chance.randbytes(length), close=True))


def test_almost_http(port: int) -> None:
    for text in [
        b"\r\n\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET http://[::1 HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /%00%ff%zz HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /\xff\xfe HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /../../../etc/passwd HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /" + b"a" * 60_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /?" + b"page=1&" * 8_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
        b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(505),
        b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost : a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX: \x00\r\n\r\n",
    ]:
        never_5xx(exchange(port, text, close=True))


def test_a_megabyte_of_headers_is_refused(port: int) -> None:
    one_large = b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * (1 << 20) + b"\r\n\r\n"
    many_small = b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: a\r\n" * (1 << 18) + b"\r\n"
    for head in (one_large, many_small):
        # Closing a connection with unread data may lose the answer.
        assert never_5xx(exchange(port, head)) in ([431], [])


def test_an_endless_head_is_cut_off(port: int) -> None:
    for beginning in (
        b"",
        b"G",
        b"GET / HTTP/1.1\r\nHost: a\r\nX-",
        b"GET / HTTP/1.1\r\nHost: a\r\n",
    ):
        started = time.monotonic()
        never_5xx(exchange(port, beginning))
        assert time.monotonic() - started < BOUND_SECONDS


def test_slow_headers_do_not_hold_a_connection(port: int) -> None:
    """Sends one header line after another: the time limit covers the complete head."""
    with connect(port) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n")
        connection.settimeout(0.1)
        received = b"?"
        deadline = time.monotonic() + BOUND_SECONDS
        while received:
            assert time.monotonic() < deadline, "the connection is kept"
            try:
                connection.sendall(b"X: a\r\n")
                received = connection.recv(65536)
            except TimeoutError:
                continue
            except (BrokenPipeError, ConnectionResetError):
                return


def test_an_incomplete_body_is_cut_off(strict: Server) -> None:
    for method in ("POST", "PATCH"):
        path = "" if method == "POST" else f"/{'0' * 32}"
        head = request_line(
            strict, method, "Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n"
        )
        head = head.replace("client_certificates", f"client_certificates{path}", 1)
        started = time.monotonic()
        assert statuses(exchange(strict.port, head.encode() + b"{")) == [408]
        assert time.monotonic() - started < BOUND_SECONDS
    still_serves(strict)


def test_a_truncated_body_is_not_a_request(strict: Server) -> None:
    head = request_line(
        strict, "POST", "Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n"
    ).encode()
    before = total(strict)
    never_5xx(exchange(strict.port, head + b"{", close=True))
    assert total(strict) == before


def total(server: Server) -> int:
    api = server.api()
    value = api.total()
    api.close()
    return value


def test_too_large_bodies_are_refused_immediately(strict: Server) -> None:
    kind = "Content-Type: application/json\r\nContent-Length:"
    for length in (64 * 1024 + 1, 10**9, 2**63):
        head = request_line(strict, "POST", f"{kind} {length}\r\n\r\n").encode()
        assert statuses(exchange(strict.port, head)) in ([413], [400]), length
    for length in (2**64, 10**30):
        never_5xx(
            exchange(strict.port, request_line(strict, "POST", f"{kind} {length}\r\n\r\n").encode())
        )
    still_serves(strict)


def test_chunked_bodies(strict: Server, csr: str) -> None:
    head = request_line(
        strict,
        "POST",
        "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n",
    ).encode()
    body = json.dumps({"csr": csr, "validity_days": 1}).encode()
    chunks = b"".join(b"1\r\n%c\r\n" % byte for byte in body) + b"0\r\n\r\n"
    assert statuses(exchange(strict.port, head + chunks)) == [200]
    for garbage in (
        b"zz\r\n",
        b"-1\r\nx\r\n",
        b"ffffffffffffffffff\r\n",
        b"1\r\nxx\r\n",
        b"5\r\nab",
        b"1;" + b"a" * 20_000,
    ):
        never_5xx(exchange(strict.port, head + garbage, close=True))
    # A too large body in chunks, which do not announce its size.
    endless = b"400\r\n" + b"a" * 0x400 + b"\r\n"
    assert never_5xx(exchange(strict.port, head + endless * 200)) in ([413], [])
    still_serves(strict)


def test_pipelined_requests_are_answered_in_order(strict: Server) -> None:
    lines = [request_line(strict, query=f"?per_page={size}") for size in (5, 4, 6)]
    close = "Connection: close\r\n\r\n"
    received = exchange(strict.port, ("\r\n".join([*lines[:2], lines[2]]) + close).encode())
    assert statuses(received) == [200, 400, 200]


def test_http_1_0(strict: Server) -> None:
    line = request_line(strict).replace("HTTP/1.1", "HTTP/1.0")
    assert statuses(exchange(strict.port, f"{line}\r\n".encode())) == [200]


def test_expect_100_continue(strict: Server, csr: str) -> None:
    body = json.dumps({"csr": csr, "validity_days": 1}).encode()
    more = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n"
    with connect(strict.port) as connection:
        send(connection, request_line(strict, "POST", more).encode())
        assert connection.recv(65536).startswith(b"HTTP/1.1 100 ")
        send(connection, body)
        assert statuses(read_to_end(connection)) == [200]


def test_unexpected_bodies(strict: Server, csr: str) -> None:
    api = strict.api()
    identity = api.issue(csr).result["id"]
    for method, path, body in [
        ("GET", api.certificates, {"page": 1}),
        ("GET", f"{api.certificates}/{identity}", {}),
        ("DELETE", f"{api.certificates}/{identity}", {"anything": [1, 2]}),
        ("PATCH", f"{api.certificates}/{identity}", {}),
        ("GET", f"{api.certificates}/{identity}", "text"),
    ]:
        assert api.call(method, path, body).status == 200
    api.close()
    no_body = "Content-Type: application/json\r\nConnection: close\r\n\r\n"
    assert statuses(exchange(strict.port, request_line(strict, "GET", no_body).encode())) == [200]


@pytest.mark.parametrize(
    ("method", "token", "status"),
    [
        ("GET", None, 200),
        ("GET", "f" * 40, 403),
        ("POST", "f" * 40, 403),
        ("PUT", None, 405),
        ("DELETE", None, 405),
    ],
)
def test_an_unread_body_does_not_end_the_connection(
    strict: Server, method: str, token: str | None, status: int
) -> None:
    """Sends head and body in separate packets, as urllib and Go do."""
    head = request_line(
        strict, method, "Content-Type: application/json\r\nContent-Length: 2\r\n\r\n"
    )
    head = head.replace(strict.token, token or strict.token)
    with connect(strict.port) as connection:
        for _ in range(10):
            send(connection, head.encode())
            # The server answers after the body.
            ready, _, _ = select.select([connection], [], [], 0.02)
            assert not ready
            send(connection, b"{}")
            received = b""
            while b"\r\n\r\n" not in received or not complete(received):
                more = connection.recv(65536)
                assert more, "the connection was closed"
                received += more
            assert statuses(received) == [status]


def test_a_large_unread_body_is_not_awaited(strict: Server) -> None:
    announced = "Content-Type: application/json\r\nContent-Length: 1000000000\r\n\r\n"
    assert statuses(exchange(strict.port, request_line(strict, "GET", announced).encode())) == [200]


def complete(received: bytes) -> bool:
    head, _, body = received.partition(b"\r\n\r\n")
    length = next(
        int(line[15:])
        for line in head.lower().split(b"\r\n")
        if line.startswith(b"content-length:")
    )
    return len(body) >= length


def test_random_queries_and_paths(strict: Server) -> None:
    chance = random.Random(2)
    alphabet = bytes(range(33, 127))
    answers: Counter[int] = Counter()
    for _ in range(500):
        junk = bytes(chance.choices(alphabet, k=chance.randrange(1, 60))).decode()
        query = (
            chance.choice(["?", "?page=", "?per_page=", "?status=", "?limit=", "?offset=", "/"])
            + junk
        )
        line = request_line(strict, query=query) + "Connection: close\r\n\r\n"
        answers.update(never_5xx(exchange(strict.port, line.encode())))
    assert answers.total() == 500 and {200, 400, 404} <= set(answers), answers
    still_serves(strict)


def test_two_thousand_idle_connections_do_not_block_requests_for_long(
    make_server: MakeServer,
) -> None:
    """Idle connections are closed after their limit, so a waiting request gets a connection."""
    connections, places = 2_000, 250
    server = make_server(
        "--request-timeout-seconds", str(LIMIT_SECONDS), "--connections-max", str(places)
    )
    with ExitStack() as stack:

        def idle(_: int) -> socket.socket | None:
            try:
                return socket.create_connection(
                    ("127.0.0.1", server.port), timeout=PATIENCE_SECONDS
                )
            except TimeoutError:
                return None  # The accept backlog is full too.

        with ThreadPoolExecutor(64) as pool:
            made = [stack.enter_context(c) for c in pool.map(idle, range(connections)) if c]
        assert len(made) > connections / 2
        # The request waits in the queue of the idle connections.
        deadline = time.monotonic() + LIMIT_SECONDS * (connections / places) + PATIENCE_SECONDS
        with socket.create_connection(
            ("127.0.0.1", server.port), timeout=deadline - time.monotonic()
        ) as connection:
            connection.sendall((request_line(server) + "Connection: close\r\n\r\n").encode())
            assert statuses(read_to_end(connection, deadline - time.monotonic())) == [200]
    still_serves(server)


def test_two_thousand_idle_connections_with_room_for_them(make_server: MakeServer) -> None:
    server = make_server("--connections-max", "4000")
    with ExitStack() as stack:
        for _ in range(2_000):
            stack.enter_context(
                socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE_SECONDS)
            )
        still_serves(server)
