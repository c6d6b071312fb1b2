//! PostgreSQL's errors, named by the possible reaction of the receiver.

use std::error::Error as _;

use deadpool::managed::PoolError;
use tokio_postgres::Error;
use tokio_postgres::error::{DbError, Severity, SqlState};

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
            // 26: a pooler lost a prepared statement; 28: the login is refused; 3D: no such
            // database; 3F: no such schema; 53: memory, disk or connections; 57: an operator
            // intervened; 58: the server's input or output failed.
            "26" | "28" | "3D" | "3F" | "53" | "57" | "58" => {
                Self::Lasting(StoreError::Unavailable(text))
            }
            _ if *code == SqlState::INSUFFICIENT_PRIVILEGE
                || *code == SqlState::DUPLICATE_PSTATEMENT =>
            {
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

/// The message about a silent database.
pub(super) const NO_ANSWER: &str = "the database does not answer in time";

/// The remedy for a connection that does not accept writes.
const WRITABLE: &str = "name the primary in the URL, or set default_transaction_read_only to off \
                        for the server, the database and the role";

/// The remedy for a pooler that gives a connection to another client between two statements.
const SESSIONS: &str = "set pool_mode = session in the pooler, or name the database itself in \
                        the URL";

/// Returns what the operator can do about a failure.
fn remedy(failure: &DbError) -> Option<&'static str> {
    let is_about = |what| failure.message().contains(what);
    Some(match failure.code().code() {
        "08P01" if is_about("pooling mode") => SESSIONS,
        "25006" => WRITABLE,
        "26000" | "42P05" => SESSIONS,
        "28000" | "28P01" => "check the user and the password in the URL, and pg_hba.conf",
        "3D000" => "create the database, or correct its name in the URL",
        "3F000" => "as the owner, GRANT USAGE, CREATE ON SCHEMA public TO the user in the URL",
        "42501" if is_about("for schema") => {
            "as the owner, GRANT USAGE, CREATE ON SCHEMA public TO the user in the URL"
        }
        "42501" if is_about("for database") => {
            "as the owner, GRANT CONNECT ON DATABASE to the user in the URL"
        }
        "42501" => {
            "as the owner, GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public to \
             the user in the URL"
        }
        "53100" => "free space on the disk of the database",
        "53200" => "give the database more memory",
        "53300" => {
            "raise max_connections or the limit of the database or role, or end other clients"
        }
        "55P03" => "end the session that holds the lock: SELECT * FROM pg_stat_activity shows it",
        "57014" => "look for slow disks and long queries in the database",
        "57P03" => "wait until the database has started",
        _ => return None,
    })
}

/// Returns the message, the code and the remedy, without the statement and its values.
pub(super) fn text(error: &Error) -> String {
    match (error.as_db_error(), error.source()) {
        (Some(failure), _) => {
            let constraint = failure
                .constraint()
                .map(|name| format!(", {name}"))
                .unwrap_or_default();
            let remedy = remedy(failure)
                .map(|remedy| format!("; {remedy}"))
                .unwrap_or_default();
            format!(
                "{} ({}{constraint}){remedy}",
                failure.message(),
                failure.code().code()
            )
        }
        // The driver's own refusal has no code.
        (None, Some(source)) if source.to_string().contains("does not allow writes") => {
            format!("{error}: {source}; {WRITABLE}")
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
