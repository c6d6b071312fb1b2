"""Real reverse proxies that check client certificates: nginx, HAProxy and Envoy."""

from __future__ import annotations

import json
import socket
import ssl
import subprocess
import sys
from pathlib import Path

from kit.harness import KEYS, eventually, free_port, needs, openssl


class Client:
    """The certificate and key of a TLS client."""

    def __init__(self, certificate: Path, key: Path) -> None:
        self.certificate, self.key = certificate, key

    def asks(self, port: int) -> str:
        """Returns the status line of a GET, or the reason for a missing answer."""
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.load_cert_chain(self.certificate, self.key)
        try:
            with (
                socket.create_connection(("127.0.0.1", port), timeout=10) as plain,
                context.wrap_socket(plain) as stream,
            ):
                stream.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
                answer = stream.recv(4096).decode(errors="replace")
                return answer.split("\r\n", 1)[0] or "closed"
        except OSError as error:
            return f"{type(error).__name__}: {error}"

    def is_let_in(self, port: int) -> bool:
        return "200" in self.asks(port)


class Proxy:
    """A proxy that trusts one authority and a set of revocation lists."""

    def __init__(self, directory: Path, authority: str, lists: str | None) -> None:
        self.directory = directory
        directory.mkdir()
        self.port = free_port()
        self.authority, self.lists = directory / "authority.pem", directory / "lists.pem"
        self.authority.write_text(authority)
        if lists is not None:
            self.lists.write_text(lists)
        self.certificate, self.key = directory / "server.pem", directory / "server.key"
        new = ["req", "-x509", *KEYS["P-256"], "-nodes", "-keyout", self.key, "-subj", "/CN=proxy"]
        self.certificate.write_text(openssl(*new))
        self.log = directory / "log"
        self.process: subprocess.Popen[bytes] | None = None

    def command(self) -> list[str]:
        raise NotImplementedError

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
        self.process.terminate()
        self.process.wait(30)


class Nginx(Proxy):
    """With `ssl_crl`, or with `ssl_ocsp leaf` if it has no lists."""

    def command(self) -> list[str]:
        lists = f"ssl_crl {self.lists};" if self.lists.exists() else "ssl_ocsp leaf;"
        configuration = self.directory / "nginx.conf"
        configuration.write_text(f"""
            daemon off; pid {self.directory}/pid; error_log {self.directory}/error.log; worker_processes 1;
            events {{}}
            http {{
                access_log off;
                client_body_temp_path {self.directory}; proxy_temp_path {self.directory};
                fastcgi_temp_path {self.directory}; uwsgi_temp_path {self.directory}; scgi_temp_path {self.directory};
                server {{
                    listen 127.0.0.1:{self.port} ssl;
                    ssl_certificate {self.certificate}; ssl_certificate_key {self.key};
                    ssl_client_certificate {self.authority}; ssl_verify_client on; {lists}
                    return 200 "in";
                }}
            }}
        """)
        return [needs("nginx"), "-c", str(configuration), "-p", str(self.directory)]


class Haproxy(Proxy):
    def command(self) -> list[str]:
        both = self.directory / "both.pem"
        both.write_text(self.certificate.read_text() + self.key.read_text())
        configuration = self.directory / "haproxy.cfg"
        configuration.write_text(f"""
defaults
    mode http
    timeout client 10s
    timeout server 10s
    timeout connect 10s
frontend in
    bind 127.0.0.1:{self.port} ssl crt {both} ca-file {self.authority} crl-file {self.lists} verify required
    http-request return status 200
""")
        return [needs("haproxy"), "-db", "-f", str(configuration)]


class Envoy(Proxy):
    def command(self) -> list[str]:
        def file(path: Path) -> dict[str, str]:
            return {"filename": str(path)}

        tls = {
            "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
            "require_client_certificate": True,
            "common_tls_context": {
                "tls_certificates": [
                    {"certificate_chain": file(self.certificate), "private_key": file(self.key)}
                ],
                "validation_context": {"trusted_ca": file(self.authority), "crl": file(self.lists)},
            },
        }
        manager = {
            "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3."
            "HttpConnectionManager",
            "stat_prefix": "in",
            "route_config": {
                "virtual_hosts": [
                    {
                        "name": "all",
                        "domains": ["*"],
                        "routes": [{"match": {"prefix": "/"}, "direct_response": {"status": 200}}],
                    }
                ]
            },
            "http_filters": [
                {
                    "name": "router",
                    "typed_config": {
                        "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"
                    },
                }
            ],
        }
        listener = {
            "address": {"socket_address": {"address": "127.0.0.1", "port_value": self.port}},
            "filter_chains": [
                {
                    "transport_socket": {"name": "tls", "typed_config": tls},
                    "filters": [{"name": "http", "typed_config": manager}],
                }
            ],
        }
        configuration = self.directory / "envoy.json"
        configuration.write_text(json.dumps({"static_resources": {"listeners": [listener]}}))
        envoy = Path(sys.executable).parent / "envoy"
        return [
            str(envoy),
            "-c",
            str(configuration),
            "--use-dynamic-base-id",
            "--concurrency",
            "1",
            "-l",
            "warning",
        ]
