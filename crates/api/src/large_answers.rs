//! A limit for the memory of large answers that clients have not read yet.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, header};
use http_body::{Body as _, Frame, SizeHint};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::ApiError;

/// The size in KiB from which an answer is large: full pages of tokens, of uploaded certificates
/// and of audit logs. A page of certificates in parts counts with the size of a part.
const LARGE_KIB: u64 = 256;

/// The memory that an answer of unknown length holds at a time.
#[derive(Clone, Copy)]
pub(crate) struct PartKib(pub(crate) u64);

/// Memory for all large answers, in KiB: 96 MiB.
const LARGE_ANSWERS_KIB_MAX: usize = 96 * 1024;

/// The memory of large answers.
#[derive(Clone)]
pub(crate) struct LargeAnswers(Arc<Semaphore>);

impl LargeAnswers {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Semaphore::new(LARGE_ANSWERS_KIB_MAX)))
    }

    /// Returns the response if it is small or its memory is free, and an error otherwise.
    pub(crate) fn admit(&self, response: Response) -> Response {
        let kib = match response.extensions().get() {
            Some(PartKib(kib)) => *kib,
            None => response.body().size_hint().lower() >> 10,
        };
        // Files of the public responder are shared, so each is in memory once.
        let json = HeaderValue::from_static("application/json");
        if kib < LARGE_KIB || response.headers().get(header::CONTENT_TYPE) != Some(&json) {
            return response;
        }
        let permits = u32::try_from(kib).unwrap_or(u32::MAX);
        match self.0.clone().try_acquire_many_owned(permits) {
            Ok(permit) => response.map(|body| {
                Body::new(Admitted {
                    body,
                    permit: Arc::new(permit),
                })
            }),
            Err(_) => too_many().into_response(),
        }
    }

    /// Returns a reservation of no memory, for an answer whose length is not known before.
    pub(crate) fn reservation(&self) -> Reservation {
        Reservation {
            answers: self.clone(),
            permit: None,
        }
    }
}

/// Memory of one answer, until it is dropped.
pub(crate) struct Reservation {
    answers: LargeAnswers,
    permit: Option<OwnedSemaphorePermit>,
}

impl Reservation {
    /// Reserves more memory, unless other answers have it.
    pub(crate) fn grow(&mut self, octets: usize) -> Result<(), ApiError> {
        let kib = u32::try_from(octets.div_ceil(1024)).unwrap_or(u32::MAX);
        let more = self.answers.0.clone().try_acquire_many_owned(kib);
        let more = more.map_err(|_| too_many())?;
        match &mut self.permit {
            Some(permit) => permit.merge(more),
            None => self.permit = Some(more),
        }
        Ok(())
    }
}

fn too_many() -> ApiError {
    ApiError::too_many(
        "Other clients have not read their large answers yet: ask for smaller pages, or try again \
         later",
    )
}

/// A large answer.
struct Admitted {
    body: Body,
    permit: Arc<OwnedSemaphorePermit>,
}

/// Octets of a large answer, which give its memory back when they are sent: the connection holds
/// them longer than the body.
struct Octets {
    octets: Bytes,
    _permit: Arc<OwnedSemaphorePermit>,
}

impl AsRef<[u8]> for Octets {
    fn as_ref(&self) -> &[u8] {
        &self.octets
    }
}

impl http_body::Body for Admitted {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        let permit = &self.permit;
        polled.map_ok(|frame| {
            frame.map_data(|octets| {
                Bytes::from_owner(Octets {
                    octets,
                    _permit: permit.clone(),
                })
            })
        })
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use http_body_util::BodyExt;

    use super::*;
    use crate::response;

    #[tokio::test]
    async fn large_answers_are_limited_together_until_they_end() {
        let answers = LargeAnswers::new();
        let answer = |kib: usize| response::json(StatusCode::OK, vec![b' '; kib << 10]);
        let half = || answers.admit(answer(LARGE_ANSWERS_KIB_MAX / 2));
        let (first, second) = (half(), half());
        assert_eq!(
            (first.status(), second.status()),
            (StatusCode::OK, StatusCode::OK)
        );
        assert_eq!(half().status(), StatusCode::TOO_MANY_REQUESTS);
        let mut in_parts = answer(1);
        in_parts.extensions_mut().insert(PartKib(LARGE_KIB));
        let refused = answers.admit(in_parts);
        assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
        let small = answers.admit(answer(LARGE_KIB as usize - 1));
        assert_eq!(small.status(), StatusCode::OK);
        let octets = first.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(half().status(), StatusCode::TOO_MANY_REQUESTS);
        drop(octets);
        assert_eq!(half().status(), StatusCode::OK);
    }

    #[test]
    fn a_reservation_grows_until_the_memory_is_used_and_gives_it_back() {
        let answers = LargeAnswers::new();
        let (mut one, mut other) = (answers.reservation(), answers.reservation());
        let half = LARGE_ANSWERS_KIB_MAX * 512;
        assert!(one.grow(half - 1).is_ok() && one.grow(half / 2).is_ok());
        assert!(other.grow(half).is_err(), "a quarter is left");
        assert!(other.grow(half / 2).is_ok());
        assert!(one.grow(1).is_err());
        drop(other);
        assert!(one.grow(half / 2).is_ok());
    }
}
