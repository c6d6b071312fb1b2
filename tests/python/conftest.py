"""Fixtures: servers that are stopped and checked when the test ends."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from kit.disk import disk, on_disk  # noqa: F401  fixtures
from kit.harness import Api, MakeServer, Mount, Server, make_csr
from kit.postgres import make_node, postgres  # noqa: F401  fixtures
from kit.trouble import guarded  # noqa: F401  fixtures


@pytest.fixture
def make_server(tmp_path: Path) -> Iterator[MakeServer]:
    """Makes started servers. Each that still runs at the end must stop cleanly."""
    servers: list[Server] = []

    def make(
        *flags: str, name: str = "data", init: tuple[str, ...] | None = (), start: bool = True
    ) -> Server:
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
    """An empty server."""
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


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Mount]:
    """Mounts, and unmounts after the test. Needs root and a system that permits mounts."""
    mounted: list[Path] = []

    def mount(*arguments: str, at: Path) -> None:
        at.mkdir(exist_ok=True)
        done = subprocess.run(["mount", *arguments, str(at)], capture_output=True, text=True)
        if done.returncode != 0:
            pytest.skip(
                f"cannot mount here, so what a full or read-only disk does is NOT TESTED: {done.stderr}"
            )
        mounted.append(at)

    yield mount
    for path in reversed(mounted):
        subprocess.run(["umount", "--lazy", str(path)], check=True)


@pytest.fixture
def first_start(tmp_path: Path) -> Iterator[Server]:
    """`certgate serve` in a new directory; pages begin with it."""
    server = Server(tmp_path / "certgate-data", init=None).start()
    try:
        server.adopt()
        yield server
        server.terminate()
        server.ended(tells_token=True)
    finally:
        server.kill()
