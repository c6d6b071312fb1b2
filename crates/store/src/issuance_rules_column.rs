//! The column of issuance rules, of a zone or a token: JSON with its version and its digest in
//! every database.

use std::sync::Arc;

use certgate_model::{
    AddressBlock, AlternativeNameRules, BeyondRules, EnrolmentRules, IssuanceRules, Lifetime,
    NamePattern, StoredRules,
};
use serde::{Deserialize, Serialize};

use crate::StoreError;
use crate::seal::short_digest;

/// The version of the text. A program that does not know a version cannot apply its rules, so it
/// issues nothing under them.
const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Column {
    version: u32,
    rules: RulesRow,
    /// The digest of `rules`: the row's own digest leaves out the column, because programs of
    /// earlier versions do not know it.
    digest: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RulesRow {
    common_names: Vec<String>,
    required_attributes: Vec<String>,
    forbidden_attributes: Vec<String>,
    key_types: Vec<String>,
    max_lifetime: Option<u64>,
    certificates_per_day: Option<u64>,
    active_per_name: Option<u64>,
    alternative_names: Option<AlternativeNamesRow>,
    /// Absent without such rules, so that earlier programs read the others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    enrolment: Option<EnrolmentRow>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct EnrolmentRow {
    lifetime: Option<u64>,
    trusted_cas: Vec<String>,
    revoke_replaced_after: Option<u64>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct AlternativeNamesRow {
    dns: Vec<String>,
    email: Vec<String>,
    uri: Vec<String>,
    ip: Vec<AddressBlockRow>,
    beyond: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct AddressBlockRow {
    text: String,
    address: std::net::IpAddr,
    prefix_length: u8,
}

/// Returns the column of these rules. The text of corrupt rules stays.
pub(crate) fn text(rules: &StoredRules) -> Result<Option<String>, StoreError> {
    let rules = match rules {
        StoredRules::Absent => return Ok(None),
        StoredRules::Corrupt(text) => return Ok(Some(text.clone())),
        StoredRules::Known(rules) => RulesRow::from(&**rules),
    };
    let json = |error: serde_json::Error| StoreError::Conflict(error.to_string());
    let column = Column {
        version: VERSION,
        digest: digest(&rules).map_err(json)?,
        rules,
    };
    serde_json::to_string(&column).map(Some).map_err(json)
}

/// Reads the column.
pub(crate) fn rules(text: Option<String>) -> StoredRules {
    let Some(text) = text else {
        return StoredRules::Absent;
    };
    match read(&text) {
        Some(rules) => StoredRules::Known(Arc::new(rules)),
        None => StoredRules::Corrupt(text),
    }
}

fn digest(rules: &RulesRow) -> Result<String, serde_json::Error> {
    serde_json::to_string(rules).map(|json| short_digest(json.as_bytes()))
}

/// Returns the rules; `None` if the text is corrupt, or of a later version.
fn read(text: &str) -> Option<IssuanceRules> {
    let Column {
        version,
        rules,
        digest: stored,
    } = serde_json::from_str(text).ok()?;
    if version != VERSION || digest(&rules).ok()? != stored {
        return None;
    }
    Some(IssuanceRules {
        common_names: all(&rules.common_names)?,
        required_attributes: all(&rules.required_attributes)?,
        forbidden_attributes: all(&rules.forbidden_attributes)?,
        key_types: all(&rules.key_types)?,
        lifetime_max: lifetime(rules.max_lifetime)?,
        certificates_per_day: rules.certificates_per_day,
        active_per_name: rules.active_per_name,
        alternative_names: match rules.alternative_names {
            Some(names) => Some(names.read()?),
            None => None,
        },
        enrolment: match rules.enrolment {
            Some(enrolment) => enrolment.read()?,
            None => EnrolmentRules::default(),
        },
    })
}

/// Reads a lifetime. The outer `None`: it is corrupt.
fn lifetime(seconds: Option<u64>) -> Option<Option<Lifetime>> {
    match seconds {
        Some(seconds) => Lifetime::of_seconds(seconds).ok().map(Some),
        None => Some(None),
    }
}

fn all<T: std::str::FromStr>(texts: &[String]) -> Option<Vec<T>> {
    texts.iter().map(|text| text.parse().ok()).collect()
}

fn texts(values: &[impl ToString]) -> Vec<String> {
    values.iter().map(ToString::to_string).collect()
}

impl From<&IssuanceRules> for RulesRow {
    fn from(rules: &IssuanceRules) -> Self {
        Self {
            common_names: texts(&rules.common_names),
            required_attributes: texts(&rules.required_attributes),
            forbidden_attributes: texts(&rules.forbidden_attributes),
            key_types: texts(&rules.key_types),
            max_lifetime: rules.lifetime_max.map(|max| max.seconds().into()),
            certificates_per_day: rules.certificates_per_day,
            active_per_name: rules.active_per_name,
            alternative_names: rules.alternative_names.as_ref().map(Into::into),
            enrolment: (rules.enrolment != EnrolmentRules::default())
                .then(|| (&rules.enrolment).into()),
        }
    }
}

impl From<&EnrolmentRules> for EnrolmentRow {
    fn from(rules: &EnrolmentRules) -> Self {
        let seconds = |lifetime: Lifetime| lifetime.seconds().into();
        Self {
            lifetime: rules.lifetime.map(seconds),
            trusted_cas: texts(&rules.trusted_cas),
            revoke_replaced_after: rules.revoke_replaced_after.map(seconds),
        }
    }
}

impl EnrolmentRow {
    fn read(self) -> Option<EnrolmentRules> {
        Some(EnrolmentRules {
            lifetime: lifetime(self.lifetime)?,
            trusted_cas: all(&self.trusted_cas)?,
            revoke_replaced_after: lifetime(self.revoke_replaced_after)?,
        })
    }
}

impl From<&AlternativeNameRules> for AlternativeNamesRow {
    fn from(names: &AlternativeNameRules) -> Self {
        let row = |block: &AddressBlock| AddressBlockRow {
            text: block.text.clone(),
            address: block.address,
            prefix_length: block.prefix_length,
        };
        Self {
            dns: texts(&names.dns),
            email: texts(&names.email),
            uri: texts(&names.uri),
            ip: names.ip.iter().map(row).collect(),
            beyond: names.beyond.name().to_owned(),
        }
    }
}

impl AlternativeNamesRow {
    fn read(self) -> Option<AlternativeNameRules> {
        let block = |row: AddressBlockRow| {
            let bits = if row.address.is_ipv4() { 32 } else { 128 };
            (row.prefix_length <= bits).then_some(AddressBlock {
                text: row.text,
                address: row.address,
                prefix_length: row.prefix_length,
            })
        };
        Some(AlternativeNameRules {
            dns: all::<NamePattern>(&self.dns)?,
            email: all(&self.email)?,
            uri: all(&self.uri)?,
            ip: self.ip.into_iter().map(block).collect::<Option<_>>()?,
            beyond: BeyondRules::from_name(&self.beyond)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use certgate_model::MtlsCertificateId;

    use super::*;

    fn example() -> IssuanceRules {
        IssuanceRules {
            common_names: vec!["build-*".parse().unwrap()],
            required_attributes: vec!["organization".parse().unwrap()],
            forbidden_attributes: vec!["2.5.4.97".parse().unwrap()],
            key_types: vec!["P-256".parse().unwrap(), "RSA-3072".parse().unwrap()],
            lifetime_max: Some("8h".parse().unwrap()),
            certificates_per_day: Some(10),
            active_per_name: Some(2),
            alternative_names: Some(AlternativeNameRules {
                dns: vec!["*.example.com".parse().unwrap()],
                ip: vec![AddressBlock {
                    text: "10.0.0.0/8".to_owned(),
                    address: "10.0.0.0".parse().unwrap(),
                    prefix_length: 8,
                }],
                beyond: BeyondRules::Reject,
                ..AlternativeNameRules::default()
            }),
            enrolment: EnrolmentRules {
                lifetime: Some("8h".parse().unwrap()),
                trusted_cas: vec![MtlsCertificateId::from_bytes([7; 16])],
                revoke_replaced_after: Some("1d".parse().unwrap()),
            },
        }
    }

    #[test]
    fn rules_round_trip_and_corrupt_text_stays() {
        for known in [example(), IssuanceRules::default()] {
            let known = StoredRules::Known(Arc::new(known));
            assert_eq!(rules(text(&known).unwrap()), known);
        }
        assert_eq!(
            rules(text(&StoredRules::Absent).unwrap()),
            StoredRules::Absent
        );
        let corrupt = StoredRules::Corrupt("{".to_owned());
        assert_eq!(rules(text(&corrupt).unwrap()), corrupt);
    }

    #[test]
    fn each_changed_octet_of_the_text_makes_the_rules_unusable() {
        let known = StoredRules::Known(Arc::new(example()));
        let whole = text(&known).unwrap().unwrap();
        for at in 0..whole.len() {
            for bit in 0..7 {
                let mut octets = whole.clone().into_bytes();
                octets[at] ^= 1 << bit;
                let changed = String::from_utf8(octets).unwrap();
                let read = rules(Some(changed.clone()));
                assert!(
                    read == StoredRules::Corrupt(changed),
                    "octet {at}, bit {bit}"
                );
            }
        }
        let later = whole.replace("\"version\":1", "\"version\":2");
        assert_eq!(rules(Some(later.clone())), StoredRules::Corrupt(later));
    }
}
