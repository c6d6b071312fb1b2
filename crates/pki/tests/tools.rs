//! Requests made by the programs themselves: OpenSSL, GnuTLS, NSS and Java. openssl is the judge.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::path::Path;
use std::process::Command;

use certgate_pki::{CsrError, read_csr};
use tempfile::TempDir;

mod outside;

use outside::run;

/// Runs a program that must succeed. False: the machine has none.
fn made(folder: &TempDir, line: &[&str]) -> bool {
    let Some(output) = run(folder, line) else {
        return false;
    };
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{line:?}: {said}");
    true
}

fn openssl_accepts(path: &Path) -> bool {
    let output = Command::new("openssl")
        .args(["req", "-verify", "-noout", "-in"])
        .arg(path)
        .output();
    let output = output.expect("the openssl program is installed");
    output.status.success() && String::from_utf8_lossy(&output.stderr).contains("OK")
}

/// Checks the request in a file, which certgate and openssl accept.
fn accepted(folder: &TempDir, name: &str, what: &str) {
    let path = folder.path().join(name);
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(openssl_accepts(&path), "{what}");
    let read = read_csr(&text).unwrap_or_else(|error| panic!("{what}: {error}\n{text}"));
    assert!(!read.subject().common_name.is_empty(), "{what}");
}

fn rejected(folder: &TempDir, name: &str, what: &str) -> CsrError {
    let text = std::fs::read_to_string(folder.path().join(name)).unwrap();
    read_csr(&text).expect_err(what)
}

#[test]
fn openssl_makes_acceptable_requests() {
    let folder = tempfile::tempdir().unwrap();
    let new = [
        "openssl",
        "req",
        "-new",
        "-subj",
        "/C=DE/O=Example/CN=openssl",
        "-out",
        "csr",
    ];
    let rsa = ["-newkey", "rsa:2048", "-nodes", "-keyout", "rsa.key"];
    assert!(made(&folder, &[&new[..], &rsa].concat()));
    for options in [
        &["-text"][..],
        &["-newhdr"],
        &["-sha512"],
        &["-sigopt", "rsa_padding_mode:pss"],
        &[
            "-sigopt",
            "rsa_padding_mode:pss",
            "-sigopt",
            "rsa_pss_saltlen:-1",
        ],
        &[
            "-sigopt",
            "rsa_padding_mode:pss",
            "-sigopt",
            "rsa_pss_saltlen:0",
            "-sha384",
        ],
        &["-addext", "1.2.3.4.5.6.7.8.1=ASN1:UTF8String:{}"],
        &["-addext", "1.3.6.1.4.1.99999.1=DER:05:04:03"],
        &["-addext", "subjectAltName=DNS:a.example,IP:10.0.0.1"],
    ] {
        assert!(made(
            &folder,
            &[&new[..], &["-key", "rsa.key"], options].concat()
        ));
        accepted(&folder, "csr", &format!("{options:?}"));
    }
    let pss = [
        "openssl",
        "genpkey",
        "-algorithm",
        "RSA-PSS",
        "-out",
        "pss.key",
    ];
    assert!(made(&folder, &pss));
    assert!(made(&folder, &[&new[..], &["-key", "pss.key"]].concat()));
    let error = rejected(&folder, "csr", "a key of the type RSASSA-PSS");
    assert!(matches!(error, CsrError::KeyUnsupported { .. }), "{error}");
}

#[test]
fn gnutls_makes_acceptable_requests() {
    let folder = tempfile::tempdir().unwrap();
    let template = "cn = \"gnutls\"\norganization = \"Example\"\ncountry = DE\ndc = \"example\"\n\
                    challenge_password = 123456\nsigning_key\ntls_www_client\n";
    std::fs::write(folder.path().join("template"), template).unwrap();
    let request = [
        "certtool",
        "--generate-request",
        "--template",
        "template",
        "--load-privkey",
        "key",
    ];
    for (kind, options) in [
        (&["--key-type=rsa", "--bits", "2048"][..], &[][..]),
        (&["--key-type=rsa", "--bits", "4096"], &[]),
        (
            &["--key-type=rsa", "--bits", "2048"],
            &["--sign-params=rsa-pss"],
        ),
        (&["--key-type=ecdsa", "--curve", "secp256r1"], &[]),
        (
            &["--key-type=ecdsa", "--curve", "secp384r1"],
            &["--no-text"],
        ),
        (&["--key-type=ecdsa", "--curve", "secp521r1"], &[]),
        (&["--key-type=ed25519"], &[]),
    ] {
        let generate = ["certtool", "--generate-privkey", "--outfile", "key"];
        if !made(&folder, &[&generate[..], kind].concat()) {
            return;
        }
        made(
            &folder,
            &[&request[..], options, &["--outfile", "csr"]].concat(),
        );
        accepted(&folder, "csr", &format!("{kind:?} {options:?}"));
    }
}

#[test]
fn nss_makes_acceptable_requests() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("db")).unwrap();
    std::fs::write(folder.path().join("password"), "\n").unwrap();
    std::fs::write(folder.path().join("noise"), [7; 64]).unwrap();
    let database = ["-d", "db", "-f", "password"];
    if !made(&folder, &[&["certutil", "-N"][..], &database].concat()) {
        return;
    }
    let request = [
        "certutil",
        "-R",
        "-z",
        "noise",
        "-a",
        "-s",
        "CN=nss,O=Example,C=DE",
        "-o",
        "csr",
    ];
    for options in [
        &["-k", "rsa", "-g", "2048"][..],
        &[
            "-k",
            "rsa",
            "-g",
            "2048",
            "--keyUsage",
            "digitalSignature",
            "-8",
            "a.example",
        ],
        &["-k", "ec", "-q", "nistp256"],
        &["-k", "ec", "-q", "nistp384", "-Z", "SHA384"],
        &["-k", "ec", "-q", "nistp521", "-Z", "SHA512"],
    ] {
        made(&folder, &[&request[..], &database, options].concat());
        accepted(&folder, "csr", &format!("{options:?}"));
    }
}

#[test]
fn java_makes_acceptable_requests() {
    let folder = tempfile::tempdir().unwrap();
    let store = [
        "-keystore",
        "store",
        "-storepass",
        "changeit",
        "-keypass",
        "changeit",
    ];
    let name = ["-dname", "CN=keytool, O=Example, C=DE"];
    for (number, (key, request)) in [
        (&["-keyalg", "RSA", "-keysize", "2048"][..], &[][..]),
        (
            &["-keyalg", "RSA", "-keysize", "2048"],
            &["-sigalg", "RSASSA-PSS"],
        ),
        (
            &["-keyalg", "RSA", "-keysize", "2048"],
            &["-ext", "san=dns:a.example"],
        ),
        (&["-keyalg", "EC", "-groupname", "secp256r1"], &[]),
        (&["-keyalg", "EC", "-groupname", "secp384r1"], &[]),
        (&["-keyalg", "EC", "-groupname", "secp521r1"], &[]),
        (&["-keyalg", "Ed25519"], &[]),
    ]
    .into_iter()
    .enumerate()
    {
        let alias = format!("key{number}");
        let alias = ["-alias", &alias];
        let pair = [&["keytool", "-genkeypair"][..], &store, &name, &alias, key].concat();
        if !made(&folder, &pair) {
            return;
        }
        let certreq = ["keytool", "-certreq", "-file", "csr"];
        made(&folder, &[&certreq[..], &store, &alias, request].concat());
        accepted(&folder, "csr", &format!("{key:?} {request:?}"));
    }
}
