"""The official Python SDK with strict validation, and a record of its requests."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from cloudflare import Cloudflare, __version__

from kit import clients
from kit.harness import Server

# Above every page size in the tests, so that paging turns pages, and not a multiple of any.
CERTIFICATES = 130

# No iteration of a test needs more items than this: one that does not end is a failure, not a hang.
ITEMS_MAX = CERTIFICATES * 3


class Wire:
    """An HTTP client for the SDK that records each request, also a repeated one."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.client = httpx.Client(event_hooks={"request": [self._note]})

    def _note(self, request: httpx.Request) -> None:
        # The SDK says with each request which attempt it is; a retry would be the second.
        assert request.headers["x-stainless-retry-count"] == "0", (
            f"{request.method} {request.url} was repeated"
        )
        self.sent.append(f"{request.method} {request.url.raw_path.decode()}")

    def take(self) -> list[str]:
        taken, self.sent = self.sent, []
        return taken


@pytest.fixture
def wire() -> Iterator[Wire]:
    wire = Wire()
    yield wire
    wire.client.close()


@pytest.fixture
def sdk(shared: Server, wire: Wire) -> Cloudflare:
    """The SDK with its defaults: two retries, its own time limits; but with strict validation."""
    return connect(shared, wire)


def connect(server: Server, wire: Wire, token: str | None = None) -> Cloudflare:
    """Connects with strict validation: an answer of another type raises."""
    base = f"{server.url}/client/v4"
    return Cloudflare(
        api_token=token or server.token,
        base_url=base,
        http_client=wire.client,
        _strict_response_validation=True,
    )


def works(operations: str) -> None:
    """Records for docs/clients.md the result of a test. Each generation has its own section."""
    clients.works(f"cloudflare (Python) {__version__.split('.')[0]}", __version__, operations)
