//! The one translation of what went wrong to HTTP statuses and codes.

use std::borrow::Cow;

use axum::response::{IntoResponse, Response};
use certgate_pki::ImportError;
use certgate_service::{
    AccessError, AuthorityError, EnforcementPointError, Fault, HostnameFault, HostnamesError,
    IssueError, MtlsCertificateError, RevocationError, TenantError, TokenError,
};
use certgate_store::StoreError;
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use utoipa::ToSchema;

use crate::failure_log::Inside;
use crate::{code, envelope};

/// When to ask again for an answer that goes on, in seconds.
const STREAM_RETRY_SECONDS: u32 = 60;

/// A failed answer. `SDKs` retry 408, 409, 429 and 5xx: nothing that would fail again in the same way has such a status.
#[derive(Debug)]
pub(crate) struct ApiError {
    pub(crate) status: StatusCode,
    pub(crate) code: u32,
    pub(crate) message: Cow<'static, str>,
    pointer: Option<Cow<'static, str>>,
    cause: Option<ErrorCause>,
    retry_after_seconds: Option<u32>,
    /// Whether SDKs may ask again by themselves (`x-should-retry`), where the status does not say that.
    should_retry: Option<bool>,
    /// The text for the log; the client does not see it.
    inside: Option<Inside>,
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
    pub(crate) fn new(
        status: StatusCode,
        code: u32,
        message: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            pointer: None,
            cause: None,
            retry_after_seconds: None,
            should_retry: None,
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
        Self::malformed_header(
            code::AUTHORIZATION_FORMAT,
            "Invalid format for Authorization header",
        )
    }

    pub(crate) fn malformed_email() -> Self {
        Self::malformed_header(code::EMAIL_FORMAT, "Invalid format for X-Auth-Email header")
    }

    pub(crate) fn malformed_key() -> Self {
        Self::malformed_header(code::KEY_FORMAT, "Invalid format for X-Auth-Key header")
    }

    fn malformed_header(code: u32, message: &'static str) -> Self {
        let cause = ErrorCause { code, message };
        let error = Self::bad_request(code::INVALID_HEADERS, "Invalid request headers");
        Self {
            cause: Some(cause),
            ..error
        }
    }

    /// As many answers go on with changes as can.
    pub(crate) fn too_many_streams(max: usize) -> Self {
        let message = format!(
            "{max} streams of changes are open, the most there can be: ask for revocation_changes"
        );
        let error = Self::new(StatusCode::TOO_MANY_REQUESTS, code::RATE_LIMITED, message);
        Self {
            retry_after_seconds: Some(STREAM_RETRY_SECONDS),
            ..error
        }
    }

    pub(crate) fn refused() -> Self {
        let message = "Unauthorized to access requested resource";
        Self::new(StatusCode::FORBIDDEN, code::ACCESS, message)
    }

    pub(crate) fn no_route(path: &str) -> Self {
        const SHOWN_CHARACTERS_MAX: usize = 200;
        let shown: String = path.chars().take(SHOWN_CHARACTERS_MAX).collect();
        let message =
            format!("Could not route to {shown}, perhaps your object identifier is invalid?");
        Self::new(StatusCode::NOT_FOUND, code::NO_ROUTE, message)
    }

    pub(crate) fn certificate_not_found() -> Self {
        let message = "The client certificate was not found in this zone";
        Self::new(StatusCode::NOT_FOUND, code::CERTIFICATE_NOT_FOUND, message)
    }

    pub(crate) fn mtls_certificate_not_found() -> Self {
        let message = "The mTLS certificate was not found in this account";
        Self::new(
            StatusCode::NOT_FOUND,
            code::MTLS_CERTIFICATE_NOT_FOUND,
            message,
        )
    }

    pub(crate) fn internal(inside: String) -> Self {
        let message = "Internal error; the server's log has the details under the request id";
        let error = Self::new(StatusCode::INTERNAL_SERVER_ERROR, code::INTERNAL, message);
        Self {
            inside: Some(Inside::Internal(inside)),
            ..error
        }
    }

    /// Nobody knows whether it was done; asking again would do it twice, unless it is repeatable.
    fn in_doubt(
        message: impl Into<Cow<'static, str>>,
        inside: String,
        is_repeatable: bool,
    ) -> Self {
        let error = Self::new(StatusCode::SERVICE_UNAVAILABLE, code::IN_DOUBT, message);
        Self {
            should_retry: Some(is_repeatable),
            ..error.later(inside)
        }
    }

    fn later(self, inside: String) -> Self {
        let inside = Some(Inside::Unavailable(inside));
        Self {
            inside,
            retry_after_seconds: Some(UNAVAILABLE_RETRY_SECONDS),
            ..self
        }
    }

    pub(crate) fn malformed_idempotency_key() -> Self {
        Self::malformed_header(
            code::IDEMPOTENCY_KEY_FORMAT,
            "Invalid format for Idempotency-Key header",
        )
    }

    pub(crate) fn unavailable(inside: String) -> Self {
        let message = "The service is temporarily unavailable, try again later";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, code::UNAVAILABLE, message).later(inside)
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        debug_assert!(
            code::comes_with(self.code, self.status.as_u16()),
            "{} with status {} is not in the table of codes",
            self.code,
            self.status
        );
        let item = ErrorItem {
            code: self.code,
            message: &self.message,
            source: self
                .pointer
                .as_deref()
                .map(|pointer| ErrorSource { pointer }),
            error_chain: self.cause.map(|cause| [cause]),
        };
        let mut response = envelope::failure(self.status, item);
        if let Some(seconds) = self.retry_after_seconds {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some(should_retry) = self.should_retry {
            let value = HeaderValue::from_static(if should_retry { "true" } else { "false" });
            response.headers_mut().insert("x-should-retry", value);
        }
        if let Some(inside) = self.inside {
            response.extensions_mut().insert(inside);
        }
        response
    }
}

impl From<Fault> for ApiError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Unavailable(inside) => Self::unavailable(inside),
            Fault::InDoubt(inside) => {
                let message = "The database was lost while it made the change, and it is not known whether it did: look before \
                               you ask again";
                Self::in_doubt(message, inside, false)
            }
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
            AccessError::UnknownApiKey => {
                let message = "Unknown X-Auth-Key or X-Auth-Email";
                Self::new(StatusCode::FORBIDDEN, code::UNKNOWN_KEY, message)
            }
            AccessError::Refused => Self::refused(),
            AccessError::TooManyRequests {
                retry_after_seconds,
            } => {
                let message =
                    "Too many requests with this token or key; wait as long as retry-after says";
                let error = Self::new(StatusCode::TOO_MANY_REQUESTS, code::RATE_LIMITED, message);
                Self {
                    retry_after_seconds: Some(retry_after_seconds),
                    ..error
                }
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
            IssueError::Validity { .. } => {
                Self::bad_request(code::VALIDITY, message).at("/validity_days")
            }
            IssueError::OutlivesAuthority { .. } => {
                Self::bad_request(code::OUTLIVES_AUTHORITY, message).at("/validity_days")
            }
            IssueError::QuotaReached { .. } => {
                Self::new(StatusCode::FORBIDDEN, code::QUOTA_REACHED, message)
            }
            IssueError::NoZone => Self::refused(),
            IssueError::KeyReused(_) => Self::bad_request(code::IDEMPOTENCY_KEY_REUSED, message),
            IssueError::InDoubt {
                is_repeatable,
                text,
                ..
            } => Self::in_doubt(message, text, is_repeatable),
            IssueError::Fault(fault) => fault.into(),
        }
    }
}

impl From<AuthorityError> for ApiError {
    fn from(error: AuthorityError) -> Self {
        let message = error.to_string();
        match error {
            AuthorityError::Import(ImportError::Failed(error)) => Self::internal(error.to_string()),
            AuthorityError::Import(error) => {
                let of_key = matches!(error, ImportError::Key(_) | ImportError::KeyMismatch);
                let pointer = if of_key {
                    "/private_key"
                } else {
                    "/certificate"
                };
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

impl From<EnforcementPointError> for ApiError {
    fn from(error: EnforcementPointError) -> Self {
        let message = error.to_string();
        match error {
            EnforcementPointError::Name(_) => {
                Self::bad_request(code::NAME_INVALID, message).at("/name")
            }
            EnforcementPointError::Lease { .. } => Self::member("/lease_seconds", message),
            EnforcementPointError::NegativeEpoch { .. } => Self::member("/epoch", message),
            EnforcementPointError::Ahead { .. } | EnforcementPointError::Skipped { .. } => {
                Self::bad_request(code::EPOCH_AHEAD, message).at("/epoch")
            }
            EnforcementPointError::TooMany { .. } => {
                Self::new(StatusCode::FORBIDDEN, code::ENFORCEMENT_POINTS_MAX, message)
            }
            EnforcementPointError::NotFound => Self::new(
                StatusCode::NOT_FOUND,
                code::ENFORCEMENT_POINT_NOT_FOUND,
                message,
            ),
            EnforcementPointError::Fault(fault) => fault.into(),
        }
    }
}

impl From<RevocationError> for ApiError {
    fn from(error: RevocationError) -> Self {
        match error {
            RevocationError::NotFound => Self::certificate_not_found(),
            RevocationError::AlreadyRevoked => Self::bad_request(
                code::ALREADY_REVOKED,
                "The client certificate is revoked already; PATCH restores it if it is on hold",
            ),
            RevocationError::Permanent => Self::bad_request(
                code::REVOKED_FOR_GOOD,
                "The client certificate was revoked for a reason that cannot be undone (RFC 5280 §5.3.1): issue another \
                 one",
            ),
            // Whoever asks again gets the same, done once or twice.
            RevocationError::Fault(Fault::InDoubt(inside)) => Self::unavailable(inside),
            RevocationError::Fault(fault) => fault.into(),
        }
    }
}

impl From<HostnamesError> for ApiError {
    fn from(error: HostnamesError) -> Self {
        let message = error.to_string();
        match error {
            HostnamesError::TooMany { .. } => {
                Self::bad_request(code::HOSTNAMES_TOO_MANY, message).at("/hostnames")
            }
            HostnamesError::Hostname { index, fault, .. } => {
                Self::bad_request(hostname_code(&fault), message).at(format!("/hostnames/{index}"))
            }
            HostnamesError::NoCertificate => {
                Self::mtls_certificate_not_found().at("/mtls_certificate_id")
            }
            HostnamesError::NotAnAuthority => {
                Self::bad_request(code::NOT_AN_AUTHORITY, message).at("/mtls_certificate_id")
            }
            HostnamesError::NoZone => Self::refused(),
            HostnamesError::Fault(fault) => fault.into(),
        }
    }
}

impl From<MtlsCertificateError> for ApiError {
    fn from(error: MtlsCertificateError) -> Self {
        let message = error.to_string();
        match error {
            MtlsCertificateError::Chain(error) => {
                Self::bad_request(chain_code(&error), message).at("/certificates")
            }
            MtlsCertificateError::PrivateKey(error) => {
                Self::bad_request(private_key_code(&error), message).at("/private_key")
            }
            MtlsCertificateError::KeyMismatch => {
                Self::bad_request(code::PRIVATE_KEY_MISMATCH, message).at("/private_key")
            }
            MtlsCertificateError::LeafWithoutKey => {
                Self::bad_request(code::PRIVATE_KEY_MISSING, message).at("/private_key")
            }
            MtlsCertificateError::Name(_) => {
                Self::bad_request(code::NAME_INVALID, message).at("/name")
            }
            MtlsCertificateError::Exists(_) => {
                Self::bad_request(code::MTLS_CERTIFICATE_EXISTS, message).at("/certificates")
            }
            MtlsCertificateError::QuotaReached { .. } => {
                Self::new(StatusCode::FORBIDDEN, code::MTLS_QUOTA_REACHED, message)
            }
            MtlsCertificateError::InUse { .. } => {
                Self::bad_request(code::MTLS_CERTIFICATE_IN_USE, message)
            }
            MtlsCertificateError::NotFound => Self::mtls_certificate_not_found(),
            MtlsCertificateError::NoAccount => Self::refused(),
            MtlsCertificateError::Fault(fault) => fault.into(),
        }
    }
}

fn hostname_code(fault: &HostnameFault) -> u32 {
    match fault {
        HostnameFault::Invalid(_) => code::HOSTNAME_INVALID,
        HostnameFault::Wildcard => code::HOSTNAME_WILDCARD,
        HostnameFault::OutsideZone(_) => code::HOSTNAME_OUTSIDE_ZONE,
        HostnameFault::Repeated { .. } => code::HOSTNAME_REPEATED,
        HostnameFault::ListedElsewhere => code::HOSTNAME_LISTED_ELSEWHERE,
    }
}

impl From<TokenError> for ApiError {
    fn from(error: TokenError) -> Self {
        match error {
            TokenError::Invalid { pointer, reason } => Self::member(pointer, reason),
            TokenError::ExceedsOwn(_) => Self::new(
                StatusCode::FORBIDDEN,
                code::TOKEN_EXCEEDS_OWN,
                error.to_string(),
            )
            .at("/policies"),
            TokenError::NotEverything => Self::new(
                StatusCode::FORBIDDEN,
                code::TOKEN_EXCEEDS_OWN,
                error.to_string(),
            ),
            TokenError::NotFound => Self::new(
                StatusCode::NOT_FOUND,
                code::TOKEN_NOT_FOUND,
                "API token not found",
            ),
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
        TenantError::HasZones(_) | TenantError::HasMtlsCertificates(_) => {
            ApiError::bad_request(code::ACCOUNT_IN_USE, message)
        }
        TenantError::Fault(fault) => fault.into(),
    }
}

fn chain_code(error: &certgate_pki::ChainError) -> u32 {
    use certgate_pki::ChainError;
    match error {
        ChainError::TooLarge { .. }
        | ChainError::NoPem
        | ChainError::Malformed { .. }
        | ChainError::Version { .. } => code::BUNDLE_MALFORMED,
        ChainError::Der | ChainError::Pkcs12 => code::BUNDLE_NOT_PEM,
        ChainError::PrivateKey => code::BUNDLE_PRIVATE_KEY,
        ChainError::PublicKey => code::BUNDLE_PUBLIC_KEY,
        ChainError::CertificateRequest => code::BUNDLE_REQUEST,
        ChainError::WrongPemLabel { .. } => code::BUNDLE_WRONG_LABEL,
        ChainError::TextAfterEnd => code::BUNDLE_TEXT_AFTER_END,
        ChainError::TooMany { .. } => code::BUNDLE_TOO_MANY,
        ChainError::SignatureAlgorithmUnsupported { .. } => code::BUNDLE_SIGNATURE_ALGORITHM,
        ChainError::Key { .. } => code::BUNDLE_KEY,
        ChainError::NotAuthority { .. } => code::BUNDLE_NOT_AUTHORITY,
        ChainError::ChainOrder { .. } | ChainError::Repeated { .. } => code::BUNDLE_CHAIN,
        ChainError::SignatureInvalid { .. } => code::BUNDLE_SIGNATURE_INVALID,
        ChainError::Expired { .. } => code::BUNDLE_EXPIRED,
    }
}

fn private_key_code(error: &certgate_pki::PrivateKeyError) -> u32 {
    use certgate_pki::PrivateKeyError;
    match error {
        PrivateKeyError::TooLarge { .. }
        | PrivateKeyError::NoPem
        | PrivateKeyError::WrongPemLabel { .. }
        | PrivateKeyError::Malformed { .. }
        | PrivateKeyError::Invalid { .. } => code::PRIVATE_KEY_MALFORMED,
        PrivateKeyError::Encrypted => code::PRIVATE_KEY_ENCRYPTED,
        PrivateKeyError::Several => code::PRIVATE_KEY_SEVERAL,
        PrivateKeyError::Unsupported { .. }
        | PrivateKeyError::RsaModulusSize { .. }
        | PrivateKeyError::NotForAuthority { .. } => code::PRIVATE_KEY_UNSUPPORTED,
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

fn import_code(error: &ImportError) -> u32 {
    match error {
        ImportError::TooLarge { .. } => code::AUTHORITY_TOO_LARGE,
        ImportError::NoPem => code::AUTHORITY_NO_PEM,
        ImportError::Several => code::AUTHORITY_SEVERAL_PEM_BLOCKS,
        ImportError::PrivateKeyInCertificate => code::AUTHORITY_PRIVATE_KEY,
        ImportError::WrongPemLabel { .. } => code::AUTHORITY_WRONG_LABEL,
        ImportError::Malformed { .. } => code::AUTHORITY_MALFORMED,
        ImportError::NotAuthority(_) => code::AUTHORITY_NOT_ONE,
        ImportError::NoCrlSign => code::AUTHORITY_NO_CRL_SIGN,
        ImportError::NotForClients => code::AUTHORITY_NOT_FOR_CLIENTS,
        ImportError::Expired { .. } => code::AUTHORITY_EXPIRED,
        ImportError::NotYetValid { .. } => code::AUTHORITY_NOT_YET_VALID,
        ImportError::Key(error) => private_key_code(error),
        ImportError::KeyMismatch => code::PRIVATE_KEY_MISMATCH,
        ImportError::Failed(_) => code::INTERNAL,
    }
}
