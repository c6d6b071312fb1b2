"""Checks histories of certificates for linearizability.

A history has the requests about one certificate and their answers, timed by one clock. It is
linearizable if each operation has an instant between its invocation and its answer, such that the
operations in this order give the same answers (Herlihy and Wing 1990). The search is that of Wing
and Gong (1993) with a memory of failed configurations (Lowe 2017).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import inf

MISSING = "missing"
STATUSES = frozenset({"active", "pending_reactivation", "pending_revocation", "revoked"})
EVERY = STATUSES | {MISSING}

# The status after settling, which happens at any time.
SETTLED = {"pending_revocation": "revoked", "pending_reactivation": "active"}

# For each change and status: the next status and the answer.
CHANGES = {
    "issue": {MISSING: ("active", "active")},
    "revoke": {
        MISSING: (MISSING, MISSING),
        "active": ("pending_revocation", "pending_revocation"),
        "pending_reactivation": ("pending_revocation", "pending_revocation"),
        "pending_revocation": ("pending_revocation", "pending_revocation"),
        "revoked": ("revoked", "revoked"),
    },
    "restore": {
        MISSING: (MISSING, MISSING),
        "active": ("active", "active"),
        "pending_reactivation": ("pending_reactivation", "pending_reactivation"),
        "pending_revocation": ("pending_reactivation", "pending_reactivation"),
        "revoked": ("pending_reactivation", "pending_reactivation"),
    },
}


@dataclass(frozen=True)
class Operation:
    """A change and its answer, or a read and the statuses that its answer leaves possible."""

    what: str
    outcome: str | frozenset[str] | None
    invoked: float
    # Infinite without an answer: the change was made at any time, or never.
    answered: float = inf

    def on(self, status: str) -> str | None:
        """Returns the next status, or None if the answer is impossible in this status."""
        if isinstance(self.outcome, frozenset):
            return status if status in self.outcome else None
        if status not in CHANGES[self.what]:
            return None
        after, outcome = CHANGES[self.what][status]
        return after if self.outcome in (None, outcome) else None


def read(outcome: str | Iterable[str], invoked: float, answered: float) -> Operation:
    """A read that left these statuses possible."""
    return Operation(
        "read", frozenset({outcome} if isinstance(outcome, str) else outcome), invoked, answered
    )


def stuck(operations: Iterable[Operation]) -> list[Operation]:
    """Returns an empty list if the history is linearizable, else the next operations at its end."""
    history = sorted(operations, key=lambda operation: operation.invoked)
    needed = sum(1 << index for index, operation in enumerate(history) if operation.answered < inf)
    configurations = [(0, MISSING)]
    seen = set(configurations)
    furthest, end = -1, history
    while configurations:
        done, status = configurations.pop()
        if done & needed == needed:
            return []
        nexts = possible(history, done)
        if (length := (done & needed).bit_count()) > furthest:
            furthest, end = length, [history[index] for index in nexts]
        for before in {status, SETTLED.get(status, status)}:
            for index in nexts:
                after = history[index].on(before)
                configuration = (done | 1 << index, after)
                if after is not None and configuration not in seen:
                    seen.add(configuration)
                    configurations.append(configuration)
    return end


def possible(history: list[Operation], done: int) -> list[int]:
    """Returns the operations that were invoked before any other was answered."""
    nexts, first_answer = [], inf
    index = (~done & done + 1).bit_length() - 1
    for index in range(index, len(history)):
        if history[index].invoked > first_answer:
            break
        if not done >> index & 1:
            nexts.append(index)
            first_answer = min(first_answer, history[index].answered)
    return nexts


@dataclass(frozen=True)
class Listed:
    """A page of the list of all certificates, newest first."""

    ids: tuple[str, ...]
    # The number of certificates before the page.
    before: int
    total: int
    invoked: float
    answered: float


@dataclass(frozen=True)
class Issued:
    """An issue. Without an ID, it had no answer."""

    id: str | None
    invoked: float
    answered: float = inf


def faults_of_lists(lists: Iterable[Listed], issues: Iterable[Issued]) -> list[str]:
    """Returns the faults of totals and of positions, which later certificates do not change."""
    lists, issues, found = sorted(lists, key=lambda page: page.invoked), list(issues), []
    # 1. A total counts earlier answers, no later requests, and never decreases.
    events = [(page.answered, 0, page.total) for page in lists]
    events += [(page.invoked, 1, index) for index, page in enumerate(lists)]
    largest = 0
    for _, kind, value in sorted(events):
        if kind == 0:
            largest = max(largest, value)
        elif lists[value].total < largest:
            found.append(f"a total went back from {largest}: {shown(lists[value])}")
    for page in lists:
        least = sum(issue.answered < page.invoked for issue in issues)
        most = sum(issue.invoked <= page.answered for issue in issues)
        if not least <= page.total <= most:
            found.append(f"not from {least} to {most} certificates: {shown(page)}")
    # 2. A certificate keeps its position, and no other has it.
    places: dict[str, int] = {}
    for page in lists:
        for index, identity in enumerate(page.ids):
            place = page.total - page.before - index
            if places.setdefault(identity, place) != place:
                found.append(
                    f"{identity} was at {places[identity]} and is at {place}: {shown(page)}"
                )
    if len(set(places.values())) != len(places):
        found.append("two certificates have the same place")
    # 3. Positions follow the order of the issues.
    known = [issue for issue in issues if issue.id in places]
    events = [(issue.answered, 0, places[issue.id or ""]) for issue in known]
    events += [(issue.invoked, 1, places[issue.id or ""]) for issue in known]
    latest = 0
    for _, kind, place in sorted(events):
        if kind == 0:
            latest = max(latest, place)
        elif place < latest:
            found.append(
                f"issued after the certificate at {latest} was answered, and listed before it: at {place}"
            )
    return found


def shown(page: Listed) -> str:
    return f"{len(page.ids)} of {page.total} after {page.before}, from {page.invoked:.6f} to {page.answered:.6f}"
