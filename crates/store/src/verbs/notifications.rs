//! Notifications: the destinations, their places in the logs, and the events that were set aside.
//!
//! A change of a certificate is an entry of the audit log anyway, so that issuing writes nothing
//! for notifications. A destination reads the logs, one after another.

use std::collections::VecDeque;

use certgate_model::{
    AccountId, AuditEntry, AuditOwner, Backlog, CertificateId, Condition, DestinationRecord,
    EventPlace, NotificationEvent, NotificationKind, Page, PendingEvent, Slice, Timestamp,
    UndeliveredEvent,
};

use super::audit;
use crate::StoreError;
use crate::db::{Db, Row, Value, values};
use crate::error::corrupt;
use crate::schema::NOTIFICATION_CONDITIONS;

/// The number of the log of conditions. Chains of the audit log begin with 1.
const CONDITIONS: i64 = 0;

/// The most audit logs that one read of the pending events opens: those that wait longest.
const LOGS_BATCH: u32 = 32;

/// Makes a destination that gets the events from now on, unless it exists.
pub(crate) async fn begin<D: Db>(db: &D, name: &str, at: Timestamp) -> Result<(), StoreError> {
    if destination(db, name).await?.is_some() {
        return Ok(());
    }
    let insert = "INSERT INTO notification_destinations \
                  (name, begun_on, attempts, delivered, undelivered) VALUES (?1, ?2, 0, 0, 0) \
                  ON CONFLICT (name) DO NOTHING";
    // Another server may do the same at this time.
    if db.execute(insert, &values![name, at]).await? == 0 {
        return Ok(());
    }
    let insert = "INSERT INTO notification_cursors (destination, log, number, at) \
                  SELECT CAST(?1 AS TEXT), number, entries, last_at FROM audit_chains \
                  WHERE NOT is_user";
    db.execute(insert, &values![name]).await?;
    let last = "SELECT coalesce(max(number), 0) FROM notification_conditions";
    let last: u64 = db.one(last, &[], |row| row.get(0)).await?;
    let place = EventPlace {
        log: CONDITIONS,
        number: last,
        at,
    };
    advance_cursors(db, name, &[place]).await
}

macro_rules! select_destination {
    ($rest:literal) => {
        concat!(
            "SELECT name, begun_on, failing_since, attempts, attempt_on, error, delivered, \
             delivered_on, undelivered FROM notification_destinations ",
            $rest
        )
    };
}

/// Returns a destination, if it exists.
pub(crate) async fn destination<D: Db>(
    db: &D,
    name: &str,
) -> Result<Option<DestinationRecord>, StoreError> {
    let select = select_destination!("WHERE name = ?1");
    db.optional(select, &values![name], destination_row).await
}

fn destination_row(row: &dyn Row) -> Result<DestinationRecord, StoreError> {
    Ok(DestinationRecord {
        name: row.get(0)?,
        begun_on: row.get(1)?,
        failing_since: row.get(2)?,
        attempts: row.get(3)?,
        attempt_on: row.get(4)?,
        error: row.get(5)?,
        delivered: row.get(6)?,
        delivered_on: row.get(7)?,
        undelivered: row.get(8)?,
    })
}

/// Returns the next events of a destination, in the order of each log. Entries of the audit log
/// that are not reported are among them, so that the destination can pass them.
pub(crate) async fn pending<D: Db>(
    db: &D,
    name: &str,
    limit: u32,
) -> Result<Vec<PendingEvent>, StoreError> {
    let select = "SELECT audit_chains.number, audit_chains.owner, \
                  coalesce(notification_cursors.number, 0), coalesce(notification_cursors.at, ?2) \
                  FROM audit_chains LEFT JOIN notification_cursors \
                  ON notification_cursors.destination = ?1 \
                  AND notification_cursors.log = audit_chains.number \
                  WHERE NOT audit_chains.is_user \
                  AND audit_chains.entries > coalesce(notification_cursors.number, 0) \
                  ORDER BY coalesce(notification_cursors.at, ?2) LIMIT ?3";
    let values = values![name, Timestamp::EARLIEST, LOGS_BATCH];
    let logs = db.rows(select, &values, |row| {
        let place = EventPlace {
            log: row.get(0)?,
            number: row.get(2)?,
            at: row.get(3)?,
        };
        Ok((AuditOwner::Account(row.get(1)?), place))
    });
    let mut queues = vec![conditions(db, name, limit).await?];
    for (owner, place) in logs.await? {
        queues.push(entries_after(db, owner, place, limit).await?);
    }
    Ok(merged(queues, limit as usize))
}

/// Merges queues by time, and keeps the order of each.
fn merged(mut queues: Vec<VecDeque<PendingEvent>>, limit: usize) -> Vec<PendingEvent> {
    let mut events = Vec::new();
    while events.len() < limit {
        let next = queues
            .iter_mut()
            .filter(|queue| !queue.is_empty())
            .min_by_key(|queue| queue.front().map(|event| event.place.at));
        match next.and_then(VecDeque::pop_front) {
            Some(event) => events.push(event),
            None => break,
        }
    }
    events
}

/// Returns the entries of an audit log after a place, by number and without gaps.
async fn entries_after<D: Db>(
    db: &D,
    owner: AuditOwner,
    place: EventPlace,
    limit: u32,
) -> Result<VecDeque<PendingEvent>, StoreError> {
    let EventPlace { log, number, at } = place;
    // Entries with lower numbers come between after the clock was set back.
    let select = audit::select!(
        "WHERE chain = ?1 AND (at, number) > (?2, ?3) AND number > ?3 \
         ORDER BY at, number LIMIT ?4"
    );
    let values = values![log, at, number, limit];
    let found = db.rows(select, &values, |row| audit::entry(owner, row));
    let mut events = VecDeque::new();
    let mut expected = number + 1;
    for entry in found.await? {
        if entry.number != expected {
            break;
        }
        expected += 1;
        events.push_back(pending_entry(log, entry));
    }
    if events.is_empty() {
        // The clock was set back after the entry before: only a search of the log finds this one.
        let select = audit::select!("WHERE chain = ?1 AND number = ?2 LIMIT 1");
        let values = values![log, expected];
        let found = db.optional(select, &values, |row| audit::entry(owner, row));
        events.extend(found.await?.map(|entry| pending_entry(log, entry)));
    }
    Ok(events)
}

fn pending_entry(log: i64, entry: AuditEntry) -> PendingEvent {
    PendingEvent {
        place: EventPlace {
            log,
            number: entry.number,
            at: entry.by.at,
        },
        event: NotificationEvent::Change(entry),
    }
}

macro_rules! select_conditions {
    ($rest:literal) => {
        concat!(
            "SELECT number, id, kind, object, since, account, at, name, count, certificates \
             FROM notification_conditions ",
            $rest
        )
    };
}

async fn conditions<D: Db>(
    db: &D,
    name: &str,
    limit: u32,
) -> Result<VecDeque<PendingEvent>, StoreError> {
    let select = select_conditions!(
        "WHERE number > (SELECT coalesce(max(number), 0) FROM notification_cursors \
         WHERE destination = ?1 AND log = 0) ORDER BY number LIMIT ?2"
    );
    let found = db
        .rows(select, &values![name, limit], condition_row)
        .await?;
    Ok(found.into())
}

fn condition_row(row: &dyn Row) -> Result<PendingEvent, StoreError> {
    let kind: u8 = row.get(2)?;
    let ids: Vec<u8> = row.get(9)?;
    let (ids, rest) = ids.as_chunks::<16>();
    if !rest.is_empty() {
        return Err(corrupt("the certificates of a condition are not whole IDs"));
    }
    let condition = Condition {
        id: row.get(1)?,
        kind: kind_of(kind)?,
        object: row.get(3)?,
        since: row.get(4)?,
        account: row.get(5)?,
        at: row.get(6)?,
        name: row.get(7)?,
        count: row.get(8)?,
        certificates: ids.iter().copied().map(CertificateId::from_bytes).collect(),
    };
    let place = EventPlace {
        log: CONDITIONS,
        number: row.get(0)?,
        at: condition.at,
    };
    Ok(PendingEvent {
        place,
        event: NotificationEvent::Condition(condition),
    })
}

fn kind_of(code: u8) -> Result<NotificationKind, StoreError> {
    let kind = NotificationKind::from_code(code);
    kind.ok_or_else(|| corrupt(format!("no notification has the kind {code}")))
}

/// Notes the last events of logs that a destination has or does not need, and how many were
/// delivered: a delivery ends the failures before it.
pub(crate) async fn advance<D: Db>(
    db: &D,
    name: &str,
    places: &[EventPlace],
    delivered: u64,
    at: Timestamp,
) -> Result<(), StoreError> {
    advance_cursors(db, name, places).await?;
    if delivered > 0 {
        succeed(db, name, delivered, at).await?;
    }
    Ok(())
}

async fn succeed<D: Db>(
    db: &D,
    name: &str,
    delivered: u64,
    at: Timestamp,
) -> Result<(), StoreError> {
    let update = "UPDATE notification_destinations SET failing_since = NULL, attempts = 0, \
                  attempt_on = NULL, error = NULL, delivered = delivered + ?2, \
                  delivered_on = ?3 WHERE name = ?1";
    db.execute(update, &values![name, delivered, at]).await?;
    Ok(())
}

/// Never moves a cursor back: another server may have delivered more.
async fn advance_cursors<D: Db>(
    db: &D,
    name: &str,
    places: &[EventPlace],
) -> Result<(), StoreError> {
    let cells: Vec<_> = places
        .iter()
        .map(|place| values![name, place.log, place.number, place.at].to_vec())
        .collect();
    let upsert = "INSERT INTO notification_cursors (destination, log, number, at) \
                  VALUES (?1, ?2, ?3, ?4) ON CONFLICT (destination, log) DO UPDATE \
                  SET number = excluded.number, at = excluded.at \
                  WHERE excluded.number > notification_cursors.number";
    db.execute_each(upsert, &cells).await?;
    Ok(())
}

/// Notes a failed attempt.
pub(crate) async fn fail<D: Db>(
    db: &D,
    name: &str,
    error: &str,
    at: Timestamp,
    attempt_on: Timestamp,
) -> Result<(), StoreError> {
    let update = "UPDATE notification_destinations \
                  SET failing_since = coalesce(failing_since, ?2), attempts = attempts + 1, \
                  attempt_on = ?3, error = ?4 WHERE name = ?1";
    db.execute(update, &values![name, at, attempt_on, error])
        .await?;
    Ok(())
}

/// Sets events aside, so that the later ones are not held up. The last of each log becomes the
/// place of the destination. If it has more than `max` events, the oldest are deleted.
pub(crate) async fn set_aside<D: Db>(
    db: &D,
    name: &str,
    events: &[UndeliveredEvent],
    max: u64,
) -> Result<(), StoreError> {
    let insert = "INSERT INTO notifications_undelivered (destination, log, number, at, id, kind, \
                  object, set_aside_on, error, is_retried) \
                  VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, FALSE) \
                  ON CONFLICT (destination, log, number) DO NOTHING";
    let rows: Vec<_> = events.iter().map(|event| cells(name, event)).collect();
    db.execute_each(insert, &rows).await?;
    let places: Vec<_> = events.iter().map(|event| event.place).collect();
    advance_cursors(db, name, &places).await?;
    let count = count_undelivered(db, name).await?;
    if count > max {
        let delete = "DELETE FROM notifications_undelivered \
                      WHERE (destination, log, number) IN (\
                      SELECT destination, log, number FROM notifications_undelivered \
                      WHERE destination = ?1 ORDER BY set_aside_on, log, number LIMIT ?2)";
        db.execute(delete, &values![name, count - max]).await?;
    }
    note_undelivered(db, name).await
}

fn cells<'v>(name: &'v str, event: &'v UndeliveredEvent) -> Vec<Value<'v>> {
    values![
        name,
        event.place.log,
        event.place.number,
        event.place.at,
        event.id,
        event.kind.code(),
        event.object,
        event.set_aside_on,
        &event.error,
    ]
    .to_vec()
}

async fn count_undelivered<D: Db>(db: &D, name: &str) -> Result<u64, StoreError> {
    let count = "SELECT count(*) FROM notifications_undelivered WHERE destination = ?1";
    db.one(count, &values![name], |row| row.get(0)).await
}

async fn note_undelivered<D: Db>(db: &D, name: &str) -> Result<(), StoreError> {
    let count = count_undelivered(db, name).await?;
    let update = "UPDATE notification_destinations SET undelivered = ?2 WHERE name = ?1";
    db.execute(update, &values![name, count]).await?;
    Ok(())
}

macro_rules! select_undelivered {
    ($rest:literal) => {
        concat!(
            "SELECT destination, log, number, at, id, kind, object, set_aside_on, error, \
             is_retried FROM notifications_undelivered ",
            $rest
        )
    };
}

/// Returns undelivered events of every destination, those that were set aside last first.
pub(crate) async fn undelivered<D: Db>(
    db: &D,
    slice: Slice,
) -> Result<Page<UndeliveredEvent>, StoreError> {
    let select = select_undelivered!(
        "ORDER BY set_aside_on DESC, destination DESC, log DESC, number DESC LIMIT ?1 OFFSET ?2"
    );
    let values = values![slice.size, slice.first];
    let items = db.rows(select, &values, undelivered_row).await?;
    let total = count_all_undelivered(db).await?;
    Ok(Page { items, total })
}

async fn count_all_undelivered<D: Db>(db: &D) -> Result<u64, StoreError> {
    let count =
        "SELECT CAST(coalesce(sum(undelivered), 0) AS BIGINT) FROM notification_destinations";
    db.one(count, &[], |row| row.get(0)).await
}

fn undelivered_row(row: &dyn Row) -> Result<UndeliveredEvent, StoreError> {
    Ok(UndeliveredEvent {
        destination: row.get(0)?,
        place: EventPlace {
            log: row.get(1)?,
            number: row.get(2)?,
            at: row.get(3)?,
        },
        id: row.get(4)?,
        kind: kind_of(row.get(5)?)?,
        object: row.get(6)?,
        set_aside_on: row.get(7)?,
        error: row.get(8)?,
        is_retried: row.get(9)?,
    })
}

/// Marks every undelivered event for one more attempt, and ends the pauses of the destinations.
/// Returns the number of undelivered events.
pub(crate) async fn retry<D: Db>(db: &D) -> Result<u64, StoreError> {
    let update = "UPDATE notifications_undelivered SET is_retried = TRUE WHERE NOT is_retried";
    db.execute(update, &[]).await?;
    let update = "UPDATE notification_destinations SET attempt_on = NULL WHERE name >= ''";
    db.execute(update, &[]).await?;
    count_all_undelivered(db).await
}

/// Returns the next events that an operator wants to be tried again. The second part is [`None`] if
/// the event is not in its log any more.
pub(crate) async fn retried<D: Db>(
    db: &D,
    name: &str,
    limit: u32,
) -> Result<Vec<(UndeliveredEvent, Option<PendingEvent>)>, StoreError> {
    let select = select_undelivered!(
        "WHERE destination = ?1 AND is_retried ORDER BY destination, log, number LIMIT ?2"
    );
    let found = db
        .rows(select, &values![name, limit], undelivered_row)
        .await?;
    let mut events = Vec::new();
    for event in found {
        let pending = match event.place.log {
            CONDITIONS => condition(db, event.place.number).await?,
            _ => change(db, event.place).await?,
        };
        events.push((event, pending));
    }
    Ok(events)
}

async fn condition<D: Db>(db: &D, number: u64) -> Result<Option<PendingEvent>, StoreError> {
    let select = select_conditions!("WHERE number = ?1");
    db.optional(select, &values![number], condition_row).await
}

async fn change<D: Db>(db: &D, place: EventPlace) -> Result<Option<PendingEvent>, StoreError> {
    let owner = "SELECT owner FROM audit_chains WHERE number = ?1";
    let owner = db
        .optional(owner, &values![place.log], |row| row.get::<AccountId>(0))
        .await?;
    let Some(owner) = owner.map(AuditOwner::Account) else {
        return Ok(None);
    };
    let select = audit::select!("WHERE chain = ?1 AND at = ?2 AND number = ?3");
    let values = values![place.log, place.at, place.number];
    let entry = db.optional(select, &values, |row| audit::entry(owner, row));
    Ok(entry.await?.map(|entry| pending_entry(place.log, entry)))
}

/// Notes the outcome of one more attempt to deliver events: those without an error leave the list.
pub(crate) async fn note_retried<D: Db>(
    db: &D,
    name: &str,
    events: &[UndeliveredEvent],
    error: Option<&str>,
    at: Timestamp,
) -> Result<(), StoreError> {
    match error {
        None => {
            let delete = "DELETE FROM notifications_undelivered \
                          WHERE destination = ?1 AND log = ?2 AND number = ?3";
            let keys = events.iter().map(|UndeliveredEvent { place, .. }| {
                values![name, place.log, place.number].to_vec()
            });
            db.execute_each(delete, &keys.collect::<Vec<_>>()).await?;
            // The failures of the events that wait go on.
            let update = "UPDATE notification_destinations \
                          SET delivered = delivered + ?2, delivered_on = ?3 WHERE name = ?1";
            let delivered = events.len() as u64;
            db.execute(update, &values![name, delivered, at]).await?;
        }
        Some(error) => {
            let update = "UPDATE notifications_undelivered SET is_retried = FALSE, error = ?4 \
                          WHERE destination = ?1 AND log = ?2 AND number = ?3";
            let rows = events.iter().map(|UndeliveredEvent { place, .. }| {
                values![name, place.log, place.number, error].to_vec()
            });
            db.execute_each(update, &rows.collect::<Vec<_>>()).await?;
        }
    }
    note_undelivered(db, name).await
}

/// Returns the number of entries that a destination has not gone through, and the oldest event
/// among the first `look` of them that has one of these kinds.
pub(crate) async fn backlog<D: Db>(
    db: &D,
    name: &str,
    kinds: &[NotificationKind],
    look: u32,
) -> Result<Backlog, StoreError> {
    let changes = "SELECT CAST(coalesce(sum(audit_chains.entries \
                   - coalesce(notification_cursors.number, 0)), 0) AS BIGINT) \
                   FROM audit_chains LEFT JOIN notification_cursors \
                   ON notification_cursors.destination = ?1 \
                   AND notification_cursors.log = audit_chains.number \
                   WHERE NOT audit_chains.is_user";
    let changes: u64 = db.one(changes, &values![name], |row| row.get(0)).await?;
    let conditions = "SELECT count(*) FROM notification_conditions \
                      WHERE number > (SELECT coalesce(max(number), 0) FROM notification_cursors \
                      WHERE destination = ?1 AND log = 0)";
    let conditions: u64 = db.one(conditions, &values![name], |row| row.get(0)).await?;
    let entries = changes + conditions;
    let next = match entries {
        0 => Vec::new(),
        _ => pending(db, name, look).await?,
    };
    let is_wanted =
        |one: &&PendingEvent| one.event.kind().is_some_and(|kind| kinds.contains(&kind));
    Ok(Backlog {
        entries,
        oldest: next.iter().filter(is_wanted).map(|one| one.place.at).min(),
    })
}

/// Stores a condition, unless this state of the object was stored before; returns whether it is
/// new.
pub(crate) async fn record_condition<D: Db>(
    db: &D,
    condition: &Condition,
) -> Result<bool, StoreError> {
    let Condition {
        id,
        kind,
        object,
        since,
        account,
        at,
        name,
        count,
        certificates,
    } = condition;
    let select = "SELECT number FROM notification_conditions \
                  WHERE object = ?1 AND kind = ?2 AND since = ?3";
    let values = values![*object, kind.code(), *since];
    let known = db.optional(select, &values, |row| row.get::<u64>(0));
    if known.await?.is_some() {
        return Ok(false);
    }
    let last = "SELECT coalesce(max(number), 0) FROM notification_conditions";
    let last: u64 = db.one(last, &[], |row| row.get(0)).await?;
    let certificates: Vec<u8> = certificates.iter().flat_map(|id| *id.as_bytes()).collect();
    let cells = values![
        last + 1,
        *id,
        kind.code(),
        *object,
        *since,
        *account,
        *at,
        name,
        *count,
        &certificates,
    ];
    db.insert(&NOTIFICATION_CONDITIONS, &cells).await?;
    Ok(true)
}

/// Deletes conditions and undelivered events from before a time, except the last condition, whose
/// number the next one follows.
pub(crate) async fn forget<D: Db>(db: &D, before: Timestamp) -> Result<(), StoreError> {
    let delete = "DELETE FROM notification_conditions WHERE at < ?1 \
                  AND number < (SELECT max(number) FROM notification_conditions)";
    db.execute(delete, &values![before]).await?;
    let delete = "DELETE FROM notifications_undelivered WHERE set_aside_on < ?1";
    if db.execute(delete, &values![before]).await? > 0 {
        let names = "SELECT name FROM notification_destinations";
        let names = db.rows(names, &[], |row| row.get::<String>(0)).await?;
        for name in names {
            note_undelivered(db, &name).await?;
        }
    }
    Ok(())
}
