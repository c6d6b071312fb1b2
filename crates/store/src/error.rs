//! Errors of the store, named by the possible reaction of the caller.

/// A failure of the store. The text is for the operator, not for the client.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The change contradicts stored data, for example a second token with the same hash.
    #[error("the store rejected the change: {0}")]
    Conflict(String),
    /// The store cannot work now: full queue, full disk, unreachable database. Nothing was changed,
    /// and a retry can succeed.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
    /// The connection to the database ended during the commit and cannot be restored, or the disk
    /// failed at its end. The change may have been made.
    #[error("the change may have been made: {0}")]
    InDoubt(String),
    /// Stored data is corrupt, or this version did not write it.
    #[error("stored data is corrupt: {0}")]
    Corrupt(String),
}

impl StoreError {
    /// The text alone.
    pub fn into_detail(self) -> String {
        match self {
            Self::Conflict(text)
            | Self::Unavailable(text)
            | Self::InDoubt(text)
            | Self::Corrupt(text) => text,
        }
    }
}

/// Reports stored data that this version cannot have written.
pub(crate) fn corrupt(what: impl Into<String>) -> StoreError {
    StoreError::Corrupt(what.into())
}
