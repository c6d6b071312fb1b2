//! The records of a page: as many as fit into a part, and the IDs of the others.

use certgate_model::{CertificateId, CertificateRecord, ZoneId};

use crate::db::{Db, Row, Values, values};
use crate::verbs::certificates::{self, FIND, FIND_AT, Found};
use crate::{PART_OCTETS, PART_RECORDS_MAX, StoreError};

/// Returns the first certificates at these positions, in this order, and the IDs of the others.
pub(super) async fn part<D: Db>(
    db: &D,
    zone: ZoneId,
    positions: &[i64],
) -> Result<(Vec<CertificateRecord>, Vec<CertificateId>), StoreError> {
    let some = &positions[..positions.len().min(PART_RECORDS_MAX as usize)];
    let rows = db.optional_each(FIND_AT, &cells(some), Found::read).await?;
    let rows = rows.into_iter().flatten().collect();
    let items = certificates::named(db, zone, certificates::up_to(rows, PART_OCTETS)).await?;
    let rest = positions.get(items.len()..).unwrap_or_default();
    let select = "SELECT id FROM certificates WHERE position = ?1";
    let ids = db
        .optional_each(select, &cells(rest), |row: &dyn Row| row.get(0))
        .await?;
    Ok((items, ids.into_iter().flatten().collect()))
}

/// Returns the certificates at these few positions, which may be of any zone.
pub(super) async fn records_at<D: Db>(
    db: &D,
    zone: ZoneId,
    positions: &[i64],
) -> Result<Vec<(i64, CertificateRecord)>, StoreError> {
    let rows = db
        .optional_each(FIND_AT, &cells(positions), Found::read)
        .await?;
    let rows: Vec<_> = rows.into_iter().flatten().collect();
    let positions: Vec<_> = rows.iter().map(|row| row.position.0).collect();
    let records = certificates::named(db, zone, rows).await?;
    Ok(positions.into_iter().zip(records).collect())
}

/// Returns the certificates of a zone that have these IDs, in this order, up to the octets of a
/// part.
pub(super) async fn by_ids<D: Db>(
    db: &D,
    zone: ZoneId,
    number: i64,
    ids: &[CertificateId],
) -> Result<Vec<CertificateRecord>, StoreError> {
    for some in ids.chunks(PART_RECORDS_MAX as usize) {
        let some: Vec<_> = some.iter().map(|id| values![*id].to_vec()).collect();
        let rows = db.optional_each(FIND, &some, Found::read).await?;
        let mut rows: Vec<_> = rows.into_iter().flatten().collect();
        rows.retain(|row| row.position.zone() == number);
        if !rows.is_empty() {
            return certificates::named(db, zone, certificates::up_to(rows, PART_OCTETS)).await;
        }
    }
    Ok(Vec::new())
}

fn cells(positions: &[i64]) -> Vec<Values<'static>> {
    let cells = positions.iter().map(|position| values![*position].to_vec());
    cells.collect()
}
