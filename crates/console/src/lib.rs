//! The web console and the page of an invite: files that are embedded in the executable, and the
//! routes that serve them.
//!
//! The console is a pure client of the public API. This crate uses no other crate of certgate, so
//! that the routes can reach no data.

use std::io::Read;

use axum::Router;
use axum::body::Body;
use axum::extract::Path;
use axum::response::Response;
use axum::routing::get;
use flate2::read::GzDecoder;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};

#[cfg(test)]
mod tests;

include!(concat!(env!("OUT_DIR"), "/files.rs"));

/// The address of the console.
pub const PATH: &str = "/console/";

/// The headers of every answer. The browser runs files of this server only, sends requests to this
/// server only, and shows the console in no frame. Only lit-html may make HTML of texts.
const HEADERS: [(HeaderName, &str); 6] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
         connect-src 'self'; form-action 'none'; frame-ancestors 'none'; base-uri 'none'; \
         require-trusted-types-for 'script'; trusted-types lit-html",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        "same-origin",
    ),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    ),
    (
        HeaderName::from_static("permissions-policy"),
        "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    ),
];

/// A file that browsers load, compressed.
struct File {
    /// Its path below the folder with the digest.
    path: &'static str,
    media_type: &'static str,
    gzip: &'static [u8],
}

/// Returns the routes of the console.
pub fn router<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new()
        .route("/console", get(moved))
        .route(PATH, get(index))
        .route("/console/{digest}/{*path}", get(file))
}

/// The address of the page of an invite. The invite is in the fragment and in the last part, which
/// the server does not read.
pub const INVITE_PATH: &str = "/i/{id}";

/// Returns the routes of the page of an invite, and of its files.
pub fn invite_router<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new()
        .route(INVITE_PATH, get(invite))
        .route("/assets/{digest}/{*path}", get(invite_file))
}

/// Returns the same page for every invite, and uses none: programs of chats open links to show a
/// preview.
async fn invite(headers: HeaderMap) -> Response {
    let mut response = content(INVITE_INDEX, "text/html; charset=utf-8", &headers);
    let value = HeaderValue::from_static("no-store");
    response.headers_mut().insert(header::CACHE_CONTROL, value);
    response
}

async fn invite_file(path: Path<(String, String)>, headers: HeaderMap) -> Response {
    file_of((INVITE_DIGEST, INVITE_FILES), path, &headers)
}

async fn moved() -> Response {
    let mut response = answer(StatusCode::PERMANENT_REDIRECT, Body::empty());
    let place = HeaderValue::from_static(PATH);
    response.headers_mut().insert(header::LOCATION, place);
    response
}

async fn index(headers: HeaderMap) -> Response {
    // Weak, because the compressed form and the other one have the same tag.
    let tag = format!("W/\"{DIGEST}\"");
    let has_it = headers.get_all(header::IF_NONE_MATCH).iter().any(|value| {
        value
            .as_bytes()
            .windows(tag.len())
            .any(|part| part == tag.as_bytes())
    });
    let mut response = match has_it {
        true => answer(StatusCode::NOT_MODIFIED, Body::empty()),
        false => content(INDEX, "text/html; charset=utf-8", &headers),
    };
    let tag = HeaderValue::try_from(tag).expect("hexadecimal digits are visible ASCII");
    let headers = response.headers_mut();
    headers.insert(header::ETAG, tag);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

async fn file(path: Path<(String, String)>, headers: HeaderMap) -> Response {
    file_of((DIGEST, FILES), path, &headers)
}

/// Returns a file of a folder with this digest.
fn file_of(
    (folder, files): (&str, &'static [File]),
    Path((digest, path)): Path<(String, String)>,
    headers: &HeaderMap,
) -> Response {
    let found = files.binary_search_by_key(&path.as_str(), |file| file.path);
    let (true, Ok(index)) = (digest == folder, found) else {
        // Of another version, for example in a tab that is older than the server.
        let mut response = answer(StatusCode::NOT_FOUND, Body::empty());
        let value = HeaderValue::from_static("no-store");
        response.headers_mut().insert(header::CACHE_CONTROL, value);
        return response;
    };
    let File {
        media_type, gzip, ..
    } = files[index];
    let mut response = content(gzip, media_type, headers);
    let for_ever = HeaderValue::from_static("public, max-age=31536000, immutable");
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, for_ever);
    response
}

/// Returns the content, compressed if the client accepts that.
fn content(gzip: &'static [u8], media_type: &'static str, headers: &HeaderMap) -> Response {
    let accepts = accepts_gzip(headers);
    let body = match accepts {
        true => Body::from(gzip),
        false => Body::from(decompressed(gzip)),
    };
    let mut response = answer(StatusCode::OK, body);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    if accepts {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    response
}

fn answer(status: StatusCode, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    for (name, value) in HEADERS {
        response
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Returns true if the client names gzip without a weight of zero (RFC 9110 §12.5.3).
fn accepts_gzip(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::ACCEPT_ENCODING).iter();
    let codings = values.filter_map(|value| value.to_str().ok());
    codings.flat_map(|value| value.split(',')).any(|coding| {
        let mut parts = coding.split(';').map(str::trim);
        let is_gzip = parts
            .next()
            .is_some_and(|name| name.eq_ignore_ascii_case("gzip"));
        is_gzip
            && !parts.any(|weight| {
                weight
                    .trim_start_matches(['q', 'Q', '=', '0', '.'])
                    .is_empty()
            })
    })
}

fn decompressed(gzip: &[u8]) -> Vec<u8> {
    let mut content = Vec::new();
    GzDecoder::new(gzip)
        .read_to_end(&mut content)
        .expect("the build compressed it");
    content
}
