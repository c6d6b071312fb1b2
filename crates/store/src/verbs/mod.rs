//! The verbs of the store, each written once for both databases.
//!
//! A verb runs inside a read, a snapshot or a write transaction that the engine has begun. A verb
//! that writes reads before it writes, and can be run twice. Only [`check`] does work that grows
//! with the number of certificates.

pub(crate) mod account_epochs;
pub(crate) mod adopting;
pub(crate) mod audit;
pub(crate) mod authorities;
pub(crate) mod authority_requests;
pub(crate) mod authority_states;
pub(crate) mod backfill;
mod bases;
pub(crate) mod certificate_events;
pub(crate) mod certificates;
pub(crate) mod changes;
pub(crate) mod check;
mod condition;
pub(crate) mod configuration;
pub(crate) mod counters;
pub(crate) mod crl;
pub(crate) mod deleting;
pub(crate) mod enforcement;
pub(crate) mod history;
pub(crate) mod hostnames;
pub(crate) mod indexing;
pub(crate) mod invites;
mod issuance_counts;
pub(crate) mod leases;
pub(crate) mod mtls_certificates;
mod names;
pub(crate) mod notifications;
pub(crate) mod probes;
pub(crate) mod public_url;
pub(crate) mod recording;
pub(crate) mod replacements;
pub(crate) mod reported_states;
pub(crate) mod revocations;
pub(crate) mod search;
pub(crate) mod settling;
mod stage;
pub(crate) mod summary;
pub(crate) mod tallies;
pub(crate) mod tenant_changes;
pub(crate) mod tenants;
pub(crate) mod tokens;
