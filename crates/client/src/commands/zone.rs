//! `certgate zone list|create|delete`.

use certgate_wire::{AccountReference, CreateZone, Zone};

use crate::failure::Failure;
use crate::http::parsed;
use crate::output::Screen;
use crate::session::Session;

const PATH: &str = "/client/v4/zones";

const HEADER: [&str; 5] = ["id", "name", "status", "account", "created"];

fn row(zone: Zone<'static>, screen: &Screen) -> Vec<String> {
    vec![
        zone.id.to_string(),
        zone.name.into_owned(),
        zone.status.into_owned(),
        zone.account.name.into_owned(),
        screen.time(zone.created_on),
    ]
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
    let rows = items.iter().map(|item| Ok(row(parsed(item)?, screen)));
    let rows = rows.collect::<Result<Vec<_>, Failure>>()?;
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
    let body = CreateZone {
        name: name.into(),
        account: Some(AccountReference {
            id: Some(account.into()),
        }),
        organization: None,
        kind: None,
        paused: None,
        vanity_name_servers: None,
    };
    let answer = session.api.post(PATH, &body)?;
    if screen.is_json() {
        return screen.json(&answer.result);
    }
    let row = row(answer.parse()?, screen);
    screen.table(&HEADER, [row])
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
