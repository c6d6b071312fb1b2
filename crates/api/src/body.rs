//! Request bodies: JSON that becomes a struct of `certgate-wire`.

use axum::extract::{FromRequest, Request};
use http::{HeaderMap, HeaderName, header};
use http_body::Body as _;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use zeroize::Zeroize;

use crate::code;
use crate::error::ApiError;
use crate::json;
use crate::state::Api;

/// The largest request body in bytes: four times the largest certificate signing request.
pub const BODY_BYTES_MAX: usize = 64 * 1024;

/// The largest body of a request with many certificates, in bytes: 1,000 with RSA keys of 4,096
/// bits, and text around them.
pub(crate) const LARGE_BODY_BYTES_MAX: usize = 4 * 1024 * 1024;

/// The byte order mark in UTF-8. Some programs for Windows begin each file with it, and RFC 8259
/// §8.1 lets a server skip it.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// A request body. A request without a body counts as `{}`.
pub(crate) struct Body<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<Api> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &Api) -> Result<Self, ApiError> {
        let value = read(request, BODY_BYTES_MAX).await?;
        parse(value.unwrap_or_else(|| Value::Object(Map::new()))).map(Self)
    }
}

/// A request body that clients may omit. `null` counts as absent.
pub(crate) struct OptionalBody<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<Api> for OptionalBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &Api) -> Result<Self, ApiError> {
        let value = read(request, BODY_BYTES_MAX)
            .await?
            .filter(|value| !value.is_null());
        parse(value.unwrap_or_else(|| Value::Object(Map::new()))).map(Self)
    }
}

/// A request body that must be there, because `{}` would change something.
pub(crate) struct RequiredBody<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<Api> for RequiredBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &Api) -> Result<Self, ApiError> {
        match read(request, BODY_BYTES_MAX).await? {
            Some(value) => parse(value).map(Self),
            None => {
                let message = "The body is missing: send a JSON object".to_owned();
                Err(ApiError::member("", message))
            }
        }
    }
}

/// A request body with many certificates, which must be there.
pub(crate) struct LargeBody<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<Api> for LargeBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &Api) -> Result<Self, ApiError> {
        let value = read(request, LARGE_BODY_BYTES_MAX).await?;
        parse(value.unwrap_or_else(|| Value::Object(Map::new()))).map(Self)
    }
}

/// Reads the JSON of a body of at most `most` bytes. [`None`]: the body is empty.
async fn read(request: Request, most: usize) -> Result<Option<Value>, ApiError> {
    // A client may announce a body that is too large: the server does not wait for it.
    if request.body().size_hint().lower() > most as u64 {
        return Err(too_large(most));
    }
    let is_encoded = is_encoded(request.headers());
    let body = Limited::new(request.into_body(), most);
    let bytes = match body.collect().await {
        Ok(collected) => collected.to_bytes(),
        Err(error) if error.is::<LengthLimitError>() => return Err(too_large(most)),
        Err(_) => {
            let message = "The body ended before it was complete: send the request again";
            return Err(ApiError::new(code::BODY_INCOMPLETE, message).at(""));
        }
    };
    if !bytes.is_empty() && is_encoded {
        return Err(ApiError::encoded_body());
    }
    let text = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&bytes);
    if text.iter().all(u8::is_ascii_whitespace) {
        return Ok(None);
    }
    serde_json::from_slice(text).map(Some).map_err(|error| {
        let message = match text {
            [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [0, _, ..] | [_, 0, ..] => {
                "The body is UTF-16 or UTF-32: send JSON in UTF-8 (RFC 8259 §8.1)".to_owned()
            }
            _ => format!("The body is not JSON: {error}"),
        };
        ApiError::new(code::MALFORMED_JSON, message).at("")
    })
}

/// Returns true if the body is compressed, or encoded in another way, for the content (RFC 9110
/// §8.4) or for the transfer (RFC 9112 §7).
fn is_encoded(headers: &HeaderMap) -> bool {
    let has_other = |name: HeaderName, plain: &str| {
        let values = headers.get_all(name).into_iter();
        let mut codings = values.flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
        codings.any(|coding| {
            let coding = coding.trim_ascii();
            !coding.is_empty() && !coding.eq_ignore_ascii_case(plain.as_bytes())
        })
    };
    has_other(header::CONTENT_ENCODING, "identity")
        || has_other(header::TRANSFER_ENCODING, "chunked")
}

fn too_large(most: usize) -> ApiError {
    let message = format!("The body is larger than {most} bytes: send less");
    ApiError::new(code::BODY_TOO_LARGE, message).at("")
}

fn parse<T: DeserializeOwned>(mut value: Value) -> Result<T, ApiError> {
    let read = json::read(&value);
    wipe(&mut value);
    read.map_err(|misfit| ApiError::member(misfit.pointer(), misfit.to_string()))
}

/// Wipes every text of the value: it may be a private key, also in a body that is refused. (The
/// HTTP library keeps the octets that came over the connection.)
fn wipe(value: &mut Value) {
    match value {
        Value::String(text) => text.zeroize(),
        Value::Array(items) => items.iter_mut().for_each(wipe),
        Value::Object(members) => members.values_mut().for_each(wipe),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
