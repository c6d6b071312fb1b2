"""Policies, modes, upstreams, reloads and limits of the gateway."""

from __future__ import annotations

import json
import os
import signal
import socket
import struct
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from kit.client_certificates import Authority
from kit.gateway import (
    HOST,
    OTHER,
    Clients,
    Gateway,
    Http1,
    Http2,
    Identity,
    Upstream,
    WebSocket,
    ends,
    host,
    limited,
    server_identity,
)
from kit.harness import PATIENCE_SECONDS, eventually


def seen(answer: tuple[int, dict[str, str], bytes]) -> dict[str, str]:
    assert answer[0] == 200, answer
    return dict(json.loads(answer[2])["headers"])


def test_an_optional_host_reports_what_the_certificate_is_worth(
    make: Any, clients: Clients, upstream: Upstream, tmp_path: Path
) -> None:
    url = f"http://127.0.0.1:{upstream.port}"
    gateway = make(host(url, client_certificates="optional"))
    stranger = server_identity(tmp_path / "stranger", "stranger")
    client = clients.issue()

    def verdict(identity: Any) -> tuple[str, str, str]:
        http = Http1(gateway.connect(identity, host=OTHER))
        headers = seen(http.get(host=OTHER))
        return (
            headers["cf-cert-presented"],
            headers["cf-cert-verified"],
            headers["cf-cert-revoked"],
        )

    assert verdict(None) == ("false", "false", "false")
    assert verdict(stranger) == ("true", "false", "false")
    assert verdict(client) == ("true", "true", "false")
    stream = gateway.connect(client, host=OTHER)
    clients.revoke(client)
    assert ends(stream)
    assert verdict(client) == ("true", "true", "true")
    # The upstream cannot take a revoked certificate for a good one.
    http = Http1(gateway.connect(client, host=OTHER))
    assert "client-cert" not in seen(http.get(host=OTHER))


def test_a_host_without_certificates_asks_for_none(
    make: Any, clients: Clients, upstream: Upstream, tmp_path: Path
) -> None:
    url = f"http://127.0.0.1:{upstream.port}"
    gateway = make(host(url, client_certificates="off"))
    headers = seen(Http1(gateway.connect(clients.issue(), host=OTHER)).get(host=OTHER))
    assert not [name for name in headers if name.startswith(("cf-cert", "client-cert"))]


def echo(connection: socket.socket, received: list[bytes]) -> None:
    with suppress(OSError):
        while octets := connection.recv(65536):
            received.append(octets)
            connection.sendall(octets)
    connection.close()


def test_the_mode_tcp_carries_octets_and_the_address(
    make: Any, clients: Clients, tmp_path: Path
) -> None:
    received: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    threading.Thread(target=echo, args=(connection, received)).start()

        threading.Thread(target=accept, daemon=True).start()
        url = f"tcp://127.0.0.1:{listener.getsockname()[1]}"
        settings = {"mode": "tcp", "send_proxy_protocol": True}
        gateway = make(host(url, **settings))
        client = clients.issue()
        stream = gateway.connect(client, alpn="any", host=OTHER)
        client_port = stream.getsockname()[1]
        stream.sendall(b"hello")
        found = b""
        while len(found) < 28 + 5:
            found += stream.recv(100)
        # The header of the PROXY protocol, which the upstream has echoed.
        assert found[:16] == b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c"
        ports = struct.pack(">HH", client_port, gateway.port)
        assert found[16:28] == socket.inet_aton("127.0.0.1") * 2 + ports
        assert found[28:] == b"hello"
        clients.revoke(client)
        assert ends(stream)
        # Refused: closed before an octet reaches the upstream.
        before = len(received)
        again = gateway.connect(client, alpn="any", host=OTHER)
        assert ends(again)
        assert len(received) == before
        assert ends(gateway.connect(None, alpn="any", host=OTHER))


@pytest.mark.parametrize("version", [1, 2])
def test_a_load_balancer_passes_the_address_on(make: Any, clients: Clients, version: int) -> None:
    gateway = make()
    text = gateway.text().replace(
        "\n[[host]]", '\nproxy_protocol_from = ["127.0.0.0/8"]\n[[host]]', 1
    )
    gateway.stop()
    gateway.file.write_text(text)
    gateway.start()
    header = b"PROXY TCP4 192.0.2.7 198.51.100.1 4000 443\r\n"
    if version == 2:
        addresses = socket.inet_aton("192.0.2.7") + socket.inet_aton("198.51.100.1")
        header = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c" + addresses + struct.pack(">HH", 4000, 443)
    raw = socket.create_connection(("127.0.0.1", gateway.port), timeout=PATIENCE_SECONDS)
    raw.sendall(header)
    stream = gateway.context(clients.issue()).wrap_socket(raw, server_hostname=HOST)
    assert seen(Http1(stream).get())["x-forwarded-for"] == "192.0.2.7"
    # Without the header, the handshake fails.
    with pytest.raises(OSError):
        gateway.connect(None)


def test_requests_go_to_working_upstreams_in_turn(
    make: Any, clients: Clients, upstream: Upstream
) -> None:
    other = Upstream("two")
    gateway = make('health_path = "/health"\nhealth_interval_seconds = 1\n')
    urls = [f"http://127.0.0.1:{one.port}" for one in (upstream, other)]
    gateway.lists["upstreams"] = urls
    gateway.write()
    os.kill(gateway.process.pid, signal.SIGHUP)
    http = Http1(gateway.connect(clients.issue()))

    def answering(count: int = 10) -> set[str]:
        return {json.loads(http.get()[2])["upstream"] for _ in range(count)}

    eventually("both answer", lambda: answering() == {"one", "two"})
    upstream.healthy = False
    eventually("the other one answers", lambda: answering() == {"two"})
    upstream.healthy = True
    eventually("both answer", lambda: answering() == {"one", "two"})
    # A request that cannot be sent goes to the other upstream.
    other.close()
    for _ in range(20):
        assert http.get()[0] == 200
    upstream.close()
    assert http.get()[0] == 502


def test_a_broken_file_changes_nothing(make: Any, clients: Clients) -> None:
    gateway = make()
    client = clients.issue()
    socket_, idle = WebSocket(gateway.connect(client)), Http1(gateway.connect(client))
    assert idle.get()[0] == 200
    good = gateway.text()
    gateway.file.write_text(good.replace('client_certificates = "required"', "client = 1"))
    eventually(
        "rejected", lambda: gateway.metric('certgate_gateway_reloads_total{result="rejected"}') >= 1
    )
    line = good[: good.index("client_certificates")].count("\n") + 1
    assert f"gateway.toml:{line}: unknown field" in gateway.log
    assert socket_.echoes() and idle.get()[0] == 200
    assert Http1(gateway.connect(client)).get()[0] == 200


def test_a_removed_hostname_is_refused(make: Any, clients: Clients) -> None:
    gateway = make()
    client = clients.issue()
    stream = WebSocket(gateway.connect(client))
    clients.associate(OTHER)
    assert ends(stream.stream)
    assert Http1(gateway.connect(client)).get()[0] == 403
    clients.associate(HOST, OTHER)
    eventually("admitted", lambda: gateway.status(client) == 200)


def test_without_certgate_a_host_refuses_or_serves(
    make_server: Any, tmp_path: Path, upstream: Upstream
) -> None:
    server = make_server()
    clients = Clients(server, tmp_path / "clients")
    clients.associate(HOST, OTHER)
    client = clients.issue()
    url = f"http://127.0.0.1:{upstream.port}"
    serving = host(url, when_stale="serve")
    more = 'when_stale = "refuse"\nstale_after_seconds = 5\n' + serving
    gateway = Gateway(server, tmp_path / "gateway", upstream, more=more)
    try:
        gateway.start()
        refused = WebSocket(gateway.connect(client))
        served = Http1(gateway.connect(client, host=OTHER))
        server.kill()
        assert ends(refused.stream)
        status, headers, _ = Http1(gateway.connect(client)).get()
        assert (status, headers["retry-after"]) == (503, "5")
        assert served.get(host=OTHER)[0] == 200
        assert gateway.get("/readyz") == (503, f"no confirmed revocations for: {HOST}\n")
        # A new process has the state on disk, which is too old for one host and not for the other.
        gateway.stop()
        gateway.launch()
        assert Http1(gateway.connect(client)).get()[0] == 503
        assert Http1(gateway.connect(client, host=OTHER)).get(host=OTHER)[0] == 200
        gateway.stop()
    finally:
        gateway.kill()


def test_connections_are_limited(make: Any, clients: Clients) -> None:
    gateway, client = make(), clients.issue()
    limited(gateway, connections_per_address=3)
    kept = [gateway.connect(client) for _ in range(3)]
    with pytest.raises(OSError):
        gateway.connect(client)
    kept.pop().close()
    eventually("a place is free", lambda: suppressed(lambda: gateway.connect(client)))
    limited(gateway, connections=3)
    kept = [gateway.connect(client) for _ in range(3)]
    with pytest.raises(OSError):
        gateway.connect(client)


def suppressed(look: Any) -> Any:
    with suppress(OSError):
        return look()


def test_slow_clients_are_closed(make: Any, clients: Clients) -> None:
    # One limit at a time: on a busy machine, a test must not meet another one than it means.
    gateway, client = make(), clients.issue()
    limited(gateway, handshake_seconds=1)
    silent = socket.create_connection(("127.0.0.1", gateway.port), timeout=PATIENCE_SECONDS)
    assert silent.recv(100) == b"", "half-open handshake"
    limited(gateway, head_seconds=1)
    head = gateway.connect(client)
    head.sendall(b"GET / HTTP/1.1\r\n")
    assert ends(head)
    assert gateway.metric('certgate_gateway_connections_cut_total{reason="head"}') == 1
    limited(gateway, body_seconds=1)
    body = Http1(gateway.connect(client))
    body.send("/", "Content-Length: 100", method="POST", body=b"a")
    assert body.receive()[0] == 408
    limited(gateway, idle_seconds=2)
    idle = Http2(gateway.connect(client, "h2"))
    idle.send()
    assert ends(idle.stream)
    assert gateway.metric('certgate_gateway_connections_cut_total{reason="idle"}') >= 1


def test_a_client_that_does_not_read_an_answer_is_closed(make: Any, clients: Clients) -> None:
    gateway, client = make(), clients.issue()
    limited(gateway, idle_seconds=4)
    stalled = Http2(gateway.connect(client, "h2"))
    # The window of the first answer stays closed, and the second one is read.
    large = stalled.send("/large")
    assert stalled.get()[0] == 200
    assert ends(stalled.stream)
    assert large not in stalled.ended
    assert gateway.metric('certgate_gateway_connections_cut_total{reason="unread"}') == 1
    reading = Http2(gateway.connect(client, "h2"))
    assert len(reading.get("/large")[2]) == 1 << 20


@pytest.mark.parametrize("method", ["GET", "DELETE", "POST"])
def test_a_chunked_body_reaches_the_upstream(make: Any, clients: Clients, method: str) -> None:
    http = Http1(make().connect(clients.issue()))
    chunks = b"4\r\nabcd\r\n0\r\n\r\n"
    status, _, body = http.get("/", "Transfer-Encoding: chunked", method=method, body=chunks)
    assert status == 200
    assert "abcd" in json.loads(body)["body"]


def test_large_requests_are_refused(make: Any, clients: Clients) -> None:
    gateway, client = make(), clients.issue()
    limited(gateway, head_bytes=16_384, body_bytes=1_000)
    assert Http1(gateway.connect(client)).get("/", f"X-Large: {'a' * 20_000}")[0] == 431
    http = Http1(gateway.connect(client))
    assert http.get("/", "Content-Length: 1001", method="POST", body=b"a" * 1001)[0] == 413
    http = Http1(gateway.connect(client))
    chunks = b"400\r\n" + b"a" * 1024 + b"\r\n0\r\n\r\n"
    assert http.get("/", "Transfer-Encoding: chunked", method="POST", body=chunks)[0] == 413
    limited(gateway, upstream_first_byte_seconds=1)
    assert Http1(gateway.connect(client)).get("/wait")[0] == 504


def test_a_long_chain_ends_the_handshake(make: Any, clients: Clients) -> None:
    gateway, client = make(), clients.issue()
    limited(gateway, chain_bytes=2_000)
    assert Http1(gateway.connect(client)).get()[0] == 200
    client.certificate.write_text(client.certificate.read_text() * 5)
    with pytest.raises(OSError):
        Http1(gateway.connect(client)).get()


def test_an_http2_client_that_cancels_everything_is_closed(make: Any, clients: Clients) -> None:
    gateway, client = make(), clients.issue()
    limited(gateway, resets_per_connection=20)
    http = Http2(gateway.connect(client, "h2"))
    with pytest.raises((OSError, AssertionError)):
        for _ in range(500):
            stream = http.send("/wait")
            http.h2.reset_stream(stream)
            http.flush()
        assert not ends(http.stream)
    assert Http2(gateway.connect(client, "h2")).get()[0] == 200


def test_an_expiring_certificate_is_cut(make: Any, clients: Clients) -> None:
    authority = Authority("short")
    clients.trust(authority, HOST)
    gateway = make()
    client = Identity(*authority.issue(clients.directory, "short", seconds=5))
    assert ends(WebSocket(gateway.connect(client)).stream)
    assert gateway.metric('certgate_gateway_connections_cut_total{reason="expired"}') == 1

    def answer() -> bytes | None:
        status, _, text = Http1(gateway.connect(client)).get()
        return text if status == 403 else None

    # The last second of a certificate counts.
    assert eventually("refused", answer) == b"The client certificate has expired.\n"
