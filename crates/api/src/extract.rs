//! Extractors: they prove the rights in the signature of a handler.

use std::ops::RangeInclusive;

use axum::RequestPartsExt;
use axum::extract::path::ErrorKind;
use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequestParts, OptionalFromRequestParts, Path};
use certgate_service::{
    AccessError, AccountScope, AuthorityError, Caller, Credential, DeletePoints,
    EnforcementPointError, IdempotencyKey, InviteError, Permission, Secret, UserScope, ZoneScope,
};
use certgate_wire::{
    AccountPath, AccountTokenPath, ClientCertificatePath, EnforcementPointPath, InvitePath,
    ManagedAuthorityPath, ManagedAuthorityRequestPath, MembershipPath, MtlsCertificatePath,
    TokenPath, ZonePath,
};
use http::request::Parts;
use http::{HeaderMap, HeaderName, header};
use serde::de::DeserializeOwned;

use crate::code;
use crate::error::ApiError;
use crate::state::{Api, PeerAddress};

/// Characters of an e-mail address (RFC 5321 §4.5.3.1.3).
const EMAIL_CHARACTERS_MAX: usize = 254;

/// Hexadecimal digits of an API key: Cloudflare's have 37 or more, ours 37. Earlier versions of
/// certgate made keys of 64, which still work.
const KEY_DIGITS: RangeInclusive<usize> = 37..=128;

/// The headers that a request has once at most, and the messages for several. Of two, a proxy may
/// check one and the server another.
static SINGLE_HEADERS: [(HeaderName, &str); 4] = [
    (header::HOST, "The request has several Host headers"),
    (
        header::AUTHORIZATION,
        "The request has several Authorization headers",
    ),
    (
        HeaderName::from_static("x-auth-email"),
        "The request has several X-Auth-Email headers",
    ),
    (
        HeaderName::from_static("x-auth-key"),
        "The request has several X-Auth-Key headers",
    ),
];

/// Rejects a request that repeats a header whose value must be the only one (RFC 9110 §5.3,
/// RFC 9112 §3.2).
pub(crate) fn check_single_headers(headers: &HeaderMap) -> Result<(), ApiError> {
    for (name, message) in &SINGLE_HEADERS {
        if headers.get_all(name).iter().nth(1).is_some() {
            return Err(ApiError::malformed_header(code::REPEATED_HEADER, message));
        }
    }
    Ok(())
}

/// Returns the credential of the request, which is not verified yet.
pub(crate) fn credential<'a>(parts: &'a Parts, api: &Api) -> Result<Credential<'a>, ApiError> {
    let secret = secret(&parts.headers)?;
    let peer = parts.extensions.get::<PeerAddress>();
    let peer = peer.ok_or_else(|| ApiError::internal("the listener gave no address".to_owned()))?;
    Ok(Credential {
        secret,
        from: api.trusted_proxies.client_of(peer.0, &parts.headers),
    })
}

/// Reads the headers of credentials. A token decides if there is one: an e-mail address and a key
/// beside it are not read.
fn secret(headers: &HeaderMap) -> Result<Secret<'_>, ApiError> {
    let text = |name: &str, malformed: fn() -> ApiError| -> Result<Option<&str>, ApiError> {
        let Some(value) = headers.get(name) else {
            return Ok(None);
        };
        let text = value.to_str().map_err(|_| malformed())?.trim();
        // SDKs send empty headers for the credentials that they do not have.
        Ok(Some(text).filter(|text| !text.is_empty()))
    };
    if let Some(authorization) = text(header::AUTHORIZATION.as_str(), malformed_authorization)? {
        return token_value(authorization).map(Secret::Token);
    }
    let key = text("x-auth-key", malformed_key)?;
    let email = text("x-auth-email", malformed_email)?;
    let (Some(key), Some(email)) = (key, email) else {
        return Err(ApiError::missing_credentials());
    };
    if !KEY_DIGITS.contains(&key.len()) || !key.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(malformed_key());
    }
    if email.len() > EMAIL_CHARACTERS_MAX || !email.contains('@') {
        return Err(malformed_email());
    }
    Ok(Secret::ApiKey { email, key })
}

/// Reads `Bearer <token>`, with one or more spaces (RFC 9110 §11.4). RFC 6750 §2.1 allows fewer
/// characters; a token with other visible ones is looked up and found to be unknown.
fn token_value(authorization: &str) -> Result<&str, ApiError> {
    let (scheme, value) = authorization.split_once(' ').unwrap_or_default();
    let value = value.trim_start_matches(' ');
    let is_visible = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_graphic());
    match scheme.eq_ignore_ascii_case("bearer") && is_visible {
        true => Ok(value),
        false => Err(malformed_authorization()),
    }
}

fn malformed_authorization() -> ApiError {
    let message = "Invalid format for Authorization header";
    ApiError::malformed_header(code::AUTHORIZATION_FORMAT, message)
}

fn malformed_email() -> ApiError {
    let message = "Invalid format for X-Auth-Email header";
    ApiError::malformed_header(code::EMAIL_FORMAT, message)
}

fn malformed_key() -> ApiError {
    let message = "Invalid format for X-Auth-Key header";
    ApiError::malformed_header(code::KEY_FORMAT, message)
}

impl FromRequestParts<Api> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, ApiError> {
        let access = &api.service.access;
        Ok(access.authenticate(credential(parts, api)?).await?)
    }
}

impl<P: Permission> FromRequestParts<Api> for ZoneScope<P> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, ApiError> {
        let ZonePath { zone_id } = path(parts, no_route).await?;
        let caller = Caller::from_request_parts(parts, api).await?;
        let scope = api.service.access.zone_scope(&caller, zone_id.into());
        scope.await.map_err(|error| no_scope(parts, error))
    }
}

impl<P: Permission> FromRequestParts<Api> for AccountScope<P> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, ApiError> {
        let AccountPath { account_id } = path(parts, no_route).await?;
        let caller = Caller::from_request_parts(parts, api).await?;
        let scope = api.service.access.account_scope(&caller, account_id.into());
        scope.await.map_err(|error| no_scope(parts, error))
    }
}

/// The permission to delete all enforcement points suffices, or the one for those of the token.
impl FromRequestParts<Api> for DeletePoints {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, ApiError> {
        let AccountPath { account_id } = path(parts, no_route).await?;
        let caller = Caller::from_request_parts(parts, api).await?;
        let access = &api.service.access;
        match access.account_scope(&caller, account_id.into()).await {
            Ok(scope) => Ok(Self::All(scope)),
            Err(AccessError::Refused) => {
                let scope = access.account_scope(&caller, account_id.into()).await;
                Ok(Self::Own(scope.map_err(|error| no_scope(parts, error))?))
            }
            Err(error) => Err(no_scope(parts, error)),
        }
    }
}

impl<P: Permission> FromRequestParts<Api> for UserScope<P> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, ApiError> {
        let caller = Caller::from_request_parts(parts, api).await?;
        Ok(api.service.access.user_scope(&caller).await?)
    }
}

/// The client's name for its request (draft-ietf-httpapi-idempotency-key-header): the header's
/// value as it is, quotation marks included.
impl OptionalFromRequestParts<Api> for IdempotencyKey {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &Api) -> Result<Option<Self>, ApiError> {
        let mut values = parts.headers.get_all("idempotency-key").into_iter();
        let Some(value) = values.next() else {
            return Ok(None);
        };
        let text = value.to_str().ok().filter(|_| values.next().is_none());
        match text.and_then(|text| IdempotencyKey::new(text.trim())) {
            Some(key) => Ok(Some(key)),
            None => {
                let message = "Invalid format for Idempotency-Key header";
                Err(ApiError::malformed_header(
                    code::IDEMPOTENCY_KEY_FORMAT,
                    message,
                ))
            }
        }
    }
}

/// Makes extractors of paths. They come after the scope in a handler's signature, so that a caller
/// without permission learns nothing. A malformed ID is answered like an unknown one.
macro_rules! paths {
    ($($path:ty => $not_found:expr;)+) => {
        $(impl FromRequestParts<Api> for $path {
            type Rejection = ApiError;

            async fn from_request_parts(parts: &mut Parts, _: &Api) -> Result<Self, ApiError> {
                path(parts, $not_found).await
            }
        })+
    };
}

paths! {
    ClientCertificatePath => |_| ApiError::certificate_not_found();
    MtlsCertificatePath => |_| ApiError::mtls_certificate_not_found();
    EnforcementPointPath => |_| EnforcementPointError::NotFound.into();
    InvitePath => |_| InviteError::NotFound.into();
    ManagedAuthorityPath => |_| AuthorityError::NotFound { what: "managed CA" }.into();
    ManagedAuthorityRequestPath => |_| AuthorityError::NotFound { what: "request" }.into();
    TokenPath => no_route;
    AccountTokenPath => no_route;
    MembershipPath => no_route;
}

/// Returns the account in the path of a request whose handler makes no scope.
pub(crate) async fn account_path(parts: &mut Parts) -> Result<AccountPath, ApiError> {
    path(parts, no_route).await
}

async fn path<T: DeserializeOwned + Send + 'static>(
    parts: &mut Parts,
    malformed: impl FnOnce(&Parts) -> ApiError,
) -> Result<T, ApiError> {
    match parts.extract::<Path<T>>().await {
        Ok(Path(path)) => Ok(path),
        Err(PathRejection::FailedToDeserializePathParams(failure))
            if !matches!(failure.kind(), ErrorKind::InvalidUtf8InPathParam { .. }) =>
        {
            Err(malformed(parts))
        }
        Err(_) => Err(no_route(parts)),
    }
}

fn no_scope(parts: &Parts, error: AccessError) -> ApiError {
    match error {
        AccessError::NotFound => no_route(parts),
        other => other.into(),
    }
}

fn no_route(parts: &Parts) -> ApiError {
    ApiError::no_route(parts.uri.path())
}
