"""A database server in trouble: the answers of nodes during it, and after it."""

from __future__ import annotations

import re
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from kit.audit import assert_chained
from kit.harness import eventually
from kit.load import ALIVE, PUBLIC, TRY_LATER, Clients, Load, Seen, is_refused
from kit.postgres import MASTER_KEY, Node, Postgres

# The password of the user `app`.
PASSWORD = "not-for-the-log"

# The longest answer, as docs/postgresql.md has it: eight seconds for a read with its wait for a
# connection, or four for a commit and four for the lookup of its result. The rest is for a busy
# machine.
ANSWERED_SECONDS = 10.0

# The longest recovery, in seconds.
RECOVERED_SECONDS = 10.0

# The most log lines of a node in a second, of any kind.
LOG_LINES_PER_SECOND_MAX = 40

# The memory for a few hundred waiting requests, in MiB.
WAITING_MEBIBYTES_MAX = 96


# The code of a change whose commit is unknown.
IN_DOUBT = 10504

def is_good(seen: Seen) -> bool:
    return seen.status == 200 and seen.body != TRY_LATER


def assert_refused(seen: list[Seen], within: float, served: tuple[str, ...] = ()) -> None:
    """Asserts that each answer came in time: 503 with a remedy, tryLater, or the usual answer."""
    for one in seen:
        assert one.seconds < within, one
        if one.request in (*ALIVE, *served):
            assert is_good(one), one
        elif one.request == "ready" and is_good(one):
            # From before the fault: `assert_not_ready` asks again.
            continue
        elif one.request == "ocsp":
            assert (one.status, one.body) == (200, TRY_LATER), one
            assert one.headers["cache-control"] == "no-cache", one
        else:
            assert is_refused(one), one


def assert_not_ready(clients: Clients) -> None:
    """Asserts that a fault shows in `/readyz`, whose answer may be a second old."""
    eventually("it is not ready", lambda: is_refused(clients.ask("ready")), ANSWERED_SECONDS)


class Watch:
    """Watches the log and the memory of a node during a fault."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.logged = len(node.log)
        self.mebibytes = self.resident()

    def resident(self) -> int:
        assert self.node.process
        status = Path(f"/proc/{self.node.process.pid}/status").read_text()
        found = re.search(r"VmRSS:\s+(\d+) kB", status)
        assert found
        return int(found[1]) // 1024

    def assert_calm(self, cause: str) -> None:
        assert self.resident() - self.mebibytes < WAITING_MEBIBYTES_MAX
        log = self.node.log[self.logged :]
        assert cause in log, log
        assert PASSWORD not in log and self.node.token not in log
        # Changes are logged as fast as they happen.
        lines = (line for line in log.splitlines() if "certgate::change:" not in line)
        seconds = Counter(line[:19] for line in lines)
        assert max(seconds.values()) <= LOG_LINES_PER_SECOND_MAX, log


def recovered(clients: Clients, ended: float) -> float:
    """Waits until all requests succeed again. Returns the seconds since `ended`."""
    for request in ("ready", "issue", "list", *PUBLIC):
        left = RECOVERED_SECONDS - (time.monotonic() - ended)
        eventually(
            f"{request} works",
            lambda request=request: is_good(clients.ask(request)),
            max(left, 0.5),
        )
    return time.monotonic() - ended


def settles(clients: Clients) -> None:
    """Asserts that a new revocation settles."""
    api = clients.node.api()
    certificate = clients.ask("issue").result["id"]
    assert clients.ask("revoke", certificate).status == 200
    eventually(
        "it is revoked",
        lambda: api.get(certificate).result["status"] == "revoked",
        RECOVERED_SECONDS,
    )
    api.close()


def assert_nothing_lost(load: Load) -> None:
    """Asserts that each answered change is stored, and that nothing else is."""
    node = load.nodes[0].node
    issued = set.union(*(clients.issued for clients in load.nodes))
    api = node.api()
    listed = {certificate["id"]: certificate for certificate in api.every()}
    assert issued <= listed.keys()
    refused = [one for one in load.seen if one.request == "issue" and one.status != 200]
    in_doubt = [one for one in refused if one.code == IN_DOUBT]
    print(f"{len(issued)} issued, {len(refused)} refused, {len(in_doubt)} of them in doubt")
    # Only changes in doubt may exist. Clients repeat all others.
    assert len(listed) - len(issued) <= len(in_doubt), (len(listed), len(issued), len(in_doubt))
    for certificate, wanted in load.last_change.items():
        assert listed[certificate]["status"] in wanted, (certificate, listed[certificate], wanted)
    entries, before = [], None
    account = node.made["account_id"]
    while True:
        path = f"/client/v4/accounts/{account}/logs/audit?limit=1000&direction=asc"
        answer = api.call("GET", f"{path}&cursor={before}" if before else path)
        assert answer.status == 200, answer.text
        entries += answer.json["result"]
        before = answer.json["result_info"].get("cursor")
        if not before:
            break
    assert_chained(entries, f"account:{account}")
    api.close()


@pytest.fixture(scope="module")
def guarded(postgres: Postgres) -> Postgres:
    """A server with a user that needs a password."""
    postgres.sql(f"CREATE ROLE app LOGIN PASSWORD '{PASSWORD}'")
    rules = [
        "local all,replication all trust",
        "host all app 127.0.0.1/32 password",
        "host all all 127.0.0.1/32 trust",
    ]
    (postgres.data / "pg_hba.conf").write_text("\n".join(rules) + "\n")
    postgres.reload()
    return postgres


def own_database(server: Postgres) -> tuple[str, str]:
    """A database that belongs to the user with the password, and its URL."""
    database = server.database()
    server.sql(f"ALTER DATABASE {database} OWNER TO app")
    server.sql("GRANT ALL ON SCHEMA public TO app", database)
    return database, f"postgres://app:{PASSWORD}@127.0.0.1:{server.port}/{database}?sslmode=disable"


@contextmanager
def locked(server: Postgres, database: str) -> Iterator[None]:
    """Another session locks the row that each write needs."""
    arguments = [
        "-X",
        "-A",
        "-t",
        "-q",
        "-U",
        "postgres",
        "-d",
        database,
        "-h",
        str(server.directory),
    ]
    holder = subprocess.Popen(
        [str(server.programs / "psql"), *arguments, "-p", str(server.port)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdin and holder.stdout
    holder.stdin.write("BEGIN; SELECT 'held' FROM store FOR UPDATE;\n")
    holder.stdin.flush()
    while holder.stdout.readline() != "held\n":
        pass
    try:
        yield
    finally:
        holder.communicate("COMMIT;\n")


def refuses_to_start(url: str, cause: str, remedy: str = "check that it runs") -> None:
    with tempfile.TemporaryDirectory() as place:
        node = Node(Path(place) / "data", url)
        begun = time.monotonic()
        message = node.refuses_to_start(CERTGATE_DATABASE_URL=url, CERTGATE_MASTER_KEY=MASTER_KEY)
    took = time.monotonic() - begun
    print(f"no start within {took:.2f} s: {message.strip()}")
    assert cause in message and remedy in message and took < ANSWERED_SECONDS, message
    assert PASSWORD not in message and PASSWORD[::-1] not in message
