"""Clients of a server that is killed, and the comparison of its lists with their answers."""

from __future__ import annotations

import http.client
import random
import threading
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from kit.harness import Api, Server, eventually

STATUSES = ("active", "pending_reactivation", "pending_revocation", "revoked")

# The statuses of a certificate after its last change, before and after that has settled.
REVOKED = {"pending_revocation", "revoked"}

RESTORED = {"pending_reactivation", "active"}


@dataclass
class Certificate:
    """A certificate as its answers describe it."""

    answered: dict[str, Any]
    statuses: set[str] = field(default_factory=lambda: {"active"})


class Client(threading.Thread):
    """Changes only its own certificates, in a known order, until the server dies."""

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
            pass  # The server is dead. The open request is recorded.
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
        # Mostly the newest ones, so that changes share a block of counters.
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
    """Compares the full list with the answers, and records the result of unanswered requests."""
    api = server.api()
    eventually("everything settles", lambda: sum(map(api.total, STATUSES[1:3])) == 0)
    every = api.every()
    found = {certificate["id"]: certificate for certificate in every}
    assert len(found) == len(every) == api.total(), "a certificate is listed twice or not counted"
    assert len({certificate["serial_number"] for certificate in every}) == len(every)
    counted = Counter(certificate["status"] for certificate in every)
    assert {status: api.total(status) for status in STATUSES} == {
        status: counted[status] for status in STATUSES
    }
    for status in STATUSES:
        listed = [certificate["id"] for certificate in api.every(status)]
        assert listed == [
            certificate["id"] for certificate in every if certificate["status"] == status
        ]
    api.close()
    for certificate in (certificate for own in owned for certificate in own):
        identity = certificate.answered["id"]
        assert identity in found, f"{identity} was answered and is lost"
        now = found.pop(identity)
        assert body(now) == body(certificate.answered), f"{identity} has changed"
        assert now["status"] in certificate.statuses, (
            f"{identity}: {now['status']}, not in {certificate.statuses}"
        )
        certificate.statuses = {now["status"]}
    assert len(found) <= unanswered_issues, f"{len(found)} certificates without a request"
    owned[0] += [
        Certificate(certificate, {certificate["status"]}) for certificate in found.values()
    ]
