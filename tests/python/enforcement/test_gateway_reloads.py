"""Reloads and restarts of a gateway under load, and the sessions that its changes end."""

from __future__ import annotations

import os
import socket
import ssl
import threading
import time
from typing import Any

import pytest

from kit.client_certificates import Authority
from kit.gateway import HOST, OTHER, Clients, Gateway, Http1, Identity, Upstream, WebSocket, host
from kit.harness import FULL_SIZE, eventually

# Requests per second.
RATE = 500 if FULL_SIZE else 80

# Threads that send them. Some of them open a connection for each request.
WORKERS = 16
OPENING = 2

RELOADS = 20
RESTARTS = 5


class Load:
    """Clients that send requests at a rate until the end of the block, all of which must succeed."""

    def __init__(self, gateway: Gateway, client: Identity) -> None:
        self.gateway, self.client = gateway, client
        self.lock, self.stop = threading.Lock(), threading.Event()
        self.answered, self.repeated, self.problems = 0, 0, list[str]()
        self.begun = time.monotonic()
        self.threads = [
            threading.Thread(target=self.work, args=(number >= OPENING,))
            for number in range(WORKERS)
        ]

    def __enter__(self) -> Load:
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        for thread in self.threads:
            thread.join()
        assert not self.problems, self.problems
        if FULL_SIZE:
            rate = self.answered / (time.monotonic() - self.begun)
            assert rate > RATE * 0.95, f"{rate:.0f} requests/s: the machine is too slow"
            assert not self.repeated, f"{self.repeated} requests were sent twice"

    def work(self, keeps: bool) -> None:
        context = self.gateway.context(self.client)
        http: Http1 | None = None
        due = time.monotonic()
        while not self.stop.wait(max(0.0, due - time.monotonic())):
            due = max(due, time.monotonic() - 1) + WORKERS / RATE
            try:
                http = self.request(http, context)
                if http and not keeps:
                    http.stream.close()
                    http = None
            except Exception as error:
                with self.lock:
                    self.problems.append(repr(error))
                http = None

    def request(self, http: Http1 | None, context: ssl.SSLContext) -> Http1 | None:
        """Sends a request, and returns the connection if it stays open."""
        is_kept = http is not None
        http = http or Http1(self.gateway.connect(None, context=context))
        try:
            status, headers, _ = http.get()
        except (ConnectionError, ssl.SSLError):
            # A client sends a request again if its connection was not used for a while and ends
            # before an octet of the answer (RFC 9112 §9.3.1).
            if not is_kept:
                raise
            with self.lock:
                self.repeated += 1
            return self.request(None, context)
        assert status == 200, status
        with self.lock:
            self.answered += 1
        if headers.get("connection") != "close":
            return http
        http.stream.close()
        return None

    def goes_on(self) -> None:
        """Waits for some more answers."""
        until = self.answered + max(20, RATE // 2)
        eventually("requests are answered", lambda: self.answered > until or self.problems)


def test_no_request_fails_during_reloads_and_restarts(
    make: Any, clients: Clients, upstream: Upstream
) -> None:
    client = clients.issue()
    url = f"http://127.0.0.1:{upstream.port}"
    with socket.create_server(("127.0.0.1", 0), backlog=512) as listener:
        inherited: dict[str, Any] = {
            "variables": {"LISTEN_FDS": "1"},
            "preexec_fn": lambda: (os.dup2(listener.fileno(), 3), os.set_inheritable(3, True)),
            "close_fds": False,
        }
        gateway = make(**inherited)
        assert gateway.port == listener.getsockname()[1]
        streams = [WebSocket(gateway.connect(client)) for _ in range(3)]
        with Load(gateway, client) as load:
            for number in range(RELOADS):
                load.goes_on()
                gateway.more = host(url, f"n{number}.example.com")
                gateway.reload()
                assert all(stream.echoes() for stream in streams), number
            for stream in streams:
                stream.stream.close()
            for _ in range(RESTARTS):
                load.goes_on()
                gateway.stop()
                gateway.launch(**inherited)
            load.goes_on()


class Sessions:
    """A client of one host that resumes its sessions."""

    def __init__(
        self, gateway: Gateway, client: Identity | None, version: ssl.TLSVersion, host: str = HOST
    ) -> None:
        self.gateway, self.host = gateway, host
        self.context = gateway.context(client, version=version)

    def begin(self) -> ssl.SSLSession:
        """Makes a connection, and returns its session, which can be resumed."""
        stream = self.gateway.connect(None, host=self.host, context=self.context)
        # TLS 1.3 sends the ticket after the handshake, at the latest with the answer.
        assert Http1(stream).get(host=self.host)[0] == 200
        session = stream.session
        assert session and session.has_ticket
        assert self.resumed(session) == (200, True)
        return session

    def resumed(self, session: ssl.SSLSession) -> tuple[int, bool]:
        """The status of a request on a new connection, and whether it resumes the session."""
        stream = self.gateway.connect(None, host=self.host, context=self.context, session=session)
        status = Http1(stream).get(host=self.host)[0]
        return status, bool(stream.session_reused)


VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


@pytest.mark.parametrize("version", VERSIONS)
def test_no_session_is_resumed_after_a_change_of_the_cas_or_the_policy(
    make: Any, clients: Clients, upstream: Upstream, version: ssl.TLSVersion
) -> None:
    url = f"http://127.0.0.1:{upstream.port}"
    gateway = make(host(url, client_certificates="optional"))
    client = clients.issue()
    changed, kept = Sessions(gateway, client, version), Sessions(gateway, client, version, OTHER)
    first, other = changed.begin(), kept.begin()
    # A reload that changes neither keeps the keys of the tickets.
    gateway.more += host(url, "more.example.com")
    gateway.reload()
    assert changed.resumed(first) == (200, True)

    authority = Authority("another")
    uploaded = clients.trust(authority, HOST)
    eventually("a CA was added", lambda: changed.resumed(first) == (200, False))
    second = changed.begin()
    clients.associate(authority=uploaded)
    eventually("it was removed", lambda: changed.resumed(second) == (200, False))

    third = changed.begin()
    text = gateway.text()
    required, optional = (f'client_certificates = "{word}"' for word in ("required", "optional"))
    assert text.index(required) < text.index(optional)
    gateway.reload(text.replace(required, optional, 1))
    assert changed.resumed(third) == (200, False)
    assert kept.resumed(other) == (200, True), "the other host has keys of its own"


@pytest.mark.parametrize("version", VERSIONS)
def test_a_session_from_before_certificates_were_required_opens_nothing(
    make: Any, clients: Clients, upstream: Upstream, version: ssl.TLSVersion
) -> None:
    url = f"http://127.0.0.1:{upstream.port}"
    gateway = make(host(url, client_certificates="off"))
    anonymous = Sessions(gateway, None, version, OTHER)
    session = anonymous.begin()
    # The session of one host, at the other one.
    of_host = Sessions(gateway, None, version)
    of_host.context = anonymous.context
    assert of_host.resumed(session) == (403, False)
    before = upstream.requests
    gateway.reload(gateway.text().replace('"off"', '"required"'))
    assert anonymous.resumed(session) == (403, False)
    assert upstream.requests == before
