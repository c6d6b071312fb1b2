use certgate_model::MtlsCertificateRecord;
use serde::Serialize;
use utoipa::ToSchema;

use super::Instant;

/// A certificate that an account brought itself.
#[derive(Serialize, ToSchema)]
pub(crate) struct MtlsCertificate<'a> {
    /// UUID of 36 characters.
    id: String,
    /// Empty if it has none.
    name: &'a str,
    /// Who issued the first certificate: RFC 2253, the last part of the name first.
    issuer: &'a str,
    /// How the first certificate is signed, such as `SHA256WithRSA`, `ECDSAWithSHA1` or `PureEd25519`.
    signature: &'a str,
    /// Decimal.
    serial_number: &'a str,
    /// The chain in the order in which it was sent: PEM, 64 columns, with an LF at the end.
    certificates: &'a str,
    /// Whether it is an authority.
    ca: bool,
    #[schema(value_type = String, format = DateTime)]
    uploaded_on: Instant,
    /// `notAfter` of the first certificate.
    #[schema(value_type = String, format = DateTime)]
    expires_on: Instant,
    /// Always `custom`.
    #[serde(rename = "type")]
    kind: &'static str,
}

/// A certificate that was just taken in.
#[derive(Serialize, ToSchema)]
pub(crate) struct NewMtlsCertificate<'a> {
    #[serde(flatten)]
    certificate: MtlsCertificate<'a>,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Instant,
}

/// What uses a certificate.
#[derive(Serialize, ToSchema)]
pub(crate) struct MtlsCertificateAssociation {
    /// `mtls`: hostnames that ask for client certificates.
    service: &'static str,
    /// `active`.
    status: &'static str,
}

impl MtlsCertificateAssociation {
    /// Of a certificate that this many hostnames use.
    pub(crate) fn of(hostnames: u64) -> Vec<Self> {
        if hostnames == 0 {
            Vec::new()
        } else {
            vec![Self {
                service: "mtls",
                status: "active",
            }]
        }
    }
}

impl<'a> From<&'a MtlsCertificateRecord> for MtlsCertificate<'a> {
    fn from(record: &'a MtlsCertificateRecord) -> Self {
        Self {
            id: record.id.to_string(),
            name: &record.name,
            issuer: &record.issuer,
            signature: &record.signature,
            serial_number: &record.serial_number,
            certificates: &record.certificates,
            ca: record.ca,
            uploaded_on: Instant(record.uploaded_on),
            expires_on: Instant(record.expires_on),
            kind: "custom",
        }
    }
}

impl<'a> From<&'a MtlsCertificateRecord> for NewMtlsCertificate<'a> {
    fn from(record: &'a MtlsCertificateRecord) -> Self {
        Self {
            certificate: record.into(),
            updated_at: Instant(record.uploaded_on),
        }
    }
}
