"""A CA of a test's own, client certificates with chosen properties, and their twins."""

from __future__ import annotations

import base64
import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from kit.der import bits, sequence

# The orders of the groups of P-256 and P-384 (FIPS 186-4, D.1.2).
ORDERS = {
    256: 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551,
    384: int(
        "FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFC7634D81F4372DDF581A0DB248B0A77AECEC196A"
        "CCC52973",
        16,
    ),
}


def name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.DER)


def der_of(text: str) -> bytes:
    """The DER form of the first certificate of a PEM text."""
    return der(x509.load_pem_x509_certificate(text.encode()))


def pem_of(octets: bytes) -> str:
    lines = base64.encodebytes(octets).decode()
    return f"-----BEGIN CERTIFICATE-----\n{lines}-----END CERTIFICATE-----\n"


class Authority:
    """A CA that signs whatever a test needs."""

    def __init__(self, common_name: str, parent: Authority | None = None) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = name(common_name)
        self.parent = parent
        issuer = parent or self
        now = datetime.datetime.now(datetime.UTC)
        self.certificate = (
            x509.CertificateBuilder()
            .subject_name(self.name)
            .issuer_name(issuer.name)
            .public_key(self.key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(days=30))
            .add_extension(x509.BasicConstraints(True, None), critical=True)
            .add_extension(
                x509.KeyUsage(False, False, False, False, False, True, True, False, False),
                critical=True,
            )
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(self.key.public_key()), critical=False
            )
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.key.public_key()),
                critical=False,
            )
            .sign(issuer.key, hashes.SHA256())
        )

    def issue(
        self,
        directory: Path,
        common_name: str,
        seconds: float = 86_400,
        rsa_bits: int | None = None,
        issuer: x509.Name | None = None,
        server: str | None = None,
    ) -> tuple[Path, Path]:
        """A certificate and its key: of a client, or of the server with this name."""
        key = (
            rsa.generate_private_key(65537, rsa_bits)
            if rsa_bits
            else ec.generate_private_key(ec.SECP256R1())
        )
        now = datetime.datetime.now(datetime.UTC)
        purpose = ExtendedKeyUsageOID.SERVER_AUTH if server else ExtendedKeyUsageOID.CLIENT_AUTH
        builder = (
            x509.CertificateBuilder()
            .subject_name(name(common_name))
            .issuer_name(issuer or self.name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(minutes=10))
            .not_valid_after(now + datetime.timedelta(seconds=seconds))
            .add_extension(x509.BasicConstraints(False, None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()),
                critical=False,
            )
        )
        if server:
            names = x509.SubjectAlternativeName([x509.DNSName(server)])
            builder = builder.add_extension(names, critical=False)
        certificate = builder.sign(self.key, hashes.SHA256())
        paths = directory / f"{common_name}.pem", directory / f"{common_name}.key"
        paths[0].write_text(pem(certificate))
        paths[1].write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        return paths


def twin(text: str, authority: str) -> str:
    """The same certificate with the other valid signature: (r, n - s) for (r, s).

    It has another fingerprint, and the same issuer, serial number and key.
    """
    certificate = x509.load_pem_x509_certificate(text.encode())
    issuer = x509.load_pem_x509_certificate(authority.encode())
    key = issuer.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    r, s = decode_dss_signature(certificate.signature)
    other = encode_dss_signature(r, ORDERS[key.key_size] - s)
    algorithm = certificate.signature_hash_algorithm
    assert algorithm
    key.verify(other, certificate.tbs_certificate_bytes, ec.ECDSA(algorithm))
    octets = der(certificate)
    tbs = certificate.tbs_certificate_bytes
    after = octets.index(tbs) + len(tbs)
    # The algorithm identifier is a SEQUENCE with a length of one octet.
    identifier = octets[after : after + 2 + octets[after + 1]]
    made = pem_of(sequence(tbs, identifier, bits(other)))
    assert x509.load_pem_x509_certificate(made.encode()).signature == other
    return made


def with_other_serial(text: str) -> str:
    """The certificate with another first octet in its serial number, and the same signature."""
    certificate = x509.load_pem_x509_certificate(text.encode())
    octets = bytearray(der(certificate))
    serial = certificate.serial_number.to_bytes((certificate.serial_number.bit_length() + 8) // 8)
    at = bytes(octets).index(serial)
    octets[at] ^= 0x20
    return pem_of(bytes(octets))
