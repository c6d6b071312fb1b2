"""Backups of a running server, and their restoration."""

from __future__ import annotations

import random
import re
import shutil
import sqlite3
import stat
import subprocess
import threading
from collections import Counter
from contextlib import closing
from pathlib import Path

from kit.backups import (
    AGAIN,
    BACKUPS,
    SEED,
    UNKNOWN,
    Stopped,
    back_up,
    content,
    names,
    restore,
    revocations,
    settled,
    talking,
)
from kit.disk import Disk
from kit.harness import CERTGATE, Api, MakeServer, Server, certgate, environment, eventually


class Busy(threading.Thread):
    """Issues certificates and revokes each third one until it is stopped."""

    def __init__(self, server: Server, csr: str, end: threading.Event) -> None:
        super().__init__()
        self.server, self.csr, self.end = server, csr, end
        self.answered: dict[str, bool] = {}
        self.under_way = 0
        self.failure: BaseException | None = None

    def run(self) -> None:
        try:
            with talking(self.server) as api:
                while not self.end.is_set():
                    identity = api.issue(self.csr).result["id"]
                    self.answered[identity] = False
                    if len(self.answered) % 3 == 0:
                        assert api.revoke(identity).status == 200
                        self.answered[identity] = True
        except BaseException as failure:
            self.failure = failure


def test_a_backup_of_a_busy_server_has_each_earlier_answer(
    make_server: MakeServer, csr: str, tmp_path: Path
) -> None:
    server = make_server()
    end = threading.Event()
    clients = [Busy(server, csr, end) for _ in range(6)]
    for client in clients:
        client.start()
    backups: list[tuple[Path, dict[str, bool]]] = []
    for turn in range(BACKUPS):
        at_least = 40 * (turn + 1)
        eventually(
            "there is work", lambda n=at_least: sum(len(client.answered) for client in clients) >= n
        )
        before = {
            identity: revoked
            for client in clients
            for identity, revoked in dict(client.answered).items()
        }
        backups.append((back_up(server, f"backup-{turn}.db"), before))
    end.set()
    for client in clients:
        client.join()
        assert client.failure is None, client.failure
    after = {
        identity: revoked for client in clients for identity, revoked in client.answered.items()
    }
    assert len(after) > len(backups[0][1]), "nothing went on meanwhile"
    assert not list(tmp_path.glob(".tmp*")) and not list(tmp_path.glob("backup*-*al")), names(
        tmp_path
    )

    for turn, (backup, before) in enumerate(backups):
        assert stat.S_IMODE(backup.stat().st_mode) == 0o600
        other = make_server(name=f"restored-{turn}", init=None, start=False)
        other.directory.mkdir(mode=0o700)
        told = restore(other, backup)
        assert "master.key" in told and "missing" in told, told
        refused = other.refuses_to_start(status=2)
        assert "master.key" in refused, "without its master key it opens nothing"
        shutil.copy(server.directory / "master.key", other.directory)
        other.is_intact()
        other.made = server.made
        other.start()
        with talking(other) as api:
            settled(api)
            every = {certificate["id"]: certificate["status"] for certificate in api.every()}
            assert set(before) <= set(every) <= set(after), (
                "something answered is lost, or something was made up"
            )
            assert all(
                every[identity] == "revoked" for identity, revoked in before.items() if revoked
            )
            assert not any(
                status == "revoked" and not after[identity] for identity, status in every.items()
            )
            counted = Counter(every.values())
            assert {s: api.total(s) for s in ("all", "active", "revoked")} == {
                "all": len(every), "active": counted["active"], "revoked": counted["revoked"]
            }  # fmt: skip
            assert api.issue(csr).status == 200
        other.stop()
        other.is_intact()


def test_a_backup_overwrites_nothing_and_names_the_problem(server: Server, tmp_path: Path) -> None:
    taken = tmp_path / "taken"
    taken.write_text("mine")
    dangling = tmp_path / "dangling"
    dangling.symlink_to(tmp_path / "nowhere")
    empty = tmp_path / "empty"
    empty.mkdir()
    before = names(tmp_path)
    for directory, file, named in (
        (server.directory, taken, "exists"),
        (server.directory, empty, "exists"),
        (server.directory, dangling, "dangling"),
        (server.directory, tmp_path / "no" / "backup.db", "no/backup.db"),
        (empty, tmp_path / "backup.db", "holds no certgate database"),
        (tmp_path / "absent", tmp_path / "backup.db", "holds no certgate database"),
    ):
        done = certgate("backup", "--data-dir", directory, file)
        assert (done.returncode, done.stdout) == (1, "") and done.stderr.startswith("error: "), done
        assert named in done.stderr and "panicked" not in done.stderr, done.stderr
    assert names(tmp_path) == before and taken.read_text() == "mine" and names(empty) == []
    assert certgate("backup", "--data-dir", server.directory).returncode == 2
    # A file without a directory in its name is beside the caller.
    done = certgate("backup", "--data-dir", server.directory, "here.db", cwd=empty)
    assert done.returncode == 0 and names(empty) == ["here.db"], done.stderr


def test_a_backup_onto_a_full_disk_leaves_nothing(server: Server, disk: Disk) -> None:
    disk.fill()
    done = certgate("backup", "--data-dir", server.directory, disk.path / "backup.db")
    assert done.returncode == 1 and ("full" in done.stderr or "space" in done.stderr), done
    assert names(disk.path) == ["filler"]


# Restore.


def test_a_restore_is_refused_while_the_server_runs_or_a_database_is_there(
    stopped: Stopped,
) -> None:
    server = stopped.server
    server.start()
    for flags in ((), ("--replace",)):
        told = restore(server, stopped.backup, *flags, code=1)
        assert "in use by another process" in told and "stop the server" in told
    with talking(server) as api:
        assert api.total() == 4
    server.stop()
    before = content(server.directory)
    told = restore(server, stopped.backup, code=1)
    assert "nothing was changed" in told and "--replace" in told
    assert content(server.directory) == before

    told = restore(server, stopped.backup, "--replace")
    aside = next(path for path in server.directory.iterdir() if ".replaced-" in path.name)
    assert str(aside) in told and str(stopped.backup) in told
    assert aside.read_bytes() == before["certgate.db"], "moved aside, not deleted"
    assert names(server.directory) == sorted([*before, aside.name]), "nothing else is left"
    assert stat.S_IMODE(server.database.stat().st_mode) == 0o600
    server.start()
    with talking(server) as api:
        assert [made["id"] for made in api.every()] == [
            made["id"] for made in stopped.certificates[2::-1]
        ]


def test_a_database_that_was_moved_aside_comes_back(stopped: Stopped) -> None:
    server = stopped.server
    restore(server, stopped.backup, "--replace")
    aside = next(path for path in server.directory.iterdir() if ".replaced-" in path.name)
    kept = shutil.copy(aside, server.directory.with_name("kept.db"))
    restore(server, Path(kept), "--replace")
    server.is_intact()
    server.start()
    with talking(server) as api:
        assert api.total() == 4 and AGAIN not in server.log and UNKNOWN not in server.log


def test_a_database_of_a_killed_server_is_moved_aside_with_its_log(
    server: Server, api: Api, csr: str
) -> None:
    backup = back_up(server)
    issued = {api.issue(csr).result["id"] for _ in range(5)}
    server.kill()
    restore(server, backup, "--replace")
    aside = next(
        path for path in server.directory.iterdir() if re.search(r"\.replaced-\d+$", path.name)
    )
    assert not server.database.with_name("certgate.db-wal").exists(), "a log of another database"
    with closing(sqlite3.connect(aside)) as database:
        assert {row[0].hex() for row in database.execute("SELECT id FROM certificates")} == issued
    server.start()
    with talking(server) as again:
        assert again.total() == 0


def wrong_backups(stopped: Stopped, directory: Path) -> dict[str, Path]:
    good = stopped.backup.read_bytes()
    content = {
        "garbage": b"garbage" * 10_000,
        "empty": b"",
        "header": b"SQLite format 3\0" + b"\xff" * 5_000,
        "truncated": good[: len(good) // 2],
        "truncated-by-a-page": good[:-4096],
        "one-page": good[:4096],
    }
    found = {}
    for name, octets in content.items():
        found[name] = directory / f"{name}.db"
        found[name].write_bytes(octets)
    found["foreign"] = directory / "foreign.db"
    with closing(sqlite3.connect(found["foreign"])) as other, other:
        other.execute("CREATE TABLE data (data)")
    found["newer"] = directory / "newer.db"
    found["newer"].write_bytes(good)
    with closing(sqlite3.connect(found["newer"])) as newer:
        version = newer.execute("PRAGMA user_version").fetchone()[0]
        newer.execute(f"PRAGMA user_version = {version + 1}")
    found["counters"] = directory / "counters.db"
    found["counters"].write_bytes(good)
    with closing(sqlite3.connect(found["counters"])) as counted, counted:
        assert counted.execute("UPDATE blocks SET active = active + 1").rowcount
    found["absent"] = directory / "absent.db"
    found["directory"] = directory / "directory"
    found["directory"].mkdir()
    return found


def test_a_corrupt_backup_is_refused_and_changes_nothing(stopped: Stopped, tmp_path: Path) -> None:
    server = stopped.server
    place = tmp_path / "wrong"
    place.mkdir()
    before = content(server.directory)
    wrong = wrong_backups(stopped, place)
    untouched = content(place)
    for name, path in wrong.items():
        told = restore(server, path, "--replace", code=1)
        assert name in told, (name, told)
        assert content(server.directory) == before, (name, told)
    assert content(place) == untouched
    server.start()
    with talking(server) as api:
        assert api.total() == 4


def test_a_fault_in_the_audit_log_stops_a_restore_unless_you_accept_it(stopped: Stopped) -> None:
    with closing(sqlite3.connect(stopped.backup)) as tampered, tampered:
        assert tampered.execute("UPDATE audit_entries SET detail = 'x' WHERE number = 2").rowcount
    before = content(stopped.server.directory)
    told = restore(stopped.server, stopped.backup, "--replace", code=1)
    assert "entry 2 was changed" in told and "--despite-problems" in told
    assert content(stopped.server.directory) == before
    told = restore(stopped.server, stopped.backup, "--replace", "--despite-problems")
    assert "entry 2 was changed" in told
    stopped.server.start()


def test_a_database_moved_aside_is_never_lost(stopped: Stopped) -> None:
    server = stopped.server
    original = server.database.read_bytes()
    for _ in range(3):
        restore(server, stopped.backup, "--replace")
    aside = [path for path in server.directory.iterdir() if ".replaced-" in path.name]
    assert len(aside) == 3 and original in [path.read_bytes() for path in aside]


def test_a_database_that_was_moved_aside_comes_back_with_its_log(
    server: Server, api: Api, csr: str
) -> None:
    backup = back_up(server)
    for _ in range(5):
        api.issue(csr)
    server.kill()
    restore(server, backup, "--replace")
    aside = next(
        path for path in server.directory.iterdir() if re.search(r"\.replaced-\d+$", path.name)
    )
    restore(server, aside, "--replace")
    server.start()
    with talking(server) as again:
        assert again.total() == 5


def test_a_killed_restore_can_be_repeated(stopped: Stopped) -> None:
    server = stopped.server
    chance = random.Random(SEED)
    command = [CERTGATE, "restore", "--data-dir", server.directory, stopped.backup, "--replace"]
    killed = 0
    for _ in range(15):
        process = subprocess.Popen(
            command, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        threading.Event().wait(chance.uniform(0, 0.06))
        process.kill()
        killed += process.wait() == -9
        if server.database.exists():
            server.is_intact()
        else:
            assert "restore the database" in server.refuses_to_start()
    assert killed, "every kill came too late"
    restore(server, stopped.backup, "--replace")
    server.start()
    with talking(server) as api:
        assert (api.total(), api.total("revoked")) == (3, 1)


def test_a_restore_onto_a_full_disk_changes_nothing(on_disk: Server, disk: Disk, csr: str) -> None:
    with talking(on_disk) as api:
        issued = [api.issue(csr).result["id"] for _ in range(3)]
    backup = on_disk.log_path.with_name("backup.db")
    assert certgate("backup", "--data-dir", on_disk.directory, backup).returncode == 0
    on_disk.stop()
    before = names(on_disk.directory)
    disk.fill()
    told = restore(on_disk, backup, "--replace", code=1)
    assert str(on_disk.directory) in told and ("full" in told or "space" in told), told
    assert names(on_disk.directory) == before
    disk.free()
    on_disk.start()
    with talking(on_disk) as api:
        assert [made["id"] for made in api.every()] == issued[::-1]


def test_a_missing_backup_leaves_no_directory(make_server: MakeServer, tmp_path: Path) -> None:
    other = make_server(name="other", init=None, start=False)
    assert "nothing was changed" in restore(other, tmp_path / "absent.db", code=1)
    assert not other.directory.exists()


def test_a_backup_goes_into_an_empty_directory(stopped: Stopped, make_server: MakeServer) -> None:
    other = make_server(name="other", init=None, start=False)
    told = restore(other, stopped.backup)
    assert "moved" not in told and "The database that was there" not in told
    assert stat.S_IMODE(other.directory.stat().st_mode) == 0o700
    shutil.copy(stopped.server.directory / "master.key", other.directory)
    shutil.copy(revocations(stopped.server), other.directory)
    other.made = stopped.server.made
    other.start()
    with talking(other) as api:
        assert (
            api.total() == 3
            and api.get(stopped.certificates[0]["id"]).result["status"] == "revoked"
        )
