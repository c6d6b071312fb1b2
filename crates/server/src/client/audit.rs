//! `certgate audit list`.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::output::{Screen, printable};
use super::session::{Session, encoded};
use crate::cli::AuditListArgs;
use crate::failure::Failure;

/// How many entries are asked for at a time when all are wanted.
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
    let mut question = format!("{path}?limit={limit}");
    for (name, instant) in [("since", arguments.since), ("before", arguments.before)] {
        if let Some(instant) = instant {
            question.push_str(&format!("&{name}={}", encoded(&instant.to_string())));
        }
    }
    if let Some(token) = arguments.token_id {
        question.push_str(&format!("&actor_token_id={token}"));
    }
    let mut entries: Vec<Box<RawValue>> = Vec::new();
    let mut cursor = String::new();
    loop {
        let answer = session
            .api
            .get(&format!("{question}&cursor={}", encoded(&cursor)))?;
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
        screen.say("nothing was done that matches");
        return Ok(());
    }
    let rows = entries
        .iter()
        .map(|entry| row(entry))
        .collect::<Result<Vec<_>, _>>()?;
    screen.table(&HEADER, rows)?;
    if !cursor.is_empty() {
        screen.say(&format!(
            "the latest {limit}; older ones with --all or --before"
        ));
    }
    Ok(())
}

fn row(item: &RawValue) -> Result<Vec<String>, Failure> {
    let entry: Entry = serde_json::from_str(item.get()).map_err(|error| {
        Failure::failed(format!("the server's answer is not understood: {error}"))
    })?;
    let Actor {
        kind,
        context,
        ip_address,
        token_id,
        token_name,
    } = entry.actor;
    let who = token_name.or(token_id).or(context).unwrap_or(kind);
    Ok(vec![
        entry.action.time,
        printable(&who),
        ip_address.unwrap_or_else(|| "-".to_owned()),
        entry.action.kind,
        format!("{} {}", entry.resource.kind, entry.resource.id),
        printable(&entry.certgate.detail),
    ])
}
