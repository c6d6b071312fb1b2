//! The certificate that a command names: by ID, the beginning of an ID, serial number, fingerprint,
//! file or common name.

use std::path::Path;

use certgate_model::{CertificateId, Hex, ID_PREFIX_MIN, ZoneId};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde_json::value::RawValue;

use super::certificate::{self, Certificate};
use super::search::{Search, fingerprint_of};
use crate::arguments::Statuses;
use crate::failure::Failure;
use crate::files;
use crate::http::{Refusal, parsed};
use crate::output::{Screen, printable};
use crate::session::Session;

/// The most matches of a name that a message lists.
const LISTED_MAX: u64 = 10;

/// The digits of the longest serial number (RFC 5280 §4.1.2.2): 20 octets, in hexadecimal and in
/// decimal.
const SERIAL_HEX_MAX: usize = 40;
const SERIAL_DECIMAL_MAX: usize = 49;

/// The digits of an ID.
const ID_DIGITS: usize = 32;

const HEADER: [&str; 4] = ["name", "status", "expires", "id"];

/// A certificate of the API.
pub struct Found {
    /// Byte for byte.
    pub json: Box<RawValue>,
    pub certificate: Certificate,
}

impl Found {
    fn new(json: Box<RawValue>) -> Result<Self, Failure> {
        let certificate = parsed(&json)?;
        Ok(Self { json, certificate })
    }
}

/// Finds the one certificate that `text` names. If it names several, they are listed.
pub fn find(
    session: &Session,
    zone: &ZoneId,
    text: &str,
    screen: &mut Screen,
) -> Result<Found, Failure> {
    let mut missing = None;
    if let Some(id) = whole_id(text) {
        match session
            .api
            .get(&format!("{}/{id}", certificate::path(zone)))
        {
            Ok(answer) => return Found::new(answer.result),
            Err(Refusal::Refused {
                status: 404,
                failure,
                ..
            }) => missing = Some(failure),
            Err(refusal) => return Err(refusal.into()),
        }
    }
    let mut found: Vec<Found> = Vec::new();
    let mut total = 0;
    for search in searches(text)? {
        let page = search.page(session, zone, 1, LISTED_MAX)?;
        total = page.total().max(total);
        for item in page.items() {
            let item = Found::new(item.clone())?;
            let is_new = |other: &Found| other.certificate.id != item.certificate.id;
            if found.iter().all(is_new) {
                found.push(item);
            }
        }
    }
    match found.len() {
        1 => Ok(found.remove(0)),
        0 => Err(missing.unwrap_or_else(|| {
            let failure = Failure::failed(format!("no certificate of the zone is {text:?}"));
            if text.contains('*') {
                return failure.hint(format!(
                    "`certgate cert list '{0}'` finds certificates by a pattern, and `certgate \
                     cert revoke --match '{0}'` changes them",
                    printable(text)
                ));
            }
            failure.hint(
                "give an ID, its beginning, a serial number, a fingerprint, a file or a common \
                 name; `certgate cert list --status all` shows the certificates",
            )
        })),
        count => Err(several(text, &found, total.max(count as u64), screen)),
    }
}

/// Lists the certificates that a name can mean.
fn several(text: &str, found: &[Found], total: u64, screen: &mut Screen) -> Failure {
    let rows = found.iter().map(|found| {
        let certificate = &found.certificate;
        vec![
            certificate.common_name.to_string(),
            certificate.status.to_string(),
            screen.time(certificate.expires_on),
            certificate.id.to_string(),
        ]
    });
    let rows: Vec<_> = rows.collect();
    screen.list_beside(&HEADER, rows);
    Failure::failed(format!(
        "{text:?} names {total} certificates: nothing was done"
    ))
    .hint("name one by its ID, or all of them with --match")
}

/// The ID that `text` is, in full.
pub fn whole_id(text: &str) -> Option<CertificateId> {
    text.trim().parse().ok()
}

/// The searches for everything that a text can mean.
fn searches(text: &str) -> Result<Vec<Search>, Failure> {
    if let Some(fingerprint) = fingerprint_of_file(text)? {
        return Ok(vec![any().and("fingerprint_sha256", fingerprint)]);
    }
    // `openssl x509 -serial` and `-fingerprint` print `serial=` and `sha256 Fingerprint=`.
    let text = text.trim();
    let value = match text.split_once('=') {
        Some((label, value)) if is_label(label) => value,
        _ => text,
    };
    let mut searches = vec![any().named(text)];
    let digits: String = value.chars().filter(|digit| *digit != ':').collect();
    let is_hex = !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    let is_decimal = value.bytes().all(|digit| digit.is_ascii_digit());
    if !is_hex || value.contains(':') && value.split(':').any(|octet| octet.len() != 2) {
        return Ok(searches);
    }
    if let Ok(fingerprint) = fingerprint_of(&digits) {
        searches.push(any().and("fingerprint_sha256", fingerprint));
    }
    if digits.len() <= SERIAL_HEX_MAX || is_decimal && digits.len() <= SERIAL_DECIMAL_MAX {
        searches.push(any().and("serial_number", value.to_owned()));
    }
    if value == digits && (ID_PREFIX_MIN..ID_DIGITS).contains(&digits.len()) {
        searches.push(any().and("id.startswith", digits));
    }
    Ok(searches)
}

fn any() -> Search {
    Search::of_statuses(Statuses::All)
}

fn is_label(label: &str) -> bool {
    let label = label.trim().to_ascii_lowercase();
    ["serial", "sha256 fingerprint", "fingerprint"].contains(&label.as_str())
}

/// Returns the SHA-256 of the certificate in the file that `text` names, if it names one. A word
/// that is also the name of a file without a certificate is a common name.
fn fingerprint_of_file(text: &str) -> Result<Option<String>, Failure> {
    let path = Path::new(text);
    let is_path = text == "-" || text.contains('/');
    if !is_path && !path.is_file() {
        return Ok(None);
    }
    match certificate_of(path) {
        Ok(der) => Ok(Some(Hex(&certgate_pki::sha256(&der)).to_string())),
        Err(_) if !is_path && path.extension().is_none() => Ok(None),
        Err(failure) => Err(failure),
    }
}

/// Reads the first certificate of a PEM or DER file.
fn certificate_of(path: &Path) -> Result<CertificateDer<'static>, Failure> {
    let remedy = "name the file with the certificate, which is public";
    let pem = files::read_public(path, remedy)?;
    CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|_| {
        Failure::usage(format!("{} holds no certificate", path.display()))
            .hint("give a PEM or DER file with a certificate")
    })
}

#[cfg(test)]
mod tests;
