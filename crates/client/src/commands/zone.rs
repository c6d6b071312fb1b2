//! `certgate zone list|create|delete`.

use serde::Deserialize;
use serde_json::json;

use crate::failure::Failure;
use crate::http::parsed;
use crate::output::{Screen, minutes};
use crate::session::{Named, Session};

const PATH: &str = "/client/v4/zones";

const HEADER: [&str; 5] = ["id", "name", "status", "account", "created"];

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

impl Zone {
    fn row(self) -> Vec<String> {
        let created = minutes(&self.created_on);
        vec![self.id, self.name, self.status, self.account.name, created]
    }
}

/// `certgate zone list`
pub fn list(session: &Session, screen: &mut Screen) -> Result<(), Failure> {
    let items = session.every(PATH)?;
    if screen.is_json() {
        return screen.json_of(&items);
    }
    if items.is_empty() {
        screen.say("no zones");
        return Ok(());
    }
    let rows = items.iter().map(|item| Ok(parsed::<Zone>(item)?.row()));
    screen.table(&HEADER, rows.collect::<Result<Vec<_>, Failure>>()?)
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
    let answer = session.api.post(PATH, &body)?;
    if screen.is_json() {
        return screen.json(&answer.result);
    }
    screen.table(&HEADER, [answer.parse::<Zone>()?.row()])
}

/// `certgate zone delete`
pub fn delete(session: &Session, zone: &str, screen: &mut Screen) -> Result<(), Failure> {
    let id = session.zone_named(zone)?;
    let answer = session.api.delete(&format!("{PATH}/{id}"))?;
    if screen.is_json() {
        return screen.json(&answer.result);
    }
    screen.say(&format!("deleted zone {zone} ({id})"));
    Ok(())
}
