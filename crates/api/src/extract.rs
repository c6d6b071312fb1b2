//! Extractors: what a handler's signature says has been proven.

use std::ops::RangeInclusive;

use axum::RequestPartsExt;
use axum::extract::{FromRequestParts, OriginalUri, RawPathParams};
use certgate_model::{
    AccountId, CertificateId, EnforcementPointId, MtlsCertificateId, TokenId, ZoneId,
};
use certgate_service::{
    self as rules, AccountScope, Credential, EnforcementPointError, IdempotencyKey, Permission,
    Secret, UserScope, ZoneScope,
};
use http::request::Parts;
use http::{HeaderMap, header};

use crate::error::ApiError;
use crate::{Api, PeerAddress};

/// How many characters an e-mail address can have (RFC 5321 §4.5.3.1.3).
const EMAIL_CHARACTERS_MAX: usize = 254;

/// How many hexadecimal digits an API key can have: Cloudflare's have from 37 on, ours 64.
const KEY_DIGITS: RangeInclusive<usize> = 37..=128;

/// The authenticated caller of a request.
pub(crate) struct Caller(pub(crate) rules::Caller);

/// Who the request says it comes from, not looked up yet.
pub(crate) fn credential<'a>(parts: &'a Parts, api: &Api) -> Result<Credential<'a>, ApiError> {
    let secret = secret(&parts.headers)?;
    let peer = parts.extensions.get::<PeerAddress>();
    let peer = peer
        .ok_or_else(|| ApiError::internal("the listener gave no address".to_owned()))?
        .0;
    Ok(Credential {
        secret,
        from: api.trusted_proxies.client_of(peer, &parts.headers),
    })
}

/// A token decides, if there is one: e-mail and key beside it are not read.
fn secret(headers: &HeaderMap) -> Result<Secret<'_>, ApiError> {
    let text = |name: &str, malformed: fn() -> ApiError| -> Result<Option<&str>, ApiError> {
        let Some(value) = headers.get(name) else {
            return Ok(None);
        };
        let text = value.to_str().map_err(|_| malformed())?.trim();
        // SDKs send the headers of the credentials they do not have, empty.
        Ok(Some(text).filter(|text| !text.is_empty()))
    };
    if let Some(authorization) = text(
        header::AUTHORIZATION.as_str(),
        ApiError::malformed_authorization,
    )? {
        return token_value(authorization).map(Secret::Token);
    }
    let key = text("x-auth-key", ApiError::malformed_key)?;
    let email = text("x-auth-email", ApiError::malformed_email)?;
    // Both are needed.
    let (Some(key), Some(email)) = (key, email) else {
        return Err(ApiError::missing_credentials());
    };
    if !KEY_DIGITS.contains(&key.len()) || !key.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(ApiError::malformed_key());
    }
    if email.len() > EMAIL_CHARACTERS_MAX || !email.contains('@') {
        return Err(ApiError::malformed_email());
    }
    Ok(Secret::ApiKey { email, key })
}

fn token_value(authorization: &str) -> Result<&str, ApiError> {
    let (scheme, value) = authorization
        .split_once(' ')
        .ok_or_else(ApiError::malformed_authorization)?;
    // RFC 6750 §2.1: b64token. Other visible characters are looked up as well and found to be unknown.
    if !scheme.eq_ignore_ascii_case("bearer")
        || value.is_empty()
        || !value.bytes().all(|b| b.is_ascii_graphic())
    {
        return Err(ApiError::malformed_authorization());
    }
    Ok(value)
}

impl FromRequestParts<Api> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, ApiError> {
        Ok(Self(
            api.service
                .access
                .authenticate(credential(parts, api)?)
                .await?,
        ))
    }
}

impl<P: Permission> FromRequestParts<Api> for ScopeOf<ZoneScope<P>> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, ApiError> {
        let zone: ZoneId = path_id(parts, "zone_id").await?;
        let Caller(caller) = Caller::from_request_parts(parts, api).await?;
        Ok(Self(api.service.access.zone_scope(&caller, zone).await?))
    }
}

impl<P: Permission> FromRequestParts<Api> for ScopeOf<AccountScope<P>> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, ApiError> {
        let account: AccountId = path_id(parts, "account_id").await?;
        let Caller(caller) = Caller::from_request_parts(parts, api).await?;
        Ok(Self(
            api.service.access.account_scope(&caller, account).await?,
        ))
    }
}

impl<P: Permission> FromRequestParts<Api> for ScopeOf<UserScope<P>> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, ApiError> {
        let Caller(caller) = Caller::from_request_parts(parts, api).await?;
        Ok(Self(api.service.access.user_scope(&caller).await?))
    }
}

/// What the client calls its request, if it says so (draft-ietf-httpapi-idempotency-key-header). Whatever is sent is the key, quotation
/// marks included.
pub(crate) struct RequestKey(pub(crate) Option<IdempotencyKey>);

impl FromRequestParts<Api> for RequestKey {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &Api) -> Result<Self, ApiError> {
        let mut values = parts.headers.get_all("idempotency-key").into_iter();
        let Some(value) = values.next() else {
            return Ok(Self(None));
        };
        let key = value
            .to_str()
            .ok()
            .and_then(|text| IdempotencyKey::new(text.trim()));
        match key.filter(|_| values.next().is_none()) {
            Some(key) => Ok(Self(Some(key))),
            None => Err(ApiError::malformed_idempotency_key()),
        }
    }
}

/// A proof made by the authority, extracted.
pub(crate) struct ScopeOf<S>(pub(crate) S);

/// The certificate the path names; one that cannot be an id is one that does not exist. Comes after the scope in a
/// handler's signature, so that nothing is said to somebody without permission.
pub(crate) struct CertificatePath(pub(crate) CertificateId);

impl FromRequestParts<Api> for CertificatePath {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &Api) -> Result<Self, ApiError> {
        let text = path_parameter(parts, "client_certificate_id").await?;
        text.parse()
            .map(Self)
            .map_err(|_| ApiError::certificate_not_found())
    }
}

/// The brought certificate the path names; one that cannot be an id is one that does not exist. Comes after the scope, like
/// [`CertificatePath`].
pub(crate) struct MtlsCertificatePath(pub(crate) MtlsCertificateId);

impl FromRequestParts<Api> for MtlsCertificatePath {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &Api) -> Result<Self, ApiError> {
        let text = path_parameter(parts, "mtls_certificate_id").await?;
        text.parse()
            .map(Self)
            .map_err(|_| ApiError::mtls_certificate_not_found())
    }
}

/// The enforcement point the path names; one that cannot be an id is one that does not exist.
pub(crate) struct EnforcementPointPath(pub(crate) EnforcementPointId);

impl FromRequestParts<Api> for EnforcementPointPath {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &Api) -> Result<Self, ApiError> {
        let text = path_parameter(parts, "enforcement_point_id").await?;
        text.parse()
            .map(Self)
            .map_err(|_| EnforcementPointError::NotFound.into())
    }
}

/// The token the path names.
pub(crate) struct TokenPath(pub(crate) TokenId);

impl FromRequestParts<Api> for TokenPath {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &Api) -> Result<Self, ApiError> {
        path_id(parts, "token_id").await.map(Self)
    }
}

async fn path_id<T: std::str::FromStr>(parts: &mut Parts, name: &str) -> Result<T, ApiError> {
    match path_parameter(parts, name).await?.parse() {
        Ok(id) => Ok(id),
        Err(_) => Err(no_route(parts).await),
    }
}

async fn path_parameter(parts: &mut Parts, name: &str) -> Result<String, ApiError> {
    let found = parts
        .extract::<RawPathParams>()
        .await
        .ok()
        .and_then(|parameters| {
            let found = parameters.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| value.to_owned())
        });
    match found {
        Some(value) => Ok(value),
        // Not UTF-8 after percent-decoding.
        None => Err(no_route(parts).await),
    }
}

async fn no_route(parts: &mut Parts) -> ApiError {
    let OriginalUri(uri) = match parts.extract::<OriginalUri>().await {
        Ok(uri) => uri,
        Err(never) => match never {},
    };
    ApiError::no_route(uri.path())
}
