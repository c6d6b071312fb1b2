"""Backups, restores and journals for their tests."""

from __future__ import annotations

import hashlib
import os
import random
import re
import sqlite3
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from kit.enforcement_points import Points
from kit.harness import Api, Server, certgate, eventually

# The number of kills during revocations, and the longest time before one.
KILLS = 20
LOAD_SECONDS_MAX = 0.3

SEED = int(os.environ.get("CERTGATE_TEST_SEED") or random.SystemRandom().getrandbits(32))

# The number of backups of a busy server.
BACKUPS = 4

AGAIN = "the database is older than the journal of revocations"
UNKNOWN = "the journal of revocations lacks changes after the backup"


def back_up(server: Server, name: str = "backup.db") -> Path:
    path = server.directory.with_name(name)
    done = certgate("backup", "--data-dir", server.directory, path)
    assert done.returncode == 0 and done.stdout == "" and "panicked" not in done.stderr, done
    return path


def restore(server: Server, backup: Path, *more: str, code: int = 0) -> str:
    done = certgate("restore", "--data-dir", server.directory, backup, *more)
    assert (done.returncode, done.stdout) == (code, "") and "panicked" not in done.stderr, done
    assert (code == 0) != ("error: " in done.stderr), done.stderr
    return done.stderr


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def content(directory: Path) -> dict[str, bytes]:
    """Returns the content of each file in a directory."""
    return {path.name: path.read_bytes() for path in directory.iterdir() if path.is_file()}


def stored(server: Server) -> list[str]:
    """Returns every row of the database."""
    with closing(sqlite3.connect(f"file:{server.database}?mode=ro", uri=True)) as database:
        return list(database.iterdump())


def revocations(server: Server) -> Path:
    return server.directory / "certgate.revocations"


@dataclass
class Line:
    epoch: int
    is_revoked: bool
    reason: str
    certificate: str


def journal(path: Path, torn: bool = False) -> list[Line]:
    """Returns the lines after the first. Each must be complete, except the last if `torn`."""
    first, *lines = path.read_text().split("\n")
    assert re.fullmatch(r"certgate revocations 1 [0-9a-f]{32} after \d+\t[0-9a-f]{8}", first), first
    last = lines.pop()
    assert torn or last == "", f"the last line is not whole: {last}"
    found = []
    for line in lines:
        text, check = line.rsplit("\t", 1)
        assert hashlib.sha256(f"{text}\t".encode()).hexdigest()[:8] == check, line
        if "\tskipped\t" in text or "\tconfiguration\t" in text:
            continue
        fields = text.split("\t")
        epoch, what, reason, at, authority, certificate, serial, fingerprint, expires = fields[:9]
        # The last field is the number of the change in its account.
        assert [int(number) > 0 for number in fields[9:]] == [True], line
        assert (what == "revoked") == (reason != "-") == (at != "-") and what in (
            "revoked",
            "restored",
        ), line
        assert (
            len(authority) == 36
            and len(certificate) == 32
            and len(serial) == 40
            and len(fingerprint) == 64
        ), line
        assert int(expires) > 0
        found.append(Line(int(epoch), what == "revoked", reason, certificate))
    epochs = [line.epoch for line in found]
    assert epochs == sorted(set(epochs)), "epochs grow"
    return found


@contextmanager
def talking(server: Server) -> Iterator[Api]:
    api = server.api()
    try:
        yield api
    finally:
        api.close()


def fetch(server: Server, path: str, body: bytes | None = None) -> bytes:
    request = urllib.request.Request(f"http://127.0.0.1:{server.public_port}{path}", data=body)
    if body is not None:
        request.add_header("Content-Type", "application/ocsp-request")
    with urllib.request.urlopen(request, timeout=30) as answer:
        return answer.read()


class Verifier:
    """A verifier that has only certificates and the public responder."""

    def __init__(self, server: Server, api: Api) -> None:
        self.server = server
        base = f"/certgate/v1/accounts/{server.made['account_id']}"
        made = api.call("GET", f"{base}/managed_authority").result
        self.authority_id, self.authority = (
            made["id"],
            x509.load_pem_x509_certificate(made["certificate"].encode()),
        )

    @classmethod
    def of(cls, server: Server, authority_id: str, certificate: str) -> Verifier:
        """Returns a verifier of a CA that is perhaps not the active one."""
        verifier = cls.__new__(cls)
        verifier.server, verifier.authority_id = server, authority_id
        verifier.authority = x509.load_pem_x509_certificate(certificate.encode())
        return verifier

    def ocsp(self, certificate: dict[str, Any]) -> str:
        """Returns `good`, `unknown` or the reason of a response. The CA must have signed it."""
        subject = x509.load_pem_x509_certificate(certificate["certificate"].encode())
        asked = ocsp.OCSPRequestBuilder().add_certificate(subject, self.authority, SHA256()).build()
        answer = ocsp.load_der_ocsp_response(
            fetch(self.server, "/ocsp", asked.public_bytes(Encoding.DER))
        )
        assert answer.response_status == ocsp.OCSPResponseStatus.SUCCESSFUL
        assert answer.serial_number == subject.serial_number
        key = self.authority.public_key()
        assert isinstance(key, EllipticCurvePublicKey)
        key.verify(answer.signature, answer.tbs_response_bytes, ECDSA(SHA256()))
        if answer.certificate_status != ocsp.OCSPCertStatus.REVOKED:
            return answer.certificate_status.name.lower()
        return "revoked" if answer.revocation_reason is None else answer.revocation_reason.value

    def list(self, file: str) -> x509.CertificateRevocationList:
        crl = x509.load_der_x509_crl(fetch(self.server, f"/crl/{self.authority_id}/{file}"))
        assert crl.is_signature_valid(self.authority.public_key())  # type: ignore[arg-type]
        return crl

    def lists_of(self, certificate: dict[str, Any]) -> list[str]:
        serial = int(certificate["serial_number"], 16)
        return ["full.crl", f"{serial % 128}.crl"]

    def listed(self, certificate: dict[str, Any]) -> list[bool]:
        """Returns whether the full list and the shard have the certificate."""
        serial = int(certificate["serial_number"], 16)
        lists = map(self.list, self.lists_of(certificate))
        return [crl.get_revoked_certificate_by_serial_number(serial) is not None for crl in lists]

    def numbers(self, certificates: list[dict[str, Any]]) -> dict[str, int]:
        files = {file for certificate in certificates for file in self.lists_of(certificate)}
        return {
            f: self.list(f).extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
            for f in files
        }


def settled(api: Api) -> None:
    eventually(
        "everything settles",
        lambda: api.total("pending_revocation") + api.total("pending_reactivation") == 0,
    )


@dataclass
class Stopped:
    """A stopped server with some certificates, and a backup of it."""

    server: Server
    backup: Path
    certificates: list[dict[str, Any]]


@pytest.fixture
def stopped(server: Server, api: Api, csr: str) -> Stopped:
    certificates = [api.issue(csr).result for _ in range(3)]
    api.revoke(certificates[0]["id"])
    settled(api)
    backup = back_up(server)
    certificates.append(api.issue(csr).result)
    server.stop()
    return Stopped(server, backup, certificates)


class Story:
    """The changes around a backup: holds, permanent revocations, restorations and later issues."""

    def __init__(self, server: Server, csr: str) -> None:
        self.server = server
        with talking(server) as api:
            self.points = Points(server, api)
            self.edge = self.points.register("edge", 3600)
            names = ("held", "dead", "freed", "reheld", "untouched", "held before")
            self.certificates = {name: api.issue(csr).result for name in names}
            for name in ("freed", "reheld", "held before"):
                api.revoke(self.id(name))
            self.known = self.points.changes(0)["epoch"]
            self.points.acknowledge(self.edge, self.known)
            settled(api)
            self.backup = back_up(server)
            self.change(api, "held")
            self.between = self.points.changes(self.known)["epoch"]
            self.change(api, "dead", "keyCompromise")
            assert api.restore(self.id("freed")).status == 200
            assert api.restore(self.id("reheld")).status == 200
            self.change(api, "reheld", "superseded")
            for name, reason in (("lost", None), ("lost for good", "keyCompromise")):
                self.certificates[name] = api.issue(csr).result
                self.change(api, name, reason)
            self.certificates["lost and free"] = api.issue(csr).result
            self.change(api, "lost and free")
            assert api.restore(self.id("lost and free")).status == 200
            self.last = self.points.changes(self.between)["epoch"]
            self.points.acknowledge(self.edge, self.last)
            settled(api)
            self.verifier = Verifier(server, api)
            self.numbers = self.verifier.numbers(list(self.certificates.values()))
            self.said_before = self.said()
        server.stop()

    EXPECTED = {
        "held": "certificateHold",
        "dead": "keyCompromise",
        "freed": "good",
        "reheld": "superseded",
        "untouched": "good",
        "held before": "certificateHold",
        "lost": "certificateHold",
        "lost for good": "keyCompromise",
    }

    def id(self, name: str) -> str:
        return self.certificates[name]["id"]

    def change(self, api: Api, name: str, reason: str | None = None) -> None:
        body = {"reason": reason} if reason else None
        answer = api.call("DELETE", f"{api.certificates}/{self.id(name)}", body)
        assert answer.status == 200, answer.text

    def said(self) -> dict[str, str]:
        """Returns the OCSP status of each certificate."""
        return {
            name: self.verifier.ocsp(certificate) for name, certificate in self.certificates.items()
        }

    def assert_kept(self) -> None:
        """Asserts the OCSP statuses now, and the lists after they are made."""
        said = self.said()
        assert {name: said[name] for name in self.EXPECTED} == self.EXPECTED
        # The certificate is unknown or good, but not revoked.
        assert said["lost and free"] in ("good", "unknown")
        revoked = {name for name, status in self.EXPECTED.items() if status != "good"}

        def lists() -> bool:
            certificates = self.certificates.items()
            return all(
                self.verifier.listed(made) == [name in revoked] * 2 for name, made in certificates
            )

        eventually("the lists say it", lists)
        for name in ("held", "dead", "freed", "reheld", "lost", "lost for good"):
            for file, number in self.verifier.numbers([self.certificates[name]]).items():
                assert number > self.numbers[file], (
                    f"{name}: {file} has a number that was given before"
                )


@pytest.fixture
def story(server: Server, csr: str) -> Story:
    story = Story(server, csr)
    assert {name: story.said_before[name] for name in Story.EXPECTED} == Story.EXPECTED
    return story


def field(line: str, name: str) -> int:
    found = re.search(rf"\b{name}=(\d+)", line)
    assert found, line
    return int(found[1])


def told_since(server: Server, before: int) -> list[str]:
    """Returns the WARN and ERROR lines after the first `before` characters of the log."""
    return [
        line for line in server.log[before:].splitlines() if re.search(r"\s(WARN|ERROR)\s", line)
    ]


def changes_now(points: Points, after: int) -> Any:
    return points.api.call("GET", f"{points.base}/revocation_changes?after={after}&wait_seconds=0")
