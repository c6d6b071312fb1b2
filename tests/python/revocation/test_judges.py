"""Independent judges of all signed objects: openssl verifies and pkilint lints."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from kit.harness import KEYS, Api, Server, make_csr, openssl

AUTHORITIES = {
    "P-256": "ECDSAWithSHA256",
    "P-384": "ECDSAWithSHA384",
    "RSA-2048": "SHA256WithRSA",
    "RSA-3072": "SHA256WithRSA",
    "RSA-4096": "SHA256WithRSA",
    "Ed25519": "PureEd25519",
}

# The names that openssl uses.
SIGNATURES = {
    "ECDSAWithSHA256": "ecdsa-with-SHA256",
    "ECDSAWithSHA384": "ecdsa-with-SHA384",
    "SHA256WithRSA": "sha256WithRSAEncryption",
    "PureEd25519": "ED25519",
}

SUBJECTS = {
    "usual": "/C=US/ST=Texas/L=Austin/O=Example Inc./OU=Devices/CN=device-1",
    "common name alone": "/CN=device-1",
    "not ASCII": "/O=Gerätebau Müller/CN=Gerät № 1",
    "empty": "/",
}


class Judge:
    """A zone whose account has a CA of one algorithm."""

    def __init__(self, server: Server, algorithm: str, directory: Path) -> None:
        self.api: Api = server.api()
        self.directory = directory
        account = {"name": algorithm, "authority_algorithm": algorithm}
        self.account_id = self.api.call("POST", "/client/v4/accounts", account).result["id"]
        zone = {"name": f"{algorithm.lower()}.example", "account": {"id": self.account_id}}
        self.api.zone_id = self.api.call("POST", "/client/v4/zones", zone).result["id"]
        path = f"/certgate/v1/accounts/{self.account_id}/managed_authority"
        self.authority: dict[str, Any] = self.api.call("GET", path).result
        assert self.authority["algorithm"] == algorithm
        self.authority_file = directory / f"{algorithm}.ca.pem"
        self.authority_file.write_text(self.authority["certificate"])

    def issue(self, csr: str, days: int = 365) -> tuple[dict[str, Any], Path]:
        made = self.api.issue(csr, days).result
        path = self.directory / f"{made['id']}.pem"
        path.write_text(made["certificate"])
        return made, path


@pytest.fixture(scope="module", params=list(AUTHORITIES))
def judge(
    shared: Server, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Judge]:
    judge = Judge(shared, request.param, tmp_path_factory.mktemp("judge"))
    yield judge
    judge.api.close()


@pytest.fixture(scope="module")
def requests(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A CSR for each kind of key, made once because RSA keys are slow."""
    directory = tmp_path_factory.mktemp("requests")
    return {kind: make_csr(directory, kind, SUBJECTS["usual"]) for kind in KEYS}


def lint(path: Path) -> list[str]:
    """Returns the findings of pkilint at ERROR or above. No exceptions are allowed."""
    linter = Path(sys.executable).parent / "lint_pkix_cert"
    done = subprocess.run(
        [
            linter,
            "lint",
            "--severity",
            "ERROR",
            "--format",
            "JSON",
            "--document-format",
            "PEM",
            path,
        ],
        capture_output=True,
        text=True,
        timeout=60,
    )
    results = json.loads(done.stdout)["results"]
    assert (done.returncode == 0) == (not results), done.stderr
    return [finding["code"] for result in results for finding in result["finding_descriptions"]]


def test_the_linter_finds_faults(tmp_path: Path) -> None:
    """Proves that the linter can fail."""
    path = tmp_path / "bad.pem"
    path.write_text(
        openssl(
            "req",
            "-x509",
            *KEYS["P-256"],
            "-nodes",
            "-keyout",
            tmp_path / "key",
            "-subj",
            "/CN=a",
            "-set_serial",
            "-5",
        )
    )
    assert "pkix.certificate_serial_number_out_of_range" in lint(path)


def field(text: str, name: str) -> str:
    found = re.search(rf"^\s*{re.escape(name)}\s*[:=]\s*(.*)$", text, re.MULTILINE)
    assert found, f"{name} is not in:\n{text}"
    return found[1].strip()


def extension(text: str, name: str) -> str:
    """Returns the lines of an extension in the output of openssl."""
    found = re.search(
        rf"^            {re.escape(name)}:( critical)? *\n((?:                .*\n)+)",
        text,
        re.MULTILINE,
    )
    assert found, f"{name} is not in:\n{text}"
    return (found[1] or "").strip() + "|" + " ".join(found[2].split())


@pytest.mark.parametrize("kind", list(KEYS))
def test_a_certificate_verifies_and_equals_the_api_record(
    judge: Judge, requests: dict[str, str], kind: str
) -> None:
    made, path = judge.issue(requests[kind])
    verified = openssl(
        "verify", "-x509_strict", "-purpose", "sslclient", "-CAfile", judge.authority_file, path
    )
    assert verified == f"{path}: OK\n"
    refused = subprocess.run(
        [
            "openssl",
            "verify",
            "-purpose",
            "sslserver",
            "-CAfile",
            str(judge.authority_file),
            str(path),
        ],
        capture_output=True,
    )
    assert refused.returncode != 0, "a client's certificate is none for a server"

    text = openssl("x509", "-in", path, "-noout", "-text", "-nameopt", "RFC2253,-esc_msb,utf8")
    plain = openssl(
        "x509", "-in", path, "-noout", "-serial", "-fingerprint", "-sha256", "-dates", "-issuer"
    )
    serial = field(plain, "serial").lower()
    assert made["serial_number"] == serial.rjust(40, "0") and len(serial) > 30
    assert made["fingerprint_sha256"] == field(plain, "sha256 Fingerprint").replace(":", "").lower()
    assert made["signature"] == AUTHORITIES[judge.authority["algorithm"]]
    assert field(text, "Signature Algorithm") == SIGNATURES[made["signature"]]
    ski = extension(text, "X509v3 Subject Key Identifier").lstrip("|").replace(":", "").lower()
    assert made["ski"] == ski and len(ski) == 40
    authority_text = openssl("x509", "-in", judge.authority_file, "-noout", "-text")
    authority_ski = extension(authority_text, "X509v3 Subject Key Identifier").lstrip("|")
    assert authority_ski in extension(text, "X509v3 Authority Key Identifier")
    issued, expires = (when(made[name]) for name in ("issued_on", "expires_on"))
    assert (when_openssl(field(plain, "notBefore")), when_openssl(field(plain, "notAfter"))) == (
        issued,
        expires,
    )
    assert (expires - issued).days == 365 and (expires - issued).seconds == 0 and issued.second == 0

    assert extension(text, "X509v3 Extended Key Usage") == "|TLS Web Client Authentication"
    assert extension(text, "X509v3 Basic Constraints") == "critical|CA:FALSE"
    assert extension(text, "X509v3 Key Usage") == "critical|Digital Signature"
    shard = int(made["serial_number"], 16) % 128
    authority_id = made["certificate_authority"]["id"]
    assert authority_id == judge.authority["id"]
    assert f"/crl/{authority_id}/{shard}.crl" in extension(text, "X509v3 CRL Distribution Points")
    assert re.fullmatch(
        rf"\|OCSP - URI:http://\S+/ocsp CA Issuers - URI:http://\S+/ca/{authority_id}\.crt",
        extension(text, "Authority Information Access"),
    )
    names = re.findall(r"^            (?:X509v3|Authority)[^:]*", text, re.MULTILINE)
    assert len(names) == 7, f"an unexpected extension: {names}"

    from_csr = openssl("req", "-noout", "-pubkey", stdin=requests[kind].encode())
    assert openssl("x509", "-in", path, "-noout", "-pubkey") == from_csr
    assert lint(path) == []


@pytest.mark.parametrize("name", list(SUBJECTS))
def test_the_subject_is_carried_over(judge: Judge, tmp_path: Path, name: str) -> None:
    key = tmp_path / "key"
    csr = openssl(
        "req", "-new", *KEYS["P-256"], "-nodes", "-keyout", key, "-utf8", "-subj", SUBJECTS[name]
    )
    made, path = judge.issue(csr)
    shown = ["-noout", "-subject", "-nameopt", "RFC2253,-esc_msb,utf8,show_type"]
    assert openssl("x509", "-in", path, *shown) == openssl("req", *shown, stdin=csr.encode())
    wanted = dict(part.split("=", 1) for part in SUBJECTS[name].split("/") if part)
    fields = {
        "CN": "common_name",
        "C": "country",
        "ST": "state",
        "L": "location",
        "O": "organization",
        "OU": "organizational_unit",
    }
    assert {short: made[long] for short, long in fields.items()} == {
        short: wanted.get(short, "") for short in fields
    }
    openssl("verify", "-purpose", "sslclient", "-CAfile", judge.authority_file, path)
    assert lint(path) == []


@pytest.mark.parametrize("days", [1, 5475])
def test_the_ends_of_validity(judge: Judge, requests: dict[str, str], days: int) -> None:
    made, path = judge.issue(requests["P-256"], days)
    openssl("verify", "-purpose", "sslclient", "-CAfile", judge.authority_file, path)
    # The authority's certificate outlives what it signs: the chain verifies on the last day too.
    last = int(when(made["expires_on"]).timestamp()) - 60
    openssl(
        "verify",
        "-attime",
        str(last),
        "-purpose",
        "sslclient",
        "-CAfile",
        judge.authority_file,
        path,
    )
    assert lint(path) == []


def test_the_authority(judge: Judge) -> None:
    path = judge.authority_file
    openssl("verify", "-x509_strict", "-check_ss_sig", "-CAfile", path, path)
    text = openssl("x509", "-in", path, "-noout", "-text")
    assert extension(text, "X509v3 Basic Constraints").startswith("critical|CA:TRUE")
    usage = extension(text, "X509v3 Key Usage")
    assert usage.startswith("critical|") and "Certificate Sign" in usage and "CRL Sign" in usage
    subject = openssl("x509", "-in", path, "-noout", "-subject", "-nameopt", "RFC2253")
    assert re.search(r"CN=Managed CA [0-9a-f]{32}", subject), subject
    assert lint(path) == []


def test_bad_requests_are_refused(judge: Judge, tmp_path: Path) -> None:
    weak = {
        "RSA-1024": ["-newkey", "rsa:1024"],
        "P-224": ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-224"],
        "secp256k1": ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:secp256k1"],
        "Ed448": ["-newkey", "ed448"],
    }
    for name, arguments in weak.items():
        csr = openssl(
            "req", "-new", *arguments, "-nodes", "-keyout", tmp_path / name, "-subj", "/CN=weak"
        )
        refused = judge.api.issue(csr)
        assert refused.status == 400 and refused.error["source"] == {"pointer": "/csr"}, (
            name,
            refused.text,
        )


def when(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc)


def when_openssl(text: str) -> datetime:
    return datetime.strptime(text, "%b %d %H:%M:%S %Y GMT").replace(tzinfo=timezone.utc)
