//! `certgate audit list`.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::arguments::AuditListArgs;
use crate::failure::Failure;
use crate::http::parsed;
use crate::output::{Screen, printable};
use crate::session::{Session, encoded};

/// The entries in one request of `--all`: the most that the API returns.
const PART: u64 = 1_000;

const HEADER: [&str; 6] = ["time", "actor", "from", "action", "resource", "detail"];

#[derive(Default, Deserialize)]
#[serde(default)]
struct Entry {
    action: Action,
    actor: Actor,
    resource: Resource,
    certgate: Chain,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Action {
    time: String,
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Actor {
    #[serde(rename = "type")]
    kind: String,
    context: Option<String>,
    ip_address: Option<String>,
    token_id: Option<String>,
    token_name: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Resource {
    id: String,
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Chain {
    detail: String,
}

/// `certgate audit list`
pub fn list(
    session: &Session,
    arguments: &AuditListArgs,
    screen: &mut Screen,
) -> Result<(), Failure> {
    let path = match arguments.user {
        true => "/certgate/v1/user/logs/audit".to_owned(),
        false => {
            let account = session.account(arguments.account.as_deref())?;
            format!("/client/v4/accounts/{account}/logs/audit")
        }
    };
    let limit = if arguments.all { PART } else { arguments.limit };
    let mut query = format!("{path}?limit={limit}");
    for (name, instant) in [("since", arguments.since), ("before", arguments.before)] {
        if let Some(instant) = instant {
            query.push_str(&format!("&{name}={}", encoded(&instant.to_string())));
        }
    }
    if let Some(token) = arguments.token_id {
        query.push_str(&format!("&actor_token_id={token}"));
    }
    let mut entries: Vec<Box<RawValue>> = Vec::new();
    let mut cursor = String::new();
    loop {
        let path = format!("{query}&cursor={}", encoded(&cursor));
        let answer = session.api.get(&path)?;
        entries.extend(answer.parse::<Vec<Box<RawValue>>>()?);
        cursor = answer.info.cursor;
        if cursor.is_empty() || !arguments.all {
            break;
        }
    }
    if screen.is_json() {
        return screen.json_of(&entries);
    }
    if entries.is_empty() {
        screen.say("no entry matches");
        return Ok(());
    }
    let rows = entries.iter().map(|entry| Ok(row(parsed(entry)?)));
    let rows = rows.collect::<Result<Vec<_>, Failure>>()?;
    screen.table(&HEADER, rows)?;
    if !cursor.is_empty() {
        screen.say(&format!(
            "the latest {limit}; list older entries with --all or --before"
        ));
    }
    Ok(())
}

fn row(entry: Entry) -> Vec<String> {
    let Entry {
        action,
        actor,
        resource,
        certgate,
    } = entry;
    let name = actor.token_name.or(actor.token_id).or(actor.context);
    vec![
        action.time,
        printable(&name.unwrap_or(actor.kind)),
        actor.ip_address.unwrap_or_else(|| "-".to_owned()),
        action.kind,
        format!("{} {}", resource.kind, resource.id),
        printable(&certgate.detail),
    ]
}
