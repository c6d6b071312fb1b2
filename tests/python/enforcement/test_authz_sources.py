"""The places of the certificate, read by `certgate authz` and by the judges of this test."""

from __future__ import annotations

import base64
import random
import re
import urllib.parse
from collections.abc import Callable, Iterator
from pathlib import Path

import http_sf
import pytest
from cryptography import x509

from kit.authz import HOST, Authz
from kit.client_certificates import Authority, der, der_of, pem, pem_of
from kit.harness import Server
from kit.hosts import Hosts

SOURCES = (
    "ssl-client-cert",
    "x-forwarded-client-cert",
    "x-forwarded-tls-client-cert",
    "x-ssl-client-der",
    "client-cert",
)

# Mutations of each source. The seed makes a failure repeatable.
CASES = 220
SEED = 9440


class Setup:
    def __init__(self, authz: Authz, hosts: Hosts, good: str, chain: list[str]) -> None:
        self.authz, self.hosts, self.good, self.chain = authz, hosts, good, chain

    def ask(self, source: str, headers: list[tuple[str, str]]) -> tuple[int, str | None]:
        host = ("X-Forwarded-Host", HOST)
        answer = self.authz.ask([("Host", HOST), host, *headers], at=SOURCES.index(source))
        assert answer.headers["cache-control"] == "no-store"
        return answer.status, answer.headers.get("client-cert")


@pytest.fixture(scope="module")
def setup(shared: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Setup]:
    directory = tmp_path_factory.mktemp("sources")
    hosts = Hosts(shared, directory / "hosts")
    # A client below an intermediate that certgate does not store.
    middle = Authority("middle", hosts.uploaded)
    leaf, _ = middle.issue(directory, "below-middle")
    _, client = hosts.issue()
    assert client.certificate
    tables = [
        f'address = "127.0.0.{number}:0"\ncertificate_from = "{source}"'
        for number, source in enumerate(SOURCES, 1)
    ]
    authz = Authz(shared, directory, *tables)
    try:
        authz.start()
        chain = [leaf.read_text(), pem(middle.certificate)]
        yield Setup(authz, hosts, client.certificate.read_text(), chain)
        authz.stop()
    finally:
        authz.kill()


def bare(text: str) -> str:
    return base64.b64encode(der_of(text)).decode()


def written(source: str, certificates: list[str]) -> list[tuple[str, str]]:
    """The headers that a proxy sends."""
    quoted = [urllib.parse.quote(text, safe="-") for text in certificates]
    if source == "ssl-client-cert":
        return [(source, "".join(quoted))]
    if source == "x-forwarded-client-cert":
        return [(source, f'Hash=ab;Cert="{quoted[0]}";Chain="{"".join(quoted)}"')]
    if source == "x-forwarded-tls-client-cert":
        return [(source, ",".join(urllib.parse.quote_plus(bare(text)) for text in certificates))]
    if source == "x-ssl-client-der":
        return [(source, bare(certificates[0]))]
    headers = [("client-cert", http_sf.ser(der_of(certificates[0])))]
    if certificates[1:]:
        chain = [(der_of(text), {}) for text in certificates[1:]]
        headers.append(("client-cert-chain", http_sf.ser(chain)))
    return headers


@pytest.mark.parametrize("source", SOURCES)
def test_each_source_is_read_and_the_others_are_ignored(setup: Setup, source: str) -> None:
    expected = (200, f":{bare(setup.good)}:")
    good = written(source, [setup.good])
    assert setup.ask(source, good) == expected
    assert setup.ask(source, [(name.upper(), value) for name, value in good]) == expected
    assert setup.ask(source, []) == (403, None)
    assert setup.ask(source, [(name, "") for name, _ in good]) == (403, None)
    others = [pair for other in SOURCES if other != source for pair in written(other, [setup.good])]
    assert setup.ask(source, others) == (403, None)
    garbage = [(name, "garbage") for name, _ in others]
    assert setup.ask(source, [*garbage, *good]) == expected
    # Repeated, also with the same value or an empty one.
    for second in (good[0][1], "", "garbage"):
        assert setup.ask(source, [*good, (good[0][0], second)]) == (403, None)
    assert setup.ask(source, [*good, (source.replace("-", "_"), "x")]) == (403, None)


@pytest.mark.parametrize("source", [source for source in SOURCES if source != "x-ssl-client-der"])
def test_intermediates_are_read(setup: Setup, source: str) -> None:
    leaf, middle = setup.chain
    assert setup.ask(source, written(source, [leaf, middle])) == (200, f":{bare(leaf)}:")
    assert setup.ask(source, written(source, [leaf])) == (403, None)
    many = [leaf, *[middle] * 9]
    assert setup.ask(source, written(source, many))[0] == 200
    assert setup.ask(source, written(source, [*many, middle])) == (403, None)


@pytest.mark.parametrize("source", SOURCES)
def test_too_long_headers_are_refused(setup: Setup, source: str) -> None:
    (name, value), *_ = written(source, [setup.good])
    long = value + " " * 10 if source == "client-cert" else value
    assert setup.ask(source, [(name, long + "A" * 70_000)]) == (403, None)


def judged_by_others(source: str, value: str) -> bytes | None:
    """The certificate in the value, as Python's decoders and OpenSSL's parser read it."""
    try:
        if source == "client-cert":
            sequence = http_sf.parse(value.encode(), tltype="item")[0]
            return sequence if isinstance(sequence, bytes) else None
        if source == "x-ssl-client-der":
            return base64.b64decode(value, validate=True)
        if source == "x-forwarded-tls-client-cert":
            first = urllib.parse.unquote(value).split(",")[0].strip()
            return base64.b64decode(first, validate=True)
        if source == "x-forwarded-client-cert":
            found = re.findall(r'(?:^|;)(?:Cert|Chain)="([^"]*)"', value, re.IGNORECASE)
            if not found:
                return None
            value = found[0]
        text = urllib.parse.unquote_to_bytes(value)
        return der(x509.load_pem_x509_certificates(text)[0])
    except Exception:  # noqa: BLE001  every judge has errors of its own
        return None


def mutated(value: str, draw: random.Random) -> str:
    """The value with one to three small changes."""
    alphabet = 'ABCXYZabc019+/=%:;,"\\ -_\t'
    for _ in range(draw.randint(1, 3)):
        at = draw.randrange(len(value) + 1)
        kind = draw.randrange(5)
        if kind == 0:
            value = value[:at] + draw.choice(alphabet) + value[at:]
        elif kind == 1:
            value = value[:at] + value[at + draw.randint(1, 4) :]
        elif kind == 2:
            value = value[:at] + draw.choice(alphabet) + value[at + 1 :]
        elif kind == 3:
            value = value[: max(1, at)]
        else:
            value = value + value[at : at + draw.randint(1, 40)]
        value = value or "x"
    return value


@pytest.mark.parametrize("source", SOURCES)
def test_no_mutation_is_admitted_that_other_decoders_read_differently(
    setup: Setup, source: str
) -> None:
    draw = random.Random(f"{SEED} {source}")
    # Ours, and one whose signature is valid as well: a mutation must not reach another certificate.
    (name, value), *_ = written(source, [setup.good])
    expected = der_of(setup.good)
    admitted = 0
    for case in range(CASES):
        # Spaces around a value are not part of it.
        text = mutated(value, draw).strip(" \t")
        status, shown = setup.ask(source, [(name, text)])
        assert status in (200, 403), (case, text)
        if status == 200:
            admitted += 1
            assert shown == f":{base64.b64encode(expected).decode()}:"
            assert judged_by_others(source, text) == expected, (case, text)
        elif judged_by_others(source, text) == expected:
            # Stricter than the other decoders; the reasons are known.
            assert is_stricter(source, text), (case, text)
    assert admitted < CASES


def is_stricter(source: str, text: str) -> bool:
    """The rules that Python's decoders do not have."""
    escapes = re.sub(r"%[0-9A-Fa-f]{2}", "", text)
    rules: dict[str, Callable[[], bool]] = {
        "ssl-client-cert": lambda: "%" in escapes or bool(text),
        "x-forwarded-client-cert": lambda: True,
        "x-forwarded-tls-client-cert": lambda: "%" in escapes or "," in text or "%2C" in text,
        "x-ssl-client-der": lambda: False,
        # Parameters of a byte sequence, and Base64 without its padding.
        "client-cert": lambda: ";" in text or not re.fullmatch(r":[A-Za-z0-9+/=]+:", text),
    }
    return rules[source]() or not canonical(text, source)


def canonical(text: str, source: str) -> bool:
    """Returns true if Base64 has its padding, and no bits that count for nothing."""
    if source not in ("x-ssl-client-der", "client-cert"):
        return True
    inner = text.strip(":")
    try:
        return base64.b64encode(base64.b64decode(inner, validate=True)).decode() == inner
    except ValueError:
        return False


def test_pem_of_a_test_is_what_proxies_send(tmp_path: Path, setup: Setup) -> None:
    # PEM with lines of another length is the same certificate.
    text = pem_of(der_of(setup.good))
    assert setup.ask("ssl-client-cert", written("ssl-client-cert", [text]))[0] == 200
