"""Flipped bits: `check`, `backup` and `restore` find them before they matter."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest

from kit.backups import SEED, Stopped, Verifier, content, restore, revocations, talking
from kit.harness import Api, Server, certgate
from kit.metrics import Metrics

# The flips of each kind of place.
FLIPS = 2


def places(stopped: Stopped, octets: bytes) -> dict[str, list[int]]:
    """Returns offsets in the database whose content every answer about one certificate has."""
    certificate = stopped.certificates[1]
    serial = bytes.fromhex(certificate["serial_number"])
    csr = certificate["csr"].encode()
    found = {
        "certificates": [match.start() for match in re.finditer(re.escape(serial), octets)],
        "csr": [octets.index(csr) + 60],
    }
    assert len(found["certificates"]) == 2, "the column and the DER form"
    return found


def test_a_flipped_bit_is_found_and_stops_backup_and_restore(
    stopped: Stopped, tmp_path: Path
) -> None:
    server, certificate = stopped.server, stopped.certificates[1]
    whole = server.database.read_bytes()
    generator = random.Random(SEED)
    for name, offsets in places(stopped, whole).items():
        for offset in offsets * FLIPS:
            flipped = bytearray(whole)
            flipped[offset + generator.randrange(18)] ^= 1 << generator.randrange(8)
            server.database.write_bytes(flipped)
            shown = f"{name}, octet {offset}, seed {SEED}"
            checked = server.check()
            assert checked.returncode == 1, shown
            # The certificates have one CSR.
            named = [made["id"] for made in stopped.certificates if made["id"] in checked.stdout]
            assert '"certificates"' in checked.stdout and len(named) == 1, shown
            assert name == "csr" or named == [certificate["id"]], shown

            copy = tmp_path / "copy.db"
            backup = certgate("backup", "--data-dir", server.directory, copy)
            assert backup.returncode == 1 and named[0] in backup.stderr, shown
            assert not copy.exists()
            despite = certgate("backup", "--data-dir", server.directory, copy, "--despite-problems")
            assert despite.returncode == 0 and named[0] in despite.stderr, shown

            server.database.write_bytes(whole)
            before = content(server.directory)
            told = restore(server, copy, "--replace", code=1)
            assert "nothing was changed" in told and named[0] in told, shown
            assert content(server.directory) == before, shown
            copy.unlink()
    server.start()


def test_a_wrong_serial_number_in_its_column_is_not_what_lists_name(
    server: Server, api: Api, csr: str
) -> None:
    certificate = api.issue(csr).result
    api.close()
    server.stop()
    serial = bytes.fromhex(certificate["serial_number"])
    octets = bytearray(server.database.read_bytes())
    # In the DER form, tag and length precede it.
    at = next(
        match.start()
        for match in re.finditer(re.escape(serial), bytes(octets))
        if octets[match.start() - 2 : match.start()] != b"\x02\x14"
    )
    octets[at + 18] ^= 1
    server.database.write_bytes(octets)
    server.start()
    with talking(server) as again:
        again.revoke(certificate["id"])
        again.settled(certificate["id"], "revoked")
        assert all(Verifier(server, again).listed(certificate))


@pytest.mark.parametrize("share", ["100", "20"])
def test_a_check_runs_beside_a_server_and_the_metrics_show_it(
    server: Server, api: Api, csr: str, share: str
) -> None:
    made = [api.issue(csr).result["id"] for _ in range(20)]
    api.revoke(made[0])
    checked = certgate("check", "--data-dir", server.directory, "--share", share)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert Metrics(server).values["certgate_check_problems"] == 0
    assert Metrics(server).values["certgate_check_finished_timestamp_seconds"] > 1.7e9
    journal = revocations(server)
    octets = bytearray(journal.read_bytes())
    octets[120] ^= 4
    journal.write_bytes(octets)
    checked = certgate("check", "--data-dir", server.directory, "--share", share)
    assert checked.returncode == 1 and "1 lines are corrupt" in checked.stdout, checked.stdout
    assert Metrics(server).values["certgate_check_problems"] >= 1
