//! `/zones/{zone_id}/certificate_authorities/hostname_associations`

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The hostnames that ask for client certificates of one CA.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct HostnameAssociations<'a> {
    /// In the order and spelling of the request that set them.
    pub hostnames: Cow<'a, [String]>,
}

/// The new list of hostnames of one CA.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct ReplaceHostnameAssociations<'a> {
    /// DNS names in the zone; absent: an empty list.
    #[schema(max_items = 1000)]
    pub hostnames: Option<Cow<'a, [String]>>,
    /// ID of an uploaded CA of the account; absent, null or empty: the managed CA.
    pub mtls_certificate_id: Option<Cow<'a, str>>,
}
