"""`certgate authz` as a process: its file, its listeners, its point, and an unreachable server."""

from __future__ import annotations

import base64
import datetime
import http.client
import re
import signal
import ssl
import subprocess
import time
import urllib.parse
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import pytest
from cryptography import x509

from kit.authz import HOST, Asked, Authz, asked, connected, read_answer
from kit.client_certificates import Authority, der_of, pem, twin
from kit.harness import CERTGATE, MakeServer, Server, environment, eventually
from kit.hosts import OTHER_HOST, Hosts

FROM = 'certificate_from = "x-ssl-client-der"'

MakeAuthz = Callable[..., Authz]


@pytest.fixture
def make_authz(tmp_path: Path) -> Iterator[MakeAuthz]:
    """Makes processes. Each that still runs at the end must stop cleanly."""
    made: list[Authz] = []

    def make(server: Server, *listeners: str, settings: str = "", name: str = "authz") -> Authz:
        made.append(Authz(server, tmp_path / name, *(listeners or (FROM,)), settings=settings))
        return made[-1]

    try:
        yield make
        for authz in made:
            if authz.process:
                authz.stop()
    finally:
        for authz in made:
            authz.kill()


@pytest.fixture
def hosts(server: Server, tmp_path: Path) -> Hosts:
    return Hosts(server, tmp_path / "hosts")


def question(text: str, host: str = HOST) -> list[tuple[str, str]]:
    """The headers for a certificate, PEM."""
    bare = base64.b64encode(der_of(text)).decode()
    return [("Host", "a"), ("X-Forwarded-Host", host), ("X-SSL-Client-Der", bare)]


def issued(hosts: Hosts) -> tuple[str, str]:
    """The ID and text of a new certificate."""
    identifier, client = hosts.issue()
    assert client.certificate
    return identifier, client.certificate.read_text()


def metrics(authz: Authz) -> str:
    with connected(authz.metrics_address) as stream:
        return asked(stream, [("Host", "a")], "/metrics").body.decode()


# The point


def test_a_revocation_is_enforced_before_it_is_reported(
    server: Server, hosts: Hosts, make_authz: MakeAuthz
) -> None:
    authz = make_authz(server).start()
    certificates = [issued(hosts) for _ in range(20)]
    with connected(authz.addresses[0]) as stream:
        for round_number in range(3):
            for identifier, text in certificates:
                assert asked(stream, question(text)).status == 200
                assert hosts.api.revoke(identifier).status == 200
                hosts.api.settled(identifier, "revoked")
                assert asked(stream, question(text)).status == 403, round_number
                assert hosts.api.restore(identifier).status == 200
                hosts.api.settled(identifier, "active")
    # Expiry, and a host that is removed.
    _, text = issued(hosts)
    assert authz.ask(question(text)).status == 200
    hosts.associate([])
    eventually("the host has no managed CA", lambda: authz.ask(question(text)).status == 403)


def test_the_answers_do_not_depend_on_path_and_method(
    server: Server, hosts: Hosts, make_authz: MakeAuthz
) -> None:
    authz = make_authz(server).start()
    _, text = issued(hosts)
    for path in ("/", "/metrics", "/healthz", "/a/b?c=d", "//", "/%00"):
        answer = authz.ask(question(text), path)
        assert (answer.status, answer.body) == (200, b""), path
        refused = authz.ask([("Host", HOST), ("X-Forwarded-Host", HOST)], path)
        assert (refused.status, refused.body) == (403, b"no_certificate")
        assert refused.headers["cache-control"] == answer.headers["cache-control"] == "no-store"
    port = int(authz.addresses[0].rsplit(":", 1)[1])
    for method in ("POST", "PUT", "OPTIONS", "DELETE", "BREW"):
        connection = http.client.HTTPConnection("127.0.0.1", port)
        connection.request(method, "/", b"body" * 1000, dict(question(text)[1:]))
        assert connection.getresponse().status == 200
        connection.close()


def test_the_headers_describe_the_certificate(
    server: Server, hosts: Hosts, make_authz: MakeAuthz
) -> None:
    authz = make_authz(server).start()
    _, text = issued(hosts)
    read = x509.load_pem_x509_certificate(text.encode())
    seen = authz.ask(question(text)).headers
    assert seen["client-cert"] == f":{base64.b64encode(der_of(text)).decode()}:"
    assert int(seen["cf-cert-serial"], 16) == read.serial_number
    assert seen["cf-cert-subject-dn-rfc2253"] == read.subject.rfc4514_string()
    after = datetime.datetime.strptime(seen["cf-cert-not-after"], "%b %d %H:%M:%S %Y GMT")
    assert after.replace(tzinfo=datetime.UTC) == read.not_valid_after_utc


def test_expired_and_unknown_certificates_and_twins_are_refused(
    server: Server, hosts: Hosts, make_authz: MakeAuthz, tmp_path: Path
) -> None:
    authz = make_authz(server, settings='access_log = "all"\n').start()
    with connected(authz.addresses[0]) as stream:
        short, _ = hosts.uploaded.issue(tmp_path, "short", seconds=4)
        text = short.read_text()
        end = x509.load_pem_x509_certificate(text.encode()).not_valid_after_utc.timestamp()
        statuses = set()

        def refused() -> Asked | None:
            begun = time.time()
            answer = asked(stream, question(text))
            assert answer.status == 403 or begun < end + 1, "admitted after its end"
            statuses.add(answer.status)
            return answer if answer.status == 403 else None

        assert eventually("it expires", refused).body == b"expired"
        assert 200 in statuses

    def body(certificate: str, host: str = HOST) -> bytes:
        return authz.ask(question(certificate, host)).body

    identifier, text = issued(hosts)
    other = twin(text, hosts.managed())
    assert authz.ask(question(other)).status == 200
    hosts.api.revoke(identifier)
    hosts.api.settled(identifier, "revoked")
    assert body(text) == body(other) == b"revoked"
    of_stranger = Authority("stranger").issue(tmp_path, "stranger")[0].read_text()
    of_other = hosts.other.issue(tmp_path, "of-other")[0].read_text()
    assert body(of_other, OTHER_HOST) == b""
    assert body(of_other) in (b"unknown_ca", b"no_path")
    assert body(of_stranger) in (b"unknown_ca", b"no_path")
    assert body(of_other, "unlisted.example.com") == b"unknown_host"
    weak = hosts.uploaded.issue(tmp_path, "weak", rsa_bits=1024)[0].read_text()
    assert body(weak) == b"weak_key"
    # A line has what an operator needs, and nothing that identifies the key.
    authz.stop()
    line = next(line for line in authz.log.splitlines() if "revoked" in line and HOST in line)
    serial = f"{x509.load_pem_x509_certificate(text.encode()).serial_number:040x}"
    assert serial in line and "certificate_authority" in line
    assert authz.log.count("judged a request") >= 9


def test_a_stopped_process_deletes_its_point(
    server: Server, hosts: Hosts, make_authz: MakeAuthz
) -> None:
    first, second = (make_authz(server, name=name).start() for name in ("first", "second"))
    eventually("two points", lambda: len(first.points()) == 2)
    names = {point["name"] for point in first.points()}
    assert len(names) == 2 and all(re.fullmatch("authz-[0-9a-f]{8}", name) for name in names)
    assert all(point["covers"] == ["requests"] for point in first.points())
    assert all(point["when_stale"] == "refuse" for point in first.points())
    first.stop()
    second.stop()
    assert second.points() == []
    # Nothing delays a revocation.
    identifier, _ = issued(hosts)
    hosts.api.revoke(identifier)
    hosts.api.settled(identifier, "revoked")


# The server is unreachable


@pytest.mark.parametrize("when_stale", ["refuse", "serve"])
def test_a_stale_view_is_refused_or_served(
    when_stale: str, make_server: MakeServer, make_authz: MakeAuthz, tmp_path: Path
) -> None:
    server = make_server()
    hosts = Hosts(server, tmp_path / "hosts")
    _, text = issued(hosts)
    settings = (
        f'when_stale = "{when_stale}"\nstale_after_seconds = 2\nmetrics_listen = "127.0.0.1:0"\n'
    )
    authz = make_authz(server, settings=settings).start()
    assert [point["when_stale"] for point in authz.points()] == [when_stale]
    # On a busy machine, a proof of freshness may take longer than the limit of this test.
    eventually("it serves", lambda: authz.ask(question(text)).status == 200)
    server.kill()
    stopped = time.monotonic()
    if when_stale == "refuse":
        answer = eventually("it refuses", lambda: unless_200(authz.ask(question(text))))
        assert (answer.status, answer.body) == (503, b"stale")
        assert answer.headers["retry-after"] == "1"
        assert answer.headers["cache-control"] == "no-store"
        with connected(authz.metrics_address) as stream:
            assert asked(stream, [("Host", "a")], "/readyz").status == 503
        with connected(authz.metrics_address) as stream:
            assert asked(stream, [("Host", "a")], "/healthz").status == 200
    else:

        def always_served() -> bool:
            assert authz.ask(question(text)).status == 200
            return time.monotonic() > stopped + 4

        eventually("twice the limit is over", always_served)


def unless_200(answer: Asked) -> Asked | None:
    return answer if answer.status != 200 else None


def test_a_process_that_was_frozen_refuses_its_first_question(
    server: Server, hosts: Hosts, make_authz: MakeAuthz
) -> None:
    authz = make_authz(server, settings="stale_after_seconds = 2\n").start()
    _, text = issued(hosts)
    with connected(authz.addresses[0]) as stream:
        eventually("it serves", lambda: asked(stream, question(text)).status == 200)
        authz.send(signal.SIGSTOP)
        frozen = time.monotonic()
        eventually("longer than the limit", lambda: time.monotonic() > frozen + 3)
        # The question waits in the socket, and is the first to be answered.
        lines = "".join(f"{name}: {value}\r\n" for name, value in question(text))
        stream.sendall(f"GET / HTTP/1.1\r\n{lines}\r\n".encode())
        authz.send(signal.SIGCONT)
        assert read_answer(stream).status == 503
    eventually("it recovers", lambda: authz.ask(question(text)).status == 200)


def test_a_start_without_the_server_uses_a_young_view_on_disk(
    make_server: MakeServer, make_authz: MakeAuthz, tmp_path: Path
) -> None:
    server = make_server()
    hosts = Hosts(server, tmp_path / "hosts")
    identifier, revoked = issued(hosts)
    _, text = issued(hosts)
    authz = make_authz(server, settings="stale_after_seconds = 60\n").start()
    hosts.api.revoke(identifier)
    hosts.api.settled(identifier, "revoked")
    assert authz.ask(question(text)).status == 200
    authz.kill()
    server.kill()
    authz.start(is_fresh=False)
    assert authz.ask(question(text)).status == 200
    assert authz.ask(question(revoked)).status == 403
    authz.kill()
    # A new state directory has no view.
    other = make_authz(server, name="other")
    other.start(is_fresh=False)
    assert other.ask(question(text)).status == 503


# Listeners


def test_a_unix_socket_answers_and_a_stale_file_is_replaced(
    server: Server, hosts: Hosts, make_authz: MakeAuthz, tmp_path: Path
) -> None:
    path = tmp_path / "a.sock"
    authz = make_authz(server, f'address = "unix:{path}"\n{FROM}').start()
    _, text = issued(hosts)
    assert authz.ask(question(text)).status == 200
    assert path.stat().st_mode & 0o777 == 0o660
    authz.kill()
    assert path.exists()
    authz.start()
    assert authz.ask(question(text)).status == 200
    authz.stop()
    assert not path.exists()
    path.write_text("not a socket")
    refused = subprocess.run(
        [CERTGATE, "authz", "--config", authz.file],
        env=environment(),
        capture_output=True,
        text=True,
    )
    assert refused.returncode == 1 and "choose another address" in refused.stderr
    assert path.read_text() == "not a socket"


def test_a_secret_opens_a_listener(
    server: Server, hosts: Hosts, make_authz: MakeAuthz, tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("0123456789abcdef0123456789abcdef\n")
    secret.chmod(0o600)
    listener = f'address = "0.0.0.0:0"\n{FROM}\nsecret_file = "{secret}"'
    authz = make_authz(server, listener).start()
    _, text = issued(hosts)
    good = ("Certgate-Secret", secret.read_text().strip())
    assert authz.ask([*question(text), good]).status == 200
    for headers in (
        [],
        [("Certgate-Secret", "x" * 32)],
        [good, good],
        [("Certgate_Secret", good[1])],
    ):
        answer = authz.ask([*question(text), *headers])
        assert (answer.status, answer.body) == (403, b"wrong_secret")
    assert good[1] not in authz.log


def test_tls_with_a_client_certificate_opens_a_listener(
    server: Server, hosts: Hosts, make_authz: MakeAuthz, tmp_path: Path
) -> None:
    authority = Authority("proxies")
    ca = tmp_path / "ca.pem"
    ca.write_text(pem(authority.certificate))
    certificate, key = authority.issue(tmp_path, "proxy")
    files = f'tls_certificate = "{certificate}"\ntls_key = "{key}"\ntls_client_ca = "{ca}"'
    authz = make_authz(server, f'address = "0.0.0.0:0"\n{FROM}\n{files}').start()
    _, text = issued(hosts)

    def ask(*identity: Path) -> int:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        if identity:
            context.load_cert_chain(*identity)
        with connected(authz.addresses[0]) as plain, context.wrap_socket(plain) as stream:
            return asked(stream, question(text)).status

    assert ask(certificate, key) == 200
    for identity in ((), hosts.other.issue(tmp_path, "stranger")):
        with pytest.raises((OSError, AssertionError)):
            ask(*identity)


# The file


def test_mistakes_end_the_start_with_status_2(
    server: Server, make_authz: MakeAuthz, tmp_path: Path
) -> None:
    open_to_all = tmp_path / "open"
    open_to_all.write_text("0123456789abcdef0123456789abcdef")
    open_to_all.chmod(0o644)
    for listener, settings, expected in (
        (f'address = "0.0.0.0:0"\n{FROM}', "", "line 8: other machines reach 0.0.0.0:0"),
        (f"{FROM}\nfrom = 1", "", "unknown field `from`"),
        ('certificate_from = "cookie"', "", "unknown variant `cookie`"),
        (FROM, "stale_after_seconds = 3600\n", "use a number from 1 to 3570"),
        (f'{FROM}\nsecret_file = "{open_to_all}"', "", "chmod 640"),
        (FROM, "api = 1\n", "duplicate key"),
    ):
        authz = make_authz(server, listener, settings=settings)
        done = subprocess.run(
            [CERTGATE, "authz", "--config", authz.file],
            env=environment(),
            capture_output=True,
            text=True,
        )
        assert done.returncode == 2, (listener, done.stderr)
        assert expected in done.stderr and "authz.toml, line " in done.stderr, done.stderr
    missing = subprocess.run(
        [CERTGATE, "authz", "--config", tmp_path / "none.toml"],
        env=environment(),
        capture_output=True,
        text=True,
    )
    assert missing.returncode == 2 and "none.toml" in missing.stderr


def test_a_changed_file_is_read_and_a_broken_one_changes_nothing(
    server: Server, hosts: Hosts, make_authz: MakeAuthz, tmp_path: Path
) -> None:
    authz = make_authz(server).start()
    _, text = issued(hosts)
    bare = [("Host", HOST), ("X-Forwarded-Host", HOST)]
    with connected(authz.addresses[0]) as stream:
        assert asked(stream, bare).status == 403
        authz.write(f'{FROM}\nclient_certificates = "optional"')
        eventually("the file is read", lambda: asked(stream, bare).status == 200)
        authz.write(f"{FROM}\nmistake = 1")
        eventually("it is refused", lambda: "unknown field `mistake`" in authz.log)
        assert re.search(r"authz\.toml, line \d+: unknown field `mistake`", authz.log)
        assert asked(stream, bare).status == 200
        # A second listener, at once.
        socket = tmp_path / "second.sock"
        authz.write(FROM, f'address = "unix:{socket}"\ncertificate_from = "client-cert"')
        authz.send(signal.SIGHUP)
        # Its socket exists before the settings of the first one are replaced.
        eventually("the second listens", socket.exists)
        eventually("the first is changed", lambda: asked(stream, bare).status == 403)
        headers = [*bare, ("Client-Cert", f":{base64.b64encode(der_of(text)).decode()}:")]
        with connected(f"unix:{socket}") as second:
            assert asked(second, headers).status == 200
        authz.write(FROM)
        authz.send(signal.SIGHUP)
        eventually("the second is closed", lambda: not socket.exists())
        assert asked(stream, question(text)).status == 200


def test_metrics_count_verdicts_by_host_and_reason(
    server: Server, hosts: Hosts, make_authz: MakeAuthz
) -> None:
    authz = make_authz(server, settings='metrics_listen = "127.0.0.1:0"\n').start()
    identifier, text = issued(hosts)
    for _ in range(3):
        assert authz.ask(question(text)).status == 200
    hosts.api.revoke(identifier)
    hosts.api.settled(identifier, "revoked")
    assert authz.ask(question(text)).status == 403
    assert authz.ask(question(text, "a.b.c")).status == 403
    found = metrics(authz)
    for host, verdict, count in (
        (HOST, "admitted", 3),
        (HOST, "revoked", 1),
        ("unknown", "unknown_host", 1),
    ):
        line = f'certgate_enforcement_verdicts_total{{host="{host}",verdict="{verdict}"}} {count}'
        assert line in found.splitlines(), found
    assert re.search(r"^certgate_enforcement_epoch \d+$", found, re.MULTILINE)


# gRPC, with a client of another maker


def field(number: int, content: bytes) -> bytes:
    """A field of a message with a length."""
    length, size = b"", len(content)
    while size > 127:
        length, size = length + bytes([size & 127 | 128]), size >> 7
    return bytes([number << 3 | 2]) + length + bytes([size]) + content


def check_request(certificate: str, host: str, headers: dict[str, str] | None = None) -> bytes:
    pairs = [
        field(3, field(1, name.encode()) + field(2, value.encode()))
        for name, value in (headers or {}).items()
    ]
    http_request = b"".join(pairs) + field(5, host.encode())
    source = field(5, urllib.parse.quote(certificate).encode()) if certificate else b""
    return field(1, field(1, source) + field(4, field(2, http_request)))


CHECK = "/envoy.service.auth.v3.Authorization/Check"


def test_grpc_answers_a_client_of_another_maker(
    server: Server, hosts: Hosts, make_authz: MakeAuthz
) -> None:
    authz = make_authz(server, 'certificate_from = "grpc"').start()
    identifier, text = issued(hosts)
    with grpc.insecure_channel(authz.addresses[0]) as channel:

        def call(request: bytes, method: str = CHECK) -> bytes:
            return channel.unary_unary(method)(request, timeout=30)

        answer = call(check_request(text, f"{HOST}:8443", {"client_cert": "x", "x-other": "y"}))
        # Status 0 (OK), which proto3 does not write.
        assert answer.startswith(b"\x0a\x00\x1a")
        assert base64.b64encode(der_of(text)) in answer
        assert b"client_cert" in answer and b"x-other" not in answer
        refused = b"\x0a\x02\x08\x07\x12"
        hosts.api.revoke(identifier)
        hosts.api.settled(identifier, "revoked")
        for request, reason in (
            (check_request(text, HOST), b"revoked"),
            (check_request("", HOST), b"no_certificate"),
            (check_request("x", HOST), b"malformed"),
            (check_request(text, "a.b"), b"unknown_host"),
            (check_request(text, ""), b"unknown_host"),
            (b"", b"unknown_host"),
        ):
            answer = call(request)
            assert answer.startswith(refused) and reason in answer, (reason, answer)
        for method, request, code in (
            ("/a/B", b"", grpc.StatusCode.UNIMPLEMENTED),
            (CHECK, b"\xff\xff", grpc.StatusCode.INVALID_ARGUMENT),
            (CHECK, field(1, b"x" * (1 << 20)), grpc.StatusCode.RESOURCE_EXHAUSTED),
        ):
            with pytest.raises(grpc.RpcError) as raised:
                call(request, method)
            assert raised.value.code() == code
    # A listener for gRPC answers no question of HTTP.
    assert "grpc-status" in authz.ask(question(text)).headers
