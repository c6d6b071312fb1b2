//! The walk of a request to an upstream and of its answer back.

use std::convert::Infallible;
use std::sync::Arc;

use http::header::{EXPECT, HOST};
use http::uri::Authority;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;

use super::access::Exchange;
use super::answer::Refusal;
use super::body::{Answered, Forwarded};
use super::config::Policy;
use super::session::Session;
use super::shared::Host;
use super::upstream::SendError;
use super::{forwarded, hop};
use crate::{Reason, Verdict, headers};

/// Answers one request of a connection.
pub async fn answer(
    session: Arc<Session>,
    request: Request<Incoming>,
) -> Result<Response<Answered<Exchange>>, Infallible> {
    let method = request.method().clone();
    let mut exchange = Exchange::begin(&session, method.clone(), request.uri().path());
    let (parts, body) = match forward(&session, request, &mut exchange).await {
        Ok(answer) => answer.into_parts(),
        Err(refusal) => {
            exchange.status = Some(refusal.status);
            exchange.reason = Some(refusal.reason);
            return Ok(refusal.answer(&method, session.is_http1, exchange));
        }
    };
    exchange.status = Some(parts.status);
    let mut answer = match body {
        Some(body) => Response::from_parts(parts, Answered::upstream(body, exchange)),
        None => Response::from_parts(parts, Answered::empty()),
    };
    if session.is_http1 && *session.stopped.borrow() && answer.status() != SWITCHING {
        let close = HeaderValue::from_static("close");
        answer.headers_mut().insert(http::header::CONNECTION, close);
    }
    Ok(answer)
}

const SWITCHING: StatusCode = StatusCode::SWITCHING_PROTOCOLS;

/// Returns the answer of an upstream, without a body if it became a stream.
async fn forward(
    session: &Arc<Session>,
    mut request: Request<Incoming>,
    exchange: &mut Exchange,
) -> Result<Response<Option<Incoming>>, Refusal> {
    // 1. The host must be that of the handshake, whose policy the certificate was asked by.
    let authority = authority_of(request.uri(), request.headers()).ok_or(Refusal::NO_HOST)?;
    if !authority.host().eq_ignore_ascii_case(&session.host) {
        return Err(Refusal::MISDIRECTED);
    }
    let host = session.gateway.host(&session.host);
    let host = host.ok_or(Refusal::MISDIRECTED)?;
    if request.method() == Method::CONNECT {
        return Err(Refusal::CONNECT);
    }

    // 2. The verdict, by the view of this moment.
    judge(session, &host, exchange)?;

    // 3. The headers. What `Connection` names is removed before ours are set.
    let upgrade = hop::remove(request.headers_mut()).filter(|_| session.is_http1);
    let client_stream = upgrade.is_some().then(|| hyper::upgrade::on(&mut request));
    let (mut parts, body) = request.into_parts();
    parts.extensions.clear();
    forwarded::strip(&mut parts.headers);
    // The gateway has answered it itself (RFC 9110 §10.1.1).
    parts.headers.remove(EXPECT);
    forwarded::set(&mut parts.headers, session.client.ip(), &authority);
    if let Some(judged) = &exchange.judged {
        headers::set(&mut parts.headers, judged);
    }
    if let Some(protocol) = upgrade {
        hop::upgrade(&mut parts.headers, protocol);
    }

    // 4. The upstream.
    let limits = session.limits();
    let body = Forwarded::new(body, limits.body_bytes.get().into());
    if is_too_large(&parts.headers, limits.body_bytes.get().into()) {
        return Err(Refusal::BODY_TOO_LARGE);
    }
    let request = Request::from_parts(parts, body);
    let sent = host.upstreams.send(request, &authority, limits).await;
    let (mut answer, reusable) = sent.map_err(|error| refuse(&host, &error))?;
    exchange.answered_by(reusable);

    // 5. The answer.
    let granted = hop::remove(answer.headers_mut());
    if answer.status() != SWITCHING {
        return Ok(answer.map(Some));
    }
    let (Some(client), Some(protocol)) = (client_stream, granted) else {
        let error = "switched protocols without a request to do so";
        tracing::warn!(host = &*host.name, error, "an upstream failed");
        return Err(Refusal::BAD_SWITCH);
    };
    exchange.becomes_stream();
    exchange.status = Some(SWITCHING);
    let upstream = hyper::upgrade::on(&mut answer);
    tokio::spawn(carry(session.clone(), client, upstream));
    hop::upgrade(answer.headers_mut(), protocol);
    Ok(answer.map(|_| None))
}

fn judge(session: &Session, host: &Host, exchange: &mut Exchange) -> Result<(), Refusal> {
    if host.config.client_certificates == Policy::Off {
        return Ok(());
    }
    let judged = session.judge();
    let verdict = match session.gateway.is_stale(host) {
        true => Verdict::Refused(Reason::Stale),
        false => judged.verdict,
    };
    session.gateway.view.count(Some(&session.host), verdict);
    exchange.judged = Some(judged);
    match verdict {
        Verdict::Refused(reason) if reason == Reason::Stale || !host.admits(verdict) => {
            Err(Refusal::of_reason(reason))
        }
        _ => Ok(()),
    }
}

fn refuse(host: &Host, error: &SendError) -> Refusal {
    if matches!(
        error,
        SendError::Unreachable(_) | SendError::Failed(_) | SendError::Late
    ) {
        tracing::warn!(host = &*host.name, %error, "an upstream failed");
    }
    Refusal::of_failure(error)
}

/// Returns the authority of a request: of its target, and of its `Host` header if the target has
/// none. [`None`] if they differ, or a header is repeated or malformed (RFC 9112 §3.2).
fn authority_of(uri: &Uri, headers: &HeaderMap) -> Option<Authority> {
    let mut values = headers.get_all(HOST).iter();
    let header = match (values.next(), values.next()) {
        (None, _) => None,
        (Some(value), None) => Some(value.to_str().ok()?.parse::<Authority>().ok()?),
        (Some(_), Some(_)) => return None,
    };
    let authority = match (uri.authority().cloned(), header) {
        (Some(target), Some(header)) if target != header => return None,
        (Some(authority), _) | (None, Some(authority)) => authority,
        (None, None) => return None,
    };
    (!authority.as_str().contains('@')).then_some(authority)
}

/// Returns true if the request announces a body above the limit.
fn is_too_large(headers: &HeaderMap, octets_max: u64) -> bool {
    let length = headers.get(http::header::CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    length.is_some_and(|length| length > octets_max)
}

/// Carries octets between a client and an upstream, until one of them ends or the connection is
/// cut.
async fn carry(session: Arc<Session>, client: OnUpgrade, upstream: OnUpgrade) {
    session.connection.activity.become_stream();
    let carried = async {
        let client = client.await.map_err(std::io::Error::other)?;
        let upstream = upstream.await.map_err(std::io::Error::other)?;
        let (mut client, mut upstream) = (TokioIo::new(client), TokioIo::new(upstream));
        tokio::io::copy_bidirectional(&mut client, &mut upstream).await
    };
    tokio::select! {
        ended = carried => if let Err(error) = ended {
            tracing::debug!(%error, "a stream ended with an error");
        },
        () = session.connection.until_cut() => {}
    }
}
