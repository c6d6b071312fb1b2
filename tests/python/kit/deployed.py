"""Runs certgate as the files in deploy/ do: as its own user, with few writable files."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import ssl
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kit.harness import CERTGATE, KEYS, PATIENCE_SECONDS, REPOSITORY, Server, environment, openssl

DEPLOY = REPOSITORY / "deploy"

# The user of the program in the image. Only root can make files of another user, or run as one.
USER = 65532
IS_ROOT = os.geteuid() == 0


class Place:
    """A directory with the program that stands for the root of a file system."""

    def __init__(self) -> None:
        self.root = Path(tempfile.mkdtemp(prefix="certgate-"))
        self.root.chmod(0o755)
        self.program = self.root / "usr/local/bin/certgate"
        self.program.parent.mkdir(parents=True)
        try:
            os.link(CERTGATE, self.program)
        except OSError:
            shutil.copy2(CERTGATE, self.program)

    def at(self, path: str) -> Path:
        """Returns the path here for an absolute path of the deployed system."""
        return self.root / path.lstrip("/")

    def here(self, value: str) -> str:
        """Translates a setting whose value is a path."""
        return str(self.at(value)) if value.startswith("/") else value

    def writable(self, path: str, mode: int = 0o700) -> Path:
        """Makes a directory that the user owns."""
        directory = self.at(path)
        directory.mkdir(parents=True)
        directory.chmod(mode)
        if IS_ROOT:
            os.chown(directory, USER, USER)
        return directory

    def handed_over(self, path: str, text: str, mode: int = 0o440) -> None:
        """Makes a file of root that the user's group can read, in a read-only directory."""
        file = self.at(path)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.parent.chmod(0o755)
        file.write_text(text)
        file.chmod(mode if IS_ROOT else 0o400)
        if IS_ROOT:
            os.chown(file, 0, USER)
        file.parent.chmod(0o555)

    def as_user(self) -> dict[str, Any]:
        return {"user": USER, "group": USER, "extra_groups": []} if IS_ROOT else {}

    def run(
        self, arguments: list[str], settings: dict[str, str], stdin: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Runs a command of the program to its end."""
        return subprocess.run(
            [str(self.program), *arguments],
            cwd=self.root,
            env=environment(**settings),
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            **self.as_user(),
        )

    def files(self) -> set[str]:
        return {str(path.relative_to(self.root)) for path in self.root.rglob("*")}


@contextmanager
def place() -> Iterator[Place]:
    made = Place()
    try:
        yield made
    finally:
        for directory in (made.root, *made.root.rglob("*")):
            if directory.is_dir() and not directory.is_symlink():
                directory.chmod(0o700)
        shutil.rmtree(made.root)


class Deployed(Server):
    """A server that runs as it is deployed, but on ports that the system chooses."""

    def __init__(
        self, place: Place, arguments: list[str], settings: dict[str, str], made: dict[str, str]
    ) -> None:
        super().__init__(Path(settings["CERTGATE_DATA_DIR"]), init=None)
        self.log_path = place.at("server.log")
        self.place, self.arguments, self.settings, self.made = place, arguments, settings, made
        if "CERTGATE_TLS_KEY" in settings:
            # The address that it prints then begins with https.
            self.flags = ["--tls-certificate", settings["CERTGATE_TLS_CERTIFICATE"]]

    def command(self) -> list[str]:
        """Overrides the ports of the environment, which other programs may use."""
        return [
            str(self.place.program),
            *self.arguments,
            "--listen=127.0.0.1:0",
            "--public-listen=127.0.0.1:0",
        ]

    def start(self, **more: str) -> Deployed:
        assert self.process is None, "it runs"
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                self.command(),
                cwd=self.place.root,
                stdout=subprocess.PIPE,
                stderr=log,
                env=environment(**self.settings | more),
                bufsize=0,
                **self.place.as_user(),
            )
        self.listens()
        return self

    def listens(self) -> None:
        ports = [re.search(r"://127\.0\.0\.1:(\d+)$", line) for line in self._lines(2)]
        self.port, self.public_port = (int(port[1]) for port in ports if port)

    def stop_told(self) -> None:
        """Stops a server that made the installation and printed its token."""
        self.terminate()
        self.ended(tells_token=True)

    def secrets_are_kept(self) -> None:
        assert (
            self.token not in self.log
            and "PRIVATE KEY" not in self.log
            and "panicked" not in self.log
        ), self.log

    def answers(self, port: int, path: str, scheme: str = "http") -> tuple[int, str]:
        """Returns the status and body of a GET. Like a probe, verifies no certificate."""
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        address = f"{scheme}://127.0.0.1:{port}{path}"
        try:
            with urllib.request.urlopen(
                address, timeout=PATIENCE_SECONDS, context=context
            ) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()


def tls_files(directory: Path) -> tuple[str, str]:
    """A certificate and its key, PEM."""
    key = directory / "tls.key"
    names = ["-subj", "/CN=api", "-addext", "subjectAltName=IP:127.0.0.1"]
    certificate = openssl("req", "-x509", *KEYS["P-256"], "-nodes", "-keyout", key, *names)
    return certificate, key.read_text()


class Unit:
    """A systemd unit with its drop-ins: all settings in order."""

    def __init__(self, *files: Path) -> None:
        self.lines: list[tuple[str, str]] = []
        for file in files:
            for line in file.read_text().replace("\\\n", " ").splitlines():
                if line and not line.startswith(("#", "[")):
                    name, value = line.split("=", 1)
                    self.lines.append((name, value))

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.lines if key == name]

    def one(self, name: str) -> str:
        (value,) = self.all(name)
        return value

    def environment(self, credentials: str, state: str) -> dict[str, str]:
        values = [
            value.replace("%d", credentials).replace("%S", state)
            for value in self.all("Environment")
        ]
        return dict(value.split("=", 1) for text in values for value in shlex.split(text))

    def command(self, **variables: str) -> list[str]:
        """Returns the words of ExecStart, with the values of variables."""
        words = self.one("ExecStart").split()
        return [re.sub(r"\$\{(\w+)\}", lambda found: variables[found[1]], word) for word in words]

    def permits(self, analyze: str, call: str) -> bool:
        """Returns true for a system call that the filter lets through."""
        listed = judged(analyze, "syscall-filter", "--no-pager")
        groups: dict[str, list[str]] = {}
        for line in listed.splitlines():
            if line.startswith("@"):
                groups[line] = members = []
            elif line.startswith("    ") and "#" not in line:
                members.append(line.strip())

        def has(name: str) -> bool:
            return name == call or any(has(member) for member in groups.get(name, []))

        permitted = False
        for value in self.all("SystemCallFilter"):
            if any(has(name) for name in value.removeprefix("~").split()):
                permitted = not value.startswith("~")
        return permitted

    def credentials(self) -> dict[str, str]:
        """Returns the file of each credential by name."""
        pairs = (value.split(":", 1) for value in self.all("LoadCredential"))
        return {name: file for name, file in pairs}


def judged(*command: str | Path, cwd: Path | None = None) -> str:
    """Runs a program that must succeed. Returns both of its outputs."""
    done = subprocess.run(
        [*map(str, command)], cwd=cwd, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout + done.stderr


def packaged(program: str) -> Path:
    """Returns the path of a program in this Python environment."""
    return Path(sys.prefix) / "bin" / program


def rendered(directory: str) -> list[dict[str, Any]]:
    """Returns the objects that kustomize renders. kubectl contains it and needs no cluster."""
    import yaml  # only the environment of these files has it

    return list(yaml.safe_load_all(judged(packaged("kubectl"), "kustomize", DEPLOY / directory)))
