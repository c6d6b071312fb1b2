//! The public responder: CRLs (RFC 5280 §5), OCSP (RFC 6960, RFC 5019) and the certificates of CAs.
//! Clients need no credentials, and none of their requests is an error of the server.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::body::{Body, Bytes};
use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse, Response};
use certgate_model::{AuthorityId, CRL_SHARDS, CrlKind, Hex, Timestamp};
use certgate_pki::{
    OCSP_REQUEST_BYTES_MAX, OcspFailure, ocsp_failure, pem_piece, read_ocsp_path, sha256,
};
use certgate_service::{Fault, NoncePolicy};
use certgate_store::{CrlState, StoreError};
use futures_util::stream;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use http_body::Frame;
use http_body_util::{BodyExt, Limited, StreamBody};

use crate::crl_cache::PublishedCrl;
use crate::error::ApiError;
use crate::failure_log::Inside;
use crate::response::typed;
use crate::state::Api;

/// Seconds for which a cache may serve a CRL without asking. The CRL itself is valid for days, but
/// clients should see a revocation sooner, and asking again costs no transfer.
const CRL_CACHE_SECONDS_MAX: i64 = 300;

const CRL_TYPE: &str = "application/pkix-crl";
const BUNDLE_TYPE: &str = "application/x-pem-file";
const CERTIFICATE_TYPE: &str = "application/pkix-cert";
const OCSP_TYPE: &str = "application/ocsp-response";

/// Answers with a CRL (`ca.crl`, `full.crl`, or `0.crl` to `127.crl`), or with the bundle of all of
/// them but the full list.
pub(crate) async fn crl(
    State(api): State<Api>,
    Path((authority, file)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, NotPublished> {
    let authority: AuthorityId = authority.parse().map_err(|_| NotPublished::NoSuchFile)?;
    if file == "bundle.pem" {
        return bundle(api, authority, &headers).await;
    }
    let kind = kind_of(&file).ok_or(NotPublished::NoSuchFile)?;
    let Some(mut state) = api.store.crl_state(authority, kind).await? else {
        return Err(why_missing(&api, authority).await?);
    };
    if api.service.renewal.renew(authority, &[state]).await {
        state = api.store.crl_state(authority, kind).await?.unwrap_or(state);
    }
    if !state.is_made {
        return Err(NotPublished::TooLong);
    }
    let cached = Cached::crl(&state, api.clock.now());
    if cached.has_tag(&headers) {
        return Ok(cached.not_modified());
    }
    let list = api
        .crls()
        .crl(&api.service.renewal, authority, state)
        .await?;
    let list = list.ok_or(NotPublished::NotYet)?;
    let cached = Cached::crl(&list.state, api.clock.now());
    Ok(cached.answer(CRL_TYPE, Body::from(list.der.clone())))
}

/// Returns the reason for a missing CRL: the CRLs of a CA come moments after it, if it is valid.
async fn why_missing(api: &Api, authority: AuthorityId) -> Result<NotPublished, NotPublished> {
    Ok(match api.store.authority(authority).await? {
        Some(ca) if !(ca.created_on..ca.expires_on).contains(&api.clock.now()) => {
            NotPublished::NotValid
        }
        Some(_) => NotPublished::NotYet,
        None => NotPublished::NoSuchFile,
    })
}

fn kind_of(file: &str) -> Option<CrlKind> {
    match file.strip_suffix(".crl")? {
        "ca" => Some(CrlKind::AuthorityCertificates),
        "full" => Some(CrlKind::Full),
        shard => {
            let number: u8 = shard.parse().ok()?;
            // Each CRL has one address: without a sign or leading zeros.
            (number < CRL_SHARDS && number.to_string() == shard).then_some(CrlKind::Shard(number))
        }
    }
}

/// Answers with every CRL but the full list, as PEM: the form that nginx, HAProxy and Envoy read.
/// Sent CRL by CRL.
async fn bundle(
    api: Api,
    authority: AuthorityId,
    headers: &HeaderMap,
) -> Result<Response, NotPublished> {
    let mut states = api.store.crl_states(authority).await?;
    if api.service.renewal.renew(authority, &states).await {
        states = api.store.crl_states(authority).await?;
    }
    states.retain(|state| state.kind != CrlKind::Full);
    // A proxy with an incomplete bundle rejects all clients: it should ask again instead.
    if states.len() != CrlKind::all().count() - 1 {
        return Err(why_missing(&api, authority).await?);
    }
    let numbers: Vec<u8> = states
        .iter()
        .flat_map(|state| state.number.to_be_bytes())
        .collect();
    let updates = states.iter().map(|state| state.this_update);
    let now = api.clock.now();
    let cached = Cached {
        tag: format!("\"{}\"", Hex(&sha256(&numbers)[..16])),
        since: updates.max().unwrap_or(now),
        until: now.plus_seconds(CRL_CACHE_SECONDS_MAX),
        now,
    };
    if cached.has_tag(headers) {
        return Ok(cached.not_modified());
    }
    let state = (api, states.into_iter(), None);
    let pieces = stream::unfold(state, move |(api, states, sent)| async move {
        let (piece, states, sent) = next_piece(&api, authority, states, sent).await?;
        Some((piece.map(Frame::data), (api, states, sent)))
    });
    Ok(cached.answer(BUNDLE_TYPE, Body::new(StreamBody::new(Box::pin(pieces)))))
}

/// A CRL of a bundle, and the number of its next piece.
type Sent = Option<(Arc<PublishedCrl>, usize)>;

/// Returns the next piece of a bundle, the CRLs after it, and the CRL that it is a piece of.
async fn next_piece<S: Iterator<Item = CrlState>>(
    api: &Api,
    authority: AuthorityId,
    mut states: S,
    sent: Sent,
) -> Option<(std::io::Result<Bytes>, S, Sent)> {
    const LABEL: &str = "X509 CRL";
    let (list, number) = match sent {
        Some(sent) => sent,
        None => match api
            .crls()
            .crl(&api.service.renewal, authority, states.next()?)
            .await
        {
            Ok(Some(list)) => (list, 0),
            // The answer breaks off, which the client notices: an incomplete bundle must not look
            // complete.
            Ok(None) => {
                let error = std::io::Error::other("a CRL was deleted");
                return Some((Err(error), states, None));
            }
            Err(error) => return Some((Err(std::io::Error::other(error)), states, None)),
        },
    };
    match pem_piece(LABEL, &list.der, number) {
        Some(piece) => Some((Ok(piece.into()), states, Some((list, number + 1)))),
        None => Some((Ok(Bytes::from_static(b"\n")), states, None)),
    }
}

/// Answers with the certificate of a CA, DER.
pub(crate) async fn authority_certificate(
    State(api): State<Api>,
    Path(file): Path<String>,
    headers: HeaderMap,
) -> Result<Response, NotPublished> {
    let id = file.strip_suffix(".crt").and_then(|id| id.parse().ok());
    let record = match id {
        Some(id) => api.store.authority(id).await?,
        None => None,
    };
    let record = record.ok_or(NotPublished::NoSuchFile)?;
    let now = api.clock.now();
    // The certificate never changes.
    let until = now.plus_days(1);
    let cached = Cached {
        tag: format!("\"{}\"", record.id),
        since: record.created_on,
        until,
        now,
    };
    match cached.has_tag(&headers) {
        true => Ok(cached.not_modified()),
        false => Ok(cached.answer(CERTIFICATE_TYPE, Body::from(record.certificate_der))),
    }
}

/// Answers OCSP by POST: the body is the request.
pub(crate) async fn ocsp_post(State(api): State<Api>, request: Request) -> Response {
    match Limited::new(request.into_body(), OCSP_REQUEST_BYTES_MAX)
        .collect()
        .await
    {
        Ok(body) => ocsp(&api, &body.to_bytes(), NoncePolicy::Repeat).await,
        Err(_) => ocsp_answer(ocsp_failure(OcspFailure::MalformedRequest)),
    }
}

/// Answers OCSP by GET: the request is in the path, in Base64 (RFC 6960 §A.1).
pub(crate) async fn ocsp_get(State(api): State<Api>, request: Request) -> Response {
    let path = request.uri().path();
    let text = path.strip_prefix("/ocsp/").unwrap_or(path);
    match read_ocsp_path(text) {
        Some(der) => ocsp(&api, &der, NoncePolicy::Ignore).await,
        None => ocsp_answer(ocsp_failure(OcspFailure::MalformedRequest)),
    }
}

async fn ocsp(api: &Api, request: &[u8], nonce: NoncePolicy) -> Response {
    let answer = match api.service.responder.answer(request, nonce).await {
        Ok(answer) => answer,
        Err(fault) => {
            let (failure, inside) = match fault {
                Fault::Unavailable(text) => (OcspFailure::TryLater, Inside::Unavailable(text)),
                Fault::InDoubt(text) | Fault::Internal(text) => {
                    (OcspFailure::InternalError, Inside::Internal(text))
                }
            };
            let mut response = ocsp_answer(ocsp_failure(failure));
            response.extensions_mut().insert(inside);
            return response;
        }
    };
    let body = Body::from(Bytes::from_owner(answer.der.clone()));
    match answer.keep {
        // RFC 5019 §6.2.
        Some((since, until)) if nonce == NoncePolicy::Ignore => {
            let tag = format!("\"{}\"", Hex(&sha256(&answer.der)[..16]));
            let cached = Cached {
                tag,
                since,
                until,
                now: api.clock.now(),
            };
            let mut response = cached.answer(OCSP_TYPE, body);
            let cache = format!(
                "max-age={}, public, no-transform, must-revalidate",
                cached.seconds_left()
            );
            set(&mut response, header::CACHE_CONTROL, &cache);
            response
        }
        _ => ocsp_answer(body),
    }
}

/// Answers with a body that no cache keeps. The status of a failure is 200 too, because the failure
/// is in the body (RFC 6960 §A.2).
fn ocsp_answer(body: impl Into<Body>) -> Response {
    let mut response = typed(OCSP_TYPE, body);
    set(&mut response, header::CACHE_CONTROL, "no-cache");
    response
}

/// The headers for caches: the lifetime of an answer, and the tag that identifies it (RFC 9110
/// §8.8, RFC 9111 §5).
struct Cached {
    tag: String,
    since: Timestamp,
    until: Timestamp,
    now: Timestamp,
}

impl Cached {
    /// Returns the headers of a CRL. Caches ask again long before `next_update`.
    fn crl(crl: &CrlState, now: Timestamp) -> Self {
        let until = crl.next_update.min(now.plus_seconds(CRL_CACHE_SECONDS_MAX));
        Self {
            tag: format!("\"{}\"", crl.number),
            since: crl.this_update,
            until,
            now,
        }
    }

    /// Returns true if the client has this answer (RFC 9110 §13.1.2). If-Modified-Since, which a
    /// server may ignore (RFC 9110 §13.1.3), is not enough: two CRLs can be of the same second.
    fn has_tag(&self, headers: &HeaderMap) -> bool {
        let tags = headers
            .get(header::IF_NONE_MATCH)
            .and_then(|value: &HeaderValue| value.to_str().ok());
        tags.is_some_and(|tags| {
            let same = |tag: &str| tag.trim().trim_start_matches("W/") == self.tag;
            tags.trim() == "*" || tags.split(',').any(same)
        })
    }

    /// Returns the remaining lifetime of the answer. A clock that was set back is before `since`,
    /// and both differences are then zero: a cache asks again.
    fn seconds_left(&self) -> i64 {
        let lifetime = self.since.until(self.until).seconds();
        self.now.until(self.until).seconds().min(lifetime)
    }

    fn answer(&self, kind: &'static str, body: Body) -> Response {
        let mut response = typed(kind, body);
        self.mark(&mut response);
        response
    }

    fn not_modified(&self) -> Response {
        let mut response = StatusCode::NOT_MODIFIED.into_response();
        self.mark(&mut response);
        response
    }

    fn mark(&self, response: &mut Response) {
        let date = |at| httpdate::fmt_http_date(system_time(at));
        set(response, header::ETAG, &self.tag);
        // Never later than the response's Date (RFC 9110 §8.8.2.1), which comes from the same
        // clock.
        let modified = self.since.min(self.now);
        set(response, header::LAST_MODIFIED, &date(modified));
        set(response, header::EXPIRES, &date(self.until));
        let cache = format!("public, max-age={}", self.seconds_left());
        set(response, header::CACHE_CONTROL, &cache);
    }
}

fn system_time(at: Timestamp) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(at.unix_milliseconds())
}

fn set(response: &mut Response, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}

/// Reasons for an answer without a file. Programs and people with curl read the text, which is
/// plain.
pub(crate) enum NotPublished {
    NoSuchFile,
    NotYet,
    NotValid,
    TooLong,
    Failed(ApiError),
}

impl From<Fault> for NotPublished {
    fn from(fault: Fault) -> Self {
        Self::Failed(fault.into())
    }
}

impl From<StoreError> for NotPublished {
    fn from(error: StoreError) -> Self {
        Self::Failed(error.into())
    }
}

impl IntoResponse for NotPublished {
    fn into_response(self) -> Response {
        match self {
            Self::NoSuchFile => {
                let text = "The file does not exist. CRLs: /crl/<CA ID>/0.crl to 127.crl, ca.crl, \
                            full.crl, bundle.pem. Certificates: /ca/<CA ID>.crt\n";
                (StatusCode::NOT_FOUND, text).into_response()
            }
            Self::NotYet => {
                let text = "The CRL is not ready yet: ask again in a moment\n";
                let later = [(header::RETRY_AFTER, "1")];
                (StatusCode::SERVICE_UNAVAILABLE, later, text).into_response()
            }
            Self::NotValid => {
                let text = "The CA has no CRL, and cannot sign one: it has expired, or the clock \
                            of this server is wrong: correct the clock, or rotate the CA\n";
                (StatusCode::NOT_FOUND, text).into_response()
            }
            Self::TooLong => {
                let text = "Too many certificates are revoked for one CRL: use bundle.pem or the \
                            shards\n";
                (StatusCode::NOT_FOUND, text).into_response()
            }
            Self::Failed(error) => error.into_response(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_crl_has_one_address() {
        assert_eq!(kind_of("0.crl"), Some(CrlKind::Shard(0)));
        assert_eq!(kind_of("127.crl"), Some(CrlKind::Shard(127)));
        assert_eq!(kind_of("ca.crl"), Some(CrlKind::AuthorityCertificates));
        assert_eq!(kind_of("full.crl"), Some(CrlKind::Full));
        for bad in [
            "128.crl",
            "129.crl",
            "00.crl",
            "+1.crl",
            "-1.crl",
            "1",
            ".crl",
            "1.crl.crl",
            "256.crl",
        ] {
            assert_eq!(kind_of(bad), None, "{bad}");
        }
    }
}
