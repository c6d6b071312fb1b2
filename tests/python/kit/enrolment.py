"""A server that lets clients enrol, and the programs of clients that speak EST."""

from __future__ import annotations

import base64
import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509

from kit.harness import KEYS, MakeServer, Server, openssl

ZONE = "example.com"


class TlsFiles:
    """A CA, and the certificate that it signed for the enrolment listener."""

    def __init__(self, place: Path) -> None:
        self.ca, self.certificate, self.key = (
            place / name for name in ("enrol-ca.crt", "enrol.crt", "enrol.key")
        )
        self.ca_key = place / "enrol-ca.key"
        new = ["req", "-x509", *KEYS["P-256"], "-nodes"]
        self.ca.write_text(openssl(*new, "-keyout", self.ca_key, "-subj", "/CN=enrol CA"))
        self.renew()

    def renew(self, kind: str = "P-256") -> None:
        new = ["req", "-x509", *KEYS[kind], "-nodes", "-CA", self.ca, "-CAkey", self.ca_key]
        names = ["-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"]
        leaf = ["-addext", "basicConstraints=critical,CA:FALSE"]
        subject = ["-keyout", self.key, "-subj", "/CN=localhost"]
        self.certificate.write_text(openssl(*new, *subject, *names, *leaf))

    @property
    def flags(self) -> list[str]:
        files = ["--enrol-tls-certificate", self.certificate, "--enrol-tls-key", self.key]
        return ["--enrol-listen", "127.0.0.1:0", *map(str, files)]


@dataclass
class Device:
    """A client with a key and a certificate, in files."""

    key: Path
    certificate: Path
    id: str


class Enrolment:
    """A server with an enrolment listener."""

    def __init__(self, make_server: MakeServer, place: Path, *flags: str) -> None:
        self.place = place
        self.tls = TlsFiles(place)
        self.server: Server = make_server(*self.tls.flags, *flags)
        self.api = self.server.api()
        self.made = 0

    def url(self, operation: str, zone: str = ZONE) -> str:
        return f"https://127.0.0.1:{self.server.enrol_port}/.well-known/est/{zone}/{operation}"

    @property
    def pin(self) -> str:
        """The fingerprint of the server's certificate."""
        shown = ["-noout", "-fingerprint", "-sha256"]
        return openssl("x509", "-in", self.tls.certificate, *shown).strip()

    def device(self, name: str, kind: str = "P-256") -> Device:
        """Issues the first certificate of a client."""
        self.made += 1
        key, certificate = (self.place / f"{self.made}.{end}" for end in ("key", "crt"))
        issued = self.api.issue(self.csr(key, name, kind)).result
        certificate.write_text(issued["certificate"])
        return Device(key, certificate, issued["id"])

    def csr(self, key: Path, name: str, kind: str = "P-256", form: str = "PEM") -> str:
        """A request with a new key."""
        new = ["req", "-new", *KEYS[kind], "-nodes", "-keyout", key, "-subj", f"/CN={name}"]
        return openssl(*new, "-outform", form)

    def newest(self) -> dict[str, object]:
        return self.api.call("GET", f"{self.api.certificates}?per_page=5").result[0]


@dataclass
class Reply:
    """The answer to curl."""

    status: int
    headers: dict[str, list[str]]
    body: bytes

    @property
    def certificates(self) -> list[x509.Certificate]:
        """The certificates of a certs-only answer, as openssl reads them."""
        assert self.status == 200, (self.status, self.body)
        message = base64.b64decode(self.body)
        text = openssl("pkcs7", "-inform", "DER", "-print_certs", stdin=message)
        return x509.load_pem_x509_certificates(text.encode())

    @property
    def text(self) -> str:
        assert self.headers["content-type"] == ["text/plain; charset=utf-8"], self.headers
        return self.body.decode()


def curl(enrolment: Enrolment, operation: str, *arguments: str | Path, zone: str = ZONE) -> Reply:
    """Calls an operation with curl."""
    body = enrolment.place / "body"
    shown = ["-o", body, "-w", '{"status": %{http_code}, "headers": %{header_json}}']
    command = ["curl", "-sS", "--cacert", enrolment.tls.ca, *shown, *arguments]
    done = subprocess.run(
        [*map(str, command), enrolment.url(operation, zone)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    return Reply(answer["status"], answer["headers"], body.read_bytes())


def renew(enrolment: Enrolment, device: Device, csr: str, *arguments: str | Path) -> Reply:
    """Renews a certificate with curl, as RFC 7030 shows in its appendix A.3."""
    identity = ["--cert", device.certificate, "--key", device.key]
    body = ["-H", "Content-Type: application/pkcs10", "--data-binary", csr]
    return curl(enrolment, "simplereenroll", *identity, *body, *arguments)
