"""PKCS #12 files that openssl, Java and NSS import, and PEM that every program reads."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from kit import clients
from kit.families import version
from kit.harness import Server, certgate, needs, openssl
from kit.judges import run

# Java opens files only with a password in ASCII.
PASSWORD = "Open, sesame! 1"

# Algorithms and forms. The modern form takes seconds in a build without optimisation.
FILES = [
    ("p256", "--p12"),
    ("p256", "--p12-legacy"),
    ("p384", "--p12-legacy"),
    ("rsa2048", "--p12"),
    ("rsa2048", "--p12-legacy"),
    ("ed25519", "--p12-legacy"),
]


def issue(server: Server, directory: Path, name: str, *arguments: str) -> tuple[Path, str]:
    """Runs `cert issue --cn NAME`. Returns the beginning of the files, and standard error."""
    out = directory / name
    done = certgate(
        *("cert", "issue", "--cn", name, "--data-dir", server.directory, "--out", out),
        *arguments,
        CERTGATE_P12_PASSWORD=PASSWORD,
    )
    assert done.returncode == 0, done.stderr
    return out, done.stderr


def fingerprint(file: Path) -> str:
    text = openssl("x509", "-in", file, "-noout", "-fingerprint", "-sha256")
    return text.split("=")[1].strip()


def nss_imports(file: Path, database: Path) -> bool:
    """Imports a file into a new NSS database. Returns true if it has the key then."""
    database.mkdir()
    password = database / "password"
    password.write_text(PASSWORD)
    run(needs("certutil"), "-N", "-d", database, "--empty-password")
    imported = subprocess.run(
        [needs("pk12util"), "-i", file, "-d", database, "-w", password, "-K", ""],
        capture_output=True,
        timeout=60,
    )
    listed = subprocess.run(
        ["certutil", "-K", "-d", database], capture_output=True, text=True, timeout=60
    )
    return imported.returncode == 0 and "< 0>" in listed.stdout


@pytest.mark.parametrize("algorithm, form", FILES)
def test_each_program_imports_the_file(
    shared: Server, tmp_path: Path, algorithm: str, form: str
) -> None:
    name = f"{algorithm}{form}"
    out, said = issue(shared, tmp_path, name, "--key-algorithm", algorithm, form)
    assert ("browsers and NSS do not accept Ed25519" in said) == (algorithm == "ed25519")
    file, certificate = Path(f"{out}.p12"), Path(f"{out}.crt")
    legacy = ["-legacy"] if form == "--p12-legacy" else []
    shown = openssl("pkcs12", "-in", file, "-passin", f"pass:{PASSWORD}", "-nodes", *legacy)
    assert shown.count("BEGIN CERTIFICATE") == 2 and "BEGIN PRIVATE KEY" in shown
    listed = run(
        *(needs("keytool"), "-list", "-v", "-keystore", file, "-storetype", "PKCS12"),
        *("-storepass:env", "P12_PASSWORD", "-J-XX:TieredStopAtLevel=1"),
        P12_PASSWORD=PASSWORD,
    )
    assert "PrivateKeyEntry" in listed and "Certificate chain length: 2" in listed
    assert fingerprint(certificate) in listed
    assert nss_imports(file, tmp_path / "nss") == (algorithm != "ed25519")
    for family in ("OpenSSL", "Java", "NSS"):
        limit = "it does not accept Ed25519" if family == "NSS" else ""
        clients.works(family, version(family), "PKCS #12 by `--p12` and `--p12-legacy`", limit)


def test_the_legacy_form_is_the_old_one(shared: Server, tmp_path: Path) -> None:
    """Only the legacy form needs openssl's legacy algorithms."""
    read = ["-passin", f"pass:{PASSWORD}", "-noout", "-info"]
    for form, legacy, words in [
        ("--p12", [], ["AES-256-CBC", "hmacWithSHA256", "MAC: sha256"]),
        ("--p12-legacy", ["-legacy"], ["pbeWithSHA1And3-KeyTripleDES-CBC", "MAC: sha1"]),
    ]:
        out, _ = issue(shared, tmp_path, f"form{form}", form)
        command = ["openssl", "pkcs12", "-in", f"{out}.p12", *read, *legacy]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        assert all(word in done.stderr for word in words), done.stderr


def test_the_help_says_who_needs_the_legacy_form() -> None:
    said = " ".join(certgate("cert", "issue", "--help").stdout.split())
    for word in ["Android 13", "iOS", "macOS", "Windows Server 2016", "appliances"]:
        assert word in said, word
    assert "Browsers and NSS do not accept ed25519" in said


def test_every_printed_pem_ends_with_a_newline(shared: Server, tmp_path: Path) -> None:
    out, _ = issue(shared, tmp_path, "printed")
    request = tmp_path / "request.pem"
    request.write_text(openssl("req", "-new", "-key", f"{out}.key", "-subj", "/CN=printed"))
    connection = ["--data-dir", shared.directory]
    issued = certgate("cert", "issue", "--csr", request, *connection)
    listed = certgate("cert", "list", "--output", "json", *connection).stdout
    certificate = listed.split('"id":"')[1].split('"')[0]
    printed = [
        issued.stdout,
        certgate("cert", "export", certificate, *connection).stdout,
        certgate("cert", "export", certificate, "--chain", *connection).stdout,
        certgate("ca", "show", *connection).stdout,
        Path(f"{out}.crt").read_text(),
        Path(f"{out}.key").read_text(),
    ]
    for text in printed:
        assert "-----BEGIN " in text and text.endswith("-----\n"), text
        assert "----------" not in text
