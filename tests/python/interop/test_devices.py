"""docs/devices.md: each recipe that this machine can run, against a service behind mTLS."""

from __future__ import annotations

import os
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from kit import clients
from kit.enrolment import TlsFiles
from kit.harness import MakeServer, certgate, environment, needs
from kit.pages import blocks, programs

PAGE = "docs/devices.md"
NAME = "laptop-17"
WORKS = "the recipe of [devices.md](devices.md)"

# Browsers start slowly on a busy machine.
BROWSER_SECONDS = 120


class Service:
    """An HTTPS server that greets the owner of the client certificate, and refuses all others."""

    def __init__(self, tls: TlsFiles, authority: str) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tls.certificate, tls.key)
        context.load_verify_locations(cadata=authority)
        context.verify_mode = ssl.CERT_REQUIRED
        # The common name and the program of each request.
        self.greeted: list[tuple[str, str]] = []
        greeted = self.greeted

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                subject = dict(part[0] for part in self.connection.getpeercert()["subject"])
                greeted.append((subject["commonName"], self.headers.get("user-agent", "")))
                body = f"hello {subject['commonName']}\n".encode()
                self.send_response(200)
                self.send_header("Content-Type", "text/plain")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """The test looks at the answers."""

        class Quiet(ThreadingHTTPServer):
            def handle_error(self, *_: object) -> None:
                """A client without a certificate."""

            def finish_request(self, request: object, address: object) -> None:
                # The handshake is in the thread of the connection.
                super().finish_request(context.wrap_socket(request, server_side=True), address)

        self.server = Quiet(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"https://localhost:{self.server.server_address[1]}"


class Home:
    """The directory of a user with the files of the certificate, and the service."""

    def __init__(self, directory: Path, service: Service, tls: TlsFiles) -> None:
        self.directory, self.service, self.tls = directory, service, tls

    def code(self, heading: str, language: str = "sh") -> list[str]:
        """The blocks below a heading, with the address of the service."""
        text = f"## {heading}"
        following = HEADINGS[HEADINGS.index(text) + 1]
        found = [code for kind, code in blocks(PAGE, text, following) if kind == language]
        return [code.replace("https://service.example.com", self.service.url) for code in found]

    def variables(self, **more: str) -> dict[str, str]:
        # OpenSSL, Go and Python trust the CA of the service.
        trust = {"SSL_CERT_FILE": str(self.tls.ca), "CURL_CA_BUNDLE": str(self.tls.ca)}
        variables = environment(HOME=str(self.directory), **trust, **more)
        return variables | {"PATH": programs(self.directory)}

    def run(self, *command: str | Path, **more: str) -> str:
        done = subprocess.run(
            [*map(str, command)],
            cwd=self.directory,
            env=self.variables(**more),
            capture_output=True,
            text=True,
            timeout=BROWSER_SECONDS,
        )
        assert done.returncode == 0, (command, done.stdout, done.stderr)
        return done.stdout

    def sh(self, script: str, **more: str) -> str:
        return self.run("sh", "-eu", "-c", script, **more)

    def nss(self, folder: Path) -> None:
        """Makes the certificate store of a browser that trusts the service."""
        folder.mkdir(parents=True)
        self.run(needs("certutil"), "-N", "-d", f"sql:{folder}", "--empty-password")
        trusted = ("-A", "-t", "C,,", "-n", "service", "-i", self.tls.ca)
        self.run("certutil", *trusted, "-d", f"sql:{folder}")


HEADINGS = [
    "# Use a certificate on a device",
    "## Firefox",
    "## Chrome and Chromium",
    "## curl",
    "## Go",
    "## Python",
    "## Java",
    "## Routers and gateways by EST",
]


@pytest.fixture
def home(make_server: MakeServer, tmp_path: Path) -> Iterator[Home]:
    directory = tmp_path / "home"
    directory.mkdir()
    server = make_server(name="home/certgate-data")
    address = {"CERTGATE_API": server.url, "CERTGATE_TOKEN": server.token}
    authority = certgate("ca", "export", **address).stdout
    tls = TlsFiles(tmp_path)
    service = Service(tls, authority)
    home = Home(directory, service, tls)
    (directory / "password.txt").write_text("secret\n")
    first, *_ = (code for kind, code in blocks(PAGE) if kind == "sh")
    home.sh(first, CERTGATE_P12_PASSWORD="secret", **address)
    yield home
    service.server.shutdown()


def version(*command: str) -> str:
    """The version that a program prints, its first word with a digit and a point."""
    shown = subprocess.run(command, capture_output=True, text=True, timeout=60).stdout
    return next(word for word in shown.split() if word[0].isdigit() and "." in word)


def test_a_client_without_the_certificate_is_refused(home: Home) -> None:
    command = ["curl", "-sS", "--cacert", home.tls.ca, f"{home.service.url}/"]
    assert subprocess.run(command, capture_output=True).returncode != 0
    assert home.service.greeted == []


def test_curl(home: Home) -> None:
    needs("curl")
    (call,) = home.code("curl")
    assert home.sh(call) == f"hello {NAME}\n"
    clients.works("curl", version("curl", "--version"), WORKS)


def test_go(home: Home) -> None:
    (program,) = home.code("Go", "go")
    (home.directory / "get.go").write_text(program)
    cache = str(Path(home.directory, "cache"))
    assert home.run(needs("go"), "run", "get.go", GOCACHE=cache) == f"hello {NAME}\n"
    shown = subprocess.run(["go", "env", "GOVERSION"], capture_output=True, text=True, timeout=60)
    clients.works("Go", shown.stdout.strip().removeprefix("go"), WORKS)


def test_python(home: Home) -> None:
    (program,) = home.code("Python", "python")
    assert home.run(sys.executable, "-c", program) == f"hello {NAME}\n"
    clients.works("Python", ".".join(map(str, sys.version_info[:3])), WORKS)


def test_java(home: Home) -> None:
    needs("java")
    (program,) = home.code("Java", "java")
    (script,) = home.code("Java")
    (home.directory / "Get.java").write_text(program)
    trust = home.directory / "trust.p12"
    store = ("-keystore", trust, "-storetype", "PKCS12", "-storepass", "changeit")
    home.run(needs("keytool"), "-importcert", "-noprompt", *store, "-file", home.tls.ca)
    options = f"-Djavax.net.ssl.trustStore={trust} -Djavax.net.ssl.trustStorePassword=changeit"
    assert home.sh(script, JAVA_TOOL_OPTIONS=options) == f"hello {NAME}\n"
    clients.works("Java", clients.read()["Java"][0], WORKS)


def test_firefox(home: Home) -> None:
    profile = home.directory / "profile"
    home.nss(profile)
    for script in home.code("Firefox"):
        home.sh(script, PROFILE=str(profile))
    needs("pk12util")
    command = [needs("firefox-esr"), "--headless", "--profile", profile]
    picture = ["--screenshot", home.directory / "shown.png", f"{home.service.url}/"]
    home.run(*command, *picture)
    names = {name for name, program in home.service.greeted if "Firefox" in program}
    assert names == {NAME}
    clients.works("Firefox", version("firefox-esr", "--version"), WORKS)


def test_chromium(home: Home) -> None:
    home.nss(home.directory / ".pki/nssdb")
    imports, policy = home.code("Chrome and Chromium")
    home.sh(imports)
    # The policy is in /etc, so the test writes it where only its own processes see it.
    show = "chromium --headless --no-sandbox --disable-gpu --dump-dom"
    script = f"mount -t tmpfs tmpfs /etc/chromium\n{policy}\n{show} {home.service.url}/"
    needs("chromium")
    root = [] if os.geteuid() == 0 else ["--map-root-user"]
    shown = home.run(needs("unshare"), "--mount", *root, "sh", "-eu", "-c", script)
    assert f"hello {NAME}\n" in shown
    clients.works("Chromium", version("chromium", "--version"), WORKS)
