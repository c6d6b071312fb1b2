"""Tests of the history checker: it accepts possible histories and rejects all others."""

from __future__ import annotations

import random
from itertools import permutations
from math import inf

import pytest

from kit.history import (
    EVERY,
    MISSING,
    SETTLED,
    STATUSES,
    Issued,
    Listed,
    Operation,
    faults_of_lists,
    read,
    stuck,
)

ISSUED = Operation("issue", "active", 0, 1)


def revoked(invoked: float, answered: float = inf) -> Operation:
    return Operation("revoke", "pending_revocation" if answered < inf else None, invoked, answered)


def restored(invoked: float, answered: float = inf) -> Operation:
    return Operation(
        "restore", "pending_reactivation" if answered < inf else None, invoked, answered
    )


GOOD = {
    "nothing": [],
    "one after another": [
        ISSUED,
        read("active", 2, 3),
        revoked(4, 5),
        read("pending_revocation", 6, 7),
        read("revoked", 8, 9),
        Operation("revoke", "revoked", 10, 11),
        restored(12, 13),
        read("active", 14, 15),
    ],
    "settled between two answers": [ISSUED, revoked(2, 3), Operation("revoke", "revoked", 4, 5)],
    "a read beside a change sees either": [
        ISSUED,
        revoked(2, 9),
        read("active", 3, 4),
        read("revoked", 5, 6),
    ],
    "a change without an answer is made late": [
        ISSUED,
        revoked(2),
        read("active", 3, 4),
        read("revoked", 5, 6),
    ],
    "a change without an answer is not made": [
        ISSUED,
        revoked(2),
        read("active", 3, 4),
        revoked(5, 6),
    ],
    "an issue that was not answered is found": [
        Operation("issue", None, 0),
        read(MISSING, 1, 2),
        read("active", 3, 4),
    ],
    "two changes at a time": [ISSUED, revoked(2, 5), restored(3, 6), read("active", 7, 8)],
    "the same, the other way round": [
        ISSUED,
        revoked(2, 5),
        Operation("restore", "active", 3, 6),
        read("revoked", 7, 8),
    ],
    "revoked twice": [ISSUED, revoked(2, 3), revoked(4, 5)],
    "a list that leaves something open": [ISSUED, revoked(2, 3), read(STATUSES - {"active"}, 4, 5)],
}

BAD = {
    "a stale read": [ISSUED, revoked(2, 3), read("active", 4, 5)],
    "a read that is older than one before it": [
        ISSUED,
        revoked(2, 9),
        read("revoked", 3, 4),
        read("active", 5, 6),
    ],
    "a lost update": [ISSUED, revoked(2, 3), restored(4, 5), read("revoked", 6, 7)],
    "an update that was lost before the next": [
        ISSUED,
        revoked(2, 3),
        Operation("restore", "active", 4, 5),
    ],
    "resurrected": [ISSUED, revoked(2, 3), read("revoked", 4, 5), read("active", 6, 7)],
    "resurrected by a change that comes later": [
        ISSUED,
        revoked(2, 3),
        read("active", 4, 5),
        restored(6),
    ],
    "settled and pending again": [
        ISSUED,
        revoked(2, 3),
        read("revoked", 4, 5),
        read("pending_revocation", 6, 7),
    ],
    "settled and pending again, by an answer": [
        ISSUED,
        revoked(2, 3),
        read("revoked", 4, 5),
        revoked(6, 7),
    ],
    "revoked before, but active": [ISSUED, Operation("revoke", "revoked", 2, 3)],
    "seen before it was asked for": [read("active", -2, -1), ISSUED],
    "gone": [ISSUED, read(MISSING, 2, 3)],
    "missing in a list that began after the answer": [ISSUED, read(EVERY - STATUSES, 1.5, 3)],
    "in the list of another status": [ISSUED, read("revoked", 2, 3)],
    "issued twice": [ISSUED, Operation("issue", "active", 2, 3)],
    "made twice without an answer": [
        ISSUED,
        revoked(2),
        read("revoked", 3, 4),
        restored(5, 6),
        read("active", 7, 8),
        read("active", 9, 10),
        read("revoked", 11, 12),
    ],
    "two changes that both were first": [
        ISSUED,
        revoked(2, 5),
        Operation("restore", "active", 3, 4),
        read("active", 6, 7),
    ],
}


@pytest.mark.parametrize("name", GOOD)
def test_possible_histories_are_accepted(name: str) -> None:
    assert stuck(GOOD[name]) == []


@pytest.mark.parametrize("name", BAD)
def test_impossible_histories_are_rejected(name: str) -> None:
    assert stuck(BAD[name]) != []


def test_a_rejection_names_the_stuck_operations() -> None:
    stale = read("active", 4, 5)
    assert stuck([ISSUED, read("active", 1, 2), revoked(2, 3), stale, read("revoked", 6, 7)]) == [
        stale
    ]


def by_trying_everything(history: list[Operation]) -> bool:
    """Implements the definition directly."""
    optional = [operation for operation in history if operation.answered == inf]
    for made in range(1 << len(optional)):
        left_out = [operation for index, operation in enumerate(optional) if not made >> index & 1]
        for order in permutations(
            [operation for operation in history if operation not in left_out]
        ):
            if any(
                later.answered < earlier.invoked
                for at, earlier in enumerate(order)
                for later in order[at + 1 :]
            ):
                continue
            states = {MISSING}
            for operation in order:
                states |= {SETTLED[state] for state in states if state in SETTLED}
                states = {after for state in states if (after := operation.on(state)) is not None}
            if states:
                return True
    return False


def test_the_checker_agrees_with_exhaustive_search() -> None:
    chance = random.Random(1)
    accepted = 0
    for _ in range(3_000):
        history = [Operation("issue", "active", 0, 3)]
        for _ in range(chance.randrange(1, 5)):
            invoked = chance.uniform(0, 10)
            answered = invoked + chance.uniform(0, 4)
            what = chance.choice(["read", "read", "revoke", "restore"])
            if what == "read":
                history.append(
                    read(chance.sample(sorted(STATUSES), chance.randrange(1, 3)), invoked, answered)
                )
            elif chance.random() < 0.2:
                history.append(Operation(what, None, invoked))
            else:
                outcome = {
                    "revoke": ["pending_revocation", "revoked"],
                    "restore": ["pending_reactivation", "active"],
                }[what]
                history.append(Operation(what, chance.choice(outcome), invoked, answered))
        expected = by_trying_everything(history)
        assert (stuck(history) == []) == expected, history
        accepted += expected
    assert 500 < accepted < 2_500, "one of the two answers was hardly ever right"


ISSUES = [Issued("a", 0, 1), Issued("b", 2, 3), Issued("c", 2, 4), Issued(None, 5)]
PAGES = [
    Listed(("b", "a"), 0, 2, 2, 4),
    Listed(("c", "b"), 0, 3, 5, 6),
    Listed(("b", "a"), 1, 3, 7, 8),
    Listed(("d", "c"), 0, 4, 9, 10),
]


def test_good_lists_are_accepted() -> None:
    assert faults_of_lists(PAGES, ISSUES) == []
    assert faults_of_lists([], []) == []


@pytest.mark.parametrize(
    ("page", "fault"),
    [
        (Listed(("c", "b", "a"), 0, 3, 11, 12), "a total went back"),
        (Listed((), 9, 2, 4.5, 4.6), "not from 3 to 3"),
        (Listed((), 9, 5, 11, 12), "not from 3 to 4"),
        (Listed(("d", "b", "c", "a"), 0, 4, 11, 12), "b was at 2 and is at 3"),
        (Listed(("d", "c", "a"), 0, 4, 11, 12), "a was at 1 and is at 2"),
        (Listed(("e",), 0, 4, 11, 12), "the same place"),
    ],
)
def test_bad_lists_are_rejected(page: Listed, fault: str) -> None:
    found = faults_of_lists([*PAGES, page], ISSUES)
    assert any(fault in text for text in found), found


def test_positions_against_the_order_of_answers_are_rejected() -> None:
    found = faults_of_lists(
        [Listed(("a", "b"), 0, 2, 5, 6)], [Issued("a", 0, 1), Issued("b", 2, 3)]
    )
    assert found and "listed before it" in found[0]
