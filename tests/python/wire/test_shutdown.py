"""SIGTERM: requests in flight finish, or end at the limit, and the process exits with 0."""

from __future__ import annotations

import http.client
import signal
import socket
import threading
import time
from contextlib import ExitStack
from typing import Any

import pytest

from kit.harness import PATIENCE_SECONDS, MakeServer, Server

IN_FLIGHT = 50

# The answers before the signal: by then each connection has an open request.
ANSWERS_BEFORE = 100


class Issue(threading.Thread):
    """Issues over one connection until it is closed. Counts missing answers."""

    def __init__(self, server: Server, csr: str, answers: threading.Semaphore) -> None:
        super().__init__()
        self.server, self.csr, self.answers = server, csr, answers
        self.answered: list[dict[str, Any]] = []
        self.unanswered = 0
        self.failure: BaseException | None = None

    def run(self) -> None:
        api = self.server.api()
        try:
            while True:
                answer = api.issue(self.csr)
                self.answered.append(answer.result)
                self.answers.release()
                if answer.headers["connection"] == "close":
                    return
        except (OSError, http.client.HTTPException):
            self.unanswered += 1
        except BaseException as failure:
            self.failure = failure
        finally:
            api.close()


@pytest.mark.parametrize("signal_number", [signal.SIGTERM, signal.SIGINT])
def test_answered_issues_are_stored(make_server: MakeServer, csr: str, signal_number: int) -> None:
    server = make_server()
    for _ in range(3):
        answers = threading.Semaphore(0)
        threads = [Issue(server, csr, answers) for _ in range(IN_FLIGHT)]
        before = known(server)
        for thread in threads:
            thread.start()
        for _ in range(ANSWERS_BEFORE):
            assert answers.acquire(timeout=PATIENCE_SECONDS)
        assert server.process
        server.process.send_signal(signal_number)
        for thread in threads:
            thread.join()
            assert thread.failure is None, repr(thread.failure)
        server.ended()
        server.is_intact()
        server.start()
        after = known(server)
        answered = {made["id"]: made for thread in threads for made in thread.answered}
        assert after.keys() >= before.keys() | answered.keys()
        assert all(after[identity] == made for identity, made in answered.items())
        unknown = after.keys() - before.keys() - answered.keys()
        assert len(unknown) <= sum(thread.unanswered for thread in threads)


class Asker(threading.Thread):
    """Sends requests over one or many connections until the server announces the last answer."""

    def __init__(self, server: Server, is_new: bool, answers: threading.Semaphore) -> None:
        super().__init__()
        self.server, self.is_new, self.answers = server, is_new, answers
        # The time of the request without an answer.
        self.lost: float | None = None
        self.was_told = False

    def run(self) -> None:
        api = self.server.api()
        try:
            while not self.was_told:
                if self.is_new:
                    api.close()
                answer = api.call("GET", "/client/v4/user/tokens/verify")
                assert answer.status == 200, answer.text
                self.was_told = answer.headers["connection"] == "close"
                self.answers.release()
        except (OSError, http.client.HTTPException):
            self.lost = api.sent
        finally:
            api.close()


@pytest.mark.parametrize("is_new", [False, True], ids=["one connection", "new connections"])
def test_requests_sent_before_sigterm_are_answered(make_server: MakeServer, is_new: bool) -> None:
    """Covers requests that are unread, or on unaccepted connections. The answer says that it is last."""
    server = make_server(start=False)
    told = 0
    for _ in range(10):
        server.start()
        answers = threading.Semaphore(0)
        threads = [Asker(server, is_new, answers) for _ in range(IN_FLIGHT)]
        for thread in threads:
            thread.start()
        for _ in range(ANSWERS_BEFORE):
            assert answers.acquire(timeout=PATIENCE_SECONDS)
        signalled = time.monotonic()
        server.terminate()
        for thread in threads:
            thread.join()
        server.ended()
        lost = [
            signalled - thread.lost for thread in threads if thread.lost and thread.lost < signalled
        ]
        assert lost == [], "seconds before the signal"
        told += sum(thread.was_told for thread in threads)
    assert told > IN_FLIGHT, "too few were told to mean anything"


def known(server: Server) -> dict[str, dict[str, Any]]:
    api = server.api()
    every = {made["id"]: made for made in api.every()}
    api.close()
    return every


def test_idle_connections_do_not_delay_the_stop(make_server: MakeServer) -> None:
    server = make_server("--request-timeout-seconds", "60")
    with ExitStack() as stack:
        for port in [server.port, server.public_port] * 50:
            stack.enter_context(socket.create_connection(("127.0.0.1", port)))
        used = server.api()
        assert used.total() == 0
        started = time.monotonic()
        server.stop()
        assert time.monotonic() - started < 5
        used.close()


@pytest.mark.parametrize("limit", ["--request-timeout-seconds", "--stop-timeout-seconds"])
def test_incomplete_requests_are_cut_off_at_the_limit(make_server: MakeServer, limit: str) -> None:
    """The other limit is long: the first one that ends decides."""
    other = {"--request-timeout-seconds": "--stop-timeout-seconds"}.get(
        limit, "--request-timeout-seconds"
    )
    server = make_server(limit, "1", other, "3600")
    path = f"/client/v4/zones/{server.zone_id}/client_certificates"
    head = f"POST {path} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {server.token}\r\n"
    with ExitStack() as stack:
        for sent in (
            f"{head}Content-Length: 9\r\n\r\n{{",
            f"{head}Transfer-Encoding: chunked\r\n\r\n5\r\n{{",
            head,
        ):
            connection = stack.enter_context(
                socket.create_connection(("127.0.0.1", server.port))
            )
            connection.sendall(sent.encode())
        # The server has read them: it has answered a later one.
        api = server.api()
        assert api.total() == 0
        api.close()
        server.terminate()
        server.ended()


def test_a_second_start_changes_nothing_and_prints_no_secret(
    make_server: MakeServer, csr: str
) -> None:
    server = make_server()
    api = server.api()
    made = api.issue(csr).result
    api.close()
    server.stop()
    key = (server.directory / "master.key").read_bytes()
    server.start()
    api = server.api()
    assert api.get(made["id"]).result == made and api.total() == 1
    api.close()
    assert (server.directory / "master.key").read_bytes() == key


def test_a_waiting_request_is_answered_at_the_stop(server: Server) -> None:
    answers: list[tuple[int, bytes]] = []
    begun = threading.Semaphore(0)

    def follow(path: str) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE_SECONDS)
        path = f"/certgate/v1/accounts/{server.made['account_id']}/{path}"
        connection.request("GET", path, headers={"Authorization": f"Bearer {server.token}"})
        begun.release()
        response = connection.getresponse()
        answers.append((response.status, response.read()))
        connection.close()

    paths = ["revocation_changes?wait_seconds=20", "revocation_stream"]
    threads = [threading.Thread(target=follow, args=[path]) for path in paths]
    for thread in threads:
        thread.start()
        begun.acquire()
    # Both requests have arrived, because a later one on another connection is answered.
    assert server.api().call("GET", "/client/v4/user").status == 200
    server.terminate()
    server.ended()
    for thread in threads:
        thread.join(PATIENCE_SECONDS)
    assert [status for status, _ in answers] == [200, 200]
    assert "cut off" not in server.log
