use std::fmt;
use std::net::IpAddr;

use super::{BrokenRule, NamePattern, RuleName, covered, shown};
use crate::AddressBlock;

/// A subject alternative name (RFC 5280 §4.2.1.6).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum AlternativeName {
    /// `dNSName`.
    Dns(String),
    /// `rfc822Name`.
    Email(String),
    /// `uniformResourceIdentifier`.
    Uri(String),
    /// `iPAddress`.
    Ip(IpAddr),
    /// A name that no certificate has: of another kind, or malformed. A short printable text.
    Other(String),
}

impl fmt::Display for AlternativeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dns(name) => write!(f, "DNS:{}", shown(name)),
            Self::Email(name) => write!(f, "email:{}", shown(name)),
            Self::Uri(name) => write!(f, "URI:{}", shown(name)),
            Self::Ip(address) => write!(f, "IP:{address}"),
            Self::Other(text) => f.write_str(text),
        }
    }
}

/// The treatment of names that no pattern permits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum BeyondRules {
    /// The request is rejected.
    Reject,
    /// The certificate does not have them, and the answer lists them.
    #[default]
    Drop,
}

impl BeyondRules {
    /// The name in the API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Reject => "reject",
            Self::Drop => "drop",
        }
    }

    /// Returns the treatment with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Reject, Self::Drop]
            .into_iter()
            .find(|one| one.name() == name)
    }
}

/// The names that certificates may have, by kind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AlternativeNameRules {
    /// Patterns of DNS names.
    pub dns: Vec<NamePattern>,
    /// Patterns of e-mail addresses.
    pub email: Vec<NamePattern>,
    /// Patterns of URIs.
    pub uri: Vec<NamePattern>,
    /// Blocks of IP addresses.
    pub ip: Vec<AddressBlock>,
    /// The treatment of every other name.
    pub beyond: BeyondRules,
}

impl AlternativeNameRules {
    /// Returns true if they permit any name.
    pub fn permits_some(&self) -> bool {
        !(self.dns.is_empty() && self.email.is_empty() && self.uri.is_empty() && self.ip.is_empty())
    }

    /// Permits no names, and drops those of a request.
    pub const NONE: Self = Self {
        dns: Vec::new(),
        email: Vec::new(),
        uri: Vec::new(),
        ip: Vec::new(),
        beyond: BeyondRules::Drop,
    };

    /// Returns true if a certificate may have this name.
    pub fn permits(&self, name: &AlternativeName) -> bool {
        match name {
            AlternativeName::Dns(name) => self.dns.iter().any(|one| one.matches_dns(name)),
            AlternativeName::Email(name) => self.email.iter().any(|one| one.matches(name)),
            AlternativeName::Uri(name) => self.uri.iter().any(|one| one.matches(name)),
            AlternativeName::Ip(address) => self.ip.iter().any(|block| block.contains(*address)),
            AlternativeName::Other(_) => false,
        }
    }

    /// Checks the names of a request; [`BeyondRules::Reject`] permits no other names.
    pub fn check(&self, names: &[AlternativeName]) -> Result<(), BrokenRule> {
        let beyond = names.iter().find(|name| !self.permits(name));
        match (self.beyond, beyond) {
            (BeyondRules::Reject, Some(name)) => Err(BrokenRule {
                rule: RuleName::AlternativeNames,
                reason: format!("the CSR has the alternative name {name}, remove it"),
            }),
            _ => Ok(()),
        }
    }

    /// Returns true if these rules permit nothing that `others` forbid.
    pub fn is_within(&self, others: &Self) -> bool {
        // Empty lists permit nothing here.
        let within = |own: &[NamePattern], others: &[NamePattern], includes: Includes| {
            own.is_empty() || !others.is_empty() && covered(own, others, |a, b| includes(b, a))
        };
        within(&self.dns, &others.dns, NamePattern::includes_dns)
            && within(&self.email, &others.email, NamePattern::includes)
            && within(&self.uri, &others.uri, NamePattern::includes)
            && self
                .ip
                .iter()
                .all(|own| others.ip.iter().any(|other| other.includes(own)))
            && self.beyond <= others.beyond
    }
}

type Includes = fn(&NamePattern, &NamePattern) -> bool;
