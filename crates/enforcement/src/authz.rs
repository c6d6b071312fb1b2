//! `certgate authz`: answers the questions of reverse proxies about clients.

mod body;
mod connection;
mod decode;
mod host;
mod listeners;
mod message;
mod questions;
mod settings;
mod source;
mod status;
mod tls;
mod unreadable;
mod xfcc;

pub use listeners::{BindError, Listeners};
pub use questions::Judge;
pub use settings::{AccessLog, AuthzSettings, LogFormat, Point, SettingsError};
pub use status::Status;

/// The target of access-log lines, which have no limit.
pub const ACCESS_LOG_TARGET: &str = "access";
