use std::sync::atomic::{AtomicBool, Ordering};

use std::os::unix::fs::PermissionsExt;

use clap::Parser;

use super::super::testing::{self, Captured, Issuing, Reply, Verdict, ZONE, refused};
use super::*;
use crate::cli::{CertCommand, Cli, Command, Format};

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

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn issue(&self, issuing: &Issuing, arguments: &[&str]) -> Result<(), Failure> {
        let line = ["certgate", "cert", "issue"].iter().chain(arguments);
        let Command::Cert {
            command: CertCommand::Issue(arguments),
            ..
        } = Cli::parse_from(line).command
        else {
            panic!("that is a command to issue")
        };
        let variables = [("CERTGATE_P12_PASSWORD".into(), "secret".into())];
        let environment = Environment::from_variables(variables).unwrap();
        run(
            &issuing.server.session(),
            &ZONE.parse().unwrap(),
            &arguments,
            &environment,
            &mut self.captured.screen(),
        )
    }

    fn files(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.directory.path()).unwrap();
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

#[test]
fn key_certificate_and_pkcs12_are_written() {
    let (place, issuing) = (Place::new(), Issuing::start(|_| Verdict::Answer));
    let out = place.directory.path().to_str().unwrap().to_owned();
    place
        .issue(
            &issuing,
            &[
                "--cn", "a/b", "--org", "Acme", "--days", "9", "--p12", "--out", &out,
            ],
        )
        .unwrap();
    assert_eq!(place.files(), ["a_b.crt", "a_b.key", "a_b.p12"]);
    for private in ["a_b.key", "a_b.p12"] {
        assert_eq!(
            std::fs::metadata(place.path(private))
                .unwrap()
                .permissions()
                .mode()
                & 0o777,
            0o600
        );
    }
    assert!(
        std::fs::read_to_string(place.path("a_b.key"))
            .unwrap()
            .starts_with("-----BEGIN PRIVATE KEY-----\n")
    );
    assert_eq!(issuing.issued()[0]["validity_days"], 9);
    let sent = issuing.server.seen();
    assert!(sent.iter().all(|seen| !seen.body.contains("PRIVATE KEY")));
    assert!(place.captured.err().contains("a_b.p12"));
}

#[test]
fn no_file_is_ever_replaced_and_nothing_is_issued_then() {
    let (place, issuing) = (Place::new(), Issuing::start(|_| Verdict::Answer));
    for ending in ["key", "crt", "p12"] {
        let stem = place.path(&format!("of-{ending}"));
        std::fs::write(files::with_ending(&stem, ending), "mine").unwrap();
        let out = stem.to_str().unwrap();
        let failure = place
            .issue(&issuing, &["--cn", "x", "--p12", "--out", out])
            .unwrap_err();
        assert!(
            failure
                .to_string()
                .contains(&format!("of-{ending}.{ending} exists already")),
            "{failure}"
        );
    }
    assert_eq!(place.files(), ["of-crt.crt", "of-key.key", "of-p12.p12"]);
    assert_eq!(issuing.issued().len(), 0);
}

#[test]
fn a_refusal_leaves_nothing_and_a_lost_answer_leaves_the_key() {
    let place = Place::new();
    let out = place.path("x");
    let arguments = ["--cn", "x", "--out", out.to_str().unwrap()];
    let refusing = Issuing::start(|_| Verdict::Instead(refused(400, 1, "no")));
    assert!(place.issue(&refusing, &arguments).is_err());
    assert_eq!(place.files(), [""; 0]);
    // Lost once, it is asked for again: the server knows it by its key.
    let lost = AtomicBool::new(false);
    let losing_once = Issuing::start(move |_| match lost.swap(true, Ordering::Relaxed) {
        false => Verdict::LoseAnswer,
        true => Verdict::Answer,
    });
    place
        .issue(
            &losing_once,
            &["--cn", "y", "--out", place.path("y").to_str().unwrap()],
        )
        .unwrap();
    assert_eq!((place.files().len(), losing_once.issued().len()), (2, 1));
    let losing = Issuing::start(|_| Verdict::LoseAnswer);
    let failure = place.issue(&losing, &arguments).unwrap_err();
    assert!(
        failure.to_string().contains("may have been issued"),
        "{failure}"
    );
    assert_eq!(place.files(), ["x.key", "y.crt", "y.key"]);
    assert_eq!(losing.issued().len(), 1);
}

#[test]
fn a_key_is_kept_while_its_certificate_may_have_been_issued() {
    // The server does not know, and then answers something else, or is gone.
    for next in [
        || Verdict::Instead(refused(403, 9109, "no")),
        || Verdict::LoseAnswer,
    ] {
        let place = Place::new();
        let asked = AtomicBool::new(false);
        let in_doubt = || {
            Reply::With(
                503,
                "x-should-retry: true",
                testing::failure(10504, "not known"),
            )
        };
        let issuing = Issuing::start(move |_| match asked.swap(true, Ordering::Relaxed) {
            false => Verdict::Instead(in_doubt()),
            true => next(),
        });
        let out = place.path("x");
        let failure = place
            .issue(&issuing, &["--cn", "x", "--out", out.to_str().unwrap()])
            .unwrap_err();
        assert!(
            failure.to_string().contains("may have been issued"),
            "{failure}"
        );
        assert_eq!(place.files(), ["x.key"]);
    }
}

#[test]
fn somebody_elses_request_is_sent_byte_for_byte() {
    let (place, issuing) = (Place::new(), Issuing::start(|_| Verdict::Answer));
    let subject = SubjectFields {
        common_name: "bob".to_owned(),
        ..SubjectFields::default()
    };
    let csr = format!(
        "some text\r\n{}",
        key::make(crate::cli::KeyName::P256, &subject).unwrap().csr
    );
    let file = place.path("bob.csr");
    std::fs::write(&file, &csr).unwrap();
    place
        .issue(&issuing, &["--csr", file.to_str().unwrap()])
        .unwrap();
    assert_eq!(issuing.issued()[0]["csr"], csr);
    assert!(
        place
            .captured
            .out()
            .starts_with("-----BEGIN CERTIFICATE-----")
    );
    let out = place.path("new/bob");
    std::fs::create_dir(place.path("new")).unwrap();
    place
        .issue(
            &issuing,
            &[
                "--csr",
                file.to_str().unwrap(),
                "--out",
                out.to_str().unwrap(),
            ],
        )
        .unwrap();
    assert!(files::with_ending(&out, "crt").exists());
}

#[test]
fn a_private_key_is_never_sent_as_a_request() {
    let (place, issuing) = (
        Place::new(),
        Issuing::start(|_| Verdict::Instead(Reply::Hang)),
    );
    let made = key::make(crate::cli::KeyName::P256, &SubjectFields::default()).unwrap();
    std::fs::write(place.path("oops.pem"), made.key.as_bytes()).unwrap();
    let failure = place
        .issue(
            &issuing,
            &["--csr", place.path("oops.pem").to_str().unwrap()],
        )
        .unwrap_err();
    assert!(
        failure.to_string().contains("nothing was sent"),
        "{failure}"
    );
    assert_eq!(issuing.server.seen().len(), 0);
}
