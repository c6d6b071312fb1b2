"""Many certificates of one request, issued and revoked by many clients at once."""

from __future__ import annotations

import concurrent.futures
import time
from pathlib import Path

from kit.harness import KEYS, Server, openssl

# Clients at once: enough to keep a server of two processors busy.
CLIENTS = 32


def issue_many(server: Server, directory: Path, count: int) -> list[str]:
    """Issues certificates and returns their IDs."""
    key = directory / "many.key"
    csr = openssl("req", "-new", *KEYS["P-256"], "-nodes", "-keyout", key, "-subj", "/CN=many")
    api = server.api()
    with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
        return list(pool.map(lambda _: api.issue(csr).result["id"], range(count)))


def revoke_many(server: Server, identifiers: list[str]) -> float:
    """Revokes certificates and returns the number in a second."""
    begun = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
        for answer in pool.map(server.api().revoke, identifiers):
            assert answer.status == 200, answer.text
    return len(identifiers) / (time.monotonic() - begun)
