//! Reading a database that servers use. The inspector writes nothing, and the database may be a
//! standby.

use super::connect::Address;
use super::db::PostgresDb;
use super::{PostgresError, admission, schema};
use crate::verbs::{audit, check};
use crate::{AuditVerdict, Judge, StoreError};

/// Every statement sees the same instant and has no time limit.
const BEGIN: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; \
                     SET LOCAL statement_timeout = 0; \
                     SET LOCAL idle_in_transaction_session_timeout = 0";

/// A database as it was at one instant.
pub struct PostgresInspector {
    db: PostgresDb,
}

impl PostgresInspector {
    /// Connects to the database that [`PostgresStore::open`](super::PostgresStore::open) would
    /// open. It must hold the tables of a version that this program can use.
    pub async fn open(url: &str) -> Result<Self, PostgresError> {
        let address = Address::parse_for_reading(url)?;
        Self::at(&address).await.map_err(|error| error.at(&address))
    }

    async fn at(address: &Address) -> Result<Self, PostgresError> {
        let mut db = address.connect().await?;
        admission::refuse_shared_sessions(address, &db).await?;
        db.begin_with(BEGIN).await?;
        schema::check_usable(&db).await?;
        let layout = schema::layout(&db).await?;
        db.set_layout(layout);
        Ok(Self { db })
    }

    /// Does the same as [`ReadStore::check`](crate::ReadStore::check), and lets `judge` compare the
    /// records with their DER forms.
    pub async fn check(&self, judge: &mut dyn Judge) -> Result<Vec<String>, StoreError> {
        check::all(&self.db, judge).await
    }

    /// Reads every audit log and returns its faults.
    pub async fn verify_audit(&self) -> Result<Vec<AuditVerdict>, StoreError> {
        audit::verify(&self.db).await
    }

    /// Counts the entries whose audit log does not exist any more.
    pub async fn stray_audit_entries(&self) -> Result<u64, StoreError> {
        audit::strays(&self.db).await
    }

    /// Returns the hash of one entry of an audit log, for comparison with one that was noted
    /// elsewhere; `None` if the entry does not exist.
    pub async fn audit_hash(
        &self,
        owner: [u8; 16],
        number: u64,
    ) -> Result<Option<[u8; 32]>, StoreError> {
        audit::hash_of(&self.db, owner, number).await
    }
}
