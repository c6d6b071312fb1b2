"""A random sequence of faults of the database and the network, under mixed load."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from kit.fleet import SEED
from kit.load import Clients, Load, assert_whole
from kit.postgres import MakeNode, Node, Postgres
from kit.relay import Relay
from kit.trouble import (
    ANSWERED_SECONDS,
    Watch,
    assert_nothing_lost,
    locked,
    own_database,
    recovered,
)

# The number of faults, of which most take less than 0.2 seconds.
FAULTS = int(os.environ.get("CERTGATE_TEST_FAULTS", "200"))

# The longest answer. A second fault may begin while a request waits because of the first.
TWICE_SECONDS = 2 * ANSWERED_SECONDS

# The shortest and the longest fault, in seconds.
SHORT, LONG = 0.02, 0.2

REQUESTS = ("issue", "get", "revoke own", "list", "restore own", "issue", "ocsp", "revoke own")


@dataclass
class Place:
    """A database, and two nodes of it: one behind a relay."""

    server: Postgres
    database: str
    relay: Relay
    nodes: list[Node]
    chance: random.Random

    def wait(self) -> None:
        threading.Event().wait(self.chance.uniform(SHORT, LONG))

    def on_connections(self, function: str, share: float) -> None:
        self.server.sql(
            f"SELECT {function}(pid) FROM pg_stat_activity "
            f"WHERE datname = '{self.database}' AND random() < {share}"
        )

    def during(self, begin: str, end: str, database: str = "postgres") -> None:
        self.server.sql(begin, database)
        self.on_connections("pg_terminate_backend", self.chance.choice((0.3, 1)))
        self.wait()
        self.server.sql(end, database)


def ends_connections(place: Place) -> None:
    place.on_connections("pg_terminate_backend", place.chance.random())


def cancels(place: Place) -> None:
    place.on_connections("pg_cancel_backend", place.chance.random())


def freezes(place: Place) -> None:
    """Stops the processes of the database server, or some of them."""
    share = place.chance.choice((0.2, 0.5, 1))
    place.server.pause(lambda _: place.chance.random() < share)
    place.wait()
    place.server.resume()


def freezes_node(place: Place) -> None:
    process = place.chance.choice(place.nodes).process
    assert process
    process.send_signal(signal.SIGSTOP)
    place.wait()
    process.send_signal(signal.SIGCONT)


def delays(place: Place) -> None:
    place.relay.hold()
    place.wait()
    place.relay.release()


def drops(place: Place) -> None:
    """Loses data, and later every connection."""
    place.relay.hold()
    place.wait()
    place.relay.cut()
    place.relay.release()


def stalls(place: Place) -> None:
    """Leaves connections half open: each side takes the other for connected."""
    place.relay.stall()


def cuts(place: Place) -> None:
    """Ends the connections in the middle of a message, such as COMMIT or its answer."""
    place.relay.cut_after(place.chance.randrange(1, 20_000))


def locks(place: Place) -> None:
    with locked(place.server, place.database):
        place.wait()


def restarts(place: Place) -> None:
    place.server.stop(place.chance.choice(("fast", "immediate")))
    place.server.start()


def takes_rights(place: Place) -> None:
    table = place.chance.choice(("certificates", "statuses", "store", "writers", "audit_entries"))
    right = place.chance.choice(("SELECT", "INSERT", "UPDATE"))
    what = f"{right} ON {table}"
    place.during(f"REVOKE {what} FROM app", f"GRANT {what} TO app", place.database)


def refuses_connections(place: Place) -> None:
    of = f"ALTER DATABASE {place.database} CONNECTION LIMIT"
    place.during(f"{of} {place.chance.randrange(6)}", f"{of} -1")


def allows_no_writes(place: Place) -> None:
    name = "default_transaction_read_only"
    of = f"ALTER DATABASE {place.database}"
    place.during(f"{of} SET {name} = on", f"{of} RESET {name}")
    # Those that were opened meanwhile.
    place.on_connections("pg_terminate_backend", 1)


def forgets_servers(place: Place) -> None:
    """Does what a start of a server does if the clock of the database is far ahead."""
    place.server.sql("DELETE FROM writers", place.database)


# Each fault, and its weight.
KINDS: dict[Callable[[Place], None], int] = {
    ends_connections: 20,
    cancels: 10,
    freezes: 15,
    freezes_node: 10,
    delays: 10,
    drops: 15,
    stalls: 3,
    cuts: 40,
    locks: 10,
    restarts: 4,
    takes_rights: 10,
    refuses_connections: 10,
    allows_no_writes: 10,
    forgets_servers: 10,
}


def test_random_faults_lose_and_repeat_nothing(
    guarded: Postgres, make_node: MakeNode, csr: str, tmp_path: Path
) -> None:
    print(f"CERTGATE_TEST_SEED={SEED}")
    chance = random.Random(SEED)
    database, url = own_database(guarded)
    relay = Relay(guarded.port)
    try:
        nodes = [make_node(url.replace(f":{guarded.port}/", f":{relay.port}/"))]
        nodes.append(make_node(url, start=False))
        nodes[1].made = nodes[0].made
        nodes[1].start()
        clients = [Clients(node, csr, tmp_path) for node in nodes]
        watches = [Watch(node) for node in nodes]
        place = Place(guarded, database, relay, nodes, chance)
        load = Load(clients, REQUESTS, clients=8)
        done: Counter[str] = Counter()
        begun = time.monotonic()
        with load:
            kinds, weights = list(KINDS), list(KINDS.values())
            # Each kind, and then as many more as are wanted.
            some = chance.sample(kinds, len(kinds))
            for fault in some + chance.choices(kinds, weights, k=FAULTS - len(kinds)):
                fault(place)
                done[fault.__name__] += 1
            for one in clients:
                recovered(one, time.monotonic())
        answers = Counter(f"{one.request}: {one.status}" for one in load.seen)
        longest = max(one.seconds for one in load.seen)
        print(f"{sum(done.values())} faults in {time.monotonic() - begun:.0f} s: {dict(done)}")
        print(f"longest answer {longest:.2f} s, {dict(answers)}")
        load.assert_honest(TWICE_SECONDS)
        for watch in watches:
            watch.assert_calm("request failed")
        assert_nothing_lost(load)
        assert_whole(guarded, database)
        assert load.count("issue", 200) > FAULTS / 2, "too little happened to mean anything"
        for node in nodes:
            node.is_intact()
    finally:
        guarded.resume()
        relay.close()
