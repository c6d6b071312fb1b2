//! API tokens, what they may do and where from.

use std::collections::BTreeMap;

use certgate_model::{
    AddressBlock, Effect, PermissionGroup, Resource, Timestamp, TokenRecord, TokenState,
};
use serde::Serialize;
use utoipa::ToSchema;

use super::Instant;

/// An API token.
#[derive(Serialize, ToSchema)]
pub(crate) struct Token<'a> {
    /// 32 lower-case hex digits.
    id: String,
    name: &'a str,
    /// `active`, `disabled` or `expired`.
    status: &'static str,
    #[schema(value_type = String, format = DateTime)]
    issued_on: Instant,
    #[schema(value_type = String, format = DateTime)]
    modified_on: Instant,
    /// Recorded at most once a minute; absent for a token that was never used.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    last_used_on: Option<Instant>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    not_before: Option<Instant>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_on: Option<Instant>,
    policies: Vec<TokenPolicy<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    condition: Option<TokenCondition<'a>>,
    /// The secret value; in the answer that makes the token and nowhere else.
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<&'a str>,
}

#[derive(Serialize, ToSchema)]
struct TokenPolicy<'a> {
    id: &'a str,
    /// `allow` or `deny`.
    effect: &'static str,
    permission_groups: Vec<PermissionGroupName>,
    /// Resource names to `*`, or an account's to an object of its zones.
    #[schema(value_type = Object)]
    resources: BTreeMap<String, ResourceValue>,
}

#[derive(Serialize, ToSchema)]
struct PermissionGroupName {
    id: &'static str,
    name: &'static str,
}

#[derive(Serialize)]
#[serde(untagged)]
enum ResourceValue {
    Everything(&'static str),
    Nested(BTreeMap<String, &'static str>),
}

/// The addresses under both names: the reference and older clients say `request.ip`, the official SDKs `request_ip`.
#[derive(Serialize, ToSchema)]
struct TokenCondition<'a> {
    #[serde(rename = "request.ip")]
    request_ip: TokenAddresses<'a>,
    #[serde(rename = "request_ip")]
    request_ip_of_sdks: TokenAddresses<'a>,
}

#[derive(Clone, Serialize, ToSchema)]
struct TokenAddresses<'a> {
    #[serde(rename = "in", skip_serializing_if = "Vec::is_empty")]
    allowed: Vec<&'a str>,
    #[serde(rename = "not_in", skip_serializing_if = "Vec::is_empty")]
    refused: Vec<&'a str>,
}

impl<'a> Token<'a> {
    /// The token as it is at `now`.
    pub(crate) fn at(now: Timestamp, token: &'a TokenRecord) -> Self {
        let texts = |blocks: &'a [AddressBlock]| {
            blocks.iter().map(|block| &*block.text).collect::<Vec<_>>()
        };
        let (allowed, refused) = (
            texts(&token.allowed_addresses),
            texts(&token.refused_addresses),
        );
        let anywhere = allowed.is_empty() && refused.is_empty();
        let addresses = TokenAddresses { allowed, refused };
        Self {
            id: token.id.to_string(),
            name: &token.name,
            status: token_status(now, token),
            issued_on: Instant(token.issued_on),
            modified_on: Instant(token.modified_on),
            last_used_on: token.last_used_on.map(Instant),
            not_before: token.not_before.map(Instant),
            expires_on: token.expires_on.map(Instant),
            policies: token.policies.iter().map(TokenPolicy::from).collect(),
            condition: (!anywhere).then(|| TokenCondition {
                request_ip: addresses.clone(),
                request_ip_of_sdks: addresses,
            }),
            value: None,
        }
    }

    pub(crate) fn with_value(self, value: &'a str) -> Self {
        Self {
            value: Some(value),
            ..self
        }
    }
}

pub(crate) fn token_status(now: Timestamp, token: &TokenRecord) -> &'static str {
    match token.state {
        TokenState::Disabled => "disabled",
        TokenState::Active if token.expires_on.is_some_and(|end| end <= now) => "expired",
        TokenState::Active => "active",
    }
}

impl<'a> From<&'a certgate_model::Policy> for TokenPolicy<'a> {
    fn from(policy: &'a certgate_model::Policy) -> Self {
        let resource = |resource: &Resource| {
            let value = match resource {
                Resource::ZonesOfAccount(_) => {
                    ResourceValue::Nested(BTreeMap::from([(Resource::AllZones.to_string(), "*")]))
                }
                _ => ResourceValue::Everything("*"),
            };
            (resource.to_string(), value)
        };
        Self {
            id: &policy.id,
            effect: match policy.effect {
                Effect::Allow => "allow",
                Effect::Deny => "deny",
            },
            permission_groups: policy
                .permission_groups
                .iter()
                .map(|group| PermissionGroupName {
                    id: group.id(),
                    name: group.name(),
                })
                .collect(),
            resources: policy.resources.iter().map(resource).collect(),
        }
    }
}

/// What `/user/tokens/verify` says.
#[derive(Serialize, ToSchema)]
pub(crate) struct TokenVerification {
    id: String,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    not_before: Option<Instant>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_on: Option<Instant>,
}

impl TokenVerification {
    pub(crate) fn at(now: Timestamp, token: &TokenRecord) -> Self {
        Self {
            id: token.id.to_string(),
            status: token_status(now, token),
            not_before: token.not_before.map(Instant),
            expires_on: token.expires_on.map(Instant),
        }
    }
}

/// A permission group that a token's policy can name.
#[derive(Serialize, ToSchema)]
pub(crate) struct PermissionGroupEntry {
    id: &'static str,
    name: &'static str,
    scopes: [&'static str; 1],
}

impl From<PermissionGroup> for PermissionGroupEntry {
    fn from(group: PermissionGroup) -> Self {
        Self {
            id: group.id(),
            name: group.name(),
            scopes: [group.scope().name()],
        }
    }
}
