"""Full and read-only disks, second processes, wrong keys and corruption: messages and recovery."""

from __future__ import annotations

import http.client
import os
import shutil
import sqlite3
import subprocess
from pathlib import Path

from kit.disk import Disk, failing_fsync
from kit.harness import (
    Api,
    MakeServer,
    Mount,
    Server,
    certgate,
    certgate_unprivileged,
    eventually,
)
from kit.metrics import Metrics


def test_a_log_on_the_full_disk_costs_only_its_lines(disk: Disk, csr: str) -> None:
    """The database and the log share the disk, as on a small machine."""
    server = Server(disk.path / "data", "--log", "debug")
    assert server.log_path.parent == disk.path
    try:
        api = server.start().api()
        ids = [api.issue(csr).result["id"] for _ in range(3)]
        assert api.revoke(ids[0]).status == 200
        api.settled(ids[0], "revoked")
        disk.fill()
        eventually("writes are refused", lambda: api.issue(csr).status == 503)
        assert api.revoke(ids[1]).status == 503
        assert api.call("GET", "/readyz").status == 503
        assert api.get(ids[1]).result["status"] == "active"
        dropped = "certgate_log_lines_dropped_total"
        eventually("lines are lost", lambda: Metrics(server).values[dropped] > 0)

        disk.free()
        eventually("it is ready", lambda: api.call("GET", "/readyz").status == 200)
        assert api.revoke(ids[2]).status == 200
        api.settled(ids[2], "revoked")
        assert [api.get(one).result["status"] for one in ids] == ["revoked", "active", "revoked"]
        lost = Metrics(server).values[dropped]
        lines = server.log.count("\n")
        assert api.issue(csr).status == 200
        eventually("lines are written", lambda: server.log.count("\n") > lines)
        assert Metrics(server).values[dropped] == lost
        api.close()
        server.stop()
        server.is_intact()
    finally:
        server.kill()


def test_a_full_disk_loses_nothing_and_recovers_with_space(
    on_disk: Server, disk: Disk, csr: str
) -> None:
    api = on_disk.api()
    before = [api.issue(csr).result for _ in range(5)]
    disk.fill()
    refused = None
    # The log may have space in its last blocks.
    while refused is None:
        answer = api.issue(csr)
        if answer.status == 200:
            before.append(answer.result)
            assert len(before) < 10_000
        else:
            refused = answer
    assert refused.status == 503 and int(refused.headers["retry-after"]) > 0, refused.text
    assert "try again later" in refused.error["message"]
    assert api.revoke(before[0]["id"]).status == 503
    assert api.restore(before[0]["id"]).status in (200, 503), (
        "restoring what is active writes nothing"
    )
    assert "disk" in on_disk.log and "full" in on_disk.log

    # Reads continue. They show answered changes only.
    assert [made["id"] for made in api.every()] == [made["id"] for made in before[::-1]]
    assert api.get(before[0]["id"]).result == before[0]
    assert api.call("GET", "/healthz").status == 200
    assert api.call("GET", "/readyz").status == 503

    disk.free()
    made = eventually(
        "the service is back", lambda: (a := api.issue(csr)).status == 200 and a.result
    )
    # An answer of /readyz holds for a second.
    eventually("it is ready", lambda: api.call("GET", "/readyz").status == 200)
    assert [made["id"] for made in api.every()] == [
        made["id"],
        *(made["id"] for made in before[::-1]),
    ]
    assert api.revoke(before[0]["id"]).result["status"] == "pending_revocation"
    api.settled(before[0]["id"], "revoked")
    api.close()
    on_disk.stop()
    on_disk.is_intact()


def test_a_kill_on_a_full_disk_loses_nothing(on_disk: Server, disk: Disk, csr: str) -> None:
    api = on_disk.api()
    before = [api.issue(csr).result for _ in range(20)]
    disk.fill()
    while (answer := api.issue(csr)).status == 200:
        before.append(answer.result)
    api.close()
    on_disk.kill()
    disk.free()
    on_disk.is_intact()
    on_disk.start()
    api = on_disk.api()
    assert {made["id"]: made for made in api.every()} == {made["id"]: made for made in before}
    api.close()


def test_a_start_on_a_full_disk_says_so(on_disk: Server, disk: Disk, csr: str) -> None:
    on_disk.stop()
    disk.fill()
    message = on_disk.refuses_to_start()
    assert str(on_disk.directory) in message and "full" in message, message
    other = certgate("init", "--data-dir", disk.path / "other", "--json")
    assert other.returncode == 1 and "other" in other.stderr and other.stdout == "", other.stderr
    disk.free()
    on_disk.start()
    api = on_disk.api()
    assert api.issue(csr).status == 200
    api.close()


def test_a_read_only_directory_is_named(make_server: MakeServer, mount: Mount, csr: str) -> None:
    server = make_server()
    api = server.api()
    made = api.issue(csr).result
    api.close()
    server.stop()
    place = server.directory
    mount("--bind", "--read-only", str(place), at=place)
    message = server.refuses_to_start()
    assert str(place) in message and ("read-only" in message or "permission" in message), message
    new = certgate("init", "--data-dir", place / "new", "--json")
    assert new.returncode == 1 and str(place / "new") in new.stderr, new.stderr
    subprocess.run(["mount", "-o", "remount,bind,rw", str(place)], check=True)
    server.start()
    api = server.api()
    assert api.get(made["id"]).result == made
    api.close()
    server.stop()


def test_a_second_process_is_refused_and_the_first_goes_on(
    server: Server, api: Api, csr: str
) -> None:
    made = api.issue(csr).result
    for command in ("serve", "init"):
        ports = (
            ["--listen", "127.0.0.1:0", "--public-listen", "127.0.0.1:0"]
            if command == "serve"
            else []
        )
        second = certgate(command, "--data-dir", server.directory, *ports)
        assert (second.returncode, second.stdout) == (1, ""), second
        assert (
            "in use by another process" in second.stderr and str(server.directory) in second.stderr
        )
    # `check` changes nothing.
    server.is_intact()
    assert api.issue(csr).status == 200 and api.get(made["id"]).result == made


def test_a_port_that_is_taken_is_named(server: Server, tmp_path: Path) -> None:
    taken = f"127.0.0.1:{server.port}"
    second = certgate(
        "serve",
        "--data-dir",
        tmp_path / "second",
        "--listen",
        taken,
        "--public-listen",
        "127.0.0.1:0",
    )
    assert second.returncode == 1 and taken in second.stderr and "--listen" in second.stderr


def test_init_of_an_existing_directory_changes_nothing(server: Server, tmp_path: Path) -> None:
    server.stop()
    before = {path.name: path.read_bytes() for path in server.directory.iterdir()}
    again = certgate("init", "--data-dir", server.directory, "--json")
    assert again.returncode == 1 and again.stdout == "" and "initialised already" in again.stderr
    assert {path.name: path.read_bytes() for path in server.directory.iterdir()} == before
    other = tmp_path / "not-empty"
    other.mkdir()
    (other / "file").write_text("something else")
    refused = certgate("init", "--data-dir", other)
    assert refused.returncode == 1 and "not empty" in refused.stderr
    assert [path.name for path in other.iterdir()] == ["file"]


def test_the_master_key_must_be_the_right_one(server: Server, api: Api, csr: str) -> None:
    made = api.issue(csr).result
    server.stop()
    path = server.directory / "master.key"
    key = path.read_text()

    wrong = f"{int(key, 16) ^ 1:064x}"
    path.write_text(wrong)
    message = server.refuses_to_start(status=2)
    assert str(path) in message and "not the key of this" in message and wrong not in message
    message = server.refuses_to_start(status=2, CERTGATE_MASTER_KEY=wrong)
    assert "CERTGATE_MASTER_KEY" in message and wrong not in message

    path.write_text("no key at all\n")
    message = server.refuses_to_start(status=2)
    assert (
        str(path) in message
        and "64 hexadecimal digits" in message
        and "no key at all" not in message
    )

    path.unlink()
    message = server.refuses_to_start(status=2)
    assert str(path) in message and "--master-key-file" in message
    assert not path.exists(), "a new key in the place of the lost one would hide the loss"

    path.write_text(key)
    path.chmod(0o644)
    message = server.refuses_to_start(status=2)
    assert str(path) in message and "chmod 600" in message and key.strip() not in message

    path.chmod(0o600)
    server.directory.chmod(0o755)
    message = server.refuses_to_start(status=2)
    assert "data directory" in message and f"chmod 700 {server.directory}" in message
    server.directory.chmod(0o700)
    server.start()
    again = server.api()
    assert again.get(made["id"]).result == made and again.issue(csr).status == 200
    again.close()


def test_a_file_that_is_not_a_database_is_refused_and_unchanged(server: Server) -> None:
    server.stop()
    good = server.database.read_bytes()
    for garbage in (b"garbage" * 1000, b"SQLite format 3\0" + b"\xff" * 5000):
        server.database.write_bytes(garbage)
        message = server.refuses_to_start()
        assert str(server.database) in message and "backup" in message, message
        assert server.database.read_bytes() == garbage
    server.database.unlink()
    with sqlite3.connect(server.database) as other:
        other.execute("CREATE TABLE of_another_program (data)")
    other.close()
    assert "not a certgate database" in server.refuses_to_start()
    server.database.write_bytes(good)
    server.start()


def test_a_newer_database_is_refused(server: Server) -> None:
    server.stop()
    database = sqlite3.connect(server.database)
    version = database.execute("PRAGMA user_version").fetchone()[0]
    database.execute(f"PRAGMA user_version = {version + 1}")
    database.commit()
    database.close()
    message = server.refuses_to_start()
    assert f"schema version {version + 1}" in message and "newer certgate" in message, message
    database = sqlite3.connect(server.database)
    database.execute(f"PRAGMA user_version = {version}")
    database.commit()
    database.close()
    server.start()


def test_corruption_is_reported_and_a_backup_restores_it(
    server: Server, api: Api, csr: str
) -> None:
    made = [api.issue(csr).result for _ in range(200)]
    server.stop()
    backup = server.directory.with_name("backup.db")
    shutil.copy(server.database, backup)
    damage(server.database)

    checked = server.check()
    assert checked.returncode == 1 and "restore a backup" in checked.stdout + checked.stderr, (
        checked
    )
    assert "panicked" not in checked.stderr

    server.start()
    api = server.api()
    answers = [api.get(certificate["id"]) for certificate in made]
    counted = {answer.status for answer in answers}
    assert 503 in counted and counted <= {200, 503}, counted
    # Intact certificates are answered correctly.
    assert all(
        answer.result == certificate
        for answer, certificate in zip(answers, made, strict=True)
        if answer.status == 200
    )
    broken = next(answer for answer in answers if answer.status != 200)
    assert broken.error["code"] and "retry-after" in broken.headers
    # A long page is sent in parts, so corruption in a later part cuts the answer off.
    try:
        assert api.call("GET", f"{api.certificates}?limit=1000").status == 503
    except http.client.IncompleteRead as cut_off:
        assert b"result_info" not in cut_off.partial
    api.close()
    assert "stored data is corrupt" in server.log or "malformed" in server.log
    server.stop()

    shutil.copy(backup, server.database)
    server.is_intact()
    server.start()
    api = server.api()
    assert [certificate["id"] for certificate in api.every()] == [
        certificate["id"] for certificate in made[::-1]
    ]
    assert api.issue(csr).status == 200
    api.close()


def damage(path: Path) -> None:
    """Overwrites a leaf of the table of certificates, like a disk that lost a sector."""
    database = sqlite3.connect(path)
    size = database.execute("PRAGMA page_size").fetchone()[0]
    root = database.execute(
        "SELECT rootpage FROM sqlite_schema WHERE name = 'certificates'"
    ).fetchone()[0]
    database.close()
    with path.open("r+b") as file:
        # The root is an interior page of a table. Its first cell names the first leaf (SQLite's
        # file format §1.6).
        file.seek((root - 1) * size)
        head = file.read(12)
        assert head[0] == 5, "the table is large enough to have leaves"
        cell = int.from_bytes(file.read(2), "big")
        file.seek((root - 1) * size + cell)
        leaf = int.from_bytes(file.read(4), "big")
        file.seek((leaf - 1) * size)
        file.write(os.urandom(size))
        os.fsync(file.fileno())


def test_without_permission_the_message_names_the_file(server: Server, tmp_path: Path) -> None:
    """Runs as a user without write access, because root has it everywhere."""
    server.stop()
    if os.geteuid() != 0:
        server.directory.chmod(0o500)
        message = server.refuses_to_start()
        server.directory.chmod(0o700)
    else:
        done = certgate_unprivileged(*server.command()[1:], cwd=Path("/"))
        assert done.returncode == 1 and done.stdout == "", done
        message = done.stderr
    assert str(server.directory) in message and "ermission" in message, message


def test_a_commit_whose_fsync_fails_is_in_doubt(tmp_path: Path, csr: str) -> None:
    """Its transaction is complete in the log of the database, and a start may find it there."""
    fail, library = tmp_path / "fail", failing_fsync(tmp_path)
    server = Server(tmp_path / "data")
    server.variables |= {"LD_PRELOAD": str(library), "FAIL_FSYNC": str(fail)}
    try:
        api = server.start().api()
        kept = api.issue(csr).result["id"]
        told = kept
        for change in ("issue", "revoke"):
            fail.touch()
            answer = api.issue(csr) if change == "issue" else api.revoke(kept)
            # A repeated revocation changes nothing, so its outcome is of no interest.
            code = 10504 if change == "issue" else 10503
            assert (answer.status, answer.error["code"]) == (503, code), answer.text
            server.kill()
            fail.unlink()
            api = server.start().api()
            told += answer.text
            assert all(found["id"] in told for found in api.every())
        assert api.revoke(kept).status == 200
        server.stop()
        server.is_intact()
    finally:
        server.kill()
