//! The states of PostgreSQL's indexes.

use std::ops::ControlFlow;

use crate::StoreError;
use crate::db::{Db, Row, values};
use crate::schema::POSTGRES_INDEXES;

/// The state of an index.
pub(super) enum State {
    Missing,
    Complete,
    /// An earlier attempt has failed or was interrupted.
    Invalid,
    /// A connection builds it now.
    Building,
}

/// Returns the state of an index.
pub(super) async fn state<D: Db>(db: &D, name: &str) -> Result<State, StoreError> {
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

/// Returns the indexes that are missing or invalid although no server builds them, and the remedy.
pub(super) async fn problems<D: Db>(db: &D) -> Result<Vec<String>, StoreError> {
    // The background job builds those of the search.
    let waits = texts(db, "SELECT 'waits' FROM indexing WHERE zone = 0").await?;
    let existing = "SELECT CAST(indexname AS TEXT) FROM pg_catalog.pg_indexes \
                    WHERE schemaname = current_schema()";
    let existing = texts(db, existing).await?;
    let missing = POSTGRES_INDEXES.iter().filter(|index| {
        waits.is_empty() && !existing.iter().any(|existing| existing == index.name)
    });
    let missing = missing.map(|index| {
        let (name, create) = (index.name, index.create(true));
        format!("the index \"{name}\" is missing: run {create}")
    });
    let mut lines: Vec<_> = missing.collect();
    let invalid = "SELECT CAST(pg_class.relname AS TEXT) FROM pg_catalog.pg_index \
                   JOIN pg_catalog.pg_class ON pg_class.oid = pg_index.indexrelid \
                   JOIN pg_catalog.pg_namespace ON pg_namespace.oid = pg_class.relnamespace \
                   WHERE pg_namespace.nspname = current_schema() AND NOT pg_index.indisvalid \
                   AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_stat_progress_create_index \
                   AS building WHERE building.index_relid = pg_index.indexrelid) ORDER BY 1";
    // The background job replaces an invalid one of the search.
    let is_due = |name: &String| {
        waits.is_empty() || !POSTGRES_INDEXES.iter().any(|index| index.name == *name)
    };
    let invalid = texts(db, invalid).await?.into_iter().filter(is_due);
    lines.extend(invalid.map(|name| {
        format!("the index \"{name}\" is invalid: run REINDEX INDEX CONCURRENTLY \"{name}\"")
    }));
    Ok(lines)
}

async fn texts<D: Db>(db: &D, select: &str) -> Result<Vec<String>, StoreError> {
    let mut texts = Vec::new();
    let mut visit = |row: &dyn Row| {
        texts.push(row.get(0)?);
        Ok(ControlFlow::Continue(()))
    };
    db.stream(select, &[], &mut visit).await?;
    Ok(texts)
}
