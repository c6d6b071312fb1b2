//! Errors, named by the receiver's possible reaction. Their translation to HTTP is in the API.

mod issuing;

use certgate_model::{AuthorityId, MtlsCertificateId, Status, Timestamp, Totals};
use certgate_pki::{AdoptError, ChainError, ImportError, PrivateKeyError};
use certgate_store::StoreError;

pub(crate) use self::issuing::RENEWALS_PER_DAY_MAX;
pub use self::issuing::{EnrolError, InviteError, IssueError};

/// A fault of the server, not of the caller.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// Try again later: the store is busy, full or unreachable.
    #[error("{0}")]
    Unavailable(String),
    /// The store became unreachable, or its disk failed, during the change. The change may have
    /// been made.
    #[error("{0}")]
    InDoubt(String),
    /// A bug or a broken invariant. The text is for the log only.
    #[error("{0}")]
    Internal(String),
}

impl Fault {
    /// Converts the fault for a client that requested a certificate, before it was signed.
    pub(crate) fn nothing_issued(self) -> Self {
        match self {
            Self::InDoubt(text) => Self::Unavailable(text),
            other => other,
        }
    }
}

pub(crate) fn internal(error: impl std::fmt::Display) -> Fault {
    Fault::Internal(error.to_string())
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        match error {
            // The operator replaces a corrupt database while clients wait: for them the service is
            // unavailable.
            StoreError::Unavailable(_) | StoreError::Corrupt(_) => {
                Self::Unavailable(error.to_string())
            }
            StoreError::InDoubt(_) => Self::InDoubt(error.to_string()),
            StoreError::Conflict(_) => Self::Internal(error.to_string()),
        }
    }
}

/// Reasons to refuse a request.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// The token is unknown, expired, not valid yet, disabled, or used from an address that it does
    /// not permit.
    #[error("invalid access token")]
    InvalidToken,
    /// No user has this API key with this e-mail address.
    #[error("unknown API key or e-mail address")]
    UnknownApiKey,
    /// The caller lacks the permission, or the zone does not exist. The answer is the same, so it
    /// does not reveal the zones and accounts of others.
    #[error("unauthorized to access requested resource")]
    Refused,
    /// The zone or account does not exist, and the caller would have the permission on it: its
    /// token covers all zones or accounts, or names this one.
    #[error("the zone or account does not exist")]
    NotFound,
    /// The token made too many requests.
    #[error("too many requests")]
    TooManyRequests {
        /// Seconds until the next try.
        retry_after_seconds: u32,
    },
    /// A fault of the server.
    #[error(transparent)]
    Fault(#[from] Fault),
}

/// Reasons not to activate a CA. Nothing is stored.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// The CA to import is not acceptable.
    #[error("{0}")]
    Import(#[from] ImportError),
    /// The account has a CA with the same certificate.
    #[error(
        "the account already has this CA, {id}, and nothing was changed: activate it to sign with \
         it again"
    )]
    Known {
        /// Its ID.
        id: AuthorityId,
    },
    /// The account has the maximum number of CAs.
    #[error(
        "{max} managed CAs of the account have signed certificates, and more are not allowed, \
         because the server signs the revocation lists of each of them forever: create another \
         account for a new one"
    )]
    TooMany {
        /// The maximum.
        max: u64,
    },
    /// The account got the maximum number of new CAs in the last hour.
    #[error(
        "the account got {max} managed CAs within an hour, and more are not allowed: wait as long \
         as retry-after says"
    )]
    TooOften {
        /// The maximum.
        max: usize,
        /// Seconds until the next try.
        retry_after_seconds: u32,
    },
    /// Too many rotations and imports are pending.
    #[error("{pending} are pending, the maximum: wait until one of them is answered")]
    Busy {
        /// The pending rotations.
        pending: String,
    },
    /// The name is not acceptable.
    #[error("{0}")]
    Name(String),
    /// The account has no such CA, or request of one.
    #[error("the account has no {what} with this ID: list them to see the IDs")]
    NotFound {
        /// The kind of thing.
        what: &'static str,
    },
    /// Enforcement points have not acknowledged the CA.
    #[error(
        "{} not acknowledged the CA, so that clients with its certificates could be rejected: \
         wait until each of them has, delete those that you removed, or send \"anyway\": true",
        late(points)
    )]
    Late {
        /// Their names, sorted.
        points: Vec<String>,
    },
    /// The account has a prepared CA, and none is active yet.
    #[error("{}", not_activated(*.id))]
    NotActivated {
        /// The ID of the latest prepared one.
        id: AuthorityId,
    },
    /// The active CA cannot be retired.
    #[error(
        "the CA is the active one, and an account cannot be without: activate another CA first"
    )]
    Active,
    /// Certificates of the CA may be valid.
    #[error(
        "certificates of the CA can be valid until {expires_on}, and enforcement points would \
         reject their holders: replace those certificates first, or send \"anyway\": true"
    )]
    MayHaveValid {
        /// The end of the CA itself.
        expires_on: Timestamp,
    },
    /// A certificate came without a private key, and no request of the account has its key.
    #[error(
        "no request of the account has the key of this certificate: send the private key in \
         private_key, or the certificate that was made from a request of this account"
    )]
    NoKey,
    /// The account has the maximum number of requests.
    #[error(
        "{max} keys of the account wait for their certificates, the maximum: delete those that you \
         do not need"
    )]
    TooManyRequests {
        /// The maximum.
        max: u64,
    },
    /// The CA to activate is not valid now.
    #[error(
        "the CA is valid from {valid_from} to {expires_on}, and cannot sign now: activate another \
         CA, or correct the clock of the server"
    )]
    NotValid {
        /// `notBefore` of its certificate.
        valid_from: Timestamp,
        /// `notAfter` of its certificate.
        expires_on: Timestamp,
    },
    /// The account was deleted meanwhile.
    #[error("the account does not exist any more")]
    NoAccount,
    /// A fault of the server.
    #[error(transparent)]
    Fault(#[from] Fault),
}

/// Maximum number of enforcement points that an error names. More make a message unreadable.
const LATE_POINTS_NAMED_MAX: usize = 20;

/// Names enforcement points, as the subject of a sentence.
fn late(points: &[String]) -> String {
    let named = points.len().min(LATE_POINTS_NAMED_MAX);
    let more = match points.len() - named {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let (noun, verb) = match points.len() {
        1 => ("point", "has"),
        _ => ("points", "have"),
    };
    format!(
        "the enforcement {noun} {}{more} {verb}",
        points[..named].join(", ")
    )
}

fn not_activated(id: AuthorityId) -> String {
    format!("the account has no active CA, and {id} is prepared: activate {id} first")
}

/// Reasons not to load the active CA of an account.
#[derive(Debug)]
pub(crate) enum ActiveAuthorityError {
    /// None is active, and this one is prepared.
    NotActivated(AuthorityId),
    Fault(Fault),
}

impl From<Fault> for ActiveAuthorityError {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<StoreError> for ActiveAuthorityError {
    fn from(error: StoreError) -> Self {
        Self::Fault(error.into())
    }
}

impl From<ActiveAuthorityError> for AuthorityError {
    fn from(error: ActiveAuthorityError) -> Self {
        match error {
            ActiveAuthorityError::NotActivated(id) => Self::NotActivated { id },
            ActiveAuthorityError::Fault(fault) => Self::Fault(fault),
        }
    }
}

/// Reasons not to record any certificate that was issued elsewhere.
#[derive(Debug, thiserror::Error)]
pub enum AdoptionError {
    /// There are too many certificates, or none.
    #[error("there are {given} certificates: send 1 to {max}")]
    Count {
        /// The given number.
        given: usize,
        /// The maximum.
        max: usize,
    },
    /// The zone was deleted meanwhile.
    #[error("the zone does not exist any more")]
    NoZone,
    /// A fault of the server.
    #[error(transparent)]
    Fault(#[from] Fault),
}

/// Reasons not to record one of several certificates that were issued elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AdoptionLineError {
    /// The certificate is not acceptable.
    #[error("{0}")]
    Certificate(#[from] AdoptError),
    /// The serial number is taken.
    #[error(
        "the CA has another certificate with this serial number, or another zone has this \
         certificate: list the certificates with this serial number"
    )]
    SerialTaken,
    /// The CA was discarded meanwhile.
    #[error(
        "the CA that signed the certificate was discarded meanwhile, because another one needed \
         its place and it had signed nothing here: import it again"
    )]
    NoAuthority,
    /// The zone has the maximum number of certificates.
    #[error(
        "the zone has reached its quota of {quota} client certificates: the operator of the server \
         can raise zone_certificates_max"
    )]
    QuotaReached {
        /// The current quota.
        quota: u64,
    },
}

/// Reasons not to revoke or reactivate a certificate.
#[derive(Debug, thiserror::Error)]
pub enum RevocationError {
    /// The zone has no such certificate.
    #[error("client certificate not found")]
    NotFound,
    /// The reason of the revocation does not permit reactivation.
    #[error("the client certificate was revoked permanently")]
    Permanent,
    /// A fault of the server.
    #[error(transparent)]
    Fault(#[from] Fault),
}

/// Reasons not to replace a list of hostnames. The list is unchanged.
#[derive(Debug, thiserror::Error)]
pub enum HostnamesError {
    /// The list is too long.
    #[error("there are {given} hostnames: use at most {max}")]
    TooMany {
        /// The given number.
        given: usize,
        /// The maximum.
        max: usize,
    },
    /// A hostname is not acceptable.
    #[error("{hostname:?} {fault}")]
    Hostname {
        /// Its index in the list, from 0.
        index: usize,
        /// Its beginning.
        hostname: String,
        /// The fault.
        fault: HostnameFault,
    },
    /// The zone's account has no such certificate.
    #[error("the zone's account has no mTLS certificate with this ID")]
    NoCertificate,
    /// The certificate is not a CA.
    #[error(
        "the mTLS certificate is not a CA (its ca is false), so it cannot have signed a client \
         certificate: name one whose ca is true"
    )]
    NotAnAuthority,
    /// The zone was deleted meanwhile.
    #[error("the zone does not exist any more")]
    NoZone,
    /// A fault of the server.
    #[error(transparent)]
    Fault(#[from] Fault),
}

/// A fault of a hostname. The text continues a sentence that begins with the hostname.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HostnameFault {
    /// The hostname has a wildcard.
    #[error(
        "has a wildcard, which would require certificates at hostnames that are not listed: list \
         each hostname"
    )]
    Wildcard,
    /// The text is not a DNS name.
    #[error("is not a hostname such as api.example.com: {0}")]
    Invalid(String),
    /// The hostname is outside the zone with this name.
    #[error("is not in the zone {0}: list {0} itself or names below it")]
    OutsideZone(String),
    /// The list has the same hostname twice, regardless of letter case.
    #[error("duplicates hostnames[{first}]: remove one of them")]
    Repeated {
        /// The index of the first one, from 0.
        first: usize,
    },
    /// Another zone lists the hostname.
    #[error("is listed by another zone: remove it from that list first")]
    ListedElsewhere,
}

/// Reasons not to create or delete an account or zone.
#[derive(Debug, thiserror::Error)]
pub enum TenantError {
    /// The name is not acceptable.
    #[error("{0}")]
    Name(String),
    /// Another member is not acceptable.
    #[error("{reason}")]
    Invalid {
        /// The member, as a JSON pointer.
        pointer: &'static str,
        /// The problem and its remedy.
        reason: String,
    },
    /// The name is in use.
    #[error("{0:?} already exists: use another name")]
    NameTaken(String),
    /// The zone would be above or below a zone of another account, where the caller lacks Zone
    /// Write. The message does not name that zone.
    #[error(
        "{0:?} is above or below a zone of another account: use a token that has Zone Write on \
         both, or another name"
    )]
    Neighbour(String),
    /// The account or zone does not exist, or was deleted meanwhile.
    #[error("it does not exist")]
    NotFound,
    /// The zone has certificates that are not revoked.
    #[error("{}", not_revoked(.totals, *.pending_seconds_max))]
    HasCertificates {
        /// The numbers of its certificates.
        totals: Totals,
        /// The longest time until the pending revocations have settled, in seconds.
        pending_seconds_max: u64,
    },
    /// The account has zones.
    #[error("the account has {0} zones: delete them first")]
    HasZones(u64),
    /// The account has uploaded certificates.
    #[error(
        "the account has {0} mTLS certificates: delete them first, GET \
         /accounts/<id>/mtls_certificates lists them"
    )]
    HasMtlsCertificates(u64),
    /// A fault of the server.
    #[error(transparent)]
    Fault(#[from] Fault),
}

/// Says what to do about the certificates of a zone that are not revoked.
fn not_revoked(totals: &Totals, pending_seconds_max: u64) -> String {
    let pending = totals.of(Status::PendingRevocation);
    let count = totals.all() - totals.of(Status::Revoked);
    let wait = format!("at most {pending_seconds_max} seconds, and try again");
    let remedy = match count - pending {
        0 => format!("the revocation of each is pending, wait {wait}"),
        _ if pending == 0 => "revoke them first".to_owned(),
        others => {
            format!("revoke {others} of them; the revocation of {pending} is pending, wait {wait}")
        }
    };
    format!("the zone has {count} client certificates that are not revoked: {remedy}")
}

/// Reasons not to store or delete an uploaded certificate.
#[derive(Debug, thiserror::Error)]
pub enum MtlsCertificateError {
    /// The certificates are not acceptable.
    #[error("{0}")]
    Chain(#[from] ChainError),
    /// Too many requests wait for the search of an RSA key.
    #[error(
        "{waiting} wait for the check of an RSA key, the maximum: wait until some are answered"
    )]
    Busy {
        /// The waiting requests.
        waiting: String,
    },
    /// The private key is not acceptable.
    #[error("{0}")]
    PrivateKey(#[from] PrivateKeyError),
    /// The private key belongs to another certificate.
    #[error(
        "the private key does not belong to the first certificate: send the key of that \
         certificate, and the certificate of the key first"
    )]
    KeyMismatch,
    /// A leaf certificate has no private key.
    #[error(
        "a leaf certificate (ca: false) needs its private_key: send it, or ca: true for a CA \
         without its key"
    )]
    LeafWithoutKey,
    /// The name is not acceptable.
    #[error("{0}")]
    Name(String),
    /// The account has the same certificate.
    #[error(
        "the certificate already exists in the account, its ID is {0}: use that one, or delete it \
         first"
    )]
    Exists(MtlsCertificateId),
    /// The account has the maximum number of uploaded certificates.
    #[error("the account has reached its quota of {quota} mTLS certificates: delete an unused one")]
    QuotaReached {
        /// The current quota.
        quota: u64,
    },
    /// Hostnames use the certificate.
    #[error(
        "{count} hostnames use the certificate, {}{}: it cannot be deleted while in use, remove \
         its hostname associations first",
        .hostnames.join(", "), if (.hostnames.len() as u64) < *.count { ", …" } else { "" }
    )]
    InUse {
        /// Some of them.
        hostnames: Vec<String>,
        /// Their number.
        count: u64,
    },
    /// The account has no such certificate.
    #[error("mTLS certificate not found")]
    NotFound,
    /// The account was deleted meanwhile.
    #[error("the account does not exist any more")]
    NoAccount,
    /// A fault of the server.
    #[error(transparent)]
    Fault(#[from] Fault),
}

/// Reasons to reject a request about an enforcement point or the changes that it follows.
#[derive(Debug, thiserror::Error)]
pub enum EnforcementPointError {
    /// The name is not acceptable.
    #[error("{0}")]
    Name(String),
    /// The lease is too short or too long.
    #[error("lease_seconds is {given}: use a whole number from {min} to {max}")]
    Lease {
        /// The requested lease.
        given: i64,
        /// The minimum.
        min: u32,
        /// The maximum.
        max: u32,
    },
    /// The list of what the enforcement point covers is empty.
    #[error("covers is []: use at least one of connections, requests and handshakes")]
    CoversNothing,
    /// The time after which a silent enforcement point is deleted is too short or too long.
    #[error(
        "forget_seconds is {given}: use a whole number from {min}, the lease_seconds, to {max}"
    )]
    Forget {
        /// The requested time.
        given: i64,
        /// The minimum: the lease.
        min: u32,
        /// The maximum.
        max: u32,
    },
    /// The account has the maximum number of enforcement points.
    #[error("the account has {max} enforcement points, the maximum: delete unused ones")]
    TooMany {
        /// The maximum.
        max: u64,
    },
    /// The epoch is negative.
    #[error("epoch is {given}: use 0 or the epoch of a change")]
    NegativeEpoch {
        /// The acknowledged epoch.
        given: i64,
    },
    /// The epoch has not happened yet.
    #[error(
        "epoch is {given}, but the last change has the epoch {last}: use an epoch that you received"
    )]
    Ahead {
        /// The given epoch.
        given: u64,
        /// The last epoch.
        last: u64,
    },
    /// The epoch belongs to a change that was lost when the database was restored from a backup.
    #[error(
        "epoch is {given}, which is from before the database was restored from a backup: read all \
         revoked certificates again"
    )]
    Skipped {
        /// The given epoch.
        given: u64,
    },
    /// The account has no such enforcement point.
    #[error("the account has no such enforcement point: register it again")]
    NotFound,
    /// Another token registered the enforcement point.
    #[error(
        "another token registered this enforcement point: use that token, or delete the point with \
         a token that has Account Settings Write"
    )]
    OfAnotherToken,
    /// A fault of the server.
    #[error(transparent)]
    Fault(#[from] Fault),
}

/// Reasons not to create or change a token or an API key.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// A member is not acceptable.
    #[error("{reason}")]
    Invalid {
        /// The member, as a JSON pointer.
        pointer: String,
        /// The problem and its remedy.
        reason: String,
    },
    /// The token would exceed the token of the caller.
    #[error("your own token does not allow this: {0}")]
    ExceedsOwn(String),
    /// The master key does not belong to the installation.
    #[error(
        "the master key is not the key of this installation: name the right one with \
         CERTGATE_MASTER_KEY_FILE"
    )]
    WrongMasterKey,
    /// The token is the last one that can create tokens.
    #[error(
        "without this token, no token that has no end could create tokens, and you would need \
         `certgate token create --offline` on the server's machine: create another one first, or \
         confirm with last_token=true in the query"
    )]
    LastOne,
    /// The token could issue more than the token of the caller.
    #[error(
        "your own token has issuance rules: give the token rules that permit no more. A token with \
         certificates_per_day can let no other token issue"
    )]
    ExceedsRules,
    /// The caller lacks a permission that an API key has.
    #[error(
        "an API key may do everything: use a token that has every permission on everything, \
         without limits of address and time, to make or delete it"
    )]
    NotEverything,
    /// The user has no such token.
    #[error("API token not found")]
    NotFound,
    /// A fault of the server.
    #[error(transparent)]
    Fault(#[from] Fault),
}

/// Completes a number that was read as the largest or smallest one.
const fn beyond(given: i64) -> &'static str {
    match given {
        i64::MAX => " or more",
        i64::MIN => " or less",
        _ => "",
    }
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
    AdoptionError,
    AuthorityError,
    EnforcementPointError,
    HostnamesError,
    InviteError,
    IssueError,
    MtlsCertificateError,
    RevocationError,
    TenantError,
    TokenError
);
