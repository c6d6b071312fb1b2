//! `certgate audit list`.

use certgate_wire::{AuditActor, AuditLog, CursorInfo};
use serde_json::value::RawValue;

use crate::arguments::AuditListArgs;
use crate::failure::Failure;
use crate::http::parsed;
use crate::output::{Screen, printable};
use crate::session::{Session, encoded};

/// The entries in one request of `--all`: the most that the API returns.
const PART: u64 = 1_000;

const HEADER: [&str; 6] = ["time", "actor", "from", "action", "resource", "detail"];

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
            let instant = instant.past(screen.now()).to_string();
            query.push_str(&format!("&{name}={}", encoded(&instant)));
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
        cursor = answer.info::<CursorInfo>()?.cursor;
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
    let rows = entries.iter().map(|entry| Ok(row(parsed(entry)?, screen)));
    let rows = rows.collect::<Result<Vec<_>, Failure>>()?;
    screen.table(&HEADER, rows)?;
    if !cursor.is_empty() {
        screen.say(&format!(
            "the latest {limit}; list older entries with --all or --before"
        ));
    }
    Ok(())
}

fn row(entry: AuditLog<'static>, screen: &Screen) -> Vec<String> {
    let AuditActor {
        kind,
        context,
        ip_address,
        token_id,
        token_name,
        ..
    } = entry.actor;
    let token_id = token_id.map(|id| id.to_string().into());
    let name = token_name.or(token_id).or(context).unwrap_or(kind);
    vec![
        screen.time(entry.action.time),
        printable(&name),
        ip_address.unwrap_or("-".into()).into_owned(),
        entry.action.kind.into_owned(),
        format!("{} {}", entry.resource.kind, entry.resource.id),
        printable(&entry.certgate.detail),
    ]
}
