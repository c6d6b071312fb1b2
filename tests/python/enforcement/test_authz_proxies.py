"""nginx, HAProxy, Envoy, Traefik and Caddy, configured as their pages say, ask `certgate authz`."""

from __future__ import annotations

import base64
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from kit.authz import (
    HOST,
    OURS,
    PROXIES,
    READ,
    Authz,
    Client,
    Haproxy,
    Proxy,
    Upstream,
    asked,
    read_answer,
)
from kit.client_certificates import Authority, der_of, twin, with_other_serial
from kit.harness import REPOSITORY, Server, eventually
from kit.hosts import OTHER_HOST, Hosts, resumed


@pytest.fixture(scope="module")
def hosts(shared: Server, tmp_path_factory: pytest.TempPathFactory) -> Hosts:
    return Hosts(shared, tmp_path_factory.mktemp("hosts"))


class Setup:
    """A proxy, the service behind it, and the authz that it asks."""

    def __init__(self, hosts: Hosts, authz: Authz, proxy: Proxy) -> None:
        self.hosts, self.authz, self.proxy = hosts, authz, proxy

    @property
    def port(self) -> int:
        return self.proxy.port


@pytest.fixture(scope="module", params=PROXIES, ids=lambda proxy: proxy.__name__)
def setup(
    request: pytest.FixtureRequest,
    shared: Server,
    hosts: Hosts,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Setup]:
    kind: type[Proxy] = request.param
    directory = tmp_path_factory.mktemp(kind.__name__)
    authz = Authz(shared, directory / "authz", kind.listener())
    upstream = Upstream()
    try:
        authz.start()
        with kind(directory / "proxy", authz.port, upstream.port) as proxy:
            setup = Setup(hosts, authz, proxy)
            # Traefik and Envoy listen before they serve.
            _, client = hosts.issue()
            eventually("the proxy serves", lambda: client.is_served(proxy.port))
            yield setup
    finally:
        # A killed point would delay the revocations of the next proxy's tests.
        if authz.process:
            authz.stop()
        upstream.shutdown()
        upstream.server_close()


def test_a_good_certificate_passes_and_the_service_sees_it(setup: Setup) -> None:
    _, client = setup.hosts.issue()
    assert client.certificate
    expected = base64.b64encode(der_of(client.certificate.read_text())).decode()
    with client.open(setup.port) as stream:
        first, second = (asked(stream, [("Host", HOST)]) for _ in range(2))
    http2 = client.http2(setup.port)
    for answer in (first, second, http2.get(), client.get(setup.port)):
        assert answer.status == 200
        seen = dict(answer.seen)
        assert seen["client-cert"] == f":{expected}:"
        assert seen["cf-cert-verified"] == seen["cf-cert-presented"] == "true"
        assert seen["cf-cert-revoked"] == "false"
    http2.close()


def test_clients_without_a_good_certificate_are_refused(setup: Setup, tmp_path: Path) -> None:
    hosts = setup.hosts
    stranger = Authority("stranger").issue(tmp_path, "stranger")
    # The name of a trusted CA does not make its signature.
    same_name = Authority("uploaded").issue(tmp_path, "same-name")
    of_other_host = hosts.other.issue(tmp_path, "of-other-host")
    short_key = hosts.uploaded.issue(tmp_path, "short-key", rsa_bits=1024)
    expired = hosts.uploaded.issue(tmp_path, "expired", seconds=-60)
    _, good = hosts.issue()
    assert good.certificate and good.key
    changed = tmp_path / "changed.pem"
    changed.write_text(with_other_serial(good.certificate.read_text()))
    for pair in (None, stranger, same_name, of_other_host, short_key, expired, (changed, good.key)):
        client = Client(*pair) if pair else Client()
        try:
            answer = client.get(setup.port)
        except OSError as error:
            # OpenSSL and the like refuse keys of 1,024 bits themselves.
            assert pair == short_key, f"{pair}: {error}"
            continue
        assert answer.status in (400, 403), pair
    own = Client(*hosts.uploaded.issue(tmp_path, "own"))
    assert own.get(setup.port).status == 200


def test_a_revoked_client_is_refused_at_its_next_request(setup: Setup, tmp_path: Path) -> None:
    hosts, port = setup.hosts, setup.port
    identifier, client = hosts.issue()
    assert client.certificate and client.key
    with client.open(port) as stream, client.open(port) as upgraded:
        http2 = client.http2(port)
        assert asked(stream, [("Host", HOST)]).status == http2.get().status == 200
        context, session = resumed(client, port)
        key = "dGhlIHNhbXBsZSBub25jZQ=="
        upgrade = [("Host", HOST), ("Upgrade", "websocket"), ("Connection", "Upgrade")]
        version = [("Sec-WebSocket-Key", key), ("Sec-WebSocket-Version", "13")]
        assert asked(upgraded, [*upgrade, *version]).status == 101
        other = tmp_path / "twin.pem"
        other.write_text(twin(client.certificate.read_text(), hosts.managed()))
        of_twin = Client(other, client.key)
        assert of_twin.get(port).status == 200

        assert hosts.api.revoke(identifier).status == 200
        hosts.api.settled(identifier, "revoked")
        # From now on, without exception.
        assert asked(stream, [("Host", HOST)]).status == 403
        assert http2.get().status == 403
        assert client.get(port).status == 403
        assert of_twin.get(port).status == 403
        with client.open(port, context=context, session=session) as again:
            assert asked(again, [("Host", HOST)]).status == 403
        # As the page says.
        assert "WebSockets" in (REPOSITORY / "docs" / setup.proxy.page).read_text()
        upgraded.sendall(b"still open")
        assert upgraded.recv(100) == b"still open"

        assert hosts.api.restore(identifier).status == 200
        hosts.api.settled(identifier, "active")
        assert asked(stream, [("Host", HOST)]).status == http2.get().status == 200
        http2.close()


def spellings(name: str) -> list[str]:
    """Other letter cases, which mean the same."""
    return [name.title(), name.upper(), name]


def is_ours_or_none(answer_seen: list[tuple[str, str]]) -> None:
    for name, value in answer_seen:
        if name.lower().replace("_", "-") in (*OURS, *READ):
            assert "forged" not in value, f"{name}: {value}"


def test_no_client_forges_an_identity(setup: Setup) -> None:
    _, client = setup.hosts.issue()
    names = (*OURS, *READ)
    attacks = {
        "letter case": [(spelling, "forged") for name in names for spelling in spellings(name)],
        "lower case, repeated": [(name, "forged") for name in names * 2],
        "underscores": [(name.replace("-", "_"), "forged") for name in names],
        "one underscore": [("_".join(name.rsplit("-", 1)), "forged") for name in names],
        "ours listed in Connection": [
            *[(name, "forged") for name in OURS],
            ("Connection", ", ".join(OURS[:5])),
        ],
        "all listed in Connection": [
            *[(name, "forged") for name in names],
            ("Connection", ", ".join(names)),
        ],
    }
    # authz refuses names with underscores that the proxy passes on, and Envoy a Connection that
    # lists X-Forwarded-* or very many names.
    refusals = {"underscores": 403, "one underscore": 403, "all listed in Connection": 400}
    for attack, headers in attacks.items():
        answer = client.get(setup.port, headers)
        assert answer.status in (200, refusals.get(attack, 200)), attack
        if answer.status == 200:
            is_ours_or_none(answer.seen)
    for attack in ("lower case, repeated", "underscores", "one underscore"):
        http2 = client.http2(setup.port)
        try:
            answer = http2.get(attacks[attack])
        except AssertionError:
            # The proxy ended the stream or the connection.
            assert "underscore" in attack
        else:
            assert answer.status in (200, refusals.get(attack, 200)), attack
            if answer.status == 200:
                is_ours_or_none(answer.seen)
        http2.close()


def test_trailers_carry_no_identity(setup: Setup) -> None:
    _, client = setup.hosts.issue()
    head = f"POST / HTTP/1.1\r\nHost: {HOST}\r\nTransfer-Encoding: chunked\r\n"
    trailers = "".join(f"{name}: forged\r\n" for name in OURS)
    with client.open(setup.port) as stream:
        declared = f"Trailer: {', '.join(OURS)}\r\n"
        stream.sendall(f"{head}{declared}\r\n1\r\na\r\n0\r\n{trailers}\r\n".encode())
        answer = read_answer(stream)
    assert answer.status == 200
    is_ours_or_none([pair for pair in answer.seen if pair[0] != "trailer"])
    if isinstance(setup.proxy, Haproxy):
        page = (REPOSITORY / "docs/proxy-haproxy.md").read_text()
        assert "HAProxy passes the trailers of a request on" in page
    else:
        assert answer.trailers == []


def test_no_client_chooses_the_hostname(setup: Setup, tmp_path: Path) -> None:
    client = Client(*setup.hosts.other.issue(tmp_path, "other"))
    forged = [(spelling, OTHER_HOST) for spelling in spellings("x-forwarded-host")]
    for headers in (
        forged,
        [("x_forwarded_host", OTHER_HOST)],
        [("Forwarded", f"host={OTHER_HOST}")],
    ):
        assert client.get(setup.port, headers).status == 403, headers
    with client.open(setup.port) as stream:
        # The service of one hostname is not open to certificates of another.
        assert asked(stream, [("Host", OTHER_HOST)]).status in (403, 404, 421)


def test_without_a_certificate_an_optional_host_sees_no_identity(setup: Setup) -> None:
    authz = setup.authz
    required = authz.file.read_text()
    authz.file.write_text(f'{required}client_certificates = "optional"\n')
    authz.send(signal.SIGHUP)
    try:
        bare = Client()
        eventually("optional", lambda: bare.get(setup.port).status == 200)
        names = (*OURS, *READ)
        answer = bare.get(setup.port, [(name, "forged") for name in names])
        assert answer.status == 200
        is_ours_or_none(answer.seen)
        seen = dict(answer.seen)
        assert seen["cf-cert-verified"] == seen["cf-cert-presented"] == "false"
        assert "client-cert" not in seen
        identifier, client = setup.hosts.issue()
        assert dict(client.get(setup.port).seen)["cf-cert-verified"] == "true"
        setup.hosts.api.revoke(identifier)
        setup.hosts.api.settled(identifier, "revoked")
        revoked = dict(client.get(setup.port).seen)
        assert revoked["cf-cert-verified"] == revoked["cf-cert-revoked"] == "true"
        assert "client-cert" not in revoked
    finally:
        authz.file.write_text(required)
        authz.send(signal.SIGHUP)
    eventually("required", lambda: bare.get(setup.port).status == 403)


def test_a_hanging_authz_lets_no_client_in(setup: Setup) -> None:
    _, client = setup.hosts.issue()
    assert client.get(setup.port).status == 200
    setup.authz.send(signal.SIGSTOP)
    try:
        assert client.get(setup.port).status in (403, 500, 502, 504)
    finally:
        setup.authz.send(signal.SIGCONT)
    eventually("it answers again", lambda: client.get(setup.port).status == 200)
