//! `/certgate/v1/accounts/{account_id}/managed_authorities`

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{EnforcedCaState, KeyAlgorithmName, PrivateKeyText, Sha256, Time, Uuid};

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
    /// State: `prepared` will sign later, `active` signs new certificates, `superseded` signs no
    /// more, and certificates of a `retired` CA are not accepted.
    pub state: EnforcedCaState,
    /// `true` for the active CA. Certificates of a superseded CA stay valid and revocable.
    pub in_force: bool,
    /// Epoch of the change that published the CA. An enforcement point that has acknowledged it
    /// accepts certificates of the CA.
    pub published_epoch: u64,
    /// Time of creation or import.
    pub created_on: Time,
    /// `notAfter` of its certificate.
    pub expires_on: Time,
}

/// The CRLs of a managed CA together.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
pub struct CaCrls {
    /// The number of CRLs: its shards, its full list unless that would be too long, and the list of
    /// CA certificates.
    pub lists: u32,
    /// The highest number of a CRL (RFC 5280 §5.2.3).
    #[schema(required = true)]
    pub number: Option<u64>,
    /// The latest `thisUpdate`; null before the first publication.
    #[schema(required = true)]
    pub this_update: Option<Time>,
    /// The earliest `nextUpdate`: from then on, a verifier refuses certificates whose CRL has ended.
    #[schema(required = true)]
    pub next_update: Option<Time>,
}

/// A CA to prepare or import. With `certificate` it is imported, otherwise created.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct NewCa<'a> {
    /// The algorithm of the key of a CA to create, which is prepared. Leave it out for an import.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub algorithm: Option<KeyAlgorithmName>,
    /// The certificate of a CA to import, PEM, at most 16 KiB. Without `private_key` it must be
    /// that of a request of the account, which is prepared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<Cow<'a, str>>,
    /// Its private key in PEM, not encrypted: PKCS #8, SEC 1 or PKCS #1, at most 16 KiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub private_key: Option<PrivateKeyText>,
    /// Name of the CA. Default: the common name of the imported certificate, or a name made of the
    /// account's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<Cow<'a, str>>,
    /// `true` to prepare an imported CA. Default: it becomes the active one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prepare: Option<bool>,
}

/// A change of the state of a CA.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct ChangeCaState {
    /// `true` to change the state although clients could be rejected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub anyway: Option<bool>,
}

/// A key to create for a CA whose certificate another CA signs.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct RequestCa<'a> {
    /// Default: the account's `authority_algorithm`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub algorithm: Option<KeyAlgorithmName>,
    /// Name of the CA, and common name in the request. Default: a name made of the ID.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<Cow<'a, str>>,
}

/// A request for the certificate of a CA, whose key never leaves the server.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct CaRequest<'a> {
    /// ID, and that of the CA later.
    pub id: Uuid,
    /// Name; empty for the common name of the certificate.
    pub name: Cow<'a, str>,
    /// The kind of its key.
    pub algorithm: KeyAlgorithmName,
    /// The certificate signing request, PEM.
    pub csr: Cow<'a, str>,
    /// Time of its creation.
    pub created_on: Time,
}

/// A CA to create in the place of the active one.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct RotateCa {
    /// Default: the account's `authority_algorithm`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub algorithm: Option<KeyAlgorithmName>,
}
