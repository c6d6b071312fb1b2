"""The official Python SDK, unmodified and strict: hostnames and uploaded CAs."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import cloudflare
import pytest
from cloudflare import Cloudflare

from kit.harness import Server, openssl
from kit.sdk import ITEMS_MAX, Wire, works

# Fixtures are found by their names in this module: `sdk` and `wire` are those of test_sdk.


def test_hostnames_are_replaced_as_a_whole(sdk: Cloudflare, shared: Server, wire: Wire) -> None:
    zone_id = shared.zone_id
    zone = sdk.zones.get(zone_id=zone_id)
    assert zone
    associations = sdk.certificate_authorities.hostname_associations
    wire.take()
    hostnames = [f"b.{zone.name}", f"A.{zone.name}", zone.name]
    put = associations.update(zone_id=zone_id, hostnames=hostnames)
    got = associations.get(zone_id=zone_id)
    assert put and got and put.hostnames == got.hostnames == hostnames
    assert len(wire.take()) == 2
    with pytest.raises(cloudflare.BadRequestError):
        associations.update(zone_id=zone_id, hostnames=["elsewhere.invalid"])
    assert len(wire.take()) == 1
    emptied = associations.update(zone_id=zone_id)
    assert emptied and emptied.hostnames == []
    works("every method of hostname associations")


def test_an_uploaded_ca_is_created_and_deleted(
    sdk: Cloudflare, shared: Server, wire: Wire, tmp_path: Path
) -> None:
    account_id = shared.made["account_id"]
    key, root = tmp_path / "key.pem", tmp_path / "root.pem"
    openssl(
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-keyout",
        key,
        "-subj",
        "/O=Example/CN=b",
        "-out",
        root,
    )
    certificates, private_key = root.read_text(), key.read_text()
    mtls = sdk.mtls_certificates
    made = mtls.create(
        account_id=account_id,
        ca=True,
        certificates=certificates,
        private_key=private_key,
        name="root",
    )
    assert made and made.id and made.updated_at
    assert (made.name, made.ca, made.certificates, made.type) == (
        "root",
        True,
        certificates,
        "custom",
    )
    assert "PRIVATE KEY" not in made.to_json()
    got = mtls.get(made.id, account_id=account_id)
    assert (
        got
        and got.serial_number == made.serial_number
        and made.serial_number
        and made.serial_number.isdigit()
    )
    assert [found.id for found in islice(mtls.list(account_id=account_id), ITEMS_MAX)] == [made.id]

    wire.take()
    with pytest.raises(cloudflare.BadRequestError) as twice:
        mtls.create(account_id=account_id, ca=True, certificates=certificates)
    assert twice.value.response.json()["errors"][0]["code"] == 1471
    assert len(wire.take()) == 1

    zone = sdk.zones.get(zone_id=shared.zone_id)
    assert zone
    associations = sdk.certificate_authorities.hostname_associations
    hosts = {"zone_id": shared.zone_id, "mtls_certificate_id": made.id}
    associations.update(**hosts, hostnames=[f"device.{zone.name}"])
    assert list(islice(mtls.associations.get(made.id, account_id=account_id), ITEMS_MAX))
    wire.take()
    with pytest.raises(cloudflare.BadRequestError):
        mtls.delete(made.id, account_id=account_id)
    assert len(wire.take()) == 1
    associations.update(**hosts, hostnames=[])

    deleted = mtls.delete(made.id, account_id=account_id)
    assert deleted and deleted.id == made.id
    with pytest.raises(cloudflare.NotFoundError) as gone:
        mtls.get(made.id, account_id=account_id)
    assert gone.value.response.json()["errors"][0]["code"] == 1472
    works("every method of mTLS certificates")
