//! The API through its front door; the modules mirror the addresses.

#![allow(clippy::unwrap_used, reason = "a test that fails says where")]

mod accounts;
mod authentication;
mod authorisation;
mod client_certificates;
mod envelope;
mod hostile;
mod managed_authorities;
mod openapi;
mod operations;
mod together;
mod tokens;
mod user;
mod zones;
