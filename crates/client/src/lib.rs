//! The command line as a client of the management API. It knows the server only by the API and by
//! `client.toml` in the data directory.

mod arguments;
mod commands;
mod contexts;
mod durable;
mod environment;
mod est;
mod failure;
mod files;
mod http;
mod key;
mod output;
pub mod profile;
mod renewal;
mod session;
#[cfg(test)]
mod testing;
mod tls;

pub use arguments::{
    AuditListArgs, ClientArgs, ClientCommand, ContextCommand, EnrolArgs, Format, FormatParser,
    LoginArgs, LogoutArgs, RenewArgs, TokenCommand, TokenCreateArgs, Within, parse_duration,
};
pub use commands::{audit, contexts, enrol, login, logout, renew, run};
pub use durable::{Existing, write_file};
pub use environment::{
    CLIENT_VARIABLES, CONFIG as CONFIG_VARIABLE, ENVIRONMENT_PREFIX, Environment,
};
pub use failure::{Exit, Failure};
pub use key::server_identity;
pub use output::Screen;
pub use renewal::{Life, RunCommand};
pub use session::{Connection, Context, connection};
