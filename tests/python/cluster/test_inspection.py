"""`certgate check` and `certgate audit verify` on a PostgreSQL in use, and on its standby."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from kit.harness import CERTGATE, certgate, environment, eventually
from kit.postgres import MakeNode, Postgres, Standby


def run(url: str, *command: str) -> subprocess.CompletedProcess[str]:
    done = certgate(*command, CERTGATE_DATABASE_URL=url)
    assert "panicked" not in done.stderr, done.stderr
    return done


def test_a_database_in_use_is_inspected(postgres: Postgres, make_node: MakeNode, csr: str) -> None:
    database = postgres.database()
    url = postgres.url(database)
    for command in (("check",), ("audit", "verify")):
        nothing = run(url, *command)
        assert nothing.returncode == 1 and "holds no installation" in nothing.stderr, nothing.stderr
    assert (
        postgres.sql("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'", database) == "0"
    )

    node = make_node(url)
    api = node.api()
    for _ in range(5):
        api.revoke(api.issue(csr).result["id"])
    eventually("everything settles", lambda: api.total("revoked") == 5)
    api.close()
    checked = run(url, "check")
    assert checked.returncode == 0 and "no problems found" in checked.stdout, (
        checked.stdout + checked.stderr
    )
    verified = run(url, "audit", "verify")
    assert verified.returncode == 0, verified.stderr
    # The account's: its making, its authority, five issues, five revocations.
    (account,) = [
        line.split() for line in verified.stdout.splitlines() if line.startswith("account:")
    ]
    assert int(account[1]) >= 11, verified.stdout
    head = account[2]
    assert run(url, "audit", "verify", "--expect", head).returncode == 0

    standby = Standby(postgres)
    try:
        standby.start()
        for command in (("check",), ("audit", "verify", "--expect", head)):
            done = run(standby.url(database), *command)
            assert done.returncode == 0, done.stdout + done.stderr
    finally:
        standby.close()

    postgres.sql(
        "UPDATE audit_entries SET detail = 'nothing' WHERE number = 3; DELETE FROM revocations",
        database,
    )
    checked = run(url, "check")
    assert checked.returncode == 1 and "0 revocations are on CRLs" in checked.stdout, (
        checked.stdout
    )
    verified = run(url, "audit", "verify")
    assert verified.returncode == 1 and "entry 3 was changed" in verified.stderr, (
        verified.stderr
    )


def test_a_database_that_freezes_or_is_locked_ends_the_check(
    postgres: Postgres, make_node: MakeNode
) -> None:
    database = postgres.database()
    node = make_node(postgres.url(database))
    node.stop()

    def waits() -> bool:
        waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        return postgres.sql(waiting) == "1"

    def check() -> subprocess.Popen[str]:
        variables = environment(CERTGATE_DATABASE_URL=postgres.url(database))
        pipe = subprocess.PIPE
        return subprocess.Popen(
            [str(CERTGATE), "check"], env=variables, stdout=pipe, stderr=pipe, text=True
        )

    with locked(postgres, database, "accounts"):
        stopped = check()
        _, error = stopped.communicate(timeout=60)
        assert stopped.returncode == 1 and "lock timeout" in error, error

        stopped = check()
        try:
            eventually("the check waits for the table", waits)
            postgres.pause()
            _, error = stopped.communicate(timeout=60)
        finally:
            postgres.resume()
        assert stopped.returncode == 1 and "stopped answering" in error, error
    checked = run(postgres.url(database), "check")
    assert checked.returncode == 0, checked.stdout + checked.stderr


@contextmanager
def locked(postgres: Postgres, database: str, table: str) -> Iterator[None]:
    """Locks a table as VACUUM FULL does."""
    psql = [str(postgres.programs / "psql"), "-X", "-q", "-d", postgres.url(database)]
    holder = subprocess.Popen(psql, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert holder.stdin and holder.stdout
    try:
        holder.stdin.write(f"BEGIN; LOCK TABLE {table};\n\\echo locked\n")
        holder.stdin.flush()
        assert holder.stdout.readline() == "locked\n"
        yield
    finally:
        holder.kill()
        holder.communicate()


def test_no_message_contains_the_password() -> None:
    refused = run("postgres://u:s3cret@127.0.0.1:1/name?sslmode=disable", "check")
    assert (
        refused.returncode == 1 and "127.0.0.1" in refused.stderr and "s3cret" not in refused.stderr
    ), refused.stderr
