//! OCSP (RFC 6960) with the lightweight profile (RFC 5019) and nonces (RFC 9654): reading requests,
//! signing responses.

mod path;
mod request;
mod response;

pub use path::read_ocsp_path;
pub use request::{
    CertId, IssuerId, NONCE_BYTES_MAX, OCSP_CERT_IDS_MAX, OCSP_REQUEST_BYTES_MAX, OcspRequest,
    OcspRequestError, issuer_ids, read_ocsp_request, write_ocsp_request,
};
pub use response::{
    CertStatus, OcspFailure, OcspResponder, RESPONDER_KEY, SingleResponse, ocsp_failure,
    responder_certificate,
};
