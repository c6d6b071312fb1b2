//! What the records look like in JSON. Only this module knows.

mod audit;
mod certificate;
mod enforcement_point;
mod hostnames;
mod mtls_certificate;
mod tenant;
mod token;

use certgate_model::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

pub(crate) use audit::{AuditLog, AuditNames};
pub(crate) use certificate::ClientCertificate;
pub(crate) use enforcement_point::{EnforcementPoint, RevocationChanges, RevokedCertificate};
pub(crate) use hostnames::HostnameAssociations;
pub(crate) use mtls_certificate::{
    MtlsCertificate, MtlsCertificateAssociation, NewMtlsCertificate,
};
pub(crate) use tenant::{Account, ManagedAuthority, User, UserApiKey, Zone};
pub(crate) use token::{PermissionGroupEntry, Token, TokenVerification};

/// RFC 3339 in UTC with `Z`.
pub(crate) struct Instant(pub(crate) Timestamp);

impl Serialize for Instant {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// The id of what was deleted.
#[derive(Serialize, ToSchema)]
pub(crate) struct Deleted {
    pub(crate) id: String,
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    text
}
