//! Verdicts on clients.

use std::fmt;
use std::sync::Arc;

use certgate_model::AuthorityId;

use crate::certificate::ClientCertificate;
use crate::path::CertifiedPath;
use crate::revoked::Change;

/// The verdict on a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// The certificate is good for the host.
    Admitted,
    /// It is not.
    Refused(Reason),
}

/// The reason of a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The client has no certificate.
    NoCertificate,
    /// The certificate, or the text that carries it, cannot be parsed.
    Malformed,
    /// No zone of the account lists the host.
    UnknownHost,
    /// The issuer is not a CA of the host.
    UnknownAuthority,
    /// No valid path leads to a CA of the host.
    NoPath,
    /// The certificate, or one of its CAs, has expired.
    Expired,
    /// The certificate, or one of its CAs, is not valid yet.
    NotYetValid,
    /// The key is too short, or of an unknown kind.
    WeakKey,
    /// The certificate, or one of its CAs, is revoked.
    Revoked,
    /// The view is too old: the server did not confirm it for too long.
    Stale,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Self; 10] = [
        Self::NoCertificate,
        Self::Malformed,
        Self::UnknownHost,
        Self::UnknownAuthority,
        Self::NoPath,
        Self::Expired,
        Self::NotYetValid,
        Self::WeakKey,
        Self::Revoked,
        Self::Stale,
    ];

    /// The name in logs and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NoCertificate => "no_certificate",
            Self::Malformed => "malformed",
            Self::UnknownHost => "unknown_host",
            Self::UnknownAuthority => "unknown_ca",
            Self::NoPath => "no_path",
            Self::Expired => "expired",
            Self::NotYetValid => "not_yet_valid",
            Self::WeakKey => "weak_key",
            Self::Revoked => "revoked",
            Self::Stale => "stale",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Verdict {
    /// Returns true for [`Verdict::Admitted`].
    pub const fn is_admitted(self) -> bool {
        matches!(self, Self::Admitted)
    }

    /// The name in logs and metrics: `admitted`, or the reason of the refusal.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Admitted => "admitted",
            Self::Refused(reason) => reason.as_str(),
        }
    }
}

/// A verdict with the certificate that it is about.
#[derive(Debug, Clone)]
pub struct Judged {
    /// The verdict.
    pub verdict: Verdict,
    /// The certificate; [`None`] if the client has none or it cannot be parsed.
    pub certificate: Option<Arc<ClientCertificate>>,
    /// The path from the certificate to a CA of the host, if it is valid.
    pub(crate) path: Option<Arc<CertifiedPath>>,
    /// The detail of a refusal, for a log.
    pub detail: Option<Arc<str>>,
}

impl Judged {
    /// A refusal.
    pub(crate) fn refused(reason: Reason) -> Self {
        Self {
            verdict: Verdict::Refused(reason),
            certificate: None,
            path: None,
            detail: None,
        }
    }

    /// Returns true if a trusted CA signed the certificate and it is valid now, even if it is
    /// revoked.
    pub fn is_verified(&self) -> bool {
        self.path.is_some()
    }

    /// Returns true if the certificate is revoked.
    pub fn is_revoked(&self) -> bool {
        self.verdict == Verdict::Refused(Reason::Revoked)
    }

    /// The CA that signed the certificate, or the CA of the host at the end of the path if the
    /// account does not have that one; [`None`] without a valid path.
    pub fn authority(&self) -> Option<AuthorityId> {
        self.path.as_ref().map(|path| path.authority())
    }

    /// The CA certificates between the client's certificate and the CA of the host, in DER.
    pub fn chain(&self) -> &[Vec<u8>] {
        self.path.as_ref().map_or(&[], |path| &path.chain)
    }

    /// Returns true if a change concerns the certificate or one of its CAs: judge again.
    pub fn is_affected_by(&self, change: &Change) -> bool {
        self.path.as_ref().is_some_and(|path| {
            let mut links = path.links.iter();
            links.any(|link| link.authority == change.authority && link.serial == change.serial)
        })
    }

    /// The instant from which the certificate or one of its CAs is not valid any more; [`None`]
    /// without a valid path.
    pub fn valid_until(&self) -> Option<certgate_model::Timestamp> {
        self.path.as_ref().map(|path| path.until)
    }
}
