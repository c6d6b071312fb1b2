//! API tokens: permissions, resources, policies, and restrictions of address and time.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use crate::{AccountId, StoredRules, Timestamp, TokenId, UserId, ZoneId};

/// The type of resource to which a permission group applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// The user and its tokens.
    User,
    /// Accounts.
    Account,
    /// Zones.
    Zone,
}

impl Scope {
    /// The name in the API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::User => "com.cloudflare.api.user",
            Self::Account => "com.cloudflare.api.account",
            Self::Zone => "com.cloudflare.api.account.zone",
        }
    }
}

/// A permission of a token. All IDs are those of Cloudflare's public list, so that existing
/// Terraform code means the same permissions here, except those of certgate's own groups
/// ([`is_of_cloudflare`](Self::is_of_cloudflare)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PermissionGroup {
    /// Issue client certificates of a zone.
    ClientCertificatesIssue,
    /// Read client certificates of a zone.
    ClientCertificatesRead,
    /// Restore (reactivate) client certificates of a zone.
    ClientCertificatesRestore,
    /// Revoke client certificates of a zone.
    ClientCertificatesRevoke,
    /// Read client certificates of a zone, and the hostnames that require them.
    SslAndCertificatesRead,
    /// Issue, revoke and reactivate client certificates of a zone, and replace its hostnames.
    SslAndCertificatesWrite,
    /// Read zones.
    ZoneRead,
    /// Create and delete zones.
    ZoneWrite,
    /// Read accounts.
    AccountSettingsRead,
    /// Create and delete accounts.
    AccountSettingsWrite,
    /// Read the uploaded certificates of an account.
    AccountSslAndCertificatesRead,
    /// Upload and delete certificates of an account.
    AccountSslAndCertificatesWrite,
    /// Read the API tokens that an account owns.
    AccountApiTokensRead,
    /// Create, change and delete API tokens that an account owns.
    AccountApiTokensWrite,
    /// Read API tokens.
    ApiTokensRead,
    /// Create, change and delete API tokens.
    ApiTokensWrite,
    /// Read the revocations and the enforcement points.
    EnforcementPointsRead,
    /// Register and delete enforcement points, and acknowledge changes for them.
    EnforcementPointsWrite,
    /// Read the user.
    UserDetailsRead,
    /// Change the user.
    UserDetailsWrite,
}

/// The error for an ID that no permission group has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("unknown permission group: GET /user/tokens/permission_groups lists them")]
pub struct UnknownPermissionGroup;

impl PermissionGroup {
    /// Every permission group.
    pub const ALL: [Self; 20] = [
        Self::AccountApiTokensRead,
        Self::AccountApiTokensWrite,
        Self::AccountSettingsRead,
        Self::AccountSettingsWrite,
        Self::AccountSslAndCertificatesRead,
        Self::AccountSslAndCertificatesWrite,
        Self::ApiTokensRead,
        Self::ApiTokensWrite,
        Self::ClientCertificatesIssue,
        Self::ClientCertificatesRead,
        Self::ClientCertificatesRestore,
        Self::ClientCertificatesRevoke,
        Self::EnforcementPointsRead,
        Self::EnforcementPointsWrite,
        Self::SslAndCertificatesRead,
        Self::SslAndCertificatesWrite,
        Self::UserDetailsRead,
        Self::UserDetailsWrite,
        Self::ZoneRead,
        Self::ZoneWrite,
    ];

    /// The ID: 32 lower-case hex digits.
    pub const fn id(self) -> &'static str {
        match self {
            Self::SslAndCertificatesRead => "7b7216b327b04b8fbc8f524e1f9b7531",
            Self::SslAndCertificatesWrite => "c03055bc037c4ea9afb9a9f104b7b721",
            Self::ZoneRead => "c8fed203ed3043cba015a93ad1616f1f",
            Self::ZoneWrite => "e6d2666161e84845a636613608cee8d5",
            Self::AccountSettingsRead => "c1fde68c7bcc44588cbb6ddbc16d6480",
            Self::AccountSettingsWrite => "1af1fa2adc104452b74a9a3364202f20",
            Self::AccountSslAndCertificatesRead => "a7a233f9604845c787d4c8c39ac09c21",
            Self::AccountSslAndCertificatesWrite => "db37e5f1cb1a4e1aabaef8deaea43575",
            Self::AccountApiTokensRead => "eb56a6953c034b9d97dd838155666f06",
            Self::AccountApiTokensWrite => "5bc3f8b21c554832afc660159ab75fa4",
            Self::ApiTokensRead => "0cc3a61731504c89b99ec1be78b77aa0",
            Self::ApiTokensWrite => "686d18d5ac6c441c867cbf6771e58a0a",
            // These six are certgate's own, not Cloudflare's.
            Self::ClientCertificatesIssue => "e033ed79690bd3784ab70fc95ff210ac",
            Self::ClientCertificatesRead => "1e5b7a92a319376f6e7066f2b8ed2ea0",
            Self::ClientCertificatesRestore => "d04f845b6b74cf4f32a5d8f284ce96e3",
            Self::ClientCertificatesRevoke => "451ce29c094afe23076eaeb8ab436464",
            Self::EnforcementPointsRead => "bd4322d121c9edaee5b1d7a660678da4",
            Self::EnforcementPointsWrite => "f48df003baa6a710aff2442069eee2b8",
            Self::UserDetailsRead => "8acbe5bb0d54464ab867149d7f7cf8ac",
            Self::UserDetailsWrite => "55a5e17cc99e4a3fa1f3432d262f2e55",
        }
    }

    /// The display name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ClientCertificatesIssue => "Client Certificates Issue",
            Self::ClientCertificatesRead => "Client Certificates Read",
            Self::ClientCertificatesRestore => "Client Certificates Restore",
            Self::ClientCertificatesRevoke => "Client Certificates Revoke",
            Self::SslAndCertificatesRead => "SSL and Certificates Read",
            Self::SslAndCertificatesWrite => "SSL and Certificates Write",
            Self::ZoneRead => "Zone Read",
            Self::ZoneWrite => "Zone Write",
            Self::AccountSettingsRead => "Account Settings Read",
            Self::AccountSettingsWrite => "Account Settings Write",
            Self::AccountSslAndCertificatesRead => "Account: SSL and Certificates Read",
            Self::AccountSslAndCertificatesWrite => "Account: SSL and Certificates Write",
            Self::AccountApiTokensRead => "Account API Tokens Read",
            Self::AccountApiTokensWrite => "Account API Tokens Write",
            Self::ApiTokensRead => "API Tokens Read",
            Self::ApiTokensWrite => "API Tokens Write",
            Self::EnforcementPointsRead => "Enforcement Points Read",
            Self::EnforcementPointsWrite => "Enforcement Points Write",
            Self::UserDetailsRead => "User Details Read",
            Self::UserDetailsWrite => "User Details Write",
        }
    }

    /// The type of resource to which the permission applies.
    pub const fn scope(self) -> Scope {
        match self {
            Self::ClientCertificatesIssue
            | Self::ClientCertificatesRead
            | Self::ClientCertificatesRestore
            | Self::ClientCertificatesRevoke
            | Self::SslAndCertificatesRead
            | Self::SslAndCertificatesWrite
            | Self::ZoneRead
            | Self::ZoneWrite => Scope::Zone,
            Self::AccountApiTokensRead
            | Self::AccountApiTokensWrite
            | Self::AccountSettingsRead
            | Self::AccountSettingsWrite
            | Self::AccountSslAndCertificatesRead
            | Self::AccountSslAndCertificatesWrite
            | Self::EnforcementPointsRead
            | Self::EnforcementPointsWrite => Scope::Account,
            Self::ApiTokensRead
            | Self::ApiTokensWrite
            | Self::UserDetailsRead
            | Self::UserDetailsWrite => Scope::User,
        }
    }

    /// Returns true if the group is one of Cloudflare's, and false if certgate added it.
    pub const fn is_of_cloudflare(self) -> bool {
        !matches!(
            self,
            Self::ClientCertificatesIssue
                | Self::ClientCertificatesRead
                | Self::ClientCertificatesRestore
                | Self::ClientCertificatesRevoke
                | Self::EnforcementPointsRead
                | Self::EnforcementPointsWrite
        )
    }

    /// Returns true if the permission is one to read.
    pub const fn is_read(self) -> bool {
        match self {
            Self::AccountApiTokensRead
            | Self::AccountSettingsRead
            | Self::AccountSslAndCertificatesRead
            | Self::ApiTokensRead
            | Self::ClientCertificatesRead
            | Self::EnforcementPointsRead
            | Self::SslAndCertificatesRead
            | Self::UserDetailsRead
            | Self::ZoneRead => true,
            Self::AccountApiTokensWrite
            | Self::AccountSettingsWrite
            | Self::AccountSslAndCertificatesWrite
            | Self::ApiTokensWrite
            | Self::ClientCertificatesIssue
            | Self::ClientCertificatesRestore
            | Self::ClientCertificatesRevoke
            | Self::EnforcementPointsWrite
            | Self::SslAndCertificatesWrite
            | Self::UserDetailsWrite
            | Self::ZoneWrite => false,
        }
    }

    /// Returns true if `self` grants `needed`: it is the same, or `needed` is the read permission
    /// of the write permission `self`, or a part of the group `self` of Cloudflare.
    pub fn includes(self, needed: Self) -> bool {
        let is_written_by = |write| self == write || self == needed;
        match needed {
            Self::SslAndCertificatesRead => is_written_by(Self::SslAndCertificatesWrite),
            Self::ZoneRead => is_written_by(Self::ZoneWrite),
            Self::AccountSettingsRead => is_written_by(Self::AccountSettingsWrite),
            Self::AccountSslAndCertificatesRead => {
                is_written_by(Self::AccountSslAndCertificatesWrite)
            }
            Self::EnforcementPointsRead => is_written_by(Self::EnforcementPointsWrite),
            Self::AccountApiTokensRead => is_written_by(Self::AccountApiTokensWrite),
            Self::ApiTokensRead => is_written_by(Self::ApiTokensWrite),
            Self::UserDetailsRead => is_written_by(Self::UserDetailsWrite),
            Self::ClientCertificatesIssue
            | Self::ClientCertificatesRead
            | Self::ClientCertificatesRestore
            | Self::ClientCertificatesRevoke => {
                self == needed || self.includes(needed.group_of_cloudflare())
            }
            write => self == write,
        }
    }

    /// Returns true if a `Deny` of `self` denies `needed`.
    ///
    /// A denied part denies each permission that includes it: "Zone Write" needs
    /// "Zone Read". A denied group of Cloudflare also denies what certgate has made a permission of
    /// its own, so that the policies of a token mean the same as before those permissions existed.
    pub fn denies(self, needed: Self) -> bool {
        needed.includes(self)
            || self.is_of_cloudflare() && needed.group_of_cloudflare().includes(self)
    }

    /// Returns the group of Cloudflare that governs the actions of `self`: for a group that
    /// certgate added, the smallest one that includes it. `self` if Cloudflare has none.
    const fn group_of_cloudflare(self) -> Self {
        match self {
            Self::ClientCertificatesRead => Self::SslAndCertificatesRead,
            Self::ClientCertificatesIssue
            | Self::ClientCertificatesRestore
            | Self::ClientCertificatesRevoke => Self::SslAndCertificatesWrite,
            other => other,
        }
    }
}

impl FromStr for PermissionGroup {
    type Err = UnknownPermissionGroup;

    fn from_str(id: &str) -> Result<Self, UnknownPermissionGroup> {
        Self::ALL
            .into_iter()
            .find(|group| group.id().eq_ignore_ascii_case(id))
            .ok_or(UnknownPermissionGroup)
    }
}

/// A resource of a policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Resource {
    /// `com.cloudflare.api.user.<id>`: one user.
    User(UserId),
    /// `com.cloudflare.api.account.*`: every account and its zones.
    AllAccounts,
    /// `com.cloudflare.api.account.<id>`: one account and its zones.
    Account(AccountId),
    /// `com.cloudflare.api.account.zone.*`: every zone.
    AllZones,
    /// `com.cloudflare.api.account.zone.<id>`: one zone.
    Zone(ZoneId),
    /// `com.cloudflare.api.account.<id>` → `com.cloudflare.api.account.zone.*`: every zone of one
    /// account.
    ZonesOfAccount(AccountId),
}

/// The error for a text that is not the name of a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "unknown resource: use com.cloudflare.api.account.zone.<zone ID>, \
     com.cloudflare.api.account.<account ID> or com.cloudflare.api.user.<user ID> (`*` instead of \
     the ID means all accounts or zones)"
)]
pub struct UnknownResource;

impl FromStr for Resource {
    type Err = UnknownResource;

    fn from_str(text: &str) -> Result<Self, UnknownResource> {
        let rest = text
            .strip_prefix("com.cloudflare.api.")
            .ok_or(UnknownResource)?;
        let parsed = match rest.split('.').collect::<Vec<_>>()[..] {
            ["user", id] => id.parse().map(Self::User),
            ["account", "*"] => Ok(Self::AllAccounts),
            ["account", "zone", "*"] => Ok(Self::AllZones),
            ["account", "zone", id] => id.parse().map(Self::Zone),
            ["account", id] => id.parse().map(Self::Account),
            _ => return Err(UnknownResource),
        };
        parsed.map_err(|_| UnknownResource)
    }
}

/// Writes the flat form. The API nests [`Resource::ZonesOfAccount`], which appears as the account.
impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(id) => write!(f, "com.cloudflare.api.user.{id}"),
            Self::AllAccounts => f.write_str("com.cloudflare.api.account.*"),
            Self::Account(id) | Self::ZonesOfAccount(id) => {
                write!(f, "com.cloudflare.api.account.{id}")
            }
            Self::AllZones => f.write_str("com.cloudflare.api.account.zone.*"),
            Self::Zone(id) => write!(f, "com.cloudflare.api.account.zone.{id}"),
        }
    }
}

/// The effect of a policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Effect {
    /// The policy grants its permissions.
    Allow,
    /// The policy denies its permissions, even if another policy grants them.
    Deny,
}

/// One policy of a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Its ID: 32 hex digits.
    pub id: String,
    /// Its effect.
    pub effect: Effect,
    /// The permissions.
    pub permission_groups: Vec<PermissionGroup>,
    /// The resources.
    pub resources: Vec<Resource>,
}

/// A block of addresses in CIDR notation. A single address is a block with the full prefix length.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddressBlock {
    /// The text from the client, which the API returns unchanged.
    pub text: String,
    /// The network address.
    pub address: IpAddr,
    /// The prefix length in bits, at most 32 (IPv4) or 128 (IPv6).
    pub prefix_length: u8,
}

impl AddressBlock {
    /// Returns true if the address is in the block.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.includes_network(address, u8::MAX)
    }

    /// Returns true if every address of `other` is in the block.
    pub fn includes(&self, other: &Self) -> bool {
        self.includes_network(other.address, other.prefix_length)
    }

    fn includes_network(&self, address: IpAddr, prefix_length: u8) -> bool {
        let differs = |own: u128, other: u128, bits: u8| {
            let host_bits = u32::from(bits.saturating_sub(self.prefix_length));
            (own ^ other).checked_shr(host_bits).unwrap_or_default() != 0
        };
        let is_same_network = match (self.address, address) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                !differs(own.to_bits().into(), other.to_bits().into(), 32)
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => !differs(own.to_bits(), other.to_bits(), 128),
            _ => false,
        };
        is_same_network && self.prefix_length <= prefix_length
    }
}

/// The state of a token, independent of its dates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TokenState {
    /// The token works within its dates.
    Active,
    /// The owner has disabled the token.
    Disabled,
}

/// SHA-256 of a token's secret value. The store keeps and finds the hash instead of the value.
///
/// A plain hash is sufficient, because an attacker cannot guess a value of 240 random bits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TokenHash(pub [u8; 32]);

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenHash(…)")
    }
}

/// The stored record of an API token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRecord {
    /// Its ID.
    pub id: TokenId,
    /// The user who owns it, or who created it for an account.
    pub user: UserId,
    /// The account that owns it; `None` for a token of the user.
    pub account: Option<AccountId>,
    /// Its name.
    pub name: String,
    /// The hash of its secret value.
    pub hash: TokenHash,
    /// Its state.
    pub state: TokenState,
    /// Its policies.
    pub policies: Vec<Policy>,
    /// The addresses from which callers may use it. An empty list allows all addresses.
    pub allowed_addresses: Vec<AddressBlock>,
    /// The addresses from which callers must not use it.
    pub refused_addresses: Vec<AddressBlock>,
    /// The limits on the certificates that it issues.
    pub issuance_rules: StoredRules,
    /// The start of its validity, inclusive.
    pub not_before: Option<Timestamp>,
    /// The end of its validity, exclusive.
    pub expires_on: Option<Timestamp>,
    /// The time of its creation.
    pub issued_on: Timestamp,
    /// The time of its last change.
    pub modified_on: Timestamp,
    /// The time of its last use, accurate to about a minute. A separate verb records it, and
    /// changes of the token do not modify it.
    pub last_used_on: Option<Timestamp>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resources_round_trip() {
        for text in [
            "com.cloudflare.api.user.023e105f4ecef8ad9ca31a8372d0c353",
            "com.cloudflare.api.account.*",
            "com.cloudflare.api.account.023e105f4ecef8ad9ca31a8372d0c353",
            "com.cloudflare.api.account.zone.*",
            "com.cloudflare.api.account.zone.023e105f4ecef8ad9ca31a8372d0c353",
        ] {
            assert_eq!(text.parse::<Resource>().unwrap().to_string(), text);
        }
        for bad in [
            "",
            "*",
            "com.cloudflare.api.",
            "com.cloudflare.api.user.*",
            "com.cloudflare.api.account.zone",
            "com.cloudflare.api.account.zone.1",
            "com.cloudflare.edge.r2.bucket.*",
        ] {
            assert_eq!(bad.parse::<Resource>(), Err(UnknownResource), "{bad}");
        }
    }

    #[test]
    fn blocks_contain_addresses_and_smaller_blocks() {
        let block = |address: &str, prefix_length| AddressBlock {
            text: String::new(),
            address: address.parse().unwrap(),
            prefix_length,
        };
        let ten = block("10.0.0.0", 8);
        assert!(ten.contains("10.255.0.1".parse().unwrap()));
        assert!(!ten.contains("11.0.0.1".parse().unwrap()));
        assert!(!ten.contains("::ffff:10.0.0.1".parse().unwrap()));
        assert!(ten.includes(&ten) && ten.includes(&block("10.1.2.3", 32)));
        assert!(!ten.includes(&block("10.0.0.0", 7)) && !ten.includes(&block("11.0.0.0", 9)));
        for (every, address) in [("0.0.0.0", "255.0.0.1"), ("::", "ffff::1")] {
            assert!(block(every, 0).contains(address.parse().unwrap()));
        }
        let six = block("2001:db8::", 32);
        assert!(six.contains("2001:db8:ffff::1".parse().unwrap()));
        assert!(!six.includes(&block("2001:db9::", 48)));
    }

    #[test]
    fn write_permissions_include_only_their_read_permission() {
        use PermissionGroup::{SslAndCertificatesRead, SslAndCertificatesWrite, ZoneRead};
        assert!(SslAndCertificatesWrite.includes(SslAndCertificatesRead));
        assert!(!SslAndCertificatesRead.includes(SslAndCertificatesWrite));
        assert!(!SslAndCertificatesWrite.includes(ZoneRead));
        for group in PermissionGroup::ALL {
            assert!(group.includes(group));
            assert_eq!(group.id().parse(), Ok(group));
        }
    }

    #[test]
    fn permissions_of_client_certificates_are_parts_of_cloudflares_groups() {
        use PermissionGroup::{
            ClientCertificatesIssue as Issue, ClientCertificatesRead as Read,
            ClientCertificatesRestore as Restore, ClientCertificatesRevoke as Revoke,
            SslAndCertificatesRead as SslRead, SslAndCertificatesWrite as SslWrite,
        };
        let all = [Issue, Read, Restore, Revoke, SslRead, SslWrite];
        let including = |part| all.into_iter().filter(move |group| group.includes(part));
        assert!(including(Issue).eq([Issue, SslWrite]));
        assert!(including(Restore).eq([Restore, SslWrite]));
        assert!(including(Revoke).eq([Revoke, SslWrite]));
        assert!(including(Read).eq([Read, SslRead, SslWrite]));
        assert!(including(SslRead).eq([SslRead, SslWrite]));

        let denied =
            |group: PermissionGroup| all.into_iter().filter(move |needed| group.denies(*needed));
        // As before: without "Read", a token has no "Write". Without "Write", it has "Read".
        assert!(denied(SslRead).eq(all));
        assert!(denied(SslWrite).eq([Issue, Restore, Revoke, SslWrite]));
        assert!(denied(Read).eq([Read, SslRead, SslWrite]));
        assert!(denied(Revoke).eq([Revoke, SslWrite]));
        for group in PermissionGroup::ALL {
            let others = PermissionGroup::ALL
                .into_iter()
                .filter(|other| !all.contains(other));
            assert!(
                all.contains(&group)
                    || others
                        .clone()
                        .all(|other| { group.denies(other) == other.includes(group) })
            );
            // Inclusion is transitive.
            for (one, two) in others.clone().chain(all).zip(PermissionGroup::ALL) {
                assert!(!group.includes(one) || !one.includes(two) || group.includes(two));
            }
        }
    }
}
