"""Changes through one node act on another: immediately, or within a second where it caches.

A request is late if it was sent more than a second after the answer to the change. The load of
the machine does not matter.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from kit.backups import fetch
from kit.harness import KEYS, Api, eventually, openssl
from kit.postgres import Node, Postgres

# The longest time for which another node may use cached records, in seconds.
LATE_SECONDS = 1.0

V4, V1 = "/client/v4", "/certgate/v1"

NAMES = count()


class Pair:
    """Two nodes with a client each. `here` makes the change, `there` must show it.

    The node `here` holds the lease to settle, so the other node learns of it from the database.
    """

    def __init__(self, nodes: list[Node]) -> None:
        self.nodes = nodes
        self.here, self.there = (node.api() for node in nodes)

    def make(self, path: str, body: Any) -> Any:
        return self.here.call("POST", path, body).result

    def zone(self) -> tuple[str, str, Api, Api]:
        """Makes an account with a zone, and clients of the zone on both nodes."""
        number = next(NAMES)
        account = self.make(f"{V4}/accounts", {"name": f"account {number}"})["id"]
        zone = self.make(
            f"{V4}/zones", {"name": f"zone-{number}.example", "account": {"id": account}}
        )["id"]
        here, there = (Api(api.port, api.token, zone) for api in (self.here, self.there))
        return account, zone, here, there

    def token(self, group: str) -> tuple[str, dict[str, Any], Api]:
        """Makes a token. Returns its address, its body and a client on the other node."""
        body = {"name": f"token {next(NAMES)}", "policies": [self.policy(group)]}
        made = self.make(f"{V4}/user/tokens", body)
        return (
            f"{V4}/user/tokens/{made['id']}",
            body,
            Api(self.there.port, made["value"], self.there.zone_id),
        )

    def policy(self, group: str) -> dict[str, Any]:
        groups = self.here.call("GET", f"{V4}/user/tokens/permission_groups").result
        found = next(known["id"] for known in groups if known["name"] == group)
        every = {"com.cloudflare.api.account.zone.*": "*"}
        return {"effect": "allow", "permission_groups": [{"id": found}], "resources": every}


@pytest.fixture(scope="module")
def pair(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    url = postgres.url(postgres.database())
    first = Node(tmp_path_factory.mktemp("pair") / "first", url)
    second = Node(first.directory.with_name("second"), url)
    try:
        first.start()
        eventually("it settles", lambda: first.sql("SELECT holder FROM leases"))
        second.made = first.made
        pair = Pair([first, second.start()])
        yield pair
        pair.here.close()
        pair.there.close()
        for node in (first, second):
            node.stop()
    finally:
        first.kill()
        second.kill()


def lag(change: Callable[[], Any], is_seen: Callable[[], bool]) -> float:
    """Returns the delay until an answer shows the change, and asserts its limit."""
    assert not is_seen(), "it shows already"
    change()
    answered = time.monotonic()
    while True:
        asked = time.monotonic()
        if is_seen():
            break
        assert asked - answered <= LATE_SECONDS, (
            f"not seen by a question {asked - answered:.3f} s after the change"
        )
    print(f"seen after {asked - answered:.3f} s")
    # The change stays visible.
    assert is_seen()
    return asked - answered


def status(api: Api, path: str | None = None) -> int:
    return api.call("GET", path or f"{api.certificates}?limit=1").status


def test_a_deleted_token(pair: Pair) -> None:
    path, _, user = pair.token("SSL and Certificates Read")
    lag(lambda: pair.here.call("DELETE", path).result, lambda: status(user) == 403)


def test_a_token_with_another_value(pair: Pair) -> None:
    path, _, user = pair.token("SSL and Certificates Read")
    rolled = []
    lag(
        lambda: rolled.append(pair.here.call("PUT", f"{path}/value", {}).result),
        lambda: status(user) == 403,
    )
    assert status(Api(user.port, rolled[0], user.zone_id)) == 200


def test_a_disabled_token(pair: Pair) -> None:
    path, body, user = pair.token("SSL and Certificates Read")
    lag(
        lambda: pair.here.call("PUT", path, body | {"status": "disabled"}).result,
        lambda: status(user) == 403,
    )


def test_a_token_with_other_permissions(pair: Pair) -> None:
    path, body, user = pair.token("SSL and Certificates Read")
    other = body | {"policies": [pair.policy("Zone Read")]}
    lag(lambda: pair.here.call("PUT", path, other).result, lambda: status(user) == 403)
    lag(lambda: pair.here.call("PUT", path, body).result, lambda: status(user) == 200)


def test_a_token_with_another_address_condition(pair: Pair) -> None:
    path, body, user = pair.token("SSL and Certificates Read")
    other = body | {"condition": {"request_ip": {"in": ["192.0.2.0/24"]}}}
    lag(lambda: pair.here.call("PUT", path, other).result, lambda: status(user) == 403)


def test_a_new_token_is_good_at_once(pair: Pair) -> None:
    for _ in range(5):
        assert status(pair.token("SSL and Certificates Read")[2]) == 200


def test_an_api_key(pair: Pair) -> None:
    path = f"{V1}/user/api_key"

    def user() -> Api:
        key = pair.here.call("PUT", path).result
        api = Api(pair.there.port, "", pair.there.zone_id)
        api.credentials = {"X-Auth-Email": key["email"], "X-Auth-Key": key["api_key"]}
        return api

    first = user()
    assert status(first) == 200
    users = []
    lag(lambda: users.append(user()), lambda: status(first) != 200)
    lag(lambda: pair.here.call("DELETE", path).result, lambda: status(users[0]) != 200)


def test_a_new_zone_and_account_exist_immediately(pair: Pair, csr: str) -> None:
    for _ in range(3):
        account, zone, _, there = pair.zone()
        assert (
            status(there, f"{V4}/accounts/{account}") == status(there, f"{V4}/zones/{zone}") == 200
        )
        assert there.issue(csr).status == 200


def test_a_deleted_zone_and_account(pair: Pair, csr: str) -> None:
    account, zone, here, there = pair.zone()
    assert status(there) == 200
    assert here.call("DELETE", f"{V4}/zones/{zone}").status == 200
    # Writes see the change immediately.
    assert there.issue(csr).status >= 400
    account, zone, here, there = pair.zone()
    lag(lambda: here.call("DELETE", f"{V4}/zones/{zone}").result, lambda: status(there) == 404)
    assert here.call("DELETE", f"{V4}/accounts/{account}").status == 200
    assert status(there, f"{V4}/accounts/{account}") >= 400


def test_a_new_active_ca_signs_immediately(pair: Pair, csr: str) -> None:
    account, _, here, there = pair.zone()
    for _ in range(5):
        old = there.issue(csr).result["certificate_authority"]["id"]
        new = here.call("POST", f"{V1}/accounts/{account}/managed_authorities/rotate").result["id"]
        assert there.issue(csr).result["certificate_authority"]["id"] == new != old
        assert here.issue(csr).result["certificate_authority"]["id"] == new


class Asker:
    """A verifier that asks the responder of the other node about a certificate."""

    def __init__(self, pair: Pair, authority: str) -> None:
        self.node, self.authority = (
            pair.nodes[1],
            x509.load_pem_x509_certificate(authority.encode()),
        )

    def ask(self, certificate: dict[str, Any], get: bool) -> str:
        subject = x509.load_pem_x509_certificate(certificate["certificate"].encode())
        asked = ocsp.OCSPRequestBuilder().add_certificate(subject, self.authority, SHA256()).build()
        der = asked.public_bytes(Encoding.DER)
        path = f"/ocsp/{quote(base64.b64encode(der), safe='')}" if get else "/ocsp"
        answer = ocsp.load_der_ocsp_response(fetch(self.node, path, None if get else der))
        if answer.response_status != ocsp.OCSPResponseStatus.SUCCESSFUL:
            return answer.response_status.name
        return answer.certificate_status.name


def in_force(api: Api, account: str) -> str:
    return api.call("GET", f"{V1}/accounts/{account}/managed_authority").result["certificate"]


@pytest.mark.parametrize("get", [True, False], ids=["GET", "POST"])
def test_the_responder_knows_a_revocation_immediately(pair: Pair, csr: str, get: bool) -> None:
    account, _, here, there = pair.zone()
    made = there.issue(csr).result
    asker = Asker(pair, in_force(there, account))
    for _ in range(3):
        assert asker.ask(made, get) == "GOOD"
        assert here.revoke(made["id"]).status == 200
        assert asker.ask(made, get) == "REVOKED"
        assert here.restore(made["id"]).status == 200


def test_the_responder_knows_a_new_ca(pair: Pair, csr: str) -> None:
    account, _, here, there = pair.zone()
    first = here.issue(csr).result
    # The node has just read the CAs.
    eventually(
        "it is known", lambda: Asker(pair, in_force(here, account)).ask(first, False) == "GOOD"
    )
    made: list[dict[str, Any]] = []

    def rotate() -> None:
        rotated = here.call("POST", f"{V1}/accounts/{account}/managed_authorities/rotate").result
        made.extend([rotated, here.issue(csr).result])

    lag(
        rotate,
        lambda: bool(made) and Asker(pair, made[0]["certificate"]).ask(made[1], False) == "GOOD",
    )


def test_the_responder_knows_a_renewed_ca(pair: Pair, csr: str, tmp_path: Path) -> None:
    """Name and key stay the same, so a request does not identify the CA certificate."""
    account, _, here, there = pair.zone()
    key = tmp_path / "ca.key"
    subject = [
        "-subj",
        f"/O=Acme/CN=Acme {next(NAMES)}",
        "-addext",
        "keyUsage=critical,keyCertSign,cRLSign",
    ]
    made: list[dict[str, Any]] = []

    def imported(*how: str | Path) -> str:
        certificate = openssl("req", "-x509", *how, "-nodes", "-days", "7300", *subject)
        body = {"certificate": certificate, "private_key": key.read_text()}
        here.call("POST", f"{V1}/accounts/{account}/managed_authorities", body).result
        made.append(here.issue(csr).result)
        return certificate

    asker = Asker(pair, imported(*KEYS["P-256"], "-keyout", key))
    eventually("it is known", lambda: asker.ask(made[0], False) == "GOOD")
    lag(
        lambda: imported("-key", key), lambda: len(made) > 1 and asker.ask(made[1], False) == "GOOD"
    )
    assert asker.ask(made[0], False) == "GOOD"


def test_a_waiting_request_gets_the_change(pair: Pair, csr: str) -> None:
    """A waiting request on one node sees the change that another node accepted."""
    account, _, here, there = pair.zone()
    made = here.issue(csr).result
    path = f"{V1}/accounts/{account}/revocation_changes"
    for change in (here.revoke, here.restore, here.revoke):
        epoch = there.call("GET", path).result["epoch"]
        assert change(made["id"]).status == 200
        answered = time.monotonic()
        found = there.call("GET", f"{path}?after={epoch}&wait_seconds=20").result
        assert time.monotonic() - answered < 10
        assert [known["serial_number"] for known in found["changes"]] == [made["serial_number"]], (
            found
        )
