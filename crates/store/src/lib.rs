//! What certgate remembers: the verbs of the store and their two implementations, SQLite and PostgreSQL.
//!
//! One verb is one transaction. What a verb returned is durable: it survives power loss. Changes of state are
//! compare-and-set. No verb does work that grows with the number of certificates, except [`ReadStore::check`].

mod audit;
#[cfg(feature = "conformance")]
pub mod conformance;
mod fault;
mod migration;
mod position;
mod postgres;
mod queue;
mod sqlite;
mod token_columns;
mod verbs;

pub use audit::AuditVerdict;
pub use fault::{FaultPoint, fault_point};
pub use migration::{Migration, MigrationError, MigrationProgress, TableCompared, TableDigest};
#[cfg(feature = "conformance")]
pub use migration::{columns_moved, is_never_moved};
pub use postgres::{
    MigrationBegun, PostgresError, PostgresInspector, PostgresOptions, PostgresStore, PostgresUrl,
};
pub use sqlite::{
    Copied, JournalBegun, JournalTells, OpenError, Restored, SqliteInspector, SqliteOptions,
    SqliteStatistics, SqliteStore, lock_database, prepare_restored,
};
pub use verbs::{
    AccountDeleted, AccountRecorded, Acknowledged, AuthorityReplaced, CertificateRecorded,
    CrlContent, CrlState, Duty, EnforcementPointRegistered, FirstRecords, Holder,
    HostnamesReplaced, Issued, MTLS_HOSTNAMES_NAMED_MAX, MtlsCertificateDeleted,
    MtlsCertificateRecorded, ReadStore, RecordedAnswer, RevokedPosition, Settled, StatusChange,
    Store, StoreError, ZoneDeleted, ZoneRecorded,
};
