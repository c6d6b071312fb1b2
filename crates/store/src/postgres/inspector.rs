//! Looking into a database that servers work on, without being one of them: nothing is written, and it may be a standby.

use super::connect::Address;
use super::counters::Layout;
use super::db::Db;
use super::value::values;
use super::{PostgresError, audit, check, row, schema};
use crate::{AuditVerdict, StoreError};

/// A database as it was at one instant. Reading may take as long as it takes.
pub struct PostgresInspector {
    db: Db,
    layout: Layout,
}

impl PostgresInspector {
    /// Connects to what [`PostgresStore::open`](super::PostgresStore::open) would. It must hold the tables of a version that this program
    /// can use.
    pub async fn open(url: &str) -> Result<Self, PostgresError> {
        let address = Address::parse_for_reading(url)?;
        Self::at(&address).await.map_err(|error| error.at(&address))
    }

    async fn at(address: &Address) -> Result<Self, PostgresError> {
        let db = address.connect().await?;
        db.begin("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0")
            .await?;
        let tables = "SELECT count(*) FROM information_schema.tables \
                      WHERE table_schema = current_schema() AND table_name = 'schema_versions'";
        if db.one(tables, values![]).await?.get::<i64>(0)? == 0 {
            return Err(PostgresError::Empty);
        }
        schema::is_usable(&db).await?;
        let layout = schema::layout(&db).await?;
        Ok(Self { db, layout })
    }

    /// See [`ReadStore::check`](crate::ReadStore::check).
    pub async fn check(&self) -> Result<Vec<String>, StoreError> {
        check::all(&self.db, self.layout).await
    }

    /// Reads every log of what was done and tells what is wrong with it.
    pub async fn verify_audit(&self) -> Result<Vec<AuditVerdict>, StoreError> {
        audit::verify(&self.db).await
    }

    /// How many entries are in no log that there is: somebody took the log away.
    pub async fn stray_audit_entries(&self) -> Result<u64, StoreError> {
        audit::strays(&self.db).await
    }

    /// The hash of one entry of a log, for comparison with one that was noted elsewhere; `None` if there is no such entry.
    pub async fn audit_hash(
        &self,
        owner: [u8; 16],
        number: u64,
    ) -> Result<Option<[u8; 32]>, StoreError> {
        let select = "SELECT hash FROM audit_entries \
                      WHERE chain = (SELECT number FROM audit_chains WHERE owner = $1) AND number = $2";
        let hash = self
            .db
            .optional(select, values![owner, row::offset(number)])
            .await?;
        hash.map(|row| row.get(0)).transpose()
    }
}
