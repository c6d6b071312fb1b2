//! What only one of several processes does at a time. Nobody has the database for itself, so that a start takes no duty from
//! anybody: it ends by itself.

use certgate_model::Timestamp;

use super::db::Db;
use super::value::values;
use crate::{Duty, Holder, StoreError};

/// Takes a duty, or keeps it; `false` while somebody else has it.
pub(super) async fn hold(
    db: &Db,
    duty: Duty,
    holder: Holder,
    at: Timestamp,
    until: Timestamp,
) -> Result<bool, StoreError> {
    let held = db
        .optional(
            "SELECT holder, until FROM duties WHERE duty = $1",
            values![duty.name()],
        )
        .await?;
    let (now, end) = (at.unix_microseconds(), until.unix_microseconds());
    let longest = end + (end - now);
    if let Some(row) = held {
        let (other, until): (Holder, i64) = (row.get(0)?, row.get(1)?);
        if other != holder && until > now && until <= longest {
            return Ok(false);
        }
    }
    db.execute(
        "INSERT INTO duties (duty, holder, until) VALUES ($1, $2, $3) \
         ON CONFLICT (duty) DO UPDATE SET holder = excluded.holder, until = excluded.until",
        values![duty.name(), holder, end],
    )
    .await?;
    Ok(true)
}

/// Leaves a duty to others.
pub(super) async fn leave(db: &Db, duty: Duty, holder: Holder) -> Result<(), StoreError> {
    db.execute(
        "DELETE FROM duties WHERE duty = $1 AND holder = $2",
        values![duty.name(), holder],
    )
    .await?;
    Ok(())
}
