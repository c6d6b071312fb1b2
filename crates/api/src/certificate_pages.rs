//! Pages of client certificates. A large page is read and sent in parts, so that a client that
//! reads slowly, or never, does not hold the whole page in memory.

use axum::body::{Body, Bytes};
use axum::response::Response;
use certgate_model::{CertificateRecord, ZoneId};
use certgate_wire::ResultInfo;
use futures_util::stream;
use http::StatusCode;
use http_body::Frame;
use http_body_util::StreamBody;

use crate::certificate_search;
use crate::certificate_source::{Begin, Source, by_status};
use crate::certificate_text;
use crate::envelope;
use crate::error::ApiError;
use crate::large_answers::PartKib;
use crate::query::certificates::CertificateList;
use crate::response;
use crate::state::Api;

/// Memory of a page that is sent in parts, in KiB: the JSON of one part.
const PART_KIB: u64 = 300;

/// Answers with a page of the certificates of a zone.
pub(crate) async fn answer(
    api: &Api,
    zone: ZoneId,
    list: CertificateList,
) -> Result<Response, ApiError> {
    let begin = match list {
        CertificateList::Status(asked, query) => by_status(api, zone, asked, query).await?,
        CertificateList::Search(asked, request) => {
            certificate_search::begin(api, zone, asked, *request).await?
        }
    };
    let Begin {
        records,
        mut info,
        messages,
        source,
    } = begin;
    info.count = records.len() as u64;
    let (begin, end) = envelope::around_records(&info, messages);
    let mut frame = written(begin.into_bytes(), &records, true);
    if source.is_empty() {
        frame.extend_from_slice(end.as_bytes());
        return Ok(response::json(StatusCode::OK, frame));
    }
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
        let mut text = written(Vec::new(), &records, is_first);
        if self.source.is_empty() {
            let (_, end) = envelope::around_records(&self.info, Vec::new());
            text.extend_from_slice(end.as_bytes());
            return Ok((text, None));
        }
        Ok((text, Some(self)))
    }
}

/// Appends the JSON of records.
fn written(mut text: Vec<u8>, records: &[CertificateRecord], is_first: bool) -> Vec<u8> {
    // One more, for the text around them.
    text.reserve((records.len() + 1) * envelope::ONE_BYTES);
    for (index, record) in records.iter().enumerate() {
        if index > 0 || !is_first {
            text.push(b',');
        }
        certificate_text::write(&mut text, record);
    }
    text
}
