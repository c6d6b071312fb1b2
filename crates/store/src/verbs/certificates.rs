//! Reading certificates: one, and pages of them.

use std::cmp::Reverse;

use certgate_model::{
    AuthorityId, AuthorityRef, CertificateId, CertificateRecord, Lineage, Page, Slice, Status,
    SubjectFields, Totals, ZoneId,
};

use super::counters;
use super::tenants;
use crate::db::{Db, Dialect, Row, values};
use crate::error::corrupt;
use crate::position::Position;
use crate::{CertificatesPart, StoreError};

/// The longest page that is read into memory; the API's own limit is a thousand.
const PAGE_MAX: u32 = 10_000;

/// The last position of a row of `zones`, in one statement with the row: as a statement of its own
/// it would cost a tenth of recording a certificate. 36 is [`crate::position::SEQUENCE_BITS`].
macro_rules! last_position {
    () => {
        "(SELECT certificates.position FROM certificates \
         WHERE certificates.position >= zones.number << 36 \
         AND certificates.position < (zones.number + 1) << 36 \
         ORDER BY certificates.position DESC LIMIT 1)"
    };
}
pub(super) use last_position;

/// The columns of [`Found`].
macro_rules! found {
    () => {
        "certificates.position, certificates.id, certificates.authority, certificates.serial, \
         certificates.common_name, certificates.country, certificates.state, \
         certificates.location, certificates.organization, certificates.organizational_unit, \
         certificates.issued_on, certificates.expires_on, certificates.validity_days, \
         certificates.signature, certificates.fingerprint_sha256, certificates.ski, \
         certificates.der, certificates.csr, statuses.status, statuses.revoked_on, \
         statuses.reason, \
         (SELECT older.id FROM replacements \
         JOIN certificates AS older ON older.position = replacements.position \
         WHERE replacements.successor = certificates.position), \
         (SELECT newer.id FROM replacements \
         JOIN certificates AS newer ON newer.position = replacements.successor \
         WHERE replacements.position = certificates.position)"
    };
}

/// The first column after those.
pub(super) const NEXT: usize = 23;

/// Finds a certificate by its ID, for several at once.
pub(super) const FIND: &str = concat!(
    "SELECT ",
    found!(),
    " FROM certificates JOIN statuses ON statuses.position = certificates.position \
     WHERE certificates.id = ?1"
);

/// Finds a certificate by its position, for several at once.
pub(super) const FIND_AT: &str = concat!(
    "SELECT ",
    found!(),
    " FROM certificates JOIN statuses ON statuses.position = certificates.position \
     WHERE certificates.position = ?1"
);

/// Every certificate, with its epoch, the CA's number beside its status, its digest and its
/// `folded_name`.
pub(super) const EVERYTHING: &str = concat!(
    "SELECT ",
    found!(),
    ", statuses.epoch, statuses.authority, certificates.digest, certificates.folded_name \
     FROM certificates \
     LEFT JOIN statuses ON statuses.position = certificates.position \
     ORDER BY certificates.position"
);

/// A certificate as stored, with the number of its CA.
pub(crate) struct Found {
    pub(crate) position: Position,
    pub(crate) authority: i64,
    record: CertificateRecord,
}

impl Found {
    pub(crate) fn read(row: &dyn Row) -> Result<Self, StoreError> {
        Ok(Self {
            position: Position(row.get(0)?),
            authority: row.get(2)?,
            record: CertificateRecord {
                id: row.get(1)?,
                // The statement does not read the zone and the CA's name: `named` sets them.
                zone: ZoneId::from_bytes([0; 16]),
                authority: AuthorityRef {
                    id: AuthorityId::from_bytes([0; 16]),
                    name: String::new(),
                },
                serial: row.get(3)?,
                subject: SubjectFields {
                    common_name: row.get(4)?,
                    country: row.get(5)?,
                    state: row.get(6)?,
                    location: row.get(7)?,
                    organization: row.get(8)?,
                    organizational_unit: row.get(9)?,
                },
                issued_on: row.get(10)?,
                expires_on: row.get(11)?,
                validity_days: row.get(12)?,
                signature: row.get(13)?,
                fingerprint_sha256: row.get(14)?,
                ski: row.get(15)?,
                der: row.get(16)?,
                csr: row.get(17)?,
                status: row.get(18)?,
                revoked_on: row.get(19)?,
                revocation_reason: row.get(20)?,
                lineage: Lineage {
                    replaces: row.get(21)?,
                    replaced_by: row.get(22)?,
                },
            },
        })
    }

    /// Returns the record of a certificate of this zone and CA.
    pub(crate) fn named(self, zone: ZoneId, authority: AuthorityRef) -> CertificateRecord {
        CertificateRecord {
            zone,
            authority,
            ..self.record
        }
    }
}

/// Returns one certificate of a zone that exists.
pub(crate) async fn certificate<D: Db>(
    db: &D,
    zone: ZoneId,
    id: CertificateId,
) -> Result<Option<CertificateRecord>, StoreError> {
    let select = concat!(
        "SELECT ",
        found!(),
        ", authorities.id, authorities.name, zones.number FROM certificates \
         LEFT JOIN statuses ON statuses.position = certificates.position \
         LEFT JOIN authorities ON authorities.number = certificates.authority \
         LEFT JOIN zones ON zones.id = ?2 AND zones.deleted_at IS NULL \
         WHERE certificates.id = ?1"
    );
    let found = db
        .optional(select, &values![id, zone], |row| {
            let found = Found::read(row)?;
            if row.get::<Option<i64>>(NEXT + 2)? != Some(found.position.zone()) {
                return Ok(None);
            }
            let (Some(id), Some(name)) = (row.get(NEXT)?, row.get(NEXT + 1)?) else {
                return Err(missing_authority(found.authority));
            };
            Ok(Some(found.named(zone, AuthorityRef { id, name })))
        })
        .await?;
    Ok(found.flatten())
}

fn missing_authority(number: i64) -> StoreError {
    corrupt(format!(
        "a certificate names the CA with number {number}, which is missing"
    ))
}

/// Returns a part of a page of a zone's certificates, newest first, and the number that match. A
/// part after the first has 0 as the number.
pub(crate) async fn part<D: Db>(
    db: &D,
    zone: ZoneId,
    part: CertificatesPart,
) -> Result<Page<CertificateRecord>, StoreError> {
    let CertificatesPart { query, after, .. } = part;
    let slice = Slice {
        first: query.slice.first,
        size: query.slice.size.min(PAGE_MAX),
    };
    let (rows, total) = match (query.status, after) {
        (None, None) => page_of_all(db, zone, slice).await?,
        (Some(status), None) => page_of_status(db, zone, status, slice).await?,
        (status, Some(after)) => (rest(db, zone, status, after, slice.size).await?, 0),
    };
    let items = named(db, zone, up_to(rows, part.octets_max)).await?;
    Ok(Page { items, total })
}

/// Leaves out the rows after the one that reaches this number of octets.
pub(super) fn up_to(mut rows: Vec<Found>, octets_max: usize) -> Vec<Found> {
    let mut octets = 0_usize;
    let reached = rows.iter().position(|row| {
        let of_row = row.record.der.len() + row.record.csr.len();
        octets = octets.saturating_add(of_row);
        octets >= octets_max
    });
    if let Some(last) = reached {
        rows.truncate(last + 1);
    }
    rows
}

/// Certificates are only added, each at the end of its zone, so the statements need not see the
/// same instant.
async fn page_of_all<D: Db>(
    db: &D,
    zone: ZoneId,
    slice: Slice,
) -> Result<(Vec<Found>, u64), StoreError> {
    let Some((number, total)) = end_of_zone(db, zone).await? else {
        return Ok((Vec::new(), 0));
    };
    let remaining = total.saturating_sub(slice.first);
    if remaining == 0 || slice.size == 0 {
        return Ok((Vec::new(), total));
    }
    let end = Position::in_zone(number, remaining);
    Ok((rows_before(db, number, end, slice.size).await?, total))
}

/// Returns the certificates of a zone before this position, newest first.
async fn rows_before<D: Db>(
    db: &D,
    zone: i64,
    end: Position,
    size: u32,
) -> Result<Vec<Found>, StoreError> {
    let start = (end.0 - i64::from(size)).max(Position::first_of(zone).0);
    // Both tables get the range: PostgreSQL does not carry it over a join, and a prepared plan
    // would read every status.
    let select = concat!(
        "SELECT ",
        found!(),
        " FROM certificates LEFT JOIN statuses ON statuses.position = certificates.position \
         AND statuses.position >= ?1 AND statuses.position < ?2 \
         WHERE certificates.position >= ?1 AND certificates.position < ?2 \
         ORDER BY certificates.position DESC"
    );
    db.rows(select, &values![start, end.0], Found::read).await
}

async fn page_of_status<D: Db>(
    db: &D,
    zone: ZoneId,
    status: Status,
    slice: Slice,
) -> Result<(Vec<Found>, u64), StoreError> {
    let Some(number) = tenants::zone_number(db, zone).await? else {
        return Ok((Vec::new(), 0));
    };
    let (place, total) = counters::locate(db, number, status, slice.first).await?;
    let Some(place) = place.filter(|_| slice.size > 0) else {
        return Ok((Vec::new(), total));
    };
    let rows = rows_of_status(db, number, status, place.newest, slice.size, place.skip).await?;
    Ok((rows, total))
}

/// Returns the certificates of a status up to the position `newest`, newest first, without the
/// first `skip` of them.
async fn rows_of_status<D: Db>(
    db: &D,
    zone: i64,
    status: Status,
    newest: Position,
    size: u32,
    skip: u64,
) -> Result<Vec<Found>, StoreError> {
    let values = values![
        status.code(),
        Position::first_of(zone).0,
        newest.0,
        size,
        skip,
    ];
    let mut rows = db
        .rows(page_of_status_text(D::DIALECT), &values, Found::read)
        .await?;
    // The inner query has chosen the rows; a join need not keep their order.
    rows.sort_by_key(|found| Reverse(found.position));
    Ok(rows)
}

/// Returns the rows after one of the same page. The statuses of some may have changed since.
async fn rest<D: Db>(
    db: &D,
    zone: ZoneId,
    status: Option<Status>,
    after: CertificateId,
    size: u32,
) -> Result<Vec<Found>, StoreError> {
    let select = "SELECT position FROM certificates WHERE id = ?1";
    let after = db
        .optional(select, &values![after], |row| row.get(0))
        .await?;
    let (Some(number), Some(after)) = (tenants::zone_number(db, zone).await?, after) else {
        return Ok(Vec::new());
    };
    match status {
        None => rows_before(db, number, Position(after), size).await,
        Some(status) => rows_of_status(db, number, status, Position(after - 1), size, 0).await,
    }
}

/// The inner query skips entries of the index alone: a join would read the certificate of each.
/// PostgreSQL walks the primary key through all statuses unless both columns are in the order;
/// SQLite walks all zones for PostgreSQL's comparison of rows. PostgreSQL expects few positions of
/// an array and looks each up; of a joined page it expects a tenth of all rows, and its prepared
/// plan would read every certificate.
pub(super) fn page_of_status_text(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Sqlite => concat!(
            "SELECT ",
            found!(),
            " FROM (SELECT position, status, revoked_on, reason FROM statuses \
             WHERE status = ?1 AND position >= ?2 AND position <= ?3 \
             ORDER BY position DESC LIMIT ?4 OFFSET ?5) AS statuses \
             JOIN certificates ON certificates.position = statuses.position"
        ),
        Dialect::Postgres => concat!(
            "SELECT ",
            found!(),
            " FROM certificates JOIN statuses ON statuses.position = certificates.position \
             WHERE certificates.position = ANY (ARRAY(SELECT position FROM statuses \
             WHERE (status, position) >= (?1, ?2) AND (status, position) <= (?1, ?3) \
             ORDER BY status DESC, position DESC LIMIT ?4 OFFSET ?5))"
        ),
    }
}

/// Adds the zone and the names of the CAs. A page has one CA, rarely two, so each is read once.
pub(super) async fn named<D: Db>(
    db: &D,
    zone: ZoneId,
    rows: Vec<Found>,
) -> Result<Vec<CertificateRecord>, StoreError> {
    let mut names: Vec<(i64, AuthorityRef)> = Vec::new();
    let mut items = Vec::with_capacity(rows.len());
    for found in rows {
        let number = found.authority;
        let known = names.iter().position(|(known, _)| *known == number);
        let place = match known {
            Some(place) => place,
            None => {
                let name = authority_name(db, number).await?;
                names.push((number, name.ok_or_else(|| missing_authority(number))?));
                names.len() - 1
            }
        };
        items.push(found.named(zone, names[place].1.clone()));
    }
    Ok(items)
}

/// Returns the ID and the name of the CA with this number.
pub(super) async fn authority_name<D: Db>(
    db: &D,
    number: i64,
) -> Result<Option<AuthorityRef>, StoreError> {
    let select = "SELECT id, name FROM authorities WHERE number = ?1";
    db.optional(select, &values![number], |row| {
        Ok(AuthorityRef {
            id: row.get(0)?,
            name: row.get(1)?,
        })
    })
    .await
}

/// Returns the number of a zone and of its certificates; `None` if the zone does not exist.
pub(super) async fn end_of_zone<D: Db>(
    db: &D,
    zone: ZoneId,
) -> Result<Option<(i64, u64)>, StoreError> {
    let select = concat!(
        "SELECT zones.number, ",
        last_position!(),
        " FROM zones WHERE zones.id = ?1 AND zones.deleted_at IS NULL"
    );
    db.optional(select, &values![zone], |row| {
        Ok((row.get(0)?, size_after(row.get(1)?)))
    })
    .await
}

/// Sequence numbers are dense, so a zone has one certificate more than the last number.
pub(super) fn size_after(last: Option<i64>) -> u64 {
    last.map_or(0, |last| Position(last).sequence().unsigned_abs() + 1)
}

/// Returns the number of a zone's certificates in each status.
pub(crate) async fn totals<D: Db>(db: &D, zone: ZoneId) -> Result<Totals, StoreError> {
    match tenants::zone_number(db, zone).await? {
        Some(number) => Ok(counters::totals(db, number).await?.0),
        None => Ok(Totals::default()),
    }
}

#[cfg(test)]
mod tests {
    use crate::position::SEQUENCE_BITS;

    #[test]
    fn the_statements_shift_by_the_bits_of_a_sequence_number() {
        let shift = format!("<< {SEQUENCE_BITS} ");
        assert_eq!(last_position!().matches(&shift).count(), 2);
    }
}
