//! `/certgate/v1/accounts/{account_id}/enforcement`

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{Id, Uuid};

/// The hostnames of an account that ask for client certificates, and its CAs, as of an epoch.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct EnforcementView<'a> {
    /// The epoch up to which the view has every change of hostnames and CAs.
    pub epoch: u64,
    /// The hostnames, sorted.
    pub hostnames: Vec<EnforcedHost<'a>>,
    /// The CAs of the account, also those that no hostname uses.
    pub certificate_authorities: Vec<EnforcedCa<'a>>,
}

/// A hostname that asks for client certificates.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct EnforcedHost<'a> {
    /// The hostname in lower case.
    pub hostname: Cow<'a, str>,
    /// The zone that lists it.
    pub zone_id: Id,
    /// The IDs of the CAs whose certificates it accepts, the most recently deployed first. An empty
    /// list refuses every client.
    pub certificate_authorities: Vec<Uuid>,
}

/// A CA as enforcement points know it.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct EnforcedCa<'a> {
    /// ID.
    pub id: Uuid,
    /// Name; empty for an uploaded CA without one.
    pub name: Cow<'a, str>,
    /// Origin.
    pub kind: EnforcedCaKind,
    /// State.
    pub state: EnforcedCaState,
    /// Its certificate, PEM.
    pub certificate: Cow<'a, str>,
    /// The other certificates of its chain, PEM. Clients do not always send them.
    pub intermediates: Vec<Cow<'a, str>>,
    /// The address of its CRLs in one PEM file; null for an uploaded CA, whose revocations certgate
    /// does not know.
    pub crl_bundle_url: Option<Cow<'a, str>>,
}

/// The origin of a CA.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum EnforcedCaKind {
    /// certgate created it.
    Managed,
    /// It was imported with its key.
    Imported,
    /// Only its certificate was uploaded.
    Uploaded,
}

/// The state of a CA. Certificates of every state but `retired` are accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum EnforcedCaState {
    /// It will sign later.
    Prepared,
    /// It signs new certificates, or is uploaded.
    Active,
    /// It signs no more.
    Superseded,
    /// It never signed, or signs no more and its certificates are not accepted.
    Retired,
}
