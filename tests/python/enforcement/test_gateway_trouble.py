"""The gateway without certgate, behind a slow network, after a pause, and after a restore."""

from __future__ import annotations

import http.client
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from kit.gateway import Clients, Gateway, Http1, Upstream, WebSocket, ends
from kit.harness import PATIENCE_SECONDS, MakeServer, Server, eventually
from kit.relay import Relay

# The lease is 30 seconds longer than the longest stale_after_seconds.
LEASE_PATIENCE_SECONDS = 35 + 2 * PATIENCE_SECONDS

# The longest time between two proofs of freshness.
HEARTBEAT_SECONDS = 5

# The most streams and waiting requests of one token.
STREAMS_PER_TOKEN = 100


@pytest.fixture
def server(make_server: MakeServer) -> Server:
    """A server that no other test uses."""
    return make_server()


@pytest.fixture
def clients(server: Server, tmp_path: Path) -> Clients:
    clients = Clients(server, tmp_path / "clients")
    # The first certificate makes the managed CA, which the gateways then know at their start.
    clients.issue()
    return clients


@pytest.fixture
def relay(server: Server) -> Iterator[Relay]:
    relay = Relay(server.port)
    yield relay
    relay.close()


@pytest.fixture
def make_here(
    server: Server, clients: Clients, tmp_path: Path, upstream: Upstream
) -> Iterator[Any]:
    """Makes gateways. The server may be gone at the end."""
    made: list[Gateway] = []

    def make_here(relay: Relay | None = None, more: str = "") -> Gateway:
        gateway = Gateway(server, tmp_path / f"gateway-{len(made)}", upstream, more=more)
        made.append(gateway)
        if relay:
            gateway.values["api"] = f"http://127.0.0.1:{relay.port}"
            gateway.write()
        return gateway.start()

    yield make_here
    for gateway in made:
        gateway.kill()


def is_refused(http: Http1) -> bool:
    """Reads the answer to a request: an error of the gateway, or the end of the connection."""
    try:
        return http.receive()[0] in (403, 503)
    except OSError:
        return True


def test_the_gateway_refuses_before_the_server_stops_waiting_for_it(
    make_here: Any, clients: Clients, relay: Relay
) -> None:
    # An acknowledgement is on its way for four seconds, and the next one must arrive in time.
    gateway = make_here(relay, "stale_after_seconds = 15\n")
    revoked, other = clients.issue(), clients.issue()
    stream = WebSocket(gateway.connect(revoked))
    relay.delay = 2.0

    def age() -> float:
        return gateway.metric("certgate_enforcement_fresh_seconds")

    eventually("an acknowledgement is on its way", lambda: age() >= 6)
    eventually("it was accepted", lambda: age() < 6)
    assert gateway.status(other) == 200
    relay.hold()
    clients.revoke(revoked)
    assert ends(stream.stream)
    assert gateway.metric('certgate_gateway_connections_cut_total{reason="stale"}') == 1
    # The server still waits: it has not reported the revocation as complete.
    assert clients.api.get(revoked.id).result["status"] == "pending_revocation"
    for client in (revoked, other):
        assert gateway.status(client) == 503
    relay.delay = 0.0
    relay.release()
    clients.api.settled(revoked.id, "revoked")
    assert gateway.status(revoked) == 403
    eventually("the other one is admitted", lambda: gateway.status(other) == 200)


def test_a_gateway_that_was_frozen_for_longer_than_the_lease_refuses_its_first_request(
    make_here: Any, clients: Clients, relay: Relay
) -> None:
    # One cannot reach the server afterwards, the other one can.
    lost, found = (make_here(via, "stale_after_seconds = 5\n") for via in (relay, None))
    revoked, other = clients.issue(), clients.issue()
    open_ones = {
        (gateway, client): Http1(gateway.connect(client))
        for gateway in (lost, found)
        for client in (revoked, other)
    }
    for http1 in open_ones.values():
        assert http1.get()[0] == 200
    for gateway in (lost, found):
        gateway.process.send_signal(signal.SIGSTOP)
    clients.revoke(revoked)
    eventually(
        "the server does not wait any more",
        lambda: clients.api.get(revoked.id).result["status"] == "revoked",
        LEASE_PATIENCE_SECONDS,
    )
    relay.hold()
    # The requests wait in the sockets, and are the first ones.
    for http1 in open_ones.values():
        http1.send()
    for gateway in (lost, found):
        gateway.process.send_signal(signal.SIGCONT)
    assert is_refused(open_ones[lost, revoked]) and is_refused(open_ones[lost, other])
    assert is_refused(open_ones[found, revoked])
    assert {lost.status(revoked), lost.status(other)} == {503}
    assert found.status(revoked) in (403, 503)
    relay.release()
    for gateway in (lost, found):
        eventually("it recovers", lambda gateway=gateway: gateway.status(other) == 200)
        assert gateway.status(revoked) == 403


def test_after_a_restore_of_the_database_the_view_is_read_before_the_old_one_is_dropped(
    make_here: Any, server: Server, clients: Clients, relay: Relay, tmp_path: Path
) -> None:
    forgotten, kept, both = (clients.issue() for _ in range(3))
    clients.revoke(both)
    clients.api.settled(both.id, "revoked")
    server.stop()
    saved = tmp_path / "saved"
    shutil.copytree(server.directory, saved)
    server.start()
    relay.target = server.port
    clients.api = server.api()
    gateway = make_here(relay)
    for _ in range(3):
        clients.revoke(forgotten)
        clients.api.settled(forgotten.id, "revoked")
        clients.restore(forgotten)
        clients.api.settled(forgotten.id, "active")
    clients.revoke(forgotten)
    clients.api.settled(forgotten.id, "revoked")
    assert [gateway.status(one) for one in (forgotten, kept, both)] == [403, 200, 403]
    stream = WebSocket(gateway.connect(kept))

    # The restored database does not know the revocation. Its list is on its way for a while.
    listed = relay.held[b"/revocations HTTP/1.1"] = threading.Event()
    server.kill()
    shutil.rmtree(server.directory)
    shutil.copytree(saved, server.directory)
    server.start()
    relay.target = server.port
    clients.api = server.api()
    assert relay.waiting.acquire(timeout=PATIENCE_SECONDS), gateway.log
    assert "(code 1521)" in gateway.log
    for _ in range(20):
        assert [gateway.status(one) for one in (forgotten, kept, both)] == [403, 200, 403]
    listed.set()
    eventually("the new view is in effect", lambda: gateway.status(forgotten) == 200)
    assert [gateway.status(one) for one in (kept, both)] == [200, 403]
    assert stream.echoes(), "the certificate is valid in both views"
    clients.revoke(kept)
    assert ends(stream.stream)
    clients.api.settled(kept.id, "revoked")


def test_changes_are_followed_while_the_server_refuses_streams(
    make_here: Any, server: Server, clients: Clients
) -> None:
    path = f"/certgate/v1/accounts/{server.made['account_id']}/revocation_stream?after=0"
    others = [http.client.HTTPConnection("127.0.0.1", server.port) for _ in range(101)]
    answers = []
    for one in others:
        one.request("GET", path, headers={"Authorization": f"Bearer {server.token}"})
        answers.append(one.getresponse())
    assert [answer.status for answer in answers] == [200] * STREAMS_PER_TOKEN + [429]
    gateway = make_here()
    for _ in range(3):
        client = clients.issue()
        stream = WebSocket(gateway.connect(client))
        clients.revoke(client)
        assert ends(stream.stream)
        clients.api.settled(client.id, "revoked")
        assert gateway.status(client) == 403
    assert "answers 429" in gateway.log and "followed again" not in gateway.log
    for answer, one in zip(answers, others, strict=True):
        answer.close()
        one.close()
    eventually("there is a stream", lambda: "revocations are followed again" in gateway.log)


STREAM = b"/revocation_stream"


def test_changes_are_followed_while_a_proxy_holds_back_the_stream(
    make_here: Any, clients: Clients, relay: Relay
) -> None:
    stream_held = relay.held[STREAM] = threading.Event()
    gateway = make_here(relay)
    other = WebSocket(gateway.connect(clients.issue()))
    eventually("a stream is asked for", lambda: relay.asked)
    # The requests for a stream during which a change was enforced.
    served: set[int] = set()

    def has_two() -> bool:
        client, last = clients.issue(), max(relay.asked)
        stream = WebSocket(gateway.connect(client))
        is_waiting = last not in relay.gone
        clients.revoke(client)
        assert ends(stream.stream)
        if is_waiting and last not in relay.gone:
            served.add(last)
        clients.api.settled(client.id, "revoked")
        assert gateway.status(client) == 403
        return len(served) == 2

    eventually("the first one, and a later one", has_two, 4 * PATIENCE_SECONDS)
    assert gateway.log.count("held back") == 1
    assert other.echoes()
    stream_held.set()


def test_a_stream_that_is_held_back_after_its_first_line_is_noticed(
    make_here: Any, clients: Clients, relay: Relay
) -> None:
    flows = relay.held[STREAM] = threading.Event()
    flows.set()
    gateway = make_here(relay, "stale_after_seconds = 12\n")
    assert relay.waiting.acquire(timeout=PATIENCE_SECONDS), "the first line"
    flows.clear()
    for _ in range(2):
        client = clients.issue()
        stream = WebSocket(gateway.connect(client))
        clients.revoke(client)
        assert ends(stream.stream)
        # The answer to an acknowledgement has told of the change, before the silence was too long.
        assert len(relay.asked) == 1
        clients.api.settled(client.id, "revoked")
        assert gateway.status(client) == 403
    assert "held back" in gateway.log
    flows.set()


def test_sigterm_during_the_registration_leaves_no_point(
    server: Server, clients: Clients, relay: Relay, upstream: Upstream, tmp_path: Path
) -> None:
    answered = relay.held[b"POST "] = threading.Event()
    gateway = Gateway(server, tmp_path / "gateway", upstream)
    gateway.values["api"] = f"http://127.0.0.1:{relay.port}"
    gateway.write()
    try:
        gateway.launch()
        assert relay.waiting.acquire(timeout=PATIENCE_SECONDS), "the server has answered"
        assert len(gateway.points()) == 1
        gateway.process.send_signal(signal.SIGTERM)
        eventually("it stops", lambda: "stopping" in gateway.log)
        answered.set()
        gateway.stop()
        assert gateway.points() == [], gateway.log
    finally:
        gateway.kill()


def test_a_reload_to_a_shorter_limit_proves_freshness_more_often(
    make_here: Any, clients: Clients
) -> None:
    gateway = make_here(None, "stale_after_seconds = 60\n")
    gateway.more = "stale_after_seconds = 2\n"
    gateway.reload()
    # The heartbeat of the start is 5 seconds. Now it is half a second.
    ages: list[float] = []

    def proofs() -> int:
        """The number of times that the view became younger."""
        ages.append(gateway.metric("certgate_enforcement_fresh_seconds"))
        return sum(later < earlier for earlier, later in pairwise(ages))

    begun = time.monotonic()
    eventually("six proofs", lambda: proofs() >= 6)
    assert time.monotonic() < begun + 5 * HEARTBEAT_SECONDS
    gateway.more = "stale_after_seconds = 61\n"
    gateway.write()
    gateway.process.send_signal(signal.SIGHUP)
    rejected = 'certgate_gateway_reloads_total{result="rejected"}'
    eventually("a longer lease needs a restart", lambda: gateway.metric(rejected) == 1)
