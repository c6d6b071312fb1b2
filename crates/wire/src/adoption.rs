//! `/certgate/v1/zones/{zone_id}/client_certificates/adopt`

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Id;

/// Certificates that a managed CA of the account issued elsewhere.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct AdoptCertificates<'a> {
    /// The certificates, each in PEM; at most 1,000.
    pub certificates: Vec<Cow<'a, str>>,
}

/// The outcome for one of them.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct AdoptedCertificate<'a> {
    /// Its index in the request, from 0.
    pub index: u64,
    /// ID of the recorded certificate; null if it was rejected.
    pub id: Option<Id>,
    /// The reason for the rejection; null if it was recorded, now or before.
    pub error: Option<AdoptionProblem<'a>>,
}

/// The reason not to record a certificate.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct AdoptionProblem<'a> {
    /// Code
    pub code: u32,
    /// Problem and remedy
    pub message: Cow<'a, str>,
}
