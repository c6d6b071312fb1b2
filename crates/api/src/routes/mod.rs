//! The handlers, a module for each kind of object.

pub(crate) mod account_tokens;
pub(crate) mod accounts;
pub(crate) mod adoption;
pub(crate) mod api_key;
pub(crate) mod audit;
pub(crate) mod audit_logs;
pub(crate) mod certificate_history;
pub(crate) mod client_certificates;
pub(crate) mod enforcement_points;
pub(crate) mod enforcement_view;
pub(crate) mod est;
pub(crate) mod hostname_associations;
pub(crate) mod invites;
pub(crate) mod issuance_rules;
pub(crate) mod managed_authorities;
pub(crate) mod managed_authority_requests;
pub(crate) mod memberships;
pub(crate) mod mtls_certificates;
pub(crate) mod operations;
mod owned_tokens;
pub(crate) mod permissions;
pub(crate) mod publication;
pub(crate) mod revocation_feed;
pub(crate) mod summary;
pub(crate) mod tokens;
pub(crate) mod user;
pub(crate) mod zones;
