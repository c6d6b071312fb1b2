//! The suite that every implementation of [`Store`](crate::Store) has to pass.
//!
//! [`History`] plays any sequence of changes on a store
//! and on a plain model in memory, and compares totals and pages after each step. All of it panics with the difference.

mod fixtures;
mod history;

pub use fixtures::{account, authority, certificate, first_records, instant, token, zone};
pub use history::{History, Step};
