//! The suite that every implementation of [`Store`](crate::Store) has to pass.
//!
//! [`verbs`] tries each verb and each outcome on an empty store; [`History`] plays any sequence of
//! changes on a store and on a plain model in memory, and compares totals and pages after each
//! step. Both panic with the difference.

mod adopting;
mod audit;
mod authorities;
mod authority_states;
mod certificate_history;
mod certificates;
mod configuration;
mod enforcement_points;
mod fixtures;
mod history;
mod hostnames;
mod invites;
mod issuance_rules;
mod lists;
mod mtls_certificates;
mod notifications;
mod recorder;
mod replacements;
mod search;
mod search_indexes;
mod tenant_changes;
mod tenants;
mod tokens;
mod verbs;

pub use fixtures::{
    account, authority, by, by_at, certificate, first_records, instant, mtls_certificate, token,
    zone,
};
pub use history::{History, Step};
pub use invites::invite;
pub use issuance_rules::record_counted;
pub(crate) use recorder::record;
pub use recorder::{RecordedStatement, recorded_statements};
pub use replacements::record_by;
pub use search::Searched;
pub(crate) use search_indexes::forget_indexes;
pub use search_indexes::search_indexes;
pub use tenant_changes::upgraded;
pub use verbs::{closed, verbs};

/// The version of the schema that this program writes.
pub const SCHEMA_VERSION: i64 = crate::schema::VERSION;

/// The settings with which PostgreSQL plans the statements of a search.
pub const SEARCH_SETTINGS: &str = crate::postgres::SEARCH_SETTINGS;

/// Returns the statements that would create every table in PostgreSQL as it is described, without
/// the steps of migrations.
pub fn described_tables() -> String {
    crate::schema::create_all(crate::dialect::Dialect::Postgres, SCHEMA_VERSION)
}
