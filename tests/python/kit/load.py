"""Clients of certgate nodes, and the answers they saw."""

from __future__ import annotations

import http.client
import json
import re
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle
from pathlib import Path
from typing import Any, NamedTuple

from kit.harness import openssl
from kit.postgres import Node, Postgres

# Longer than certgate gives a request.
CLIENT_TIMEOUT_SECONDS = 45.0

# OCSPResponse ::= SEQUENCE { responseStatus tryLater (3) } (RFC 6960 §4.2.1).
TRY_LATER = bytes.fromhex("30030a0103")

WRITES = ("issue", "revoke", "restore", "ready")
READS = ("list", "get")
PUBLIC = ("ocsp", "list of revocations", "authority")
ALIVE = ("alive", "public alive", "metrics")
# The statuses after a change.
CHANGES = {
    "revoke own": {"pending_revocation", "revoked"},
    "restore own": {"pending_reactivation", "active"},
}
ALL = (*WRITES, *READS, *PUBLIC, *ALIVE)


class Seen(NamedTuple):
    """An answer, or the lack of one."""

    request: str
    # 0 without an answer.
    status: int
    headers: dict[str, str]
    body: bytes
    seconds: float

    @property
    def result(self) -> Any:
        assert self.status == 200, self
        return json.loads(self.body)["result"]

    @property
    def code(self) -> int:
        return int(json.loads(self.body)["errors"][0]["code"])


def is_refused(seen: Seen) -> bool:
    """Returns true for a 503 that says to retry, or to look first after a possible change."""
    codes = {10503, 10504} if seen.request.split()[0] in ("issue", "revoke", "restore") else {10503}
    return seen.status == 503 and seen.code in codes and int(seen.headers["retry-after"]) > 0


class Clients:
    """Clients of one node, with one connection per request, and their certificates."""

    def __init__(self, node: Node, csr: str, directory: Path) -> None:
        self.node, self.csr = node, csr
        self.base = f"/client/v4/zones/{node.zone_id}/client_certificates"
        self.certificate = self.authority = self.shard = ""
        # The certificates in answers.
        self.issued: set[str] = set()
        self.ocsp = b""
        first = self.ask("issue").result
        self.certificate = first["id"]
        leaf, authority = directory / "leaf.pem", directory / "authority.pem"
        leaf.write_text(first["certificate"])
        names = openssl("x509", "-in", leaf, "-noout", "-ext", "crlDistributionPoints")
        found = re.search(r"/crl/([0-9a-f-]+)/(\d+\.crl)", names)
        assert found, names
        self.authority, self.shard = found[1], found[2]
        authority.write_text(openssl("x509", "-inform", "der", stdin=self.ask("authority").body))
        request = directory / "request.der"
        openssl("ocsp", "-issuer", authority, "-cert", leaf, "-no_nonce", "-reqout", request)
        self.ocsp = request.read_bytes()

    def ask(self, request: str, certificate: str | None = None) -> Seen:
        """Sends one request about `certificate`, by default the first."""
        node, one = self.node, f"{self.base}/{certificate or self.certificate}"
        csr = json.dumps({"csr": self.csr, "validity_days": 30}).encode()
        routes: dict[str, tuple[str, str, bytes | None]] = {
            "issue": ("POST", self.base, csr),
            "revoke": ("DELETE", one, None),
            "restore": ("PATCH", one, b'{"reactivate": true}'),
            "list": ("GET", self.base, None),
            "get": ("GET", one, None),
            "ready": ("GET", "/readyz", None),
            "alive": ("GET", "/healthz", None),
            "metrics": ("GET", "/metrics", None),
            "ocsp": ("POST", "/ocsp", self.ocsp),
            "list of revocations": ("GET", f"/crl/{self.authority}/{self.shard}", None),
            "authority": ("GET", f"/ca/{self.authority}.crt", None),
            "public alive": ("GET", "/healthz", None),
        }
        method, path, body = routes[request]
        port, headers = (
            node.port,
            {"Authorization": f"Bearer {node.token}", "Content-Type": "application/json"},
        )
        if request in (*PUBLIC, "public alive"):
            port, headers = node.public_port, {"Content-Type": "application/ocsp-request"}
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=CLIENT_TIMEOUT_SECONDS)
        begun = time.monotonic()
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            text = response.read()
        except OSError as error:
            return Seen(request, 0, {}, str(error).encode(), time.monotonic() - begun)
        finally:
            connection.close()
        lower = {name.lower(): value for name, value in response.getheaders()}
        seen = Seen(request, response.status, lower, text, time.monotonic() - begun)
        if request == "issue" and seen.status == 200:
            self.issued.add(seen.result["id"])
        return seen

    def every_route(self) -> list[Seen]:
        """Sends one request to each route of the OpenAPI document, all at once.

        Only those that read have the real account and zone.
        """
        connection = http.client.HTTPConnection("127.0.0.1", self.node.port)
        connection.request("GET", "/openapi.json")
        paths = json.loads(connection.getresponse().read())["paths"]
        connection.close()
        routes = [
            (method.upper(), path)
            for path, methods in paths.items()
            for method in methods
            if method in ("get", "post", "put", "patch", "delete")
        ]
        with ThreadPoolExecutor(len(routes)) as pool:
            return list(pool.map(lambda route: self._route(*route), routes))

    def _route(self, method: str, path: str) -> Seen:
        real = self.node.made if method == "GET" else {}
        filled = re.sub(r"\{(\w+)\}", lambda name: real.get(name[1], "0" * 32), path)
        headers = {"Authorization": f"Bearer {self.node.token}", "Content-Type": "application/json"}
        connection = http.client.HTTPConnection(
            "127.0.0.1", self.node.port, timeout=CLIENT_TIMEOUT_SECONDS
        )
        begun = time.monotonic()
        try:
            connection.request(method, filled, None if method == "GET" else b"{}", headers)
            response = connection.getresponse()
            # A stream has no end.
            text = b"" if response.status == 200 else response.read()
        except OSError as error:
            return Seen(f"{method} {path}", 0, {}, str(error).encode(), time.monotonic() - begun)
        finally:
            connection.close()
        lower = {name.lower(): value for name, value in response.getheaders()}
        return Seen(f"{method} {path}", response.status, lower, text, time.monotonic() - begun)

    def all_at_once(self, requests: Iterable[str], times: int) -> list[Seen]:
        """Sends each request several times, all at once."""
        wanted = [request for _ in range(times) for request in requests]
        with ThreadPoolExecutor(len(wanted)) as pool:
            return list(pool.map(self.ask, wanted))


class Load:
    """Clients that send requests one after another, each to one node, until they are stopped."""

    def __init__(self, nodes: list[Clients], requests: tuple[str, ...], clients: int) -> None:
        self.nodes, self.requests = nodes, requests
        self.seen: list[Seen] = []
        # The possible statuses of a certificate after a change.
        self.last_change: dict[str, set[str]] = {}
        self.stopped = threading.Event()
        self.threads = [
            threading.Thread(target=self._run, args=(number,)) for number in range(clients)
        ]

    def __enter__(self) -> Load:
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopped.set()
        for thread in self.threads:
            thread.join()

    def _run(self, number: int) -> None:
        """Revokes and restores only certificates that it received itself."""
        node = self.nodes[number % len(self.nodes)]
        turns = cycle(self.requests)
        own: list[str] = []
        while not self.stopped.is_set():
            request = next(turns)
            if request in CHANGES and (
                not own or self.last_change.get(own[-1]) == CHANGES[request]
            ):
                continue
            certificate = own[-1] if own else None
            seen = node.ask(request.removesuffix(" own"), certificate)._replace(request=request)
            if seen.status == 200 and request == "issue":
                own.append(seen.result["id"])
            elif certificate and request in CHANGES:
                possible = self.last_change.get(certificate, {"active"})
                # A client that is refused does not know whether the change was made, and goes on
                # with another certificate.
                self.last_change[certificate] = CHANGES[request] | (
                    set() if seen.status == 200 else possible
                )
                if seen.status != 200:
                    own.clear()
            self.seen.append(seen)
            if seen.status != 200 or seen.body == TRY_LATER:
                # Retries as `retry-after` says, but sooner.
                self.stopped.wait(0.1)

    def count(self, request: str, status: int) -> int:
        return sum(one.request == request and one.status == status for one in list(self.seen))

    def assert_honest(self, within: float) -> None:
        """Asserts that each refusal is a 503 and came in time."""
        for one in self.seen:
            assert one.seconds < within, one
            if one.request == "ocsp":
                assert one.status == 200, one
            elif one.status != 200:
                assert is_refused(one), one


def assert_whole(server: Postgres, database: str) -> None:
    """Asserts exact counters, and epochs and positions without gaps."""
    gaps = server.sql(
        "SELECT count(*), count(DISTINCT position), max(position) - min(position) + 1 FROM certificates "
        "GROUP BY position >> 36",
        database,
    )
    for line in gaps.splitlines():
        assert len(set(line.split("|"))) == 1, gaps
    # In one statement each, because certificates settle meanwhile.
    real = "||','||".join(f"count(*) FILTER (WHERE status = {status})" for status in range(4))
    for table in ("blocks", "upper_blocks"):
        names = ("active", "pending_reactivation", "pending_revocation", "revoked")
        counted = "||','||".join(f"sum({name})" for name in names)
        both = server.sql(
            f"SELECT (SELECT {counted} FROM {table}), (SELECT {real} FROM statuses)", database
        )
        assert len(set(both.split("|"))) == 1, (table, both)
    changes = "FROM audit_entries WHERE detail ~ 'epoch='"
    # Each account has its own numbers.
    different = (
        f"SELECT count(DISTINCT (chain, substring(detail from 'epoch=(\\d+)'))) {changes}"
    )
    # A server whose own row is gone skips epochs, because changes may be gone too.
    skipped = "(SELECT coalesce(sum(until - after), 0) FROM epoch_gaps)"
    given = f"(SELECT count(*) {changes}), ({different})"
    epochs = f"SELECT last_epoch - {skipped}, {given} FROM store"
    found = server.sql(epochs, database)
    assert len(set(found.split("|"))) == 1, found


def side_by_side(*works: Callable[[], None]) -> None:
    """Runs functions that mostly wait at the same time."""
    with ThreadPoolExecutor(len(works)) as pool:
        for done in [pool.submit(work) for work in works]:
            done.result()
