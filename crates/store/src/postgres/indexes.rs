//! Building the indexes of the search in a database with certificates, beside the servers that use
//! it: `CREATE INDEX CONCURRENTLY`, on a connection of its own and outside a transaction.

use super::connect::Address;
use super::db::PostgresDb;
use crate::StoreError;
use crate::db::{Db as _, values};
use crate::index_work::Built;
use crate::schema::POSTGRES_INDEXES;

/// The state of an index.
enum State {
    Missing,
    Complete,
    /// An earlier attempt has failed or was interrupted.
    Invalid,
    /// A connection builds it now.
    Building,
}

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

async fn state(db: &PostgresDb, name: &str) -> Result<State, StoreError> {
    let select = "SELECT pg_catalog.pg_index.indisvalid, EXISTS (SELECT 1 \
                  FROM pg_catalog.pg_stat_progress_create_index AS building \
                  WHERE building.index_relid = pg_catalog.pg_index.indexrelid) \
                  FROM pg_catalog.pg_index \
                  JOIN pg_catalog.pg_class ON pg_class.oid = pg_index.indexrelid \
                  JOIN pg_catalog.pg_namespace ON pg_namespace.oid = pg_class.relnamespace \
                  WHERE pg_namespace.nspname = current_schema() \
                  AND pg_class.relname = CAST(?1 AS TEXT)";
    let found: Option<(bool, bool)> = db
        .optional(select, &values![name], |row| Ok((row.get(0)?, row.get(1)?)))
        .await?;
    Ok(match found {
        None => State::Missing,
        Some((true, _)) => State::Complete,
        Some((false, true)) => State::Building,
        Some((false, false)) => State::Invalid,
    })
}
