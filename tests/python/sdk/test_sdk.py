"""The official Python SDK, unmodified. These tests run once with each supported generation."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import islice
from typing import Any

import cloudflare
import httpx
import pytest
from cloudflare import Cloudflare

from kit.harness import MakeServer, Server, eventually
from kit.sdk import CERTIFICATES, ITEMS_MAX, Wire, connect, works


@pytest.fixture(scope="module")
def many(shared: Server, csr: str) -> tuple[str, list[str]]:
    """A zone with 130 certificates: its ID, and theirs, newest first."""
    api = shared.api()
    zone = api.call(
        "POST",
        "/client/v4/zones",
        {"name": "many.example", "account": {"id": shared.made["account_id"]}},
    )
    api.zone_id = zone.result["id"]
    ids = [api.issue(csr).result["id"] for _ in range(CERTIFICATES)]
    api.close()
    return api.zone_id, ids[::-1]


def settled(sdk: Cloudflare, zone_id: str, certificate_id: str, status: str) -> Any:
    def look() -> Any:
        certificate = sdk.client_certificates.get(certificate_id, zone_id=zone_id)
        return certificate if certificate and certificate.status == status else None

    return eventually(f"{certificate_id} becomes {status}", look)


def test_a_certificate_is_created_found_revoked_and_restored(
    sdk: Cloudflare, shared: Server, wire: Wire, csr: str
) -> None:
    zone = shared.zone_id
    made = sdk.client_certificates.create(zone_id=zone, csr=csr, validity_days=3650)
    assert made and made.id and made.certificate and made.certificate_authority
    assert (made.status, made.csr, made.validity_days) == ("active", csr, 3650)
    assert (made.common_name, made.organization, made.country) == ("device-1", "Example Inc.", "US")
    assert made.certificate.startswith("-----BEGIN CERTIFICATE-----\n")
    assert made.certificate.endswith("\n-----END CERTIFICATE-----")
    assert wire.take() == [f"POST /client/v4/zones/{zone}/client_certificates"]

    # A list right after the write shows it.
    assert sdk.client_certificates.list(zone_id=zone).result[0].id == made.id
    got = sdk.client_certificates.get(made.id, zone_id=zone)
    assert got == made
    wire.take()

    revoked = sdk.client_certificates.delete(made.id, zone_id=zone)
    assert revoked and (revoked.id, revoked.status) == (made.id, "pending_revocation")
    assert wire.take() == [f"DELETE /client/v4/zones/{zone}/client_certificates/{made.id}"]
    settled(sdk, zone, made.id, "revoked")
    # Deleting is idempotent: an SDK repeats it after a lost answer.
    repeated = sdk.client_certificates.delete(made.id, zone_id=zone)
    assert repeated and (repeated.id, repeated.status) == (made.id, "revoked")

    wire.take()
    restored = sdk.client_certificates.edit(made.id, zone_id=zone)
    assert restored and (restored.id, restored.status) == (made.id, "pending_reactivation")
    assert len(wire.take()) == 1
    again = settled(sdk, zone, made.id, "active")
    assert again == made

    sdk.client_certificates.delete(made.id, zone_id=zone)
    edited = sdk.client_certificates.edit(made.id, zone_id=zone, extra_body={"reactivate": True})
    assert edited and edited.status == "pending_reactivation"
    settled(sdk, zone, made.id, "active")
    works("every method of client certificates")


@pytest.mark.parametrize(
    ("parameters", "first", "size"),
    [
        ({}, 0, 20),
        ({"status": "all"}, 0, 20),
        ({"status": "active"}, 0, 20),
        ({"status": "revoked"}, 0, 0),
        ({"status": "pending_revocation"}, 0, 0),
        ({"status": "pending_reactivation"}, 0, 0),
        ({"page": 2}, 20, 20),
        ({"page": 7}, 120, 10),
        ({"page": 8}, 130, 0),
        ({"page": 3, "per_page": 50}, 100, 30),
        ({"per_page": 5}, 0, 5),
        ({"limit": 1}, 0, 1),
        ({"limit": 1000}, 0, 130),
        ({"limit": 7, "offset": 11}, 11, 7),
        ({"limit": 7, "offset": 11, "page": 3}, 25, 7),
        ({"offset": 129}, 129, 1),
        ({"offset": 130}, 130, 0),
        ({"offset": 3, "per_page": 10, "page": 2, "status": "active"}, 13, 10),
    ],
)
def test_a_page_matches_its_parameters(
    sdk: Cloudflare,
    many: tuple[str, list[str]],
    wire: Wire,
    parameters: dict[str, Any],
    first: int,
    size: int,
) -> None:
    zone, ids = many
    page = sdk.client_certificates.list(zone_id=zone, **parameters)
    empty = parameters.get("status", "all") not in ("all", "active")
    assert [certificate.id for certificate in page.result] == (
        [] if empty else ids[first : first + size]
    )
    assert page.result_info
    info = page.result_info.to_dict()
    asked = parameters.get("limit", parameters.get("per_page", 20))
    total = 0 if empty else CERTIFICATES
    assert info == {
        "page": parameters.get("page", 1),
        "per_page": asked,
        "count": len(page.result),
        "total_count": total,
        "total_pages": -(-total // asked),
    }
    assert len(wire.take()) == 1


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"per_page": 50},
        {"per_page": 5},
        {"per_page": 13},
        {"limit": 50, "offset": 0},
        {"limit": 10, "offset": 0},
        {"limit": 1000, "offset": 0},
        {"limit": 49, "offset": 30},
        {"status": "active", "per_page": 26},
        {"page": 2, "per_page": 50},
    ],
)
def test_auto_paging_returns_each_certificate_once(
    sdk: Cloudflare, many: tuple[str, list[str]], wire: Wire, parameters: dict[str, Any]
) -> None:
    zone, ids = many
    size = parameters.get("limit", parameters.get("per_page", 20))
    wanted = ids[parameters.get("offset", 0) + (parameters.get("page", 1) - 1) * size :]
    pages = sdk.client_certificates.list(zone_id=zone, **parameters)
    assert [certificate.id for certificate in islice(pages, ITEMS_MAX)] == wanted
    # Every page once, then the empty one that ends it.
    assert len(wire.take()) == -(-len(wanted) // size) + 1
    works("automatic paging")


def test_errors_have_the_class_that_callers_catch(
    shared: Server, sdk: Cloudflare, wire: Wire, csr: str
) -> None:
    zone = shared.zone_id
    certificates = sdk.client_certificates
    missing = "0" * 32

    def raises(error: type[cloudflare.APIStatusError], status: int, code: int, call: Any) -> None:
        wire.take()
        with pytest.raises(error) as raised:
            call()
        assert raised.value.status_code == status
        body = raised.value.response.json()
        assert body["success"] is False and body["errors"][0]["code"] == code, body
        assert len(wire.take()) == 1, "the SDK repeated the request"

    raises(cloudflare.NotFoundError, 404, 1415, lambda: certificates.get(missing, zone_id=zone))
    raises(cloudflare.NotFoundError, 404, 1415, lambda: certificates.delete("no-id", zone_id=zone))
    raises(cloudflare.NotFoundError, 404, 1415, lambda: certificates.edit(missing, zone_id=zone))
    raises(cloudflare.NotFoundError, 404, 7003, lambda: certificates.list(zone_id="no-zone"))
    raises(cloudflare.NotFoundError, 404, 7003, lambda: certificates.list(zone_id=missing))
    raises(
        cloudflare.BadRequestError,
        400,
        1420,
        lambda: certificates.create(zone_id=zone, csr="no request", validity_days=1),
    )
    for days in (0, -1, 5476, 10**12):
        raises(
            cloudflare.BadRequestError,
            400,
            1440,
            lambda days=days: certificates.create(zone_id=zone, csr=csr, validity_days=days),
        )
    for wrong in (
        {"page": 0},
        {"per_page": 4},
        {"per_page": 51},
        {"limit": 0},
        {"limit": 1001},
        {"offset": -1},
        {"status": "gone"},
    ):
        raises(
            cloudflare.BadRequestError,
            400,
            9208,
            lambda wrong=wrong: certificates.list(zone_id=zone, **wrong),
        )
    stranger = connect(shared, wire, token="f" * 40)
    raises(
        cloudflare.PermissionDeniedError,
        403,
        9109,
        lambda: stranger.client_certificates.list(zone_id=zone),
    )
    raises(cloudflare.AuthenticationError, 401, 1000, lambda: stranger.user.tokens.verify())
    works("errors of the class that callers catch, without a retry")


class Losing(httpx.HTTPTransport):
    """Loses the first answer: the server ran the request, and the SDK sees a closed connection."""

    lost = 0

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        response = super().handle_request(request)
        if self.lost == 0:
            response.read()
            self.lost += 1
            raise httpx.RemoteProtocolError("the connection ended", request=request)
        return response


@pytest.mark.parametrize(
    ("headers", "certificates"), [({}, 2), ({"Idempotency-Key": "order-4711"}, 1)]
)
def test_a_request_that_the_sdk_repeats_by_itself_issues_once_with_a_key(
    make_server: MakeServer, csr: str, headers: dict[str, str], certificates: int
) -> None:
    server = make_server()
    with httpx.Client(transport=Losing()) as client:
        sdk = Cloudflare(
            api_token=server.token, base_url=f"{server.url}/client/v4", http_client=client
        )
        made = sdk.client_certificates.create(
            zone_id=server.zone_id, csr=csr, validity_days=30, extra_headers=headers
        )
    api = server.api()
    assert api.total() == certificates and api.every()[0]["id"] == made.id
    api.close()
    works("one certificate for a POST that it repeats with an idempotency key")


def test_zones_and_accounts(sdk: Cloudflare, shared: Server, wire: Wire) -> None:
    account_id = shared.made["account_id"]
    assert account_id in [account.id for account in islice(sdk.accounts.list(), ITEMS_MAX)]
    account = sdk.accounts.get(account_id=account_id)
    assert account and account.name == "default"

    zone = sdk.zones.create(account={"id": account_id}, name="sdk.example")
    assert zone and (zone.name, zone.status, zone.account.id) == (
        "sdk.example",
        "active",
        account_id,
    )
    wire.take()
    with pytest.raises(cloudflare.BadRequestError) as twice:
        sdk.zones.create(account={"id": account_id}, name="sdk.example")
    assert twice.value.response.json()["errors"][0]["code"] == 1061
    assert len(wire.take()) == 1

    got = sdk.zones.get(zone_id=zone.id)
    assert got and got.id == zone.id
    assert [found.id for found in islice(sdk.zones.list(name="sdk.example"), ITEMS_MAX)] == [
        zone.id
    ]
    assert [found.id for found in islice(sdk.zones.list(name="starts_with:sdk."), ITEMS_MAX)] == [
        zone.id
    ]
    every = [found.id for found in islice(sdk.zones.list(per_page=5, order="name"), ITEMS_MAX)]
    assert {zone.id, shared.zone_id} <= set(every) and len(every) == len(set(every))
    assert list(islice(sdk.zones.list(account={"id": "0" * 32}), ITEMS_MAX)) == []

    deleted = sdk.zones.delete(zone_id=zone.id)
    assert deleted and deleted.id == zone.id
    with pytest.raises(cloudflare.NotFoundError):
        sdk.zones.get(zone_id=zone.id)
    works("zones and accounts")


def test_user_and_tokens(sdk: Cloudflare, shared: Server, wire: Wire, csr: str) -> None:
    user = sdk.user.get()
    assert user and user.to_dict()["id"]
    verified = sdk.user.tokens.verify()
    assert verified and verified.status == "active"

    groups = [
        group.to_dict() if hasattr(group, "to_dict") else group
        for group in sdk.user.tokens.permission_groups.list()
    ]
    ids = {group["name"]: group["id"] for group in groups}
    policy = {
        "effect": "allow",
        "permission_groups": [{"id": ids["SSL and Certificates Read"]}],
        "resources": {f"com.cloudflare.api.account.zone.{shared.zone_id}": "*"},
    }
    made = sdk.user.tokens.create(
        name="reader", policies=[policy], condition={"request_ip": {"in": ["127.0.0.0/8"]}}
    )
    assert made and made.id and made.value
    assert made.id in [token.id for token in islice(sdk.user.tokens.list(), ITEMS_MAX)]
    got = sdk.user.tokens.get(made.id)
    assert got and got.name == "reader" and made.value not in got.to_json()

    reader = connect(shared, wire, made.value)
    assert reader.client_certificates.list(zone_id=shared.zone_id).result is not None
    with pytest.raises(cloudflare.PermissionDeniedError):
        reader.client_certificates.create(zone_id=shared.zone_id, csr=csr, validity_days=1)
    with pytest.raises(cloudflare.PermissionDeniedError):
        reader.user.tokens.create(name="more", policies=[policy])

    empty = {"body": {}} if cloudflare.__version__.startswith("4.") else {}
    rolled = sdk.user.tokens.value.update(made.id, **empty)
    assert rolled and rolled != made.value
    with pytest.raises(cloudflare.PermissionDeniedError):
        reader.client_certificates.list(zone_id=shared.zone_id)
    reader = connect(shared, wire, str(rolled))
    assert reader.client_certificates.list(zone_id=shared.zone_id).result is not None

    changed = sdk.user.tokens.update(
        made.id, name="reader, disabled", policies=[policy], status="disabled"
    )
    assert changed and (changed.name, changed.status) == ("reader, disabled", "disabled")
    with pytest.raises(cloudflare.PermissionDeniedError):
        reader.client_certificates.list(zone_id=shared.zone_id)

    deleted = sdk.user.tokens.delete(made.id)
    assert deleted and deleted.id == made.id
    with pytest.raises(cloudflare.NotFoundError):
        sdk.user.tokens.get(made.id)
    works("the user and its tokens")


def test_validity_is_exact(sdk: Cloudflare, shared: Server, csr: str) -> None:
    for days in (1, 365, 5475):
        made = sdk.client_certificates.create(zone_id=shared.zone_id, csr=csr, validity_days=days)
        raw = sdk.client_certificates.with_raw_response.get(made.id, zone_id=shared.zone_id)
        assert raw.http_response.headers["content-type"] == "application/json"
        result = raw.http_response.json()["result"]
        issued, expires = parse_minute(result["issued_on"]), parse_minute(result["expires_on"])
        assert expires - issued == timedelta(days=days)


def parse_minute(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:00Z")


def test_accounts_are_created_and_deleted(sdk: Cloudflare) -> None:
    kind = {"type": "standard"} if cloudflare.__version__.startswith("4.") else {}
    account = sdk.accounts.create(name="sdk", **kind)
    assert account and sdk.accounts.get(account_id=account.id) == account
    assert [found.id for found in islice(sdk.accounts.list(name="sdk"), ITEMS_MAX)] == [account.id]
    deleted = sdk.accounts.delete(account_id=account.id)
    assert deleted and deleted.id == account.id
