"""Names that are refused: public suffixes, addresses, and the name of the CA."""

from __future__ import annotations

import random
import socket
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from publicsuffixlist import PublicSuffixList

from kit.harness import Api, Server, openssl
from kit.weak_keys import COMMON_NAME, certificate, ec_key, request, sequence, tlv

# The code of a name that is not accepted, and of a subject.
NAME, SUBJECT = 1065, 1434


def make_zone(api: Api, account: str, name: str) -> tuple[int, Any]:
    answer = api.call("POST", "/client/v4/zones", {"name": name, "account": {"id": account}})
    return answer.status, answer.result["name"] if answer.status == 200 else answer.error["code"]


def test_public_suffixes_are_not_zones(shared: Server) -> None:
    """Judged by another implementation of the list, on names with and without a listed suffix."""
    draw = random.Random(13)
    judge = PublicSuffixList(only_icann=True, accept_unknown=False)
    rules = sorted(rule for rule in judge._publicsuffix if rule[0] not in "*!")
    listed = [rule.encode("idna").decode() for rule in draw.sample(rules, 250)]
    names = [f"a{draw.randrange(10**6)}.{rule}" for rule in draw.sample(listed, 60)]
    names += [rule for rule in listed if "." in rule]
    names += ["anything.ck", "www.ck", "a.b.kobe.jp", "x.kobe.jp", "kobe.jp"]
    names += ["city.kobe.jp", "a.city.kobe.jp"]
    # The private section, and names without a listed suffix.
    names += ["github.io", "blogspot.com", "corp.internal", "a.b.home.arpa", "x.test"]
    names += [f"{draw.randbytes(3).hex()}.zone{draw.randrange(100)}x" for _ in range(40)]
    refused = 0
    api = shared.api()
    for name in dict.fromkeys(names):
        is_suffix = judge.publicsuffix(name) == name
        refused += is_suffix
        expected = (400, NAME) if is_suffix else (200, name)
        assert make_zone(api, shared.made["account_id"], name) == expected, name
    assert refused >= 100
    api.close()


def test_addresses_are_not_zones(shared: Server) -> None:
    """Judged by the C library's reader of addresses in all of their forms."""
    draw = random.Random(14)
    forms = [str, hex, lambda number: f"0{number:o}"]
    names = ["1.2.3.4", "127.1", "0x7f.1", "0.0", "255.255.255.255", "10.0x10"]
    for _ in range(400):
        parts = [draw.choice(forms)(draw.randrange(300)) for _ in range(draw.randrange(2, 5))]
        names.append(".".join(parts))
    api = shared.api()
    addresses = 0
    for name in names:
        try:
            socket.inet_aton(name)
        except OSError:
            continue
        addresses += 1
        assert make_zone(api, shared.made["account_id"], name) == (400, NAME), name
    assert addresses >= 200
    assert make_zone(api, shared.made["account_id"], "4.3.2.1.in-addr.arpa.test")[0] == 200
    api.close()


def subject_hashes(folder: Path, certificates: list[str]) -> list[str]:
    """openssl's hashes of subjects: the same for subjects that it takes for equal."""
    for number, pem in enumerate(certificates):
        (folder / f"{number}.pem").write_text(pem)
    openssl("rehash", folder)
    links = (path for path in folder.iterdir() if path.is_symlink())
    by_number = {path.readlink().stem: path.stem for path in links}
    return [by_number[str(number)] for number in range(len(certificates))]


def variant(draw: random.Random, before: bytes, common_name: str) -> bytes:
    """The name of a CA with changes of its last part, some of which make it another one."""
    text = common_name
    for _ in range(draw.randrange(4)):
        place = draw.randrange(len(text))
        text = draw.choice(
            [
                text.upper(),
                text.swapcase(),
                text.replace(" ", " " * draw.randrange(1, 4)),
                f" {text}  ",
                text[:place] + draw.choice("abcdef0123456789") + text[place + 1 :],
                text.replace(" ", ""),
            ]
        )
    # UTF8String, PrintableString, TeletexString, IA5String, BMPString.
    tag = draw.choice([0x0C, 0x0C, 0x13, 0x14, 0x16, 0x1E])
    value = tlv(tag, text.encode("utf-16-be" if tag == 0x1E else "ascii"))
    attribute = sequence(COMMON_NAME, value)
    organization = sequence(bytes.fromhex("060355040a"), tlv(0x0C, b"Other"))
    match draw.randrange(10):
        case 0:
            return sequence(before, tlv(0x31, attribute), tlv(0x31, organization))
        case 1:
            return sequence(before, tlv(0x31, attribute, organization))
        case _:
            return sequence(before, tlv(0x31, attribute))


def test_the_name_of_the_ca_is_refused_as_a_subject(
    server: Server, csr: str, tmp_path: Path
) -> None:
    api = server.api()
    issued = x509.load_pem_x509_certificate(api.issue(csr).result["certificate"].encode())
    key = ec_key("P-256", ec.SECP256R1(), 1 << 100)
    own = certificate(key, issued.issuer.public_bytes())
    common_name = str(issued.issuer.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value)
    draw = random.Random(15)
    # The parts before the common name, without the header of their sequence.
    before = x509.Name(issued.issuer.rdns[:-1]).public_bytes()
    before = before[2 if before[1] < 0x80 else 2 + (before[1] & 0x7F) :]
    subjects = [variant(draw, before, common_name) for _ in range(220)]
    hashes = subject_hashes(tmp_path, [own, *(certificate(key, subject) for subject in subjects)])
    equal = 0
    for subject, its_hash in zip(subjects, hashes[1:], strict=True):
        answer = api.issue(request(key, subject))
        if its_hash == hashes[0]:
            equal += 1
            error = answer.error
            assert (answer.status, error["code"]) == (400, SUBJECT), (subject, error)
            assert "name of the CA" in error["message"]
        else:
            assert answer.status == 200, (subject, answer.text)
    assert 50 <= equal <= 200
    api.close()
