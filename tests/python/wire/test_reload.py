"""New settings and a new TLS certificate for a running server, by SIGHUP or by their files."""

from __future__ import annotations

import http.client
import random
import re
import shutil
import signal
import ssl
from dataclasses import dataclass
from pathlib import Path

import pytest

from kit.harness import KEYS, PATIENCE_SECONDS, MakeServer, Server, eventually, openssl

SEED = 20261129

# Damaged pairs of certificate and key. Each takes a reload, a handshake and two scrapes.
DAMAGED_PAIRS = 200


def make_pair(place: Path, name: str, *more: str) -> tuple[bytes, bytes]:
    """A certificate and its key, PEM."""
    key = place / f"{name}.key"
    names = ["-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1"]
    certificate = openssl("req", "-x509", *KEYS["P-256"], "-nodes", "-keyout", key, *names, *more)
    return certificate.encode(), key.read_bytes()


class Secure:
    """A server with TLS, and the files that it reads."""

    def __init__(self, place: Path, make_server: MakeServer) -> None:
        self.certificate, self.key = place / "tls.crt", place / "tls.key"
        self.write(*make_pair(place, "first"))
        flags = ["--tls-certificate", str(self.certificate), "--tls-key", str(self.key)]
        self.server = make_server(*flags)

    def write(self, certificate: bytes, key: bytes) -> None:
        self.certificate.write_bytes(certificate)
        self.key.write_bytes(key)
        self.key.chmod(0o600)

    def hang_up(self) -> Seen:
        """Sends SIGHUP and returns the state after the reload."""
        before = self.see()
        assert self.server.process
        self.server.process.send_signal(signal.SIGHUP)
        return eventually(
            "it is reloaded", lambda: (now := self.see()).reloads > before.reloads and now
        )

    def see(self) -> Seen:
        """Opens a new connection."""
        presented, text = self.scrape()
        count = dict(re.findall(r'^certgate_reloads_total\{result="(\w+)"\} (\d+)$', text, re.M))
        return Seen(presented, int(count["changed"]), int(count["rejected"]))

    def scrape(self) -> tuple[bytes, str]:
        """Returns the certificate of a new connection, and the metrics."""
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        connection = http.client.HTTPSConnection(
            "127.0.0.1", self.server.port, timeout=PATIENCE_SECONDS, context=context
        )
        try:
            connection.request("GET", "/metrics")
            presented = connection.sock.getpeercert(binary_form=True)
            return presented, connection.getresponse().read().decode()
        finally:
            connection.close()

    def metrics(self) -> str:
        return self.scrape()[1]


@dataclass
class Seen:
    """The certificate of a connection, and the reloads so far."""

    presented: bytes
    changed: int
    rejected: int

    @property
    def reloads(self) -> int:
        return self.changed + self.rejected


def der(pem: bytes) -> bytes:
    return ssl.PEM_cert_to_DER_cert(pem.decode())


@pytest.fixture
def secure(tmp_path: Path, make_server: MakeServer) -> Secure:
    return Secure(tmp_path, make_server)


def test_a_new_certificate_is_presented_after_sighup_and_after_a_change_of_the_files(
    secure: Secure, tmp_path: Path
) -> None:
    for name in ("second", "third"):
        pair = make_pair(tmp_path, name)
        secure.write(*pair)
        if name == "second":
            assert secure.hang_up().presented == der(pair[0])
        else:
            eventually("the files are noticed", lambda: secure.see().presented == der(pair[0]))
    assert "ERROR" not in secure.server.log
    # Kubernetes exchanges a link to a directory with all files.
    pair = make_pair(tmp_path, "fourth")
    for version, certificate, key in (("1", *make_pair(tmp_path, "x")), ("2", *pair)):
        (tmp_path / version).mkdir()
        for file, content in (("tls.crt", certificate), ("tls.key", key)):
            (tmp_path / version / file).write_bytes(content)
            (tmp_path / version / file).chmod(0o600)
    data = tmp_path / "..data"
    data.symlink_to("1")
    for file in (secure.certificate, secure.key):
        file.unlink()
        file.symlink_to(Path("..data") / file.name)
    secure.hang_up()
    (tmp_path / "..new").symlink_to("2")
    (tmp_path / "..new").rename(data)
    eventually("the exchange is noticed", lambda: secure.see().presented == der(pair[0]))


def damaged(dice: random.Random, pair: tuple[bytes, bytes], other: tuple[bytes, bytes]) -> tuple:
    """A pair with one fault, or two."""
    certificate, key = pair
    for _ in range(dice.choice([1, 1, 2])):
        which = dice.randrange(2)
        text = bytearray((certificate, key)[which])
        match dice.randrange(6):
            case 0:
                del text[dice.randrange(len(text) + 1) :]
            # A bit of a certificate may change its name, which OpenSSL reads and a server does not.
            case 1 if text and which == 1:
                text[dice.randrange(len(text))] ^= 1 << dice.randrange(8)
            case 2:
                text[:] = dice.randbytes(dice.randrange(100))
            case 3:
                text[:] = other[which]
            case 4:
                text[:] = (key, certificate)[which]
            case _:
                at = dice.randrange(len(text) + 1)
                text[at:at] = dice.randbytes(3)
        certificate, key = (bytes(text), key) if which == 0 else (certificate, bytes(text))
    return certificate, key


def test_a_damaged_pair_is_rejected_with_its_reason_and_the_old_one_stays(
    secure: Secure, tmp_path: Path
) -> None:
    """OpenSSL judges each pair: what it cannot load, certgate does not present."""
    dice = random.Random(SEED)
    good, other = make_pair(tmp_path, "second"), make_pair(tmp_path, "other")
    rejections = 0
    before = secure.see()
    for turn in range(DAMAGED_PAIRS):
        pair = damaged(dice, good, other)
        secure.write(*pair)
        now = secure.hang_up()
        is_rejected = now.presented == before.presented and now.rejected > before.rejected
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(secure.certificate, secure.key)
        except (ssl.SSLError, ValueError):
            assert is_rejected, (turn, pair)
        rejections += is_rejected
        before = now
    assert rejections > DAMAGED_PAIRS / 2
    log = secure.server.log
    assert "the earlier ones stay in effect" in log and "cannot read the TLS" in log
    assert "PRIVATE KEY" not in log

    secure.write(*good)
    secure.key.chmod(0o644)
    assert secure.hang_up().presented == before.presented

    # The log has few lines of one kind in a second, and the rejections before may have been many.
    def is_reason_logged() -> bool:
        secure.hang_up()
        return f"chmod 600 {secure.key}" in secure.server.log

    eventually("the reason is logged", is_reason_logged)
    secure.key.chmod(0o600)
    assert secure.hang_up().presented == der(good[0])


def test_limits_and_the_log_change_while_the_server_runs(
    make_server: MakeServer, tmp_path: Path, csr: str
) -> None:
    config = tmp_path / "certgate.toml"
    config.write_text("")
    server = make_server("--config", str(config))
    api = server.api()
    issued = api.issue(csr, 300).result["id"]

    config.write_text('validity_days_max = 30\nlog = "debug"\nconnections_max = 99\n')
    eventually("the file is noticed", lambda: api.issue(csr, 300).status == 400)
    assert api.issue(csr, 30).status == 200
    eventually("its lines are there", lambda: "DEBUG" in server.log)
    assert "validity_days_max" in server.log
    warning = next(line for line in server.log.splitlines() if "needs a restart" in line)
    assert "connections_max" in warning and "validity_days_max" not in warning

    config.write_text("validity_days_max = 20\nvalidity_days_max = 20\n")
    hang_up(server, "the earlier ones stay in effect")
    assert f"{config}, line 2" in server.log
    assert api.issue(csr, 30).status == 200

    shutil.copy("/dev/null", config)
    eventually("the defaults are back", lambda: api.issue(csr, 300).status == 200)
    assert api.get(issued).status == 200
    api.close()


def hang_up(server: Server, line: str) -> None:
    """Sends SIGHUP and waits for a new line in the log."""
    before = server.log.count(line)
    assert server.process
    server.process.send_signal(signal.SIGHUP)
    eventually(line, lambda: server.log.count(line) > before)


def test_a_certificate_that_ends_soon_is_announced(secure: Secure, tmp_path: Path) -> None:
    def expires() -> int:
        (metric,) = re.findall(
            r"^certgate_tls_certificate_expires_timestamp_seconds (\d+)$", secure.metrics(), re.M
        )
        return int(metric)

    def end(certificate: bytes) -> int:
        date = openssl("x509", "-noout", "-enddate", stdin=certificate).strip()
        return int(ssl.cert_time_to_seconds(date.removeprefix("notAfter=")))

    assert expires() == end(secure.certificate.read_bytes())
    line = "a TLS certificate ends soon or has ended"
    assert line not in secure.server.log
    # Six days are fewer than the seven of the limit. Another certificate of the chain ends later.
    soon = make_pair(tmp_path, "soon", "-days", "6")
    secure.write(soon[0] + make_pair(tmp_path, "later")[0], soon[1])
    eventually("it is announced", lambda: line in secure.server.log)
    assert expires() == end(soon[0]) and secure.server.log.count(line) == 1
