//! `certgate token create|list|revoke|verify` and `certgate token api-key create|delete`.

use certgate_model::{PermissionGroup, Resource, Scope, TokenId};
use certgate_wire::{
    CreatePolicy, CreateToken, EffectName, PermissionGroupId, PermissionGroupReference,
    ResourceName, ResourceValue, Time, Token, TokenAddresses, TokenCondition, TokenPolicy,
    TokenVerification, User, UserApiKey,
};
use serde_json::json;

use crate::arguments::TokenCreateArgs;
use crate::failure::Failure;
use crate::http::parsed;
use crate::output::{Screen, printable};
use crate::session::Session;

const PATH: &str = "/client/v4/user/tokens";
const API_KEY_PATH: &str = "/certgate/v1/user/api_key";

/// `certgate token create`
pub fn create(
    session: &Session,
    arguments: &TokenCreateArgs,
    screen: &mut Screen,
) -> Result<(), Failure> {
    let groups = arguments
        .permissions
        .iter()
        .map(|name| group(name))
        .collect::<Result<Vec<_>, _>>()?;
    let allowed = arguments.allow_ips.clone();
    let condition = (!allowed.is_empty()).then_some(TokenCondition {
        request_ip: Some(TokenAddresses {
            allowed: Some(allowed),
            refused: None,
        }),
        request_ip_of_sdks: None,
    });
    let body = CreateToken {
        name: arguments.name.as_str().into(),
        status: None,
        policies: policies(session, &groups, &arguments.zones)?,
        condition,
        not_before: None,
        expires_on: arguments.expires.map(|end| Time(end.future(screen.now()))),
    };
    let answer = session.api.post(PATH, &body)?;
    if screen.is_json() {
        return screen.json(&answer.result);
    }
    let made: Token<'static> = answer.parse()?;
    let value = made
        .value
        .ok_or_else(|| Failure::not_understood("the new token has no value"))?;
    screen.say(&format!(
        "token {} ({}), shown only once:",
        made.name, made.id
    ));
    screen.data(&format!("{value}\n"))?;
    let is_for_zones = groups.iter().any(|group| group.scope() == Scope::Zone);
    if is_for_zones
        && !groups
            .iter()
            .any(|group| group.includes(PermissionGroup::ZoneRead))
    {
        screen.say(
            "note: without the permission \"Zone Read\" it must name zones by ID, not by name",
        );
    }
    Ok(())
}

/// The permission with this name, in any letter case, or ID.
fn group(name: &str) -> Result<PermissionGroup, Failure> {
    let named = PermissionGroup::ALL
        .into_iter()
        .find(|group| group.name().eq_ignore_ascii_case(name.trim()));
    named.or_else(|| name.trim().parse().ok()).ok_or_else(|| {
        let names: Vec<_> = PermissionGroup::ALL
            .iter()
            .map(|group| format!("{:?}", group.name()))
            .collect();
        Failure::usage(format!("there is no permission {name:?}"))
            .hint(format!("use one of {}", names.join(", ")))
    })
}

/// Returns a policy for each kind of resource: a permission has an effect only on its own kind.
fn policies(
    session: &Session,
    groups: &[PermissionGroup],
    zones: &[String],
) -> Result<Vec<CreatePolicy<'static>>, Failure> {
    let mut policies = Vec::new();
    for scope in [Scope::Account, Scope::Zone, Scope::User] {
        let of_scope = groups.iter().filter(|group| group.scope() == scope);
        let permission_groups: Vec<_> = of_scope
            .map(|group| PermissionGroupReference {
                id: PermissionGroupId(*group),
            })
            .collect();
        if permission_groups.is_empty() {
            continue;
        }
        let resources = match scope {
            Scope::Zone if !zones.is_empty() => {
                let ids = zones.iter().map(|zone| session.zone_named(zone));
                ids.map(|id| Ok(Resource::Zone(id?)))
                    .collect::<Result<_, Failure>>()?
            }
            Scope::Zone => vec![Resource::AllZones],
            Scope::Account => vec![Resource::AllAccounts],
            Scope::User => {
                let user: User<'static> = session.api.get("/client/v4/user")?.parse()?;
                vec![Resource::User(user.id.into())]
            }
        };
        let resources = resources.into_iter();
        policies.push(CreatePolicy {
            id: None,
            effect: EffectName::Allow,
            permission_groups,
            resources: resources
                .map(|resource| (ResourceName(resource), ResourceValue::Itself))
                .collect(),
        });
    }
    Ok(policies)
}

/// `certgate token list`
pub fn list(session: &Session, screen: &mut Screen) -> Result<(), Failure> {
    let items = session.every(PATH)?;
    if screen.is_json() {
        return screen.json_of(&items);
    }
    let tokens = items.iter().map(|item| parsed::<Token<'static>>(item));
    let tokens = tokens.collect::<Result<Vec<_>, _>>()?;
    let rows = tokens.into_iter().map(|token| {
        let permissions = permissions(&token.policies);
        let instant =
            |time: Option<Time>| time.map_or("never".to_owned(), |time| screen.time(time));
        let (expires, used) = (instant(token.expires_on), instant(token.last_used_on));
        vec![
            token.id.to_string(),
            token.name.into_owned(),
            token.status.to_string(),
            screen.time(token.issued_on),
            expires,
            used,
            permissions,
        ]
    });
    let rows: Vec<_> = rows.collect();
    screen.table(
        &[
            "id",
            "name",
            "status",
            "issued",
            "expires",
            "last used",
            "permissions",
        ],
        rows,
    )
}

/// Names the permissions of a token, without a Read that its Write includes.
fn permissions(policies: &[TokenPolicy<'_>]) -> String {
    let named = policies.iter().flat_map(|policy| {
        let prefix = match policy.effect {
            EffectName::Allow => "",
            EffectName::Deny => "not ",
        };
        let groups = policy.permission_groups.iter();
        let known: Vec<PermissionGroup> = groups
            .clone()
            .filter_map(|group| group.id.parse().ok())
            .collect();
        groups.filter_map(move |group| {
            let this = group.id.parse::<PermissionGroup>().ok();
            let is_included = this.is_some_and(|this| {
                known
                    .iter()
                    .any(|known| *known != this && known.includes(this))
            });
            (!is_included).then(|| format!("{prefix}{}", group.name))
        })
    });
    named.collect::<Vec<_>>().join(", ")
}

/// `certgate token revoke`
pub fn revoke(session: &Session, id: &str, screen: &mut Screen) -> Result<(), Failure> {
    let id: TokenId = id.trim().parse().map_err(|_| {
        // The text may be a token's value by mistake, so the message does not repeat it.
        Failure::usage("this is not the ID of a token: it has 32 hexadecimal digits")
            .hint("`certgate token list` shows the IDs")
    })?;
    let answer = session.api.delete(&format!("{PATH}/{id}"))?;
    if screen.is_json() {
        return screen.json(&answer.result);
    }
    screen.say(&format!("revoked token {id}"));
    Ok(())
}

/// `certgate token verify`
pub fn verify(session: &Session, screen: &mut Screen) -> Result<(), Failure> {
    let answer = session.api.get(&format!("{PATH}/verify"))?;
    if screen.is_json() {
        return screen.json(&answer.result);
    }
    let verified: TokenVerification = answer.parse()?;
    screen.fields(&[
        ("id", verified.id.to_string()),
        ("status", verified.status.to_string()),
        (
            "expires",
            verified
                .expires_on
                .map_or("never".to_owned(), |time| time.to_string()),
        ),
    ])?;
    for message in &answer.messages {
        screen.say(message);
    }
    Ok(())
}

/// `certgate token api-key create`
pub fn create_api_key(session: &Session, screen: &mut Screen) -> Result<(), Failure> {
    let answer = session.api.put(API_KEY_PATH, &json!({}))?;
    if screen.is_json() {
        return screen.json(&answer.result);
    }
    let made: UserApiKey<'static> = answer.parse()?;
    let key = made
        .api_key
        .ok_or_else(|| Failure::not_understood("the new API key has no value"))?;
    screen.say(&format!(
        "the API key of {}, with every permission, shown only once:",
        printable(&made.email)
    ));
    screen.data(&format!("{key}\n"))
}

/// `certgate token api-key delete`
pub fn delete_api_key(session: &Session, screen: &mut Screen) -> Result<(), Failure> {
    let answer = session.api.delete(API_KEY_PATH)?;
    if screen.is_json() {
        return screen.json(&answer.result);
    }
    let of: UserApiKey<'static> = answer.parse()?;
    screen.say(&format!("deleted the API key of {}", printable(&of.email)));
    Ok(())
}

#[cfg(test)]
mod tests;
