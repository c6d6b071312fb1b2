use p12_keystore::Pkcs12ImportPolicy;
use serde_json::json;

use super::super::testing::{Issuing, Verdict, ZONE};
use super::*;

fn password(text: &str) -> Password {
    Password(Zeroizing::new(text.to_owned()))
}

fn subject(name: &str) -> SubjectFields {
    SubjectFields {
        common_name: name.to_owned(),
        ..SubjectFields::default()
    }
}

/// A key, its certificate and the authority's.
fn issued(algorithm: KeyName) -> (Made, String, String) {
    let issuing = Issuing::start(|_| Verdict::Answer);
    let made = make(algorithm, &subject("alice")).unwrap();
    let api = issuing.server.api();
    let body = json!({ "csr": made.csr, "validity_days": 30 });
    let pem = |answer: super::super::http::Answer| {
        answer
            .parse::<super::super::cert::Certificate>()
            .unwrap()
            .certificate
    };
    let leaf = pem(api
        .post(
            &format!("/client/v4/zones/{ZONE}/client_certificates"),
            &body,
        )
        .unwrap());
    let authority = pem(api
        .get("/certgate/v1/accounts/x/managed_authority")
        .unwrap());
    (made, leaf, authority)
}

#[test]
fn a_pkcs12_file_holds_the_key_and_the_chain() {
    for algorithm in [KeyName::P256, KeyName::Rsa2048, KeyName::Ed25519] {
        let (made, leaf, authority) = issued(algorithm);
        let file = p12(
            "alice",
            &made.key,
            &leaf,
            Some(&authority),
            &password("päss word"),
        )
        .unwrap();
        let read = KeyStore::from_pkcs12(&file, "päss word", Pkcs12ImportPolicy::Relaxed).unwrap();
        let (_, chain) = read.private_key_chain().unwrap();
        assert_eq!(chain.certs().len(), 2);
        assert_eq!(
            chain.certs()[0].as_der(),
            files::certificate_der(&leaf).unwrap().as_ref()
        );
        let key = PrivatePkcs8KeyDer::from_pem_slice(made.key.as_bytes()).unwrap();
        assert_eq!(chain.key().as_der(), key.secret_pkcs8_der());
        assert!(KeyStore::from_pkcs12(&file, "other", Pkcs12ImportPolicy::Relaxed).is_err());
    }
}

#[test]
fn openssl_reads_the_pkcs12_file() {
    use std::process::Command;
    if Command::new("openssl").arg("version").output().is_err() {
        eprintln!("skipped: there is no openssl command here");
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("alice.p12");
    for algorithm in [
        KeyName::P256,
        KeyName::P384,
        KeyName::Rsa2048,
        KeyName::Ed25519,
    ] {
        let (made, leaf, authority) = issued(algorithm);
        std::fs::write(
            &path,
            p12(
                "alice",
                &made.key,
                &leaf,
                Some(&authority),
                &password("secret"),
            )
            .unwrap(),
        )
        .unwrap();
        let shown = Command::new("openssl")
            .args(["pkcs12", "-nodes", "-passin", "pass:secret", "-in"])
            .arg(&path)
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&shown.stdout).into_owned();
        assert!(
            shown.status.success(),
            "{algorithm:?}: {}",
            String::from_utf8_lossy(&shown.stderr)
        );
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
    }
}

#[test]
fn a_subject_that_no_certificate_can_have_is_refused_here() {
    assert!(make(KeyName::P256, &subject(&"x".repeat(65))).is_err());
    assert!(
        make(
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
        *Password::ask(Some(&file), &environment).unwrap().0,
        "from-file"
    );
    assert_eq!(
        *Password::ask(None, &environment).unwrap().0,
        "from-variable"
    );
    std::fs::write(&file, "\n").unwrap();
    assert!(Password::ask(Some(&file), &environment).is_err());
}
