"""Several certgate processes on one PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable

from harness import eventually
from postgres import Node, Postgres

MakeNode = Callable[..., Node]


def test_what_one_node_answers_every_node_shows(postgres: Postgres, make_node: MakeNode, csr: str) -> None:
    url = postgres.url(postgres.database())
    apis = [node.api() for node in (make_node(url), make_node(url), make_node(url))]
    issued = [api.issue(csr).result["id"] for api in apis]
    for api in apis:
        assert [certificate["id"] for certificate in api.every()] == issued[::-1]
    assert apis[1].revoke(issued[0]).result["status"] == "pending_revocation"
    for api in apis:
        eventually("it is revoked", lambda api=api: api.total("revoked") == 1)
        api.close()

