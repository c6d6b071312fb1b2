use std::fmt;
use std::net::IpAddr;

use crate::{AccountId, Hex, Timestamp, TokenId, UserId, ZoneId};

/// Who does something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Actor {
    /// Whoever has the value of this token.
    Token(TokenId),
    /// Whoever has this user's API key.
    ApiKey(UserId),
    /// The program itself.
    System,
}

impl Actor {
    /// What is stored, and filtered by: 0, 1 or 2, and the id (none for the program itself).
    pub const fn code(&self) -> (u8, Option<&[u8; 16]>) {
        match self {
            Self::Token(id) => (0, Some(id.as_bytes())),
            Self::ApiKey(id) => (1, Some(id.as_bytes())),
            Self::System => (2, None),
        }
    }

    /// The actor of this code, if there is such a one.
    pub fn from_code(kind: u8, id: Option<[u8; 16]>) -> Option<Self> {
        match (kind, id) {
            (0, Some(id)) => Some(Self::Token(TokenId::from_bytes(id))),
            (1, Some(id)) => Some(Self::ApiKey(UserId::from_bytes(id))),
            (2, None) => Some(Self::System),
            _ => None,
        }
    }
}

/// `token:`, `api_key:` and the id, or `system`.
impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Token(id) => write!(f, "token:{id}"),
            Self::ApiKey(id) => write!(f, "api_key:{id}"),
            Self::System => f.write_str("system"),
        }
    }
}

/// By whom, from where and when a change is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct By {
    /// Who.
    pub actor: Actor,
    /// The address of the client, if it is known.
    pub address: Option<IpAddr>,
    /// When.
    pub at: Timestamp,
}

impl By {
    /// The program itself.
    pub const fn system(at: Timestamp) -> Self {
        Self {
            actor: Actor::System,
            address: None,
            at,
        }
    }
}

macro_rules! named_codes {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $code:literal, $text:literal;)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)+
        }

        impl $name {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The number that is stored.
            pub const fn code(self) -> u8 {
                match self {
                    $(Self::$variant => $code,)+
                }
            }

            /// The one with this number.
            pub const fn from_code(code: u8) -> Option<Self> {
                match code {
                    $($code => Some(Self::$variant),)+
                    _ => None,
                }
            }

            /// Its name, as the API shows it and as it is hashed.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)+
                }
            }
        }
    };
}

named_codes!(
    /// What was done.
    AuditAction {
        /// A client certificate was issued.
        Issue = 0, "issue";
        /// A client certificate was revoked.
        Revoke = 1, "revoke";
        /// A client certificate was restored.
        Reactivate = 2, "reactivate";
        /// Something was made, or put in force.
        Create = 3, "create";
        /// Something was changed.
        Update = 4, "update";
        /// Something was deleted.
        Delete = 5, "delete";
    }
);

named_codes!(
    /// What it was done to.
    ResourceType {
        /// A client certificate.
        ClientCertificate = 0, "client_certificate";
        /// An authority that signs client certificates.
        ManagedAuthority = 1, "managed_authority";
        /// A certificate that the account brought.
        MtlsCertificate = 2, "mtls_certificate";
        /// The hostnames of a zone at which certificates are asked for; the id is the zone's.
        HostnameAssociations = 3, "hostname_associations";
        /// A zone.
        Zone = 4, "zone";
        /// An account.
        Account = 5, "account";
        /// An enforcement point.
        EnforcementPoint = 6, "enforcement_point";
        /// An API token.
        Token = 7, "api_token";
        /// The API key of a user; the id is the user's.
        ApiKey = 8, "api_key";
        /// A user.
        User = 9, "user";
    }
);

/// Whose log an entry is in: each is a chain of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AuditOwner {
    /// What was done to an account, its zones and their certificates.
    Account(AccountId),
    /// What was done to a user's tokens and API key.
    User(UserId),
}

impl AuditOwner {
    /// The id, as stored.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        match self {
            Self::Account(id) => id.as_bytes(),
            Self::User(id) => id.as_bytes(),
        }
    }
}

/// `account:` or `user:` and the id.
impl fmt::Display for AuditOwner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Account(id) => write!(f, "account:{id}"),
            Self::User(id) => write!(f, "user:{id}"),
        }
    }
}

/// One thing that was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// Whose log it is in.
    pub owner: AuditOwner,
    /// Its number in that log, from 1, without gaps.
    pub number: u64,
    /// Who did it, from where and when.
    pub by: By,
    /// What was done.
    pub action: AuditAction,
    /// To what.
    pub resource_type: ResourceType,
    /// Its id.
    pub resource: [u8; 16],
    /// The zone it is in, if it is in one.
    pub zone: Option<ZoneId>,
    /// SHA-256 of its DER form, if it is a certificate.
    pub fingerprint_sha256: Option<[u8; 32]>,
    /// What else there is to know, such as `reason=keyCompromise epoch=7`.
    pub detail: String,
    /// SHA-256 of [`AuditEntry::hashed_text`], behind the hash of the entry before.
    pub hash: [u8; 32],
}

impl AuditEntry {
    /// The hash before the first entry.
    pub const FIRST_PREVIOUS: [u8; 32] = [0; 32];

    /// What is hashed, behind the 32 octets of the previous entry's hash: every member but the hash, a line each, the time in
    /// microseconds since the Unix epoch, `-` for what there is not. The detail comes last, whatever is in it.
    pub fn hashed_text(&self) -> String {
        const TEXT_BYTES: usize = 360;
        let mut text = String::with_capacity(TEXT_BYTES + self.detail.len());
        self.write_hashed(&mut text)
            .expect("a String takes everything");
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

/// Which entries of a log are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuditQuery {
    /// Not before this instant.
    pub since: Timestamp,
    /// Before this one.
    pub before: Timestamp,
    /// Only what this one did.
    pub actor: Option<Actor>,
    /// In which order of time, and of numbers where that is the same.
    pub direction: crate::Direction,
    /// Only what comes after the entry of this time and number in that order.
    pub after: Option<(Timestamp, u64)>,
    /// How many at the most.
    pub limit: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_hashed_is_what_the_documentation_says() {
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
            "account:{}\n7\n1790000000123456\ntoken:{}\n192.0.2.1\nrevoke\nclient_certificate\n{}\n{}\n{}\n\
             reason=keyCompromise epoch=9",
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
    fn codes_and_actors_are_read_back() {
        for action in AuditAction::ALL {
            assert_eq!(AuditAction::from_code(action.code()), Some(*action));
        }
        for kind in ResourceType::ALL {
            assert_eq!(ResourceType::from_code(kind.code()), Some(*kind));
        }
        assert_eq!(AuditAction::from_code(6), None);
        for actor in [
            Actor::Token(TokenId::from_bytes([1; 16])),
            Actor::ApiKey(UserId::from_bytes([2; 16])),
            Actor::System,
        ] {
            let (kind, id) = actor.code();
            assert_eq!(Actor::from_code(kind, id.copied()), Some(actor));
        }
        assert_eq!(Actor::from_code(2, Some([0; 16])), None);
    }
}
