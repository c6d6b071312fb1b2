use std::process::Command;

use certgate_model::Random as _;
use certgate_testkit::{Loopback, SeededRandom};
use p12_keystore::{KeyStore, Pkcs12ImportPolicy};
use serde_json::json;

use super::*;
use crate::testing::text;

fn form(password: &str, protection: P12Protection) -> P12Form {
    P12Form {
        password: P12Password::new(Zeroizing::new(password.to_owned())).unwrap(),
        protection,
    }
}

fn subject(name: &str) -> SubjectFields {
    SubjectFields {
        common_name: name.to_owned(),
        ..SubjectFields::default()
    }
}

/// A key, its certificate and the CA's.
fn issued(algorithm: KeyName) -> (NewKey, String, String) {
    let certgate = Loopback::start();
    let made = NewKey::generate(algorithm, &subject("alice")).unwrap();
    let body = json!({ "csr": *made.csr, "validity_days": 30 });
    let app = &certgate.app;
    let leaf = certgate.wait(app.post("/zones/{zone}/client_certificates", body));
    let ca = certgate.wait(app.get("/certgate/v1/accounts/{account}/managed_authority"));
    let [leaf, ca] = [leaf, ca].map(|answer| text(&answer.result()["certificate"]));
    (made, leaf, ca)
}

const MODERN: P12Protection = P12Protection::Modern {
    rounds: PASSWORD_ROUNDS,
};

const PROTECTIONS: [P12Protection; 2] = [MODERN, P12Protection::Legacy];

#[test]
fn a_pkcs12_file_holds_the_key_and_the_chain() {
    for algorithm in [KeyName::P256, KeyName::Rsa2048, KeyName::Ed25519] {
        let (made, leaf, authority) = issued(algorithm);
        for protection in PROTECTIONS {
            let form = form("päss word", protection);
            let file = p12("alice", &made.key, &leaf, Some(&authority), &form).unwrap();
            let open =
                |password| KeyStore::from_pkcs12(&file, password, Pkcs12ImportPolicy::Relaxed);
            let read = open("päss word").unwrap();
            let (_, chain) = read.private_key_chain().unwrap();
            assert_eq!(chain.certs().len(), 2);
            assert_eq!(
                chain.certs()[0].as_der(),
                files::certificate_der(&leaf).unwrap().as_ref()
            );
            let key = PrivatePkcs8KeyDer::from_pem_slice(made.key.as_bytes()).unwrap();
            assert_eq!(chain.key().as_der(), key.secret_pkcs8_der());
            assert!(open("other").is_err());
        }
    }
}

/// Lets openssl open a file; `None` if this machine lacks openssl.
fn opened(file: &[u8], password: &str, more: &[&str]) -> Option<std::process::Output> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("file.p12");
    std::fs::write(&path, file).unwrap();
    let shown = Command::new("openssl")
        .args(["pkcs12", "-nodes", "-passin", "env:P12_PASSWORD", "-in"])
        .arg(&path)
        .args(more)
        .env("P12_PASSWORD", password)
        .output();
    if shown.is_err() {
        eprintln!("skipped: this machine lacks openssl");
    }
    shown.ok()
}

#[test]
fn openssl_reads_the_pkcs12_file() {
    for algorithm in [
        KeyName::P256,
        KeyName::P384,
        KeyName::Rsa2048,
        KeyName::Ed25519,
    ] {
        let (made, leaf, authority) = issued(algorithm);
        for (protection, more, said) in [
            (
                MODERN,
                &[][..],
                "AES-256-CBC, Iteration 1000, PRF hmacWithSHA256",
            ),
            (
                P12Protection::Legacy,
                &["-legacy"],
                "pbeWithSHA1And3-KeyTripleDES-CBC, Iteration 2048",
            ),
        ] {
            let form = form("secret", protection);
            let file = p12("alice", &made.key, &leaf, Some(&authority), &form).unwrap();
            let Some(shown) = opened(&file, "secret", &[&["-info"], more].concat()) else {
                return;
            };
            let text = String::from_utf8_lossy(&shown.stdout).into_owned();
            let info = String::from_utf8_lossy(&shown.stderr).into_owned();
            assert!(shown.status.success(), "{algorithm:?}: {info}");
            assert_eq!(
                text.matches("BEGIN CERTIFICATE").count(),
                2,
                "{algorithm:?}"
            );
            assert!(
                text.contains(made.key.lines().nth(1).unwrap()),
                "{algorithm:?}"
            );
            assert!(text.contains("friendlyName: alice"), "{algorithm:?}");
            assert_eq!(info.matches(said).count(), 2, "{algorithm:?}: {info}");
            let mac = match protection {
                P12Protection::Modern { .. } => "MAC: sha256, Iteration 1000",
                P12Protection::Legacy => "MAC: sha1, Iteration 2048",
            };
            assert!(info.contains(mac), "{algorithm:?}: {info}");
        }
    }
}

/// Characters of one to three octets in UTF-8, which a PKCS #12 file can express in a password.
const CHARACTERS: &[char] = &[
    'a', 'Z', '0', ' ', '!', '"', '$', '\\', '~', 'ä', 'ß', 'é', 'Ω', 'Ж', '€', '한', '語',
];

#[test]
fn openssl_opens_files_with_random_passwords() {
    const FILES: u8 = 100;
    let random = SeededRandom::new(14);
    let (made, leaf, _) = issued(KeyName::P256);
    for number in 0..FILES {
        let mut octets = [0; 24];
        random.fill(&mut octets);
        let length = 1 + usize::from(octets[0]) % 23;
        let word = |octets: &[u8]| -> String {
            let character = |octet: &u8| CHARACTERS[usize::from(*octet) % CHARACTERS.len()];
            octets.iter().map(character).collect()
        };
        let password = word(&octets[1..=length]);
        for (protection, more) in [(MODERN, &[][..]), (P12Protection::Legacy, &["-legacy"])] {
            let form = form(&password, protection);
            let file = p12("x", &made.key, &leaf, None, &form).unwrap();
            let shown = |password: &str| opened(&file, password, &[&["-nocerts"], more].concat());
            let Some(key) = shown(&password) else {
                return;
            };
            let key = String::from_utf8_lossy(&key.stdout).into_owned();
            let found = key.contains(made.key.lines().nth(1).unwrap());
            assert!(found, "{number}: {protection:?} {password:?}");
            let other = shown(&format!("{password}x")).unwrap();
            assert!(!other.status.success(), "{number}: {password:?}");
        }
    }
}

#[test]
fn a_character_that_pkcs12_cannot_express_is_refused_in_a_password_and_omitted_in_a_name() {
    let check = |text: &str| P12Password::new(Zeroizing::new(text.to_owned()));
    for good in ["a", "\u{ffff}", "語"] {
        assert!(check(good).is_ok(), "{good}");
    }
    for bad in ["", "\u{10000}", "pass😀word", "𝔘"] {
        assert!(check(bad).is_err(), "{bad}");
    }
    let (made, leaf, _) = issued(KeyName::P256);
    let form = form("secret", MODERN);
    let file = p12("robot 🤖", &made.key, &leaf, None, &form).unwrap();
    let Some(shown) = opened(&file, "secret", &[]) else {
        return;
    };
    let text = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(text.contains("friendlyName: robot"), "{text}");
}

#[test]
fn a_subject_outside_the_limits_of_x509_is_refused_here() {
    assert!(NewKey::generate(KeyName::P256, &subject(&"x".repeat(65))).is_err());
    assert!(
        NewKey::generate(
            KeyName::P256,
            &SubjectFields {
                country: "Germany".to_owned(),
                ..subject("a")
            }
        )
        .is_err()
    );
}

#[test]
fn the_password_comes_from_a_file_or_the_environment() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("password");
    let variables = [("CERTGATE_P12_PASSWORD".into(), "from-variable".into())];
    let environment = Environment::from_variables(variables).unwrap();
    std::fs::write(&file, "from-file\r\nsecond line\n").unwrap();
    assert_eq!(
        read_password(Some(&file), &environment).unwrap().as_str(),
        "from-file"
    );
    assert_eq!(
        read_password(None, &environment).unwrap().as_str(),
        "from-variable"
    );
    std::fs::write(&file, "\n").unwrap();
    assert!(read_password(Some(&file), &environment).is_err());
}
