"""The public address in certificates: stored by the first start, and the same at later ones."""

from __future__ import annotations

import os
import pty
import select
import subprocess
from pathlib import Path

from kit.harness import PATIENCE_SECONDS, MakeServer, Server, environment

BEFORE = ["--public-url", "http://before.example"]
NOW = ["--public-url", "http://now.example"]


def address(server: Server) -> str:
    """The address in the certificates of the active CA."""
    api = server.api()
    path = f"/certgate/v1/accounts/{server.made['account_id']}/managed_authority"
    found = str(api.call("GET", path).result["public_url"])
    api.close()
    return found


def rotated(server: Server) -> None:
    api = server.api()
    path = f"/certgate/v1/accounts/{server.made['account_id']}/managed_authorities/rotate"
    assert api.call("POST", path).status == 200
    api.close()


def refused(server: Server) -> str:
    """The message of a start that fails."""
    done = subprocess.run(
        server.command(), capture_output=True, text=True, env=environment(), check=False
    )
    assert done.returncode == 2, done
    return done.stderr


def test_a_later_start_has_the_same_address(make_server: MakeServer) -> None:
    server = make_server(*BEFORE)
    assert address(server) == "http://before.example"
    server.stop()
    server.flags = NOW
    told = refused(server)
    assert "http://before.example" in told and "http://now.example" in told, told
    assert "--public-url-changes" in told
    server.flags = []
    server.start()
    rotated(server)
    assert address(server) == "http://before.example", "the stored one is the default"
    server.stop()

    server.flags = [*NOW, "--public-url-changes"]
    server.start()
    assert address(server) == "http://before.example", "the CA keeps it"
    rotated(server)
    assert address(server) == "http://now.example"
    server.stop()
    server.flags = NOW
    server.start()
    server.stop()
    server.flags = BEFORE
    refused(server)


def test_another_port_of_the_responder_is_another_address(make_server: MakeServer) -> None:
    server = make_server()
    stored = f"http://127.0.0.1:{server.public_port}"
    server.stop()
    server.start()
    server.stop()
    server.public_listen = "127.0.0.2:8788"
    assert stored in refused(server)


def read_until(terminal: int, wanted: str, so_far: str = "") -> str:
    while wanted not in so_far:
        ready, _, _ = select.select([terminal], [], [], PATIENCE_SECONDS)
        assert ready, so_far
        so_far += os.read(terminal, 4096).decode()
    return so_far


def test_a_person_is_asked_before_a_loopback_address_and_enter_accepts(
    make_server: MakeServer, tmp_path: Path
) -> None:
    for typed, expected in [("\n", "http://127.0.0.1:"), ("http://pki.example\n", "http://pki.")]:
        server = make_server(name=f"data-{len(typed)}", start=False)
        terminal, inside = pty.openpty()
        with (tmp_path / "log").open("ab") as log:
            process = subprocess.Popen(
                server.command(), stdin=inside, stdout=inside, stderr=log, env=environment()
            )
        os.close(inside)
        try:
            shown = read_until(terminal, "Public address [")
            assert "Only this machine reaches" in shown
            os.write(terminal, typed.encode())
            shown = read_until(terminal, "public responder listening on", shown)
            process.terminate()
            assert process.wait(PATIENCE_SECONDS) == 0
        finally:
            process.kill()
            os.close(terminal)
        server.start()
        assert address(server).startswith(expected)
        server.stop()
