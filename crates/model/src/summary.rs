//! The summary of a zone's certificates, read from counters.

use crate::{AuthorityRef, Totals};

/// The days after today, today included, for which a summary has the certificates that expire.
pub const SUMMARY_EXPIRING_DAYS: i64 = 400;

/// The days up to today, today included, for which a summary has the certificates that were issued
/// and revoked.
pub const SUMMARY_PAST_DAYS: i64 = 90;

/// The certificates of a zone by status, CA and day. Days are counted from the Unix epoch (UTC), in
/// ascending order; those without certificates are left out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ZoneSummary {
    /// All certificates, by status.
    pub totals: Totals,
    /// Those that a renewal replaced, by status. `None`: not all are counted yet after an upgrade.
    pub replaced: Option<Totals>,
    /// Those of each CA, the oldest CA first.
    pub by_authority: Vec<(AuthorityRef, Totals)>,
    /// Certificates that are not revoked and not replaced, by the day on which they expire, for the
    /// next [`SUMMARY_EXPIRING_DAYS`].
    pub expiring: Vec<(i64, u64)>,
    /// Certificates by the day on which they were issued, for the last [`SUMMARY_PAST_DAYS`].
    pub issued: Vec<(i64, u64)>,
    /// Certificates that are revoked, pending or not, by the day of the revocation, for the last
    /// [`SUMMARY_PAST_DAYS`].
    pub revoked: Vec<(i64, u64)>,
    /// The certificates of an earlier version that are in `totals` only, because they are not
    /// counted yet after an upgrade.
    pub uncounted: u64,
}

/// The certificates of all zones.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InstallationSummary {
    /// All certificates, by status.
    pub totals: Totals,
    /// Certificates that are not revoked and not replaced, by the day on which they expire, from
    /// today on.
    pub expiring: Vec<(i64, u64)>,
    /// The certificates of an earlier version that are not in the search index and the counters
    /// yet.
    pub unindexed: u64,
}

impl InstallationSummary {
    /// Returns the number of certificates that expire from `today` on within `days`, today
    /// included.
    pub fn expiring_within(&self, today: i64, days: i64) -> u64 {
        let days = today..today.saturating_add(days);
        let within = self.expiring.iter().filter(|(day, _)| days.contains(day));
        within.map(|(_, count)| count).sum()
    }
}
