"""docs/cookbook.md: each command of the page, in its order, and the output that the page shows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from kit.harness import KEYS, Server, eventually, make_csr, openssl
from kit.pages import Recipe, Terminal, recipes, written

PAGE = "docs/cookbook.md"

# The certificates of the page, with their validity in days.
CERTIFICATES = {
    "laptop-16": 25,
    "laptop-17": 365,
    "laptop-18": 12,
    "phone-1": 90,
    "phone-2": 90,
    "alice-laptop": 365,
    "alice-phone": 365,
    "alice-tablet": 365,
}

# The questions of the page.
QUESTIONS = 12


@pytest.fixture
def home(tmp_path: Path) -> Iterator[tuple[Server, Terminal]]:
    """A running server with the certificates of the page, and a terminal beside it."""
    server = Server(tmp_path / "certgate-data", init=None).start()
    try:
        server.adopt()
        terminal = Terminal(tmp_path)
        for name, days in CERTIFICATES.items():
            terminal.succeeds(f"certgate cert issue --cn {name} --days {days}")
        yield server, terminal
        server.terminate()
        server.ended(tells_token=True)
    finally:
        server.kill()


def settled(terminal: Terminal) -> None:
    """Waits until no change is pending."""

    def pending() -> int:
        statuses = ("pending_revocation", "pending_reactivation")
        lists = (f"certgate cert count --status {status} -o json" for status in statuses)
        return sum(json.loads(terminal.succeeds(line))["count"] for line in lists)

    eventually("every change is settled", lambda: pending() == 0)


def old_ca(directory: Path) -> None:
    """A CA with its key, and two client certificates that it issued."""
    extensions = ("-addext", "keyUsage=critical,keyCertSign,cRLSign")
    new = ("req", "-x509", *KEYS["P-256"], "-nodes", "-days", "3650", "-subj", "/CN=Old CA")
    key, certificate = directory / "old-ca.key", directory / "old-ca.crt"
    openssl(*new, *extensions, "-keyout", key, "-out", certificate)
    (directory / "old").mkdir()
    for name in ("robot-1", "robot-2"):
        request = directory / "old" / f"{name}.csr"
        request.write_text(make_csr(directory, subject=f"/CN={name}"))
        signer = ("-CA", certificate, "-CAkey", key, "-days", "90")
        out = directory / "old" / f"{name}.crt"
        openssl("x509", "-req", "-in", request, *signer, "-out", out)


def prepared(recipe: Recipe, terminal: Terminal) -> str:
    """Makes the situation of a recipe. Returns the answer to the question of its command."""
    settled(terminal)
    if "$SERIAL" in recipe.script:
        line = "certgate cert show laptop-16 -o json=serial_number"
        terminal.variables["SERIAL"] = json.loads(terminal.succeeds(line))["serial_number"]
    if "cert adopt" in recipe.script:
        old_ca(terminal.directory)
    return "3" if recipe.script == "certgate cert revoke --match 'alice-*'\n" else ""


def test_the_page(home: tuple[Server, Terminal]) -> None:
    _, terminal = home
    found = recipes(PAGE)
    assert len({recipe.question for recipe in found}) == QUESTIONS
    for recipe in found:
        typed = prepared(recipe, terminal)
        written(PAGE, recipe, terminal.run(recipe.script, typed))
