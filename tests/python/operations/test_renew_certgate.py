"""`certgate renew` with the EST server of certgate itself."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from kit.enrolment import ZONE, Device, Enrolment
from kit.harness import MakeServer, certgate, openssl


@pytest.fixture
def enrolment(make_server: MakeServer, tmp_path: Path) -> Enrolment:
    place = tmp_path / "server"
    place.mkdir()
    return Enrolment(make_server, place)


def renew(enrolment: Enrolment, device: Device, *more: str, status: int = 0) -> str:
    """Renews now. The server's own certificate is pinned."""
    pin = openssl("x509", "-in", enrolment.tls.certificate, "-noout", "-fingerprint", "-sha256")
    done = certgate(
        *("renew", device.certificate, "--within", "1/1", *more),
        *("--est", enrolment.url("").rstrip("/"), "--fingerprint", pin.strip()),
    )
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_a_certificate_renews_and_is_replaced(enrolment: Enrolment, tmp_path: Path) -> None:
    device = enrolment.device("device-1")
    kept = tmp_path / "kept"
    kept.mkdir()
    for file in (device.key, device.certificate):
        shutil.copy(file, kept / file.name)
    assert "renewed" in renew(enrolment, device)
    root = tmp_path / "root.pem"
    exported = certgate(
        *("ca", "export", "--api", enrolment.server.url),
        CERTGATE_TOKEN=enrolment.server.token,
    )
    root.write_text(exported.stdout)
    openssl("verify", "-CAfile", root, "-purpose", "sslclient", device.certificate)
    of_key = openssl("pkey", "-in", device.key, "-pubout")
    assert openssl("x509", "-in", device.certificate, "-noout", "-pubkey") == of_key
    newest = enrolment.newest()
    assert newest["certgate"] == {"replaces": device.id}
    shown = openssl("x509", "-in", device.certificate, "-noout", "-subject")
    assert shown.strip().endswith("CN = device-1")
    # A copy of the old files cannot renew, and says why.
    copy = Device(kept / device.key.name, kept / device.certificate.name, device.id)
    said = renew(enrolment, copy, status=1)
    assert "403" in said and "was replaced by" in said, said


def test_a_revoked_certificate_does_not_renew(enrolment: Enrolment) -> None:
    device = enrolment.device("device-1")
    before = device.certificate.read_bytes()
    enrolment.api.revoke(device.id).result
    said = renew(enrolment, device, status=1)
    assert "403" in said and "revoked" in said, said
    assert device.certificate.read_bytes() == before


def test_a_lost_answer_is_given_again(enrolment: Enrolment) -> None:
    """The key is on the disk. The certificate of the answer is not."""
    device = enrolment.device("device-1")
    before = device.key.read_bytes(), device.certificate.read_bytes()
    renew(enrolment, device)
    issued = enrolment.newest()["id"]
    # The files as a kill before the end of the answer leaves them.
    folder = device.certificate.with_name(device.certificate.name + ".d")
    key = folder.joinpath("2", device.key.name).read_bytes()
    shutil.rmtree(folder)
    for file, text in zip((device.key, device.certificate), before, strict=True):
        file.unlink()
        file.write_bytes(text)
    (folder / "2").mkdir(parents=True)
    folder.joinpath("2", device.key.name).write_bytes(key)
    pin = openssl("x509", "-in", device.certificate, "-noout", "-fingerprint", "-sha256")
    digits = pin.strip().rpartition("=")[2].replace(":", "").lower()
    folder.joinpath("2", "replaces").write_text(digits)
    folder.joinpath("next").symlink_to("2")
    assert "renewed" in renew(enrolment, device)
    assert enrolment.newest()["id"] == issued, "it is the same certificate"
    assert device.key.read_bytes() == key


def test_the_zone_is_part_of_the_address(enrolment: Enrolment) -> None:
    device = enrolment.device("device-1")
    done = certgate(
        *("renew", device.certificate, "--within", "1/1"),
        *("--est", enrolment.url("", zone=f"other.{ZONE}").rstrip("/")),
        *("--fingerprint", openssl("x509", "-in", enrolment.tls.certificate, "-fingerprint",
          "-sha256", "-noout").strip()),
    )
    assert done.returncode == 1 and "404" in done.stderr, done.stderr
