"""Measures how soon a revocation is enforced by `certgate gateway`.

cd tests/python
CERTGATE_TEST_BINARY=../../target/dist/certgate python soak/measure_cut.py [REVOKED]

REVOKED certificates (100,000 by default) are revoked before. Connections of other clients stay
open, and each must answer at the end. A history of revocations and restorations checks that the
gateway refuses a certificate whenever the API reports it as revoked.
"""

from __future__ import annotations

import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from kit.gateway import Clients, Gateway, Http1, Identity, Upstream  # noqa: E402
from kit.harness import PATIENCE_SECONDS, Server, eventually  # noqa: E402
from kit.many import issue_many, revoke_many  # noqa: E402

# Connections of other clients that stay open. The gateway closes one after 75 idle seconds.
OTHERS = 500
PAUSE_SECONDS = 20

# Revocations of certificates with an open connection.
CUTS = 200

# Steps of the history: a revocation and a restoration each.
STEPS = 500

# Steps with a pause before each change, after which no acknowledgement waits for an earlier one.
QUIET_STEPS, QUIET_SECONDS = 100, 0.7

# Revocations by many clients at once.
MASS = 10_000


class Others:
    """Open connections of other clients, each of which sends a request now and then."""

    def __init__(self, gateway: Gateway, clients: Clients) -> None:
        self.open: list[Http1] = []
        self.failed, self.stopped = 0, threading.Event()
        for _ in range(OTHERS):
            client = clients.issue()
            eventually("admitted", lambda client=client: is_admitted(gateway, client))
            self.open.append(Http1(gateway.connect(client)))
        self.thread = threading.Thread(target=self.ask)
        self.thread.start()

    def ask(self) -> None:
        """Asks on each connection within its idle time, for the last time after the stop."""
        while not self.stopped.wait(PAUSE_SECONDS):
            self.ask_each()
        self.ask_each()

    def ask_each(self) -> None:
        for http in list(self.open):
            try:
                is_good = http.get()[0] == 200
            except OSError:
                is_good = False
            if not is_good:
                self.failed += 1
                self.open.remove(http)

    def stop(self) -> int:
        self.stopped.set()
        self.thread.join()
        return self.failed


def shown(title: str, seconds: list[float]) -> None:
    ordered = sorted(seconds)
    middle, late = ordered[len(ordered) // 2], ordered[len(ordered) * 99 // 100]
    print(
        f"{title}: median {middle * 1e3:.1f} ms, p99 {late * 1e3:.1f} ms, "
        f"worst {ordered[-1] * 1e3:.1f} ms ({len(ordered)} times)",
        flush=True,
    )


def is_admitted(gateway: Gateway, client: Identity) -> bool:
    try:
        with gateway.connect(client) as stream:
            return Http1(stream).get()[0] == 200
    except OSError:
        return False


def measure_cuts(gateway: Gateway, clients: Clients) -> None:
    """From the answer to DELETE to the end of the connection."""
    seconds = []
    for _ in range(CUTS):
        client = clients.issue()
        eventually("admitted", lambda client=client: is_admitted(gateway, client))
        stream = gateway.connect(client)
        assert Http1(stream).get()[0] == 200
        clients.revoke(client)
        begun = time.monotonic()
        try:
            while stream.recv(4096):
                pass
        except OSError:
            pass
        seconds.append(time.monotonic() - begun)
        assert not is_admitted(gateway, client)
    shown("connection cut after the answer to DELETE", seconds)


def measure_history(gateway: Gateway, clients: Clients, steps: int, pause: float) -> None:
    """From the answers to `revoked`, and to the first request after a restoration."""
    client = clients.issue()
    eventually("admitted", lambda: is_admitted(gateway, client))
    reported, admitted = [], []
    for _ in range(steps):
        time.sleep(pause)
        clients.revoke(client)
        begun = time.monotonic()
        while clients.api.get(client.id).result["status"] != "revoked":
            assert time.monotonic() < begun + PATIENCE_SECONDS
        reported.append(time.monotonic() - begun)
        assert not is_admitted(gateway, client), "reported as revoked, and admitted"
        time.sleep(pause)
        clients.restore(client)
        begun = time.monotonic()
        while not is_admitted(gateway, client):
            assert time.monotonic() < begun + PATIENCE_SECONDS
        admitted.append(time.monotonic() - begun)
        clients.api.settled(client.id, "active")
    title = f"{pause} s before each change"
    shown(f"{title}: `revoked` reported after the answer to DELETE", reported)
    shown(f"{title}: admitted after the answer to PATCH", admitted)


def measure_mass(server: Server, gateway: Gateway, directory: Path) -> None:
    identifiers = issue_many(server, directory, MASS)
    before = gateway.metric("certgate_enforcement_epoch")
    rate = revoke_many(server, identifiers)
    begun = time.monotonic()
    while gateway.metric("certgate_enforcement_epoch") < before + MASS:
        assert time.monotonic() < begun + PATIENCE_SECONDS
    late = time.monotonic() - begun
    print(f"{MASS} revocations at {rate:.0f}/s, enforced {late * 1e3:.0f} ms after the last answer")


def main() -> None:
    revoked = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    directory = Path(tempfile.mkdtemp())
    server = Server(directory / "data").start()
    if revoked:
        rate = revoke_many(server, issue_many(server, directory, revoked))
        print(f"{revoked} certificates are revoked, {rate:.0f}/s", flush=True)
    clients = Clients(server, directory / "clients")
    clients.issue()
    upstream = Upstream()
    gateway = Gateway(server, directory / "gateway", upstream).start()
    others = Others(gateway, clients)
    measure_cuts(gateway, clients)
    measure_history(gateway, clients, STEPS, 0)
    measure_history(gateway, clients, QUIET_STEPS, QUIET_SECONDS)
    measure_mass(server, gateway, directory)
    print(f"{others.stop()} connections of {OTHERS} other clients failed")
    gateway.stop()
    upstream.close()
    server.stop()


if __name__ == "__main__":
    main()
