"""The data of version 0.1.0: this program opens, migrates and serves them."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from kit.backups import Verifier, restore, settled, talking
from kit.harness import MakeServer, Server, certgate
from kit.upgrade import Earlier


@pytest.fixture
def earlier(tmp_path: Path) -> Earlier:
    return Earlier(tmp_path / "earlier")


def version(database: Path) -> int:
    with closing(sqlite3.connect(database)) as connection:
        return connection.execute("PRAGMA user_version").fetchone()[0]


def upgraded(earlier: Earlier, make_server: MakeServer) -> Server:
    server = make_server(init=None, start=False)
    shutil.copytree(earlier.data, server.directory)
    server.directory.chmod(0o700)
    server.made = earlier.installation
    return server


def test_the_data_of_an_earlier_version_are_served(
    earlier: Earlier, make_server: MakeServer, csr: str
) -> None:
    server = upgraded(earlier, make_server)
    assert version(server.database) == 1
    server.start()
    earlier.is_served_by(server)
    assert version(server.database) > 1

    # The certificates that expired long ago are found by the new search, and the others too.
    everything = earlier.certificates(server.zone_id)
    assert len(everything) == 69 and len(earlier.said["expired"]) == 3
    with talking(server) as api:
        oldest = [one["id"] for one in everything[-3:]]
        assert sorted(oldest) == sorted(earlier.said["expired"])
        for one in (everything[0], everything[-1]):
            path = f"{api.certificates}?status=all&serial_number={one['serial_number']}"
            found = api.call("GET", path).result
            assert [entry["id"] for entry in found] == [one["id"]], one["serial_number"]

        # Every kind of change works on old certificates and CAs.
        active = next(one for one in everything if one["status"] == "active")
        revoked = next(one for one in everything if one["status"] == "revoked")
        assert api.revoke(active["id"]).status == 200
        assert api.restore(revoked["id"]).status == 200
        issued = api.issue(csr).result
        settled(api)
        assert api.total() == len(everything) + 1
        verifier = Verifier(server, api)
        assert verifier.ocsp(issued) == "good"
        history = api.call(
            "GET",
            f"/certgate/v1/zones/{server.zone_id}/client_certificates/{revoked['id']}/history",
        ).result
        actions = [event["action"] for event in history if event["action"] != "settled"]
        assert actions == ["issued", "revoked", "restored"]
    server.stop()
    server.is_intact()
    verified = certgate("audit", "verify", "--data-dir", server.directory)
    assert verified.returncode == 0, verified.stderr
    assert not [line for line in server.log.splitlines() if " ERROR " in line], server.log


def test_a_backup_of_an_earlier_version_is_restored(
    earlier: Earlier, make_server: MakeServer
) -> None:
    """The journal of then replays the revocations after the backup."""
    server = upgraded(earlier, make_server)
    told = restore(server, earlier.backup, "--replace")
    server.start()
    with talking(server) as api:
        settled(api)
        everything = earlier.certificates(server.zone_id)
        # The backup is older than the last certificates. Those of it have the later status.
        for one in api.every():
            expected = next(known for known in everything if known["id"] == one["id"])
            assert one["status"] == expected["status"]
        assert api.total() == 63, told
    server.stop()
    server.is_intact()
