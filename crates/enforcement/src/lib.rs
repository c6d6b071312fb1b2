//! Enforcement points: they follow the revocations of an account, judge the certificates of
//! clients, and acknowledge each change after they enforce it.
//!
//! This crate knows the server only by its API. It holds no CA key and opens no database.

pub mod authz;
mod boot;
mod cache;
mod certificate;
mod configuration;
pub mod gateway;
pub mod headers;
mod revoked;
mod validation;
mod verdict;
mod view;
pub mod wire;

pub use boot::BootInstant;
pub use certificate::{ClientCertificate, Presented};
pub use configuration::{Configuration, ConfigurationError, HostRules};
pub use revoked::{Revoked, RevokedSerials};
pub use verdict::{Judged, Reason, Verdict};
pub use view::{Change, StalePolicy, View, WhenStale};

/// A serial number, right-aligned in 20 octets.
pub type Serial = [u8; 20];
