//! Pages of client certificates. A large page is read and sent in parts, so that a client that
//! reads slowly, or never, does not hold the whole page in memory.

use axum::body::{Body, Bytes};
use axum::response::Response;
use certgate_model::{
    CertificateFilter, CertificateId, CertificateQuery, CertificateRecord, Slice, ZoneId,
};
use certgate_store::CertificatesPart;
use certgate_wire::{Message, ResultInfo};
use futures_util::stream;
use http::StatusCode;
use http_body::Frame;
use http_body_util::StreamBody;

use crate::certificate_search;
use crate::envelope::{self, PageRequest};
use crate::error::ApiError;
use crate::large_answers::PartKib;
use crate::objects::client_certificate;
use crate::query::certificates::CertificateList;
use crate::response;
use crate::state::Api;

/// Octets of certificates and requests at which a part ends: about 120 usual certificates, 300 kB
/// of JSON.
const PART_OCTETS: usize = 128 * 1024;

/// Memory of a page that is sent in parts, in KiB: the JSON of one part.
const PART_KIB: u64 = 300;

/// The most certificates of a page that are read at once. A usual part is not larger.
const PART_RECORDS_MAX: u32 = 128;

/// The beginning of a page.
pub(crate) struct Begin {
    pub(crate) records: Vec<CertificateRecord>,
    pub(crate) info: ResultInfo,
    pub(crate) messages: Vec<Message<'static>>,
    pub(crate) source: Source,
}

/// The place that the rest of a page comes from.
pub(crate) enum Source {
    /// The certificates of a status after the last one, at most so many.
    Status {
        query: CertificateQuery,
        after: Option<CertificateId>,
        left: u32,
        /// The number of records to read at once.
        records: u32,
    },
    /// The certificates with these IDs, without those that do not match any more.
    Found {
        ids: Vec<CertificateId>,
        filter: Box<CertificateFilter>,
    },
}

/// Answers with a page of the certificates of a zone.
pub(crate) async fn answer(
    api: &Api,
    zone: ZoneId,
    list: CertificateList,
) -> Result<Response, ApiError> {
    let begin = match list {
        CertificateList::Status(asked, query) => by_status(api, zone, asked, query).await?,
        CertificateList::Search(asked, request) => {
            certificate_search::begin(api, zone, asked, request).await?
        }
    };
    let Begin {
        records,
        mut info,
        messages,
        source,
    } = begin;
    info.count = records.len() as u64;
    if source.is_empty() {
        return envelope::list_with_messages(&records, info, messages, client_certificate);
    }
    let (begin, _) = envelope::around_records(&info, messages);
    let frame = written(begin.into_bytes(), &records, true)?;
    let rest = Rest {
        api: api.clone(),
        zone,
        source,
        info,
    };
    let frames = stream::unfold(Some((Some(frame), rest)), |state| async move {
        let (first, rest) = state?;
        if let Some(frame) = first {
            return Some((Ok(Frame::data(Bytes::from(frame))), Some((None, rest))));
        }
        Some(match rest.frame().await {
            Ok((frame, rest)) => (
                Ok(Frame::data(Bytes::from(frame))),
                rest.map(|rest| (None, rest)),
            ),
            // The answer breaks off, which the client notices.
            Err(error) => (Err(std::io::Error::other(error.message)), None),
        })
    });
    let body = Body::new(StreamBody::new(Box::pin(frames)));
    let mut response = response::json(StatusCode::OK, body);
    response.extensions_mut().insert(PartKib(PART_KIB));
    Ok(response)
}

/// Reads the beginning of a page of the certificates in a status.
async fn by_status(
    api: &Api,
    zone: ZoneId,
    asked: PageRequest,
    query: CertificateQuery,
) -> Result<Begin, ApiError> {
    let mut source = Source::Status {
        query,
        after: None,
        left: query.slice.size,
        records: PART_RECORDS_MAX,
    };
    let (records, total) = source.next_of_status(api, zone).await?;
    let whole = total.saturating_sub(query.slice.first);
    if records.len() as u64 >= whole {
        source = Source::end();
    }
    Ok(Begin {
        records,
        info: envelope::result_info(asked, total),
        messages: Vec::new(),
        source,
    })
}

impl Source {
    /// Makes the end of a page.
    pub(crate) fn end() -> Self {
        Self::Found {
            ids: Vec::new(),
            filter: Box::default(),
        }
    }

    fn is_empty(&self) -> bool {
        match self {
            Self::Status { left, .. } => *left == 0,
            Self::Found { ids, .. } => ids.is_empty(),
        }
    }

    /// Returns the next records; none at the end.
    async fn next(&mut self, api: &Api, zone: ZoneId) -> Result<Vec<CertificateRecord>, ApiError> {
        match self {
            Self::Status { .. } => Ok(self.next_of_status(api, zone).await?.0),
            Self::Found { ids, filter } => {
                let read = api.store.certificates_by_ids(zone, ids.clone()).await?;
                let last = read.last().map(|record| record.id);
                let read_ids = ids.iter().position(|id| Some(*id) == last);
                ids.drain(..read_ids.map_or(ids.len(), |place| place + 1));
                let matching = read.into_iter().filter(|record| filter.matches(record));
                Ok(matching.collect())
            }
        }
    }

    /// Returns the next records of a list by status, and the length of the list.
    async fn next_of_status(
        &mut self,
        api: &Api,
        zone: ZoneId,
    ) -> Result<(Vec<CertificateRecord>, u64), ApiError> {
        let Self::Status {
            query,
            after,
            left,
            records,
        } = self
        else {
            return Ok((Vec::new(), 0));
        };
        let size = (*left).min(*records);
        let part = CertificatesPart {
            query: CertificateQuery {
                status: query.status,
                slice: Slice {
                    first: query.slice.first,
                    size,
                },
            },
            after: *after,
            octets_max: PART_OCTETS,
        };
        let page = api.store.certificates_part(zone, part).await?;
        let found = page.items.len() as u32;
        // The page is shorter if the status of a record changed since the first part.
        *left = if found == 0 { 0 } else { *left - found };
        *after = page.items.last().map(|record| record.id).or(*after);
        // Records that are too many for a part are read in vain.
        if found < size {
            *records = found.max(1);
        }
        Ok((page.items, page.total))
    }
}

/// The records of a page that are not read yet.
struct Rest {
    api: Api,
    zone: ZoneId,
    source: Source,
    info: ResultInfo,
}

impl Rest {
    /// Returns the next records as text, and the rest after them if there is one.
    async fn frame(mut self) -> Result<(Vec<u8>, Option<Self>), ApiError> {
        let records = self.source.next(&self.api, self.zone).await?;
        let is_first = self.info.count == 0;
        self.info.count += records.len() as u64;
        let mut text = written(Vec::new(), &records, is_first)?;
        if self.source.is_empty() {
            let (_, end) = envelope::around_records(&self.info, Vec::new());
            text.extend_from_slice(end.as_bytes());
            return Ok((text, None));
        }
        Ok((text, Some(self)))
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
