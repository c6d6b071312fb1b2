//! Moving an embedded database to PostgreSQL.
//!
//! Every table is copied in the order of its primary key, a batch of rows in a transaction. The
//! copied rows show the place to continue from, so a run may end at any instant and the next one
//! continues. Then both databases are read from beginning to end and compared, and only after that
//! can servers start on the new one. The old one is not changed.
//!
//! `schema` has the tables; [`rows`] reads them; `sqlite::source` and `postgres::destination` are
//! the two sides.

pub(crate) mod error;
pub(crate) mod rows;
mod run;

pub use self::error::MigrationError;
pub use self::rows::TableDigest;
pub use self::run::{Migration, MigrationProgress, TableCompared};
#[cfg(feature = "conformance")]
pub use self::run::{columns_moved, is_never_moved};
