//! The body of an answer.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use http_body::{Body, Frame, SizeHint};

/// A body that is complete from the start, with trailers for gRPC.
#[derive(Debug, Default)]
pub struct Complete {
    data: Option<Bytes>,
    trailers: Option<HeaderMap>,
}

impl Complete {
    /// A text.
    pub fn text(text: &'static str) -> Self {
        Self {
            data: (!text.is_empty()).then(|| Bytes::from_static(text.as_bytes())),
            trailers: None,
        }
    }

    /// A text that was made for this answer.
    pub fn owned(text: String) -> Self {
        Self {
            data: Some(Bytes::from(text)),
            trailers: None,
        }
    }

    /// A message of gRPC, with the status 0.
    pub fn message(framed: Bytes) -> Self {
        let status = (
            http::HeaderName::from_static("grpc-status"),
            HeaderValue::from_static("0"),
        );
        Self {
            data: Some(framed),
            trailers: Some(HeaderMap::from_iter([status])),
        }
    }
}

impl Body for Complete {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let data = self.data.take().map(Frame::data);
        let frame = data.or_else(|| self.trailers.take().map(Frame::trailers));
        Poll::Ready(frame.map(Ok))
    }

    fn is_end_stream(&self) -> bool {
        self.data.is_none() && self.trailers.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        let length = self.data.as_ref().map_or(0, Bytes::len);
        SizeHint::with_exact(u64::try_from(length).unwrap_or(u64::MAX))
    }
}
