//! `certgate token create|list|revoke|verify` and `certgate token api-key create|delete`.

use std::collections::BTreeMap;

use certgate_model::{PermissionGroup, Scope, TokenId};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::arguments::TokenCreateArgs;
use crate::failure::Failure;
use crate::http::parsed;
use crate::output::{Screen, minutes, printable};
use crate::session::Session;

const PATH: &str = "/client/v4/user/tokens";
const API_KEY_PATH: &str = "/certgate/v1/user/api_key";

#[derive(Default, Deserialize)]
#[serde(default)]
struct Token {
    id: String,
    name: String,
    status: String,
    issued_on: String,
    expires_on: Option<String>,
    last_used_on: Option<String>,
    policies: Vec<Policy>,
    value: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Policy {
    effect: String,
    permission_groups: Vec<Group>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Group {
    id: String,
    name: Option<String>,
}

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
    let policies = policies(session, &groups, &arguments.zones)?;
    let mut body = json!({ "name": arguments.name, "policies": policies });
    if let Some(instant) = arguments.expires {
        body["expires_on"] = Value::String(instant.to_string());
    }
    if !arguments.allow_ips.is_empty() {
        body["condition"] = json!({ "request.ip": { "in": arguments.allow_ips } });
    }
    let answer = session.api.post(PATH, &body)?;
    if screen.is_json() {
        return screen.json(&answer.result);
    }
    let made: Token = answer.parse()?;
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
) -> Result<Vec<Value>, Failure> {
    let mut by_scope: BTreeMap<&'static str, (Scope, Vec<Value>)> = BTreeMap::new();
    for group in groups {
        let of_scope = by_scope
            .entry(group.scope().name())
            .or_insert_with(|| (group.scope(), Vec::new()));
        of_scope.1.push(json!({ "id": group.id() }));
    }
    let mut policies = Vec::new();
    for (scope, groups) in by_scope.into_values() {
        let resources: Vec<String> = match scope {
            Scope::Zone if !zones.is_empty() => {
                let ids = zones
                    .iter()
                    .map(|zone| session.zone_named(zone))
                    .collect::<Result<Vec<_>, _>>()?;
                ids.iter()
                    .map(|id| format!("{}.{id}", scope.name()))
                    .collect()
            }
            Scope::Zone | Scope::Account => vec![format!("{}.*", scope.name())],
            Scope::User => vec![format!("{}.{}", scope.name(), user(session)?)],
        };
        let resources: BTreeMap<_, _> = resources
            .into_iter()
            .map(|resource| (resource, "*"))
            .collect();
        policies.push(
            json!({ "effect": "allow", "permission_groups": groups, "resources": resources }),
        );
    }
    Ok(policies)
}

fn user(session: &Session) -> Result<String, Failure> {
    #[derive(Deserialize)]
    struct User {
        id: String,
    }
    Ok(session.api.get("/client/v4/user")?.parse::<User>()?.id)
}

/// `certgate token list`
pub fn list(session: &Session, screen: &mut Screen) -> Result<(), Failure> {
    let items = session.every(PATH)?;
    if screen.is_json() {
        return screen.json_of(&items);
    }
    let tokens = items.iter().map(|item| parsed::<Token>(item));
    let tokens = tokens.collect::<Result<Vec<_>, _>>()?;
    let rows = tokens.into_iter().map(|token| {
        let permissions = permissions(&token.policies);
        let instant =
            |instant: Option<String>| instant.as_deref().map_or("never".to_owned(), minutes);
        let (expires, used) = (instant(token.expires_on), instant(token.last_used_on));
        vec![
            token.id,
            token.name,
            token.status,
            minutes(&token.issued_on),
            expires,
            used,
            permissions,
        ]
    });
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
fn permissions(policies: &[Policy]) -> String {
    let named = policies.iter().flat_map(|policy| {
        let prefix = if policy.effect == "deny" { "not " } else { "" };
        let known: Vec<PermissionGroup> = policy
            .permission_groups
            .iter()
            .filter_map(|group| group.id.parse().ok())
            .collect();
        policy.permission_groups.iter().filter_map(move |group| {
            let this = group.id.parse::<PermissionGroup>().ok();
            let included = this.is_some_and(|this| {
                known
                    .iter()
                    .any(|known| *known != this && known.includes(this))
            });
            let name = group
                .name
                .as_deref()
                .or(this.map(PermissionGroup::name))
                .unwrap_or(&group.id);
            (!included).then(|| format!("{prefix}{name}"))
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
    let verified: Token = answer.parse()?;
    screen.fields(&[
        ("id", verified.id),
        ("status", verified.status),
        (
            "expires",
            verified.expires_on.unwrap_or_else(|| "never".to_owned()),
        ),
    ])?;
    for message in &answer.messages {
        screen.say(message);
    }
    Ok(())
}

#[derive(Deserialize)]
struct ApiKey {
    email: String,
    api_key: Option<String>,
}

/// `certgate token api-key create`
pub fn create_api_key(session: &Session, screen: &mut Screen) -> Result<(), Failure> {
    let answer = session.api.put(API_KEY_PATH, &json!({}))?;
    if screen.is_json() {
        return screen.json(&answer.result);
    }
    let made: ApiKey = answer.parse()?;
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
    let of: ApiKey = answer.parse()?;
    screen.say(&format!("deleted the API key of {}", printable(&of.email)));
    Ok(())
}

#[cfg(test)]
mod tests;
