"""Enforcement points at a running server: the events that settle a change."""

from __future__ import annotations

import urllib.error
import urllib.request
from typing import Any

from kit.enforcement_points import Points, of_certificates
from kit.harness import Api, Server, eventually


def test_an_acknowledgement_settles_a_change_at_once(server: Server, api: Api, csr: str) -> None:
    points = Points(server, api)
    edge = points.register("edge", 3600)
    certificate = api.issue(csr).result["id"]
    api.revoke(certificate)
    told = points.changes(0)
    [change] = of_certificates(told)
    assert change["revoked"] is True
    listed = eventually("the list is published", lambda: published(server, change))
    assert listed and api.get(certificate).result["status"] == "pending_revocation"
    # A change that is pending at a kill stays pending.
    server.kill()
    server.start()
    after = server.api()
    assert after.get(certificate).result["status"] == "pending_revocation"
    Points(server, after).acknowledge(edge, told["epoch"])
    after.settled(certificate, "revoked")
    after.close()


def test_the_end_of_a_lease_settles_a_change_by_itself(server: Server, api: Api, csr: str) -> None:
    Points(server, api).register("edge", 5)
    certificate = api.issue(csr).result["id"]
    api.revoke(certificate)
    assert api.get(certificate).result["status"] == "pending_revocation"
    api.settled(certificate, "revoked")
    eventually("it is told", lambda: server.log.count("silent for longer than its lease") == 1)


def published(server: Server, change: dict[str, Any]) -> bool:
    path = f"/crl/{change['certificate_authority_id']}/full.crl"
    try:
        with urllib.request.urlopen(
            f"http://127.0.0.1:{server.public_port}{path}", timeout=30
        ) as answer:
            return bytes.fromhex(change["serial_number"]) in answer.read()
    except urllib.error.HTTPError as error:
        assert error.code == 503, "the first list is not made yet"
        return False
