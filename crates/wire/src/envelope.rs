//! The envelope of every answer.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Id;

/// A successful answer.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Answer<T> {
    /// Always `true`.
    pub success: bool,
    /// Always empty.
    pub errors: Vec<ErrorItem<'static>>,
    /// Remarks.
    pub messages: Vec<Message<'static>>,
    /// The object.
    pub result: T,
}

impl<T> Answer<T> {
    /// Returns the answer with a result and no remarks.
    pub fn new(result: T) -> Self {
        Self {
            success: true,
            errors: Vec::new(),
            messages: Vec::new(),
            result,
        }
    }
}

/// A page of a list.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct PageAnswer<T> {
    /// Always `true`.
    pub success: bool,
    /// Always empty.
    pub errors: Vec<ErrorItem<'static>>,
    /// Remarks.
    pub messages: Vec<Message<'static>>,
    /// The records of the page.
    pub result: T,
    /// The position of the page in its list.
    pub result_info: ResultInfo,
}

impl<T> PageAnswer<T> {
    /// Returns the answer with a page and no remarks.
    pub fn new(result: T, result_info: ResultInfo) -> Self {
        Self {
            success: true,
            errors: Vec::new(),
            messages: Vec::new(),
            result,
            result_info,
        }
    }
}

/// A part of a list that is read with a cursor.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct PartAnswer<T> {
    /// Always `true`.
    pub success: bool,
    /// Always empty.
    pub errors: Vec<ErrorItem<'static>>,
    /// Remarks.
    pub messages: Vec<Message<'static>>,
    /// The records of the part.
    pub result: T,
    /// The position of the next part.
    pub result_info: CursorInfo,
}

impl<T> PartAnswer<T> {
    /// Returns the answer with a part and no remarks.
    pub fn new(result: T, result_info: CursorInfo) -> Self {
        Self {
            success: true,
            errors: Vec::new(),
            messages: Vec::new(),
            result,
            result_info,
        }
    }
}

/// A failed answer.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct FailedAnswer<'a> {
    /// Always `false`.
    pub success: bool,
    /// The reasons, at least one.
    pub errors: Vec<ErrorItem<'a>>,
    /// Always empty.
    pub messages: Vec<Message<'a>>,
    /// Always null.
    #[schema(value_type = Option<Object>)]
    pub result: (),
}

/// A reason for a failure.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ErrorItem<'a> {
    /// Number in the reference of error codes.
    pub code: u32,
    /// The problem, the value and the remedy.
    pub message: Cow<'a, str>,
    /// The section about the code in the documentation, if the server knows its address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub documentation_url: Option<Cow<'a, str>>,
    /// The input at fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<ErrorSource<'a>>,
    /// The cause of an error of code 6003.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_chain: Option<Vec<ErrorCause<'a>>>,
    /// With code 1531: the `continue` parameter of the request that continues the search.
    #[serde(rename = "continue", skip_serializing_if = "Option::is_none")]
    pub continuation: Option<Cow<'a, str>>,
}

/// The input at fault.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ErrorSource<'a> {
    /// A JSON pointer into the body (RFC 6901), or the name of a query parameter.
    pub pointer: Cow<'a, str>,
}

/// The cause of an error.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ErrorCause<'a> {
    /// Number in the reference of error codes.
    pub code: u32,
    /// The problem.
    pub message: Cow<'a, str>,
}

/// A remark in a successful answer.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Message<'a> {
    /// Number in the reference of error codes.
    pub code: u32,
    /// The remark.
    pub message: Cow<'a, str>,
    /// Always null.
    #[serde(rename = "type")]
    #[schema(required = true)]
    pub kind: Option<Cow<'a, str>>,
}

/// The position of a page in its list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ResultInfo {
    /// The requested page, from 1.
    pub page: u64,
    /// The page size of this answer.
    pub per_page: u32,
    /// The number of records in this answer.
    pub count: u64,
    /// The exact number of records that match. In a filtered list of certificates it is exact up to
    /// 10,000: a message with code 1530 says that more match.
    pub total_count: u64,
    /// `ceil(total_count / per_page)`.
    pub total_pages: u64,
    /// Present if a filtered list of certificates has more than 10,000 matches, or stopped early:
    /// the `continue` parameter of the request for the next records.
    #[serde(rename = "continue", skip_serializing_if = "Option::is_none")]
    pub continuation: Option<String>,
}

/// The position of the next part of a list that is read with a cursor.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CursorInfo {
    /// The number of records in this answer.
    pub count: u64,
    /// The `cursor` of the next part; empty with the last part.
    pub cursor: String,
    /// The same cursor in the place where other clients look for it.
    pub cursors: Cursors,
}

impl CursorInfo {
    /// Returns the information of a part with `count` records.
    pub fn new(count: u64, cursor: String) -> Self {
        Self {
            count,
            cursors: Cursors {
                after: cursor.clone(),
            },
            cursor,
        }
    }
}

/// The cursor in the place where other clients look for it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Cursors {
    /// The `cursor` of the next part; empty with the last part.
    pub after: String,
}

/// The ID of a deleted object.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Deleted {
    /// The ID that the object had.
    pub id: Id,
}
