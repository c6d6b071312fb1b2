//! Issuance rules: limits on the certificates of a zone, or of a token.

mod alternative_names;
mod attribute;
mod enrolment;
mod key_type;
mod pattern;

use std::fmt;
use std::sync::Arc;

pub use self::alternative_names::{AlternativeName, AlternativeNameRules, BeyondRules};
pub use self::attribute::{SubjectAttribute, UnknownSubjectAttribute};
pub use self::enrolment::EnrolmentRules;
pub use self::key_type::{KeyType, UnknownKeyType};
pub use self::pattern::{NamePattern, PATTERN_CHARS_MAX, PatternError};

use crate::Lifetime;

/// The limits on certificates. Each absent rule limits nothing, except the alternative names of a
/// zone: without a rule, no certificate has any.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IssuanceRules {
    /// The common name must match one of these patterns. Empty: any name, and none.
    pub common_names: Vec<NamePattern>,
    /// The subject must have these attributes.
    pub required_attributes: Vec<SubjectAttribute>,
    /// The subject must not have these attributes.
    pub forbidden_attributes: Vec<SubjectAttribute>,
    /// The key must be of one of these types. Empty: any accepted key.
    pub key_types: Vec<KeyType>,
    /// The longest time from the start to the end of a certificate.
    pub lifetime_max: Option<Lifetime>,
    /// Maximum number of certificates of a day in UTC.
    pub certificates_per_day: Option<u64>,
    /// Maximum number of certificates of a common name in the zone, regardless of letter case, that
    /// are active and have not expired.
    pub active_per_name: Option<u64>,
    /// The subject alternative names that certificates may have. Without this rule, those with a
    /// rule of common names have none.
    pub alternative_names: Option<AlternativeNameRules>,
    /// The rules of clients that get certificates without a token. Those of tokens have none.
    pub enrolment: EnrolmentRules,
}

/// The issuance rules of a zone or a token, as they are stored.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum StoredRules {
    /// There are none.
    #[default]
    Absent,
    /// These rules.
    Known(Arc<IssuanceRules>),
    /// A text that cannot be read: nothing may be issued under it.
    Corrupt(String),
}

impl From<IssuanceRules> for StoredRules {
    /// Rules that limit nothing are absent.
    fn from(rules: IssuanceRules) -> Self {
        match rules.is_empty() {
            true => Self::Absent,
            false => Self::Known(Arc::new(rules)),
        }
    }
}

/// The name of a rule, as the API has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RuleName {
    /// `common_names`
    CommonNames,
    /// `required_attributes`
    RequiredAttributes,
    /// `forbidden_attributes`
    ForbiddenAttributes,
    /// `key_types`
    KeyTypes,
    /// `max_lifetime`
    MaxLifetime,
    /// `certificates_per_day`
    CertificatesPerDay,
    /// `active_per_name`
    ActivePerName,
    /// `alternative_names`
    AlternativeNames,
}

impl RuleName {
    /// The name in the API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::CommonNames => "common_names",
            Self::RequiredAttributes => "required_attributes",
            Self::ForbiddenAttributes => "forbidden_attributes",
            Self::KeyTypes => "key_types",
            Self::MaxLifetime => "max_lifetime",
            Self::CertificatesPerDay => "certificates_per_day",
            Self::ActivePerName => "active_per_name",
            Self::AlternativeNames => "alternative_names",
        }
    }
}

impl fmt::Display for RuleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The parts of a request that rules limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestedCertificate {
    /// Every common name of the subject: verifiers differ in the one that they read.
    pub common_names: Vec<String>,
    /// The attributes of the subject.
    pub attributes: Vec<SubjectAttribute>,
    /// The type of the key.
    pub key: KeyType,
    /// The requested lifetime, in whole days.
    pub days: u32,
    /// The subject alternative names.
    pub alternative_names: Vec<AlternativeName>,
}

/// A rule that a request breaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokenRule {
    /// The rule.
    pub rule: RuleName,
    /// The value in the request, and the values that the rule permits: a part of a sentence.
    pub reason: String,
}

/// The longest part of a value from a request that an error repeats, in characters.
const SHOWN_CHARS_MAX: usize = 80;

impl IssuanceRules {
    /// Returns true if no rule limits anything.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The rules of alternative names. Rules of common names alone permit none: a holder with
    /// another e-mail address or host would have another name.
    pub fn of_alternative_names(&self) -> Option<&AlternativeNameRules> {
        static NO_NAMES: AlternativeNameRules = AlternativeNameRules::NONE;
        match &self.alternative_names {
            None if !self.common_names.is_empty() => Some(&NO_NAMES),
            given => given.as_ref(),
        }
    }

    /// Checks a request, except the rules that count certificates and the alternative names.
    pub fn check(&self, request: &RequestedCertificate) -> Result<(), BrokenRule> {
        let broken = |rule, reason| Err(BrokenRule { rule, reason });
        if let Some(reason) = self.refused_name(&request.common_names) {
            return broken(RuleName::CommonNames, reason);
        }
        if self.active_per_name.is_some() && request.common_names.len() != 1 {
            let reason = match request.common_names.len() {
                0 => "the subject has no common name, use one".to_owned(),
                several => format!("the subject has {several} common names, use one"),
            };
            return broken(RuleName::ActivePerName, reason);
        }
        let has = |attribute: &&SubjectAttribute| request.attributes.contains(attribute);
        if let Some(missing) = self.required_attributes.iter().find(|one| !has(one)) {
            let reason = format!("the subject has no {missing}");
            return broken(RuleName::RequiredAttributes, reason);
        }
        if let Some(present) = self.forbidden_attributes.iter().find(has) {
            let reason = format!("the subject has {present}");
            return broken(RuleName::ForbiddenAttributes, reason);
        }
        let permits = |permitted: &KeyType| permitted.includes(request.key);
        if !self.key_types.is_empty() && !self.key_types.iter().any(permits) {
            let reason = format!(
                "the key is {}, use {}",
                request.key,
                listed(&self.key_types)
            );
            return broken(RuleName::KeyTypes, reason);
        }
        match self.lifetime_max {
            Some(max) if request.days > max.days_begun() => {
                let reason = format!(
                    "validity_days is {}, use at most {} ({max})",
                    request.days,
                    max.days_begun()
                );
                broken(RuleName::MaxLifetime, reason)
            }
            _ => Ok(()),
        }
    }

    fn refused_name(&self, names: &[String]) -> Option<String> {
        if self.common_names.is_empty() {
            return None;
        }
        let permits = |name: &&String| self.common_names.iter().any(|one| one.matches(name));
        match names {
            [] => Some(format!(
                "the subject has no common name, use one of {}",
                listed(&self.common_names)
            )),
            [one] if permits(&one) => None,
            [one] => Some(format!(
                "the common name is {:?}, use one of {}",
                shown(one),
                listed(&self.common_names)
            )),
            several => Some(format!(
                "the subject has {} common names, use one",
                several.len()
            )),
        }
    }

    /// Returns true if these rules permit nothing that `others` forbid.
    ///
    /// `others` are the rules of the token that would give these to another token, or has them
    /// itself. Two tokens count their certificates of a day apart, so a token with such a rule
    /// can give it to none: together they could issue more than it may.
    pub fn is_within(&self, others: &Self, counted: Counted) -> bool {
        let contains = |all: &[SubjectAttribute], one| all.contains(one);
        covered(&self.common_names, &others.common_names, |own, other| {
            other.includes(own)
        }) && others
            .required_attributes
            .iter()
            .all(|one| contains(&self.required_attributes, one))
            && others
                .forbidden_attributes
                .iter()
                .all(|one| contains(&self.forbidden_attributes, one))
            && covered(&self.key_types, &others.key_types, |own, other| {
                other.includes(*own)
            })
            && at_most(self.lifetime_max, others.lifetime_max)
            && at_most(self.active_per_name, others.active_per_name)
            && match counted {
                Counted::Together => {
                    at_most(self.certificates_per_day, others.certificates_per_day)
                }
                Counted::Apart => others.certificates_per_day.is_none(),
            }
            && match (self.of_alternative_names(), others.of_alternative_names()) {
                (_, None) => true,
                (None, Some(_)) => false,
                (Some(own), Some(others)) => own.is_within(others),
            }
    }
}

/// The way in which the certificates under two sets of rules are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counted {
    /// Both sets are of the same token.
    Together,
    /// The sets are of two tokens.
    Apart,
}

/// Returns true if each of `own` is in one of `others`. No values mean every value.
fn covered<T>(own: &[T], others: &[T], is_in: impl Fn(&T, &T) -> bool) -> bool {
    others.is_empty()
        || !own.is_empty()
            && own
                .iter()
                .all(|own| others.iter().any(|other| is_in(own, other)))
}

/// Returns true if a limit is at most another one. `None` does not limit.
fn at_most<T: Ord>(own: Option<T>, other: Option<T>) -> bool {
    match (own, other) {
        (_, None) => true,
        (None, Some(_)) => false,
        (Some(own), Some(other)) => own <= other,
    }
}

fn listed(values: &[impl fmt::Display]) -> String {
    let texts: Vec<_> = values.iter().map(ToString::to_string).collect();
    texts.join(", ")
}

/// Returns the beginning of a text from a request.
fn shown(text: &str) -> String {
    text.chars().take(SHOWN_CHARS_MAX).collect()
}
