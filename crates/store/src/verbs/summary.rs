//! The summaries of a zone and of the installation. They read counters.

use certgate_model::{
    AuthorityRef, InstallationSummary, SUMMARY_EXPIRING_DAYS, SUMMARY_PAST_DAYS, Totals, ZoneId,
    ZoneSummary,
};
use futures_util::future::{try_join3, try_join4};

use super::tallies::{ALL_ZONES, DayKind};
use super::{counters, indexing, tenants};
use crate::StoreError;
use crate::db::{Db, Row, values};

/// Returns the summary of a zone; `None` if it does not exist.
pub(crate) async fn of_zone<D: Db>(
    db: &D,
    zone: ZoneId,
    today: i64,
) -> Result<Option<ZoneSummary>, StoreError> {
    let Some(zone) = tenants::zone_number(db, zone).await? else {
        return Ok(None);
    };
    let past = today.saturating_sub(SUMMARY_PAST_DAYS - 1);
    let days = try_join4(
        days(db, zone, DayKind::Expiring, today, SUMMARY_EXPIRING_DAYS),
        days(db, zone, DayKind::Issued, past, SUMMARY_PAST_DAYS),
        days(db, zone, DayKind::Revoked, past, SUMMARY_PAST_DAYS),
        indexing::unfinished(db, zone),
    );
    let (totals, counts_replaced, by_authority, (expiring, issued, revoked, unfinished)) =
        try_join4(
            counters::totals(db, zone),
            indexing::counts_replaced(db, zone),
            by_authority(db, zone),
            days,
        )
        .await?;
    let (totals, replaced) = totals;
    Ok(Some(ZoneSummary {
        totals,
        replaced: counts_replaced.then_some(replaced),
        by_authority,
        expiring,
        issued,
        revoked,
        uncounted: unfinished.map_or(0, |unfinished| unfinished.uncounted),
    }))
}

/// Returns the summary of all zones, with the certificates that expire within `days`.
pub(crate) async fn of_all<D: Db>(
    db: &D,
    today: i64,
    days_ahead: i64,
) -> Result<InstallationSummary, StoreError> {
    let totals = "SELECT CAST(coalesce(sum(active), 0) AS BIGINT), \
                  CAST(coalesce(sum(pending_reactivation), 0) AS BIGINT), \
                  CAST(coalesce(sum(pending_revocation), 0) AS BIGINT), \
                  CAST(coalesce(sum(revoked), 0) AS BIGINT) FROM upper_blocks";
    let read = |row: &dyn Row| {
        Ok(Totals::new([
            row.get(0)?,
            row.get(1)?,
            row.get(2)?,
            row.get(3)?,
        ]))
    };
    let (totals, expiring, left) = try_join3(
        db.one(totals, &[], read),
        days(db, ALL_ZONES, DayKind::Expiring, today, days_ahead),
        indexing::left(db),
    )
    .await?;
    Ok(InstallationSummary {
        totals,
        expiring,
        unindexed: left.of(totals.all()),
    })
}

async fn by_authority<D: Db>(db: &D, zone: i64) -> Result<Vec<(AuthorityRef, Totals)>, StoreError> {
    let select = "SELECT authorities.id, authorities.name, authority_counters.active, \
                  authority_counters.pending_reactivation, authority_counters.pending_revocation, \
                  authority_counters.revoked FROM authority_counters \
                  JOIN authorities ON authorities.number = authority_counters.authority \
                  WHERE authority_counters.zone = ?1 ORDER BY authority_counters.authority";
    db.rows(select, &values![zone], |row| {
        let name = AuthorityRef {
            id: row.get(0)?,
            name: row.get(1)?,
        };
        let totals = Totals::new([row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?]);
        Ok((name, totals))
    })
    .await
}

/// Returns the counters of one kind from a day on.
async fn days<D: Db>(
    db: &D,
    zone: i64,
    kind: DayKind,
    first: i64,
    count: i64,
) -> Result<Vec<(i64, u64)>, StoreError> {
    let select = "SELECT day, count FROM day_counters \
                  WHERE zone = ?1 AND kind = ?2 AND day >= ?3 AND day < ?4 ORDER BY day";
    let values = values![zone, kind.code(), first, first.saturating_add(count)];
    let read = |row: &dyn Row| Ok((row.get(0)?, row.get(1)?));
    let mut days = db.rows(select, &values, read).await?;
    // A counter stays when its last certificate leaves the day.
    days.retain(|(_, count)| *count > 0);
    Ok(days)
}
