"""The audit log: the SDK reads it, the tests recompute its chain, and tampering is found."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import cloudflare
import pytest
from cloudflare import Cloudflare

from kit.audit import USER_LOG, Entry, account_log, assert_chained, log, number
from kit.harness import KEYS, Api, Server, certgate, openssl

# Certificates that are issued, some of them revoked: several pages of PAGE.
CERTIFICATES = 25
PAGE = 7


# Clients that issue at the same time.
CLIENTS = 8
ISSUES_EACH = 25


def verify(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return certgate("audit", "verify", "--output", "json", *arguments)


def whole(*arguments: str | Path) -> dict[str, str]:
    """Verifies intact logs. Returns the head of each."""
    done = verify(*arguments)
    assert done.returncode == 0 and "every log is intact" in done.stderr, done.stdout + done.stderr
    logs = json.loads(done.stdout)
    assert all(
        log["faults"] == [] and log["head"].split(":")[1] == str(log["entries"]) for log in logs
    )
    return {log["log"]: log["head"] for log in logs}


@dataclass
class Worked:
    """A server with changes by a token and by the API key, on two accounts."""

    server: Server
    owner: str
    issued: list[Entry]


@pytest.fixture(scope="module")
def worked(shared: Server, csr: str) -> Iterator[Worked]:
    api = shared.api()
    issued = [api.issue(csr).result for _ in range(CERTIFICATES)]
    for certificate in issued[::5]:
        api.revoke(certificate["id"])
    key = api.call("PUT", "/certgate/v1/user/api_key").result
    api.credentials = {"X-Auth-Email": key["email"], "X-Auth-Key": key["api_key"]}
    api.restore(issued[0]["id"])
    other = api.call("POST", "/client/v4/accounts", {"name": "other"}).result["id"]
    api.call("POST", "/client/v4/zones", {"name": "other.example", "account": {"id": other}})
    api.close()
    yield Worked(shared, f"account:{shared.made['account_id']}", issued)


def sdk(server: Server) -> Cloudflare:
    """Connects with strict validation: an answer of another type raises."""
    base = f"{server.url}/client/v4"
    return Cloudflare(
        api_token=server.token, base_url=base, max_retries=0, _strict_response_validation=True
    )


def test_the_sdk_iterates_over_everything_with_typed_members(worked: Worked) -> None:
    api = worked.server.api()
    expected = [entry["id"] for entry in log(api, account_log(worked.server))]
    token = api.call("GET", "/client/v4/user/tokens/verify").result["id"]
    user = api.call("GET", "/client/v4/user").result["id"]
    api.close()
    assert len(expected) > 4 * PAGE
    account_id = worked.server.made["account_id"]
    since, before = date.today() - timedelta(days=2), date.today() + timedelta(days=2)
    with sdk(worked.server) as client:
        audit = client.accounts.logs.audit
        for direction, wanted in (("desc", expected[::-1]), ("asc", expected)):
            pages = audit.list(
                account_id=account_id, since=since, before=before, limit=PAGE, direction=direction
            )
            assert len(pages.result) == PAGE and pages.has_next_page()
            assert [entry.id for entry in islice(pages, 3 * len(wanted))] == wanted
        wide = {"since": str(since), "before": f"{before}T00:00:00Z"}
        every = list(audit.list(account_id=account_id, limit=1000, **wide))
        by_resource = {(entry.resource.id, entry.action.type): entry for entry in every}
        for certificate in worked.issued:
            entry = by_resource[certificate["id"], "issue"]
            assert entry.account.id == account_id and entry.account.name == "default"
            assert isinstance(entry.action.time, datetime) and entry.action.result == "success"
            assert abs(entry.action.time - datetime.now(UTC)) < timedelta(hours=1)
            assert (entry.actor.type, entry.actor.context, entry.actor.id) == (
                "user",
                "api_token",
                user,
            )
            assert (entry.actor.token_id, entry.actor.token_name) == (token, "first token")
            assert (entry.actor.ip_address, entry.actor.email) == (
                "127.0.0.1",
                "admin@certgate.invalid",
            )
            assert (entry.resource.type, entry.resource.product) == (
                "client_certificate",
                "certgate",
            )
            assert (entry.zone.id, entry.zone.name) == (worked.server.zone_id, "example.com")
        restored = by_resource[worked.issued[0]["id"], "reactivate"]
        assert (restored.actor.context, restored.actor.token_id, restored.actor.id) == (
            "api_key",
            None,
            user,
        )
        assert by_resource[account_id, "create"].actor.type == "system"

        # Inclusive and exclusive, at the microsecond.
        times = sorted(entry.action.time for entry in every)
        middle = times[len(times) // 2]
        for bounds, wanted in (
            (
                {"since": middle.isoformat(), "before": str(before)},
                [time for time in times if time >= middle],
            ),
            (
                {"since": str(since), "before": middle.isoformat()},
                [time for time in times if time < middle],
            ),
        ):
            some = list(audit.list(account_id=account_id, limit=PAGE, direction="asc", **bounds))
            assert [entry.action.time for entry in some] == wanted
        assert (
            list(audit.list(account_id=account_id, since=before, before=before + timedelta(days=1)))
            == []
        )


def test_an_unsupported_filter_is_refused(worked: Worked) -> None:
    account_id = worked.server.made["account_id"]
    with sdk(worked.server) as client:
        audit = client.accounts.logs.audit
        conditions = (
            "id",
            "account_name",
            "action_result",
            "action_type",
            "actor_context",
            "actor_email",
            "actor_id",
        )
        conditions += (
            "actor_ip_address",
            "actor_token_id",
            "actor_token_name",
            "actor_type",
            "audit_log_id",
        )
        conditions += (
            "raw_cf_rayid",
            "raw_method",
            "raw_status_code",
            "raw_uri",
            "resource_id",
            "resource_product",
        )
        conditions += ("resource_scope", "resource_type", "zone_id", "zone_name")
        for name in conditions:
            negated: Entry = {name: {"not": ["something"]}}
            listed = audit.list(
                account_id=account_id, since="2020-01-01", before="2120-01-01", **negated
            )
            assert listed.result, name
        refused: list[Entry] = [
            {"product_category": ["a"]},
            {"cursor": "no cursor"},
            {"limit": 0},
            {"limit": 1001},
            {"direction": "up"},
        ]
        for condition in refused:
            with pytest.raises(cloudflare.BadRequestError):
                audit.list(
                    account_id=account_id, since="2020-01-01", before="2120-01-01", **condition
                )
                raise AssertionError(f"{condition} is ignored")
        with pytest.raises(cloudflare.BadRequestError):
            audit.list(account_id=account_id, since="yesterday", before="2120-01-01")


def test_the_chain_follows_from_the_entries_of_the_api(worked: Worked) -> None:
    api = worked.server.api()
    user = api.call("GET", "/client/v4/user").result["id"]
    heads = whole("--data-dir", worked.server.directory)
    assert len(heads) == 3, "the first account, the other one, the user"
    for path, owner in ((account_log(worked.server), worked.owner), (USER_LOG, f"user:{user}")):
        head = assert_chained(log(api, path, PAGE), owner)
        assert heads[owner].endswith(f":{head}")
    api.close()


def test_entries_of_one_actor_are_found(worked: Worked) -> None:
    api = worked.server.api()
    path = account_log(worked.server)
    every = log(api, path)
    token = api.call("GET", "/client/v4/user/tokens/verify").result["id"]
    for condition, wanted in (
        ({"actor_token_id": token}, lambda actor: actor.get("token_id") == token),
        ({"actor_token_id": "0" * 32}, lambda actor: False),
        ({"actor_context": "api_key"}, lambda actor: actor.get("context") == "api_key"),
        ({"actor_type": "system"}, lambda actor: actor["type"] == "system"),
    ):
        found = log(api, path, PAGE, **condition)
        assert found == [entry for entry in every if wanted(entry["actor"])], condition
    api.close()


def test_a_log_is_intact_while_the_server_runs_after_a_stop_and_after_a_kill(
    server: Server, api: Api, csr: str, tmp_path: Path
) -> None:
    where = ("--data-dir", server.directory)
    for _ in range(5):
        api.revoke(api.issue(csr).result["id"])
    running = whole(*where)
    backup = tmp_path / "backup.db"
    assert certgate("backup", *where, backup).returncode == 0
    assert whole("--database", backup) == running
    server.stop()
    assert whole(*where) == running

    server.start()
    api = server.api()
    made = api.issue(csr).result["id"]
    entry = log(api, account_log(server))[-1]
    api.close()
    server.kill()
    assert server.database.with_name("certgate.db-wal").stat().st_size > 0, (
        "what was written last is in the log alone"
    )
    killed = whole(*where)
    account = f"account:{server.made['account_id']}"
    assert entry["resource"]["id"] == made and killed[account].endswith(
        f":{number(entry)}:{entry['id']}"
    )
    # An earlier head still matches.
    server.start()
    assert (
        whole(*where, *(f"--expect={head}" for head in (*running.values(), *killed.values())))
        == killed
    )
    assert (
        whole("--database", backup, *(f"--expect={head}" for head in running.values())) == running
    )
    assert verify("--database", backup, "--expect", killed[account]).returncode == 1, (
        "the backup ends before it"
    )


@dataclass
class Copied:
    """A copy of a database whose server is stopped, to tamper with."""

    path: Path
    owner: str
    heads: dict[str, str]

    @property
    def account_id(self) -> str:
        return self.owner.split(":")[1]

    @property
    def last(self) -> int:
        return int(self.heads[self.owner].split(":")[1])

    def run(self, *statements: str) -> None:
        chain = f"(SELECT number FROM audit_chains WHERE owner = x'{self.account_id}')"
        with closing(sqlite3.connect(self.path)) as database, database:
            for statement in statements:
                changed = database.execute(statement.format(chain=chain, last=self.last)).rowcount
                assert changed > 0, f"nothing was tampered with: {statement}"

    def verify(self, *more: str) -> subprocess.CompletedProcess[str]:
        return verify("--database", self.path, *more)

    def faults(self, *more: str) -> list[str]:
        """Returns the faults of one owner from standard error and from the JSON."""
        done = self.verify(*more)
        assert done.returncode == 1, done.stdout + done.stderr
        assert "not intact" in done.stderr and "every log is intact" not in done.stderr
        by_log = {log["log"]: log["faults"] for log in json.loads(done.stdout)}
        assert all(fault in done.stderr for faults in by_log.values() for fault in faults)
        assert not any(faults for owner, faults in by_log.items() if owner != self.owner), (
            "another log is accused"
        )
        return by_log[self.owner]


@pytest.fixture(scope="module")
def source(worked: Worked, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    path = tmp_path_factory.mktemp("source") / "source.db"
    done = certgate("backup", "--data-dir", worked.server.directory, path)
    assert done.returncode == 0, done.stderr
    return path, whole("--database", path)


@pytest.fixture
def copied(worked: Worked, source: tuple[Path, dict[str, str]], tmp_path: Path) -> Copied:
    path = tmp_path / "copied.db"
    path.write_bytes(source[0].read_bytes())
    return Copied(path, worked.owner, source[1])


# Changed members of entry 6, an issue by the token.
CHANGES = {
    "at": "at + 1",
    "actor": "randomblob(16)",
    "actor_kind": "1",
    "address": "'192.0.2.1'",
    "no address": "NULL",
    "action": "1",
    "resource_type": "4",
    "resource": "randomblob(16)",
    "zone": "randomblob(16)",
    "no zone": "NULL",
    "fingerprint_sha256": "randomblob(32)",
    "no fingerprint_sha256": "NULL",
    "detail": "detail || ' '",
    "hash": "randomblob(32)",
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_member_is_found(copied: Copied, change: str) -> None:
    column = change.removeprefix("no ")
    copied.run(
        f"UPDATE audit_entries SET {column} = {CHANGES[change]} WHERE chain = {{chain}} AND number = 6"
    )
    faults = copied.faults()
    assert "entry 6 was changed" in faults[0], faults
    # The next entry follows only from the changed hash.
    assert [f"entry {n}" in fault for n, fault in zip((6, 7), faults, strict=False)] == [
        True
    ] * len(faults)
    assert len(faults) == (2 if column == "hash" else 1)


# Values that certgate never writes.
UNREADABLE = {
    "actor_kind": "9",
    "action": "77",
    "resource_type": "-1",
    "address": "'somewhere'",
    "actor": "NULL",
    "hash": "x'00'",
    "resource": "x'00'",
    "zone": "'zone'",
    "fingerprint_sha256": "x''",
    "detail": "x'ff'",
    "at": "'now'",
}


@pytest.mark.parametrize("column", UNREADABLE)
def test_an_entry_that_cannot_be_read_is_named(copied: Copied, column: str) -> None:
    copied.run(
        f"UPDATE audit_entries SET {column} = {UNREADABLE[column]} WHERE chain = {{chain}} AND number = 6"
    )
    assert "entry 6" in copied.faults()[0]


# The tampering, and the subject of the first fault.
TAMPERING = {
    "a middle one is deleted": (
        ["DELETE FROM audit_entries WHERE chain = {chain} AND number = 6"],
        "entry 6 is missing",
    ),
    "three are deleted": (
        ["DELETE FROM audit_entries WHERE chain = {chain} AND number BETWEEN 6 AND 8"],
        "entries 6 to 8 are missing",
    ),
    "the first is deleted": (
        ["DELETE FROM audit_entries WHERE chain = {chain} AND number = 1"],
        "entry 1 is missing",
    ),
    "the last is deleted": (
        ["DELETE FROM audit_entries WHERE chain = {chain} AND number = {last}"],
        "but {last} were recorded: the last ones are missing",
    ),
    "all are deleted": (
        ["DELETE FROM audit_entries WHERE chain = {chain}"],
        "ends with entry 0, but {last} were recorded",
    ),
    "two are swapped": (
        [
            "UPDATE audit_entries SET number = -6 WHERE chain = {chain} AND number = 6",
            "UPDATE audit_entries SET number = 6 WHERE chain = {chain} AND number = 7",
            "UPDATE audit_entries SET number = 7 WHERE chain = {chain} AND number = -6",
        ],
        "entry 6 was changed or moved",
    ),
    "one is there twice": (
        [
            "INSERT INTO audit_entries SELECT chain, at + 1, number, actor_kind, actor, address, action, "
            "resource_type, resource, zone, fingerprint_sha256, detail, hash FROM audit_entries "
            "WHERE chain = {chain} AND number = 6"
        ],
        "there are several entries 6",
    ),
    "the last one's hash and the head": (
        [
            "UPDATE audit_entries SET hash = zeroblob(32) WHERE chain = {chain} AND number = {last}",
            "UPDATE audit_chains SET head = zeroblob(32) WHERE number = {chain}",
        ],
        "entry {last} was changed",
    ),
    "a hash in the middle and the head": (
        [
            "UPDATE audit_entries SET hash = zeroblob(32) WHERE chain = {chain} AND number = 6",
            "UPDATE audit_chains SET head = zeroblob(32) WHERE number = {chain}",
        ],
        "entry 6 was changed",
    ),
    "the head alone": (
        ["UPDATE audit_chains SET head = zeroblob(32) WHERE number = {chain}"],
        "entry {last}, the last one, was changed",
    ),
    "the last is deleted and the count says so": (
        [
            "DELETE FROM audit_entries WHERE chain = {chain} AND number = {last}",
            "UPDATE audit_chains SET entries = entries - 1 WHERE number = {chain}",
        ],
        "the last one, was changed",
    ),
    "one of another log is put here": (
        [
            "UPDATE audit_entries SET chain = -1 WHERE chain = {chain} AND number = 6",
            "INSERT INTO audit_entries SELECT {chain}, at, 6, actor_kind, actor, address, action, resource_type, "
            "resource, zone, fingerprint_sha256, detail, hash FROM audit_entries "
            "WHERE chain <> {chain} AND number = 1 LIMIT 1",
            "DELETE FROM audit_entries WHERE chain = -1",
        ],
        "entry 6 was changed",
    ),
}


@pytest.mark.parametrize("what", TAMPERING)
def test_tampering_is_found_and_the_entry_named(copied: Copied, what: str) -> None:
    statements, named = TAMPERING[what]
    copied.run(*statements)
    assert named.format(last=copied.last) in copied.faults()[0]


def rewrite(copied: Copied, first: int, last: int, **changes: Any) -> None:
    """Changes an entry, cuts the log after `last`, and recomputes the chain."""
    names = {0: "issue", 1: "revoke", 2: "reactivate", 3: "create", 4: "update", 5: "delete"}
    kinds = [
        "client_certificate",
        "managed_authority",
        "mtls_certificate",
        "hostname_associations",
        "zone",
        "account",
    ]

    def text_of(value: bytes | None) -> str:
        return "-" if value is None else value.hex()

    with closing(sqlite3.connect(copied.path)) as database, database:
        database.row_factory = sqlite3.Row
        find = "SELECT number FROM audit_chains WHERE owner = ?"
        chain = database.execute(find, (bytes.fromhex(copied.account_id),)).fetchone()[0]
        database.execute("DELETE FROM audit_entries WHERE chain = ? AND number > ?", (chain, last))
        previous = bytes(32)
        rows = database.execute(
            "SELECT * FROM audit_entries WHERE chain = ? ORDER BY number", (chain,)
        ).fetchall()
        for row in map(dict, rows):
            row |= changes if row["number"] == first else {}
            who = ("token:", "api_key:", "system")[row["actor_kind"]] + (row["actor"] or b"").hex()
            lines = [
                copied.owner,
                row["number"],
                row["at"],
                who,
                row["address"] or "-",
                names[row["action"]],
            ]
            lines += [
                kinds[row["resource_type"]],
                *(text_of(row[n]) for n in ("resource", "zone", "fingerprint_sha256")),
            ]
            previous = hashlib.sha256(
                previous + "\n".join(map(str, [*lines, row["detail"]])).encode()
            ).digest()
            set_row = "UPDATE audit_entries SET hash = ?, address = ?, detail = ? WHERE chain = ? AND number = ?"
            database.execute(
                set_row, (previous, row["address"], row["detail"], chain, row["number"])
            )
        end = "UPDATE audit_chains SET entries = ?, head = ? WHERE number = ?"
        database.execute(end, (last, previous, chain))


def test_a_stored_head_reveals_a_consistent_rewrite(
    copied: Copied,
) -> None:
    head = copied.heads[copied.owner]
    rewrite(copied, 1, copied.last)
    assert copied.verify("--expect", head).returncode == 0, (
        "recomputed without a change it is the same"
    )
    rewrite(copied, 6, copied.last, address="192.0.2.1")
    done = copied.verify()
    assert done.returncode == 0, "nothing but a head from elsewhere can tell"
    for kept in (head, f"{copied.account_id}:6:{'0' * 64}"):
        done = copied.verify("--expect", kept)
        assert done.returncode == 1, done
        assert f"entry {kept.split(':')[1]}" in done.stderr and "rewritten or cut" in done.stderr
        assert copied.account_id in done.stderr


def test_a_stored_head_reveals_a_consistent_cut(
    copied: Copied,
) -> None:
    head = copied.heads[copied.owner]
    rewrite(copied, 1, copied.last - 1)
    shorter = json.loads(copied.verify().stdout)
    cut = next(log["head"] for log in shorter if log["log"] == copied.owner)
    done = copied.verify("--expect", cut, "--expect", head)
    assert (
        done.returncode == 1
        and f"entry {copied.last} is missing" in done.stderr
    )
    assert copied.verify("--expect", cut).returncode == 0


def test_an_expected_log_that_is_missing_is_reported(copied: Copied) -> None:
    for head in (f"{'0' * 32}:1:{'0' * 64}", f"{copied.account_id}:{copied.last + 1}:{'0' * 64}"):
        done = copied.verify("--expect", head)
        assert done.returncode == 1 and "is missing" in done.stderr


@pytest.mark.parametrize(
    "garbage",
    [
        "",
        "x",
        ":::",
        f"{'0' * 32}:1",
        f"{'0' * 32}:1:{'0' * 63}",
        f"{'0' * 32}:one:{'0' * 64}",
        f"{'0' * 31}:1:{'0' * 64}",
        f"{'0' * 32}:-1:{'0' * 64}",
        f"{'0' * 32}:1:{'0' * 64}:",
        f"{'g' * 32}:1:{'0' * 64}",
    ],
)
def test_a_malformed_head_is_a_wrong_command_line(copied: Copied, garbage: str) -> None:
    done = copied.verify(f"--expect={garbage}")
    assert (done.returncode, done.stdout) == (2, "") and "--expect" in done.stderr


def test_a_file_that_is_not_a_database_is_not_an_intact_log(tmp_path: Path) -> None:
    for name, content in (("missing", None), ("empty", b""), ("garbage", b"garbage" * 1000)):
        path = tmp_path / name
        if content is not None:
            path.write_bytes(content)
        for where in (("--database", path), ("--data-dir", path)):
            done = verify(*where)
            assert (
                (done.returncode, done.stdout) == (1, "")
                and name in done.stderr
                and "panicked" not in done.stderr
            )
        assert (path.read_bytes() if path.exists() else None) == content, "it was only looked at"


class Both:
    """Both logs, and their new entries."""

    def __init__(self, server: Server, reader: Api) -> None:
        self.paths, self.reader = (account_log(server), USER_LOG), reader
        self.known = [0, 0]
        self.fresh()

    def fresh(self) -> list[tuple[str, str, str, str]]:
        """Returns log, action, kind, ID and actor of each new entry."""
        found: list[tuple[str, str, str, str]] = []
        for at, path in enumerate(self.paths):
            entries = log(self.reader, path)
            assert len(entries) >= self.known[at]
            for entry in entries[self.known[at] :]:
                actor = entry["actor"]
                assert actor.get("ip_address") == ("127.0.0.1" if actor["type"] == "user" else None)
                who = actor.get("token_id") or actor.get("context") or actor["type"]
                found.append(
                    (
                        who,
                        entry["action"]["type"],
                        entry["resource"]["type"],
                        entry["resource"]["id"],
                    )
                )
            self.known[at] = len(entries)
        return found


def authority_made_by_openssl(directory: Path, name: str) -> tuple[str, str]:
    key, certificate = directory / f"{name}.key", directory / f"{name}.crt"
    usage = ["-addext", "keyUsage=critical,keyCertSign,cRLSign"]
    made = [
        "req",
        "-x509",
        *KEYS["P-256"],
        "-nodes",
        "-days",
        "7300",
        "-subj",
        f"/CN={name}",
        *usage,
    ]
    openssl(*made, "-keyout", key, "-out", certificate)
    return certificate.read_text(), key.read_text()


@pytest.mark.parametrize("credential", ["token", "api_key"])
def test_each_change_leaves_one_entry_and_each_refusal_none(
    server: Server, api: Api, csr: str, tmp_path: Path, credential: str
) -> None:
    reader = server.api()
    v4, v1 = "/client/v4", f"/certgate/v1/accounts/{server.made['account_id']}"
    account = f"{v4}/accounts/{server.made['account_id']}"
    who = api.call("GET", f"{v4}/user/tokens/verify").result["id"]
    secrets = [server.token]
    if credential == "api_key":
        key = api.call("PUT", "/certgate/v1/user/api_key").result
        secrets.append(key["api_key"])
        # A separate token makes and deletes the key. The key does the rest.
        api.credentials, who = (
            {"X-Auth-Email": key["email"], "X-Auth-Key": key["api_key"]},
            "api_key",
        )
    both = Both(server, reader)

    def does(
        action: str, kind: str, method: str, path: str, body: Any = None, by: Api = api
    ) -> Any:
        result = by.call(method, path, body).result
        added = both.fresh()
        assert len(added) == 1, f"{method} {path} left {added}"
        assert added[0][:3] == (who if by is api else token_id, action, kind), added
        if isinstance(result, dict) and "id" in result:
            assert result["id"] == added[0][3], added
        return result

    def does_nothing(
        method: str, path: str, body: Any = None, status: int = 200, by: Api = api
    ) -> None:
        answer = by.call(method, path, body)
        assert answer.status == status, answer.text
        assert both.fresh() == [], f"{method} {path}: {answer.text}"

    token_id = reader.call("GET", f"{v4}/user/tokens/verify").result["id"]
    # The managed CA is made on its first use.
    first = api.call("GET", f"{v1}/managed_authority").result["id"]
    assert both.fresh() == [("system", "create", "managed_authority", first)]
    does_nothing("GET", f"{v1}/managed_authority")

    certificates = api.certificates
    made = does(
        "issue", "client_certificate", "POST", certificates, {"csr": csr, "validity_days": 1}
    )
    one = f"{certificates}/{made['id']}"
    does_nothing("POST", certificates, {"csr": "no request", "validity_days": 1}, 400)
    does_nothing("POST", certificates, {"csr": csr, "validity_days": 0}, 400)
    does_nothing("PATCH", one)
    does("revoke", "client_certificate", "DELETE", one)
    does_nothing("GET", one)
    api.settled(made["id"], "revoked")
    does_nothing("DELETE", one)
    does("reactivate", "client_certificate", "PATCH", one)
    api.settled(made["id"], "active")
    does("revoke", "client_certificate", "DELETE", one, {"reason": "keyCompromise"})
    does_nothing("PATCH", one, status=400)
    api.settled(made["id"], "revoked")
    does_nothing("DELETE", f"{certificates}/{'0' * 32}", status=404)

    point = does(
        "create", "enforcement_point", "POST", f"{v1}/enforcement_points", {"name": "edge"}
    )
    edge = f"{v1}/enforcement_points/{point['id']}"
    does_nothing("POST", f"{v1}/enforcement_points", {"name": "edge"})
    does(
        "update",
        "enforcement_point",
        "POST",
        f"{v1}/enforcement_points",
        {"name": "edge", "lease_seconds": 5},
    )
    does_nothing("PUT", f"{edge}/acknowledgement", {"epoch": 1})
    does_nothing("PUT", f"{edge}/acknowledgement", {"epoch": 99}, 400)
    does("delete", "enforcement_point", "DELETE", edge)
    does_nothing("DELETE", edge, status=404)

    zone = does(
        "create",
        "zone",
        "POST",
        f"{v4}/zones",
        {"name": "second.example", "account": {"id": account[-32:]}},
    )
    hostnames = f"{v4}/zones/{zone['id']}/certificate_authorities/hostname_associations"
    does_nothing(
        "POST", f"{v4}/zones", {"name": "second.example", "account": {"id": account[-32:]}}, 400
    )
    does("update", "hostname_associations", "PUT", hostnames, {"hostnames": ["api.second.example"]})
    does_nothing("PUT", hostnames, {"hostnames": ["api.elsewhere.example"]}, 400)
    does("update", "hostname_associations", "PUT", hostnames, {"hostnames": []})
    does("delete", "zone", "DELETE", f"{v4}/zones/{zone['id']}")
    does_nothing("DELETE", f"{v4}/zones/{zone['id']}", status=404)

    pem, private_key = authority_made_by_openssl(tmp_path, "brought")
    brought = does(
        "create",
        "mtls_certificate",
        "POST",
        f"{account}/mtls_certificates",
        {"certificates": pem, "ca": True, "name": "b"},
    )
    does_nothing(
        "POST", f"{account}/mtls_certificates", {"certificates": "no certificate", "ca": True}, 400
    )
    does("delete", "mtls_certificate", "DELETE", f"{account}/mtls_certificates/{brought['id']}")
    pem, private_key = authority_made_by_openssl(tmp_path, "imported")
    secrets.append("".join(private_key.splitlines()[1:-1]))
    does(
        "create",
        "managed_authority",
        "POST",
        f"{v1}/managed_authorities",
        {"certificate": pem, "private_key": private_key},
    )
    does_nothing(
        "POST", f"{v1}/managed_authorities", {"certificate": pem, "private_key": "none"}, 400
    )
    does("create", "managed_authority", "POST", f"{v1}/managed_authorities/rotate")

    groups = {
        group["name"]: group["id"]
        for group in api.call("GET", f"{v4}/user/tokens/permission_groups").result
    }
    policy = {
        "effect": "allow",
        "permission_groups": [{"id": groups["SSL and Certificates Read"]}],
        "resources": {f"com.cloudflare.api.account.zone.{server.zone_id}": "*"},
    }
    new = {"name": "reader", "policies": [policy]}
    token = does("create", "api_token", "POST", f"{v4}/user/tokens", new)
    secrets.append(token["value"])
    weak = Api(server.port, token["value"], server.zone_id)
    one_token = f"{v4}/user/tokens/{token['id']}"
    does_nothing("POST", certificates, {"csr": csr, "validity_days": 1}, 403, weak)
    does_nothing("POST", f"{v4}/user/tokens", new, 403, weak)
    does_nothing("GET", one, by=weak)
    does_nothing("POST", f"{v4}/user/tokens", {"name": "x", "policies": []}, 400)
    secrets.append(does("update", "api_token", "PUT", f"{one_token}/value", {}))
    does_nothing("GET", one, status=403, by=weak)
    does("update", "api_token", "PUT", one_token, new | {"status": "disabled"})
    does("delete", "api_token", "DELETE", one_token)
    does_nothing("DELETE", one_token, status=404)
    weak.close()
    secrets.append(
        does("create", "api_key", "PUT", "/certgate/v1/user/api_key", by=reader)["api_key"]
    )
    does("delete", "api_key", "DELETE", "/certgate/v1/user/api_key", by=reader)
    stranger = Api(server.port, "f" * 40, server.zone_id)
    does_nothing("DELETE", one, status=403, by=stranger)
    stranger.close()

    # No entry contains a secret.
    texts = []
    for path, flag in zip(both.paths, ((), ("--user",)), strict=True):
        entries = log(reader, path)
        listed = certgate("audit", "list", "--all", "--data-dir", server.directory, *flag)
        assert listed.returncode == 0 and listed.stdout.count("\n") == len(entries) + 1, (
            listed.stderr
        )
        texts += [json.dumps(entries), listed.stdout]
    secrets.append((server.directory / "master.key").read_text().strip())
    with closing(sqlite3.connect(f"file:{server.database}?mode=ro", uri=True)) as database:
        rows = database.execute("SELECT * FROM audit_entries").fetchall()
    assert len(rows) == sum(both.known)
    texts += [" ".join(v.hex() if isinstance(v, bytes) else str(v) for v in row) for row in rows]
    for secret in secrets:
        digest = hashlib.sha256(secret.encode()).hexdigest()
        assert len(secret) >= 37 and not any(secret in text or digest in text for text in texts)
    assert not any("PRIVATE KEY" in text for text in texts)
    reader.close()
    whole("--data-dir", server.directory)


def test_a_deleted_account_leaves_its_log_intact(server: Server, api: Api) -> None:
    other = api.call("POST", "/client/v4/accounts", {"name": "other"}).result["id"]
    before = whole("--data-dir", server.directory)[f"account:{other}"]
    assert api.call("DELETE", f"/client/v4/accounts/{other}").status == 200
    after = whole("--data-dir", server.directory, "--expect", before)[f"account:{other}"]
    assert [head.split(":")[1] for head in (before, after)] == ["1", "2"]


def test_concurrent_issues_make_one_intact_chain(server: Server, csr: str) -> None:
    issued: list[Entry] = []
    failures: list[BaseException] = []

    def work() -> None:
        api = server.api()
        try:
            for turn in range(ISSUES_EACH):
                made = api.issue(csr).result
                issued.append(made)
                if turn % 5 == 0:
                    assert api.revoke(made["id"]).status == 200
        except BaseException as failure:
            failures.append(failure)
        finally:
            api.close()

    threads = [threading.Thread(target=work) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    whole("--data-dir", server.directory)
    for thread in threads:
        thread.join()
    assert failures == [] and len(issued) == CLIENTS * ISSUES_EACH
    api = server.api()
    entries = log(api, account_log(server), PAGE)
    assert entries == log(api, account_log(server)), "pages show what one answer shows"
    api.close()
    owner = f"account:{server.made['account_id']}"
    head = assert_chained(entries, owner)
    assert whole("--data-dir", server.directory)[owner].endswith(head)
    fingerprints = {made["id"]: _fingerprint(made["certificate"]) for made in issued}
    logged = [entry for entry in entries if entry["action"]["type"] == "issue"]
    assert {
        entry["resource"]["id"]: entry["certgate"]["fingerprint_sha256"] for entry in logged
    } == fingerprints
    assert len(logged) == len(issued)
    assert (
        sum(entry["action"]["type"] == "revoke" for entry in entries) == CLIENTS * ISSUES_EACH // 5
    )


def _fingerprint(pem: str) -> str:
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest()
