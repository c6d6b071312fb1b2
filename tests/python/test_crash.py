"""kill -9 at random instants: what was answered is there, nothing is half done, the counters are exact."""

from __future__ import annotations

import http.client
import os
import random
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import pytest

from conftest import MakeServer
from harness import Api, Server, eventually

ROUNDS = 50

# Enough that the group commit has several requests of different kinds in one transaction.
CLIENTS = 8

# The longest that a round runs before the kill.
LOAD_SECONDS_MAX = 0.4

# How often a first start is killed, within the time that a whole one took here and now.
FIRST_STARTS = 30

# What a failure prints, and what repeats its choices: CERTGATE_TEST_SEED=…
SEED = int(os.environ.get("CERTGATE_TEST_SEED") or random.SystemRandom().getrandbits(32))

STATUSES = ("active", "pending_reactivation", "pending_revocation", "revoked")

# The statuses of a certificate after its last change, before and after that has settled.
REVOKED = {"pending_revocation", "revoked"}
RESTORED = {"pending_reactivation", "active"}


@pytest.fixture(params=["embedded", "postgresql"])
def make_any(request: pytest.FixtureRequest) -> MakeServer:
    """Makes servers on either store; on PostgreSQL each has a database of its own."""
    if request.param == "embedded":
        return request.getfixturevalue("make_server")
    postgres, make_node = request.getfixturevalue("postgres"), request.getfixturevalue("make_node")

    def make(name: str = "data", init: Any = None, start: bool = True) -> Server:
        return make_node(postgres.url(postgres.database()), start=start)

    return make


@dataclass
class Certificate:
    """What is known about a certificate from answers."""

    answered: dict[str, Any]
    statuses: set[str] = field(default_factory=lambda: {"active"})


class Client(threading.Thread):
    """Works on certificates that nobody else touches, so that their order of events is known, until the server dies."""

    def __init__(self, server: Server, csr: str, own: list[Certificate], seed: int) -> None:
        super().__init__()
        self.server, self.csr, self.own, self.random = server, csr, own, random.Random(seed)
        self.answers: Counter[str] = Counter()
        self.unanswered_issues = 0
        self.failure: BaseException | None = None

    def run(self) -> None:
        api = self.server.api()
        try:
            while True:
                self.step(api)
        except (OSError, http.client.HTTPException):
            pass  # The server is dead; what was under way has been noted.
        except BaseException as failure:
            self.failure = failure
        finally:
            api.close()

    def step(self, api: Api) -> None:
        if not self.own or self.random.random() < 0.4:
            self.unanswered_issues += 1
            answer = api.issue(self.csr)
            self.unanswered_issues -= 1
            self.own.append(Certificate(answer.result))
            self.answers["issue"] += 1
            return
        # Mostly the newest ones, where several changes meet in one block of the counters.
        certificate = self.own[-1 - min(int(self.random.expovariate(0.2)), len(self.own) - 1)]
        before = certificate.statuses
        change, after = (api.restore, RESTORED) if before <= REVOKED else (api.revoke, REVOKED)
        certificate.statuses = before | after
        answer = change(certificate.answered["id"])
        assert answer.result["status"] in after, answer.text
        certificate.statuses = after
        self.answers["revoke" if after is REVOKED else "restore"] += 1


def body(certificate: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in certificate.items() if name != "status"}


def verify(server: Server, owned: list[list[Certificate]], unanswered_issues: int) -> None:
    """Compares the whole list with what was answered, and learns what became of the rest."""
    api = server.api()
    eventually("everything settles", lambda: sum(map(api.total, STATUSES[1:3])) == 0)
    every = api.every()
    found = {certificate["id"]: certificate for certificate in every}
    assert len(found) == len(every) == api.total(), "a certificate is listed twice or not counted"
    assert len({certificate["serial_number"] for certificate in every}) == len(every)
    counted = Counter(certificate["status"] for certificate in every)
    assert {status: api.total(status) for status in STATUSES} == {status: counted[status] for status in STATUSES}
    for status in STATUSES:
        listed = [certificate["id"] for certificate in api.every(status)]
        assert listed == [certificate["id"] for certificate in every if certificate["status"] == status]
    api.close()
    for certificate in (certificate for own in owned for certificate in own):
        identity = certificate.answered["id"]
        assert identity in found, f"{identity} was answered and is lost"
        now = found.pop(identity)
        assert body(now) == body(certificate.answered), f"{identity} has changed"
        assert now["status"] in certificate.statuses, f"{identity}: {now['status']}, not in {certificate.statuses}"
        certificate.statuses = {now["status"]}
    assert len(found) <= unanswered_issues, f"{len(found)} certificates that nobody asked for"
    owned[0] += [Certificate(certificate, {certificate["status"]}) for certificate in found.values()]


def test_fifty_kills_lose_nothing(make_any: MakeServer, csr: str) -> None:
    print(f"CERTGATE_TEST_SEED={SEED}")
    chance = random.Random(SEED)
    server = make_any(start=False)
    owned: list[list[Certificate]] = [[] for _ in range(CLIENTS)]
    answers: Counter[str] = Counter()
    cut_off = 0
    for number in range(ROUNDS):
        server.start()
        clients = [Client(server, csr, own, chance.getrandbits(32)) for own in owned]
        for client in clients:
            client.start()
        threading.Event().wait(chance.uniform(0, LOAD_SECONDS_MAX))
        server.kill()
        for client in clients:
            client.join()
            assert client.failure is None, f"round {number}: {client.failure!r}"
            answers += client.answers
        unanswered = sum(client.unanswered_issues for client in clients)
        cut_off += unanswered
        # Every other time the server itself is the first to open what was left behind.
        if chance.random() < 0.5:
            server.is_whole()
        server.outlive_duties()
        server.start()
        verify(server, owned, unanswered)
        server.kill()
        server.outlive_duties()
        server.is_whole()
    server.secrets_are_kept()
    print(f"answered: {dict(answers)}, issues cut off: {cut_off}")
    assert min(answers[kind] for kind in ("issue", "revoke", "restore")) > ROUNDS, (
        "too little happened to mean anything"
    )


def test_start_up_does_not_wait_for_what_is_pending(make_any: MakeServer, csr: str) -> None:
    """A change that was durable and not yet settled at the kill is settled by the next process."""
    server = make_any()
    api = server.api()
    ids = [api.issue(csr).result["id"] for _ in range(20)]
    for identity in ids:
        api.revoke(identity)
    api.close()
    server.kill()
    server.outlive_duties()
    started = time.monotonic()
    server.start()
    assert time.monotonic() - started < 5
    api = server.api()
    eventually("everything settles", lambda: api.total("revoked") == len(ids))
    api.close()


def test_kills_during_the_first_start_leave_nothing_in_the_way_of_the_next(make_any: MakeServer, csr: str) -> None:
    print(f"CERTGATE_TEST_SEED={SEED}")
    chance = random.Random(SEED)
    made_before_kill = 0
    begun = time.monotonic()
    make_any(name="first-whole", init=None).kill()
    whole = time.monotonic() - begun
    for number in range(FIRST_STARTS):
        server = make_any(name=f"first-{number}", init=None, start=False)
        server.launch()
        threading.Event().wait(chance.uniform(0, whole))
        server.kill()
        made_before_kill += (server.directory / "client.toml").exists()
        server.start()
        server.adopt()
        api = server.api()
        assert api.issue(csr).status == 200 and api.total() == 1
        api.close()
        server.kill()
        server.is_whole()
    assert 0 < made_before_kill, "every kill came before there was anything"
