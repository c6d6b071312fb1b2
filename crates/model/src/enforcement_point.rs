use crate::{AccountId, AuthorityId, EnforcementPointId, SerialNumber, Timestamp};

/// Something that keeps revoked certificates out, and says up to where it does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnforcementPointRecord {
    /// Its id.
    pub id: EnforcementPointId,
    /// The account whose certificates it knows.
    pub account: AccountId,
    /// Its name; unique in the account.
    pub name: String,
    /// How long it may be silent before nobody waits for it any more, in seconds.
    pub lease_seconds: u32,
    /// Every change up to this epoch is in force there.
    pub acknowledged_epoch: u64,
    /// When it was last heard of.
    pub seen_on: Timestamp,
    /// When it was registered first.
    pub registered_on: Timestamp,
}

impl EnforcementPointRecord {
    /// How far the clock may have gone back since it was heard of.
    pub const CLOCK_SLACK_SECONDS: i64 = 60;

    /// Until when others wait for it.
    pub fn lease_until(&self) -> Timestamp {
        self.seen_on.plus_seconds(i64::from(self.lease_seconds))
    }

    /// Whether others wait for it at `now`. Not if it was heard of in the future: a clock that was wrong once must not make a
    /// lease last.
    pub fn is_waited_for(&self, now: Timestamp) -> bool {
        self.lease_until() > now && self.seen_on <= now.plus_seconds(Self::CLOCK_SLACK_SECONDS)
    }
}

/// A certificate as enforcement points know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EnforcedCertificate {
    /// Who signed it.
    pub authority: AuthorityId,
    /// Its serial number.
    pub serial: SerialNumber,
    /// SHA-256 of its DER form.
    pub fingerprint_sha256: [u8; 32],
}

/// The last accepted change of a certificate's status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RevocationChange {
    /// Its number: changes are counted in the order in which they were committed.
    pub epoch: u64,
    /// Of which certificate.
    pub certificate: EnforcedCertificate,
    /// Whether it is revoked now; otherwise it was restored.
    pub revoked: bool,
}
