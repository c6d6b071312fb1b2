"""The journal of revocations: torn, corrupt, on a full disk, and of another installation."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import threading
from collections import Counter
from pathlib import Path

import pytest

from kit.backups import (
    KILLS,
    LOAD_SECONDS_MAX,
    SEED,
    Stopped,
    Story,
    Verifier,
    journal,
    restore,
    revocations,
    settled,
    talking,
    told_since,
)
from kit.crash import REVOKED, Certificate, Client, verify
from kit.disk import Disk
from kit.harness import Api, MakeServer, Mount, Server, eventually


@pytest.fixture
def killed(server: Server, api: Api, csr: str) -> list[str]:
    """A server that was killed after ten revocations, without a restore."""
    ids = [api.issue(csr).result["id"] for _ in range(10)]
    for identity in ids:
        api.revoke(identity)
    server.kill()
    return ids


@pytest.mark.parametrize("cut", [1, 20, 200, 300, 2000])
def test_a_torn_journal_is_completed(server: Server, killed: list[str], cut: int) -> None:
    path = revocations(server)
    whole = path.read_bytes()
    path.write_bytes(whole[:-cut])
    server.start()
    assert path.read_bytes() == whole and [line.certificate for line in journal(path)] == killed
    with talking(server) as api:
        assert api.restore(killed[0]).status == 200
    assert path.read_bytes().startswith(whole) and len(journal(path)) == 11


@pytest.mark.parametrize("garbage", [b"\0" * 700, b"half a line", b"\xff\xfe\n" * 3, b"\n\n"])
def test_garbage_of_a_power_cut_after_the_last_line_is_removed(
    server: Server, killed: list[str], garbage: bytes
) -> None:
    path = revocations(server)
    whole = path.read_bytes()
    path.write_bytes(whole + garbage)
    server.start()
    with talking(server) as api:
        assert api.restore(killed[0]).status == 200
    assert path.read_bytes().startswith(whole) and len(journal(path)) == 11


def test_a_complete_database_repairs_a_corrupt_journal(server: Server, killed: list[str]) -> None:
    path = revocations(server)
    path.write_text(path.read_text().replace("certificateHold", "superseded", 1))
    server.start()
    assert [line.certificate for line in journal(path)] == killed


def test_the_intact_lines_of_a_corrupt_journal_are_replayed(story: Story) -> None:
    server = story.server
    path = revocations(server)
    good = path.read_text()
    # The first change after the backup: the hold of one certificate.
    line = next(line for line in good.splitlines() if line.startswith(f"{story.known + 1}\t"))
    assert story.id("held") in line
    corrupt = good.replace(line, line.replace("certificateHold", "superseded"))
    assert corrupt != good
    path.write_text(corrupt)
    checked = server.check()
    assert checked.returncode == 1 and f"the epoch {story.known + 1} is missing" in checked.stdout

    told = restore(server, story.backup, "--replace", code=1)
    assert f"the changes with the epochs {story.known + 1};" in told and str(path) in told, told
    assert path.read_text() == corrupt
    server.start()
    assert f'epochs="{story.known + 1}"' in server.log or str(story.known + 1) in server.log
    with talking(server):
        for name, reason in Story.EXPECTED.items():
            # The change of the corrupt line is lost, and no other.
            expected = "good" if name == "held" else reason
            assert story.verifier.ocsp(story.certificates[name]) == expected, name


def test_a_corrupt_first_line_is_moved_aside_with_the_journal(
    server: Server, killed: list[str]
) -> None:
    path = revocations(server)
    octets = bytearray(path.read_bytes())
    octets[30] ^= 1
    path.write_bytes(octets)
    checked = server.check()
    assert checked.returncode == 1 and "its first line is corrupt" in checked.stdout
    server.start()
    assert "the first line of the journal of revocations was corrupt" in server.log
    aside = next(server.directory.glob("certgate.revocations.replaced-*"))
    assert aside.read_bytes() == octets
    with talking(server) as api:
        assert api.restore(killed[0]).status == 200
    assert [line.certificate for line in journal(path)] == [killed[0]]
    server.stop()
    server.is_intact()


def test_the_journal_of_another_installation_is_refused(
    stopped: Stopped, make_server: MakeServer, csr: str
) -> None:
    server = stopped.server
    other = make_server(name="other")
    with talking(other) as api:
        api.revoke(api.issue(csr).result["id"])
    other.stop()
    path = revocations(server)
    own, strange = path.read_bytes(), revocations(other).read_bytes()
    before = server.database.read_bytes()
    for wrong in (strange, b"something else\n", b"\0" * 1000):
        path.write_bytes(wrong)
        message = server.refuses_to_start()
        assert (
            str(path) in message
            and "not the journal of revocations of this installation" in message
        ), message
        assert path.read_bytes() == wrong and server.database.read_bytes() == before
        told = restore(server, stopped.backup, "--replace", code=1)
        assert str(path) in told and server.database.read_bytes() == before
    path.unlink()
    path.mkdir()
    assert str(path) in server.refuses_to_start()
    path.rmdir()
    path.write_bytes(own)
    server.start()
    with talking(server) as api:
        assert api.total() == 4


def test_twenty_kills_leave_no_answered_revocation_out_of_the_journal(
    make_server: MakeServer, csr: str
) -> None:
    print(f"CERTGATE_TEST_SEED={SEED}")
    chance = random.Random(SEED)
    server = make_server(start=False)
    path = revocations(server)
    owned: list[list[Certificate]] = [[] for _ in range(8)]
    answers: Counter[str] = Counter()

    def last_lines(torn: bool = False) -> dict[str, bool]:
        return {line.certificate: line.is_revoked for line in journal(path, torn)}

    for number in range(KILLS):
        server.start()
        clients = [Client(server, csr, own, chance.getrandbits(32)) for own in owned]
        for client in clients:
            client.start()
        threading.Event().wait(chance.uniform(0.02, LOAD_SECONDS_MAX))
        server.kill()
        for client in clients:
            client.join()
            assert client.failure is None, f"round {number}: {client.failure!r}"
            answers += client.answers
        # The line is written before the answer, without another start.
        last = last_lines(torn=True)
        for certificate in (certificate for own in owned for certificate in own):
            if certificate.statuses <= REVOKED:
                assert last.get(certificate.answered["id"]) is True, (
                    f"round {number}: {certificate}"
                )
            elif not certificate.statuses & REVOKED:
                assert not last.get(certificate.answered["id"], False), (
                    f"round {number}: {certificate}"
                )
        server.start()
        verify(server, owned, sum(client.unanswered_issues for client in clients))
        # The interrupted change is made or not, the same in both places.
        last = last_lines()
        for certificate in (certificate for own in owned for certificate in own):
            is_revoked = certificate.statuses <= REVOKED
            assert last.get(certificate.answered["id"], False) == is_revoked, (
                f"round {number}: {certificate}"
            )
        server.kill()
    print(f"answered: {dict(answers)}")
    assert min(answers[kind] for kind in ("issue", "revoke", "restore")) > KILLS


def test_a_full_disk_for_the_journal_alone_does_not_stop_revocation(
    make_server: MakeServer, mount: Mount, tmp_path: Path, csr: str
) -> None:
    """Only the journal is on a full disk, by a bind mount."""
    server = make_server()
    with talking(server) as api:
        ids = [api.issue(csr).result["id"] for _ in range(5)]
        api.revoke(ids[0])
    server.stop()
    place = tmp_path / "small"
    mount("-t", "tmpfs", "-o", "size=64k", "tmpfs", at=place)
    small = Disk(place)
    away = Path(shutil.copy(revocations(server), place))
    away.chmod(0o600)
    done = subprocess.run(
        ["mount", "--bind", away, revocations(server)], capture_output=True, text=True
    )
    if done.returncode != 0:
        pytest.skip(
            f"cannot mount a file here: a full disk of the journal is NOT TESTED: {done.stderr}"
        )
    try:
        # A line that fits into the last block of the file does not need space.
        with away.open("r+b") as file:
            room = 4096 - file.seek(0, os.SEEK_END) % 4096
        small.fill()
        server.start()
        with talking(server) as api:
            for turn in range(1 + room // 200):
                answer = (
                    api.revoke(ids[1 + turn % 4])
                    if turn % 8 < 4
                    else api.restore(ids[1 + turn % 4])
                )
                assert answer.status == 200, answer.text
            for identity in ids[1:]:
                api.restore(identity)
            for identity in ids[1:]:
                assert api.revoke(identity).result["status"] == "pending_revocation"
            settled(api)
            assert api.total("revoked") == 5
            verifier = Verifier(server, api)
            assert verifier.ocsp(api.get(ids[4]).result) == "certificateHold"
            assert api.call("GET", "/readyz").status == 200
        errors = [
            line
            for line in told_since(server, 0)
            if "journal of revocations cannot be written" in line
        ]
        assert (
            len(errors) == 1 and " ERROR " in errors[0] and str(revocations(server)) in errors[0]
        ), errors
        small.free()
        with talking(server) as api:
            assert api.restore(ids[0]).status == 200
        eventually(
            "it says that it is over",
            lambda: "the journal of revocations is written again" in server.log,
        )
        last = {line.certificate: line.is_revoked for line in journal(away)}
        assert last == {ids[0]: False} | {identity: True for identity in ids[1:]}
        server.stop()
    finally:
        server.kill()
        subprocess.run(["umount", "--lazy", revocations(server)], check=True)
