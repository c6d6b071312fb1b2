"""Settings and rights of a database: certgate works with them, or names the remedy."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from kit.clock import Clock
from kit.disk import Disk
from kit.harness import Mount, certgate, eventually
from kit.load import ALIVE, ALL, PUBLIC, READS, Clients, Load, assert_whole
from kit.pgbouncer import pgbouncer
from kit.postgres import MakeNode, Postgres, Standby
from kit.relay import Relay
from kit.trouble import (
    ANSWERED_SECONDS,
    PASSWORD,
    Watch,
    assert_nothing_lost,
    assert_refused,
    is_good,
    locked,
    own_database,
    recovered,
    refuses_to_start,
    settles,
)

# An empty database server takes about 60 MB.
SERVER_DISK_BYTES = 96 << 20

# The number of epochs that a server skips after it lost some.
SKIPPED_EPOCHS = 1 << 32

# Remedies.
GRANTED = "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO"
SESSIONS = "set pool_mode = session"

# Settings of a role that hurt a client which does not replace them.
HOSTILE = {
    "statement_timeout": "50ms",
    "lock_timeout": "1ms",
    "idle_in_transaction_session_timeout": "1ms",
    "idle_session_timeout": "2s",
    "default_transaction_isolation": "serializable",
    "default_transaction_deferrable": "on",
    "synchronous_commit": "off",
    "standard_conforming_strings": "off",
    "bytea_output": "escape",
    "client_encoding": "latin1",
    "datestyle": "German, DMY",
    "timezone": "Pacific/Apia",
    "extra_float_digits": "-15",
    "client_min_messages": "debug1",
    "jit": "off",
    "enable_indexscan": "off",
}


def in_turn(clients: Clients) -> None:
    """Asserts that every kind of request that can be repeated succeeds, two at a time."""
    recovered(clients, time.monotonic())
    requests = ("issue", "ready", *READS, *PUBLIC, *ALIVE)
    seen = [one for request in requests for one in clients.all_at_once((request,), times=2)]
    assert all(map(is_good, seen)), [one for one in seen if not is_good(one)]


def test_settings_of_the_role_change_nothing(
    guarded: Postgres, make_node: MakeNode, csr: str, tmp_path: Path
) -> None:
    database, url = own_database(guarded)
    try:
        for name, value in HOSTILE.items():
            guarded.sql(f"ALTER ROLE app SET {name} = '{value}'")
        clients = Clients(make_node(url), csr, tmp_path)
        in_turn(clients)
        # Its transactions wait for this lock longer than the role would.
        with ThreadPoolExecutor(1) as pool, locked(guarded, database):
            waiting = pool.submit(clients.ask, "issue")
            waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
            eventually("it waits", lambda: guarded.sql(waits) == "1")
            # Longer than any limit of the role.
            guarded.sql("SELECT pg_sleep(0.2)")
        assert is_good(waiting.result())
        in_turn(clients)
        settles(clients)
        assert_whole(guarded, database)
    finally:
        guarded.sql("ALTER ROLE app RESET ALL")


def test_a_start_names_a_role_that_only_reads(guarded: Postgres) -> None:
    _, url = own_database(guarded)
    guarded.sql("ALTER ROLE app SET default_transaction_read_only = on")
    try:
        refuses_to_start(url, "set default_transaction_read_only to off")
    finally:
        guarded.sql("ALTER ROLE app RESET ALL")


def test_a_start_names_the_missing_rights(
    guarded: Postgres, make_node: MakeNode, csr: str, tmp_path: Path
) -> None:
    database = guarded.database()
    url = f"postgres://app:{PASSWORD}@127.0.0.1:{guarded.port}/{database}?sslmode=disable"
    schema, everything = "SCHEMA public", "ALL TABLES IN SCHEMA public"
    guarded.sql(f"REVOKE ALL ON {schema} FROM app, PUBLIC", database)
    refuses_to_start(url, "GRANT USAGE, CREATE ON SCHEMA public")
    guarded.sql(f"GRANT USAGE ON {schema} TO app", database)
    refuses_to_start(url, "GRANT USAGE, CREATE ON SCHEMA public")
    guarded.sql(f"REVOKE CONNECT ON DATABASE {database} FROM PUBLIC")
    refuses_to_start(url, "GRANT CONNECT ON DATABASE")
    guarded.sql(f"GRANT CONNECT ON DATABASE {database} TO app")

    # The owner makes the tables. The user of the servers gets no right to change them.
    node = make_node(guarded.url(database))
    node.stop()
    refuses_to_start(url, 'user "app" lacks', GRANTED)
    guarded.sql(f"GRANT SELECT ON {everything} TO app", database)
    refuses_to_start(url, 'user "app" lacks', GRANTED)
    guarded.sql(f"GRANT INSERT, UPDATE, DELETE ON {everything} TO app", database)
    guarded.sql("REVOKE INSERT, DELETE ON crls FROM app", database)
    refuses_to_start(url, 'user "app" lacks DELETE, INSERT on crls: as the owner', GRANTED)
    guarded.sql("GRANT INSERT, DELETE ON crls TO app", database)
    # Nothing needs these, so that the user cannot change the audit log.
    guarded.sql("REVOKE UPDATE, DELETE ON audit_entries, certificates FROM app", database)

    node.database_url = url
    clients = Clients(node.start(), csr, tmp_path)
    in_turn(clients)
    settles(clients)
    watch = Watch(node)
    guarded.sql("REVOKE INSERT ON certificates FROM app", database)
    refused = clients.all_at_once(("issue",), times=4)
    assert_refused(refused, ANSWERED_SECONDS)
    guarded.sql("GRANT INSERT ON certificates TO app", database)
    in_turn(clients)
    watch.assert_calm("permission denied for table certificates (42501); as the owner, GRANT")
    node.is_intact()


@contextmanager
def sessions(server: Postgres, database: str) -> Iterator[None]:
    """Takes every connection of the server, also those to `database`."""
    held: list[subprocess.Popen[str]] = []
    program = [str(server.programs / "psql"), "-X", "-q", "-t", "-U", "postgres"]
    command = [*program, "-h", str(server.directory), "-p", str(server.port), "-d", "postgres"]

    def take() -> None:
        while True:
            one = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
            held.append(one)
            assert one.stdin and one.stdout
            with suppress(BrokenPipeError):
                one.stdin.write("SELECT 'connected';\n")
                one.stdin.flush()
            if "connected" not in one.stdout.readline():
                return

    def end_others() -> None:
        first = held[0]
        assert first.stdin and first.stdout
        others = f"FROM pg_stat_activity WHERE datname = '{database}'"
        first.stdin.write(f"SELECT count(pg_terminate_backend(pid)) {others};\n")
        first.stdin.flush()
        # An empty line follows the answer before it.
        while not first.stdout.readline().strip().isdigit():
            pass

    try:
        take()
        end_others()
        take()
        yield
    finally:
        for one in held:
            one.communicate()


def test_a_server_without_free_connections(
    make_node: MakeNode, csr: str, tmp_path: Path
) -> None:
    server = Postgres(max_connections="20", superuser_reserved_connections="0").start()
    try:
        database = server.database()
        node = make_node(server.url(database))
        clients = Clients(node, csr, tmp_path)
        watch = Watch(node)
        with sessions(server, database):
            # Nothing waits for a connection that the server refuses.
            seen = clients.all_at_once(ALL, times=8)
            assert_refused([one for one in seen if not is_good(one)], ANSWERED_SECONDS)
            assert not all(map(is_good, seen))
        recovered(clients, time.monotonic())
        watch.assert_calm("too many clients already (53300); raise max_connections")
        node.is_intact()
    finally:
        server.close()


def test_poolers(postgres: Postgres, make_node: MakeNode, csr: str, tmp_path: Path) -> None:
    """A pooler of sessions works with its own defaults. Others are refused."""
    database = postgres.database()
    url = postgres.url(database)
    with pgbouncer(postgres, "session") as port:
        node = make_node(url.replace(f":{postgres.port}/", f":{port}/"))
        clients = Clients(node, csr, tmp_path)
        in_turn(clients)
        settles(clients)
        node.is_intact()
        node.stop()
    for mode in ("transaction", "statement"):
        with pgbouncer(postgres, mode) as port:
            through = url.replace(f":{postgres.port}/", f":{port}/")
            refuses_to_start(through, "pooling mode" if mode == "statement" else "pooler", SESSIONS)
            checked = certgate("check", CERTGATE_DATABASE_URL=through)
            assert checked.returncode == 1 and SESSIONS in checked.stderr, checked
            # Other clients of the pooler do not get the settings of certgate.
            psql = ["-X", "-A", "-t", "-U", "postgres", "-h", "127.0.0.1", "-p", str(port)]
            shown = postgres.run("psql", *psql, "-d", database, "-c", "SHOW statement_timeout")
            assert shown == "0"


class SmallServer(Postgres):
    """A database server with all of its files on a small disk."""

    mount: Mount

    def fill(self) -> None:
        options = f"size={SERVER_DISK_BYTES}"
        type(self).mount("-t", "tmpfs", "-o", options, "tmpfs", at=self.data)
        if self.user:
            os.chown(self.data, self.user, self.user)
        self.run(
            "initdb", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8",
            "--no-sync", "--wal-segsize=1", "-D", self.data,
        )  # fmt: skip


@pytest.fixture
def servers() -> Iterator[list[Postgres]]:
    """Servers that are removed after their disks are unmounted."""
    made: list[Postgres] = []
    yield made
    for server in made:
        server.close()


def test_a_full_disk_of_the_whole_server(
    servers: list[Postgres], mount: Mount, make_node: MakeNode, csr: str, tmp_path: Path
) -> None:
    """PostgreSQL stops when it cannot extend its log, and perhaps stays stopped."""
    SmallServer.mount = staticmethod(mount)
    server = SmallServer(min_wal_size="2MB", max_wal_size="4MB").start()
    servers.append(server)
    try:
        database = server.database()
        node = make_node(server.url(database))
        clients = Clients(node, csr, tmp_path)
        recovered(clients, time.monotonic())
        watch = Watch(node)
        load = Load([clients], ("issue", "issue", "revoke own", "get", "ocsp"), clients=8)
        with load:
            disk = Disk(server.data)
            disk.fill()
            eventually("writes are refused", lambda: load.count("issue", 503) > 20)
            disk.free()
            so_far = load.count("issue", 200)

            def issues() -> bool:
                if not (server.data / "postmaster.pid").exists():
                    server.stop("immediate")
                    server.start()
                return load.count("issue", 200) > so_far + 20

            eventually("it issues", issues)
        load.assert_honest(ANSWERED_SECONDS)
        watch.assert_calm("request failed")
        print("stopped" if "database system is shut down" in server.log else "kept running")
        assert "No space left on device" in server.log
        assert_nothing_lost(load)
        assert_whole(server, database)
        node.is_intact()
        node.stop()
    finally:
        server.stop("immediate")


def test_an_older_standby_takes_over(make_node: MakeNode, csr: str, tmp_path: Path) -> None:
    """Changes that it lacks are lost, but no epoch is given out twice."""
    primary = Postgres().start()
    standby = Standby(primary)
    try:
        database = primary.database()
        standby.start()
        hosts = f"127.0.0.1:{primary.port},127.0.0.1:{standby.port}"
        node = make_node(f"postgres://postgres@{hosts}/{database}?sslmode=disable")
        clients = Clients(node, csr, tmp_path)
        settles(clients)
        kept = clients.ask("issue").result["id"]
        written = primary.sql("SELECT pg_current_wal_lsn()")
        eventually(
            "the standby has it",
            lambda: standby.sql(f"SELECT pg_last_wal_replay_lsn() >= '{written}'") == "t",
        )
        standby.sql("ALTER SYSTEM SET primary_conninfo = ''")
        standby.reload()
        eventually(
            "it streams no more",
            lambda: primary.sql("SELECT count(*) FROM pg_stat_replication") == "0",
        )
        lost = [clients.ask("issue").result["id"] for _ in range(5)]
        for certificate in (kept, *lost):
            assert clients.ask("revoke", certificate).status == 200
        epoch = int(primary.sql("SELECT last_epoch FROM store", database))
        primary.kill()
        standby.promote()
        eventually("it issues", lambda: is_good(clients.ask("issue")))
        assert clients.ask("get", kept).result["status"] == "active"
        assert clients.ask("revoke", kept).status == 200
        settles(clients)
        last, gaps = standby.sql(
            "SELECT last_epoch, (SELECT count(*) FROM epoch_gaps) FROM store", database
        ).split("|")
        assert int(last) > epoch + SKIPPED_EPOCHS // 2 and gaps == "1"
        assert node.log.count("the database lacks changes that it had confirmed") == 1, node.log
        checked = node.check()
        assert checked.returncode == 0, checked.stdout + checked.stderr
    finally:
        for server in (primary, standby):
            server.close()


def test_a_wrong_clock_of_the_database(
    make_node: MakeNode, csr: str, tmp_path: Path
) -> None:
    """No request uses that clock. The row by which a server recognises its commits survives it."""
    server = Postgres()
    clock = Clock(server)
    server.start()
    relay = Relay(server.port)
    try:
        database = server.database()
        url = server.url(database)
        node = make_node(url.replace(f":{server.port}/", f":{relay.port}/"))
        clients = Clients(node, csr, tmp_path)
        load = Load([clients], ("issue", "issue", "revoke own", "restore own"), clients=4)
        with load:
            for wrong in ("+400d", "-10y", "+0"):
                clock.set(wrong)
                year = server.sql("SELECT extract(year FROM now())")
                # Another server starts, which removes old rows.
                other = make_node(url, start=False)
                other.made = node.made
                other.start()
                relay.cut_after(2_000)
                so_far = load.count("issue", 200)
                eventually(
                    "it issues", lambda so_far=so_far: load.count("issue", 200) > so_far + 20
                )
                other.stop()
                print(f"{wrong}: the database says {year}")
        load.assert_honest(ANSWERED_SECONDS)
        assert_nothing_lost(load)
        assert_whole(server, database)
        node.is_intact()
        node.stop()
    finally:
        relay.close()
        server.close()
        clock.file.unlink()
