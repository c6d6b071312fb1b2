"""SIGKILL at random instants: answered changes persist, and the counters are exact."""

from __future__ import annotations

import os
import random
import threading
import time
from collections import Counter
from typing import Any

import pytest

from kit.crash import Certificate, Client, verify
from kit.harness import MakeServer, Server, eventually

ROUNDS = 50

# Enough clients for transactions with several kinds of requests.
CLIENTS = 8

# The longest time of a round before the kill, in seconds.
LOAD_SECONDS_MAX = 0.4

# How often a first start is killed, within the time that a whole one took here and now.
FIRST_STARTS = 30

# The seed. A failure prints it, and CERTGATE_TEST_SEED=… repeats the run.
SEED = int(os.environ.get("CERTGATE_TEST_SEED") or random.SystemRandom().getrandbits(32))


@pytest.fixture(params=["embedded", "postgresql"])
def make_any(request: pytest.FixtureRequest) -> MakeServer:
    """Makes servers on either store; on PostgreSQL each has a database of its own."""
    if request.param == "embedded":
        return request.getfixturevalue("make_server")
    postgres, make_node = request.getfixturevalue("postgres"), request.getfixturevalue("make_node")

    def make(name: str = "data", init: Any = None, start: bool = True) -> Server:
        return make_node(postgres.url(postgres.database()), start=start)

    return make


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
        # In every other round, the server opens the database before `check` does.
        if chance.random() < 0.5:
            server.is_intact()
        server.outlive_leases()
        server.start()
        verify(server, owned, unanswered)
        server.kill()
        server.outlive_leases()
        server.is_intact()
    server.secrets_are_kept()
    print(f"answered: {dict(answers)}, issues cut off: {cut_off}")
    assert min(answers[kind] for kind in ("issue", "revoke", "restore")) > ROUNDS, (
        "too little happened to mean anything"
    )


def test_a_start_does_not_wait_for_pending_changes(make_any: MakeServer, csr: str) -> None:
    """The next process settles a durable change that was pending at the kill."""
    server = make_any()
    api = server.api()
    ids = [api.issue(csr).result["id"] for _ in range(20)]
    for identity in ids:
        api.revoke(identity)
    api.close()
    server.kill()
    server.outlive_leases()
    started = time.monotonic()
    server.start()
    assert time.monotonic() - started < 5
    api = server.api()
    eventually("everything settles", lambda: api.total("revoked") == len(ids))
    api.close()


def test_kills_during_the_first_start_do_not_stop_the_next(make_any: MakeServer, csr: str) -> None:
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
        server.is_intact()
    assert 0 < made_before_kill, "every kill came before there was anything"
