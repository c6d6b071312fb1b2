//! `/user/tokens`

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;

use certgate_model::{PermissionGroup, Resource};
use serde::de::{self, Deserializer, MapAccess, Unexpected, Visitor};
use serde::{Deserialize, Serialize, Serializer};
use utoipa::ToSchema;

use crate::scalars::read_text;
use crate::{AddressBlockText, EffectName, Id, IssuanceRuleSet, Time, TokenStateName, TokenStatus};

/// An API token.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Token<'a> {
    /// ID.
    pub id: Id,
    /// Name.
    pub name: Cow<'a, str>,
    /// State.
    pub status: TokenStatus,
    /// Time of creation.
    pub issued_on: Time,
    /// Time of the last change.
    pub modified_on: Time,
    /// Recorded at most once a minute; absent for a token that was never used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_used_on: Option<Time>,
    /// The token does not work before this time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Time>,
    /// The token does not work from this time on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_on: Option<Time>,
    /// Permissions.
    pub policies: Vec<TokenPolicy<'a>>,
    /// Absent for a token that works from every address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub condition: Option<TokenCondition<'a>>,
    /// Limits on the certificates that the token issues; absent for a token without such limits.
    /// Not part of Cloudflare's API.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issuance_rules: Option<IssuanceRuleSet>,
    /// The secret value; only in the answer to the request that creates the token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<Cow<'a, str>>,
}

/// A policy of a token.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct TokenPolicy<'a> {
    /// ID.
    pub id: Cow<'a, str>,
    /// Effect.
    pub effect: EffectName,
    /// Permissions.
    pub permission_groups: Vec<PermissionGroupName<'a>>,
    /// Names of resources, each with `*`, or the name of an account with an object of its zones.
    #[schema(value_type = Object)]
    pub resources: BTreeMap<ResourceName, ResourceValue>,
}

/// A permission group by ID and name.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct PermissionGroupName<'a> {
    /// ID.
    pub id: Cow<'a, str>,
    /// Name.
    pub name: Cow<'a, str>,
}

/// The addresses under both names: Cloudflare's reference has `request.ip`, its SDKs `request_ip`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TokenCondition<'a> {
    /// The addresses that the token works from.
    #[serde(rename = "request.ip", skip_serializing_if = "Option::is_none")]
    pub request_ip: Option<TokenAddresses<'a>>,
    /// The same addresses.
    #[serde(rename = "request_ip", skip_serializing_if = "Option::is_none")]
    pub request_ip_of_sdks: Option<TokenAddresses<'a>>,
}

/// Addresses, and blocks in CIDR notation.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TokenAddresses<'a> {
    /// Addresses that the token works from; absent: every address.
    #[serde(rename = "in", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<String>>)]
    pub allowed: Option<Vec<AddressBlockText<'a>>>,
    /// Addresses that the token does not work from.
    #[serde(rename = "not_in", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<String>>)]
    pub refused: Option<Vec<AddressBlockText<'a>>>,
}

/// The answer of `/user/tokens/verify`.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct TokenVerification {
    /// ID of the token.
    pub id: Id,
    /// State of the token.
    pub status: TokenStatus,
    /// The token does not work before this time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Time>,
    /// The token does not work from this time on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_on: Option<Time>,
}

/// A permission group that a policy can name.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct PermissionGroupEntry<'a> {
    /// ID.
    pub id: Cow<'a, str>,
    /// Name.
    pub name: Cow<'a, str>,
    /// The kinds of resource that it applies to.
    pub scopes: Vec<Cow<'a, str>>,
}

/// A token to create, or the new content of a token.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct CreateToken<'a> {
    /// At most 100 characters.
    #[schema(value_type = String, min_length = 1, max_length = 100)]
    pub name: Cow<'a, str>,
    /// Default: `active`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<TokenStateName>,
    /// Permissions, at least one policy.
    #[schema(min_items = 1, max_items = 100)]
    pub policies: Vec<CreatePolicy<'a>>,
    /// Absent: the token works from every address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub condition: Option<TokenCondition<'a>>,
    /// The token does not work before this time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Time>,
    /// The token does not work from this time on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_on: Option<Time>,
    /// Limits on the certificates that the token issues. Absent: none for a new token, and those
    /// that a token has stay. `{}` removes them. Not part of Cloudflare's API.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issuance_rules: Option<IssuanceRuleSet>,
}

/// A policy of a token to create.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct CreatePolicy<'a> {
    /// The ID from an earlier answer, which stays; any other text is ignored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<Cow<'a, str>>,
    /// Effect.
    pub effect: EffectName,
    /// Permissions.
    #[schema(min_items = 1, max_items = 100)]
    pub permission_groups: Vec<PermissionGroupReference>,
    /// Names of resources, each with `*`, or the name of an account with an object of its zones.
    #[schema(value_type = Object)]
    pub resources: BTreeMap<ResourceName, ResourceValue>,
}

/// A permission group by ID, in a request.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
pub struct PermissionGroupReference {
    /// ID.
    #[schema(value_type = Id)]
    pub id: PermissionGroupId,
}

/// The ID of a permission group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PermissionGroupId(pub PermissionGroup);

impl Serialize for PermissionGroupId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.id())
    }
}

impl<'de> Deserialize<'de> for PermissionGroupId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let expected = "an ID of GET /user/tokens/permission_groups";
        read_text(deserializer, expected, |id| id.parse().ok().map(Self))
    }
}

/// The name of a resource, such as `com.cloudflare.api.account.*`. Names are ordered as texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResourceName(pub Resource);

impl fmt::Display for ResourceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Ord for ResourceName {
    fn cmp(&self, other: &Self) -> Ordering {
        self.to_string().cmp(&other.to_string())
    }
}

impl PartialOrd for ResourceName {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Serialize for ResourceName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for ResourceName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let unknown = "is not a resource: send a name such as com.cloudflare.api.account.zone.*";
        let name = String::deserialize(deserializer)?;
        let resource = name.parse().map_err(|_| de::Error::custom(unknown))?;
        Ok(Self(resource))
    }
}

/// The value of a resource in a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ResourceValue {
    /// `*`: the resource itself.
    Itself,
    /// An object of zones: these zones of the account.
    Zones(BTreeMap<ResourceName, Star>),
}

/// `*`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Star;

impl Serialize for Star {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("*")
    }
}

impl<'de> Deserialize<'de> for Star {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        read_text(deserializer, "\"*\"", |text| (text == "*").then_some(Self))
    }
}

impl Serialize for ResourceValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Itself => Star.serialize(serializer),
            Self::Zones(zones) => zones.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for ResourceValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ResourceVisitor;
        impl<'de> Visitor<'de> for ResourceVisitor {
            type Value = ResourceValue;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("\"*\", or for an account an object of its zones")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<ResourceValue, E> {
                match text {
                    "*" => Ok(ResourceValue::Itself),
                    _ => Err(E::invalid_value(Unexpected::Str(text), &self)),
                }
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<ResourceValue, A::Error> {
                let mut zones = BTreeMap::new();
                while let Some((name, star)) = map.next_entry()? {
                    zones.insert(name, star);
                }
                Ok(ResourceValue::Zones(zones))
            }
        }
        deserializer.deserialize_any(ResourceVisitor)
    }
}
