"""Upstreams over TLS and HTTP/2, and the limits of their connections and of streams."""

from __future__ import annotations

import json
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kit.client_certificates import Authority, pem
from kit.gateway import (
    OTHER,
    Clients,
    Http1,
    Http2,
    Identity,
    Upstream,
    Upstream2,
    WebSocket,
    ends,
    host,
    limited,
)
from kit.harness import PATIENCE_SECONDS, eventually


@pytest.fixture
def trusted(tmp_path: Path) -> tuple[str, Identity]:
    """The file of a CA, and an identity of it for localhost."""
    authority = Authority("CA of upstreams")
    file = tmp_path / "upstreams.pem"
    file.write_text(pem(authority.certificate))
    return str(file), Identity(*authority.issue(tmp_path, "upstream", server="localhost"))


@pytest.fixture
def secured(trusted: tuple[str, Identity]) -> Iterator[Upstream]:
    upstream = Upstream("secured", tls=trusted[1])
    yield upstream
    upstream.close()


@pytest.fixture(params=["h2", "h2c"])
def second(request: Any, trusted: tuple[str, Identity]) -> Iterator[tuple[str, Upstream2]]:
    """An upstream with HTTP/2 and its address."""
    upstream = Upstream2(trusted[1] if request.param == "h2" else None)
    yield f"{request.param}://localhost:{upstream.port}", upstream
    upstream.close()


def test_an_upstream_over_https_is_authenticated(
    make: Any, clients: Clients, secured: Upstream, trusted: tuple[str, Identity]
) -> None:
    ca, client = trusted[0], clients.issue()
    url = f"https://localhost:{secured.port}"
    gateway = make(host(url, upstream_ca_file=ca))
    for _ in range(2):
        http = Http1(gateway.connect(client, host=OTHER))
        status, _, body = http.get("/secured", host=OTHER)
        assert status == 200, gateway.log
        told = json.loads(body)
        assert (told["upstream"], told["path"]) == ("secured", "/secured")
        assert dict(told["headers"])["host"] == OTHER
    assert WebSocket(gateway.connect(client, host=OTHER), host=OTHER).echoes()
    before = secured.requests
    # Another CA, another name, and the CAs of the system.
    wrong = [
        host(url, upstream_ca_file=str(gateway.identity.certificate)),
        host(url.replace("localhost", "127.0.0.1"), upstream_ca_file=ca),
        host(url),
    ]
    for settings in wrong:
        gateway = make(settings)
        http = Http1(gateway.connect(client, host=OTHER))
        assert http.get(host=OTHER)[0] == 502, settings
        assert "invalid peer certificate" in gateway.log, settings
    assert secured.requests == before


def test_an_upstream_with_http2_gets_requests_of_both_protocols(
    make: Any, clients: Clients, second: tuple[str, Upstream2], trusted: tuple[str, Identity]
) -> None:
    url, upstream = second
    gateway, client = make(host(url, upstream_ca_file=trusted[0])), clients.issue()
    http1 = Http1(gateway.connect(client, host=OTHER))
    http2 = Http2(gateway.connect(client, "h2", host=OTHER))
    for _ in range(3):
        for http in (http1, http2):
            status, _, body = http.get("/both?a=b", host=OTHER)
            assert status == 200, gateway.log
            headers = json.loads(body)["headers"]
            names = [name for name, _ in headers]
            assert len(names) == len(set(names)) and "host" not in names
            found = dict(headers)
            assert (found[":authority"], found[":path"]) == (OTHER, "/both?a=b")
            assert found["cf-cert-verified"] == "true"
            assert int(found["cf-cert-serial"], 16) == int(client.serial, 16)
    # Requests of one connection run side by side.
    streams = [http2.send(f"/{number}", host=OTHER) for number in range(20)]
    assert {http2.receive(stream)[0] for stream in streams} == {200}
    assert len(upstream.connections) == 1, "all of them share a connection to the upstream"
    # The upstream ends it. A request that was sent at that moment is lost, and is not repeated.
    for number in range(2, 5):
        upstream.connections[-1].shutdown(socket.SHUT_RDWR)
        eventually("another connection", lambda: http2.get(host=OTHER)[0] == 200)
        assert http1.get(host=OTHER)[0] == 200, gateway.log
        assert len(upstream.connections) == number


def test_requests_in_flight_of_a_connection_are_limited(
    make: Any, clients: Clients, upstream: Upstream
) -> None:
    gateway, client = make(), clients.issue()
    limited(gateway, streams=3)
    http = Http2(gateway.connect(client, "h2"))
    allowed = [http.send("/wait") for _ in range(3)]
    for _ in allowed:
        assert upstream.waiting.acquire(timeout=PATIENCE_SECONDS)
    # The client has not read the limit yet. REFUSED_STREAM is 7 (RFC 9113 §7).
    http.send("/wait")
    with pytest.raises(ConnectionResetError, match=r"stream reset: .*7"):
        while True:
            http.pump()
    assert http.h2.remote_settings.max_concurrent_streams == 3
    upstream.go.set()
    assert {http.receive(stream)[0] for stream in allowed} == {200}
    assert http.get()[0] == 200
    assert not upstream.waiting.acquire(blocking=False), "the refused request reached the upstream"


def test_a_silent_stream_is_closed(make: Any, clients: Clients) -> None:
    gateway, client = make(), clients.issue()
    limited(gateway, stream_idle_seconds=5, idle_seconds=3600)
    silent, idle = WebSocket(gateway.connect(client)), Http1(gateway.connect(client))
    assert idle.get()[0] == 200
    assert silent.echoes()
    busy = WebSocket(gateway.connect(client))

    def is_cut() -> bool:
        # Octets in either direction keep a stream open.
        assert busy.echoes()
        return gateway.metric('certgate_gateway_connections_cut_total{reason="idle"}') == 1

    eventually("the silent stream is cut", is_cut)
    assert ends(silent.stream)
    assert idle.get()[0] == 200, "a connection that is not a stream has another limit"


def test_an_upstream_that_does_not_accept_is_given_up(
    make: Any, clients: Clients, trusted: tuple[str, Identity]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        # The system accepts connections, and no program answers the TLS handshake.
        url = f"https://localhost:{listener.getsockname()[1]}"
        client = clients.issue()
        gateway, patient = (make(host(url, upstream_ca_file=trusted[0])) for _ in range(2))
        limited(gateway, upstream_connect_seconds=1)
        limited(patient, upstream_connect_seconds=300)
        waiting = Http1(patient.connect(client, host=OTHER))
        waiting.send(host=OTHER)
        http = Http1(gateway.connect(client, host=OTHER))
        status, _, text = http.get(host=OTHER)
        assert (status, text) == (502, b"No upstream is reachable.\n")
        assert Http1(gateway.connect(client)).get()[0] == 200, "other hosts are not concerned"
        # The other one still waits: its limit is longer.
        waiting.stream.settimeout(0)
        with pytest.raises(ssl.SSLWantReadError):
            waiting.stream.recv(1)


def test_unused_connections_to_upstreams_are_closed(
    make: Any, clients: Clients, upstream: Upstream
) -> None:
    gateway, client = make(), clients.issue()
    limited(gateway, upstream_idle_seconds=3)
    eventually("no connection is open", lambda: upstream.open == 0)
    http, before = Http1(gateway.connect(client)), len(upstream.connections)
    for _ in range(5):
        assert http.get()[0] == 200
    assert len(upstream.connections) == before + 1, "requests share a connection"
    eventually("the unused connection is closed", lambda: upstream.open == 0)
    assert http.get()[0] == 200
    assert len(upstream.connections) == before + 2
