"""Several nodes on one database that are killed and stopped while clients use them."""

from __future__ import annotations

import http.client
import os
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from kit.harness import Api
from kit.postgres import Node

# The seed. A failure prints it, and CERTGATE_TEST_SEED=… repeats the run.
SEED = int(os.environ.get("CERTGATE_TEST_SEED") or random.SystemRandom().getrandbits(32))

# The number of nodes that restart, and the duration in seconds.
NODES = 3
SECONDS = float(os.environ.get("CERTGATE_TEST_SECONDS", "20"))

# The time that a node runs, and the time that it is stopped, in seconds.
LEFT_ALONE = (0.1, 1.5)
AWAY = (0.0, 1.0)

# The share of SIGTERM among the kills.
STOPPED = 0.4


class Life:
    """A node from one start to its end."""

    def __init__(self, node: Node, number: int) -> None:
        self.node, self.number, self.port = node, number, node.port
        self.killed_at = self.terminated_at = float("inf")

    @property
    def name(self) -> str:
        """The application name of each connection of the process."""
        return f"{self.node.directory.name}.{self.number}"

    def excuses(self, api: Api, failed: float) -> bool:
        """Returns true if a request may lack an answer: it ran at a kill, or came after the end.

        SIGTERM excuses nothing that was sent before it.
        """
        return failed >= self.killed_at or api.sent >= self.terminated_at


class Fleet:
    """Nodes, some of which are up."""

    def __init__(self, nodes: list[Node]) -> None:
        """Starts the nodes one after another. The first makes the installation if there is none."""
        self.nodes = nodes
        self.lives: list[Life] = []
        self.up: dict[Node, Life] = {}
        self.ends = {"killed": 0, "stopped": 0}
        for node in nodes:
            self.start(node)

    def start(self, node: Node) -> Life:
        life = Life(node, len(self.lives))
        node.made = node.made or self.nodes[0].made
        node.start(CERTGATE_DATABASE_URL=f"{node.database_url}&application_name={life.name}")
        life.port = node.port
        self.lives.append(life)
        self.up[node] = life
        return life

    def kill(self, node: Node) -> None:
        self.up.pop(node).killed_at = time.monotonic()
        node.kill()
        self.ends["killed"] += 1

    def stop(self, node: Node) -> None:
        self.up.pop(node).terminated_at = time.monotonic()
        node.stop()
        self.ends["stopped"] += 1

    def disturb(self, seconds: float, chance: random.Random) -> None:
        """Kills, stops and starts nodes at random. One always runs, and all run at the end."""
        until = time.monotonic() + seconds
        never = threading.Event()
        while (now := time.monotonic()) < until:
            never.wait(min(chance.uniform(*LEFT_ALONE), until - now))
            for node in chance.sample(self.nodes, chance.randrange(1, len(self.nodes))):
                (self.stop if chance.random() < STOPPED else self.kill)(node)
            never.wait(chance.uniform(*AWAY))
            for node in self.nodes:
                if node not in self.up:
                    self.start(node)

    @contextmanager
    def loaded(self, clients: Sequence[Client]) -> Iterator[None]:
        """Runs clients meanwhile. Raises the first failure of a client."""
        for client in clients:
            client.start()
        try:
            yield
        finally:
            for client in clients:
                client.ending.set()
            for client in clients:
                client.join()
        for client in clients:
            assert client.failure is None, repr(client.failure)


class Client(threading.Thread):
    """Sends requests to any running node. Subclasses choose the requests."""

    def __init__(self, fleet: Fleet, seed: int) -> None:
        super().__init__()
        self.fleet, self.random = fleet, random.Random(seed)
        self.ending = threading.Event()
        self.failure: BaseException | None = None
        self.apis: dict[Life, Api] = {}
        self.cut_off = 0

    def step(self, api: Api) -> None:
        raise NotImplementedError

    def run(self) -> None:
        try:
            while not self.ending.is_set():
                self.ask(self.step)
        except BaseException as failure:
            self.failure = failure
        finally:
            for api in self.apis.values():
                api.close()

    def ask(self, step: Callable[[Api], None]) -> None:
        """Runs one step at one node. A missing answer needs an excuse."""
        if not (lives := list(self.fleet.up.values())):
            return
        life = self.random.choice(lives)
        if life not in self.apis:
            made = life.node.made
            self.apis[life] = Api(life.port, made["token"], made["zone_id"])
        api = self.apis[life]
        try:
            step(api)
        except (OSError, http.client.HTTPException) as error:
            failed = time.monotonic()
            self.apis.pop(life).close()
            self.cut_off += 1
            since = {
                "killed": failed - life.killed_at,
                "terminated": failed - life.terminated_at,
                "sent": failed - api.sent,
            }
            assert life.excuses(api, failed), (
                f"{life.name} did not answer: {error!r}, seconds since: {since}"
            )
