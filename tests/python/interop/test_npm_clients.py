"""Cloudflare's command lines: wrangler, the newest one for Node.js 20, and cf."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from kit import clients
from kit.harness import KEYS, REPOSITORY, Server, environment, needs, openssl
from kit.judges import PROGRAMS, compiled

SOURCE = REPOSITORY / "tests/npm"


@pytest.fixture(scope="module")
def packages() -> Path:
    """Installs the packages of the lock file below `target`."""
    directory = PROGRAMS / "npm"
    directory.mkdir(parents=True, exist_ok=True)
    wanted = (SOURCE / "package-lock.json").read_bytes()
    stamp = directory / "installed.json"
    if not stamp.exists() or stamp.read_bytes() != wanted:
        for file in ("package.json", "package-lock.json"):
            shutil.copy(SOURCE / file, directory / file)
        install = ["ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        compiled(needs("npm"), *install, cwd=directory)
        # Written last: an installation without it is unfinished.
        stamp.write_bytes(wanted)
    return directory / "node_modules"


class Program:
    """A program of an npm package, with the address and the token of a server."""

    def __init__(self, packages: Path, name: str, server: Server, home: Path) -> None:
        self.path, self.name, self.home = packages / ".bin" / name, name, home
        self.version = json.loads((packages / name / "package.json").read_text())["version"]
        api = f"{server.url}/client/v4"
        self.environment = environment(
            CLOUDFLARE_API_BASE_URL=api,
            CLOUDFLARE_BASE_URL=api,
            CLOUDFLARE_API_TOKEN=server.token,
            CLOUDFLARE_ACCOUNT_ID=server.made["account_id"],
            WRANGLER_SEND_METRICS="false",
            CI="1",
            HOME=str(home),
        )

    def run(self, *arguments: str | Path) -> str:
        done = subprocess.run(
            [self.path, *arguments],
            cwd=self.home,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, f"{self.name} {arguments}: {done.stdout}{done.stderr}"
        return done.stdout


def test_wrangler(server: Server, packages: Path, tmp_path: Path) -> None:
    wrangler = Program(packages, "wrangler", server, tmp_path)
    assert server.made["account_id"] in wrangler.run("whoami")
    manage = "mtls-certificate"
    ids = {}
    for name in ("first", "second"):
        certificate, key = tmp_path / f"{name}.pem", tmp_path / f"{name}.key"
        new = ["req", "-x509", *KEYS["P-256"], "-nodes", "-keyout", key, "-subj", f"/CN={name}"]
        certificate.write_text(openssl(*new))
        said = wrangler.run(manage, "upload", "--cert", certificate, "--key", key, "--name", name)
        ids[name] = re.search(r"ID: (\S+)", said)[1]

    def listed() -> list[str]:
        return re.findall(r"^Name: (\S+)", wrangler.run(manage, "list"), re.MULTILINE)

    assert listed() == ["second", "first"]
    # Its newest certificate has another name.
    wrangler.run(manage, "delete", "--name", "first")
    assert listed() == ["second"]
    wrangler.run(manage, "delete", "--id", ids["second"])
    assert listed() == []
    operations = "whoami, and mtls-certificate upload, list, delete by ID and by name"
    clients.works("wrangler", wrangler.version, operations)


def test_cf(server: Server, packages: Path, tmp_path: Path) -> None:
    cf = Program(packages, "cf", server, tmp_path)
    account = server.made["account_id"]
    assert [one["id"] for one in json.loads(cf.run("accounts", "list"))] == [account]
    assert json.loads(cf.run("accounts", "get", "--account-id", account))["id"] == account
    assert [one["id"] for one in json.loads(cf.run("zones", "list"))] == [server.zone_id]
    assert json.loads(cf.run("accounts", "tokens", "list", "--account-id", account)) == []
    # It asks a fixed address whether a token is valid.
    said = json.loads(cf.run("auth", "whoami"))
    assert said["authenticated"] and said["tokenValid"] is False
    operations = "accounts list and get, accounts tokens list, zones list"
    limit = "auth whoami asks Cloudflare, and it has no commands for certificates"
    clients.works("cf", cf.version, operations, limit)
