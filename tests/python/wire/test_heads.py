"""Heads of requests, octet by octet. The judge of random heads is h11."""

from __future__ import annotations

import json
import random
import re
import socket
from collections import Counter
from contextlib import suppress

import h11
import pytest

from kit.harness import PATIENCE_SECONDS, Server

# Random heads of the generated test.
CASES = 400

CLOSE = "Connection: close\r\n\r\n"


def exchange(port: int, data: bytes, *, half: bool = False) -> list[tuple[int, bytes]]:
    """Returns the status and the body of each answer until the server closes the connection."""
    received = b""
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_SECONDS) as connection:
        with suppress(BrokenPipeError, ConnectionResetError):
            connection.sendall(data)
        if half:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_WR)
        with suppress(ConnectionResetError):
            while more := connection.recv(65536):
                received += more
    answers = []
    while received:
        head, _, rest = received.partition(b"\r\n\r\n")
        lines = head.split(b"\r\n")
        headers = dict(line.lower().split(b": ", 1) for line in lines[1:])
        length = int(headers.get(b"content-length", b"0"))
        answers.append((int(lines[0].split(b" ")[1]), rest[:length]))
        if length:
            assert headers[b"content-type"] == b"application/json", head
        received = rest[length:]
    return answers


def code_of(body: bytes) -> int:
    """Returns the code of an error, or 0, and checks the envelope."""
    answer = json.loads(body)
    assert answer["success"] == (answer["errors"] == []), answer
    return answer["errors"][0]["code"] if answer["errors"] else 0


class Heads:
    """Parts of a good request."""

    def __init__(self, server: Server, csr: str) -> None:
        self.path = f"/client/v4/zones/{server.zone_id}/client_certificates"
        self.host = f"Host: 127.0.0.1:{server.port}\r\n"
        self.authorization = f"Authorization: Bearer {server.token}\r\n"
        self.both = self.host + self.authorization
        self.body = json.dumps({"csr": csr, "validity_days": 30})

    def get(self, query: str = "?per_page=5", headers: str = "", version: str = "HTTP/1.1") -> str:
        return f"GET {self.path}{query} {version}\r\n{self.both}{headers}{CLOSE}"

    def post(self, headers: str, body: str | None = None) -> str:
        body = self.body if body is None else body
        return f"POST {self.path} HTTP/1.1\r\n{self.both}{headers}{CLOSE}{body}"

    def chunks(self, extension: str = "", trailer: str = "") -> str:
        return f"{len(self.body):x}{extension}\r\n{self.body}\r\n0\r\n{trailer}\r\n"


@pytest.fixture(scope="module")
def heads(shared: Server, csr: str) -> Heads:
    return Heads(shared, csr)


def check(shared: Server, head: str, status: int, code: int, *, half: bool = False) -> None:
    answers = exchange(shared.port, head.encode("latin-1"), half=half)
    found = [(status, code_of(body)) for status, body in answers]
    assert found == [(status, code)], (head[:300], answers)


def test_the_request_line(shared: Server, heads: Heads) -> None:
    path, both = heads.path, heads.both
    for head, status, code in [
        (heads.get('?name="x"'), 400, 10400),
        (heads.get("?name=<a>"), 400, 10400),
        (heads.get("?name=a b"), 400, 10400),
        (heads.get("?name=a|b"), 200, 0),
        (heads.get("?name={a}"), 200, 0),
        (heads.get("?name=Zo\xc3\xab"), 200, 0),
        (heads.get("/Zo\xc3\xab"), 404, 1415),
        (heads.get("#x"), 200, 0),
        (heads.get("\\x"), 404, 7003),
        (heads.get("?a=" + "b" * 20_000), 200, 0),
        (heads.get(version="HTTP/1.0"), 200, 0),
        (heads.get(version="HTTP/2.0"), 400, 10400),
        (f"GET {path}\r\n", 400, 10400),
        (f"GET http://x{path}?per_page=5 HTTP/1.1\r\n{both}{CLOSE}", 200, 0),
        (f"OPTIONS * HTTP/1.1\r\n{both}{CLOSE}", 404, 7003),
        (f"CONNECT x:1 HTTP/1.1\r\n{both}{CLOSE}", 404, 7003),
        (f"\r\n\r\n{heads.get()}", 200, 0),
        (heads.get().replace("\r\n", "\n"), 200, 0),
        ("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + "\0" * 60, 400, 10400),
    ]:
        check(shared, head, status, code)
    # Such a client could not read an answer in HTTP/1.1.
    assert exchange(shared.port, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(20)) == []


def test_header_lines(shared: Server, heads: Heads) -> None:
    line = f"GET {heads.path}?per_page=5 HTTP/1.1\r\n"
    host, authorization = heads.host, heads.authorization
    many = "".join(f"X{number}: 1\r\n" for number in range(120))
    h2c = "Upgrade: h2c\r\nHTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA\r\n"
    socket_key = "Upgrade: websocket\r\nSec-WebSocket-Key: x\r\nSec-WebSocket-Version: 13\r\n"
    for head, status, code in [
        (f"{line}{authorization}{CLOSE}", 400, 10400),
        (f"{line.replace('1.1', '1.0')}{authorization}{CLOSE}", 200, 0),
        (f"{line}Host: a\r\n{host}{authorization}{CLOSE}", 400, 6003),
        (heads.get(headers="foo\r\n"), 400, 10400),
        (heads.get(headers="X : y\r\n"), 400, 10400),
        (heads.get(headers="X: a\r\n b\r\n"), 400, 10400),
        (heads.get(headers=f"X: {'a' * 40_000}\r\n"), 200, 0),
        (heads.get(headers=many), 431, 10431),
        (heads.get(headers=h2c), 200, 0),
        (heads.get(headers=socket_key), 200, 0),
        (heads.get(headers="Authorization: Bearer x\r\n"), 400, 6003),
        (f"{line}{host}Authorization: Bearer x\r\n{authorization}{CLOSE}", 400, 6003),
    ]:
        check(shared, head, status, code)


def test_the_length_of_a_body(shared: Server, heads: Heads) -> None:
    length = f"Content-Length: {len(heads.body)}\r\n"
    chunked = "Transfer-Encoding: chunked\r\n"
    h2c = "Upgrade: h2c\r\nHTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA\r\n"
    for head, status, code in [
        (heads.post(length), 200, 0),
        (heads.post(length + h2c), 200, 0),
        (heads.post(length * 2), 200, 0),
        (heads.post(length + "Expect: 200-ok\r\n"), 200, 0),
        (heads.post(length + "Content-Length: 3\r\n"), 400, 10400),
        # The encoding decides, not the length (RFC 9112 §6.3).
        (heads.post("Content-Length: 3\r\n" + chunked, heads.chunks()), 200, 0),
        (heads.post(chunked, heads.chunks()), 200, 0),
        (heads.post(chunked.replace("chunked", "Chunked"), heads.chunks()), 200, 0),
        (heads.post(chunked + "Trailer: X\r\n", heads.chunks(";a=b", "X: y\r\n")), 200, 0),
        (heads.post("Transfer-Encoding: gzip, chunked\r\n", heads.chunks()), 415, 10415),
        (heads.post("Content-Length: -1\r\n", ""), 400, 10400),
        (heads.post(length.replace(": ", ": +")), 400, 10400),
        # Without a length, a request has no body (RFC 9112 §6.3).
        (heads.post("", ""), 400, 9207),
    ]:
        check(shared, head, status, code)
    check(shared, heads.post(length, heads.body[:50]), 400, 6008, half=True)
    two = heads.get(headers="Content-Length: 9\r\n").replace("Connection: close\r\n", "")
    answers = exchange(shared.port, f"{two}xxxxxxxxx{heads.get()}".encode())
    assert [status for status, _ in answers] == [200, 200]


def judged(data: bytes, token: str) -> tuple[int, ...]:
    """Returns the statuses that are right for a head, as h11 reads it."""
    lines = data.replace(b"\r\n", b"\n").split(b"\n")
    # RFC 9112 §5.2: a server may refuse a line that continues the previous one.
    if any(line.startswith((b" ", b"\t")) for line in lines[1:]):
        return (400,)
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 17)
    connection.receive_data(data)
    try:
        event = connection.next_event()
    except h11.RemoteProtocolError as error:
        # An unknown encoding is 501 for h11. SDKs would repeat the request.
        return (400, 415) if error.error_status_hint == 501 else (400,)
    assert isinstance(event, h11.Request), (data, event)
    if event.http_version not in (b"1.0", b"1.1"):
        return (400,)
    values = [value for name, value in event.headers if name == b"authorization"]
    if len(values) > 1:
        return (400,)
    if event.method != b"GET":
        return (405,)
    # One or more spaces (RFC 9110 §11.4).
    good = values and re.fullmatch(rb"(?i:bearer) +" + re.escape(token.encode()), values[0])
    return (200,) if good else (400, 403)


def test_random_heads_are_judged_as_h11_judges_them(shared: Server, heads: Heads) -> None:
    chance = random.Random(10)
    pool = [b"X: y", b"X:y", b"X:", b":y", b"X y", b"X : y", b"X", b"X: \xc3\xab", b"x-\xff: 1"]
    pool += [b"X: a\0b", b"X: a\rb", b"X(: y", b"X: \t y \t", b'"X": y', b"X: a: b"]
    pool += [b"Content-Length: 0", b"Content-Length: +0", b"Content-Length: 0x0"]
    pool += [b"Transfer-Encoding: gzip", b"Host: b", b"Authorization: Bearer x", b" folded"]
    methods = [b"GET"] * 8 + [b"PUT", b"get", b"G T", b"G(T", b"FOO", b""]
    versions = [b"HTTP/1.1"] * 8 + [b"HTTP/1.0", b"HTTP/1.2", b"HTTP/2.0", b"http/1.1", b"HTTP/1"]
    octets = [bytes([octet]) for octet in b"\0\x0b:;,\"( \taZ9-_"]
    answers: Counter[int] = Counter()
    for _ in range(CASES):
        target = heads.path.encode() + b"?per_page=5"
        first = chance.choice(methods) + b" " + target + b" " + chance.choice(versions)
        lines = [*heads.both.encode().split(b"\r\n")[:2], b"Connection: close"]
        for _ in range(chance.randrange(3)):
            place = chance.randrange(len(lines))
            match chance.randrange(4):
                case 0 if len(lines) > 1:
                    del lines[place]
                case 1:
                    at = chance.randrange(len(lines[place]) + 1)
                    line = lines[place]
                    lines[place] = line[:at] + chance.choice(octets) + line[at:]
                case _:
                    lines.insert(place, chance.choice(pool))
        end = b"\n" if chance.random() < 0.1 else b"\r\n"
        # The last line ends the connection, whatever the other lines say.
        data = end.join([first, *lines, b"Connection: close", b"", b""])
        found = exchange(shared.port, data)
        assert len(found) == 1, (data, found)
        status, body = found[0]
        assert status in judged(data, shared.token), (data, found)
        code_of(body)
        answers[status] += 1
    assert min(answers[200], answers[400]) > CASES / 10, answers
