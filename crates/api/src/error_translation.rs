//! The one translation of the errors of the service to HTTP statuses and codes.

use certgate_model::RuleName;
use certgate_pki::{AdoptError, ChainError, CsrError, ImportError, PathError, PrivateKeyError};
use certgate_service::{
    AccessError, AdoptionError, AdoptionLineError, AuthorityError, EnforcementPointError, Fault,
    HostnameFault, HostnamesError, InviteError, IssueError, MtlsCertificateError, RevocationError,
    TenantError, TokenError,
};
use certgate_store::StoreError;

use crate::code::{self, Code};
use crate::error::ApiError;

impl From<Fault> for ApiError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Unavailable(inside) => Self::unavailable(inside),
            Fault::InDoubt(inside) => {
                let message = "The database failed during the change, and the server does not know \
                               the outcome: check before you send the request again";
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
            AccessError::InvalidToken => Self::new(code::ACCESS, "Invalid access token"),
            AccessError::UnknownApiKey => {
                let message = "Unknown X-Auth-Key or X-Auth-Email";
                Self::new(code::UNKNOWN_KEY, message)
            }
            AccessError::Refused => Self::refused(),
            AccessError::NotFound => Self::no_tenant(),
            AccessError::TooManyRequests {
                retry_after_seconds,
            } => {
                let message =
                    "Too many requests with this token or key: wait as long as retry-after says";
                Self::new(code::RATE_LIMITED, message).retry_after(retry_after_seconds)
            }
            AccessError::Fault(fault) => fault.into(),
        }
    }
}

impl From<IssueError> for ApiError {
    fn from(error: IssueError) -> Self {
        let message = error.to_string();
        match error {
            IssueError::Csr(error) => Self::new(csr_code(&error), message).at("/csr"),
            IssueError::Busy { .. } => Self::too_many(message),
            IssueError::NameOfIssuer => Self::new(code::CSR_SUBJECT, message).at("/csr"),
            IssueError::Path { error } => {
                let of_request = matches!(error, PathError::Name(_));
                let refused = Self::new(code::PATH_NOT_VALID, message);
                if of_request {
                    refused.at("/csr")
                } else {
                    refused
                }
            }
            IssueError::Validity { .. } => Self::new(code::VALIDITY, message).at("/validity_days"),
            IssueError::OutlivesAuthority { .. } => {
                Self::new(code::OUTLIVES_AUTHORITY, message).at("/validity_days")
            }
            IssueError::NotActivated { .. } => Self::new(code::AUTHORITY_NOT_ACTIVATED, message),
            IssueError::AuthorityNotValid { .. } => Self::new(code::AUTHORITY_NOT_VALID, message),
            IssueError::QuotaReached { .. } => Self::new(code::QUOTA_REACHED, message),
            IssueError::Rule { rule, .. } => {
                let refused = Self::new(code::ISSUANCE_RULE, message);
                match rule {
                    RuleName::MaxLifetime => refused.at("/validity_days"),
                    RuleName::CertificatesPerDay => refused,
                    _ => refused.at("/csr"),
                }
            }
            IssueError::RulesCorrupt { .. } => Self::new(code::ISSUANCE_RULES_CORRUPT, message),
            // Only clients that enrol renew certificates.
            IssueError::OtherSubject
            | IssueError::OtherName { .. }
            | IssueError::NotInvitedName { .. }
            | IssueError::FurtherName { .. }
            | IssueError::NotInvited(_)
            | IssueError::NotRenewed(_) => Self::internal(message),
            IssueError::NoZone => Self::no_tenant(),
            IssueError::KeyReused(_) => Self::new(code::IDEMPOTENCY_KEY_REUSED, message),
            IssueError::InDoubt {
                is_repeatable,
                text,
                ..
            } => Self::in_doubt(message, text, is_repeatable),
            IssueError::Fault(fault) => fault.into(),
        }
    }
}

impl From<InviteError> for ApiError {
    fn from(error: InviteError) -> Self {
        let message = error.to_string();
        match error {
            InviteError::Invalid { pointer, .. } => Self::member(pointer, message),
            InviteError::Issue(IssueError::Rule { rule, .. }) => {
                let pointer = match rule {
                    RuleName::MaxLifetime => "/lifetime",
                    _ => "/name",
                };
                Self::new(code::ISSUANCE_RULE, message).at(pointer)
            }
            InviteError::Issue(error) => error.into(),
            InviteError::TokenRules => Self::new(code::INVITE_TOKEN_RULES, message),
            InviteError::TooMany { .. } => Self::new(code::INVITES_MAX, message),
            InviteError::NotFound => Self::new(code::INVITE_NOT_FOUND, message),
            InviteError::NoZone => Self::no_tenant(),
            InviteError::Fault(fault) => fault.into(),
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
                Self::new(import_code(&error), message).at(pointer)
            }
            AuthorityError::Known { .. } => {
                Self::new(code::AUTHORITY_KNOWN, message).at("/certificate")
            }
            AuthorityError::TooMany { .. } => Self::new(code::AUTHORITIES_MAX, message),
            AuthorityError::TooOften {
                retry_after_seconds,
                ..
            } => Self::new(code::RATE_LIMITED, message).retry_after(retry_after_seconds),
            AuthorityError::Busy { .. } => Self::too_many(message),
            AuthorityError::NoAccount => Self::no_tenant(),
            AuthorityError::Name(_) => Self::new(code::NAME_INVALID, message).at("/name"),
            AuthorityError::NotFound { .. } => Self::new(code::AUTHORITY_NOT_FOUND, message),
            AuthorityError::Late { .. } => {
                Self::new(code::AUTHORITY_NOT_ACKNOWLEDGED, message).at("/anyway")
            }
            AuthorityError::NotActivated { .. } => {
                Self::new(code::AUTHORITY_NOT_ACTIVATED, message)
            }
            AuthorityError::Active => Self::new(code::AUTHORITY_ACTIVE, message),
            AuthorityError::MayHaveValid { .. } => {
                Self::new(code::AUTHORITY_MAY_HAVE_VALID, message).at("/anyway")
            }
            AuthorityError::NoKey => Self::new(code::AUTHORITY_NO_KEY, message).at("/certificate"),
            AuthorityError::TooManyRequests { .. } => {
                Self::new(code::AUTHORITY_REQUESTS_MAX, message)
            }
            AuthorityError::NotValid { .. } => Self::new(code::AUTHORITY_CANNOT_SIGN, message),
            AuthorityError::Fault(fault) => fault.into(),
        }
    }
}

impl From<AdoptionError> for ApiError {
    fn from(error: AdoptionError) -> Self {
        let message = error.to_string();
        match error {
            AdoptionError::Count { .. } => {
                Self::new(code::ADOPTIONS_COUNT, message).at("/certificates")
            }
            AdoptionError::NoZone => Self::no_tenant(),
            AdoptionError::Fault(fault) => fault.into(),
        }
    }
}

/// Returns the code of the rejection of one of several certificates.
pub(crate) const fn adoption_code(error: &AdoptionLineError) -> Code {
    match error {
        AdoptionLineError::Certificate(error) => match error {
            AdoptError::NotOne(_) | AdoptError::PrivateKey => code::ADOPTION_NOT_ONE,
            AdoptError::Malformed(_) => code::ADOPTION_MALFORMED,
            AdoptError::Unsupported(_) => code::ADOPTION_UNSUPPORTED,
            AdoptError::NotClient(_) => code::ADOPTION_NOT_CLIENT,
            AdoptError::OtherAuthority { .. } => code::ADOPTION_OTHER_AUTHORITY,
            AdoptError::Signature { .. } => code::ADOPTION_SIGNATURE,
        },
        AdoptionLineError::NoAuthority => code::ADOPTION_OTHER_AUTHORITY,
        AdoptionLineError::SerialTaken => code::ADOPTION_SERIAL_TAKEN,
        AdoptionLineError::QuotaReached { .. } => code::QUOTA_REACHED,
    }
}

impl From<EnforcementPointError> for ApiError {
    fn from(error: EnforcementPointError) -> Self {
        let message = error.to_string();
        match error {
            EnforcementPointError::Name(_) => Self::new(code::NAME_INVALID, message).at("/name"),
            EnforcementPointError::Lease { .. } => Self::member("/lease_seconds", message),
            EnforcementPointError::CoversNothing => Self::member("/covers", message),
            EnforcementPointError::Forget { .. } => Self::member("/forget_seconds", message),
            EnforcementPointError::NegativeEpoch { .. } => Self::member("/epoch", message),
            EnforcementPointError::Ahead { .. } | EnforcementPointError::Skipped { .. } => {
                Self::new(code::EPOCH_AHEAD, message).at("/epoch")
            }
            EnforcementPointError::TooMany { .. } => {
                Self::new(code::ENFORCEMENT_POINTS_MAX, message)
            }
            EnforcementPointError::NotFound => {
                Self::new(code::ENFORCEMENT_POINT_NOT_FOUND, message)
            }
            EnforcementPointError::OfAnotherToken => {
                Self::new(code::ENFORCEMENT_POINT_OWNED, message)
            }
            EnforcementPointError::Fault(fault) => fault.into(),
        }
    }
}

impl From<RevocationError> for ApiError {
    fn from(error: RevocationError) -> Self {
        match error {
            RevocationError::NotFound => Self::certificate_not_found(),
            RevocationError::Permanent => Self::new(
                code::REVOKED_FOR_GOOD,
                "The client certificate was revoked for a final reason (RFC 5280 §5.3.1): issue \
                 another one",
            ),
            // Revoking or restoring twice is the same as once: the client may repeat the request.
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
                Self::new(code::HOSTNAMES_TOO_MANY, message).at("/hostnames")
            }
            HostnamesError::Hostname { index, fault, .. } => {
                Self::new(hostname_code(&fault), message).at(format!("/hostnames/{index}"))
            }
            HostnamesError::NoCertificate => {
                Self::mtls_certificate_not_found().at("/mtls_certificate_id")
            }
            HostnamesError::NotAnAuthority => {
                Self::new(code::NOT_AN_AUTHORITY, message).at("/mtls_certificate_id")
            }
            HostnamesError::NoZone => Self::no_tenant(),
            HostnamesError::Fault(fault) => fault.into(),
        }
    }
}

impl From<MtlsCertificateError> for ApiError {
    fn from(error: MtlsCertificateError) -> Self {
        let message = error.to_string();
        match error {
            MtlsCertificateError::Chain(error) => {
                Self::new(chain_code(&error), message).at("/certificates")
            }
            MtlsCertificateError::Busy { .. } => Self::too_many(message),
            MtlsCertificateError::PrivateKey(error) => {
                Self::new(private_key_code(&error), message).at("/private_key")
            }
            MtlsCertificateError::KeyMismatch => {
                Self::new(code::PRIVATE_KEY_MISMATCH, message).at("/private_key")
            }
            MtlsCertificateError::LeafWithoutKey => {
                Self::new(code::PRIVATE_KEY_MISSING, message).at("/private_key")
            }
            MtlsCertificateError::Name(_) => Self::new(code::NAME_INVALID, message).at("/name"),
            MtlsCertificateError::Exists(_) => {
                Self::new(code::MTLS_CERTIFICATE_EXISTS, message).at("/certificates")
            }
            MtlsCertificateError::QuotaReached { .. } => {
                Self::new(code::MTLS_QUOTA_REACHED, message)
            }
            MtlsCertificateError::InUse { .. } => Self::new(code::MTLS_CERTIFICATE_IN_USE, message),
            MtlsCertificateError::NotFound => Self::mtls_certificate_not_found(),
            MtlsCertificateError::NoAccount => Self::no_tenant(),
            MtlsCertificateError::Fault(fault) => fault.into(),
        }
    }
}

fn hostname_code(fault: &HostnameFault) -> Code {
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
        let message = error.to_string();
        match error {
            TokenError::Invalid { pointer, reason } => Self::member(pointer, reason),
            TokenError::ExceedsOwn(_) => {
                Self::new(code::TOKEN_EXCEEDS_OWN, message).at("/policies")
            }
            TokenError::ExceedsRules => {
                Self::new(code::TOKEN_EXCEEDS_OWN, message).at("/issuance_rules")
            }
            TokenError::LastOne => Self::new(code::LAST_TOKEN, message),
            TokenError::NotEverything => Self::new(code::TOKEN_EXCEEDS_OWN, message),
            TokenError::WrongMasterKey => Self::internal(message),
            TokenError::NotFound => {
                let message = "API token not found: check the ID, or list the tokens of the user \
                               or account";
                Self::new(code::TOKEN_NOT_FOUND, message)
            }
            TokenError::Fault(fault) => fault.into(),
        }
    }
}

/// Translates an error about a zone; an account's differs only in one code.
pub(crate) fn zone_error(error: TenantError) -> ApiError {
    tenant_error(error, code::ZONE_EXISTS)
}

/// Translates an error about the user.
pub(crate) fn user_error(error: TenantError) -> ApiError {
    tenant_error(error, code::INVALID_MEMBER)
}

/// Translates an error about an account.
pub(crate) fn account_error(error: TenantError) -> ApiError {
    tenant_error(error, code::ACCOUNT_EXISTS)
}

fn tenant_error(error: TenantError, exists: Code) -> ApiError {
    let message = error.to_string();
    match error {
        TenantError::Name(_) => ApiError::new(code::NAME_INVALID, message).at("/name"),
        TenantError::Invalid { pointer, .. } => ApiError::member(pointer, message),
        TenantError::NameTaken(_) => ApiError::new(exists, message).at("/name"),
        TenantError::Neighbour(_) => ApiError::new(code::ZONE_NEIGHBOUR, message).at("/name"),
        TenantError::NotFound => ApiError::no_tenant(),
        TenantError::HasCertificates { .. } => ApiError::new(code::ZONE_IN_USE, message),
        TenantError::HasZones(_) | TenantError::HasMtlsCertificates(_) => {
            ApiError::new(code::ACCOUNT_IN_USE, message)
        }
        TenantError::Fault(fault) => fault.into(),
    }
}

fn chain_code(error: &ChainError) -> Code {
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
        ChainError::TooMany { .. } => code::BUNDLE_TOO_MANY,
        ChainError::SignatureAlgorithmUnsupported { .. } => code::BUNDLE_SIGNATURE_ALGORITHM,
        ChainError::Key { .. } | ChainError::KeyWeak { .. } => code::BUNDLE_KEY,
        ChainError::NotAuthority { .. } => code::BUNDLE_NOT_AUTHORITY,
        ChainError::SeveralChains { .. } | ChainError::Repeated { .. } => code::BUNDLE_CHAIN,
        ChainError::SignatureInvalid { .. } => code::BUNDLE_SIGNATURE_INVALID,
        ChainError::Expired { .. } => code::BUNDLE_EXPIRED,
    }
}

fn private_key_code(error: &PrivateKeyError) -> Code {
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

fn csr_code(error: &CsrError) -> Code {
    match error {
        CsrError::NoPem => code::CSR_NO_PEM,
        CsrError::SeveralPemBlocks => code::CSR_SEVERAL_PEM_BLOCKS,
        CsrError::PrivateKey => code::CSR_PRIVATE_KEY,
        CsrError::WrongPemLabel { .. } => code::CSR_WRONG_LABEL,
        CsrError::BadBase64 => code::CSR_BAD_BASE64,
        CsrError::Malformed { .. } => code::CSR_MALFORMED,
        CsrError::TrailingBytes => code::CSR_TRAILING_BYTES,
        CsrError::SignatureInvalid => code::CSR_SIGNATURE_INVALID,
        CsrError::SignatureAlgorithmUnsupported { .. } => code::CSR_SIGNATURE_ALGORITHM,
        CsrError::RsaModulusSize { .. } => code::CSR_RSA_MODULUS,
        CsrError::RsaExponent => code::CSR_RSA_EXPONENT,
        CsrError::CurveUnsupported { .. } => code::CSR_CURVE,
        CsrError::KeyUnsupported { .. } => code::CSR_KEY,
        CsrError::TooLarge { .. } => code::CSR_TOO_LARGE,
        CsrError::TextAround { .. } => code::CSR_TEXT_AROUND,
        CsrError::SubjectUnreadable { .. } => code::CSR_SUBJECT,
        CsrError::ControlCharacter { .. } => code::CSR_CONTROL_CHARACTER,
        CsrError::PointCompressed => code::CSR_POINT_COMPRESSED,
        CsrError::KeyInvalid { .. } => code::CSR_KEY_INVALID,
        CsrError::KeyWeak(_) => code::CSR_KEY_WEAK,
    }
}

fn import_code(error: &ImportError) -> Code {
    match error {
        ImportError::TooLarge { .. } => code::AUTHORITY_TOO_LARGE,
        ImportError::NoPem => code::AUTHORITY_NO_PEM,
        ImportError::Chain(
            error @ (ChainError::Key { .. } | ChainError::SignatureAlgorithmUnsupported { .. }),
        ) => chain_code(error),
        ImportError::Chain(_) => code::AUTHORITY_CHAIN,
        ImportError::Path(_) | ImportError::Above { .. } => code::AUTHORITY_PATH,
        ImportError::PrivateKeyInCertificate => code::AUTHORITY_PRIVATE_KEY,
        ImportError::WrongPemLabel { .. } => code::AUTHORITY_WRONG_LABEL,
        ImportError::Malformed { .. } => code::AUTHORITY_MALFORMED,
        ImportError::NotAuthority(_) => code::AUTHORITY_NOT_ONE,
        ImportError::NoCrlSign => code::AUTHORITY_NO_CRL_SIGN,
        ImportError::NotForClients => code::AUTHORITY_NOT_FOR_CLIENTS,
        ImportError::Expired { .. } => code::AUTHORITY_EXPIRED,
        ImportError::NotYetValid { .. } => code::AUTHORITY_NOT_YET_VALID,
        ImportError::KeyWeak(_) => code::AUTHORITY_KEY_WEAK,
        ImportError::Key(error) => private_key_code(error),
        ImportError::KeyMismatch => code::PRIVATE_KEY_MISMATCH,
        ImportError::Failed(_) => code::INTERNAL,
    }
}
