"""`certgate enrol` and `certgate renew` with an EST server: at each instant, the files work."""

from __future__ import annotations

import json
import os
import random
import re
import shlex
import shutil
import signal
import stat
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509

from kit.clock import library
from kit.disk import Disk
from kit.est import INVITE, Authority, EstServer, Files, Reply, leftovers
from kit.harness import (
    CERTGATE,
    FULL_SIZE,
    PATIENCE_SECONDS,
    REPOSITORY,
    Server,
    certgate,
    environment,
    eventually,
    openssl,
)

# The kills of each kind of files.
KILLS = 200 if FULL_SIZE else 25
SEED = int(os.environ.get("CERTGATE_TEST_SEED", "18"))


@pytest.fixture
def est(tmp_path: Path) -> Iterator[EstServer]:
    made = EstServer(tmp_path / "est").start()
    try:
        yield made
    finally:
        made.stop()


@pytest.fixture
def pair(est: EstServer, tmp_path: Path) -> Files:
    """Two plain files that are due."""
    made = at(est, tmp_path / "pki")
    made.due()
    return made


def at(est: EstServer, directory: Path) -> Files:
    directory.mkdir(exist_ok=True)
    return Files(est, directory / "device.crt", directory / "device.key")


def arguments(files: Files, *more: str) -> list[str]:
    est = files.est
    server = ["--est", est.url, "--fingerprint", est.fingerprint]
    return ["renew", str(files.certificate), *server, *more]


def renew(files: Files, *more: str, status: int = 0, **variables: str) -> str:
    """Runs the command. Returns both outputs."""
    done = certgate(*arguments(files, *more), **variables)
    assert done.returncode == status, done.stdout + done.stderr
    assert "panicked" not in done.stderr and "PRIVATE KEY" not in done.stderr
    return done.stdout + done.stderr


class Daemon:
    """`certgate renew --daemon`"""

    def __init__(self, files: Files, *more: str, **variables: str) -> None:
        self.log_path = files.est.directory / f"daemon-{random.getrandbits(32):08x}.log"
        with self.log_path.open("wb") as log:
            self.process = subprocess.Popen(
                [str(CERTGATE), *arguments(files, "--daemon", *more)],
                stdout=log,
                stderr=log,
                env=environment(**variables),
            )

    @property
    def log(self) -> str:
        return self.log_path.read_text()

    def says(self, text: str) -> None:
        eventually(f"the daemon says {text}", lambda: text in self.log or self.ended())

    def ended(self) -> None:
        assert self.process.poll() is None, self.log

    def stop(self) -> None:
        """SIGTERM ends it with status 0."""
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(PATIENCE_SECONDS) == 0, self.log

    def __enter__(self) -> Daemon:
        return self

    def __exit__(self, *error: object) -> None:
        self.process.kill()
        self.process.wait()


# Enrolment


@pytest.mark.parametrize("source", ["file", "stdin", "environment"])
def test_an_invite_becomes_a_certificate_that_renews(
    est: EstServer, tmp_path: Path, source: str
) -> None:
    (tmp_path / "invite").write_text(INVITE + "\n")
    given: dict[str, list[str]] = {
        "file": ["--invite-file", "invite"],
        "stdin": ["--invite-file", "-"],
        "environment": [],
    }
    server = ["--est", est.url, "--fingerprint", est.fingerprint]
    enrolled = certgate(
        *("enrol", *server, "--cn", "device-7", *given[source]),
        cwd=tmp_path,
        stdin=INVITE,
        **({"CERTGATE_INVITE": INVITE} if source == "environment" else {}),
    )
    assert enrolled.returncode == 0, enrolled.stderr
    assert "s3cret" not in enrolled.stdout + enrolled.stderr and "device-7" in enrolled.stdout
    files = Files(est, tmp_path / "device-7.crt", tmp_path / "device-7.key")
    first = files.works()
    assert stat.S_IMODE(files.key.stat().st_mode) == 0o600
    # The server is known. The certificate is not due.
    looked = certgate("renew", "device-7.crt", cwd=tmp_path)
    assert looked.returncode == 0 and "not due" in looked.stdout, looked.stdout + looked.stderr
    assert files.works() == first and not files.certificate.is_symlink()
    renewed = certgate("renew", "--all", ".", "--within", "1/1", cwd=tmp_path)
    assert renewed.returncode == 0 and "renewed" in renewed.stdout, renewed.stderr
    assert files.works() != first
    assert est.requests.count("simpleenroll") == est.requests.count("simplereenroll") == 1


@pytest.mark.parametrize("pinned", ["server", "sent CA", "CA of cacerts"])
def test_the_fingerprint_is_of_the_server_or_its_ca(
    est: EstServer, tmp_path: Path, pinned: str
) -> None:
    fingerprint = est.fingerprint
    if pinned == "server":
        fingerprint = openssl(
            "x509", "-in", est.directory / "tls.crt", "-noout", "-fingerprint", "-sha256"
        ).strip()
    if pinned == "CA of cacerts":
        # Most servers do not send their root.
        est.stop()
        leaf = openssl("x509", "-in", est.directory / "tls.crt")
        (est.directory / "tls.crt").write_text(leaf)
        est.start()
    enrolled = certgate(
        *("enrol", "--est", est.url, "--fingerprint", fingerprint),
        cwd=tmp_path,
        CERTGATE_INVITE=INVITE,
    )
    assert enrolled.returncode == 0, enrolled.stderr
    Files(est, tmp_path / "client.crt", tmp_path / "client.key").works()


@pytest.mark.parametrize("trusts", ["another CA", "a CA that did not sign the server", "system"])
def test_a_server_that_is_not_the_pinned_one_gets_nothing(
    est: EstServer, tmp_path: Path, trusts: str
) -> None:
    fingerprint = {
        "another CA": ["--fingerprint", Authority("other").fingerprint],
        # It is in cacerts, which anyone can copy.
        "a CA that did not sign the server": ["--fingerprint", est.root.fingerprint],
        "system": [],
    }
    refused = certgate(
        *("enrol", "--est", est.url, *fingerprint[trusts]), cwd=tmp_path, CERTGATE_INVITE=INVITE
    )
    assert refused.returncode == 3, refused.stderr
    actual = openssl("x509", "-in", est.directory / "tls.crt", "-noout", "-fingerprint", "-sha256")
    digits = actual.strip().rpartition("=")[2].replace(":", "").lower()
    assert digits in refused.stderr, "the user can compare it"
    assert est.posts() == 0 and list(tmp_path.glob("client*")) == []


def test_an_invite_is_used_once_also_if_the_answer_is_lost(est: EstServer, tmp_path: Path) -> None:
    command = ["enrol", "--est", est.url, "--fingerprint", est.fingerprint]
    est.spoil = lambda operation: Reply(0) if operation == "simpleenroll" else None
    lost = certgate(*command, cwd=tmp_path, CERTGATE_INVITE=INVITE)
    assert lost.returncode == 3 and "run the same command again" in lost.stderr, lost.stderr
    key = (tmp_path / "client.key").read_bytes()
    est.spoil = lambda operation: None
    again = certgate(*command, cwd=tmp_path, CERTGATE_INVITE=INVITE)
    assert again.returncode == 0, again.stderr
    assert (tmp_path / "client.key").read_bytes() == key, "the server can recognise the request"
    third = certgate(*command, cwd=tmp_path, CERTGATE_INVITE=INVITE)
    assert third.returncode == 1 and "exists already" in third.stderr


def test_enrolment_names_what_is_wrong(est: EstServer, tmp_path: Path) -> None:
    command = ["enrol", "--est", est.url, "--fingerprint", est.fingerprint]
    none = certgate(*command, cwd=tmp_path)
    assert none.returncode == 2 and "--invite-file" in none.stderr
    wrong = certgate(*command, cwd=tmp_path, CERTGATE_INVITE="abc#wrong")
    assert wrong.returncode == 1 and "its secret is wrong" in wrong.stderr, wrong.stderr
    assert "abc#" not in wrong.stderr
    plain = certgate("enrol", "--est", "http://a.example", cwd=tmp_path, CERTGATE_INVITE=INVITE)
    assert plain.returncode == 2 and "http is not possible" in plain.stderr


# Renewal


def test_two_plain_files_become_links_and_are_swapped_together(pair: Files) -> None:
    first = pair.works()
    before = {path: path.stat() for path in (pair.key, pair.certificate)}
    assert "renewed" in renew(pair)
    second = pair.works()
    assert second != first
    assert os.readlink(pair.certificate) == "device.crt.d/current/device.crt"
    assert os.readlink(pair.key) == "device.crt.d/current/device.key"
    assert os.readlink(pair.folder / "current") == "2"
    old = Files(pair.est, pair.folder / "1/device.crt", pair.folder / "1/device.key")
    assert old.works() == first, "the first files were moved"
    for path, found in before.items():
        now = path.stat()
        assert (now.st_mode, now.st_uid, now.st_gid) == (
            found.st_mode,
            found.st_uid,
            found.st_gid,
        ), path
    # It keeps the name, the other names, and the kind of the key.
    shown = ("-noout", "-subject", "-ext", "subjectAltName")
    subject = openssl("x509", "-in", pair.certificate, *shown)
    assert "CN = device-7" in subject and "DNS:device-7.example.com" in subject
    assert "not due" in renew(pair)
    pair.forget_attempts()
    assert "renewed" in renew(pair, "--within", "1/1")
    assert pair.works() not in (first, second)
    assert os.readlink(pair.folder / "current") == "3"
    assert sorted(path.name for path in pair.folder.iterdir()) == [
        "2",
        "3",
        "attempts.json",
        "current",
        "lock",
    ]


def test_owners_and_modes_stay(pair: Files) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can make files of another user: NOT TESTED")
    for path in (pair.key, pair.certificate, pair.key.parent):
        os.chown(path, 65532, 65533)
    pair.key.chmod(0o440)
    renew(pair)
    for path in (pair.key, pair.certificate, pair.folder, pair.folder / "2"):
        assert (path.stat().st_uid, path.stat().st_gid) == (65532, 65533), path
    assert stat.S_IMODE(pair.key.stat().st_mode) == 0o440
    assert stat.S_IMODE(pair.folder.stat().st_mode) == stat.S_IMODE(pair.key.parent.stat().st_mode)


def test_a_combined_file_is_replaced_in_one_step(est: EstServer, tmp_path: Path) -> None:
    files = Files(est, tmp_path / "both.pem", tmp_path / "both.pem")
    files.due()
    first = files.works()
    for expected in ("2", "4"):
        assert "renewed" in renew(files, "--within", "1/1")
        assert files.works() != first and not files.certificate.is_symlink()
        first = files.works()
        assert (files.folder / expected).is_dir()
        files.forget_attempts()
    assert leftovers(tmp_path) == []


def test_key_and_certificate_of_one_name_in_two_directories(est: EstServer, tmp_path: Path) -> None:
    for name in ("certs", "private"):
        (tmp_path / name).mkdir()
    files = Files(est, tmp_path / "certs/web.pem", tmp_path / "private/web.pem")
    files.due()
    first = files.works()
    renew(files, "--key", str(files.key))
    assert files.works() != first
    assert os.readlink(files.key) == str(files.folder / "current/web.pem.key")


def test_the_key_can_stay_and_has_its_kind(pair: Files) -> None:
    pair.write(timedelta(days=30), timedelta(days=29), "P-384")
    key = pair.key.read_text()
    renew(pair, "--same-key")
    pair.works()
    assert openssl("pkey", "-in", pair.key, "-pubout") == openssl(
        "pkey", "-pubout", stdin=key.encode()
    )
    pair.forget_attempts()
    renew(pair, "--within", "1/1")
    pair.works()
    assert pair.key.read_text() != key
    assert "secp384r1" in openssl("pkey", "-in", pair.key, "-noout", "-text")


def test_a_chain_stays_a_chain(est: EstServer, pair: Files) -> None:
    est.authority = Authority("EST issuing", est.root)
    est.issuing = [est.authority]
    pair.due()
    with pair.certificate.open("a") as file:
        file.write(est.authority.pem())
    # The server sends the leaf only: the CA is in cacerts.
    renew(pair)
    assert pair.certificate.read_text().count("BEGIN CERTIFICATE") == 2
    pair.works()


# Nothing changes before the new certificate is verified


@pytest.mark.parametrize(
    "spoiled", ["another key", "another CA", "another subject", "expired", "html", "nothing"]
)
def test_an_unusable_certificate_changes_nothing(
    est: EstServer, pair: Files, tmp_path: Path, spoiled: str
) -> None:
    first, content = pair.works(), pair.key.read_bytes()
    other = at(est, tmp_path / "other")
    other.due()
    if spoiled == "another key":
        foreign = x509.load_pem_x509_certificate(other.certificate.read_bytes())
        est.send = lambda one: [foreign]
        expected = "none has the key"
    elif spoiled == "another CA":
        est.authority = Authority("unknown")
        expected = "UnknownIssuer"
    elif spoiled == "another subject":
        est.subject = est.tls.name
        expected = "its subject is"
    elif spoiled == "expired":
        est.age, est.lifetime = timedelta(days=9), timedelta(days=8)
        expected = "Expired"
    elif spoiled == "html":
        est.spoil = lambda operation: Reply(200, "<html>") if operation != "cacerts" else None
        expected = "cannot understand the answer"
    else:
        est.spoil = lambda operation: Reply(200, "") if operation != "cacerts" else None
        expected = "cannot understand the answer"
    said = renew(pair, status=1)
    assert expected in said, said
    assert pair.works() == first and pair.key.read_bytes() == content
    assert not pair.key.is_symlink() and not (pair.folder / "current").exists()


def test_a_mismatched_pair_is_not_renewed(est: EstServer, pair: Files, tmp_path: Path) -> None:
    other = at(est, tmp_path / "other")
    other.due()
    shutil.copy(other.key, pair.key)
    content = pair.certificate.read_bytes()
    said = renew(pair, status=1)
    assert "does not belong to the key" in said and str(pair.key) in said
    assert est.requests == [] and pair.certificate.read_bytes() == content


def test_files_that_were_replaced_are_read_again(est: EstServer, pair: Files) -> None:
    """A daemon does not write a pair that it read at its start."""
    pair.write(timedelta(days=30), timedelta(days=1))
    with Daemon(pair) as daemon:
        daemon.says("renews at")
        # The operator replaces both files with a pair that is due.
        pair.due()
        replaced = pair.works()
        daemon.stop()
    with Daemon(pair) as daemon:
        daemon.says("renewed")
        daemon.stop()
    assert pair.works() != replaced
    # The operator replaces the links too.
    pair.forget_attempts()
    pair.due()
    assert not pair.key.is_symlink()
    third = pair.works()
    renew(pair)
    assert pair.works() != third and pair.key.is_symlink()


def test_a_link_of_the_user_is_refused(pair: Files, tmp_path: Path) -> None:
    real = tmp_path / "real.key"
    os.rename(pair.key, real)
    pair.key.symlink_to(real)
    assert "symbolic link that certgate did not make" in renew(pair, status=1)


# The command


def test_the_command_runs_after_the_swap_and_without_secrets(pair: Files, tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    script = f"openssl x509 -in {pair.certificate} -noout -serial > {seen}; env >> {seen}"
    renew(pair, "--exec", script, CERTGATE_TOKEN="secret-token")
    text = seen.read_text()
    assert text.startswith(pair.works()) and "secret-token" not in text
    seen.unlink()
    renew(pair, "--exec", script)
    assert not seen.exists(), "nothing was renewed"


@pytest.mark.parametrize("combined", [False, True])
def test_a_failing_command_brings_the_old_pair_back(
    est: EstServer, tmp_path: Path, combined: bool
) -> None:
    files = at(est, tmp_path / "pki")
    if combined:
        files.key = files.certificate
    files.due()
    first = files.works()
    # The command fails with the new certificate only.
    serial = f"openssl x509 -in {files.certificate} -noout -serial"
    check = f"echo ran >> {tmp_path}/runs; {serial} | grep {first}"
    said = renew(files, "--exec", f"{check} || {{ echo no reload; exit 7; }}", status=1)
    assert "no reload" in said and "the previous certificate and key are back" in said
    assert "the command succeeded with them" in said
    assert files.works() == first
    assert (tmp_path / "runs").read_text() == "ran\nran\n"
    # The next attempt uses the new certificate, whose old one the server has replaced.
    posts = est.posts()
    assert "renewed" in renew(files, "--exec", "true")
    assert files.works() != first and est.posts() == posts


# Servers


def test_a_server_asks_for_a_retry(est: EstServer, pair: Files) -> None:
    answers = iter([Reply(202, "", {"Retry-After": "1"}), Reply(503, "", {"Retry-After": "1"})])
    est.spoil = lambda operation: None if operation == "cacerts" else next(answers, None)
    assert "renewed" in renew(pair)
    assert est.posts() == 3
    first = pair.works()
    pair.forget_attempts()
    est.spoil = lambda operation: (
        Reply(503, "", {"Retry-After": "600"}) if operation != "cacerts" else None
    )
    said = renew(pair, "--within", "1/1", status=3)
    assert "after 600 s" in said and pair.works() == first


def test_a_refusal_has_the_reason_of_the_server(est: EstServer, pair: Files) -> None:
    first = pair.works()
    est.spoil = lambda operation: (
        Reply(403, "this certificate is revoked: keyCompromise\nsecond line")
        if operation != "cacerts"
        else None
    )
    said = renew(pair, status=1)
    assert "403" in said and "revoked: keyCompromise" in said and "second line" not in said
    assert pair.works() == first


def test_a_lost_answer_does_not_lock_the_device_out(est: EstServer, pair: Files) -> None:
    """The server has replaced the old certificate, which cannot renew again with another key."""
    own, lost = est.own, []

    def lose(operation: str, handler: object, body: bytes) -> Reply:
        reply = own(operation, handler, body)  # type: ignore[arg-type]
        if operation == "simplereenroll" and not lost:
            lost.append(reply)
            return Reply(0)
        return reply

    est.own = lose  # type: ignore[method-assign]
    first = pair.works()
    renew(pair, status=3)
    assert lost and pair.works() == first
    assert "renewed" in renew(pair)
    assert len(est.issued) == 1 and pair.works() != first


def test_a_daemon_survives_a_server_that_is_away(est: EstServer, pair: Files) -> None:
    """The server is away for a third of the lifetime."""
    est.stop()
    est.lifetime, est.age = timedelta(seconds=9), timedelta()
    pair.write(timedelta(seconds=30), timedelta(seconds=16))
    first = pair.works()
    with Daemon(pair) as daemon:
        daemon.says("cannot reach")
        gone = threading.Event()
        gone.wait(8)
        assert pair.works() == first
        est.start()
        eventually("the pair is renewed", lambda: pair.serial() != first)
        # It goes on: the next certificates are renewed too.
        eventually("two more", lambda: len(est.issued) >= 3)
        daemon.stop()
    pair.works()
    assert est.posts() <= 8, "this is a loop"


def test_requests_are_limited(est: EstServer, pair: Files) -> None:
    """A certificate that is always due is not renewed again and again."""
    est.lifetime, est.age = timedelta(days=300), timedelta(days=299)
    assert "renewed" in renew(pair)
    said = renew(pair, status=1)
    assert "too early to renew" in said and est.posts() == 1
    pair.forget_attempts()
    est.spoil = lambda operation: Reply(500, "no") if operation != "cacerts" else None
    for _ in range(24):
        renew(pair, status=3)
    said = renew(pair, status=1)
    assert "limit of 24 requests in a day" in said and est.posts() == 25


@pytest.mark.parametrize("offset", ["-30y", "-2d", "+20h", "+8y"])
def test_a_wrong_clock_breaks_nothing(est: EstServer, pair: Files, offset: str) -> None:
    pair.write(timedelta(days=1), timedelta(hours=20))
    est.lifetime, est.age = timedelta(days=1), timedelta()
    wrong = {"LD_PRELOAD": str(library()), "FAKETIME": offset}
    for _ in range(4):
        done = certgate(*arguments(pair), **wrong)
        assert done.returncode in (0, 1, 3), done.stderr
        assert "panicked" not in done.stderr
        pair.works()
    assert est.posts() <= 1, "no loop"
    done = certgate(*arguments(pair))
    assert done.returncode in (0, 1), done.stderr
    pair.works()
    if offset in ("-30y", "-2d"):
        assert est.posts() == 1, "it renews as soon as the clock is right"


# Two processes


def test_two_daemons_never_work_on_the_same_files(pair: Files) -> None:
    pair.write(timedelta(days=30), timedelta(days=1))
    with Daemon(pair) as first:
        first.says("renews at")
        second = certgate(*arguments(pair, "--daemon"))
        assert second.returncode == 1 and "another certgate works with" in second.stderr
        # Another name for the same files.
        link = pair.certificate.parent.with_name("alias")
        link.symlink_to(pair.certificate.parent)
        alias = Files(pair.est, link / "device.crt", link / "device.key")
        assert "another certgate" in renew(alias, "--within", "1/1", status=1)
        first.process.kill()
        first.process.wait()
    with Daemon(pair) as third:
        third.says("renews at")
        third.stop()


def test_many_processes_make_one_renewal(est: EstServer, pair: Files) -> None:
    running = [
        subprocess.Popen(
            [str(CERTGATE), *arguments(pair)],
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        for _ in range(8)
    ]
    said = [process.communicate(timeout=PATIENCE_SECONDS)[0].decode() for process in running]
    assert all(process.returncode in (0, 1) for process in running), said
    assert len(est.issued) == 1, said
    pair.works()


def test_a_daemon_watches_a_directory(est: EstServer, tmp_path: Path) -> None:
    """Each certificate has its own lock and time: a slow command of one does not stop the other."""
    directory = tmp_path / "all"
    directory.mkdir()
    both = [
        Files(est, directory / f"{name}.crt", directory / f"{name}.key") for name in ("a", "b")
    ]
    for files in both:
        files.due()
    (directory / "ca.crt").write_text(est.root.pem())
    command = [str(CERTGATE), "renew", "--all", str(directory), "--daemon", "--est", est.url]
    command += ["--fingerprint", est.fingerprint]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(command, env=environment(), stdout=log, stderr=log)
    try:
        eventually("both are renewed", lambda: len(est.replaced) == 2)
        eventually("both are links", lambda: all(one.certificate.is_symlink() for one in both))
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_SECONDS) == 0
    finally:
        process.kill()
        process.wait()
    for files in both:
        files.works()
    assert "ca.crt" not in (tmp_path / "log").read_text()


# Kills and full disks


@pytest.mark.parametrize("form", ["pair", "combined"])
def test_a_kill_at_any_instant_leaves_a_working_pair(
    est: EstServer, tmp_path: Path, form: str
) -> None:
    drawn = random.Random(SEED)
    files = at(est, tmp_path / "pki")
    if form == "combined":
        files.key = files.certificate
    files.due()
    ran = tmp_path / "ran"
    more = ("--within", "1/1", "--exec", f"test -e {files.key} && echo >> {ran}")
    longest = duration(lambda: renew(files, *more))
    last, renewed, cut = files.works(), 0, 0
    for _ in range(KILLS):
        files.forget_attempts()
        if drawn.random() < 0.3:
            # The first move, again.
            files.due()
            shutil.rmtree(files.folder)
            last = files.works()
        process = subprocess.Popen(
            [str(CERTGATE), *arguments(files, *more)],
            env=environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            process.wait(drawn.random() * longest * 1.2)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            cut += 1
        now = files.works()
        renewed += now != last
        last = now
    # The next start completes everything, and the server still knows the device.
    files.forget_attempts()
    assert "renewed" in renew(files, *more)
    assert files.works() != last
    assert leftovers(files.certificate.parent) == []
    assert cut > KILLS / 4, "the kills came too late"
    print(f"{KILLS} times, {cut} kills before the end, {renewed} new pairs")


def duration(run: Callable[[], object]) -> float:
    begin = time.monotonic()
    run()
    return time.monotonic() - begin


def test_readers_always_find_a_pair(est: EstServer, pair: Files) -> None:
    """Reads both files all the time while they are moved and swapped."""
    stop, seen, problems = threading.Event(), set(), []

    def read() -> None:
        while not stop.is_set():
            version = os.path.realpath(pair.certificate)
            try:
                certificate, key = pair.certificate.read_text(), pair.key.read_text()
            except OSError as error:
                problems.append(error)
                continue
            # Between the two, the swap may have come.
            if os.path.realpath(pair.certificate) == version:
                seen.add((certificate, key))

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for _ in range(5):
            renew(pair, "--within", "1/1")
            pair.forget_attempts()
    finally:
        stop.set()
        reader.join()
    assert not problems
    assert len({certificate for certificate, _ in seen}) == len(seen) >= 5, "mixed pairs"
    for certificate, key in seen:
        of_key = openssl("pkey", "-pubout", stdin=key.encode())
        assert openssl("x509", "-noout", "-pubkey", stdin=certificate.encode()) == of_key


def test_a_full_disk_leaves_a_working_pair(est: EstServer, disk: Disk) -> None:
    files = Files(est, disk.path / "device.crt", disk.path / "device.key")
    files.due()
    first = files.works()
    disk.fill()
    assert "cannot" in renew(files, "--within", "1/1", status=1)
    assert files.works() == first
    disk.free()
    # More and more pages are free: each step of a renewal is the one that fails.
    failures = 0
    for room in [*range(10), *range(10)]:
        files.forget_attempts()
        disk.fill()
        with disk.filler.open("r+b") as filler:
            filler.truncate(disk.filler.stat().st_size - room * 4096)
        done = certgate(*arguments(files, "--within", "1/1"))
        assert done.returncode in (0, 1), done.stderr
        failures += done.returncode
        files.works()
        disk.free()
    assert failures > 2, "the disk was never too small"
    files.forget_attempts()
    assert "renewed" in renew(files, "--within", "1/1")
    files.works()
    assert leftovers(disk.path) == []


def test_a_read_only_directory_is_an_error(pair: Files) -> None:
    if os.geteuid() == 0:
        command = ["setpriv", "--reuid", "65532", "--clear-groups"]
        pair.key.chmod(0o644)
        pair.key.parent.chmod(0o755)
        parent = pair.key.parent
        while parent != Path("/"):
            parent.chmod(parent.stat().st_mode | 0o011)
            parent = parent.parent
    else:
        command = []
        pair.key.parent.chmod(0o555)
    first = pair.works()
    done = subprocess.run(
        [*command, str(CERTGATE), *arguments(pair)],
        env=environment(),
        capture_output=True,
        text=True,
    )
    pair.key.parent.chmod(0o755)
    assert done.returncode == 1 and "as the owner of the files" in done.stderr, done.stderr
    assert pair.works() == first and pair.est.posts() == 0


# docs/ci.md


def test_the_pipeline_of_the_page_gets_a_certificate(server: Server, tmp_path: Path) -> None:
    page = (REPOSITORY / "docs/ci.md").read_text()
    create, job, *_ = re.findall(r"```sh\n(.*?)```", page, re.DOTALL)
    admin = {"CERTGATE_API": server.url, "CERTGATE_TOKEN": server.token}
    made = certgate(*shlex.split(create)[1:], "-o", "json", **admin)
    assert made.returncode == 0, made.stderr
    token = json.loads(made.stdout)["value"]
    issue = [line for line in job.splitlines() if line.startswith("certgate ")]
    assert issue, job
    variables = {
        "CERTGATE_API": server.url,
        "CERTGATE_TOKEN": token,
        "JOB_ID": "7",
        "ZONE_ID": server.zone_id,
        "PATH": f"{CERTGATE.parent}:{os.environ['PATH']}",
    }

    def run(script: str) -> subprocess.CompletedProcess[str]:
        shell = ["sh", "-ec", script]
        more = environment(**variables)
        return subprocess.run(shell, cwd=tmp_path, env=more, capture_output=True, text=True)

    done = run("\n".join(issue))
    assert done.returncode == 0, done.stderr
    authority = tmp_path / "ca.pem"
    authority.write_text(certgate("ca", "export", **admin).stdout)
    openssl("verify", "-CAfile", authority, "-purpose", "sslclient", tmp_path / "client.crt")
    assert "CN = build-7" in openssl("x509", "-in", tmp_path / "client.crt", "-noout", "-subject")
    # The token is for nothing else.
    other = run(issue[0].replace("build-", "admin-").replace("--out client", "--out other"))
    assert other.returncode == 1 and not (tmp_path / "other.crt").exists(), other.stderr
    assert run(f'certgate cert list --zone "{server.zone_id}"').returncode == 1
