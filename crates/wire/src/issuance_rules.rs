//! `/certgate/v1/zones/{zone_id}/issuance_rules`, and the member `issuance_rules` of a token

use std::fmt;

use certgate_model::{BeyondRules, KeyType, Lifetime, NamePattern, SubjectAttribute};
use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize, Serializer};
use utoipa::ToSchema;

use crate::scalars::read_text;
use crate::{AddressBlockText, Uuid};

/// Limits on certificates. An absent rule limits nothing, except that certificates have no subject
/// alternative names unless the rules of the zone permit them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct IssuanceRuleSet {
    /// Patterns of common names, such as `build-*`: `*` stands for any text. Empty in an answer:
    /// the stored rules are corrupt, and nothing is issued.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<String>>, max_items = 100)]
    pub common_names: Option<Vec<NamePatternText>>,
    /// Attributes that the subject must have, such as `organization` or an object identifier.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<String>>, max_items = 100)]
    pub required_attributes: Option<Vec<SubjectAttributeName>>,
    /// Attributes that the subject must not have.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<String>>, max_items = 100)]
    pub forbidden_attributes: Option<Vec<SubjectAttributeName>>,
    /// Types of keys: `RSA` of any accepted size, or `RSA-3072` and so on, `P-256`, `P-384`,
    /// `P-521`, `Ed25519`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<String>>, max_items = 100)]
    pub key_types: Option<Vec<KeyTypeName>>,
    /// Longest time from the start to the end of a certificate, in seconds. A request can have a
    /// text such as `90d` or `8h`. The last day of `validity_days` is shortened to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u64>, minimum = 3600)]
    pub max_lifetime: Option<LifetimeValue>,
    /// Maximum number of certificates of a day in UTC, counted from the moment of the rule on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificates_per_day: Option<u64>,
    /// Maximum number of certificates of a common name in the zone that are active and have not
    /// expired, in any letter case.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub active_per_name: Option<u64>,
    /// Subject alternative names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alternative_names: Option<AlternativeNameSet>,
    /// Certificates of clients without a token (EST). Only zones have these rules.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enrolment: Option<EnrolmentRuleSet>,
}

/// The certificates that clients get without a token.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EnrolmentRuleSet {
    /// Lifetime in seconds. A request can have a text such as `8h`. Absent: that of the certificate
    /// that is renewed, and 90 days for the first one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u64>, minimum = 3600)]
    pub lifetime: Option<LifetimeValue>,
    /// IDs of uploaded CAs. A client with a certificate of one of them enrols under the common name
    /// in that certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_items = 10)]
    pub trusted_cas: Option<Vec<Uuid>>,
    /// Time in seconds after which a replaced certificate is revoked as `superseded`. A request can
    /// have a text such as `1d`. Absent: it is not revoked.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<u64>, minimum = 3600)]
    pub revoke_replaced_after: Option<LifetimeValue>,
}

/// The subject alternative names that certificates may have. An absent list permits none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AlternativeNameSet {
    /// Patterns of DNS names, in any letter case.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<String>>, max_items = 100)]
    pub dns: Option<Vec<NamePatternText>>,
    /// Patterns of e-mail addresses.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<String>>, max_items = 100)]
    pub email: Option<Vec<NamePatternText>>,
    /// Patterns of URIs.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<String>>, max_items = 100)]
    pub uri: Option<Vec<NamePatternText>>,
    /// IP addresses, and blocks in CIDR notation.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<String>>, max_items = 100)]
    pub ip: Option<Vec<AddressBlockText<'static>>>,
    /// Every other name of a request: `drop` (the default; `messages` lists them) or `reject`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub beyond: Option<BeyondName>,
}

/// Makes a text in JSON of a type that has a text form.
macro_rules! parsed {
    ($(#[$doc:meta])* $name:ident($model:ty), $expected:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct $name(pub $model);

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                read_text(deserializer, $expected, |text| text.parse().ok().map(Self))
            }
        }
    };
}

parsed!(
    /// A pattern of names.
    NamePatternText(NamePattern),
    "a pattern such as build-*, of 1 to 255 characters without control characters"
);
parsed!(
    /// A type of subject attribute.
    SubjectAttributeName(SubjectAttribute),
    "common_name, country, state, location, organization, organizational_unit, email_address, \
     serial_number, title, given_name, surname, user_id, domain_component, or an object identifier \
     such as 2.5.4.97"
);
parsed!(
    /// A type of key.
    KeyTypeName(KeyType),
    "RSA, RSA-2048 (or another number of bits), P-256, P-384, P-521 or Ed25519"
);

/// The treatment of names that no pattern permits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BeyondName(pub BeyondRules);

impl Serialize for BeyondName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.name())
    }
}

impl<'de> Deserialize<'de> for BeyondName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let parse = |text: &str| BeyondRules::from_name(text).map(Self);
        read_text(deserializer, "drop or reject", parse)
    }
}

/// A lifetime: seconds in an answer, and seconds or a text such as `90d` in a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LifetimeValue(pub Lifetime);

impl Serialize for LifetimeValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u32(self.0.seconds())
    }
}

impl<'de> Deserialize<'de> for LifetimeValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct LifetimeVisitor;
        impl Visitor<'_> for LifetimeVisitor {
            type Value = LifetimeValue;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(
                    "a time of at least 1 hour: text such as \"8h\" or \"90d\", or whole minutes in \
                     seconds",
                )
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<LifetimeValue, E> {
                let wrong = || E::invalid_value(de::Unexpected::Str(text), &self);
                text.parse().map(LifetimeValue).map_err(|_| wrong())
            }

            fn visit_i64<E: de::Error>(self, seconds: i64) -> Result<LifetimeValue, E> {
                match u64::try_from(seconds) {
                    Ok(seconds) => self.visit_u64(seconds),
                    Err(_) => Err(E::invalid_value(de::Unexpected::Signed(seconds), &self)),
                }
            }

            fn visit_u64<E: de::Error>(self, seconds: u64) -> Result<LifetimeValue, E> {
                let wrong = || E::invalid_value(de::Unexpected::Unsigned(seconds), &self);
                let lifetime = Lifetime::of_seconds(seconds);
                lifetime.map(LifetimeValue).map_err(|_| wrong())
            }
        }
        deserializer.deserialize_any(LifetimeVisitor)
    }
}
