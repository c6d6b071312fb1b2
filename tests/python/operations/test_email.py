"""Notifications by e-mail."""

from __future__ import annotations

import json
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from kit.enrolment import TlsFiles
from kit.harness import KEYS, MakeServer, Server, certgate, eventually, make_csr, openssl
from kit.mail_server import MailServer
from kit.receiver import Webhook

FROM, TO = "Certgate <pki@example.com>", "ops@example.com, sec@example.com"
ADDRESSES = ("--email-from", FROM, "--email-to", TO)


@pytest.fixture
def mail() -> Iterator[MailServer]:
    made = MailServer()
    yield made
    made.close()


def password(place: Path) -> tuple[str, ...]:
    file = place / "smtp.password"
    file.touch(mode=0o600)
    file.write_text("s3cret-password\n")
    return ("--smtp-password-file", str(file))


def csr_of(name: str) -> str:
    """A request for any name, which openssl's command line cannot write."""
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    key = ec.generate_private_key(ec.SECP256R1())
    request = x509.CertificateSigningRequestBuilder().subject_name(subject)
    return request.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM).decode()


def state(server: Server) -> list[dict[str, Any]]:
    done = certgate("notifications", "--api", server.url, "-o", "json", CERTGATE_TOKEN=server.token)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_first_event_is_sent_at_once_and_the_next_ones_together(
    make_server: MakeServer, mail: MailServer, tmp_path: Path
) -> None:
    url = f"smtp://certgate@127.0.0.1:{mail.port}"
    server = make_server("--smtp-url", url, *password(tmp_path), *ADDRESSES)
    api = server.api()
    # RFC 5280 names may have almost anything in them; JSON and mail must not.
    name = "d\u00e9vice \u202e\u200b <b>.Bcc: x@example.com"
    hostile = api.issue(csr_of(name)).result["id"]
    api.revoke(hostile)
    (first,) = mail.wait(1)
    message = first.message
    assert message["subject"] == "certgate: certificate revoked"
    assert (message["from"], message["to"]) == (FROM, TO)
    assert message["bcc"] is None and message.get_content_type() == "text/plain"
    assert (first.sender, first.receivers) == ("pki@example.com", TO.split(", "))
    assert first.login == ("certgate", "s3cret-password")
    text = first.text
    assert hostile in text and "reason: certificateHold" in text and "d\u00e9vice" in text
    assert "\u202e" not in text and "\\u{202e}" in text
    # 60 more events are one message a minute later.
    csr = make_csr(tmp_path)
    revoked = [api.issue(csr).result["id"] for _ in range(60)]
    for one in revoked:
        api.revoke(one)
    _, second = mail.wait(2, patience=120)
    assert second.message["subject"] == "certgate: 60 events"
    assert [one for one in revoked if one in second.text] == revoked[:50]
    assert "and 10 other events" in second.text
    assert second.message["message-id"] != first.message["message-id"]
    assert (state(server)[0]["delivered"], state(server)[0]["backlog"]) == (61, 0)
    assert "s3cret" not in server.log


def test_a_refused_message_is_sent_again(
    make_server: MakeServer, mail: MailServer, csr: str
) -> None:
    answers = iter(["451 Try later"])
    mail.answer = lambda _: next(answers, "250 Accepted")
    server = make_server("--smtp-url", f"smtp://127.0.0.1:{mail.port}", *ADDRESSES)
    api = server.api()
    made = api.issue(csr).result["id"]
    api.revoke(made)
    eventually("a failure", lambda: state(server)[0]["failing_since"])
    assert "451" in state(server)[0]["error"]
    (sent,) = mail.wait(1, patience=120)
    assert made in sent.text and sent.login is None


def test_tls_is_verified(make_server: MakeServer, tmp_path: Path, csr: str) -> None:
    tls = TlsFiles(tmp_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tls.certificate, tls.key)
    mail = MailServer(context)
    url = f"smtps://127.0.0.1:{mail.port}"
    flags = ("--smtp-url", url, *ADDRESSES)
    server = make_server(*flags, "--smtp-ca-file", str(tls.ca))
    done = certgate("notifications", "test", "--api", server.url, CERTGATE_TOKEN=server.token)
    assert done.returncode == 0, done.stdout
    (sent,) = mail.mails
    assert sent.message["subject"] == "certgate: test" and sent.is_encrypted
    server.stop()
    server.flags = list(flags)
    server.start()
    done = certgate("notifications", "test", "--api", server.url, CERTGATE_TOKEN=server.token)
    assert done.returncode == 1 and len(mail.mails) == 1, done.stdout
    mail.close()


def own_address() -> str:
    """An address of this machine that is not a loopback address."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            # Sends nothing.
            probe.connect(("192.0.2.1", 9))
        except OSError:
            pytest.skip("this machine has no route, so STARTTLS is NOT TESTED")
        return probe.getsockname()[0]


def test_mail_leaves_this_machine_only_after_starttls(
    make_server: MakeServer, tmp_path: Path
) -> None:
    address = own_address()
    tls = TlsFiles(tmp_path)
    certificate, key = tmp_path / "mail.crt", tmp_path / "mail.key"
    new = ["req", "-x509", *KEYS["P-256"], "-nodes", "-keyout", key, "-subj", "/CN=mail"]
    signer = ["-CA", tls.ca, "-CAkey", tls.ca_key, "-addext", "basicConstraints=critical,CA:FALSE"]
    names = ["-addext", f"subjectAltName=IP:{address}"]
    certificate.write_text(openssl(*new, *signer, *names))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    with_tls = MailServer(context, starttls=True, address=address)
    without = MailServer(address=address)
    trusted = ("--smtp-ca-file", str(tls.ca), *password(tmp_path), *ADDRESSES)
    for mail in (with_tls, without):
        url = f"smtp://certgate@{address}:{mail.port}"
        server = make_server("--smtp-url", url, *trusted, name=f"data-{mail.port}")
        done = certgate("notifications", "test", "--api", server.url, CERTGATE_TOKEN=server.token)
        assert (done.returncode == 0) == (mail is with_tls), done.stdout
        assert "s3cret" not in server.log + done.stdout
        mail.close()
    (sent,) = with_tls.mails
    assert sent.is_encrypted and sent.login == ("certgate", "s3cret-password")
    assert without.mails == [] and without.logins == []


def test_a_mail_server_that_hangs_delays_nothing(
    make_server: MakeServer, tmp_path: Path, csr: str
) -> None:
    mail = MailServer()
    mail.greeting = b""
    webhook = Webhook(tmp_path)
    flags = ("--smtp-url", f"smtp://127.0.0.1:{mail.port}", *ADDRESSES)
    server = make_server(*flags, *webhook.flags)
    api = server.api()
    made = api.issue(csr).result["id"]
    api.revoke(made)
    # The other destination does not wait.
    assert [one.certificate for one in webhook.receiver.wait(2)] == [made, made]
    server.stop()
    mail.close()
    webhook.receiver.close()


def test_wrong_settings_are_refused_at_the_start(make_server: MakeServer, tmp_path: Path) -> None:
    server = make_server(start=False)
    smtp, secret = "--smtp-url", password(tmp_path)
    for flags, words in [
        ((smtp, "smtp://u:s3cret@mail.example.com", *ADDRESSES), "smtp_password_file"),
        ((smtp, "mail.example.com", *ADDRESSES), "must be an address"),
        ((smtp, "smtp://u@mail.example.com", *ADDRESSES), "needs smtp_password_file too"),
        ((smtp, "smtp://mail.example.com", *secret, *ADDRESSES), "needs a user in smtp_url"),
        ((smtp, "smtp://mail.example.com"), "needs email_from and email_to too"),
        (ADDRESSES, "needs smtp_url too"),
        ((smtp, "smtp://mail.example.com", "--email-from", "a", "--email-to", TO), "email_from"),
        (
            (smtp, "smtp://mail.example.com", "--email-from", FROM, "--email-to", "a@b.c,\nx"),
            "email_to",
        ),
    ]:
        message = server.refuses_to_start(*flags, status=2)
        assert words in message and "s3cret" not in message, message
