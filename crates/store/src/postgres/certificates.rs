//! Certificates: their rows and their pages.

use certgate_model::{
    AuthorityId, AuthorityRef, CertificateId, CertificateRecord, Page, SerialNumber, Slice, Status,
    SubjectFields, Totals, ZoneId,
};

use super::counters::{self, Layout, Position};
use super::db::Db;
use super::error::corrupt;
use super::row::{self, Row};
use super::tenants;
use super::value::values;
use crate::StoreError;

/// No page is read into memory that is larger; the API's own limit is a thousand.
const PAGE_MAX: u32 = 10_000;

macro_rules! columns {
    () => {
        "position, certificates.id, authority, status, revoked_on, serial, common_name, country, state, location, \
         organization, organizational_unit, issued_on, certificates.expires_on, validity_days, signature, \
         fingerprint_sha256, ski, der, csr, reason"
    };
}

/// The first column behind those.
const NEXT: usize = 21;

/// One certificate of a zone that exists. One statement.
pub(super) async fn certificate(
    db: &Db,
    zone: ZoneId,
    id: CertificateId,
) -> Result<Option<CertificateRecord>, StoreError> {
    let select = concat!(
        "SELECT ",
        columns!(),
        ", authorities.id, authorities.name, zones.number FROM certificates \
         LEFT JOIN authorities ON authorities.number = certificates.authority \
         JOIN zones ON zones.id = $2 AND zones.deleted_at IS NULL WHERE certificates.id = $1"
    );
    let Some(row) = db
        .optional(select, values![id.as_bytes(), zone.as_bytes()])
        .await?
    else {
        return Ok(None);
    };
    if Position(row.get(0)?).zone() != row.get::<i64>(NEXT + 2)? {
        return Ok(None);
    }
    Ok(Some(record(zone, joined_authority(&row)?, &row)?))
}

/// The authority that a row was joined with.
fn joined_authority(row: &Row) -> Result<AuthorityRef, StoreError> {
    let (Some(id), Some(name)) = (row.get::<Option<_>>(NEXT)?, row.get(NEXT + 1)?) else {
        let number: i64 = row.get(2)?;
        return Err(corrupt(format!(
            "a certificate names authority {number}, which is missing"
        )));
    };
    Ok(AuthorityRef {
        id: AuthorityId::from_bytes(id),
        name,
    })
}

/// Where a certificate stands, the number of its authority, and its row for [`record`].
pub(super) async fn row_of(
    db: &Db,
    id: CertificateId,
) -> Result<Option<(Position, i64, Row)>, StoreError> {
    let select = concat!("SELECT ", columns!(), " FROM certificates WHERE id = $1");
    let Some(row) = db.optional(select, values![id.as_bytes()]).await? else {
        return Ok(None);
    };
    Ok(Some((Position(row.get(0)?), row.get(2)?, row)))
}

/// A page of a zone's certificates of any status, newest first, and how many there are. Two statements that need not see the same
/// instant: certificates are only added, each at the end.
pub(super) async fn page_of_all(
    db: &Db,
    zone: ZoneId,
    slice: Slice,
) -> Result<Page<CertificateRecord>, StoreError> {
    let Some(number) = tenants::zone_number(db, zone).await? else {
        return Ok(Page {
            items: Vec::new(),
            total: 0,
        });
    };
    let total = size(db, number).await?;
    let remaining = total.saturating_sub(slice.first);
    let size = u64::from(slice.size.min(PAGE_MAX));
    if remaining == 0 || size == 0 {
        return Ok(Page {
            items: Vec::new(),
            total,
        });
    }
    let end = Position::first_of(number).0 + row::offset(remaining);
    let start = Position::first_of(number).0 + row::offset(remaining.saturating_sub(size));
    let select = concat!(
        "SELECT ",
        columns!(),
        ", authorities.id, authorities.name FROM certificates \
         LEFT JOIN authorities ON authorities.number = certificates.authority \
         WHERE position >= $1 AND position < $2 ORDER BY position DESC"
    );
    let rows = db.rows(select, values![start, end]).await?;
    let items = rows
        .iter()
        .map(|row| record(zone, joined_authority(row)?, row));
    Ok(Page {
        items: items.collect::<Result<_, _>>()?,
        total,
    })
}

/// A page of a zone's certificates of one status, newest first, and how many have it. In a snapshot.
pub(super) async fn page_of_status(
    db: &Db,
    layout: Layout,
    zone: ZoneId,
    status: Status,
    slice: Slice,
) -> Result<Page<CertificateRecord>, StoreError> {
    let Some(number) = tenants::zone_number(db, zone).await? else {
        return Ok(Page {
            items: Vec::new(),
            total: 0,
        });
    };
    let size = slice.size.min(PAGE_MAX);
    let (place, total) = counters::locate(db, layout, number, status, slice.first).await?;
    let Some(place) = place.filter(|_| size > 0) else {
        return Ok(Page {
            items: Vec::new(),
            total,
        });
    };
    let select = concat!(
        "SELECT ",
        columns!(),
        " FROM certificates WHERE (status, position) >= ($1, $2) AND (status, position) <= ($1, $3) \
         ORDER BY status DESC, position DESC LIMIT $4 OFFSET $5"
    );
    // Both columns in the order: for the position alone the planner would rather walk the primary key through whatever is there of other
    // statuses. No join: it would read the whole row of every entry that is skipped.
    let oldest = Position::first_of(number).0;
    let values = values![
        status.code(),
        oldest,
        place.newest.0,
        size,
        row::offset(place.skip)
    ];
    let rows = db.rows(select, values).await?;
    let mut names = Names::new(db);
    let mut items = Vec::with_capacity(rows.len());
    for row in &rows {
        items.push(names.record(zone, row).await?);
    }
    Ok(Page { items, total })
}

/// How many certificates a zone has in each status.
pub(super) async fn totals(db: &Db, layout: Layout, zone: ZoneId) -> Result<Totals, StoreError> {
    match tenants::zone_number(db, zone).await? {
        Some(number) => counters::totals(db, layout, number).await,
        None => Ok(Totals::default()),
    }
}

/// How many certificates a zone has: its sequence numbers are dense, so one more than the last.
pub(super) async fn size(db: &Db, number: i64) -> Result<u64, StoreError> {
    let select = "SELECT position FROM certificates WHERE position >= $1 AND position <= $2 \
                  ORDER BY position DESC LIMIT 1";
    let values = values![Position::first_of(number).0, Position::last_of(number).0];
    let Some(row) = db.optional(select, values).await? else {
        return Ok(0);
    };
    Ok(Position(row.get(0)?).sequence().unsigned_abs() + 1)
}

/// How many certificates are read at a time when all of them are.
const STRETCH: u32 = 1_000;

/// The next certificates in the order of positions, after `after`: for reading all of them. None at the end.
pub(super) async fn stretch(db: &Db, after: i64) -> Result<Vec<Row>, StoreError> {
    let select = concat!(
        "SELECT ",
        columns!(),
        ", epoch FROM certificates WHERE position > $1 ORDER BY position LIMIT $2"
    );
    db.rows(select, values![after, STRETCH]).await
}

/// Turns rows into records and remembers the authority last met: a page has one, rarely two. A join instead would read
/// the whole row of every entry that OFFSET skips.
pub(super) struct Names<'d> {
    db: &'d Db,
    last: Option<(i64, AuthorityRef)>,
}

impl<'d> Names<'d> {
    pub(super) fn new(db: &'d Db) -> Self {
        Self { db, last: None }
    }

    async fn authority(&mut self, number: i64) -> Result<AuthorityRef, StoreError> {
        if let Some((last, authority)) = &self.last
            && *last == number
        {
            return Ok(authority.clone());
        }
        let row = self
            .db
            .optional(
                "SELECT id, name FROM authorities WHERE number = $1",
                values![number],
            )
            .await?;
        let row = row.ok_or_else(|| {
            corrupt(format!(
                "a certificate names authority {number}, which is missing"
            ))
        })?;
        let authority = AuthorityRef {
            id: AuthorityId::from_bytes(row.get(0)?),
            name: row.get(1)?,
        };
        self.last = Some((number, authority.clone()));
        Ok(authority)
    }

    pub(super) async fn record(
        &mut self,
        zone: ZoneId,
        row: &Row,
    ) -> Result<CertificateRecord, StoreError> {
        record(zone, self.authority(row.get(2)?).await?, row)
    }
}

/// The record in a row of all columns.
pub(super) fn record(
    zone: ZoneId,
    authority: AuthorityRef,
    row: &Row,
) -> Result<CertificateRecord, StoreError> {
    Ok(CertificateRecord {
        id: CertificateId::from_bytes(row.get(1)?),
        zone,
        authority,
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
