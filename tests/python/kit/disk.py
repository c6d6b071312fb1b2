"""A small disk that a test fills, and a server on it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from kit.harness import Mount, Server, needs

# Room for a new database with its log and little more, so that some hundred certificates fill it.
DISK_BYTES = 8 << 20


class Disk:
    """A small file system of its own."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.filler = path / "filler"

    def fill(self) -> None:
        """Fills the disk completely."""
        with self.filler.open("ab", buffering=0) as filler:
            for size in (1 << 16, 1 << 12, 1):
                try:
                    while filler.write(bytes(size)) == size:
                        pass
                except OSError:
                    continue

    def free(self) -> None:
        self.filler.unlink()


@pytest.fixture
def disk(mount: Mount, tmp_path: Path) -> Disk:
    path = tmp_path / "disk"
    mount("-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", at=path)
    return Disk(path)


@pytest.fixture
def on_disk(disk: Disk, tmp_path: Path) -> Iterator[Server]:
    """A server with only its directory on the small disk."""
    server = Server(disk.path / "data")
    server.log_path = tmp_path / "log"
    try:
        yield server.start()
        if server.process:
            server.stop()
    finally:
        server.kill()


def failing_fsync(directory: Path) -> Path:
    """Builds a library that fails fsync while the file of the variable FAIL_FSYNC exists."""
    library = directory / "fsync.so"
    source = Path(__file__).with_name("failing_fsync.c")
    build = [needs("cc"), "-shared", "-fPIC", "-o", library, source, "-ldl"]
    subprocess.run(build, check=True)
    return library
