"""`certgate follow`, and the proxies whose files it writes."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path
from typing import Any

from kit.harness import (
    CERTGATE,
    PATIENCE_SECONDS,
    Api,
    Server,
    certgate,
    environment,
    eventually,
)


class Follow:
    """A process `certgate follow` on a directory. A context manager stops it with SIGTERM."""

    def __init__(self, server: Server, directory: Path, *flags: str, name: str = "edge") -> None:
        self.server, self.directory, self.name = server, directory, name
        self.log_path = directory.with_name(f"{directory.name}.follow.log")
        self.flags = list(flags)
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> Follow:
        command = [CERTGATE, "follow", self.directory, "--name", self.name, *self.flags]
        variables = {"CERTGATE_API": self.server.url, "CERTGATE_TOKEN": self.server.token}
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                [*map(str, command), "--account", self.server.made["account_id"]],
                stdout=log,
                stderr=log,
                env=environment(**variables),
            )
        return self

    def __enter__(self) -> Follow:
        self.start()
        eventually("the point is current", self.is_current)
        return self

    def __exit__(self, *_: object) -> None:
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            assert self.process.wait(PATIENCE_SECONDS) == 0, self.log

    def is_current(self) -> bool:
        assert self.process and self.process.poll() is None, self.log
        return [point["status"] for point in self.points()] == ["current"]

    def points(self) -> list[dict[str, Any]]:
        """The enforcement points with the name of this process."""
        found = points(self.server)
        return [point for point in found if point["name"].startswith(f"{self.name}-")]

    @property
    def log(self) -> str:
        return self.log_path.read_text(errors="replace")

    @property
    def state(self) -> dict[str, Any]:
        return json.loads((self.directory / "state.json").read_text())

    def text(self, name: str) -> str:
        return (self.directory / name).read_text()


def points(server: Server) -> list[dict[str, Any]]:
    api: Api = server.api()
    try:
        path = f"/certgate/v1/accounts/{server.made['account_id']}/enforcement_points"
        return api.call("GET", path).result
    finally:
        api.close()


def command(server: Server, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs a client command, such as `cert revoke ID --wait`."""
    noun, *rest = arguments
    return certgate(noun, *rest, "--data-dir", server.directory)
