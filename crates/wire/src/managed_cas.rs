//! `/certgate/v1/accounts/{account_id}/managed_authorities`

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{KeyAlgorithmName, PrivateKeyText, Sha256, Time, Uuid};

/// A managed CA of an account.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ManagedCa<'a> {
    /// ID.
    pub id: Uuid,
    /// Name.
    pub name: Cow<'a, str>,
    /// The kind of its key.
    pub algorithm: KeyAlgorithmName,
    /// Its certificate, PEM.
    pub certificate: Cow<'a, str>,
    /// Digest of the certificate's DER form.
    pub fingerprint_sha256: Sha256,
    /// Base address of the CRLs and the OCSP responder that its certificates name.
    pub public_url: Cow<'a, str>,
    /// `true` for the active CA, which signs new certificates. Certificates of a superseded CA stay
    /// valid and revocable.
    pub in_force: bool,
    /// Time of creation or import.
    pub created_on: Time,
    /// `notAfter` of its certificate.
    pub expires_on: Time,
}

/// A CA to import.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ImportCa<'a> {
    /// Its certificate, PEM, at most 16 KiB.
    pub certificate: Cow<'a, str>,
    /// Its private key in PEM, not encrypted: PKCS #8, SEC 1 or PKCS #1, at most 16 KiB.
    #[schema(value_type = String)]
    pub private_key: PrivateKeyText,
}

/// A CA to create in the place of the active one.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct RotateCa {
    /// Default: the account's `authority_algorithm`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub algorithm: Option<KeyAlgorithmName>,
}
