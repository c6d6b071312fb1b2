"""Measures `certgate authz`: processor time for a decision, and the time to a refusal.

cd tests/python
CERTGATE_TEST_BINARY=../../target/dist/certgate python soak/measure_authz.py
"""

from __future__ import annotations

import base64
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from kit.authz import HOST, PROXIES, Authz, Proxy, Upstream, asked, connected  # noqa: E402
from kit.client_certificates import der_of  # noqa: E402
from kit.harness import Server, eventually  # noqa: E402
from kit.hosts import Hosts  # noqa: E402
from kit.processes import processor_seconds  # noqa: E402

# Decisions whose processor time is measured, on one connection, one after another.
DECISIONS = 20_000

# Revocations at each proxy.
REVOCATIONS = 50


def measure_decisions(server: Server, hosts: Hosts, directory: Path) -> None:
    authz = Authz(server, directory, 'certificate_from = "x-ssl-client-der"').start()
    _, client = hosts.issue()
    assert client.certificate and authz.process
    bare = base64.b64encode(der_of(client.certificate.read_text())).decode()
    lines = f"X-Forwarded-Host: {HOST}\r\nX-SSL-Client-Der: {bare}\r\n"
    question = f"GET / HTTP/1.1\r\nHost: a\r\n{lines}\r\n".encode()
    with connected(authz.addresses[0]) as stream:

        def ask() -> None:
            stream.sendall(question)
            answer = stream.recv(65536)
            assert answer.startswith(b"HTTP/1.1 200") and answer.endswith(b"\r\n\r\n")

        for _ in range(500):
            ask()
        begun = processor_seconds(authz.process.pid)
        for _ in range(DECISIONS):
            ask()
        spent = processor_seconds(authz.process.pid) - begun
    print(f"processor time of a decision: {spent / DECISIONS * 1e6:.1f} µs")
    authz.stop()


def measure_proxy(kind: type[Proxy], server: Server, hosts: Hosts, directory: Path) -> None:
    directory.mkdir()
    authz = Authz(server, directory / "authz", kind.listener()).start()
    upstream = Upstream()
    refused, admitted = [], []
    with kind(directory / "proxy", authz.port, upstream.port) as proxy:
        _, first = hosts.issue()
        eventually("the proxy serves", lambda: first.is_served(proxy.port))
        for _ in range(REVOCATIONS):
            identifier, client = hosts.issue()
            with client.open(proxy.port) as stream:
                assert asked(stream, [("Host", HOST)]).status == 200
                assert hosts.api.revoke(identifier).status == 200
                begun = time.monotonic()
                while asked(stream, [("Host", HOST)]).status == 200:
                    pass
                refused.append(time.monotonic() - begun)
                hosts.api.settled(identifier, "revoked")
                assert hosts.api.restore(identifier).status == 200
                begun = time.monotonic()
                while asked(stream, [("Host", HOST)]).status != 200:
                    pass
                admitted.append(time.monotonic() - begun)
    authz.stop()
    for what, times in (("refused", refused), ("admitted again", admitted)):
        middle, worst = sorted(times)[len(times) // 2], max(times)
        print(f"{kind.__name__}: {what} after {middle * 1e3:.0f} ms, worst {worst * 1e3:.0f} ms")


def main() -> None:
    directory = Path(tempfile.mkdtemp())
    server = Server(directory / "data").start()
    hosts = Hosts(server, directory / "hosts")
    measure_decisions(server, hosts, directory / "decisions")
    for kind in PROXIES:
        measure_proxy(kind, server, hosts, directory / kind.__name__)
    server.stop()


if __name__ == "__main__":
    main()
