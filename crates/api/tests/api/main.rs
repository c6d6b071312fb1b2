//! The API through its front door; the modules mirror the addresses.

mod accounts;
mod authentication;
mod client_certificates;
mod envelope;
mod hostile;
mod openapi;
mod operations;
mod tokens;
mod user;
mod zones;
