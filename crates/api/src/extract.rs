//! Extractors: what a handler's signature says has been proven.

use axum::RequestPartsExt;
use axum::extract::{FromRequestParts, OriginalUri, RawPathParams};
use certgate_authority::{AccountScope, Credential, Permission, Principal as Caller, UserScope, ZoneScope};
use certgate_model::{AccountId, CertificateId, MtlsCertificateId, TokenId, ZoneId};
use http::request::Parts;
use http::{HeaderMap, header};

use crate::error::ApiError;
use crate::{Api, PeerAddress, code};

/// A valid token.
pub(crate) struct Principal(pub(crate) Caller);

/// Who the request says it comes from, not looked up yet.
pub(crate) fn credential(parts: &Parts) -> Result<Credential<'_>, ApiError> {
    let token_value = token_value(&parts.headers)?;
    let peer = parts.extensions.get::<PeerAddress>();
    let peer = peer.ok_or_else(|| ApiError::internal("the listener gave no address".to_owned()))?.0;
    Ok(Credential { token_value, peer })
}

fn token_value(headers: &HeaderMap) -> Result<&str, ApiError> {
    let text = |name: &str| -> Result<Option<&str>, ApiError> {
        let Some(value) = headers.get(name) else { return Ok(None) };
        let text = value.to_str().map_err(|_| ApiError::malformed_authorization())?.trim();
        // SDKs send the headers of the credentials they do not have, empty.
        Ok(Some(text).filter(|text| !text.is_empty()))
    };
    let Some(authorization) = text(header::AUTHORIZATION.as_str())? else {
        // E-mail and key are both needed; no key is known to this server.
        return Err(match (text("x-auth-key")?, text("x-auth-email")?) {
            (Some(_), Some(_)) => ApiError::new(
                http::StatusCode::FORBIDDEN,
                code::UNKNOWN_KEY,
                "Unknown X-Auth-Key or X-Auth-Email; use an API token: Authorization: Bearer <token>",
            ),
            _ => ApiError::missing_credentials(),
        });
    };
    let (scheme, value) = authorization.split_once(' ').ok_or_else(ApiError::malformed_authorization)?;
    // RFC 6750 §2.1: b64token. Other visible characters are looked up as well and found to be unknown.
    if !scheme.eq_ignore_ascii_case("bearer")
        || value.is_empty()
        || !value.bytes().all(|b| b.is_ascii_graphic())
    {
        return Err(ApiError::malformed_authorization());
    }
    Ok(value)
}

impl FromRequestParts<Api> for Principal {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, ApiError> {
        Ok(Self(api.authority.authenticate(credential(parts)?).await?))
    }
}

impl<P: Permission> FromRequestParts<Api> for ScopeOf<ZoneScope<P>> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, ApiError> {
        let zone: ZoneId = path_id(parts, "zone_id").await?;
        let Principal(caller) = Principal::from_request_parts(parts, api).await?;
        Ok(Self(api.authority.zone_scope(&caller, zone).await?))
    }
}

impl<P: Permission> FromRequestParts<Api> for ScopeOf<AccountScope<P>> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, ApiError> {
        let account: AccountId = path_id(parts, "account_id").await?;
        let Principal(caller) = Principal::from_request_parts(parts, api).await?;
        Ok(Self(api.authority.account_scope(&caller, account).await?))
    }
}

impl<P: Permission> FromRequestParts<Api> for ScopeOf<UserScope<P>> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, ApiError> {
        let Principal(caller) = Principal::from_request_parts(parts, api).await?;
        Ok(Self(api.authority.user_scope(&caller).await?))
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
        text.parse().map(Self).map_err(|_| ApiError::certificate_not_found())
    }
}

/// The brought certificate the path names; one that cannot be an id is one that does not exist. Comes after the scope, like
/// [`CertificatePath`].
pub(crate) struct MtlsCertificatePath(pub(crate) MtlsCertificateId);

impl FromRequestParts<Api> for MtlsCertificatePath {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &Api) -> Result<Self, ApiError> {
        let text = path_parameter(parts, "mtls_certificate_id").await?;
        text.parse().map(Self).map_err(|_| ApiError::mtls_certificate_not_found())
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
    let found = parts.extract::<RawPathParams>().await.ok().and_then(|parameters| {
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
