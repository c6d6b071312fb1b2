//! The two dialects of SQL.

/// The statements that need two texts ask which one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    Sqlite,
    Postgres,
}
