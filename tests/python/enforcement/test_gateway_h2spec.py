"""HTTP/2 conformance of the gateway, judged by h2spec."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from kit.gateway import Clients, Gateway, Upstream, server_identity
from kit.harness import REPOSITORY, Server, needs


@pytest.fixture
def gateway(shared: Server, tmp_path: Path) -> Iterator[Gateway]:
    upstream = Upstream()
    identity = server_identity(tmp_path / "local", "localhost")
    more = f"""
[[host]]
name = "localhost"
certificate = "{identity.certificate}"
key = "{identity.key}"
upstreams = ["http://127.0.0.1:{upstream.port}"]
client_certificates = "off"
"""
    Clients(shared, tmp_path / "clients")
    gateway = Gateway(shared, tmp_path / "gateway", upstream, more=more)
    try:
        yield gateway.start()
        gateway.stop()
    finally:
        gateway.kill()
        upstream.close()


def test_h2spec_passes(gateway: Gateway, tmp_path: Path) -> None:
    program = tmp_path / "h2spec"
    build = [needs("go"), "build", "-o", program, "github.com/summerwind/h2spec/cmd/h2spec"]
    made = subprocess.run(build, cwd=REPOSITORY / "tests/go/h2spec", capture_output=True, text=True)
    assert made.returncode == 0, made.stderr
    # It presents no certificate, and sends the server name of its host.
    done = subprocess.run(
        [program, "-t", "-k", "-h", "localhost", "-p", str(gateway.port)],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout[-5000:]
    assert " 0 failed" in done.stdout
