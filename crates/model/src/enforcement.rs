use crate::{AccountId, AuthorityId, MtlsCertificateId, ZoneId};

/// The rules of an enforcement point for one hostname. A hostname belongs to at most one zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enforcement {
    /// The zone that lists the hostname.
    pub zone: ZoneId,
    /// The account of the zone.
    pub account: AccountId,
    /// The CAs whose certificates are accepted, the most recently deployed first. An empty list,
    /// which occurs before the account has a managed CA, rejects every client.
    pub authorities: Vec<EnforcedAuthority>,
}

/// A CA whose certificates a hostname accepts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EnforcedAuthority {
    /// A managed or imported CA of the account, active or superseded.
    Managed {
        /// Its ID.
        id: AuthorityId,
        /// Its certificate, DER.
        certificate_der: Vec<u8>,
        /// The epoch of the last change of the status of one of its certificates; 0 before the
        /// first change.
        last_epoch: u64,
    },
    /// An uploaded CA. certgate does not know its revocations.
    Uploaded {
        /// Its ID.
        id: MtlsCertificateId,
        /// Its uploaded chain, PEM.
        certificates: String,
    },
}
