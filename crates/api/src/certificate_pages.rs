//! Pages of client certificates. A large page is read and sent in parts, so that a client that
//! reads slowly, or never, does not hold the whole page in memory.

use axum::body::{Body, Bytes};
use axum::response::Response;
use certgate_model::{CertificateId, CertificateQuery, CertificateRecord, Page, Slice, ZoneId};
use certgate_store::{CertificatesPart, StoreError};
use certgate_wire::ResultInfo;
use futures_util::stream;
use http::StatusCode;
use http_body::Frame;
use http_body_util::StreamBody;

use crate::envelope::{self, PageRequest};
use crate::error::ApiError;
use crate::large_answers::PartKib;
use crate::objects::client_certificate;
use crate::response;
use crate::state::Api;

/// Octets of certificates and requests at which a part ends: about 120 usual certificates, 300 kB
/// of JSON.
const PART_OCTETS: usize = 128 * 1024;

/// Memory of a page that is sent in parts, in KiB: the JSON of one part.
const PART_KIB: u64 = 300;

/// The most certificates of a page that are read at once. A usual part is not larger.
const PART_RECORDS_MAX: u32 = 128;

/// Answers with a page of the certificates of a zone.
pub(crate) async fn answer(
    api: &Api,
    zone: ZoneId,
    asked: PageRequest,
    query: CertificateQuery,
) -> Result<Response, ApiError> {
    let mut rest = Rest {
        api: api.clone(),
        zone,
        query,
        after: None,
        records: PART_RECORDS_MAX,
        count: 0,
    };
    let first = rest.next().await?;
    let after_first = first.total.saturating_sub(query.slice.first);
    let whole = after_first.min(u64::from(query.slice.size));
    if first.items.len() as u64 >= whole {
        return envelope::list(asked, &first, client_certificate);
    }
    let info = envelope::result_info(asked, &first);
    let (begin, _) = envelope::around_records(&info);
    let frame = written(begin.into_bytes(), &first.items, true)?;
    let state = Some((Some(frame), rest, info));
    let frames = stream::unfold(state, |state| async move {
        let (first, rest, info) = state?;
        if let Some(frame) = first {
            return Some((
                Ok(Frame::data(Bytes::from(frame))),
                Some((None, rest, info)),
            ));
        }
        let (frame, state) = match rest.frame(info).await {
            Ok((frame, rest)) => (Ok(Frame::data(Bytes::from(frame))), rest),
            // The answer breaks off, which the client notices.
            Err(error) => (Err(std::io::Error::other(error.message)), None),
        };
        Some((frame, state.map(|(rest, info)| (None, rest, info))))
    });
    let body = Body::new(StreamBody::new(Box::pin(frames)));
    let mut response = response::json(StatusCode::OK, body);
    response.extensions_mut().insert(PartKib(PART_KIB));
    Ok(response)
}

/// The records of a page that are not read yet.
struct Rest {
    api: Api,
    zone: ZoneId,
    query: CertificateQuery,
    after: Option<CertificateId>,
    /// The number of records to read at once.
    records: u32,
    /// The number of records so far.
    count: u32,
}

impl Rest {
    fn left(&self) -> u32 {
        self.query.slice.size - self.count
    }

    async fn next(&mut self) -> Result<Page<CertificateRecord>, StoreError> {
        let size = self.left().min(self.records);
        let part = CertificatesPart {
            query: CertificateQuery {
                status: self.query.status,
                slice: Slice {
                    first: self.query.slice.first,
                    size,
                },
            },
            after: self.after,
            octets_max: PART_OCTETS,
        };
        let page = self.api.store.certificates_part(self.zone, part).await?;
        let found = page.items.len() as u32;
        self.count += found;
        self.after = page.items.last().map(|record| record.id).or(self.after);
        // Records that are too many for a part are read in vain.
        if found < size {
            self.records = found.max(1);
        }
        Ok(page)
    }

    /// Returns the next records as text, and the rest after them if there is one.
    async fn frame(
        mut self,
        mut info: ResultInfo,
    ) -> Result<(Vec<u8>, Option<(Self, ResultInfo)>), ApiError> {
        let page = self.next().await?;
        let mut text = written(Vec::new(), &page.items, false)?;
        // The page is shorter if the status of a record changed since the first part.
        if page.items.is_empty() || self.left() == 0 {
            info.count = u64::from(self.count);
            let (_, end) = envelope::around_records(&info);
            text.extend_from_slice(end.as_bytes());
            return Ok((text, None));
        }
        Ok((text, Some((self, info))))
    }
}

/// Appends the JSON of records.
fn written(
    mut text: Vec<u8>,
    records: &[CertificateRecord],
    is_first: bool,
) -> Result<Vec<u8>, ApiError> {
    text.reserve(records.len() * envelope::ONE_BYTES);
    for (index, record) in records.iter().enumerate() {
        if index > 0 || !is_first {
            text.push(b',');
        }
        serde_json::to_writer(&mut text, &client_certificate(record))
            .map_err(|error| ApiError::internal(error.to_string()))?;
    }
    Ok(text)
}
