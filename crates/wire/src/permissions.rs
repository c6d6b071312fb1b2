//! `/permissions`

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{EventActor, Id, IssuanceRuleSet, Time};

/// The caller of the request, and everything that it may do.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct CallerPermissions<'a> {
    /// The caller.
    pub caller: EventActor<'a>,
    /// The token does not work from this time on; null for one without an end.
    #[schema(required = true)]
    pub expires_on: Option<Time>,
    /// The rules of the token itself, which limit the certificates that it issues, beside those of
    /// the zone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuance_rules: Option<IssuanceRuleSet>,
    /// The permissions that the caller has somewhere, sorted by name.
    pub permissions: Vec<CallerPermission<'a>>,
}

/// A permission of a caller, and the places where it has the permission.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct CallerPermission<'a> {
    /// ID of the permission group.
    pub id: Cow<'a, str>,
    /// Name of the permission group.
    pub name: Cow<'a, str>,
    /// The kind of its places, such as `com.cloudflare.api.account.zone`.
    pub scope: Cow<'a, str>,
    /// `true` for every account or zone, future ones included, except those below.
    pub everywhere: bool,
    /// These accounts; for a permission on zones, the zones of these accounts.
    pub accounts: Vec<Id>,
    /// These zones.
    pub zones: Vec<Id>,
    /// Not these accounts, and not their zones.
    pub except_accounts: Vec<Id>,
    /// Not these zones.
    pub except_zones: Vec<Id>,
}
