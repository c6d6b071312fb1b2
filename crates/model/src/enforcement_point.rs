use crate::{AccountId, AuthorityId, EnforcementPointId, SerialNumber, Timestamp, TokenId};

/// The traffic of a revoked certificate that an enforcement point refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Coverage {
    /// It ends open connections, and refuses new ones.
    Connections,
    /// It refuses each request, also on an open connection.
    Requests,
    /// It refuses new connections only.
    Handshakes,
}

impl Coverage {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Connections, Self::Requests, Self::Handshakes];

    /// Its name in the API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Connections => "connections",
            Self::Requests => "requests",
            Self::Handshakes => "handshakes",
        }
    }
}

/// The behaviour of an enforcement point that has no contact with certgate for too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WhenStale {
    /// It refuses every client.
    Refuse,
    /// It continues with the last state that it knows, at one of its hosts at least.
    Serve,
}

impl WhenStale {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Refuse, Self::Serve];

    /// Its name in the API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Refuse => "refuse",
            Self::Serve => "serve",
        }
    }
}

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
    /// The traffic that it refuses: sorted, none twice, never empty.
    pub covers: Vec<Coverage>,
    /// Its behaviour without contact.
    pub when_stale: WhenStale,
    /// It is deleted when it was silent for so many seconds.
    pub forget_seconds: u32,
    /// It enforces every change up to this epoch of its account.
    pub acknowledged_epoch: u64,
    /// The time of its last message.
    pub seen_on: Timestamp,
    /// The time of its first registration.
    pub registered_on: Timestamp,
}

impl EnforcementPointRecord {
    /// The seconds of silence after which a point is deleted that states none: one day.
    pub const FORGET_SECONDS_DEFAULT: u32 = 86_400;

    /// Largest accepted step back of the clock since the last message, in seconds.
    pub const CLOCK_SLACK_SECONDS: i64 = 60;

    /// The end of its lease.
    pub fn lease_until(&self) -> Timestamp {
        self.seen_on.plus_seconds(i64::from(self.lease_seconds))
    }

    /// The time at which it is deleted if it stays silent.
    pub fn forget_on(&self) -> Timestamp {
        self.seen_on.plus_seconds(i64::from(self.forget_seconds))
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

/// A change that enforcement points follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FollowedChange {
    /// The status of a certificate changed.
    Certificate(RevocationChange),
    /// The hostnames or the CAs of the account changed.
    Configuration {
        /// The epoch of the last such change.
        epoch: u64,
    },
}

impl FollowedChange {
    /// Its epoch.
    pub const fn epoch(&self) -> u64 {
        match self {
            Self::Certificate(change) => change.epoch,
            Self::Configuration { epoch } => *epoch,
        }
    }
}

/// The last change of a certificate's status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RevocationChange {
    /// Its epoch: the account's number of the change. Numbers are in commit order.
    pub epoch: u64,
    /// The certificate.
    pub certificate: EnforcedCertificate,
    /// True for a revocation, false for a restored certificate.
    pub revoked: bool,
}
