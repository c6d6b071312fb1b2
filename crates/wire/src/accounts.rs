//! `/accounts`

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{AccountTypeName, Id, KeyAlgorithmName, Time};

/// An account.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Account<'a> {
    /// ID.
    pub id: Id,
    /// Name.
    pub name: Cow<'a, str>,
    /// Type.
    #[serde(rename = "type")]
    pub kind: AccountTypeName,
    /// Settings.
    pub settings: AccountSettings<'a>,
    /// Time of creation.
    pub created_on: Time,
    /// The kind of key of its managed CA: an addition to Cloudflare's object.
    pub authority_algorithm: KeyAlgorithmName,
}

/// Settings of an account. They have no effect: certgate has no logins and sends no mail.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct AccountSettings<'a> {
    /// Two factors for logins.
    pub enforce_twofactor: bool,
    /// The address for reports of abuse; absent if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub abuse_contact_email: Option<Cow<'a, str>>,
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
    /// ID; absent: the only account in which the token may create zones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<Id>,
}

/// An account to create.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct CreateAccount<'a> {
    /// At most 100 characters.
    #[schema(value_type = String, min_length = 1, max_length = 100)]
    pub name: Cow<'a, str>,
    /// Default: `standard`.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<AccountTypeName>,
    /// The kind of key of its managed CA: an addition to Cloudflare's body.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authority_algorithm: Option<KeyAlgorithmName>,
}

/// The new content of an account. Absent members, and `null`, leave theirs as they are.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct UpdateAccount<'a> {
    /// At most 100 characters.
    #[schema(value_type = String, min_length = 1, max_length = 100)]
    pub name: Cow<'a, str>,
    /// Type.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<AccountTypeName>,
    /// Settings.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub settings: Option<UpdateAccountSettings<'a>>,
}

/// New settings of an account. They have no effect: certgate has no logins and sends no mail.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct UpdateAccountSettings<'a> {
    /// Two factors for logins.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enforce_twofactor: Option<bool>,
    /// The address for reports of abuse; an empty text removes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub abuse_contact_email: Option<Cow<'a, str>>,
}
