//! Certificates: their rows, their pages and their changes of status.

use certgate_model::{
    AccountId, AuditAction, AuditOwner, AuthorityId, AuthorityRef, By, CertificateId,
    CertificateQuery, CertificateRecord, Event, Page, ResourceType, RevocationReason, SerialNumber,
    Slice, Status, SubjectFields, Timestamp, Totals, Transition, ZoneId,
};
use rusqlite::{Connection, OptionalExtension, Row, Rows};

use super::audit::{self, Deed};
use super::counters::{self, Layout, Position, SEQUENCE_BITS};
use super::error::corrupt;
use super::{enforcement_points, revocations, row, tenants};
use crate::audit::reason_text;
use crate::{CertificateRecorded, Settled, StatusChange, StoreError};

/// No page is read into memory that is larger; the API's own limit is a thousand.
const PAGE_MAX: u32 = 10_000;

macro_rules! columns {
    () => {
        "position, id, authority, status, revoked_on, serial, common_name, country, state, location, \
         organization, organizational_unit, issued_on, expires_on, validity_days, signature, \
         fingerprint_sha256, ski, der, csr, reason"
    };
}

/// One certificate of a zone that exists.
pub(super) fn certificate(
    connection: &Connection,
    zone: ZoneId,
    id: CertificateId,
) -> Result<Option<CertificateRecord>, StoreError> {
    Ok(find(connection, zone, id)?.map(|(_, record)| record))
}

fn find(
    connection: &Connection,
    zone: ZoneId,
    id: CertificateId,
) -> Result<Option<(Position, CertificateRecord)>, StoreError> {
    let Some(number) = tenants::zone_number(connection, zone)? else {
        return Ok(None);
    };
    let mut statement = connection.prepare_cached(concat!(
        "SELECT ",
        columns!(),
        " FROM certificates WHERE id = ?1"
    ))?;
    let mut rows = statement.query((id.as_bytes(),))?;
    let Some(row) = rows.next()? else {
        return Ok(None);
    };
    let position = Position(row.get(0)?);
    if position.zone() != number {
        return Ok(None);
    }
    Ok(Some((position, Names::new(connection).record(zone, row)?)))
}

/// A page of a zone's certificates, newest first, and how many match.
pub(super) fn page(
    connection: &Connection,
    layout: Layout,
    zone: ZoneId,
    query: CertificateQuery,
) -> Result<Page<CertificateRecord>, StoreError> {
    let Some(number) = tenants::zone_number(connection, zone)? else {
        return Ok(Page {
            items: Vec::new(),
            total: 0,
        });
    };
    let slice = Slice {
        first: query.slice.first,
        size: query.slice.size.min(PAGE_MAX),
    };
    match query.status {
        None => page_of_all(connection, zone, number, slice),
        Some(status) => page_of_status(connection, layout, zone, number, status, slice),
    }
}

fn page_of_all(
    connection: &Connection,
    zone: ZoneId,
    number: i64,
    slice: Slice,
) -> Result<Page<CertificateRecord>, StoreError> {
    let total = size(connection, number)?;
    let remaining = total.saturating_sub(slice.first);
    if remaining == 0 || slice.size == 0 {
        return Ok(Page {
            items: Vec::new(),
            total,
        });
    }
    let end = Position::first_of(number).0 + row::offset(remaining);
    let start =
        Position::first_of(number).0 + row::offset(remaining.saturating_sub(u64::from(slice.size)));
    let mut statement = connection.prepare_cached(concat!(
        "SELECT ",
        columns!(),
        " FROM certificates WHERE position >= ?1 AND position < ?2 ORDER BY position DESC"
    ))?;
    let items = records(connection, zone, slice.size, statement.query((start, end))?)?;
    Ok(Page { items, total })
}

fn page_of_status(
    connection: &Connection,
    layout: Layout,
    zone: ZoneId,
    number: i64,
    status: Status,
    slice: Slice,
) -> Result<Page<CertificateRecord>, StoreError> {
    let (place, total) = counters::locate(connection, layout, number, status, slice.first)?;
    let Some(place) = place.filter(|_| slice.size > 0) else {
        return Ok(Page {
            items: Vec::new(),
            total,
        });
    };
    let mut statement = connection.prepare_cached(concat!(
        "SELECT ",
        columns!(),
        " FROM certificates WHERE status = ?1 AND position >= ?2 AND position <= ?3 \
         ORDER BY position DESC LIMIT ?4 OFFSET ?5"
    ))?;
    let rows = statement.query((
        status.code(),
        Position::first_of(number).0,
        place.newest.0,
        slice.size,
        row::offset(place.skip),
    ))?;
    let items = records(connection, zone, slice.size, rows)?;
    Ok(Page { items, total })
}

/// How many certificates a zone has in each status.
pub(super) fn totals(
    connection: &Connection,
    layout: Layout,
    zone: ZoneId,
) -> Result<Totals, StoreError> {
    match tenants::zone_number(connection, zone)? {
        Some(number) => counters::totals(connection, layout, number),
        None => Ok(Totals::default()),
    }
}

/// How many certificates a zone has: its sequence numbers are dense, so one more than the last.
fn size(connection: &Connection, number: i64) -> Result<u64, StoreError> {
    let last: Option<i64> = connection
        .prepare_cached(
            "SELECT position FROM certificates WHERE position >= ?1 AND position <= ?2 \
             ORDER BY position DESC LIMIT 1",
        )?
        .query_row(
            (Position::first_of(number).0, Position::last_of(number).0),
            |row| row.get(0),
        )
        .optional()?;
    Ok(size_after(last))
}

fn size_after(last: Option<i64>) -> u64 {
    last.map_or(0, |last| Position(last).sequence().unsigned_abs() + 1)
}

/// Stores a new certificate at the end of its zone.
pub(super) fn record(
    connection: &Connection,
    layout: Layout,
    certificate: &CertificateRecord,
    quota: Option<u64>,
    by: &By,
) -> Result<CertificateRecorded, StoreError> {
    let Some(End {
        zone: number,
        account,
        size,
        authority,
        in_force,
    }) = end_of_zone(connection, certificate)?
    else {
        return Ok(CertificateRecorded::NoZone);
    };
    // Random ones are never there.
    let exists = "SELECT 1 FROM certificates WHERE id = ?1";
    if !certificate.id.is_time_ordered()
        && connection
            .prepare_cached(exists)?
            .exists([certificate.id.as_bytes()])?
    {
        return Ok(CertificateRecorded::Exists);
    }
    if quota.is_some_and(|quota| size >= quota) {
        return Ok(CertificateRecorded::QuotaReached);
    }
    let position = Position(Position::first_of(number).0 + row::offset(size));
    if position > Position::last_of(number) {
        return Err(StoreError::Unavailable(
            "the zone has no number left for a certificate".into(),
        ));
    }
    let Some(authority) = authority else {
        return Err(StoreError::Conflict(
            "the certificate's authority is not stored".into(),
        ));
    };
    if in_force != Some(authority) {
        return Ok(CertificateRecorded::AuthorityNotInForce);
    }
    let epoch = if certificate.status == Status::Active {
        None
    } else {
        Some(next_epoch(connection, authority)?)
    };
    let subject = &certificate.subject;
    connection
        .prepare_cached(
            "INSERT INTO certificates (position, id, authority, status, epoch, revoked_on, serial, common_name, \
             country, state, location, organization, organizational_unit, issued_on, expires_on, validity_days, \
             signature, fingerprint_sha256, ski, der, csr, reason) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, \
             ?22)",
        )?
        .execute(rusqlite::params![
            position.0,
            certificate.id.as_bytes(),
            authority,
            certificate.status.code(),
            epoch,
            certificate.revoked_on.map(Timestamp::unix_microseconds),
            certificate.serial.as_bytes(),
            subject.common_name,
            subject.country,
            subject.state,
            subject.location,
            subject.organization,
            subject.organizational_unit,
            certificate.issued_on.unix_microseconds(),
            certificate.expires_on.unix_microseconds(),
            certificate.validity_days,
            certificate.signature.name(),
            certificate.fingerprint_sha256,
            certificate.ski,
            certificate.der,
            certificate.csr,
            certificate.revocation_reason.map(RevocationReason::code),
        ])?;
    if let Some(epoch) = epoch {
        revocations::change(connection, authority, position, &certificate.into(), epoch)?;
    }
    counters::add(connection, layout, position, certificate.status)?;
    log(
        connection,
        account,
        AuditAction::Issue,
        certificate,
        String::new(),
        by,
    )?;
    Ok(CertificateRecorded::Recorded)
}

fn log(
    connection: &Connection,
    account: AccountId,
    action: AuditAction,
    certificate: &CertificateRecord,
    detail: String,
    by: &By,
) -> Result<(), StoreError> {
    let deed = Deed::new(
        action,
        ResourceType::ClientCertificate,
        certificate.id.as_bytes(),
        detail,
    )
    .in_zone(certificate.zone)
    .of_certificate(certificate.fingerprint_sha256);
    audit::record(connection, AuditOwner::Account(account), by, deed)
}

/// Applies an event to a certificate's status.
pub(super) fn change_status(
    connection: &Connection,
    layout: Layout,
    zone: ZoneId,
    id: CertificateId,
    event: Event,
    by: &By,
) -> Result<Option<StatusChange>, StoreError> {
    let Some((position, mut record)) = find(connection, zone, id)? else {
        return Ok(None);
    };
    let before = record.status;
    let next = match record.on(event) {
        Transition::To(next) => next,
        Transition::Unchanged => return Ok(Some(StatusChange::Unchanged(record))),
        Transition::Refused => return Ok(Some(StatusChange::Refused)),
    };
    record.status = next;
    match event {
        Event::Revoke(reason) => {
            record.revoked_on = Some(by.at);
            record.revocation_reason = Some(reason);
        }
        Event::Reactivate => {
            record.revoked_on = None;
            record.revocation_reason = None;
        }
        Event::Settle => {}
    }
    match event {
        Event::Settle => expect_one(set_settled(connection, position, before, next)?, position)?,
        Event::Revoke(_) | Event::Reactivate => {
            let (authority, account) = existing_authority(connection, record.authority.id)?;
            let epoch = next_epoch(connection, authority)?;
            let changed = connection
                .prepare_cached(
                    "UPDATE certificates SET status = ?1, epoch = ?2, revoked_on = ?3, reason = ?4 \
                     WHERE position = ?5 AND status = ?6",
                )?
                .execute((
                    next.code(),
                    epoch,
                    record.revoked_on.map(Timestamp::unix_microseconds),
                    record.revocation_reason.map(RevocationReason::code),
                    position.0,
                    before.code(),
                ))?;
            expect_one(changed, position)?;
            revocations::change(connection, authority, position, &(&record).into(), epoch)?;
            let (action, reason) = match event {
                Event::Revoke(reason) => (AuditAction::Revoke, reason_text(reason)),
                _ => (AuditAction::Reactivate, String::new()),
            };
            log(
                connection,
                account,
                action,
                &record,
                format!("{reason}epoch={epoch}"),
                by,
            )?;
        }
    }
    counters::shift(connection, layout, position, before, next)?;
    Ok(Some(StatusChange::Changed(record)))
}

/// Settles certificates, authority by authority those whose last change was accepted first: up to that of `epoch`, or the
/// last one that every enforcement point knows that is waited for. None of the authorities `except`. What has to wait is not
/// read, however much it is.
pub(super) fn settle(
    connection: &Connection,
    layout: Layout,
    epoch: u64,
    at: Timestamp,
    except: &[AuthorityId],
    limit: u32,
) -> Result<Settled, StoreError> {
    let mut numbers = Vec::new();
    for authority in except {
        numbers.extend(authority_number(connection, *authority)?);
    }
    let mut pending = Vec::new();
    let mut before = -1;
    while let Some(authority) = next_with_pending(connection, before)? {
        before = authority;
        let left = (limit as usize).saturating_sub(pending.len());
        if left == 0 {
            break;
        }
        if numbers.contains(&authority) {
            continue;
        }
        let known = enforcement_points::known_to_all(connection, authority, at)?;
        let up_to = row::offset(known.map_or(epoch, |known| known.min(epoch)));
        let mut statement = connection.prepare_cached(
            "SELECT position, status FROM certificates INDEXED BY certificates_pending \
             WHERE status IN (1, 2) AND authority = ?1 AND epoch <= ?2 ORDER BY epoch LIMIT ?3",
        )?;
        let mut rows = statement.query((authority, up_to, row::offset(left as u64)))?;
        while let Some(row) = rows.next()? {
            pending.push((Position(row.get(0)?), row::status(row, 1)?));
        }
    }
    let mut settled = Settled::default();
    for (position, status) in pending {
        let Transition::To(next) = status.on(Event::Settle) else {
            return Err(corrupt(
                "a certificate that is not pending is in the index of the pending ones",
            ));
        };
        expect_one(set_settled(connection, position, status, next)?, position)?;
        counters::shift(connection, layout, position, status, next)?;
        match next {
            Status::Revoked => settled.revoked += 1,
            Status::Active => settled.reactivated += 1,
            Status::PendingReactivation | Status::PendingRevocation => {
                return Err(corrupt("settling led to a status that is pending"));
            }
        }
    }
    Ok(settled)
}

/// The first authority after number `before` of which a certificate is pending.
fn next_with_pending(connection: &Connection, before: i64) -> Result<Option<i64>, StoreError> {
    Ok(connection
        .prepare_cached(
            "SELECT authority FROM certificates INDEXED BY certificates_pending \
             WHERE status IN (1, 2) AND authority > ?1 ORDER BY authority LIMIT 1",
        )?
        .query_row((before,), |row| row.get(0))
        .optional()?)
}

/// Settling accepts nothing new, so the epoch stays that of the change which is now in force.
fn set_settled(
    connection: &Connection,
    position: Position,
    from: Status,
    to: Status,
) -> Result<usize, StoreError> {
    Ok(connection
        .prepare_cached("UPDATE certificates SET status = ?1 WHERE position = ?2 AND status = ?3")?
        .execute((to.code(), position.0, from.code()))?)
}

/// Compare-and-set on a row read in the same transaction: nobody else can have changed it.
fn expect_one(changed: usize, position: Position) -> Result<(), StoreError> {
    match changed {
        1 => Ok(()),
        _ => Err(corrupt(format!(
            "the certificate at {} is indexed in another status than it has",
            position.0
        ))),
    }
}

/// The number of the next accepted change of a status, in the order of commits; the last one of the certificate's
/// authority too.
fn next_epoch(connection: &Connection, authority: i64) -> Result<i64, StoreError> {
    let epoch = connection
        .prepare_cached(
            "UPDATE store SET last_epoch = last_epoch + 1 WHERE only = 1 RETURNING last_epoch",
        )?
        .query_row((), |row| row.get::<_, i64>(0))?;
    connection
        .prepare_cached("UPDATE authorities SET last_epoch = ?1 WHERE number = ?2")?
        .execute((epoch, authority))?;
    Ok(epoch)
}

fn existing_authority(
    connection: &Connection,
    id: AuthorityId,
) -> Result<(i64, AccountId), StoreError> {
    connection
        .prepare_cached("SELECT number, account FROM authorities WHERE id = ?1")?
        .query_row((id.as_bytes(),), |row| {
            Ok((row.get(0)?, AccountId::from_bytes(row.get(1)?)))
        })
        .optional()?
        .ok_or_else(|| StoreError::Conflict("the certificate's authority is not stored".into()))
}

pub(super) fn authority_number(
    connection: &Connection,
    id: AuthorityId,
) -> Result<Option<i64>, StoreError> {
    Ok(connection
        .prepare_cached("SELECT number FROM authorities WHERE id = ?1")?
        .query_row((id.as_bytes(),), |row| row.get(0))
        .optional()?)
}

/// Where a new certificate of a zone goes.
struct End {
    zone: i64,
    account: AccountId,
    /// How many certificates the zone has.
    size: u64,
    /// The number of the certificate's authority, if that is stored.
    authority: Option<i64>,
    /// The number of the authority that is in force in the zone's account.
    in_force: Option<i64>,
}

/// All in one statement, which costs half of what three do: a tenth of recording. `None`: there is no such zone.
fn end_of_zone(
    connection: &Connection,
    certificate: &CertificateRecord,
) -> Result<Option<End>, StoreError> {
    let end = connection
        .prepare_cached(
            "SELECT zones.number, \
             (SELECT position FROM certificates \
              WHERE position >= zones.number << ?3 AND position < zones.number + 1 << ?3 \
              ORDER BY position DESC LIMIT 1), \
             (SELECT number FROM authorities WHERE id = ?2), accounts.managed_authority, accounts.id \
             FROM zones JOIN accounts ON accounts.id = zones.account \
             WHERE zones.id = ?1 AND zones.deleted_at IS NULL",
        )?
        .query_row((certificate.zone.as_bytes(), certificate.authority.id.as_bytes(), SEQUENCE_BITS), |row| {
            Ok(End {
                zone: row.get(0)?,
                size: size_after(row.get(1)?),
                authority: row.get(2)?,
                in_force: row.get(3)?,
                account: AccountId::from_bytes(row.get(4)?),
            })
        })
        .optional()?;
    Ok(end)
}

fn records(
    connection: &Connection,
    zone: ZoneId,
    size: u32,
    mut rows: Rows<'_>,
) -> Result<Vec<CertificateRecord>, StoreError> {
    let mut names = Names::new(connection);
    let mut items = Vec::with_capacity(size.min(64) as usize);
    while let Some(row) = rows.next()? {
        items.push(names.record(zone, row)?);
    }
    Ok(items)
}

/// Rows that cannot be turned into records, at most `max` of them.
pub(super) fn unreadable(connection: &Connection, max: usize) -> Result<Vec<String>, StoreError> {
    let mut names = Names::new(connection);
    let mut statement = connection.prepare(concat!("SELECT ", columns!(), " FROM certificates"))?;
    let mut rows = statement.query(())?;
    let mut lines = Vec::new();
    while let Some(row) = rows.next()?.filter(|_| lines.len() < max) {
        // Which zone it is does not matter here.
        if let Err(error) = names.record(ZoneId::from_bytes([0; 16]), row) {
            let position: i64 = row.get(0)?;
            lines.push(format!(
                "the certificate at {position} cannot be read: {error}"
            ));
        }
    }
    Ok(lines)
}

/// Turns rows into records and remembers the authority last met: a page has one, rarely two. A join instead would read
/// the whole row of every entry that OFFSET skips.
struct Names<'c> {
    connection: &'c Connection,
    last: Option<(i64, AuthorityRef)>,
}

impl<'c> Names<'c> {
    fn new(connection: &'c Connection) -> Self {
        Self {
            connection,
            last: None,
        }
    }

    fn authority(&mut self, number: i64) -> Result<AuthorityRef, StoreError> {
        match &self.last {
            Some((last, authority)) if *last == number => Ok(authority.clone()),
            _ => {
                let authority = self
                    .connection
                    .prepare_cached("SELECT id, name FROM authorities WHERE number = ?1")?
                    .query_row((number,), |row| {
                        Ok(AuthorityRef {
                            id: AuthorityId::from_bytes(row.get(0)?),
                            name: row.get(1)?,
                        })
                    })
                    .optional()?
                    .ok_or_else(|| {
                        corrupt(format!(
                            "a certificate names authority {number}, which is missing"
                        ))
                    })?;
                self.last = Some((number, authority.clone()));
                Ok(authority)
            }
        }
    }

    fn record(&mut self, zone: ZoneId, row: &Row<'_>) -> Result<CertificateRecord, StoreError> {
        Ok(CertificateRecord {
            id: CertificateId::from_bytes(row.get(1)?),
            zone,
            authority: self.authority(row.get(2)?)?,
            status: row::status(row, 3)?,
            revoked_on: row::optional_timestamp(row, 4)?,
            serial: SerialNumber::from_bytes(row.get(5)?),
            subject: SubjectFields {
                common_name: row.get(6)?,
                country: row.get(7)?,
                state: row.get(8)?,
                location: row.get(9)?,
                organization: row.get(10)?,
                organizational_unit: row.get(11)?,
            },
            issued_on: row::timestamp(row, 12)?,
            expires_on: row::timestamp(row, 13)?,
            validity_days: row.get(14)?,
            signature: row::signature(row, 15)?,
            fingerprint_sha256: row.get(16)?,
            ski: row.get(17)?,
            der: row.get(18)?,
            csr: row.get(19)?,
            revocation_reason: row::optional_reason(row, 20)?,
        })
    }
}
