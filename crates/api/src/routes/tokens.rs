//! `/user/tokens`

use std::net::IpAddr;

use axum::extract::{RawQuery, State};
use axum::response::Response;
use certgate_model::{
    AddressBlock, Effect, PermissionGroup, Policy, Resource, Scope, Timestamp, TokenState,
};
use certgate_service::{ManageTokens, ReadTokens, TokenDraft, UserScope};
use serde_json::Value;

use crate::body::{JsonBody, Object};
use crate::error::ApiError;
use crate::extract::{ScopeOf, TokenPath};
use crate::openapi::{Answer, CreateToken, PageAnswer};
use crate::query::Query;
use crate::wire::{Deleted, PermissionGroupEntry, Token};
use crate::{Api, envelope};

/// List API tokens
#[utoipa::path(
    get,
    path = "/client/v4/user/tokens",
    tag = "API tokens",
    operation_id = "user-api-tokens-list-tokens",
    params(
        ("page" = Option<u64>, Query, description = "From 1", minimum = 1, maximum = 9_007_199_254_740_991_u64),
        ("per_page" = Option<u64>, Query, description = "Page size; default 20", minimum = 5, maximum = 50),
    ),
    responses((status = 200, description = "A page of tokens, oldest first", body = PageAnswer<Token<'static>>)),
)]
pub(crate) async fn list(
    State(api): State<Api>,
    _: ScopeOf<UserScope<ReadTokens>>,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    let asked = Query::parse(query.as_deref())?.page()?;
    let page = api.store.tokens(asked.slice).await?;
    let now = api.clock.now();
    envelope::list(asked, &page, |token| Token::at(now, token))
}

/// Create an API token
///
/// The only answer that holds its `value`. A token cannot grant what the token that makes it does not have.
#[utoipa::path(
    post,
    path = "/client/v4/user/tokens",
    tag = "API tokens",
    operation_id = "user-api-tokens-create-token",
    request_body = CreateToken,
    responses((status = 200, description = "The new token with its value", body = Answer<Token<'static>>)),
)]
pub(crate) async fn create(
    State(api): State<Api>,
    ScopeOf(scope): ScopeOf<UserScope<ManageTokens>>,
    body: JsonBody,
) -> Result<Response, ApiError> {
    let (token, value) = api
        .service
        .tokens
        .create(&scope, draft(&body.object())?)
        .await?;
    envelope::one(Token::at(api.clock.now(), &token).with_value(value.expose()))
}

/// Get an API token
#[utoipa::path(
    get,
    path = "/client/v4/user/tokens/{token_id}",
    tag = "API tokens",
    operation_id = "user-api-tokens-token-details",
    params(("token_id" = String, Path, description = "32 hex digits")),
    responses((status = 200, description = "The token", body = Answer<Token<'static>>)),
)]
pub(crate) async fn get(
    State(api): State<Api>,
    ScopeOf(scope): ScopeOf<UserScope<ReadTokens>>,
    TokenPath(id): TokenPath,
) -> Result<Response, ApiError> {
    let token = api
        .store
        .token(id)
        .await?
        .filter(|token| token.user == scope.user().id);
    let token = token.ok_or(certgate_service::TokenError::NotFound)?;
    envelope::one(Token::at(api.clock.now(), &token))
}

/// Replace an API token
///
/// Its value stays.
#[utoipa::path(
    put,
    path = "/client/v4/user/tokens/{token_id}",
    tag = "API tokens",
    operation_id = "user-api-tokens-update-token",
    params(("token_id" = String, Path, description = "32 hex digits")),
    request_body = CreateToken,
    responses((status = 200, description = "The token", body = Answer<Token<'static>>)),
)]
pub(crate) async fn update(
    State(api): State<Api>,
    ScopeOf(scope): ScopeOf<UserScope<ManageTokens>>,
    TokenPath(id): TokenPath,
    body: JsonBody,
) -> Result<Response, ApiError> {
    let token = api
        .service
        .tokens
        .update(&scope, id, draft(&body.object())?)
        .await?;
    envelope::one(Token::at(api.clock.now(), &token))
}

/// Delete an API token
///
/// It stops working at once.
#[utoipa::path(
    delete,
    path = "/client/v4/user/tokens/{token_id}",
    tag = "API tokens",
    operation_id = "user-api-tokens-delete-token",
    params(("token_id" = String, Path, description = "32 hex digits")),
    responses((status = 200, description = "The id of the deleted token", body = Answer<Deleted>)),
)]
pub(crate) async fn delete(
    State(api): State<Api>,
    ScopeOf(scope): ScopeOf<UserScope<ManageTokens>>,
    TokenPath(id): TokenPath,
) -> Result<Response, ApiError> {
    api.service.tokens.delete(&scope, id).await?;
    envelope::one(Deleted { id: id.to_string() })
}

/// Roll an API token
///
/// A new value; the old one stops working at once.
#[utoipa::path(
    put,
    path = "/client/v4/user/tokens/{token_id}/value",
    tag = "API tokens",
    operation_id = "user-api-tokens-roll-token",
    params(("token_id" = String, Path, description = "32 hex digits")),
    responses((status = 200, description = "The new value", body = Answer<String>)),
)]
pub(crate) async fn roll(
    State(api): State<Api>,
    ScopeOf(scope): ScopeOf<UserScope<ManageTokens>>,
    TokenPath(id): TokenPath,
) -> Result<Response, ApiError> {
    let value = api.service.tokens.roll(&scope, id).await?;
    envelope::one(value.expose())
}

/// List permission groups
#[utoipa::path(
    get,
    path = "/client/v4/user/tokens/permission_groups",
    tag = "API tokens",
    operation_id = "permission-groups-list-permission-groups",
    params(
        ("name" = Option<String>, Query, description = "Only the one of this name"),
        ("scope" = Option<String>, Query, description = "Only those that apply to this kind of resource"),
    ),
    responses((status = 200, description = "The permission groups", body = Answer<Vec<PermissionGroupEntry>>)),
)]
pub(crate) async fn permission_groups(
    _: ScopeOf<UserScope<ReadTokens>>,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    let query = Query::parse(query.as_deref())?;
    let (name, scope) = (query.one("name")?, query.one("scope")?);
    let matches = |group: &PermissionGroup| {
        name.is_none_or(|name| group.name().eq_ignore_ascii_case(name))
            && scope.is_none_or(|scope| group.scope().name() == scope)
    };
    let groups: Vec<_> = PermissionGroup::ALL
        .into_iter()
        .filter(matches)
        .map(PermissionGroupEntry::from)
        .collect();
    envelope::one(groups)
}

fn draft(body: &Object<'_>) -> Result<TokenDraft, ApiError> {
    let state = match body.optional_string("status")? {
        None | Some("active") => TokenState::Active,
        Some("disabled") => TokenState::Disabled,
        Some(_) => {
            return Err(ApiError::member(
                "/status",
                "status is unknown: use active or disabled".to_owned(),
            ));
        }
    };
    let (mut allowed_addresses, mut refused_addresses) = (Vec::new(), Vec::new());
    if let Some(condition) = body.optional_object("condition")? {
        only_members(&condition, &REQUEST_IP)?;
        // The reference says the one, the official SDKs the other; our answers have both, and come back with both.
        let [first, second] = REQUEST_IP.map(|name| condition.value(name));
        if first.is_some() && second.is_some() && first != second {
            let message =
                "request.ip and request_ip are the same condition and differ: send one of them";
            return Err(ApiError::member(
                condition.pointer(REQUEST_IP[1]),
                message.to_owned(),
            ));
        }
        for name in REQUEST_IP {
            if let Some(addresses) = condition.optional_object(name)? {
                only_members(&addresses, &["in", "not_in"])?;
                allowed_addresses = address_blocks(&addresses, "in")?;
                // Nowhere would be of no use, and anywhere is not what somebody meant who made a list of addresses.
                if allowed_addresses.is_empty() && addresses.value("in").is_some() {
                    let message =
                        "in is empty: name at least one address, or leave it out for any address";
                    return Err(ApiError::member(
                        addresses.pointer("in"),
                        message.to_owned(),
                    ));
                }
                refused_addresses = address_blocks(&addresses, "not_in")?;
            }
        }
    }
    Ok(TokenDraft {
        name: body.string("name")?.to_owned(),
        state,
        policies: body
            .objects("policies")?
            .iter()
            .map(policy)
            .collect::<Result<_, _>>()?,
        allowed_addresses,
        refused_addresses,
        not_before: instant(body, "not_before")?,
        expires_on: instant(body, "expires_on")?,
    })
}

/// The two names of the condition on addresses.
const REQUEST_IP: [&str; 2] = ["request.ip", "request_ip"];

/// Refuses any other member: a condition that is misspelt must not become no condition.
fn only_members(object: &Object<'_>, known: &[&str]) -> Result<(), ApiError> {
    match object
        .members()
        .find(|(name, _)| !known.contains(&name.as_str()))
    {
        None => Ok(()),
        Some((name, _)) => {
            let message = format!("unknown condition: use {}", known.join(" or "));
            Err(ApiError::member(object.pointer(name), message))
        }
    }
}

fn policy(policy: &Object<'_>) -> Result<Policy, ApiError> {
    let effect = match policy.string("effect")? {
        "allow" => Effect::Allow,
        "deny" => Effect::Deny,
        _ => {
            let message = "effect is unknown: use allow or deny".to_owned();
            return Err(ApiError::member(policy.pointer("effect"), message));
        }
    };
    let group = |group: &Object<'_>| -> Result<PermissionGroup, ApiError> {
        let id = group.string("id")?;
        id.parse()
            .map_err(|error| ApiError::member(group.pointer("id"), format!("{error}")))
    };
    let permission_groups = policy
        .objects("permission_groups")?
        .iter()
        .map(group)
        .collect::<Result<Vec<_>, _>>()?;
    let resources = match policy.optional_object("resources")? {
        Some(object) => resources(&object)?,
        None => return Err(policy.missing("resources", "an object of resource names")),
    };
    // A permission that meets no resource of its kind would grant nothing; that is never what was meant.
    for group in &permission_groups {
        if !resources
            .iter()
            .any(|resource| applies(group.scope(), *resource))
        {
            let message = format!(
                "{} applies to {}: name such a resource",
                group.name(),
                group.scope().name()
            );
            return Err(ApiError::member(policy.pointer("resources"), message));
        }
    }
    // An id that was given by an earlier answer is kept, anything else is ignored.
    let id = policy
        .optional_string("id")?
        .filter(|id| id.parse::<certgate_model::TokenId>().is_ok());
    Ok(Policy {
        id: id.unwrap_or_default().to_owned(),
        effect,
        permission_groups,
        resources,
    })
}

fn applies(scope: Scope, resource: Resource) -> bool {
    match scope {
        Scope::User => matches!(resource, Resource::User(_)),
        Scope::Account => matches!(resource, Resource::Account(_) | Resource::AllAccounts),
        Scope::Zone => !matches!(resource, Resource::User(_)),
    }
}

fn resources(object: &Object<'_>) -> Result<Vec<Resource>, ApiError> {
    let mut resources = Vec::new();
    for (name, value) in object.members() {
        let refuse = |message: String| ApiError::member(object.pointer(name), message);
        let resource: Resource = name.parse().map_err(|error| refuse(format!("{error}")))?;
        match (resource, value) {
            (_, Value::String(all)) if all == "*" => resources.push(resource),
            (Resource::Account(account), Value::Object(nested)) if !nested.is_empty() => {
                for (name, value) in nested {
                    match name.parse() {
                        Ok(Resource::AllZones) if value == "*" => {
                            resources.push(Resource::ZonesOfAccount(account));
                        }
                        Ok(zone @ Resource::Zone(_)) if value == "*" => resources.push(zone),
                        _ => {
                            let message = r#"an account's object holds zones, each with "*""#;
                            return Err(refuse(message.to_owned()));
                        }
                    }
                }
            }
            _ => return Err(refuse(r#"the value of a resource is "*""#.to_owned())),
        }
    }
    Ok(resources)
}

fn address_blocks(addresses: &Object<'_>, name: &str) -> Result<Vec<AddressBlock>, ApiError> {
    let read =
        |(index, value): (usize, &Value)| {
            value.as_str().and_then(address_block).ok_or_else(|| {
            let message =
                "not an address or a block in CIDR notation such as 192.0.2.0/24 or 2001:db8::/32";
            ApiError::member(format!("{}/{index}", addresses.pointer(name)), message.to_owned())
        })
        };
    addresses
        .array(name)?
        .iter()
        .enumerate()
        .map(read)
        .collect()
}

fn address_block(text: &str) -> Option<AddressBlock> {
    let (address, length) = match text.split_once('/') {
        Some((address, length)) => (address, Some(length)),
        None => (text, None),
    };
    let address: IpAddr = address.parse().ok()?;
    let full = if address.is_ipv4() { 32 } else { 128 };
    let prefix_length = match length {
        None => full,
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => digits.parse().ok()?,
        Some(_) => return None,
    };
    if prefix_length > full {
        return None;
    }
    // Addresses are compared as IPv4 where they are IPv4-mapped (RFC 4291 §2.5.5.2), so blocks are as well. A block of IPv6
    // that is larger than all of IPv4 matches no IPv4 client.
    let (address, prefix_length) = match address.to_canonical() {
        mapped if mapped != address && prefix_length >= 96 => (mapped, prefix_length - 96),
        _ => (address, prefix_length),
    };
    Some(AddressBlock {
        text: text.to_owned(),
        address,
        prefix_length,
    })
}

fn instant(body: &Object<'_>, name: &str) -> Result<Option<Timestamp>, ApiError> {
    let read = |text: &str| {
        text.parse()
            .map_err(|error| ApiError::member(body.pointer(name), format!("{name} is {error}")))
    };
    body.optional_string(name)?.map(read).transpose()
}
