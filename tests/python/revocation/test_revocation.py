"""Revocation as openssl, pkilint and usual proxies see it."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from kit.harness import KEYS, Api, Server, eventually, openssl
from kit.proxies import Client, Envoy, Haproxy, Nginx, Proxy

ALGORITHMS = ["P-256", "P-384", "RSA-2048", "RSA-3072", "RSA-4096", "Ed25519"]


class Fleet:
    """An account with a CA of one algorithm and two clients, of which one is revoked."""

    def __init__(self, server: Server, algorithm: str, directory: Path) -> None:
        self.server, self.directory = server, directory
        self.api: Api = server.api()
        account = {"name": f"{algorithm} {directory.name}", "authority_algorithm": algorithm}
        account_id = self.api.call("POST", "/client/v4/accounts", account).result["id"]
        zone = {
            "name": f"{directory.name}.example".lower().replace("_", "-"),
            "account": {"id": account_id},
        }
        self.api.zone_id = self.api.call("POST", "/client/v4/zones", zone).result["id"]
        self.authority = self.api.call(
            "GET", f"/certgate/v1/accounts/{account_id}/managed_authority"
        ).result
        self.authority_file = directory / "authority.pem"
        self.authority_file.write_text(self.authority["certificate"] + "\n")
        eventually("its lists are published", self.published)
        self.revoked_id, self.revoked = self.client("revoked")
        self.other_id, self.other = self.client("other")

    def client(self, name: str) -> tuple[str, Client]:
        key, certificate = self.directory / f"{name}.key", self.directory / f"{name}.pem"
        csr = openssl(
            "req", "-new", *KEYS["P-256"], "-nodes", "-keyout", key, "-subj", f"/CN={name}"
        )
        made = self.api.issue(csr).result
        certificate.write_text(made["certificate"] + "\n")
        return made["id"], Client(certificate, key)

    def revoke(self) -> None:
        self.api.revoke(self.revoked_id)
        self.api.settled(self.revoked_id, "revoked")

    def restore(self) -> None:
        self.api.restore(self.revoked_id)
        self.api.settled(self.revoked_id, "active")

    def published(self) -> bool:
        try:
            return bool(self.bundle() and self.list("full.crl"))
        except urllib.error.HTTPError as error:
            assert error.code == 503 and error.headers["retry-after"] == "1"
            return False

    def fetch(self, path: str) -> bytes:
        with urllib.request.urlopen(
            f"http://127.0.0.1:{self.server.public_port}{path}", timeout=30
        ) as answer:
            return answer.read()

    def list(self, file: str) -> bytes:
        return self.fetch(f"/crl/{self.authority['id']}/{file}")

    def bundle(self) -> str:
        return self.list("bundle.pem").decode()


@pytest.fixture(params=ALGORITHMS)
def fleet(shared: Server, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Fleet]:
    fleet = Fleet(shared, request.param, tmp_path)
    yield fleet
    fleet.api.close()


@pytest.fixture
def one_fleet(shared: Server, tmp_path: Path) -> Iterator[Fleet]:
    fleet = Fleet(shared, "P-256", tmp_path)
    yield fleet
    fleet.api.close()


def verified(fleet: Fleet, client: Client, crl: Path) -> str:
    command = [
        "openssl",
        "verify",
        "-crl_check",
        "-purpose",
        "sslclient",
        "-CAfile",
        fleet.authority_file,
    ]
    done = subprocess.run(
        [*command, "-CRLfile", crl, client.certificate], capture_output=True, text=True
    )
    return "ok" if done.returncode == 0 else done.stderr


def crl_address(client: Client) -> str:
    """Returns the address of the list that the certificate names."""
    text = openssl("x509", "-in", client.certificate, "-noout", "-ext", "crlDistributionPoints")
    address = text.split("URI:", 1)[1].split()[0]
    return "/" + address.split("/", 3)[3]


def test_openssl_with_both_kinds_of_list(fleet: Fleet, tmp_path: Path) -> None:
    def both(client: Client) -> list[str]:
        said = []
        for path in (f"/crl/{fleet.authority['id']}/full.crl", crl_address(client)):
            der, crl = tmp_path / "list.der", tmp_path / "list.pem"
            der.write_bytes(fleet.fetch(path))
            crl.write_text(openssl("crl", "-inform", "DER", "-in", der))
            said.append(verified(fleet, client, crl))
        return said

    assert both(fleet.revoked) == both(fleet.other) == ["ok", "ok"]
    fleet.revoke()
    assert all("certificate revoked" in said for said in both(fleet.revoked))
    assert both(fleet.other) == ["ok", "ok"]
    fleet.restore()
    assert both(fleet.revoked) == ["ok", "ok"]


def asked(fleet: Fleet, client: Client, *more: str) -> str:
    url = f"http://127.0.0.1:{fleet.server.public_port}/ocsp"
    trust = ["-issuer", fleet.authority_file, "-CAfile", fleet.authority_file]
    done = subprocess.run(
        ["openssl", "ocsp", *trust, *more, "-cert", client.certificate, "-url", url],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0 and "Response verify OK" in done.stderr, done.stdout + done.stderr
    assert "WARNING" not in done.stderr, "the nonce came back"
    return done.stdout.split(": ", 1)[1].split()[0]


def test_openssl_asks_the_responder(fleet: Fleet) -> None:
    for digest in ("-sha1", "-sha256"):
        assert asked(fleet, fleet.revoked, digest) == "good"
        # OCSP reports the answered change, before it settles.
        assert fleet.api.revoke(fleet.revoked_id).result["status"] == "pending_revocation"
        assert asked(fleet, fleet.revoked, digest) == "revoked"
        assert asked(fleet, fleet.other, digest) == "good"
        assert fleet.api.restore(fleet.revoked_id).result["status"] == "pending_reactivation"
        assert asked(fleet, fleet.revoked, digest) == "good"
        fleet.api.settled(fleet.revoked_id, "active")


def lint(program: str, *arguments: str | Path) -> list[str]:
    """Returns the findings of pkilint at ERROR or above. No exceptions are allowed."""
    command = [
        Path(sys.executable).parent / program,
        "lint",
        "--severity",
        "ERROR",
        "--format",
        "JSON",
    ]
    done = subprocess.run([*command, *arguments], capture_output=True, text=True, timeout=60)
    results = json.loads(done.stdout)["results"]
    return [finding["code"] for result in results for finding in result["finding_descriptions"]]


def test_the_linter_finds_nothing_in_lists_and_answers(fleet: Fleet, tmp_path: Path) -> None:
    fleet.revoke()
    shard = crl_address(fleet.revoked).rsplit("/", 1)[1]
    for file, kind in (("full.crl", "CRL"), (shard, "CRL"), ("ca.crl", "ARL")):
        path = tmp_path / file
        path.write_bytes(fleet.list(file))
        assert (
            lint("lint_crl", "--type", kind, "--profile", "PKIX", "--document-format", "DER", path)
            == []
        ), file
    for client in (fleet.revoked, fleet.other):
        path = tmp_path / "response.der"
        asked(fleet, client, "-respout", str(path))
        assert lint("lint_ocsp_response", "--document-format", "DER", path) == []


@pytest.mark.parametrize("kind", [Nginx, Haproxy, Envoy])
def test_a_proxy_with_the_bundle(one_fleet: Fleet, kind: type[Proxy], tmp_path: Path) -> None:
    fleet = one_fleet

    def let_in(name: str) -> list[bool]:
        with kind(tmp_path / name, fleet.authority_file.read_text(), fleet.bundle()) as proxy:
            return [client.is_let_in(proxy.port) for client in (fleet.revoked, fleet.other)]

    assert let_in("before") == [True, True]
    fleet.revoke()
    assert let_in("revoked") == [False, True]
    fleet.restore()
    assert let_in("restored") == [True, True]


@pytest.mark.parametrize("algorithm", ["P-256", "RSA-2048"])
def test_nginx_asks_the_responder(shared: Server, algorithm: str, tmp_path: Path) -> None:
    fleet = Fleet(shared, algorithm, tmp_path)

    def let_in(name: str) -> list[bool]:
        # Restarted each time, because nginx caches an OCSP answer until it expires.
        with Nginx(tmp_path / name, fleet.authority_file.read_text(), None) as proxy:
            return [client.is_let_in(proxy.port) for client in (fleet.revoked, fleet.other)]

    assert let_in("before") == [True, True]
    fleet.api.revoke(fleet.revoked_id)
    assert let_in("revoked") == [False, True]
    fleet.api.restore(fleet.revoked_id)
    assert let_in("restored") == [True, True]
    fleet.api.close()
