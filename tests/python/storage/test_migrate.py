"""Migration to PostgreSQL: complete after an interruption at any instant."""

from __future__ import annotations

import random
import re
import shutil
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from kit.backups import SEED, content, talking
from kit.enforcement_points import Points
from kit.harness import CERTGATE, Api, Server, certgate, environment
from kit.installation import STATUSES, Estate
from kit.postgres import Postgres

# Enough rows to kill a migration in the middle, and the most kills.
ROWS = 30_000
KILLS_MAX = 20

MARKER = "certgate.moved"


def migrate(server: Server, *more: str, code: int = 0, variable: str = "") -> str:
    """Migrates the database of a stopped server. Returns the messages and the table."""
    done = certgate("migrate", "--from", server.directory, *more, CERTGATE_DATABASE_URL=variable)
    assert done.returncode == code and "panicked" not in done.stderr, done.stdout + done.stderr
    return done.stdout + done.stderr


def next_server(old: Server, url: str) -> Server:
    """A server on another machine that has only the master key of the old one."""
    directory = old.directory.with_name("new")
    directory.mkdir(mode=0o700)
    shutil.copy(old.directory / "master.key", directory)
    # The old machine's port is in its CAs. New CAs get an address that does not depend on it.
    addresses = ["--public-url", "http://pki.example", "--public-url-changes"]
    server = Server(directory, "--database-url", url, *addresses, init=None)
    server.made = old.made
    return server


def test_a_migrated_installation_is_unchanged(
    postgres: Postgres, server: Server, csr: str, tmp_path: Path
) -> None:
    estate = Estate(server, csr, tmp_path)
    said = estate.said(server)
    assert said["ocsp"] == {
        "active": "good",
        "revoked": "certificateHold",
        "dead": "keyCompromise",
        "freed": "good",
        "held": "certificateHold",
        "new": "good",
    }
    assert {status: said[server.zone_id][status][0] for status in STATUSES} == {
        "all": 6,
        "active": 2,
        "revoked": 2,
        "pending_revocation": 1,
        "pending_reactivation": 1,
    }
    assert said["of the reader"] == [2, 403]
    url = postgres.url(postgres.database())
    running = migrate(server, "--to", url, code=1)
    assert "in use by another process" in running, running
    server.stop()
    before = content(server.directory)

    told = migrate(server, "--to", url)
    assert re.search(r"^certificates +10 +[0-9a-f]{16} +the same *$", told, re.MULTILINE), told
    assert f"master key: copy {server.directory}/master.key" in told and MARKER in told, told
    assert f"--database-url '{url}'" in told, told
    after = content(server.directory)
    whereto = after.pop(MARKER).decode()
    assert (
        re.fullmatch(r"postgres://postgres@127\.0\.0\.1(:\d+)?/test_\d+ at \S+Z\n", whereto)
        and after == before
    ), whereto
    assert sorted(path.name for path in server.directory.iterdir()) == sorted([*before, MARKER])

    # The old database is not served, and a second run reports the new one.
    refused = server.refuses_to_start()
    assert f"was moved to {whereto.strip()}" in refused and MARKER in refused, refused
    again = migrate(server, "--to", url)
    assert "was moved to the database" in again and "the same" in again, again
    elsewhere = postgres.database()
    twice = migrate(server, "--to", postgres.url(elsewhere), code=1)
    assert "already; nothing was changed" in twice and postgres.sql("\\dt", elsewhere) == "", twice

    new = next_server(server, url).start()
    try:
        assert estate.said(new) == said
        # Pending changes settle, and new ones are possible.
        with talking(new) as api:
            Points(new, api).acknowledge(estate.edge, said[server.made["account_id"]][5]["epoch"])
            api.settled(estate.id("held"), "revoked")
            api.settled(estate.id("freed"), "active")
            issued = api.issue(csr).result
            assert api.total() == 7 and api.get(issued["id"]).result["status"] == "active"
            assert api.revoke(estate.id("active")).result["status"] == "pending_revocation"
        new.stop()
    finally:
        new.kill()
    changed = migrate(server, "--to", url, code=1)
    assert "no longer equals the data directory" in changed and "certificates" in changed, changed

    # The way back.
    (server.directory / MARKER).unlink()
    assert content(server.directory) == before
    server.start()
    assert estate.said(server) == said


def fill(server: Server) -> list[str]:
    """Adds many certificates directly. Returns all stored certificates."""
    select = "SELECT position, hex(id), hex(der), csr FROM certificates ORDER BY position"
    with closing(sqlite3.connect(server.database)) as database, database:
        columns = [row[1] for row in database.execute("PRAGMA table_info(certificates)")]
        values = ", ".join(
            {"position": "position + n", "id": "randomblob(16)"}.get(name, name) for name in columns
        )
        database.execute(
            "WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < ?) "
            f"INSERT INTO certificates ({', '.join(columns)}) SELECT {values} FROM certificates, numbers",
            (ROWS,),
        )
        return ["|".join(map(str, row)) for row in database.execute(select)]


def test_a_migration_can_be_killed_at_any_instant(
    postgres: Postgres, server: Server, api: Api, csr: str, tmp_path: Path
) -> None:
    generator = random.Random(SEED)
    print(f"CERTGATE_TEST_SEED={SEED}")
    api.issue(csr)
    server.stop()
    rows = fill(server)
    before = content(server.directory)
    name = postgres.database()
    url = postgres.url(name)
    command = [str(CERTGATE), "migrate", "--from", str(server.directory), "--to", url]
    kills: list[str] = []
    for _ in range(KILLS_MAX):
        process = subprocess.Popen(
            command, env=environment(), stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
        )
        assert process.stderr
        # It prints a line after each tenth of the copy, and then of the comparison. The run before
        # may have come as far as the first line.
        lines, patience = [], generator.choice((1, 2, 3))
        for line in process.stderr:
            lines.append(line)
            if len(lines) > patience:
                break
        try:
            process.wait(generator.random() * 0.05)
        except subprocess.TimeoutExpired:
            process.kill()
        code = process.wait()
        process.stderr.close()
        if code == 0:
            break
        assert code == -9, lines
        kills.append(lines[-1])
        if len(kills) == 2:
            refused = next_server(server, url).refuses_to_start()
            assert "unfinished migration" in refused, refused
            assert postgres.sql("SELECT count(*) FROM installation", name) == "0", (
                "no server has made one"
            )
    migrate(server, "--to", url)
    print(f"killed {len(kills)} times, the last time at: {kills[-1]}")
    assert len({line for line in kills if line.startswith("copied")}) > 3, kills
    after = content(server.directory)
    after.pop(MARKER)
    assert after == before
    select = "SELECT position, upper(encode(id, 'hex')), upper(encode(der, 'hex')), csr FROM certificates ORDER BY position"
    stored = postgres.sql(f"COPY ({select}) TO STDOUT WITH (DELIMITER '|', FORMAT text)", name)
    assert stored.replace("\\n", "\n").strip() == "\n".join(rows).strip()


def test_a_difference_keeps_servers_away(
    postgres: Postgres, server: Server, api: Api, csr: str
) -> None:
    api.issue(csr)
    server.stop()
    name = postgres.database()
    url = postgres.url(name)
    # Changes a copied row.
    postgres.sql(
        "CREATE FUNCTION spoil() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN "
        "IF to_regclass('tokens') IS NOT NULL AND NOT EXISTS (SELECT FROM pg_trigger WHERE tgname = 'spoils') THEN "
        "EXECUTE 'CREATE TRIGGER spoils BEFORE INSERT ON tokens FOR EACH ROW EXECUTE FUNCTION rename()'; END IF; END $$; "
        "CREATE FUNCTION rename() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.name = NEW.name || '!'; RETURN NEW; END $$; "
        "CREATE EVENT TRIGGER spoil ON ddl_command_end WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION spoil()",
        name,
    )
    told = migrate(server, "--to", url, code=1)
    assert re.search(r"^tokens +1 +[0-9a-f]{16} +1 rows, [0-9a-f]{16} *$", told, re.MULTILINE), told
    assert "in tokens: no server starts on it" in told, told
    assert not (server.directory / MARKER).exists()
    assert "unfinished migration" in next_server(server, url).refuses_to_start()
    server.start()


def test_the_destination_is_given_as_for_serve(
    postgres: Postgres, server: Server, tmp_path: Path
) -> None:
    server.stop()
    name = postgres.database()
    secret = postgres.url(name).replace("postgres@", "postgres:s3cret@")
    refused = migrate(server, "--to", secret, code=2)
    assert "database_url (from flag --to): has a password" in refused, refused
    assert "other users can see the arguments of a program" in refused, refused
    assert "name it with --to" in migrate(server, code=2)
    taken = postgres.database()
    postgres.sql("CREATE TABLE things (thing TEXT)", taken)
    refused = migrate(server, "--to", postgres.url(taken), code=1)
    assert "has tables already (things)" in refused and "s3cret" not in refused, refused
    nowhere = migrate(
        server, variable="postgres://u:s3cret@127.0.0.1:1/name?sslmode=disable", code=1
    )
    assert "cannot use the database name on 127.0.0.1" in nowhere and "to continue" in nowhere, (
        nowhere
    )

    told = migrate(server, variable=secret)
    assert "with the same CERTGATE_DATABASE_URL or database_url" in told, told
    for text in (refused, nowhere, told, (server.directory / MARKER).read_text()):
        assert "s3cret" not in text
    # The directory itself can be the data directory of a server on the new database.
    server.flags += ["--database-url", postgres.url(name)]
    server.start()
    assert certgate("cert", "list", "--data-dir", server.directory).returncode == 0


@pytest.mark.parametrize("what", ["nothing", "of another kind"])
def test_a_directory_without_a_database_is_refused(
    postgres: Postgres, tmp_path: Path, what: str
) -> None:
    directory = tmp_path / "data"
    directory.mkdir()
    if what != "nothing":
        (directory / "certgate.db").write_text(
            "no database, but long enough to be taken for one. " * 100
        )
    name = postgres.database()
    done = certgate("migrate", "--from", directory, "--to", postgres.url(name))
    assert done.returncode == 1 and "panicked" not in done.stderr, done.stderr
    assert (
        "holds no certgate database" if what == "nothing" else "is not a certgate database"
    ) in done.stderr
    assert (
        postgres.sql(
            "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace", name
        )
        == "0"
    )
