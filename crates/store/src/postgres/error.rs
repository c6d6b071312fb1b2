//! PostgreSQL's errors, named by what the receiver can do.

use std::error::Error as _;

use deadpool::managed::PoolError;
use tokio_postgres::Error;
use tokio_postgres::error::{Severity, SqlState};

use crate::StoreError;

/// What a statement failed of.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The verb's own fault, or damage: the same statement fails again.
    Lasting(StoreError),
    /// Somebody else was in the way, or the connection is gone: the transaction can be run again from its beginning.
    Passing(String),
    /// The database does not answer as fast as it has to; running it again would only wait as long again.
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
            // What the driver cannot read is of another type than this version writes; all else is the connection.
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
            // serialization_failure, deadlock_detected: the others were let through.
            "40" => Self::Passing(text),
            // A connection that ends, a server that stops, starts or is a standby (read_only_sql_transaction).
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
                "{text}; give the database more room"
            ))),
            // 28: refused login; 3D: no such database; 57: an operator is at work; 58: the server's own input and output.
            "28" | "3D" | "57" | "58" => Self::Lasting(StoreError::Unavailable(text)),
            // insufficient_privilege
            _ if *code == SqlState::INSUFFICIENT_PRIVILEGE => {
                Self::Lasting(StoreError::Unavailable(text))
            }
            // A counter below zero, a status that does not exist, a column that is missing: only damage leads there.
            _ => Self::Lasting(StoreError::Corrupt(text)),
        }
    }

    /// Whether nobody knows if a transaction whose commit failed like this was committed.
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

/// The message and the code, without the statement and its values.
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

/// What the pool of reading connections says.
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
