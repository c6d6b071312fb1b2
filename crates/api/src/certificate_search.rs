//! The beginning of a page of a filtered list of certificates.

use certgate_model::{CertificateOrder, MATCHES_MAX, MatchCount, SearchOutcome, ZoneId};
use certgate_wire::Message;

use crate::certificate_source::{Begin, Source};
use crate::code;
use crate::envelope::{self, PageRequest};
use crate::error::ApiError;
use crate::query::certificates::{SearchRequest, refused_continuation};
use crate::state::Api;

/// Seconds until a client should repeat a search inside names while another one runs: the longest
/// time of one.
const BUSY_RETRY_SECONDS: u32 = 1;

/// Seconds until a client should repeat a search in a zone whose index is not complete. Ten million
/// certificates take some minutes.
const NOT_INDEXED_RETRY_SECONDS: u32 = 10;

/// Searches, and returns the beginning of the page.
pub(crate) async fn begin(
    api: &Api,
    zone: ZoneId,
    asked: PageRequest,
    request: SearchRequest,
) -> Result<Begin, ApiError> {
    let outcome = api.store.search(zone, request.search.clone()).await?;
    let (items, rest, count, next) = match outcome {
        SearchOutcome::Found {
            items,
            rest,
            count,
            next,
        } => (items, rest, count, next),
        SearchOutcome::NothingYet(place) => {
            return Err(nothing_yet(request.continue_text(&place)));
        }
        SearchOutcome::BeyondMatches => return Err(beyond_matches()),
        SearchOutcome::TooManyToOrder => return Err(too_many_to_order(request.search.order)),
        SearchOutcome::StoppedBeforeOrder => return Err(stopped_before_order()),
        SearchOutcome::InvalidContinuation => return Err(refused_continuation()),
        SearchOutcome::Busy => return Err(busy()),
        SearchOutcome::NotIndexed { done, total } => return Err(not_indexed(done, total)),
    };
    let continuation = next.map(|place| request.continue_text(&place));
    let (total, message) = match count {
        MatchCount::Exact(total) => (total, None),
        MatchCount::MoreThan(least) => (least, Some(not_counted(least, Part::OfPages))),
        MatchCount::AtLeast(least) => {
            let part = match continuation.is_some() {
                true => Part::Some,
                false => Part::Last,
            };
            (least, Some(not_counted(least, part)))
        }
    };
    let mut info = envelope::result_info(asked, total);
    info.continuation = continuation;
    let filter = Box::new(request.search.filter);
    Ok(Begin {
        records: items,
        info,
        messages: message.into_iter().collect(),
        source: Source::Found { ids: rest, filter },
    })
}

/// The part of all matches that `total_count` counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// Those up to a place, at which another part begins.
    Some,
    /// Those from the place of `continue` to the end.
    Last,
    /// The first ones, which pages reach.
    OfPages,
}

/// Returns the message of a list whose `total_count` is not the number of all matches.
fn not_counted(count: u64, part: Part) -> Message<'static> {
    let message = match part {
        Part::Some => format!(
            "This is a part of the search: total_count counts the {count} matches of this part. \
             For the next part, send the same filters with continue from result_info, without page \
             and offset"
        ),
        Part::Last => {
            format!("This is the last part of the search: total_count counts its {count} matches")
        }
        Part::OfPages => format!(
            "More than {count} certificates match: total_count and total_pages are those of the \
             first {count}, after which the pages end. To read all of them, send the same filters \
             with continue from result_info, without page and offset"
        ),
    };
    Message {
        code: code::MATCHES_NOT_COUNTED.number(),
        message: message.into(),
        kind: None,
    }
}

fn nothing_yet(continuation: String) -> ApiError {
    let message = "The search stopped at its limit of work and has found nothing yet: send the \
                   same filters with the value of continue in this error, without page and \
                   offset, or narrow the filter";
    ApiError::new(code::NOTHING_FOUND_YET, message)
        .at("continue")
        .continued(continuation)
}

fn beyond_matches() -> ApiError {
    let message = format!(
        "The page begins after the first {MATCHES_MAX} matches, where the pages of a filtered \
         list end: begin at page 1, and then send continue from result_info; or narrow the filter, \
         for example with expires_on.before"
    );
    ApiError::new(code::BEYOND_MATCHES, message).at("page")
}

fn too_many_to_order(order: Option<CertificateOrder>) -> ApiError {
    let order = match order {
        Some(CertificateOrder::ExpiresOn) => "order=expires_on",
        Some(CertificateOrder::CommonName) => "order=common_name",
        Some(CertificateOrder::RevokedOn) => "revoked_on",
        Some(CertificateOrder::IssuedOn) | None => "order=issued_on",
    };
    let message = format!(
        "More than {MATCHES_MAX} certificates match, too many for {order}: narrow the filter, or \
         leave order out"
    );
    ApiError::new(code::TOO_MANY_TO_ORDER, message).at("order")
}

fn stopped_before_order() -> ApiError {
    let message = "The search for a part of a name stopped at its limit of work, before it knew \
                   all matches, and cannot order them: leave order out, and send the value of \
                   continue in the answer";
    ApiError::new(code::TOO_MANY_TO_ORDER, message).at("order")
}

fn busy() -> ApiError {
    let message = "Another search for a part of a name runs on this server, which makes one at a \
                   time: wait as long as retry-after says, or use common_name.startswith";
    ApiError::new(code::SEARCH_BUSY, message).retry_after(BUSY_RETRY_SECONDS)
}

/// The audit log of earlier versions is not indexed yet.
pub(crate) fn log_not_indexed() -> ApiError {
    let message = "The server indexes the audit log of earlier versions: wait as long as \
                   retry-after says. The log without a filter by certificate does not need the \
                   index";
    ApiError::new(code::NOT_INDEXED, message).retry_after(NOT_INDEXED_RETRY_SECONDS)
}

pub(crate) fn not_indexed(done: u64, total: u64) -> ApiError {
    let message = format!(
        "The server indexes the certificates of earlier versions, {done} of {total} so far: wait \
         as long as retry-after says. Lists without filters do not need the index"
    );
    ApiError::new(code::NOT_INDEXED, message).retry_after(NOT_INDEXED_RETRY_SECONDS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pages_end_before_the_last_match() {
        let text = |part| not_counted(3, part).message.into_owned();
        assert!(text(Part::OfPages).starts_with("More than 3 certificates match"));
        assert!(text(Part::Some).contains("the 3 matches of this part. For the next part"));
        assert!(!text(Part::Last).contains("ore than"));
        let ended = stopped_before_order();
        assert_eq!(ended.code.number(), code::TOO_MANY_TO_ORDER.number());
        assert!(!ended.message.contains("More than"));
    }
}
