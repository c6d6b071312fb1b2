//! The store of certgate: its verbs, written once, on SQLite and PostgreSQL.
//!
//! One verb is one transaction. Its result is durable: it survives power loss. Changes of state are
//! compare-and-set. Only [`ReadStore::check`] does work that grows with the number of certificates.
//!
//! - `traits` has the interface, by noun; `outcomes` the results.
//! - `verbs` has the statements, generic over `db::Db`; `schema` the tables.
//! - `store` implements the traits for any `Engine`; `sqlite` and `postgres` are the engines:
//!   connections, group commit, snapshots.
//! - `conformance` is the suite that both engines pass.

mod audit;
mod change_log;
#[cfg(feature = "conformance")]
pub mod conformance;
mod db;
mod dialect;
mod error;
mod fault;
mod index_work;
mod issuance_rules_column;
mod judge;
mod migration;
mod outcomes;
mod position;
mod postgres;
mod queue;
mod schema;
mod seal;
mod search_indexes;
mod search_limits;
mod sqlite;
mod store;
mod token_columns;
mod traits;
mod verbs;
mod writes;

pub use audit::AuditVerdict;
pub use change_log::CHANGES_TARGET;
pub use error::StoreError;
pub use fault::{FaultPoint, fault_point};
pub use index_work::{IndexStep, IndexWork};
#[cfg(feature = "conformance")]
pub use judge::NoJudge;
pub use judge::{Judge, JudgedCrl};
pub use migration::{Migration, MigrationError, MigrationProgress, TableCompared, TableDigest};
#[cfg(feature = "conformance")]
pub use migration::{columns_moved, is_never_moved};
pub use outcomes::{
    AccountChanged, AccountDeleted, AccountRecorded, Acknowledged, Adopted, Adoption, AgedCrls,
    AuthorityActivated, AuthorityPrepared, AuthorityReplaced, AuthorityRequested, AuthorityRetired,
    BackgroundJob, Basis, CertificateRecorded, Confirmation, CountedLimits, CrlContent, CrlState,
    DayLimit, Earlier, EnforcementPointDeleted, EnforcementPointRegistered, FirstRecords,
    HostnamesReplaced, InviteRecorded, InviteRefused, Issued, LastEpochs, LeaseHolder,
    MTLS_HOSTNAMES_NAMED_MAX, MtlsCertificateDeleted, MtlsCertificateRecorded, NEIGHBOURS_MAX,
    Neighbours, RecordedAnswer, RecordingLimits, Renewal, RenewalRefused, ReplacedCertificate,
    RevokedPosition, Settled, StatusChange, ZoneDeleted, ZoneRecorded,
};
pub use postgres::{
    MigrationBegun, PostgresError, PostgresInspector, PostgresOptions, PostgresStore, PostgresUrl,
};
pub use search_limits::SearchLimits;
pub use sqlite::{
    Copied, JournalBegun, JournalSummary, OpenError, Restored, SqliteInspector, SqliteOptions,
    SqliteStatistics, SqliteStore, lock_database, prepare_restored,
};
#[cfg(feature = "conformance")]
pub use sqlite::{JournalRead, read_journal};
pub use traits::{
    Authorities, Certificates, CertificatesPart, EnforcementPoints, Invites, Leases, Notifications,
    PART_OCTETS, PART_RECORDS_MAX, ReadAudit, ReadAuthorities, ReadCertificates,
    ReadEnforcementPoints, ReadInvites, ReadNotifications, ReadRevocations, ReadStore, ReadTenants,
    Revocations, SearchIndexes, Store, Tenants,
};

/// Every trait of the store, for callers that use a store by its own type.
pub mod prelude {
    pub use crate::traits::{
        Authorities, Certificates, EnforcementPoints, Invites, Leases, Notifications, ReadAudit,
        ReadAuthorities, ReadCertificates, ReadEnforcementPoints, ReadInvites, ReadNotifications,
        ReadRevocations, ReadStore, ReadTenants, Revocations, SearchIndexes, Store, Tenants,
    };
}
