"""HTTP/2 conformance of the gateway, judged by h2spec, and frames that an attacker sends."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from hyperframe.frame import (
    ContinuationFrame,
    HeadersFrame,
    PingFrame,
    RstStreamFrame,
    SettingsFrame,
)

from kit.gateway import HOST, Clients, Gateway, Http2, Upstream, ends, server_identity
from kit.harness import PATIENCE_SECONDS, REPOSITORY, Server, needs

# The memory that a flood may add, in KiB.
MEMORY_MAX = 64 * 1024


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


def memory(gateway: Gateway) -> int:
    """The resident memory of the process, in KiB."""
    assert gateway.process
    text = Path(f"/proc/{gateway.process.pid}/status").read_text()
    return int(text.split("VmRSS:")[1].split()[0])


FLOODS = {
    "continuation": [HeadersFrame(1, data=b"").serialize()]
    + [ContinuationFrame(1, data=b"\x00\x01a\x01b" * 2_000).serialize()] * 5_000,
    "settings": [SettingsFrame(0, settings={1: 4096}).serialize()] * 200_000,
    "ping": [PingFrame(0, opaque_data=b"12345678").serialize()] * 200_000,
    "reset": [
        HeadersFrame(
            stream,
            data=b"\x82\x87\x84\x41\x0f" + HOST.encode(),
            flags=["END_HEADERS", "END_STREAM"],
        ).serialize()
        + RstStreamFrame(stream, error_code=8).serialize()
        for stream in range(1, 40_000, 2)
    ],
}


@pytest.mark.parametrize("flood", FLOODS)
def test_a_flood_of_frames_takes_no_memory(gateway: Gateway, tmp_path: Path, flood: str) -> None:
    client = Clients(gateway.server, tmp_path / "more").issue()
    honest = Http2(gateway.connect(client, "h2"))
    assert honest.get()[0] == 200
    before = memory(gateway)
    attacker = Http2(gateway.connect(client, "h2"))
    # An attacker reads nothing.
    attacker.stream.settimeout(2)
    try:
        frames = FLOODS[flood]
        for first in range(0, len(frames), 500):
            attacker.stream.sendall(b"".join(frames[first : first + 500]))
    except OSError:
        pass
    assert memory(gateway) - before < MEMORY_MAX
    assert honest.get()[0] == 200
    attacker.stream.settimeout(PATIENCE_SECONDS)
    if flood in ("continuation", "reset"):
        assert ends(attacker.stream), "the gateway closes it"
    assert os.path.exists(f"/proc/{gateway.process.pid}")
