"""A real PostgreSQL for tests, standbys of it, and certgate processes that share it."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from kit.harness import CERTGATE, UNPRIVILEGED, Server, environment, free_port
from kit.wholeness import faults

MASTER_KEY = "1" * 64

# Starts the database and stops it when standard input ends, even if the tests are killed.
KEEPER = """
"$1/pg_ctl" -D "$2/data" -s -w -l "$2/log" start || { cat "$2/log"; exit 1; }
echo ready
cat > /dev/null
"$1/pg_ctl" -D "$2/data" -s -w -m "$(cat "$2/mode")" stop 2> /dev/null
"""

SETTINGS = {
    "listen_addresses": "'127.0.0.1'",
    "max_connections": "200",
    # Tests do not need commits that survive a power failure.
    "fsync": "off",
    "log_line_prefix": "'%m [%p] %u %a '",
}


def programs() -> Path:
    """Returns the directory of its programs. Skips the test if it is missing."""
    path = map(Path, os.environ["PATH"].split(os.pathsep))
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    needed = ("initdb", "pg_ctl", "psql", "pg_basebackup")
    for directory in (*path, *debian):
        if all((directory / name).exists() for name in needed):
            return directory
    assert "CERTGATE_TEST_REQUIRE_ALL" not in os.environ, "PostgreSQL is not installed"
    pytest.skip("PostgreSQL is not installed: NOT TESTED")


class Postgres:
    """A database server in a directory of its own; its port stays the same from start to start."""

    def __init__(self, **settings: str) -> None:
        """Prepares an empty server without starting it."""
        self.programs = programs()
        # It refuses to run as root.
        self.user = UNPRIVILEGED if os.geteuid() == 0 else None
        self.directory = Path(tempfile.mkdtemp(prefix="pg-"))
        os.chown(self.directory, self.user or -1, self.user or -1)
        self.keeper: subprocess.Popen[str] | None = None
        # The environment of the server.
        self.variables: dict[str, str] = {}
        self.names = count()
        self.port = free_port()
        self.settings = SETTINGS | {"unix_socket_directories": f"'{self.directory}'"} | settings
        self.fill()
        self.set(**self.settings, port=str(self.port))

    def fill(self) -> None:
        """Makes the data directory."""
        locale = ["-E", "UTF8", "--locale=C.UTF-8"]
        self.run("initdb", "-U", "postgres", "-A", "trust", *locale, "--no-sync", "-D", self.data)

    @property
    def data(self) -> Path:
        return self.directory / "data"

    @property
    def log(self) -> str:
        return (self.directory / "log").read_text(errors="replace")

    def run(self, program: str, *arguments: str | Path, timeout: float = 60) -> str:
        """Runs a PostgreSQL program, which must succeed."""
        done = subprocess.run(
            [str(self.programs / program), *map(str, arguments)],
            capture_output=True,
            text=True,
            timeout=timeout,
            **self.as_user(),
        )
        assert done.returncode == 0, f"{program} {arguments}: {done.stdout}{done.stderr}"
        return done.stdout.strip()

    def as_user(self) -> dict[str, Any]:
        return (
            {"user": self.user, "group": self.user, "extra_groups": [], "cwd": self.directory}
            if self.user
            else {}
        )

    def set(self, **settings: str) -> None:
        """Adds settings, which the next start or `reload` reads."""
        with (self.data / "postgresql.conf").open("a") as file:
            file.writelines(f"{name} = {value}\n" for name, value in settings.items())

    def reload(self) -> None:
        self.run("pg_ctl", "-D", self.data, "-s", "reload")

    def start(self) -> Postgres:
        """Returns when it accepts connections."""
        assert self.keeper is None, "it runs"
        (self.directory / "mode").write_text("immediate")
        self.keeper = subprocess.Popen(
            ["sh", "-c", KEEPER, "sh", str(self.programs), str(self.directory)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | self.variables,
            **self.as_user(),
        )
        assert self.keeper.stdout
        first = self.keeper.stdout.readline()
        if first != "ready\n":
            raise AssertionError(f"PostgreSQL did not start: {first}{self.keeper.stdout.read()}")
        return self

    def stop(self, mode: str = "fast") -> None:
        """Stops it in one of pg_ctl's modes: smart, fast, immediate."""
        if self.keeper and self.keeper.stdin:
            (self.directory / "mode").write_text(mode)
            self.resume()
            self.keeper.stdin.close()
            self.keeper.wait(60)
            if self.keeper.stdout:
                self.keeper.stdout.close()
            self.keeper = None

    def kill(self) -> None:
        """Sends SIGKILL to all of its processes."""
        self._signal(signal.SIGKILL)
        self.stop("immediate")

    def pause(self, only: Callable[[int], bool] = lambda place: True) -> None:
        """Freezes its processes: connections stay open without replies.

        `only` selects by place: the postmaster has 0.
        """
        self._signal(signal.SIGSTOP, only)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(
        self, number: signal.Signals, only: Callable[[int], bool] = lambda place: True
    ) -> None:
        with suppress(FileNotFoundError):
            postmaster = int((self.data / "postmaster.pid").read_text().split()[0])
            # Each process has its own group, so its parent identifies it.
            children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()
            for place, process in enumerate((postmaster, *map(int, children))):
                if only(place):
                    with suppress(ProcessLookupError):
                        os.kill(process, number)

    def url(self, database: str = "postgres") -> str:
        """Returns the URL of a database over TCP in clear text."""
        return f"postgres://postgres@127.0.0.1:{self.port}/{database}?sslmode=disable"

    def socket_url(self, database: str = "postgres") -> str:
        return f"postgres://postgres@{quote(str(self.directory), safe='')}:{self.port}/{database}"

    def database(self) -> str:
        """Makes an empty database and returns its name."""
        name = f"test_{next(self.names)}"
        self.sql(f"CREATE DATABASE {name}")
        return name

    def sql(self, statements: str, database: str = "postgres") -> str:
        """Runs statements as the superuser; rows as lines, columns with | between them."""
        psql = ["-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", "-U", "postgres", "-d", database]
        return self.run("psql", *psql, "-h", self.directory, "-p", str(self.port), "-c", statements)

    def close(self) -> None:
        """Stops the server and removes its files."""
        self.stop("immediate")
        shutil.rmtree(self.directory)


class Standby(Postgres):
    """A standby by streaming replication, with its own name as `application_name`."""

    def __init__(self, primary: Postgres, name: str = "standby", **settings: str) -> None:
        self.primary, self.name = primary, name
        super().__init__(**settings)

    def fill(self) -> None:
        conninfo = f"host={self.primary.directory} port={self.primary.port} user=postgres application_name={self.name}"
        self.run("pg_basebackup", "-D", self.data, "-d", conninfo, "-R", "-c", "fast", "--no-sync")

    def promote(self) -> None:
        """Promotes it. Returns after it accepts writes."""
        self.run("pg_ctl", "-D", self.data, "-s", "-w", "promote")


class Node(Server):
    """A certgate node. The first one on an empty database makes the installation."""

    def __init__(
        self, directory: Path, url: str, *flags: str, made: dict[str, str] | None = None
    ) -> None:
        super().__init__(directory, *flags, init=None)
        self.made = made or {}
        self.variables = {
            "CERTGATE_DATABASE_URL": url,
            "CERTGATE_MASTER_KEY": MASTER_KEY,
            "CERTGATE_PUBLIC_URL": "http://pki.example",
        }

    @property
    def database_url(self) -> str:
        return self.variables["CERTGATE_DATABASE_URL"]

    @database_url.setter
    def database_url(self, url: str) -> None:
        """Sets the URL for the next start."""
        self.variables["CERTGATE_DATABASE_URL"] = url

    def start(self, **more: str) -> Node:
        super().start(**more)
        if not self.made:
            self.adopt()
        return self

    def sql(self, statements: str) -> str:
        """Runs statements in the database; rows as lines, columns with | between them."""
        psql = [
            str(programs() / "psql"),
            "-X",
            "-A",
            "-t",
            "-q",
            "-v",
            "ON_ERROR_STOP=1",
            "-d",
            self.database_url,
        ]
        done = subprocess.run([*psql, "-c", statements], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, f"{statements}: {done.stdout}{done.stderr}"
        return done.stdout.strip()

    def outlive_leases(self) -> None:
        # Ends its lease.
        self.sql("UPDATE leases SET until = 0")

    def check(self) -> subprocess.CompletedProcess[str]:
        command = [str(CERTGATE), "check", "--data-dir", str(self.directory)]
        return subprocess.run(
            command, env=environment(**self.variables), capture_output=True, text=True, timeout=60
        )

    def is_intact(self) -> None:
        assert (found := faults(self.sql)) == [], found
        checked = self.check()
        assert checked.returncode == 0 and "no problems found" in checked.stdout, (
            checked.stdout + checked.stderr
        )

    def secrets_are_kept(self) -> None:
        # The lines with the token, printed by the node that makes the installation, have no time.
        log = "".join(re.findall(r"^\d{4}-.*\n", self.log, re.MULTILINE))
        assert MASTER_KEY not in log and self.token not in log, f"a secret is in the log:\n{log}"
        assert (
            "PRIVATE KEY" not in self.log
            and "CERTIFICATE REQUEST" not in self.log
            and "panicked" not in self.log
        )


# The fixture make_node.
MakeNode = Callable[..., Node]


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    """A database server that the tests of one file share."""
    server = Postgres()
    try:
        yield server.start()
    finally:
        server.close()


@pytest.fixture
def make_node(tmp_path: Path) -> Iterator[MakeNode]:
    """Makes started nodes of a database. Stops those that still run at the end."""
    nodes: list[Node] = []

    def make(url: str, *flags: str, start: bool = True, **more: str) -> Node:
        made = nodes[0].made if nodes and nodes[0].database_url == url else None
        nodes.append(Node(tmp_path / f"node-{len(nodes)}", url, *flags, made=made))
        return nodes[-1].start(**more) if start else nodes[-1]

    try:
        yield make
        for node in nodes:
            if node.process:
                node.terminate()
        for node in nodes:
            if node.process:
                node.ended()
    finally:
        for node in nodes:
            node.kill()
