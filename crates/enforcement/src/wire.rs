//! The JSON of the server that `certgate-wire` does not have yet.

use certgate_wire::{Id, Uuid};
use serde::{Deserialize, Serialize};

/// The hosts and CAs of an account.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct EnforcementView {
    /// The epoch up to which it has every change.
    pub epoch: u64,
    /// The hosts.
    pub hostnames: Vec<EnforcedHostname>,
    /// The CAs.
    pub certificate_authorities: Vec<EnforcedAuthority>,
}

/// A host.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct EnforcedHostname {
    /// The hostname.
    pub hostname: String,
    /// The zone that lists it.
    pub zone_id: Id,
    /// Its CAs, the most recently deployed first.
    pub certificate_authorities: Vec<Uuid>,
}

/// A CA.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct EnforcedAuthority {
    /// ID.
    pub id: Uuid,
    /// Name.
    pub name: String,
    /// State.
    pub state: AuthorityState,
    /// Certificate, PEM.
    pub certificate: String,
    /// Stored certificates between it and client certificates, PEM.
    pub intermediates: Vec<String>,
    /// URL of its CRLs.
    pub crl_bundle_url: Option<String>,
}

/// The state of a CA.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuthorityState {
    /// It does not sign yet.
    Prepared,
    /// It signs.
    Active,
    /// It signs no more, and its certificates are valid.
    Superseded,
    /// It never signed.
    Retired,
}
