"""A clock that is wrong, or set while the server runs."""

from __future__ import annotations

import sqlite3
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from kit.clock import Clock
from kit.harness import Api, MakeServer, Server, eventually

# The code for a CA that is not valid now.
NOT_VALID = 1442

LISTS = ["full.crl", "ca.crl", "0.crl", "127.crl"]

# Where the clock is while a CA is made and used, and where it is set to afterwards.
STEPS = [("+0", "+8d"), ("+0", "+3y"), ("+3h", "+0"), ("+400d", "+0"), ("+0", "-10y")]


class Wrong:
    """A server with a clock, and a client of it."""

    def __init__(self, server: Server, csr: str) -> None:
        self.server, self.csr = server, csr
        self.clock = Clock(server)
        self.offset = timedelta()

    def start(self, offset: str) -> None:
        self.set(offset)
        self.server.start()
        self.api: Api = self.server.api()

    def stop(self) -> None:
        self.api.close()
        self.server.stop()

    def set(self, offset: str) -> None:
        units = {"h": timedelta(hours=1), "d": timedelta(days=1), "y": timedelta(days=365)}
        self.offset = int(offset.rstrip("hdy")) * units.get(offset[-1], timedelta())
        self.clock.set(offset)

    @property
    def now(self) -> datetime:
        return datetime.now(UTC) + self.offset

    def fetch(self, path: str, body: bytes | None = None) -> bytes:
        url = f"http://127.0.0.1:{self.server.public_port}{path}"
        with urllib.request.urlopen(urllib.request.Request(url, body), timeout=30) as answer:
            return answer.read()

    def issue(self) -> dict[str, Any]:
        return self.api.issue(self.csr).result

    def published(self, authority: str) -> None:
        """Waits for the lists of a new CA."""
        select = "SELECT count(*) FROM crl_states WHERE made_epoch < 0"

        def is_published() -> bool:
            with closing(sqlite3.connect(f"file:{self.server.database}?mode=ro", uri=True)) as it:
                return it.execute(select).fetchone() == (0,)

        eventually(f"the lists of {authority} are published", is_published)

    def check(self, authority: str, *certificates: tuple[dict[str, Any], str]) -> None:
        """Checks everything that a verifier gets, at the first request after a step."""
        ca = x509.load_der_x509_certificate(self.fetch(f"/ca/{authority}.crt"))
        is_valid = ca.not_valid_before_utc <= self.now < ca.not_valid_after_utc
        for file in LISTS:
            crl = x509.load_der_x509_crl(self.fetch(f"/crl/{authority}/{file}"))
            assert crl.is_signature_valid(ca.public_key())  # type: ignore[arg-type]
            assert crl.next_update_utc is not None
            if is_valid:
                assert crl.last_update_utc <= self.now < crl.next_update_utc, file
        assert self.fetch(f"/crl/{authority}/bundle.pem").count(b"BEGIN X509 CRL") == 129
        for certificate, status in certificates:
            leaf = x509.load_pem_x509_certificate(certificate["certificate"].encode())
            asked = ocsp.OCSPRequestBuilder().add_certificate(leaf, ca, SHA1()).build()
            told = ocsp.load_der_ocsp_response(self.fetch("/ocsp", asked.public_bytes(Encoding.DER)))
            if is_valid:
                assert told.certificate_status.name == status
            else:
                assert told.response_status is ocsp.OCSPResponseStatus.TRY_LATER
        answer = self.api.issue(self.csr)
        if is_valid:
            issued = x509.load_pem_x509_certificate(answer.result["certificate"].encode())
            assert ca.not_valid_before_utc <= issued.not_valid_before_utc
        else:
            assert answer.status == 400 and answer.error["code"] == NOT_VALID, answer.text


@pytest.fixture
def wrong(make_server: MakeServer, csr: str) -> Iterator[Wrong]:
    wrong = Wrong(make_server(start=False), csr)
    yield wrong
    wrong.api.close()


@pytest.mark.parametrize(("before", "after"), STEPS)
def test_a_step_of_the_clock_leaves_every_answer_correct(
    wrong: Wrong, before: str, after: str
) -> None:
    wrong.start(before)
    good, revoked = wrong.issue(), wrong.issue()
    authority = good["certificate_authority"]["id"]
    wrong.published(authority)
    wrong.api.revoke(revoked["id"])
    wrong.api.settled(revoked["id"], "revoked")
    statuses = ((good, "GOOD"), (revoked, "REVOKED"))
    wrong.check(authority, *statuses)

    # While the server runs.
    wrong.set(after)
    wrong.check(authority, *statuses)
    eventually("the step is logged", lambda: "the clock was set" in wrong.server.log)
    # After a restart.
    wrong.stop()
    wrong.start(after)
    wrong.check(authority, *statuses)
    wrong.set("+0")
    wrong.check(authority, *statuses)


def test_lists_are_renewed_after_a_step_without_a_request(wrong: Wrong) -> None:
    wrong.start("+0")
    wrong.published(wrong.issue()["certificate_authority"]["id"])
    wrong.set("+8d")

    def are_current() -> bool:
        with closing(sqlite3.connect(f"file:{wrong.server.database}?mode=ro", uri=True)) as it:
            (first,) = it.execute("SELECT min(next_update) FROM crl_states").fetchone()
        return first > wrong.now.timestamp() * 1e6

    eventually("every list is renewed", are_current)


def test_a_rotation_replaces_a_ca_from_the_future(wrong: Wrong) -> None:
    wrong.start("+400d")
    old = wrong.issue()
    authority = old["certificate_authority"]["id"]
    wrong.published(authority)
    wrong.set("+0")
    refused = wrong.api.issue(wrong.csr)
    assert (refused.status, refused.error["code"]) == (400, NOT_VALID)
    account = wrong.server.made["account_id"]
    rotate = f"/certgate/v1/accounts/{account}/managed_authorities/rotate"
    new = wrong.api.call("POST", rotate, {}).result["id"]
    assert wrong.issue()["certificate_authority"]["id"] == new
    wrong.published(new)
    wrong.check(new)
    # The list of the old CA cannot be signed now, so its changes stay pending.
    assert wrong.api.revoke(old["id"]).result["status"] == "pending_revocation"
    later = wrong.issue()
    wrong.api.revoke(later["id"])
    wrong.api.settled(later["id"], "revoked")
    assert wrong.api.get(old["id"]).result["status"] == "pending_revocation"
    wrong.set("+400d")
    wrong.api.settled(old["id"], "revoked")


def test_a_clock_far_back_gives_a_clear_message(wrong: Wrong, tmp_path: Path) -> None:
    wrong.start("+0")
    wrong.issue()
    wrong.stop()
    wrong.start("-10y")
    refused = wrong.api.issue(wrong.csr)
    assert (refused.status, refused.error["code"]) == (400, NOT_VALID)
    message = refused.error["message"]
    assert "clock" in message and f"{wrong.now.year}-" in message, message
