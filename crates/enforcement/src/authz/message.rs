//! The messages of Envoy's `envoy.service.auth.v3.Authorization/Check`, with the fields that are
//! read or written here, and their framing in gRPC.
//!
//! Numbers and types are those of `envoy/service/auth/v3/external_auth.proto`,
//! `attribute_context.proto`, `envoy/config/core/v3/base.proto` and `google/rpc/status.proto`.

use std::collections::HashMap;

use bytes::{BufMut, Bytes, BytesMut};
use prost::Message;

/// The octets before a message: a flag for compression, and the length (gRPC over HTTP/2,
/// "Length-Prefixed-Message").
const PREFIX_BYTES: usize = 5;

/// `CheckRequest`.
#[derive(Clone, PartialEq, Message)]
pub struct CheckRequest {
    /// The attributes.
    #[prost(message, optional, tag = "1")]
    pub attributes: Option<AttributeContext>,
}

/// `AttributeContext`.
#[derive(Clone, PartialEq, Message)]
pub struct AttributeContext {
    /// The client.
    #[prost(message, optional, tag = "1")]
    pub source: Option<Peer>,
    /// The request of the client.
    #[prost(message, optional, tag = "4")]
    pub request: Option<Request>,
}

/// `AttributeContext.Peer`.
#[derive(Clone, PartialEq, Message)]
pub struct Peer {
    /// The certificate: percent-encoded PEM.
    #[prost(string, tag = "5")]
    pub certificate: String,
}

/// `AttributeContext.Request`.
#[derive(Clone, PartialEq, Message)]
pub struct Request {
    /// The request.
    #[prost(message, optional, tag = "2")]
    pub http: Option<HttpRequest>,
}

/// `AttributeContext.HttpRequest`.
#[derive(Clone, PartialEq, Message)]
pub struct HttpRequest {
    /// The headers. Names are in lower case.
    #[prost(map = "string, string", tag = "3")]
    pub headers: HashMap<String, String>,
    /// `Host` or `:authority`.
    #[prost(string, tag = "5")]
    pub host: String,
    /// The headers, if Envoy has `encode_raw_headers`.
    #[prost(message, optional, tag = "13")]
    pub header_map: Option<HeaderValues>,
}

/// `HeaderMap`.
#[derive(Clone, PartialEq, Message)]
pub struct HeaderValues {
    /// The headers.
    #[prost(message, repeated, tag = "1")]
    pub headers: Vec<HeaderValue>,
}

/// `HeaderValue`.
#[derive(Clone, PartialEq, Message)]
pub struct HeaderValue {
    /// The name.
    #[prost(string, tag = "1")]
    pub key: String,
    /// The value.
    #[prost(string, tag = "2")]
    pub value: String,
}

/// `CheckResponse`.
#[derive(Clone, PartialEq, Message)]
pub struct CheckResponse {
    /// The result: only code 0 lets the request pass.
    #[prost(message, optional, tag = "1")]
    pub status: Option<Status>,
    /// The consequences.
    #[prost(oneof = "HttpResponse", tags = "2, 3")]
    pub http_response: Option<HttpResponse>,
}

/// `google.rpc.Status`.
#[derive(Clone, PartialEq, Message)]
pub struct Status {
    /// A code of gRPC.
    #[prost(int32, tag = "1")]
    pub code: i32,
}

/// `CheckResponse.http_response`.
#[derive(Clone, PartialEq, prost::Oneof)]
pub enum HttpResponse {
    /// The answer to the client.
    #[prost(message, tag = "2")]
    Denied(DeniedHttpResponse),
    /// Changes of the request.
    #[prost(message, tag = "3")]
    Ok(OkHttpResponse),
}

/// `DeniedHttpResponse`.
#[derive(Clone, PartialEq, Message)]
pub struct DeniedHttpResponse {
    /// The status.
    #[prost(message, optional, tag = "1")]
    pub status: Option<HttpStatus>,
    /// The headers.
    #[prost(message, repeated, tag = "2")]
    pub headers: Vec<HeaderValueOption>,
    /// The body.
    #[prost(string, tag = "3")]
    pub body: String,
}

/// `envoy.type.v3.HttpStatus`.
#[derive(Clone, PartialEq, Message)]
pub struct HttpStatus {
    /// The number.
    #[prost(int32, tag = "1")]
    pub code: i32,
}

/// `OkHttpResponse`.
#[derive(Clone, PartialEq, Message)]
pub struct OkHttpResponse {
    /// Headers to set.
    #[prost(message, repeated, tag = "2")]
    pub headers: Vec<HeaderValueOption>,
    /// Headers to remove, in lower case.
    #[prost(string, repeated, tag = "5")]
    pub headers_to_remove: Vec<String>,
}

/// `HeaderValueOption`.
#[derive(Clone, PartialEq, Message)]
pub struct HeaderValueOption {
    /// The header.
    #[prost(message, optional, tag = "1")]
    pub header: Option<HeaderValue>,
    /// `HeaderAppendAction`.
    #[prost(int32, tag = "3")]
    pub append_action: i32,
}

/// `OVERWRITE_IF_EXISTS_OR_ADD`.
const OVERWRITE: i32 = 2;

impl HeaderValueOption {
    /// Sets a header and replaces the client's.
    pub fn set(key: &str, value: &str) -> Self {
        Self {
            header: Some(HeaderValue {
                key: key.to_owned(),
                value: value.to_owned(),
            }),
            append_action: OVERWRITE,
        }
    }
}

/// Reads the only message of a request. [`None`]: it is compressed, incomplete or malformed.
pub fn unframe<M: Message + Default>(body: &[u8]) -> Option<M> {
    let (prefix, message) = body.split_at_checked(PREFIX_BYTES)?;
    let [0, length @ ..] = prefix else {
        return None;
    };
    let length = u32::from_be_bytes(length.try_into().ok()?);
    if usize::try_from(length).ok()? != message.len() {
        return None;
    }
    M::decode(message).ok()
}

/// Writes the only message of an answer.
pub fn frame(message: &impl Message) -> Bytes {
    let length = message.encoded_len();
    let mut framed = BytesMut::with_capacity(PREFIX_BYTES + length);
    framed.put_u8(0);
    framed.put_u32(u32::try_from(length).expect("an answer has a few headers"));
    message.encode(&mut framed).expect("the buffer grows");
    framed.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_read_as_it_was_written() {
        let request = CheckRequest {
            attributes: Some(AttributeContext {
                source: Some(Peer {
                    certificate: "a".to_owned(),
                }),
                request: None,
            }),
        };
        let framed = frame(&request);
        assert_eq!(unframe(&framed), Some(request));
        for end in 0..framed.len() {
            assert_eq!(unframe::<CheckRequest>(&framed[..end]), None, "{end}");
        }
        let mut compressed = framed.to_vec();
        compressed[0] = 1;
        assert_eq!(unframe::<CheckRequest>(&compressed), None);
    }
}
