//! `certgate cert history`, and the last change in `certgate cert show`.

use certgate_model::{Status, ZoneId};
use certgate_wire::CertificateEvent;

use super::certificate::Certificate;
use super::names;
use crate::arguments::kebab;
use crate::failure::Failure;
use crate::http::Refusal;
use crate::output::Screen;
use crate::session::Session;

const HEADER: [&str; 6] = ["time", "action", "by", "from", "reason", "audit entry"];

/// `certgate cert history`
pub fn list(
    session: &Session,
    zone: &ZoneId,
    name: &str,
    screen: &mut Screen,
) -> Result<(), Failure> {
    let found = names::find(session, zone, name, screen)?;
    let answer = session.api.get(&history_path(zone, &found.certificate))?;
    if screen.is_json() {
        return screen.json(&answer.result);
    }
    let events: Vec<CertificateEvent<'static>> = answer.parse()?;
    let rows = events.iter().map(|event| {
        let text = |text: Option<String>| text.unwrap_or_default();
        vec![
            screen.time(event.at),
            event.action.to_string(),
            actor(event),
            text(event.address.as_deref().map(str::to_owned)),
            text(event.reason.map(|reason| kebab(reason.0))),
            text(event.audit_entry.map(|number| number.to_string())),
        ]
    });
    let rows: Vec<_> = rows.collect();
    screen.table(&HEADER, rows)
}

fn history_path(zone: &ZoneId, certificate: &Certificate) -> String {
    let id = certificate.id;
    format!("/certgate/v1/zones/{zone}/client_certificates/{id}/history")
}

/// The events of a certificate; [`None`] if the token may not see them.
fn history_of(
    session: &Session,
    zone: &ZoneId,
    certificate: &Certificate,
) -> Result<Option<Vec<CertificateEvent<'static>>>, Failure> {
    match session.api.get(&history_path(zone, certificate)) {
        Ok(answer) => Ok(Some(answer.parse()?)),
        Err(Refusal::Refused { status: 403, .. }) => Ok(None),
        Err(refusal) => Err(refusal.into()),
    }
}

/// The caller of an event.
fn actor(event: &CertificateEvent<'_>) -> String {
    let actor = &event.actor;
    let kind = match &*actor.kind {
        "api_key" => "API key",
        "offline" => "offline command",
        other => other,
    };
    let id = actor.id.map(|id| id.to_string());
    match actor.name.as_deref().map(str::to_owned).or(id) {
        Some(name) => format!("{kind} {name}"),
        None => kind.to_owned(),
    }
}

/// Returns when, why and by whom a certificate was revoked or restored, unless it is settled and
/// active.
pub fn last(
    session: &Session,
    zone: &ZoneId,
    certificate: &Certificate,
    screen: &mut Screen,
) -> Result<Vec<(&'static str, String)>, Failure> {
    if certificate.status.0 == Status::Active {
        return Ok(Vec::new());
    }
    let Some(events) = history_of(session, zone, certificate)? else {
        screen.say("the token may not see when and by whom it was revoked");
        return Ok(Vec::new());
    };
    let action = match certificate.status.0 {
        Status::PendingReactivation => "restored",
        _ => "revoked",
    };
    let Some(last) = events.iter().rfind(|event| event.action == action) else {
        return Ok(Vec::new());
    };
    let reason = last.reason.map(|reason| {
        let can = match reason.0.is_permanent() {
            true => "final",
            false => "can be restored",
        };
        format!("{} ({can})", kebab(reason.0))
    });
    let entry = last.audit_entry.map(|number| number.to_string());
    let address = last.address.as_deref().unwrap_or_default();
    Ok(vec![
        (action, screen.full_time(last.at)),
        ("by", actor(last)),
        ("from", address.to_owned()),
        ("reason", reason.unwrap_or_default()),
        ("audit entry", entry.unwrap_or_default()),
    ])
}
