//! The servers that the client trusts for https.

use std::path::Path;

use crate::failure::Failure;
use crate::tls::Trust;

/// A choice of trusted servers.
#[derive(Debug, Clone, Copy)]
pub enum Trusted<'a> {
    /// Those below the CAs of this system.
    System,
    /// Those below the CAs in this PEM file, and the one whose certificate is in it.
    File(&'a Path),
    /// The server on this machine with the certificate in this PEM file.
    Local(&'a Path),
}

impl Trusted<'_> {
    /// Reads the CAs.
    pub(super) fn read(self) -> Result<Trust, Failure> {
        match self {
            Self::File(path) => Trust::in_file(path),
            Self::System => Trust::of_system(),
            Self::Local(path) => Trust::local(path),
        }
        .map_err(|failure| failure.hint("name a PEM file with --api-ca"))
    }
}
