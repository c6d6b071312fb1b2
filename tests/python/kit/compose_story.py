"""Runs deploy/compose in a network of its own: `unshare --net python -m kit.compose_story DIR`."""

from __future__ import annotations

import fcntl
import os
import socket
import ssl
import struct
import subprocess
import sys
from http.client import HTTPSConnection
from pathlib import Path

from kit.compose import stop
from kit.harness import eventually

HOST, PORT = "api.demo.localhost", 8443
# netdevice(7)
SIOCSIFFLAGS, IFF_UP = 0x8914, 1


def raise_loopback() -> None:
    with socket.socket() as any_socket:
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sh", b"lo", IFF_UP))


class Visitor:
    """A client with the certificate of setup.sh, or without."""

    def __init__(self, made: Path, has_certificate: bool) -> None:
        self.context = ssl.create_default_context(cafile=made / "tls/api.pem")
        if has_certificate:
            self.context.load_cert_chain(made / "laptop.crt", made / "laptop.key")

    def asks(self) -> tuple[int, str]:
        connection = HTTPSConnection("127.0.0.1", PORT, timeout=5)
        try:
            raw = socket.create_connection(("127.0.0.1", PORT), timeout=5)
        except OSError:
            return 0, ""
        connection.sock = self.context.wrap_socket(raw, server_hostname=HOST)
        connection.request("GET", "/", headers={"Host": HOST})
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        return answer.status, text


def main(directory: Path) -> None:
    raise_loopback()
    here = directory / "deploy/compose"
    try:
        subprocess.run(["./setup.sh"], cwd=here, check=True)
        known, unknown = Visitor(here / "made", True), Visitor(here / "made", False)
        eventually("the client is admitted", lambda: known.asks()[0] == 200)
        assert known.asks() == (200, "hello CN=laptop\n"), known.asks()
        assert unknown.asks()[0] == 403, unknown.asks()
        revoke = ["docker", "compose", "exec", "-T", "certgate", "certgate", "cert", "revoke"]
        subprocess.run([*revoke, "laptop"], cwd=here, check=True)
        eventually("the client is refused", lambda: known.asks()[0] == 403)
    finally:
        stop(Path(os.environ["CERTGATE_TEST_COMPOSE"]))
    print("done")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
