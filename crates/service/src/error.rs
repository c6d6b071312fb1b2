//! What can go wrong, named by what the receiver can do about it.

use certgate_model::{AuthorityId, CertificateId, MtlsCertificateId, Totals};
use certgate_pki::{ChainError, CsrError, ImportError, PrivateKeyError};
use certgate_store::StoreError;

/// Trouble that is not the caller's fault.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// Try again later: the store is busy, full or away.
    #[error("{0}")]
    Unavailable(String),
    /// The store was lost while it made the change, and nobody knows whether it did.
    #[error("{0}")]
    InDoubt(String),
    /// Something that must not happen did; the text is for the log only.
    #[error("{0}")]
    Internal(String),
}

impl Fault {
    /// What it is to whoever asked for a certificate, if that was not signed yet.
    pub(crate) fn nothing_issued(self) -> Self {
        match self {
            Self::InDoubt(text) => Self::Unavailable(text),
            other => other,
        }
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        match error {
            // A damaged database is replaced by the operator while clients wait: to them it is a service that is away.
            StoreError::Unavailable(_) | StoreError::Corrupt(_) => {
                Self::Unavailable(error.to_string())
            }
            StoreError::InDoubt(_) => Self::InDoubt(error.to_string()),
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
    /// No user has this API key, or its e-mail address is another.
    #[error("unknown API key or e-mail address")]
    UnknownApiKey,
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
    /// The idempotency key came with another request before.
    #[error(
        "the idempotency key was used for another request, which made the certificate {0}: use a new key for each \
         certificate, and the same one only to repeat its request"
    )]
    KeyReused(CertificateId),
    /// The store was lost while the certificate was recorded, under this id or not at all.
    #[error(
        "the database was lost while the certificate {id} was recorded, and it is not known whether it was: {}",
        if *.is_repeatable { "repeat the request with the same Idempotency-Key" } else {
            "ask for that certificate before you ask for another one; a request with an Idempotency-Key can be repeated"
        }
    )]
    InDoubt {
        /// The id that it has if it was.
        id: CertificateId,
        /// Whether the request had an idempotency key.
        is_repeatable: bool,
        /// What happened, for the log.
        text: String,
    },
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
    /// It was revoked for a reason that cannot be undone.
    #[error("the client certificate was revoked for good")]
    Permanent,
    /// Trouble.
    #[error(transparent)]
    Fault(#[from] Fault),
}

/// Why a list of hostnames was not replaced. The list is as it was.
#[derive(Debug, thiserror::Error)]
pub enum HostnamesError {
    /// There are too many.
    #[error("there are {given} hostnames: a list has at most {max}")]
    TooMany {
        /// How many there are.
        given: usize,
        /// The most there can be.
        max: usize,
    },
    /// One of them is not a good one.
    #[error("{hostname:?} {fault}")]
    Hostname {
        /// Which one, from 0.
        index: usize,
        /// Its beginning.
        hostname: String,
        /// What is wrong with it.
        fault: HostnameFault,
    },
    /// The zone's account has no such certificate.
    #[error("the zone's account has no mTLS certificate of this id")]
    NoCertificate,
    /// The certificate is not one of an authority.
    #[error(
        "the mTLS certificate is not one of an authority (its ca is false), so no client certificate could \
         be signed by it: name one whose ca is true"
    )]
    NotAnAuthority,
    /// The zone was deleted meanwhile.
    #[error("the zone does not exist any more")]
    NoZone,
    /// Trouble.
    #[error(transparent)]
    Fault(#[from] Fault),
}

/// What is wrong with a hostname; reads on from the hostname itself.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HostnameFault {
    /// It has a wildcard.
    #[error(
        "has a wildcard, which would ask for certificates at hostnames that nobody listed: list each hostname"
    )]
    Wildcard,
    /// It is not a DNS name.
    #[error("is not a hostname such as api.example.com: {0}")]
    Invalid(String),
    /// It is not in the zone of this name.
    #[error("is not in the zone {0}: list {0} itself or names below it")]
    OutsideZone(String),
    /// It is in the list already, but for letter case.
    #[error("is in the list already, at place {first} counted from 0: leave one of the two out")]
    Repeated {
        /// Where it is first, from 0.
        first: usize,
    },
    /// Another zone lists it.
    #[error("is listed by another zone, and one zone decides: take it out of that list first")]
    ListedElsewhere,
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
    /// An account has certificates that it brought itself.
    #[error(
        "the account has {0} mTLS certificates: delete them first, GET /accounts/<id>/mtls_certificates lists them"
    )]
    HasMtlsCertificates(u64),
    /// Trouble.
    #[error(transparent)]
    Fault(#[from] Fault),
}

/// Why a certificate that an account brings itself was not taken in or deleted.
#[derive(Debug, thiserror::Error)]
pub enum MtlsCertificateError {
    /// The certificates are not good ones.
    #[error("{0}")]
    Chain(#[from] ChainError),
    /// The private key is not a good one.
    #[error("{0}")]
    PrivateKey(#[from] PrivateKeyError),
    /// The private key is another certificate's.
    #[error(
        "the private key does not belong to the first certificate: send the key it was made for, and that certificate first"
    )]
    KeyMismatch,
    /// A leaf certificate came without its private key.
    #[error(
        "a leaf certificate (ca: false) needs its private_key; for an authority without its key send ca: true"
    )]
    LeafWithoutKey,
    /// The name is not a good one.
    #[error("{0}")]
    Name(String),
    /// The account has it already.
    #[error(
        "the account has this certificate already, its id is {0}: use that one, or delete it first"
    )]
    Exists(MtlsCertificateId),
    /// The account is full.
    #[error(
        "the account has reached its quota of {quota} mTLS certificates: delete one that is not used"
    )]
    QuotaReached {
        /// The quota in force.
        quota: u64,
    },
    /// Hostnames use it.
    #[error("{count} hostnames use the certificate, {}{}: take it off them first", .hostnames.join(", "), if (.hostnames.len() as u64) < *.count { ", …" } else { "" })]
    InUse {
        /// Some of them.
        hostnames: Vec<String>,
        /// How many there are.
        count: u64,
    },
    /// The account has no such certificate.
    #[error("mTLS certificate not found")]
    NotFound,
    /// The account was deleted meanwhile.
    #[error("the account does not exist any more")]
    NoAccount,
    /// Trouble.
    #[error(transparent)]
    Fault(#[from] Fault),
}

/// Why nothing was done with an enforcement point.
#[derive(Debug, thiserror::Error)]
pub enum EnforcementPointError {
    /// The name is not a good one.
    #[error("{0}")]
    Name(String),
    /// The lease is too short or too long.
    #[error("lease_seconds is {given}: use a whole number from {min} to {max}")]
    Lease {
        /// What was asked for.
        given: i64,
        /// The shortest.
        min: u32,
        /// The longest.
        max: u32,
    },
    /// The account has as many as there may be.
    #[error(
        "the account has {max} enforcement points, the most there can be: delete those that are gone"
    )]
    TooMany {
        /// The most.
        max: u64,
    },
    /// No epoch is negative.
    #[error("epoch is {given}: epochs begin at 0")]
    NegativeEpoch {
        /// What was acknowledged.
        given: i64,
    },
    /// What was acknowledged has not happened yet.
    #[error(
        "epoch is {given}, but the last change has the epoch {last}: acknowledge what was received"
    )]
    Ahead {
        /// What was acknowledged.
        given: u64,
        /// The last there is.
        last: u64,
    },
    /// It was given to a change that is not known any more.
    #[error(
        "epoch is {given}, which is from before the database was restored from a backup: read everything that is revoked again"
    )]
    Skipped {
        /// What was said to be known.
        given: u64,
    },
    /// The account has no such enforcement point.
    #[error("the account has no such enforcement point: register it again")]
    NotFound,
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
    /// Only who may do everything can make, or switch off, what may do everything.
    #[error(
        "an API key may do everything: only a token that has every permission on everything, without limits of address \
         and time, can make it or switch it off"
    )]
    NotEverything,
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
from_store_error!(
    AccessError,
    AuthorityError,
    EnforcementPointError,
    HostnamesError,
    IssueError,
    MtlsCertificateError,
    RevocationError,
    TenantError,
    TokenError
);
