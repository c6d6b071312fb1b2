//! The certificate of the API, and the requests for one.

use std::fmt::Display;

use certgate_model::{CertificateId, Hex, ZoneId};
use certgate_wire::{ClientCertificate, CreateClientCertificate, WholeNumber};

use crate::failure::Failure;
use crate::http::{Answer, Refusal};
use crate::output::Screen;
use crate::session::Session;

/// A certificate.
pub type Certificate = ClientCertificate<'static>;

/// Returns true if a newer certificate of its line has replaced it.
pub fn is_replaced(certificate: &Certificate) -> bool {
    let line = certificate.certgate;
    line.is_some_and(|line| line.replaced_by.is_some())
}

/// The path of a zone's certificates.
pub fn path(zone: &ZoneId) -> String {
    format!("/client/v4/zones/{zone}/client_certificates")
}

/// The path of the certificate with the ID in `text`.
pub fn path_of(zone: &ZoneId, text: &str) -> Result<String, Failure> {
    let id: CertificateId = text.trim().parse().map_err(|_| {
        Failure::usage(format!(
            "{text:?} is not the ID of a certificate: it has 32 hexadecimal digits"
        ))
        .hint("`certgate cert list` shows the IDs")
    })?;
    Ok(format!("{}/{id}", path(zone)))
}

/// Requests a certificate. A second request with the same key does not issue a second certificate.
pub fn request(
    session: &Session,
    zone: &ZoneId,
    csr: &str,
    validity_days: u32,
    idempotency_key: &str,
) -> Result<Answer, Refusal> {
    let body = CreateClientCertificate {
        csr: csr.into(),
        validity_days: WholeNumber(validity_days.into()),
    };
    session.api.post_once(&path(zone), &body, idempotency_key)
}

/// The idempotency key of a CSR that gets one certificate only. It is the same in each run.
pub fn key_of(csr: &str, validity_days: u32) -> String {
    Hex(&certgate_pki::sha256(
        format!("{validity_days} {csr}").as_bytes(),
    ))
    .to_string()
}

/// Prints a certificate in full.
pub fn fields(certificate: &Certificate, screen: &mut Screen) -> Result<(), Failure> {
    screen.fields(&rows(certificate, screen))
}

/// Returns the names and texts of a certificate's fields.
pub fn rows(certificate: &Certificate, screen: &Screen) -> Vec<(&'static str, String)> {
    let signer = &certificate.certificate_authority;
    let text = |value: &dyn Display| value.to_string();
    let [replaces, replaced_by] = neighbours(certificate);
    vec![
        ("id", text(&certificate.id)),
        ("status", text(&certificate.status)),
        ("common name", text(&certificate.common_name)),
        ("organization", text(&certificate.organization)),
        (
            "organizational unit",
            text(&certificate.organizational_unit),
        ),
        ("location", text(&certificate.location)),
        ("state", text(&certificate.state)),
        ("country", text(&certificate.country)),
        ("issued", screen.full_time(certificate.issued_on)),
        ("expires", screen.full_time(certificate.expires_on)),
        ("validity", format!("{} days", certificate.validity_days)),
        ("serial number", text(&certificate.serial_number)),
        (
            "fingerprint (SHA-256)",
            text(&certificate.fingerprint_sha256),
        ),
        ("subject key id", text(&certificate.ski)),
        ("signature", text(&certificate.signature)),
        ("authority", format!("{} {}", signer.id, signer.name)),
        ("replaces", replaces),
        ("replaced by", replaced_by),
    ]
}

/// Returns the IDs of the certificate that it replaced and of the one that replaced it; empty texts
/// for those that do not exist.
pub fn neighbours(certificate: &Certificate) -> [String; 2] {
    let line = certificate.certgate;
    let [replaces, replaced_by] = match line {
        Some(line) => [line.replaces, line.replaced_by],
        None => [None, None],
    };
    [replaces, replaced_by].map(|id| id.map_or_else(String::new, |id| id.to_string()))
}
