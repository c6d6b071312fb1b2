"""`certgate authz`, the proxies that ask it as docs/ configures them, and their clients."""

from __future__ import annotations

import base64
import hashlib
import http.server
import json
import re
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import h2.config
import h2.connection
import h2.events

from kit.harness import (
    CERTGATE,
    KEYS,
    PATIENCE_SECONDS,
    REPOSITORY,
    Server,
    environment,
    eventually,
    needs,
    openssl,
    read_within,
)
from kit.proxies import free_port

HOST = "api.example.com"

# The headers that describe a client, as docs/enforcement.md lists them.
OURS = (
    "client-cert",
    "client-cert-chain",
    "cf-cert-revoked",
    "cf-cert-verified",
    "cf-cert-presented",
    "cf-cert-issuer-dn",
    "cf-cert-subject-dn",
    "cf-cert-issuer-dn-rfc2253",
    "cf-cert-subject-dn-rfc2253",
    "cf-cert-issuer-dn-legacy",
    "cf-cert-subject-dn-legacy",
    "cf-cert-serial",
    "cf-cert-issuer-serial",
    "cf-cert-sha256",
    "cf-cert-sha1",
    "cf-cert-not-before",
    "cf-cert-not-after",
    "cf-cert-ski",
    "cf-cert-issuer-ski",
)

# The headers from which a listener reads a certificate or a hostname.
READ = (
    "ssl-client-cert",
    "x-forwarded-client-cert",
    "x-forwarded-tls-client-cert",
    "x-ssl-client-der",
    "x-forwarded-host",
)


class Authz:
    """`certgate authz` with one or more listeners, which answer on ports that the system chooses."""

    def __init__(
        self, server: Server, directory: Path, *listeners: str, settings: str = ""
    ) -> None:
        """`listeners` are the lines of each table, without an address unless they have one."""
        directory.mkdir(exist_ok=True)
        self.server, self.directory = server, directory
        self.file, self.log_path = directory / "authz.toml", directory / "authz.log"
        token = directory / "authz.token"
        token.write_text(server.token)
        token.chmod(0o600)
        self.head = (
            f'api = "{server.url}"\ntoken_file = "{token}"\n'
            f'account = "{server.made["account_id"]}"\nstate_dir = "{directory / "state"}"\n'
        )
        self.write(*listeners, settings=settings)
        self.process: subprocess.Popen[bytes] | None = None
        self.addresses: list[str] = []
        self.metrics_address = ""

    def write(self, *listeners: str, settings: str = "") -> None:
        """Writes the configuration file."""
        tables = []
        for lines in listeners:
            address = "" if "address =" in lines else 'address = "127.0.0.1:0"\n'
            tables.append(f"[[listener]]\n{address}{lines}\n")
        if "metrics_listen" not in settings:
            settings = 'metrics_listen = "127.0.0.1:0"\n' + settings
        self.file.write_text(self.head + settings + "\n" + "".join(tables))

    def start(self, is_fresh: bool = True) -> Authz:
        """Returns after it listens, and after it has heard from the server if `is_fresh`."""
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                [str(CERTGATE), "authz", "--config", str(self.file)],
                stdout=subprocess.PIPE,
                stderr=log,
                env=environment(),
                bufsize=0,
            )
        text = self.file.read_text()
        lines = self._lines(text.count("[[listener]]") + 1)
        self.addresses = [line.removeprefix("authz listening on ") for line in lines]
        self.metrics_address = self.addresses.pop().removeprefix("metrics listening on ")
        if is_fresh:
            # The point is registered and acknowledges: certgate waits for it from now on.
            eventually("authz is current", lambda: "current" in self.states())
            # It knows that certgate accepted the acknowledgement.
            eventually("authz is ready", self.is_ready)
        return self

    def is_ready(self) -> bool:
        with connected(self.metrics_address) as stream:
            return asked(stream, [("Host", "a")], "/readyz").status == 200

    def _lines(self, count: int) -> list[str]:
        assert self.process and self.process.stdout
        text, deadline = b"", time.monotonic() + PATIENCE_SECONDS
        while text.count(b"\n") < count:
            left = max(0.0, deadline - time.monotonic())
            more = read_within(self.process.stdout, left)
            assert more, f"authz did not start:\n{self.log}"
            text += more
        return text.decode().splitlines()

    @property
    def port(self) -> int:
        return int(self.addresses[0].rsplit(":", 1)[1])

    @property
    def log(self) -> str:
        return self.log_path.read_text(errors="replace")

    def points(self) -> list[dict[str, Any]]:
        """The enforcement points of the account."""
        api = self.server.api()
        try:
            account = self.server.made["account_id"]
            return api.call("GET", f"/certgate/v1/accounts/{account}/enforcement_points").result
        finally:
            api.close()

    def states(self) -> list[str]:
        return [point["status"] for point in self.points() if point["name"].startswith("authz-")]

    def send(self, number: int) -> None:
        assert self.process
        self.process.send_signal(number)

    def stop(self) -> None:
        """SIGTERM: it must end cleanly."""
        self.send(signal.SIGTERM)
        assert self.process
        assert self.process.wait(PATIENCE_SECONDS) == 0, self.log
        self._end()

    def kill(self) -> None:
        if self.process:
            self.process.kill()
            self.process.wait()
            self._end()

    def _end(self) -> None:
        assert self.process and self.process.stdout
        self.process.stdout.close()
        self.process = None
        log = self.log
        assert self.server.token not in log and "panicked" not in log, log
        assert "PRIVATE KEY" not in log and "BEGIN" not in log, log

    def ask(self, headers: list[tuple[str, str]], path: str = "/", at: int = 0) -> Asked:
        """Asks as a proxy does, on a connection of its own. Headers are sent as they are."""
        with connected(self.addresses[at]) as stream:
            return asked(stream, headers, path)


class Asked:
    """An answer of HTTP/1.1."""

    def __init__(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        self.status, self.body = status, body
        self.headers = {name.lower(): value for name, value in headers}
        self.all = headers

    @property
    def seen(self) -> list[tuple[str, str]]:
        """The headers of the request that arrived at the service, with names in lower case."""
        return [(name.lower(), value) for name, value in json.loads(self.body)["headers"]]

    @property
    def trailers(self) -> list[str]:
        return json.loads(self.body)["trailers"]


def connected(address: str) -> socket.socket:
    if address.startswith("unix:"):
        stream = socket.socket(socket.AF_UNIX)
        stream.settimeout(PATIENCE_SECONDS)
        stream.connect(address.removeprefix("unix:"))
        return stream
    host, port = address.rsplit(":", 1)
    return socket.create_connection((host, int(port)), timeout=PATIENCE_SECONDS)


def asked(stream: socket.socket, headers: list[tuple[str, str]], path: str = "/") -> Asked:
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
    stream.sendall(f"GET {path} HTTP/1.1\r\n{lines}\r\n".encode("latin-1"))
    return read_answer(stream)


def read_answer(stream: socket.socket) -> Asked:
    """Reads an answer that has a Content-Length or chunks."""
    reader = stream.makefile("rb")
    line = reader.readline()
    assert line, "the connection ended without an answer"
    status = int(line.split()[1])
    headers = []
    while (line := reader.readline().rstrip(b"\r\n")) != b"":
        name, value = line.decode("latin-1").split(":", 1)
        headers.append((name, value.strip()))
    fields = {name.lower(): value for name, value in headers}
    if fields.get("transfer-encoding") == "chunked":
        body = b""
        while size := int(reader.readline(), 16):
            body += reader.read(size)
            reader.readline()
        reader.readline()
    elif status == 101:
        body = b""
    else:
        body = reader.read(int(fields.get("content-length", "0")))
    return Asked(status, headers, body)


class Client:
    """A TLS client with or without a certificate."""

    def __init__(self, certificate: Path | None = None, key: Path | None = None) -> None:
        self.certificate, self.key = certificate, key

    def context(self, protocol: str) -> ssl.SSLContext:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.set_alpn_protocols([protocol])
        if self.certificate:
            context.load_cert_chain(self.certificate, self.key)
        return context

    def open(
        self,
        port: int,
        protocol: str = "http/1.1",
        context: ssl.SSLContext | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLSocket:
        context = context or self.context(protocol)
        plain = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_SECONDS)
        return context.wrap_socket(plain, server_hostname=HOST, session=session)

    def get(self, port: int, headers: list[tuple[str, str]] | None = None) -> Asked:
        """A GET on a connection of its own."""
        with self.open(port) as stream:
            return asked(stream, [("Host", HOST), *(headers or [])])

    def is_served(self, port: int) -> bool:
        """Returns false for a proxy that does not serve yet."""
        try:
            return self.get(port).status == 200
        except (OSError, AssertionError):
            return False

    def http2(self, port: int) -> Http2:
        return Http2(self.open(port, "h2"))


class Http2:
    """A connection of HTTP/2."""

    def __init__(self, stream: ssl.SSLSocket) -> None:
        assert stream.selected_alpn_protocol() == "h2"
        self.stream = stream
        # Names in upper case and the like must reach the proxy as the test wrote them.
        config = h2.config.H2Configuration(
            header_encoding="utf-8",
            validate_outbound_headers=False,
            normalize_outbound_headers=False,
        )
        self.connection = h2.connection.H2Connection(config)
        self.connection.initiate_connection()
        self.stream.sendall(self.connection.data_to_send())

    def get(self, headers: list[tuple[str, str]] | None = None, host: str = HOST) -> Asked:
        number = self.connection.get_next_available_stream_id()
        pseudo = [(":method", "GET"), (":scheme", "https"), (":authority", host), (":path", "/")]
        self.connection.send_headers(number, [*pseudo, *(headers or [])], end_stream=True)
        self.stream.sendall(self.connection.data_to_send())
        answer, body = [], b""
        while True:
            octets = self.stream.recv(65536)
            assert octets, "the connection ended without an answer"
            for event in self.connection.receive_data(octets):
                if getattr(event, "stream_id", number) != number:
                    continue
                if isinstance(event, h2.events.ResponseReceived):
                    answer = event.headers
                elif isinstance(event, h2.events.DataReceived):
                    body += event.data
                    self.connection.acknowledge_received_data(event.flow_controlled_length, number)
                elif isinstance(event, h2.events.StreamEnded):
                    self.stream.sendall(self.connection.data_to_send())
                    return Asked(int(dict(answer)[":status"]), answer, body)
                elif isinstance(event, h2.events.StreamReset | h2.events.ConnectionTerminated):
                    raise AssertionError(f"no answer: {event}")
            self.stream.sendall(self.connection.data_to_send())

    def close(self) -> None:
        self.stream.close()


WEBSOCKET = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class Service(http.server.BaseHTTPRequestHandler):
    """Answers with the request that arrived. With `Upgrade`, it returns every octet."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.headers.get("upgrade"):
            # HAProxy checks the answer to the key (RFC 6455 §4.2.2).
            key = self.headers.get("sec-websocket-key", "") + WEBSOCKET
            accepts = base64.b64encode(hashlib.sha1(key.encode()).digest()).decode()
            self.send_response(101)
            self.send_header("Sec-WebSocket-Accept", accepts)
            self.send_header("Upgrade", "websocket")
            self.send_header("Connection", "Upgrade")
            self.end_headers()
            while octets := self.connection.recv(4096):
                self.connection.sendall(octets)
            self.close_connection = True
            return
        trailers: list[str] = []
        if "chunked" in (self.headers.get("transfer-encoding") or ""):
            while size := int(self.rfile.readline().split(b";")[0], 16):
                self.rfile.read(size)
                self.rfile.readline()
            while line := self.rfile.readline().strip():
                trailers.append(line.decode())
        else:
            self.rfile.read(int(self.headers.get("content-length") or 0))
        seen = {"headers": self.headers.items(), "trailers": trailers}
        answer = json.dumps(seen).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_POST = do_GET

    def log_message(self, *_: object) -> None:
        """Prints nothing."""


class Upstream(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Service)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def port(self) -> int:
        return self.server_address[1]

    def handle_error(self, *_: object) -> None:
        """A proxy that is killed resets its connections."""


def blocks(page: str) -> list[tuple[str, str]]:
    """The language and text of each code block of a page."""
    text = (REPOSITORY / "docs" / page).read_text()
    return re.findall(r"^```(\w+)$\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


class Proxy:
    """A proxy with the configuration of its page."""

    page = ""

    def __init__(self, directory: Path, authz: int, service: int) -> None:
        directory.mkdir()
        self.directory, self.port, self.second_port = directory, free_port(), free_port()
        self.certificate, self.key = directory / "api.pem", directory / "api.key"
        new = [
            "req",
            "-x509",
            *KEYS["P-256"],
            "-nodes",
            "-keyout",
            self.key,
            "-subj",
            f"/CN={HOST}",
        ]
        self.certificate.write_text(openssl(*new))
        both = directory / "api.both.pem"
        both.write_text(self.certificate.read_text() + self.key.read_text())
        self.places = {
            "/etc/ssl": str(directory),
            "/etc/haproxy": str(directory),
            "/etc/traefik": str(directory),
            "127.0.0.1:8080": f"127.0.0.1:{service}",
            "127.0.0.1:9464": f"127.0.0.1:{authz}",
            "127.0.0.1:9465": f"127.0.0.1:{self.second_port}",
            "port_value: 8080": f"port_value: {service}",
            "port_value: 9464": f"port_value: {authz}",
            "address: 0.0.0.0, port_value: 443": f"address: 127.0.0.1, port_value: {self.port}",
            "listen 443": f"listen 127.0.0.1:{self.port}",
            "bind :443": f"bind 127.0.0.1:{self.port}",
            'address: ":443"': f'address: "127.0.0.1:{self.port}"',
            "https://api.example.com {": f"https://api.example.com:{self.port} {{",
        }
        self.log = directory / "log"
        self.process: subprocess.Popen[bytes] | None = None

    @classmethod
    def listener(cls) -> str:
        """The lines of authz.toml on the page, for a port that the system chooses."""
        (table,) = [text for language, text in blocks(cls.page) if language == "toml"]
        assert table.startswith('[[listener]]\naddress = "127.0.0.1:9464"\n'), table
        return table.split("\n", 2)[2]

    def block(self, language: str, number: int = 0) -> str:
        """A block of the page, with the addresses and paths of this test."""
        text = [text for kind, text in blocks(self.page) if kind == language][number]
        for place, ours in self.places.items():
            text = text.replace(place, ours)
        return text

    def command(self) -> list[str]:
        raise NotImplementedError

    def write(self, name: str, text: str) -> str:
        path = self.directory / name
        path.write_text(text)
        return str(path)

    def __enter__(self) -> Proxy:
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                self.command(), stdout=log, stderr=log, cwd=self.directory
            )

        def listens() -> bool:
            assert self.process and self.process.poll() is None, self.log.read_text()
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", self.port)) == 0

        eventually(f"{type(self).__name__} listens", listens)
        return self

    def __exit__(self, *_: object) -> None:
        assert self.process
        self.process.kill()
        self.process.wait(30)


def program(name: str) -> str:
    """A program of the environment of these tests."""
    path = Path(sys.executable).parent / name
    assert path.exists(), f"{path} is missing: install requirements-enforcement.txt"
    return str(path)


class Nginx(Proxy):
    page = "proxy-nginx.md"

    def command(self) -> list[str]:
        here = self.directory
        paths = " ".join(
            f"{kind}_temp_path {here}/{kind};"
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        text = (
            f"daemon off; pid {here}/pid; error_log {here}/error.log; worker_processes 1;\n"
            f"events {{}}\nhttp {{ access_log off; {paths}\n{self.block('nginx')}\n}}\n"
        )
        return [needs("nginx"), "-p", str(here), "-c", self.write("nginx.conf", text)]

    def __exit__(self, *_: object) -> None:
        # Its workers outlive a killed master.
        assert self.process
        self.process.terminate()
        self.process.wait(30)


class Haproxy(Proxy):
    page = "proxy-haproxy.md"

    def command(self) -> list[str]:
        self.write("certgate.lua", self.block("lua"))
        return [needs("haproxy"), "-db", "-f", self.write("haproxy.cfg", self.block("haproxy"))]


class Envoy(Proxy):
    """Over gRPC."""

    page = "proxy-envoy.md"

    def configuration(self) -> str:
        return self.block("yaml")

    def command(self) -> list[str]:
        file = self.write("envoy.yaml", self.configuration())
        quiet = ["--use-dynamic-base-id", "--concurrency", "1", "-l", "warning"]
        return [program("envoy"), "-c", file, *quiet]


class EnvoyHttp(Envoy):
    """Over HTTP, with the replacements that the page describes."""

    @classmethod
    def listener(cls) -> str:
        line = 'certificate_from = "x-forwarded-client-cert"'
        assert line in (REPOSITORY / "docs" / cls.page).read_text()
        return line

    def configuration(self) -> str:
        text = self.block("yaml")
        for pattern, new in (
            (r" +forward_client_cert_details: SANITIZE\n", self.block("yaml", 1)),
            (
                r" +include_peer_certificate: true\n +grpc_service:\n.*\n.*\n",
                self.block("yaml", 2),
            ),
            (r" +typed_extension_protocol_options:\n.*\n.*\n.*\n", ""),
        ):
            text, count = re.subn(pattern, new.replace("\\", "\\\\"), text)
            assert count == 1, pattern
        return text


class Traefik(Proxy):
    page = "proxy-traefik.md"

    def command(self) -> list[str]:
        self.write("dynamic.yml", self.block("yaml", 1))
        file = self.write("traefik.yml", self.block("yaml", 0))
        return [program("traefik"), f"--configFile={file}"]


class Caddy(Proxy):
    page = "proxy-caddy.md"

    def command(self) -> list[str]:
        options = (
            "{\n admin off\n auto_https off\n persist_config off\n default_bind 127.0.0.1\n}\n"
        )
        file = self.write("Caddyfile", options + self.block("caddyfile"))
        return [program("caddy"), "run", "--config", file, "--adapter", "caddyfile"]


PROXIES = (Nginx, Haproxy, Envoy, EnvoyHttp, Traefik, Caddy)
