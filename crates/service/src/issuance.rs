//! The issuance rules that apply to a request: those of its zone, and those of its token.

use std::sync::Arc;

use certgate_model::{
    AlternativeName, AlternativeNameRules, By, IssuanceRules, KeyType, Lifetime,
    RequestedCertificate, RuleName, StoredRules, SubjectAttribute, TokenRecord, ZoneRecord,
};
use certgate_pki::CheckedCsr;
use certgate_store::{Basis, CountedLimits, DayLimit};

use crate::error::IssueError;

/// Maximum number of subject alternative names of a certificate. Each client sends them in each TLS
/// handshake.
const ALTERNATIVE_NAMES_MAX: usize = 100;

/// Maximum number of subject alternative names that rules are compared with. The largest request
/// has thousands, and rules have 100 patterns of each kind.
const COMPARED_NAMES_MAX: usize = 400;

/// Longest part of a common name that an error repeats, in characters.
const SHOWN_CHARS_MAX: usize = 80;

/// The rules that apply to a request. There are some.
pub(crate) struct AppliedRules {
    zone: Option<Owned>,
    token: Option<Owned>,
}

/// Rules with their owner, as an error names it.
struct Owned {
    rules: Arc<IssuanceRules>,
    owner: String,
    id: [u8; 16],
}

impl Owned {
    fn read(rules: &StoredRules, owner: String, id: [u8; 16]) -> Result<Option<Self>, IssueError> {
        match rules {
            StoredRules::Absent => Ok(None),
            StoredRules::Known(rules) => Ok(Some(Self {
                rules: rules.clone(),
                owner,
                id,
            })),
            StoredRules::Corrupt(_) => Err(IssueError::RulesCorrupt { owner }),
        }
    }

    fn alternative_names(&self) -> Option<&AlternativeNameRules> {
        self.rules.of_alternative_names()
    }

    fn too_many_names(&self, count: usize, max: usize) -> IssueError {
        let reason = format!("the CSR has {count} alternative names, use at most {max}");
        self.broken(RuleName::AlternativeNames, reason)
    }

    fn broken(&self, rule: RuleName, reason: String) -> IssueError {
        IssueError::Rule {
            rule,
            owner: self.owner.clone(),
            reason,
        }
    }
}

impl AppliedRules {
    /// Returns the rules for a request of this token in this zone; `None` if there are none.
    pub fn of(zone: &ZoneRecord, token: &TokenRecord) -> Result<Option<Arc<Self>>, IssueError> {
        if zone.issuance_rules == StoredRules::Absent && token.issuance_rules == StoredRules::Absent
        {
            return Ok(None);
        }
        let of_zone = format!("the zone {}", zone.name);
        let of_token = format!("the token {:?}", token.name);
        Ok(Some(Arc::new(Self {
            zone: Owned::read(&zone.issuance_rules, of_zone, *zone.id.as_bytes())?,
            token: Owned::read(&token.issuance_rules, of_token, *token.id.as_bytes())?,
        })))
    }

    /// Returns the rules for a request without a token in this zone; `None` if there are none.
    pub fn of_zone(zone: &ZoneRecord) -> Result<Option<Arc<Self>>, IssueError> {
        let owner = format!("the zone {}", zone.name);
        let rules = Owned::read(&zone.issuance_rules, owner, *zone.id.as_bytes())?;
        Ok(rules.map(|rules| {
            Arc::new(Self {
                zone: Some(rules),
                token: None,
            })
        }))
    }

    fn each(&self) -> impl Iterator<Item = &Owned> {
        self.zone.iter().chain(&self.token)
    }

    /// Returns the longest time from the start to the end of a certificate.
    pub fn lifetime_max(&self) -> Option<Lifetime> {
        self.each().filter_map(|own| own.rules.lifetime_max).min()
    }

    /// Checks a request. Returns the alternative names that its certificate has.
    pub fn check(&self, csr: &CheckedCsr, days: u32) -> Result<Vec<AlternativeName>, IssueError> {
        let request = csr.requested(days);
        for own in self.each() {
            let checked = own.rules.check(&request);
            checked.map_err(|broken| own.broken(broken.rule, broken.reason))?;
        }
        self.permitted_names(request.alternative_names)
    }

    /// Returns the names that both sets of rules permit. Without a rule of the zone, there are
    /// none.
    fn permitted_names(
        &self,
        mut names: Vec<AlternativeName>,
    ) -> Result<Vec<AlternativeName>, IssueError> {
        for own in self.each() {
            let Some(rules) = own.alternative_names() else {
                continue;
            };
            if names.len() > COMPARED_NAMES_MAX && *rules != AlternativeNameRules::NONE {
                return Err(own.too_many_names(names.len(), COMPARED_NAMES_MAX));
            }
            let checked = rules.check(&names);
            checked.map_err(|broken| own.broken(broken.rule, broken.reason))?;
        }
        let of_zone = self.zone.as_ref().and_then(Owned::alternative_names);
        let of_token = self.token.as_ref().and_then(Owned::alternative_names);
        names.retain(|name| {
            of_zone.is_some_and(|rules| rules.permits(name))
                && of_token.is_none_or(|rules| rules.permits(name))
        });
        match (&self.zone, names.len()) {
            (Some(zone), count) if count > ALTERNATIVE_NAMES_MAX => {
                Err(zone.too_many_names(count, ALTERNATIVE_NAMES_MAX))
            }
            _ => Ok(names),
        }
    }

    /// Checks the name and the lifetime of an invite, before a client uses it.
    pub fn check_invited(
        &self,
        common_name: &str,
        lifetime: Option<Lifetime>,
    ) -> Result<(), IssueError> {
        for own in self.each() {
            let common_name_oid = SubjectAttribute::COMMON_NAME_OID.to_owned();
            let request = RequestedCertificate {
                common_names: vec![common_name.to_owned()],
                attributes: vec![SubjectAttribute::of_oid(common_name_oid)],
                // The holder chooses a key that the rules permit.
                key: own
                    .rules
                    .key_types
                    .first()
                    .copied()
                    .unwrap_or(KeyType::P256),
                days: lifetime.map_or(1, Lifetime::days_begun),
                alternative_names: Vec::new(),
            };
            let checked = own.rules.check(&request);
            checked.map_err(|broken| own.broken(broken.rule, broken.reason))?;
        }
        Ok(())
    }

    /// Returns the limits that the store checks when it records the certificate. A renewal adds no
    /// active certificate to its name, because it replaces one.
    pub fn counted(&self, by: &By, basis: &Basis) -> Option<Box<CountedLimits>> {
        let is_renewal = matches!(basis, Basis::Renewal(_));
        let per_day = self.each().filter_map(|own| {
            Some(DayLimit {
                owner: own.id,
                max: own.rules.certificates_per_day?,
            })
        });
        let limits = CountedLimits {
            day: by.at.unix_day(),
            per_day: per_day.collect(),
            active_per_name: self
                .each()
                .filter_map(|own| own.rules.active_per_name)
                .filter(|_| !is_renewal)
                .min(),
        };
        let counts = !limits.per_day.is_empty() || limits.active_per_name.is_some();
        counts.then(|| Box::new(limits))
    }

    /// Returns the error for a limit of the owner's certificates of a day.
    pub fn day_limit(&self, owner: [u8; 16]) -> Option<IssueError> {
        let own = self.each().find(|own| own.id == owner)?;
        let max = own.rules.certificates_per_day?;
        let reason = format!("{max} certificates were issued today (UTC), wait until tomorrow");
        Some(own.broken(RuleName::CertificatesPerDay, reason))
    }

    /// Returns the error for the limit of the active certificates of a name.
    pub fn name_limit(&self, common_name: &str) -> Option<IssueError> {
        let (own, max) = self.active_per_name()?;
        let shown = shown(common_name);
        let reason = format!(
            "the zone has {max} or more active certificates of the name {shown:?}, revoke one first"
        );
        Some(own.broken(RuleName::ActivePerName, reason))
    }

    /// Returns the error for a name with too many certificates to count the active ones.
    pub fn name_not_countable(&self, common_name: &str) -> Option<IssueError> {
        let (own, _) = self.active_per_name()?;
        let shown = shown(common_name);
        let reason = format!(
            "the zone has too many certificates of the name {shown:?} to count the active ones, \
             use another name, or remove the rule"
        );
        Some(own.broken(RuleName::ActivePerName, reason))
    }

    /// Returns the lowest limit of the active certificates of a name, and its owner.
    fn active_per_name(&self) -> Option<(&Owned, u64)> {
        let limits = self
            .each()
            .filter_map(|own| Some((own, own.rules.active_per_name?)));
        limits.min_by_key(|(_, max)| *max)
    }
}

/// Returns the beginning of a text from a request.
fn shown(text: &str) -> String {
    text.chars().take(SHOWN_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_of_a_request_are_limited_before_they_are_compared() {
        let names = |count: usize| {
            let names = (0..count).map(|n| AlternativeName::Dns(format!("a{n}.example")));
            names.collect::<Vec<_>>()
        };
        let applied = |alternative_names| AppliedRules {
            zone: Some(Owned {
                rules: Arc::new(IssuanceRules {
                    alternative_names,
                    ..IssuanceRules::default()
                }),
                owner: "the zone example.com".to_owned(),
                id: [1; 16],
            }),
            token: None,
        };
        let one = applied(Some(AlternativeNameRules {
            dns: vec!["a7.example".parse().unwrap()],
            ..AlternativeNameRules::default()
        }));
        let permitted = one.permitted_names(names(COMPARED_NAMES_MAX)).unwrap();
        assert_eq!(permitted, [AlternativeName::Dns("a7.example".to_owned())]);
        let refused = one.permitted_names(names(COMPARED_NAMES_MAX + 1));
        let text = refused.unwrap_err().to_string();
        assert!(text.contains("401 alternative names"), "{text}");
        // Names that no rule is about are dropped, however many.
        let none = applied(None).permitted_names(names(COMPARED_NAMES_MAX + 1));
        assert_eq!(none.unwrap(), []);
    }
}
