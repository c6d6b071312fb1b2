"""The command line: data on standard output, messages on standard error, exit codes, secrets."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from kit.harness import (
    CERTGATE,
    MakeServer,
    Server,
    certgate,
    certgate_unprivileged,
    environment,
    eventually,
    openssl,
)

# Lines of names.csv, enough that a kill meets the command in the middle.
NAMES = 400

# The number of concurrent requests.
JOBS = 8

PASSWORD = "correct horse battery staple"

Done = subprocess.CompletedProcess


class User:
    """A user on the machine of the server, in the directory with its certgate-data."""

    def __init__(self, server: Server, home: Path) -> None:
        self.server, self.home = server, home
        (home / "certgate-data").symlink_to(server.directory)

    def run(self, *arguments: str | Path, code: int = 0, stdin: str = "", **more: str) -> Done[str]:
        done = certgate(*arguments, cwd=self.home, stdin=stdin, **more)
        assert done.returncode == code, (arguments, done.returncode, done.stdout, done.stderr)
        assert self.server.token not in done.stderr and "panicked" not in done.stderr
        if code:
            assert done.stderr.startswith("error: "), done.stderr
        return done

    def json(self, *arguments: str | Path, **more: str) -> Any:
        """Returns the output of `--output json`, which must be one JSON value."""
        return json.loads(self.run(*arguments, "--output", "json", **more).stdout)

    def listed(self, *arguments: str | Path, **more: str) -> list[dict[str, Any]]:
        """Returns the certificates of `cert list`."""
        answer = self.json("cert", "list", *arguments, **more)
        assert answer["result_info"]["count"] == len(answer["result"])
        return answer["result"]


@pytest.fixture
def user(server: Server, tmp_path: Path) -> User:
    home = tmp_path / "home"
    home.mkdir()
    return User(server, home)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_first_five_minutes(user: User) -> None:
    issued = user.run("cert", "issue", "--cn", "device-1", "--org", "Example Inc.", "--days", "30")
    key, certificate = user.home / "device-1.key", user.home / "device-1.crt"
    assert mode(key) == 0o600 and "PRIVATE KEY" in key.read_text()
    assert "PRIVATE KEY" not in issued.stdout + issued.stderr and "wrote" in issued.stderr
    assert openssl("x509", "-in", certificate, "-noout", "-pubkey") == openssl(
        "pkey", "-in", key, "-pubout"
    )
    assert "CN=device-1" in openssl(
        "x509", "-in", certificate, "-noout", "-subject", "-nameopt", "RFC2253"
    )

    listed = user.listed()
    assert (
        len(listed) == 1
        and listed[0]["common_name"] == "device-1"
        and listed[0]["validity_days"] == 30
    )
    identity = listed[0]["id"]
    assert identity in user.run("cert", "list").stdout
    assert user.json("cert", "show", identity) == listed[0]
    assert identity in user.run("cert", "show", identity).stdout

    revoked = user.run("cert", "revoke", identity)
    assert revoked.returncode == 0

    def status() -> str:
        return user.json("cert", "show", identity)["status"]

    eventually("it is revoked", lambda: status() == "revoked")
    assert [made["id"] for made in user.listed("--status", "revoked")] == [identity]
    assert user.listed("--status", "active") == []
    assert "nothing changed" in user.run("cert", "revoke", identity).stderr
    user.run("cert", "restore", identity)
    eventually("it is restored", lambda: status() == "active")

    exported = user.run("cert", "export", identity).stdout
    assert exported.strip() == certificate.read_text().strip() == listed[0]["certificate"]
    chain = user.home / "chain.pem"
    user.run("cert", "export", identity, "--chain", "--out", chain)
    assert chain.read_text().count("BEGIN CERTIFICATE") == 2
    user.run("cert", "export", identity, "--out", chain, code=1)

    authority = user.home / "ca.pem"
    authority.write_text(user.json("ca", "show")["certificate"])
    openssl("verify", "-purpose", "sslclient", "-CAfile", authority, certificate)
    assert "BEGIN CERTIFICATE" in user.run("ca", "show").stdout


def test_nothing_is_overwritten(user: User) -> None:
    user.run("cert", "issue", "--cn", "device-1")
    before = {path.name: path.read_bytes() for path in user.home.iterdir() if path.is_file()}
    assert "exists already" in user.run("cert", "issue", "--cn", "device-1", code=1).stderr
    assert {
        path.name: path.read_bytes() for path in user.home.iterdir() if path.is_file()
    } == before
    assert len(user.listed()) == 1


@pytest.mark.parametrize("algorithm", ["p256", "p384", "rsa2048", "rsa3072", "rsa4096", "ed25519"])
def test_every_kind_of_key(user: User, algorithm: str) -> None:
    user.run("cert", "issue", "--cn", algorithm, "--key-algorithm", algorithm)
    key, certificate = user.home / f"{algorithm}.key", user.home / f"{algorithm}.crt"
    assert openssl("x509", "-in", certificate, "-noout", "-pubkey") == openssl(
        "pkey", "-in", key, "-pubout"
    )


def test_pkcs12(user: User) -> None:
    user.run("cert", "issue", "--cn", "phone", "--p12", CERTGATE_P12_PASSWORD=PASSWORD)
    file = user.home / "phone.p12"
    assert mode(file) == 0o600
    read = ["pkcs12", "-in", file, "-passin", f"pass:{PASSWORD}"]
    assert openssl(*read, "-nokeys").count("BEGIN CERTIFICATE") == 2
    certificate = openssl(*read, "-nokeys", "-clcerts")
    assert openssl("x509", "-noout", "-fingerprint", stdin=certificate.encode()) == openssl(
        "x509", "-noout", "-fingerprint", "-in", user.home / "phone.crt"
    )
    key = openssl(*read, "-nocerts", "-nodes")
    public = openssl("pkey", "-pubout", stdin=key.encode())
    assert public == openssl("pkey", "-in", user.home / "phone.key", "-pubout")
    wrong = subprocess.run(
        ["openssl", *map(str, read[:3]), "-passin", "pass:wrong", "-nokeys"], capture_output=True
    )
    assert wrong.returncode != 0
    (user.home / "password").write_text(f"{PASSWORD}\n")
    user.run("cert", "issue", "--cn", "tablet", "--p12", "--p12-password-file", "password")
    openssl("pkcs12", "-in", user.home / "tablet.p12", "-passin", f"pass:{PASSWORD}", "-nokeys")


def test_a_csr_of_another_program(user: User, csr: str) -> None:
    (user.home / "device.csr").write_text(csr)
    issued = user.run("cert", "issue", "--csr", "device.csr")
    assert issued.stdout.startswith("-----BEGIN CERTIFICATE-----")
    piped = user.run("cert", "issue", "--csr", "-", stdin=csr)
    assert piped.stdout.startswith("-----BEGIN CERTIFICATE-----") and piped.stdout != issued.stdout
    user.run("cert", "issue", "--cn", "own")
    assert "private key" in user.run("cert", "issue", "--csr", "own.key", code=2).stderr


def names(home: Path) -> Path:
    path = home / "names.csv"
    lines = [f"device-{n},Example Inc." for n in range(NAMES)]
    path.write_text("\n".join(["common_name,organization", *lines]) + "\n")
    return path


def test_a_killed_bulk_issue_continues(user: User) -> None:
    command = [
        "cert",
        "issue",
        "--from",
        str(names(user.home)),
        "--out",
        "out",
        "--jobs",
        str(JOBS),
    ]
    out = user.home / "out"
    journal = out / "issued.jsonl"
    for kill_after in (NAMES // 4, NAMES // 2):
        process = subprocess.Popen(
            [CERTGATE, *command],
            cwd=user.home,
            env=environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        eventually(
            f"{kill_after} lines are finished",
            lambda: journal.exists() and journal.read_bytes().count(b"\n") >= kill_after,
        )
        assert process.poll() is None, "it was too quick to be killed in the middle"
        process.kill()
        process.wait()
    done = user.json(*command)
    assert done["issued"] + done["already_issued"] == NAMES and done["failed"] == [], done
    # The journal has a line before the file has its certificate, so each job may complete one.
    assert NAMES // 2 - JOBS <= done["already_issued"] < NAMES

    listed = user.listed("--all")
    assert sorted(made["common_name"] for made in listed) == sorted(
        f"device-{n}" for n in range(NAMES)
    ), "twice or not at all"
    by_name = {made["common_name"]: made for made in listed}
    for n in range(NAMES):
        key, certificate = out / f"device-{n}.key", out / f"device-{n}.crt"
        assert mode(key) == 0o600
        assert certificate.read_text().strip() == by_name[f"device-{n}"]["certificate"]
    for n in (0, NAMES // 2, NAMES - 1):
        certificate, key = out / f"device-{n}.crt", out / f"device-{n}.key"
        assert openssl("x509", "-in", certificate, "-noout", "-pubkey") == openssl(
            "pkey", "-in", key, "-pubout"
        )
    kinds = {path.suffix for path in out.iterdir()}
    assert kinds == {".key", ".crt", ".jsonl"}, "something unfinished is left"

    again = user.json(*command)
    assert (again["issued"], again["already_issued"]) == (0, NAMES)
    assert len(user.listed("--all")) == NAMES


def test_bad_lines_of_a_bulk_issue_are_named_with_the_reason(user: User) -> None:
    (user.home / "names.csv").write_text(
        "common_name,validity_days\ngood,10\nbad,many\ntoo-long,99999\nalso-good,\n"
    )
    done = certgate("cert", "issue", "--from", "names.csv", "--output", "json", cwd=user.home)
    assert done.returncode == 1
    summary = json.loads(done.stdout)
    assert summary["issued"] == 2 and [row["line"] for row in summary["failed"]] == [3, 4]
    assert all(row["message"] for row in summary["failed"])


def test_zones(user: User) -> None:
    made = user.json("zone", "create", "second.example")
    assert {zone["name"] for zone in user.json("zone", "list")} == {"example.com", "second.example"}
    assert "second.example" in user.run("zone", "list").stdout
    user.run("cert", "issue", "--cn", "there", "--zone", "second.example")
    assert user.listed() == []
    there = user.listed("--zone", made["id"])
    assert [certificate["common_name"] for certificate in there] == ["there"]
    refused = user.run("zone", "delete", "second.example", code=1)
    assert "revoke" in refused.stderr
    user.run("cert", "revoke", there[0]["id"], "--zone", "second.example")
    eventually(
        "it is revoked",
        lambda: user.listed("-z", "second.example", "--status", "revoked"),
    )
    user.run("zone", "delete", "second.example")
    assert [zone["name"] for zone in user.json("zone", "list")] == ["example.com"]
    user.run("zone", "create", "example.com", code=1)
    user.run("cert", "list", "--zone", "nowhere.example", code=1)


def test_tokens(user: User) -> None:
    assert user.json("token", "verify")["status"] == "active"
    made = user.json(
        "token",
        "create",
        "reader",
        "--permission",
        "SSL and Certificates Read",
        "--zone",
        "example.com",
    )
    value = made["value"]
    assert value and value not in user.run("token", "list").stdout
    assert value not in user.run("token", "list", "--output", "json").stdout
    (user.home / "reader.token").write_text(value)
    reader = [
        "--api",
        user.server.url,
        "--token-file",
        "reader.token",
        "--zone",
        user.server.zone_id,
    ]
    assert user.listed(*reader) == []
    assert user.listed(*reader[:2], *reader[4:], CERTGATE_TOKEN=value) == []
    refused = user.run("cert", "issue", "--cn", "no", *reader, code=1)
    assert value not in refused.stderr and not (user.home / "no.key").exists()
    user.run("token", "revoke", made["id"])
    gone = user.run("cert", "list", *reader, code=1)
    assert value not in gone.stderr


def test_exit_codes(user: User, server: Server) -> None:
    assert certgate("nonsense", cwd=user.home).returncode == 2
    assert certgate("cert", "issue", cwd=user.home).returncode == 2
    assert certgate("cert", "list", "--status", "gone", cwd=user.home).returncode == 2
    user.run("cert", "show", "0" * 32, code=1)
    assert "CERTGATE_LISTN" in user.run("config", code=2, CERTGATE_LISTN="127.0.0.1:1").stderr
    (user.home / "certgate.toml").write_text("listn = '127.0.0.1:1'\n")
    unknown = user.run("config", code=2).stderr
    assert "listn" in unknown and "listen" in unknown
    (user.home / "certgate.toml").unlink()
    assert "clear" in user.run("serve", "--listen", "0.0.0.0:0", code=2).stderr.lower()
    server.stop()
    assert server.url in user.run("cert", "list", code=3).stderr


def test_completions() -> None:
    for shell in ("bash", "zsh", "fish"):
        script = certgate("completions", shell)
        assert script.returncode == 0 and "certgate" in script.stdout and "restore" in script.stdout
        assert script.stderr == ""
    script = certgate("completions", "bash").stdout
    checked = subprocess.run(["bash", "-n"], input=script, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr


def test_a_reader_that_closes_the_pipe_is_not_an_error(user: User) -> None:
    user.run("cert", "issue", "--cn", "device-1")
    line = f"{CERTGATE} cert list --output json | true"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", line],
        cwd=user.home,
        env=environment(),
        capture_output=True,
    )
    assert done.stderr == b"" and done.returncode == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user")
def test_a_directory_that_a_user_may_not_search_has_no_file(tmp_path: Path) -> None:
    """As for `runuser -u certgate -- certgate …` in the directory of root."""
    tmp_path.chmod(0o700)
    shown = certgate_unprivileged("config", cwd=tmp_path)
    assert shown.returncode == 0 and "listen" in shown.stdout, shown.stderr
    # A file that is there, and a file that is named, must be readable.
    with tempfile.TemporaryDirectory() as place:
        os.chmod(place, 0o755)
        file = Path(place, "certgate.toml")
        file.touch(0o600)
        shown = certgate_unprivileged("config", cwd=Path(place))
        assert shown.returncode == 2 and "certgate.toml" in shown.stderr, shown.stderr
    shown = certgate_unprivileged("config", "--config", tmp_path / "a.toml", cwd=Path("/"))
    assert shown.returncode == 2 and "a.toml" in shown.stderr, shown.stderr


def test_config_masks_secrets(user: User) -> None:
    key = "a5" * 32
    for output in ("table", "json"):
        shown = user.run(
            "config",
            "--output",
            output,
            "--listen",
            "127.0.0.1:1234",
            CERTGATE_MASTER_KEY=key,
            CERTGATE_LOG="warn",
        )
        assert key not in shown.stdout + shown.stderr
        assert (
            "127.0.0.1:1234" in shown.stdout
            and "--listen" in shown.stdout
            and "CERTGATE_LOG" in shown.stdout
        )


def test_help_shows_no_secret(user: User) -> None:
    secret = "b6" * 32
    nouns = [
        [],
        ["serve"],
        ["init"],
        ["check"],
        ["config"],
        ["cert"],
        ["cert", "issue"],
        ["token"],
        ["token", "create"],
        ["zone"],
        ["ca", "show"],
    ]
    for noun in nouns:
        shown = user.run(
            *noun,
            "--help",
            CERTGATE_TOKEN=secret,
            CERTGATE_MASTER_KEY=secret,
            CERTGATE_P12_PASSWORD=secret,
        )
        assert "Usage: certgate" in shown.stdout
        assert secret not in shown.stdout and user.server.token not in shown.stdout


def test_secrets_are_in_no_argument_and_in_no_readable_file(user: User) -> None:
    server = user.server
    assert server.process
    arguments = Path(f"/proc/{server.process.pid}/cmdline").read_text()
    variables = ""
    # Closed to all but root.
    with suppress(PermissionError):
        variables = Path(f"/proc/{server.process.pid}/environ").read_text()
    for secret in (server.token, (server.directory / "master.key").read_text().strip()):
        assert secret not in arguments and secret not in variables
    assert mode(server.directory) == 0o700
    for path in server.directory.iterdir():
        assert mode(path) & 0o077 == 0, path
    # Tokens are hashed and keys sealed: the database contains no usable secret.
    for path in server.directory.glob("certgate.db*"):
        assert server.token.encode() not in path.read_bytes(), path


def test_the_first_serve_makes_everything_and_prints_the_token_once(
    make_server: MakeServer, tmp_path: Path
) -> None:
    """Runs `serve` in an empty directory, as the first command of a new user."""
    server = make_server(init=None)
    server.adopt()
    assert mode(server.directory / "client.toml") == 0o600
    eventually("the welcome is told", lambda: server.log.count(server.token) >= 2)
    assert server.log.count(server.token) == 2, "once as itself, once in the line to paste"
    home = tmp_path / "home"
    home.mkdir()
    user = User(server, home)
    assert user.listed() == []
    server.terminate()
    server.ended(tells_token=True)

    server.log_path = tmp_path / "second.log"
    server.start()
    assert user.json("token", "verify")["status"] == "active"
    server.stop()
    assert "installation" not in server.log
