//! `certgate cert adopt`

use std::path::{Path, PathBuf};

use certgate_model::ZoneId;
use certgate_wire::{AdoptCertificates, AdoptedCertificate};
use serde::Serialize;

use crate::failure::Failure;
use crate::files;
use crate::output::Screen;
use crate::session::Session;

/// Maximum number of certificates in a request: the server accepts no more.
const CERTIFICATES_MAX: usize = 1_000;

/// Maximum length of the certificates in a request, in bytes: the server accepts 4 MiB, and JSON
/// needs one more octet for each line.
const REQUEST_BYTES_MAX: usize = 3 * 1024 * 1024;

const BEGIN: &str = "-----BEGIN";
const END: &str = "-----END";

/// A certificate of a file.
struct Found<'a> {
    file: &'a Path,
    /// Its number in the file, from 1.
    number: usize,
    pem: String,
}

/// The outcome for a certificate, for programs.
#[derive(Debug, Serialize)]
struct Line {
    file: String,
    number: usize,
    #[serde(flatten)]
    outcome: AdoptedCertificate<'static>,
}

/// `certgate cert adopt`
pub fn adopt(
    session: &Session,
    zone: &ZoneId,
    files: &[PathBuf],
    screen: &mut Screen,
) -> Result<(), Failure> {
    let mut found = Vec::new();
    for file in files {
        let text = files::read_certificates(file)?;
        let blocks = blocks(&text);
        if blocks.is_empty() {
            let shown = file.display();
            return Err(Failure::usage(format!("{shown} has no certificate"))
                .hint("give files with lines such as -----BEGIN CERTIFICATE-----, or in DER"));
        }
        found.extend(
            (1..)
                .zip(blocks)
                .map(|(number, pem)| Found { file, number, pem }),
        );
    }
    let path = format!("/certgate/v1/zones/{zone}/client_certificates/adopt");
    let bar = screen.progress(found.len() as u64, "adopting");
    let mut lines = Vec::with_capacity(found.len());
    for part in parts(&found) {
        let body = AdoptCertificates {
            certificates: part.iter().map(|one| one.pem.as_str().into()).collect(),
        };
        let outcomes = session.api.post(&path, &body)?;
        let outcomes: Vec<AdoptedCertificate<'static>> = outcomes.parse()?;
        lines.extend(part.iter().zip(outcomes).map(|(one, outcome)| Line {
            file: one.file.display().to_string(),
            number: one.number,
            outcome,
        }));
        bar.inc(part.len() as u64);
    }
    drop(bar);
    report(&lines, screen)
}

fn report(lines: &[Line], screen: &mut Screen) -> Result<(), Failure> {
    if screen.is_json() {
        screen.json_of(&lines)?;
    }
    let mut rejected = 0;
    for line in lines {
        if let Some(error) = &line.outcome.error {
            rejected += 1;
            let (file, number) = (&line.file, line.number);
            screen.say(&format!("{file}, certificate {number}: {}", error.message));
        }
    }
    let adopted = lines.len() - rejected;
    screen.say(&format!(
        "{adopted} certificates are recorded; {rejected} were rejected"
    ));
    match rejected {
        0 => Ok(()),
        _ => Err(Failure::printed()),
    }
}

/// Splits the certificates into the parts that one request can have.
fn parts<'f>(found: &'f [Found<'f>]) -> Vec<&'f [Found<'f>]> {
    let mut parts = Vec::new();
    let (mut start, mut bytes) = (0, 0);
    for (at, one) in found.iter().enumerate() {
        let is_full = at - start >= CERTIFICATES_MAX || bytes + one.pem.len() > REQUEST_BYTES_MAX;
        if is_full && at > start {
            parts.push(&found[start..at]);
            (start, bytes) = (at, 0);
        }
        bytes += one.pem.len();
    }
    if start < found.len() {
        parts.push(&found[start..]);
    }
    parts
}

/// Returns the PEM blocks of a text, without the text around them.
fn blocks(text: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut current: Option<String> = None;
    for line in text.lines() {
        let line = line.trim_end();
        if line.starts_with(BEGIN) {
            current = Some(String::new());
        }
        if let Some(block) = &mut current {
            block.push_str(line);
            block.push('\n');
            if line.starts_with(END) {
                blocks.extend(current.take());
            }
        }
    }
    blocks
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arguments::Format;
    use crate::testing::{Captured, Server};

    fn found(pem: &str) -> Found<'_> {
        Found {
            file: Path::new("x"),
            number: 1,
            pem: pem.to_owned(),
        }
    }

    #[test]
    fn requests_have_at_most_the_certificates_and_octets_that_the_server_accepts() {
        let small: Vec<_> = (0..2_500).map(|_| found("x")).collect();
        let lengths = |found: &[Found<'_>]| parts(found).iter().map(|part| part.len()).collect();
        let of_small: Vec<usize> = lengths(&small);
        assert_eq!(of_small, [1_000, 1_000, 500]);
        let large = "x".repeat(REQUEST_BYTES_MAX / 2);
        let large: Vec<_> = (0..3).map(|_| found(&large)).collect();
        let of_large: Vec<usize> = lengths(&large);
        assert_eq!(of_large, [2, 1]);
        assert!(parts(&[]).is_empty());
    }

    #[test]
    fn each_rejected_certificate_is_named_and_no_key_is_sent() {
        let server = Server::start();
        server.issue("a");
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("old.pem");
        let leaf = certgate_testkit::uploaded("good_leaf.certs");
        std::fs::write(&file, format!("# two\n{leaf}\n{leaf}")).unwrap();
        let captured = Captured::new(Format::Json);
        let adopted = |file: &Path| {
            let (session, mut screen) = (server.session(), captured.screen());
            adopt(&session, &server.zone(), &[file.to_owned()], &mut screen)
        };
        assert_eq!(adopted(&file), Err(Failure::printed()));
        let lines = captured.json();
        assert_eq!(lines[1]["error"]["code"], 1564);
        assert_eq!(
            (&lines[1]["number"], &lines[1]["id"]),
            (&2.into(), &serde_json::Value::Null)
        );
        let report = captured.err();
        assert!(
            report.contains("old.pem, certificate 2: no managed CA"),
            "{report}"
        );
        assert!(
            report.ends_with("0 certificates are recorded; 2 were rejected\n"),
            "{report}"
        );
        server.seen();
        let key = directory.path().join("old.key");
        std::fs::write(&key, certgate_testkit::uploaded("good_leaf.key")).unwrap();
        let refused = adopted(&key).unwrap_err().to_string();
        assert!(refused.contains("holds a private key"), "{refused}");
        assert!(server.seen().is_empty());
    }
}
