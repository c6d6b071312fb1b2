//! `/certgate/v1/accounts/{account_id}/enforcement_points` and what enforcement points follow.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{CoverageName, Id, Octets20, Sha256, Time, Uuid, WhenStaleName, WholeNumber};

/// An enforcement point.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct EnforcementPoint<'a> {
    /// ID.
    pub id: Id,
    /// Name, unique in the account.
    pub name: Cow<'a, str>,
    /// Seconds without a request after which changes stop waiting for it.
    pub lease_seconds: u32,
    /// The traffic of a revoked certificate that it refuses.
    pub covers: Vec<CoverageName>,
    /// Its behaviour without contact with certgate.
    pub when_stale: WhenStaleName,
    /// Seconds without a request after which it is deleted.
    pub forget_seconds: u32,
    /// The epoch up to which it enforces every change.
    pub acknowledged_epoch: u64,
    /// The epoch of the last change of the account's certificates, hostnames or CAs.
    pub last_epoch: u64,
    /// State.
    pub status: EnforcementPointStatus,
    /// Time of its last request.
    pub seen_on: Time,
    /// Time of its first registration.
    pub registered_on: Time,
}

/// The state of an enforcement point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum EnforcementPointStatus {
    /// It enforces every change.
    Current,
    /// Changes wait for it.
    Lagging,
    /// Its lease has ended: changes do not wait for it.
    Silent,
}

/// An enforcement point to register.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct RegisterEnforcementPoint<'a> {
    /// At most 100 characters; unique in the account.
    pub name: Cow<'a, str>,
    /// Seconds without a request after which changes stop waiting for it; default 60.
    #[schema(value_type = Option<i64>, minimum = 5, maximum = 3600)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lease_seconds: Option<WholeNumber>,
    /// The traffic of a revoked certificate that it refuses; default `["requests"]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub covers: Option<Vec<CoverageName>>,
    /// Its behaviour without contact with certgate; default `refuse`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub when_stale: Option<WhenStaleName>,
    /// Seconds without a request after which it is deleted, at least `lease_seconds`; default one
    /// day.
    #[schema(value_type = Option<i64>, minimum = 5, maximum = 2_592_000)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forget_seconds: Option<WholeNumber>,
}

/// The acknowledgement of changes by an enforcement point.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct AcknowledgeEpoch {
    /// The epoch up to which it enforces every change.
    #[schema(value_type = i64, minimum = 0, maximum = 9_007_199_254_740_991_i64)]
    pub epoch: WholeNumber,
}

/// A certificate as enforcement points know it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RevokedCertificate {
    /// Digest of the certificate's DER form.
    pub fingerprint_sha256: Sha256,
    /// Serial number.
    pub serial_number: Octets20,
    /// The CA that signed it.
    pub certificate_authority_id: Uuid,
}

/// The changes after an epoch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RevocationFeed {
    /// The epoch up to which a reader that has applied the changes knows every change.
    pub epoch: u64,
    /// In the order of their epochs.
    pub changes: Vec<FeedChange>,
}

/// A change that enforcement points follow: of a certificate, or of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum FeedChange {
    /// A certificate was revoked or restored.
    Certificate(RevocationFeedChange),
    /// The hostnames or CAs of the account changed.
    Configuration(ConfigurationFeedChange),
}

impl FeedChange {
    /// The epoch of the change.
    pub fn epoch(&self) -> u64 {
        match self {
            Self::Certificate(change) => change.epoch,
            Self::Configuration(change) => change.epoch,
        }
    }
}

/// The last change of the hostnames or CAs of the account: read `/enforcement` again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ConfigurationFeedChange {
    /// The epoch of the change.
    pub epoch: u64,
    /// Always `true`.
    pub configuration: bool,
}

/// The last change of a certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RevocationFeedChange {
    /// The epoch of the change.
    pub epoch: u64,
    /// `true` if it is revoked now, `false` if it was restored.
    pub revoked: bool,
    /// The certificate.
    #[serde(flatten)]
    pub certificate: RevokedCertificate,
}
