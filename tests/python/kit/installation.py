"""An installation with each kind of object, and all that a server says about it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding

from kit.audit import USER_LOG, log
from kit.backups import Verifier, changes_now, fetch, talking
from kit.enforcement_points import Points
from kit.harness import KEYS, Api, Server, certgate, eventually, openssl

STATUSES = ("all", "active", "revoked", "pending_revocation", "pending_reactivation")


class Estate:
    """An installation with each kind of object."""

    def __init__(self, server: Server, csr: str, directory: Path) -> None:
        self.server, self.directory = server, directory
        with talking(server) as api:
            account = f"/client/v4/accounts/{server.made['account_id']}"
            other = api.call("POST", "/client/v4/accounts", {"name": "Other"}).result
            zones = [("second.example", server.made["account_id"]), ("third.example", other["id"])]
            bodies = [{"name": name, "account": {"id": owner}} for name, owner in zones]
            self.zones = [
                server.zone_id,
                *(api.call("POST", "/client/v4/zones", body).result["id"] for body in bodies),
            ]
            self.accounts = [server.made["account_id"], other["id"]]

            names = ("active", "revoked", "dead", "freed", "held")
            self.certificates = {name: api.issue(csr).result for name in names}
            self.verifiers = [Verifier(server, api)]
            for zone in self.zones[1:]:
                elsewhere = Api(server.port, server.token, zone)
                self.certificates[zone] = elsewhere.issue(csr).result
                assert elsewhere.issue(csr).status == 200
                elsewhere.close()
            ours = f"/certgate/v1/accounts/{server.made['account_id']}"
            assert api.call("POST", f"{ours}/managed_authorities/rotate").status == 200
            self.certificates["after the rotation"] = api.issue(csr).result
            self.verifiers.append(Verifier(server, api))

            key, root = directory / "root.key", directory / "root.crt"
            usage = ["-addext", "keyUsage=critical,keyCertSign,cRLSign"]
            made = [
                "req",
                "-x509",
                *KEYS["P-256"],
                "-nodes",
                "-days",
                "90",
                "-subj",
                "/CN=Brought",
                *usage,
            ]
            openssl(*made, "-keyout", key, "-out", root)
            body = {"certificates": root.read_text(), "ca": True, "name": "brought"}
            self.brought = api.call("POST", f"{account}/mtls_certificates", body).result["id"]
            for hostnames in (
                {"hostnames": ["a.example.com", "b.example.com"]},
                {"hostnames": ["c.example.com"], "mtls_certificate_id": self.brought},
            ):
                assert api.call("PUT", self.hostnames(server.zone_id), hostnames).status == 200
            reader = [
                "--permission",
                "SSL and Certificates Read",
                "--zone",
                "third.example",
                "--output",
                "json",
            ]
            self.token = json.loads(self.run("token", "create", "reader", *reader))["value"]

            self.points = Points(server, api)
            edge = self.points.register("edge", 3600)
            api.revoke(self.id("revoked"))
            api.revoke(self.id("freed"))
            path = f"{api.certificates}/{self.id('dead')}"
            assert api.call("DELETE", path, {"reason": "keyCompromise"}).status == 200
            self.points.acknowledge(edge, self.points.changes(0)["epoch"])
            for name in ("revoked", "freed", "dead"):
                api.settled(self.id(name), "revoked")
            # Pending changes that wait for the enforcement point.
            api.revoke(self.id("held"))
            assert api.restore(self.id("freed")).status == 200
            self.edge = edge
            held, freed = self.certificates["held"], self.certificates["freed"]
            listed = self.verifiers[0].listed
            eventually(
                "the lists are made",
                lambda: [*listed(held), *listed(freed)] == [True, True, False, False],
            )

    def record(self) -> dict[str, Any]:
        """Returns all that `recorded` needs to find this installation again."""
        verifiers = [
            (one.authority_id, one.authority.public_bytes(Encoding.PEM).decode())
            for one in self.verifiers
        ]
        names = ("zones", "accounts", "brought", "token", "certificates")
        return {name: getattr(self, name) for name in names} | {"verifiers": verifiers}

    @classmethod
    def recorded(cls, server: Server, record: dict[str, Any]) -> Estate:
        """Returns an installation that another process made."""
        estate = cls.__new__(cls)
        for name, value in record.items():
            setattr(estate, name, value)
        estate.server = server
        estate.verifiers = [Verifier.of(server, *one) for one in record["verifiers"]]
        return estate

    def run(self, *arguments: str) -> str:
        done = certgate(*arguments, "--api", self.server.url, CERTGATE_TOKEN=self.server.token)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def id(self, name: str) -> str:
        return self.certificates[name]["id"]

    def hostnames(self, zone: str) -> str:
        return f"/client/v4/zones/{zone}/certificate_authorities/hostname_associations"

    def said(self, server: Server) -> dict[str, Any]:
        """Returns the answers of a server about the installation."""
        said: dict[str, Any] = {}
        with talking(server) as api:
            tokens = api.call("GET", "/client/v4/user/tokens").result
            # The token of the request itself is in use.
            said["tokens"] = [{**token, "last_used_on": None} for token in tokens]
            hostnames = self.hostnames(server.zone_id)
            brought = f"{hostnames}?mtls_certificate_id={self.brought}"
            for path in ("/client/v4/accounts", "/client/v4/zones", hostnames, brought):
                said[path] = api.call("GET", path).result
            said["user log"] = log(api, USER_LOG)
            for account in self.accounts:
                ours = f"/certgate/v1/accounts/{account}"
                said[account] = [
                    log(api, f"/client/v4/accounts/{account}/logs/audit"),
                    api.call("GET", f"/client/v4/accounts/{account}/mtls_certificates").result,
                    api.call("GET", f"{ours}/managed_authorities").result,
                    sorted(api.call("GET", f"{ours}/revocations").text.splitlines()),
                    api.call("GET", f"{ours}/enforcement_points").json["result"],
                    changes_now(Points(server, api), 0).result,
                ]
            for zone in self.zones:
                there = Api(server.port, server.token, zone)
                said[zone] = {
                    status: (there.total(status), there.every(status, 3)) for status in STATUSES
                }
                there.close()
        reader = Api(server.port, self.token, self.zones[2])
        said["of the reader"] = [reader.total(), reader.issue("no request").status]
        reader.close()
        for number, verifier in enumerate(self.verifiers):
            verifier.server = server
            files = ["full.crl", *(f"{shard}.crl" for shard in range(128))]
            said[f"lists {number}"] = [
                hashlib.sha256(fetch(server, f"/crl/{verifier.authority_id}/{file}")).hexdigest()
                for file in files
            ]
        first = ("active", "revoked", "dead", "freed", "held")
        said["ocsp"] = {name: self.verifiers[0].ocsp(self.certificates[name]) for name in first}
        said["ocsp"]["new"] = self.verifiers[1].ocsp(self.certificates["after the rotation"])
        return said
