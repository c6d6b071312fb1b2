//! `/zones/{zone_id}/client_certificates/{client_certificate_id}/history`

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{Id, ReasonName, Time};

/// An event in the life of a client certificate.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct CertificateEvent<'a> {
    /// `issued`, `revoked`, `restored` or `settled`: after `settled`, all lists and enforcement
    /// points have the change before it.
    pub action: Cow<'a, str>,
    /// Time of the event.
    pub at: Time,
    /// The caller.
    pub actor: EventActor<'a>,
    /// The client's address, if it is known.
    #[schema(required = true)]
    pub address: Option<Cow<'a, str>>,
    /// The reason of a revocation.
    #[schema(required = true)]
    pub reason: Option<ReasonName>,
    /// The number of the entry in the account's audit log; null for `settled`, which has none.
    #[schema(required = true)]
    pub audit_entry: Option<u64>,
    /// The epoch of a revocation or restoration, also of the one that settled.
    #[schema(required = true)]
    pub epoch: Option<u64>,
}

/// The caller of an event.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct EventActor<'a> {
    /// `token`, `api_key`, `system` for the server itself, `offline` for a command on the server's
    /// machine, or the credential of a client that enrolled: `certificate`, `mtls_certificate` (a
    /// trusted CA) or `invite`.
    #[serde(rename = "type")]
    pub kind: Cow<'a, str>,
    /// ID of the token, of the user of the API key, or of the credential.
    #[schema(required = true)]
    pub id: Option<Id>,
    /// The token's name now, or the e-mail address of the user; null for a deleted token.
    #[schema(required = true)]
    pub name: Option<Cow<'a, str>>,
}
