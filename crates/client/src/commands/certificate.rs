//! The certificate of the API, and the requests for one.

use certgate_model::{CertificateId, Hex, ZoneId};
use serde::{Deserialize, Serialize};

use crate::failure::Failure;
use crate::http::{Answer, Refusal};
use crate::output::Screen;
use crate::session::Session;

/// A certificate.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Certificate {
    pub id: String,
    pub certificate: String,
    pub certificate_authority: Signer,
    pub common_name: String,
    pub organization: String,
    pub organizational_unit: String,
    pub location: String,
    pub state: String,
    pub country: String,
    pub status: String,
    pub issued_on: String,
    pub expires_on: String,
    pub validity_days: u64,
    pub serial_number: String,
    pub signature: String,
    pub ski: String,
    pub fingerprint_sha256: String,
}

/// The CA that signed a certificate.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Signer {
    pub id: String,
    pub name: String,
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

/// Requests a certificate. A second request with the same key makes no second certificate.
pub fn request(
    session: &Session,
    zone: &ZoneId,
    csr: &str,
    validity_days: u32,
    idempotency_key: &str,
) -> Result<Answer, Refusal> {
    #[derive(Serialize)]
    struct Body<'a> {
        csr: &'a str,
        validity_days: u32,
    }
    let body = Body { csr, validity_days };
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
    let certificate = certificate.clone();
    let signer = certificate.certificate_authority;
    screen.fields(&[
        ("id", certificate.id),
        ("status", certificate.status),
        ("common name", certificate.common_name),
        ("organization", certificate.organization),
        ("organizational unit", certificate.organizational_unit),
        ("location", certificate.location),
        ("state", certificate.state),
        ("country", certificate.country),
        ("issued", certificate.issued_on),
        ("expires", certificate.expires_on),
        ("validity", format!("{} days", certificate.validity_days)),
        ("serial number", certificate.serial_number),
        ("fingerprint (SHA-256)", certificate.fingerprint_sha256),
        ("subject key id", certificate.ski),
        ("signature", certificate.signature),
        ("authority", format!("{} {}", signer.id, signer.name)),
    ])
}
