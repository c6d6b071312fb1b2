//! A database that an embedded one is moved to.
//!
//! While it is, there is one more table, `unfinished_migration`, whose row says which installation comes, what state it was in, and
//! which process moves it: the last that has begun. Every batch of rows is a transaction that holds this row, so that a process
//! which another one has taken over from writes nothing any more. No server starts while the table is there.

use certgate_model::Installation;

use super::connect::Address;
use super::db::{Committed, Db};
use super::row::Row as Stored;
use super::value::{Value, values};
use super::{schema, tenants};
use crate::migration::{Cell, Digester, Kind, MigrationError, Row, TABLES, Table, TableDigest};
use crate::position::Layout;
use crate::{Holder, StoreError};

/// What the first tables are called, which a start makes before it looks any further.
const FIRST_TABLES: [&str; 2] = ["schema_lock", "schema_versions"];

/// The authority of an account comes after the account and refers to it: this is held again at the end only.
const WITHOUT_CYCLE: &str = "ALTER TABLE accounts DROP CONSTRAINT accounts_managed_authority";
const WITH_CYCLE: &str = "ALTER TABLE accounts ADD CONSTRAINT accounts_managed_authority \
    FOREIGN KEY (managed_authority) REFERENCES authorities (number)";

const UNFINISHED: &str = "unfinished_migration";

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

/// How far another run has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MigrationBegun {
    /// The database was empty.
    Anew,
    /// Where it stopped.
    Again,
    /// To the end.
    Finished,
}

/// A connection to the database, and who uses it.
pub(crate) struct Destination {
    db: Db,
    address: Address,
    holder: Holder,
}

/// Whether a database is waiting for the rest of an embedded one.
pub(super) async fn is_unfinished(db: &Db) -> Result<bool, StoreError> {
    Ok(tables(db).await?.iter().any(|name| name == UNFINISHED))
}

async fn tables(db: &Db) -> Result<Vec<String>, StoreError> {
    let select = "SELECT CAST(c.relname AS TEXT) FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
        WHERE n.nspname = current_schema() AND c.relkind IN ('r', 'p') ORDER BY 1";
    db.rows(select, values![])
        .await?
        .iter()
        .map(|row| row.get(0))
        .collect()
}

impl Destination {
    /// Connects to a database. Nothing is changed.
    pub(crate) async fn connect(url: &str, holder: Holder) -> Result<Self, MigrationError> {
        let address = Address::parse(url)?;
        let db = super::connect_checked(&address).await?;
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

    /// Makes the tables if it is empty, or takes over from whoever has begun with the same installation in the same state.
    pub(crate) async fn begin(
        &self,
        from: &Installation,
        state: &str,
    ) -> Result<MigrationBegun, MigrationError> {
        // Without a lock, because what is refused is left as it is.
        let seen = self.look(from).await?;
        if seen == MigrationBegun::Finished {
            return Ok(seen);
        }
        schema::make_lock(&self.db).await?;
        let begun = self.begin_locked(from, state).await;
        self.ended(begun).await
    }

    /// Rolls a transaction back that has failed.
    async fn ended<T>(&self, outcome: Result<T, MigrationError>) -> Result<T, MigrationError> {
        if outcome.is_err() {
            // The first error tells more.
            let _ = self.db.go_back("ROLLBACK").await;
        }
        outcome
    }

    /// What is there.
    async fn look(&self, from: &Installation) -> Result<MigrationBegun, MigrationError> {
        let tables = tables(&self.db).await?;
        let has = |name: &str| tables.iter().any(|table| table == name);
        if tables
            .iter()
            .all(|table| FIRST_TABLES.contains(&table.as_str()))
        {
            let version = if has("schema_versions") {
                schema::version(&self.db).await?
            } else {
                0
            };
            if version == 0 {
                return Ok(MigrationBegun::Anew);
            }
        }
        if !has("schema_versions") || !has("installation") {
            return Err(self.not_empty(&tables));
        }
        let found = schema::version(&self.db).await?;
        if has(UNFINISHED) {
            return match found {
                schema::VERSION => Ok(MigrationBegun::Again),
                _ => Err(MigrationError::OtherVersion {
                    database: self.name(),
                }),
            };
        }
        match tenants::installation(&self.db).await? {
            Some(there) if there != *from => Err(MigrationError::OtherInstallation {
                database: self.name(),
            }),
            Some(_) if found == schema::VERSION => Ok(MigrationBegun::Finished),
            Some(_) => Err(MigrationError::OtherVersion {
                database: self.name(),
            }),
            None => Err(self.not_empty(&tables)),
        }
    }

    fn not_empty(&self, tables: &[String]) -> MigrationError {
        const SHOWN_MAX: usize = 5;
        let more = if tables.len() > SHOWN_MAX {
            ", …"
        } else {
            ""
        };
        let shown = tables
            .iter()
            .take(SHOWN_MAX)
            .map(String::as_str)
            .collect::<Vec<_>>()
            .join(", ");
        MigrationError::NotEmpty {
            database: self.name(),
            tables: shown + more,
        }
    }

    async fn begin_locked(
        &self,
        from: &Installation,
        state: &str,
    ) -> Result<MigrationBegun, MigrationError> {
        schema::lock(&self.db).await?;
        // Again: another process may have been faster.
        let begun = self.look(from).await?;
        match begun {
            MigrationBegun::Anew => {
                schema::make_tables(&self.db, Layout::DEFAULT, schema::VERSION).await?;
                self.db.run(WITHOUT_CYCLE).await?;
                self.db.run(BEGUN).await?;
                self.db
                    .execute(
                        "INSERT INTO unfinished_migration (\"only\", master_key_check, state, holder) VALUES (1, $1, $2, $3)",
                        values![&from.master_key_check, state, self.holder],
                    )
                    .await?;
            }
            MigrationBegun::Again => {
                let select = "SELECT master_key_check, state FROM unfinished_migration WHERE \"only\" = 1 FOR UPDATE";
                let row = self.db.one(select, values![]).await?;
                let (check, begun_with): (Vec<u8>, String) = (row.get(0)?, row.get(1)?);
                if check != from.master_key_check {
                    return Err(MigrationError::OtherInstallation {
                        database: self.name(),
                    });
                }
                if begun_with != state {
                    return Err(MigrationError::Changed {
                        database: self.name(),
                    });
                }
                let take = "UPDATE unfinished_migration SET holder = $1 WHERE \"only\" = 1";
                self.db.execute(take, values![self.holder]).await?;
            }
            MigrationBegun::Finished => {}
        }
        committed(self.db.commit().await)?;
        Ok(begun)
    }

    /// The greatest primary key that is there: everything up to it is.
    pub(crate) async fn greatest(&self, table: &Table) -> Result<Option<Vec<Cell>>, StoreError> {
        let names = table.key_names();
        let backwards = names.replace(',', " DESC,");
        let select = format!(
            "SELECT {names} FROM \"{}\" ORDER BY {backwards} DESC LIMIT 1",
            table.name
        );
        let row = self.db.optional(&select, values![]).await?;
        row.map(|row| cells(&row, &table.columns[..table.key]))
            .transpose()
    }

    /// Adds rows, all of them or none.
    pub(crate) async fn insert(&self, table: &Table, rows: &[Row]) -> Result<(), MigrationError> {
        let inserted = self.insert_all(table, rows).await;
        self.ended(inserted).await
    }

    async fn insert_all(&self, table: &Table, rows: &[Row]) -> Result<(), MigrationError> {
        self.db.begin("BEGIN").await?;
        self.hold().await?;
        let arrays: Vec<_> = (1..)
            .zip(table.columns)
            .map(|(n, (_, kind))| format!("${n}::{}[]", kind.type_name()))
            .collect();
        let insert = format!(
            "INSERT INTO \"{}\" ({}) SELECT * FROM UNNEST({})",
            table.name,
            table.column_names(),
            arrays.join(", ")
        );
        let column = |(n, (_, kind)): (usize, &(&str, Kind))| {
            Value::List(rows.iter().map(|row| value(&row[n], *kind)).collect())
        };
        let columns: Vec<_> = table.columns.iter().enumerate().map(column).collect();
        self.db
            .execute(&insert, &columns)
            .await
            .map_err(|error| match error {
                StoreError::Unavailable(_) | StoreError::InDoubt(_) => MigrationError::from(error),
                StoreError::Conflict(detail) | StoreError::Corrupt(detail) => MigrationError::Row {
                    table: table.name,
                    detail,
                },
            })?;
        committed(self.db.commit().await)
    }

    /// Keeps everybody else from writing until the end of the transaction, unless somebody has taken over.
    async fn hold(&self) -> Result<(), MigrationError> {
        let select = "SELECT holder FROM unfinished_migration WHERE \"only\" = 1 FOR UPDATE";
        let holder = self
            .db
            .one(select, values![])
            .await
            .and_then(|row| row.get::<Holder>(0));
        match holder {
            Ok(holder) if holder == self.holder => Ok(()),
            // Another one, or none any more.
            Ok(_) | Err(StoreError::Corrupt(_)) => Err(MigrationError::TakenOver {
                database: self.name(),
            }),
            Err(other) => Err(other.into()),
        }
    }

    /// A table's digest; `progress` is told how many rows have been read.
    pub(crate) async fn digest(
        &self,
        table: &Table,
        mut progress: impl FnMut(u64),
    ) -> Result<TableDigest, StoreError> {
        let (mut digester, mut count) = (Digester::new(), 0);
        let mut rows = self.rows_after(table, None).await?;
        while let Some(last) = rows.last() {
            rows.iter().for_each(|row| digester.add(row));
            count += rows.len() as u64;
            progress(count);
            rows = self.rows_after(table, Some(&last[..table.key])).await?;
        }
        Ok(digester.finish())
    }

    async fn rows_after(
        &self,
        table: &Table,
        key: Option<&[Cell]>,
    ) -> Result<Vec<Row>, StoreError> {
        let names = table.key_names();
        let after = match key {
            None => String::new(),
            Some(key) => {
                let numbers: Vec<_> = (1..=key.len()).map(|n| format!("${n}")).collect();
                format!("WHERE ({names}) > ({})", numbers.join(", "))
            }
        };
        let select = format!(
            "SELECT {} FROM \"{}\" {after} ORDER BY {names} LIMIT {}",
            table.column_names(),
            table.name,
            table.rows_max
        );
        let kinds = table.columns.iter().map(|(_, kind)| *kind);
        let values: Vec<_> = key
            .unwrap_or_default()
            .iter()
            .zip(kinds)
            .map(|(cell, kind)| value(cell, kind))
            .collect();
        let rows = self.db.rows(&select, &values).await?;
        rows.iter().map(|row| cells(row, table.columns)).collect()
    }

    /// Lets the database look at what it has now, so that it plans well from the first request on.
    pub(crate) async fn analyze(&self) -> Result<(), StoreError> {
        self.db.run("SET statement_timeout = 0").await?;
        for table in TABLES {
            self.db
                .run_for_long(&format!("ANALYZE \"{}\"", table.name))
                .await?;
        }
        Ok(())
    }

    /// Gives the database to servers.
    pub(crate) async fn finish(&self) -> Result<(), MigrationError> {
        let finished = self.finish_held().await;
        self.ended(finished).await
    }

    async fn finish_held(&self) -> Result<(), MigrationError> {
        self.db
            .begin("BEGIN; SET LOCAL statement_timeout = 0")
            .await?;
        self.hold().await?;
        self.db.run_for_long(WITH_CYCLE).await?;
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

fn value(cell: &Cell, kind: Kind) -> Value<'_> {
    match cell {
        Cell::Null => Value::Null,
        Cell::Integer(number) if kind == Kind::Flag => Value::Flag(*number != 0),
        Cell::Integer(number) => Value::Integer(*number),
        Cell::Text(text) => Value::from(text),
        Cell::Octets(octets) => Value::from(octets),
    }
}

fn cells(row: &Stored, columns: &[(&str, Kind)]) -> Result<Vec<Cell>, StoreError> {
    let cell = |(n, (_, kind)): (usize, &(&str, Kind))| {
        Ok(match kind {
            Kind::Integer => row.get::<Option<i64>>(n)?.map(Cell::Integer),
            Kind::Small => row
                .get::<Option<i16>>(n)?
                .map(|number| Cell::Integer(number.into())),
            Kind::Flag => row
                .get::<Option<bool>>(n)?
                .map(|flag| Cell::Integer(flag.into())),
            Kind::Text => row.get::<Option<String>>(n)?.map(Cell::Text),
            Kind::Octets => row.get::<Option<Vec<u8>>>(n)?.map(Cell::Octets),
        }
        .unwrap_or(Cell::Null))
    };
    columns.iter().enumerate().map(cell).collect()
}
