//! `/user`

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{Account, Id, Time};

/// The user that tokens belong to.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct User<'a> {
    /// ID.
    pub id: Id,
    /// E-mail address.
    pub email: Cow<'a, str>,
    /// First name.
    pub first_name: Option<Cow<'a, str>>,
    /// Last name.
    pub last_name: Option<Cow<'a, str>>,
    /// Telephone number.
    pub telephone: Option<Cow<'a, str>>,
    /// Country.
    pub country: Option<Cow<'a, str>>,
    /// Postal code.
    pub zipcode: Option<Cow<'a, str>>,
    /// Always `false`.
    pub two_factor_authentication_enabled: bool,
    /// Always `false`.
    pub two_factor_authentication_locked: bool,
    /// Always `false`.
    pub suspended: bool,
    /// Time of creation.
    pub created_on: Time,
    /// Time of the last change.
    pub modified_on: Time,
}

/// A change of the user. Absent members leave theirs as they are, and `null` removes them.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
pub struct UpdateUser {
    /// At most 60 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, max_length = 60)]
    pub first_name: Option<Option<String>>,
    /// At most 60 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, max_length = 60)]
    pub last_name: Option<Option<String>>,
    /// At most 20 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, max_length = 20)]
    pub telephone: Option<Option<String>>,
    /// At most 30 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, max_length = 30)]
    pub country: Option<Option<String>>,
    /// At most 20 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, max_length = 20)]
    pub zipcode: Option<Option<String>>,
}

/// Reads a map, because in a struct a null member counts as absent.
impl<'de> Deserialize<'de> for UpdateUser {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = UpdateUser;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<UpdateUser, A::Error> {
                let mut change = UpdateUser::default();
                while let Some(name) = map.next_key::<String>()? {
                    let member = match name.as_str() {
                        "first_name" => &mut change.first_name,
                        "last_name" => &mut change.last_name,
                        "telephone" => &mut change.telephone,
                        "country" => &mut change.country,
                        "zipcode" => &mut change.zipcode,
                        _ => {
                            map.next_value::<IgnoredAny>()?;
                            continue;
                        }
                    };
                    *member = Some(map.next_value()?);
                }
                Ok(change)
            }
        }
        deserializer.deserialize_map(Members)
    }
}

/// The membership of the user in an account.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Membership<'a> {
    /// The ID of the account: the user has one membership in each.
    pub id: Id,
    /// Always `accepted`.
    pub status: Cow<'a, str>,
    /// The account.
    pub account: Account<'a>,
    /// Always `true`.
    pub api_access_enabled: bool,
    /// The permissions of the token on the account.
    pub permissions: MembershipPermissions,
    /// Always `Super Administrator - All Privileges`.
    pub roles: Vec<Cow<'a, str>>,
}

/// The permissions of a token on an account, by subject.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct MembershipPermissions {
    /// Account Settings.
    pub organization: PermissionGrant,
    /// SSL and Certificates, on every zone.
    pub ssl: PermissionGrant,
    /// Zone, on every zone.
    pub zones: PermissionGrant,
}

/// The permissions on a subject.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
pub struct PermissionGrant {
    /// Permission to read.
    pub read: bool,
    /// Permission to write.
    pub write: bool,
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
