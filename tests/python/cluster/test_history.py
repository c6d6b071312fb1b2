"""Histories of clients on three nodes that restart are linearizable."""

from __future__ import annotations

import http.client
import random
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable

from kit import fleet
from kit.fleet import NODES, SECONDS, SEED, Fleet
from kit.harness import Answer, Api
from kit.history import (
    EVERY,
    MISSING,
    STATUSES,
    Issued,
    Listed,
    Operation,
    faults_of_lists,
    read,
    stuck,
)
from kit.postgres import MakeNode, Postgres

CLIENTS = 8

# The number of certificates in use, and of operations on each.
SHARED = 3
OPERATIONS = 40

# One page with all certificates, and small pages.
WHOLE, SMALL = 1000, 5


class Record:
    """The requests of all clients, and their answers."""

    def __init__(self) -> None:
        self.operations: defaultdict[str, list[Operation]] = defaultdict(list)
        self.issues: list[Issued] = []
        self.pages: list[Listed] = []
        # The statuses on a page, and of certificates that it omits.
        self.reads: list[tuple[dict[str, str], frozenset[str] | None, float, float]] = []
        self.lock = threading.Lock()

    def chosen(self, chance: random.Random) -> str | None:
        """Returns a certificate to work on, or None to ask for a new one."""
        with self.lock:
            shared = [
                identity for identity, known in self.operations.items() if len(known) < OPERATIONS
            ]
        return chance.choice(shared) if len(shared) >= SHARED else None

    def histories(self) -> dict[str, list[Operation]]:
        """The history of each certificate, with its statuses in lists and unanswered issues."""
        histories = {identity: list(known) for identity, known in self.operations.items()}
        unanswered = [issue.invoked for issue in self.issues if issue.id is None]
        found = {
            identity for statuses, _, _, _ in self.reads for identity in statuses
        } - histories.keys()
        assert len(found) <= len(unanswered), "certificates without a request"
        for identity in found:
            histories[identity] = [Operation("issue", None, min(unanswered))]
        for statuses, others, invoked, answered in self.reads:
            for identity, history in histories.items():
                if outcome := statuses.get(identity, others):
                    history.append(read(outcome, invoked, answered))
        return histories


class Clerk(fleet.Client):
    """A client that records its requests and answers."""

    def __init__(self, nodes: Fleet, csr: str, record: Record, seed: int) -> None:
        super().__init__(nodes, seed)
        self.csr, self.record = csr, record
        self.answers: Counter[str] = Counter()

    def step(self, api: Api) -> None:
        identity = self.record.chosen(self.random)
        if identity is None:
            return self.issue(api)
        what = self.random.choices(
            ["get", "revoke", "restore", "list", "page", "status"], [30, 25, 20, 8, 8, 9]
        )[0]
        match what:
            case "list":
                self.list(api, WHOLE, 1)
            case "page":
                self.list(api, SMALL, self.random.randrange(1, 4))
            case "status":
                self.list_of(api, self.random.choice(sorted(STATUSES)))
            case "get":
                answer, invoked, answered = self.timed(lambda: api.get(identity))
                outcome = MISSING if answer.status == 404 else answer.result["status"]
                self.record.operations[identity].append(read(outcome, invoked, answered))
            case _:
                self.change(api, what, identity)
        self.answers[what] += 1

    def timed(self, call: Callable[[], Answer]) -> tuple[Answer, float, float]:
        invoked = time.monotonic()
        answer = call()
        return answer, invoked, time.monotonic()

    def issue(self, api: Api) -> None:
        invoked = time.monotonic()
        try:
            made = api.issue(self.csr).result
        except (OSError, http.client.HTTPException):
            self.record.issues.append(Issued(None, invoked))
            raise
        answered = time.monotonic()
        self.record.issues.append(Issued(made["id"], invoked, answered))
        with self.record.lock:
            self.record.operations[made["id"]].append(
                Operation("issue", made["status"], invoked, answered)
            )
        self.answers["issue"] += 1

    def change(self, api: Api, what: str, identity: str) -> None:
        known = self.record.operations[identity]
        invoked = time.monotonic()
        try:
            answer = (api.revoke if what == "revoke" else api.restore)(identity)
        except (OSError, http.client.HTTPException):
            known.append(Operation(what, None, invoked))
            raise
        answered = time.monotonic()
        if answer.status == 404:
            outcome = MISSING
        else:
            outcome = answer.result["status"]
        known.append(Operation(what, outcome, invoked, answered))

    def list(self, api: Api, size: int, page: int) -> None:
        answer, invoked, answered = self.timed(
            lambda: api.call("GET", f"{api.certificates}?status=all&limit={size}&page={page}")
        )
        statuses = {certificate["id"]: certificate["status"] for certificate in answer.result}
        total, before = answer.json["result_info"]["total_count"], (page - 1) * size
        assert len(statuses) == len(answer.result) == max(0, min(size, total - before)), answer.text
        self.record.pages.append(Listed(tuple(statuses), before, total, invoked, answered))
        self.record.reads.append(
            (statuses, frozenset({MISSING}) if size == WHOLE else None, invoked, answered)
        )

    def list_of(self, api: Api, status: str) -> None:
        answer, invoked, answered = self.timed(
            lambda: api.call("GET", f"{api.certificates}?status={status}&limit={WHOLE}")
        )
        statuses = {certificate["id"]: certificate["status"] for certificate in answer.result}
        assert set(statuses.values()) <= {status}, answer.text
        assert len(statuses) == answer.json["result_info"]["total_count"], answer.text
        self.record.reads.append((statuses, EVERY - {status}, invoked, answered))


def test_histories_are_linearizable(postgres: Postgres, make_node: MakeNode, csr: str) -> None:
    print(f"CERTGATE_TEST_SEED={SEED}")
    chance = random.Random(SEED)
    url = postgres.url(postgres.database())
    nodes = Fleet([make_node(url, start=False) for _ in range(NODES)])
    record = Record()
    clerks = [Clerk(nodes, csr, record, chance.getrandbits(32)) for _ in range(CLIENTS)]
    with nodes.loaded(clerks):
        nodes.disturb(SECONDS / 2, chance)
    clerks[0].ask(lambda api: clerks[0].list(api, WHOLE, 1))
    assert len(record.pages[-1].ids) < WHOLE, "a list no longer shows everything"

    answers: Counter[str] = Counter()
    for clerk in clerks:
        answers += clerk.answers
    histories = record.histories()
    longest = max(map(len, histories.values()))
    cut_off = sum(clerk.cut_off for clerk in clerks)
    print(
        f"answered: {dict(answers)}, cut off: {cut_off}, {len(histories)} histories of up to {longest} operations"
    )
    for identity, history in histories.items():
        if wrong := stuck(history):
            told = "\n".join(map(str, sorted(history, key=lambda operation: operation.invoked)))
            raise AssertionError(f"{identity}: nothing explains one of\n{wrong}\nin\n{told}")
    assert (found := faults_of_lists(record.pages, record.issues)) == [], found
    assert min(answers.values()) > 10 and longest > OPERATIONS, (
        "too little happened to mean anything"
    )
