"""Backup and restore: what was answered before a backup is in it, and no restore undoes a revocation."""

from __future__ import annotations

import hashlib
import os
import random
import re
import shutil
import sqlite3
import stat
import subprocess
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from conftest import MakeServer
from harness import CERTGATE, Api, Server, certgate, environment, eventually
from test_crash import REVOKED, Certificate, Client, verify
from test_enforcement_points import Points
from test_faults import Disk, Mount, disk, mount, on_disk

# How often a server is killed while it revokes, and the longest that it revokes before.
KILLS = 20
LOAD_SECONDS_MAX = 0.3

SEED = int(os.environ.get("CERTGATE_TEST_SEED") or random.SystemRandom().getrandbits(32))

# How many backups are made of a busy server.
BACKUPS = 4

__all__ = ["disk", "mount", "on_disk"]

AGAIN = "the database is older than the journal of revocations"
UNKNOWN = "no journal of revocations tells what came after the backup"


def back_up(server: Server, name: str = "backup.db") -> Path:
    path = server.directory.with_name(name)
    done = certgate("backup", "--data-dir", server.directory, path)
    assert done.returncode == 0 and done.stdout == "" and "panicked" not in done.stderr, done
    return path


def restore(server: Server, backup: Path, *more: str, code: int = 0) -> str:
    done = certgate("restore", "--data-dir", server.directory, backup, *more)
    assert (done.returncode, done.stdout) == (code, "") and "panicked" not in done.stderr, done
    assert (code == 0) != ("error: " in done.stderr), done.stderr
    return done.stderr


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def content(directory: Path) -> dict[str, bytes]:
    """What is in the files of a directory; an empty file that is left there is no harm."""
    found = {path.name: path.read_bytes() for path in directory.iterdir() if path.is_file()}
    return {name: octets for name, octets in found.items() if octets or not name.startswith(".tmp")}


def stored(server: Server) -> list[str]:
    """Everything in the database."""
    with closing(sqlite3.connect(f"file:{server.database}?mode=ro", uri=True)) as database:
        return list(database.iterdump())


def revocations(server: Server) -> Path:
    return server.directory / "certgate.revocations"


@dataclass
class Line:
    epoch: int
    is_revoked: bool
    reason: str
    certificate: str


def journal(path: Path, torn: bool = False) -> list[Line]:
    """The lines after the first, each of them whole; of a `torn` one the last need not be."""
    first, *lines = path.read_text().split("\n")
    assert re.fullmatch(r"certgate revocations 1 [0-9a-f]{32} after \d+", first), first
    last = lines.pop()
    assert torn or last == "", f"the last line is not whole: {last}"
    found = []
    for line in lines:
        text, check = line.rsplit("\t", 1)
        assert hashlib.sha256(f"{text}\t".encode()).hexdigest()[:8] == check, line
        epoch, what, reason, at, authority, certificate, serial, fingerprint, expires = text.split("\t")
        assert (what == "revoked") == (reason != "-") == (at != "-") and what in ("revoked", "restored"), line
        assert len(authority) == 36 and len(certificate) == 32 and len(serial) == 40 and len(fingerprint) == 64, line
        assert int(expires) > 0
        found.append(Line(int(epoch), what == "revoked", reason, certificate))
    epochs = [line.epoch for line in found]
    assert epochs == sorted(set(epochs)), "epochs grow"
    return found


@contextmanager
def talking(server: Server) -> Iterator[Api]:
    api = server.api()
    try:
        yield api
    finally:
        api.close()


def fetch(server: Server, path: str, body: bytes | None = None) -> bytes:
    request = urllib.request.Request(f"http://127.0.0.1:{server.public_port}{path}", data=body)
    if body is not None:
        request.add_header("Content-Type", "application/ocsp-request")
    with urllib.request.urlopen(request, timeout=30) as answer:
        return answer.read()


class Verifier:
    """Somebody who only has certificates and the public responder."""

    def __init__(self, server: Server, api: Api) -> None:
        self.server = server
        base = f"/certgate/v1/accounts/{server.made['account_id']}"
        made = api.call("GET", f"{base}/managed_authority").result
        self.authority_id, self.authority = made["id"], x509.load_pem_x509_certificate(made["certificate"].encode())

    def ocsp(self, certificate: dict[str, Any]) -> str:
        """`good`, `unknown` or the reason, of a response that the authority has signed."""
        subject = x509.load_pem_x509_certificate(certificate["certificate"].encode())
        asked = ocsp.OCSPRequestBuilder().add_certificate(subject, self.authority, SHA256()).build()
        answer = ocsp.load_der_ocsp_response(fetch(self.server, "/ocsp", asked.public_bytes(Encoding.DER)))
        assert answer.response_status == ocsp.OCSPResponseStatus.SUCCESSFUL
        assert answer.serial_number == subject.serial_number
        key = self.authority.public_key()
        assert isinstance(key, EllipticCurvePublicKey)
        key.verify(answer.signature, answer.tbs_response_bytes, ECDSA(SHA256()))
        if answer.certificate_status != ocsp.OCSPCertStatus.REVOKED:
            return answer.certificate_status.name.lower()
        return "revoked" if answer.revocation_reason is None else answer.revocation_reason.value

    def list(self, file: str) -> x509.CertificateRevocationList:
        crl = x509.load_der_x509_crl(fetch(self.server, f"/crl/{self.authority_id}/{file}"))
        assert crl.is_signature_valid(self.authority.public_key())  # type: ignore[arg-type]
        return crl

    def lists_of(self, certificate: dict[str, Any]) -> list[str]:
        serial = int(certificate["serial_number"], 16)
        return ["full.crl", f"{serial % 128}.crl"]

    def listed(self, certificate: dict[str, Any]) -> list[bool]:
        """Whether it is on the full list, and on its own: they are not made at the same instant."""
        serial = int(certificate["serial_number"], 16)
        lists = map(self.list, self.lists_of(certificate))
        return [crl.get_revoked_certificate_by_serial_number(serial) is not None for crl in lists]

    def numbers(self, certificates: list[dict[str, Any]]) -> dict[str, int]:
        files = {file for certificate in certificates for file in self.lists_of(certificate)}
        return {f: self.list(f).extensions.get_extension_for_class(x509.CRLNumber).value.crl_number for f in files}


def settled(api: Api) -> None:
    eventually("everything settles", lambda: api.total("pending_revocation") + api.total("pending_reactivation") == 0)


# Backup.


class Busy(threading.Thread):
    """Issues certificates and revokes every third until it is told to end."""

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


def test_a_backup_of_a_busy_server_has_everything_that_was_answered_before_it(
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
        eventually("there is work", lambda n=at_least: sum(len(client.answered) for client in clients) >= n)
        before = {identity: revoked for client in clients for identity, revoked in dict(client.answered).items()}
        backups.append((back_up(server, f"backup-{turn}.db"), before))
    end.set()
    for client in clients:
        client.join()
        assert client.failure is None, client.failure
    after = {identity: revoked for client in clients for identity, revoked in client.answered.items()}
    assert len(after) > len(backups[0][1]), "nothing went on meanwhile"
    assert not list(tmp_path.glob(".tmp*")) and not list(tmp_path.glob("backup*-*al")), names(tmp_path)

    for turn, (backup, before) in enumerate(backups):
        assert stat.S_IMODE(backup.stat().st_mode) == 0o600
        other = make_server(name=f"restored-{turn}", init=None, start=False)
        other.directory.mkdir(mode=0o700)
        told = restore(other, backup)
        assert "master.key" in told and "missing" in told, told
        assert "master.key" in other.refuses_to_start(), "without its master key it opens nothing"
        shutil.copy(server.directory / "master.key", other.directory)
        other.is_whole()
        other.made = server.made
        other.start()
        with talking(other) as api:
            settled(api)
            every = {certificate["id"]: certificate["status"] for certificate in api.every()}
            assert set(before) <= set(every) <= set(after), "something answered is lost, or something was made up"
            assert all(every[identity] == "revoked" for identity, revoked in before.items() if revoked)
            assert not any(status == "revoked" and not after[identity] for identity, status in every.items())
            counted = Counter(every.values())
            assert {s: api.total(s) for s in ("all", "active", "revoked")} == {
                "all": len(every), "active": counted["active"], "revoked": counted["revoked"]
            }  # fmt: skip
            assert api.issue(csr).status == 200
        other.stop()
        other.is_whole()


def test_a_backup_overwrites_nothing_and_names_what_is_wrong(server: Server, tmp_path: Path) -> None:
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


@dataclass
class Stopped:
    """A stopped server with some certificates, and a backup of it."""

    server: Server
    backup: Path
    certificates: list[dict[str, Any]]


@pytest.fixture
def stopped(server: Server, api: Api, csr: str) -> Stopped:
    certificates = [api.issue(csr).result for _ in range(3)]
    api.revoke(certificates[0]["id"])
    settled(api)
    backup = back_up(server)
    certificates.append(api.issue(csr).result)
    server.stop()
    return Stopped(server, backup, certificates)


def test_a_restore_is_refused_while_the_server_runs_or_a_database_is_there(stopped: Stopped) -> None:
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
        assert [made["id"] for made in api.every()] == [made["id"] for made in stopped.certificates[2::-1]]


def test_a_database_that_was_moved_aside_comes_back(stopped: Stopped) -> None:
    server = stopped.server
    restore(server, stopped.backup, "--replace")
    aside = next(path for path in server.directory.iterdir() if ".replaced-" in path.name)
    kept = shutil.copy(aside, server.directory.with_name("kept.db"))
    restore(server, Path(kept), "--replace")
    server.is_whole()
    server.start()
    with talking(server) as api:
        assert api.total() == 4 and AGAIN not in server.log and UNKNOWN not in server.log


def test_a_database_of_a_killed_server_is_moved_aside_with_its_log(server: Server, api: Api, csr: str) -> None:
    backup = back_up(server)
    issued = {api.issue(csr).result["id"] for _ in range(5)}
    server.kill()
    restore(server, backup, "--replace")
    aside = next(path for path in server.directory.iterdir() if re.search(r"\.replaced-\d+$", path.name))
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
    found["somebody-elses"] = directory / "somebody-elses.db"
    with closing(sqlite3.connect(found["somebody-elses"])) as other, other:
        other.execute("CREATE TABLE data (data)")
    found["newer"] = directory / "newer.db"
    found["newer"].write_bytes(good)
    with closing(sqlite3.connect(found["newer"])) as newer:
        version = newer.execute("PRAGMA user_version").fetchone()[0]
        newer.execute(f"PRAGMA user_version = {version + 1}")
    found["counters"] = directory / "counters.db"
    found["counters"].write_bytes(good)
    with closing(sqlite3.connect(found["counters"])) as counted, counted:
        assert counted.execute("UPDATE audit_chains SET entries = entries + 1").rowcount
    found["absent"] = directory / "absent.db"
    found["directory"] = directory / "directory"
    found["directory"].mkdir()
    return found


def test_what_is_no_whole_backup_is_refused_and_nothing_changed(stopped: Stopped, tmp_path: Path) -> None:
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


def test_a_kill_in_the_middle_of_a_restore_leaves_what_a_restore_mends(stopped: Stopped) -> None:
    server = stopped.server
    chance = random.Random(SEED)
    command = [CERTGATE, "restore", "--data-dir", server.directory, stopped.backup, "--replace"]
    killed = 0
    for _ in range(15):
        process = subprocess.Popen(command, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        threading.Event().wait(chance.uniform(0, 0.06))
        process.kill()
        killed += process.wait() == -9
        if server.database.exists():
            server.is_whole()
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
        assert api.total() == 3 and api.get(stopped.certificates[0]["id"]).result["status"] == "revoked"


# What a restore must not undo.


class Story:
    """What happens around a backup: certificates on hold, revoked for good, restored, and issued after it."""

    def __init__(self, server: Server, csr: str) -> None:
        self.server = server
        with talking(server) as api:
            self.points = Points(server, api)
            self.edge = self.points.register("edge", 3600)
            names = ("held", "dead", "freed", "reheld", "untouched", "held before")
            self.certificates = {name: api.issue(csr).result for name in names}
            for name in ("freed", "reheld", "held before"):
                api.revoke(self.id(name))
            self.known = self.points.changes(0)["epoch"]
            self.points.acknowledge(self.edge, self.known)
            settled(api)
            self.backup = back_up(server)
            self.change(api, "held")
            self.between = self.points.changes(self.known)["epoch"]
            self.change(api, "dead", "keyCompromise")
            assert api.restore(self.id("freed")).status == 200
            assert api.restore(self.id("reheld")).status == 200
            self.change(api, "reheld", "superseded")
            for name, reason in (("lost", None), ("lost for good", "keyCompromise")):
                self.certificates[name] = api.issue(csr).result
                self.change(api, name, reason)
            self.certificates["lost and free"] = api.issue(csr).result
            self.change(api, "lost and free")
            assert api.restore(self.id("lost and free")).status == 200
            self.last = self.points.changes(self.between)["epoch"]
            self.points.acknowledge(self.edge, self.last)
            settled(api)
            self.verifier = Verifier(server, api)
            self.numbers = self.verifier.numbers(list(self.certificates.values()))
            self.said_before = self.said()
        server.stop()

    EXPECTED = {
        "held": "certificateHold",
        "dead": "keyCompromise",
        "freed": "good",
        "reheld": "superseded",
        "untouched": "good",
        "held before": "certificateHold",
        "lost": "certificateHold",
        "lost for good": "keyCompromise",
    }

    def id(self, name: str) -> str:
        return self.certificates[name]["id"]

    def change(self, api: Api, name: str, reason: str | None = None) -> None:
        body = {"reason": reason} if reason else None
        answer = api.call("DELETE", f"{api.certificates}/{self.id(name)}", body)
        assert answer.status == 200, answer.text

    def said(self) -> dict[str, str]:
        """What OCSP says of each."""
        return {name: self.verifier.ocsp(certificate) for name, certificate in self.certificates.items()}

    def assert_kept(self) -> None:
        """What OCSP says now, and what the lists say once they are made."""
        said = self.said()
        assert {name: said[name] for name in self.EXPECTED} == self.EXPECTED
        # Nobody knows any more that it was issued, or it is good: revoked it is not.
        assert said["lost and free"] in ("good", "unknown")
        revoked = {name for name, status in self.EXPECTED.items() if status != "good"}

        def lists() -> bool:
            certificates = self.certificates.items()
            return all(self.verifier.listed(made) == [name in revoked] * 2 for name, made in certificates)

        eventually("the lists say it", lists)
        for name in ("held", "dead", "freed", "reheld", "lost", "lost for good"):
            for file, number in self.verifier.numbers([self.certificates[name]]).items():
                assert number > self.numbers[file], f"{name}: {file} has a number that was given before"


@pytest.fixture
def story(server: Server, csr: str) -> Story:
    story = Story(server, csr)
    assert {name: story.said_before[name] for name in Story.EXPECTED} == Story.EXPECTED
    return story


def field(line: str, name: str) -> int:
    found = re.search(rf"\b{name}=(\d+)", line)
    assert found, line
    return int(found[1])


def told_since(server: Server, before: int) -> list[str]:
    """The log lines at WARN or ERROR that were added to the first `before` characters."""
    return [line for line in server.log[before:].splitlines() if re.search(r"\s(WARN|ERROR)\s", line)]


def test_a_restore_undoes_no_revocation(story: Story) -> None:
    server = story.server
    lines = journal(revocations(server))
    told = restore(server, story.backup, "--replace")
    later = story.last - story.known
    assert f"up to epoch {story.known}" in told and f"{later} later changes" in told, told
    logged = len(server.log)
    server.start()
    warnings = told_since(server, logged)
    assert len(warnings) == 1 and AGAIN in warnings[0], warnings
    values = {name: field(warnings[0], name) for name in ("from_epoch", "to_epoch", "revoked", "restored", "lost")}
    # Of the three that the backup does not have, two are revoked in the end.
    assert values == {"from_epoch": story.known, "to_epoch": story.last, "revoked": 3, "restored": 1, "lost": 2}
    assert field(warnings[0], "without_authority") == 0

    # Before anything has settled.
    said = story.said()
    assert {name: said[name] for name in Story.EXPECTED} == Story.EXPECTED
    with talking(server) as api:
        for name, status in (
            ("held", "pending_revocation"),
            ("dead", "pending_revocation"),
            ("freed", "pending_reactivation"),
            ("reheld", "pending_revocation"),
            ("held before", "revoked"),
            ("untouched", "active"),
        ):
            assert api.get(story.id(name)).result["status"] == status, name
        for name in ("lost", "lost for good", "lost and free"):
            assert api.get(story.id(name)).status == 404

        # The enforcement point goes on where it was, wherever that was, and is waited for.
        points = Points(server, api)
        for after in (story.known, story.between, story.last - 1, story.last):
            told_changes = changes_now(points, after).result
            assert told_changes["epoch"] == story.last
            expected = {line.certificate: (line.epoch, line.is_revoked) for line in lines if line.epoch > after}
            serials = {made["serial_number"]: made["id"] for made in story.certificates.values()}
            got = {serials[c["serial_number"]]: (c["epoch"], c["revoked"]) for c in told_changes["changes"]}
            # Of one that was issued and restored after the backup nothing is left, and nothing has to be.
            for one in (expected, got):
                one.pop(story.id("lost and free"), None)
            assert got == expected, after
        snapshot = api.call("GET", f"{points.base}/revocations").text.splitlines()
        revoked = [name for name, status in Story.EXPECTED.items() if status != "good"]
        assert len(snapshot) == len(revoked) + 2
        assert all(any(story.certificates[name]["serial_number"] in line for line in snapshot) for name in revoked)
        assert changes_now(points, story.last + 1).error["code"] == 1521
        story.assert_kept()
        assert api.get(story.id("held")).result["status"] == "pending_revocation", "it waits for the enforcement point"
        points.acknowledge(story.edge, story.last)
        settled(api)
        statuses = {name: api.get(story.id(name)).result["status"] for name in ("held", "dead", "freed", "reheld")}
        assert statuses == {"held": "revoked", "dead": "revoked", "freed": "active", "reheld": "revoked"}
        assert api.restore(story.id("dead")).error["code"] == 1408 == api.restore(story.id("reheld")).error["code"]
        assert (api.total(), api.total("revoked"), api.total("active")) == (6, 4, 2)
    assert journal(revocations(server)) == lines, "the journal has what it had"

    # A second start says nothing and does nothing more.
    with talking(server) as api:
        path = f"/client/v4/accounts/{server.made['account_id']}/logs/audit?limit=1000"
        entries = api.call("GET", path).result
        again = [entry for entry in entries if entry["certgate"]["detail"].endswith("again after a restore")]
        assert len(again) >= 6 and all(entry["actor"]["type"] == "system" for entry in again)
    server.stop()
    server.is_whole()
    logged = len(server.log)
    server.start()
    assert told_since(server, logged) == []
    with talking(server) as api:
        assert api.call("GET", path).result == entries
        story.assert_kept()
        # It goes on counting where it was.
        assert api.revoke(story.id("untouched")).status == 200
        assert Points(server, api).changes(story.last)["epoch"] == story.last + 1
    assert journal(revocations(server))[:-1] == lines
    assert certgate("audit", "verify", "--data-dir", server.directory).returncode == 0


def changes_now(points: Points, after: int) -> Any:
    return points.api.call("GET", f"{points.base}/revocation_changes?after={after}&wait_seconds=0")


def test_the_same_backup_can_be_restored_again_and_again(story: Story) -> None:
    server = story.server
    aside: set[str] = set()
    for _ in range(2):
        # The name of what is moved aside has the second in it.
        eventually("another second begins", lambda: f"certgate.db.replaced-{now()}" not in aside)
        restore(server, story.backup, "--replace")
        aside = {name for name in names(server.directory) if ".replaced-" in name}
        server.start()
        story.assert_kept()
        server.stop()
        server.is_whole()
    # A backup of what was restored has the lost ones in it.
    server.start()
    second = back_up(server, "second.db")
    server.stop()
    eventually("another second begins", lambda: f"certgate.db.replaced-{now()}" not in aside)
    restore(server, second, "--replace")
    revocations(server).unlink()
    server.start()
    story.assert_kept()


def now() -> int:
    return int(time.time())


def test_a_kill_in_the_first_start_after_a_restore_is_no_harm(story: Story) -> None:
    server = story.server
    restore(server, story.backup, "--replace")
    chance = random.Random(SEED)
    for _ in range(5):
        process = subprocess.Popen(server.command(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        threading.Event().wait(chance.uniform(0, 0.1))
        process.kill()
        process.wait()
    server.start()
    story.assert_kept()
    with talking(server) as api:
        points = Points(server, api)
        assert points.changes(story.known)["epoch"] == story.last
        points.acknowledge(story.edge, story.last)
        settled(api)
    server.stop()
    server.is_whole()


def test_an_old_database_that_was_only_copied_is_caught_up_too(story: Story) -> None:
    """As people restore who do not know of `certgate restore`."""
    server = story.server
    shutil.copy(story.backup, server.database)
    logged = len(server.log)
    server.start()
    assert [AGAIN in line for line in told_since(server, logged)] == [True]
    story.assert_kept()


def test_changes_of_an_authority_that_the_backup_does_not_have_are_counted(server: Server, api: Api, csr: str) -> None:
    backup = back_up(server)
    account = api.call("POST", "/client/v4/accounts", {"name": "later"}).result["id"]
    zone = api.call("POST", "/client/v4/zones", {"name": "later.example", "account": {"id": account}}).result["id"]
    own, api.zone_id = api.zone_id, zone
    api.revoke(api.issue(csr).result["id"])
    api.zone_id = own
    server.stop()
    assert "1 later change is in" in restore(server, backup, "--replace")
    logged = len(server.log)
    server.start()
    (line,) = told_since(server, logged)
    assert AGAIN in line and (field(line, "without_authority"), field(line, "revoked"), field(line, "lost")) == (
        1,
        0,
        0,
    )
    with talking(server) as again:
        assert again.total() == 0 and again.issue(csr).status == 200
    server.stop()
    logged = len(server.log)
    server.start()
    assert told_since(server, logged) == []


def shared_among_clients(server: Server, work: Callable[[Api, Any], Any], items: Iterable[Any]) -> list[Any]:
    """Eight clients work on the items; what came of it."""
    waiting, found = list(items), []

    def run() -> None:
        with talking(server) as api:
            while True:
                try:
                    item = waiting.pop()
                except IndexError:
                    return
                found.append(work(api, item))

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def test_more_changes_than_the_end_of_the_journal_that_a_start_reads(server: Server, csr: str) -> None:
    def issue(api: Api, _: int) -> dict[str, Any]:
        return api.issue(csr).result

    def revoke(api: Api, certificate: dict[str, Any]) -> None:
        assert api.revoke(certificate["id"]).status == 200

    def free(api: Api, certificate: dict[str, Any]) -> None:
        assert api.restore(certificate["id"]).status == 200

    kept = shared_among_clients(server, issue, range(800))
    backup = back_up(server)
    lost = shared_among_clients(server, issue, range(300))
    shared_among_clients(server, revoke, kept + lost)
    shared_among_clients(server, free, kept[:50])
    server.stop()
    assert revocations(server).stat().st_size > 1 << 18
    assert "1150 later changes" in restore(server, backup, "--replace")
    server.start()
    expected = {made["serial_number"]: True for made in kept + lost} | {m["serial_number"]: False for m in kept[:50]}
    with talking(server) as api:
        settled(api)
        assert (api.total(), api.total("revoked"), api.total("active")) == (800, 750, 50)
        points, epoch, told = Points(server, api), 0, {}
        while changes := changes_now(points, epoch).result["changes"]:
            told |= {change["serial_number"]: change["revoked"] for change in changes}
            epoch = changes[-1]["epoch"]
        assert (epoch, told) == (1150, expected)
        listed = {f"{revoked.serial_number:040x}" for revoked in Verifier(server, api).list("full.crl")}
        assert listed == {serial for serial, revoked in expected.items() if revoked}
    server.stop()
    server.is_whole()


# Without the journal.


def test_without_the_journal_it_is_said_and_newer_epochs_are_refused_for_ever(story: Story, csr: str) -> None:
    server = story.server
    revocations(server).unlink()
    told = restore(server, story.backup, "--replace")
    assert "is not known here" in told and str(revocations(server)) in told
    logged = len(server.log)
    server.start()
    (line,) = told_since(server, logged)
    assert UNKNOWN in line and field(line, "after_epoch") == story.known
    assert stat.S_IMODE(revocations(server).stat().st_mode) == 0o600
    with talking(server) as api:
        points = Points(server, api)
        more = [api.issue(csr).result["id"] for _ in range(story.last - story.known + 3)]
        for turn, certificate in enumerate([None, *more]):
            if certificate:
                assert api.revoke(certificate).status == 200
            for epoch in range(story.known + 1, story.last + 1):
                assert changes_now(points, epoch).error["code"] == 1521, (turn, epoch)
        # Whoever has only what the backup has goes on.
        assert len(changes_now(points, story.known).result["changes"]) == len(more)
        first, *_, count = api.call("GET", f"{points.base}/revocations").text.splitlines()
        assert count == f'{{"count":{len(more) + 3}}}'
        epoch = int(re.findall(r"\d+", first)[0])
        points.acknowledge(story.edge, epoch)
        settled(api)
        assert api.restore(more[0]).status == 200
        later = points.changes(epoch)
        assert [change["revoked"] for change in later["changes"]] == [False] and later["epoch"] == epoch + 1
        points.acknowledge(story.edge, later["epoch"])
        settled(api)
    server.stop()
    server.is_whole()
    logged = len(server.log)
    server.start()
    assert told_since(server, logged) == []
    with talking(server) as api:
        assert changes_now(Points(server, api), story.last).error["code"] == 1521


def test_a_journal_that_is_older_than_the_backup_is_as_good_as_none(server: Server, api: Api, csr: str) -> None:
    ids = [api.issue(csr).result["id"] for _ in range(4)]
    api.revoke(ids[0])
    old = revocations(server).read_bytes()
    api.revoke(ids[1])
    backup = back_up(server)
    api.revoke(ids[2])
    server.stop()
    revocations(server).write_bytes(old)
    assert "is not known here" in restore(server, backup, "--replace")
    logged = len(server.log)
    server.start()
    (line,) = told_since(server, logged)
    assert UNKNOWN in line and field(line, "after_epoch") == 2
    with talking(server) as api:
        points = Points(server, api)
        assert api.revoke(ids[3]).status == 200 and changes_now(points, 3).error["code"] == 1521
        assert [len(changes_now(points, epoch).result["changes"]) for epoch in (0, 1, 2)] == [3, 2, 1]
    assert {line.certificate for line in journal(revocations(server))} == {ids[0], ids[1], ids[3]}


# A journal that is not what it should be.


@pytest.fixture
def killed(server: Server, api: Api, csr: str) -> list[str]:
    """Not a restore: a server that was killed after ten revocations."""
    ids = [api.issue(csr).result["id"] for _ in range(10)]
    for identity in ids:
        api.revoke(identity)
    server.kill()
    return ids


@pytest.mark.parametrize("cut", [1, 20, 200, 300, 2000])
def test_a_journal_that_is_torn_at_its_end_is_healed(server: Server, killed: list[str], cut: int) -> None:
    path = revocations(server)
    whole = path.read_bytes()
    path.write_bytes(whole[:-cut])
    server.start()
    assert path.read_bytes() == whole and [line.certificate for line in journal(path)] == killed
    with talking(server) as api:
        assert api.restore(killed[0]).status == 200
    assert path.read_bytes().startswith(whole) and len(journal(path)) == 11


@pytest.mark.parametrize("garbage", [b"\0" * 700, b"half a line", b"\xff\xfe\n" * 3, b"\n\n"])
def test_what_a_power_cut_leaves_behind_the_last_line_is_healed(
    server: Server, killed: list[str], garbage: bytes
) -> None:
    path = revocations(server)
    whole = path.read_bytes()
    path.write_bytes(whole + garbage)
    server.start()
    with talking(server) as api:
        assert api.restore(killed[0]).status == 200
    assert path.read_bytes().startswith(whole) and len(journal(path)) == 11


def test_damage_in_the_middle_is_healed_by_a_database_that_has_it_all(server: Server, killed: list[str]) -> None:
    path = revocations(server)
    path.write_text(path.read_text().replace("certificateHold", "superseded", 1))
    server.start()
    assert [line.certificate for line in journal(path)] == killed


def test_a_journal_with_damage_in_the_middle_is_not_believed_after_a_restore(story: Story) -> None:
    server = story.server
    path = revocations(server)
    good = path.read_text()
    # The first change after the backup.
    line = next(line for line in good.splitlines() if line.startswith(f"{story.known + 1}\t"))
    damaged = good.replace(line, line.replace("certificateHold", "superseded"))
    assert damaged != good
    path.write_text(damaged)
    before = content(server.directory)
    told = restore(server, story.backup, "--replace", code=1)
    assert f"damaged after epoch {story.known}" in told and str(path) in told
    assert content(server.directory) == before

    path.write_text(good)
    restore(server, story.backup, "--replace")
    path.write_text(damaged)
    before_start = stored(server)
    for _ in range(2):
        message = server.refuses_to_start()
        assert f"damaged after epoch {story.known}" in message and str(path) in message, message
    assert path.read_text() == damaged and stored(server) == before_start
    path.write_text(good)
    server.start()
    story.assert_kept()


def test_the_journal_of_another_installation_is_refused(stopped: Stopped, make_server: MakeServer, csr: str) -> None:
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
        assert str(path) in message and "not the journal of revocations of this installation" in message, message
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


def test_twenty_kills_leave_no_answered_revocation_out_of_the_journal(make_server: MakeServer, csr: str) -> None:
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
        # Written before it was answered: it does not take another start.
        last = last_lines(torn=True)
        for certificate in (certificate for own in owned for certificate in own):
            if certificate.statuses <= REVOKED:
                assert last.get(certificate.answered["id"]) is True, f"round {number}: {certificate}"
            elif not certificate.statuses & REVOKED:
                assert not last.get(certificate.answered["id"], False), f"round {number}: {certificate}"
        server.start()
        verify(server, owned, sum(client.unanswered_issues for client in clients))
        # What was cut off is one or the other now, in both places.
        last = last_lines()
        for certificate in (certificate for own in owned for certificate in own):
            is_revoked = certificate.statuses <= REVOKED
            assert last.get(certificate.answered["id"], False) == is_revoked, f"round {number}: {certificate}"
        server.kill()
    print(f"answered: {dict(answers)}")
    assert min(answers[kind] for kind in ("issue", "revoke", "restore")) > KILLS


def test_a_full_disk_for_the_journal_alone_does_not_stop_revocation(
    make_server: MakeServer, mount: Mount, tmp_path: Path, csr: str
) -> None:
    """The journal, and nothing else, is a file on a disk without room (a bind mount over it)."""
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
    done = subprocess.run(["mount", "--bind", away, revocations(server)], capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip(f"cannot mount a file here, so a full disk of the journal alone is NOT TESTED: {done.stderr}")
    try:
        # The line that fits into the block that the file has already does not meet the limit.
        with away.open("r+b") as file:
            room = 4096 - file.seek(0, os.SEEK_END) % 4096
        small.fill()
        server.start()
        with talking(server) as api:
            for turn in range(1 + room // 200):
                answer = api.revoke(ids[1 + turn % 4]) if turn % 8 < 4 else api.restore(ids[1 + turn % 4])
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
        errors = [line for line in told_since(server, 0) if "journal of revocations cannot be written" in line]
        assert len(errors) == 1 and " ERROR " in errors[0] and str(revocations(server)) in errors[0], errors
        small.free()
        with talking(server) as api:
            assert api.restore(ids[0]).status == 200
        eventually("it says that it is over", lambda: "the journal of revocations is written again" in server.log)
        last = {line.certificate: line.is_revoked for line in journal(away)}
        assert last == {ids[0]: False} | {identity: True for identity in ids[1:]}
        server.stop()
    finally:
        server.kill()
        subprocess.run(["umount", "--lazy", revocations(server)], check=True)
