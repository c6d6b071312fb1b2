"""Every command of README.md and docs/ is executed by a test, with the exceptions named here."""

from __future__ import annotations

import re
import shlex
import sqlite3
from contextlib import closing
from pathlib import Path

from kit.harness import KEYS, REPOSITORY, Server, make_csr, openssl
from kit.pages import commands, run

# The blocks of commands that a test runs, of all in the page, and the test.
EXECUTED = {
    "README.md": (2, "wire/test_docs.py"),
    "docs/audit.md": (3, "wire/test_pages.py"),
    "docs/authz.md": (2, "operations/test_tasks.py"),
    "docs/backup.md": (3, "operations/test_tasks.py"),
    "docs/ca-rotation.md": (3, "wire/test_pages.py"),
    "docs/check.md": (1, "operations/test_tasks.py"),
    "docs/ci.md": (3, "interop/test_est_page.py"),
    "docs/client.md": (9, "wire/test_docs.py"),
    "docs/cookbook.md": (15, "wire/test_cookbook.py"),
    "docs/credentials.md": (1, "wire/test_pages.py"),
    "docs/devices.md": (7, "interop/test_devices.py"),
    "docs/enforcement.md": (2, "wire/test_pages.py"),
    "docs/est.md": (5, "interop/test_est_page.py"),
    "docs/follow.md": (2, "operations/test_tasks.py"),
    "docs/gateway.md": (1, "operations/test_tasks.py"),
    "docs/get-started.md": (6, "wire/test_docs.py"),
    "docs/install.md": (3, "operations/test_tasks.py"),
    "docs/invites.md": (6, "interop/test_est_page.py"),
    "docs/issuance-rules.md": (2, "wire/test_pages.py"),
    "docs/monitoring.md": (1, "operations/test_tasks.py"),
    "docs/notifications.md": (2, "operations/test_notifications.py"),
    "docs/operations.md": (2, "operations/test_tasks.py"),
    "docs/proxies.md": (2, "wire/test_docs.py"),
    "docs/recipes.md": (3, "wire/test_recipes.py"),
    "docs/renewal.md": (4, "interop/test_est_page.py"),
    "docs/revocation.md": (1, "wire/test_docs.py"),
    "docs/search.md": (1, "wire/test_pages.py"),
    "docs/upgrades.md": (1, "operations/test_tasks.py"),
}

# Blocks that no test runs as they are, by page and first line, with the reason.
EXCEPTIONS = {
    ("README.md", "cargo run --release -- serve"): "continuous integration runs its second line",
    ("docs/backup.md", "psql -v"): "test_operations.py runs the file on a restored database",
    ("docs/check.md", "sqlite3"): "a test here executes its SQL without that program",
    ("docs/install.md", "podman build"): "no engine: test_deploy.py checks the file",
    ("docs/install.md", "cargo build"): "a release build takes minutes",
    ("docs/kubernetes.md", "kubectl apply -f"): "no cluster: test_deploy.py checks the objects",
    ("docs/kubernetes.md", "kubectl apply -n"): "the same",
    ("docs/kubernetes.md", "kubectl apply -k"): "the same",
    ("docs/migration.md", "systemctl stop"): "test_migrate.py runs the command",
    ("docs/operations.md", "podman build"): "no engine: test_deploy.py checks the file",
    ("docs/postgresql.md", "CERTGATE_DATABASE_URL"): "every test in cluster starts nodes so",
    ("docs/renewal.md", "mkdir -p /etc/certgate-renew"): "test_deploy.py runs the unit",
    ("docs/renewal.md", "kubectl create namespace"): "test_deploy.py runs the containers",
}


def pages() -> dict[str, list[str]]:
    """The scripts of each page that has some."""
    files = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md"))]
    names = [str(file.relative_to(REPOSITORY)) for file in files]
    return {name: scripts for name in names if (scripts := commands(name))}


def test_each_block_is_executed_or_named() -> None:
    found = pages()
    assert {page for page, _ in EXCEPTIONS} | set(EXECUTED) == set(found)
    for page, scripts in found.items():
        named = [start for excepted, start in EXCEPTIONS if excepted == page]
        for start in named:
            assert [script.startswith(start) for script in scripts].count(True) == 1, (page, start)
        count, test = EXECUTED.get(page, (0, ""))
        assert len(scripts) == count + len(named), f"{page}: run or name each block of commands"
        if test:
            assert page.removeprefix("docs/") in (Path(__file__).parents[1] / test).read_text()


def test_the_audit_log(first_start: Server) -> None:
    """docs/audit.md"""
    directory = first_start.directory.parent
    read, verify, prove = commands("docs/audit.md")
    copy = f"certgate backup {directory}/certgate-2026-11-24.db"
    verify = verify.replace("/backups", str(directory))
    listed, _, verified = run(first_start, read, copy, verify)
    assert "first token" in listed or "create" in listed
    heads = re.findall(r"\b[0-9a-f]{32}:\d+:[0-9a-f]{64}\b", verified)
    assert len(heads) == 4 and len(set(heads)) == 2
    example = re.search(r"--expect (\S+)", prove)
    assert example
    run(first_start, prove.replace(example[1], heads[0]))


def test_the_account_of_an_epoch(first_start: Server, csr: str) -> None:
    """docs/check.md"""
    api = first_start.api()
    # The CA is the first change of the account.
    made = api.issue(csr).result["id"]
    for _ in range(3):
        api.revoke(made)
        api.restore(made)
    program, file, sql = shlex.split(commands("docs/check.md")[1])
    assert (program, file) == ("sqlite3", first_start.database.name)
    with closing(sqlite3.connect(first_start.database)) as database:
        assert database.execute(sql).fetchall() == [(first_start.made["account_id"], 7)]


def test_rotations(first_start: Server) -> None:
    """docs/ca-rotation.md. test_tasks.py runs the first block too."""
    directory = first_start.directory.parent
    staged, offline, adopt = commands("docs/ca-rotation.md")
    extensions = ("-addext", "keyUsage=critical,keyCertSign,cRLSign")
    for name in ("root", "old"):
        new = ("req", "-x509", *KEYS["P-256"], "-nodes", "-days", "3650", "-subj", f"/CN={name}")
        files = ("-keyout", directory / f"{name}.key", "-out", directory / f"{name}.crt")
        openssl(*new, *extensions, *files)
    request = directory / "robot.csr"
    request.write_text(make_csr(directory, subject="/CN=robot"))
    (directory / "old").mkdir()
    signer = ("-CA", directory / "old.crt", "-CAkey", directory / "old.key", "-days", "90")
    openssl("x509", "-req", "-in", request, *signer, "-out", directory / "old/robot.pem")

    earlier = "certgate ca prepare --name 'Devices 2024'\ncertgate ca activate 'Devices 2024'\n"
    imported = "certgate ca import --certificate old.crt --key old.key\n"
    run(first_start, earlier + staged, offline, imported + adopt)
    (cas, adopted) = run(first_start, "certgate ca list", "certgate cert list robot")
    states = dict(re.findall(r"(Devices \d+|Issuing CA 7).*?(retired|superseded|active)", cas))
    assert states == {
        "Devices 2024": "retired",
        "Devices 2027": "superseded",
        "Issuing CA 7": "superseded",
    }, cas
    assert "robot" in adopted


def test_a_token_without_a_token(first_start: Server) -> None:
    """docs/credentials.md"""
    (create,) = commands("docs/credentials.md")
    create = create.replace("/var/lib/certgate", str(first_start.directory))
    run(first_start, f"TOKEN=$({create.strip()})\nCERTGATE_TOKEN=$TOKEN certgate cert list")


def test_an_enforcement_point_and_rules(first_start: Server) -> None:
    """docs/enforcement.md, docs/issuance-rules.md and docs/search.md"""
    token, revoke = commands("docs/enforcement.md")
    issue = "certgate cert issue --cn laptop-1 > /dev/null\n"
    outputs = run(first_start, token, issue + revoke.replace(" ID", " laptop-1"))
    assert "pending_revocation" in outputs[1]

    limited, rules = commands("docs/issuance-rules.md")
    _, shown = run(first_start, limited, rules)
    assert '"max_lifetime"' in shown
    refused = "certgate cert issue --cn other 2>&1 || true"
    assert "common_names" in run(first_start, refused)[0]

    (search,) = commands("docs/search.md")
    url = f"{first_start.url}/client/v4/zones/{first_start.zone_id}/client_certificates"
    variables = {"auth": f"Authorization: Bearer {first_start.token}", "certificates": url}
    search = search.replace("before=2027-01-01", "before=2099-01-01")
    (found,) = run(first_start, search, **variables)
    assert '"success":true' in found
