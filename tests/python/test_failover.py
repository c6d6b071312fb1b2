"""A primary that is lost, and the standby that takes its place."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from harness import eventually
from load import Clients, Load, assert_whole
from postgres import Node, Postgres, Standby
from test_audit import assert_chained

MakeNode = Callable[..., Node]

# From the promotion until every node issues again.
RECOVERED_SECONDS = 10.0

# Beside a commit that is not answered: 12 seconds for it, and about ten in which it is looked up.
COMMIT_SECONDS = 28.0


@dataclass
class Pair:
    """A primary whose commits wait for its standby, and nodes that know both."""

    primary: Postgres
    standby: Standby
    database: str

    @property
    def url(self) -> str:
        hosts = f"127.0.0.1:{self.primary.port},127.0.0.1:{self.standby.port}"
        return f"postgres://postgres@{hosts}/{self.database}?sslmode=disable"


@pytest.fixture
def pair() -> Iterator[Pair]:
    servers: list[Postgres] = []
    try:
        servers.append(primary := Postgres().start())
        database = primary.database()
        servers.append(standby := Standby(primary).start())
        eventually("it streams", lambda: primary.sql("SELECT count(*) FROM pg_stat_replication") == "1")
        synchronous(primary, "standby")
        yield Pair(primary, standby, database)
    finally:
        for server in servers:
            server.resume()
            server.close()


def synchronous(server: Postgres, name: str) -> None:
    """Whom commits wait for; nobody if the name is empty."""
    server.set(synchronous_standby_names=f"'{name}'")
    server.reload()
    eventually("it is set", lambda: server.sql("SHOW synchronous_standby_names") == name)
    if name:
        state = "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'"
        eventually("it is synchronous", lambda: server.sql(state) == "1")


def three_nodes(pair: Pair, make_node: MakeNode, csr: str, directory: Path) -> list[Clients]:
    return [Clients(make_node(pair.url), csr, directory) for _ in range(3)]


def issuing(nodes: list[Clients], since: float) -> list[float]:
    """How many seconds after `since` each node issued."""

    def look(node: Clients) -> float | None:
        return time.monotonic() - since if node.ask("issue").status == 200 else None

    return [eventually("it issues", lambda node=node: look(node), RECOVERED_SECONDS) for node in nodes]


def assert_nothing_lost(load: Load, node: Node, issued: set[str]) -> None:
    """What was answered is there, and nobody got what was not asked for."""
    api = node.api()
    listed = {certificate["id"]: certificate for certificate in api.every()}
    assert issued <= listed.keys()
    # A request that was refused may have been done, once; the SDK's retry is a request of its own.
    refused = sum(one.request == "issue" and one.status != 200 for one in load.seen)
    assert len(listed) - len(issued) <= refused, (len(listed), len(issued), refused)
    print(f"{len(issued)} issued, {refused} refused, of which {len(listed) - len(issued)} are there")
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


def test_the_standby_takes_over_under_load_and_nothing_is_lost(
    pair: Pair, make_node: MakeNode, csr: str, tmp_path: Path
) -> None:
    nodes = three_nodes(pair, make_node, csr, tmp_path)
    load = Load(nodes, ("issue", "issue", "revoke own", "restore own", "issue"), clients=12)
    with load:
        eventually("all work", lambda: load.count("issue", 200) > 150 and load.count("revoke own", 200) > 30)
        pair.primary.kill()
        eventually("somebody is refused", lambda: any(one.status == 503 for one in list(load.seen)))
        pair.standby.promote()
        promoted = time.monotonic()
        took = issuing(nodes, promoted)
        so_far = load.count("issue", 200)
        eventually("all go on", lambda: load.count("issue", 200) > so_far + 100)
    print("after the promotion nodes issued in", [f"{seconds:.2f} s" for seconds in took])
    load.assert_honest(COMMIT_SECONDS)
    assert_whole(pair.standby, pair.database)
    issued = {one.result["id"] for one in load.seen if one.request == "issue" and one.status == 200}
    assert_nothing_lost(load, nodes[0].node, issued)
    for node in nodes:
        assert node.ask("ready").status == 200
