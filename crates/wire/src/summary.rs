//! `/zones/{zone_id}/summary`

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{Date, Uuid};

/// The numbers of a zone's certificates. All are exact and of one instant.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ZoneSummary<'a> {
    /// By status.
    pub totals: StatusTotals,
    /// Those that a renewal replaced, by status; null while they are counted after an upgrade.
    #[serde(default)]
    #[schema(required = true)]
    pub replaced: Option<StatusTotals>,
    /// By the CA that signed them, and status.
    pub certificate_authorities: Vec<AuthorityTotals<'a>>,
    /// Certificates that are not revoked and not replaced, by the UTC day of `expires_on`: today and
    /// the next 399 days, without days that have none.
    pub expiring: Vec<DayCount>,
    /// Certificates by the UTC day of `issued_on`: today and the 89 days before, without days that
    /// have none.
    pub issued: Vec<DayCount>,
    /// Certificates that are revoked, by the UTC day of the revocation: today and the 89 days
    /// before, without days that have none.
    pub revoked: Vec<DayCount>,
    /// Certificates of an earlier version that are in `totals` only, because the server has not
    /// counted them by CA and day yet after an upgrade.
    pub uncounted: u64,
}

/// Numbers of certificates by status.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StatusTotals {
    /// Active, expired or not.
    pub active: u64,
    /// Restored, but not yet in every list and at every enforcement point.
    pub pending_reactivation: u64,
    /// Revoked, but not yet in every list and at every enforcement point.
    pub pending_revocation: u64,
    /// Revoked.
    pub revoked: u64,
}

/// Numbers of the certificates that one CA signed.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct AuthorityTotals<'a> {
    /// ID of the CA.
    pub id: Uuid,
    /// Its name.
    pub name: Cow<'a, str>,
    /// By status.
    pub totals: StatusTotals,
}

/// A number of certificates of one day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DayCount {
    /// The day in UTC.
    pub date: Date,
    /// The number, at least 1.
    pub count: u64,
}
