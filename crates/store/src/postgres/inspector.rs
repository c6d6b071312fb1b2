//! Reading a database that servers use. The inspector writes nothing, and the database may be a
//! standby.

use std::pin::pin;
use std::time::Duration;

use tokio::time::timeout;

use super::connect::Address;
use super::db::PostgresDb;
use super::{PostgresError, admission, schema};
use crate::verbs::{audit, check};
use crate::{AuditVerdict, Judge, StoreError};

/// Every statement sees the same instant and has no time limit, except while another client locks
/// its table.
const BEGIN: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; \
                     SET LOCAL statement_timeout = 0; \
                     SET LOCAL lock_timeout = '10s'; \
                     SET LOCAL idle_in_transaction_session_timeout = 0";

/// The time between two questions to a database that is reading: a statement over ten million rows
/// takes minutes, in which a frozen database looks like a working one.
const PROBE_INTERVAL: Duration = Duration::from_secs(5);

/// A database as it was at one instant.
pub struct PostgresInspector {
    address: Address,
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
        let address = address.clone();
        Ok(Self { address, db })
    }

    /// Reads, and asks the database on another connection at intervals. An error if it is silent.
    async fn watched<T>(
        &self,
        reading: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let mut reading = pin!(reading);
        let mut probe: Option<PostgresDb> = None;
        loop {
            if let Ok(read) = timeout(PROBE_INTERVAL, &mut reading).await {
                return read;
            }
            let asked = match &probe {
                Some(probe) if !probe.is_lost() => probe.run("SELECT 1").await,
                _ => self.address.connect().await.map(|new| probe = Some(new)),
            };
            asked.map_err(|error| {
                StoreError::Unavailable(format!(
                    "the database stopped answering ({}): check that it runs and that the network \
                     reaches it, then run the command again",
                    error.into_detail()
                ))
            })?;
        }
    }

    /// Reads everything and returns the problems, one line each. `judge` compares the records with
    /// their DER forms.
    pub async fn check(&self, judge: &mut dyn Judge) -> Result<Vec<String>, StoreError> {
        self.watched(check::all(&self.db, judge)).await
    }

    /// Reads every audit log and returns its faults.
    pub async fn verify_audit(&self) -> Result<Vec<AuditVerdict>, StoreError> {
        self.watched(audit::verify(&self.db)).await
    }

    /// Counts the entries whose audit log does not exist any more.
    pub async fn stray_audit_entries(&self) -> Result<u64, StoreError> {
        self.watched(audit::strays(&self.db)).await
    }

    /// Returns the hash of one entry of an audit log, for comparison with one that was noted
    /// elsewhere; `None` if the entry does not exist.
    pub async fn audit_hash(
        &self,
        owner: [u8; 16],
        number: u64,
    ) -> Result<Option<[u8; 32]>, StoreError> {
        self.watched(audit::hash_of(&self.db, owner, number)).await
    }
}
