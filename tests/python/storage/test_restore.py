"""A restore keeps later revocations."""

from __future__ import annotations

import random
import re
import shutil
import stat
import subprocess
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

from kit.backups import (
    AGAIN,
    SEED,
    UNKNOWN,
    Story,
    Verifier,
    back_up,
    changes_now,
    field,
    journal,
    names,
    restore,
    revocations,
    settled,
    talking,
    told_since,
)
from kit.enforcement_points import Points, of_certificates
from kit.harness import Api, Server, certgate, eventually


def test_a_restore_undoes_no_revocation(story: Story) -> None:
    server = story.server
    lines = journal(revocations(server))
    told = restore(server, story.backup, "--replace")
    later = len({line.certificate for line in lines if line.epoch > story.known})
    assert (
        f"up to epoch {story.known}" in told
        and f"{later} revocations or restorations" in told
    ), told
    logged = len(server.log)
    server.start()
    warnings = told_since(server, logged)
    assert len(warnings) == 1 and AGAIN in warnings[0], warnings
    values = {
        name: field(warnings[0], name)
        for name in ("from_epoch", "to_epoch", "revoked", "restored", "lost")
    }
    # Two of the three certificates after the backup end up revoked.
    assert values == {
        "from_epoch": story.known,
        "to_epoch": story.last,
        "revoked": 3,
        "restored": 1,
        "lost": 2,
    }
    assert field(warnings[0], "without_authority") == 0

    # Checked before any change settles.
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

        # The enforcement point continues at its epoch, and changes wait for it.
        points = Points(server, api)
        for after in (story.known, story.between, story.last - 1, story.last):
            told_changes = changes_now(points, after).result
            # A point that knows more than the journal is refused. New epochs begin above that.
            assert told_changes["epoch"] == story.last + 2**32
            expected = {
                line.certificate: (line.epoch, line.is_revoked)
                for line in lines
                if line.epoch > after
            }
            serials = {made["serial_number"]: made["id"] for made in story.certificates.values()}
            got = {
                serials[c["serial_number"]]: (c["epoch"], c["revoked"])
                for c in of_certificates(told_changes)
            }
            # A certificate issued and restored after the backup leaves no trace.
            for one in (expected, got):
                one.pop(story.id("lost and free"), None)
            assert got == expected, after
        snapshot = api.call("GET", f"{points.base}/revocations").text.splitlines()
        revoked = [name for name, status in Story.EXPECTED.items() if status != "good"]
        assert len(snapshot) == len(revoked) + 2
        assert all(
            any(story.certificates[name]["serial_number"] in line for line in snapshot)
            for name in revoked
        )
        assert changes_now(points, story.last + 1).error["code"] == 1521
        story.assert_kept()
        assert api.get(story.id("held")).result["status"] == "pending_revocation", (
            "it waits for the enforcement point"
        )
        points.acknowledge(story.edge, story.last)
        settled(api)
        statuses = {
            name: api.get(story.id(name)).result["status"]
            for name in ("held", "dead", "freed", "reheld")
        }
        assert statuses == {
            "held": "revoked",
            "dead": "revoked",
            "freed": "active",
            "reheld": "revoked",
        }
        assert (
            api.restore(story.id("dead")).error["code"]
            == 1408
            == api.restore(story.id("reheld")).error["code"]
        )
        assert (api.total(), api.total("revoked"), api.total("active")) == (6, 4, 2)
    assert journal(revocations(server)) == lines, "the journal has what it had"

    # A second start logs and changes nothing.
    with talking(server) as api:
        path = f"/client/v4/accounts/{server.made['account_id']}/logs/audit?limit=1000"
        entries = api.call("GET", path).result
        again = [
            entry
            for entry in entries
            if entry["certgate"]["detail"].endswith("again after a restore")
        ]
        assert len(again) >= 6 and all(entry["actor"]["type"] == "system" for entry in again)
    server.stop()
    server.is_intact()
    logged = len(server.log)
    server.start()
    assert told_since(server, logged) == []
    with talking(server) as api:
        assert api.call("GET", path).result == entries
        story.assert_kept()
        # Its epochs continue.
        assert api.revoke(story.id("untouched")).status == 200
        assert Points(server, api).changes(story.last)["epoch"] == story.last + 2**32 + 1
    assert journal(revocations(server))[:-1] == lines
    assert certgate("audit", "verify", "--data-dir", server.directory).returncode == 0


def test_the_same_backup_can_be_restored_again_and_again(story: Story) -> None:
    server = story.server
    aside: set[str] = set()
    for _ in range(2):
        # The name of a database moved aside contains the second.
        eventually("another second begins", lambda: f"certgate.db.replaced-{now()}" not in aside)
        restore(server, story.backup, "--replace")
        aside = {name for name in names(server.directory) if ".replaced-" in name}
        server.start()
        story.assert_kept()
        server.stop()
        server.is_intact()
    # A backup of the restored database contains the lost certificates.
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


def test_a_kill_during_the_first_start_after_a_restore_is_harmless(story: Story) -> None:
    server = story.server
    restore(server, story.backup, "--replace")
    chance = random.Random(SEED)
    for _ in range(5):
        process = subprocess.Popen(
            server.command(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        threading.Event().wait(chance.uniform(0, 0.1))
        process.kill()
        process.wait()
    server.start()
    story.assert_kept()
    with talking(server) as api:
        points = Points(server, api)
        assert points.changes(story.known)["epoch"] % 2**32 == story.last
        points.acknowledge(story.edge, story.last)
        settled(api)
    server.stop()
    server.is_intact()


def test_a_copied_old_database_is_replayed_too(story: Story) -> None:
    """Restores by copying the file, without `certgate restore`."""
    server = story.server
    shutil.copy(story.backup, server.database)
    logged = len(server.log)
    server.start()
    assert [AGAIN in line for line in told_since(server, logged)] == [True]
    story.assert_kept()


def test_changes_of_an_authority_that_the_backup_does_not_have_are_counted(
    server: Server, api: Api, csr: str
) -> None:
    backup = back_up(server)
    account = api.call("POST", "/client/v4/accounts", {"name": "later"}).result["id"]
    zone = api.call(
        "POST", "/client/v4/zones", {"name": "later.example", "account": {"id": account}}
    ).result["id"]
    own, api.zone_id = api.zone_id, zone
    api.revoke(api.issue(csr).result["id"])
    api.zone_id = own
    server.stop()
    assert "1 revocation or restoration after the backup" in restore(server, backup, "--replace")
    logged = len(server.log)
    server.start()
    (line,) = told_since(server, logged)
    assert AGAIN in line and (
        field(line, "without_authority"),
        field(line, "revoked"),
        field(line, "lost"),
    ) == (
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


def shared_among_clients(
    server: Server, work: Callable[[Api, Any], Any], items: Iterable[Any]
) -> list[Any]:
    """Lets eight clients work on the items. Returns the results."""
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


def test_more_changes_than_the_end_of_the_journal_that_a_start_reads(
    server: Server, csr: str
) -> None:
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
    assert "revocations or restorations" in restore(server, backup, "--replace")
    server.start()
    expected = {made["serial_number"]: True for made in kept + lost} | {
        m["serial_number"]: False for m in kept[:50]
    }
    with talking(server) as api:
        settled(api)
        assert (api.total(), api.total("revoked"), api.total("active")) == (800, 750, 50)
        points, epoch, told = Points(server, api), 0, {}
        while (answer := changes_now(points, epoch).result)["changes"]:
            changes = of_certificates(answer)
            told |= {change["serial_number"]: change["revoked"] for change in changes}
            epoch = answer["changes"][-1]["epoch"]
        # The last change is that of the restore, the first one was that of the CA.
        assert (epoch, told) == (2**32 + 1151, expected)
        listed = {
            f"{revoked.serial_number:040x}" for revoked in Verifier(server, api).list("full.crl")
        }
        assert listed == {serial for serial, revoked in expected.items() if revoked}
    server.stop()
    server.is_intact()


# Without the journal.


def test_the_numbers_of_every_list_grow(story: Story) -> None:
    """Covers lists without changes, and a restore without the journal."""
    for has_journal in (True, False):
        if not has_journal:
            revocations(story.server).unlink()
        restore(story.server, story.backup, "--replace")
        story.server.start()
        with talking(story.server) as api:
            Points(story.server, api).acknowledge(story.edge, story.known)
            after = story.verifier.numbers(list(story.certificates.values()))
        assert not {file for file, number in after.items() if number <= story.numbers[file]}
        story.numbers = after
        story.server.stop()


def test_a_journal_that_begins_after_the_backup_is_incomplete(
    server: Server, api: Api, csr: str
) -> None:
    ids = [api.issue(csr).result["id"] for _ in range(3)]
    backup = back_up(server)
    api.revoke(ids[0])
    server.stop()
    revocations(server).unlink()  # The same as an installation without a journal.
    server.start()
    with talking(server) as api:
        api.revoke(ids[1])
    server.stop()
    for _ in range(2):
        assert "Other revocations and restorations" in restore(server, backup, "--replace")
        logged = len(server.log)
        server.start()
        again, unknown = told_since(server, logged)
        assert AGAIN in again and field(again, "revoked") == 1 and UNKNOWN in unknown
        with talking(server) as api:
            points = Points(server, api)
            assert [changes_now(points, epoch).error["code"] for epoch in (2, 3)] == [1521, 1521]
            assert "revoke" in api.get(ids[1]).result["status"]
        server.stop()


def test_a_repaired_journal_has_the_lost_changes(story: Story) -> None:
    server = story.server
    restore(server, story.backup, "--replace")
    server.start()
    server.stop()
    path = revocations(server)
    lines = path.read_bytes().splitlines(keepends=True)
    place = next(n for n, line in enumerate(lines) if story.id("lost").encode() in line)
    path.write_bytes(b"".join(lines[:place]) + lines[place][:-1])
    server.start()
    server.stop()
    restore(server, story.backup, "--replace")
    server.start()
    said = story.said()
    assert (said["lost"], said["lost for good"]) == ("certificateHold", "keyCompromise")


def test_without_the_journal_newer_epochs_are_refused_permanently(story: Story, csr: str) -> None:
    server = story.server
    revocations(server).unlink()
    told = restore(server, story.backup, "--replace")
    assert "are unknown" in told and str(revocations(server)) in told
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
        # A follower that has only the epochs of the backup continues.
        later = changes_now(points, story.known).result
        assert len(of_certificates(later)) == len(more)
        first, *_, count = api.call("GET", f"{points.base}/revocations").text.splitlines()
        assert count == f'{{"count":{len(more) + 3}}}'
        epoch = int(re.findall(r"\d+", first)[0])
        points.acknowledge(story.edge, epoch)
        settled(api)
        assert api.restore(more[0]).status == 200
        later = points.changes(epoch)
        assert [change["revoked"] for change in later["changes"]] == [False] and later[
            "epoch"
        ] == epoch + 1
        points.acknowledge(story.edge, later["epoch"])
        settled(api)
    server.stop()
    server.is_intact()
    logged = len(server.log)
    server.start()
    assert told_since(server, logged) == []
    with talking(server) as api:
        assert changes_now(Points(server, api), story.last).error["code"] == 1521


def test_a_journal_older_than_the_backup_counts_as_missing(
    server: Server, api: Api, csr: str
) -> None:
    ids = [api.issue(csr).result["id"] for _ in range(4)]
    api.revoke(ids[0])
    old = revocations(server).read_bytes()
    api.revoke(ids[1])
    backup = back_up(server)
    api.revoke(ids[2])
    server.stop()
    revocations(server).write_bytes(old)
    assert "are unknown" in restore(server, backup, "--replace")
    logged = len(server.log)
    server.start()
    (line,) = told_since(server, logged)
    assert UNKNOWN in line and field(line, "after_epoch") == 3
    with talking(server) as api:
        points = Points(server, api)
        refused = api.call(
            "PUT",
            f"{points.base}/enforcement_points/{points.register('edge', 60)['id']}/acknowledgement",
            {"epoch": 4},
        )
        assert refused.error["code"] == 1521
        assert api.revoke(ids[3]).status == 200 and changes_now(points, 4).error["code"] == 1521
        known = [changes_now(points, epoch).result for epoch in (1, 2, 3)]
        assert [len(of_certificates(told)) for told in known] == [3, 2, 1]
    assert {line.certificate for line in journal(revocations(server))} == {ids[3]}, (
        "a new one, after the gap"
    )
    [aside] = [
        path
        for path in server.directory.iterdir()
        if path.name.startswith("certgate.revocations.replaced-")
    ]
    assert aside.read_bytes() == old
