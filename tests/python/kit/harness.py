"""The certgate process, a client of its API, and the programs that judge it."""

from __future__ import annotations

import http.client
import json
import math
import os
import random
import re
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import IO, Any, TypeVar

REPOSITORY = Path(__file__).resolve().parents[3]

# The executable of the test runner, or of `cargo build -p certgate`.
CERTGATE = Path(os.environ.get("CERTGATE_TEST_BINARY", REPOSITORY / "target/debug/certgate"))

# A user and a group without rights.
UNPRIVILEGED = 65534

# Nothing here takes a second on an idle machine; a busy one gets thirty.
PATIENCE_SECONDS = 30.0

# Some tests have a full size, for a quiet machine and a release build.
FULL_SIZE = os.environ.get("CERTGATE_TEST_FULL_SIZE") == "1"

# The interval of `eventually`, in seconds.
POLL_SECONDS = 0.01

# Below the ports that Linux gives to connections and to listeners on port 0, so that suites at the
# same time do not take a port that was free a moment before.
FIXED_PORTS = range(10_000, 32_768)

T = TypeVar("T")


def free_port() -> int:
    """Returns a port for a program that cannot choose one itself, or that keeps it when restarted."""
    for port in random.SystemRandom().sample(FIXED_PORTS, k=100):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("no free port")


def eventually(what: str, look: Callable[[], T | None], patience: float = PATIENCE_SECONDS) -> T:
    """Returns the first true value of `look`. All polling in the tests is here."""
    deadline = time.monotonic() + patience
    never = threading.Event()
    while not (value := look()):
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {patience} seconds")
        never.wait(POLL_SECONDS)
    return value


def read_within(stream: IO[bytes], seconds: float) -> bytes:
    """Returns what arrives in a pipe within the time; nothing at its end too."""
    # Unlike select, it takes every descriptor of a test that holds ten thousand.
    poll = select.poll()
    poll.register(stream, select.POLLIN)
    return os.read(stream.fileno(), 4096) if poll.poll(seconds * 1000) else b""


def environment(**more: str) -> dict[str, str]:
    """Returns the environment without certgate settings of the caller."""
    ours = ("CERTGATE_", "CLOUDFLARE_")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)} | more


def certgate(
    *arguments: str | Path, cwd: Path | None = None, stdin: str = "", **more: str
) -> subprocess.CompletedProcess[str]:
    """Runs a certgate command to its end."""
    command = [str(CERTGATE), *map(str, arguments)]
    return subprocess.run(
        command,
        cwd=cwd,
        env=environment(**more),
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
    )


def certgate_unprivileged(*arguments: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Runs a certgate command as a user without rights. The caller is root."""
    # The program has to be readable for that user, so it lies in a place of its own.
    with tempfile.TemporaryDirectory() as place:
        os.chmod(place, 0o755)
        return subprocess.run(
            [shutil.copy(CERTGATE, place), *map(str, arguments)],
            env=environment(),
            capture_output=True,
            text=True,
            timeout=60,
            user=UNPRIVILEGED,
            group=UNPRIVILEGED,
            extra_groups=[],
            cwd=cwd,
        )


def openssl(*arguments: str | Path, stdin: bytes = b"") -> str:
    """Runs openssl, which must succeed."""
    done = subprocess.run(
        ["openssl", *map(str, arguments)], input=stdin, capture_output=True, timeout=60
    )
    assert done.returncode == 0, (
        f"openssl {arguments}: {done.stdout.decode()}{done.stderr.decode()}"
    )
    return done.stdout.decode()


class Answer:
    """A status, headers and the JSON of the body."""

    def __init__(self, response: http.client.HTTPResponse, body: bytes) -> None:
        self.status = response.status
        self.headers = response.headers
        self.text = body.decode()

    @property
    def json(self) -> dict[str, Any]:
        return json.loads(self.text)

    @property
    def result(self) -> Any:
        assert self.status == 200, f"{self.status}: {self.text}"
        return self.json["result"]

    @property
    def error(self) -> dict[str, Any]:
        """Returns the single error of a failure, and checks the envelope."""
        body = self.json
        assert (body["success"], body["result"]) == (False, None) and len(body["errors"]) == 1, (
            self.text
        )
        return body["errors"][0]


class Api:
    """A connection to the management API. Not for several threads at a time."""

    def __init__(self, port: int, token: str, zone_id: str) -> None:
        self.port, self.token, self.zone_id = port, token, zone_id
        self.credentials = {"Authorization": f"Bearer {token}"}
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_SECONDS)
        # The time of the last request.
        self.sent = math.inf

    @property
    def certificates(self) -> str:
        return f"/client/v4/zones/{self.zone_id}/client_certificates"

    def call(self, method: str, path: str, body: Any = None) -> Answer:
        headers = dict(self.credentials)
        if body is not None:
            headers["Content-Type"] = "application/json"
        self.sent = math.inf
        self.connection.request(
            method, path, json.dumps(body) if body is not None else None, headers
        )
        self.sent = time.monotonic()
        response = self.connection.getresponse()
        return Answer(response, response.read())

    def issue(self, csr: str, days: int = 365) -> Answer:
        return self.call("POST", self.certificates, {"csr": csr, "validity_days": days})

    def get(self, certificate_id: str) -> Answer:
        return self.call("GET", f"{self.certificates}/{certificate_id}")

    def revoke(self, certificate_id: str) -> Answer:
        return self.call("DELETE", f"{self.certificates}/{certificate_id}")

    def restore(self, certificate_id: str) -> Answer:
        return self.call("PATCH", f"{self.certificates}/{certificate_id}", {"reactivate": True})

    def total(self, status: str = "all") -> int:
        answer = self.call("GET", f"{self.certificates}?status={status}&limit=1")
        assert answer.status == 200, answer.text
        return answer.json["result_info"]["total_count"]

    def every(self, status: str = "all", size: int = 1000) -> list[dict[str, Any]]:
        """Returns the full list, page by page until an empty one, as the SDKs do."""
        found: list[dict[str, Any]] = []
        page = 1
        while items := self.call(
            "GET", f"{self.certificates}?status={status}&limit={size}&page={page}"
        ).result:
            found += items
            page += 1
        return found

    def settled(self, certificate_id: str, status: str) -> dict[str, Any]:
        """Waits until the certificate has `status`, and returns it."""

        def look() -> dict[str, Any] | None:
            certificate = self.get(certificate_id).result
            return certificate if certificate["status"] == status else None

        return eventually(f"{certificate_id} becomes {status}", look)

    def close(self) -> None:
        self.connection.close()


PUBLIC = "public responder listening on http"
ENROLMENT = "enrolment listening on https"
INVITES = "invites listening on https"


class Server:
    """`certgate serve` on a directory, its listeners on ports that the system chooses."""

    def __init__(self, directory: Path, *flags: str, init: Iterable[str] | None = ()) -> None:
        """Makes the directory with `certgate init`, unless `init` is None: then `serve` does."""
        self.directory = directory
        self.flags = list(flags)
        self.log_path = directory.with_name(f"{directory.name}.log")
        self.process: subprocess.Popen[bytes] | None = None
        self.made: dict[str, str] = {}
        self.variables: dict[str, str] = {}
        self.port = self.public_port = self.enrol_port = self.invite_port = 0
        # A fixed address, if the addresses in certificates must lead to this server.
        self.public_listen = "127.0.0.1:0"
        if init is not None:
            made = certgate("init", "--data-dir", directory, "--json", *init)
            assert made.returncode == 0, made.stderr
            self.made = json.loads(made.stdout)
            assert set(self.made) == {"account_id", "zone_id", "token"}

    def adopt(self) -> None:
        """Reads the installation from the profile that `serve` wrote."""
        lines = (self.directory / "client.toml").read_text().splitlines()
        entries = dict(line.split(" = ", 1) for line in lines if " = " in line)
        self.made = {name: json.loads(entries[name]) for name in ("account_id", "zone_id", "token")}

    @property
    def token(self) -> str:
        return self.made["token"]

    @property
    def zone_id(self) -> str:
        return self.made["zone_id"]

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"

    @property
    def scheme(self) -> str:
        return "https" if "--tls-certificate" in self.flags else "http"

    @property
    def database(self) -> Path:
        return self.directory / "certgate.db"

    @property
    def log(self) -> str:
        return self.log_path.read_text(errors="replace")

    def command(self) -> list[str]:
        addresses = ["--listen", "127.0.0.1:0", "--public-listen", self.public_listen]
        return [str(CERTGATE), "serve", "--data-dir", str(self.directory), *addresses, *self.flags]

    def start(self, **more: str) -> Server:
        """Returns after the listeners accept connections. `more` extends the environment."""
        self.launch(**more)
        self.accepts()
        return self

    def launch(self, **more: str) -> None:
        """Starts the process without waiting."""
        assert self.process is None, "it runs"
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                self.command(),
                stdout=subprocess.PIPE,
                stderr=log,
                env=environment(**(self.variables | more)),
                bufsize=0,
            )

    def accepts(self) -> None:
        """Waits until a process that was launched accepts connections."""
        names = [f"management API listening on {self.scheme}", PUBLIC]
        if "--enrol-listen" in self.flags:
            names.append(ENROLMENT)
        if "--invite-listen" in self.flags:
            names.append(INVITES)
        lines = self._lines(len(names))
        found = [
            re.fullmatch(rf"{name}://127\.0\.0\.1:(\d+)", line)
            for name, line in zip(names, lines, strict=True)
        ]
        assert all(found), lines
        ports = [int(port[1]) for port in found if port]
        self.port, self.public_port = ports[:2]
        others = dict(zip(names, ports, strict=True))
        self.enrol_port = others.get(ENROLMENT, 0)
        self.invite_port = others.get(INVITES, 0)

    def _lines(self, count: int) -> list[str]:
        assert self.process and self.process.stdout
        text = b""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while text.count(b"\n") < count:
            more = read_within(self.process.stdout, max(0.0, deadline - time.monotonic()))
            if not more:
                self.kill()
                raise AssertionError(f"certgate did not start:\n{self.log}")
            text += more
        return text.decode().splitlines()

    def api(self) -> Api:
        return Api(self.port, self.token, self.zone_id)

    def terminate(self) -> None:
        assert self.process
        self.process.send_signal(signal.SIGTERM)

    def ended(self, tells_token: bool = False) -> None:
        """Waits for the end that SIGTERM asked for: exit 0, and no secret in all that was logged.

        Only a first start by `serve` itself tells the token.
        """
        assert self.process
        assert self.process.wait(PATIENCE_SECONDS) == 0, self.log
        self._forget()
        if not tells_token:
            self.secrets_are_kept()

    def stop(self) -> None:
        self.terminate()
        self.ended()

    def aborted(self) -> None:
        """Waits for the end that a fault point makes."""
        assert self.process
        assert self.process.wait(PATIENCE_SECONDS) == -signal.SIGABRT, self.log
        self._forget()

    def failed(self) -> None:
        """Waits for the end that the server itself decides, with status 1."""
        assert self.process
        assert self.process.wait(PATIENCE_SECONDS) == 1, self.log
        self._forget()

    def kill(self) -> None:
        """Sends SIGKILL if the process runs."""
        if self.process:
            self.process.kill()
            self.process.wait()
            self._forget()

    def _forget(self) -> None:
        assert self.process and self.process.stdout
        self.process.stdout.close()
        self.process = None

    def outlive_leases(self) -> None:
        """After a kill, ends the wait of other nodes for its lease."""

    def secrets_are_kept(self) -> None:
        log = self.log
        master_key = (self.directory / "master.key").read_text().strip()
        for name, secret in (("token", self.token), ("master key", master_key)):
            assert secret and secret not in log, f"the {name} is in the log:\n{log}"
        assert "PRIVATE KEY" not in log and "CERTIFICATE REQUEST" not in log, log
        assert "panicked" not in log, log

    def check(self) -> subprocess.CompletedProcess[str]:
        """Runs `certgate check` on a stopped server."""
        return certgate("check", "--data-dir", self.directory)

    def is_intact(self) -> None:
        checked = self.check()
        assert checked.returncode == 0 and "no problems found" in checked.stdout, (
            checked.stdout + checked.stderr
        )

    def refuses_to_start(self, *flags: str, status: int = 1, **more: str) -> str:
        """Starts a server that must fail, without standard output. Returns the message.

        Status 2 reports a configuration that a restart does not fix.
        """
        assert self.process is None
        done = subprocess.run(
            [*self.command(), *flags],
            env=environment(**(self.variables | more)),
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
        )
        assert done.returncode == status, (done.returncode, done.stderr)
        assert done.stdout == "" and "panicked" not in done.stderr, done.stdout + done.stderr
        return done.stderr


# The fixtures of conftest.py that make servers and mount file systems.
MakeServer = Callable[..., Server]
Mount = Callable[..., None]

KEYS: dict[str, list[str]] = {
    "P-256": ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
    "P-384": ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-384"],
    "P-521": ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-521"],
    "RSA-2048": ["-newkey", "rsa:2048"],
    "RSA-3072": ["-newkey", "rsa:3072"],
    "RSA-4096": ["-newkey", "rsa:4096"],
    "Ed25519": ["-newkey", "ed25519"],
}


def make_csr(
    directory: Path, kind: str = "P-256", subject: str = "/C=US/O=Example Inc./CN=device-1"
) -> str:
    """A request with a new key, by openssl."""
    key = directory / f"{kind}-{random.getrandbits(64):016x}.key"
    return openssl("req", "-new", *KEYS[kind], "-nodes", "-keyout", key, "-subj", subject)


def needs(program: str) -> str:
    """Returns the path of a program."""
    found = shutil.which(program)
    assert found, f"{program} is needed: install it (the test runner does, where it may)"
    return found
