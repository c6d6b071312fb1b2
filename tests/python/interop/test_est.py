"""EST with programs of others: curl with openssl, strongSwan's pki, and BouncyCastle."""

from __future__ import annotations

import base64
import http.client
import ssl
import subprocess
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from kit import clients
from kit.enrolment import ZONE, Device, Enrolment, curl, renew
from kit.harness import KEYS, MakeServer, eventually, needs, openssl
from kit.judges import BOUNCYCASTLE, JAVA, bouncycastle, run


@pytest.fixture
def enrolment(make_server: MakeServer, tmp_path: Path) -> Enrolment:
    return Enrolment(make_server, tmp_path)


def base64_of(csr_pem: str) -> str:
    return "\n".join(line for line in csr_pem.splitlines() if not line.startswith("-"))


def public_key(certificate: x509.Certificate) -> bytes:
    return certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def test_curl_and_openssl(enrolment: Enrolment, tmp_path: Path) -> None:
    device = enrolment.device("device-1")
    (authority,) = curl(enrolment, "cacerts").certificates
    root = tmp_path / "root.crt"
    root.write_bytes(authority.public_bytes(Encoding.PEM))
    new_key = tmp_path / "new.key"
    csr = base64_of(enrolment.csr(new_key, "device-1"))
    (renewed,) = renew(enrolment, device, csr).certificates
    certificate = tmp_path / "renewed.crt"
    certificate.write_bytes(renewed.public_bytes(Encoding.PEM))
    assert "OK" in openssl("verify", "-CAfile", root, certificate)
    of_key = openssl("pkey", "-in", new_key, "-pubout")
    assert openssl("x509", "-in", certificate, "-noout", "-pubkey") == of_key
    # The lost answer of a repeated request.
    again = renew(enrolment, device, csr)
    assert again.certificates == [renewed]
    other = renew(enrolment, device, base64_of(enrolment.csr(tmp_path / "x.key", "device-1")))
    assert other.status == 403 and "was replaced by" in other.text
    assert enrolment.newest()["certgate"] == {"replaces": device.id}


@pytest.mark.parametrize("form", ["one line", "crlf", "odd lines", "no type", "odd encoding"])
def test_base64_in_the_forms_of_clients(enrolment: Enrolment, tmp_path: Path, form: str) -> None:
    device = enrolment.device("device-1")
    csr = base64_of(enrolment.csr(tmp_path / "new.key", "device-1"))
    packed = csr.replace("\n", "")
    texts = {
        "one line": packed,
        "crlf": csr.replace("\n", "\r\n") + "\r\n",
        "odd lines": "\n".join(packed[at : at + 7] for at in range(0, len(packed), 7)),
        "no type": csr,
        "odd encoding": csr,
    }
    more = {
        "no type": ["-H", "Content-Type:"],
        "odd encoding": ["-H", "Content-Transfer-Encoding: 7bit"],
    }
    assert renew(enrolment, device, texts[form], *more.get(form, [])).certificates


def test_every_kind_of_key_renews(enrolment: Enrolment, tmp_path: Path) -> None:
    """Also with the same key, and from one kind to another."""
    for number, kind in enumerate(KEYS):
        name = f"device-{number}"
        device = enrolment.device(name, kind)
        new = ["req", "-new", "-key", device.key, "-subj", f"/CN={name}"]
        (renewed,) = renew(enrolment, device, base64_of(openssl(*new))).certificates
        before = x509.load_pem_x509_certificate(device.certificate.read_bytes())
        assert public_key(renewed) == public_key(before), kind
        assert renewed.not_valid_after_utc - renewed.not_valid_before_utc == (
            before.not_valid_after_utc - before.not_valid_before_utc
        )


def test_a_revocation_holds_on_an_open_connection(enrolment: Enrolment, tmp_path: Path) -> None:
    device = enrolment.device("device-1")
    context = ssl.create_default_context(cafile=str(enrolment.tls.ca))
    context.load_cert_chain(device.certificate, device.key)
    connection = http.client.HTTPSConnection(
        "127.0.0.1", enrolment.server.enrol_port, context=context, timeout=30
    )
    path = f"/.well-known/est/{ZONE}/simplereenroll"

    def answer(csr: str) -> tuple[int, str]:
        connection.request("POST", path, csr, {"Content-Type": "application/pkcs10"})
        response = connection.getresponse()
        return response.status, response.read().decode()

    # The first answer shows that the connection works.
    assert answer("malformed")[0] == 400
    assert enrolment.api.revoke(device.id).status == 200
    csr = enrolment.csr(tmp_path / "new.key", "device-1")
    status, text = answer(csr)
    assert status == 403 and "revoked (certificateHold)" in text
    assert enrolment.api.restore(device.id).status == 200
    assert answer(csr)[0] == 200
    connection.close()


def test_clients_without_an_accepted_certificate(enrolment: Enrolment, tmp_path: Path) -> None:
    csr = ["--data-binary", enrolment.csr(tmp_path / "new.key", "device-1")]
    without = curl(enrolment, "simplereenroll", *csr)
    assert without.status == 403 and "no client certificate" in without.text
    key, certificate = tmp_path / "own.key", tmp_path / "own.crt"
    new = ["req", "-x509", *KEYS["P-256"], "-nodes", "-keyout", key, "-subj", "/CN=device-1"]
    certificate.write_text(openssl(*new))
    own = curl(enrolment, "simplereenroll", "--cert", certificate, "--key", key, *csr)
    assert own.status == 403 and "did not issue" in own.text
    # The certificate of another client without its key does not survive the handshake.
    device = enrolment.device("device-1")
    stolen = ["curl", "-sS", "--cacert", enrolment.tls.ca, "--cert", device.certificate]
    done = subprocess.run(
        [*stolen, "--key", key, *csr, enrolment.url("simplereenroll")], capture_output=True
    )
    assert done.returncode != 0
    assert curl(enrolment, "cacerts", zone="other.example").status == 404
    old = subprocess.run(
        ["curl", "-sS", "--cacert", enrolment.tls.ca, "--tls-max", "1.1", enrolment.url("cacerts")],
        capture_output=True,
    )
    assert old.returncode == 35, old


def test_a_device_of_a_manufacturer_enrols_and_renews(
    enrolment: Enrolment, tmp_path: Path
) -> None:
    names = ("maker.key", "maker.crt", "factory.key", "factory.crt")
    maker_key, maker, key, certificate = (tmp_path / name for name in names)
    new = ["req", "-x509", *KEYS["RSA-2048"], "-nodes", "-subj"]
    maker.write_text(openssl(*new, "/CN=Maker", "-keyout", maker_key))
    signer = ["-CA", maker, "-CAkey", maker_key, "-addext", "basicConstraints=CA:FALSE"]
    certificate.write_text(openssl(*new, "/O=Maker/CN=SN-1", "-keyout", key, *signer))
    account = enrolment.server.made["account_id"]
    body = {"certificates": maker.read_text(), "ca": True}
    uploads = f"/client/v4/accounts/{account}/mtls_certificates"
    uploaded = enrolment.api.call("POST", uploads, body).result
    rules = {"enrolment": {"trusted_cas": [uploaded["id"]], "lifetime": "8h"}}
    path = f"/certgate/v1/zones/{enrolment.server.zone_id}/issuance_rules"
    assert enrolment.api.call("PUT", path, rules).status == 200

    device_key, device_certificate = tmp_path / "device.key", tmp_path / "device.crt"
    csr = base64_of(enrolment.csr(device_key, "SN-1"))
    identity = ["--cert", certificate, "--key", key, "--data-binary", csr]
    (enrolled,) = curl(enrolment, "simpleenroll", *identity).certificates
    lifetime = enrolled.not_valid_after_utc - enrolled.not_valid_before_utc
    assert lifetime.total_seconds() == 8 * 3600
    device_certificate.write_bytes(enrolled.public_bytes(Encoding.PEM))
    device = Device(device_key, device_certificate, str(enrolment.newest()["id"]))
    csr = base64_of(enrolment.csr(tmp_path / "next.key", "SN-1"))
    assert renew(enrolment, device, csr).certificates
    # Another device of the same manufacturer cannot take the name.
    other, other_key = tmp_path / "other.crt", tmp_path / "other.key"
    other.write_text(openssl(*new, "/CN=SN-2", "-keyout", other_key, *signer))
    identity = ["--cert", other, "--key", other_key, "--data-binary", csr]
    refused = curl(enrolment, "simpleenroll", *identity)
    assert refused.status == 400 and '"SN-2"' in refused.text


def test_a_renewed_tls_certificate_is_reloaded(enrolment: Enrolment) -> None:
    first = enrolment.tls.certificate.read_text()
    enrolment.tls.renew()
    assert enrolment.tls.certificate.read_text() != first
    wanted = x509.load_pem_x509_certificate(enrolment.tls.certificate.read_bytes())

    def served() -> bool:
        address = ("127.0.0.1", enrolment.server.enrol_port)
        pem = ssl.get_server_certificate(address, timeout=30)
        return x509.load_pem_x509_certificate(pem.encode()) == wanted

    eventually("the new certificate is served", served)


def pki(enrolment: Enrolment, operation: str, *arguments: str | Path) -> bytes:
    """Calls strongSwan, whose URL ends before `/.well-known`."""
    url = f"https://127.0.0.1:{enrolment.server.enrol_port}/{ZONE}"
    command = [needs("pki"), operation, "--url", url, "--cacert", enrolment.tls.ca, *arguments]
    done = subprocess.run([*map(str, command)], capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


@pytest.mark.parametrize("kind", ["P-256", "RSA-2048"])
def test_strongswan(enrolment: Enrolment, tmp_path: Path, kind: str) -> None:
    device = enrolment.device("device-1", kind)
    issuer = tmp_path / "ca"
    pki(enrolment, "--estca", "--caout", issuer, "--outform", "pem")
    (authority,) = curl(enrolment, "cacerts").certificates
    found = [path.read_bytes() for path in tmp_path.glob("ca*") if path.name.startswith("ca")]
    assert any(x509.load_pem_x509_certificate(pem) == authority for pem in found)
    ca = tmp_path / "issuer.crt"
    ca.write_bytes(authority.public_bytes(Encoding.PEM))
    request = tmp_path / "new.csr"
    enrolment.csr(tmp_path / "new.key", "device-1", kind)
    new = ["req", "-new", "-key", tmp_path / "new.key", "-subj", "/CN=device-1"]
    openssl(*new, "-outform", "DER", "-out", request)
    old = ["--cert", device.certificate, "--key", device.key, "--cacert", ca]
    made = pki(enrolment, "--est", "--in", request, *old, "--outform", "pem")
    renewed = x509.load_pem_x509_certificate(made)
    newest = enrolment.newest()
    assert newest["certgate"] == {"replaces": device.id}
    assert renewed == x509.load_pem_x509_certificate(str(newest["certificate"]).encode())
    # A new key for the replaced certificate.
    other = ["req", "-new", *KEYS[kind], "-nodes", "-keyout", tmp_path / "other.key"]
    openssl(*other, "-subj", "/CN=device-1", "-outform", "DER", "-out", request)
    with pytest.raises(AssertionError, match="403"):
        pki(enrolment, "--est", "--in", request, *old)


class Java:
    """A client that calls BouncyCastle, each time in a new process."""

    def __init__(self, enrolment: Enrolment) -> None:
        address = f"localhost:{enrolment.server.enrol_port}"
        flags = [*JAVA, "-cp", bouncycastle(), "Est", address, ZONE]
        self.command = [needs("java"), *flags, enrolment.tls.ca]

    def lines(self, *arguments: str | Path) -> list[str]:
        return run(*self.command, *arguments).splitlines()

    def certificate(self, *arguments: str | Path) -> x509.Certificate:
        (line,) = self.lines(*arguments)
        return x509.load_der_x509_certificate(base64.b64decode(line))


def test_bouncycastle(enrolment: Enrolment, tmp_path: Path) -> None:
    java, api = Java(enrolment), enrolment.api
    zone = f"/certgate/v1/zones/{enrolment.server.zone_id}"
    assert java.lines("csrattrs") == []
    rules = {"key_types": ["P-256"], "alternative_names": {"dns": ["*.example"]}}
    assert api.call("PUT", f"{zone}/issuance_rules", rules).status == 200
    # The object identifiers of id-ecPublicKey and of the extension request.
    assert sorted(java.lines("csrattrs")) == ["1.2.840.10045.2.1", "1.2.840.113549.1.9.14"]
    (authority,) = curl(enrolment, "cacerts").certificates
    assert java.certificate("cacerts") == authority

    made = api.call("POST", f"{zone}/invites", {"name": "device-1"}).result
    first, second, third = (tmp_path / f"{number}.p12" for number in range(3))
    subject = "CN=device-1"
    wrong = java.lines("enroll", subject, made["id"], "wrong", first)
    assert wrong[0].startswith("401 ") and not first.exists()
    enrolled = java.certificate("enroll", subject, made["id"], made["secret"], first)
    newest = enrolment.newest()
    assert enrolled == x509.load_pem_x509_certificate(str(newest["certificate"]).encode())
    (used,) = java.lines("enroll", subject, made["id"], made["secret"], second)
    assert used.startswith("403 ") and "was used before" in used

    renewed = java.certificate("reenroll", first, second)
    assert renewed.subject == enrolled.subject and public_key(renewed) != public_key(enrolled)
    newest = enrolment.newest()
    assert renewed == x509.load_pem_x509_certificate(str(newest["certificate"]).encode())
    (replaced,) = java.lines("reenroll", first, third)
    assert replaced.startswith("403 ") and "was replaced by" in replaced
    assert api.revoke(str(newest["id"])).status == 200
    (revoked,) = java.lines("reenroll", second, third)
    assert revoked.startswith("403 ") and "revoked" in revoked and not third.exists()
    operations = "`cacerts`, `csrattrs`, `simpleenroll`, `simplereenroll`, and refusals"
    clients.works("BouncyCastle", BOUNCYCASTLE, operations)
