use certgate_model::CertificateRecord;
use certgate_pki::pem_lines;
use serde::Serialize;
use utoipa::ToSchema;

use super::{Instant, hex};

/// A client certificate.
#[derive(Serialize, ToSchema)]
pub(crate) struct ClientCertificate<'a> {
    /// 32 lower-case hex digits.
    id: String,
    /// The certificate, PEM.
    certificate: String,
    certificate_authority: CertificateAuthority<'a>,
    common_name: &'a str,
    country: &'a str,
    /// The request exactly as it was sent.
    csr: &'a str,
    /// `notAfter`, RFC 3339 in UTC, a whole minute.
    #[schema(value_type = String, format = DateTime)]
    expires_on: Instant,
    /// SHA-256 of the DER form, 64 lower-case hex digits.
    fingerprint_sha256: String,
    /// `notBefore`, RFC 3339 in UTC, a whole minute.
    #[schema(value_type = String, format = DateTime)]
    issued_on: Instant,
    location: &'a str,
    organization: &'a str,
    organizational_unit: &'a str,
    /// 40 lower-case hex digits.
    serial_number: String,
    /// How the certificate is signed.
    #[schema(value_type = SignatureName)]
    signature: &'static str,
    /// Subject key identifier, 40 lower-case hex digits.
    ski: String,
    state: &'a str,
    #[schema(value_type = StatusName)]
    status: &'static str,
    validity_days: u32,
}

/// The authority that signed a certificate.
#[derive(Serialize, ToSchema)]
pub(crate) struct CertificateAuthority<'a> {
    /// UUID of 36 characters.
    id: String,
    name: &'a str,
}

/// Where a certificate is in its life. `pending_*` is accepted and durable, but not yet in force everywhere.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
#[expect(
    dead_code,
    reason = "documents the words of certgate_model::Status; a test holds them together"
)]
pub(crate) enum StatusName {
    Active,
    PendingReactivation,
    PendingRevocation,
    Revoked,
}

/// How a certificate is signed.
#[derive(ToSchema)]
#[expect(
    dead_code,
    reason = "documents the words of certgate_model::SignatureAlgorithm"
)]
pub(crate) enum SignatureName {
    #[schema(rename = "SHA256WithRSA")]
    Sha256WithRsa,
    #[schema(rename = "ECDSAWithSHA256")]
    EcdsaWithSha256,
    #[schema(rename = "ECDSAWithSHA384")]
    EcdsaWithSha384,
    PureEd25519,
}

impl<'a> From<&'a CertificateRecord> for ClientCertificate<'a> {
    fn from(record: &'a CertificateRecord) -> Self {
        let subject = &record.subject;
        Self {
            id: record.id.to_string(),
            certificate: pem_lines("CERTIFICATE", &record.der),
            certificate_authority: CertificateAuthority {
                id: record.authority.id.to_string(),
                name: &record.authority.name,
            },
            common_name: &subject.common_name,
            country: &subject.country,
            csr: &record.csr,
            expires_on: Instant(record.expires_on),
            fingerprint_sha256: hex(&record.fingerprint_sha256),
            issued_on: Instant(record.issued_on),
            location: &subject.location,
            organization: &subject.organization,
            organizational_unit: &subject.organizational_unit,
            serial_number: record.serial.to_string(),
            signature: record.signature.name(),
            ski: hex(&record.ski),
            state: &subject.state,
            status: record.status.name(),
            validity_days: record.validity_days,
        }
    }
}
