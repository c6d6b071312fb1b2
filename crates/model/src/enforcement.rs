use crate::{AccountId, AuthorityId, AuthorityState, MtlsCertificateId, ZoneId};

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
    /// A managed or imported CA of the account that is not retired.
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

/// The hostnames and CAs of an account, of one instant: the configuration of its enforcement
/// points.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnforcedConfiguration {
    /// The configuration has every change up to this epoch.
    pub epoch: u64,
    /// The hostnames in lower case, sorted.
    pub hostnames: Vec<EnforcedHostname>,
    /// The managed and imported CAs: the active one first, then the others, latest first.
    pub managed: Vec<EnforcedManagedAuthority>,
    /// The uploaded CAs, latest first.
    pub uploaded: Vec<EnforcedUploadedAuthority>,
}

/// A hostname that asks for client certificates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnforcedHostname {
    /// The hostname in lower case.
    pub hostname: String,
    /// The zone that lists it.
    pub zone: ZoneId,
    /// The lists that it is in, the most recently deployed first. [`None`] stands for all managed
    /// and imported CAs of the account.
    pub lists: Vec<Option<MtlsCertificateId>>,
}

/// A managed or imported CA as enforcement points know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnforcedManagedAuthority {
    /// Its ID.
    pub id: AuthorityId,
    /// Its name.
    pub name: String,
    /// Its certificate, DER.
    pub certificate_der: Vec<u8>,
    /// The base address of its CRLs.
    pub public_url: String,
    /// Its state.
    pub state: AuthorityState,
}

/// An uploaded CA.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnforcedUploadedAuthority {
    /// Its ID.
    pub id: MtlsCertificateId,
    /// Its name, which can be empty.
    pub name: String,
    /// Its uploaded chain, PEM, in any order.
    pub certificates: String,
    /// SHA-256 of the lowest certificate of the chain, DER.
    pub fingerprint_sha256: [u8; 32],
}
