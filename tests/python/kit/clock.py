"""A server whose clock a test sets, by libfaketime."""

from __future__ import annotations

from pathlib import Path

from kit.harness import Server
from kit.postgres import Postgres

LIBRARY = "faketime/libfaketimeMT.so.1"


def library() -> Path:
    """Returns libfaketime, in the folder of this machine's architecture."""
    found = next(Path("/usr/lib").glob(f"*/{LIBRARY}"), None)
    assert found, "faketime is needed: install it (the test runner does, where it may)"
    return found


class Clock:
    """The clock of a server, or of a database server. It begins right."""

    def __init__(self, server: Server | Postgres) -> None:
        self.file = server.directory.with_name(f"{server.directory.name}.clock")
        self.set("+0")
        server.variables |= {
            "LD_PRELOAD": str(library()),
            "FAKETIME_TIMESTAMP_FILE": str(self.file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "DONT_FAKE_MONOTONIC": "1",
        }

    def set(self, offset: str) -> None:
        """Sets the clock: `+8d` is eight days ahead of the right time."""
        new = self.file.with_suffix(".new")
        new.write_text(f"{offset}\n")
        new.rename(self.file)
