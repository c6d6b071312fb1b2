//! What can go wrong, named by what the receiver can do about it.

use certgate_model::{AuthorityId, Totals};
use certgate_pki::{CsrError, ImportError};
use certgate_store::StoreError;

/// Trouble that is not the caller's fault.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// Try again later: the store is busy, full or away.
    #[error("{0}")]
    Unavailable(String),
    /// Something that must not happen did; the text is for the log only.
    #[error("{0}")]
    Internal(String),
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        match error {
            // A damaged database is replaced by the operator while clients wait: to them it is a service that is away.
            StoreError::Unavailable(_) | StoreError::Corrupt(_) => Self::Unavailable(error.to_string()),
            StoreError::Conflict(_) => Self::Internal(error.to_string()),
        }
    }
}

/// Why a request may not do what it asks for.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// The token is unknown, expired, not valid yet, disabled, or came from an address it must not come from.
    #[error("invalid access token")]
    InvalidToken,
    /// The token does not have the permission there, or there is no such thing: the two are not told apart.
    #[error("unauthorized to access requested resource")]
    Refused,
    /// The token made too many requests.
    #[error("too many requests")]
    TooManyRequests {
        /// When to try again.
        retry_after_seconds: u32,
    },
    /// Trouble.
    #[error(transparent)]
    Fault(#[from] Fault),
}

/// Why no authority was put in force. Nothing is stored.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// The authority to import is not a good one.
    #[error("{0}")]
    Import(#[from] ImportError),
    /// The account has an authority with that very certificate.
    #[error(
        "the account has this authority already, {id}: nothing was changed; an authority that was replaced cannot be put \
         in force again, renew its certificate with the same key and import that"
    )]
    Known {
        /// Its id.
        id: AuthorityId,
    },
    /// The account has had as many authorities as there may be.
    #[error(
        "the account has had {max} managed authorities, the most there can be, since the revocation lists of each are \
         kept up for good: make another account for a new one"
    )]
    TooMany {
        /// How many that are.
        max: usize,
    },
    /// The account was deleted meanwhile.
    #[error("the account does not exist any more")]
    NoAccount,
    /// Trouble.
    #[error(transparent)]
    Fault(#[from] Fault),
}

/// Why no certificate was issued. Nothing is stored.
#[derive(Debug, thiserror::Error)]
pub enum IssueError {
    /// The request is not a good one.
    #[error("{0}")]
    Csr(#[from] CsrError),
    /// The validity is out of bounds.
    #[error("validity_days is {given}: use a whole number from 1 to {max}")]
    Validity {
        /// What was asked for.
        given: i64,
        /// The most there is.
        max: u32,
    },
    /// The certificate would outlive the authority.
    #[error(
        "validity_days is {given}, but the authority itself expires on {authority_expires_on}: use at most {max}"
    )]
    OutlivesAuthority {
        /// What was asked for.
        given: i64,
        /// The most that is possible today.
        max: i64,
        /// When the authority expires, RFC 3339.
        authority_expires_on: String,
    },
    /// The zone is full.
    #[error("the zone has reached its quota of {quota} client certificates")]
    QuotaReached {
        /// The quota in force.
        quota: u64,
    },
    /// The zone was deleted meanwhile.
    #[error("the zone does not exist any more")]
    NoZone,
    /// Trouble.
    #[error(transparent)]
    Fault(#[from] Fault),
}

/// Why a certificate was not revoked or reactivated.
#[derive(Debug, thiserror::Error)]
pub enum RevocationError {
    /// The zone has no such certificate.
    #[error("client certificate not found")]
    NotFound,
    /// It is revoked already.
    #[error("the client certificate is revoked already")]
    AlreadyRevoked,
    /// Trouble.
    #[error(transparent)]
    Fault(#[from] Fault),
}

/// Why an account or zone was not made or deleted.
#[derive(Debug, thiserror::Error)]
pub enum TenantError {
    /// The name is not a good one.
    #[error("{0}")]
    Name(String),
    /// There is one of that name.
    #[error("{0:?} exists already")]
    NameTaken(String),
    /// It does not exist (any more).
    #[error("it does not exist")]
    NotFound,
    /// A zone has certificates that are not revoked.
    #[error("the zone has {} client certificates that are not revoked: revoke them first", .0.all() - .0.of(certgate_model::Status::Revoked))]
    HasCertificates(Totals),
    /// An account has zones.
    #[error("the account has {0} zones: delete them first")]
    HasZones(u64),
    /// Trouble.
    #[error(transparent)]
    Fault(#[from] Fault),
}

/// Why a token was not made or changed.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// Something about it is not good.
    #[error("{reason}")]
    Invalid {
        /// The member at fault, as a JSON pointer.
        pointer: String,
        /// What is wrong and what to do.
        reason: String,
    },
    /// It would grant more than the token that asks for it has.
    #[error("a token cannot grant what it does not have: {0}")]
    ExceedsOwn(String),
    /// There is no such token.
    #[error("API token not found")]
    NotFound,
    /// Trouble.
    #[error(transparent)]
    Fault(#[from] Fault),
}

macro_rules! from_store_error {
    ($($error:ty),+) => {$(
        impl From<StoreError> for $error {
            fn from(error: StoreError) -> Self {
                Self::Fault(error.into())
            }
        }
    )+};
}
from_store_error!(AccessError, AuthorityError, IssueError, RevocationError, TenantError, TokenError);
