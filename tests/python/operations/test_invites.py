"""`certgate invite`, and the use of invites by `certgate enrol` and by any EST client."""

from __future__ import annotations

import csv
import http.client
import io
import json
import math
import random
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from kit.audit import account_log, assert_chained, log
from kit.backups import back_up, restore
from kit.enrolment import ZONE, Enrolment
from kit.harness import FULL_SIZE, MakeServer, certgate, openssl
from kit.invites import connect, csr, one_certificate, redeem

LINKS = "https://invite.example"

# Kills at random instants.
KILLS = 200 if FULL_SIZE else 6
SEED = 18

# The number of kills until one meets the commit of the certificate.
ATTEMPTS = 5


@pytest.fixture
def enrolment(make_server: MakeServer, tmp_path: Path) -> Enrolment:
    place = tmp_path / "server"
    place.mkdir()
    return Enrolment(make_server, place, "--invite-url", LINKS)


def client(enrolment: Enrolment, *arguments: str | Path) -> str:
    """Runs a command of the operator; returns its standard output."""
    server = enrolment.server
    done = certgate(*arguments, "--api", server.url, CERTGATE_TOKEN=server.token)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def invite(enrolment: Enrolment, name: str, *more: str) -> dict[str, Any]:
    return json.loads(client(enrolment, "invite", name, *more, "-o", "json"))


def read(enrolment: Enrolment, made: dict[str, Any]) -> dict[str, Any]:
    path = f"/certgate/v1/zones/{enrolment.server.zone_id}/invites/{made['id']}"
    return enrolment.api.call("GET", path).result


def use(enrolment: Enrolment, made: dict[str, Any], csr: str) -> tuple[int, str]:
    return redeem(connect(enrolment.server, enrolment.tls.ca), ZONE, made, csr)


def enrol(enrolment: Enrolment, out: Path, link: str, status: int = 0) -> str:
    file = out.with_suffix(".invite")
    file.write_text(link + "\n")
    done = certgate(
        *("enrol", "--est", enrolment.url("").rstrip("/"), "--fingerprint", enrolment.pin),
        *("--invite-file", file, "--out", out),
    )
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_an_invite_becomes_a_certificate_that_renews(enrolment: Enrolment, tmp_path: Path) -> None:
    made = invite(enrolment, "laptop-1", "--device", "linux", "--days", "30", "--valid-for", "1h")
    link, out = made["link"], tmp_path / "laptop-1"
    assert link == f"{LINKS}/i/{made['id']}#{made['secret']}"
    assert made["est"] == enrolment.url("").rstrip("/")
    enrol(enrolment, out, link)
    certificate, key = tmp_path / "laptop-1.crt", tmp_path / "laptop-1.key"
    issued = x509.load_pem_x509_certificate(certificate.read_bytes())
    assert issued.subject.rfc4514_string() == "CN=laptop-1"
    assert (issued.not_valid_after_utc - issued.not_valid_before_utc).days == 30
    of_key = openssl("pkey", "-in", key, "-pubout")
    assert openssl("x509", "-in", certificate, "-noout", "-pubkey") == of_key
    listed = read(enrolment, made)
    assert listed["state"] == "used"
    assert listed["client_certificate_ids"] == [enrolment.newest()["id"]]
    # The answer was lost: the same key gets the same certificate, and another key gets none.
    certificate.unlink()
    enrol(enrolment, out, link)
    assert x509.load_pem_x509_certificate(certificate.read_bytes()) == issued
    assert "was used before" in enrol(enrolment, tmp_path / "other", link, status=1)
    done = certgate("renew", certificate, "--within", "1/1")
    assert done.returncode == 0, done.stdout + done.stderr
    renewed = x509.load_pem_x509_certificate(certificate.read_bytes())
    assert renewed.serial_number != issued.serial_number and renewed.subject == issued.subject
    entries = log(enrolment.api, account_log(enrolment.server))
    assert_chained(entries, f"account:{enrolment.server.made['account_id']}")
    kinds = [(entry["action"]["type"], entry["actor"]["type"]) for entry in entries]
    assert ("issue", "invite") in kinds and ("issue", "certificate") in kinds
    assert made["secret"] not in enrolment.server.log
    enrolment.server.stop()
    assert made["secret"].encode() not in enrolment.server.database.read_bytes()
    enrolment.server.is_intact()


def test_the_command_prints_the_link_once(enrolment: Enrolment) -> None:
    printed = client(enrolment, "invite", "anna")
    (link,) = printed.splitlines()
    assert link.startswith(f"{LINKS}/i/")
    identity, secret = link.rpartition("/")[2].split("#")
    listed = client(enrolment, "invite", "list", "--wide")
    assert identity in listed and "anna" in listed and secret not in listed
    (row,) = csv.DictReader(io.StringIO(client(enrolment, "invite", "list", "-o", "csv")))
    assert (row["state"], row["uses"], row["device"]) == ("open", "0/1", "device")
    client(enrolment, "invite", "withdraw", identity)
    (row,) = csv.DictReader(io.StringIO(client(enrolment, "invite", "list", "-o", "csv")))
    assert row["state"] == "withdrawn"
    made = {"id": identity, "secret": secret}
    status, text = use(enrolment, made, csr("anna"))
    assert status == 403 and "was withdrawn" in text
    for wrong in (["invite"], ["invite", "a", "--uses", "0"], ["invite", "a", "--device", "x"]):
        assert certgate(*wrong).returncode == 2, wrong


def test_many_requests_at_once_get_one_certificate(enrolment: Enrolment) -> None:
    made = invite(enrolment, "anna")
    one_certificate([enrolment.server], enrolment.tls.ca, ZONE, made)
    assert enrolment.api.total() == 1
    assert read(enrolment, made)["client_certificate_ids"] == [enrolment.newest()["id"]]


@pytest.mark.parametrize("point", ["BeforeCommit", "Committed", "Journalled", "Answered"])
def test_a_kill_leaves_one_certificate_or_none(
    make_server: MakeServer, tmp_path: Path, point: str
) -> None:
    armed = tmp_path / "fault-point"
    enrolment = Enrolment(make_server, tmp_path)
    # The CA exists, and its lists are published.
    enrolment.device("first")
    made, request = invite(enrolment, "anna"), csr("anna")
    for _ in range(ATTEMPTS):
        enrolment.server.stop()
        enrolment.server.start(FAULT_POINT_FILE=str(armed))
        armed.write_text(f"{point} 1")
        with suppress(OSError, http.client.HTTPException):
            use(enrolment, made, request)
        enrolment.server.aborted()
        armed.unlink()
        enrolment.server.start()
        enrolment.api = enrolment.server.api()
        issued = issued_once(enrolment, made)
        # Another commit may have met the fault.
        if issued or point == "BeforeCommit":
            break
    assert len(issued) == (0 if point == "BeforeCommit" else 1)
    # The client repeats its request.
    assert use(enrolment, made, request)[0] == 200
    now = issued_once(enrolment, made)
    assert len(now) == 1 and issued in ([], now)
    enrolment.server.stop()
    enrolment.server.is_intact()


def issued_once(enrolment: Enrolment, made: dict[str, Any]) -> list[str]:
    """Returns the certificate of an invite, or none. The invite says which."""
    path = f"{enrolment.api.certificates}?common_name={made['name']}"
    issued = [one["id"] for one in enrolment.api.call("GET", path).result]
    shown = read(enrolment, made)
    assert len(issued) <= 1 and shown["client_certificate_ids"] == issued
    assert shown["state"] == ("used" if issued else "open")
    return issued


def test_kills_at_random_instants_leave_one_certificate_or_none(enrolment: Enrolment) -> None:
    drawn = random.Random(SEED)
    enrolment.device("first")
    longest, issued_before = math.inf, 0
    for name in ("second", "third", "fourth"):
        made, request = invite(enrolment, name), csr(name)
        begin = time.monotonic()
        assert use(enrolment, made, request)[0] == 200
        longest = min(longest, time.monotonic() - begin)

    def redeem_once(made: dict[str, Any], request: str) -> None:
        with suppress(OSError, http.client.HTTPException):
            use(enrolment, made, request)

    for number in range(KILLS):
        made, request = invite(enrolment, f"anna-{number}"), csr(f"anna-{number}")
        client = threading.Thread(target=redeem_once, args=(made, request))
        client.start()
        client.join(drawn.random() * longest)
        enrolment.server.kill()
        client.join()
        enrolment.server.start()
        enrolment.api = enrolment.server.api()
        issued = issued_once(enrolment, made)
        issued_before += len(issued)
        assert use(enrolment, made, request)[0] == 200
        now = issued_once(enrolment, made)
        assert len(now) == 1 and issued in ([], now)
    enrolment.server.stop()
    enrolment.server.is_intact()
    print(f"{KILLS} kills, after {issued_before} of which the certificate exists")


def test_a_backup_has_the_invites(enrolment: Enrolment) -> None:
    used, opened = invite(enrolment, "anna"), invite(enrolment, "ben", "--uses", "2")
    assert use(enrolment, used, csr("anna"))[0] == 200
    before = [read(enrolment, one) for one in (used, opened)]
    backup = back_up(enrolment.server)
    # Later uses are lost with the database, as the page about invites says.
    assert use(enrolment, opened, csr("ben"))[0] == 200
    enrolment.server.stop()
    restore(enrolment.server, backup, "--replace")
    enrolment.server.start()
    enrolment.api = enrolment.server.api()
    assert [read(enrolment, one) for one in (used, opened)] == before
    assert use(enrolment, opened, csr("ben"))[0] == 200
    assert use(enrolment, used, csr("anna"))[0] == 403
    enrolment.server.stop()
    enrolment.server.is_intact()
