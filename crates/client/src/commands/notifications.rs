//! `certgate notifications`, `certgate notifications undelivered|retry|test`.

use certgate_model::Timestamp;
use certgate_wire::{
    NotificationDestination, RetriedNotifications, TestedDestination, UndeliveredNotification,
};

use crate::failure::Failure;
use crate::http::parsed;
use crate::output::{Screen, grouped, printable, relative};
use crate::session::Session;

pub(super) const PATH: &str = "/certgate/v1/notifications";

/// `certgate notifications`
pub fn list(session: &Session, screen: &mut Screen) -> Result<(), Failure> {
    let answer = session.api.get(PATH)?;
    if screen.is_json() {
        return screen.json(&answer.result);
    }
    let found: Vec<NotificationDestination<'static>> = answer.parse()?;
    if found.is_empty() {
        screen.say("no destinations: set webhook_url or smtp_url, see docs/notifications.md");
        return Ok(());
    }
    let rows: Vec<_> = found.iter().map(|one| row(one, screen)).collect();
    let header = [
        "destination",
        "address",
        "state",
        "delivered",
        "backlog",
        "undelivered",
        "last error",
    ];
    screen.table(&header, rows)?;
    let undelivered: u64 = found.iter().map(|one| one.undelivered).sum();
    if undelivered > 0 {
        screen.say(&format!(
            "{} undelivered: see them with `certgate notifications undelivered`, and try them once \
             more with `certgate notifications retry`",
            grouped(undelivered)
        ));
    }
    Ok(())
}

fn row(one: &NotificationDestination<'_>, screen: &Screen) -> Vec<String> {
    vec![
        printable(&one.name),
        printable(&one.address),
        state(one, screen.now()),
        grouped(one.delivered),
        grouped(one.backlog),
        grouped(one.undelivered),
        one.error.as_deref().map_or("-".to_owned(), printable),
    ]
}

/// Returns the state of a destination in words.
pub(super) fn state(one: &NotificationDestination<'_>, now: Timestamp) -> String {
    match (one.failing_since, one.oldest_event_on) {
        (Some(since), _) => format!("failing since {}", relative(now, since.0)),
        (None, Some(oldest)) => format!("delivering from {}", relative(now, oldest.0)),
        (None, None) => "up to date".to_owned(),
    }
}

/// `certgate notifications undelivered`
pub fn undelivered(session: &Session, screen: &mut Screen) -> Result<(), Failure> {
    let items = session.every(&format!("{PATH}/undelivered"))?;
    if screen.is_json() {
        return screen.json_of(&items);
    }
    if items.is_empty() {
        screen.say("no undelivered events");
        return Ok(());
    }
    let rows = items.iter().map(|item| {
        let event: UndeliveredNotification<'_> = parsed(item)?;
        Ok(vec![
            printable(&event.destination),
            printable(&event.event_id),
            printable(&event.kind),
            event.object_id.to_string(),
            screen.time(event.timestamp),
            screen.time(event.set_aside_on),
            printable(&event.error),
        ])
    });
    let rows = rows.collect::<Result<Vec<_>, Failure>>()?;
    let header = [
        "destination",
        "event",
        "type",
        "object",
        "time",
        "set aside",
        "error",
    ];
    screen.table(&header, rows)
}

/// `certgate notifications retry`
pub fn retry(session: &Session, screen: &mut Screen) -> Result<(), Failure> {
    let answer = session.api.post(&format!("{PATH}/retry"), &())?;
    if screen.is_json() {
        return screen.json(&answer.result);
    }
    let RetriedNotifications { events } = answer.parse()?;
    let text = format!("{} undelivered events are tried once more", grouped(events));
    screen.say(&text);
    Ok(())
}

/// `certgate notifications test`
pub fn test(session: &Session, screen: &mut Screen) -> Result<(), Failure> {
    let answer = session.api.post(&format!("{PATH}/test"), &())?;
    let tested: Vec<TestedDestination<'static>> = answer.parse()?;
    if screen.is_json() {
        screen.json(&answer.result)?;
    } else if tested.is_empty() {
        screen.say("no destinations: set webhook_url or smtp_url, see docs/notifications.md");
    } else {
        let rows = tested.iter().map(|one| {
            let outcome = match &one.error {
                None => format!("delivered in {} ms", one.milliseconds),
                Some(error) => printable(error),
            };
            vec![
                printable(&one.destination),
                printable(&one.event_id),
                outcome,
            ]
        });
        let rows: Vec<_> = rows.collect();
        screen.table(&["destination", "event", "outcome"], rows)?;
    }
    match tested.iter().all(|one| one.delivered) {
        true => Ok(()),
        false => Err(Failure::printed()),
    }
}
