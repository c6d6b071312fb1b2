"""CRLs over HTTP as clients ask for them, read by openssl, GnuTLS and pyca."""

from __future__ import annotations

import http.client
import random
import socket
import subprocess
from pathlib import Path

from cryptography import x509

from kit import clients
from kit.estate import SEED, Ca, fetch
from kit.families import version
from kit.harness import needs

CRL, CERTIFICATE = "application/pkix-crl", "application/pkix-cert"

# Conditional requests with random lists of tags.
CONDITIONS = 200


def ask(ca: Ca, method: str, path: str, headers: dict[str, str] | None = None) -> tuple[int, dict]:
    connection = http.client.HTTPConnection("127.0.0.1", ca.server.public_port, timeout=30)
    connection.request(method, path, headers=headers or {})
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, {**{k.lower(): v for k, v in answer.headers.items()}, "body": body}


def test_each_file_by_each_kind_of_request(fleet: list[Ca]) -> None:
    ca = fleet[0]
    shard = next(leaf for leaf in ca.leaves if leaf.status == "revoked").serial % 128
    files = {
        f"/crl/{ca.id}/{shard}.crl": CRL,
        f"/crl/{ca.id}/full.crl": CRL,
        f"/crl/{ca.id}/ca.crl": CRL,
        f"/crl/{ca.id}/bundle.pem": "application/x-pem-file",
        f"/ca/{ca.id}.crt": CERTIFICATE,
    }
    for path, kind in files.items():
        status, whole = ask(ca, "GET", path)
        assert (status, whole["content-type"]) == (200, kind), path
        # None of these headers changes the file.
        for headers in (
            {"Range": "bytes=0-9"},
            {"Accept": "application/pkix-crl"},
            {"Accept-Encoding": "gzip, br"},
            {"If-Modified-Since": whole["last-modified"]},
            {"If-Modified-Since": "nonsense"},
        ):
            assert ask(ca, "GET", path, headers)[1]["body"] == whole["body"], (path, headers)
        assert ask(ca, "HEAD", path)[0] == 200
        assert ask(ca, "HEAD", path)[1]["body"] == b""
        assert ask(ca, "OPTIONS", path)[0] == 405
        assert ask(ca, "GET", path, {"If-None-Match": "*"})[0] == 304
        assert whole["cache-control"].startswith("public, max-age=")


def test_spellings_of_an_address(fleet: list[Ca]) -> None:
    ca = fleet[0]
    for path, status in {
        f"/crl/{ca.id}/7.crl": 200,
        f"/crl/{ca.id}/7.crl?x=1": 200,
        f"/crl/{ca.id.upper()}/7.crl": 200,
        f"/crl/{ca.id.replace('-', '%2D')}/7.crl": 200,
        f"//crl/{ca.id}/7.crl": 404,
        f"/crl/{ca.id}/7.crl/": 404,
        f"/crl/{ca.id}/7.CRL": 404,
        f"/crl/{ca.id}/007.crl": 404,
        f"/crl/{ca.id}/128.crl": 404,
    }.items():
        assert ask(ca, "GET", path)[0] == status, path


def test_random_conditions(fleet: list[Ca]) -> None:
    choice = random.Random(SEED)
    for _ in range(CONDITIONS):
        ca = choice.choice(fleet)
        path = f"/crl/{ca.id}/{choice.randrange(128)}.crl"
        tag = ask(ca, "HEAD", path)[1]["etag"]
        tags = [f'"{choice.getrandbits(40)}"' for _ in range(choice.randrange(3))]
        is_known = choice.random() < 0.5
        if is_known:
            tags.append(choice.choice([tag, f"W/{tag}"]))
        choice.shuffle(tags)
        headers = {"If-None-Match": choice.choice([", ", ","]).join(tags)} if tags else {}
        assert ask(ca, "GET", path, headers)[0] == (304 if is_known else 200), (tag, headers)


def raw(ca: Ca, text: str) -> bytes:
    with socket.create_connection(("127.0.0.1", ca.server.public_port), timeout=30) as stream:
        stream.sendall(text.encode())
        received = b""
        while part := stream.recv(65536):
            received += part
        return received


def test_old_and_pipelined_requests(fleet: list[Ca]) -> None:
    ca = fleet[0]
    path = f"/crl/{ca.id}/7.crl"
    whole = ask(ca, "GET", path)[1]["body"]
    head, body = raw(ca, f"GET {path} HTTP/1.0\r\n\r\n").split(b"\r\n\r\n", 1)
    assert head.startswith(b"HTTP/1.0 200 ") and body == whole
    bundle = raw(ca, f"GET /crl/{ca.id}/bundle.pem HTTP/1.0\r\n\r\n").split(b"\r\n\r\n", 1)[1]
    assert bundle.count(b"-----END X509 CRL-----") == 129
    one = f"GET {path} HTTP/1.1\r\nHost: x\r\n"
    assert raw(ca, f"{one}\r\n" * 3 + f"{one}Connection: close\r\n\r\n").count(whole) == 4


def test_openssl_and_gnutls_read_every_list_with_a_revocation(
    fleet: list[Ca], tmp_path: Path
) -> None:
    judged = 0
    for ca in fleet:
        revoked = {leaf.serial for leaf in ca.leaves if leaf.status == "revoked"}
        shards = sorted({serial % 128 for serial in revoked})
        for name in ["full.crl", "ca.crl", *(f"{shard}.crl" for shard in shards)]:
            file = tmp_path / name
            file.write_bytes(fetch(ca.server, f"/crl/{ca.id}/{name}"))
            expected = {
                "full.crl": revoked,
                "ca.crl": set(),
            }.get(name, {one for one in revoked if f"{one % 128}.crl" == name})
            read = x509.load_der_x509_crl(file.read_bytes())
            assert {entry.serial_number for entry in read} == expected, name
            verify = ["openssl", "crl", "-inform", "DER", "-in", file, "-CAfile", ca.pem, "-noout"]
            done = subprocess.run(verify, capture_output=True, text=True, timeout=30)
            assert done.returncode == 0 and "verify OK" in done.stderr, done.stderr
            show = [needs("certtool"), "--crl-info", "--inder", "--infile", file]
            done = subprocess.run(show, capture_output=True, text=True, timeout=30)
            assert done.returncode == 0, done.stderr
            assert done.stdout.count("Serial Number (hex)") == len(expected)
            judged += 1
    assert judged >= 80
    for family in ("OpenSSL", "GnuTLS"):
        clients.works(family, version(family), "CRLs")
