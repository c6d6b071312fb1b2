//! Enforcement points: they follow the revocations of an account, judge the certificates of
//! clients, and acknowledge each change after they enforce it.
//!
//! This crate knows the server only by its API. It holds no CA key and opens no database.

mod accepting;
pub mod authz;
mod boot;
mod cache;
mod certificate;
mod configuration;
pub mod follow;
mod follower;
pub mod gateway;
pub mod headers;
mod listening;
mod path;
mod revoked;
mod validation;
mod verdict;
mod view;

pub use boot::BootInstant;
pub use certgate_model::{Coverage, WhenStale};
pub use certgate_wire::{EnforcedCa, EnforcedCaState, EnforcedHost, EnforcementView};
pub use certificate::{ClientCertificate, Presented};
pub use configuration::{Configuration, ConfigurationError, HostRules};
pub use follower::{
    Address, AddressError, ApiError, Applied, Enforce, EnforceError, Follower, FollowerError,
    PointSettings, TokenSource, TrustError, trusting,
};
pub use listening::listen_remedy;
pub use revoked::{Change, Revoked, RevokedSerials, Serial};
pub use verdict::{Judged, Reason, Verdict};
pub use view::{StalePolicy, View};
