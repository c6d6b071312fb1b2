"""docs/recipes.md: runs each recipe that is marked as executed."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

from kit.harness import REPOSITORY, Server, environment, needs, openssl
from kit.pages import commands

RECIPES = REPOSITORY / "docs/recipes.md"


EVERY_CERTIFICATE = "Revoke every certificate of a zone (executed)"


def recipe(heading: str) -> str:
    """Returns the code below a heading."""
    text = RECIPES.read_text()
    found = re.search(
        rf"^## {re.escape(heading)}$.*?^```\w+$\n(.*?)^```$", text, re.MULTILINE | re.DOTALL
    )
    assert found, f"no code under {heading}"
    return found[1]


def run(server: Server, directory: Path, *command: str) -> str:
    """Runs a recipe in a directory with a request; it must leave one certificate, restored."""
    api = server.api()
    before = api.total()
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256")
    files = ("-keyout", directory / "device.key", "-out", directory / "device.csr")
    openssl("req", "-new", *curve, "-nodes", "-subj", "/CN=device-1", *files)
    settings = {
        "CLOUDFLARE_BASE_URL": f"{server.url}/client/v4",
        "CLOUDFLARE_API_TOKEN": server.token,
        "ZONE_ID": server.zone_id,
    }
    done = subprocess.run(
        command,
        cwd=directory,
        env=environment(**settings),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert api.total() == before + 1
    newest = api.every()[0]
    assert newest["common_name"] == "device-1" and newest["status"] in (
        "pending_reactivation",
        "active",
    )
    api.close()
    assert newest["id"] in done.stdout, "the recipe shows what it lists"
    return done.stdout


def test_curl(shared: Server, tmp_path: Path) -> None:
    needs("curl")
    setup, *_ = commands("docs/recipes.md")
    setup = setup.replace("http://127.0.0.1:8787", shared.url)
    setup = setup.replace("API_TOKEN=…", f"API_TOKEN={shared.token}")
    setup = setup.replace("ZONE_ID=…", f"ZONE_ID={shared.zone_id}")
    shown = run(shared, tmp_path, "sh", "-eu", "-c", setup + recipe("curl (executed)"))
    assert json.loads((tmp_path / "made.json").read_text())["result"]["status"] == "active"
    assert '"status":"pending_reactivation"' in shown


def test_python(shared: Server, tmp_path: Path) -> None:
    shown = run(shared, tmp_path, sys.executable, "-c", recipe("Python (executed)"))
    assert shown.endswith("pending_reactivation\n")
    assert "Certificate" in openssl("x509", "-in", tmp_path / "device.crt", "-noout", "-text")


def test_every_certificate_of_a_zone_is_revoked(server: Server, csr: str) -> None:
    api = server.api()
    # More than the recipe reads at once, with pages of two.
    issued = {api.issue(csr).result["id"] for _ in range(5)}
    code = recipe(EVERY_CERTIFICATE).replace("limit=1000", "limit=2")
    assert "limit=2" in code
    settings = {
        "CLOUDFLARE_BASE_URL": f"{server.url}/client/v4",
        "CLOUDFLARE_API_TOKEN": server.token,
        "ZONE_ID": server.zone_id,
    }
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment(**settings),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert set(done.stdout.split()) == issued and api.total("active") == 0
    api.close()


def test_the_page_marks_each_recipe_as_executed_or_not() -> None:
    headings = re.findall(r"^## (.*)$", RECIPES.read_text(), re.MULTILINE)
    executed = [heading for heading in headings if heading.endswith(" (executed)")]
    # The recipe in TypeScript runs with the tests of its SDK.
    assert executed == [
        "curl (executed)",
        "Python (executed)",
        "TypeScript (executed)",
        EVERY_CERTIFICATE,
        # test_docs.py runs it.
        "Retry a request (executed)",
    ]
    assert all(
        heading.endswith(" (not executed)") for heading in headings if heading not in executed
    )
