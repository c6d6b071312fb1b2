"""The management API over TLS: curl and the command line trust only the given CA."""

from __future__ import annotations

import json
import os
import socket
import ssl
import subprocess
import time
from pathlib import Path

import pytest

from kit.harness import KEYS, PATIENCE_SECONDS, MakeServer, Server, certgate, openssl


class Files:
    """An authority and the certificate it signed for 127.0.0.1."""

    def __init__(self, place: Path) -> None:
        self.authority, self.certificate, self.key = (
            place / name for name in ("ca.crt", "api.crt", "api.key")
        )
        ca_key = place / "ca.key"
        new = ["req", "-x509", *KEYS["P-256"], "-nodes"]
        self.authority.write_text(openssl(*new, "-keyout", ca_key, "-subj", "/CN=ca"))
        signer = ["-CA", self.authority, "-CAkey", ca_key]
        names = [
            "-addext",
            "subjectAltName=IP:127.0.0.1",
            "-addext",
            "basicConstraints=critical,CA:FALSE",
        ]
        self.certificate.write_text(
            openssl(*new, *signer, "-keyout", self.key, "-subj", "/CN=api", *names)
        )


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


@pytest.fixture
def secure(make_server: MakeServer, files: Files) -> Server:
    tls = ["--tls-certificate", str(files.certificate), "--tls-key", str(files.key)]
    return make_server(*tls, "--request-timeout-seconds", "1")


def test_curl_and_the_command_line(secure: Server, files: Files, tmp_path: Path) -> None:
    url = f"{secure.url}/client/v4/zones/{secure.zone_id}/client_certificates"
    bearer = ["-H", f"Authorization: Bearer {secure.token}"]
    done = subprocess.run(
        ["curl", "-sS", "--cacert", files.authority, url, *bearer], capture_output=True, text=True
    )
    assert done.returncode == 0 and json.loads(done.stdout)["success"] is True, done.stderr
    stranger = subprocess.run(["curl", "-sS", url, *bearer], capture_output=True, text=True)
    assert stranger.returncode == 60, "a certificate of an unknown CA"

    # The data directory names the certificate of its server. From elsewhere, its CA must be named.
    token = tmp_path / "token"
    token.write_text(secure.token)
    elsewhere = ["--api", secure.url, "--token-file", token, "--zone", secure.zone_id]
    for trusting in (["--data-dir", secure.directory], [*elsewhere, "--api-ca", files.authority]):
        listed = certgate("cert", "list", "--output", "json", *trusting, cwd=tmp_path)
        assert listed.returncode == 0 and json.loads(listed.stdout)["result"] == [], listed.stderr
    refused = certgate("cert", "list", *elsewhere, cwd=tmp_path)
    assert refused.returncode == 3 and "certificate" in refused.stderr, refused.stderr
    assert secure.token not in refused.stderr


def test_tls_1_2_and_1_3_are_accepted(secure: Server, files: Files) -> None:
    def version(maximum: ssl.TLSVersion) -> str | None:
        context = ssl.create_default_context(cafile=str(files.authority))
        context.maximum_version = maximum
        with socket.create_connection(
            ("127.0.0.1", secure.port), timeout=PATIENCE_SECONDS
        ) as connection:
            with context.wrap_socket(connection, server_hostname="127.0.0.1") as wrapped:
                return wrapped.version()

    assert version(ssl.TLSVersion.TLSv1_3) == "TLSv1.3"
    assert version(ssl.TLSVersion.TLSv1_2) == "TLSv1.2"


def test_an_incomplete_handshake_is_closed(secure: Server) -> None:
    for beginning in (b"", b"\x16\x03\x01", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"):
        with socket.create_connection(
            ("127.0.0.1", secure.port), timeout=PATIENCE_SECONDS
        ) as connection:
            connection.sendall(beginning)
            started = time.monotonic()
            while connection.recv(65536):
                pass
            assert time.monotonic() - started < 6


def test_wrong_tls_files_end_the_start_with_status_2(
    make_server: MakeServer, files: Files, tmp_path: Path
) -> None:
    """A restart does not fix them."""
    server = make_server(start=False)
    (tmp_path / "other").mkdir()
    other = Files(tmp_path / "other")
    garbage = tmp_path / "garbage"
    garbage.write_bytes(b"\x00" * 100)
    garbage.chmod(0o600)
    open_key = tmp_path / "open.key"
    open_key.write_bytes(files.key.read_bytes())
    open_key.chmod(0o640)
    for certificate, key, reason in (
        (files.certificate, other.key, "cannot be used together"),
        (files.key, files.key, "cannot be used together"),
        (garbage, files.key, "cannot be used together"),
        (files.certificate, garbage, "cannot read the TLS key"),
        (tmp_path / "missing", files.key, "cannot read the TLS certificate"),
        (files.certificate, tmp_path, "cannot read the TLS key"),
        (files.certificate, tmp_path / "missing", "cannot read the TLS key"),
    ):
        flags = ["--tls-certificate", str(certificate), "--tls-key", str(key)]
        assert reason in server.refuses_to_start(*flags, status=2), (certificate, key)
    if os.geteuid():
        flags = ["--tls-certificate", str(files.certificate), "--tls-key", str(open_key)]
        assert f"chmod 600 {open_key}" in server.refuses_to_start(*flags, status=2)
    open_key.chmod(0o644)
    flags = ["--tls-certificate", str(files.certificate), "--tls-key", str(open_key)]
    assert f"chmod 600 {open_key}" in server.refuses_to_start(*flags, status=2)
