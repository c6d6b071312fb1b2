//! The binary form of the revoked certificates of an account: the serial numbers of each CA, sorted.
//!
//! All integers are big-endian. The document begins with `CGR1` and the epoch (8 octets). Each CA
//! follows: the octet 1, its ID (16 octets), and blocks. A block has the count of its serial numbers
//! (4 octets, 1 to 65,536) and the serial numbers (20 octets each), in ascending order over all
//! blocks of the CA. The count 0 ends the CA. The octet 0 and the number of all serial numbers
//! (8 octets) end the document. A document without this end is incomplete.

use std::io;
use std::vec::IntoIter;

use axum::body::{Body, Bytes};
use axum::response::Response;
use certgate_model::{AuthorityId, Timestamp};
use certgate_service::{AccountScope, FollowRevocations};
use futures_util::stream;
use http::{HeaderMap, header};
use http_body::Frame;
use http_body_util::StreamBody;

use crate::error::ApiError;
use crate::large_answers::Reservation;
use crate::response::typed;
use crate::state::Api;

/// The media type of the form.
pub(crate) const MEDIA_TYPE: &str = "application/vnd.certgate.revocations";

const MAGIC: [u8; 4] = *b"CGR1";

const AUTHORITY_FOLLOWS: u8 = 1;

const DOCUMENT_ENDS: u8 = 0;

/// Serial numbers of a block: 80 kB, which a slow client holds in memory. Readers accept 65,536.
const BLOCK_SERIALS: usize = 4_096;

/// Octets of a serial number.
const SERIAL_OCTETS: usize = 20;

/// Returns true if the request asks for the binary form (RFC 9110 §12.5.1). Every other request
/// gets lines of JSON.
pub(crate) fn is_accepted(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::ACCEPT).into_iter();
    let mut ranges = values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    ranges.any(|range| {
        let mut parts = range.split(';').map(str::trim);
        let is_named = parts
            .next()
            .is_some_and(|name| name.eq_ignore_ascii_case(MEDIA_TYPE));
        // A quality of zero: not acceptable.
        let weight = |part: &str| part.strip_prefix("q=").and_then(|text| text.parse().ok());
        is_named && parts.find_map(weight) != Some(0.0_f32)
    })
}

/// Answers with the revoked certificates that have not expired at `at`.
pub(crate) async fn answer(
    api: Api,
    scope: AccountScope<FollowRevocations>,
    at: Timestamp,
) -> Result<Response, ApiError> {
    // The epoch first: the changes after it complete the document.
    let epoch = api.service.feed.epoch(&scope).await?;
    let authorities = api.service.feed.authorities(&scope).await?;
    let mut document = Document {
        api,
        scope,
        at,
        authorities: authorities.into_iter(),
        current: None,
        total: 0,
        has_ended: false,
    };
    // The first CA before the head of the answer, so that it can be refused.
    let mut begin = [&MAGIC[..], &epoch.to_be_bytes()].concat();
    document.next_authority(&mut begin).await?;
    let state = (document, Some(begin));
    let frames = stream::unfold(state, |(mut document, begin)| async move {
        let octets = match begin {
            Some(begin) => Ok(begin),
            None => document.next().await?,
        };
        let frame = octets.map(|octets| Frame::data(Bytes::from(octets)));
        // The document breaks off, which the reader notices.
        document.has_ended |= frame.is_err();
        Some((
            frame.map_err(|error| io::Error::other(error.message)),
            (document, None),
        ))
    });
    Ok(typed(
        MEDIA_TYPE,
        Body::new(StreamBody::new(Box::pin(frames))),
    ))
}

/// A document of which a part is sent.
struct Document {
    api: Api,
    scope: AccountScope<FollowRevocations>,
    at: Timestamp,
    /// The CAs that are not read yet.
    authorities: IntoIter<AuthorityId>,
    current: Option<Serials>,
    total: u64,
    has_ended: bool,
}

/// The serial numbers of a CA.
struct Serials {
    sorted: Vec<[u8; SERIAL_OCTETS]>,
    /// The number of those that are sent.
    sent: usize,
    _memory: Reservation,
}

impl Document {
    /// Returns the next octets; [`None`] after the end.
    async fn next(&mut self) -> Option<Result<Vec<u8>, ApiError>> {
        if self.has_ended {
            return None;
        }
        let mut octets = Vec::new();
        if let Some(serials) = &mut self.current {
            let block = serials.next_block();
            self.total += block.len() as u64;
            octets.extend_from_slice(&(block.len() as u32).to_be_bytes());
            octets.extend(block.as_flattened());
            if !block.is_empty() {
                return Some(Ok(octets));
            }
        }
        let next = self.next_authority(&mut octets).await;
        Some(next.map(|()| octets))
    }

    /// Appends the beginning of the next CA, or the end of the document.
    async fn next_authority(&mut self, octets: &mut Vec<u8>) -> Result<(), ApiError> {
        // The memory of the CA before is free first.
        self.current = None;
        let Some(authority) = self.authorities.next() else {
            octets.push(DOCUMENT_ENDS);
            octets.extend_from_slice(&self.total.to_be_bytes());
            self.has_ended = true;
            return Ok(());
        };
        self.current = Some(self.read(authority).await?);
        octets.push(AUTHORITY_FOLLOWS);
        octets.extend_from_slice(authority.as_bytes());
        Ok(())
    }

    async fn read(&self, authority: AuthorityId) -> Result<Serials, ApiError> {
        let feed = &self.api.service.feed;
        let mut memory = self.api.large_answers().reservation();
        let mut serials: Vec<[u8; SERIAL_OCTETS]> = Vec::new();
        let mut after = None;
        loop {
            let (part, next) = feed
                .revoked_serials(&self.scope, authority, self.at, after)
                .await?;
            if serials.capacity() - serials.len() < part.len() {
                let more = part.len().max(serials.len() / 4);
                memory.grow(more * SERIAL_OCTETS)?;
                serials.reserve_exact(more);
            }
            serials.extend(part.iter().map(|serial| *serial.as_bytes()));
            match next {
                Some(_) => after = next,
                None => break,
            }
        }
        // A million takes a tenth of a second.
        let sorting = tokio::task::spawn_blocking(move || {
            serials.sort_unstable();
            serials
        });
        let sorted = sorting.await;
        let sorted = sorted.map_err(|error| ApiError::internal(error.to_string()))?;
        Ok(Serials {
            sorted,
            sent: 0,
            _memory: memory,
        })
    }
}

impl Serials {
    fn next_block(&mut self) -> &[[u8; SERIAL_OCTETS]] {
        let rest = &self.sorted[self.sent..];
        let block = &rest[..rest.len().min(BLOCK_SERIALS)];
        self.sent += block.len();
        block
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_binary_form_must_be_asked_for() {
        let accepts = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(header::ACCEPT, value.parse().unwrap());
            }
            is_accepted(&headers)
        };
        let name = MEDIA_TYPE;
        for accepted in [
            vec![name],
            vec!["text/html", name],
            vec!["*/*;q=0.1, application/VND.certgate.revocations ; q=0.5"],
        ] {
            assert!(accepts(&accepted), "{accepted:?}");
        }
        for other in [
            vec![],
            vec!["*/*"],
            vec!["application/*"],
            vec!["application/x-ndjson"],
            vec!["application/vnd.certgate.revocations;q=0"],
            vec!["application/vnd.certgate.revocations2"],
        ] {
            assert!(!accepts(&other), "{other:?}");
        }
    }

    #[test]
    fn the_blocks_of_a_ca_have_each_serial_number_once_and_end_with_an_empty_one() {
        use crate::large_answers::LargeAnswers;

        let counts = [0, 1, BLOCK_SERIALS, BLOCK_SERIALS + 1, 60_000];
        for count in counts {
            let serial = |n: usize| {
                let mut serial = [0; SERIAL_OCTETS];
                serial[12..].copy_from_slice(&(n as u64).to_be_bytes());
                serial
            };
            let all: Vec<_> = (0..count).map(serial).collect();
            let mut serials = Serials {
                sorted: all.clone(),
                sent: 0,
                _memory: LargeAnswers::new().reservation(),
            };
            let mut sent = Vec::new();
            loop {
                let block = serials.next_block();
                assert!(block.len() <= BLOCK_SERIALS);
                if block.is_empty() {
                    break;
                }
                sent.extend_from_slice(block);
            }
            assert_eq!(sent, all, "{count}");
        }
    }
}
