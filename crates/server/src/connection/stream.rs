use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::places::Seat;

/// The most octets of a refused request that are read after its answer, so that closing the
/// connection does not reset it before the client has read the answer (RFC 9112 §9.6).
const REFUSED_BYTES_MAX: usize = 1024 * 1024;

/// Returns the answer to send instead of one that hyper has made itself, which has no body.
pub type Refusal = Box<dyn Fn(&[u8]) -> Vec<u8> + Send>;

/// The stream of a connection. It reports to the seat, and replaces the answers that hyper makes
/// itself: to heads that are malformed or too large.
pub struct Watched<S> {
    stream: S,
    seat: Arc<Seat>,
    refusal: Refusal,
    /// The rest of the answer in the place of hyper's.
    refused: Option<Vec<u8>>,
    /// The number of requests whose answers have left.
    answered: u64,
    is_unread: bool,
    /// Octets after a refused request.
    dropped: usize,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Watched<S> {
    /// Returns the stream of the connection on `seat`.
    pub fn new(stream: S, seat: Arc<Seat>, refusal: Refusal) -> Self {
        Self {
            stream,
            seat,
            refusal,
            refused: None,
            answered: 0,
            is_unread: false,
            dropped: 0,
        }
    }

    /// Returns true if all requests are answered, so that only hyper itself can have something to
    /// write.
    fn owes_nothing(&self) -> bool {
        self.answered == self.seat.requests()
    }

    fn poll_refuse(&mut self, context: &mut Context<'_>, head: &[u8]) -> Poll<io::Result<()>> {
        let text = self.refused.get_or_insert_with(|| (self.refusal)(head));
        while !text.is_empty() {
            let written = ready!(Pin::new(&mut self.stream).poll_write(context, text))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            text.drain(..written);
        }
        Poll::Ready(Ok(()))
    }

    fn note<T>(&mut self, polled: Poll<T>) -> Poll<T> {
        let is_unread = polled.is_pending();
        if is_unread != self.is_unread {
            self.is_unread = is_unread;
            self.seat.unread(is_unread);
        }
        polled
    }

    /// Reads and drops what the client still sends, until it closes the connection.
    fn poll_drop(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut octets = [0; 4096];
        while self.dropped < REFUSED_BYTES_MAX {
            let mut buffer = ReadBuf::new(&mut octets);
            match ready!(Pin::new(&mut self.stream).poll_read(context, &mut buffer)) {
                Ok(()) if !buffer.filled().is_empty() => self.dropped += buffer.filled().len(),
                _ => break,
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        if buffer.filled().len() > before {
            self.seat.received();
        }
        polled
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.owes_nothing() {
            ready!(self.poll_refuse(context, octets))?;
            return Poll::Ready(Ok(octets.len()));
        }
        let polled = Pin::new(&mut self.stream).poll_write(context, octets);
        self.note(polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.owes_nothing() {
            let octets: Vec<u8> = parts.iter().flat_map(|part| part.iter().copied()).collect();
            return self.poll_write(context, &octets);
        }
        let polled = Pin::new(&mut self.stream).poll_write_vectored(context, parts);
        self.note(polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_flush(context);
        ready!(self.note(polled))?;
        if !self.seat.is_answering() {
            self.answered = self.seat.requests();
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_shutdown(context))?;
        match self.refused {
            Some(_) => self.poll_drop(context),
            None => Poll::Ready(Ok(())),
        }
    }
}
