//! The envelope of successful answers.

use axum::response::Response;
use certgate_model::{Page, Slice};
use certgate_wire::{
    Answer, AuditPageAnswer, AuditPageInfo, CursorInfo, Message, PageAnswer, PartAnswer, ResultInfo,
};
use http::StatusCode;
use serde::{Serialize, Serializer};

use crate::error::ApiError;
use crate::response;

/// The first size of an answer's buffer, in bytes: a certificate of a P-256 key takes 2.3 kB.
pub(crate) const ONE_BYTES: usize = 2560;

/// The same for an entry of an audit log.
const ENTRY_BYTES: usize = 1024;

/// The page that a request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PageRequest {
    pub(crate) page: u64,
    pub(crate) slice: Slice,
}

/// Answers with an object.
pub(crate) fn one<T: Serialize>(result: T) -> Result<Response, ApiError> {
    answer(ONE_BYTES, &Answer::new(result))
}

/// Answers with an object and remarks.
pub(crate) fn one_with_messages<T: Serialize>(
    result: T,
    messages: Vec<Message<'static>>,
) -> Result<Response, ApiError> {
    let mut with_messages = Answer::new(result);
    with_messages.messages = messages;
    answer(ONE_BYTES, &with_messages)
}

/// Answers with a page of records. Each is written as `object` shows it, straight into the answer's
/// buffer: a page of 1,000 objects is never in memory twice.
pub(crate) fn list<'a, R, W: Serialize>(
    asked: PageRequest,
    page: &'a Page<R>,
    object: impl Fn(&'a R) -> W,
) -> Result<Response, ApiError> {
    let mut info = result_info(asked, page.total);
    info.count = page.items.len() as u64;
    let bytes = (page.items.len() + 1) * ONE_BYTES;
    answer(bytes, &PageAnswer::new(Records(&page.items, object), info))
}

/// Returns the position of a page in a list of this length, without the number of its records.
pub(crate) fn result_info(asked: PageRequest, total: u64) -> ResultInfo {
    let per_page = asked.slice.size;
    ResultInfo {
        page: asked.page,
        per_page,
        count: 0,
        total_count: total,
        total_pages: total.div_ceil(u64::from(per_page)),
        continuation: None,
    }
}

/// Returns the texts before and after the records of a page.
pub(crate) fn around_records(
    info: &ResultInfo,
    messages: Vec<Message<'static>>,
) -> (String, String) {
    const EMPTY: &str = "\"result\":[]";
    let empty: [(); 0] = [];
    let mut page = PageAnswer::new(empty, info.clone());
    page.messages = messages;
    let text = serde_json::to_string(&page).expect("texts and numbers always serialise");
    let (before, after) = text.split_once(EMPTY).expect("the empty list of records");
    (format!("{before}\"result\":["), format!("]{after}"))
}

/// Answers with a part of a list, and the cursor of the next part if there is one.
pub(crate) fn part<T: Serialize>(
    result: Vec<T>,
    cursor: Option<String>,
) -> Result<Response, ApiError> {
    let bytes = (result.len() + 1) * ENTRY_BYTES;
    let info = CursorInfo::new(result.len() as u64, cursor.unwrap_or_default());
    answer(bytes, &PartAnswer::new(result, info))
}

/// Answers with a page of an audit log.
pub(crate) fn audit_page<T: Serialize>(
    result: Vec<T>,
    result_info: AuditPageInfo,
) -> Result<Response, ApiError> {
    let bytes = (result.len() + 1) * ENTRY_BYTES;
    let page = AuditPageAnswer {
        success: true,
        errors: Vec::new(),
        messages: Vec::new(),
        result,
        result_info,
    };
    answer(bytes, &page)
}

struct Records<'a, R, F>(&'a [R], F);

impl<'a, R, W: Serialize, F: Fn(&'a R) -> W> Serialize for Records<'a, R, F> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(&self.1))
    }
}

fn answer(bytes: usize, answer: &impl Serialize) -> Result<Response, ApiError> {
    let mut buffer = Vec::with_capacity(bytes);
    serde_json::to_writer(&mut buffer, answer)
        .map_err(|error| ApiError::internal(error.to_string()))?;
    Ok(response::json(StatusCode::OK, buffer))
}
