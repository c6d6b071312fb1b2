"""/metrics: its content from the start, and its description in docs/monitoring.md."""

from __future__ import annotations

import re
from collections.abc import Callable

from kit.harness import REPOSITORY, MakeServer, Server, eventually
from kit.metrics import MONITORING, Metrics
from kit.postgres import Node, Postgres

SERVER, POINTS = "## Metrics\n", "## Metrics of enforcement points\n"


# The ways in which clients without a token get certificates.
ENROLLED_BY = ("invite", "renewal", "trusted_ca")

# The metrics of a destination of notifications.
NOTIFICATIONS = (
    "certgate_notifications_delivered_total",
    "certgate_notification_failures_total",
    "certgate_notification_backlog",
    "certgate_notification_oldest_seconds",
    "certgate_notifications_undelivered",
)


def documented(heading: str) -> dict[str, tuple[str, set[str]]]:
    """Returns type and labels of each metric in the table of a section of the page."""
    section = MONITORING.read_text().split(heading, 1)[1].split("\n## ", 1)[0]
    rows = re.findall(r"^\| `(certgate_\w+)` \| (\w+) \|([^|]*)\|", section, re.MULTILINE)
    return {name: (kind, set(re.findall(r"`(\w+)`", labels))) for name, kind, labels in rows}


def test_the_page_has_every_metric_and_no_other(server: Server, csr: str) -> None:
    api = server.api()
    made = api.issue(csr).result
    api.revoke(made["id"])
    api.settled(made["id"], "revoked")
    api.close()
    metrics = Metrics(server)
    shown = {name: (kind, metrics.labels[name]) for name, kind in metrics.types.items()}
    assert documented(SERVER) == shown
    assert metrics.help.keys() == shown.keys()

    # Includes metrics that only a fault would show.
    # Gateways and authz have metrics of their own.
    crates = sorted((REPOSITORY / "crates").glob("*/src/**/*.rs"))
    server = [path for path in crates if "enforcement" not in path.parts]
    sources = "".join(path.read_text() for path in server)
    assert set(re.findall(r'metrics::\w+!\(\s*"(\w+)"', sources)) == shown.keys()


def test_the_page_has_every_metric_of_enforcement_points() -> None:
    files = (REPOSITORY / "crates/enforcement/src").rglob("*.rs")
    source = "".join(path.read_text() for path in files)
    written: dict[str, tuple[str, set[str]]] = {}
    uses = re.findall(r"metrics::(\w+)!\((.*?)\)\s*\.", source, re.DOTALL)
    assert len(uses) == len(re.findall(r"\b(?:counter|gauge|histogram)!", source))
    for kind, arguments in uses:
        name = re.match(r'\s*"(\w+)"', arguments)
        assert name, f"the name of a metric stands at its use: {arguments}"
        described = kind, set(re.findall(r'"(\w+)" =>', arguments))
        assert written.setdefault(name[1], described) == described
    assert documented(POINTS) == written
    # No page and no alert names a metric that does not exist.
    exist = written.keys() | documented(SERVER).keys()
    pages = [*(REPOSITORY / "docs").glob("*.md"), *(REPOSITORY / "deploy/prometheus").glob("*.yml")]
    named = {
        name
        for page in pages
        for name in re.findall(r"\bcertgate_(?:enforcement|gateway)_\w+", page.read_text())
    }
    assert named - exist == set() and written.keys() <= named


def test_all_metrics_exist_from_the_start(make_server: MakeServer) -> None:
    values = Metrics(make_server()).values
    begun = {
        series: value
        for series, value in values.items()
        if not series.startswith(("certgate_http_", "certgate_build_info"))
    }
    statuses = ("active", "pending_reactivation", "pending_revocation", "revoked")
    closed = ("address", "full", "refused", "timeout")
    tasks = (
        "clock watch",
        "invite files",
        "management connection limits",
        "management listener",
        "metrics",
        "notifications",
        "offline requests",
        "public connection limits",
        "public listener",
        "record of token uses",
        "reload of settings",
        "search indexer",
        "settler",
    )
    assert begun == {
        **{f'certgate_certificates{{status="{status}"}}': 0 for status in statuses},
        **{f'certgate_certificates_expiring{{within="{days}d"}}': 0 for days in (7, 30, 90)},
        "certgate_certificates_unindexed": 0,
        "certgate_certificates_issued_total": 0,
        "certgate_crls_published_total": 0,
        "certgate_corrupt_crls_total": 0,
        "certgate_backup_finished_timestamp_seconds": 0,
        "certgate_check_finished_timestamp_seconds": 0,
        "certgate_check_problems": 0,
        "certgate_tls_certificate_expires_timestamp_seconds": 0,
        "certgate_enrol_tls_certificate_expires_timestamp_seconds": 0,
        "certgate_invite_tls_certificate_expires_timestamp_seconds": 0,
        **{f'certgate_enrolled_total{{by="{by}"}}': 0 for by in ENROLLED_BY},
        "certgate_connections_unavailable": 0,
        "certgate_log_lines_dropped_total": 0,
        "certgate_log_lines_limited_total": 0,
        **{f'certgate_connections_closed_total{{reason="{reason}"}}': 0 for reason in closed},
        **{f'certgate_reloads_total{{result="{result}"}}': 0 for result in ("changed", "rejected")},
        **{f'certgate_task_restarts_total{{task="{task}"}}': 0 for task in tasks},
        **{f'certgate_status_changes_total{{to="{status}"}}': 0 for status in statuses},
        **{
            f'{name}{{destination="{to}"}}': 0
            for name in NOTIFICATIONS
            for to in ("webhook", "email")
        },
        'certgate_enforcement_points_lagging{lease="live"}': 0,
        'certgate_enforcement_points_lagging{lease="ended"}': 0,
    }


def test_the_lease_holder_reports_lagging_points(
    postgres: Postgres, make_node: Callable[..., Node], csr: str
) -> None:
    """A node that loses the lease stops reporting."""
    database = postgres.database()
    node = make_node(postgres.url(database))
    lagging = 'certgate_enforcement_points_lagging{lease="live"}'
    api = node.api()
    points = f"/certgate/v1/accounts/{node.made['account_id']}/enforcement_points"
    assert api.call("POST", points, {"name": "edge-1", "lease_seconds": 3600}).status == 200
    api.revoke(api.issue(csr).result["id"])
    eventually("it lags", lambda: Metrics(node).values[lagging] == 1)

    # Another node takes the lease, as if this node had lost the database.
    taken = "holder = decode(repeat('ff', 16), 'hex'), until = (extract(epoch FROM now()) + 15) * 1000000"
    postgres.sql(f"UPDATE leases SET {taken} WHERE job = 'settling'", database)
    eventually("it is silent", lambda: Metrics(node).values[lagging] == 0)
    eventually("it has the lease again", lambda: Metrics(node).values[lagging] == 1)
    api.close()
