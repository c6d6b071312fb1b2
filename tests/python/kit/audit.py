"""The audit log: its entries from the API, and its chain of hashes by docs/audit.md."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any

from kit.harness import Api, Server

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Entry = dict[str, Any]


def account_log(server: Server) -> str:
    return f"/client/v4/accounts/{server.made['account_id']}/logs/audit"


USER_LOG = "/certgate/v1/user/logs/audit"


def log(api: Api, path: str, size: int = 1000, **more: str) -> list[Entry]:
    """Returns all entries in order of their number, page by page."""
    found: list[Entry] = []
    cursor = ""
    while True:
        more_text = "".join(f"&{name}={value}" for name, value in more.items())
        answer = api.call("GET", f"{path}?direction=asc&limit={size}&cursor={cursor}{more_text}")
        found += answer.result
        info = answer.json["result_info"]
        assert (
            info["count"] == len(answer.result) <= size
            and info["cursor"] == info["cursors"]["after"]
        )
        if not (cursor := info["cursor"]):
            return sorted(found, key=number)


# Credentials of clients that enrol.
ENROLLED = ("certificate", "invite")


def number(entry: Entry) -> int:
    return entry["certgate"]["number"]


def hashed_text(entry: Entry, owner: str) -> str:
    """Builds the text of docs/audit.md from an entry of the API."""
    actor, chain = entry["actor"], entry["certgate"]
    who = {
        "api_token": f"token:{actor.get('token_id')}",
        "api_key": f"api_key:{actor.get('id')}",
        None: actor["type"] + (f":{actor['id']}" if actor["type"] in ENROLLED else ""),
    }[actor.get("context")]
    lines = [
        owner,
        str(chain["number"]),
        str((datetime.fromisoformat(entry["action"]["time"]) - EPOCH) // timedelta(microseconds=1)),
        who,
        actor.get("ip_address", "-"),
        entry["action"]["type"],
        entry["resource"]["type"],
        entry["resource"]["id"].replace("-", ""),
        entry["zone"]["id"] if "zone" in entry else "-",
        chain.get("fingerprint_sha256", "-"),
        chain["detail"],
    ]
    return "\n".join(lines)


def assert_chained(entries: list[Entry], owner: str) -> str:
    """Asserts that each hash follows from the previous entries. Returns the last hash."""
    assert [number(entry) for entry in entries] == list(range(1, len(entries) + 1))
    previous = bytes(32)
    for entry in entries:
        previous = hashlib.sha256(previous + hashed_text(entry, owner).encode()).digest()
        assert previous.hex() == entry["certgate"]["hash"] == entry["id"], entry
    return previous.hex()
