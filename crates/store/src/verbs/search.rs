//! Search of the certificates of a zone.

use certgate_model::{
    CertificateId, CertificateOrder, CertificateRecord, CertificateSearch, Direction, MatchCount,
    SearchOutcome, Slice, ZoneId,
};

use super::{certificates, tenants};
use crate::StoreError;
use crate::db::{Db, values};
use crate::verbs::certificates::{FIND, Found};

/// The octets of certificates and requests at which a part of a page ends: about 120 usual
/// certificates.
const PART_OCTETS: usize = 128 * 1024;

/// The most certificates that are read at once. A usual part is not larger.
const PART_RECORDS_MAX: usize = 128;

/// The longest page: the rest of a larger one would take too much memory even as IDs.
const PAGE_MAX: u32 = 10_000;

/// Searches in a zone.
pub(crate) async fn search<D: Db>(
    db: &D,
    zone: ZoneId,
    search: &CertificateSearch,
) -> Result<SearchOutcome, StoreError> {
    let Some((_, total)) = certificates::end_of_zone(db, zone).await? else {
        return Ok(SearchOutcome::Found {
            items: Vec::new(),
            rest: Vec::new(),
            count: MatchCount::Exact(0),
            next: None,
        });
    };
    if search.after.is_some() {
        return Ok(SearchOutcome::InvalidContinuation);
    }
    let by_issuing = matches!(search.order, None | Some(CertificateOrder::IssuedOn));
    if search.filter.is_status_only() && by_issuing {
        return by_status(db, zone, search).await;
    }
    let Some(serials) = &search.filter.serials else {
        return Ok(SearchOutcome::NotIndexed { done: 0, total });
    };
    let ids: Vec<_> = serials.iter().filter_map(|(_, id)| *id).collect();
    let mut matching = by_ids(db, zone, &ids).await?;
    matching.retain(|record| search.filter.matches(record));
    let count = matching.len() as u64;
    let first = usize::try_from(search.slice.first).unwrap_or(usize::MAX);
    let items = matching.into_iter().skip(first);
    Ok(SearchOutcome::Found {
        items: items.take(search.slice.size as usize).collect(),
        rest: Vec::new(),
        count: MatchCount::Exact(count),
        next: None,
    })
}

/// Returns a page of all certificates or of those in a status, in the order of issuing, at any
/// depth.
async fn by_status<D: Db>(
    db: &D,
    zone: ZoneId,
    search: &CertificateSearch,
) -> Result<SearchOutcome, StoreError> {
    let status = search.filter.status;
    let mut slice = Slice {
        size: search.slice.size.min(PAGE_MAX),
        ..search.slice
    };
    let is_ascending = search.direction == Some(Direction::Ascending);
    if is_ascending {
        // The same records of the list with the newest first.
        let totals = certificates::totals(db, zone).await?;
        let total = status.map_or(totals.all(), |status| totals.of(status));
        let left = total.saturating_sub(slice.first);
        slice.size = slice.size.min(u32::try_from(left).unwrap_or(u32::MAX));
        slice.first = left - u64::from(slice.size);
    }
    let (mut rows, total) = match status {
        None => certificates::page_of_all(db, zone, slice).await?,
        Some(status) => certificates::page_of_status(db, zone, status, slice).await?,
    };
    if is_ascending {
        rows.reverse();
    }
    let ids: Vec<_> = rows.iter().map(|row| row.record.id).collect();
    let items = certificates::named(db, zone, certificates::up_to(rows, PART_OCTETS)).await?;
    Ok(SearchOutcome::Found {
        rest: ids[items.len()..].to_vec(),
        items,
        count: MatchCount::Exact(total),
        next: None,
    })
}

/// Returns the certificates of a zone that have these IDs, in this order, up to the octets of a
/// part.
pub(crate) async fn by_ids<D: Db>(
    db: &D,
    zone: ZoneId,
    ids: &[CertificateId],
) -> Result<Vec<CertificateRecord>, StoreError> {
    let Some(number) = tenants::zone_number(db, zone).await? else {
        return Ok(Vec::new());
    };
    for some in ids.chunks(PART_RECORDS_MAX) {
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
