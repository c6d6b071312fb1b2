"""Random forms of bodies and queries. The judges are Python's json and urllib, and the rules of the
API's documentation, written down again here."""

from __future__ import annotations

import http.client
import json
import random
import re
from collections import Counter
from urllib.parse import parse_qsl

import pytest

from kit.harness import PATIENCE_SECONDS, Answer, Server

# Random bodies and queries of each test.
CASES = 300

# Certificates in the zone, and those of them that are revoked.
CERTIFICATES, REVOKED = 60, 9

DAYS_MAX = 5475


def constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def is_good(body: bytes, csr: str) -> bool:
    """Judges the body of a request for a certificate."""
    try:
        value = json.loads(body.decode().removeprefix("\ufeff"), parse_constant=constant)
    except ValueError:
        return False
    if not isinstance(value, dict) or value.get("csr") != csr:
        return False
    days = value.get("validity_days")
    is_number = isinstance(days, int | float) and not isinstance(days, bool)
    return is_number and days == int(days) and 1 <= days <= DAYS_MAX


def test_bodies_are_read_as_python_reads_json(server: Server, csr: str) -> None:
    chance = random.Random(4)
    numbers = "30 30.0 3e1 1E2 030 +30 -1 0 -0 5475 5476 true false null 30.5 .5 5. [30] {} NaN"
    pool = [
        *(b" ", b"\n", b"\t", b"\r", b"\x0b", b"\xa0", b"\xc2\xa0", b"\0", b"\xff"),
        b"\xef\xbb\xbf",
        *(b"{", b"}", b"[", b"]", b",", b":", b'"', b"'", b"/* x */", b"// x\n", b"Infinity"),
        *(b'"x":1,', b'"x":{"y":[1,2]},', b'"csr":null,', b'"validity_days":7,', b'"csr":"x",'),
    ]
    api = server.api()
    answers: Counter[int] = Counter()
    for _ in range(CASES):
        number = chance.choice([*numbers.split(), '"30"', "30"]).encode()
        members = [b'"csr"', b":", json.dumps(csr).encode(), b","]
        parts = [b"{", *members, b'"validity_days"', b":", number, b"}"]
        for _ in range(chance.randrange(3)):
            place = chance.randrange(len(parts) + 1)
            match chance.randrange(4):
                case 0 if place < len(parts):
                    del parts[place]
                case 1 if place < len(parts):
                    parts[place] = chance.choice(pool)
                case _:
                    parts.insert(place, chance.choice(pool))
        body = b"".join(parts)
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE_SECONDS)
        connection.request("POST", api.certificates, body, api.credentials)
        response = connection.getresponse()
        answer = Answer(response, response.read())
        connection.close()
        assert answer.status == (200 if is_good(body, csr) else 400), (body, answer.text)
        answers[answer.status] += 1
    assert min(answers[200], answers[400]) > CASES / 10, answers
    assert api.total() == answers[200]
    api.close()


def whole(text: str, least: int, most: int) -> int | None:
    if not re.fullmatch(r"[0-9]+(\.0+)?", text):
        return None
    number = int(text.split(".")[0])
    return number if least <= number <= most else None


BOUNDS = {"page": (1, 2**53 - 1), "per_page": (5, 50), "limit": (1, 1000), "offset": (0, 2**53 - 1)}
STATUSES = ["active", "pending_reactivation", "pending_revocation", "revoked", "all"]


def meaning(query: str) -> tuple[dict[str, int], str, set[str]]:
    """Returns the numbers and the status of a query, and the names of its bad parameters."""
    given: dict[str, set[str]] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        if value:
            given.setdefault(name, set()).add(value)
    numbers, bad = {}, {name for name, values in given.items() if len(values) > 1}
    for name, (least, most) in BOUNDS.items():
        for text in given.get(name, ()):
            number = whole(text, least, most)
            if number is None:
                bad.add(name)
            else:
                numbers[name] = number
    statuses = {text.lower() for text in given.get("status", {"active"})}
    if not statuses <= set(STATUSES):
        bad.add("status")
    return numbers, statuses.pop(), bad & {*BOUNDS, "status"}


@pytest.fixture
def listed(server: Server, csr: str) -> list[dict[str, str]]:
    """All certificates of the zone, newest first."""
    api = server.api()
    made = [api.issue(csr).result["id"] for _ in range(CERTIFICATES)]
    revoked = random.Random(5).sample(made, REVOKED)
    for identity in revoked:
        api.revoke(identity)
    for identity in revoked:
        api.settled(identity, "revoked")
    found = [
        {"id": identity, "status": "revoked" if identity in revoked else "active"}
        for identity in reversed(made)
    ]
    api.close()
    return found


def test_queries_are_read_as_documented(server: Server, listed: list[dict[str, str]]) -> None:
    chance = random.Random(6)
    texts = ["", "0", "1", "2", "3", "5", "7", "50", "51", "1000", "1001", "2.0", "2.5", "02", "-1"]
    texts += ["+1", "1e1", "1,2", "x", "%20", "null", "9007199254740991", "9007199254740992", "2."]
    words = [*STATUSES, "Active", "REVOKED", "ALL", "", "gone", "active,revoked", "%20all"]
    names = ["page", "page", "per_page", "limit", "offset", "status", "status", "Page", "other"]
    api = server.api()
    answers: Counter[int] = Counter()
    for _ in range(CASES):
        pairs = []
        for _ in range(chance.randrange(5)):
            name = chance.choice(names)
            common = STATUSES if name == "status" else ["", "1", "2", "5", "7"]
            rare = words if name == "status" else texts
            pairs.append(f"{name}={chance.choice(common if chance.random() < 0.7 else rare)}")
        query = "&".join(pairs)
        numbers, status, bad = meaning(query)
        answer = api.call("GET", f"{api.certificates}?{query}")
        answers[answer.status] += 1
        if bad:
            assert (answer.status, answer.error["code"]) == (400, 9208), query
            assert answer.error["source"]["pointer"] in bad, (query, answer.text)
            continue
        size = numbers.get("limit", numbers.get("per_page", 20))
        page = numbers.get("page", 1)
        first = numbers.get("offset", 0) + (page - 1) * size
        found = [one["id"] for one in listed if status in ("all", one["status"])]
        wanted = found[first : first + size]
        assert [one["id"] for one in answer.result] == wanted, query
        assert answer.json["result_info"] == {
            "page": page,
            "per_page": size,
            "count": len(wanted),
            "total_count": len(found),
            "total_pages": -(-len(found) // size),
        }, query
    assert min(answers[200], answers[400]) > CASES / 10, answers
    api.close()
