//! The suite that every implementation of [`Store`](crate::Store) has to pass.
//!
//! [`verbs`] tries each verb and each outcome on an empty store; [`History`] plays any sequence of
//! changes on a store and on a plain model in memory, and compares totals and pages after each
//! step. Both panic with the difference.

mod audit;
mod authorities;
mod certificates;
mod enforcement_points;
mod fixtures;
mod history;
mod hostnames;
mod lists;
mod mtls_certificates;
mod recorder;
mod tenants;
mod tokens;
mod verbs;

pub use fixtures::{
    account, authority, by, by_at, certificate, first_records, instant, mtls_certificate, token,
    zone,
};
pub use history::{History, Step};
pub(crate) use recorder::record;
pub use recorder::{RecordedStatement, recorded_statements};
pub use verbs::{closed, verbs};
