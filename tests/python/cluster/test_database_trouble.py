"""Faults of the database: answers during each fault, and recovery after it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from kit.disk import Disk
from kit.harness import Mount, eventually
from kit.load import (
    ALIVE,
    ALL,
    PUBLIC,
    READS,
    Clients,
    Load,
    assert_whole,
    side_by_side,
)
from kit.postgres import MakeNode, Node, Postgres, Standby
from kit.relay import Relay
from kit.trouble import (
    ANSWERED_SECONDS,
    PASSWORD,
    RECOVERED_SECONDS,
    Watch,
    assert_not_ready,
    assert_refused,
    is_good,
    locked,
    own_database,
    recovered,
    refuses_to_start,
    settles,
)

# The last writes have five seconds.
STOPPED_SECONDS = 15.0

# Room for an empty database, which takes 8 MB, and certgate's tables.
DATABASE_DISK_BYTES = 24 << 20


@dataclass
class Trouble:
    """A fault of a database server, the reason that certgate gives, and the requests that go on."""

    name: str
    begin: Callable[[Postgres, str], AbstractContextManager[None]]
    cause: str
    # Requests that are answered as before, as long as connections for reading exist.
    perhaps_served: tuple[str, ...] = ()


@contextmanager
def away(server: Postgres, database: str) -> Iterator[None]:
    server.stop()
    try:
        yield
    finally:
        server.start()


def end_connections(server: Postgres, database: str) -> None:
    server.sql(
        f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{database}'"
    )


@contextmanager
def read_only(server: Postgres, database: str) -> Iterator[None]:
    def switch(to: str) -> None:
        server.set(default_transaction_read_only=to)
        server.reload()
        eventually(
            f"read-only is {to}", lambda: server.sql("SHOW default_transaction_read_only") == to
        )

    switch("on")
    try:
        yield
    finally:
        switch("off")


@contextmanager
def read_only_for_new_connections(server: Postgres, database: str) -> Iterator[None]:
    with read_only(server, database):
        end_connections(server, database)
        yield


@contextmanager
def refused_login(server: Postgres, database: str) -> Iterator[None]:
    server.sql("ALTER ROLE app PASSWORD 'changed'")
    end_connections(server, database)
    try:
        yield
    finally:
        server.sql(f"ALTER ROLE app PASSWORD '{PASSWORD}'")


@contextmanager
def no_connections_left(server: Postgres, database: str) -> Iterator[None]:
    server.sql(f"ALTER DATABASE {database} CONNECTION LIMIT 0")
    end_connections(server, database)
    try:
        yield
    finally:
        server.sql(f"ALTER DATABASE {database} CONNECTION LIMIT -1")


@contextmanager
def no_permissions(server: Postgres, database: str) -> Iterator[None]:
    server.sql("REVOKE ALL ON ALL TABLES IN SCHEMA public FROM app", database)
    try:
        yield
    finally:
        server.sql("GRANT ALL ON ALL TABLES IN SCHEMA public TO app", database)


REFUSALS = [
    Trouble("away", away, "Connection refused"),
    Trouble("read-only", read_only, "read-only transaction", perhaps_served=(*READS, *PUBLIC)),
    Trouble(
        "read-only for new connections", read_only_for_new_connections, "does not allow writes"
    ),
    Trouble("login refused", refused_login, "password authentication failed"),
    Trouble("no connections left", no_connections_left, "too many connections"),
    Trouble("no permissions", no_permissions, "permission denied for table"),
]


def test_the_most_detailed_log_has_no_secret(
    guarded: Postgres, make_node: MakeNode, csr: str, tmp_path: Path
) -> None:
    """Covers the messages of the database driver too."""
    node = make_node(own_database(guarded)[1], CERTGATE_LOG="trace")
    Clients(node, csr, tmp_path)
    node.stop()
    assert "executing statement" in node.log and PASSWORD not in node.log


def test_a_refusing_database_causes_503_until_it_recovers(
    guarded: Postgres, make_node: MakeNode, csr: str, tmp_path: Path
) -> None:
    database, url = own_database(guarded)
    node = make_node(url)
    clients = Clients(node, csr, tmp_path)
    before = [clients.ask("issue").result["id"] for _ in range(5)]
    issued = {clients.certificate, *before}
    for trouble in REFUSALS:
        watch = Watch(node)
        with trouble.begin(guarded, database):
            seen = clients.all_at_once(ALL, times=8)
            good = [one for one in seen if one.request in trouble.perhaps_served and is_good(one)]
            assert_refused([one for one in seen if one not in good], ANSWERED_SECONDS)
            assert_not_ready(clients)
            ended = time.monotonic()
        took = recovered(clients, ended)
        watch.assert_calm(trouble.cause)
        longest = max(one.seconds for one in seen)
        print(f"{trouble.name}: refused within {longest:.2f} s, served again after {took:.2f} s")
        settles(clients)
    api = node.api()
    listed = {certificate["id"] for certificate in api.every()}
    assert issued <= listed
    # Beside them: two a trouble, of looking whether it is over.
    assert len(listed) == len(issued) + 2 * len(REFUSALS)
    assert {api.get(certificate).result["status"] for certificate in issued} == {"active"}
    api.close()


@contextmanager
def paused(server: Postgres, database: str) -> Iterator[None]:
    server.pause()
    try:
        yield
    finally:
        server.resume()


@contextmanager
def black_hole(relay: Relay) -> Iterator[None]:
    relay.hold()
    try:
        yield
    finally:
        # Dropped data stays lost.
        relay.cut()
        relay.release()


def half_open(clients: Clients, relay: Relay) -> None:
    """Every connection of a node is dead, and neither side knows it."""
    assert all(map(is_good, clients.all_at_once(READS, times=16)))
    watch = Watch(clients.node)
    relay.stall()
    begun = time.monotonic()
    # The first to use a dead connection waits. Not each dead connection costs a wait.
    for request in (*READS, *PUBLIC):
        assert is_good(seen := clients.ask(request)), seen
        assert seen.seconds < ANSWERED_SECONDS, seen
    took = recovered(clients, time.monotonic())
    watch.assert_calm("")
    print(f"half open: served after {time.monotonic() - begun - took:.2f} s and {took:.2f} s")
    settles(clients)


def waits(
    clients: Clients,
    trouble: AbstractContextManager[None],
    cause: str,
    served: tuple[str, ...] = (),
) -> None:
    """Requests fail in time during the fault, and succeed after it."""
    # Its token is remembered for a second, so that writes wait for their transaction.
    clients.ask("get")
    watch = Watch(clients.node)
    with trouble, ThreadPoolExecutor(2) as pool:
        routes = pool.submit(clients.every_route)
        not_ready = pool.submit(assert_not_ready, clients)
        seen = clients.all_at_once(ALL, times=32)
        assert_refused(seen, ANSWERED_SECONDS, served)
        for one in routes.result():
            assert one.seconds < ANSWERED_SECONDS, one
            assert 200 <= one.status < 500 or one.status == 503 and "retry-after" in one.headers, one
        assert any(one.status == 503 for one in routes.result())
        not_ready.result()
        ended = time.monotonic()
    took = recovered(clients, ended)
    watch.assert_calm(cause)
    longest = max(one.seconds for one in seen)
    print(
        f"{cause}: {len(seen)} requests given up within {longest:.2f} s, served again after {took:.2f} s"
    )
    settles(clients)


def stops(node: Node, frozen: Postgres) -> None:
    """SIGTERM ends a node within half a minute. A node that starts names the fault."""
    frozen.pause()
    side_by_side(node.terminate, lambda: refuses_to_start(node.database_url, "does not answer"))
    begun = time.monotonic()
    node.ended()
    assert time.monotonic() - begun < STOPPED_SECONDS
    assert "the database does not answer" in node.log


def goes_on_beside(
    lost: Clients, other: Clients, relay: Relay, server: Postgres, database: str
) -> None:
    """A node loses its connection during a write: its locks end, and no answered change is lost."""
    load = Load([lost], ("issue",), clients=8)
    with load:
        eventually("it writes", lambda: load.count("issue", 200) > 50)
        eventually("it is cut off in a transaction", lambda: is_cut_off(relay, server, database))
        begun = time.monotonic()
        # A lost transaction releases its lock after three seconds, and a write waits four.
        made = other.ask("issue")
        assert made.status == 200, made
        print(f"the other node wrote after {time.monotonic() - begun:.2f} s")
    relay.cut()
    relay.release()
    recovered(lost, time.monotonic())
    api = other.node.api()
    listed = {certificate["id"] for certificate in api.every()}
    api.close()
    assert {one.result["id"] for one in load.seen if one.status == 200} <= listed


def is_cut_off(relay: Relay, server: Postgres, database: str) -> bool:
    """Returns true if a transaction was open when the relay held it. Otherwise releases it."""
    relay.hold()
    waiting = (
        f"FROM pg_stat_activity WHERE datname = '{database}' AND state = 'idle in transaction'"
    )
    if server.sql(f"SELECT count(*) {waiting}") == "1":
        return True
    relay.release()
    return False


def test_requests_to_a_silent_database_fail_in_time(
    guarded: Postgres, make_node: MakeNode, csr: str, tmp_path: Path
) -> None:
    frozen = Postgres().start()
    relays = [Relay(guarded.port) for _ in range(3)]

    def clients(url: str, made: dict[str, str] | None = None) -> Clients:
        node = make_node(url, start=False)
        node.made = made or {}
        return Clients(node.start(), csr, tmp_path)

    def through(relay: Relay, url: str) -> str:
        return url.replace(f":{guarded.port}/", f":{relay.port}/")

    try:
        held, url = own_database(guarded)
        kept_from_writing = clients(url)
        cut_off = clients(through(relays[0], own_database(guarded)[1]))
        dead = clients(through(relays[2], own_database(guarded)[1]))
        of_frozen = clients(frozen.url(frozen.database()))
        both, shared = own_database(guarded)
        other = clients(shared)
        lost = clients(through(relays[1], shared), other.node.made)

        def freezes() -> None:
            waits(of_frozen, paused(frozen, ""), "does not answer")
            stops(of_frozen.node, frozen)

        side_by_side(
            lambda: waits(
                kept_from_writing, locked(guarded, held), "lock timeout", (*READS, *PUBLIC)
            ),
            lambda: waits(cut_off, black_hole(relays[0]), "does not answer"),
            lambda: goes_on_beside(lost, other, relays[1], guarded, both),
            lambda: half_open(dead, relays[2]),
            freezes,
        )
    finally:
        for relay in relays:
            relay.close()
        frozen.resume()
        frozen.close()


def test_connections_that_end_under_load_lose_no_answered_change(
    make_node: MakeNode, csr: str, tmp_path: Path
) -> None:
    server = Postgres().start()
    try:
        database = server.database()
        clients = Clients(make_node(server.url(database)), csr, tmp_path)
        load = Load([clients], ("issue", "issue", "get", "list", "ocsp"), clients=12)
        with load:
            for _ in range(20):
                so_far = load.count("issue", 200)
                server.sql(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    f"WHERE datname = '{database}' AND pid <> pg_backend_pid() AND random() < 0.5"
                )
                eventually(
                    "it goes on", lambda so_far=so_far: load.count("issue", 200) > so_far + 10
                )
            server.stop("immediate")
            server.start()
            so_far = load.count("issue", 200)
            ended = time.monotonic()
            eventually("it goes on", lambda: load.count("issue", 200) > so_far, RECOVERED_SECONDS)
            print(f"after a restart the first certificate came in {time.monotonic() - ended:.2f} s")
        load.assert_honest(ANSWERED_SECONDS)
        recovered(clients, time.monotonic())
        assert_whole(server, database)
        api = clients.node.api()
        listed = {certificate["id"] for certificate in api.every()}
        answered = {
            one.result["id"] for one in load.seen if one.request == "issue" and one.status == 200
        }
        assert answered <= listed
        api.close()
    finally:
        server.close()


@pytest.fixture
def own_server() -> Iterator[Postgres]:
    server = Postgres()
    yield server.start()
    server.close()


def test_a_full_tablespace_rejects_writes_that_need_space(
    own_server: Postgres, mount: Mount, make_node: MakeNode, csr: str, tmp_path: Path
) -> None:
    server, disk = own_server, Disk(own_server.directory / "small")
    mount("-t", "tmpfs", "-o", f"size={DATABASE_DISK_BYTES}", "tmpfs", at=disk.path)
    if server.user:
        os.chown(disk.path, server.user, server.user)
    server.sql(f"CREATE TABLESPACE small LOCATION '{disk.path}'")
    server.sql("CREATE DATABASE small TABLESPACE small")
    node = make_node(server.url("small"))
    clients = Clients(node, csr, tmp_path)
    # The first lists are published.
    recovered(clients, time.monotonic())
    watch = Watch(node)
    disk.fill()
    issued = []
    while (answer := clients.ask("issue")).status == 200:
        issued.append(answer.result["id"])
        assert len(issued) < 10_000
    # There may be room left for one that fits where another did not.
    more = clients.all_at_once(("issue",), times=32)
    issued += [one.result["id"] for one in more if one.status == 200]
    assert_refused([answer, *(one for one in more if one.status != 200)], ANSWERED_SECONDS)
    served = clients.all_at_once((*READS, *PUBLIC, *ALIVE), times=4)
    assert all(is_good(one) for one in served)
    disk.free()
    took = recovered(clients, time.monotonic())
    watch.assert_calm("No space left on device")
    print(f"full: served again after {took:.2f} s")
    api = node.api()
    assert {certificate["id"] for certificate in api.every()} >= {clients.certificate, *issued}
    assert api.total() == len(issued) + 3
    api.close()
    node.stop()


def test_a_start_without_a_database_gives_the_reason_and_exits(guarded: Postgres) -> None:
    """The supervisor, such as systemd or Kubernetes, then restarts it."""
    database, url = own_database(guarded)
    standby = Standby(guarded).start()
    try:
        refuses_to_start(guarded.url("nothing"), 'database "nothing" does not exist')
        refuses_to_start(url.replace(PASSWORD, PASSWORD[::-1]), "password authentication failed")
        refuses_to_start(standby.url(database), "does not allow writes")
        port = standby.port
        standby.stop()
        refuses_to_start(
            standby.url(database),
            f"127.0.0.1:{port}: error connecting to server: Connection refused",
        )
    finally:
        standby.close()
