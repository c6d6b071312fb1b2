//! The tables in PostgreSQL: creating them, migrating them, and the versions that a program can
//! use.
//!
//! Several processes may start at once: a process that changes the tables locks the row of
//! `schema_lock`. During a rolling upgrade older programs keep working with a newer schema, if
//! every newer step allows their version.

use super::db::{Committed, PostgresDb};
use super::open_error::PostgresError;
use crate::StoreError;
use crate::db::{Db as _, Dialect, values};
use crate::error::corrupt;
use crate::position::Layout;
use crate::schema::{self, MIGRATIONS, POSTGRES_INDEXES, SEARCH_VERSION, STORE, VERSION};

/// The table that exists until an embedded database has moved here completely.
pub(super) const UNFINISHED: &str = "unfinished_migration";

/// The number of attempts to migrate, and to create the first two tables: of several processes that
/// create a table at the same instant, PostgreSQL refuses all but one, even with IF NOT EXISTS.
const ATTEMPTS_MAX: u32 = 10;

/// The tables that a start creates before it looks any further.
pub(super) const FIRST_TABLES: [&str; 2] = ["schema_lock", "schema_migrations"];

// Without the notice that a table exists, which would be in the log of every start.
const BEFORE_ALL: &str = "
SET client_min_messages = warning;
CREATE TABLE IF NOT EXISTS schema_lock (
    \"only\" SMALLINT NOT NULL PRIMARY KEY CHECK (\"only\" = 1)
);
CREATE TABLE IF NOT EXISTS schema_migrations (
    version BIGINT NOT NULL PRIMARY KEY,
    oldest BIGINT NOT NULL
);
INSERT INTO schema_lock (\"only\") VALUES (1) ON CONFLICT (\"only\") DO NOTHING;
";

/// Creates the tables or migrates them to [`VERSION`]; a new database gets `layout`. It does not
/// change the destination of an unfinished migration.
pub(super) async fn migrate(db: &PostgresDb, layout: Layout) -> Result<(), PostgresError> {
    refuse_development_version(db).await?;
    create_lock(db).await?;
    let mut attempts = 0;
    loop {
        let outcome = migrate_locked(db, layout).await;
        let Err(error) = outcome else {
            return Ok(());
        };
        attempts += 1;
        // Servers of an earlier version work meanwhile, and lock tables in another order.
        let is_deadlock = db.is_passing() && !db.is_lost();
        // The first error says more.
        let is_undone = db.go_back("ROLLBACK").await.is_ok();
        if !is_deadlock || !is_undone || attempts == ATTEMPTS_MAX {
            return Err(error);
        }
        tracing::info!(%error, "the tables could not be migrated; it is tried again");
    }
}

/// Creates the table that [`lock`] locks.
pub(super) async fn create_lock(db: &PostgresDb) -> Result<(), PostgresError> {
    // Even with IF NOT EXISTS, CREATE needs a right that a server does not need later.
    let tables = tables(db).await?;
    if FIRST_TABLES
        .iter()
        .all(|name| tables.iter().any(|table| table == name))
    {
        return Ok(());
    }
    let mut attempts = 0;
    while let Err(error) = db.run(BEFORE_ALL).await {
        attempts += 1;
        // 23505 of the catalogue, or an error because another process has created the table or its
        // type.
        let text = error.to_string();
        let is_race = matches!(error, StoreError::Conflict(_))
            || text.contains("(42P07)")
            || text.contains("(42710)");
        if !is_race || attempts == ATTEMPTS_MAX {
            return Err(error.into());
        }
    }
    Ok(())
}

async fn migrate_locked(db: &PostgresDb, layout: Layout) -> Result<(), PostgresError> {
    lock(db).await?;
    if is_unfinished(db).await? {
        return Err(PostgresError::Unfinished);
    }
    create_tables(db, layout).await?;
    match db.commit().await {
        Committed::Yes => Ok(()),
        Committed::No(trouble) => Err(StoreError::from(trouble).into()),
        Committed::Unknown(text) => Err(StoreError::Unavailable(text).into()),
    }
}

/// Begins a transaction in which no other process changes the tables.
pub(super) async fn lock(db: &PostgresDb) -> Result<(), StoreError> {
    // Another process may be in a long migration.
    db.begin_with("BEGIN; SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0")
        .await?;
    db.run_for_long("SELECT \"only\" FROM schema_lock WHERE \"only\" = 1 FOR UPDATE")
        .await
}

/// Returns the version of the tables; 0: there are none.
pub(super) async fn version(db: &PostgresDb) -> Result<i64, StoreError> {
    let select = "SELECT coalesce(max(version), 0) FROM schema_migrations";
    db.one(select, &[], |row| row.get(0)).await
}

/// Creates the tables of a new database, or runs the missing steps, in the transaction that
/// [`lock`] has begun.
pub(super) async fn create_tables(db: &PostgresDb, layout: Layout) -> Result<(), PostgresError> {
    let found = version(db).await?;
    if found > VERSION {
        return allow_newer(db, found).await;
    }
    let record = "INSERT INTO schema_migrations (version, oldest) VALUES (?1, ?2)";
    if found == 0 {
        db.run_for_long(&schema::create_all(Dialect::Postgres, 1))
            .await?;
        db.execute(record, &values![1_i64, 1_i64]).await?;
    }
    for step in MIGRATIONS.iter().filter(|step| step.version > found) {
        db.run_for_long(step.postgres).await?;
        db.execute(record, &values![step.version, step.oldest])
            .await?;
    }
    if found < SEARCH_VERSION {
        // A background job creates the indexes of a database with certificates.
        let waits = "SELECT EXISTS (SELECT 1 FROM indexing WHERE zone = 0)";
        if !db.one(waits, &[], |row| row.get(0)).await? {
            for index in POSTGRES_INDEXES {
                db.run_for_long(&index.create(false)).await?;
            }
        }
    }
    if found == 0 {
        let row = schema::first_store_row(layout.block_bits(), layout.upper_block_bits());
        db.insert(&STORE, &row).await?;
    }
    Ok(())
}

/// Checks that this program can use the tables as they are, without creating any.
pub(super) async fn check_usable(db: &PostgresDb) -> Result<(), PostgresError> {
    refuse_development_version(db).await?;
    if !tables(db)
        .await?
        .iter()
        .any(|name| name == "schema_migrations")
    {
        return Err(PostgresError::Empty);
    }
    match version(db).await? {
        0 => Err(PostgresError::Empty),
        found if found > VERSION => allow_newer(db, found).await,
        _ if is_unfinished(db).await? => Err(PostgresError::Unfinished),
        _ => Ok(()),
    }
}

/// Refuses tables that a version before the first release made: they had another table of versions.
pub(super) async fn refuse_development_version(db: &PostgresDb) -> Result<(), PostgresError> {
    match tables(db)
        .await?
        .iter()
        .any(|name| name == "schema_versions")
    {
        true => Err(PostgresError::DevelopmentVersion),
        false => Ok(()),
    }
}

/// Returns true if a migration into the database is unfinished.
pub(super) async fn is_unfinished(db: &PostgresDb) -> Result<bool, StoreError> {
    Ok(tables(db).await?.iter().any(|name| name == UNFINISHED))
}

/// Returns the names of the tables that exist.
pub(super) async fn tables(db: &PostgresDb) -> Result<Vec<String>, StoreError> {
    let select = "SELECT CAST(c.relname AS TEXT) FROM pg_catalog.pg_class c \
                  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
                  WHERE n.nspname = current_schema() AND c.relkind IN ('r', 'p') ORDER BY 1";
    db.rows(select, &[], |row| row.get(0)).await
}

/// Accepts a schema of a newer program if every unknown step permits this version.
async fn allow_newer(db: &PostgresDb, found: i64) -> Result<(), PostgresError> {
    let needed = "SELECT coalesce(max(oldest), 0) FROM schema_migrations WHERE version > ?1";
    let needed: i64 = db.one(needed, &values![VERSION], |row| row.get(0)).await?;
    if needed > VERSION {
        let known = VERSION;
        return Err(PostgresError::NewerVersion { found, known });
    }
    tracing::info!(
        found,
        known = VERSION,
        "a newer certgate has migrated the database, which this one can use"
    );
    Ok(())
}

/// Reads the layout that the database was made with.
pub(super) async fn layout(db: &PostgresDb) -> Result<Layout, StoreError> {
    let select = "SELECT block_bits, upper_block_bits FROM store WHERE \"only\" = 1";
    let bits: Option<(u32, u32)> = db
        .optional(select, &[], |row| Ok((row.get(0)?, row.get(1)?)))
        .await?;
    let (block, upper) = bits.ok_or_else(|| corrupt("the table \"store\" has no row"))?;
    Layout::new(block, upper)
        .ok_or_else(|| corrupt(format!("impossible block sizes: {block}, {upper} bits")))
}
