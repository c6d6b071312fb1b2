"""A mail server that answers as a test wants (RFC 5321)."""

from __future__ import annotations

import base64
import socket
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage

from kit.harness import eventually


@dataclass
class Mail:
    """A message with its envelope."""

    sender: str
    receivers: list[str]
    data: bytes
    login: tuple[str, str] | None
    is_encrypted: bool

    @property
    def message(self) -> EmailMessage:
        parsed = message_from_bytes(self.data, policy=policy.default)
        assert isinstance(parsed, EmailMessage)
        return parsed

    @property
    def text(self) -> str:
        return self.message.get_content()


@dataclass
class Session:
    """The state of a connection."""

    sender: str = ""
    receivers: list[str] = field(default_factory=list)
    login: tuple[str, str] | None = None
    is_encrypted: bool = False


class MailServer:
    """Accepts messages on a port of this machine. With a context, it offers TLS: from the beginning
    or after STARTTLS."""

    def __init__(
        self,
        context: ssl.SSLContext | None = None,
        starttls: bool = False,
        address: str = "127.0.0.1",
    ) -> None:
        self.context, self.starttls = context, starttls
        self.mails: list[Mail] = []
        self.logins: list[tuple[str, str]] = []
        # The answer to the end of a message.
        self.answer: Callable[[Mail], str] = lambda _: "250 Accepted"
        self.greeting = b"220 mail.test ESMTP\r\n"
        self.listener = socket.create_server((address, 0), backlog=16)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def wait(self, count: int, patience: float = 30.0) -> list[Mail]:
        eventually(f"{count} messages", lambda: len(self.mails) >= count, patience)
        return list(self.mails)

    def _accept(self) -> None:
        while True:
            try:
                stream, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(stream,), daemon=True).start()

    def _serve(self, stream: socket.socket) -> None:
        session = Session()
        try:
            if self.context and not self.starttls:
                stream = self.context.wrap_socket(stream, server_side=True)
                session.is_encrypted = True
            stream.sendall(self.greeting)
            while True:
                read = stream.makefile("rb")
                upgrade = self._converse(stream, read, session)
                if not upgrade or not self.context:
                    return
                stream = self.context.wrap_socket(stream, server_side=True)
                session.is_encrypted = True
        except (OSError, ValueError):
            return
        finally:
            stream.close()

    def _converse(self, stream: socket.socket, read, session: Session) -> bool:  # type: ignore[no-untyped-def]
        """Answers commands until the end (False) or STARTTLS (True)."""

        def say(text: str) -> None:
            stream.sendall(text.encode() + b"\r\n")

        while line := read.readline().decode().strip():
            command = line.upper()
            if command.startswith("EHLO"):
                offer = ["mail.test", "8BITMIME", "AUTH PLAIN"]
                if self.starttls and not session.is_encrypted:
                    offer.append("STARTTLS")
                stream.sendall(
                    b"".join(b"250-%s\r\n" % one.encode() for one in offer[:-1])
                    + b"250 %s\r\n" % offer[-1].encode()
                )
            elif command == "STARTTLS":
                say("220 Go ahead")
                return True
            elif command.startswith("AUTH PLAIN"):
                encoded = line.partition("PLAIN ")[2]
                _, user, password = base64.b64decode(encoded).decode().split("\0")
                session.login = (user, password)
                self.logins.append(session.login)
                say("235 Accepted")
            elif command.startswith("MAIL FROM:"):
                session.sender = line[10:].split(">")[0].strip("< ")
                say("250 OK")
            elif command.startswith("RCPT TO:"):
                session.receivers.append(line[8:].split(">")[0].strip("< "))
                say("250 OK")
            elif command == "DATA":
                say("354 Go ahead")
                data = b""
                while (part := read.readline()) != b".\r\n":
                    data += part.removeprefix(b".") if part.startswith(b"..") else part
                mail = Mail(
                    session.sender,
                    session.receivers,
                    data,
                    session.login,
                    session.is_encrypted,
                )
                answer = self.answer(mail)
                if answer.startswith("2"):
                    self.mails.append(mail)
                session.receivers = []
                say(answer)
            elif command == "QUIT":
                say("221 Bye")
                return False
            else:
                say("250 OK")
        return False
