"""Measures `certgate gateway` beside nginx: processor time and memory, in one run.

cd tests/python
CERTGATE_TEST_BINARY=../../target/dist/certgate python soak/measure_gateway.py [REVOKED]

With REVOKED, nginx also runs with a CRL bundle of so many revoked certificates, and the gateway
with a view of them.
"""

from __future__ import annotations

import re
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from kit.authz import Authz, Nginx, needs  # noqa: E402
from kit.gateway import HOST, Clients, Gateway, Http1, Identity  # noqa: E402
from kit.harness import Server, eventually, openssl  # noqa: E402
from kit.many import issue_many, revoke_many  # noqa: E402
from kit.processes import private_kib, processor_seconds, tree  # noqa: E402

# Handshakes and requests of a round. Rounds of the programs alternate.
HANDSHAKES, REQUESTS, ROUNDS = 300, 3_000, 5

# Connections that are open and idle while memory is measured.
IDLE = 1_000

# The headers that the gateway sets, as far as nginx knows their values.
HEADERS = {
    "Client-Cert": "$ssl_client_escaped_cert",
    "Cf-Cert-Verified": "$ssl_client_verify",
    "Cf-Cert-Revoked": "false",
    "Cf-Cert-Presented": "true",
    "Cf-Cert-Issuer-Dn": "$ssl_client_i_dn",
    "Cf-Cert-Issuer-Dn-Rfc2253": "$ssl_client_i_dn",
    "Cf-Cert-Issuer-Dn-Legacy": "$ssl_client_i_dn_legacy",
    "Cf-Cert-Subject-Dn": "$ssl_client_s_dn",
    "Cf-Cert-Subject-Dn-Rfc2253": "$ssl_client_s_dn",
    "Cf-Cert-Subject-Dn-Legacy": "$ssl_client_s_dn_legacy",
    "Cf-Cert-Serial": "$ssl_client_serial",
    "Cf-Cert-Sha1": "$ssl_client_fingerprint",
    "Cf-Cert-Not-Before": "$ssl_client_v_start",
    "Cf-Cert-Not-After": "$ssl_client_v_end",
}


class Answering:
    """An upstream that answers each request at once, in a process of its own: nginx."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        text = (
            f"daemon off; pid {directory}/pid; error_log {directory}/log; worker_processes 1;\n"
            f"events {{}} http {{ access_log off; keepalive_requests 1000000;\n"
            f"server {{ listen 127.0.0.1:{self.port}; return 200 'hello'; }} }}\n"
        )
        (directory / "nginx.conf").write_text(text)
        command = [needs("nginx"), "-p", str(directory), "-c", "nginx.conf"]
        self.process = subprocess.Popen(command, stderr=subprocess.DEVNULL)

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(30)


class QuietGateway(Gateway):
    """A gateway without an access log, as nginx has none here."""

    def text(self) -> str:
        return f"access_log = false\n{super().text()}"


class PlainNginx(Nginx):
    """nginx that verifies the client certificate itself."""

    def __init__(self, directory: Path, service: int, authority: Path, lists: Path | None) -> None:
        super().__init__(directory, 1, service)
        self.authority, self.lists = authority, lists

    def block(self, language: str, number: int = 0) -> str:
        headers = "".join(f"proxy_set_header {k} {v};\n" for k, v in HEADERS.items())
        crl = f"ssl_crl {self.lists};" if self.lists else ""
        service = self.places["127.0.0.1:8080"]
        return f"""
keepalive_requests 1000000;
upstream service {{ server {service}; keepalive 32; }}
server {{
    listen 127.0.0.1:{self.port} ssl;
    server_name {HOST};
    ssl_certificate {self.certificate};
    ssl_certificate_key {self.key};
    ssl_protocols TLSv1.2 TLSv1.3;
    ssl_client_certificate {self.authority};
    ssl_verify_client on;
    {crl}
    location / {{
        {headers}
        proxy_set_header Host $host;
        proxy_set_header Connection "";
        proxy_http_version 1.1;
        proxy_pass http://service;
    }}
}}"""


class AskingNginx(Nginx):
    """nginx that asks `certgate authz`, and keeps connections for more than 1,000 requests."""

    def block(self, language: str, number: int = 0) -> str:
        return f"keepalive_requests 1000000;\n{super().block(language, number)}"


class Measured:
    """A program under test: a port, the processes to count, and the CA of its certificate."""

    def __init__(self, name: str, port: int, certificate: Path, processes: list[int]) -> None:
        self.name, self.port, self.certificate, self.processes = name, port, certificate, processes

    def connect(self, client: Identity, version: ssl.TLSVersion) -> ssl.SSLSocket:
        context = ssl.create_default_context(cafile=str(self.certificate))
        context.minimum_version = context.maximum_version = version
        context.load_cert_chain(client.certificate, client.key)
        raw = socket.create_connection(("127.0.0.1", self.port), timeout=30)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return context.wrap_socket(raw, server_hostname=HOST)

    def spent(self, times: int, work: Callable[[], None]) -> float:
        """Processor time of the program for one piece of work, in microseconds."""
        before = processor_seconds(*self.processes)
        for _ in range(times):
            work()
        # The last connection ends.
        time.sleep(0.05)
        return (processor_seconds(*self.processes) - before) / times * 1e6

    def handshake(self, client: Identity, version: ssl.TLSVersion) -> Callable[[], None]:
        def work() -> None:
            with self.connect(client, version) as stream:
                http = Http1(stream)
                assert http.get()[0] == 200, self.name

        return work

    def request(self, client: Identity) -> Callable[[], None]:
        http = Http1(self.connect(client, ssl.TLSVersion.TLSv1_3))

        def work() -> None:
            assert http.get()[0] == 200, self.name

        return work

    def idle_kib(self, client: Identity) -> float:
        before = private_kib(*self.processes)
        open_ones = []
        for _ in range(IDLE):
            stream = self.connect(client, ssl.TLSVersion.TLSv1_3)
            assert Http1(stream).get()[0] == 200
            open_ones.append(stream)
        used = private_kib(*self.processes) - before
        for stream in open_ones:
            stream.close()
        return used / IDLE


def compare(
    title: str, programs: list[Measured], times: int, work: Callable[[Measured], Callable[[], None]]
) -> None:
    """Prints the medians of rounds that alternate, and the ratio to each program but the first."""
    works = {program.name: work(program) for program in programs}
    figures: dict[str, list[float]] = {program.name: [] for program in programs}
    for _ in range(ROUNDS):
        for program in programs:
            figures[program.name].append(program.spent(times, works[program.name]))
    medians = {name: statistics.median(values) for name, values in figures.items()}
    first = medians[programs[0].name]
    shown = ", ".join(f"{name} {value:.0f} µs" for name, value in medians.items())
    ratios = ", ".join(f"{first / value:.2f} × {name}" for name, value in list(medians.items())[1:])
    print(f"{title}: {shown}; {programs[0].name} is {ratios}", flush=True)


def bundle(server: Server, client: Identity, directory: Path) -> tuple[Path, Path]:
    """The CA and the CRL bundle of a client's certificate, as nginx reads them."""
    names = openssl("x509", "-in", client.certificate, "-noout", "-ext", "crlDistributionPoints")
    found = re.search(r"/crl/([0-9a-f-]+)/", names)
    assert found, names
    authority, lists = directory / "ca.pem", directory / "crl.pem"
    base = f"http://127.0.0.1:{server.public_port}"
    with urllib.request.urlopen(f"{base}/ca/{found[1]}.crt") as answer:
        authority.write_text(openssl("x509", "-inform", "der", stdin=answer.read()))
    with urllib.request.urlopen(f"{base}/crl/{found[1]}/bundle.pem") as answer:
        lists.write_bytes(answer.read())
    return authority, lists


def main() -> None:
    revoked = int(sys.argv[1]) if len(sys.argv) > 1 else 0
    directory = Path(tempfile.mkdtemp())
    server = Server(directory / "data").start()
    clients = Clients(server, directory / "clients")
    client = clients.issue()
    upstream = Answering(directory / "upstream")
    gateway = QuietGateway(server, directory / "gateway", upstream).start()
    assert gateway.process
    if revoked:
        empty = private_kib(gateway.process.pid)
        rate = revoke_many(server, issue_many(server, directory, revoked))
        print(f"revoked {revoked} at {rate:.0f}/s", flush=True)
        eventually(
            "the gateway has them",
            lambda: gateway.metric("certgate_enforcement_epoch") > revoked,
            600,
        )
        used = private_kib(gateway.process.pid) - empty
        print(f"memory of {revoked} revoked certificates: {used / 1024:.1f} MiB", flush=True)
    authority, crl = bundle(server, client, directory)
    plain = PlainNginx(directory / "plain", upstream.port, authority, None)
    listed = PlainNginx(directory / "listed", upstream.port, authority, crl)
    authz = Authz(server, directory / "authz", Nginx.listener()).start()
    assert authz.process
    asking = AskingNginx(directory / "asking", authz.port, upstream.port)
    with plain, listed, asking:
        assert plain.process and listed.process and asking.process
        certificate = gateway.identity.certificate
        programs = {
            "gateway": Measured("gateway", gateway.port, certificate, [gateway.process.pid]),
            "nginx": Measured("nginx", plain.port, plain.certificate, tree(plain.process.pid)),
            "nginx with CRLs": Measured(
                "nginx with CRLs", listed.port, listed.certificate, tree(listed.process.pid)
            ),
            "nginx with auth_request": Measured(
                "nginx with auth_request",
                asking.port,
                asking.certificate,
                [*tree(asking.process.pid), authz.process.pid],
            ),
        }
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            three = [programs[name] for name in ("gateway", "nginx", "nginx with CRLs")]
            compare(
                f"handshake and a request, {version.name}",
                three,
                HANDSHAKES,
                lambda program, version=version: program.handshake(client, version),
            )
        three = [programs[name] for name in ("gateway", "nginx", "nginx with auth_request")]
        compare("keep-alive request", three, REQUESTS, lambda program: program.request(client))
        for program in (programs["gateway"], programs["nginx"]):
            used = program.idle_kib(client)
            print(f"memory of an idle connection, {program.name}: {used:.1f} KiB", flush=True)
    authz.stop()
    gateway.stop()
    upstream.stop()
    server.stop()


if __name__ == "__main__":
    main()
