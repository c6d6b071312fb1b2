"""Invites that clients use on several nodes of one PostgreSQL."""

from __future__ import annotations

from pathlib import Path

from kit.enrolment import TlsFiles
from kit.invites import one_certificate
from kit.postgres import MakeNode, Postgres


def test_two_nodes_give_one_certificate(
    postgres: Postgres, make_node: MakeNode, tmp_path: Path
) -> None:
    url = postgres.url(postgres.database())
    tls = TlsFiles(tmp_path)
    nodes = [make_node(url, *tls.flags), make_node(url, *tls.flags)]
    api = nodes[0].api()
    zone = api.call("GET", f"/client/v4/zones/{nodes[0].zone_id}").result["name"]
    invites = f"/certgate/v1/zones/{nodes[0].zone_id}/invites"
    made = api.call("POST", invites, {"name": "anna"}).result
    one_certificate(nodes, tls.ca, zone, made)
    other = nodes[1].api()
    (issued,) = other.every()
    shown = other.call("GET", f"{invites}/{made['id']}").result
    assert (shown["state"], shown["client_certificate_ids"]) == ("used", [issued["id"]])
    for one in (api, other):
        one.close()
