"""The replacement of a CA rejects no client at a gateway."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kit.follow import command
from kit.gateway import Clients, Gateway, Identity, Upstream
from kit.harness import Server, eventually


class Visitors:
    """Clients that connect again and again, and note each answer that is not a success."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self.clients: list[Identity] = []
        self.refused: list[str] = []
        self.visits = self.rounds = 0
        self.ending = threading.Event()
        self.thread = threading.Thread(target=self.visit)

    def __enter__(self) -> Visitors:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ending.set()
        self.thread.join()

    def visit(self) -> None:
        while not self.ending.is_set():
            for client in list(self.clients):
                answer = self.gateway.status(client)
                if answer != 200:
                    self.refused.append(f"{client.certificate.name}: {answer}")
                self.visits += 1
            self.rounds += 1

    def only(self, client: Identity) -> None:
        """Forgets the other clients, and waits for the end of the round that has them."""
        self.clients = [client]
        begun = self.rounds
        eventually("the next round", lambda: self.rounds > begun)

    def welcome(self, client: Identity) -> None:
        """Adds a client. Its first connection is accepted, without any wait."""
        assert self.gateway.status(client) == 200, self.gateway.log
        self.clients.append(client)

    def have_all_been(self) -> None:
        """Waits for another visit of each client."""
        until = self.visits + 2 * len(self.clients)
        eventually("more visits", lambda: self.visits > until)
        assert not self.refused


@contextmanager
def started(server: Server, directory: Path, upstream: Upstream) -> Iterator[Gateway]:
    gateway = Gateway(server, directory / "gateway", upstream)
    try:
        yield gateway.start()
        gateway.stop()
    finally:
        gateway.kill()


def done(server: Server, *arguments: str) -> dict[str, object]:
    ran = command(server, *arguments, "--output", "json")
    assert ran.returncode == 0, ran.stderr
    shown: dict[str, object] = json.loads(ran.stdout)
    return shown


def test_no_client_is_rejected_while_a_ca_is_replaced(
    server: Server, tmp_path: Path, upstream: Upstream
) -> None:
    clients = Clients(server, tmp_path / "clients")
    first = clients.issue()
    old = str(done(server, "ca", "show")["id"])
    with started(server, tmp_path, upstream) as gateway, Visitors(gateway) as visitors:
        visitors.welcome(first)
        new = done(server, "ca", "prepare", "--name", "Next")
        assert new["state"] == "prepared"
        visitors.welcome(clients.issue())

        def activated(ca: str) -> bool:
            return command(server, "ca", "activate", ca).returncode == 0

        eventually("the gateway acknowledges the CA", lambda: activated("Next"))
        second = clients.issue()
        visitors.welcome(second)
        # The activation of the CA before undoes the rotation.
        assert activated(old)
        visitors.welcome(clients.issue())
        assert activated("next")
        visitors.welcome(clients.issue())
        visitors.have_all_been()

        refused = command(server, "ca", "retire", old)
        assert refused.returncode == 1 and "--anyway" in refused.stderr, refused.stderr
        visitors.have_all_been()
        visitors.only(second)
        assert done(server, "ca", "retire", old, "--anyway")["state"] == "retired"
        eventually("the old CA is rejected", lambda: gateway.status(first) != 200)
        visitors.have_all_been()


def test_an_activation_waits_for_a_gateway_that_is_late(
    server: Server, tmp_path: Path, upstream: Upstream
) -> None:
    clients = Clients(server, tmp_path / "clients")
    client = clients.issue()
    with started(server, tmp_path, upstream) as gateway:
        assert gateway.status(client) == 200
        [point] = gateway.points()
        gateway.kill()
        done(server, "ca", "prepare", "--name", "Next")
        late = command(server, "ca", "activate", "Next")
        assert late.returncode == 1, late
        assert "not acknowledged" in late.stderr and "--anyway" in late.stderr, late.stderr
        gateway.start()
        # The process that was killed does not come back: its point would be waited for until it is
        # forgotten.
        points = f"/certgate/v1/accounts/{server.made['account_id']}/enforcement_points"
        assert clients.api.call("DELETE", f"{points}/{point['id']}").status == 200
        eventually(
            "it has acknowledged",
            lambda: command(server, "ca", "activate", "Next").returncode == 0,
        )
        assert gateway.status(clients.issue()) == 200
