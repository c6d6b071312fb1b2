use crate::{AccountId, AuthorityId, MtlsCertificateId, ZoneId};

/// What an enforcement point needs to decide for one hostname. A hostname is listed in one zone only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enforcement {
    /// The zone that lists the hostname.
    pub zone: ZoneId,
    /// The account of the zone.
    pub account: AccountId,
    /// The authorities whose certificates are let in, the most recently deployed first. None at all (the managed
    /// authority of the account has not been made yet) lets nobody in.
    pub authorities: Vec<EnforcedAuthority>,
}

/// An authority that applies to a hostname.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EnforcedAuthority {
    /// One that the account has or had as its managed one.
    Managed {
        /// Its id.
        id: AuthorityId,
        /// Its certificate, DER.
        certificate_der: Vec<u8>,
        /// The epoch of the last accepted change of the status of one of its certificates; 0 if there was none.
        last_epoch: u64,
    },
    /// One that the account brought itself. What it revokes is not known here.
    Uploaded {
        /// Its id.
        id: MtlsCertificateId,
        /// Its certificates as they were uploaded, PEM.
        certificates: String,
    },
}
