"""A receiver of webhooks that answers as a test wants."""

from __future__ import annotations

import base64
import json
import re
import secrets
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kit.harness import REPOSITORY, eventually

OK = b"HTTP/1.1 204 No Content\r\n\r\n"


def status(line: str, *headers: str) -> bytes:
    """Returns an answer without a body."""
    return "\r\n".join([f"HTTP/1.1 {line}", "Content-Length: 0", *headers, "", ""]).encode()


@dataclass
class Received:
    """A request."""

    line: str
    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def document(self) -> dict[str, Any]:
        return json.loads(self.body)

    @property
    def type(self) -> str:
        return self.document["type"]

    @property
    def certificate(self) -> str:
        return self.document["data"]["certificate"]["id"]


Answer = bytes | Iterator[bytes]


class Receiver:
    """Accepts events on a port of this machine, and stores every request before it answers."""

    def __init__(self, context: ssl.SSLContext | None = None, port: int = 0) -> None:
        self.context = context
        self.requests: list[Received] = []
        self.answer: Callable[[Received], Answer | None] = lambda _: OK
        self.listener = socket.create_server(("127.0.0.1", port), backlog=64)
        self.port = self.listener.getsockname()[1]
        self.open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        scheme = "https" if self.context else "http"
        return f"{scheme}://127.0.0.1:{self.port}/hook?key=s3cret-path"

    def close(self) -> None:
        """Ends every connection, and accepts no other one."""
        for one in [self.listener, *self.open]:
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            one.close()

    def wait(self, count: int, patience: float = 30.0) -> list[Received]:
        eventually(f"{count} events", lambda: len(self.requests) >= count, patience)
        return list(self.requests)

    def _accept(self) -> None:
        while True:
            try:
                stream, _ = self.listener.accept()
            except OSError:
                return
            self.open.append(stream)
            threading.Thread(target=self._serve, args=(stream,), daemon=True).start()

    def _serve(self, stream: socket.socket) -> None:
        try:
            if self.context:
                stream = self.context.wrap_socket(stream, server_side=True)
            with stream, stream.makefile("rb") as read:
                while line := read.readline().decode().strip():
                    headers = {}
                    while entry := read.readline().decode().strip():
                        name, _, value = entry.partition(": ")
                        headers[name.lower()] = value
                    body = read.read(int(headers.get("content-length", "0")))
                    received = Received(line, headers, body)
                    self.requests.append(received)
                    answer = self.answer(received)
                    if answer is None:
                        return
                    for part in [answer] if isinstance(answer, bytes) else answer:
                        stream.sendall(part)
        except (OSError, ValueError):
            return


def new_secret() -> str:
    return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()


def verifier() -> Callable[[str, dict[str, str], bytes], dict[str, Any]]:
    """Returns `verify` of the example in the documentation."""
    page = (REPOSITORY / "docs/notifications.md").read_text()
    found = re.search(r"```python\n(.*?)```", page, re.DOTALL)
    assert found, "the page has an example in Python"
    names: dict[str, Any] = {}
    exec(found[1], names)
    return names["verify"]


class Webhook:
    """A receiver, its secret in a file, and the flags of a server that sends to it."""

    def __init__(self, place: Path, context: ssl.SSLContext | None = None) -> None:
        self.receiver = Receiver(context)
        self.secret = new_secret()
        self.file = place / "webhook.secret"
        self.file.touch(mode=0o600)
        self.file.write_text(self.secret + "\n")

    @property
    def flags(self) -> tuple[str, ...]:
        return ("--webhook-url", self.receiver.url, "--webhook-secret-file", str(self.file))
