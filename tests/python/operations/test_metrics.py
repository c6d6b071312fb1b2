"""/metrics: what it has, from the start on, and that docs/monitoring.md describes it."""

from __future__ import annotations

import re
from collections.abc import Callable

from kit.harness import REPOSITORY, MakeServer, Server, eventually
from kit.metrics import MONITORING, Metrics
from kit.postgres import Node, Postgres


def documented() -> dict[str, tuple[str, set[str]]]:
    """Type and labels of each metric in the table of the document."""
    rows = re.findall(
        r"^\| `(certgate_\w+)` \| (\w+) \|([^|]*)\|", MONITORING.read_text(), re.MULTILINE
    )
    return {name: (kind, set(re.findall(r"`(\w+)`", labels))) for name, kind, labels in rows}


def test_the_document_has_every_metric_and_no_other(server: Server, csr: str) -> None:
    api = server.api()
    made = api.issue(csr).result
    api.revoke(made["id"])
    api.settled(made["id"], "revoked")
    api.close()
    metrics = Metrics(server)
    shown = {name: (kind, metrics.labels[name]) for name, kind in metrics.types.items()}
    assert documented() == shown

    # Also those that only trouble would show.
    sources = "".join(path.read_text() for path in (REPOSITORY / "crates").glob("*/src/**/*.rs"))
    assert set(re.findall(r'metrics::\w+!\(\s*"(\w+)"', sources)) == shown.keys()


def test_what_is_counted_is_there_before_anything_happened(make_server: MakeServer) -> None:
    values = Metrics(make_server()).values
    begun = {
        series: value for series, value in values.items() if not series.startswith("certgate_http_")
    }
    statuses = ("active", "pending_reactivation", "pending_revocation", "revoked")
    assert begun == {
        "certgate_certificates_issued_total": 0,
        "certgate_crls_published_total": 0,
        **{f'certgate_status_changes_total{{to="{status}"}}': 0 for status in statuses},
        'certgate_enforcement_points_lagging{lease="live"}': 0,
        'certgate_enforcement_points_lagging{lease="ended"}': 0,
    }


def test_who_lags_is_told_by_the_node_that_settles(
    postgres: Postgres, make_node: Callable[..., Node], csr: str
) -> None:
    """One that had the duty and lost it must not go on telling what it saw."""
    database = postgres.database()
    node = make_node(postgres.url(database))
    lagging = 'certgate_enforcement_points_lagging{lease="live"}'
    api = node.api()
    points = f"/certgate/v1/accounts/{node.made['account_id']}/enforcement_points"
    assert api.call("POST", points, {"name": "edge-1", "lease_seconds": 3600}).status == 200
    api.revoke(api.issue(csr).result["id"])
    eventually("it lags", lambda: Metrics(node).values[lagging] == 1)

    # Another node takes the duty, as if this one had been without the database for as long as a lease.
    taken = "holder = decode(repeat('ff', 16), 'hex'), until = (extract(epoch FROM now()) + 15) * 1000000"
    postgres.sql(f"UPDATE duties SET {taken} WHERE duty = 'settling'", database)
    eventually("it is silent", lambda: Metrics(node).values[lagging] == 0)
    eventually("it has the duty again", lambda: Metrics(node).values[lagging] == 1)
    api.close()
