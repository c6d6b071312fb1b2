//! The public address of the installation, which new CAs get.

use crate::db::{Db, values};
use crate::{Earlier, StoreError};

/// Returns the stored address, or that of the latest CA where a program of an earlier version
/// created it; `None` before the first start.
pub(crate) async fn read<D: Db>(db: &D) -> Result<Option<String>, StoreError> {
    let select = "SELECT public_url FROM installation WHERE \"only\" = 1";
    let found: Option<Option<String>> = db.optional(select, &[], |row| row.get(0)).await?;
    let Some(None) = found else {
        return Ok(found.flatten());
    };
    // Numbers begin at 1. The condition makes SQLite search the key instead of the table.
    let latest = "SELECT public_url FROM authorities WHERE number > 0 ORDER BY number DESC LIMIT 1";
    db.optional(latest, &[], |row| row.get(0)).await
}

/// Stores the address, and returns the one that is stored afterwards (`None`: the store is not
/// initialised).
pub(crate) async fn record<D: Db>(
    db: &D,
    url: &str,
    earlier: Earlier,
) -> Result<Option<String>, StoreError> {
    let kept = match earlier {
        Earlier::Stays => read(db).await?,
        Earlier::IsReplaced => None,
    };
    let url = kept.as_deref().unwrap_or(url);
    let update = "UPDATE installation SET public_url = ?1 WHERE \"only\" = 1";
    db.execute(update, &values![url]).await?;
    read(db).await
}
