//! `/accounts`

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{Id, KeyAlgorithmName, Time};

/// An account.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Account<'a> {
    /// ID.
    pub id: Id,
    /// Name.
    pub name: Cow<'a, str>,
    /// Always `standard`.
    #[serde(rename = "type")]
    pub kind: Cow<'a, str>,
    /// Settings.
    pub settings: AccountSettings,
    /// Time of creation.
    pub created_on: Time,
    /// The kind of key of its managed CA: an addition to Cloudflare's object.
    pub authority_algorithm: KeyAlgorithmName,
}

/// Settings of an account.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct AccountSettings {
    /// Always `false`.
    pub enforce_twofactor: bool,
}

/// An account by ID and name.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct AccountName<'a> {
    /// ID.
    pub id: Id,
    /// Name.
    pub name: Cow<'a, str>,
}

/// An account by ID, in a request.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct AccountReference {
    /// ID.
    pub id: Id,
}

/// An account to create.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct CreateAccount<'a> {
    /// At most 100 characters.
    pub name: Cow<'a, str>,
    /// The kind of key of its managed CA: an addition to Cloudflare's body.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authority_algorithm: Option<KeyAlgorithmName>,
}
