use crate::{AccountId, AuthorityId, EnforcementPointId, SerialNumber, Timestamp, TokenId};

/// A gateway, authz server or follower that rejects revoked certificates and acknowledges changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnforcementPointRecord {
    /// Its ID.
    pub id: EnforcementPointId,
    /// The account whose certificates it enforces.
    pub account: AccountId,
    /// The token that registered it, the only one that can renew and acknowledge. For an API key,
    /// the ID of its user.
    pub token: TokenId,
    /// Its name, unique in the account.
    pub name: String,
    /// The length of its lease, in seconds. Settling does not wait for an enforcement point that is
    /// silent for longer.
    pub lease_seconds: u32,
    /// It enforces every change up to this epoch.
    pub acknowledged_epoch: u64,
    /// The time of its last message.
    pub seen_on: Timestamp,
    /// The time of its first registration.
    pub registered_on: Timestamp,
}

impl EnforcementPointRecord {
    /// Largest accepted step back of the clock since the last message, in seconds.
    pub const CLOCK_SLACK_SECONDS: i64 = 60;

    /// The end of its lease.
    pub fn lease_until(&self) -> Timestamp {
        self.seen_on.plus_seconds(i64::from(self.lease_seconds))
    }

    /// Returns true if settling waits for it at `now`. It does not wait if the last message is in
    /// the future: a wrong clock in the past must not prolong a lease.
    pub fn is_waited_for(&self, now: Timestamp) -> bool {
        self.lease_until() > now && self.seen_on <= now.plus_seconds(Self::CLOCK_SLACK_SECONDS)
    }
}

/// The data of a certificate in the feed of enforcement points.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EnforcedCertificate {
    /// The CA that signed it.
    pub authority: AuthorityId,
    /// Its serial number.
    pub serial: SerialNumber,
    /// SHA-256 of its DER form.
    pub fingerprint_sha256: [u8; 32],
}

/// The last change of a certificate's status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RevocationChange {
    /// Its epoch. Epochs count changes in commit order.
    pub epoch: u64,
    /// The certificate.
    pub certificate: EnforcedCertificate,
    /// True for a revocation, false for a restored certificate.
    pub revoked: bool,
}
