//! The entries of the audit log about certificates, found with [`super::certificate_events`].

use certgate_model::{
    AccountId, AuditEntry, AuditOwner, AuditQuery, CertificateId, Direction, HistoryEntry, Indexed,
    Status, Timestamp, ZoneId,
};

use super::audit::{self, columns};
use super::certificate_events;
use crate::StoreError;
use crate::audit::OVERTAKEN_SECONDS;
use crate::db::{Db, Row, values};
use crate::position::Position;

/// The most entries of one certificate's history, the latest ones.
const HISTORY_MAX: u32 = 1_000;

/// The times by which the entry of an issue can be later than the time in the ID, in milliseconds,
/// the usual one first: the ID has whole milliseconds, and an entry gets the time of a request that
/// overtook it.
const ISSUE_MILLISECONDS: [i64; 2] = [10, OVERTAKEN_SECONDS * 1_000 + 1];

/// Returns the history of a certificate; `None` if the zone has no such certificate.
pub(crate) async fn history<D: Db>(
    db: &D,
    zone: ZoneId,
    id: CertificateId,
) -> Result<Option<Indexed<Vec<HistoryEntry>>>, StoreError> {
    let select = "SELECT certificates.position, statuses.status, statuses.settled_on, \
                  zones.number, zones.account FROM certificates \
                  JOIN statuses ON statuses.position = certificates.position \
                  JOIN zones ON zones.id = ?2 AND zones.deleted_at IS NULL \
                  WHERE certificates.id = ?1";
    let read = |row: &dyn Row| {
        let position = Position(row.get(0)?);
        let status: Status = row.get(1)?;
        let settled_on: Option<Timestamp> = row.get(2)?;
        let account: AccountId = row.get(4)?;
        let is_here = position.zone() == row.get::<i64>(3)?;
        Ok(is_here.then_some((status, settled_on, account)))
    };
    let found = db.optional(select, &values![id, zone], read).await?;
    let Some((status, settled_on, account)) = found.flatten() else {
        return Ok(None);
    };
    let owner = AuditOwner::Account(account);
    let latest = AuditQuery {
        since: Timestamp::EARLIEST,
        before: Timestamp::LATEST,
        actor: None,
        direction: Direction::Descending,
        after: None,
        limit: HISTORY_MAX,
    };
    let entries = of_certificates(db, owner, &[id], &latest).await?;
    let Indexed::Complete(mut entries) = entries else {
        return Ok(Some(Indexed::NotYet));
    };
    // The clock may have been set back, but the numbers show the order.
    entries.sort_by_key(|entry| entry.number);
    let is_pending = matches!(
        status,
        Status::PendingRevocation | Status::PendingReactivation
    );
    let history = HistoryEntry::history(&entries, settled_on, is_pending);
    Ok(Some(Indexed::Complete(history)))
}

/// Returns a stretch of the entries of a log that are about these certificates.
pub(crate) async fn of_certificates<D: Db>(
    db: &D,
    owner: AuditOwner,
    certificates: &[CertificateId],
    query: &AuditQuery,
) -> Result<Indexed<Vec<AuditEntry>>, StoreError> {
    let Some(chain) = audit::chain(db, owner).await? else {
        return Ok(Indexed::Complete(Vec::new()));
    };
    if !certificate_events::is_indexed(db, chain).await? {
        return Ok(Indexed::NotYet);
    }
    let mut entries = Vec::new();
    for id in certificates {
        entries.extend(issue(db, owner, chain, *id, query).await?);
        entries.extend(events(db, owner, chain, *id, query).await?);
    }
    entries.sort_by_key(|entry| (entry.by.at, entry.number));
    if query.direction == Direction::Descending {
        entries.reverse();
    }
    entries.truncate(query.limit as usize);
    Ok(Indexed::Complete(entries))
}

/// Returns the entry of a certificate's issue, if `certificate_events` does not have it.
async fn issue<D: Db>(
    db: &D,
    owner: AuditOwner,
    chain: i64,
    id: CertificateId,
    query: &AuditQuery,
) -> Result<Option<AuditEntry>, StoreError> {
    const SELECT: &str = concat!(
        "SELECT ",
        columns!(),
        " FROM audit_entries WHERE chain = ?1 AND at >= ?2 AND at < ?3 \
         AND resource = ?4 AND action = 0 ORDER BY at, number LIMIT 1"
    );
    let Some(issued) = id.time() else {
        return Ok(None);
    };
    for milliseconds in ISSUE_MILLISECONDS {
        let until = issued.plus_microseconds(milliseconds * 1_000);
        let values = values![chain, issued, until, *id.as_bytes()];
        let found = db.optional(SELECT, &values, |row| audit::entry(owner, row));
        if let Some(entry) = found.await? {
            return Ok(Some(entry).filter(|entry| query.includes(entry)));
        }
    }
    Ok(None)
}

macro_rules! events {
    ($bounds:literal, $order:literal) => {
        concat!(
            "SELECT ",
            columns!(),
            " FROM certificate_events JOIN audit_entries \
             ON audit_entries.chain = certificate_events.chain \
             AND audit_entries.at = certificate_events.at \
             AND audit_entries.number = certificate_events.number \
             WHERE certificate_events.certificate = ?1 AND certificate_events.chain = ?2 AND ",
            $bounds,
            " ORDER BY ",
            $order,
            " LIMIT ?6"
        )
    };
}

/// Returns a stretch of the entries of a certificate that `certificate_events` has.
async fn events<D: Db>(
    db: &D,
    owner: AuditOwner,
    chain: i64,
    id: CertificateId,
    query: &AuditQuery,
) -> Result<Vec<AuditEntry>, StoreError> {
    let select = match query.direction {
        Direction::Descending => events!(
            "certificate_events.at >= ?3 \
             AND (certificate_events.at, certificate_events.number) < (?4, ?5)",
            "certificate_events.at DESC, certificate_events.number DESC"
        ),
        Direction::Ascending => events!(
            "certificate_events.at < ?3 \
             AND (certificate_events.at, certificate_events.number) > (?4, ?5)",
            "certificate_events.at ASC, certificate_events.number ASC"
        ),
    };
    let (end, (after_at, after_number)) = query.bounds();
    let values = values![id, chain, end, after_at, after_number, query.limit];
    let mut entries = db
        .rows(select, &values, |row| audit::entry(owner, row))
        .await?;
    entries.retain(|entry| query.includes(entry));
    Ok(entries)
}
