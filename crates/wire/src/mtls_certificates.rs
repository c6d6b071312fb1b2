//! `/accounts/{account_id}/mtls_certificates`

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{PrivateKeyText, Time, Uuid};

/// A certificate that the account uploaded.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct MtlsCertificate<'a> {
    /// ID.
    pub id: Uuid,
    /// Null if it has none.
    #[schema(required = true)]
    pub name: Option<Cow<'a, str>>,
    /// Issuer of the first certificate in the form of RFC 2253: the last part of the name first.
    pub issuer: Cow<'a, str>,
    /// Signature algorithm of the first certificate, such as `SHA256WithRSA`, `ECDSAWithSHA1` or
    /// `PureEd25519`.
    pub signature: Cow<'a, str>,
    /// Serial number of the first certificate, decimal.
    pub serial_number: Cow<'a, str>,
    /// The chain in PEM, byte for byte as it was sent.
    pub certificates: Cow<'a, str>,
    /// `true` for a CA.
    pub ca: bool,
    /// Time of the upload.
    pub uploaded_on: Time,
    /// `notAfter` of the first certificate.
    pub expires_on: Time,
    /// Always `custom`.
    #[serde(rename = "type")]
    pub kind: Cow<'a, str>,
    /// Time of the upload; only in the answer to the upload.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<Time>,
}

/// A use of an uploaded certificate.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct MtlsCertificateAssociation<'a> {
    /// `mtls`: hostnames that ask for client certificates.
    pub service: Cow<'a, str>,
    /// `active`.
    pub status: Cow<'a, str>,
}

/// A certificate to upload.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct CreateMtlsCertificate<'a> {
    /// One to ten certificates in PEM, each signed by the next one, at most 32 KiB.
    pub certificates: Cow<'a, str>,
    /// `true` if the first one is a CA; `false` needs `private_key`.
    pub ca: bool,
    /// At most 100 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<Cow<'a, str>>,
    /// Private key of the first certificate: PKCS #8, SEC 1 or PKCS #1 in PEM, not encrypted, at
    /// most 16 KiB.
    #[schema(value_type = Option<String>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub private_key: Option<PrivateKeyText>,
}
