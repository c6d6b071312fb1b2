"""Fixtures: gateways in front of an upstream, and clients with certificates."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kit.gateway import HOST, OTHER, Clients, Gateway, Upstream
from kit.harness import Server


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    upstream = Upstream()
    yield upstream
    upstream.close()


@pytest.fixture
def clients(shared: Server, tmp_path: Path) -> Clients:
    clients = Clients(shared, tmp_path / "clients")
    clients.associate(HOST, OTHER)
    return clients


@pytest.fixture
def make(shared: Server, clients: Clients, tmp_path: Path, upstream: Upstream) -> Iterator[Any]:
    made: list[Gateway] = []

    def make(more: str = "", **start: Any) -> Gateway:
        gateway = Gateway(shared, tmp_path / f"gateway-{len(made)}", upstream, more=more)
        made.append(gateway)
        return gateway.start(**start)

    try:
        yield make
        for gateway in made:
            gateway.stop()
    finally:
        for gateway in made:
            gateway.kill()
