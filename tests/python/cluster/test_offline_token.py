"""Tokens that the command line creates in PostgreSQL with the master key, without a server."""

from __future__ import annotations

from pathlib import Path

from kit.harness import Api, certgate
from kit.postgres import MakeNode, Postgres

COMMAND = ("token", "create", "rescue", "--offline")


def test_a_token_is_created_in_postgresql(
    postgres: Postgres, make_node: MakeNode, tmp_path: Path
) -> None:
    name = postgres.database()
    node = make_node(postgres.url(name))

    def create(**variables: str) -> tuple[int, str, str]:
        done = certgate(*COMMAND, cwd=tmp_path, **{**node.variables, **variables})
        return done.returncode, done.stdout.strip(), done.stderr

    status, token, problem = create()
    assert status == 0, problem
    api = Api(node.port, token, node.zone_id)
    assert api.call("GET", "/client/v4/user/tokens").status == 200
    assert api.call("GET", api.certificates).status == 200
    created = api.call("GET", "/certgate/v1/user/logs/audit").result[0]
    assert created["actor"]["type"] == "offline", created
    api.close()

    status, token, problem = create(CERTGATE_MASTER_KEY="0" * 64)
    assert (status, token) == (1, "") and "master key" in problem, problem

    # A wrong name of a database gets no tables.
    empty = postgres.database()
    status, token, problem = create(CERTGATE_DATABASE_URL=postgres.url(empty))
    assert (status, token) == (1, "") and problem, problem
    assert postgres.sql("\\dt", empty) == ""
