//! The links from errors to their documentation.

use std::sync::Arc;

use axum::response::Response;

use crate::code;
use crate::error::{AnsweredError, failed_answer};

/// The address of the documentation, if there is one.
#[derive(Debug, Clone, Default)]
pub struct Documentation(Option<Arc<str>>);

impl Documentation {
    /// Returns the documentation whose pages are below `base`; [`None`]: errors have no links.
    pub fn below(base: Option<&str>) -> Self {
        Self(base.map(|base| base.trim_end_matches('/').into()))
    }

    /// Returns the address of the section about a code.
    pub(crate) fn of_code(&self, number: u32) -> Option<String> {
        let base = self.0.as_ref()?;
        Some(format!("{base}/{}#{number}", code::page(number)))
    }

    /// Adds the link to the error of an answer.
    pub(crate) fn add_to(&self, response: Response) -> Response {
        let (mut parts, body) = response.into_parts();
        let answered = parts.extensions.remove::<AnsweredError>();
        let linked = answered.and_then(|AnsweredError(mut item)| {
            item.documentation_url = Some(self.of_code(item.code)?.into());
            Some(failed_answer(item).into())
        });
        Response::from_parts(parts, linked.unwrap_or(body))
    }
}
