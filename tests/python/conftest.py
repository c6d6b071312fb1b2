"""Fixtures: servers that are stopped and looked over when the test ends."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness import Api, Server, make_csr
from postgres import make_node, postgres  # noqa: F401  fixtures

MakeServer = Callable[..., Server]


@pytest.fixture
def make_server(tmp_path: Path) -> Iterator[MakeServer]:
    """Makes started servers; whatever still runs at the end must stop well."""
    servers: list[Server] = []

    def make(*flags: str, name: str = "data", init: tuple[str, ...] | None = (), start: bool = True) -> Server:
        servers.append(Server(tmp_path / name, *flags, init=init))
        return servers[-1].start() if start else servers[-1]

    try:
        yield make
        for server in servers:
            if server.process:
                server.stop()
    finally:
        for server in servers:
            server.kill()


@pytest.fixture
def server(make_server: MakeServer) -> Server:
    """A server with nothing in it."""
    return make_server()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that the tests of one file share."""
    server = Server(tmp_path_factory.mktemp("shared") / "data").start()
    try:
        yield server
        server.stop()
    finally:
        server.kill()


@pytest.fixture
def api(server: Server) -> Iterator[Api]:
    api = server.api()
    yield api
    api.close()


@pytest.fixture(scope="session")
def csr(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A request for a P-256 key. A request may be used for many certificates."""
    return make_csr(tmp_path_factory.mktemp("csr"))
