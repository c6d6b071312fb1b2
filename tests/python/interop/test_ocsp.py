"""OCSP requests in the forms that clients send, judged by openssl, Go's library and Java."""

from __future__ import annotations

import base64
import hashlib
import http.client
import random
import subprocess
import urllib.parse
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509 import ocsp

from kit import clients
from kit.der import NULL, extension, integer, octets, oid, sequence, tlv, values
from kit.estate import SEED, Ca, Leaf, certificates_in, fetch
from kit.families import version
from kit.judges import go_module, go_verdicts, java, run

NONCE = "1.3.6.1.5.5.7.48.1.2"

# The digests of CertIDs: identifier and function.
DIGESTS = {
    "SHA-1": ("1.3.14.3.2.26", hashlib.sha1),
    "SHA-256": ("2.16.840.1.101.3.4.2.1", hashlib.sha256),
    "SHA-384": ("2.16.840.1.101.3.4.2.2", hashlib.sha384),
    "SHA-512": ("2.16.840.1.101.3.4.2.3", hashlib.sha512),
}
UNSUPPORTED = {
    "SHA-224": ("2.16.840.1.101.3.4.2.4", hashlib.sha224),
    "SHA3-256": ("2.16.840.1.101.3.4.2.8", hashlib.sha3_256),
    "MD5": ("1.2.840.113549.2.5", hashlib.md5),
}

REQUESTS = 240


def cert_id(
    ca: Ca, serial: int, digest: str = "SHA-1", parameters: bytes = NULL, name: bytes = b""
) -> bytes:
    kind, function = (DIGESTS | UNSUPPORTED)[digest]
    certificate = x509.load_der_x509_certificate(ca.der)
    key = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    ((_, spki),) = values(key)
    bits = list(values(spki))[1][1][1:]
    subject = name or certificate.subject.public_bytes()
    return sequence(
        sequence(oid(kind), parameters),
        octets(function(subject).digest()),
        octets(function(bits).digest()),
        integer(serial),
    )


def request(
    *ids: bytes,
    extensions: bytes = b"",
    before: bytes = b"",
    single: bytes = b"",
    after: bytes = b"",
) -> bytes:
    wrapped = tlv(0xA2, sequence(extensions)) if extensions else b""
    each = [sequence(one, single) for one in ids]
    return sequence(sequence(before, sequence(*each), wrapped), after)


def nonce(content: bytes, critical: bool = False) -> bytes:
    return extension(NONCE, content, critical)


def echoed(response: bytes) -> bytes | None:
    """Returns the value of the nonce extension of a response."""
    answer = ocsp.load_der_ocsp_response(response)
    # ResponseData: the extensions are [1], the last value.
    ((_, data),) = values(answer.tbs_response_bytes)
    tag, content = list(values(data))[-1]
    if tag != 0xA1:
        return None
    ((_, extensions),) = values(content)
    ((_, one),) = values(extensions)
    kind, wrapped = values(one)
    assert tlv(*kind) == oid(NONCE)
    return wrapped[1]


N = bytes(range(0x80, 0x90))
REPEATED = {
    "wrapped, 1 octet": octets(N[:1]),
    "wrapped, 16": octets(N),
    "wrapped, 32": octets(N * 2),
    "wrapped, 128": octets(N * 8),
    "not wrapped, 16": N,
    "not wrapped, 4 (Keycloak before 25)": b"\1\2\3\4",
    "not wrapped, an INTEGER (Java's random long)": integer(0x1122334455667788),
}
# openssl, which judges the random requests, reads these.
OMITTED = {
    "wrapped, 129": nonce(octets(N * 8 + b"x")),
    "wrapped, empty": nonce(octets(b"")),
    "an empty value": nonce(b""),
    "twice": nonce(octets(N)) * 2,
}
UNREADABLE = {
    "no OCTET STRING": sequence(oid(NONCE), integer(5)),
    "no value": sequence(oid(NONCE)),
}
HARMLESS = {
    "acceptable responses": extension(
        "1.3.6.1.5.5.7.48.1.4", sequence(oid("1.3.6.1.5.5.7.48.1.1"))
    ),
    "preferred signatures": extension("1.3.6.1.5.5.7.48.1.8", sequence(sequence(sequence()))),
    "unknown and critical": extension("1.3.6.1.4.1.99999.5", tlv(12, b"x"), True),
    "a value that is not DER": extension("1.3.6.1.4.1.99999.5", b"\x05\x04\x03"),
}


def test_each_form_of_request(fleet: list[Ca]) -> None:
    ca = fleet[0]
    good = next(leaf for leaf in ca.leaves if leaf.status == "good").serial
    revoked = next(leaf for leaf in ca.leaves if leaf.status == "revoked").serial
    one = cert_id(ca, good)
    stranger = cert_id(ca, good, name=sequence())
    locator = tlv(0xA0, sequence(extension("1.3.6.1.5.5.7.48.1.7", sequence(NULL))))
    in_single = tlv(0xA0, sequence(nonce(octets(N))))
    signature = tlv(0xA0, sequence(sequence(oid("1.2.840.10045.4.3.2")), tlv(3, b"\0\x30\0")))
    directory_name = tlv(0xA1, tlv(0xA4, sequence()))
    many = [cert_id(ca, number) for number in range(1 << 150, (1 << 150) + 33)]
    forms = {
        "plain": (request(one), "good", None),
        **{
            f"{digest}, {'NULL' if null else 'no NULL'}": (
                request(cert_id(ca, good, digest, null)),
                "good",
                None,
            )
            for digest in DIGESTS
            for null in (NULL, b"")
        },
        **{
            f"nonce {name}": (request(one, extensions=nonce(text)), "good", text)
            for name, text in REPEATED.items()
        },
        "nonce, critical": (request(one, extensions=nonce(octets(N), True)), "good", octets(N)),
        **{
            f"nonce {name}": (request(one, extensions=text), "good", None)
            for name, text in (OMITTED | UNREADABLE).items()
        },
        "nonce in the single request": (request(one, single=in_single), "good", None),
        **{name: (request(one, extensions=text), "good", None) for name, text in HARMLESS.items()},
        "service locator": (request(one, single=locator), "good", None),
        "no extension": (
            sequence(sequence(sequence(sequence(one)), b"\xa2\2\x30\0")),
            "good",
            None,
        ),
        "version 1": (request(one, before=tlv(0xA0, integer(0))), "good", None),
        "a requestor": (request(one, before=directory_name), "good", None),
        "signed by anyone": (request(one, after=signature), "good", None),
        "two": (request(one, cert_id(ca, revoked)), "good revoked", None),
        "two digests": (request(one, cert_id(ca, revoked, "SHA-512")), "good revoked", None),
        "unknown": (request(cert_id(ca, 5)), "unknown", None),
        "32 certificates": (request(*many[:32]), " ".join(["unknown"] * 32), None),
        # Each of these has a neighbour above.
        "33 certificates": (request(*many), "MALFORMED_REQUEST", None),
        "no certificate": (request(), "MALFORMED_REQUEST", None),
        "version 2": (request(one, before=tlv(0xA0, integer(1))), "MALFORMED_REQUEST", None),
        "octets after it": (request(one) + b"\n", "MALFORMED_REQUEST", None),
        "cut off": (request(one)[:-1], "MALFORMED_REQUEST", None),
        "a digest of other parameters": (
            request(cert_id(ca, good, "SHA-512", octets(b""))),
            "MALFORMED_REQUEST",
            None,
        ),
        **{
            digest: (request(cert_id(ca, good, digest)), "UNAUTHORIZED", None)
            for digest in UNSUPPORTED
        },
        "another CA": (request(stranger), "UNAUTHORIZED", None),
        "ours and another CA": (request(one, stranger), "UNAUTHORIZED", None),
    }
    wrong = []
    for name, (sent, expected, repeated) in forms.items():
        response = fetch(ca.server, "/ocsp", sent)
        answer = ocsp.load_der_ocsp_response(response)
        said, found = answer.response_status.name, None
        if said == "SUCCESSFUL":
            said = " ".join(one.certificate_status.name.lower() for one in answer.responses)
            found = echoed(response)
        if (said, found) != (expected, repeated):
            wrong.append((name, said, found))
    assert not wrong


@dataclass
class Asked:
    leaf: Leaf
    serial: int
    status: str
    sent: bytes
    nonce: bytes | None
    path: str | None


def random_request(choice: random.Random, fleet: list[Ca]) -> Asked:
    ca = choice.choice(fleet)
    leaf = choice.choice(ca.leaves)
    serial, status = leaf.serial, leaf.status
    if choice.random() < 0.1:
        serial, status = choice.getrandbits(159), "unknown"
    one = cert_id(ca, serial, choice.choice(list(DIGESTS)), choice.choice([NULL, b""]))
    parts = choice.sample(list(HARMLESS.values()), choice.randrange(3))
    expected = None
    form = choice.randrange(6)
    text = choice.randbytes(choice.randrange(1, 129))
    if form < 3:
        wrapped = [octets(text), text, integer(choice.getrandbits(63))][form]
        parts.append(nonce(wrapped, choice.random() < 0.2))
        expected = wrapped
    elif form == 3:
        parts.append(choice.choice(list(OMITTED.values())))
    choice.shuffle(parts)
    before = choice.choice([b"", tlv(0xA0, integer(0)), tlv(0xA1, tlv(0xA4, sequence()))])
    sent = request(one, extensions=b"".join(parts), before=before)
    path = None
    if choice.random() < 0.3:
        path, expected = spelled(choice, sent), None
    return Asked(leaf, serial, status, sent, expected, path)


def spelled(choice: random.Random, sent: bytes) -> str:
    """Writes a request into a path as clients and proxies do."""
    text = base64.b64encode(sent).decode()
    quoted = urllib.parse.quote(text, safe="")
    broken = "\r\n".join(text[at : at + 64] for at in range(0, len(text), 64))
    spellings = [
        text,
        quoted,
        "/" + quoted,
        quoted.replace("%2F", "%2f").replace("%2B", "%2b"),
        urllib.parse.quote(quoted, safe=""),
        base64.urlsafe_b64encode(sent).decode(),
        text.rstrip("="),
        urllib.parse.quote(broken, safe=""),
        quoted + "/",
        quoted + "?x=1",
    ]
    return "/ocsp/" + choice.choice(spellings)


def test_random_requests(fleet: list[Ca], tmp_path: Path) -> None:
    choice = random.Random(SEED)
    every = [random_request(choice, fleet) for _ in range(REQUESTS)]
    objects, wrong = [], []
    for number, asked in enumerate(every):
        ca = asked.leaf.ca
        if asked.path:
            response = fetch(ca.server, asked.path)
        else:
            response = fetch(ca.server, "/ocsp", asked.sent)
        sent, received = tmp_path / f"{number}.request", tmp_path / f"{number}.response"
        sent.write_bytes(asked.sent)
        received.write_bytes(response)
        objects.append(("ocsp", received, ca.file))
        # openssl compares the nonces, and verifies the signature and the delegate.
        judged = ["openssl", "ocsp", "-reqin", sent, "-respin", received, "-issuer", ca.pem]
        done = subprocess.run(
            [*judged, "-CAfile", ca.pem], capture_output=True, text=True, timeout=30
        )
        is_missing = "no nonce in response" in done.stderr
        was_omitted = asked.nonce is None and oid(NONCE) in asked.sent
        if "Response verify OK" not in done.stderr or is_missing != was_omitted:
            wrong.append((number, asked, done.stderr))
        if echoed(response) != asked.nonce:
            wrong.append((number, asked, echoed(response)))
    for asked, verdict in zip(every, go_verdicts(objects), strict=True):
        said = (verdict.get("status"), verdict.get("serial"), verdict["findings"])
        if said != (asked.status, f"{asked.serial:x}", []) or verdict["applied"] == 0:
            wrong.append((asked, verdict))
        if verdict["signer"] not in ("ECDSA-SHA256", "ECDSA-SHA384"):
            wrong.append((asked.leaf.ca.algorithm, verdict))
        if asked.status == "revoked" and verdict["revoked_at"] > verdict["this_update"]:
            wrong.append((asked, verdict))
    assert not wrong
    clients.works("OpenSSL", version("OpenSSL"), "OCSP with every form of nonce and CertID")
    clients.works("Go x/crypto/ocsp", go_module("golang.org/x/crypto"), "OCSP of every CA")


def test_java_checks_every_certificate(fleet: list[Ca], tmp_path: Path) -> None:
    leaves = [leaf for ca in fleet for leaf in ca.leaves]
    list_file = tmp_path / "list"
    list_file.write_text("".join(f"{leaf.ca.file},{leaf.file}\n" for leaf in leaves))
    said = run(*java("Revocation", list_file, properties=["com.sun.security.enableCRLDP=true"]))
    expected = [f"OCSP:{leaf.status} CRL:{leaf.status}" for leaf in leaves]
    assert said.splitlines() == expected and len(expected) >= 200
    clients.works("Java", version("Java"), "OCSP and CRL checks of PKIX")


def test_dates_follow_one_rule(fleet: list[Ca]) -> None:
    """No list has a revocation from its own future, and CRL and OCSP agree."""
    for ca in fleet:
        full = x509.load_der_x509_crl(fetch(ca.server, f"/crl/{ca.id}/full.crl"))
        listed = {entry.serial_number: entry.revocation_date_utc for entry in full}
        revoked = {leaf.serial for leaf in ca.leaves if leaf.status == "revoked"}
        assert set(listed) == revoked
        assert max(listed.values()) <= full.last_update_utc
        for serial in list(listed)[:5]:
            now = datetime.now(timezone.utc)
            answer = fetch(ca.server, "/ocsp", request(cert_id(ca, serial)))
            answer = ocsp.load_der_ocsp_response(answer)
            assert answer.revocation_time_utc == listed[serial]
            assert answer.revocation_time_utc <= answer.this_update_utc
            # The time by which a verifier's clock may be behind.
            late = now - answer.this_update_utc
            assert timedelta(minutes=5) - timedelta(seconds=60) <= late <= timedelta(minutes=30)
            assert answer.this_update_utc <= answer.produced_at_utc < answer.next_update_utc


@pytest.mark.parametrize("algorithm", ["RSA-2048", "Ed25519"])
def test_a_delegate_signs_for_slow_and_new_keys(fleet: list[Ca], algorithm: str) -> None:
    ca = next(ca for ca in fleet if ca.algorithm == algorithm)
    response = fetch(ca.server, "/ocsp", request(cert_id(ca, ca.leaves[0].serial)))
    (delegate,) = map(x509.load_der_x509_certificate, certificates_in(response))
    assert delegate.public_key().curve.name == "secp256r1"
    delegate.verify_directly_issued_by(x509.load_der_x509_certificate(ca.der))


def test_the_address_of_the_ca_leads_to_its_certificate(fleet: list[Ca]) -> None:
    for ca in fleet:
        leaf = x509.load_der_x509_certificate(ca.leaves[0].file.read_bytes())
        access = leaf.extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
        (address,) = (
            one.access_location.value
            for one in access
            if one.access_method == x509.AuthorityInformationAccessOID.CA_ISSUERS
        )
        url = urllib.parse.urlsplit(address)
        assert url.port == ca.server.public_port
        connection = http.client.HTTPConnection("127.0.0.1", url.port, timeout=30)
        connection.request("GET", url.path)
        answer = connection.getresponse()
        assert (answer.status, answer.headers["Content-Type"]) == (200, "application/pkix-cert")
        assert answer.read() == ca.der
        leaf.verify_directly_issued_by(x509.load_der_x509_certificate(ca.der))
        connection.close()
