//! Bodies on their way through the gateway.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::Instant;

use super::forwarded;
use super::table::Unread;

/// The progress of a request's body, for the limits of its time and size.
#[derive(Debug)]
pub struct Progress {
    begin: Instant,
    /// Milliseconds after the begin.
    moved: AtomicU64,
    awaits_client: AtomicBool,
    is_complete: AtomicBool,
    is_too_large: AtomicBool,
}

impl Progress {
    fn new(is_complete: bool) -> Arc<Self> {
        Arc::new(Self {
            begin: Instant::now(),
            moved: AtomicU64::new(0),
            awaits_client: AtomicBool::new(false),
            is_complete: AtomicBool::new(is_complete),
            is_too_large: AtomicBool::new(false),
        })
    }

    fn moves(&self) {
        let elapsed = self.begin.elapsed().as_millis();
        let elapsed = u64::try_from(elapsed).unwrap_or(u64::MAX);
        self.moved.store(elapsed, Ordering::Relaxed);
    }

    /// The instant of the last progress.
    pub fn moved(&self) -> Instant {
        self.begin + Duration::from_millis(self.moved.load(Ordering::Relaxed))
    }

    /// Returns true if the upstream has the complete request.
    pub fn is_complete(&self) -> bool {
        self.is_complete.load(Ordering::Relaxed)
    }

    /// Returns true if the client is slow, and not the upstream.
    pub fn awaits_client(&self) -> bool {
        self.awaits_client.load(Ordering::Relaxed)
    }

    /// Returns true if the body was larger than its limit.
    pub fn is_too_large(&self) -> bool {
        self.is_too_large.load(Ordering::Relaxed)
    }
}

/// The body of a request on its way to an upstream.
pub struct Forwarded {
    body: Option<Incoming>,
    octets_left: u64,
    progress: Arc<Progress>,
}

impl Forwarded {
    /// Limits a body. A body that is empty already has no length for the upstream.
    pub fn new(body: Incoming, octets_max: u64) -> Self {
        let is_empty = body.is_end_stream();
        Self {
            body: (!is_empty).then_some(body),
            octets_left: octets_max,
            progress: Progress::new(is_empty),
        }
    }

    /// A request without a body.
    pub fn empty() -> Self {
        Self {
            body: None,
            octets_left: 0,
            progress: Progress::new(true),
        }
    }

    /// The progress of this body.
    pub fn progress(&self) -> Arc<Progress> {
        self.progress.clone()
    }
}

/// The end of a body before its end.
#[derive(Debug)]
pub enum BodyError {
    /// The client sent something malformed, or nothing more.
    Client(hyper::Error),
    /// The body is larger than its limit.
    TooLarge,
}

impl fmt::Display for BodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Client(error) => write!(f, "the client ended the request: {error}"),
            Self::TooLarge => f.write_str("the body is larger than body_bytes"),
        }
    }
}

impl std::error::Error for BodyError {}

impl Body for Forwarded {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let Some(body) = &mut self.body else {
            return Poll::Ready(None);
        };
        let polled = Pin::new(&mut *body).poll_frame(context);
        let is_end = body.is_end_stream();
        let progress = self.progress.clone();
        progress
            .awaits_client
            .store(polled.is_pending(), Ordering::Relaxed);
        let Poll::Ready(frame) = polled else {
            return Poll::Pending;
        };
        progress.moves();
        if frame.is_none() || is_end {
            progress.is_complete.store(true, Ordering::Relaxed);
        }
        let Some(frame) = frame else {
            return Poll::Ready(None);
        };
        let mut frame = match frame {
            Ok(frame) => frame,
            Err(error) => return Poll::Ready(Some(Err(BodyError::Client(error)))),
        };
        if let Some(trailers) = frame.trailers_mut() {
            forwarded::strip(trailers);
        }
        if let Some(data) = frame.data_ref() {
            match self.octets_left.checked_sub(data.len() as u64) {
                Some(left) => self.octets_left = left,
                None => {
                    progress.is_too_large.store(true, Ordering::Relaxed);
                    return Poll::Ready(Some(Err(BodyError::TooLarge)));
                }
            }
        }
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body
            .as_ref()
            .map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

/// The body of an answer, with a value that is dropped after its end.
pub struct Answered<T> {
    content: Content,
    /// Dropped after the last frame, and learns of a complete end.
    kept: Option<T>,
    /// Known after the first frame of several.
    unread: Option<Arc<Unread>>,
}

enum Content {
    Text(Option<Bytes>),
    Upstream(Incoming),
}

/// The end of an answer.
pub trait Ends {
    /// The answer has ended, and everything was sent.
    fn complete(self);

    /// A part of the answer waits until the client reads.
    fn awaits_reader(&self, unread: &mut Option<Arc<Unread>>);
}

impl<T: Ends> Answered<T> {
    /// A text of the gateway itself.
    pub fn text(text: impl Into<Bytes>, kept: T) -> Self {
        let text = text.into();
        Self::new(Content::Text((!text.is_empty()).then_some(text)), kept)
    }

    /// No body, for an answer after which the connection has another protocol.
    pub fn empty() -> Self {
        Self {
            content: Content::Text(None),
            kept: None,
            unread: None,
        }
    }

    /// The body of an upstream's answer.
    pub fn upstream(body: Incoming, kept: T) -> Self {
        Self::new(Content::Upstream(body), kept)
    }

    fn new(content: Content, kept: T) -> Self {
        let kept = match content.is_end() {
            // hyper asks for no frame of an empty body, such as that of a 304.
            true => {
                kept.complete();
                None
            }
            false => Some(kept),
        };
        Self {
            content,
            kept,
            unread: None,
        }
    }
}

impl<T: Ends + Unpin> Body for Answered<T> {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let this = &mut *self;
        if let Some(unread) = &this.unread {
            unread.was_read();
        }
        let polled = match &mut this.content {
            Content::Text(text) => Poll::Ready(text.take().map(|text| Ok(Frame::data(text)))),
            Content::Upstream(body) => Pin::new(body).poll_frame(context),
        };
        let is_end = match &polled {
            Poll::Pending | Poll::Ready(Some(Err(_))) => false,
            Poll::Ready(None) => true,
            Poll::Ready(Some(Ok(_))) => this.content.is_end(),
        };
        if is_end && let Some(kept) = this.kept.take() {
            kept.complete();
        }
        // hyper asks for the next frame after the client has room for it.
        if let (Poll::Ready(Some(Ok(_))), Some(kept)) = (&polled, &this.kept) {
            kept.awaits_reader(&mut this.unread);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.content.is_end()
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Text(text) => {
                SizeHint::with_exact(text.as_ref().map_or(0, |text| text.len() as u64))
            }
            Content::Upstream(body) => body.size_hint(),
        }
    }
}

impl Content {
    fn is_end(&self) -> bool {
        match self {
            Self::Text(text) => text.is_none(),
            Self::Upstream(body) => body.is_end_stream(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Counted(Arc<AtomicU64>);

    impl Ends for Counted {
        fn complete(self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }

        fn awaits_reader(&self, _: &mut Option<Arc<Unread>>) {}
    }

    #[tokio::test]
    async fn an_answer_is_complete_after_its_last_frame_or_without_any() {
        use http_body_util::BodyExt;
        let completed = Arc::new(AtomicU64::new(0));
        let empty = Answered::text("", Counted(completed.clone()));
        assert!(empty.is_end_stream());
        drop(empty);
        assert_eq!(completed.load(Ordering::Relaxed), 1, "no frame is read");

        drop(Answered::text("text", Counted(completed.clone())));
        assert_eq!(completed.load(Ordering::Relaxed), 1, "it was not sent");
        let text = Answered::text("text", Counted(completed.clone()));
        assert_eq!(text.collect().await.unwrap().to_bytes(), "text");
        assert_eq!(completed.load(Ordering::Relaxed), 2);
    }
}
