//! Query parameters, as the OpenAPI document shows them.

use utoipa::IntoParams;

use crate::{Id, Uuid};

/// The page of a list.
#[derive(Debug, Clone, Default, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PageQuery {
    /// Page, from 1
    #[param(default = 1, minimum = 1, maximum = 9_007_199_254_740_991_u64)]
    pub page: Option<u64>,
    /// Page size
    #[param(default = 20, minimum = 5, maximum = 50)]
    pub per_page: Option<u64>,
}

/// The page of a list of zones, accounts or memberships.
#[derive(Debug, Clone, Default, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct TenantsPageQuery {
    /// Page, from 1
    #[param(default = 1, minimum = 1, maximum = 9_007_199_254_740_991_u64)]
    pub page: Option<u64>,
    /// Page size
    #[param(default = 20, minimum = 1, maximum = 50)]
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

/// The conditions of a list of memberships.
#[derive(Debug, Clone, Default, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct MembershipsQuery {
    /// Name of the account, or a condition on it as in the list of zones
    #[param(rename = "account.name")]
    pub account_name: Option<String>,
    /// The same
    pub name: Option<String>,
    /// `accepted`: every membership is. `pending` and `rejected` match none
    pub status: Option<String>,
    /// `id`, `account.name` or `status`. The order is always by creation of the account
    pub order: Option<String>,
    /// `asc` (default) or `desc`
    pub direction: Option<String>,
}

/// The order of a list of tokens.
#[derive(Debug, Clone, Default, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct TokensQuery {
    /// `asc` (default) or `desc`, by creation
    pub direction: Option<String>,
}

/// The confirmation of a change of a token.
#[derive(Debug, Clone, Default, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct LastTokenQuery {
    /// `true`: change or delete the token although no other token without an end could create
    /// tokens. Not part of Cloudflare's API
    pub last_token: Option<bool>,
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

/// The conditions of a list of client certificates, which all must hold, their order, and the other
/// form of pages.
#[derive(Debug, Clone, Default, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ClientCertificatesQuery {
    /// `active`, `pending_reactivation`, `pending_revocation`, `revoked` or `all`, in any letter
    /// case. Default: `active`, or `all` with `serial_number`, `fingerprint_sha256` or
    /// `id.startswith`
    pub status: Option<String>,
    /// The whole common name, in any letter case
    #[param(max_length = 1024, example = "laptop-17")]
    pub common_name: Option<String>,
    /// The beginning of the common name, in any letter case
    #[param(
        rename = "common_name.startswith",
        max_length = 1024,
        example = "laptop-"
    )]
    pub common_name_startswith: Option<String>,
    /// A part of the common name, in any letter case. The server makes one such search at a time,
    /// and answers others with 429
    #[param(
        rename = "common_name.contains",
        min_length = 3,
        max_length = 1024,
        example = "top-1"
    )]
    pub common_name_contains: Option<String>,
    /// Serial number in hexadecimal, with or without colons, or in decimal. Digits without a letter
    /// match as both
    #[param(
        max_length = 64,
        example = "4e:37:5a:f1:38:9a:06:9a:0f:92:1f:8c:c8:e1:eb:12:d7:84:b9:49"
    )]
    pub serial_number: Option<String>,
    /// SHA-256 of the certificate's DER form in hexadecimal, with or without colons
    #[param(
        max_length = 95,
        example = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    )]
    pub fingerprint_sha256: Option<String>,
    /// The first digits of the ID
    #[param(
        rename = "id.startswith",
        min_length = 6,
        max_length = 32,
        example = "0199f0c3"
    )]
    pub id_startswith: Option<String>,
    /// ID of the CA that signed the certificate
    pub certificate_authority_id: Option<Uuid>,
    /// `issued_on` is after this date (its first instant in UTC) or RFC 3339 time
    #[param(rename = "issued_on.after", example = "2026-11-01")]
    pub issued_on_after: Option<String>,
    /// `issued_on` is before this date or time
    #[param(rename = "issued_on.before", example = "2026-12-01T00:00:00Z")]
    pub issued_on_before: Option<String>,
    /// `expires_on` is after this date or time
    #[param(rename = "expires_on.after", example = "2026-12-01")]
    pub expires_on_after: Option<String>,
    /// `expires_on` is before this date or time
    #[param(rename = "expires_on.before", example = "2027-01-01")]
    pub expires_on_before: Option<String>,
    /// The certificate was revoked after this date or time
    #[param(rename = "revoked_on.after", example = "2026-11-23")]
    pub revoked_on_after: Option<String>,
    /// The certificate was revoked before this date or time
    #[param(rename = "revoked_on.before", example = "2026-11-24T12:00:00Z")]
    pub revoked_on_before: Option<String>,
    /// `false`: only the newest certificate of each line; `true`: only those that a renewal replaced
    pub replaced: Option<bool>,
    /// `issued_on`, `expires_on` or `common_name`. Default: that of a filter by date or by a part
    /// of the name, otherwise the order of issue. Another order is possible up to 10,000 matches
    pub order: Option<String>,
    /// `asc` or `desc`. Default: `desc` for `issued_on`, otherwise `asc`
    pub direction: Option<String>,
    /// `result_info.continue` of an answer, or `errors[0].continue` of an error with code 1531.
    /// Send it with the same filters, without `page` and `offset`
    #[param(rename = "continue", max_length = 4096)]
    pub continuation: Option<String>,
    /// Page size instead of `per_page`
    #[param(minimum = 1, maximum = 1000)]
    pub limit: Option<u64>,
    /// First record of page 1
    #[param(default = 0, minimum = 0, maximum = 9_007_199_254_740_991_u64)]
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
    /// Page, from 1
    #[param(default = 1, minimum = 1, maximum = 9_007_199_254_740_991_u64)]
    pub page: Option<u64>,
}

/// The filters of a list of permission groups.
#[derive(Debug, Clone, Default, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PermissionGroupsQuery {
    /// Only the permission group of this name, encoded once or twice
    pub name: Option<String>,
    /// Only permission groups that apply to this kind of resource, encoded once or twice
    pub scope: Option<String>,
}

/// The changes to list.
#[derive(Debug, Clone, Default, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct RevocationChangesQuery {
    /// The epoch up to which the caller knows every change
    #[param(default = 0, minimum = 0, maximum = 9_007_199_254_740_991_u64)]
    pub after: Option<u64>,
    /// Seconds to wait for a change
    #[param(default = 0, minimum = 0, maximum = 20)]
    pub wait_seconds: Option<u64>,
}

/// The changes to follow.
#[derive(Debug, Clone, Default, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct RevocationStreamQuery {
    /// The epoch up to which the caller knows every change
    #[param(default = 0, minimum = 0, maximum = 9_007_199_254_740_991_u64)]
    pub after: Option<u64>,
    /// Seconds until the answer ends
    #[param(default = 300, minimum = 0, maximum = 3600)]
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
    /// `system`: only entries of the server itself; `offline`: only those of an operator on the
    /// server's machine without a token
    pub actor_type: Option<String>,
    /// `desc` (default) or `asc`
    pub direction: Option<String>,
    /// Number of entries
    #[param(default = 100, minimum = 1, maximum = 1000)]
    pub limit: Option<u64>,
    /// The cursor from the answer before this one
    pub cursor: Option<String>,
}

/// The certificates that the entries of the audit log of an account must be about.
#[derive(Debug, Clone, Default, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct AuditLogCertificateQuery {
    /// Only entries about the client certificate with this ID
    pub certificate_id: Option<Id>,
    /// Only entries about client certificates with this common name, in any letter case
    #[param(max_length = 1024, example = "laptop-17")]
    pub common_name: Option<String>,
}

/// The negated conditions on the entries of an audit log: each excludes the entries with one of its
/// values, which are repeated or separated by commas. An entry without the member stays.
#[derive(Debug, Clone, Default, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct AuditLogExceptQuery {
    /// Not this hash of the entry
    #[param(rename = "id.not")]
    pub id: Option<Vec<String>>,
    /// Not this name of the account
    #[param(rename = "account_name.not")]
    pub account_name: Option<Vec<String>>,
    /// Not this result: `success`
    #[param(rename = "action_result.not")]
    pub action_result: Option<Vec<String>>,
    /// Not this action
    #[param(rename = "action_type.not")]
    pub action_type: Option<Vec<String>>,
    /// Not this context of the actor: `api_token` or `api_key`
    #[param(rename = "actor_context.not")]
    pub actor_context: Option<Vec<String>>,
    /// Not this e-mail address of the actor
    #[param(rename = "actor_email.not")]
    pub actor_email: Option<Vec<String>>,
    /// Not this ID of the actor
    #[param(rename = "actor_id.not")]
    pub actor_id: Option<Vec<String>>,
    /// Not this address of the client
    #[param(rename = "actor_ip_address.not")]
    pub actor_ip_address: Option<Vec<String>>,
    /// Not this ID of the token
    #[param(rename = "actor_token_id.not")]
    pub actor_token_id: Option<Vec<String>>,
    /// Not this name of the token
    #[param(rename = "actor_token_name.not")]
    pub actor_token_name: Option<Vec<String>>,
    /// Not this type of the actor
    #[param(rename = "actor_type.not")]
    pub actor_type: Option<Vec<String>>,
    /// Not this hash of the entry
    #[param(rename = "audit_log_id.not")]
    pub audit_log_id: Option<Vec<String>>,
    /// Not this ray: entries have none
    #[param(rename = "raw_cf_ray_id.not")]
    pub raw_cf_ray_id: Option<Vec<String>>,
    /// Not this method: entries have none
    #[param(rename = "raw_method.not")]
    pub raw_method: Option<Vec<String>>,
    /// Not this status: entries have none
    #[param(rename = "raw_status_code.not")]
    pub raw_status_code: Option<Vec<String>>,
    /// Not this URI: entries have none
    #[param(rename = "raw_uri.not")]
    pub raw_uri: Option<Vec<String>>,
    /// Not this ID of the object
    #[param(rename = "resource_id.not")]
    pub resource_id: Option<Vec<String>>,
    /// Not this product: `certgate`
    #[param(rename = "resource_product.not")]
    pub resource_product: Option<Vec<String>>,
    /// Not this scope of the object: `accounts`, `zones` or `user`
    #[param(rename = "resource_scope.not")]
    pub resource_scope: Option<Vec<String>>,
    /// Not this type of the object
    #[param(rename = "resource_type.not")]
    pub resource_type: Option<Vec<String>>,
    /// Not this ID of the zone
    #[param(rename = "zone_id.not")]
    pub zone_id: Option<Vec<String>>,
    /// Not this name of the zone
    #[param(rename = "zone_name.not")]
    pub zone_name: Option<Vec<String>>,
}

/// The conditions and the page of an audit log in Cloudflare's first version.
#[derive(Debug, Clone, Default, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct AuditLogsQuery {
    /// Only the entry with this hash
    pub id: Option<String>,
    /// Only entries of this action
    #[param(rename = "action.type")]
    pub action_type: Option<String>,
    /// Only entries of the user with this e-mail address
    #[param(rename = "actor.email")]
    pub actor_email: Option<String>,
    /// Only entries of clients with this address, or in this block in CIDR notation
    #[param(rename = "actor.ip")]
    pub actor_ip: Option<String>,
    /// Only entries about the zone with this name
    #[param(rename = "zone.name")]
    pub zone_name: Option<String>,
    /// Date or RFC 3339 time, inclusive; default: the beginning
    pub since: Option<String>,
    /// Date or RFC 3339 time, exclusive; default: the end
    pub before: Option<String>,
    /// `desc` (default) or `asc`
    pub direction: Option<String>,
    /// `true` is refused: certgate has no export as CSV
    pub export: Option<bool>,
    /// `true` hides the user's own log
    pub hide_user_logs: Option<bool>,
    /// Page, from 1. Pages end after 20,000 entries
    #[param(default = 1, minimum = 1, maximum = 20_000)]
    pub page: Option<u64>,
    /// Page size
    #[param(default = 100, minimum = 1, maximum = 1000)]
    pub per_page: Option<u64>,
}
