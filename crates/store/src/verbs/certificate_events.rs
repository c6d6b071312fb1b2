//! The index of the entries of the audit log about certificates.
//!
//! An index of all entries would cost every issue. Therefore `certificate_events` leaves out the
//! issue of a certificate with a time-ordered ID: the time in the ID says where the entry is.

use std::ops::ControlFlow;

use certgate_model::{AuditAction, AuditEntry, CertificateId, ResourceType};

use crate::StoreError;
use crate::db::{Db, Row, values};
use crate::schema::CERTIFICATE_EVENTS;

/// Returns true for an entry that `certificate_events` has.
fn is_event(action: AuditAction, resource_type: ResourceType, resource: [u8; 16]) -> bool {
    resource_type == ResourceType::ClientCertificate
        && (action != AuditAction::Issue || !CertificateId::from_bytes(resource).is_time_ordered())
}

/// Adds the events among new entries of a chain to the index, if it is a table.
pub(super) async fn add<D: Db>(
    db: &D,
    chain: i64,
    entries: &[AuditEntry],
) -> Result<(), StoreError> {
    if !CERTIFICATE_EVENTS.is_in(D::DIALECT) {
        return Ok(());
    }
    let mut cells = Vec::new();
    let is_event =
        |entry: &&AuditEntry| is_event(entry.action, entry.resource_type, entry.resource);
    for entry in entries.iter().filter(is_event) {
        cells.extend(values![entry.resource, chain, entry.by.at, entry.number]);
    }
    if cells.is_empty() {
        return Ok(());
    }
    db.insert(&CERTIFICATE_EVENTS, &cells).await
}

/// Adds up to `count` entries of an earlier version to the index, the latest first, of the first
/// log that is not finished. Only SQLite has any: see [`super::backfill`].
pub(crate) async fn index_earlier<D: Db>(db: &D, count: u32) -> Result<(), StoreError> {
    let select = "SELECT chain, at, number FROM event_indexing ORDER BY chain LIMIT 1";
    let next: Option<[i64; 3]> = db
        .optional(select, &[], |row| {
            Ok([row.get(0)?, row.get(1)?, row.get(2)?])
        })
        .await?;
    let Some([chain, at, number]) = next else {
        return Ok(());
    };
    let select = "SELECT at, number, action, resource_type, resource FROM audit_entries \
                  WHERE chain = ?1 AND (at, number) < (?2, ?3) \
                  ORDER BY at DESC, number DESC LIMIT ?4";
    let entries: Vec<(i64, i64, Option<[u8; 16]>)> = db
        .rows(select, &values![chain, at, number, count], |row| {
            let resource = row.get(4)?;
            let codes = (
                AuditAction::from_code(row.get(2)?),
                ResourceType::from_code(row.get(3)?),
            );
            let is_event = match codes {
                (Some(action), Some(kind)) => is_event(action, kind, resource),
                // The check of the log reports them.
                _ => false,
            };
            Ok((row.get(0)?, row.get(1)?, is_event.then_some(resource)))
        })
        .await?;
    let cell = |(at, number, event): &(i64, i64, Option<[u8; 16]>)| {
        event.map(|resource| values![resource, chain, *at, *number].to_vec())
    };
    let events: Vec<_> = entries.iter().filter_map(cell).collect();
    let insert = "INSERT INTO certificate_events (certificate, chain, at, number) \
                  VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING";
    db.execute_each(insert, &events).await?;
    match entries.last() {
        Some((at, number, _)) => {
            let update = "UPDATE event_indexing SET at = ?2, number = ?3 WHERE chain = ?1";
            db.execute(update, &values![chain, *at, *number]).await?;
        }
        None => {
            let delete = "DELETE FROM event_indexing WHERE chain = ?1";
            db.execute(delete, &values![chain]).await?;
        }
    }
    Ok(())
}

/// Returns whether an index of events is not finished.
pub(crate) async fn has_earlier<D: Db>(db: &D) -> Result<bool, StoreError> {
    if !CERTIFICATE_EVENTS.is_in(D::DIALECT) {
        return Ok(false);
    }
    let select = "SELECT chain FROM event_indexing LIMIT 1";
    let chain: Option<i64> = db.optional(select, &[], |row| row.get(0)).await?;
    Ok(chain.is_some())
}

/// Returns whether `certificate_events` has every entry of a chain.
pub(super) async fn is_indexed<D: Db>(db: &D, chain: i64) -> Result<bool, StoreError> {
    let unfinished: Option<i64> = match CERTIFICATE_EVENTS.is_in(D::DIALECT) {
        true => {
            let select = "SELECT chain FROM event_indexing WHERE chain = ?1";
            db.optional(select, &values![chain], |row| row.get(0))
                .await?
        }
        // The row stands for all indexes that PostgreSQL builds.
        false => {
            let select = "SELECT zone FROM indexing WHERE zone = 0";
            db.optional(select, &[], |row| row.get(0)).await?
        }
    };
    Ok(unfinished.is_none())
}

/// Compares the index with the log, for the check.
pub(super) async fn compare<D: Db>(db: &D) -> Result<Vec<String>, StoreError> {
    const MISSING: &str = "SELECT count(*) FROM audit_entries WHERE resource_type = 0 \
         AND (action <> 0 OR substr(hex(resource), 13, 1) <> '7') \
         AND NOT EXISTS (SELECT 1 FROM certificate_events \
         WHERE certificate_events.certificate = audit_entries.resource \
         AND certificate_events.chain = audit_entries.chain \
         AND certificate_events.at = audit_entries.at \
         AND certificate_events.number = audit_entries.number) \
         AND NOT EXISTS (SELECT 1 FROM event_indexing \
         WHERE event_indexing.chain = audit_entries.chain AND (audit_entries.at, \
         audit_entries.number) < (event_indexing.at, event_indexing.number))";
    const SURPLUS: &str = "SELECT count(*) FROM certificate_events \
         WHERE NOT EXISTS (SELECT 1 FROM audit_entries \
         WHERE audit_entries.chain = certificate_events.chain \
         AND audit_entries.at = certificate_events.at \
         AND audit_entries.number = certificate_events.number \
         AND audit_entries.resource = certificate_events.certificate)";
    let mut lines = Vec::new();
    if !CERTIFICATE_EVENTS.is_in(D::DIALECT) {
        return Ok(lines);
    }
    for (select, problem) in [
        (MISSING, "rows for audit entries are missing"),
        (SURPLUS, "rows have no audit entry"),
    ] {
        let mut count: u64 = 0;
        let mut read = |row: &dyn Row| {
            count = row.get(0)?;
            Ok(ControlFlow::Break(()))
        };
        db.stream(select, &[], &mut read).await?;
        if count > 0 {
            lines.push(format!("\"certificate_events\": {count} {problem}"));
        }
    }
    Ok(lines)
}
