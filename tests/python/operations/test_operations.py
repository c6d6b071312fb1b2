"""What docs/operations.md, monitoring.md and growth.md say, and the alerts: by the programs that they are for."""

from __future__ import annotations

import re
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from kit.deployed import DEPLOY, IS_ROOT, Deployed, Place, judged, place
from kit.harness import REPOSITORY, eventually, make_csr, needs, openssl
from kit.metrics import MONITORING, Metrics
from kit.postgres import Postgres
from kit.proxies import free_port

RULES = DEPLOY / "prometheus/certgate.rules.yml"


@pytest.fixture
def at() -> Iterator[Place]:
    with place() as made:
        yield made


# Prometheus


def alerts() -> dict[str, dict[str, Any]]:
    (group,) = yaml.safe_load(RULES.read_text())["groups"]
    return {rule["alert"]: rule for rule in group["rules"]}


def test_promtool_takes_the_rules_and_what_is_expected_of_them() -> None:
    promtool = needs("promtool")
    judged(promtool, "check", "rules", RULES)
    here = REPOSITORY / "tests/python/operations"
    files = [here / "rules.test.yml", here / "rules.days.test.yml"]
    judged(promtool, "test", "rules", *files)

    # Every alert is seen to fire and seen to be silent.
    fired: set[str] = set()
    silent: set[str] = set()
    for test in (test for file in files for test in yaml.safe_load(file.read_text())["tests"]):
        for case in test["alert_rule_test"]:
            (fired if case.get("exp_alerts") else silent).add(case["alertname"])
    assert fired == silent == alerts().keys()


def test_the_rules_ask_for_what_a_server_shows(at: Place, tmp_path: Path) -> None:
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
            assert asked.pop("job") == ("=", "certgate"), name
            if metric == "up":
                continue
            family = metric.removesuffix("_bucket")
            assert asked.keys() <= metrics.labels[family], name
            series = [
                one for one in metrics.values if one.startswith(f"{metric}{{") or one == metric
            ]
            for key, (how, value) in asked.items():
                values = {found for one in series for found in re.findall(rf'{key}="([^"]*)"', one)}
                # Of status codes only those are seen that occur.
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


def test_the_document_has_every_alert_and_no_other() -> None:
    headings = re.findall(r"^### (Certgate\w+)$", MONITORING.read_text(), re.MULTILINE)
    assert headings == list(alerts())


# What the documents say


def test_log_lines_to_watch_are_ones_that_are_written() -> None:
    sources = "".join(path.read_text() for path in (REPOSITORY / "crates").glob("*/src/**/*.rs"))
    sources = re.sub(r"\\\n\s*", "", sources)
    section = MONITORING.read_text().split("\n## Log lines", 1)[1].split("\n## ", 1)[0]
    rows = re.findall(r"^\| (error|warn|info) \| `([^`]+)` \|", section, re.MULTILINE)
    assert len(rows) == section.count("\n|") - 2
    for level, text in rows:
        written = re.search(
            rf'tracing::{level}!\((?:(?!tracing::)[^"]|"(?!{re.escape(text)}))*"{re.escape(text)}',
            sources,
        )
        assert written, (level, text)


@pytest.mark.parametrize("document", ["operations.md", "monitoring.md", "growth.md"])
def test_settings_that_the_documents_name_exist(document: str) -> None:
    text = (REPOSITORY / "docs" / document).read_text()
    reference = (REPOSITORY / "docs/configuration.md").read_text()
    known = set(re.findall(r"`(CERTGATE_[A-Z_0-9]+)`", reference))
    assert set(re.findall(r"CERTGATE_[A-Z_0-9]+", text)) <= known
    for name in re.findall(r"\(([\w-]+\.md)(?:#[\w-]+)?\)", text):
        assert (REPOSITORY / "docs" / name).exists(), name
    for name in re.findall(r"\bdeploy/[\w./-]+\w", text):
        assert (REPOSITORY / name).exists(), name


@pytest.mark.parametrize("document", ["operations.md", "growth.md"])
def test_figures_are_the_measured_ones(document: str) -> None:
    """What is calculated from a row of performance.md begins with what the row has."""
    measured = (REPOSITORY / "docs/performance.md").read_text().replace(",", "").splitlines()
    text = (REPOSITORY / "docs" / document).read_text()
    figures = re.findall(r'"([^"\n]+)": ([\d.,]+ ?(?:µs|ms|s\b|MB|bytes|/s))', text)
    assert len(figures) >= 6
    for row, figure in figures:
        name = row.replace(",", "")
        at = [
            at
            for at, line in enumerate(measured)
            if line.startswith((f"| {name} |", f"**{name}**"))
        ]
        # A paragraph goes on in the next line.
        found = " ".join(line for first in at for line in measured[first : first + 2])
        assert re.search(rf"(?<![\d.]){re.escape(figure.replace(',', ''))}", found), (row, figure)


def test_what_is_to_be_pasted_is_understood(tmp_path: Path, postgres: Postgres) -> None:
    """Scrape configuration, SQL and nginx of the documents, by the programs that they are for."""
    scrape = tmp_path / "prometheus.yml"
    scrape.write_text(block("monitoring.md", "yaml"))
    judged(needs("promtool"), "check", "config", "--syntax-only", scrape)
    (job,) = yaml.safe_load(scrape.read_text())["scrape_configs"]
    assert job["job_name"] == "certgate"

    assert "|psql|" in postgres.sql(block("monitoring.md", "sql")), (
        "the asking session is among those that are shown"
    )

    for document, more in (
        ("operations.md", "upstream certgate { server 127.0.0.1:8788; }"),
        ("growth.md", ""),
    ):
        config = tmp_path / f"{document}.conf"
        text = block(document, "nginx").replace("/var/cache/nginx/", f"{tmp_path}/")
        text = re.sub(r"node-[\w-]+\.example", "127.0.0.1", text)
        config.write_text(
            f"pid {tmp_path}/pid; error_log stderr; events {{}} http {{ access_log off; {more} {text} }}"
        )
        judged(needs("nginx"), "-t", "-p", tmp_path, "-c", config)


def test_a_cache_serves_lists_that_certgate_does_not(at: Place, tmp_path: Path) -> None:
    """The one of operations.md, while nobody is behind it."""
    at.writable("/data")
    server = Deployed(at, ["serve"], {"CERTGATE_DATA_DIR": str(at.at("/data"))}, {}).start()
    nginx: subprocess.Popen[bytes] | None = None
    try:
        server.adopt()
        api = server.api()
        authority = api.issue(make_csr(tmp_path)).result["certificate_authority"]["id"]
        api.close()
        port, config = free_port(), tmp_path / "nginx.conf"
        text = block("operations.md", "nginx").replace("/var/cache/nginx/", f"{tmp_path}/")
        text = text.replace("listen 80;", f"listen 127.0.0.1:{port};")
        upstream = f"upstream certgate {{ server 127.0.0.1:{server.public_port}; }}"
        user = "user root;" if IS_ROOT else ""
        # Not for five minutes, as certgate says, but for a second.
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
        # After a second the list is one to ask for again, and nobody is there to be asked.
        eventually("it is stale", lambda: from_cache(port, address) == (200, "STALE"))
        assert from_cache(port, address.replace("ca.crl", "0.crl"))[0] == 502, (
            "what nobody asked for before"
        )
    finally:
        server.kill()
        if nginx:
            nginx.terminate()
            nginx.wait()


def from_cache(port: int, path: str) -> tuple[int, str]:
    """The status of an answer, and where it came from; 0 while nobody listens."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}") as answer:
            return answer.status, answer.headers["x-cache"]
    except urllib.error.HTTPError as error:
        return error.code, ""
    except urllib.error.URLError:
        return 0, ""


def block(document: str, language: str) -> str:
    """The one block of a document that is in this language."""
    (text,) = re.findall(
        rf"^```{language}\n(.*?)^```$", (REPOSITORY / "docs" / document).read_text(), re.M | re.S
    )
    return text


# PostgreSQL


@pytest.mark.parametrize("told", [True, False], ids=["with the script", "without it"])
def test_a_database_that_was_put_back_tells_who_knows_more(
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
            # What pg_dump has is what there was before the second revocation.
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
    # Another change gives the epoch of the one that is lost to it.
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
    """The number of a list that no revocation makes anew; 0 while there is none."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/crl/{authority}/ca.crl") as answer:
            text = openssl("crl", "-inform", "DER", "-noout", "-crlnumber", stdin=answer.read())
    except urllib.error.HTTPError:
        return 0
    return int(text.split("=")[1], 16)
