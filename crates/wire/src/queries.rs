//! Query parameters, as the OpenAPI document shows them.

use utoipa::IntoParams;

use crate::Id;

/// The page of a list.
#[derive(Debug, Clone, Default, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PageQuery {
    /// Page, from 1; default 1
    #[param(minimum = 1, maximum = 9_007_199_254_740_991_u64)]
    pub page: Option<u64>,
    /// Page size; default 20
    #[param(minimum = 5, maximum = 50)]
    pub per_page: Option<u64>,
}

/// The conditions of a list of accounts.
#[derive(Debug, Clone, Default, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct AccountsQuery {
    /// Name of the account, or a condition on it as in the list of zones
    pub name: Option<String>,
    /// `asc` (default) or `desc`, by creation
    pub direction: Option<String>,
}

/// The conditions of a list of zones.
#[derive(Debug, Clone, Default, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ZonesQuery {
    /// Name of the zone, or a condition on it
    pub name: Option<String>,
    /// `active`: every zone is. `initializing`, `pending` and `moved` match no zone
    pub status: Option<String>,
    /// ID of the account
    #[param(rename = "account.id")]
    pub account_id: Option<Id>,
    /// Name of the account, or a condition on it
    #[param(rename = "account.name")]
    pub account_name: Option<String>,
    /// `all` (default) or `any` of the conditions
    #[param(rename = "match")]
    pub join: Option<String>,
    /// `name`, `status`, `account.id` or `account.name`; default: by creation
    pub order: Option<String>,
    /// `asc` (default) or `desc`
    pub direction: Option<String>,
}

/// The condition of a list of client certificates, and its other form of pages.
#[derive(Debug, Clone, Default, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ClientCertificatesQuery {
    /// `all` (default), `active`, `pending_reactivation`, `pending_revocation` or `revoked`, in any
    /// letter case
    pub status: Option<String>,
    /// Page size instead of `per_page`
    #[param(minimum = 1, maximum = 1000)]
    pub limit: Option<u64>,
    /// First record of page 1; default 0
    #[param(minimum = 0, maximum = 9_007_199_254_740_991_u64)]
    pub offset: Option<u64>,
}

/// The CA of a list of hostnames.
#[derive(Debug, Clone, Default, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct HostnameAssociationsQuery {
    /// ID of an uploaded CA of the account; absent: the managed CA
    pub mtls_certificate_id: Option<String>,
}

/// The filters of a list of uploaded certificates.
#[derive(Debug, Clone, Default, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct MtlsCertificatesQuery {
    /// `custom`, `gateway_managed` or `access_managed`; repeated, or separated by commas. All
    /// certificates are `custom`
    #[param(rename = "type")]
    pub kind: Option<Vec<String>>,
    /// Only certificates of exactly this name
    pub name: Option<String>,
    /// Only CAs (`true`), or only leaf certificates (`false`)
    pub ca: Option<bool>,
    /// Page, from 1; default 1
    #[param(minimum = 1, maximum = 9_007_199_254_740_991_u64)]
    pub page: Option<u64>,
}

/// The filters of a list of permission groups.
#[derive(Debug, Clone, Default, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PermissionGroupsQuery {
    /// Only the permission group of this name
    pub name: Option<String>,
    /// Only permission groups that apply to this kind of resource
    pub scope: Option<String>,
}

/// The changes to list.
#[derive(Debug, Clone, Default, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct RevocationChangesQuery {
    /// The epoch up to which the caller knows every change; default 0
    #[param(minimum = 0, maximum = 9_007_199_254_740_991_u64)]
    pub after: Option<u64>,
    /// Seconds to wait for a change; default 0
    #[param(minimum = 0, maximum = 20)]
    pub wait_seconds: Option<u64>,
}

/// The changes to follow.
#[derive(Debug, Clone, Default, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct RevocationStreamQuery {
    /// The epoch up to which the caller knows every change; default 0
    #[param(minimum = 0, maximum = 9_007_199_254_740_991_u64)]
    pub after: Option<u64>,
    /// Seconds until the answer ends; default 300
    #[param(minimum = 0, maximum = 3600)]
    pub for_seconds: Option<u64>,
}

/// The conditions on the entries of an audit log.
#[derive(Debug, Clone, Default, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct AuditLogQuery {
    /// Date or RFC 3339 time, inclusive; default: the beginning
    pub since: Option<String>,
    /// Date or RFC 3339 time, exclusive; default: the end
    pub before: Option<String>,
    /// Only entries of the token with this ID
    pub actor_token_id: Option<Id>,
    /// `api_key`: only entries of the API key
    pub actor_context: Option<String>,
    /// `system`: only entries of the server itself
    pub actor_type: Option<String>,
    /// `desc` (default) or `asc`
    pub direction: Option<String>,
    /// Number of entries; default 100
    #[param(minimum = 1, maximum = 1000)]
    pub limit: Option<u64>,
    /// The cursor from the answer before this one
    pub cursor: Option<String>,
}
