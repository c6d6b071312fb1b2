"""Many certificates of one request, issued and revoked by many clients at once."""

from __future__ import annotations

import concurrent.futures
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

from kit.harness import KEYS, Api, Server, openssl

# Clients at once: enough to keep a server of two processors busy.
CLIENTS = 32


T = TypeVar("T")


def at_once(server: Server, call: Callable[[Api, Any], T], items: Iterable[Any]) -> list[T]:
    """Calls for each item, from clients with a connection each."""
    own = threading.local()

    def called(item: Any) -> T:
        if not hasattr(own, "api"):
            own.api = server.api()
        return call(own.api, item)

    with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
        return list(pool.map(called, items))


def issue_many(server: Server, directory: Path, count: int) -> list[str]:
    """Issues certificates and returns their IDs."""
    key = directory / "many.key"
    csr = openssl("req", "-new", *KEYS["P-256"], "-nodes", "-keyout", key, "-subj", "/CN=many")
    return at_once(server, lambda api, _: api.issue(csr).result["id"], range(count))


def revoke_many(server: Server, identifiers: list[str]) -> float:
    """Revokes certificates and returns the number in a second."""
    begun = time.monotonic()
    answers = at_once(server, Api.revoke, identifiers)
    assert all(answer.status == 200 for answer in answers)
    return len(identifiers) / (time.monotonic() - begun)
