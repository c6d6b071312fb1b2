//! The JSON of the server's routes for enforcement points.

use std::borrow::Cow;

use certgate_wire::{Id, RevocationFeedChange, Uuid, WholeNumber};
use serde::{Deserialize, Serialize};

/// The traffic of a revoked certificate that a point refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Coverage {
    /// Open connections are ended.
    Connections,
    /// Each request is refused.
    Requests,
    /// New connections are refused.
    Handshakes,
}

/// The treatment of clients while the view is stale.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WhenStale {
    /// Every client is refused.
    Refuse,
    /// Clients are judged by the stale view.
    Serve,
}

/// A point to register.
#[derive(Debug, Serialize)]
pub(crate) struct RegisterEnforcementPoint<'a> {
    pub name: Cow<'a, str>,
    pub lease_seconds: WholeNumber,
    pub covers: &'a [Coverage],
    pub when_stale: WhenStale,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forget_seconds: Option<WholeNumber>,
}

/// A registered point.
#[derive(Debug, Deserialize)]
pub(crate) struct EnforcementPoint {
    pub id: Id,
}

/// The changes after an epoch.
#[derive(Debug, Deserialize)]
pub(crate) struct RevocationFeed {
    pub epoch: u64,
    pub changes: Vec<FeedChange>,
}

/// A change of a certificate, or of the hosts and CAs.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum FeedChange {
    Certificate(RevocationFeedChange),
    Configuration {
        /// Always true.
        #[serde(rename = "configuration")]
        _configuration: bool,
    },
}

/// The hosts and CAs of an account, as of an epoch.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct EnforcementView<'a> {
    /// The epoch up to which the view has every change of hosts and CAs.
    pub epoch: u64,
    /// The hosts, sorted.
    pub hostnames: Vec<EnforcedHost<'a>>,
    /// The CAs of the account, also those that no host uses.
    pub certificate_authorities: Vec<EnforcedCa<'a>>,
}

/// A host that asks for client certificates.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct EnforcedHost<'a> {
    /// The hostname in lower case.
    pub hostname: Cow<'a, str>,
    /// The zone that lists it.
    pub zone_id: Id,
    /// Its CAs, the most recently deployed first.
    pub certificate_authorities: Vec<Uuid>,
}

/// A CA.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct EnforcedCa<'a> {
    /// ID.
    pub id: Uuid,
    /// Name; empty for an uploaded CA without one.
    pub name: Cow<'a, str>,
    /// State.
    pub state: EnforcedCaState,
    /// Its certificate, PEM.
    pub certificate: Cow<'a, str>,
    /// The other certificates of its chain, PEM.
    pub intermediates: Vec<Cow<'a, str>>,
    /// The address of its CRLs in one PEM file; null for an uploaded CA.
    pub crl_bundle_url: Option<Cow<'a, str>>,
}

/// The state of a CA.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EnforcedCaState {
    /// It will sign later.
    Prepared,
    /// It signs new certificates, or is uploaded.
    Active,
    /// It signs no more.
    Superseded,
    /// Its certificates are not accepted.
    Retired,
}
