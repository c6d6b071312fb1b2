use std::fmt;
use std::net::IpAddr;

use crate::{
    AccountId, CertificateId, Direction, Hex, InviteId, MtlsCertificateId, Timestamp, TokenId,
    UserId, ZoneId,
};

/// The actor of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Actor {
    /// A caller with this API token.
    Token(TokenId),
    /// A caller with this user's API key.
    ApiKey(UserId),
    /// The server itself.
    System,
    /// An operator on the server's machine, with the master key and without a token.
    Offline,
    /// The holder of this certificate, who renews it.
    Certificate(CertificateId),
    /// The holder of a certificate of this uploaded CA, who enrols.
    TrustedCa(MtlsCertificateId),
    /// The holder of this invite, who enrols.
    Invite(InviteId),
}

impl Actor {
    /// The stored form, by which queries filter: 0 to 6, and the ID. The server and an
    /// operator without a token have no ID.
    pub const fn code(&self) -> (u8, Option<&[u8; 16]>) {
        match self {
            Self::Token(id) => (0, Some(id.as_bytes())),
            Self::ApiKey(id) => (1, Some(id.as_bytes())),
            Self::System => (2, None),
            Self::Offline => (3, None),
            Self::Certificate(id) => (4, Some(id.as_bytes())),
            Self::TrustedCa(id) => (5, Some(id.as_bytes())),
            Self::Invite(id) => (6, Some(id.as_bytes())),
        }
    }

    /// Returns the actor with this stored form; `None` for any other number or a missing ID.
    pub fn from_code(kind: u8, id: Option<[u8; 16]>) -> Option<Self> {
        match (kind, id) {
            (0, Some(id)) => Some(Self::Token(TokenId::from_bytes(id))),
            (1, Some(id)) => Some(Self::ApiKey(UserId::from_bytes(id))),
            (2, None) => Some(Self::System),
            (3, None) => Some(Self::Offline),
            (4, Some(id)) => Some(Self::Certificate(CertificateId::from_bytes(id))),
            (5, Some(id)) => Some(Self::TrustedCa(MtlsCertificateId::from_bytes(id))),
            (6, Some(id)) => Some(Self::Invite(InviteId::from_bytes(id))),
            _ => None,
        }
    }
}

/// Writes `token:`, `api_key:`, `certificate:`, `mtls_certificate:` or `invite:` and the ID,
/// `system` or `offline`.
impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Token(id) => write!(f, "token:{id}"),
            Self::ApiKey(id) => write!(f, "api_key:{id}"),
            Self::System => f.write_str("system"),
            Self::Offline => f.write_str("offline"),
            Self::Certificate(id) => write!(f, "certificate:{id}"),
            Self::TrustedCa(id) => write!(f, "mtls_certificate:{id}"),
            Self::Invite(id) => write!(f, "invite:{id}"),
        }
    }
}

/// The actor, address and time of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct By {
    /// The actor.
    pub actor: Actor,
    /// The address of the client, if known.
    pub address: Option<IpAddr>,
    /// The time.
    pub at: Timestamp,
}

impl By {
    /// Makes the attribution of a change by the server itself.
    pub const fn system(at: Timestamp) -> Self {
        Self {
            actor: Actor::System,
            address: None,
            at,
        }
    }
}

macro_rules! named_codes {
    ($(#[$doc:meta])* $name:ident {
        $($(#[$variant_doc:meta])* $variant:ident = $code:literal, $text:literal;)+
    }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)+
        }

        impl $name {
            /// All values.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The stored number.
            pub const fn code(self) -> u8 {
                match self {
                    $(Self::$variant => $code,)+
                }
            }

            /// Returns the value with this stored number.
            pub const fn from_code(code: u8) -> Option<Self> {
                match code {
                    $($code => Some(Self::$variant),)+
                    _ => None,
                }
            }

            /// The name in the API and in the hashed text.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)+
                }
            }
        }
    };
}

pub(crate) use named_codes;

named_codes!(
    /// The action of an audit entry.
    AuditAction {
        /// A client certificate was issued.
        Issue = 0, "issue";
        /// A client certificate was revoked.
        Revoke = 1, "revoke";
        /// A client certificate was restored.
        Reactivate = 2, "reactivate";
        /// A resource was created, or a CA became active.
        Create = 3, "create";
        /// A resource was changed.
        Update = 4, "update";
        /// A resource was deleted.
        Delete = 5, "delete";
        /// A client certificate that a CA issued elsewhere was recorded.
        Adopt = 6, "adopt";
    }
);

named_codes!(
    /// The type of the changed resource.
    ResourceType {
        /// A client certificate.
        ClientCertificate = 0, "client_certificate";
        /// A managed or imported CA.
        ManagedAuthority = 1, "managed_authority";
        /// An uploaded certificate.
        MtlsCertificate = 2, "mtls_certificate";
        /// The hostnames of a zone that ask for client certificates. The ID is that of the zone.
        HostnameAssociations = 3, "hostname_associations";
        /// A zone.
        Zone = 4, "zone";
        /// An account.
        Account = 5, "account";
        /// An enforcement point.
        EnforcementPoint = 6, "enforcement_point";
        /// An API token.
        Token = 7, "api_token";
        /// The API key of a user. The ID is that of the user.
        ApiKey = 8, "api_key";
        /// A user.
        User = 9, "user";
        /// An invite.
        Invite = 10, "invite";
    }
);

/// The owner of a log. Each log is a separate chain of hashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AuditOwner {
    /// The log of an account, its zones and their certificates.
    Account(AccountId),
    /// The log of a user's tokens and API key.
    User(UserId),
}

impl AuditOwner {
    /// The 16 bytes of the ID, as stored.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        match self {
            Self::Account(id) => id.as_bytes(),
            Self::User(id) => id.as_bytes(),
        }
    }
}

/// Writes `account:` or `user:` and the ID.
impl fmt::Display for AuditOwner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Account(id) => write!(f, "account:{id}"),
            Self::User(id) => write!(f, "user:{id}"),
        }
    }
}

/// The record of one change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// The owner of the log.
    pub owner: AuditOwner,
    /// Its number in the log, from 1, without gaps.
    pub number: u64,
    /// The actor, address and time.
    pub by: By,
    /// The action.
    pub action: AuditAction,
    /// The type of the resource.
    pub resource_type: ResourceType,
    /// The ID of the resource.
    pub resource: [u8; 16],
    /// The zone of the resource, if it belongs to one.
    pub zone: Option<ZoneId>,
    /// SHA-256 of the resource (DER), if it is a certificate.
    pub fingerprint_sha256: Option<[u8; 32]>,
    /// Further details, such as `reason=keyCompromise epoch=7`.
    pub detail: String,
    /// SHA-256 of the previous entry's hash and [`AuditEntry::hashed_text`].
    pub hash: [u8; 32],
}

impl AuditEntry {
    /// The previous hash of the first entry.
    pub const FIRST_PREVIOUS: [u8; 32] = [0; 32];

    /// Writes the text that is hashed after the 32 octets of the previous entry's hash.
    ///
    /// It has one line for each field except the hash. The time is in microseconds since the Unix
    /// epoch, and `-` stands for an absent field. The detail comes last and may contain any text.
    pub fn hashed_text(&self) -> String {
        const TEXT_BYTES: usize = 360;
        let mut text = String::with_capacity(TEXT_BYTES + self.detail.len());
        self.write_hashed(&mut text)
            .expect("writing to a String cannot fail");
        text
    }

    fn write_hashed(&self, text: &mut String) -> fmt::Result {
        use fmt::Write as _;
        let By { actor, address, at } = self.by;
        writeln!(
            text,
            "{}\n{}\n{}\n{actor}",
            self.owner,
            self.number,
            at.unix_microseconds()
        )?;
        match address {
            Some(address) => writeln!(text, "{address}")?,
            None => text.push_str("-\n"),
        }
        let resource = Hex(&self.resource);
        writeln!(
            text,
            "{}\n{}\n{resource}",
            self.action.name(),
            self.resource_type.name()
        )?;
        match self.zone {
            Some(zone) => writeln!(text, "{zone}")?,
            None => text.push_str("-\n"),
        }
        match &self.fingerprint_sha256 {
            Some(fingerprint) => writeln!(text, "{}", Hex(fingerprint))?,
            None => text.push_str("-\n"),
        }
        text.push_str(&self.detail);
        Ok(())
    }
}

/// A query for entries of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuditQuery {
    /// The earliest time, inclusive.
    pub since: Timestamp,
    /// The latest time, exclusive.
    pub before: Timestamp,
    /// The actor; `None` means any actor.
    pub actor: Option<Actor>,
    /// The direction of the order by time. Entries of the same time are ordered by number.
    pub direction: Direction,
    /// The time and number of the entry after which the result begins.
    pub after: Option<(Timestamp, u64)>,
    /// The maximum number of entries.
    pub limit: u32,
}

impl AuditQuery {
    /// Returns the bound at the end of the order, and the place in the order after which the
    /// result begins. Numbers begin at 1, so 0 is before all entries of an instant.
    pub fn bounds(&self) -> (Timestamp, (Timestamp, u64)) {
        let (since, before) = (self.since, self.before);
        match self.direction {
            Direction::Descending => (since, self.after.unwrap_or((before, 0)).min((before, 0))),
            Direction::Ascending => (before, self.after.unwrap_or((since, 0)).max((since, 0))),
        }
    }

    /// Returns true for an entry that meets the conditions and is after the place at which the
    /// result begins.
    pub fn includes(&self, entry: &AuditEntry) -> bool {
        let (end, place) = self.bounds();
        let (at, of_entry) = (entry.by.at, (entry.by.at, entry.number));
        let is_between = match self.direction {
            Direction::Descending => at >= end && of_entry < place,
            Direction::Ascending => at < end && of_entry > place,
        };
        is_between && self.actor.is_none_or(|actor| actor == entry.by.actor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashed_text_has_the_documented_form() {
        let entry = AuditEntry {
            owner: AuditOwner::Account(AccountId::from_bytes([1; 16])),
            number: 7,
            by: By {
                actor: Actor::Token(TokenId::from_bytes([2; 16])),
                address: Some("192.0.2.1".parse().unwrap()),
                at: Timestamp::from_unix_microseconds(1_790_000_000_123_456),
            },
            action: AuditAction::Revoke,
            resource_type: ResourceType::ClientCertificate,
            resource: [3; 16],
            zone: Some(ZoneId::from_bytes([4; 16])),
            fingerprint_sha256: Some([5; 32]),
            detail: "reason=keyCompromise epoch=9".to_owned(),
            hash: [0; 32],
        };
        let expected = format!(
            "account:{}\n7\n1790000000123456\ntoken:{}\n192.0.2.1\nrevoke\n\
             client_certificate\n{}\n{}\n{}\nreason=keyCompromise epoch=9",
            "01".repeat(16),
            "02".repeat(16),
            "03".repeat(16),
            "04".repeat(16),
            "05".repeat(32),
        );
        assert_eq!(entry.hashed_text(), expected);
        let system = AuditEntry {
            by: By::system(Timestamp::from_unix(0)),
            zone: None,
            fingerprint_sha256: None,
            detail: String::new(),
            ..entry
        };
        let expected = format!(
            "account:{}\n7\n0\nsystem\n-\nrevoke\nclient_certificate\n{}\n-\n-\n",
            "01".repeat(16),
            "03".repeat(16)
        );
        assert_eq!(system.hashed_text(), expected);
    }

    #[test]
    fn codes_and_actors_round_trip() {
        for action in AuditAction::ALL {
            assert_eq!(AuditAction::from_code(action.code()), Some(*action));
        }
        for kind in ResourceType::ALL {
            assert_eq!(ResourceType::from_code(kind.code()), Some(*kind));
        }
        assert_eq!(AuditAction::from_code(7), None);
        for actor in [
            Actor::Token(TokenId::from_bytes([1; 16])),
            Actor::ApiKey(UserId::from_bytes([2; 16])),
            Actor::System,
            Actor::Offline,
            Actor::Invite(InviteId::from_bytes([3; 16])),
        ] {
            let (kind, id) = actor.code();
            assert_eq!(Actor::from_code(kind, id.copied()), Some(actor));
        }
        assert_eq!(Actor::from_code(2, Some([0; 16])), None);
    }
}
