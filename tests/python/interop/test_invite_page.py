"""The page behind the link of an invite: its requests, and the files that it offers."""

from __future__ import annotations

import http.client
import json
import plistlib
import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from kit.enrolment import ZONE, TlsFiles
from kit.harness import KEYS, MakeServer, Server, needs, openssl
from kit.judges import run

HOSTILE = '</string><key>x</key>&amp;"<img src=x>'

# The keys of Apple's schema that each payload may have, with their types, and those that it must
# have. From apple/device-management: mdm/profiles/TopLevel.yaml, CommonPayloadKeys.yaml and the file
# of each payload.
COMMON = {
    "PayloadIdentifier": str,
    "PayloadUUID": str,
    "PayloadType": str,
    "PayloadVersion": int,
    "PayloadDescription": str,
    "PayloadDisplayName": str,
    "PayloadOrganization": str,
}
REQUIRED = {"PayloadIdentifier", "PayloadUUID", "PayloadType", "PayloadVersion", "PayloadContent"}
SCHEMA: dict[str, dict[str, type]] = {
    "Configuration": {
        **COMMON,
        "PayloadContent": list,
        "PayloadScope": str,
        "HasRemovalPasscode": bool,
        "TargetDeviceType": int,
    },
    "com.apple.security.pkcs12": {
        **COMMON,
        "PayloadCertificateFileName": str,
        "PayloadContent": bytes,
        "Password": str,
        "AllowAllAppsAccess": bool,
        "KeyIsExtractable": bool,
    },
    "com.apple.security.pkcs1": {
        **COMMON,
        "PayloadCertificateFileName": str,
        "PayloadContent": bytes,
    },
}


@dataclass
class Reply:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:
        assert self.status == 200, self.body
        return json.loads(self.body)

    @property
    def text(self) -> str:
        return self.body.decode()


class Page:
    """A server with pages of invites, and a browser without scripts."""

    def __init__(self, make_server: MakeServer, place: Path, kind: str = "P-256") -> None:
        self.place = place
        self.tls = TlsFiles(place)
        if kind != "P-256":
            self.tls.renew(kind)
        files = ["--invite-tls-certificate", self.tls.certificate, "--invite-tls-key", self.tls.key]
        listen = ["--invite-listen", "127.0.0.1:0", "--invite-url", "https://invite.example"]
        self.server: Server = make_server(*self.tls.flags, *listen, *map(str, files))
        self.api = self.server.api()

    def invite(self, **more: Any) -> tuple[str, str]:
        """Creates an invite. Returns its ID and its secret."""
        path = f"/certgate/v1/zones/{self.server.zone_id}/invites"
        made = self.api.call("POST", path, {"name": "alice", **more}).result
        assert made["link"] == f"https://invite.example/i/{made['id']}#{made['secret']}"
        return made["id"], made["secret"]

    def state(self, invite: str) -> dict[str, Any]:
        path = f"/certgate/v1/zones/{self.server.zone_id}/invites/{invite}"
        return self.api.call("GET", path).result

    def send(self, method: str, path: str, body: Any = None, **headers: str) -> Reply:
        context = ssl.create_default_context(cafile=str(self.tls.ca))
        port = self.server.invite_port
        connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=60, context=context)
        text = None if body is None else json.dumps(body)
        connection.request(method, path, text, headers)
        answer = connection.getresponse()
        reply = Reply(answer.status, answer.headers, answer.read())
        connection.close()
        return reply

    def file(self, form: str, **more: Any) -> tuple[bytes, dict[str, Any]]:
        """Uses a new invite for a file. Returns the file and the answer before it."""
        id, secret = self.invite(**more)
        made = self.send("POST", f"/i/{id}/file", {"secret": secret, "form": form}).json
        found = self.send("GET", made["path"].removeprefix(".."))
        assert found.status == 200, found.body
        return found.body, made


@pytest.fixture
def page(make_server: MakeServer, tmp_path: Path) -> Page:
    return Page(make_server, tmp_path)


def opens(folder: Path, file: bytes, password: str, legacy: bool) -> x509.Certificate:
    """Opens a PKCS #12 file with openssl, Java, GnuTLS and NSS. Returns the certificate."""
    folder.mkdir()
    path, secret = folder / "file.p12", folder / "password"
    path.write_bytes(file)
    secret.write_text(password)
    more = ["-legacy"] if legacy else []
    read = ["pkcs12", "-in", path, "-passin", f"file:{secret}", "-nodes", *more]
    shown = openssl(*read)
    assert shown.count("BEGIN CERTIFICATE") == 2 and "BEGIN PRIVATE KEY" in shown
    listed = run(
        *(needs("keytool"), "-list", "-v", "-keystore", path, "-storetype", "PKCS12"),
        *("-storepass:file", secret, "-J-XX:TieredStopAtLevel=1"),
    )
    assert "PrivateKeyEntry" in listed and "Certificate chain length: 2" in listed
    told = ["--p12-info", "--inder", "--infile", path, "--password", password]
    assert "PRIVATE KEY" in run(needs("certtool"), *told)
    run(needs("certutil"), "-N", "-d", folder, "--empty-password")
    run(needs("pk12util"), "-i", path, "-d", folder, "-w", secret, "-K", "")
    assert "< 0>" in run("certutil", "-K", "-d", folder)
    own = shown[shown.index("-----BEGIN CERTIFICATE") :]
    return x509.load_pem_x509_certificate(own.encode())


@pytest.mark.parametrize("form", ["p12", "p12_legacy"])
def test_programs_open_the_file_of_an_invite(page: Page, tmp_path: Path, form: str) -> None:
    file, made = page.file(form)
    assert made["path"].endswith("/alice.p12") and made["seconds"] == 600
    certificate = opens(tmp_path / "nss", file, made["password"], form == "p12_legacy")
    assert certificate.subject.rfc4514_string() == "CN=alice"
    info = ["openssl", "pkcs12", "-noout", "-info", "-passin", "pass:" + made["password"]]
    legacy = ["-legacy"] if form == "p12_legacy" else []
    done = subprocess.run([*info, *legacy], input=file, capture_output=True, timeout=60)
    words = {
        "p12": [b"AES-256-CBC", b"hmacWithSHA256", b"MAC: sha256"],
        "p12_legacy": [b"pbeWithSHA1And3-KeyTripleDES-CBC", b"MAC: sha1"],
    }[form]
    assert done.returncode == 0 and all(word in done.stderr for word in words), done.stderr


def of_schema(payload: dict[str, Any]) -> None:
    """Checks a payload against Apple's schema."""
    known = SCHEMA[payload["PayloadType"]]
    assert set(payload) >= REQUIRED
    for key, value in payload.items():
        assert key in known and type(value) is known[key], (key, value)
    assert payload["PayloadVersion"] == 1


@pytest.mark.parametrize("kind", ["P-256", "P-384", "RSA-2048"])
def test_profiles_are_signed_and_follow_apples_schema(
    make_server: MakeServer, tmp_path: Path, kind: str
) -> None:
    page = Page(make_server, tmp_path, kind)
    file, made = page.file("mobileconfig", device="iphone", name=HOSTILE)
    message = tmp_path / "profile"
    message.write_bytes(file)
    verify = ["cms", "-verify", "-inform", "DER", "-in", message, "-purpose", "any", "-binary"]
    signed = openssl(*verify, "-CAfile", page.tls.ca)
    profile = plistlib.loads(signed.encode())
    of_schema(profile)
    payloads = profile["PayloadContent"]
    for payload in payloads:
        of_schema(payload)
    identity, *authorities = payloads
    assert profile["PayloadDisplayName"] == f"{HOSTILE} for {ZONE}"
    assert identity["PayloadType"] == "com.apple.security.pkcs12"
    assert "Password" not in identity, "the device asks for it"
    assert [one["PayloadType"] for one in authorities] == ["com.apple.security.pkcs1"]
    for name in ("PayloadIdentifier", "PayloadUUID"):
        assert len({one[name] for one in [profile, *payloads]}) == len(payloads) + 1
    certificate = opens(tmp_path / "nss", identity["PayloadContent"], made["password"], True)
    (name,) = certificate.subject
    assert name.value == HOSTILE
    ca = x509.load_der_x509_certificate(authorities[0]["PayloadContent"])
    certificate.verify_directly_issued_by(ca)


def test_an_ed25519_key_of_the_listener_is_refused(make_server: MakeServer, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="cannot sign profiles"):
        Page(make_server, tmp_path, "Ed25519")


def test_only_a_post_with_the_secret_uses_an_invite(page: Page) -> None:
    id, secret = page.invite()
    for agent in ("Slackbot-LinkExpanding 1.0", "WhatsApp/2.23", "facebookexternalhit/1.1"):
        for method in ("GET", "HEAD"):
            for path in (f"/i/{id}", f"/i/{id}?secret={secret}"):
                seen = page.send(method, path, **{"User-Agent": agent})
                assert seen.status == 200
                assert "alice" not in seen.text and secret not in seen.text
        for path in ("open", "certificate", "file"):
            assert page.send("GET", f"/i/{id}/{path}").status == 405
    assert page.state(id)["state"] == "open"
    told = page.send("POST", f"/i/{id}/open", {"secret": secret}).json
    assert (told["name"], told["zone"], told["uses_left"]) == ("alice", ZONE, 1)
    assert told["invited_by"] and told["enrol"]["works"].endswith(f"/works/{ZONE}")
    assert page.state(id)["state"] == "open"
    csr = openssl(
        "req", "-new", *KEYS["P-256"], "-nodes", "-keyout", page.place / "k", "-subj", "/CN=alice"
    )
    body = {"secret": secret, "csr": csr}
    issued = page.send("POST", f"/i/{id}/certificate", body).json
    # A repeated request gets the same answer, also after another CA is the active one.
    ours = f"/certgate/v1/accounts/{page.server.made['account_id']}/managed_authorities"
    assert page.api.call("POST", f"{ours}/rotate").status == 200
    assert page.send("POST", f"/i/{id}/certificate", body).json == issued
    assert page.state(id)["state"] == "used"
    assert page.send("POST", f"/i/{id}/open", {"secret": secret}).json["state"] == "used"
    again = page.send("POST", f"/i/{id}/file", {"secret": secret, "form": "p12"})
    assert again.status == 403 and "used before" in again.text
    assert len(page.state(id)["client_certificate_ids"]) == 1
    # `stop` of the fixture looks for tokens in the log. This is the secret of an invite.
    assert secret not in page.server.log


def test_every_answer_keeps_the_invite_in_the_page(page: Page) -> None:
    id, secret = page.invite()
    answers = [
        page.send("GET", f"/i/{id}"),
        page.send("POST", f"/i/{id}/open", {"secret": secret}),
        page.send("POST", f"/i/{id}/open", {"secret": "wrong"}),
        page.send("POST", f"/i/{id}/open", "no object"),
        page.send("GET", "/files/none/x.p12"),
        page.send("GET", "/"),
    ]
    assert [answer.status for answer in answers] == [200, 200, 403, 400, 404, 404]
    for answer in answers:
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert "www-authenticate" not in answer.headers, "no dialog of the browser"


def test_a_file_has_an_end(page: Page) -> None:
    id, secret = page.invite()
    made = page.send("POST", f"/i/{id}/file", {"secret": secret, "form": "p12"}).json
    path = made["path"].removeprefix("..")
    assert [page.send("HEAD", path).status for _ in range(3)] == [405] * 3, "no download is used"
    files = [page.send("GET", path) for _ in range(4)]
    assert [file.status for file in files] == [200, 200, 200, 404]
    assert files[0].headers["content-type"] == "application/x-pkcs12"
    assert files[0].headers["content-disposition"] == 'attachment; filename="alice.p12"'
    assert files[0].body == files[2].body
    assert "ask for a new invite" in files[3].text


def test_a_key_fits_the_rules_of_the_zone(page: Page, tmp_path: Path) -> None:
    rules = f"/certgate/v1/zones/{page.server.zone_id}/issuance_rules"
    page.api.call("PUT", rules, {"key_types": ["RSA-3072", "Ed25519"]})
    id, secret = page.invite()
    told = page.send("POST", f"/i/{id}/open", {"secret": secret}).json
    assert told["key_type"] == "RSA-3072"
    file, made = page.file("p12")
    certificate = opens(tmp_path / "nss", file, made["password"], False)
    assert certificate.public_key().key_size == 3072  # type: ignore[union-attr]


def test_the_page_of_enrolment_shows_the_certificate(page: Page, tmp_path: Path) -> None:
    key = tmp_path / "own.key"
    subject = "/CN=<b>&\u202eowned"
    new = ["req", "-new", *KEYS["P-256"], "-nodes", "-keyout", key, "-subj", subject, "-utf8"]
    issued = page.api.issue(openssl(*new)).result
    certificate = tmp_path / "own.crt"
    certificate.write_text(issued["certificate"])

    def works(*identity: str | Path, zone: str = ZONE) -> tuple[int, str]:
        url = f"https://127.0.0.1:{page.server.enrol_port}/works/{zone}"
        shown = run("curl", "-sS", "--cacert", page.tls.ca, "-w", "%{http_code}", *identity, url)
        return int(shown[-3:]), shown[:-3]

    own = ["--cert", certificate, "--key", key]
    status, text = works(*own)
    assert status == 200 and "<h1>It works</h1>" in text
    assert "<bdi>&lt;b&gt;&amp;\ufffdowned</bdi>" in text
    status, text = works()
    assert status == 403 and "sent no certificate" in text
    status, text = works("--cert", page.tls.certificate, "--key", page.tls.key)
    assert status == 403 and "did not issue" in text
    assert works(*own, zone="other.example")[0] == 404
    page.api.revoke(issued["id"])
    status, text = works(*own)
    assert status == 403 and "is revoked" in text
