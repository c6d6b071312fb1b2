//! `/zones/{zone_id}/invites`

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{DeviceName, Id, InviteStateName, LifetimeValue, Time, WholeNumber};

/// An invite: its holder, who has the link, gets a certificate without a token.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Invite<'a> {
    /// ID.
    pub id: Id,
    /// Common name of the certificates.
    pub name: Cow<'a, str>,
    /// The kind of device that it is for.
    pub device: DeviceName,
    /// Lifetime of the certificates, in seconds; null: that of the zone's rules, or 90 days.
    #[schema(required = true, value_type = Option<u64>, minimum = 3600)]
    pub lifetime: Option<LifetimeValue>,
    /// State.
    pub state: InviteStateName,
    /// Maximum number of certificates.
    pub uses: u32,
    /// IDs of the certificates that were issued for it, oldest first.
    pub client_certificate_ids: Vec<Id>,
    /// Number of wrong secrets that were sent for it. Ten lock it.
    pub wrong_secrets: u32,
    /// The caller that created it.
    pub created_by: InviteCreator<'a>,
    /// Time of creation.
    pub created_on: Time,
    /// End of its validity.
    pub expires_on: Time,
    /// Time of its withdrawal.
    #[schema(required = true)]
    pub withdrawn_on: Option<Time>,
}

/// The caller that created an invite.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct InviteCreator<'a> {
    /// `token` or `api_key`.
    #[serde(rename = "type")]
    pub kind: Cow<'a, str>,
    /// ID of the token, or of the user of the API key.
    #[schema(required = true)]
    pub id: Option<Id>,
}

/// A new invite, with its secret. No other answer has it.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
pub struct NewInvite<'a> {
    /// The invite.
    #[serde(flatten)]
    pub invite: Invite<'a>,
    /// The secret. Who has it and the ID gets the certificates.
    pub secret: Cow<'a, str>,
    /// The address of its page, with the secret; null: the server has no `invite_url`.
    #[schema(required = true)]
    pub link: Option<Cow<'a, str>>,
    /// The address of the EST server for the zone; null: the server has no enrolment.
    #[schema(required = true)]
    pub est: Option<Cow<'a, str>>,
}

/// An invite to create.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct CreateInvite<'a> {
    /// Common name of the certificates, at most 64 characters.
    pub name: Cow<'a, str>,
    /// The kind of device that it is for; default `device`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<DeviceName>,
    /// Lifetime of the certificates: seconds, or a text such as `30d` or `8h`.
    #[schema(value_type = Option<u64>, minimum = 3600)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lifetime: Option<LifetimeValue>,
    /// Seconds for which the invite is valid; default one day.
    #[schema(value_type = Option<i64>, minimum = 60, maximum = 2_592_000)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub valid_for_seconds: Option<WholeNumber>,
    /// Maximum number of certificates; default 1.
    #[schema(value_type = Option<i64>, minimum = 1, maximum = 100)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uses: Option<WholeNumber>,
}
