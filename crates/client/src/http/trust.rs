//! The CAs that the client trusts for https.

use std::path::Path;

use ureq::tls::{Certificate, PemItem, RootCerts, parse_pem};

use crate::failure::Failure;

/// Reads the CAs in the PEM file `named`, or those of the system.
pub(super) fn trusted(named: Option<&Path>) -> Result<RootCerts, Failure> {
    let certificates = match named {
        Some(path) => in_file(path)?,
        None => of_system()?,
    };
    Ok(RootCerts::new_with_certs(&certificates))
}

fn in_file(path: &Path) -> Result<Vec<Certificate<'static>>, Failure> {
    let pem = std::fs::read(path)
        .map_err(|error| Failure::usage(format!("cannot read {}: {error}", path.display())))?;
    let certificates: Vec<_> = parse_pem(&pem)
        .filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        })
        .collect();
    match certificates.is_empty() {
        true => Err(
            Failure::usage(format!("{} has no certificate in PEM form", path.display()))
                .hint("name a file with a CERTIFICATE block"),
        ),
        false => Ok(certificates),
    }
}

fn of_system() -> Result<Vec<Certificate<'static>>, Failure> {
    let found = rustls_native_certs::load_native_certs();
    if found.certs.is_empty() {
        let detail = found.errors.iter().map(|error| format!(": {error}"));
        let detail: String = detail.take(1).collect();
        return Err(
            Failure::usage(format!("this system has no trusted CAs{detail}"))
                .hint("name a PEM file with --api-ca"),
        );
    }
    let certificates = found.certs.iter();
    Ok(certificates
        .map(|certificate| Certificate::from_der(certificate).to_owned())
        .collect())
}
