//! Hostnames.

use serde::Serialize;
use utoipa::ToSchema;

/// The hostnames at which client certificates of one authority are asked for.
#[derive(Serialize, ToSchema)]
pub(crate) struct HostnameAssociations<'a> {
    /// In the order and spelling in which they came.
    pub(crate) hostnames: &'a [String],
}
