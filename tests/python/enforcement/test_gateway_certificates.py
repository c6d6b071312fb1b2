"""Certificates that are not quite what they seem: the gateway judges all of them itself."""

from __future__ import annotations

import json
import ssl
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from kit.client_certificates import Authority, der_of, pem, pem_of, twin, with_other_serial
from kit.gateway import (
    HOST,
    OTHER,
    Clients,
    Gateway,
    Http1,
    Identity,
    Upstream,
    WebSocket,
    ends,
    host,
)
from kit.harness import Server, eventually, openssl

VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


def of_version_1(authority: Authority, directory: Path) -> Identity:
    """A client certificate without extensions, as `openssl x509 -req` makes it."""
    form = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ca, ca_key = directory / "ca.pem", directory / "ca.key"
    ca.write_text(pem(authority.certificate))
    ca_key.write_bytes(authority.key.private_bytes(serialization.Encoding.PEM, *form))
    request, key, made = (directory / f"v1.{name}" for name in ("csr", "key", "pem"))
    new = ["req", "-new", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", request]
    openssl(*new, "-subj", "/CN=v1")
    openssl("x509", "-req", "-in", request, "-CA", ca, "-CAkey", ca_key, "-days", "9", "-out", made)
    return Identity(made, key)


def connect(
    gateway: Gateway, client: Identity, version: ssl.TLSVersion, name: str = HOST
) -> ssl.SSLSocket:
    context = gateway.context(None, version=version)
    # OpenSSL itself would not use an RSA key of 1024 bits otherwise.
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    context.load_cert_chain(client.certificate, client.key)
    return gateway.connect(None, host=name, context=context)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("kind", ["version 1", "RSA 1024"])
def test_the_handshake_of_a_weak_certificate_completes_and_its_verdict_is_a_refusal(
    make: Any,
    clients: Clients,
    upstream: Upstream,
    tmp_path: Path,
    kind: str,
    version: ssl.TLSVersion,
) -> None:
    authority = Authority("weak")
    clients.trust(authority, HOST, OTHER)
    if kind == "version 1":
        client = of_version_1(authority, tmp_path)
        text = client.certificate.read_text()
        assert x509.load_pem_x509_certificate(text.encode()).version == x509.Version.v1
    else:
        client = Identity(*authority.issue(tmp_path, "weak", rsa_bits=1024))
    url = f"http://127.0.0.1:{upstream.port}"
    gateway = make(host(url, client_certificates="optional"))
    http = Http1(connect(gateway, client, version, OTHER))
    status, _, body = http.get(host=OTHER)
    assert status == 200
    headers = dict(json.loads(body)["headers"])
    assert headers["cf-cert-presented"] == "true"
    assert headers["cf-cert-verified"] == "false"
    assert "client-cert" not in headers
    before = upstream.requests
    assert Http1(connect(gateway, client, version)).get()[0] == 403
    assert upstream.requests == before


def managed(clients: Clients) -> str:
    """The certificate of the managed CA."""
    path = f"/certgate/v1/accounts/{clients.server.made['account_id']}/managed_authority"
    return str(clients.api.call("GET", path).result["certificate"])


def longer_serial(text: str) -> str:
    """The certificate with one more zero octet before its serial number, which DER forbids."""
    octets = der_of(text)
    serial = x509.load_pem_x509_certificate(text.encode()).serial_number
    number = serial.to_bytes(serial.bit_length() // 8 + 1)
    at = octets.index(bytes([2, len(number)]) + number)
    changed = bytearray(octets)
    changed[at : at + 2] = bytes([2, len(number) + 1, 0])
    # The lengths of the two sequences around it have two octets each.
    for start in (0, 4):
        assert changed[start : start + 2] == b"\x30\x82"
        length = int.from_bytes(changed[start + 2 : start + 4]) + 1
        changed[start + 2 : start + 4] = length.to_bytes(2)
    return pem_of(bytes(changed))


def with_text(client: Identity, text: str, name: str) -> Identity:
    """Another certificate for the key of a client."""
    path = client.certificate.with_suffix(f".{name}")
    path.write_text(text)
    return Identity(path, client.key)


def test_the_twin_of_a_revoked_certificate_is_cut_and_refused(
    make: Any, clients: Clients, upstream: Upstream
) -> None:
    gateway, client = make(), clients.issue()
    other = with_text(client, twin(client.certificate.read_text(), managed(clients)), "twin")
    assert Http1(gateway.connect(other)).get()[0] == 200, "the twin is as valid as the original"
    streams = [WebSocket(gateway.connect(one)) for one in (client, other)]
    context = gateway.context(other)
    first = gateway.connect(None, context=context)
    assert Http1(first).get()[0] == 200
    clients.revoke(client)
    for stream in streams:
        assert ends(stream.stream)
    clients.api.settled(client.id, "revoked")
    before = upstream.requests
    for version in VERSIONS:
        for one in (client, other):
            assert Http1(connect(gateway, one, version)).get()[0] == 403
    resumed = gateway.connect(None, context=context, session=first.session)
    assert Http1(resumed).get()[0] == 403 and resumed.session_reused
    assert upstream.requests == before


def test_another_serial_number_does_not_evade_a_revocation(
    make: Any, clients: Clients, upstream: Upstream
) -> None:
    gateway, client = make(), clients.issue()
    text = client.certificate.read_text()
    made = {"octet": with_other_serial(text), "zero": longer_serial(text)}
    for name, changed in made.items():
        other = with_text(client, changed, name)
        assert is_refused(gateway, other), name
        clients.revoke(client)
        clients.api.settled(client.id, "revoked")
        assert is_refused(gateway, other), name
        clients.restore(client)
        clients.api.settled(client.id, "active")
    assert upstream.requests == 0
    eventually("admitted", lambda: gateway.status(client) == 200)


def is_refused(gateway: Gateway, client: Identity) -> bool:
    """True for 403 and for the end of the handshake, which malformed DER causes."""
    try:
        return Http1(gateway.connect(client)).get()[0] == 403
    except OSError:
        return True


def test_a_connection_from_before_its_ca_was_trusted_is_admitted_and_then_cut(
    make: Any, clients: Clients, tmp_path: Path
) -> None:
    """As happens to a client that connects in the moment in which the first certificate is
    issued: its handshake is judged without the CA, and its request with it."""
    authority = Authority("late")
    uploaded = clients.trust(authority)
    late = Identity(*authority.issue(tmp_path, "late"))
    gateway = make()
    early, untracked = gateway.connect(late), "certgate_gateway_connections_untracked"
    eventually("untracked", lambda: gateway.metric(untracked) == 1)
    clients.associate(HOST, authority=uploaded)
    eventually("admitted", lambda: gateway.status(late) == 200)
    assert Http1(early).get()[0] == 200 and gateway.metric(untracked) == 0
    clients.associate(authority=uploaded)
    assert ends(early)


def test_a_removed_ca_ends_the_connections_of_its_certificates_alone(
    make: Any, shared: Server, clients: Clients, tmp_path: Path
) -> None:
    authority = Authority("removed")
    uploaded = clients.trust(authority, HOST)
    removed, kept = Identity(*authority.issue(tmp_path, "removed")), clients.issue()
    gateway = make()
    cut, other = (WebSocket(gateway.connect(one)) for one in (removed, kept))
    idle = Http1(gateway.connect(removed))
    assert idle.get()[0] == 200
    clients.associate(authority=uploaded)
    assert ends(cut.stream) and ends(idle.stream)
    assert Http1(gateway.connect(removed)).get()[0] == 403
    assert other.echoes() and Http1(gateway.connect(kept)).get()[0] == 200
    clients.associate(HOST, authority=uploaded)
    eventually("admitted", lambda: gateway.status(removed) == 200)
