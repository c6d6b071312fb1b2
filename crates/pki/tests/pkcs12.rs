//! PKCS #12 files, judged by openssl, NSS, Java and GnuTLS.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use certgate_model::{AuthorityId, KeyAlgorithm, SerialNumber};
use certgate_pki::{P12Password, P12Protection, SigningKey, pem_lines, self_sign, write_p12};
use tempfile::TempDir;
use zeroize::Zeroizing;

mod judges;
mod outside;

use judges::{NOW, authority};
use outside::run;

const PASSWORD: &str = "Open-sesame-1";

const MODERN: P12Protection = P12Protection::Modern { rounds: 2_048 };

/// Runs a program that must succeed, and returns all that it says.
fn said(folder: &TempDir, line: &[&str]) -> Option<String> {
    let output = run(folder, line)?;
    let text =
        [output.stdout, output.stderr].map(|said| String::from_utf8_lossy(&said).into_owned());
    let text = text.concat();
    assert!(output.status.success(), "{line:?}: {text}");
    Some(text)
}

/// A folder with `identity.p12`, and the key in it as one line of PEM.
fn folder(algorithm: KeyAlgorithm, protection: P12Protection) -> (TempDir, String) {
    let key = SigningKey::generate(algorithm).unwrap();
    let id = AuthorityId::from_bytes([3; 16]);
    let serial = SerialNumber::from_random([4; 20]);
    let certificate = self_sign(&key, id, serial, NOW, NOW.plus_days(9)).unwrap();
    let ca = authority(KeyAlgorithm::P256).der;
    let password = P12Password::new(Zeroizing::new(PASSWORD.to_owned())).unwrap();
    let pkcs8 = key.to_pkcs8().unwrap();
    let chain = [&certificate[..], &ca];
    let file = write_p12("alice", &pkcs8, chain, &password, protection).unwrap();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("identity.p12"), &*file).unwrap();
    std::fs::write(folder.path().join("password"), PASSWORD).unwrap();
    let pem = pem_lines("PRIVATE KEY", &pkcs8);
    (folder, pem.lines().nth(1).unwrap().to_owned())
}

const FILES: [(KeyAlgorithm, P12Protection); 6] = [
    (KeyAlgorithm::P256, MODERN),
    (KeyAlgorithm::P256, P12Protection::Legacy),
    (KeyAlgorithm::P384, MODERN),
    (KeyAlgorithm::Rsa2048, MODERN),
    (KeyAlgorithm::Rsa2048, P12Protection::Legacy),
    (KeyAlgorithm::Ed25519, MODERN),
];

#[test]
fn each_program_opens_the_file() {
    for (algorithm, protection) in FILES {
        let what = format!("{algorithm} {protection:?}");
        let (folder, key) = folder(algorithm, protection);
        let mut openssl = vec![
            "openssl",
            "pkcs12",
            "-nodes",
            "-info",
            "-passin",
            "file:password",
            "-in",
            "identity.p12",
        ];
        let words = match protection {
            P12Protection::Modern { .. } => [
                "AES-256-CBC, Iteration 2048, PRF hmacWithSHA256",
                "MAC: sha256",
            ],
            P12Protection::Legacy => {
                openssl.push("-legacy");
                [
                    "pbeWithSHA1And3-KeyTripleDES-CBC, Iteration 2048",
                    "MAC: sha1",
                ]
            }
        };
        if let Some(text) = said(&folder, &openssl) {
            assert!(
                words.iter().all(|word| text.contains(word)),
                "{what}: {text}"
            );
            assert!(text.contains(&key), "{what}");
            assert_eq!(text.matches("BEGIN CERTIFICATE").count(), 2, "{what}");
        }
        let certtool = [
            "certtool",
            "--p12-info",
            "--inder",
            "--infile",
            "identity.p12",
            "--password",
            PASSWORD,
        ];
        if let Some(text) = said(&folder, &certtool) {
            assert!(text.contains("PRIVATE KEY"), "{what}: {text}");
            assert_eq!(text.matches("BEGIN CERTIFICATE").count(), 2, "{what}");
        }
        let keytool = [
            "keytool",
            "-list",
            "-v",
            "-keystore",
            "identity.p12",
            "-storetype",
            "PKCS12",
            "-storepass:file",
            "password",
        ];
        if let Some(text) = said(&folder, &keytool) {
            assert!(text.contains("PrivateKeyEntry"), "{what}: {text}");
        }
        // NSS has no Ed25519.
        if algorithm != KeyAlgorithm::Ed25519
            && said(&folder, &["certutil", "-N", "-d", ".", "--empty-password"]).is_some()
        {
            let import = [
                "pk12util",
                "-i",
                "identity.p12",
                "-d",
                ".",
                "-w",
                "password",
                "-K",
                "",
            ];
            said(&folder, &import);
            let keys = said(&folder, &["certutil", "-K", "-d", "."]).unwrap();
            assert!(keys.contains("< 0>"), "{what}: {keys}");
        }
    }
}
