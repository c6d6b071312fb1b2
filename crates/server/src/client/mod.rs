//! The client for people: every command but `serve`, `init` and `config`.

mod audit;
mod bulk;
mod ca;
mod cert;
pub mod commands;
mod files;
mod host;
mod http;
mod issue;
mod journal;
mod key;
mod output;
pub mod profile;
mod rows;
mod session;
#[cfg(test)]
mod testing;
mod token;
mod zone;

pub use output::Screen;
