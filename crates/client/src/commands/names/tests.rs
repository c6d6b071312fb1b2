use std::path::PathBuf;

use super::*;
use crate::arguments::Format;
use crate::failure::Exit;
use crate::testing::{Captured, Server, text};

/// Returns the ID that a name finds, or the failure with the messages.
fn found(server: &Server, name: &str) -> Result<String, (Failure, String)> {
    let captured = Captured::new(Format::Table);
    let (session, zone) = (server.session(), server.zone());
    let found = find(&session, &zone, name, &mut captured.screen());
    found
        .map(|found| found.certificate.id.to_string())
        .map_err(|failure| (failure, captured.err()))
}

/// Writes the certificate as PEM and as DER.
fn files(directory: &Path, pem: &str) -> [PathBuf; 2] {
    let der = CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
    let paths = ["c.pem", "c.der"].map(|name| directory.join(name));
    std::fs::write(&paths[0], pem).unwrap();
    std::fs::write(&paths[1], der).unwrap();
    paths
}

fn with_colons(digits: &str) -> String {
    let octets: Vec<_> = (0..digits.len())
        .step_by(2)
        .map(|at| digits[at..at + 2].to_uppercase())
        .collect();
    octets.join(":")
}

#[test]
fn every_name_of_a_certificate_finds_it() {
    let server = Server::start();
    server.issue("laptop-17");
    let made = server.certgate.issue("Laptop-18");
    let id = text(&made["id"]);
    let [serial, fingerprint] =
        ["serial_number", "fingerprint_sha256"].map(|field| text(&made[field]));
    let directory = tempfile::tempdir().unwrap();
    let [pem, der] = files(directory.path(), &text(&made["certificate"]));
    let names = [
        id.clone(),
        id.to_uppercase(),
        id[..20].to_owned(),
        serial.clone(),
        serial.to_uppercase(),
        with_colons(&serial),
        format!("serial={}", serial.to_uppercase()),
        fingerprint.clone(),
        with_colons(&fingerprint),
        format!("sha256 Fingerprint={}", with_colons(&fingerprint)),
        pem.display().to_string(),
        der.display().to_string(),
        "laptop-18".to_owned(),
    ];
    for name in names {
        assert_eq!(found(&server, &name).unwrap(), id, "{name}");
    }
}

#[test]
fn a_name_with_several_meanings_is_refused_and_explained() {
    let server = Server::start();
    let ids = [server.issue("laptop"), server.issue("LAPTOP")];
    let (failure, told) = found(&server, "laptop").unwrap_err();
    assert_eq!(failure.exit(), Exit::Failed);
    let problem = "\"laptop\" names 2 certificates: nothing was done";
    assert!(failure.to_string().starts_with(problem), "{failure}");
    assert!(told.starts_with("NAME"), "{told}");
    assert!(ids.iter().all(|id| told.contains(id)), "{told}");
    // A common name that is the beginning of another certificate's ID.
    let prefix = &ids[0][..20];
    let other = server.issue(prefix);
    let (_, told) = found(&server, prefix).unwrap_err();
    assert!(told.contains(&ids[0]) && told.contains(&other), "{told}");
}

#[test]
fn a_common_name_may_look_like_an_id() {
    let server = Server::start();
    let name = "0123456789abcdef0123456789abcdef";
    let id = server.issue(name);
    assert_eq!(found(&server, name).unwrap(), id);
}

#[test]
fn nothing_is_found_by_other_names() {
    let server = Server::start();
    server.issue("laptop");
    for name in [
        "lap",
        "laptop-*",
        "f00df00d",
        "12345678901234567890",
        "f:0d",
        "",
    ] {
        let (failure, _) = found(&server, name).unwrap_err();
        assert_eq!(failure.exit(), Exit::Failed, "{name}: {failure}");
    }
    let missing = "f".repeat(32);
    let (failure, _) = found(&server, &missing).unwrap_err();
    assert!(failure.to_string().contains("code 1415"), "{failure}");
    let (failure, _) = found(&server, "../../user").unwrap_err();
    assert_eq!(failure.exit(), Exit::Usage, "{failure}");
    let directory = tempfile::tempdir().unwrap();
    let key = directory.path().join("laptop.key");
    std::fs::write(
        &key,
        "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
    )
    .unwrap();
    let (failure, _) = found(&server, key.to_str().unwrap()).unwrap_err();
    assert!(failure.to_string().contains("private key"), "{failure}");
}
