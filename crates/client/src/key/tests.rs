use std::process::Command;

use certgate_testkit::Loopback;
use p12_keystore::Pkcs12ImportPolicy;
use serde_json::json;

use super::*;
use crate::testing::text;

fn password(text: &str) -> Password {
    Password(Zeroizing::new(text.to_owned()))
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
        *Password::read(Some(&file), &environment).unwrap().0,
        "from-file"
    );
    assert_eq!(
        *Password::read(None, &environment).unwrap().0,
        "from-variable"
    );
    std::fs::write(&file, "\n").unwrap();
    assert!(Password::read(Some(&file), &environment).is_err());
}
