"""Public keys of known strength, and signed requests and certificates for them, as bytes.

Nothing here tests a key: each is made from numbers that make it strong or weak.
"""

from __future__ import annotations

import base64
import hashlib
import random
from collections.abc import Callable
from dataclasses import dataclass
from math import gcd

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from kit.der import bits, integer, sequence, tlv
from kit.harness import openssl

Sign = Callable[[bytes], bytes]


@dataclass(frozen=True)
class Key:
    """A public key, the function that signs for it, and the AlgorithmIdentifier."""

    what: str
    spki: bytes
    algorithm: bytes
    sign: Sign
    # A word in the message of a refusal, or nothing for a strong key.
    weakness: str = ""


RSA = bytes.fromhex("300d06092a864886f70d0101010500")
SHA256_RSA = bytes.fromhex("300d06092a864886f70d01010b0500")
SHA256_ECDSA = bytes.fromhex("300a06082a8648ce3d040302")
ED25519 = bytes.fromhex("300506032b6570")
DIGEST_INFO = bytes.fromhex("3031300d060960864801650304020105000420")


COMMON_NAME = bytes.fromhex("0603550403")


def name(common_name: str) -> bytes:
    return sequence(tlv(0x31, sequence(COMMON_NAME, tlv(0x0C, common_name.encode()))))


def pem(label: str, der: bytes) -> str:
    text = base64.encodebytes(der).decode().replace("\n", "")
    lines = [text[at : at + 64] for at in range(0, len(text), 64)]
    return "\n".join([f"-----BEGIN {label}-----", *lines, f"-----END {label}-----", ""])


def request(key: Key, subject: bytes | None = None) -> str:
    info = sequence(integer(0), subject or name("weak"), key.spki, tlv(0xA0))
    signed = sequence(info, key.algorithm, bits(key.sign(info)))
    return pem("CERTIFICATE REQUEST", signed)


def certificate(key: Key, subject: bytes | None = None) -> str:
    """A self-signed CA certificate."""
    subject = subject or name("weak CA")
    true = bytes.fromhex("0101ff")
    constraints = sequence(bytes.fromhex("0603551d13"), true, tlv(4, sequence(true)))
    usage = sequence(bytes.fromhex("0603551d0f"), true, tlv(4, tlv(3, b"\x01\x06")))
    validity = sequence(tlv(0x17, b"250101000000Z"), tlv(0x17, b"450101000000Z"))
    extensions = tlv(0xA3, sequence(constraints, usage))
    version = tlv(0xA0, integer(2))
    parts = [version, integer(7), key.algorithm, subject, validity, subject, key.spki, extensions]
    info = sequence(*parts)
    return pem("CERTIFICATE", sequence(info, key.algorithm, bits(key.sign(info))))


# ------------------------------------------------------------------------------- RSA


def rsa_numbers(what: str, factors: list[int], weakness: str = "", e: int = 65537) -> Key:
    """The key whose modulus is the product of these primes."""
    n, order = 1, 1
    for factor in factors:
        n, order = n * factor, order * (factor - 1)
    if len(set(factors)) < len(factors):
        order *= max(factors, key=factors.count)
    d, size = pow(e, -1, order), (n.bit_length() + 7) // 8

    def sign(message: bytes) -> bytes:
        info = DIGEST_INFO + hashlib.sha256(message).digest()
        padded = b"\0\1" + b"\xff" * (size - 3 - len(info)) + b"\0" + info
        return pow(int.from_bytes(padded, "big"), d, n).to_bytes(size, "big")

    spki = sequence(RSA, bits(sequence(integer(n), integer(e))))
    return Key(f"RSA {what}", spki, SHA256_RSA, sign, weakness)


def private_key(factors: tuple[int, int]) -> str:
    """The private key of two primes in PKCS #1, without a check of its numbers."""
    p, q = factors
    d = pow(65537, -1, (p - 1) * (q - 1))
    parts = [0, p * q, 65537, d, p, q, d % (p - 1), d % (q - 1), pow(q, -1, p)]
    return pem("RSA PRIVATE KEY", sequence(*map(integer, parts)))


SMALL = [n for n in range(2, 1000) if all(n % d for d in range(2, int(n**0.5) + 1))]


def is_prime(n: int) -> bool:
    """Miller and Rabin's test, with bases of the first primes."""
    for prime in SMALL:
        if n % prime == 0:
            return n == prime
    odd, twos = n - 1, 0
    while odd % 2 == 0:
        odd, twos = odd // 2, twos + 1
    for base in SMALL[:8]:
        power = pow(base, odd, n)
        if power in (1, n - 1):
            continue
        for _ in range(twos - 1):
            power = power * power % n
            if power == n - 1:
                break
        else:
            return False
    return True


def next_prime(n: int) -> int:
    """The first prime after n that is usable with the exponent 65537."""
    n += 1 + n % 2
    while not (is_prime(n) and gcd(n - 1, 65537) == 1):
        n += 2
    return n


def roca_prime(draw: random.Random, size: int) -> int:
    """A prime as the library with CVE-2017-15361 made it: k·M + (65537^a mod M)."""
    product = 1
    for prime in SMALL[:71]:
        product *= prime
    while True:
        power = pow(65537, draw.getrandbits(60), product)
        k = draw.getrandbits(size - product.bit_length() + 1)
        candidate = k * product + power
        # So large that a product of two has twice as many bits.
        if candidate >> (size - 2) == 3 and is_prime(candidate):
            return candidate


def primes(count: int) -> list[int]:
    """Primes of 1024 bits."""
    found: list[int] = []
    while len(found) < count:
        numbers = rsa.generate_private_key(65537, 2048).private_numbers()
        found += [numbers.p, numbers.q]
    return found[:count]


def rsa_keys(draw: random.Random) -> list[Key]:
    pool = primes(8)
    p = pool[0]
    keys = [
        rsa_numbers(f"strong {one} {other}", [pool[one], pool[other]])
        for one in range(8)
        for other in range(one)
    ]
    small = [prime for prime in range(3, 1 << 16, 2) if is_prime(prime) and prime != 65537]
    factors = [3, 5, 7, 17, 65521, *draw.sample(small, 35)]
    keys += [
        rsa_numbers(f"factor {factor}", [factor, *draw.sample(pool, 2)], "factor")
        for factor in factors
        if (factor - 1) % 65537
    ]
    after = next_prime(p)
    close = [after, next_prime(after), next_prime(p + 2**200)]
    close.append(next_prime(p + draw.getrandbits(504)))
    keys += [rsa_numbers(f"close {n}", [p, other], "close") for n, other in enumerate(close)]
    keys.append(rsa_numbers("square", [p, p], "close"))
    prime = int(openssl("prime", "-generate", "-bits", "2048"))
    keys.append(rsa_numbers("prime", [prime], "prime"))
    made = [roca_prime(draw, 1024) for _ in range(2)]
    keys.append(rsa_numbers("ROCA", made, "ROCA"))
    smooth = [next_prime(draw.getrandbits(32) | 3 << 30) for _ in range(65)]
    keys.append(rsa_numbers("65 small primes", smooth, "factor"))
    return keys


# -------------------------------------------------------------------------------- EC

# The order of each group, for the negative of a small private key.
ORDERS = {
    "P-256": (
        ec.SECP256R1(),
        0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551,
    ),
    "P-384": (
        ec.SECP384R1(),
        2**384 - 0x389CB27E0BC8D220A7E5F24DB74F58851313E695333AD68D,
    ),
    "P-521": (
        ec.SECP521R1(),
        2**521 - 0x5AE79787C40D069948033FEB708F65A2FC44A36477663B851449048E16EC79BF7,
    ),
}


def ec_key(what: str, curve: ec.EllipticCurve, scalar: int, weakness: str = "") -> Key:
    private = ec.derive_private_key(scalar, curve)
    spki = private.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    sign = lambda message: private.sign(message, ec.ECDSA(hashes.SHA256()))  # noqa: E731
    return Key(f"EC {what} {scalar}", spki, SHA256_ECDSA, sign, weakness)


def ec_keys(draw: random.Random) -> list[Key]:
    keys: list[Key] = []
    for what, (curve, order) in ORDERS.items():
        small = [1, 2, 3, 255, 256, *draw.sample(range(4, 255), 10)]
        keys += [ec_key(what, curve, scalar, "small number") for scalar in small]
        keys += [ec_key(what, curve, order - scalar, "small number") for scalar in small]
        keys += [ec_key(what, curve, draw.randrange(1 << 200, order)) for _ in range(10)]
    return keys


# --------------------------------------------------------------------------- Ed25519

P = 2**255 - 19
D = -121665 * pow(121666, -1, P) % P

Point = tuple[int, int]


def add(one: Point, other: Point) -> Point:
    """RFC 8032 §5.1.4, in affine coordinates."""
    (x1, y1), (x2, y2) = one, other
    product = D * x1 * x2 * y1 * y2
    x = (x1 * y2 + x2 * y1) * pow(1 + product, -1, P)
    y = (y1 * y2 + x1 * x2) * pow(1 - product, -1, P)
    return x % P, y % P


def decode(octets: bytes) -> Point | None:
    """RFC 8032 §5.1.3, but y may be as large as it likes, and x may be a negative zero."""
    number = int.from_bytes(octets, "little")
    sign, y = number >> 255, number % 2**255 % P
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * pow(2, (P - 1) // 4, P) % P
    if (x * x - square) % P:
        return None
    return (P - x if x % 2 != sign else x) % P, y


def encode(point: Point) -> bytes:
    x, y = point
    return (y | (x & 1) << 255).to_bytes(32, "little")


def weakness_of(octets: bytes) -> str:
    """The weakness of a point, by the definitions."""
    point = decode(octets)
    assert point
    eightfold = point
    for _ in range(3):
        eightfold = add(eightfold, eightfold)
    if eightfold == (0, 1):
        return "small order"
    return "" if encode(point) == octets else "canonical"


def ed_key(what: str, octets: bytes, sign: Sign, weakness: str = "") -> Key:
    return Key(f"Ed25519 {what}", sequence(ED25519, bits(octets)), ED25519, sign, weakness)


def ed_keys(draw: random.Random) -> list[Key]:
    # R is the identity and S is 0: verifies for a point of small order, at least now and then.
    forged = lambda _: bytes([1]) + bytes(63)  # noqa: E731
    keys: list[Key] = []
    # Each y below 2^255 that is small or close to p, with both signs.
    candidates = [y | sign << 255 for y in [*range(40), *range(P - 40, 2**255)] for sign in (0, 1)]
    # The points of order 8, from a point of the whole group.
    while True:
        point = decode(draw.randbytes(32))
        if not point:
            continue
        small = point
        # The order of the large subgroup.
        order = 2**252 + 27742317777372353535851937790883648493
        result, factor = (0, 1), order
        while factor:
            if factor & 1:
                result = add(result, small)
            small, factor = add(small, small), factor >> 1
        multiples = [result]
        while multiples[-1] != (0, 1):
            multiples.append(add(multiples[-1], result))
        if len(multiples) == 8:
            break
    candidates += [int.from_bytes(encode(one), "little") for one in multiples]
    for candidate in candidates:
        octets = candidate.to_bytes(32, "little")
        if decode(octets) and (weakness := weakness_of(octets)):
            keys.append(ed_key(octets.hex(), octets, forged, weakness))
    for number in range(20):
        private = ed25519.Ed25519PrivateKey.generate()
        octets = private.public_key().public_bytes_raw()
        assert not weakness_of(octets)
        keys.append(ed_key(f"strong {number}", octets, private.sign))
    return keys
