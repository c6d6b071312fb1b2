"""The pages of docs/ on running certgate, and the alerts, judged by the programs that read them."""

from __future__ import annotations

import itertools
import re
import shlex
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from kit.deployed import DEPLOY, IS_ROOT, Deployed, Place, judged, place
from kit.harness import (
    REPOSITORY,
    certgate,
    eventually,
    free_port,
    make_csr,
    needs,
    openssl,
)
from kit.metrics import Metrics
from kit.postgres import Postgres

RULES = DEPLOY / "prometheus/certgate.rules.yml"
ALERTS = REPOSITORY / "docs/alerts.md"

# The pages on running certgate.
PAGES = [
    "alerts.md",
    "audit.md",
    "backup.md",
    "check.md",
    "clocks.md",
    "growth.md",
    "high-availability.md",
    "kubernetes.md",
    "migration.md",
    "monitoring.md",
    "operations.md",
    "performance.md",
    "sizing.md",
    "upgrades.md",
]


@pytest.fixture
def at() -> Iterator[Place]:
    with place() as made:
        yield made


# Prometheus


def alerts() -> dict[str, dict[str, Any]]:
    (group,) = yaml.safe_load(RULES.read_text())["groups"]
    return {rule["alert"]: rule for rule in group["rules"]}


def test_promtool_accepts_the_rules_and_their_cases() -> None:
    promtool = needs("promtool")
    judged(promtool, "check", "rules", RULES)
    here = REPOSITORY / "tests/python/operations"
    files = [here / "rules.test.yml", here / "rules.days.test.yml"]
    judged(promtool, "test", "rules", *files)

    # Each alert fires in a case, and does not fire in another.
    fired: set[str] = set()
    silent: set[str] = set()
    for test in (test for file in files for test in yaml.safe_load(file.read_text())["tests"]):
        for case in test["alert_rule_test"]:
            (fired if case.get("exp_alerts") else silent).add(case["alertname"])
    assert fired == silent == alerts().keys()


def test_the_rules_use_metrics_that_a_server_shows(at: Place, tmp_path: Path) -> None:
    at.writable("/data")
    server = Deployed(at, ["serve"], {"CERTGATE_DATA_DIR": str(at.at("/data"))}, {}).start()
    try:
        server.adopt()
        api = server.api()
        csr = make_csr(tmp_path)
        for status in ("revoked", "active"):
            made = api.issue(csr).result["id"]
            api.revoke(made)
            api.settled(made, "revoked")
            if status == "active":
                api.restore(made)
                api.settled(made, "active")
        api.close()
        for path in ("/readyz", "/healthz", "/metrics"):
            server.answers(server.port, path)
        metrics = Metrics(server)
        server.stop_told()
    finally:
        server.kill()

    label = r"(\w+)(=~|!~|!=|=)\"([^\"]*)\""
    for name, rule in alerts().items():
        for metric, conditions in re.findall(
            r"\b(certgate_\w+|up)\{(.*?)\}", rule["expr"], re.DOTALL
        ):
            asked = {key: (how, value) for key, how, value in re.findall(label, conditions)}
            job = asked.pop("job")
            # The gateway and authz show other metrics: test_metrics.py compares those.
            if job == ("=", "certgate-points"):
                continue
            assert job == ("=", "certgate"), name
            if metric == "up":
                continue
            family = metric.removesuffix("_bucket")
            assert asked.keys() <= metrics.labels[family], name
            series = [
                one for one in metrics.values if one.startswith(f"{metric}{{") or one == metric
            ]
            for key, (how, value) in asked.items():
                values = {found for one in series for found in re.findall(rf'{key}="([^"]*)"', one)}
                # The server shows only status codes that occurred.
                if how.startswith("=") and key != "status":
                    assert any(re.fullmatch(value, found) for found in values), (
                        name,
                        key,
                        value,
                        values,
                    )
                if how == "!~":
                    assert set(value.split("|")) <= values, (name, key, value, values)
        assert "certgate_" not in re.sub(r"\bcertgate_\w+\{", "", rule["expr"]), (
            f"{name}: a metric without job"
        )


def test_the_page_has_every_alert_and_no_other() -> None:
    headings = re.findall(r"^### (Certgate\w+)$", ALERTS.read_text(), re.MULTILINE)
    assert headings == list(alerts())


# The pages


def test_the_program_writes_the_log_lines_to_watch() -> None:
    sources = "".join(path.read_text() for path in (REPOSITORY / "crates").glob("*/src/**/*.rs"))
    sources = re.sub(r"\\\n\s*", "", sources)
    section = ALERTS.read_text().split("\n## Log lines", 1)[1].split("\n## ", 1)[0]
    items = re.findall(r"^- (error|warn|info)\s+`([^`]+)`:", section, re.MULTILINE)
    assert len(items) == section.count("\n- ") >= 14
    for level, text in items:
        written = re.search(
            rf'tracing::{level}!\((?:(?!tracing::)[^"]|"(?!{re.escape(text)}))*"{re.escape(text)}',
            sources,
        )
        assert written, (level, text)


@pytest.mark.parametrize("document", PAGES)
def test_settings_and_files_that_a_page_names_exist(document: str) -> None:
    text = (REPOSITORY / "docs" / document).read_text()
    reference = (REPOSITORY / "docs/configuration.md").read_text()
    known = set(re.findall(r"`(CERTGATE_[A-Z_0-9]+)`", reference))
    assert set(re.findall(r"CERTGATE_[A-Z_0-9]+", text)) <= known
    for name in re.findall(r"\bdeploy/[\w./-]+\w", text):
        assert (REPOSITORY / name).exists(), name


@pytest.mark.parametrize("document", PAGES)
def test_commands_of_a_page_exist(document: str, tmp_path: Path) -> None:
    """bash parses each block, and certgate knows each subcommand and flag in it."""
    text = (REPOSITORY / "docs" / document).read_text()
    for block_text in re.findall(r"^ *```sh\n(.*?)^ *```$", text, re.M | re.S):
        script = tmp_path / "block.sh"
        script.write_text(block_text)
        judged(needs("bash"), "-n", script)
        for line in block_text.replace("\\\n", " ").splitlines():
            for command in re.findall(r"(?:^ *|certgate -- )certgate ([a-z][^|>;&#)]*)", line):
                words = shlex.split(command)
                names = list(itertools.takewhile(str.isalpha, words))
                helped = certgate(*names, "--help")
                assert helped.returncode == 0, (command, helped.stderr)
                for flag in (word for word in words if word.startswith("--")):
                    assert re.search(rf"{flag}\b", helped.stdout), (command, flag)


@pytest.mark.parametrize(("document", "least"), [("sizing.md", 14), ("growth.md", 4)])
def test_figures_are_the_measured_ones(document: str, least: int) -> None:
    """A calculation from a row of the figures begins with the figure of that row."""
    sources = (REPOSITORY / "docs" / name for name in ("performance.md", "performance/figures.md"))
    measured = "".join(source.read_text() for source in sources).replace(",", "").splitlines()
    text = (REPOSITORY / "docs" / document).read_text()
    figures = re.findall(r'"([^"\n]+)": ([\d.,]+ ?(?:µs|ms|s\b|MB|bytes|/s))', text)
    assert len(figures) >= least
    for row, figure in figures:
        name = row.replace(",", "")
        at = [
            at
            for at, line in enumerate(measured)
            if line.startswith((f"| {name} |", f"- **{name}**"))
        ]
        # A paragraph goes on in the next line.
        found = " ".join(line for first in at for line in measured[first : first + 2])
        assert re.search(rf"(?<![\d.]){re.escape(figure.replace(',', ''))}", found), (row, figure)


def test_programs_accept_the_blocks_for_them(tmp_path: Path, postgres: Postgres) -> None:
    """promtool, psql and nginx accept the scrape configuration, SQL and nginx of the pages."""
    scrape = tmp_path / "prometheus.yml"
    scrape.write_text(block("monitoring.md", "yaml"))
    judged(needs("promtool"), "check", "config", "--syntax-only", scrape)
    (job,) = yaml.safe_load(scrape.read_text())["scrape_configs"]
    assert job["job_name"] == "certgate"

    assert "|psql|" in postgres.sql(block("alerts.md", "sql")), "the query lists its own session"

    for document, more in (
        ("high-availability.md", "upstream certgate { server 127.0.0.1:8788; }"),
        ("growth.md", ""),
    ):
        config = tmp_path / f"{document}.conf"
        text = block(document, "nginx").replace("/var/cache/nginx/", f"{tmp_path}/")
        text = re.sub(r"node-[\w-]+\.example", "127.0.0.1", text)
        config.write_text(
            f"pid {tmp_path}/pid; error_log stderr; events {{}} http {{ access_log off; {more} {text} }}"
        )
        judged(needs("nginx"), "-t", "-p", tmp_path, "-c", config)


def test_a_cache_serves_lists_while_certgate_does_not(at: Place, tmp_path: Path) -> None:
    """The cache of high-availability.md serves its lists while certgate does not run."""
    at.writable("/data")
    server = Deployed(at, ["serve"], {"CERTGATE_DATA_DIR": str(at.at("/data"))}, {}).start()
    nginx: subprocess.Popen[bytes] | None = None
    try:
        server.adopt()
        api = server.api()
        authority = api.issue(make_csr(tmp_path)).result["certificate_authority"]["id"]
        api.close()
        port, config = free_port(), tmp_path / "nginx.conf"
        text = block("high-availability.md", "nginx").replace("/var/cache/nginx/", f"{tmp_path}/")
        text = text.replace("listen 80;", f"listen 127.0.0.1:{port};")
        upstream = f"upstream certgate {{ server 127.0.0.1:{server.public_port}; }}"
        user = "user root;" if IS_ROOT else ""
        # certgate permits five minutes; the test shortens them to a second.
        http = (
            "access_log off; proxy_ignore_headers Cache-Control Expires; proxy_cache_valid 200 1s;"
        )
        http += f"add_header x-cache $upstream_cache_status always; {upstream} {text}"
        config.write_text(
            f"{user} pid {tmp_path}/pid; daemon off; error_log stderr; events {{}} http {{ {http} }}"
        )
        nginx = subprocess.Popen([needs("nginx"), "-p", tmp_path, "-c", config])
        address = f"/crl/{authority}/ca.crl"
        eventually("nginx has a list", lambda: from_cache(port, address) == (200, "HIT"))
        server.stop_told()
        # After a second the list is stale, and no server answers.
        eventually("it is stale", lambda: from_cache(port, address) == (200, "STALE"))
        assert from_cache(port, address.replace("ca.crl", "0.crl"))[0] == 502, (
            "a list that was not requested before"
        )
    finally:
        server.kill()
        if nginx:
            nginx.terminate()
            nginx.wait()


def from_cache(port: int, path: str) -> tuple[int, str]:
    """Returns the status of an answer and its source in the cache, or 0 without a listener."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}") as answer:
            return answer.status, answer.headers["x-cache"]
    except urllib.error.HTTPError as error:
        return error.code, ""
    except urllib.error.URLError:
        return 0, ""


def block(document: str, language: str) -> str:
    """Returns the only block of a page in this language."""
    (text,) = re.findall(
        rf"^```{language}\n(.*?)^```$", (REPOSITORY / "docs" / document).read_text(), re.M | re.S
    )
    return text


# PostgreSQL


@pytest.mark.parametrize("told", [True, False], ids=["with the script", "without it"])
def test_a_restored_database_refuses_enforcement_points_that_know_more(
    postgres: Postgres, make_node: Any, csr: str, told: bool
) -> None:
    earlier, database = postgres.database(), postgres.database()
    reached = ["-h", str(postgres.directory), "-p", str(postgres.port), "-U", "postgres"]
    node = make_node(postgres.url(database))
    api = node.api()
    account = f"/certgate/v1/accounts/{node.made['account_id']}"
    kept, lost = (api.issue(csr).result for _ in range(2))
    authority = kept["certificate_authority"]["id"]
    for made in (kept, lost):
        if made is lost:
            # The dump is older than the second revocation.
            dump = postgres.run(
                "pg_dump",
                "-h",
                postgres.directory,
                "-p",
                str(postgres.port),
                "-U",
                "postgres",
                database,
            )
        api.revoke(made["id"])
        api.settled(made["id"], "revoked")
    known = api.call("GET", f"{account}/revocation_changes?after=0").result["epoch"]
    number = crl_number(node.public_port, authority)
    api.close()
    node.stop()

    file = postgres.directory / "dump.sql"
    file.write_text(dump)
    postgres.run("psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", *reached, "-d", earlier, "-f", file)
    if told:
        postgres.sql((DEPLOY / "postgresql/after-restore.sql").read_text(), earlier)

    node.database_url = postgres.url(earlier)
    api = node.start().api()
    # A new change gets the epoch of the lost one.
    api.revoke(api.issue(csr).result["id"])
    asked = api.call("GET", f"{account}/revocation_changes?after={known}")
    if told:
        assert asked.status == 400 and asked.error["code"] == 1521
        eventually("it is made anew", lambda: crl_number(node.public_port, authority) > number)
    else:
        assert asked.result["changes"] == [], "a change is missed: what the script is for"
    assert api.get(lost["id"]).result["status"] == "active", "what was revoked since is lost"
    assert api.get(kept["id"]).result["status"] == "revoked"
    api.close()


def crl_number(port: int, authority: str) -> int:
    """Returns the number of the list of CA certificates, or 0 without a list."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/crl/{authority}/ca.crl") as answer:
            text = openssl("crl", "-inform", "DER", "-noout", "-crlnumber", stdin=answer.read())
    except urllib.error.HTTPError:
        return 0
    return int(text.split("=")[1], 16)
