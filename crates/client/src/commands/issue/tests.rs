use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use certgate_model::KeyAlgorithm;
use certgate_pki::ClientKey;
use certgate_testkit::SeededRandom;
use clap::Parser;
use serde_json::json;

use super::*;
use crate::arguments::Format;
use crate::environment::Environment;
use crate::testing::{Captured, Fate, Reply, Server, failure, names, refused};

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    arguments: IssueArgs,
}

/// Runs `cert issue` with these arguments.
pub fn issue(server: &Server, line: &[&str], screen: &mut Screen) -> Result<(), Failure> {
    issue_with(&server.session(), server, line, screen)
}

/// Runs `cert issue` on a session of its own.
pub fn issue_with(
    session: &Session,
    server: &Server,
    line: &[&str],
    screen: &mut Screen,
) -> Result<(), Failure> {
    let variables = [("CERTGATE_P12_PASSWORD".into(), "secret".into())];
    let context = Context {
        environment: &Environment::from_variables(variables).unwrap(),
        data_dir: &|_| Ok(PathBuf::new()),
        config_dir: None,
        random: &SeededRandom::new(2),
    };
    let line = ["issue"].iter().chain(line);
    let arguments = Line::parse_from(line).arguments;
    run(session, &server.zone(), &arguments, &context, screen)
}

struct Place {
    directory: tempfile::TempDir,
    captured: Captured,
}

impl Place {
    fn new() -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
            captured: Captured::new(Format::Table),
        }
    }

    fn path(&self, name: &str) -> String {
        let path = self.directory.path().join(name);
        path.to_str().unwrap().to_owned()
    }

    fn issue(&self, server: &Server, line: &[&str]) -> Result<(), Failure> {
        issue(server, line, &mut self.captured.screen())
    }

    fn files(&self) -> Vec<String> {
        names(self.directory.path())
    }
}

#[test]
fn key_certificate_and_pkcs12_are_written() {
    let (place, server) = (Place::new(), Server::start());
    let out = place.path("");
    let line = [
        "--cn", "a/b", "--org", "Acme", "--days", "9", "--p12", "--out", &out,
    ];
    place.issue(&server, &line).unwrap();
    assert_eq!(place.files(), ["a_b.crt", "a_b.key", "a_b.p12"]);
    for private in ["a_b.key", "a_b.p12"] {
        let metadata = std::fs::metadata(place.path(private)).unwrap();
        assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
    }
    let key = std::fs::read_to_string(place.path("a_b.key")).unwrap();
    assert!(key.starts_with("-----BEGIN PRIVATE KEY-----\n"));
    assert_eq!(server.issued()[0]["validity_days"], 9);
    let sent = server.seen();
    assert!(sent.iter().all(|seen| !seen.body.contains("PRIVATE KEY")));
    assert!(place.captured.err().contains("a_b.p12"));
}

#[test]
fn a_pkcs12_file_for_older_systems_is_written() {
    let (place, server) = (Place::new(), Server::start());
    for (name, line) in [
        ("old", &["--p12-legacy"][..]),
        ("both", &["--p12", "--p12-legacy"]),
    ] {
        let out = place.path(name);
        let line = [&["--cn", "x", "--out", &out][..], line].concat();
        place.issue(&server, &line).unwrap();
        // pbeWithSHAAnd3-KeyTripleDES-CBC (RFC 7292 appendix C).
        let algorithm = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 12, 1, 3];
        let file = std::fs::read(format!("{out}.p12")).unwrap();
        let uses = file.windows(10).filter(|part| *part == algorithm).count();
        assert_eq!(uses, 2, "{name}: the key and the certificates");
    }
    assert!(!place.captured.err().contains("Ed25519"));
}

#[test]
fn an_ed25519_key_is_not_for_browsers() {
    let (place, server) = (Place::new(), Server::start());
    let out = place.path("e");
    let line = [
        "--cn",
        "x",
        "--key-algorithm",
        "ed25519",
        "--p12",
        "--out",
        &out,
    ];
    place.issue(&server, &line).unwrap();
    let said = place.captured.err();
    assert!(
        said.contains("browsers and NSS do not accept Ed25519"),
        "{said}"
    );
}

#[test]
fn no_file_is_ever_replaced_and_nothing_is_issued_then() {
    let (place, server) = (Place::new(), Server::start());
    for ending in ["key", "crt", "p12"] {
        let out = place.path(&format!("of-{ending}"));
        std::fs::write(format!("{out}.{ending}"), "mine").unwrap();
        let failure = place
            .issue(&server, &["--cn", "x", "--p12", "--out", &out])
            .unwrap_err();
        let problem = format!("of-{ending}.{ending} exists already");
        assert!(failure.to_string().contains(&problem), "{failure}");
    }
    assert_eq!(place.files(), ["of-crt.crt", "of-key.key", "of-p12.p12"]);
    assert!(server.issued().is_empty());
}

#[test]
fn a_refusal_leaves_nothing() {
    let (place, server) = (Place::new(), Server::start());
    let line = ["--cn", "x", "--days", "99999", "--out", &place.path("x")];
    let refused = place.issue(&server, &line).unwrap_err();
    assert!(refused.to_string().contains("/validity_days"), "{refused}");
    assert_eq!(place.files(), [""; 0]);
}

#[test]
fn a_lost_answer_is_requested_again_and_then_leaves_the_key() {
    let place = Place::new();
    let lost = AtomicBool::new(false);
    let losing_once = Server::faulty(move |seen, _| {
        match seen.is_post() && !lost.swap(true, Ordering::Relaxed) {
            true => Fate::LoseAnswer,
            false => Fate::Pass,
        }
    });
    place
        .issue(&losing_once, &["--cn", "y", "--out", &place.path("y")])
        .unwrap();
    assert_eq!((place.files().len(), losing_once.issued().len()), (2, 1));
    let losing = Server::faulty(|_, _| Fate::LoseAnswer);
    let failure = place
        .issue(&losing, &["--cn", "x", "--out", &place.path("x")])
        .unwrap_err();
    assert!(
        failure.to_string().contains("may have been issued"),
        "{failure}"
    );
    assert_eq!(place.files(), ["x.key", "y.crt", "y.key"]);
    assert_eq!(losing.issued().len(), 1);
}

#[test]
fn a_key_is_kept_while_its_certificate_may_have_been_issued() {
    // The server does not know the result. Then it gives another answer, or cannot be reached.
    for next in [
        || Fate::Instead(refused(403, 9109, "no")),
        || Fate::LoseAnswer,
    ] {
        let place = Place::new();
        let requested = AtomicBool::new(false);
        let in_doubt = || Reply::With(503, "x-should-retry: true", failure(10504, "not known"));
        let server = Server::faulty(move |_, _| match requested.swap(true, Ordering::Relaxed) {
            false => Fate::Instead(in_doubt()),
            true => next(),
        });
        let failure = place
            .issue(&server, &["--cn", "x", "--out", &place.path("x")])
            .unwrap_err();
        assert!(
            failure.to_string().contains("may have been issued"),
            "{failure}"
        );
        assert_eq!(place.files(), ["x.key"]);
    }
}

#[test]
fn a_request_of_another_program_is_sent_byte_for_byte() {
    let (place, server) = (Place::new(), Server::start());
    let csr = format!("some text\r\n{}", certgate_testkit::csr("bob"));
    let file = place.path("bob.csr");
    std::fs::write(&file, &csr).unwrap();
    place.issue(&server, &["--csr", &file]).unwrap();
    assert_eq!(server.issued()[0]["csr"], csr);
    let out = place.captured.out();
    assert!(out.starts_with("-----BEGIN CERTIFICATE-----"), "{out}");
    std::fs::create_dir(place.path("new")).unwrap();
    let out = place.path("new/bob");
    // Each run has its own idempotency key, and therefore its own certificate.
    let line = ["--csr", &file, "--out", &out];
    let session = server.session();
    let arguments = Line::parse_from(["issue"].iter().chain(&line)).arguments;
    let context = Context {
        environment: &Environment::default(),
        data_dir: &|_| Ok(PathBuf::new()),
        config_dir: None,
        random: &SeededRandom::new(3),
    };
    let screen = &mut place.captured.screen();
    run(&session, &server.zone(), &arguments, &context, screen).unwrap();
    assert!(PathBuf::from(place.path("new/bob.crt")).exists());
    assert_eq!(server.issued().len(), 2);
}

#[test]
fn a_private_key_is_never_sent_as_a_request() {
    let (place, server) = (Place::new(), Server::start());
    let made = NewKey::generate(crate::arguments::KeyName::P256, &SubjectFields::default());
    let file = place.path("oops.pem");
    std::fs::write(&file, made.unwrap().key.as_bytes()).unwrap();
    let failure = place.issue(&server, &["--csr", &file]).unwrap_err();
    assert!(
        failure.to_string().contains("nothing was sent"),
        "{failure}"
    );
    assert_eq!(server.seen().len(), 0);
}

#[test]
fn json_is_the_result_byte_for_byte() {
    let (place, server) = (Place::new(), Server::start());
    let captured = Captured::new(Format::Json);
    let line = ["--cn", "x", "--out", &place.path("x")];
    issue(&server, &line, &mut captured.screen()).unwrap();
    let printed = captured.json();
    assert_eq!(json!([printed]), json!(server.issued()));
}

/// Writes UTF-16 with a byte order mark, as PowerShell does.
fn utf_16(text: &str) -> Vec<u8> {
    let units = "\u{feff}".encode_utf16().chain(text.encode_utf16());
    units.flat_map(u16::to_le_bytes).collect()
}

#[test]
fn requests_in_der_and_utf_16_are_sent_as_pem_and_keys_never() {
    let place = Place::new();
    let key = ClientKey::generate(KeyAlgorithm::P256).unwrap();
    let subject = SubjectFields {
        common_name: "device".to_owned(),
        ..SubjectFields::default()
    };
    let pem = key.request(&subject).unwrap();
    let der = pem_der(&pem);
    for (name, octets) in [
        ("pem", pem.clone().into_bytes()),
        ("der", der),
        ("utf_16", utf_16(&pem)),
        ("tail", format!("{pem}\u{1a}").into_bytes()),
    ] {
        let path = place.path(name);
        std::fs::write(&path, octets).unwrap();
        let server = Server::start();
        place.issue(&server, &["--csr", &path]).unwrap();
        let issued = server.issued();
        let csr = issued[0]["csr"].as_str().unwrap();
        let line = pem.lines().nth(1).unwrap();
        assert!(issued.len() == 1 && csr.contains(line), "{csr}");
    }
    let server = Server::start();
    let private = key.to_pkcs8_pem();
    let private_der = key.to_pkcs8_der().to_vec();
    for (name, octets) in [
        ("key.pem", private.as_bytes().to_vec()),
        ("key.der", private_der),
        ("key.utf_16", utf_16(&private)),
        ("both", format!("{pem}{}", private.as_str()).into_bytes()),
        ("both.utf_16", utf_16(&format!("{}{pem}", private.as_str()))),
    ] {
        let path = place.path(name);
        std::fs::write(&path, octets).unwrap();
        let refused = place.issue(&server, &["--csr", &path]).unwrap_err();
        assert!(
            refused.to_string().contains("nothing was sent"),
            "{refused}"
        );
    }
    assert_eq!(server.issued().len(), 0);
}

fn pem_der(pem: &str) -> Vec<u8> {
    use rustls::pki_types::CertificateSigningRequestDer;
    use rustls::pki_types::pem::PemObject;
    CertificateSigningRequestDer::from_pem_slice(pem.as_bytes())
        .unwrap()
        .to_vec()
}
