"""A client of a gateway in a process of its own: it sends one request after the other.

python -m kit.honest PORT SERVER_CERTIFICATE CERTIFICATE KEY

Each line on standard output has the seconds of a request. It ends when a line on standard input
tells it, and with status 1 when a request is not answered with 200.
"""

from __future__ import annotations

import select
import socket
import ssl
import subprocess
import sys
import threading
import time
from pathlib import Path

from kit.gateway import HOST, Gateway, Http1, Identity
from kit.harness import PATIENCE_SECONDS, eventually


class Honest:
    """The process, which runs during the block."""

    def __init__(self, gateway: Gateway, client: Identity) -> None:
        # The seconds of each request.
        self.seconds: list[float] = []
        files = gateway.identity.certificate, client.certificate, client.key
        self.process = subprocess.Popen(
            [sys.executable, "-m", "kit.honest", str(gateway.port), *map(str, files)],
            cwd=Path(__file__).resolve().parents[1],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.thread = threading.Thread(target=self.read)

    def __enter__(self) -> Honest:
        self.thread.start()
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        assert self.process.stdin and self.process.stderr
        try:
            self.process.stdin.write("\n")
            self.process.stdin.close()
            self.process.wait(PATIENCE_SECONDS)
        except BrokenPipeError:
            self.process.wait(PATIENCE_SECONDS)
        finally:
            self.process.kill()
            self.thread.join()
        assert kind or self.process.returncode == 0, self.process.stderr.read()

    def read(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            self.seconds.append(float(line))

    def is_served(self, count: int = 2) -> bool:
        """Returns true after so many more answers."""
        until = len(self.seconds) + count
        eventually(
            "more answers",
            lambda: len(self.seconds) >= until or self.process.poll() is not None,
        )
        return len(self.seconds) >= until


def ask(port: int, server: str, certificate: str, key: str) -> None:
    context = ssl.create_default_context(cafile=server)
    context.load_cert_chain(certificate, key)
    raw = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_SECONDS)
    raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    http = Http1(context.wrap_socket(raw, server_hostname=HOST))
    while not select.select([sys.stdin], [], [], 0)[0]:
        begun = time.monotonic()
        status = http.get()[0]
        print(time.monotonic() - begun, flush=True)
        if status != 200:
            sys.exit(f"the answer is {status}")


if __name__ == "__main__":
    ask(int(sys.argv[1]), *sys.argv[2:])
