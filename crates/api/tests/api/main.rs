//! The API through its front door; the modules mirror the addresses.

#![allow(clippy::unwrap_used, reason = "a test that fails says where")]

mod account_tokens;
mod accounts;
mod agreement;
mod api_key;
mod audit;
mod authentication;
mod authorisation;
mod client_certificates;
mod clock;
mod enforcement_points;
mod enforcement_view;
mod envelope;
mod est;
mod existence;
mod flips;
mod hostile;
mod hostname_associations;
mod hostname_forms;
mod http_forms;
mod invite_page;
mod invites;
mod issuance_rules;
mod last_use;
mod least_privilege;
mod managed_authorities;
mod memberships;
mod mtls_certificates;
mod openapi;
mod operations;
mod other_accounts;
mod permissions;
mod publication;
mod staged_authorities;
mod tenants;
mod terraform;
mod together;
mod tokens;
mod user;
mod zones;
