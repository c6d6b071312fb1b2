//! Issuance rules in requests and answers.

use std::borrow::Cow;

use certgate_model::{
    AlternativeNameRules, EnrolmentRules, IssuanceRules, MtlsCertificateId, NamePattern,
    StoredRules, SubjectAttribute,
};
use certgate_wire::{
    AddressBlockText, AlternativeNameSet, BeyondName, EnrolmentRuleSet, IssuanceRuleSet,
    KeyTypeName, LifetimeValue, NamePatternText, SubjectAttributeName, Uuid,
};

use crate::error::ApiError;

/// Maximum number of entries of a list of a rule. A request compares its names with each.
const ENTRIES_MAX: usize = 100;

/// Reads the rules of a body, which are at `pointer`.
pub(crate) fn rules(body: IssuanceRuleSet, pointer: &str) -> Result<IssuanceRules, ApiError> {
    let at = |member: &str| format!("{pointer}/{member}");
    let attributes = |list: Option<Vec<SubjectAttributeName>>, member| {
        not_empty(list, at(member)).map(|list| list.into_iter().map(|one| one.0).collect())
    };
    let required: Vec<SubjectAttribute> =
        attributes(body.required_attributes, "required_attributes")?;
    let forbidden: Vec<SubjectAttribute> =
        attributes(body.forbidden_attributes, "forbidden_attributes")?;
    if let Some(both) = required.iter().find(|one| forbidden.contains(one)) {
        let message = format!("{both} is required and forbidden: remove it from one list");
        return Err(ApiError::member(at("forbidden_attributes"), message));
    }
    let key_types = not_empty(body.key_types, at("key_types"))?;
    for (limit, member) in [
        (body.certificates_per_day, "certificates_per_day"),
        (body.active_per_name, "active_per_name"),
    ] {
        if limit == Some(0) {
            let message = "0 permits no certificate: use at least 1".to_owned();
            return Err(ApiError::member(at(member), message));
        }
    }
    let names = body.alternative_names;
    let enrolment = body.enrolment.unwrap_or_default();
    Ok(IssuanceRules {
        common_names: patterns(not_empty(body.common_names, at("common_names"))?),
        required_attributes: required,
        forbidden_attributes: forbidden,
        key_types: key_types.into_iter().map(|one| one.0).collect(),
        lifetime_max: body.max_lifetime.map(|max| max.0),
        certificates_per_day: body.certificates_per_day.map(stored),
        active_per_name: body.active_per_name.map(stored),
        alternative_names: match names {
            Some(names) => Some(alternative_names(names, &at("alternative_names"))?),
            None => None,
        },
        enrolment: EnrolmentRules {
            lifetime: enrolment.lifetime.map(|lifetime| lifetime.0),
            trusted_cas: trusted_cas(enrolment.trusted_cas, at("enrolment/trusted_cas"))?,
            revoke_replaced_after: enrolment.revoke_replaced_after.map(|after| after.0),
        },
    })
}

/// Maximum number of CAs whose clients may enrol in a zone. Each enrolment reads all of them.
const TRUSTED_CAS_MAX: usize = 10;

fn trusted_cas(
    list: Option<Vec<Uuid>>,
    pointer: String,
) -> Result<Vec<MtlsCertificateId>, ApiError> {
    let list = not_empty(list, pointer.clone())?;
    if list.len() > TRUSTED_CAS_MAX {
        let count = list.len();
        let message = format!("there are {count} CAs: use at most {TRUSTED_CAS_MAX}");
        return Err(ApiError::member(pointer, message));
    }
    Ok(list.into_iter().map(Into::into).collect())
}

/// Returns a limit in the range of the database's integers. No zone has as many certificates.
fn stored(limit: u64) -> u64 {
    limit.min(i64::MAX as u64)
}

fn alternative_names(
    body: AlternativeNameSet,
    pointer: &str,
) -> Result<AlternativeNameRules, ApiError> {
    let at = |member: &str| format!("{pointer}/{member}");
    let blocks = of_length(body.ip, at("ip"))?;
    Ok(AlternativeNameRules {
        dns: patterns(of_length(body.dns, at("dns"))?),
        email: patterns(of_length(body.email, at("email"))?),
        uri: patterns(of_length(body.uri, at("uri"))?),
        ip: blocks.into_iter().map(|one| one.0.into_owned()).collect(),
        beyond: body.beyond.map(|beyond| beyond.0).unwrap_or_default(),
    })
}

fn patterns(list: Vec<NamePatternText>) -> Vec<NamePattern> {
    list.into_iter().map(|one| one.0).collect()
}

/// Refuses a list that is too long.
fn of_length<T>(list: Option<Vec<T>>, pointer: String) -> Result<Vec<T>, ApiError> {
    let list = list.unwrap_or_default();
    if list.len() > ENTRIES_MAX {
        let count = list.len();
        let message = format!("there are {count} entries: use at most {ENTRIES_MAX}");
        return Err(ApiError::member(pointer, message));
    }
    Ok(list)
}

/// Refuses a list without entries: "no value" is certainly not the intention, and means "any".
fn not_empty<T>(list: Option<Vec<T>>, pointer: String) -> Result<Vec<T>, ApiError> {
    if list.as_ref().is_some_and(Vec::is_empty) {
        let message = "the list is empty: name at least one value, or omit it for any value";
        return Err(ApiError::member(pointer, message.to_owned()));
    }
    of_length(list, pointer)
}

/// Shows stored rules; `None` if there are none. Corrupt rules permit no name.
pub(crate) fn shown(rules: &StoredRules) -> Option<IssuanceRuleSet> {
    let rules = match rules {
        StoredRules::Absent => return None,
        StoredRules::Known(rules) => rules,
        StoredRules::Corrupt(_) => {
            return Some(IssuanceRuleSet {
                common_names: Some(Vec::new()),
                ..IssuanceRuleSet::default()
            });
        }
    };
    fn list<T: Clone, U>(values: &[T], shown: fn(T) -> U) -> Option<Vec<U>> {
        (!values.is_empty()).then(|| values.iter().cloned().map(shown).collect())
    }
    let names = |names: &AlternativeNameRules| AlternativeNameSet {
        dns: list(&names.dns, NamePatternText),
        email: list(&names.email, NamePatternText),
        uri: list(&names.uri, NamePatternText),
        ip: list(&names.ip, |block| AddressBlockText(Cow::Owned(block))),
        beyond: Some(BeyondName(names.beyond)),
    };
    Some(IssuanceRuleSet {
        common_names: list(&rules.common_names, NamePatternText),
        required_attributes: list(&rules.required_attributes, SubjectAttributeName),
        forbidden_attributes: list(&rules.forbidden_attributes, SubjectAttributeName),
        key_types: list(&rules.key_types, KeyTypeName),
        max_lifetime: rules.lifetime_max.map(LifetimeValue),
        certificates_per_day: rules.certificates_per_day,
        active_per_name: rules.active_per_name,
        alternative_names: rules.alternative_names.as_ref().map(names),
        enrolment: (rules.enrolment != EnrolmentRules::default()).then(|| EnrolmentRuleSet {
            lifetime: rules.enrolment.lifetime.map(LifetimeValue),
            trusted_cas: list(&rules.enrolment.trusted_cas, Uuid::from),
            revoke_replaced_after: rules.enrolment.revoke_replaced_after.map(LifetimeValue),
        }),
    })
}
