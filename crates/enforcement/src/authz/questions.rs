//! Answers to the questions of proxies.

use std::sync::Arc;

use arc_swap::ArcSwap;
use certgate_model::{Clock, Hex};
use certgate_pki::sha256;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use tokio_rustls::TlsAcceptor;

use super::ACCESS_LOG_TARGET;
use super::body::Complete;
use super::connection::Answer;
use super::host::{Asked, HostFrom, named};
use super::message::{
    AttributeContext, CheckRequest, CheckResponse, DeniedHttpResponse, HeaderValueOption,
    HttpRequest, HttpResponse, HttpStatus, OkHttpResponse, Status, frame, unframe,
};
use super::settings::{AccessLog, ClientCertificates, HostRule, ListenerSettings};
use super::source::{CertificateFrom, Certificates, read_text};
use super::unreadable::Unreadable;
use crate::boot::BootInstant;
use crate::headers;
use crate::{Judged, Presented, Reason, StalePolicy, Verdict, View};

/// The largest gRPC message of a question, in octets: all headers of a request, and a certificate.
pub const AUTHZ_MESSAGE_BYTES_MAX: usize = 1 << 20;

/// The header in which a proxy sends the shared secret.
const SECRET: &str = "certgate-secret";

/// The method of Envoy's questions over gRPC.
const CHECK: &str = "/envoy.service.auth.v3.Authorization/Check";

/// Seconds after which a refused client may try again while the view is stale. A point recovers
/// within a second after the server is back.
const RETRY_SECONDS: HeaderValue = HeaderValue::from_static("1");

/// The result code of gRPC for a permitted request, a refused one, and a stale view (google/rpc
/// /code.proto).
const OK: i32 = 0;
const PERMISSION_DENIED: i32 = 7;
const UNAVAILABLE: i32 = 14;

/// The parts of the process that every listener uses.
pub struct Judge {
    /// The view.
    pub view: Arc<View>,
    /// The rule for a view that is too old.
    pub stale: StalePolicy,
    /// The clock for the validity of certificates.
    pub clock: Arc<dyn Clock>,
}

/// The questions of a listener.
pub struct Questions {
    judge: Arc<Judge>,
    settings: ArcSwap<InEffect>,
}

/// The settings of a listener, and those for all of them.
pub struct InEffect {
    /// The settings of the listener.
    pub listener: Arc<ListenerSettings>,
    /// The verdicts that get a line.
    pub access_log: AccessLog,
}

/// A question: the host, and the certificate as it arrived.
struct Question {
    host: Asked,
    certificates: Result<Option<Certificates>, Unreadable>,
    /// A header with `_` in the place of `-`, which the proxy had to remove.
    has_alias: bool,
}

/// The answer to a question.
struct Decision {
    /// The reason of a refusal. [`None`]: the request may pass.
    refusal: Option<Reason>,
    judged: Judged,
}

impl Questions {
    /// Begins with these settings.
    pub fn new(judge: Arc<Judge>, settings: InEffect) -> Self {
        Self {
            judge,
            settings: ArcSwap::from_pointee(settings),
        }
    }

    /// Replaces the settings. Questions in flight use the earlier ones.
    pub fn replace(&self, settings: InEffect) {
        self.settings.store(Arc::new(settings));
    }
}

impl Answer for Questions {
    fn tls(&self) -> Option<TlsAcceptor> {
        let settings = self.settings.load();
        settings.listener.tls.clone().map(TlsAcceptor::from)
    }

    fn is_local(&self) -> bool {
        self.settings.load().listener.address.is_local()
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<Complete> {
        let settings = self.settings.load_full();
        let listener = &settings.listener;
        if !knows_secret(listener, request.headers()) {
            tracing::warn!(
                address = %listener.address,
                "a question lacks the secret of its listener, and is refused"
            );
            return denied(StatusCode::FORBIDDEN, "wrong_secret");
        }
        if listener.certificate_from == CertificateFrom::Grpc {
            return self.answer_check(&settings, request).await;
        }
        let host = match &listener.host {
            HostRule::Fixed(name) => Asked::Named(name.clone()),
            HostRule::From(from) => from.read(request.uri(), request.headers()),
        };
        let mut names = request.headers().keys().map(|name| name.as_str());
        let question = Question {
            host,
            certificates: listener.certificate_from.read(request.headers()),
            has_alias: names.any(is_alias),
        };
        let decision = self.judge.decide(&settings, &question);
        match decision.refusal {
            None => passed(&decision.judged),
            Some(Reason::Stale) => {
                let mut answer = denied(StatusCode::SERVICE_UNAVAILABLE, Reason::Stale.as_str());
                answer.headers_mut().insert(RETRY_AFTER, RETRY_SECONDS);
                answer
            }
            Some(reason) => denied(StatusCode::FORBIDDEN, reason.as_str()),
        }
    }
}

impl Questions {
    async fn answer_check(
        &self,
        settings: &InEffect,
        request: Request<Incoming>,
    ) -> Response<Complete> {
        if request.uri().path() != CHECK {
            return grpc_error("12");
        }
        let body = Limited::new(request.into_body(), AUTHZ_MESSAGE_BYTES_MAX);
        let Ok(body) = body.collect().await else {
            return grpc_error("8");
        };
        let Some(check) = unframe::<CheckRequest>(&body.to_bytes()) else {
            return grpc_error("3");
        };
        let AttributeContext { source, request } = check.attributes.unwrap_or_default();
        let http = request.and_then(|request| request.http).unwrap_or_default();
        let host = match &settings.listener.host {
            HostRule::Fixed(name) => Asked::Named(name.clone()),
            HostRule::From(HostFrom::Any) => Asked::Any,
            HostRule::From(_) => named(Some(&http.host)),
        };
        let question = Question {
            host,
            certificates: read_text(&source.unwrap_or_default().certificate),
            // The answer removes them.
            has_alias: false,
        };
        let decision = self.judge.decide(settings, &question);
        let mut answer = Response::new(Complete::message(frame(&respond(&decision, &http))));
        let kind = HeaderValue::from_static("application/grpc");
        answer.headers_mut().insert(CONTENT_TYPE, kind);
        answer
    }
}

impl Judge {
    fn decide(&self, settings: &InEffect, question: &Question) -> Decision {
        let host = match &question.host {
            Asked::Named(name) => Some(&**name),
            Asked::Any | Asked::Unnamed => None,
        };
        let judged = self.judged(question, host);
        let refusal = match judged.verdict {
            Verdict::Admitted => None,
            Verdict::Refused(reason) => match settings.listener.client_certificates {
                ClientCertificates::Optional if is_about_certificate(reason) => None,
                _ => Some(reason),
            },
        };
        match question.host {
            // An empty name is not a hostname.
            Asked::Unnamed => self.view.count(Some(""), judged.verdict),
            _ => self.view.count(host, judged.verdict),
        }
        log(settings.access_log, host, &judged, question);
        Decision { refusal, judged }
    }

    fn judged(&self, question: &Question, host: Option<&str>) -> Judged {
        if self.view.is_stale(&self.stale, BootInstant::now()) {
            return Judged::refused(Reason::Stale);
        }
        if question.host == Asked::Unnamed {
            return Judged::refused(Reason::UnknownHost);
        }
        if question.has_alias {
            return Judged::refused(Reason::Malformed);
        }
        let now = self.clock.now();
        match &question.certificates {
            Err(_) => Judged::refused(Reason::Malformed),
            Ok(None) => self.view.judge(host, None, now),
            Ok(Some(certificates)) => {
                let others = &certificates.intermediates;
                let intermediates: Vec<_> = others.iter().map(|der| &**der).collect();
                let presented = Presented {
                    leaf: &certificates.leaf,
                    intermediates: &intermediates,
                };
                self.view.judge(host, Some(&presented), now)
            }
        }
    }
}

/// Returns true for a reason with which an `optional` host serves a client.
fn is_about_certificate(reason: Reason) -> bool {
    !matches!(
        reason,
        Reason::UnknownHost | Reason::Stale | Reason::Malformed
    )
}

/// Returns true for a header that programs behind CGI read as one of ours.
fn is_alias(name: &str) -> bool {
    name.contains('_') && headers::carries_identity(name)
}

fn knows_secret(listener: &ListenerSettings, headers: &HeaderMap) -> bool {
    let Some(expected) = &listener.secret else {
        return true;
    };
    let mut given = headers.get_all(SECRET).iter();
    match (given.next(), given.next()) {
        // The time of a comparison of digests reveals nothing about the secret.
        (Some(secret), None) => sha256(secret.as_bytes()) == *expected,
        _ => false,
    }
}

fn log(access_log: AccessLog, host: Option<&str>, judged: &Judged, question: &Question) {
    match access_log {
        AccessLog::All => {}
        AccessLog::Refused if !judged.verdict.is_admitted() => {}
        _ => return,
    }
    let unreadable = question.certificates.as_ref().err();
    let detail = unreadable.map(ToString::to_string);
    let serial = judged
        .certificate
        .as_ref()
        .map(|certificate| Hex(&certificate.serial).to_string());
    tracing::info!(
        target: ACCESS_LOG_TARGET,
        host,
        serial,
        certificate_authority = judged.authority().map(|id| id.to_string()),
        verdict = judged.verdict.as_str(),
        detail = detail.as_deref().or(judged.detail.as_deref()),
        "judged a request"
    );
}

fn passed(judged: &Judged) -> Response<Complete> {
    let mut answer = Response::new(Complete::default());
    headers::set(answer.headers_mut(), judged);
    no_store(&mut answer);
    answer
}

fn denied(status: StatusCode, reason: &'static str) -> Response<Complete> {
    let mut answer = Response::new(Complete::text(reason));
    *answer.status_mut() = status;
    let kind = HeaderValue::from_static("text/plain; charset=utf-8");
    answer.headers_mut().insert(CONTENT_TYPE, kind);
    no_store(&mut answer);
    answer
}

fn no_store(answer: &mut Response<Complete>) {
    let value = HeaderValue::from_static("no-store");
    answer.headers_mut().insert(CACHE_CONTROL, value);
}

/// Answers a call that is not a question. Envoy treats it as a failure of the service, and refuses
/// the client.
fn grpc_error(status: &'static str) -> Response<Complete> {
    let mut answer = Response::new(Complete::default());
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert("grpc-status", HeaderValue::from_static(status));
    answer
}

fn respond(decision: &Decision, http: &HttpRequest) -> CheckResponse {
    let (code, http_response) = match decision.refusal {
        None => (OK, HttpResponse::Ok(changes(&decision.judged, http))),
        Some(Reason::Stale) => {
            let mut denied = denied_message(StatusCode::SERVICE_UNAVAILABLE, Reason::Stale);
            denied
                .headers
                .push(HeaderValueOption::set("retry-after", "1"));
            (UNAVAILABLE, HttpResponse::Denied(denied))
        }
        Some(reason) => {
            let denied = denied_message(StatusCode::FORBIDDEN, reason);
            (PERMISSION_DENIED, HttpResponse::Denied(denied))
        }
    };
    CheckResponse {
        status: Some(Status { code }),
        http_response: Some(http_response),
    }
}

fn denied_message(status: StatusCode, reason: Reason) -> DeniedHttpResponse {
    DeniedHttpResponse {
        status: Some(HttpStatus {
            code: status.as_u16().into(),
        }),
        headers: vec![
            HeaderValueOption::set("cache-control", "no-store"),
            HeaderValueOption::set("content-type", "text/plain; charset=utf-8"),
        ],
        body: reason.as_str().to_owned(),
    }
}

/// Sets our headers, and removes each other one of the request that carries a certificate.
fn changes(judged: &Judged, http: &HttpRequest) -> OkHttpResponse {
    let mut ours = HeaderMap::new();
    headers::set(&mut ours, judged);
    let raw = http.header_map.iter().flat_map(|map| &map.headers);
    let names = http.headers.keys().chain(raw.map(|header| &header.key));
    let is_forged =
        |name: &&String| headers::carries_identity(name) && !ours.contains_key(&***name);
    let headers_to_remove = names.filter(is_forged).cloned().collect();
    let set = |(name, value): (&http::HeaderName, &HeaderValue)| {
        Some(HeaderValueOption::set(name.as_str(), value.to_str().ok()?))
    };
    OkHttpResponse {
        headers: ours.iter().filter_map(set).collect(),
        headers_to_remove,
    }
}
