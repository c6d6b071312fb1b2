"""The page docs/clients.md, which the tests of the clients write and check."""

from __future__ import annotations

import fcntl
import os
import re
import sys
import textwrap

from kit.harness import REPOSITORY

PAGE = REPOSITORY / "docs/clients.md"

HEAD = """# Clients

Tests run these programs unmodified, and write this page: each entry is a test that passed. The
version is that of the machine that wrote the page. Set `CERTGATE_WRITE_DOCS=1` to write it again.
"""

# Lines of documentation have at most 100 columns.
COLUMNS = 100

Page = dict[str, tuple[str, dict[str, str]]]


def read() -> Page:
    """Returns the version of each client, and the text of each entry by its operations."""
    page: Page = {}
    text = PAGE.read_text() if PAGE.exists() else ""
    for section in text.split("\n## ")[1:]:
        title, body = section.split("\n", 1)
        client, version = title.rsplit(" ", 1)
        entries = [" ".join(entry.split()) for entry in re.split(r"^- ", body, flags=re.M)[1:]]
        page[client] = version, {operations_of(entry): entry for entry in entries}
    return page


def operations_of(entry: str) -> str:
    return entry.split(". Limit: ")[0].removesuffix(".")


def write(page: Page) -> None:
    parts = [HEAD]
    for client, (version, entries) in sorted(page.items(), key=lambda item: item[0].casefold()):
        items = [
            textwrap.fill(entry, COLUMNS, initial_indent="- ", subsequent_indent="  ")
            for _, entry in sorted(entries.items())
        ]
        parts.append(f"\n## {client} {version}\n\n" + "\n".join(items) + "\n")
    PAGE.write_text("".join(parts))


def works(client: str, version: str, operations: str, limit: str = "") -> None:
    """Records the result of a test, or checks that the page has it. The version may differ."""
    entry = f"{operations}." + (f" Limit: {limit}." if limit else "")
    if os.environ.get("CERTGATE_WRITE_DOCS") == "1":
        # Suites at the same time write to the same page.
        with PAGE.open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            page = read()
            entries = page[client][1] if client in page else {}
            page[client] = version, entries | {operations: entry}
            return write(page)
    _, entries = read().get(client, ("", {}))
    assert entries.get(operations) == entry, f"{PAGE} lacks {entry!r}: set CERTGATE_WRITE_DOCS=1"


if __name__ == "__main__":
    # For tests in other languages.
    works(*sys.argv[1:])
