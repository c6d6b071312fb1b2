"""Failover: the loss of a primary, and the promotion of its standby."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from kit.harness import eventually
from kit.load import Clients, Load, assert_whole, side_by_side
from kit.postgres import MASTER_KEY, MakeNode, Node, Postgres, Standby
from kit.trouble import ANSWERED_SECONDS, RECOVERED_SECONDS, assert_nothing_lost

# The connections of nodes.
OURS = "FROM pg_stat_activity WHERE application_name = 'certgate'"


@dataclass
class Pair:
    """A primary whose commits wait for its standby, and nodes with both hosts in their URL."""

    primary: Postgres
    standby: Standby
    database: str

    @property
    def url(self) -> str:
        hosts = f"127.0.0.1:{self.primary.port},127.0.0.1:{self.standby.port}"
        return f"postgres://postgres@{hosts}/{self.database}?sslmode=disable"


@pytest.fixture
def make_pair() -> Iterator[Callable[[], Pair]]:
    servers: list[Postgres] = []

    def make() -> Pair:
        servers.append(primary := Postgres().start())
        database = primary.database()
        servers.append(standby := Standby(primary))
        standby.start()
        eventually(
            "it streams", lambda: primary.sql("SELECT count(*) FROM pg_stat_replication") == "1"
        )
        synchronous(primary, "standby")
        return Pair(primary, standby, database)

    try:
        yield make
    finally:
        for server in servers:
            server.resume()
            server.close()


def synchronous(server: Postgres, name: str) -> None:
    """Sets the standby that commits wait for. An empty name sets none."""
    server.set(synchronous_standby_names=f"'{name}'")
    server.reload()
    eventually("it is set", lambda: server.sql("SHOW synchronous_standby_names") == name)
    if name:
        state = "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'"
        eventually("it is synchronous", lambda: server.sql(state) == "1")


def nodes_of(
    pair: Pair, count: int, make_node: MakeNode, csr: str, directory: Path
) -> list[Clients]:
    nodes: list[Clients] = []
    for _ in range(count):
        node = make_node(pair.url, start=False)
        node.made = nodes[0].node.made if nodes else {}
        nodes.append(Clients(node.start(), csr, directory))
    return nodes


def issuing(nodes: list[Clients], since: float) -> list[float]:
    """Returns the seconds after `since` until each node issued."""

    def look(node: Clients) -> float | None:
        return time.monotonic() - since if node.ask("issue").status == 200 else None

    return [
        eventually("it issues", lambda node=node: look(node), RECOVERED_SECONDS) for node in nodes
    ]


def test_a_failover_under_load_loses_nothing(
    make_pair: Callable[[], Pair], make_node: MakeNode, csr: str, tmp_path: Path
) -> None:
    pair = make_pair()
    nodes = nodes_of(pair, 3, make_node, csr, tmp_path)
    load = Load(nodes, ("issue", "issue", "revoke own", "restore own", "issue"), clients=12)
    with load:
        eventually(
            "all work",
            lambda: load.count("issue", 200) > 150 and load.count("revoke own", 200) > 30,
        )
        pair.primary.kill()
        eventually(
            "a request is refused", lambda: any(one.status == 503 for one in list(load.seen))
        )
        pair.standby.promote()
        promoted = time.monotonic()
        took = issuing(nodes, promoted)
        so_far = load.count("issue", 200)
        eventually("all go on", lambda: load.count("issue", 200) > so_far + 100)
    print("after the promotion nodes issued in", [f"{seconds:.2f} s" for seconds in took])
    load.assert_honest(ANSWERED_SECONDS)
    assert_whole(pair.standby, pair.database)
    assert_nothing_lost(load)
    for node in nodes:
        assert node.ask("ready").status == 200


def commits_wait(pair: Pair, nodes: list[Clients]) -> None:
    """The standby fails, and the operator removes it from the settings."""
    pair.standby.stop("immediate")
    load = Load(nodes, ("issue",), clients=len(nodes))
    with load:
        eventually(
            "all clients were answered", lambda: len(load.seen) >= len(nodes), ANSWERED_SECONDS
        )
        # A change on one disk only is not answered.
        assert load.count("issue", 200) == 0
        assert all(
            node.ask(request).status == 200
            for node in nodes
            for request in ("list", "ocsp", "alive")
        )
        assert nodes[0].ask("ready").status == 503
        synchronous(pair.primary, "")
        took = issuing(nodes, time.monotonic())
    print(
        "after the standby was given up nodes issued in", [f"{seconds:.2f} s" for seconds in took]
    )
    load.assert_honest(ANSWERED_SECONDS)
    assert_whole(pair.primary, pair.database)
    assert_nothing_lost(load)


def primary_comes_back(pair: Pair, nodes: list[Clients], directory: Path) -> None:
    """The old primary accepts writes and is first in the URL. Only a starting node uses it."""
    pair.primary.kill()
    pair.standby.promote()
    issuing(nodes, time.monotonic())
    pair.primary.start()
    for _ in range(3):
        pair.standby.sql(f"SELECT pg_terminate_backend(pid) {OURS}")
        issuing(nodes, time.monotonic())
        assert nodes[0].ask("list").status == 200
    assert pair.primary.sql(f"SELECT count(*) {OURS}") == "0", "a node asks the replaced primary"

    # Its commits wait for a standby that left, so it answers no change.
    new = Node(directory / "new", pair.url, made=nodes[0].node.made)
    begun = time.monotonic()
    message = new.refuses_to_start(CERTGATE_DATABASE_URL=pair.url, CERTGATE_MASTER_KEY=MASTER_KEY)
    print(
        f"no start with a stale primary within {time.monotonic() - begun:.2f} s: {message.strip()}"
    )
    assert "does not answer" in message


def primary_freezes(pair: Pair, nodes: list[Clients]) -> None:
    """The primary accepts connections without replies, and later continues."""
    pair.primary.pause()
    pair.standby.promote()
    promoted = time.monotonic()
    # All connections are in use, without replies.
    side_by_side(
        *(
            lambda node=node: node.all_at_once(("issue", "list", "ocsp", "ready"), times=4)
            for node in nodes
        )
    )
    for node in nodes:
        eventually("it issues", lambda node=node: node.ask("issue").status == 200)
    print(
        f"after the promotion of a frozen primary's standby all issued within {time.monotonic() - promoted:.2f} s"
    )
    pair.primary.resume()
    certificate = nodes[0].ask("issue").result["id"]
    for node in nodes:
        for _ in range(20):
            assert node.ask("get", certificate).status == 200, "a read from before the promotion"
    eventually(
        "no node is connected to it", lambda: pair.primary.sql(f"SELECT count(*) {OURS}") == "0"
    )


def test_a_change_without_a_standby_is_not_answered(
    make_pair: Callable[[], Pair], make_node: MakeNode, csr: str
) -> None:
    """After a restart, a primary shows a commit that its standby may lack."""
    pair = make_pair()
    node = make_node(pair.url)
    api = node.api()
    certificate = api.issue(csr).result["id"]
    pair.standby.stop("immediate")
    answers: list[int] = []

    def revoke() -> None:
        other = node.api()
        answers.append(other.revoke(certificate).status)
        other.close()

    revoking = threading.Thread(target=revoke)
    revoking.start()
    waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND query LIKE '%writers%'"
    eventually("the commit waits", lambda: pair.primary.sql(waits) != "0")
    pair.primary.stop()
    pair.primary.start()
    revoking.join()
    assert answers == [503]
    pair.primary.kill()
    pair.standby.start()
    pair.standby.promote()
    eventually("it is served again", lambda: api.get(certificate).status == 200)
    assert api.get(certificate).result["status"] == "active"
    api.close()


def test_requests_that_wait_for_a_lost_server(
    make_pair: Callable[[], Pair], make_node: MakeNode, csr: str, tmp_path: Path
) -> None:
    pairs = [make_pair() for _ in range(3)]
    nodes = [nodes_of(pair, 2, make_node, csr, tmp_path) for pair in pairs]
    side_by_side(
        lambda: commits_wait(pairs[0], nodes[0]),
        lambda: primary_comes_back(pairs[1], nodes[1], tmp_path),
        lambda: primary_freezes(pairs[2], nodes[2]),
    )
