//! Reads and writes certificate signing requests, certificates, keys, CRLs and OCSP messages.
//!
//! This crate performs no I/O, reads no clock and uses no async runtime: serial numbers and
//! instants are arguments. Randomness inside the cryptographic libraries is the one exception.
//! aws-lc draws the randomness for new keys and ECDSA nonces from its own generator, because a
//! caller that could choose a nonce could compute the private key. The writer of PKCS #12 files
//! draws its salts.
//!
//! All input from outside is hostile. Each reader returns a type that only its check can make:
//! [`read_csr`] makes a [`CheckedCsr`], [`prepare`] makes a [`Prepared`] certificate from it, and
//! [`sign`] takes the [`Prepared`] certificate by value.

mod adopted;
mod alternative_name;
mod apple_profile;
mod authority;
mod certificate;
mod certs_only;
mod chain;
mod chain_error;
mod chain_order;
mod client;
mod cms;
mod crl;
mod crl_reader;
mod csr;
mod csr_attributes;
mod csr_error;
mod digest;
mod distinguished_name;
mod file_form;
mod imported;
mod issuer;
mod key;
mod lint;
mod name_constraints;
mod ocsp;
mod oid;
mod path;
mod pem;
mod pkcs12;
mod presented;
mod private_key;
mod profile;
mod pss;
mod public_key;
mod request_text;
mod requested;
mod requested_names;
mod rights;
mod searched;
mod signed_data;
mod signing;
mod stored;
mod subject;
mod tlv;
mod uploaded;
mod weak_key;

pub use adopted::{ADOPTED_BYTES_MAX, AdoptError, AdoptedCertificate, read_adopted};
pub use apple_profile::AppleProfile;
pub use authority::{is_self_signed_for, request_authority, self_sign};
pub use certs_only::read_certs_only;
pub use chain::{Chain, Purpose, stored_certificates};
pub use chain_error::{CHAIN_BYTES_MAX, CHAIN_CERTIFICATES_MAX, ChainError};
pub use client::{ClientKey, RequestError};
pub use cms::certs_only;
pub use crl::{CRL_ENTRY_BYTES, CrlHead, CrlScope, sign_crl};
pub use crl_reader::listed_serials;
pub use csr::CheckedCsr;
pub use csr_attributes::csr_attributes;
pub use csr_error::{CSR_BYTES_MAX, CSR_TEXT_BYTES_MAX, CsrError};
pub use digest::{sha1, sha256};
pub use file_form::{FileError, holds_private_key, pem_of_file};
pub use imported::{
    AUTHORITY_CERTIFICATE_BYTES_MAX, ImportError, ImportedAuthority, authority_keys, read_authority,
};
pub use issuer::{Issuer, IssuerError, Prepared, SignedCertificate, prepare, sign};
pub use key::{KeyError, SigningKey};
pub use lint::{LintError, URL_BYTES_MAX};
pub use ocsp::{
    CertId, CertStatus, IssuerId, NONCE_BYTES_MAX, OCSP_CERT_IDS_MAX, OCSP_REQUEST_BYTES_MAX,
    OcspFailure, OcspRequest, OcspRequestError, OcspResponder, RESPONDER_KEY, SingleResponse,
    issuer_ids, ocsp_failure, read_ocsp_path, read_ocsp_request, responder_certificate,
    write_ocsp_request,
};
pub use path::PathError;
pub use pem::{pem_lines, pem_piece, write_base64, write_pem, write_public_pem_in_json};
pub use pkcs12::{P12Error, P12Password, P12PasswordError, P12Protection, write_p12};
pub use presented::PresentedCertificate;
pub use private_key::{
    PRIVATE_KEY_BYTES_MAX, PrivateKey, PrivateKeyError, read_private_key, read_private_key_of_pair,
};
pub use profile::{Profile, Validity};
pub use public_key::verifies_short_pss;
pub use requested::certificate_alternative_names;
pub use searched::{read_chain, read_chain_of_known_keys, read_csr, read_csr_of_known_key};
pub use signed_data::signed_data;
pub use signing::SignError;
pub use stored::{StoredAuthority, contradicts_uploaded};
pub use uploaded::expires_on;
pub use weak_key::Weakness;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_can_share_keys_issuers_and_requests() {
        fn is_shared<T: Send + Sync + 'static>() {}
        is_shared::<SigningKey>();
        is_shared::<ClientKey>();
        is_shared::<Issuer>();
        is_shared::<CheckedCsr>();
    }
}
