#!/usr/bin/env python3
"""Write the seeds of the corpus: the fixtures of pki's tests, and OCSP requests of openssl.

Inputs that fuzzing added stay. All keys are test keys.
"""

import base64
import hashlib
import pathlib
import re
import subprocess
import tempfile

HERE = pathlib.Path(__file__).parent
FIXTURES = HERE.parent / "crates/pki/tests/fixtures"
CORPUS = HERE / "corpus"

# Larger seeds slow down each execution and add only length.
SEED_BYTES_MAX = 4096

# Policies of tokens, as fuzz/src/policies.rs reads them: for each policy its effect, the numbers of
# groups (0 to 19, by name) and of resources (0 to 10, as RESOURCES has them).
ALLOW, DENY = 0, 1
POLICIES = {
    "everything": [(ALLOW, [3, 15, 19], [0])],
    "write_on_an_account": [(ALLOW, [15, 19], [2])],
    "denied_read_of_a_zone": [(ALLOW, [15], [2]), (DENY, [14], [6])],
    "denied_write_of_a_zone": [(ALLOW, [15], [2]), (DENY, [15], [6])],
    "denied_account_of_all": [(ALLOW, [3, 13, 15], [0]), (DENY, [2, 12, 14], [3])],
    "zones_of_an_account": [(ALLOW, [19], [4]), (DENY, [18], [7])],
    "one_zone": [(ALLOW, [14], [8])],
    "tokens_of_a_user": [(ALLOW, [7], [9]), (DENY, [6], [10])],
    "every_zone_but_one_account": [(ALLOW, [15], [1]), (DENY, [14], [5])],
    "issue_but_not_revoke": [(ALLOW, [15], [2]), (DENY, [11], [6])],
    "issue_only": [(ALLOW, [8], [4]), (DENY, [9], [2])],
}

# Object identifiers and the marks of PEM. libFuzzer does not learn them from slice comparisons.
DICTIONARY = HERE / "dictionary.txt"


def write(target, name, octets):
    if len(octets) <= SEED_BYTES_MAX:
        (CORPUS / target).mkdir(parents=True, exist_ok=True)
        (CORPUS / target / f"seed_{name}").write_bytes(octets)


def journal_line(text):
    return text.encode() + hashlib.sha256(text.encode()).hexdigest()[:8].encode() + b"\n"


def journals():
    """Write journals of the installation that the target names: intact, torn and corrupt."""
    head = journal_line("certgate revocations 1 0123456789abcdef0123456789abcdef after 5\t")
    authority = "0199f0c3-7f0a-7c1e-9d57-5f0a3c1b2d4e"

    def change(epoch, what="revoked\tkeyCompromise\t1790000000000000"):
        certificate, serial = f"{epoch:032x}", f"41{epoch:038x}"
        end = f"{authority}\t{certificate}\t{serial}\t{'ab' * 32}\t1800000000000000\t"
        return journal_line(f"{epoch}\t{what}\t{end}")

    lines = [change(6), change(7, "restored\t-\t-"), change(9)]
    skipped = journal_line("4294967305\tskipped\tunknown\t9\t")
    whole = head + b"".join(lines)
    flip = lambda octets, at: octets[:at] + bytes([octets[at] ^ 1]) + octets[at + 1 :]
    write("journal", "empty", head)
    write("journal", "intact", whole)
    write("journal", "skipped", whole + skipped + change(4294967306))
    write("journal", "torn", whole[:-40])
    write("journal", "zeros", whole[:-40] + bytes(300) + change(10))
    write("journal", "flipped_line", flip(whole, len(head) + 20))
    write("journal", "flipped_end", flip(whole, len(head) + len(lines[0]) - 1))
    write("journal", "flipped_head", flip(whole, 30))
    write("journal", "old_part", whole + lines[0] + change(11))


def der(path):
    """Return the consecutive blocks of a PEM file in DER, or nothing if it has none."""
    blocks = re.findall(rb"-----BEGIN [^-]+-----([A-Za-z0-9+/=\s]+)-----END", path.read_bytes())
    return b"".join(base64.b64decode(block) for block in blocks)


def tlv(tag, content):
    size = len(content)
    length = (
        bytes([size])
        if size < 128
        else b"\x82" + size.to_bytes(2, "big")
        if size > 255
        else bytes([0x81, size])
    )
    return bytes([tag]) + length + content


def first_inside(octets, path):
    """Return the value at this path: one index for each nested sequence."""
    for index in path:

        def head(at):
            first = octets[at + 1]
            count = first & 127 if first & 128 else 0
            return at + 2 + count, int.from_bytes(
                octets[at + 2 : at + 2 + count], "big"
            ) if count else first

        at = head(0)[0]
        for _ in range(index):
            start, length = head(at)
            at = start + length
        start, length = head(at)
        octets = octets[at : start + length]
    return octets


# --- Requests, and their subjects ---

TEXT = [
    "good_text_before",
    "good_escaped_newlines",
    "good_new_label",
    "good_crlf",
    "several_blocks",
    "private_key_beside",
    "good_text_after_end",
    "no_end_line",
    "base64_broken",
]
REQUESTS = [
    "good_p256_sha256",
    "good_p384_sha384",
    "good_p521_sha512",
    "good_rsa_2048_sha256",
    "good_ed25519",
    "good_extensions",
    "good_odd_subject",
    "good_empty_subject",
    "curve_explicit",
    "key_ed448",
    "good_signed_with_pss",
    "point_compressed",
    "rsa_exponent_40_bits",
    "good_extension_broken",
]
for name in TEXT:
    write("csr", name, (FIXTURES / f"{name}.csr.pem").read_bytes())
for name in REQUESTS:
    write("csr", name, der(FIXTURES / f"{name}.csr.pem"))

# Bodies of EST: the octet 0 stands for simplereenroll, 2 for a certificate of a client there.
for name in [*TEXT, *REQUESTS]:
    pem = (FIXTURES / f"{name}.csr.pem").read_text(errors="replace")
    write("est", name, b"\0" + pem.encode())
    lines = [line for line in pem.splitlines() if not line.startswith("-")]
    write("est", f"{name}_base64", b"\0" + "\n".join(lines).encode())
for path in sorted((FIXTURES / "uploaded").glob("good_*.certs.pem")):
    write("est", path.name.removesuffix(".certs.pem"), b"\2" + der(path))
# 5 is the user name and password of HTTP Basic at simpleenroll, 7 a body there with an invite.
for number, text in enumerate((b"0" * 32 + b":secret", b"user:pass:word", b"\xff:", b"no colon")):
    write("est", f"basic_{number}", b"\5" + text)
for name in ["good_empty_subject", "good_p256_sha256", "good_extensions", "key_ed448"]:
    pem = (FIXTURES / f"{name}.csr.pem").read_bytes()
    write("est", f"invite_{name}", b"\7" + pem)
for name in [
    "good_p256_sha256",
    "good_odd_subject",
    "good_empty_subject",
    "subject_not_utf8",
    "subject_no_sets",
]:
    write("subject", name, first_inside(der(FIXTURES / f"{name}.csr.pem"), [0, 1]))
# The target converts this form into a Name: type, string tag, length, octets.
attributes = [
    (6, 0x13, b"DE"),
    (10, 0x0C, "Zoë".encode()),
    (3, 0x1E, b"\0Z\0o"),
    (11, 0x14, b"Zo\xeb"),
    (8, 0x1C, b"\0\0\0Z"),
]
write(
    "subject",
    "by_attribute",
    b"".join(bytes([kind, tag, len(text)]) + text for kind, tag, text in attributes),
)
write(
    "subject",
    "by_attribute_one_set",
    b"".join(bytes([kind, tag, 0x80 | len(text)]) + text for kind, tag, text in attributes),
)

# --- Certificates and keys ---

for name in [
    "good_leaf_chain",
    "private_key_beside",
    "good_text_after_end",
    "pkcs12",
    "der",
    "pkcs7",
    "repeated",
]:
    write("chain", name, (FIXTURES / f"uploaded/{name}.certs.pem").read_bytes())
for name in [
    "good_leaf_chain",
    "good_root",
    "good_middle_and_root",
    "good_ed25519",
    "good_p384",
    "good_p521",
    "good_rsa_2048",
    "good_p256_sha1",
    "signed_with_dsa",
    "version_1",
    "der_trailing_bytes",
]:
    write("chain", name + "_der", der(FIXTURES / f"uploaded/{name}.certs.pem"))

for name in ["good_ec_parameters", "encrypted", "encrypted_traditional", "several", "public_key"]:
    write("private_key", name, (FIXTURES / f"uploaded/{name}.key.pem").read_bytes())
for name in [
    "good_leaf",
    "good_p384",
    "good_p521",
    "good_ed25519",
    "good_rsa_2048",
    "good_p384_traditional",
    "good_p521_traditional",
    "good_rsa_2048_traditional",
    "dsa",
    "curve_secp256k1",
    "point_of_another_key",
]:
    write("private_key", name + "_der", der(FIXTURES / f"uploaded/{name}.key.pem"))

for path in sorted((FIXTURES / "authorities").glob("*.crt")):
    write("authority", path.stem, der(path))
good = (FIXTURES / "authorities/good.crt").read_bytes()
for name in ["good.sec1", "encrypted", "another", "rsa_1024"]:
    write("authority", f"with_{name}", good + (FIXTURES / f"authorities/{name}.key").read_bytes())
for name in ["good_root", "good_middle_and_root", "good_ed25519", "good_rsa_2048"]:
    certificate = der(FIXTURES / f"uploaded/{name}.certs.pem")
    write("authority", f"uploaded_{name}", certificate)

# --- OCSP requests ---

with tempfile.TemporaryDirectory() as folder:
    out = pathlib.Path(folder) / "request.der"
    issuer = FIXTURES / "authorities/good.crt"
    serials = [f"0x{'5a' * 19}{number:02x}" for number in range(33)]
    for name, digest, count, more in [
        ("one", "-sha1", 1, ["-no_nonce"]),
        ("one_sha256", "-sha256", 1, ["-no_nonce"]),
        ("one_sha512", "-sha512", 1, ["-no_nonce"]),
        ("nonce", "-sha1", 1, []),
        ("three_nonce", "-sha256", 3, []),
        ("too_many", "-sha1", 33, []),
        (
            "signed",
            "-sha1",
            1,
            ["-signer", issuer, "-signkey", FIXTURES / "authorities/good.pkcs8.key"],
        ),
    ]:
        arguments = [part for serial in serials[:count] for part in ("-serial", serial)]
        subprocess.run(
            ["openssl", "ocsp", digest, *more, "-issuer", issuer, *arguments, "-reqout", out],
            check=True,
            capture_output=True,
        )
        write("ocsp_request", name, out.read_bytes())
    for name in ["one", "three_nonce", "signed"]:
        question = base64.b64encode((CORPUS / f"ocsp_request/seed_{name}").read_bytes())
        write("ocsp_path", name, question)
        write(
            "ocsp_path",
            f"{name}_escaped",
            b"/" + question.replace(b"/", b"%2F").replace(b"+", b"%2b").replace(b"=", b"%3D"),
        )
    identifier = first_inside((CORPUS / "ocsp_request/seed_one").read_bytes(), [0, 0, 0, 0])
    extension = tlv(
        0x30,
        bytes.fromhex("06092b0601050507300104")
        + tlv(0x04, tlv(0x30, bytes.fromhex("06092b0601050507300101"))),
    )
    one = tlv(0x30, identifier + tlv(0xA0, tlv(0x30, extension)))
    every = [
        tlv(0xA0, b"\x02\x01\x00"),
        tlv(0xA1, tlv(0xA4, tlv(0x30, b""))),
        tlv(0x30, one),
        tlv(0xA2, tlv(0x30, extension)),
    ]
    write("ocsp_request", "every_optional_part", tlv(0x30, tlv(0x30, b"".join(every))))
    write("ocsp_request", "no_id", tlv(0x30, tlv(0x30, tlv(0x30, b""))))

# --- The journal ---

journals()

# --- Words ---


def oid(dotted):
    first, second, *rest = map(int, dotted.split("."))
    content = b""
    for arc in [40 * first + second, *rest]:
        octets = bytes([arc & 127])
        while arc := arc >> 7:
            octets = bytes([128 | arc & 127]) + octets
        content += octets
    return tlv(0x06, content)


for name, policies in POLICIES.items():
    octets = b""
    for effect, groups, resources in policies:
        octets += bytes([effect | len(groups) << 1 | len(resources) << 3, *groups, *resources])
    write("policies", name, octets)


OIDS = re.findall(
    r'([A-Z0-9_]+) = "([0-9.]+)"', (HERE.parent / "crates/pki/src/oid.rs").read_text()
)
LABELS = [
    "CERTIFICATE",
    "CERTIFICATE REQUEST",
    "PRIVATE KEY",
    "EC PRIVATE KEY",
    "RSA PRIVATE KEY",
    "EC PARAMETERS",
]
MARKS = [f"-----{side} {label}-----" for label in LABELS for side in ("BEGIN", "END")] + [
    "Proc-Type:",
    "\\n",
    "%2F",
]
lines = ["# Made by seeds.py."]
lines += [
    f'{name.lower()}="{"".join(f"{chr(92)}x{octet:02x}" for octet in oid(dotted))}"'
    for name, dotted in OIDS
]
lines += ['"{}"'.format(mark.replace(chr(92), chr(92) * 2)) for mark in MARKS]
DICTIONARY.write_text("\n".join(lines) + "\n")
