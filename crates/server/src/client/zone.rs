//! `certgate zone list|create|delete`.

use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use super::output::{Screen, minutes};
use super::session::{Named, Session};
use crate::failure::Failure;

#[derive(Deserialize)]
struct Zone {
    id: String,
    name: String,
    #[serde(default)]
    status: String,
    #[serde(default)]
    created_on: String,
    account: Named,
}

const HEADER: [&str; 5] = ["id", "name", "status", "account", "created"];

fn row(item: &RawValue) -> Result<Vec<String>, Failure> {
    let zone: Zone = serde_json::from_str(item.get()).map_err(|error| {
        Failure::failed(format!("the server's answer is not understood: {error}"))
    })?;
    Ok(vec![
        zone.id,
        zone.name,
        zone.status,
        zone.account.name,
        minutes(&zone.created_on),
    ])
}

/// `certgate zone list`
pub fn list(session: &Session, screen: &mut Screen) -> Result<(), Failure> {
    let items = session.every("/client/v4/zones")?;
    if screen.is_json() {
        return screen.json_of(&items);
    }
    if items.is_empty() {
        screen.say("no zones");
        return Ok(());
    }
    let rows = items
        .iter()
        .map(|item| row(item))
        .collect::<Result<Vec<_>, _>>()?;
    screen.table(&HEADER, rows)
}

/// `certgate zone create`
pub fn create(
    session: &Session,
    name: &str,
    account: Option<&str>,
    screen: &mut Screen,
) -> Result<(), Failure> {
    let account = session.account(account)?;
    let body = json!({ "name": name, "account": { "id": account.to_string() }, "type": "full" });
    let answer = session.api.post("/client/v4/zones", &body)?;
    if screen.is_json() {
        return screen.json(&answer.result);
    }
    screen.table(&HEADER, [row(&answer.result)?])
}

/// `certgate zone delete`
pub fn delete(session: &Session, zone: &str, screen: &mut Screen) -> Result<(), Failure> {
    let id = session.zone_named(zone)?;
    let answer = session.api.delete(&format!("/client/v4/zones/{id}"))?;
    if screen.is_json() {
        return screen.json(&answer.result);
    }
    screen.say(&format!("deleted zone {zone} ({id})"));
    Ok(())
}
