"""TLS libraries that make requests for certificates and let clients in by certificate."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from kit.harness import KEYS, REPOSITORY, needs, openssl
from kit.judges import PROGRAMS, compiled, java, run
from kit.proxies import Proxy

PASSWORD = "changeit"


@dataclass
class Request:
    """A request that a program made, and its key (PEM)."""

    family: str
    kind: str
    csr: str
    key: Path


@cache
def mbedtls_program() -> Path:
    program = PROGRAMS / "mbedtls"
    PROGRAMS.mkdir(parents=True, exist_ok=True)
    libraries = ["-lmbedtls", "-lmbedx509", "-lmbedcrypto"]
    source = REPOSITORY / "tests/c/mbedtls.c"
    compiled(needs("cc"), "-O1", "-o", program, source, *libraries, cwd=REPOSITORY)
    return program


def openssl_requests(directory: Path) -> list[Request]:
    made = []
    # Longer RSA keys take seconds, and requests for them look alike.
    kinds = {kind: new for kind, new in KEYS.items() if kind not in ("RSA-3072", "RSA-4096")}
    for kind, arguments in kinds.items():
        key = directory / f"openssl-{kind}.key"
        new = ["req", "-new", *arguments, "-nodes", "-keyout", key, "-subj", "/O=A/CN=openssl"]
        made.append(Request("OpenSSL", kind, openssl(*new), key))
    return made


def gnutls_requests(directory: Path) -> list[Request]:
    template = directory / "template"
    template.write_text('cn = "gnutls"\norganization = "A"\nsigning_key\ntls_www_client\n')
    kinds = {
        "RSA-2048": (["--key-type=rsa", "--bits=2048"], []),
        "RSA-2048, PSS": (["--key-type=rsa", "--bits=2048"], ["--sign-params=rsa-pss"]),
        "P-256": (["--key-type=ecdsa", "--curve=secp256r1"], []),
        "P-384": (["--key-type=ecdsa", "--curve=secp384r1"], []),
        "P-521": (["--key-type=ecdsa", "--curve=secp521r1"], []),
        "Ed25519": (["--key-type=ed25519"], []),
    }
    made = []
    for kind, (new, sign) in kinds.items():
        key, request = directory / f"gnutls-{kind}.key", directory / f"gnutls-{kind}.csr"
        run(
            needs("certtool"),
            "--generate-privkey",
            "--pkcs8",
            "--no-text",
            *new,
            "--outfile",
            key,
            "--password",
            "",
        )
        ask = ["--generate-request", "--template", template, "--load-privkey", key]
        run("certtool", *ask, *sign, "--outfile", request)
        made.append(Request("GnuTLS", kind, request.read_text(), key))
    return made


def mbedtls_requests(directory: Path) -> list[Request]:
    kinds = {"RSA-2048": "rsa", "P-256": "secp256r1", "P-384": "secp384r1", "P-521": "secp521r1"}
    made = []
    for kind, name in kinds.items():
        key = directory / f"mbedtls-{kind}.key"
        csr = run(mbedtls_program(), "csr", name, "O=A,CN=mbedtls", key)
        made.append(Request("Mbed TLS", kind, csr, key))
    return made


def java_requests(directory: Path) -> list[Request]:
    kinds = {
        "RSA-2048": ["-keyalg", "RSA", "-keysize", "2048"],
        "P-256": ["-keyalg", "EC", "-groupname", "secp256r1"],
        "P-384": ["-keyalg", "EC", "-groupname", "secp384r1"],
        "P-521": ["-keyalg", "EC", "-groupname", "secp521r1"],
        "Ed25519": ["-keyalg", "Ed25519"],
    }
    lines, made = [], []
    for kind, new in kinds.items():
        # The default of Java is PKCS #12, which openssl reads.
        store = directory / f"java-{kind}.p12"
        common = ["-keystore", str(store), "-storepass", PASSWORD, "-alias", "a"]
        lines.append(["-genkeypair", *common, "-dname", "CN=java, O=A", *new])
        signatures: list[list[str]] = [[]]
        if kind == "RSA-2048":
            signatures.append(["-sigalg", "RSASSA-PSS"])
        for sign in signatures:
            request = directory / f"java-{len(made)}.csr"
            lines.append(["-certreq", *common, *sign, "-file", str(request)])
            name = f"{kind}, PSS" if sign else kind
            made.append((name, request, store))
    script = directory / "keytool"
    script.write_text("".join("\t".join(line) + "\n" for line in lines))
    run(*java("Keytool", script))
    return [
        Request("Java", kind, request.read_text(), key_of(store, PASSWORD))
        for kind, request, store in made
    ]


def key_of(store: Path, password: str) -> Path:
    """Reads the key of a PKCS #12 file."""
    key = store.with_suffix(".key")
    read = ["pkcs12", "-in", store, "-passin", f"pass:{password}", "-nocerts", "-nodes"]
    key.write_text(openssl(*read))
    return key


class NssDatabase:
    """A new database without a password."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        directory.mkdir()
        self.noise = directory / "noise"
        self.noise.write_bytes(os.urandom(64))
        self.run("-N", "--empty-password")

    def run(self, *arguments: str | Path) -> str:
        return run(needs("certutil"), *arguments, "-d", self.directory)


def nss_requests(directory: Path) -> list[Request]:
    kinds = {
        "RSA-2048": ["-k", "rsa", "-g", "2048"],
        "P-256": ["-k", "ec", "-q", "nistp256"],
        "P-384": ["-k", "ec", "-q", "nistp384"],
        "P-521": ["-k", "ec", "-q", "nistp521"],
    }
    made = []
    for kind, new in kinds.items():
        database = NssDatabase(directory / f"nss-{kind}")
        subject = ["-s", "CN=nss,O=A"]
        csr = database.run("-R", "-a", "-z", database.noise, *subject, *new)
        csr = csr[csr.index("-----BEGIN") :]
        # pk12util exports a key with its certificate: a self-signed one is enough.
        (key_id,) = (line.split()[3] for line in database.run("-K").splitlines() if "<" in line)
        self_signed = ["-S", "-x", "-n", "a", "-t", ",,", "-k", key_id, "-z", database.noise]
        database.run(*self_signed, *subject)
        store = directory / f"nss-{kind}.p12"
        export = ["-o", store, "-n", "a", "-d", database.directory, "-W", PASSWORD, "-K", ""]
        run(needs("pk12util"), *export)
        made.append(Request("NSS", kind, csr, key_of(store, PASSWORD)))
    return made


MAKERS = {
    "OpenSSL": openssl_requests,
    "GnuTLS": gnutls_requests,
    "NSS": nss_requests,
    "Java": java_requests,
    "Mbed TLS": mbedtls_requests,
}


class OpensslServer(Proxy):
    def command(self) -> list[str]:
        own = [
            "-cert",
            str(self.certificate),
            "-key",
            str(self.key),
            "-CAfile",
            str(self.authority),
        ]
        verify = ["-Verify", "1", "-verify_return_error", "-www", "-quiet"]
        return ["openssl", "s_server", "-accept", f"127.0.0.1:{self.port}", *own, *verify]


class GnutlsServer(Proxy):
    def command(self) -> list[str]:
        own = [f"--x509certfile={self.certificate}", f"--x509keyfile={self.key}"]
        verify = [f"--x509cafile={self.authority}", "--require-client-cert", "--verify-client-cert"]
        return [needs("gnutls-serv"), "--http", "--port", str(self.port), *own, *verify]


class NssServer(Proxy):
    def command(self) -> list[str]:
        database = NssDatabase(self.directory / "nss")
        database.run("-A", "-n", "ca", "-t", "T,,", "-a", "-i", self.authority)
        run(
            needs("pk12util"),
            "-i",
            self.store(),
            "-d",
            database.directory,
            "-W",
            PASSWORD,
            "-K",
            "",
        )
        serve = ["-p", str(self.port), "-d", str(database.directory), "-n", "own"]
        return [needs("selfserv"), *serve, "-rr", "-V", "tls1.2:tls1.3"]

    def store(self) -> Path:
        store = self.directory / "own.p12"
        own = ["-in", self.certificate, "-inkey", self.key, "-name", "own"]
        openssl("pkcs12", "-export", *own, "-passout", f"pass:{PASSWORD}", "-out", store)
        return store


class JavaServer(NssServer):
    def command(self) -> list[str]:
        return java("ClientAuth", str(self.port), self.authority, self.store(), PASSWORD)


class MbedtlsServer(Proxy):
    def command(self) -> list[str]:
        own = [str(self.authority), str(self.certificate), str(self.key)]
        return [str(mbedtls_program()), "serve", str(self.port), *own]


SERVERS = {
    "OpenSSL": OpensslServer,
    "GnuTLS": GnutlsServer,
    "NSS": NssServer,
    "Java": JavaServer,
    "Mbed TLS": MbedtlsServer,
}

# Keys that a family cannot verify.
LIMITS = {"NSS": {"Ed25519"}, "Mbed TLS": {"Ed25519"}}


def version(family: str) -> str:
    """Returns the version of a family on this machine."""
    commands = {
        "OpenSSL": ["openssl", "version"],
        "GnuTLS": ["certtool", "--version"],
        "NSS": ["dpkg-query", "--show", "--showformat=${Version}", "libnss3-tools"],
        "Java": ["java", "--version"],
        "Mbed TLS": [str(mbedtls_program()), "version"],
    }
    # Debian's version of NSS begins with an epoch.
    found = re.search(r"(?:^|[ :])(\d+\.[0-9.]*\d)", run(*commands[family]))
    assert found
    return found[1]
