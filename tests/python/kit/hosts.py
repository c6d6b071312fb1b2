"""An account with two hostnames and a CA for each, for tests of enforcement points."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

from kit.authz import HOST, Client
from kit.client_certificates import Authority, pem
from kit.harness import KEYS, Server, openssl

OTHER_HOST = "other.example.com"


class Hosts:
    """`api.example.com` trusts the managed CA and an uploaded one, `other.example.com` another."""

    def __init__(self, server: Server, directory: Path) -> None:
        self.server, self.directory = server, directory
        directory.mkdir(exist_ok=True)
        self.api = server.api()
        self.uploaded, self.other = Authority("uploaded"), Authority("other")
        self.count = 0
        # The first certificate makes the managed CA.
        self.issue()
        self.associate([HOST])
        self.associate([HOST], self.upload(self.uploaded))
        self.associate([OTHER_HOST], self.upload(self.other))

    def upload(self, authority: Authority, *more: Authority) -> str:
        chain = "".join(pem(one.certificate) for one in (authority, *more))
        body = {"ca": True, "certificates": chain, "name": authority.name.rfc4514_string()}
        path = f"/client/v4/accounts/{self.server.made['account_id']}/mtls_certificates"
        return self.api.call("POST", path, body).result["id"]

    def associate(self, hostnames: list[str], authority: str | None = None) -> None:
        zone = f"/client/v4/zones/{self.server.zone_id}"
        body: dict[str, Any] = {"hostnames": hostnames}
        if authority:
            body["mtls_certificate_id"] = authority
        path = f"{zone}/certificate_authorities/hostname_associations"
        assert self.api.call("PUT", path, body).status == 200

    def issue(self) -> tuple[str, Client]:
        """A certificate of the managed CA: its ID and a client with it."""
        self.count += 1
        path = self.directory / f"client-{self.count}"
        key, certificate = path.with_suffix(".key"), path.with_suffix(".pem")
        new = ["req", "-new", *KEYS["P-256"], "-nodes", "-keyout", key]
        made = self.api.issue(openssl(*new, "-subj", f"/CN=client-{self.count}")).result
        certificate.write_text(made["certificate"])
        return made["id"], Client(certificate, key)

    def managed(self) -> str:
        """The certificate of the managed CA, PEM."""
        done = self.api.call(
            "GET", f"/certgate/v1/accounts/{self.server.made['account_id']}/enforcement"
        ).result
        cas = done["certificate_authorities"]
        (managed,) = [ca for ca in cas if ca["kind"] == "managed" and ca["state"] == "active"]
        return managed["certificate"]


def resumed(client: Client, port: int) -> tuple[ssl.SSLContext, ssl.SSLSession | None]:
    """The context and session of a connection of TLS 1.2, for a resumption."""
    context = client.context("http/1.1")
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with client.open(port, context=context) as stream:
        stream.sendall(b"GET / HTTP/1.1\r\nHost: api.example.com\r\nConnection: close\r\n\r\n")
        while stream.recv(65536):
            pass
        return context, stream.session
