//! `certgate token create|list|revoke|verify` and `certgate token api-key create|delete`.

use std::io::IsTerminal;

use certgate_model::{AddressBlock, PermissionGroup, Resource, Role, Scope, Timestamp, TokenId};
use certgate_wire::{
    CreatePolicy, CreateToken, EffectName, IssuanceRuleSet, LifetimeValue, NamePatternText,
    PermissionGroupId, PermissionGroupReference, ResourceName, ResourceValue, Time, Token,
    TokenAddresses, TokenCondition, TokenPolicy, TokenVerification, User, UserApiKey,
};
use console::Term;
use serde_json::json;

use crate::arguments::TokenCreateArgs;
use crate::failure::Failure;
use crate::http::{Refusal, parsed};
use crate::output::{Screen, printable};
use crate::session::Session;

use super::rules;

const PATH: &str = "/client/v4/user/tokens";
/// The shortest beginning of an ID that stands for a token, in digits.
const ID_DIGITS_MIN: usize = 6;

const API_KEY_PATH: &str = "/certgate/v1/user/api_key";

/// `certgate token create`
pub fn create(
    session: &Session,
    arguments: &TokenCreateArgs,
    screen: &mut Screen,
) -> Result<(), Failure> {
    let groups = arguments.permission_groups()?;
    let expires_on = arguments.expires_on(screen.now());
    if let Some(end) = expires_on.filter(|end| *end <= screen.now()) {
        return Err(
            Failure::usage(format!("the token would end in the past, on {end}"))
                .hint("give --expires a time to come, such as 90d"),
        );
    }
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
        expires_on: expires_on.map(Time),
        issuance_rules: issuance_rules(arguments)?,
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

impl TokenCreateArgs {
    /// Returns the permissions: those of the role, or the named ones.
    pub fn permission_groups(&self) -> Result<Vec<PermissionGroup>, Failure> {
        match self.role {
            Some(role) => Ok(Role::from(role).permissions()),
            None if self.permissions.is_empty() => Ok(Role::Admin.permissions()),
            None => self.permissions.iter().map(|name| group(name)).collect(),
        }
    }

    /// Returns the addresses that may use the token; none: every address.
    pub fn allowed_addresses(&self) -> Vec<AddressBlock> {
        let blocks = self.allow_ips.iter();
        blocks.map(|block| block.0.clone().into_owned()).collect()
    }

    /// Returns the end of a token that is created at `now`.
    pub fn expires_on(&self, now: Timestamp) -> Option<Timestamp> {
        self.expires.map(|end| end.future(now))
    }
}

/// Returns the issuance rules of the arguments; `None` if there are none.
fn issuance_rules(arguments: &TokenCreateArgs) -> Result<Option<IssuanceRuleSet>, Failure> {
    if let Some(file) = &arguments.rules {
        return rules::read(file).map(Some);
    }
    let names = arguments.only_names.iter().cloned().map(NamePatternText);
    let rules = IssuanceRuleSet {
        common_names: (!arguments.only_names.is_empty()).then(|| names.collect()),
        max_lifetime: arguments.max_lifetime.map(LifetimeValue),
        ..IssuanceRuleSet::default()
    };
    Ok((rules != IssuanceRuleSet::default()).then_some(rules))
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
            screen.id(token.id),
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

/// Finds the token whose ID begins with a text.
fn with_beginning(session: &Session, text: &str) -> Result<TokenId, Failure> {
    const HINT: &str = "`certgate token list` shows the IDs";
    let is_hex = text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !is_hex || text.len() < ID_DIGITS_MIN {
        // The text may be a token's value by mistake, so the message does not repeat it.
        let problem = "this is not the ID of a token: it has 32 hexadecimal digits";
        return Err(Failure::usage(problem).hint(HINT));
    }
    let text = text.to_ascii_lowercase();
    let mut found = Vec::new();
    for item in session.every(PATH)? {
        let id = parsed::<Token<'static>>(&item)?.id;
        if id.to_string().starts_with(&text) {
            found.push(id);
        }
    }
    match &found[..] {
        [id] => Ok((*id).into()),
        [] => Err(Failure::failed(format!("no ID of a token begins with {text:?}")).hint(HINT)),
        several => Err(Failure::failed(format!(
            "the IDs of {} tokens begin with {text:?}: nothing was done",
            several.len()
        ))
        .hint("give more digits of the ID")),
    }
}

/// `certgate token revoke`
pub fn revoke(session: &Session, id: &str, yes: bool, screen: &mut Screen) -> Result<(), Failure> {
    let id: TokenId = match id.trim().parse() {
        Ok(id) => id,
        Err(_) => with_beginning(session, id.trim())?,
    };
    let confirmation = if yes { "?last_token=true" } else { "" };
    let answer = match session.api.delete(&format!("{PATH}/{id}{confirmation}")) {
        // The only request that the server rejects because of its content.
        Err(Refusal::Refused {
            status: 400,
            failure,
            ..
        }) if !yes => {
            confirm(failure)?;
            session
                .api
                .delete(&format!("{PATH}/{id}?last_token=true"))?
        }
        answered => answered?,
    };
    if screen.is_json() {
        return screen.json(&answer.result);
    }
    screen.say(&format!("revoked token {id}"));
    Ok(())
}

/// Asks on the terminal whether to revoke the last token that can create tokens.
fn confirm(refused: Failure) -> Result<(), Failure> {
    let terminal = Term::stderr();
    let refused = refused.hint("create another token first, or add --yes");
    if !std::io::stdin().is_terminal() || !terminal.is_term() {
        return Err(refused);
    }
    let question = format!("{refused}\nRevoke it? [y/N] ");
    let asked = terminal
        .write_str(&question)
        .and_then(|()| terminal.read_line());
    let answer = asked.map_err(|error| Failure::io("cannot read the answer", &error))?;
    match answer.trim().eq_ignore_ascii_case("y") {
        true => Ok(()),
        false => Err(refused),
    }
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
