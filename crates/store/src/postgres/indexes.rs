//! Building the indexes of the search in a database with certificates, beside the servers that use
//! it: `CREATE INDEX CONCURRENTLY`, on a connection of its own and outside a transaction.

use super::connect::Address;
use super::index_states::{State, state};
use crate::StoreError;
use crate::index_work::Built;
use crate::schema::POSTGRES_INDEXES;

/// Builds the first index that is missing.
pub(super) async fn build_next(address: &Address) -> Result<Built, StoreError> {
    let db = address.connect().await?;
    for index in &POSTGRES_INDEXES {
        match state(&db, index.name).await? {
            State::Complete => continue,
            State::Building => return Ok(Built::Elsewhere),
            State::Invalid => {
                db.run(NO_LIMITS).await?;
                let drop = format!("DROP INDEX CONCURRENTLY \"{}\"", index.name);
                db.run_for_long(&drop).await?;
            }
            State::Missing => db.run(NO_LIMITS).await?,
        }
        tracing::info!(
            index = index.name,
            "building an index of the search; this takes a minute for a million certificates"
        );
        db.run_for_long(&index.create(true)).await?;
        return Ok(Built::One);
    }
    Ok(Built::All)
}

/// A large table takes longer than a statement may, and waits for every older transaction.
const NO_LIMITS: &str = "SET statement_timeout = 0; SET lock_timeout = 0";
