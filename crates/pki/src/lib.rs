//! Bytes in, bytes out: certificate signing requests, certificates and the keys that sign them.
//!
//! Nothing here performs I/O, reads a clock or knows an async runtime: serial numbers and instants are arguments. The
//! one exception is randomness inside the cryptographic library: aws-lc draws what it needs for key generation and for
//! ECDSA nonces from its own generator, because a nonce that a caller could choose is a private key that a caller could
//! read.
//!
//! Everything that comes from outside is hostile. What it is read into is a type that only the check can make:
//! [`read_csr`] makes a [`CheckedCsr`], [`prepare`] makes a [`Prepared`] certificate out of one, and [`sign`] takes
//! that by value.

mod authority;
mod certificate;
mod chain;
mod chain_error;
mod client;
mod crl;
mod csr;
mod csr_error;
mod distinguished_name;
mod imported;
mod issuer;
mod key;
mod lint;
mod ocsp;
mod oid;
mod pem;
mod private_key;
mod public_key;
mod subject;
mod tlv;
mod uploaded;

use aws_lc_rs::digest;

pub use authority::self_sign;
pub use certificate::SignError;
pub use chain::{CHAIN_BYTES_MAX, CHAIN_CERTIFICATES_MAX, Chain, Purpose, read_chain};
pub use chain_error::ChainError;
pub use client::{ClientKey, RequestError};
pub use crl::{CRL_ENTRY_BYTES, CrlHead, CrlScope, sign_crl};
pub use csr::{CSR_BYTES_MAX, CheckedCsr, read_csr};
pub use csr_error::CsrError;
pub use imported::{
    AUTHORITY_CERTIFICATE_BYTES_MAX, ImportError, ImportedAuthority, read_authority,
};
pub use issuer::{
    Issuer, IssuerError, Prepared, Profile, SignedCertificate, Validity, prepare, sign,
};
pub use key::{KeyError, SigningKey};
pub use lint::{LintError, URL_BYTES_MAX};
pub use ocsp::{
    CertId, CertStatus, IssuerId, NONCE_BYTES_MAX, OCSP_CERT_IDS_MAX, OCSP_REQUEST_BYTES_MAX,
    OcspFailure, OcspRequest, OcspRequestError, OcspResponder, RESPONDER_KEY, SingleResponse,
    issuer_ids, ocsp_failure, read_ocsp_path, read_ocsp_request, responder_certificate,
    write_ocsp_request,
};
pub use pem::{pem_lines, write_pem};
pub use private_key::{PRIVATE_KEY_BYTES_MAX, PrivateKey, PrivateKeyError, read_private_key};

/// SHA-256 of some octets: a certificate's fingerprint, an entity tag.
pub fn sha256(octets: &[u8]) -> [u8; 32] {
    let digest = digest::digest(&digest::SHA256, octets);
    digest.as_ref().try_into().expect("SHA-256 has 32 octets")
}
