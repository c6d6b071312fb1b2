//! SQLite's errors, named by the possible reaction of the receiver.

use rusqlite::{Error, ErrorCode, ffi};

use crate::StoreError;

impl From<Error> for StoreError {
    fn from(error: Error) -> Self {
        let Error::SqliteFailure(failure, ref text) = error else {
            // Every other error means that a row does not have the form that this version writes.
            return Self::Corrupt(error.to_string());
        };
        let text = text.clone().unwrap_or_else(|| failure.to_string());
        match failure.code {
            ErrorCode::ConstraintViolation => match failure.extended_code {
                ffi::SQLITE_CONSTRAINT_UNIQUE
                | ffi::SQLITE_CONSTRAINT_PRIMARYKEY
                | ffi::SQLITE_CONSTRAINT_ROWID
                | ffi::SQLITE_CONSTRAINT_FOREIGNKEY => Self::Conflict(text),
                // A counter below zero, an unknown status: only corruption causes these.
                _ => Self::Corrupt(text),
            },
            ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => Self::Corrupt(text),
            ErrorCode::Unknown if failure.extended_code == ffi::SQLITE_ERROR => Self::Corrupt(text),
            ErrorCode::DiskFull => {
                Self::Unavailable(format!("{text}; free some space on the disk"))
            }
            _ => Self::Unavailable(text),
        }
    }
}
