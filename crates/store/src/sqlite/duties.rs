//! What only one of several processes does at a time.

use certgate_model::Timestamp;
use rusqlite::{Connection, OptionalExtension};

use crate::{Duty, Holder, StoreError};

/// Takes a duty, or keeps it; `false` while somebody else has it.
pub(super) fn hold(
    connection: &Connection,
    duty: Duty,
    holder: Holder,
    at: Timestamp,
    until: Timestamp,
) -> Result<bool, StoreError> {
    let held: Option<(Holder, i64)> = connection
        .prepare_cached("SELECT holder, until FROM duties WHERE duty = ?1")?
        .query_row((duty.name(),), |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let (now, end) = (at.unix_microseconds(), until.unix_microseconds());
    let longest = end + (end - now);
    if held.is_some_and(|(other, until)| other != holder && until > now && until <= longest) {
        return Ok(false);
    }
    connection
        .prepare_cached(
            "INSERT INTO duties (duty, holder, until) VALUES (?1, ?2, ?3) \
             ON CONFLICT (duty) DO UPDATE SET holder = excluded.holder, until = excluded.until",
        )?
        .execute((duty.name(), holder, end))?;
    Ok(true)
}

/// Leaves a duty to others.
pub(super) fn leave(connection: &Connection, duty: Duty, holder: Holder) -> Result<(), StoreError> {
    connection
        .prepare_cached("DELETE FROM duties WHERE duty = ?1 AND holder = ?2")?
        .execute((duty.name(), holder))?;
    Ok(())
}

/// Whoever had a duty is gone: this process has the lock of the database.
pub(super) fn forget_all(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute("DELETE FROM duties", ()).map(drop)
}
