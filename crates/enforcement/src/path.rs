//! A valid path from a client's certificate to a CA.

use std::sync::OnceLock;

use certgate_model::{AuthorityId, Timestamp};
use http::HeaderMap;

use crate::revoked::Serial;

/// A certificate in a path, as revocations know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Link {
    pub authority: AuthorityId,
    pub serial: Serial,
}

/// A valid path from a client's certificate to a CA.
#[derive(Debug)]
pub(crate) struct CertifiedPath {
    /// The CA at the end of the path.
    pub anchor: AuthorityId,
    /// The account's CA that signed the client's certificate.
    pub signed_by: Option<AuthorityId>,
    /// Each certificate that a CA of the account signed.
    pub links: Vec<Link>,
    /// The CA certificates between both ends.
    pub chain: Vec<Vec<u8>>,
    /// The first instant at which all certificates are valid, and that from which one is not.
    pub from: Timestamp,
    pub until: Timestamp,
    /// The serial number and the subject key identifier of the issuer's certificate.
    pub issuer_serial: Serial,
    pub issuer_key_identifier: Option<Vec<u8>>,
    /// The headers for the client while it is admitted, written at its first request.
    pub headers: OnceLock<HeaderMap>,
}

impl CertifiedPath {
    pub fn authority(&self) -> AuthorityId {
        self.signed_by.unwrap_or(self.anchor)
    }

    /// Returns true if all certificates are valid at `now`.
    pub fn is_valid_at(&self, now: Timestamp) -> bool {
        self.from <= now && now < self.until
    }
}
