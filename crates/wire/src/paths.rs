//! Parameters in paths.

use serde::{Deserialize, Serialize};
use utoipa::IntoParams;

use crate::{Id, Uuid};

/// `/accounts/{account_id}`
#[derive(Debug, Clone, Copy, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct AccountPath {
    /// ID of the account
    pub account_id: Id,
}

/// `/zones/{zone_id}`
#[derive(Debug, Clone, Copy, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct ZonePath {
    /// ID of the zone
    pub zone_id: Id,
}

/// `/zones/{zone_id}/client_certificates/{client_certificate_id}`
#[derive(Debug, Clone, Copy, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct ClientCertificatePath {
    /// ID of the zone
    pub zone_id: Id,
    /// ID of the certificate
    pub client_certificate_id: Id,
}

/// `/accounts/{account_id}/mtls_certificates/{mtls_certificate_id}`
#[derive(Debug, Clone, Copy, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct MtlsCertificatePath {
    /// ID of the account
    pub account_id: Id,
    /// ID of the uploaded certificate
    pub mtls_certificate_id: Uuid,
}

/// `/accounts/{account_id}/enforcement_points/{enforcement_point_id}`
#[derive(Debug, Clone, Copy, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct EnforcementPointPath {
    /// ID of the account
    pub account_id: Id,
    /// ID of the enforcement point
    pub enforcement_point_id: Id,
}

/// `/memberships/{membership_id}`
#[derive(Debug, Clone, Copy, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct MembershipPath {
    /// ID of the membership: that of its account
    pub membership_id: Id,
}

/// `/accounts/{account_id}/tokens/{token_id}`
#[derive(Debug, Clone, Copy, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct AccountTokenPath {
    /// ID of the account
    pub account_id: Id,
    /// ID of the token
    pub token_id: Id,
}

/// `/user/tokens/{token_id}`
#[derive(Debug, Clone, Copy, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct TokenPath {
    /// ID of the token
    pub token_id: Id,
}

/// `/zones/{zone_id}/invites/{invite_id}`
#[derive(Debug, Clone, Copy, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct InvitePath {
    /// ID of the zone
    pub zone_id: Id,
    /// ID of the invite
    pub invite_id: Id,
}

/// `/accounts/{account_id}/managed_authorities/{managed_authority_id}`
#[derive(Debug, Clone, Copy, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct ManagedAuthorityPath {
    /// ID of the account
    pub account_id: Id,
    /// ID of the managed CA
    pub managed_authority_id: Uuid,
}

/// `/accounts/{account_id}/managed_authority_requests/{request_id}`
#[derive(Debug, Clone, Copy, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct ManagedAuthorityRequestPath {
    /// ID of the account
    pub account_id: Id,
    /// ID of the request
    pub request_id: Uuid,
}
