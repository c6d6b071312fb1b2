"""A small EST server (RFC 7030) whose answers a test spoils, and judges of a pair of files."""

from __future__ import annotations

import base64
import os
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import pkcs7
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from kit.harness import openssl

# The link of an invite of this server.
INVITE = "https://invite.example/i/abc#s3cret"

LABEL = "/.well-known/est/example.com"

PEM = serialization.Encoding.PEM
DER = serialization.Encoding.DER


@dataclass
class Reply:
    """An answer in place of the server's own."""

    status: int
    text: str = ""
    headers: dict[str, str] = field(default_factory=dict)


def name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


class Authority:
    """A CA with its key."""

    def __init__(self, common_name: str, signer: Authority | None = None) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = name(common_name)
        signer = signer or self
        now = datetime.now(UTC)
        self.certificate = (
            x509.CertificateBuilder()
            .subject_name(self.name)
            .issuer_name(signer.name)
            .public_key(self.key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=3650))
            .not_valid_after(now + timedelta(days=3650))
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(signer.key, hashes.SHA256())
        )

    @property
    def fingerprint(self) -> str:
        return self.certificate.fingerprint(hashes.SHA256()).hex()

    def pem(self) -> str:
        return self.certificate.public_bytes(PEM).decode()

    def signs(
        self,
        subject: x509.Name,
        public_key: ec.EllipticCurvePublicKey,
        begin: datetime,
        end: datetime,
        *extensions: x509.ExtensionType,
    ) -> x509.Certificate:
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(begin)
            .not_valid_after(end)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        )
        for extension in extensions:
            builder = builder.add_extension(extension, critical=False)
        return builder.sign(self.key, hashes.SHA256())


class EstServer:
    """Issues to invites, and to the holders of certificates that it has not replaced yet."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(exist_ok=True)
        self.directory = directory
        self.root = Authority("EST root")
        self.authority = self.root
        # The CAs below the root that cacerts lists.
        self.issuing: list[Authority] = []
        self.tls = Authority("TLS root")
        # The lifetime of certificates, and the time that they have lived when they are issued.
        self.lifetime, self.age = timedelta(days=90), timedelta(hours=1)
        self.invites = {"abc": "s3cret"}
        self.requests: list[str] = []
        self.issued: list[x509.Certificate] = []
        # The certificate that replaced one, by the fingerprint of the old one.
        self.replaced: dict[bytes, x509.Certificate] = {}
        # Returns another answer for a request, or nothing.
        self.spoil: Callable[[str], Reply | None] = lambda path: None
        # Changes the certificates of an answer.
        self.send: Callable[[x509.Certificate], list[x509.Certificate]] = lambda one: [one]
        # The subject of new certificates, instead of that of the request.
        self.subject: x509.Name | None = None
        self.clock = 0.0
        self.lock = threading.Lock()
        self.port = 0
        self.server: ThreadingHTTPServer | None = None
        key = ec.generate_private_key(ec.SECP256R1())
        now = datetime.now(UTC)
        self.server_certificate = self.tls.signs(
            name("est"),
            key.public_key(),
            now - timedelta(days=3650),
            now + timedelta(days=3650),
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]),
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]),
        )
        encryption = serialization.NoEncryption()
        (directory / "tls.key").write_bytes(
            key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, encryption)
        )
        chain = self.server_certificate.public_bytes(PEM) + self.tls.certificate.public_bytes(PEM)
        (directory / "tls.crt").write_bytes(chain)

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}{LABEL}"

    @property
    def fingerprint(self) -> str:
        """The fingerprint of the CA above the server's certificate."""
        return self.tls.fingerprint

    def start(self) -> EstServer:
        """Starts it, on the same port as before."""
        est = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 30

            def do_GET(self) -> None:
                est.answer(self)

            def do_POST(self) -> None:
                est.answer(self)

            def log_message(self, *arguments: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 64

            def finish_request(self, request: ssl.SSLSocket, address: object) -> None:
                # The handshake is in the thread of the connection.
                request.settimeout(30)
                request.do_handshake()
                super().finish_request(request, address)

            def handle_error(self, request: object, address: object) -> None:
                pass

        self.server = Server(("127.0.0.1", self.port), Handler)
        self.port = self.server.server_address[1]
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.directory / "tls.crt", self.directory / "tls.key")
        context.verify_mode = ssl.CERT_OPTIONAL
        context.load_verify_locations(cadata=self.root.pem())
        self.server.socket = context.wrap_socket(
            self.server.socket, server_side=True, do_handshake_on_connect=False
        )
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def stop(self) -> None:
        if self.server:
            self.server.shutdown()
            self.server.server_close()
            self.server = None

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        length = int(handler.headers.get("Content-Length", 0))
        body = handler.rfile.read(length)
        operation = handler.path.removeprefix(LABEL + "/")
        with self.lock:
            self.requests.append(operation)
            reply = self.spoil(operation)
            if reply is None:
                reply = self.own(operation, handler, body)
        if reply.status == 0:
            handler.close_connection = True
            return
        octets = reply.text.encode()
        handler.send_response_only(reply.status)
        handler.send_header("Date", formatdate(time.time() + self.clock, usegmt=True))
        handler.send_header("Content-Length", str(len(octets)))
        for key, value in reply.headers.items():
            handler.send_header(key, value)
        handler.end_headers()
        handler.wfile.write(octets)

    def own(self, operation: str, handler: BaseHTTPRequestHandler, body: bytes) -> Reply:
        if operation == "cacerts":
            listed = [self.root, self.tls, *self.issuing]
            return self.message([authority.certificate for authority in listed])
        request = x509.load_der_x509_csr(base64.b64decode(body))
        assert request.is_signature_valid
        assert isinstance(handler.connection, ssl.SSLSocket)
        presented = handler.connection.getpeercert(binary_form=True)
        spki = request.public_key()
        if operation == "simpleenroll":
            given = handler.headers.get("Authorization", "").removeprefix("Basic ")
            user, _, secret = base64.b64decode(given).decode().partition(":")
            if self.invites.get(user) != secret:
                return Reply(401, "this invite does not exist, or its secret is wrong")
            return self.message(self.send(self.issue(request)))
        if operation == "simplereenroll":
            if presented is None:
                return Reply(401, "no client certificate")
            old = x509.load_der_x509_certificate(presented)
            if old.subject != request.subject:
                return Reply(403, "the subject is another one")
            # A lost answer: the same key gets the same certificate again.
            if (new := self.replaced.get(presented)) is not None:
                if new.public_key() == spki:
                    return self.message(self.send(new))
                return Reply(403, "this certificate was replaced")
            new = self.issue(request)
            self.replaced[presented] = new
            return self.message(self.send(new))
        return Reply(404, "no such operation")

    def issue(self, request: x509.CertificateSigningRequest) -> x509.Certificate:
        begin = datetime.now(UTC) + timedelta(seconds=self.clock) - self.age
        extensions = [
            extension.value
            for extension in request.extensions
            if isinstance(extension.value, x509.SubjectAlternativeName)
        ]
        usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])
        key = request.public_key()
        assert isinstance(key, ec.EllipticCurvePublicKey)
        made = self.authority.signs(
            self.subject or request.subject, key, begin, begin + self.lifetime, usage, *extensions
        )
        self.issued.append(made)
        return made

    @staticmethod
    def message(certificates: list[x509.Certificate]) -> Reply:
        text = base64.encodebytes(pkcs7.serialize_certificates(certificates, DER)).decode()
        headers = {
            "Content-Type": "application/pkcs7-mime; smime-type=certs-only",
            "Content-Transfer-Encoding": "base64",
        }
        return Reply(200, text, headers)

    def posts(self) -> int:
        """The number of requests for certificates."""
        return sum(operation != "cacerts" for operation in self.requests)


class Files:
    """A certificate and its key on the disk of a client."""

    def __init__(self, est: EstServer, certificate: Path, key: Path) -> None:
        self.est, self.certificate, self.key = est, certificate, key
        self.authorities = est.directory / "authorities.pem"

    @property
    def folder(self) -> Path:
        return self.certificate.with_name(self.certificate.name + ".d")

    def serial(self) -> str:
        return openssl("x509", "-in", self.certificate, "-noout", "-serial").strip()

    def works(self) -> str:
        """Judges the pair with openssl: the path to the CA, and that the key belongs to it."""
        self.authorities.write_text(self.est.root.pem())
        between = self.est.directory / "between.pem"
        between.write_text(self.est.authority.pem())
        judged = openssl(
            "verify", "-CAfile", self.authorities, "-untrusted", between, self.certificate
        )
        assert judged.endswith(": OK\n"), judged
        of_key = openssl("pkey", "-in", self.key, "-pubout")
        assert openssl("x509", "-in", self.certificate, "-noout", "-pubkey") == of_key
        return self.serial()

    def forget_attempts(self) -> None:
        """Ends the least interval between two certificates."""
        (self.folder / "attempts.json").unlink(missing_ok=True)

    def due(self) -> None:
        """Writes a pair that is due, with the age of most of its lifetime."""
        self.write(timedelta(days=30), timedelta(days=29))

    def write(self, lifetime: timedelta, age: timedelta, kind: str = "P-256") -> None:
        """Writes a new pair of plain files."""
        curve = {"P-256": ec.SECP256R1(), "P-384": ec.SECP384R1()}[kind]
        key = ec.generate_private_key(curve)
        begin = datetime.now(UTC) - age
        made = self.est.authority.signs(
            x509.Name(
                [
                    x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Example"),
                    x509.NameAttribute(NameOID.COMMON_NAME, "device-7"),
                ]
            ),
            key.public_key(),
            begin,
            begin + lifetime,
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]),
            x509.SubjectAlternativeName([x509.DNSName("device-7.example.com")]),
        )
        encryption = serialization.NoEncryption()
        text = key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, encryption)
        certificate = made.public_bytes(PEM)
        if self.certificate == self.key:
            certificate = text + certificate
        for path, content in {self.key: text, self.certificate: certificate}.items():
            new = path.with_name(path.name + ".new")
            new.write_bytes(content)
            new.chmod(0o640 if path == self.key else 0o644)
            os.replace(new, path)


def leftovers(directory: Path) -> list[str]:
    """The temporary files that are left."""
    return sorted(str(path) for path in directory.rglob("*certgate-partial*"))
