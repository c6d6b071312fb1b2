"""The gateway cuts the open connections of a revoked certificate, and refuses new ones."""

from __future__ import annotations

import json
import resource
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from kit.gateway import (
    HOST,
    Clients,
    Gateway,
    Http1,
    Http2,
    Identity,
    Upstream,
    WebSocket,
    ends,
    limited,
)
from kit.harness import FULL_SIZE, PATIENCE_SECONDS, Server, eventually

# Connections that are opened before, during and after the revocation of their certificate.
CONNECTIONS = 10_000 if FULL_SIZE else 400


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    upstream = Upstream()
    yield upstream
    upstream.close()


@pytest.fixture(scope="module")
def clients(shared: Server, tmp_path_factory: pytest.TempPathFactory) -> Clients:
    return Clients(shared, tmp_path_factory.mktemp("clients"))


@pytest.fixture(scope="module")
def gateway(
    shared: Server,
    clients: Clients,
    upstream: Upstream,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Gateway]:
    gateway = Gateway(shared, tmp_path_factory.mktemp("gateway") / "edge", upstream)
    try:
        yield gateway.start()
        gateway.stop()
    finally:
        gateway.kill()


def test_an_admitted_client_reaches_the_upstream_with_its_identity(
    gateway: Gateway, clients: Clients
) -> None:
    client = clients.issue()
    for http in (Http1(gateway.connect(client)), Http2(gateway.connect(client, "h2"))):
        status, _, body = http.get()
        assert status == 200
        headers = dict(json.loads(body)["headers"])
        assert headers["cf-cert-verified"] == "true"
        assert headers["cf-cert-revoked"] == "false"
        assert int(headers["cf-cert-serial"], 16) == int(client.serial, 16)
        assert headers["host"] == HOST
        assert headers["x-forwarded-for"] == "127.0.0.1"
        assert headers["client-cert"].startswith(":MII")


def test_a_client_without_a_certificate_is_refused(gateway: Gateway) -> None:
    status, headers, body = Http1(gateway.connect(None)).get()
    assert (status, headers["connection"]) == (403, "close")
    assert b"requires a client certificate" in body


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_revocation_ends_the_connections_of_one_certificate(
    gateway: Gateway, clients: Clients, upstream: Upstream, version: ssl.TLSVersion
) -> None:
    revoked, other = clients.issue(), clients.issue()
    upstream.go.clear()

    def connections(client: object) -> dict[str, ssl.SSLSocket]:
        def connect(alpn: str = "http/1.1") -> ssl.SSLSocket:
            context = gateway.context(client, alpn, version)  # type: ignore[arg-type]
            return gateway.connect(None, context=context)

        made = {name: connect() for name in ("unused", "idle", "waiting", "websocket")}
        made |= {name: connect("h2") for name in ("idle2", "waiting2")}
        assert Http1(made["idle"]).get()[0] == 200
        assert Http2(made["idle2"]).get()[0] == 200
        Http1(made["waiting"]).send("/wait")
        Http2(made["waiting2"]).send("/wait")
        for _ in range(2):
            assert upstream.waiting.acquire(timeout=PATIENCE_SECONDS)
        made["stream"] = made.pop("websocket")
        assert WebSocket(made["stream"]).echoes()
        return made

    cut, kept = connections(revoked), connections(other)
    before = gateway.metric('certgate_gateway_connections_cut_total{reason="revoked"}')
    clients.revoke(revoked)
    for name, stream in cut.items():
        assert ends(stream), name
    after = gateway.metric('certgate_gateway_connections_cut_total{reason="revoked"}')
    assert after - before == len(cut)
    assert gateway.status(revoked) == 403
    assert gateway.status(revoked, "h2") == 403

    # The other client notices nothing, and its requests in flight are answered.
    upstream.go.set()
    kept["stream"].sendall(b"still here")
    assert kept["stream"].recv(100) == b"still here"
    assert Http1(kept["idle"]).get()[0] == 200
    assert Http1(kept["unused"]).get()[0] == 200
    assert Http1(kept["waiting"]).receive()[0] == 200


def test_a_restored_certificate_is_admitted_again(gateway: Gateway, clients: Clients) -> None:
    client = clients.issue()
    clients.revoke(client)
    eventually("refused", lambda: gateway.status(client) == 403)
    clients.restore(client)
    eventually("admitted", lambda: gateway.status(client) == 200)


def test_what_the_api_reports_as_revoked_is_refused(gateway: Gateway, clients: Clients) -> None:
    client = clients.issue()
    assert gateway.status(client) == 200
    clients.revoke(client)
    clients.api.settled(client.id, "revoked")
    assert gateway.status(client) == 403


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_resumed_session_of_a_revoked_certificate_is_refused(
    gateway: Gateway, clients: Clients, version: ssl.TLSVersion
) -> None:
    client = clients.issue()
    context = gateway.context(client, version=version)
    first = gateway.connect(None, context=context)
    # TLS 1.3 sends the ticket after the handshake, at the latest with the answer.
    assert Http1(first).get()[0] == 200
    session = first.session
    assert session is not None and session.has_ticket
    resumed = gateway.connect(None, context=context, session=session)
    assert Http1(resumed).get()[0] == 200 and resumed.session_reused
    clients.revoke(client)
    assert ends(resumed)
    again = gateway.connect(None, context=context, session=session)
    assert Http1(again).get()[0] == 403
    assert again.session_reused, "otherwise the test proves nothing about resumption"


def test_a_request_for_another_host_is_misdirected(gateway: Gateway, clients: Clients) -> None:
    client = clients.issue()
    http2 = Http2(gateway.connect(client, "h2"))
    assert http2.get(host="other.example.com")[0] == 421
    assert http2.get(host=f"{HOST.upper()}:{gateway.port}")[0] == 200
    assert Http1(gateway.connect(client)).get(host="other.example.com")[0] == 421
    with pytest.raises(ssl.SSLError):
        gateway.connect(client, host="other.example.com")


FORGED = [
    "Client-Cert",
    "CLIENT_CERT",
    "client_cert_chain",
    "Cf-Cert-Verified",
    "cf_cert_verified",
    "Cf-Cert_Revoked",
    "X-Forwarded-Client-Cert",
    "X-Forwarded-For",
    "x_forwarded_for",
    "Forwarded",
    "X-Real-IP",
]


@pytest.mark.parametrize("header", FORGED)
def test_forged_headers_do_not_reach_the_upstream(
    gateway: Gateway, clients: Clients, header: str
) -> None:
    client = clients.issue()
    http1 = Http1(gateway.connect(client))
    for headers in (
        [f"{header}: forged"],
        [f"{header}: forged", f"{header}: forged"],
        [f"Connection: {header}", f"{header}: forged"],
        ["Connection: cf-cert-verified, client-cert, x-forwarded-for"],
    ):
        seen = http1.seen(*headers)
        assert "forged" not in json.dumps(seen), seen
        names = [name for name, _ in seen]
        for ours in ("cf-cert-verified", "client-cert", "x-forwarded-for"):
            assert names.count(ours) == 1, (ours, seen)
    http2 = Http2(gateway.connect(client, "h2"))
    _, _, body = http2.get("/", (header.lower(), "forged"), (header.lower(), "forged"))
    assert b"forged" not in body


def test_forged_trailers_do_not_reach_the_upstream(gateway: Gateway, clients: Clients) -> None:
    http1 = Http1(gateway.connect(clients.issue()))
    chunks = b"3\r\nabc\r\n0\r\nClient-Cert: forged\r\nX-Checksum: kept\r\n\r\n"
    http1.send(
        "/",
        "Transfer-Encoding: chunked",
        "Trailer: Client-Cert, X-Checksum",
        method="POST",
        body=chunks,
    )
    status, _, body = http1.receive()
    assert status == 200
    trailers = json.loads(body)["body"].lower()
    assert "forged" not in trailers and "x-checksum: kept" in trailers


def test_curl_and_openssl_are_admitted(gateway: Gateway, clients: Clients) -> None:
    client = clients.issue()
    for version in ("--http1.1", "--http2"):
        done = subprocess.run(
            ["curl", "-sS", version, "--cacert", gateway.identity.certificate]
            + ["--cert", client.certificate, "--key", client.key]
            + ["--connect-to", f"{HOST}:443:127.0.0.1:{gateway.port}", f"https://{HOST}/curl"],
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
        )
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["path"] == "/curl"
    for version in ("-tls1_2", "-tls1_3"):
        done = subprocess.run(
            ["openssl", "s_client", version, "-quiet", "-ign_eof", "-servername", HOST]
            + ["-connect", f"127.0.0.1:{gateway.port}", "-CAfile", gateway.identity.certificate]
            + ["-cert", client.certificate, "-key", client.key],
            input=f"GET / HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n",
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
        )
        assert "200 OK" in done.stdout, done.stderr


def test_the_access_log_names_the_certificate_and_no_secret(
    gateway: Gateway, clients: Clients
) -> None:
    client = clients.issue()
    Http1(gateway.connect(client)).get("/logged?token=secret")

    def line() -> str | None:
        return next((one for one in gateway.log.splitlines() if "/logged" in one), None)

    text = eventually("a line", line)
    assert client.serial.lower().lstrip("0") in text.lower()
    assert 'verdict="admitted"' in text
    assert "secret" not in gateway.log and "MII" not in gateway.log
    assert gateway.server.token not in gateway.log


def test_sigterm_deletes_the_point(
    shared: Server, clients: Clients, upstream: Upstream, tmp_path: Path
) -> None:
    gateway = Gateway(shared, tmp_path / "short", upstream)
    try:
        gateway.file.write_text(gateway.text().replace('name = "edge"', 'name = "short"'))
        gateway.start()
        names = [point["name"] for point in gateway.points()]
        assert [name.rsplit("-", 1)[0] for name in names].count("short") == 1
        gateway.stop()
        names = [point["name"] for point in gateway.points()]
        assert not any(name.startswith("short-") for name in names)
    finally:
        gateway.kill()


class Opening:
    """Threads that open connections with one certificate, of which some stay open."""

    def __init__(self, gateway: Gateway, client: Identity) -> None:
        self.gateway, self.context = gateway, gateway.context(client)
        self.lock, self.opened = threading.Lock(), list[ssl.SSLSocket]()
        self.asked_for, self.problems = 0, list[str]()
        self.revoking, self.revoked = threading.Event(), threading.Event()
        self.threads = [threading.Thread(target=self.open) for _ in range(8)]
        for thread in self.threads:
            thread.start()

    def open(self) -> None:
        while self.takes_one():
            is_late = self.revoked.is_set()
            status = self.status()
            if status not in (403, 0) and is_late:
                self.problems.append(f"{status} after the API reported it as revoked")
            if status != 200 and not self.revoking.is_set():
                self.problems.append(f"{status} before the revocation")

    def takes_one(self) -> bool:
        with self.lock:
            self.asked_for += 1
            return self.asked_for <= CONNECTIONS

    def status(self) -> int:
        """The status on one more connection; 0 if it was cut before the answer."""
        try:
            stream = self.gateway.connect(None, context=self.context)
            with self.lock:
                self.opened.append(stream)
            return Http1(stream).get()[0]
        except (ConnectionError, ssl.SSLError):
            return 0


def test_no_connection_opened_during_the_revocation_survives(
    shared: Server, clients: Clients, upstream: Upstream, tmp_path: Path
) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, CONNECTIONS + 1_000), hard))
    client = clients.issue()
    gateway = Gateway(shared, tmp_path / "edge", upstream)
    try:
        most = 2 * CONNECTIONS
        limited(gateway, connections=most, connections_per_address=most, idle_seconds=3_600)
        opening = Opening(gateway, client)
        eventually(
            "half of them are open",
            lambda: opening.asked_for > CONNECTIONS // 2 or opening.problems,
            PATIENCE_SECONDS * 10,
        )
        opening.revoking.set()
        clients.revoke(client)
        clients.api.settled(client.id, "revoked")
        opening.revoked.set()
        for thread in opening.threads:
            thread.join()
        assert not opening.problems, opening.problems[:3]
        assert len(opening.opened) > CONNECTIONS // 2
        for stream in opening.opened:
            assert ends(stream)
        assert gateway.status(client) == 403
        gateway.stop()
    finally:
        gateway.kill()


def test_a_random_history_never_contradicts_the_api(gateway: Gateway, clients: Clients) -> None:
    random = Random(9)
    pool = [clients.issue() for _ in range(5)]
    is_revoked = dict.fromkeys(range(len(pool)), False)
    for _ in range(100):
        at = random.randrange(len(pool))
        client = pool[at]
        if is_revoked[at]:
            clients.restore(client)
            clients.api.settled(client.id, "active")
        else:
            clients.revoke(client)
            clients.api.settled(client.id, "revoked")
        is_revoked[at] = not is_revoked[at]
        for other, revoked in is_revoked.items():
            assert gateway.status(pool[other]) == (403 if revoked else 200)
