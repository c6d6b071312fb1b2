//! The envelope around every answer.

use axum::body::Body;
use axum::response::Response;
use certgate_model::{Page, Slice};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use utoipa::ToSchema;

use crate::error::{ApiError, ErrorItem};

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// Bytes to begin an answer's buffer with: a certificate of a P-256 key takes 2.3 kB.
const ONE_BYTES: usize = 2560;

/// The same for a small record.
const ENTRY_BYTES: usize = 1024;

#[derive(Serialize)]
struct Success<'a, T> {
    success: bool,
    errors: [(); 0],
    messages: &'a [Message],
    result: T,
    #[serde(skip_serializing_if = "Option::is_none")]
    result_info: Option<Info>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Info {
    Page(ResultInfo),
    Cursor(CursorInfo),
}

#[derive(Serialize)]
struct Failure<'a> {
    success: bool,
    errors: [ErrorItem<'a>; 1],
    messages: [(); 0],
    result: (),
}

/// A remark in a successful answer.
#[derive(Serialize, ToSchema)]
pub(crate) struct Message {
    pub(crate) code: u32,
    pub(crate) message: &'static str,
    #[serde(rename = "type")]
    pub(crate) kind: (),
}

/// Where a page stands in its list.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ResultInfo {
    /// The page asked for, from 1.
    page: u64,
    /// The page size in force.
    per_page: u32,
    /// How many records this answer has.
    count: usize,
    /// How many records match, exactly.
    total_count: u64,
    /// `ceil(total_count / per_page)`.
    total_pages: u64,
}

/// Where a list goes on that is read part by part.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CursorInfo {
    /// How many records this answer has.
    pub(crate) count: usize,
    /// The `cursor` of the next part; empty with the last one.
    pub(crate) cursor: String,
    pub(crate) cursors: Cursors,
}

/// The same once more, where other clients look for it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Cursors {
    after: String,
}

impl CursorInfo {
    pub(crate) fn new(count: usize, cursor: Option<String>) -> Self {
        let cursor = cursor.unwrap_or_default();
        Self {
            count,
            cursors: Cursors {
                after: cursor.clone(),
            },
            cursor,
        }
    }
}

/// A page as it was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PageRequest {
    pub(crate) page: u64,
    pub(crate) slice: Slice,
}

pub(crate) fn one<T: Serialize>(result: T) -> Result<Response, ApiError> {
    success(
        ONE_BYTES,
        &Success {
            success: true,
            errors: [],
            messages: &[],
            result,
            result_info: None,
        },
    )
}

pub(crate) fn one_with_message<T: Serialize>(
    result: T,
    message: Message,
) -> Result<Response, ApiError> {
    let messages = &[message];
    success(
        ONE_BYTES,
        &Success {
            success: true,
            errors: [],
            messages,
            result,
            result_info: None,
        },
    )
}

/// A page of records, each written as `wire` says, straight into the answer's buffer.
pub(crate) fn list<'a, R, W: Serialize>(
    asked: PageRequest,
    page: &'a Page<R>,
    wire: impl Fn(&'a R) -> W,
) -> Result<Response, ApiError> {
    let per_page = asked.slice.size;
    let info = ResultInfo {
        page: asked.page,
        per_page,
        count: page.items.len(),
        total_count: page.total,
        total_pages: page.total.div_ceil(u64::from(per_page)),
    };
    let result = Items(&page.items, wire);
    let bytes = (page.items.len() + 1) * ONE_BYTES;
    success(
        bytes,
        &Success {
            success: true,
            errors: [],
            messages: &[],
            result,
            result_info: Some(Info::Page(info)),
        },
    )
}

/// A part of a list.
pub(crate) fn part<T: Serialize>(result: Vec<T>, info: CursorInfo) -> Result<Response, ApiError> {
    let bytes = (result.len() + 1) * ENTRY_BYTES;
    success(
        bytes,
        &Success {
            success: true,
            errors: [],
            messages: &[],
            result,
            result_info: Some(Info::Cursor(info)),
        },
    )
}

pub(crate) fn failure(status: StatusCode, error: ErrorItem<'_>) -> Response {
    let failure = Failure {
        success: false,
        errors: [error],
        messages: [],
        result: (),
    };
    let bytes = serde_json::to_vec(&failure).expect("strings and numbers always serialise");
    respond(status, bytes)
}

struct Items<'a, R, F>(&'a [R], F);

impl<'a, R, W: Serialize, F: Fn(&'a R) -> W> Serialize for Items<'a, R, F> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(&self.1))
    }
}

fn success<T: Serialize>(bytes: usize, answer: &Success<'_, T>) -> Result<Response, ApiError> {
    let mut buffer = Vec::with_capacity(bytes);
    serde_json::to_writer(&mut buffer, answer)
        .map_err(|error| ApiError::internal(error.to_string()))?;
    Ok(respond(StatusCode::OK, buffer))
}

fn respond(status: StatusCode, bytes: Vec<u8>) -> Response {
    let mut response = Response::new(Body::from(bytes));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, JSON);
    response
}
