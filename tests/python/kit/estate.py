"""CAs of every kind, and certificates that are good, revoked or restored."""

from __future__ import annotations

import random
import ssl
import subprocess
import urllib.request
from pathlib import Path
from typing import Any

from kit.harness import Api, Server

# The algorithms of CAs: with and without a delegate for OCSP.
ALGORITHMS = ["P-256", "P-384", "RSA-2048", "Ed25519"]

# Certificates of each CA.
CERTIFICATES = 51

# Reasons of RFC 5280 that are final. Without one of them, a revocation is a hold.
REASONS = ["keyCompromise", "affiliationChanged", "superseded", "cessationOfOperation"]

SEED = 14


class Leaf:
    def __init__(self, ca: Ca, made: dict[str, Any], file: Path) -> None:
        self.ca, self.file = ca, file
        self.id, self.serial = made["id"], int(made["serial_number"], 16)
        self.status = "good"
        file.write_bytes(ssl.PEM_cert_to_DER_cert(made["certificate"]))


class Ca:
    """An account with a CA of one algorithm, and its certificates."""

    def __init__(self, server: Server, algorithm: str, directory: Path) -> None:
        self.server, self.algorithm, self.directory = server, algorithm, directory
        directory.mkdir()
        self.api: Api = server.api()
        account = {"name": algorithm, "authority_algorithm": algorithm}
        account_id = self.api.call("POST", "/client/v4/accounts", account).result["id"]
        zone = {"name": f"{algorithm.lower()}.example", "account": {"id": account_id}}
        self.api.zone_id = self.api.call("POST", "/client/v4/zones", zone).result["id"]
        path = f"/certgate/v1/accounts/{account_id}/managed_authority"
        self.id = self.api.call("GET", path).result["id"]
        self.der = fetch(server, f"/ca/{self.id}.crt")
        self.file = directory / "ca.crt"
        self.file.write_bytes(self.der)
        self.pem = directory / "ca.pem"
        self.pem.write_text(ssl.DER_cert_to_PEM_cert(self.der))
        self.leaves: list[Leaf] = []

    def issue(self, csr: str) -> Leaf:
        made = self.api.issue(csr).result
        leaf = Leaf(self, made, self.directory / f"{made['id']}.crt")
        self.leaves.append(leaf)
        return leaf

    def change(self, leaf: Leaf, choice: random.Random) -> None:
        """Revokes some certificates, and restores some of those."""
        if choice.random() < 0.4:
            return
        path = f"{self.api.certificates}/{leaf.id}"
        reason = choice.choice([None, *REASONS])
        body = {"reason": reason} if reason else None
        assert self.api.call("DELETE", path, body).status == 200
        leaf.status = "revoked"
        if reason is None and choice.random() < 0.3:
            assert self.api.restore(leaf.id).status == 200
            leaf.status = "good"

    def settled(self) -> bool:
        counts = [self.api.total(f"pending_{what}") for what in ("revocation", "reactivation")]
        return counts == [0, 0]


def fetch(server: Server, path: str, body: bytes | None = None) -> bytes:
    url = f"http://127.0.0.1:{server.public_port}{path}"
    with urllib.request.urlopen(urllib.request.Request(url, body), timeout=30) as answer:
        return answer.read()


def certificates_in(response: bytes) -> list[bytes]:
    """Returns the certificates (DER) in an OCSP response, which openssl prints."""
    done = subprocess.run(
        ["openssl", "ocsp", "-respin", "/dev/stdin", "-resp_text", "-noverify"],
        input=response,
        capture_output=True,
        timeout=30,
    )
    end = "-----END CERTIFICATE-----"
    parts = done.stdout.decode(errors="replace").split("-----BEGIN CERTIFICATE-----")[1:]
    pem = ["-----BEGIN CERTIFICATE-----" + part.split(end)[0] + end for part in parts]
    return [ssl.PEM_cert_to_DER_cert(one) for one in pem]
