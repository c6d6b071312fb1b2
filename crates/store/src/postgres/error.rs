//! PostgreSQL's errors, named by the possible reaction of the receiver.

use std::error::Error as _;

use deadpool::managed::PoolError;
use tokio_postgres::Error;
use tokio_postgres::error::{Severity, SqlState};

use crate::StoreError;

/// The kind of a statement's failure.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The statement or corrupt data is at fault: the same statement fails again.
    Lasting(StoreError),
    /// Another client's transaction prevented this one, or the connection has ended: the
    /// transaction can be run again from its beginning.
    Passing(String),
    /// The database does not answer in time: running the statement again would wait as long again.
    Slow(String),
}

impl From<Trouble> for StoreError {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Lasting(error) => error,
            Trouble::Passing(text) | Trouble::Slow(text) => Self::Unavailable(text),
        }
    }
}

impl Trouble {
    pub(super) fn of(error: &Error) -> Self {
        let Some(failure) = error.as_db_error() else {
            // The driver cannot read a value of another type than this version writes. Every other
            // failure is one of the connection.
            return match error.source() {
                Some(source) if !error.is_closed() && !source.is::<std::io::Error>() => {
                    Self::Lasting(StoreError::Corrupt(text(error)))
                }
                _ => Self::Passing(text(error)),
            };
        };
        let text = text(error);
        let code = failure.code();
        match code.code().get(..2).unwrap_or_default() {
            _ if *code == SqlState::UNIQUE_VIOLATION
                || *code == SqlState::FOREIGN_KEY_VIOLATION =>
            {
                Self::Lasting(StoreError::Conflict(text))
            }
            // serialization_failure, deadlock_detected: PostgreSQL preferred other transactions.
            "40" => Self::Passing(text),
            // A connection that ends, or a server that stops, starts or is a standby
            // (read_only_sql_transaction).
            "08" => Self::Passing(text),
            _ if is_ended(failure.parsed_severity())
                || *code == SqlState::READ_ONLY_SQL_TRANSACTION =>
            {
                Self::Passing(text)
            }
            _ if *code == SqlState::QUERY_CANCELED || *code == SqlState::LOCK_NOT_AVAILABLE => {
                Self::Slow(text)
            }
            // "too many clients already"
            _ if *code == SqlState::TOO_MANY_CONNECTIONS => {
                Self::Lasting(StoreError::Unavailable(text))
            }
            "53" => Self::Lasting(StoreError::Unavailable(format!(
                "{text}; give the database more memory, disk or connections"
            ))),
            // 28: the login is refused; 3D: no such database; 57: an operator intervened; 58: the
            // server's input or output failed.
            "28" | "3D" | "57" | "58" => Self::Lasting(StoreError::Unavailable(text)),
            // insufficient_privilege
            _ if *code == SqlState::INSUFFICIENT_PRIVILEGE => {
                Self::Lasting(StoreError::Unavailable(text))
            }
            // A counter below zero, an unknown status, a missing column: only corrupt data causes
            // these.
            _ => Self::Lasting(StoreError::Corrupt(text)),
        }
    }

    /// Returns whether the outcome of a commit that failed with this error is unknown.
    pub(super) fn leaves_commit_open(error: &Error) -> bool {
        match error.as_db_error() {
            None => true,
            Some(failure) => {
                // 40003 statement_completion_unknown.
                failure.code().code() == "40003"
                    || failure.code().code().starts_with("08")
                    || is_ended(failure.parsed_severity())
            }
        }
    }
}

fn is_ended(severity: Option<Severity>) -> bool {
    matches!(severity, Some(Severity::Fatal | Severity::Panic))
}

/// Returns the message and the code, without the statement and its values.
pub(super) fn text(error: &Error) -> String {
    match (error.as_db_error(), error.source()) {
        (Some(failure), _) => {
            let constraint = failure
                .constraint()
                .map(|name| format!(", {name}"))
                .unwrap_or_default();
            format!(
                "{} ({}{constraint})",
                failure.message(),
                failure.code().code()
            )
        }
        (None, Some(source)) => format!("{error}: {source}"),
        (None, None) => error.to_string(),
    }
}

/// Converts an error of the pool of reading connections.
pub(super) fn from_pool(error: PoolError<StoreError>) -> StoreError {
    match error {
        PoolError::Backend(error) => error,
        PoolError::Timeout(_) => {
            StoreError::Unavailable("every connection for reading was in use for too long".into())
        }
        PoolError::Closed => StoreError::Unavailable("it is closed".into()),
        other => StoreError::Unavailable(other.to_string()),
    }
}
