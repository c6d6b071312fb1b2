//! Probes: a read and a write that show that the database answers.

use crate::StoreError;
use crate::db::Db;

/// Reads a row that always exists.
pub(crate) async fn read<D: Db>(db: &D) -> Result<(), StoreError> {
    let select = "SELECT probes FROM store WHERE \"only\" = 1";
    db.one(select, &[], |_| Ok(())).await
}

/// Changes that row: only a real write shows a full disk, or a server that has become read-only.
pub(crate) async fn write<D: Db>(db: &D) -> Result<(), StoreError> {
    let update = "UPDATE store SET probes = probes + 1 WHERE \"only\" = 1";
    db.execute(update, &[]).await.map(drop)
}
