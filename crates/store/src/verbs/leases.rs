//! Leases of background jobs: of several processes, one runs a job at a time.

use certgate_model::Timestamp;

use crate::db::{Db, values};
use crate::{BackgroundJob, LeaseHolder, StoreError};

/// Takes or renews a lease; `false` while another process holds it.
///
/// A lease that would last more than twice as long as the wanted one comes from a process whose
/// clock is, or was, wrong. It is ignored.
pub(crate) async fn hold<D: Db>(
    db: &D,
    job: BackgroundJob,
    holder: LeaseHolder,
    at: Timestamp,
    until: Timestamp,
) -> Result<bool, StoreError> {
    let select = "SELECT holder, until FROM leases WHERE job = ?1";
    let held: Option<(LeaseHolder, Timestamp)> = db
        .optional(select, &values![job.name()], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .await?;
    let longest = until.plus_seconds(at.until(until).seconds());
    if held.is_some_and(|(other, until)| other != holder && until > at && until <= longest) {
        return Ok(false);
    }
    let upsert = "INSERT INTO leases (job, holder, until) VALUES (?1, ?2, ?3) \
                  ON CONFLICT (job) DO UPDATE \
                  SET holder = excluded.holder, until = excluded.until";
    db.execute(upsert, &values![job.name(), holder, until])
        .await?;
    Ok(true)
}

/// Gives a lease up, if this process holds it.
pub(crate) async fn release<D: Db>(
    db: &D,
    job: BackgroundJob,
    holder: LeaseHolder,
) -> Result<(), StoreError> {
    let delete = "DELETE FROM leases WHERE job = ?1 AND holder = ?2";
    db.execute(delete, &values![job.name(), holder]).await?;
    Ok(())
}
