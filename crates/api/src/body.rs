//! Reading a JSON body member by member, so that an error names the member and what it should be.

use std::borrow::Cow;

use axum::extract::{FromRequest, Request};
use http::StatusCode;
use http_body::Body as _;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use crate::error::ApiError;
use crate::{Api, code};

/// Largest request body, in bytes: four times the largest certificate signing request.
pub const BODY_BYTES_MAX: usize = 64 * 1024;

/// A body that is a JSON object, or none.
pub(crate) struct JsonBody {
    members: Map<String, Value>,
    /// Whether there was any.
    given: bool,
}

impl FromRequest<Api> for JsonBody {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &Api) -> Result<Self, ApiError> {
        Self::of(read(request).await?)
    }
}

/// A body that is a JSON object, `null`, or none.
pub(crate) enum NullableBody {
    Null,
    Body(JsonBody),
}

impl FromRequest<Api> for NullableBody {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &Api) -> Result<Self, ApiError> {
        match read(request).await? {
            Some(Value::Null) => Ok(Self::Null),
            other => JsonBody::of(other).map(Self::Body),
        }
    }
}

/// Reads the JSON of a body. [`None`]: the body is empty.
async fn read(request: Request) -> Result<Option<Value>, ApiError> {
    // What announces that it is too large is not waited for.
    if request.body().size_hint().lower() > BODY_BYTES_MAX as u64 {
        return Err(too_large());
    }
    let body = Limited::new(request.into_body(), BODY_BYTES_MAX);
    let bytes = match body.collect().await {
        Ok(collected) => collected.to_bytes(),
        Err(error) if error.is::<LengthLimitError>() => return Err(too_large()),
        Err(_) => {
            let message = "The body ended before it was complete";
            return Err(ApiError::bad_request(code::BODY_INCOMPLETE, message).at(""));
        }
    };
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Ok(None);
    }
    serde_json::from_slice(&bytes).map(Some).map_err(|error| {
        let message = format!("The body is not JSON: {error}");
        ApiError::bad_request(code::MALFORMED_JSON, message).at("")
    })
}

fn too_large() -> ApiError {
    let message = format!("The body is over {BODY_BYTES_MAX} bytes");
    ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, code::BODY_TOO_LARGE, message).at("")
}

impl JsonBody {
    fn of(value: Option<Value>) -> Result<Self, ApiError> {
        let (members, given) = match value {
            None => (Map::new(), false),
            Some(Value::Object(members)) => (members, true),
            Some(other) => {
                let message = format!("The body is {}: send a JSON object", kind(&other));
                return Err(ApiError::member("", message));
            }
        };
        Ok(Self { members, given })
    }

    /// The body, where none at all must not be taken for an empty object.
    pub(crate) fn given(self) -> Result<Self, ApiError> {
        match self.given {
            true => Ok(self),
            false => Err(ApiError::member(
                "",
                "The body is missing: send a JSON object".to_owned(),
            )),
        }
    }

    /// The members as an object at the root of the body.
    pub(crate) fn object(&self) -> Object<'_> {
        Object {
            members: &self.members,
            pointer: String::new(),
        }
    }

    /// Takes a secret out of the body, so that it is wiped when it has been used; an empty text is none. (The octets that
    /// came over the connection are the HTTP library's.)
    pub(crate) fn take_secret(
        &mut self,
        name: &str,
    ) -> Result<Option<Zeroizing<String>>, ApiError> {
        self.object().optional_string(name)?;
        Ok(match self.members.remove(name) {
            Some(Value::String(secret)) => {
                Some(Zeroizing::new(secret)).filter(|secret| !secret.is_empty())
            }
            _ => None,
        })
    }
}

/// An object in the body, and where it stands there.
pub(crate) struct Object<'a> {
    members: &'a Map<String, Value>,
    pointer: String,
}

impl<'a> Object<'a> {
    /// JSON pointer (RFC 6901) to a member.
    pub(crate) fn pointer(&self, name: &str) -> String {
        format!(
            "{}/{}",
            self.pointer,
            name.replace('~', "~0").replace('/', "~1")
        )
    }

    /// The member, unless it is absent or null.
    pub(crate) fn value(&self, name: &str) -> Option<&'a Value> {
        self.members.get(name).filter(|value| !value.is_null())
    }

    pub(crate) fn members(&self) -> impl Iterator<Item = (&'a String, &'a Value)> + use<'a> {
        self.members.iter()
    }

    pub(crate) fn string(&self, name: &str) -> Result<&'a str, ApiError> {
        self.optional_string(name)?
            .ok_or_else(|| self.missing(name, "a string"))
    }

    pub(crate) fn optional_string(&self, name: &str) -> Result<Option<&'a str>, ApiError> {
        self.value(name)
            .map(|value| {
                value
                    .as_str()
                    .ok_or_else(|| self.wrong(name, "a string", value))
            })
            .transpose()
    }

    /// A whole number; `1.0` is one too. One too large for 64 bits becomes the largest, which every rule refuses.
    pub(crate) fn integer(&self, name: &str) -> Result<i64, ApiError> {
        let expected = "a whole number";
        let value = self
            .value(name)
            .ok_or_else(|| self.missing(name, expected))?;
        let whole = |number: f64| (number.fract() == 0.0).then_some(number as i64);
        value
            .as_i64()
            .or_else(|| value.as_u64().map(|_| i64::MAX))
            .or_else(|| value.as_f64().and_then(whole))
            .ok_or_else(|| self.wrong(name, expected, value))
    }

    pub(crate) fn optional_boolean(&self, name: &str) -> Result<Option<bool>, ApiError> {
        let read = |value: &Value| {
            value
                .as_bool()
                .ok_or_else(|| self.wrong(name, "true or false", value))
        };
        self.value(name).map(read).transpose()
    }

    pub(crate) fn optional_object(&self, name: &str) -> Result<Option<Object<'a>>, ApiError> {
        self.value(name)
            .map(|value| object_at(self.pointer(name), value))
            .transpose()
    }

    /// The items of an array; none if it is absent.
    pub(crate) fn array(&self, name: &str) -> Result<&'a [Value], ApiError> {
        match self.value(name) {
            None => Ok(&[]),
            Some(Value::Array(items)) => Ok(items),
            Some(other) => Err(self.wrong(name, "an array", other)),
        }
    }

    /// The strings in an array; none if it is absent.
    pub(crate) fn strings(&self, name: &str) -> Result<Vec<String>, ApiError> {
        let read = |(index, value): (usize, &Value)| {
            value.as_str().map(str::to_owned).ok_or_else(|| {
                let message = format!("this is {}: send a string", kind(value));
                ApiError::member(format!("{}/{index}", self.pointer(name)), message)
            })
        };
        self.array(name)?.iter().enumerate().map(read).collect()
    }

    /// The objects in an array; none if it is absent.
    pub(crate) fn objects(&self, name: &str) -> Result<Vec<Object<'a>>, ApiError> {
        let at = |index: usize| format!("{}/{index}", self.pointer(name));
        self.array(name)?
            .iter()
            .enumerate()
            .map(|(index, value)| object_at(at(index), value))
            .collect()
    }

    pub(crate) fn missing(&self, name: &str, expected: &str) -> ApiError {
        let message = format!("{name} is missing: send {expected}");
        ApiError::member(self.pointer(name), message)
    }

    fn wrong(&self, name: &str, expected: &str, given: &Value) -> ApiError {
        let message = format!("{name} is {}: send {expected}", kind(given));
        ApiError::member(self.pointer(name), message)
    }
}

fn object_at(pointer: String, value: &Value) -> Result<Object<'_>, ApiError> {
    match value {
        Value::Object(members) => Ok(Object { members, pointer }),
        other => {
            let message = format!("this is {}: send an object", kind(other));
            Err(ApiError::member(pointer, message))
        }
    }
}

fn kind(value: &Value) -> Cow<'static, str> {
    match value {
        Value::Null => "null".into(),
        Value::Bool(_) => "a boolean".into(),
        Value::Number(number) => format!("the number {number}").into(),
        Value::String(_) => "a string".into(),
        Value::Array(_) => "an array".into(),
        Value::Object(_) => "an object".into(),
    }
}
