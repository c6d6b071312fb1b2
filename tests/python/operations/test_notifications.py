"""Notifications: the webhook, its order, its retries, and hostile receivers."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import shlex
import ssl
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kit.clock import Clock
from kit.enrolment import TlsFiles
from kit.harness import Api, MakeServer, Server, certgate, eventually
from kit.metrics import Metrics
from kit.pages import commands
from kit.receiver import OK, Received, Webhook, new_secret, status, verifier

# The number of events in a backlog.
BACKLOG = 2_000


@pytest.fixture
def webhook(tmp_path: Path) -> Iterator[Webhook]:
    made = Webhook(tmp_path)
    yield made
    made.receiver.close()


def signature(secret: str, request: Received) -> str:
    """The signature as the Standard Webhooks specification describes it."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    headers = request.headers
    text = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + request.body
    return "v1," + base64.b64encode(hmac.new(key, text, hashlib.sha256).digest()).decode()


def without_secrets(server: Server, *secrets: str) -> None:
    for secret in ("s3cret-path", *secrets):
        assert secret not in server.log, server.log


def change(api: Api, csr: str) -> tuple[str, list[str]]:
    """Issues, revokes and restores a certificate; returns its ID and the types of its events."""
    made = api.issue(csr).result["id"]
    assert api.revoke(made).status == 200
    api.settled(made, "revoked")
    assert api.restore(made).status == 200
    return made, ["certificate.issued", "certificate.revoked", "certificate.restored"]


def test_a_webhook_gets_each_change_signed_and_in_order(
    make_server: MakeServer, webhook: Webhook, csr: str
) -> None:
    server = make_server()
    before = server.api().issue(csr).result["id"]
    server.stop()
    server.flags += webhook.flags
    server.start()
    api = server.api()
    made, types = change(api, csr)
    requests = webhook.receiver.wait(3)
    assert [one.type for one in requests] == types
    assert {one.certificate for one in requests} == {made} and before != made
    verify = verifier()
    for one in requests:
        assert one.headers["webhook-signature"] == signature(webhook.secret, one)
        assert abs(int(one.headers["webhook-timestamp"]) - time.time()) < 60
        assert one.headers["content-type"] == "application/json"
        assert verify(webhook.secret, one.headers, one.body) == one.document
        with pytest.raises(ValueError):
            verify(webhook.secret, one.headers, one.body + b" ")
        with pytest.raises(ValueError):
            verify(new_secret(), one.headers, one.body)
        old = one.headers | {"webhook-timestamp": "1700000000"}
        with pytest.raises(ValueError):
            verify(webhook.secret, old, one.body)
        for wrong in ({}, {"webhook-signature": "v1,\u00e9"}):
            with pytest.raises(ValueError):
                verify(webhook.secret, (one.headers if wrong else {}) | wrong, one.body)
        assert one.line == "POST /hook?key=s3cret-path HTTP/1.1"
    revoked = requests[1].document
    certificate = api.get(made).result
    data = revoked["data"]
    assert data["event_id"] == requests[1].id
    assert data["account_id"] == server.made["account_id"]
    assert data["zone"] == {"id": server.zone_id, "name": "example.com"}
    assert data["reason"] == "certificateHold" and data["actor"]["type"] == "token"
    assert data["certificate"]["common_name"] == "device-1"
    assert data["certificate"]["expires_on"] == certificate["expires_on"]
    assert data["certificate"]["fingerprint_sha256"] == certificate["fingerprint_sha256"]
    # A restart sends no event again, and does not count an ended idle connection as a failure.
    server.stop()
    server.start()
    other = server.api().issue(csr).result["id"]
    assert [one.certificate for one in webhook.receiver.wait(4)] == [made, made, made, other]
    without_secrets(server, webhook.secret)


def test_a_failing_receiver_gets_everything_later_and_in_order(
    make_server: MakeServer, webhook: Webhook, csr: str
) -> None:
    failures = iter([status("503 Service Unavailable", "Retry-After: 2"), status("500 No"), None])
    webhook.receiver.answer = lambda _: next(failures, OK)
    server = make_server(*webhook.flags)
    api = server.api()
    issued = [api.issue(csr).result["id"] for _ in range(5)]
    requests = webhook.receiver.wait(8)
    assert [one.certificate for one in requests] == [issued[0]] * 3 + issued
    assert len({one.id for one in requests}) == 5
    first, second = (int(one.headers["webhook-timestamp"]) for one in requests[:2])
    assert second - first >= 2
    assert "answers 503" in server.log
    eventually("the end of the failure", lambda: "delivered again" in server.log)


def test_nothing_is_lost_by_kills(make_server: MakeServer, webhook: Webhook, csr: str) -> None:
    server = make_server(*webhook.flags)
    issued: list[str] = []
    for round in range(4):
        failing = round % 2 == 1
        webhook.receiver.answer = lambda _, failing=failing: status("502 No") if failing else OK
        api = server.api()
        issued += [api.issue(csr).result["id"] for _ in range(50)]
        server.kill()
        server.start()
    webhook.receiver.answer = lambda _: OK
    asked: dict[str, list[str]] = {}

    def everything() -> bool:
        asked.clear()
        for one in list(webhook.receiver.requests):
            asked.setdefault(one.certificate, []).append(one.id)
        return len(asked) == len(issued)

    eventually("every certificate", everything)
    # The first delivery of each is in the order of issuing, and a repetition has the same ID.
    assert list(asked) == issued
    assert all(len(set(ids)) == 1 for ids in asked.values())


def endless() -> Iterator[bytes]:
    yield b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    while True:
        yield b"10000\r\n" + b"x" * 65_536 + b"\r\n"


def slow() -> Iterator[bytes]:
    yield b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nx"
    time.sleep(5)


def large_head() -> Iterator[bytes]:
    yield b"HTTP/1.1 200 OK\r\n"
    for number in range(1_000):
        yield b"x-%d: " % number + b"x" * 1_000 + b"\r\n"
    yield b"\r\n"


def test_hostile_answers_do_no_harm(make_server: MakeServer, webhook: Webhook, csr: str) -> None:
    server = make_server(*webhook.flags)
    api = server.api()
    # The status counts, and the rest of an answer is not needed.
    for answer in (endless, slow):
        before = len(webhook.receiver.requests)
        webhook.receiver.answer = lambda _, answer=answer: answer()
        issued = [api.issue(csr).result["id"] for _ in range(2)]
        requests = webhook.receiver.wait(before + 2)
        assert [one.certificate for one in requests[before:]] == issued
    # The server counts none of these as a delivery, and follows no redirect.
    elsewhere = Webhook(webhook.file.parent)
    location = f"Location: {elsewhere.receiver.url}"
    bad = iter(
        [
            status("302 Found", location),
            status("307 Temporary Redirect", location),
            large_head(),
            b"not HTTP\r\n\r\n",
            b"HTTP/1.1 999999 X\r\n\r\n",
        ]
    )
    before = len(webhook.receiver.requests)
    webhook.receiver.answer = lambda _: next(bad, OK)
    made = api.issue(csr).result["id"]
    requests = webhook.receiver.wait(before + 6, patience=60)
    assert {one.certificate for one in requests[before:]} == {made}
    assert elsewhere.receiver.requests == []
    elsewhere.receiver.close()
    without_secrets(server, webhook.secret)


def test_a_dead_receiver_delays_nothing(
    make_server: MakeServer, webhook: Webhook, csr: str
) -> None:
    hold: list[Any] = []

    def never(_: Received) -> Iterator[bytes]:
        hold.append(None)
        time.sleep(60)
        yield OK

    webhook.receiver.answer = never
    server = make_server(*webhook.flags)
    api = server.api()
    api.issue(csr)
    eventually("an attempt", lambda: hold)
    begun = time.monotonic()
    made, _ = change(api, csr)
    assert time.monotonic() - begun < 5
    begun = time.monotonic()
    server.stop()
    assert time.monotonic() - begun < 5
    assert made


def test_a_backlog_is_delivered_in_order(
    make_server: MakeServer, webhook: Webhook, csr: str
) -> None:
    webhook.receiver.answer = lambda _: status("503 Later")
    server = make_server(*webhook.flags)
    api = server.api()
    issued = [api.issue(csr).result["id"] for _ in range(BACKLOG)]
    tries = len(webhook.receiver.requests)
    assert tries < 50
    server.stop()
    webhook.receiver.requests.clear()
    webhook.receiver.answer = lambda _: OK
    server.start()
    requests = webhook.receiver.wait(BACKLOG, patience=120)
    assert [one.certificate for one in requests] == issued


def test_https_is_verified(make_server: MakeServer, tmp_path: Path, csr: str) -> None:
    tls = TlsFiles(tmp_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tls.certificate, tls.key)
    webhook = Webhook(tmp_path, context)
    server = make_server(*webhook.flags)
    made = server.api().issue(csr).result["id"]
    eventually("a failure", lambda: "cannot be delivered" in server.log)
    assert webhook.receiver.requests == []
    server.stop()
    server.flags += ["--webhook-ca-file", str(tls.ca)]
    server.start()
    (request,) = webhook.receiver.wait(1)
    assert request.certificate == made
    webhook.receiver.close()


def test_wrong_settings_are_refused_at_the_start(
    make_server: MakeServer, webhook: Webhook, tmp_path: Path
) -> None:
    server = make_server(start=False)
    url, file = "--webhook-url", "--webhook-secret-file"
    good = webhook.flags
    bad = tmp_path / "bad.secret"
    bad.touch(mode=0o600)
    for content, flags, words in [
        ("", (url, "http://hooks.example.com/", file, str(webhook.file)), "use https://"),
        ("", (url, "https://u:s3cret-path@example.com/", *good[2:]), "without user"),
        ("", (url, "https://example.com/s3cret-path"), "needs webhook_secret_file too"),
        ("", good[2:], "needs webhook_url too"),
        ("", (*good[:2], file, str(tmp_path / "none")), "cannot read the file"),
        ("s3cret", (*good[:2], file, str(bad)), "must have whsec_"),
        ("whsec_c2hvcnQ=", (*good[:2], file, str(bad)), "24 to 64 octets"),
        ("\n", (*good[:2], file, str(bad)), "has 0 secrets"),
        ("", (*good, "--webhook-events", "certificate.issued,all"), '"all" is not one of'),
        ("", (*good, "--webhook-ca-file", str(bad)), "https://"),
        ("", ("--notify-expiring-days", "0"), "from 1 to 365"),
        ("", ("--notify-retry-seconds", "9"), "from 10 to"),
    ]:
        bad.write_text(content)
        message = server.refuses_to_start(*flags, status=2)
        assert words in message and "s3cret" not in message, message
    webhook.file.chmod(0o644)
    assert "chmod 600" in server.refuses_to_start(*good, status=2)


def test_only_wanted_types_are_sent(make_server: MakeServer, webhook: Webhook, csr: str) -> None:
    server = make_server(*webhook.flags, "--webhook-events", "certificate.revoked")
    made, _ = change(server.api(), csr)
    other, _ = change(server.api(), csr)
    requests = webhook.receiver.wait(2)
    assert [(one.type, one.certificate) for one in requests] == [
        ("certificate.revoked", made),
        ("certificate.revoked", other),
    ]


def test_each_secret_of_the_file_signs(make_server: MakeServer, webhook: Webhook, csr: str) -> None:
    second = new_secret()
    webhook.file.write_text(f"{webhook.secret}\n\n{second}\n")
    server = make_server(*webhook.flags)
    server.api().issue(csr)
    (request,) = webhook.receiver.wait(1)
    expected = [signature(secret, request) for secret in (webhook.secret, second)]
    assert request.headers["webhook-signature"].split(" ") == expected
    assert verifier()(second, request.headers, request.body) == request.document


def notifications(server: Server, *arguments: str, status: int = 0) -> Any:
    """Runs `certgate notifications`; returns its JSON."""
    done = certgate(
        "notifications", *arguments, "--api", server.url, "-o", "json", CERTGATE_TOKEN=server.token
    )
    assert done.returncode == status, done.stdout + done.stderr
    return json.loads(done.stdout)


def test_events_are_set_aside_listed_and_retried(
    make_server: MakeServer, webhook: Webhook, csr: str
) -> None:
    server = make_server(*webhook.flags)
    api = server.api()
    first = api.issue(csr).result["id"]
    webhook.receiver.wait(1)
    refused: list[str] = []

    def answer(request: Received) -> bytes:
        # Stores the ID before the response of the API has it.
        refused.append(request.certificate)
        return status("422 Unprocessable Content") if request.certificate == refused[0] else OK

    webhook.receiver.answer = answer
    wrong = api.issue(csr).result["id"]
    later = api.issue(csr).result["id"]

    def delivered() -> list[str]:
        return [one.certificate for one in webhook.receiver.requests if one.type != "test"]

    eventually("the later event", lambda: later in delivered(), patience=60)
    assert delivered().count(later) == 1 and refused[0] == wrong and delivered().count(wrong) > 2
    (listed,) = notifications(server, "undelivered")
    assert (listed["object_id"], listed["type"]) == (wrong, "certificate.issued")
    assert listed["error"] == "the receiver answers 422 Unprocessable Entity"
    (state,) = notifications(server)
    assert state["address"] == f"http://127.0.0.1:{webhook.receiver.port}"
    assert (state["undelivered"], state["backlog"], state["failing_since"]) == (1, 0, None)
    shown = certgate("status", "--api", server.url, CERTGATE_TOKEN=server.token)
    assert shown.returncode == 5, shown.stderr
    line = next(line for line in shown.stdout.splitlines() if "notifications" in line)
    words = "yellow notifications webhook: up to date, 1 undelivered: see `certgate notifications`"
    assert line.split() == words.split()
    # One more attempt fails, and the event stays in the list.
    tries = delivered().count(wrong)
    assert notifications(server, "retry") == {"events": 1}
    eventually("one more attempt", lambda: delivered().count(wrong) == tries + 1)
    eventually("its end", lambda: not notifications(server, "undelivered")[0]["is_retried"])
    webhook.receiver.answer = lambda _: OK
    assert notifications(server, "retry") == {"events": 1}
    eventually("an empty list", lambda: notifications(server, "undelivered") == [])
    ids = {one.id for one in webhook.receiver.requests if wrong in one.body.decode()}
    assert ids == {listed["event_id"]}
    (state,) = notifications(server)
    assert state["undelivered"] == 0 and state["delivered"] == len(set(delivered()))
    assert first in delivered() and "set aside as undelivered" in server.log
    metrics = Metrics(server).values
    of = '{destination="webhook"}'
    assert metrics[f"certgate_notifications_delivered_total{of}"] == state["delivered"]
    assert metrics[f"certgate_notification_failures_total{of}"] >= 3


def test_a_test_shows_what_is_wrong(make_server: MakeServer, webhook: Webhook) -> None:
    server = make_server(*webhook.flags)
    (tested,) = notifications(server, "test")
    assert (tested["destination"], tested["delivered"], tested["error"]) == ("webhook", True, None)
    (request,) = webhook.receiver.requests
    assert (request.type, request.id) == ("test", tested["event_id"])
    assert verifier()(webhook.secret, request.headers, request.body) == request.document
    webhook.receiver.close()
    (tested,) = notifications(server, "test", status=1)
    assert not tested["delivered"] and tested["error"].startswith("cannot connect")
    plain = certgate("notifications", "--api", server.url, CERTGATE_TOKEN=server.token)
    assert "up to date" in plain.stdout and "s3cret" not in plain.stdout
    without_secrets(server, webhook.secret)


def test_without_destinations_nothing_is_sent_or_listed(server: Server) -> None:
    assert notifications(server) == [] and notifications(server, "test") == []
    plain = certgate("notifications", "--api", server.url, CERTGATE_TOKEN=server.token)
    assert "set webhook_url" in plain.stderr + plain.stdout


def test_conditions_are_reported_once(make_server: MakeServer, webhook: Webhook, csr: str) -> None:
    server = make_server(*webhook.flags, "--notify-expiring-days", "20")
    api = server.api()
    point = f"/certgate/v1/accounts/{server.made['account_id']}/enforcement_points"
    assert api.call("POST", point, {"name": "edge-1", "lease_seconds": 5}).status == 200
    # In the last third of its lifetime or not, revoked, and far from its end.
    near = api.issue(csr, days=2).result["id"]
    revoked = api.issue(csr, days=2).result["id"]
    api.revoke(revoked)
    api.issue(csr, days=365)

    def conditions() -> list[Received]:
        kinds = ("certificates.expiring", "enforcement_point.silent")
        return [one for one in webhook.receiver.requests if one.type in kinds]

    eventually("a silent point", conditions, patience=90)
    (silent,) = conditions()
    data = silent.document["data"]
    assert data["enforcement_point"]["name"] == "edge-1"
    assert data["account_id"] == server.made["account_id"]
    server.stop()
    # Two thirds of the two days have passed.
    Clock(server).set("+34h")
    server.start()
    eventually("expiring certificates", lambda: len(conditions()) > 1, patience=90)
    data = conditions()[1].document["data"]
    assert (data["count"], [one["id"] for one in data["certificates"]]) == (1, [near])
    assert data["zone"]["name"] == "example.com"
    server.stop()
    server.start()
    # A look reports another point after all that was found before, which is not reported again.
    assert server.api().call("POST", point, {"name": "edge-2", "lease_seconds": 5}).status == 200
    eventually("another silent point", lambda: len(conditions()) > 2, patience=90)
    assert conditions()[2].document["data"]["enforcement_point"]["name"] == "edge-2"
    assert len(conditions()) == 3


def test_the_commands_of_the_page_start_a_server_with_both(
    make_server: MakeServer, tmp_path: Path
) -> None:
    """docs/notifications.md"""
    webhook, email = commands("docs/notifications.md")
    secret, webhook = webhook.split("\n", 1)
    subprocess.run(["bash", "-ec", secret], cwd=tmp_path, check=True)
    password = tmp_path / "smtp.password"
    password.touch(0o600)
    password.write_text("secret")
    flags = []
    for block in (webhook, email):
        program, serve, *words = shlex.split(block.replace("\\\n", " "))
        assert (program, serve) == ("certgate", "serve")
        files = (tmp_path / word for word in words)
        flags += [str(f) if f.is_file() else word for f, word in zip(files, words, strict=True)]
    server = make_server()
    server.stop()
    server.flags += flags
    server.start()
    shown = server.api().call("GET", "/certgate/v1/notifications").result
    addresses = {one["name"]: one["address"] for one in shown}
    assert addresses == {
        "webhook": "https://hooks.example.com",
        "email": "smtp://mail.example.com:587",
    }
