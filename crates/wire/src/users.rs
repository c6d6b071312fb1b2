//! `/user`

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{Id, Time};

/// The user that tokens belong to.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct User<'a> {
    /// ID.
    pub id: Id,
    /// E-mail address.
    pub email: Cow<'a, str>,
    /// Always null.
    pub first_name: Option<String>,
    /// Always null.
    pub last_name: Option<String>,
    /// Always null.
    pub telephone: Option<String>,
    /// Always null.
    pub country: Option<String>,
    /// Always null.
    pub zipcode: Option<String>,
    /// Always `false`.
    pub two_factor_authentication_enabled: bool,
    /// Always `false`.
    pub two_factor_authentication_locked: bool,
    /// Always `false`.
    pub suspended: bool,
    /// Time of creation.
    pub created_on: Time,
    /// The same as `created_on`.
    pub modified_on: Time,
}

/// The user's API key, for `X-Auth-Email` and `X-Auth-Key`.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct UserApiKey<'a> {
    /// E-mail address of the user.
    pub email: Cow<'a, str>,
    /// 64 lower-case hexadecimal digits; only in the answer to the request that creates the key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_key: Option<Cow<'a, str>>,
}
