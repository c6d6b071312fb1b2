//! The one translation of what went wrong to HTTP statuses and codes.

use std::borrow::Cow;

use axum::response::{IntoResponse, Response};
use certgate_authority::{
    AccessError, AuthorityError, Fault, IssueError, RevocationError, TenantError, TokenError,
};
use certgate_store::StoreError;
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{code, envelope};

/// A failed answer. `SDKs` retry 408, 409, 429 and 5xx: nothing that would fail again in the same way has such a status.
#[derive(Debug)]
pub(crate) struct ApiError {
    pub(crate) status: StatusCode,
    pub(crate) code: u32,
    pub(crate) message: Cow<'static, str>,
    pointer: Option<Cow<'static, str>>,
    cause: Option<ErrorCause>,
    retry_after_seconds: Option<u32>,
    /// The text for the log; the client does not see it.
    inside: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ErrorItem<'a> {
    code: u32,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<ErrorSource<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_chain: Option<[ErrorCause; 1]>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ErrorSource<'a> {
    /// The input at fault: a JSON pointer into the body (RFC 6901), or the name of a query parameter.
    pointer: &'a str,
}

#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
pub(crate) struct ErrorCause {
    code: u32,
    message: &'static str,
}

/// How long a client should wait before it tries again when the store is away, in seconds.
const UNAVAILABLE_RETRY_SECONDS: u32 = 2;

impl ApiError {
    pub(crate) fn new(status: StatusCode, code: u32, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            pointer: None,
            cause: None,
            retry_after_seconds: None,
            inside: None,
        }
    }

    pub(crate) fn bad_request(code: u32, message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, message)
    }

    pub(crate) fn at(mut self, pointer: impl Into<Cow<'static, str>>) -> Self {
        self.pointer = Some(pointer.into());
        self
    }

    /// A query parameter outside its rule.
    pub(crate) fn parameter(name: &'static str, message: String) -> Self {
        Self::bad_request(code::INVALID_PARAMETER, message).at(name)
    }

    /// A member of the body that is missing or of the wrong kind.
    pub(crate) fn member(pointer: impl Into<Cow<'static, str>>, message: String) -> Self {
        Self::bad_request(code::INVALID_MEMBER, message).at(pointer)
    }

    pub(crate) fn missing_credentials() -> Self {
        Self::bad_request(
            code::MISSING_CREDENTIALS,
            "Missing X-Auth-Key, X-Auth-Email or Authorization headers",
        )
    }

    pub(crate) fn malformed_authorization() -> Self {
        let cause = ErrorCause {
            code: code::AUTHORIZATION_FORMAT,
            message: "Invalid format for Authorization header",
        };
        let error = Self::bad_request(code::INVALID_HEADERS, "Invalid request headers");
        Self { cause: Some(cause), ..error }
    }

    pub(crate) fn refused() -> Self {
        let message = "Unauthorized to access requested resource";
        Self::new(StatusCode::FORBIDDEN, code::ACCESS, message)
    }

    pub(crate) fn no_route(path: &str) -> Self {
        const SHOWN_CHARACTERS_MAX: usize = 200;
        let shown: String = path.chars().take(SHOWN_CHARACTERS_MAX).collect();
        let message = format!("Could not route to {shown}, perhaps your object identifier is invalid?");
        Self::new(StatusCode::NOT_FOUND, code::NO_ROUTE, message)
    }

    pub(crate) fn certificate_not_found() -> Self {
        let message = "The client certificate was not found in this zone";
        Self::new(StatusCode::NOT_FOUND, code::CERTIFICATE_NOT_FOUND, message)
    }

    pub(crate) fn internal(inside: String) -> Self {
        let message = "Internal error; the server's log has the details under the request id";
        let error = Self::new(StatusCode::INTERNAL_SERVER_ERROR, code::INTERNAL, message);
        Self { inside: Some(inside), ..error }
    }

    pub(crate) fn unavailable(inside: String) -> Self {
        let message = "The service is temporarily unavailable, try again later";
        let error = Self::new(StatusCode::SERVICE_UNAVAILABLE, code::UNAVAILABLE, message);
        Self { inside: Some(inside), retry_after_seconds: Some(UNAVAILABLE_RETRY_SECONDS), ..error }
    }
}

/// The text for the log, kept in the answer for the middleware that writes the line.
#[derive(Clone)]
pub(crate) struct InsideMessage(pub(crate) String);

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let item = ErrorItem {
            code: self.code,
            message: &self.message,
            source: self.pointer.as_deref().map(|pointer| ErrorSource { pointer }),
            error_chain: self.cause.map(|cause| [cause]),
        };
        let mut response = envelope::failure(self.status, item);
        if let Some(seconds) = self.retry_after_seconds {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some(inside) = self.inside {
            response.extensions_mut().insert(InsideMessage(inside));
        }
        response
    }
}

impl From<Fault> for ApiError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Unavailable(inside) => Self::unavailable(inside),
            Fault::Internal(inside) => Self::internal(inside),
        }
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        Fault::from(error).into()
    }
}

impl From<AccessError> for ApiError {
    fn from(error: AccessError) -> Self {
        match error {
            AccessError::InvalidToken => {
                Self::new(StatusCode::FORBIDDEN, code::ACCESS, "Invalid access token")
            }
            AccessError::Refused => Self::refused(),
            AccessError::TooManyRequests { retry_after_seconds } => {
                let message = "Too many requests with this token; wait as long as retry-after says";
                let error = Self::new(StatusCode::TOO_MANY_REQUESTS, code::RATE_LIMITED, message);
                Self { retry_after_seconds: Some(retry_after_seconds), ..error }
            }
            AccessError::Fault(fault) => fault.into(),
        }
    }
}

impl From<IssueError> for ApiError {
    fn from(error: IssueError) -> Self {
        let message = error.to_string();
        match error {
            IssueError::Csr(error) => Self::bad_request(csr_code(&error), message).at("/csr"),
            IssueError::Validity { .. } => Self::bad_request(code::VALIDITY, message).at("/validity_days"),
            IssueError::OutlivesAuthority { .. } => {
                Self::bad_request(code::OUTLIVES_AUTHORITY, message).at("/validity_days")
            }
            IssueError::QuotaReached { .. } => Self::new(StatusCode::FORBIDDEN, code::QUOTA_REACHED, message),
            IssueError::NoZone => Self::refused(),
            IssueError::Fault(fault) => fault.into(),
        }
    }
}

impl From<AuthorityError> for ApiError {
    fn from(error: AuthorityError) -> Self {
        use certgate_pki::ImportError;
        let message = error.to_string();
        match error {
            AuthorityError::Import(ImportError::Failed(error)) => Self::internal(error.to_string()),
            AuthorityError::Import(error) => {
                let of_key = matches!(error, ImportError::Key(_) | ImportError::KeyMismatch);
                let pointer = if of_key { "/private_key" } else { "/certificate" };
                Self::bad_request(import_code(&error), message).at(pointer)
            }
            AuthorityError::Known { .. } => {
                Self::bad_request(code::AUTHORITY_KNOWN, message).at("/certificate")
            }
            AuthorityError::TooMany { .. } => {
                Self::new(StatusCode::FORBIDDEN, code::AUTHORITIES_MAX, message)
            }
            AuthorityError::NoAccount => Self::refused(),
            AuthorityError::Fault(fault) => fault.into(),
        }
    }
}

impl From<RevocationError> for ApiError {
    fn from(error: RevocationError) -> Self {
        match error {
            RevocationError::NotFound => Self::certificate_not_found(),
            RevocationError::AlreadyRevoked => Self::bad_request(
                code::ALREADY_REVOKED,
                "The client certificate is revoked already; PATCH restores it",
            ),
            RevocationError::Fault(fault) => fault.into(),
        }
    }
}

impl From<TokenError> for ApiError {
    fn from(error: TokenError) -> Self {
        match error {
            TokenError::Invalid { pointer, reason } => Self::member(pointer, reason),
            TokenError::ExceedsOwn(_) => {
                Self::new(StatusCode::FORBIDDEN, code::TOKEN_EXCEEDS_OWN, error.to_string()).at("/policies")
            }
            TokenError::NotFound => {
                Self::new(StatusCode::NOT_FOUND, code::TOKEN_NOT_FOUND, "API token not found")
            }
            TokenError::Fault(fault) => fault.into(),
        }
    }
}

/// Errors about a zone; an account's differ only in two codes.
pub(crate) fn zone_error(error: TenantError) -> ApiError {
    tenant_error(error, code::ZONE_EXISTS)
}

pub(crate) fn account_error(error: TenantError) -> ApiError {
    tenant_error(error, code::ACCOUNT_EXISTS)
}

fn tenant_error(error: TenantError, exists: u32) -> ApiError {
    let message = error.to_string();
    match error {
        TenantError::Name(_) => ApiError::bad_request(code::NAME_INVALID, message).at("/name"),
        TenantError::NameTaken(_) => ApiError::bad_request(exists, message).at("/name"),
        TenantError::NotFound => ApiError::refused(),
        TenantError::HasCertificates(_) => ApiError::bad_request(code::ZONE_IN_USE, message),
        TenantError::HasZones(_) => ApiError::bad_request(code::ACCOUNT_IN_USE, message),
        TenantError::Fault(fault) => fault.into(),
    }
}

fn csr_code(error: &certgate_pki::CsrError) -> u32 {
    use certgate_pki::CsrError;
    match error {
        CsrError::NoPem => code::CSR_NO_PEM,
        CsrError::SeveralPemBlocks => code::CSR_SEVERAL_PEM_BLOCKS,
        CsrError::PrivateKey => code::CSR_PRIVATE_KEY,
        CsrError::WrongPemLabel { .. } => code::CSR_WRONG_LABEL,
        CsrError::BadBase64 => code::CSR_BAD_BASE64,
        CsrError::Malformed { .. } => code::CSR_MALFORMED,
        CsrError::TextAfterEnd | CsrError::TrailingBytes => code::CSR_TRAILING_BYTES,
        CsrError::SignatureInvalid => code::CSR_SIGNATURE_INVALID,
        CsrError::SignatureAlgorithmUnsupported { .. } => code::CSR_SIGNATURE_ALGORITHM,
        CsrError::RsaModulusSize { .. } => code::CSR_RSA_MODULUS,
        CsrError::RsaExponent => code::CSR_RSA_EXPONENT,
        CsrError::CurveUnsupported { .. } => code::CSR_CURVE,
        CsrError::KeyUnsupported { .. } => code::CSR_KEY,
        CsrError::TooLarge { .. } => code::CSR_TOO_LARGE,
        CsrError::SubjectUnreadable { .. } => code::CSR_SUBJECT,
        CsrError::PointCompressed => code::CSR_POINT_COMPRESSED,
        CsrError::KeyInvalid { .. } => code::CSR_KEY_INVALID,
    }
}

fn import_code(error: &certgate_pki::ImportError) -> u32 {
    use certgate_pki::ImportError;
    match error {
        ImportError::TooLarge { .. } => code::AUTHORITY_TOO_LARGE,
        ImportError::NoPem => code::AUTHORITY_NO_PEM,
        ImportError::Several => code::AUTHORITY_SEVERAL_PEM_BLOCKS,
        ImportError::PrivateKeyInCertificate => code::AUTHORITY_PRIVATE_KEY,
        ImportError::WrongPemLabel { .. } => code::AUTHORITY_WRONG_LABEL,
        ImportError::Malformed { .. } => code::AUTHORITY_MALFORMED,
        ImportError::NotAuthority(_) => code::NOT_AUTHORITY,
        ImportError::NoCrlSign => code::AUTHORITY_NO_CRL_SIGN,
        ImportError::NotForClients => code::AUTHORITY_NOT_FOR_CLIENTS,
        ImportError::Expired { .. } => code::AUTHORITY_EXPIRED,
        ImportError::NotYetValid { .. } => code::AUTHORITY_NOT_YET_VALID,
        ImportError::Key(error) => key_code(error),
        ImportError::KeyMismatch => code::AUTHORITY_KEY_MISMATCH,
        ImportError::Failed(_) => code::INTERNAL,
    }
}

fn key_code(error: &certgate_pki::PrivateKeyError) -> u32 {
    use certgate_pki::PrivateKeyError;
    match error {
        PrivateKeyError::TooLarge { .. }
        | PrivateKeyError::NoPem
        | PrivateKeyError::Several
        | PrivateKeyError::WrongPemLabel { .. } => code::AUTHORITY_KEY_PEM,
        PrivateKeyError::Encrypted => code::AUTHORITY_KEY_ENCRYPTED,
        PrivateKeyError::Malformed { .. } | PrivateKeyError::Invalid { .. } => code::AUTHORITY_KEY_MALFORMED,
        PrivateKeyError::Unsupported { .. }
        | PrivateKeyError::RsaModulusSize { .. }
        | PrivateKeyError::NotForAuthority { .. } => code::AUTHORITY_KEY_KIND,
    }
}
