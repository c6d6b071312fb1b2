"""Changes of many certificates by a filter: killed, continued and undone by the built program."""

from __future__ import annotations

import json
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from kit.harness import CERTGATE, Server, certgate, environment, eventually, make_csr

# Certificates to change, enough that two kills meet the command in the middle.
MATCHING = 2_000

# Certificates of other names and statuses, which the change must leave alone.
OTHERS = 100

# Concurrent requests of the command: few, so that it is slow enough for the kills.
JOBS = 2

# The threads that issue.
THREADS = 8

REVOKED = ("revoked", "pending_revocation")


def issued(server: Server, directory: Path, name: str, count: int) -> set[str]:
    """Issues certificates with one common name. Returns their IDs."""
    csr = make_csr(directory, subject=f"/CN={name}")

    def issue(share: int) -> list[str]:
        api = server.api()
        ids = [api.issue(csr).result["id"] for _ in range(share)]
        api.close()
        return ids

    shares = [count // THREADS + (thread < count % THREADS) for thread in range(THREADS)]
    with ThreadPoolExecutor(THREADS) as pool:
        return {made for ids in pool.map(issue, shares) for made in ids}


def revoked(server: Server) -> set[str]:
    """The certificates that are revoked."""
    api = server.api()
    every = {made["id"]: made["status"] for made in api.every()}
    api.close()
    return {made for made, status in every.items() if status in REVOKED}


def changed(record: Path) -> int:
    """The finished certificates of a record."""
    return record.read_bytes().count(b'{"changed"') if record.exists() else 0


def test_a_change_that_is_killed_twice_changes_exactly_its_certificates(
    server: Server, tmp_path: Path
) -> None:
    matching = issued(server, tmp_path, "laptop-17", MATCHING)
    others = issued(server, tmp_path, "laptop-170", OTHERS)
    # Revoked before: not a part of the change, and not of its undo.
    before = issued(server, tmp_path, "Laptop-17", OTHERS)
    connection = ["--data-dir", server.directory]
    done = certgate("cert", "revoke", *sorted(before), *connection)
    assert done.returncode == 0, done.stderr

    record = tmp_path / "record.jsonl"
    jobs = ["--jobs", str(JOBS), *map(str, connection)]
    match = ["--match", "laptop-17", "--yes", "--expect", str(MATCHING), "--record", str(record)]
    resume = ["--resume", str(record)]
    for arguments, kill_after in ((match, MATCHING // 4), (resume, MATCHING // 2)):
        process = subprocess.Popen(
            [CERTGATE, "cert", "revoke", *arguments, *jobs],
            env=environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            eventually(
                f"{kill_after} are revoked",
                lambda: changed(record) >= kill_after or process.poll() is not None,
            )
            assert process.poll() is None, "it was too quick to be killed in the middle"
        finally:
            process.kill()
            process.wait()
    # Certificates of the same name that are issued later are not a part of the change.
    later = issued(server, tmp_path, "laptop-17", OTHERS)
    finished = certgate("cert", "revoke", *resume, *jobs, "-o", "json")
    assert finished.returncode == 0, finished.stderr
    summary = json.loads(finished.stdout)
    assert (summary["changed"], summary["failed"], summary["left"]) == (MATCHING, [], 0), summary
    assert revoked(server) == matching | before
    # Running it again changes nothing.
    again = json.loads(certgate("cert", "revoke", *resume, *jobs, "-o", "json").stdout)
    assert again == summary

    undo = ["--undo", str(record), "--yes", "--record", str(tmp_path / "undo.jsonl")]
    undone = certgate("cert", "restore", *undo, *jobs, "-o", "json")
    assert undone.returncode == 0, undone.stderr
    assert json.loads(undone.stdout)["changed"] == MATCHING
    assert revoked(server) == before
    assert not (others | later) & revoked(server)


def test_conditions_of_a_change(server: Server, tmp_path: Path) -> None:
    """A wrong number, a preview, and a reason that is final."""
    device = issued(server, tmp_path, "device-1", 3)
    issued(server, tmp_path, "device-2", 2)
    connection = ["--data-dir", server.directory]
    match = ["cert", "revoke", "--match", "device-*", *connection]
    refused = certgate(*match, "--yes", "--expect", "4", cwd=tmp_path)
    assert refused.returncode == 1 and "5 certificates match, not 4" in refused.stderr
    asks = certgate(*match, cwd=tmp_path)
    assert asks.returncode == 2 and "--yes --expect 5" in asks.stderr
    shown = certgate(*match, "--dry-run", "--reason", "superseded", cwd=tmp_path)
    assert shown.returncode == 0 and "you CANNOT undo" in shown.stderr
    assert revoked(server) == set() and not list(tmp_path.glob("*.jsonl"))
    one = ["cert", "revoke", "--match", "DEVICE-1", "--issued-since", "yesterday", *connection]
    done = certgate(*one, "--yes", "--expect", "3", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert revoked(server) == device
    (record,) = tmp_path.glob("certgate-revoke-*.jsonl")
    assert f"certgate cert restore --undo {record.name}" in done.stderr
    several = certgate("cert", "revoke", "device-2", *connection)
    assert several.returncode == 1 and "names 2 certificates" in several.stderr
    assert revoked(server) == device
