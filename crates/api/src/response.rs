use axum::body::Body;
use axum::response::Response;
use http::{HeaderValue, StatusCode, header};

/// Returns an answer with a body of this media type.
pub(crate) fn typed(media_type: &'static str, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    let media_type = HeaderValue::from_static(media_type);
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, media_type);
    response
}

/// Returns an answer whose body is JSON.
pub(crate) fn json(status: StatusCode, body: impl Into<Body>) -> Response {
    let mut response = typed("application/json", body);
    *response.status_mut() = status;
    response
}
