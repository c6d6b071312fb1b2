//! Reasons not to issue a certificate, or not to let a client ask for one.

use certgate_model::{AuthorityId, CertificateId, InviteState, RuleName, Timestamp};
use certgate_pki::{CsrError, PathError};
use certgate_store::{InviteRefused, RenewalRefused, StoreError};

use super::{ActiveAuthorityError, Fault, beyond, not_activated};

/// Reasons not to issue a certificate. Nothing is stored.
#[derive(Debug, thiserror::Error)]
pub enum IssueError {
    /// The CSR is not acceptable.
    #[error("{0}")]
    Csr(#[from] CsrError),
    /// Too many requests wait for the search of an RSA key.
    #[error(
        "{waiting} wait for the check of an RSA key, the maximum: wait until some are answered"
    )]
    Busy {
        /// The waiting requests.
        waiting: String,
    },
    /// The subject is the name of the CA that would sign.
    #[error(
        "the subject of the CSR is the name of the CA that signs, so that verifiers could take the \
         certificate for that of the CA: use another name"
    )]
    NameOfIssuer,
    /// Verifiers would reject the certificate because of its CA.
    #[error(
        "{error}: {}",
        match .error {
            PathError::Authority(_) => "rotate the CA, or import another one",
            PathError::Name(_) => "use a subject that they permit, or rotate the CA",
        }
    )]
    Path {
        /// The reason.
        error: PathError,
    },
    /// The validity is out of bounds.
    #[error("validity_days is {given}{}: use a whole number from 1 to {max}", beyond(*.given))]
    Validity {
        /// The requested validity.
        given: i64,
        /// The maximum.
        max: u32,
    },
    /// The certificate would expire after its CA.
    #[error(
        "validity_days is {given}, but the CA itself expires on {authority_expires_on}: {}",
        match .max {
            ..1 => "rotate the CA".to_owned(),
            max => format!("use at most {max}"),
        }
    )]
    OutlivesAuthority {
        /// The requested validity.
        given: i64,
        /// The maximum today.
        max: i64,
        /// Expiry of the CA, RFC 3339.
        authority_expires_on: String,
    },
    /// The account has a prepared CA, and none is active yet.
    #[error("{}", not_activated(*.id))]
    NotActivated {
        /// The ID of the latest prepared one.
        id: AuthorityId,
    },
    /// The CA is not valid now: the clock is wrong, or the CA has expired.
    #[error(
        "the account's CA is valid from {valid_from} to {expires_on}, but the server's clock shows \
         {now}: correct the clock, or rotate the CA if the clock is right"
    )]
    AuthorityNotValid {
        /// `notBefore` of the CA.
        valid_from: Timestamp,
        /// `notAfter` of the CA.
        expires_on: Timestamp,
        /// The time of the request.
        now: Timestamp,
    },
    /// The zone has the maximum number of certificates.
    #[error(
        "the zone has reached its quota of {quota} client certificates: the operator of the server \
         can raise zone_certificates_max"
    )]
    QuotaReached {
        /// The current quota.
        quota: u64,
    },
    /// An issuance rule does not permit the certificate.
    #[error("the issuance rule {rule} of {owner} does not permit this: {reason}")]
    Rule {
        /// The rule.
        rule: RuleName,
        /// The zone or token that has the rule, with its name.
        owner: String,
        /// The value of the request, and the remedy.
        reason: String,
    },
    /// The stored issuance rules cannot be read.
    #[error(
        "the stored issuance rules of {owner} are corrupt or of a later version, so nothing is \
         issued under them: replace them"
    )]
    RulesCorrupt {
        /// The zone or token that has the rules, with its name.
        owner: String,
    },
    /// The zone was deleted meanwhile.
    #[error("the zone does not exist any more")]
    NoZone,
    /// An earlier request used the idempotency key for another certificate.
    #[error(
        "an earlier request used this idempotency key and made the certificate {0}: use a new key \
         for each certificate, and the same key only to repeat a request"
    )]
    KeyReused(CertificateId),
    /// The certificate to renew has another subject.
    #[error(
        "the subject of the CSR is not that of the certificate to renew: use the same attributes \
         in the same order"
    )]
    OtherSubject,
    /// The CSR has another common name than the certificate by which the client enrols.
    #[error(
        "the common name of the CSR is not {name:?}, that of the client certificate: use that one, \
         and only one"
    )]
    OtherName {
        /// The name.
        name: String,
    },
    /// The subject of the CSR is not the name of the invite.
    #[error(
        "the subject of the CSR is not CN={name}, the name in the invite: use that one and no \
         other attribute, or an empty subject"
    )]
    NotInvitedName {
        /// The name.
        name: String,
    },
    /// The certificate to renew, or the invite, lacks a name of the CSR.
    #[error(
        "the CSR asks for {name}, which the certificate to renew, or the invite, does not have: \
         leave it out, or enrol anew"
    )]
    FurtherName {
        /// The name.
        name: String,
    },
    /// The certificate cannot be renewed.
    #[error("{}", not_renewed(.0))]
    NotRenewed(RenewalRefused),
    /// The invite does not permit the certificate.
    #[error("{}", not_invited(*.0))]
    NotInvited(InviteRefused),
    /// The store became unreachable while it recorded the certificate under this ID.
    #[error(
        "the database became unreachable while it recorded the certificate {id}, which may \
         exist: {}",
        if *.is_repeatable { "repeat the request with the same Idempotency-Key" } else {
            "get that certificate before you request another one; you can repeat a request that \
             has an Idempotency-Key"
        }
    )]
    InDoubt {
        /// The certificate's ID, if it was recorded.
        id: CertificateId,
        /// True if the request has an idempotency key.
        is_repeatable: bool,
        /// The cause, for the log.
        text: String,
    },
    /// A fault of the server.
    #[error(transparent)]
    Fault(#[from] Fault),
}

impl From<ActiveAuthorityError> for IssueError {
    fn from(error: ActiveAuthorityError) -> Self {
        match error {
            ActiveAuthorityError::NotActivated(id) => Self::NotActivated { id },
            ActiveAuthorityError::Fault(fault) => Self::Fault(fault.nothing_issued()),
        }
    }
}

/// Says why a certificate cannot be renewed.
fn not_renewed(refused: &RenewalRefused) -> String {
    match refused {
        RenewalRefused::NotFound => {
            "the zone has no such certificate: enrol in the zone that issued it".to_owned()
        }
        RenewalRefused::Revoked(reason) => format!(
            "the certificate is revoked ({}), so it cannot be renewed: enrol anew",
            reason.name()
        ),
        RenewalRefused::Replaced { by, on } => format!(
            "the certificate was replaced by {by} on {on}, so it cannot be renewed again: renew \
             that one, or enrol anew"
        ),
        RenewalRefused::TooSoon { until } => format!(
            "the certificate is the result of a renewal a moment ago: renew it from {until} on, \
             and check the clock and the timer of the client"
        ),
        RenewalRefused::TooOften => format!(
            "the certificate and its predecessors were renewed {RENEWALS_PER_DAY_MAX} times today \
             (UTC), the maximum: wait until tomorrow, and check the timer of the client"
        ),
    }
}

/// Says why an invite cannot be used.
fn not_invited(refused: InviteRefused) -> &'static str {
    match refused {
        InviteRefused::NotFound | InviteRefused::NotOpen(InviteState::Open) => {
            "the zone has no such invite: check the link, or ask its sender for a new one"
        }
        InviteRefused::NotOpen(InviteState::Used) => {
            "the invite was used before: ask its sender for a new one"
        }
        InviteRefused::NotOpen(InviteState::Withdrawn) => {
            "the invite was withdrawn: ask its sender for a new one"
        }
        InviteRefused::NotOpen(InviteState::Locked) => {
            "the invite is locked, because too many wrong secrets were sent for it: ask its sender \
             for a new one"
        }
        InviteRefused::NotOpen(InviteState::Expired) => {
            "the invite has expired: ask its sender for a new one"
        }
    }
}

/// Reasons not to create or withdraw an invite.
#[derive(Debug, thiserror::Error)]
pub enum InviteError {
    /// A member of the invite is not acceptable.
    #[error("{reason}")]
    Invalid {
        /// The member, as a JSON pointer.
        pointer: &'static str,
        /// The problem and the remedy.
        reason: String,
    },
    /// The rules of the zone do not permit a certificate of the invite.
    #[error(transparent)]
    Issue(#[from] IssueError),
    /// The caller's token has issuance rules.
    #[error(
        "the token has issuance rules of its own, which do not apply to the certificates of an \
         invite: use a token without them, and set the rules of the zone"
    )]
    TokenRules,
    /// The zone has the maximum number of invites.
    #[error("the zone has {max} invites, the maximum, and none has expired: wait until one has")]
    TooMany {
        /// The maximum.
        max: u64,
    },
    /// The zone has no such invite.
    #[error("the zone has no invite with this ID: list the invites of the zone")]
    NotFound,
    /// The zone was deleted meanwhile.
    #[error("the zone does not exist any more")]
    NoZone,
    /// A fault of the server.
    #[error(transparent)]
    Fault(#[from] Fault),
}

/// Reasons not to let a client enrol. Nothing is issued.
#[derive(Debug, thiserror::Error)]
pub enum EnrolError {
    /// No zone has this name.
    #[error("no zone has this name: the path names the zone, as in /.well-known/est/example.com/")]
    NoZone,
    /// The client presented no certificate.
    #[error(
        "the TLS connection has no client certificate: present the certificate that you renew, or \
         one of a trusted CA, with its key"
    )]
    NoCertificate,
    /// The zone did not issue the presented certificate.
    #[error("the zone did not issue the client certificate: present one that it issued")]
    OtherCertificate,
    /// No trusted CA of the zone has issued the presented certificate.
    #[error(
        "no trusted CA of the zone has issued the client certificate: present one of such a CA to \
         enrol, or use simplereenroll to renew a certificate of the zone"
    )]
    NotTrusted,
    /// The presented certificate is not acceptable. The text begins with a noun.
    #[error("{0}")]
    Unacceptable(String),
    /// Its CA is retired.
    #[error("the CA of the client certificate is retired, so it cannot be renewed: enrol anew")]
    RetiredAuthority,
    /// The presented certificate is not valid now.
    #[error(
        "the client certificate is valid from {from} to {to}, and it is {now}: enrol anew, or \
         correct the clock that is wrong"
    )]
    NotValid {
        /// `notBefore`.
        from: Timestamp,
        /// `notAfter`.
        to: Timestamp,
        /// The time of the server.
        now: Timestamp,
    },
    /// No invite has this ID and this secret.
    #[error(
        "no invite has this ID and this secret: copy the whole link, or ask its sender for another"
    )]
    NoInvite,
    /// Too many wrong secrets came from the address.
    #[error("too many wrong secrets came from this address: wait as long as retry-after says")]
    TooManyGuesses {
        /// Seconds until the next try.
        retry_after_seconds: u32,
    },
    /// The certificate cannot be issued.
    #[error(transparent)]
    Issue(#[from] IssueError),
}

impl From<StoreError> for EnrolError {
    fn from(error: StoreError) -> Self {
        Self::Issue(Fault::from(error).into())
    }
}

impl From<Fault> for EnrolError {
    fn from(fault: Fault) -> Self {
        Self::Issue(fault.into())
    }
}

impl From<ActiveAuthorityError> for EnrolError {
    fn from(error: ActiveAuthorityError) -> Self {
        Self::Issue(error.into())
    }
}

/// Maximum number of renewals of a line of certificates on a day in UTC. A certificate of one hour
/// is renewed 36 times a day.
pub(crate) const RENEWALS_PER_DAY_MAX: u64 = 100;
