//! The answers to requests whose head cannot be read, so that no route gets them.

use axum::response::{IntoResponse, Response};
use http::StatusCode;

use crate::code;
use crate::documentation::Documentation;
use crate::error::{ApiError, failed_answer};

/// Returns the answer to send instead of an answer without a body that the HTTP library made: the
/// same status and date, with the envelope of every other error.
pub fn refused_head(answer: &[u8], documentation: &Documentation) -> Vec<u8> {
    with_envelope(answer, documentation).unwrap_or_else(|| answer.to_owned())
}

fn with_envelope(answer: &[u8], documentation: &Documentation) -> Option<Vec<u8>> {
    let head = std::str::from_utf8(answer).ok()?;
    let status = StatusCode::from_bytes(head.get(9..12)?.as_bytes()).ok()?;
    let mut item = error(status)?.item();
    item.documentation_url = documentation.of_code(item.code).map(Into::into);
    let body = failed_answer(item);
    let (before, after) = head.split_once("content-length: 0\r\n")?;
    let length = body.len();
    let whole = format!(
        "{before}content-type: application/json\r\ncontent-length: {length}\r\n{after}{body}"
    );
    Some(whole.into_bytes())
}

fn error(status: StatusCode) -> Option<ApiError> {
    let (code, message) = match status {
        StatusCode::BAD_REQUEST => (
            code::MALFORMED_HEAD,
            "The request is not HTTP/1.1, or its request line or a header line is malformed: \
             percent-encode the path and the query",
        ),
        StatusCode::URI_TOO_LONG => (
            code::URI_TOO_LONG,
            "The request target is longer than 65,534 bytes: send a shorter query",
        ),
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => (
            code::HEAD_TOO_LARGE,
            "The head of the request is larger than 65,536 bytes or has more than 100 header \
             lines: send fewer or shorter headers",
        ),
        _ => return None,
    };
    Some(ApiError::new(code, message))
}

/// Returns the answer to a client of a proxy that has its share of connections.
pub fn too_many_requests(documentation: &Documentation) -> Response {
    let message = "Your address has its share of this server's connections: send fewer requests at \
                   a time";
    documentation.add_to(ApiError::too_many(message).into_response())
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn an_answer_of_the_library_gets_the_envelope() {
        for (status, code) in [
            ("400 Bad Request", 10400),
            ("414 URI Too Long", 10414),
            ("431 Request Header Fields Too Large", 10431),
        ] {
            let date = "date: Sun, 06 Nov 1994 08:49:37 GMT";
            let given = format!(
                "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: 0\r\n{date}\r\n\r\n"
            );
            let documentation = Documentation::below(Some("https://docs.example.com/certgate/"));
            let answer = refused_head(given.as_bytes(), &documentation);
            let answer = String::from_utf8(answer).unwrap();
            let (head, body) = answer.split_once("\r\n\r\n").unwrap();
            let json: Value = serde_json::from_str(body).unwrap();
            assert_eq!(json["errors"][0]["code"], code, "{answer}");
            assert_eq!(json["success"], false, "{answer}");
            let link = format!("https://docs.example.com/certgate/errors.md#{code}");
            assert_eq!(json["errors"][0]["documentation_url"], link, "{answer}");
            let length = format!("content-length: {}", body.len());
            for line in [
                "connection: close",
                "content-type: application/json",
                &length,
                date,
            ] {
                assert!(head.lines().any(|found| found == line), "{line}: {answer}");
            }
            assert!(
                head.starts_with(&format!("HTTP/1.1 {status}\r\n")),
                "{answer}"
            );
        }
    }

    #[test]
    fn another_answer_stays_as_it_is() {
        for other in [
            &b"HTTP/1.1 100 Continue\r\n\r\n"[..],
            b"",
            b"HTTP/1.1 400",
            b"\xff",
        ] {
            let documentation = Documentation::default();
            assert_eq!(refused_head(other, &documentation), other);
        }
    }
}
