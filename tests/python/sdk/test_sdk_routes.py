"""The official Python SDK on memberships, account tokens, the user and audit logs."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

import cloudflare
import pytest
from cloudflare import Cloudflare

from kit.harness import Server
from kit.sdk import ITEMS_MAX, Wire, connect, works

SSL_READ = "7b7216b327b04b8fbc8f524e1f9b7531"


@pytest.fixture
def account(sdk: Cloudflare) -> Iterator[str]:
    """An account of the test's own."""
    made = sdk.accounts.create(name="routes", type="standard")
    assert made
    yield made.id
    sdk.accounts.delete(account_id=made.id)


def test_memberships_name_every_account(sdk: Cloudflare, account: str) -> None:
    found = list(islice(sdk.memberships.list(per_page=5), ITEMS_MAX))
    accounts = {membership.account.id for membership in found if membership.account}
    assert account in accounts
    assert {membership.status for membership in found} == {"accepted"}
    for membership in found:
        assert membership.id
        got = sdk.memberships.get(membership_id=membership.id)
        assert got and (got.id, got.roles) == (membership.id, membership.roles)
        assert got.permissions and got.permissions.ssl and got.permissions.ssl.write
    named = list(islice(sdk.memberships.list(account={"name": "routes"}), ITEMS_MAX))
    assert [membership.account.id for membership in named if membership.account] == [account]
    works("memberships")


def test_an_account_is_renamed(sdk: Cloudflare, account: str) -> None:
    changed = sdk.accounts.update(
        account_id=account,
        id=account,
        name="renamed",
        type="enterprise",
        settings={"enforce_twofactor": True},
    )
    assert changed and (changed.name, changed.type) == ("renamed", "enterprise")
    assert changed.settings and changed.settings.enforce_twofactor
    assert sdk.accounts.get(account_id=account) == changed


def test_a_zone_is_edited(sdk: Cloudflare, account: str) -> None:
    made = sdk.zones.create(account={"id": account}, name="edited.example", type="partial")
    assert made and made.type == "partial"
    try:
        changed = sdk.zones.edit(zone_id=made.id, paused=True)
        assert changed and changed.paused
        changed = sdk.zones.edit(zone_id=made.id, vanity_name_servers=["ns1.edited.example"])
        assert changed and changed.vanity_name_servers == ["ns1.edited.example"]
        changed = sdk.zones.edit(zone_id=made.id, type="secondary")
        assert changed and changed.type == "secondary"
        assert sdk.zones.get(zone_id=made.id) == changed
    finally:
        sdk.zones.delete(zone_id=made.id)


def test_the_user_is_edited(sdk: Cloudflare) -> None:
    edited = sdk.user.edit(first_name="Ada", country="UK")
    assert edited and (edited.first_name, edited.country) == ("Ada", "UK")
    edited = sdk.user.edit(first_name=None, country=None)
    assert edited and (edited.first_name, edited.country) == (None, None)


def test_an_account_token_lives(sdk: Cloudflare, shared: Server, wire: Wire, account: str) -> None:
    tokens = sdk.accounts.tokens
    policies: Any = [
        {
            "effect": "allow",
            "permission_groups": [{"id": SSL_READ}],
            "resources": {f"com.cloudflare.api.account.{account}": "*"},
        }
    ]
    made = tokens.create(account_id=account, name="pipeline", policies=policies)
    assert made and made.id and made.value
    listed = list(islice(tokens.list(account_id=account, direction="desc"), ITEMS_MAX))
    assert [token.id for token in listed] == [made.id]
    got = tokens.get(token_id=made.id, account_id=account)
    assert got and (got.name, got.status) == ("pipeline", "active")

    own = connect(shared, wire, made.value)
    verified = own.accounts.tokens.verify(account_id=account)
    assert verified and (verified.id, verified.status) == (made.id, "active")
    verified_user = own.user.tokens.verify()
    assert verified_user and verified_user.id == made.id
    with pytest.raises(cloudflare.PermissionDeniedError):
        list(own.accounts.tokens.list(account_id=account))

    changed = tokens.update(
        token_id=made.id,
        account_id=account,
        name="renamed",
        policies=policies,
        status="active",
    )
    assert changed and changed.name == "renamed"
    value = tokens.value.update(token_id=made.id, account_id=account)
    assert value and value != made.value
    with pytest.raises(cloudflare.AuthenticationError) as refused:
        own.accounts.tokens.verify(account_id=account)
    assert refused.value.errors[0].code == 1000
    deleted = tokens.delete(token_id=made.id, account_id=account)
    assert deleted and deleted.id == made.id
    works("every method of the tokens of an account")


def test_permission_groups_are_found_by_the_encoded_name(sdk: Cloudflare, account: str) -> None:
    for groups in (sdk.user.tokens.permission_groups, sdk.accounts.tokens.permission_groups):
        of = {} if groups is sdk.user.tokens.permission_groups else {"account_id": account}
        for name in ("SSL and Certificates Read", "SSL%20and%20Certificates%20Read"):
            found = list(groups.list(name=name, **of))  # type: ignore[arg-type]
            assert [group.id for group in found] == [SSL_READ], name
    got = sdk.accounts.tokens.permission_groups.get(account_id=account)
    names = {group.name for group in got}
    own = {f"Client Certificates {verb}" for verb in ("Issue", "Revoke", "Restore", "Read")}
    assert own <= names, names
    assert len(got) == len(names) == 16


def test_audit_logs_of_both_versions(sdk: Cloudflare, account: str) -> None:
    first = list(islice(sdk.audit_logs.list(account_id=account, per_page=1), ITEMS_MAX))
    assert first[-1].resource and first[-1].resource.type == "account"
    assert first[-1].action and first[-1].action.result is True
    created = sdk.audit_logs.list(account_id=account, action={"type": "create"}, direction="asc")
    assert [log.id for log in islice(created, ITEMS_MAX)] == [first[-1].id]
    of_user = list(islice(sdk.user.audit_logs.list(per_page=100), ITEMS_MAX))
    assert of_user and of_user[0].owner
    logs = sdk.accounts.logs.audit
    days: Any = {"since": "2020-01-01", "before": "2999-01-01"}
    kept = logs.list(account_id=account, **days, action_type={"not": ["delete", "view"]})
    assert first[-1].id in [log.id for log in islice(kept, ITEMS_MAX)]
    dropped = logs.list(account_id=account, **days, action_type={"not": ["create"]})
    assert first[-1].id not in [log.id for log in islice(dropped, ITEMS_MAX)]
    works("audit logs of both versions")
