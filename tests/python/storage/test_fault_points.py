"""The process ends between any two steps of a revocation. The next start completes it."""

from __future__ import annotations

import http.client
import re
import sqlite3
from pathlib import Path

import pytest
from cryptography import x509

from kit.harness import REPOSITORY, Api, MakeServer, Server, eventually

# The passes of a point before the certificate settles: change, lists and settling are separate
# commits, and a shard and the full list are made.
COMMITS, LISTS = 3, 2
TIMES = {
    "BeforeCommit": COMMITS,
    "Committed": COMMITS,
    "Journalled": COMMITS,
    "Answered": COMMITS,
    "SettlingBegun": 1,
    "ListRead": 1,
    "ListSigned": LISTS,
    "ListStored": LISTS,
    "ListsPublished": 1,
    "Settled": 1,
}

# The number of retries if the fault hit a step of the start.
ATTEMPTS = 5

ACTIVE, REVOKED = 0, 3
FULL = 129


def test_every_point_is_tried() -> None:
    source = (REPOSITORY / "crates/store/src/fault.rs").read_text()
    every = source.split("pub const ALL")[1].split("];")[0]
    assert re.findall(r"Self::(\w+)", every) == list(TIMES)


@pytest.mark.parametrize("event", ["revoke", "restore"])
@pytest.mark.parametrize(
    ("point", "time"),
    [(point, time) for point, times in TIMES.items() for time in range(1, times + 1)],
)
def test_killed_at(
    make_server: MakeServer, csr: str, tmp_path: Path, event: str, point: str, time: int
) -> None:
    armed = tmp_path / "fault-point"
    server = make_server(start=False).start(FAULT_POINT_FILE=str(armed))
    api = server.api()
    certificate = api.issue(csr).result["id"]
    before, after = "active", "revoked"
    if event == "restore":
        before, after = after, before
        api.revoke(certificate)
        api.settled(certificate, before)
    lines_before = journal(server)
    eventually(
        "the first lists are there",
        lambda: not in_database(server, "SELECT 1 FROM crl_states WHERE made_epoch < 0"),
    )

    for _ in range(ATTEMPTS):
        armed.write_text(f"{point} {time}")
        answered = change(api, event, certificate)
        server.aborted()
        armed.unlink()
        status, epoch, serial = stored(server, certificate)
        is_changed = epoch > len(lines_before)
        assert is_changed or not answered, "what was answered is stored"
        if is_changed or point == "BeforeCommit":
            break
        # Work of the start passed the point before the change.
        api = server.start(FAULT_POINT_FILE=str(armed)).api()
        api.settled(certificate, before)
    assert is_changed or point == "BeforeCommit"
    agrees(server, status, serial)

    server.start()
    api = server.api()
    api.settled(certificate, after if is_changed else before)
    status, epoch, serial = stored(server, certificate)
    agrees(server, status, serial)
    # The first CA of the account took an epoch too.
    [(last_epoch,)] = in_database(server, "SELECT last_epoch FROM store")
    assert len(journal(server)) == last_epoch >= epoch, "each change has a line"
    # The next change succeeds.
    for _ in range(2):
        event = "restore" if api.get(certificate).result["status"] == "revoked" else "revoke"
        assert change(api, event, certificate)
        api.settled(certificate, "active" if event == "restore" else "revoked")
    api.close()
    server.stop()
    server.is_intact()


def change(api: Api, event: str, certificate: str) -> bool:
    """Returns true if the change was answered."""
    try:
        return (api.revoke if event == "revoke" else api.restore)(certificate).status == 200
    except (OSError, http.client.HTTPException):
        return False


def in_database(server: Server, select: str) -> list[tuple]:
    database = sqlite3.connect(f"file:{server.database}?mode=ro", uri=True)
    try:
        return database.execute(select).fetchall()
    finally:
        database.close()


def stored(server: Server, certificate: str) -> tuple[int, int, int]:
    """Returns status, epoch and serial number from the database."""
    select = (
        "SELECT status, coalesce(epoch, 0), hex(serial) FROM certificates "
        f"JOIN statuses ON statuses.position = certificates.position WHERE id = x'{certificate}'"
    )
    [(status, epoch, serial)] = in_database(server, select)
    return status, epoch, int(serial, 16)


def agrees(server: Server, status: int, serial: int) -> None:
    """Asserts that no settled status contradicts a published list."""
    lists = in_database(server, "SELECT kind, der FROM crls")
    parts = {part: x509.load_der_x509_crl(der) for part, der in lists}
    listed = {
        part: parts[part].get_revoked_certificate_by_serial_number(serial) is not None
        for part in (serial % 128, FULL)
    }
    if status == REVOKED:
        assert all(listed.values()), listed
    if status == ACTIVE:
        assert not any(listed.values()), listed


def journal(server: Server) -> list[str]:
    return (server.directory / "certgate.revocations").read_text().splitlines()[1:]
