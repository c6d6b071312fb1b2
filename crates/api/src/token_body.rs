//! Checks the rules of a token's body that its struct does not express.

use certgate_model::{
    AddressBlock, Effect, PermissionGroup, Policy, Resource, Scope, TokenState, read_hex,
};
use certgate_service::TokenDraft;
use certgate_wire::{
    AddressBlockText, CreatePolicy, CreateToken, EffectName, ResourceName, ResourceValue,
    TokenAddresses, TokenCondition,
};

use crate::error::ApiError;
use crate::issuance_rules::rules;

/// Returns the token that the body describes.
pub(crate) fn draft(body: CreateToken<'static>) -> Result<TokenDraft, ApiError> {
    let (allowed_addresses, refused_addresses) = match body.condition {
        Some(condition) => addresses(condition)?,
        None => Default::default(),
    };
    let issuance_rules = match body.issuance_rules {
        Some(body) if body.enrolment.is_some() => {
            let message = "only the rules of a zone have it, because clients enrol without a \
                           token: leave it out";
            return Err(ApiError::member(
                "/issuance_rules/enrolment",
                message.to_owned(),
            ));
        }
        Some(body) => Some(rules(body, "/issuance_rules")?.into()),
        None => None,
    };
    let policies = body.policies.into_iter().enumerate();
    Ok(TokenDraft {
        name: body.name.into_owned(),
        state: body.status.map_or(TokenState::Active, TokenState::from),
        policies: policies
            .map(|(index, body)| policy(index, body))
            .collect::<Result<_, _>>()?,
        allowed_addresses,
        refused_addresses,
        not_before: body.not_before.map(|time| time.0),
        issuance_rules,
        expires_on: body.expires_on.map(|time| time.0),
    })
}

/// Returns the allowed and the refused addresses.
fn addresses(
    condition: TokenCondition<'static>,
) -> Result<(Vec<AddressBlock>, Vec<AddressBlock>), ApiError> {
    // Cloudflare's reference has one name and its SDKs the other. Our answers have both, and
    // clients send both back.
    let (name, given) = match (condition.request_ip, condition.request_ip_of_sdks) {
        (Some(first), Some(second)) if first != second => {
            let message = "request.ip and request_ip are the same condition and differ: \
                           send one of them";
            return Err(ApiError::member(
                "/condition/request_ip",
                message.to_owned(),
            ));
        }
        (Some(addresses), _) => ("request.ip", addresses),
        (None, Some(addresses)) => ("request_ip", addresses),
        (None, None) => return Ok(Default::default()),
    };
    let TokenAddresses { allowed, refused } = given;
    // No address at all would be a token without use. All addresses are certainly not the intention
    // of a client that sends a list.
    if allowed.as_ref().is_some_and(Vec::is_empty) {
        let message = "in is empty: name at least one address, or omit in for any address";
        let pointer = format!("/condition/{name}/in");
        return Err(ApiError::member(pointer, message.to_owned()));
    }
    let blocks = |texts: Option<Vec<AddressBlockText<'static>>>| {
        let blocks = texts.unwrap_or_default().into_iter();
        blocks.map(|block| block.0.into_owned()).collect()
    };
    Ok((blocks(allowed), blocks(refused)))
}

fn policy(index: usize, body: CreatePolicy<'static>) -> Result<Policy, ApiError> {
    let pointer = format!("/policies/{index}/resources");
    let groups = body.permission_groups.iter().map(|group| group.id.0);
    let permission_groups: Vec<PermissionGroup> = groups.collect();
    let mut resources = Vec::new();
    for (name, value) in body.resources {
        resources.extend(resource(&pointer, name, value)?);
    }
    // A permission without a resource of its kind would grant nothing, which is never the
    // intention.
    for group in &permission_groups {
        let scope = group.scope();
        if !resources.iter().any(|resource| applies(scope, *resource)) {
            let (name, kind) = (group.name(), scope.name());
            let message = format!("{name} applies to {kind}: name such a resource");
            return Err(ApiError::member(pointer, message));
        }
    }
    // An ID from an earlier answer stays.
    let id = body.id.filter(|id| read_hex::<16>(id).is_some());
    Ok(Policy {
        id: id.unwrap_or_default().into_owned(),
        effect: match body.effect {
            EffectName::Allow => Effect::Allow,
            EffectName::Deny => Effect::Deny,
        },
        permission_groups,
        resources,
    })
}

/// Returns the resources that a member of a policy's `resources` names.
fn resource(
    pointer: &str,
    ResourceName(name): ResourceName,
    value: ResourceValue,
) -> Result<Vec<Resource>, ApiError> {
    let zones = match (name, value) {
        (_, ResourceValue::Itself) => return Ok(vec![name]),
        (Resource::Account(account), ResourceValue::Zones(zones)) if !zones.is_empty() => {
            zones.into_keys().map(move |ResourceName(zone)| match zone {
                Resource::AllZones => Some(Resource::ZonesOfAccount(account)),
                Resource::Zone(_) => Some(zone),
                _ => None,
            })
        }
        (name, ResourceValue::Zones(_)) => {
            let message = format!("{name} has an object that names no zones: send \"*\"");
            return Err(ApiError::member(format!("{pointer}/{name}"), message));
        }
    };
    zones.collect::<Option<_>>().ok_or_else(|| {
        let message = format!("{name} has an object with other resources: name zones of it");
        ApiError::member(format!("{pointer}/{name}"), message)
    })
}

fn applies(scope: Scope, resource: Resource) -> bool {
    match scope {
        Scope::User => matches!(resource, Resource::User(_)),
        Scope::Account => matches!(resource, Resource::Account(_) | Resource::AllAccounts),
        Scope::Zone => !matches!(resource, Resource::User(_)),
    }
}
