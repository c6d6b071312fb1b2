//! Enforcement points and what they follow.

use certgate_model::{EnforcedCertificate, EnforcementPointRecord, Timestamp};
use serde::Serialize;
use utoipa::ToSchema;

use super::{Instant, hex};

/// An enforcement point.
#[derive(Serialize, ToSchema)]
pub(crate) struct EnforcementPoint {
    /// 32 hex digits.
    id: String,
    name: String,
    /// How long it may be silent before nobody waits for it any more.
    lease_seconds: u32,
    /// Every change up to this epoch is in force there.
    acknowledged_epoch: u64,
    /// The epoch of the last change of the account's certificates.
    last_epoch: u64,
    /// `silent`: its lease has ended, and nothing waits for it; `lagging`: changes wait for it; `current`.
    status: &'static str,
    #[schema(value_type = String, format = DateTime)]
    seen_on: Instant,
    #[schema(value_type = String, format = DateTime)]
    registered_on: Instant,
}

impl EnforcementPoint {
    pub(crate) fn at(now: Timestamp, last_epoch: u64, point: EnforcementPointRecord) -> Self {
        let status = match (
            point.acknowledged_epoch >= last_epoch,
            point.is_waited_for(now),
        ) {
            (_, false) => "silent",
            (true, true) => "current",
            (false, true) => "lagging",
        };
        Self {
            id: point.id.to_string(),
            lease_seconds: point.lease_seconds,
            acknowledged_epoch: point.acknowledged_epoch,
            last_epoch,
            status,
            seen_on: Instant(point.seen_on),
            registered_on: Instant(point.registered_on),
            name: point.name,
        }
    }
}

/// A certificate as enforcement points know it.
#[derive(Serialize, ToSchema)]
pub(crate) struct RevokedCertificate {
    /// SHA-256 of its DER form, 64 hex digits.
    fingerprint_sha256: String,
    /// 40 hex digits.
    serial_number: String,
    /// UUID of the authority that signed it.
    certificate_authority_id: String,
}

impl From<EnforcedCertificate> for RevokedCertificate {
    fn from(certificate: EnforcedCertificate) -> Self {
        Self {
            fingerprint_sha256: hex(&certificate.fingerprint_sha256),
            serial_number: certificate.serial.to_string(),
            certificate_authority_id: certificate.authority.to_string(),
        }
    }
}

/// Changes after an epoch.
#[derive(Serialize, ToSchema)]
pub(crate) struct RevocationChanges {
    /// Whoever has applied the changes knows everything up to this epoch.
    epoch: u64,
    changes: Vec<RevocationChange>,
}

/// The last change of a certificate.
#[derive(Serialize, ToSchema)]
pub(crate) struct RevocationChange {
    epoch: u64,
    /// Whether it is revoked now; otherwise it was restored.
    revoked: bool,
    #[serde(flatten)]
    certificate: RevokedCertificate,
}

impl From<certgate_service::RevocationChanges> for RevocationChanges {
    fn from(found: certgate_service::RevocationChanges) -> Self {
        let change = |change: certgate_model::RevocationChange| RevocationChange {
            epoch: change.epoch,
            revoked: change.revoked,
            certificate: change.certificate.into(),
        };
        Self {
            epoch: found.epoch,
            changes: found.changes.into_iter().map(change).collect(),
        }
    }
}
