//! Lines of certificates: each renewal replaces the newest certificate of its line.
//!
//! A replacement is checked and written in the transaction that records the new certificate, so
//! that two requests at the same time cannot replace one certificate twice.

use std::collections::BTreeMap;

use certgate_model::{CertificateId, RevocationReason, Timestamp, ZoneId};

use super::counters::Shifts;
use super::indexing::Uncounted;
use super::tallies::{Counted, Standing, Tallies};
use crate::db::{Db, Row, Values, values};
use crate::position::{Layout, Position};
use crate::schema::REPLACEMENTS;
use crate::{Renewal, RenewalRefused, ReplacedCertificate, StoreError};

/// The certificates that a batch replaces.
pub(super) struct Replacements {
    lines: BTreeMap<CertificateId, Line>,
    /// The rows to insert.
    made: Vec<Made>,
}

struct Made {
    counted: Counted,
    standing: Standing,
    uncounted: Uncounted,
    successor: Position,
    on: Timestamp,
    renewals: u64,
    revoke_on: Option<Timestamp>,
}

/// A certificate to replace, and the last renewal of its line.
struct Line {
    counted: Counted,
    standing: Standing,
    uncounted: Uncounted,
    zone: Option<ZoneId>,
    reason: Option<RevocationReason>,
    /// The certificate that replaced it, and the time.
    replaced: Option<(CertificateId, Timestamp)>,
    /// The time of the renewal that made it, and the number of renewals of its line on that day.
    renewed: Option<(Timestamp, u64)>,
}

/// PostgreSQL would read all zones for a join, because it knows nothing of the shifted position.
const LINE: &str = "SELECT certificates.position, \
                    (SELECT zones.id FROM zones WHERE zones.number = certificates.position >> 36), \
                    statuses.status, statuses.reason, \
                    newer.id, replacements.replaced_on, earlier.replaced_on, earlier.renewals, \
                    statuses.revoked_on, certificates.authority, certificates.expires_on, \
                    (SELECT indexing.counted_below FROM indexing \
                    WHERE indexing.zone = certificates.position >> 36), \
                    (SELECT replacement_counting.below FROM replacement_counting \
                    WHERE replacement_counting.zone = certificates.position >> 36) \
                    FROM certificates \
                    JOIN statuses ON statuses.position = certificates.position \
                    LEFT JOIN replacements ON replacements.position = certificates.position \
                    LEFT JOIN certificates AS newer ON newer.position = replacements.successor \
                    LEFT JOIN replacements AS earlier \
                    ON earlier.successor = certificates.position \
                    WHERE certificates.id = ?1";

impl Line {
    fn read(row: &dyn Row) -> Result<Self, StoreError> {
        Ok(Self {
            counted: Counted {
                position: Position(row.get(0)?),
                authority: row.get(9)?,
                expires_on: row.get(10)?,
            },
            standing: Standing {
                status: row.get(2)?,
                revoked_on: row.get(8)?,
                is_replaced: false,
            },
            uncounted: Uncounted {
                below: row.get(11)?,
                replaced_below: row.get(12)?,
            },
            zone: row.get(1)?,
            reason: row.get(3)?,
            replaced: row.get::<Option<CertificateId>>(4)?.zip(row.get(5)?),
            renewed: row.get::<Option<Timestamp>>(6)?.zip(row.get(7)?),
        })
    }

    fn refusal(&self, zone: ZoneId, renewal: &Renewal, at: Timestamp) -> Option<RenewalRefused> {
        if self.zone != Some(zone) {
            return Some(RenewalRefused::NotFound);
        }
        if self.standing.status.is_revoked() {
            return Some(RenewalRefused::Revoked(self.reason.unwrap_or_default()));
        }
        if let Some((by, on)) = self.replaced {
            return Some(RenewalRefused::Replaced { by, on });
        }
        let (on, _) = self.renewed?;
        let until = on.plus_seconds(renewal.interval_seconds);
        // A renewal in the future was dated by a wrong clock.
        if (on..until).contains(&at) {
            return Some(RenewalRefused::TooSoon { until });
        }
        (self.renewals_on(at) >= renewal.per_day_max).then_some(RenewalRefused::TooOften)
    }

    /// The number of earlier renewals of the line on a day.
    fn renewals_on(&self, at: Timestamp) -> u64 {
        match self.renewed {
            Some((on, renewals)) if on.unix_day() == at.unix_day() => renewals,
            _ => 0,
        }
    }
}

impl Replacements {
    /// Reads the certificates that are to be replaced.
    pub(super) async fn read<D: Db>(
        db: &D,
        renewals: impl Iterator<Item = &Renewal>,
    ) -> Result<Self, StoreError> {
        let ids: Vec<_> = renewals.map(|renewal| renewal.replaced).collect();
        let cells: Vec<_> = ids.iter().map(|id| values![*id].to_vec()).collect();
        let lines = db.optional_each(LINE, &cells, Line::read).await?;
        let lines = ids.into_iter().zip(lines);
        Ok(Self {
            lines: lines.filter_map(|(id, line)| Some((id, line?))).collect(),
            made: Vec::new(),
        })
    }

    /// Returns the reason why a certificate of a zone cannot be recorded that replaces another.
    pub(super) fn refusal(
        &self,
        renewal: &Renewal,
        zone: ZoneId,
        at: Timestamp,
    ) -> Option<RenewalRefused> {
        match self.lines.get(&renewal.replaced) {
            Some(line) => line.refusal(zone, renewal, at),
            None => Some(RenewalRefused::NotFound),
        }
    }

    /// Notes that the certificate that replaces another is recorded at this position and time.
    pub(super) fn add(
        &mut self,
        renewal: &Renewal,
        id: CertificateId,
        successor: Position,
        on: Timestamp,
    ) {
        let Some(line) = self.lines.get_mut(&renewal.replaced) else {
            return;
        };
        self.made.push(Made {
            counted: line.counted,
            standing: line.standing,
            uncounted: line.uncounted,
            successor,
            on,
            renewals: line.renewals_on(on) + 1,
            revoke_on: renewal.revoke_on,
        });
        line.replaced = Some((id, on));
    }

    /// Counts the replaced certificates.
    pub(super) fn count(&self, layout: Layout, shifts: &mut Shifts, tallies: &mut Tallies) {
        for made in &self.made {
            let at = made.counted.position;
            if !made.uncounted.has_replaced(at) {
                continue;
            }
            shifts.replace(layout, at, made.standing.status);
            if made.uncounted.has(at) {
                let after = Standing {
                    is_replaced: true,
                    ..made.standing
                };
                tallies.change(made.counted, made.standing, after);
            }
        }
    }

    /// Writes the replacements, after their certificates.
    pub(super) async fn insert<D: Db>(&self, db: &D) -> Result<(), StoreError> {
        if self.made.is_empty() {
            return Ok(());
        }
        let mut rows = Vec::with_capacity(self.made.len() * REPLACEMENTS.columns.len());
        for made in &self.made {
            rows.extend(values![
                made.counted.position.0,
                made.successor.0,
                made.on,
                made.renewals,
                made.revoke_on,
            ]);
        }
        db.insert(&REPLACEMENTS, &rows).await
    }
}

/// Returns the reason why a renewal would be refused now.
pub(crate) async fn refused<D: Db>(
    db: &D,
    zone: ZoneId,
    renewal: Renewal,
    at: Timestamp,
) -> Result<Option<RenewalRefused>, StoreError> {
    let values = values![renewal.replaced];
    Ok(match db.optional(LINE, &values, Line::read).await? {
        Some(line) => line.refusal(zone, &renewal, at),
        None => Some(RenewalRefused::NotFound),
    })
}

/// Returns replaced certificates that are to be revoked by now, those that wait longest first.
pub(crate) async fn due<D: Db>(
    db: &D,
    at: Timestamp,
    limit: u32,
) -> Result<Vec<ReplacedCertificate>, StoreError> {
    let select = "SELECT position FROM replacements \
                  WHERE revoke_on IS NOT NULL AND revoke_on <= ?1 \
                  ORDER BY revoke_on, position LIMIT ?2";
    let read = |row: &dyn Row| row.get::<i64>(0);
    let positions = db.rows(select, &values![at, limit], read).await?;
    let cells: Vec<_> = positions
        .iter()
        .map(|position| values![*position].to_vec())
        .collect();
    // PostgreSQL would read all certificates and zones for a join.
    let select = "SELECT \
                  (SELECT zones.id FROM zones WHERE zones.number = certificates.position >> 36), \
                  (SELECT zones.account FROM zones \
                  WHERE zones.number = certificates.position >> 36), \
                  certificates.id FROM certificates WHERE certificates.position = ?1";
    let found = db.optional_each(select, &cells, |row| {
        Ok(ReplacedCertificate {
            zone: row.get(0)?,
            account: row.get(1)?,
            id: row.get(2)?,
        })
    });
    Ok(found.await?.into_iter().flatten().collect())
}

/// Returns the time at which the next replaced certificate is to be revoked.
pub(crate) async fn next_due<D: Db>(db: &D) -> Result<Option<Timestamp>, StoreError> {
    let select = "SELECT revoke_on FROM replacements WHERE revoke_on IS NOT NULL \
                  ORDER BY revoke_on, position LIMIT 1";
    db.optional(select, &[], |row| row.get(0)).await
}

/// Notes that these replaced certificates need not be revoked any more.
pub(crate) async fn leave<D: Db>(db: &D, certificates: &[CertificateId]) -> Result<(), StoreError> {
    let update = "UPDATE replacements SET revoke_on = NULL WHERE position = \
                  (SELECT position FROM certificates WHERE id = ?1)";
    let cells: Vec<Values<'_>> = certificates
        .iter()
        .map(|id| values![*id].to_vec())
        .collect();
    db.execute_each(update, &cells).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::position::SEQUENCE_BITS;

    #[test]
    fn the_statements_shift_by_the_bits_of_a_sequence_number() {
        assert!(LINE.contains(&format!(">> {SEQUENCE_BITS})")));
    }
}
