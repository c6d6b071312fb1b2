"""`certgate gateway` with the configuration of its page, an upstream, and clients of both."""

from __future__ import annotations

import base64
import hashlib
import http.client
import http.server
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import h2.config
import h2.connection
import h2.events
import h2.exceptions

from kit.client_certificates import Authority, pem
from kit.harness import (
    CERTGATE,
    KEYS,
    PATIENCE_SECONDS,
    REPOSITORY,
    Server,
    environment,
    eventually,
    openssl,
    read_within,
)

HOST, OTHER = "api.example.com", "other.example.com"
PAGE = REPOSITORY / "docs/gateway.md"
WEBSOCKET_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class Upstream:
    """An HTTP/1.1 server that answers each request with the request itself, as JSON."""

    def __init__(self, name: str = "one", port: int = 0, tls: Identity | None = None) -> None:
        upstream = self
        self.name, self.healthy, self.requests = name, True, 0
        # The number of connections that are open now.
        self.open = 0
        self.connections: list[socket.socket] = []
        # Requests to /wait are answered after this is set.
        self.go = threading.Event()
        self.waiting = threading.Semaphore(0)

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                super().setup()
                self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                upstream.connections.append(self.request)
                upstream.open += 1

            def finish(self) -> None:
                upstream.open -= 1
                super().finish()

            def log_message(self, *_: Any) -> None:
                pass

            def do_GET(self) -> None:
                upstream.requests += 1
                if self.path == "/health":
                    return self.answer(200 if upstream.healthy else 503, b"")
                if self.path == "/large":
                    return self.answer(200, bytes(1 << 20))
                if self.headers.get("Upgrade", "").lower() == "websocket":
                    return self.stream()
                if self.path == "/wait":
                    upstream.waiting.release()
                    upstream.go.wait(PATIENCE_SECONDS)
                length = int(self.headers.get("Content-Length", 0))
                body = self.rfile.read(length).decode(errors="replace")
                if self.headers.get("Transfer-Encoding") == "chunked":
                    body = self.chunks()
                self.answer(
                    200,
                    json.dumps(
                        {
                            "upstream": upstream.name,
                            "method": self.command,
                            "path": self.path,
                            "headers": [[k.lower(), v] for k, v in self.headers.items()],
                            "body": body,
                        }
                    ).encode(),
                )

            do_DELETE = do_POST = do_PUT = do_GET

            def chunks(self) -> str:
                """The chunks and the trailers, as they are."""
                whole = b""
                while not whole.endswith(b"\r\n\r\n") or b"0\r\n" not in whole:
                    line = self.rfile.readline()
                    if not line:
                        raise ConnectionResetError("the body is incomplete")
                    whole += line
                return whole.decode()

            def answer(self, status: int, body: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def stream(self) -> None:
                """Accepts a WebSocket, and then echoes octets: frames need not be parsed for it."""
                key = self.headers["Sec-WebSocket-Key"].encode()
                accept = base64.b64encode(hashlib.sha1(key + WEBSOCKET_GUID).digest()).decode()
                self.send_response(101)
                self.send_header("Upgrade", "websocket")
                self.send_header("Connection", "Upgrade")
                self.send_header("Sec-WebSocket-Accept", accept)
                self.end_headers()
                self.wfile.flush()
                while octets := self.connection.recv(65536):
                    self.connection.sendall(octets)
                self.close_connection = True

        class Threads(http.server.ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 512

            def handle_error(self, *_: Any) -> None:
                """A cut connection is not an error of the test."""

        self.server = Threads(("127.0.0.1", port), Handler)
        self.port: int = self.server.server_address[1]
        if tls:
            # The thread of a connection makes its handshake.
            self.server.socket = server_context(tls, "http/1.1").wrap_socket(
                self.server.socket, server_side=True, do_handshake_on_connect=False
            )
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.go.set()
        self.server.shutdown()
        self.server.server_close()
        for connection in self.connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


class Upstream2:
    """An HTTP/2 server, over TLS or not, that answers each request with its headers, as JSON."""

    def __init__(self, tls: Identity | None = None) -> None:
        self.context = server_context(tls, "h2") if tls else None
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.listener.getsockname()[1]
        self.connections: list[socket.socket] = []
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self) -> None:
        with suppress(OSError):
            while True:
                raw, _ = self.listener.accept()
                raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                threading.Thread(target=self.serve, args=(raw,), daemon=True).start()

    def serve(self, stream: socket.socket) -> None:
        with suppress(OSError, h2.exceptions.ProtocolError):
            if self.context:
                stream = self.context.wrap_socket(stream, server_side=True)
            self.connections.append(stream)
            config = h2.config.H2Configuration(client_side=False, header_encoding="utf-8")
            connection = h2.connection.H2Connection(config)
            connection.initiate_connection()
            stream.sendall(connection.data_to_send())
            while octets := stream.recv(65536):
                for event in connection.receive_data(octets):
                    if isinstance(event, h2.events.RequestReceived):
                        body = json.dumps({"headers": list(event.headers)}).encode()
                        head = [(":status", "200"), ("content-length", str(len(body)))]
                        connection.send_headers(event.stream_id, head)
                        connection.send_data(event.stream_id, body, end_stream=True)
                stream.sendall(connection.data_to_send())

    def close(self) -> None:
        self.listener.close()


def server_context(identity: Identity, protocol: str) -> ssl.SSLContext:
    """TLS of an upstream that speaks one protocol."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(identity.certificate, identity.key)
    context.set_alpn_protocols([protocol])
    return context


def documented() -> str:
    """The complete configuration of docs/gateway.md."""
    (block,) = re.findall(r"```toml\n(api = .*?)```", PAGE.read_text(), re.DOTALL)
    return block


class Identity:
    """A certificate with its key."""

    def __init__(self, certificate: Path, key: Path, id: str = "", serial: str = "") -> None:
        self.certificate, self.key, self.id, self.serial = certificate, key, id, serial


def server_identity(directory: Path, *names: str) -> Identity:
    """A self-signed certificate of the gateway for these hosts."""
    directory.mkdir(exist_ok=True)
    key, certificate = directory / "server.key", directory / "server.pem"
    new = ["req", "-x509", "-new", *KEYS["P-256"], "-nodes", "-keyout", key, "-out", certificate]
    names_ = ",".join(f"DNS:{name}" for name in names)
    openssl(*new, "-days", "30", "-subj", f"/CN={names[0]}", "-addext", f"subjectAltName={names_}")
    key.chmod(0o600)
    return Identity(certificate, key)


class Gateway:
    """A running gateway in front of an upstream, for one account."""

    def __init__(
        self, server: Server, directory: Path, upstream: Upstream, *, more: str = ""
    ) -> None:
        """`more` is appended to the documented configuration: it is part of its [[host]]."""
        directory.mkdir(exist_ok=True)
        self.server, self.directory = server, directory
        self.file, self.log_path = directory / "gateway.toml", directory / "gateway.log"
        self.identity = server_identity(directory, HOST, OTHER, "plain.example.com")
        token = directory / "token"
        token.write_text(server.token)
        token.chmod(0o600)
        self.values = {
            "api": server.url,
            "token_file": str(token),
            "account": server.made["account_id"],
            "state_dir": str(directory / "state"),
            "metrics_listen": "127.0.0.1:0",
            "certificate": str(self.identity.certificate),
            "key": str(self.identity.key),
        }
        self.lists = {
            "listen": ["127.0.0.1:0"],
            "upstreams": [f"http://127.0.0.1:{upstream.port}"],
        }
        self.more = more
        self.process: subprocess.Popen[bytes] | None = None
        self.port = self.metrics_port = 0
        self.write()

    def text(self) -> str:
        text = documented()
        for key, value in self.values.items():
            text, count = re.subn(rf"(?m)^{key} = .*$", f"{key} = {json.dumps(value)}", text)
            assert count, key
        for key, values in self.lists.items():
            text, count = re.subn(rf"(?m)^{key} = .*$", f"{key} = {json.dumps(values)}", text)
            assert count, key
        # Streams that a test leaves open must not delay its end.
        text = text.replace("\n[[host]]", "\nstop_timeout_seconds = 2\n\n[[host]]", 1)
        own = {"@CERTIFICATE@": "certificate", "@KEY@": "key"}
        more = self.more
        for mark, key in own.items():
            more = more.replace(mark, self.values[key])
        return text + more

    def write(self, text: str = "") -> None:
        """Replaces the file in one step."""
        new = self.file.with_suffix(".new")
        new.write_text(text or self.text())
        os.replace(new, self.file)

    def reload(self, text: str = "") -> None:
        """Writes the file, and returns after the gateway has loaded it."""
        changed = 'certgate_gateway_reloads_total{result="changed"}'
        before = self.metric(changed)
        self.write(text)
        assert self.process
        self.process.send_signal(signal.SIGHUP)
        eventually("the gateway reloads", lambda: self.metric(changed) > before)

    @property
    def log(self) -> str:
        return self.log_path.read_text(errors="replace")

    def launch(self, **more: Any) -> Gateway:
        """Starts the process, and returns after its listeners are open."""
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                [str(CERTGATE), "gateway", "--config", str(self.file)],
                stdout=subprocess.PIPE,
                stderr=log,
                env=environment(**more.pop("variables", {})),
                bufsize=0,
                **more,
            )
        text = b""
        while text.count(b"\n") < 2:
            assert self.process.stdout
            piece = read_within(self.process.stdout, PATIENCE_SECONDS)
            assert piece, self.log
            text += piece
        found = re.findall(r":(\d+)$", text.decode(), re.MULTILINE)
        self.port, self.metrics_port = int(found[0]), int(found[-1])
        return self

    def start(self, **more: Any) -> Gateway:
        self.launch(**more)
        eventually("the gateway is ready", lambda: self.get("/readyz")[0] == 200)
        return self

    def get(self, path: str) -> tuple[int, str]:
        """Asks the address of the metrics."""
        connection = http.client.HTTPConnection("127.0.0.1", self.metrics_port, timeout=30)
        connection.request("GET", path)
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        return answer.status, text

    def metric(self, name: str) -> float:
        """The sum of a metric over its labels; `name` may have labels."""
        found = [
            float(line.rsplit(" ", 1)[1])
            for line in self.get("/metrics")[1].splitlines()
            if line.startswith(name) and line[len(name)] in " {"
        ]
        assert found, name
        return sum(found)

    def points(self) -> list[dict[str, Any]]:
        api = self.server.api()
        path = f"/certgate/v1/accounts/{self.server.made['account_id']}/enforcement_points"
        found = api.call("GET", path).result
        api.close()
        return found

    def stop(self) -> None:
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            assert self.process.wait(PATIENCE_SECONDS) == 0, self.log
        self.process = None

    def kill(self) -> None:
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.process = None

    def context(
        self,
        client: Identity | None,
        alpn: str = "http/1.1",
        version: ssl.TLSVersion | None = None,
    ) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(self.identity.certificate))
        context.set_alpn_protocols([alpn])
        if version:
            context.minimum_version = context.maximum_version = version
        if client:
            context.load_cert_chain(client.certificate, client.key)
        return context

    def connect(
        self,
        client: Identity | None,
        alpn: str = "http/1.1",
        host: str = HOST,
        context: ssl.SSLContext | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLSocket:
        raw = socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE_SECONDS)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        context = context or self.context(client, alpn)
        return context.wrap_socket(raw, server_hostname=host, session=session)

    def status(self, client: Identity | None, alpn: str = "http/1.1") -> int:
        """The status on a new connection; 0 if it ends before the answer, as one does that was
        admitted or refused by what the gateway knew a moment before."""
        try:
            with self.connect(client, alpn) as stream:
                return (Http1 if alpn == "http/1.1" else Http2)(stream).get()[0]
        except OSError:
            return 0


def host(url: str, name: str = OTHER, **settings: Any) -> str:
    """One more [[host]], with the certificate of the gateway, for `Gateway(more=…)`."""
    lines = {
        "name": name,
        "certificate": "@CERTIFICATE@",
        "key": "@KEY@",
        "upstreams": [url],
    } | settings
    return "\n[[host]]\n" + "".join(f"{k} = {json.dumps(v)}\n" for k, v in lines.items())


def limited(gateway: Gateway, **limits: int) -> None:
    """Restarts the gateway with limits."""
    gateway.stop()
    lines = "\n[limits]\n" + "".join(f"{name} = {value}\n" for name, value in limits.items())
    gateway.file.write_text(gateway.text().replace("\n[[host]]", f"{lines}\n[[host]]", 1))
    gateway.start()


class Http1:
    """An HTTP/1.1 connection over TLS, with headers exactly as given."""

    def __init__(self, stream: ssl.SSLSocket) -> None:
        self.stream, self.file = stream, stream.makefile("rb")

    def send(
        self,
        path: str = "/",
        *headers: str,
        method: str = "GET",
        host: str = HOST,
        body: bytes = b"",
    ) -> None:
        lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", *headers, "", ""]
        self.stream.sendall("\r\n".join(lines).encode() + body)

    def receive(self) -> tuple[int, dict[str, str], bytes]:
        status = self.file.readline()
        if not status:
            raise ConnectionResetError("closed")
        headers: dict[str, str] = {}
        while (line := self.file.readline()) not in (b"\r\n", b""):
            name, _, value = line.decode().partition(":")
            headers[name.lower()] = value.strip()
        body = self.file.read(int(headers.get("content-length", 0)))
        return int(status.split()[1]), headers, body

    def get(self, path: str = "/", *headers: str, **more: Any) -> tuple[int, dict[str, str], bytes]:
        self.send(path, *headers, **more)
        return self.receive()

    def seen(self, *headers: str, **more: Any) -> list[list[str]]:
        """The headers that reach the upstream."""
        status, _, body = self.get("/", *headers, **more)
        assert status == 200, (status, body)
        return json.loads(body)["headers"]


class Http2:
    """An HTTP/2 connection over TLS."""

    def __init__(self, stream: ssl.SSLSocket) -> None:
        assert stream.selected_alpn_protocol() == "h2"
        self.stream = stream
        config = h2.config.H2Configuration(
            client_side=True, header_encoding="utf-8", validate_outbound_headers=False
        )
        self.h2 = h2.connection.H2Connection(config)
        self.h2.initiate_connection()
        self.flush()
        self.answers: dict[int, tuple[dict[str, str], bytes]] = {}
        self.ended: set[int] = set()

    def flush(self) -> None:
        self.stream.sendall(self.h2.data_to_send())

    def send(self, path: str = "/", *headers: tuple[str, str], host: str = HOST) -> int:
        stream = self.h2.get_next_available_stream_id()
        pseudo = [
            (":method", "GET"),
            (":scheme", "https"),
            (":authority", host),
            (":path", path),
        ]
        self.h2.send_headers(stream, [*pseudo, *headers], end_stream=True)
        self.flush()
        return stream

    def pump(self) -> None:
        """Reads once."""
        octets = self.stream.recv(65536)
        if not octets:
            raise ConnectionResetError("closed")
        for event in self.h2.receive_data(octets):
            if isinstance(event, h2.events.ResponseReceived):
                self.answers[event.stream_id] = dict(event.headers), b""
            elif isinstance(event, h2.events.DataReceived):
                headers, body = self.answers[event.stream_id]
                self.answers[event.stream_id] = headers, body + event.data
                self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            elif isinstance(event, h2.events.TrailersReceived):
                headers, body = self.answers[event.stream_id]
                self.answers[event.stream_id] = headers | dict(event.headers), body
            elif isinstance(event, h2.events.StreamEnded):
                self.ended.add(event.stream_id)
            elif isinstance(event, h2.events.StreamReset):
                raise ConnectionResetError(f"stream reset: {event.error_code}")
        self.flush()

    def receive(self, stream: int) -> tuple[int, dict[str, str], bytes]:
        while stream not in self.ended:
            self.pump()
        headers, body = self.answers[stream]
        return int(headers[":status"]), headers, body

    def get(
        self, path: str = "/", *headers: tuple[str, str], **more: Any
    ) -> tuple[int, dict[str, str], bytes]:
        return self.receive(self.send(path, *headers, **more))


class WebSocket:
    """A connection that carries octets after an upgrade."""

    def __init__(self, stream: ssl.SSLSocket, *headers: str, host: str = HOST) -> None:
        self.stream = stream
        http1 = Http1(stream)
        key = base64.b64encode(os.urandom(16)).decode()
        status, answer, _ = http1.get(
            "/ws",
            "Connection: Upgrade",
            "Upgrade: websocket",
            "Sec-WebSocket-Version: 13",
            f"Sec-WebSocket-Key: {key}",
            *headers,
            host=host,
        )
        assert status == 101, (status, answer)
        accept = base64.b64encode(hashlib.sha1(key.encode() + WEBSOCKET_GUID).digest()).decode()
        assert answer["sec-websocket-accept"] == accept

    def echoes(self, text: bytes = b"\x81\x05hello") -> bool:
        self.stream.sendall(text)
        found = b""
        while len(found) < len(text):
            piece = self.stream.recv(len(text) - len(found))
            if not piece:
                return False
            found += piece
        return found == text


def ends(stream: ssl.SSLSocket) -> bool:
    """Returns true after the other side has ended the connection, with or without a reset."""
    with suppress(ssl.SSLError, ConnectionError, BrokenPipeError):
        while stream.recv(65536):
            pass
    return True


class Clients:
    """Certificates of the zone's managed CA, for a host that trusts it."""

    def __init__(self, server: Server, directory: Path) -> None:
        directory.mkdir(exist_ok=True)
        self.server, self.directory, self.count = server, directory, 0
        self.api = server.api()
        self.associate(HOST)
        # The first certificate makes the managed CA. A gateway then knows it from its start.
        self.issue()

    def associate(self, *hostnames: str, authority: str = "") -> None:
        """Replaces the hostnames of an uploaded CA, or of the managed one."""
        path = (
            f"/client/v4/zones/{self.server.zone_id}/certificate_authorities/hostname_associations"
        )
        body: dict[str, Any] = {"hostnames": list(hostnames)}
        if authority:
            body["mtls_certificate_id"] = authority
        assert self.api.call("PUT", path, body).status == 200

    def trust(self, authority: Authority, *hostnames: str) -> str:
        """Uploads a CA and associates these hostnames with it. Returns its ID."""
        body = {"ca": True, "certificates": pem(authority.certificate), "name": "own"}
        path = f"/client/v4/accounts/{self.server.made['account_id']}/mtls_certificates"
        uploaded: str = self.api.call("POST", path, body).result["id"]
        self.associate(*hostnames, authority=uploaded)
        return uploaded

    def issue(self, *, kind: str = "P-256") -> Identity:
        self.count += 1
        path = self.directory / f"client-{self.count}"
        key, certificate = path.with_suffix(".key"), path.with_suffix(".pem")
        new = ["req", "-new", *KEYS[kind], "-nodes", "-keyout", key, "-subj"]
        made = self.api.issue(openssl(*new, f"/CN=client-{self.count}")).result
        certificate.write_text(made["certificate"])
        return Identity(certificate, key, made["id"], made["serial_number"])

    def revoke(self, client: Identity) -> None:
        assert self.api.revoke(client.id).status == 200

    def restore(self, client: Identity) -> None:
        assert self.api.restore(client.id).status == 200
