"""Imported CAs: openssl makes them, the command line imports them, openssl verifies their work."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kit.harness import KEYS, Api, Server, certgate, make_csr, openssl

# The key algorithms of a managed CA, and the older key format of openssl.
KINDS = {
    "P-256": "EC PRIVATE KEY",
    "P-384": "EC PRIVATE KEY",
    "RSA-2048": "RSA PRIVATE KEY",
    "RSA-3072": "RSA PRIVATE KEY",
    "RSA-4096": "RSA PRIVATE KEY",
    "Ed25519": None,
}


class Fleet:
    """A CA made by openssl, and an account with a zone that will import it."""

    def __init__(self, server: Server, kind: str, directory: Path) -> None:
        self.server, self.directory = server, directory
        self.certificate, self.key = directory / "ca.crt", directory / "ca.key"
        usage = ["-addext", "keyUsage=critical,keyCertSign,cRLSign"]
        subject = f"/O=Acme/CN=Acme {kind} CA"
        made = ["req", "-x509", *KEYS[kind], "-nodes", "-days", "7300", "-subj", subject, *usage]
        openssl(*made, "-keyout", self.key, "-out", self.certificate)
        api = server.api()
        self.account_id = api.call("POST", "/client/v4/accounts", {"name": directory.name}).result[
            "id"
        ]
        zone = {
            "name": f"{directory.name.replace('_', '-').lower()}.example",
            "account": {"id": self.account_id},
        }
        self.zone_id = api.call("POST", "/client/v4/zones", zone).result["id"]
        api.close()

    @property
    def api(self) -> Api:
        return Api(self.server.port, self.server.token, self.zone_id)

    def run(self, *arguments: str | Path, code: int = 0) -> tuple[str, str]:
        """Runs a command for the account. Returns standard output and standard error."""
        where = ["--api", self.server.url, "--account", self.account_id]
        done = certgate(*arguments, *where, cwd=self.directory, CERTGATE_TOKEN=self.server.token)
        assert done.returncode == code, (arguments, done.stdout, done.stderr)
        return done.stdout, done.stderr

    def imported(self, key: Path) -> Any:
        files = ["--certificate", self.certificate, "--key", key]
        return json.loads(self.run("ca", "import", *files, "--output", "json")[0])

    def issue(self) -> tuple[dict[str, Any], Path]:
        api = self.api
        made = api.issue(make_csr(self.directory), 365).result
        api.close()
        path = self.directory / f"{made['id']}.crt"
        path.write_text(made["certificate"])
        return made, path

    def issued_by_openssl(self) -> Path:
        request, path = self.directory / "elsewhere.csr", self.directory / "elsewhere.crt"
        request.write_text(make_csr(self.directory))
        openssl(
            "x509",
            "-req",
            "-in",
            request,
            "-CA",
            self.certificate,
            "-CAkey",
            self.key,
            "-days",
            "30",
            "-out",
            path,
        )
        return path

    def accepts(self, path: Path, authority: Path) -> bool:
        return "OK" in openssl("verify", "-purpose", "sslclient", "-CAfile", authority, path)


@pytest.fixture
def fleet(shared: Server, request: pytest.FixtureRequest, tmp_path: Path) -> Fleet:
    return Fleet(shared, request.param, tmp_path)


@pytest.mark.parametrize("fleet", list(KINDS), indirect=True)
def test_a_fleet_moves_to_an_imported_ca(fleet: Fleet, request: pytest.FixtureRequest) -> None:
    kind = request.node.callspec.params["fleet"]
    elsewhere = fleet.issued_by_openssl()
    imported = fleet.imported(fleet.key)
    assert (imported["algorithm"], imported["in_force"]) == (kind, True)
    assert imported["name"] == f"Acme {kind} CA"
    assert imported["certificate"].strip() == fleet.certificate.read_text().strip()
    made, path = fleet.issue()
    assert made["certificate_authority"]["id"] == imported["id"]
    for certificate in (elsewhere, path):
        assert fleet.accepts(certificate, fleet.certificate)
    fleet.server.secrets_are_kept()


@pytest.mark.parametrize("fleet", [kind for kind, label in KINDS.items() if label], indirect=True)
def test_a_key_in_openssls_older_form_is_read(fleet: Fleet, request: pytest.FixtureRequest) -> None:
    label = KINDS[request.node.callspec.params["fleet"]]
    older = fleet.directory / "older.key"
    openssl("pkey", "-in", fleet.key, "-traditional", "-out", older)
    assert older.read_text().startswith(f"-----BEGIN {label}-----\n")
    fleet.imported(older)
    assert fleet.accepts(fleet.issue()[1], fleet.certificate)


@pytest.mark.parametrize("fleet", ["P-256"], indirect=True)
def test_an_encrypted_key_is_refused_with_a_remedy(fleet: Fleet) -> None:
    locked = fleet.directory / "locked.key"
    openssl("pkey", "-in", fleet.key, "-aes256", "-passout", "pass:secret", "-out", locked)
    files = ["--certificate", fleet.certificate, "--key"]
    output, told = fleet.run("ca", "import", *files, locked, code=1)
    assert output == "" and "code 1465" in told and "openssl pkey -in" in told
    unlocked = fleet.directory / "unlocked.key"
    openssl("pkey", "-in", locked, "-passin", "pass:secret", "-out", unlocked)
    fleet.run("ca", "import", *files, unlocked)


@pytest.mark.parametrize("fleet", ["RSA-2048"], indirect=True)
def test_an_intermediate_ca_signs_too(fleet: Fleet) -> None:
    """Verifiers have the full chain. The account has its lowest CA."""
    root = fleet.certificate.rename(fleet.directory / "root.crt")
    root_key = fleet.key.rename(fleet.directory / "root.key")
    extensions = fleet.directory / "extensions"
    extensions.write_text(
        "basicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=critical,keyCertSign,cRLSign\n"
    )
    request = fleet.directory / "ca.csr"
    openssl(
        "req",
        "-new",
        *KEYS["P-384"],
        "-nodes",
        "-keyout",
        fleet.key,
        "-subj",
        "/CN=Below",
        "-out",
        request,
    )
    signer = ["-CA", root, "-CAkey", root_key, "-days", "3650", "-extfile", extensions]
    openssl("x509", "-req", "-in", request, *signer, "-out", fleet.certificate)
    fleet.imported(fleet.key)
    path = fleet.issue()[1]
    chain = ["-purpose", "sslclient", "-CAfile", root, "-untrusted", fleet.certificate]
    assert "OK" in openssl("verify", *chain, path)


@pytest.mark.parametrize("fleet", ["P-256"], indirect=True)
def test_after_rotations_each_chain_ends_in_the_ca_that_signed(fleet: Fleet) -> None:
    issued = [fleet.issue()]
    fleet.imported(fleet.key)
    issued.append(fleet.issue())
    told = fleet.run("ca", "rotate", "--yes", "--algorithm", "ed25519")[1]
    assert "from now on" in told and "stay valid, listed and revocable" in told
    issued.append(fleet.issue())
    path = f"/certgate/v1/accounts/{fleet.account_id}/managed_authorities"
    api = fleet.api
    listed = api.call("GET", path).result
    api.close()
    assert [authority["in_force"] for authority in listed] == [True, False, False]
    for made, path in issued:
        zone = ["--zone", fleet.zone_id, "--api", fleet.server.url]
        chain = certgate(
            "cert", "export", made["id"], "--chain", *zone, CERTGATE_TOKEN=fleet.server.token
        )
        assert chain.returncode == 0, chain.stderr
        authority = fleet.directory / f"{made['id']}.ca"
        authority.write_text(chain.stdout.removeprefix(made["certificate"]))
        assert fleet.accepts(path, authority)
        api = fleet.api
        revoked = f"/client/v4/zones/{fleet.zone_id}/client_certificates/{made['id']}"
        assert api.call("DELETE", revoked).result["status"] == "pending_revocation"
        api.close()
    assert len({made["certificate_authority"]["id"] for made, _ in issued}) == 3


def test_a_rotation_survives_a_restart(server: Server, api: Api, csr: str) -> None:
    old = api.issue(csr, 30).result
    home = ["--api", server.url]
    done = certgate("ca", "rotate", "--yes", *home, "--output", "json", CERTGATE_TOKEN=server.token)
    assert done.returncode == 0, done.stderr
    rotated = json.loads(done.stdout)
    server.stop()
    server.is_intact()
    server.start()
    again = server.api()
    new = again.issue(csr, 30).result
    assert new["certificate_authority"]["id"] == rotated["id"] != old["certificate_authority"]["id"]
    again.close()
