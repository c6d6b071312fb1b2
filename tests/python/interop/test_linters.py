"""zlint and pkilint find no error in anything that certgate signs."""

from __future__ import annotations

import json
import ssl
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from kit import clients
from kit.estate import Ca, certificates_in, fetch
from kit.harness import KEYS, make_csr, openssl
from kit.judges import go_module, go_verdicts

# Lists of every CA, besides the shards with revocations.
LISTS = ["full.crl", "ca.crl"]


class Signed:
    """Objects that certgate signed, each in a file (DER)."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.objects: list[tuple[str, Path, Path | None]] = []

    def add(self, kind: str, name: str, der: bytes, issuer: Path | None = None) -> Path:
        file = self.directory / f"{name}.{kind}"
        file.write_bytes(der)
        self.objects.append((kind, file, issuer))
        return file


def response_about(ca: Ca, leaf: bytes) -> bytes:
    subject, issuer = map(x509.load_der_x509_certificate, (leaf, ca.der))
    asked = ocsp.OCSPRequestBuilder().add_certificate(subject, issuer, SHA1()).build()
    return fetch(ca.server, "/ocsp", asked.public_bytes(Encoding.DER))


@pytest.fixture(scope="module")
def signed(fleet: list[Ca], tmp_path_factory: pytest.TempPathFactory) -> Signed:
    """Every kind of object of every kind of CA, for keys of every kind."""
    signed = Signed(tmp_path_factory.mktemp("signed"))
    csrs = {kind: make_csr(signed.directory, kind) for kind in KEYS}
    for ca in fleet:
        # The server has closed the connection of the fleet if other tests took long.
        api = ca.server.api()
        api.zone_id = ca.api.zone_id
        signed.add("certificate", f"CA {ca.algorithm}", ca.der)
        for kind, csr in csrs.items():
            leaf = ssl.PEM_cert_to_DER_cert(api.issue(csr).result["certificate"])
            signed.add("certificate", f"{kind} of {ca.algorithm}", leaf)
        revoked = [leaf for leaf in ca.leaves if leaf.status == "revoked"]
        shards = {f"{leaf.serial % 128}.crl" for leaf in revoked}
        for file in [*LISTS, *sorted(shards)]:
            signed.add("crl", f"{ca.algorithm} {file}", fetch(ca.server, f"/crl/{ca.id}/{file}"))
        for number, leaf in enumerate(ca.leaves[:20]):
            response = response_about(ca, leaf.file.read_bytes())
            signed.add("ocsp", f"{ca.algorithm} {number}", response, ca.file)
        api.close()
        for delegate in certificates_in(response):
            signed.add("certificate", f"delegate of {ca.algorithm}", delegate)
    return signed


def test_zlint_finds_nothing(signed: Signed) -> None:
    verdicts = go_verdicts(signed.objects)
    found = {
        str(file.name): verdict.get("error") or verdict["findings"]
        for (_, file, _), verdict in zip(signed.objects, verdicts, strict=True)
        if verdict["findings"] or "error" in verdict
    }
    assert not found
    # A linter that applies no lint finds nothing.
    applied = {kind: 0 for kind in ("certificate", "crl", "ocsp")}
    for (kind, *_), verdict in zip(signed.objects, verdicts, strict=True):
        assert verdict["applied"] > 0
        applied[kind] += 1
    assert len(signed.objects) >= 200 and all(applied.values())
    what = "CAs, leaves, delegates, CRLs, OCSP"
    limit = "only the lints of RFCs and of its community apply, not those for web servers"
    clients.works("zlint", go_module("github.com/zmap/zlint/v3"), what, limit)


def test_zlint_can_find_faults(tmp_path: Path) -> None:
    pem, der = tmp_path / "bad.pem", tmp_path / "bad.der"
    new = ["req", "-x509", *KEYS["P-256"], "-nodes", "-keyout", tmp_path / "key", "-subj", "/CN=a"]
    pem.write_text(openssl(*new, "-set_serial", "-5"))
    der.write_bytes(ssl.PEM_cert_to_DER_cert(pem.read_text()))
    (verdict,) = go_verdicts([("certificate", der, None)])
    assert verdict["findings"] or "error" in verdict


def pkilint(program: str, *arguments: str | Path) -> list[str]:
    """Returns the findings of pkilint at ERROR or above."""
    lint = [Path(sys.executable).parent / program, "lint", "--severity", "ERROR"]
    done = subprocess.run(
        [*lint, "--format", "JSON", "--document-format", "DER", *arguments],
        capture_output=True,
        text=True,
        timeout=120,
    )
    results = json.loads(done.stdout)["results"]
    return [finding["code"] for result in results for finding in result["finding_descriptions"]]


def test_pkilint_finds_nothing_in_delegates_and_their_responses(signed: Signed) -> None:
    """revocation/test_judges.py and test_revocation.py lint the other objects with it."""
    delegates = [file for _, file, _ in signed.objects if file.name.startswith("delegate")]
    assert len(delegates) == 2
    for file in delegates:
        assert pkilint("lint_pkix_cert", file) == [], file.name
        response = file.with_name(f"{file.stem.removeprefix('delegate of ')} 0.ocsp")
        assert pkilint("lint_ocsp_response", response) == [], response.name
    clients.works("pkilint", metadata.version("pkilint"), "CAs, leaves, delegates, CRLs, OCSP")
