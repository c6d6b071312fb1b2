//! The public address of the installation, which new CAs get.

use crate::db::{Db, values};
use crate::{Earlier, StoreError};

/// Returns the stored address; `None` before the first start.
pub(crate) async fn read<D: Db>(db: &D) -> Result<Option<String>, StoreError> {
    let select = "SELECT public_url FROM installation WHERE \"only\" = 1";
    let found: Option<Option<String>> = db.optional(select, &[], |row| row.get(0)).await?;
    Ok(found.flatten())
}

/// Stores the address, and returns the one that is stored afterwards (`None`: the store is not
/// initialised).
pub(crate) async fn record<D: Db>(
    db: &D,
    url: &str,
    earlier: Earlier,
) -> Result<Option<String>, StoreError> {
    let update = match earlier {
        Earlier::Stays => {
            "UPDATE installation SET public_url = ?1 WHERE \"only\" = 1 AND public_url IS NULL"
        }
        Earlier::IsReplaced => "UPDATE installation SET public_url = ?1 WHERE \"only\" = 1",
    };
    db.execute(update, &values![url]).await?;
    read(db).await
}
