//! A database that an embedded one moves to.
//!
//! Until the migration is finished, there is one more table, `unfinished_migration`. Its row names
//! the installation that moves, its state, and the process that moves it: the last one that has
//! begun. Every batch of rows is a transaction that locks this row, so that a process writes
//! nothing after another process has taken over. No server starts while the table exists.

use certgate_model::Installation;

use super::connect::Address;
use super::db::{Committed, PostgresDb};
use super::schema::{self, FIRST_TABLES, UNFINISHED, tables};
use crate::db::{Db as _, Value, values};
use crate::migration::error::MigrationError;
use crate::migration::rows::{self, Digester, TableDigest};
use crate::position::Layout;
use crate::schema::{Table, VERSION, add_forward_references, drop_forward_references, moved};
use crate::verbs::tenants;
use crate::{LeaseHolder, StoreError};

const BEGUN: &str = "
CREATE TABLE unfinished_migration (
    \"only\" SMALLINT NOT NULL PRIMARY KEY CHECK (\"only\" = 1),
    master_key_check BYTEA NOT NULL,
    state TEXT COLLATE \"C\" NOT NULL,
    holder BYTEA NOT NULL
);
-- It comes with the other rows.
DELETE FROM store;
";

/// The state in which earlier runs left a migration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MigrationBegun {
    /// The database was empty.
    Anew,
    /// It continues at the place where it stopped.
    Again,
    /// It is finished.
    Finished,
}

/// A connection to the database, and the process that uses it.
pub(crate) struct Destination {
    db: PostgresDb,
    address: Address,
    holder: LeaseHolder,
}

impl Destination {
    /// Connects to a database. Nothing is changed.
    pub(crate) async fn connect(url: &str, holder: LeaseHolder) -> Result<Self, MigrationError> {
        let address = Address::parse(url)?;
        let db = super::admission::connect(&address).await?;
        Ok(Self {
            db,
            address,
            holder,
        })
    }

    /// The database, without the password.
    pub(crate) fn name(&self) -> String {
        self.address.to_string()
    }

    /// Creates the tables if the database is empty, or takes over from a process that has begun
    /// with the same installation in the same state.
    pub(crate) async fn begin(
        &self,
        from: &Installation,
        state: &str,
    ) -> Result<MigrationBegun, MigrationError> {
        // Without a lock, because a refused database is left as it is.
        let seen = self.look(from).await?;
        if seen == MigrationBegun::Finished {
            return Ok(seen);
        }
        schema::create_lock(&self.db).await?;
        let begun = self.begin_locked(from, state).await;
        self.ended(begun).await
    }

    /// Rolls a failed transaction back.
    async fn ended<T>(&self, outcome: Result<T, MigrationError>) -> Result<T, MigrationError> {
        if outcome.is_err() {
            // The first error names the cause.
            let _ = self.db.go_back("ROLLBACK").await;
        }
        outcome
    }

    /// Returns the state of the database.
    async fn look(&self, from: &Installation) -> Result<MigrationBegun, MigrationError> {
        let tables = tables(&self.db).await?;
        let has = |name: &str| tables.iter().any(|table| table == name);
        let database = self.name();
        let found = match has("schema_migrations") {
            true => schema::version(&self.db).await?,
            false => 0,
        };
        if tables
            .iter()
            .all(|table| FIRST_TABLES.contains(&table.as_str()))
            && found == 0
        {
            return Ok(MigrationBegun::Anew);
        }
        schema::refuse_development_version(&self.db).await?;
        if !has("schema_migrations") || !has("installation") {
            return Err(self.not_empty(&tables));
        }
        if has(UNFINISHED) {
            return match found {
                VERSION => Ok(MigrationBegun::Again),
                _ => Err(MigrationError::OtherVersion { database }),
            };
        }
        match tenants::installation(&self.db).await? {
            Some(there) if there != *from => Err(MigrationError::OtherInstallation { database }),
            Some(_) if found == VERSION => Ok(MigrationBegun::Finished),
            Some(_) => Err(MigrationError::OtherVersion { database }),
            None => Err(self.not_empty(&tables)),
        }
    }

    fn not_empty(&self, tables: &[String]) -> MigrationError {
        const SHOWN_MAX: usize = 5;
        let mut shown = tables[..tables.len().min(SHOWN_MAX)].join(", ");
        if tables.len() > SHOWN_MAX {
            shown.push_str(", …");
        }
        MigrationError::NotEmpty {
            database: self.name(),
            tables: shown,
        }
    }

    async fn begin_locked(
        &self,
        from: &Installation,
        state: &str,
    ) -> Result<MigrationBegun, MigrationError> {
        schema::lock(&self.db).await?;
        // The state is read again, because another process may have been faster.
        let begun = self.look(from).await?;
        match begun {
            MigrationBegun::Anew => {
                schema::create_tables(&self.db, Layout::DEFAULT).await?;
                self.db.run(&drop_forward_references()).await?;
                self.db.run(BEGUN).await?;
                let insert = "INSERT INTO unfinished_migration \
                              (\"only\", master_key_check, state, holder) VALUES (1, ?1, ?2, ?3)";
                let row = values![&from.master_key_check, state, self.holder];
                self.db.execute(insert, &row).await?;
            }
            MigrationBegun::Again => {
                let select = "SELECT master_key_check, state FROM unfinished_migration \
                              WHERE \"only\" = 1 FOR UPDATE";
                let (check, begun_with): (Vec<u8>, String) = self
                    .db
                    .one(select, &[], |row| Ok((row.get(0)?, row.get(1)?)))
                    .await?;
                let database = self.name();
                if check != from.master_key_check {
                    return Err(MigrationError::OtherInstallation { database });
                }
                if begun_with != state {
                    return Err(MigrationError::Changed { database });
                }
                let take = "UPDATE unfinished_migration SET holder = ?1 WHERE \"only\" = 1";
                self.db.execute(take, &values![self.holder]).await?;
            }
            MigrationBegun::Finished => {}
        }
        committed(self.db.commit().await)?;
        Ok(begun)
    }

    /// Returns the greatest primary key: everything up to it has arrived.
    pub(crate) async fn greatest_key(
        &self,
        table: &Table,
    ) -> Result<Vec<Value<'static>>, StoreError> {
        rows::greatest_key(&self.db, table).await
    }

    /// Adds rows, all of them or none.
    pub(crate) async fn insert(
        &self,
        table: &'static Table,
        cells: &[Value<'static>],
    ) -> Result<(), MigrationError> {
        let inserted = self.insert_held(table, cells).await;
        self.ended(inserted).await
    }

    async fn insert_held(
        &self,
        table: &'static Table,
        cells: &[Value<'static>],
    ) -> Result<(), MigrationError> {
        self.db.begin_with("BEGIN").await?;
        self.hold().await?;
        self.db
            .insert(table, cells)
            .await
            .map_err(|error| match error {
                StoreError::Conflict(detail) | StoreError::Corrupt(detail) => MigrationError::Row {
                    table: table.name,
                    detail,
                },
                other => other.into(),
            })?;
        committed(self.db.commit().await)
    }

    /// Makes sure that no other process has taken over, until the transaction has ended.
    async fn hold(&self) -> Result<(), MigrationError> {
        let select = "SELECT holder FROM unfinished_migration WHERE \"only\" = 1 FOR UPDATE";
        match self
            .db
            .one(select, &[], |row| row.get::<LeaseHolder>(0))
            .await
        {
            Ok(holder) if holder == self.holder => Ok(()),
            // Another process has taken over, or has finished the migration.
            Ok(_) | Err(StoreError::Corrupt(_)) => Err(MigrationError::TakenOver {
                database: self.name(),
            }),
            Err(other) => Err(other.into()),
        }
    }

    /// Returns a table's digest; `progress` gets the number of rows that were read.
    pub(crate) async fn digest(
        &self,
        table: &Table,
        progress: impl FnMut(u64),
    ) -> Result<TableDigest, StoreError> {
        let mut digester = Digester::new();
        rows::add_all(&self.db, table, &mut digester, progress).await?;
        Ok(digester.finish())
    }

    /// Lets the database collect statistics, so that it plans well from the first request on.
    pub(crate) async fn analyze(&self) -> Result<(), StoreError> {
        self.db.run("SET statement_timeout = 0").await?;
        for table in moved() {
            self.db
                .run_for_long(&format!("ANALYZE \"{}\"", table.name))
                .await?;
        }
        Ok(())
    }

    /// Lets servers start on the database.
    pub(crate) async fn finish(&self) -> Result<(), MigrationError> {
        let finished = self.finish_held().await;
        self.ended(finished).await
    }

    async fn finish_held(&self) -> Result<(), MigrationError> {
        self.db
            .begin_with("BEGIN; SET LOCAL statement_timeout = 0")
            .await?;
        self.hold().await?;
        self.db
            .run_for_long(&add_forward_references(VERSION))
            .await?;
        self.db.run("DROP TABLE unfinished_migration").await?;
        committed(self.db.commit().await)
    }
}

fn committed(committed: Committed) -> Result<(), MigrationError> {
    match committed {
        Committed::Yes => Ok(()),
        Committed::No(trouble) => Err(StoreError::from(trouble).into()),
        Committed::Unknown(text) => Err(StoreError::Unavailable(text).into()),
    }
}
