//! A request from its begin to the end of its answer: the use of its connection, and its line in
//! the access log.

use std::sync::Arc;

use certgate_model::Hex;
use http::{Method, StatusCode};
use tokio::time::Instant;

use super::body::Ends;
use super::limits::number;
use super::session::Session;
use super::table::{CutReason, Unread};
use super::upstream::{Reusable, Upstream};
use crate::{Judged, Verdict};

/// The target of access-log lines. The limit of repeated lines does not hold for it.
pub const TARGET: &str = "certgate::access";

/// A request in flight. Its end is when this is dropped.
pub struct Exchange {
    session: Arc<Session>,
    begin: Instant,
    method: Method,
    /// The path, if the request is logged.
    path: Option<String>,
    /// The status of the answer. [`None`] if the client has canceled the request.
    pub status: Option<StatusCode>,
    /// The verdict.
    pub judged: Option<Judged>,
    /// The reason of a refusal.
    pub reason: Option<&'static str>,
    /// The connection to the upstream, for the next request.
    pub reusable: Option<Reusable>,
    upstream: Option<Arc<Upstream>>,
    is_complete: bool,
}

impl Exchange {
    /// Begins a request. The path has no query, because queries contain secrets.
    pub fn begin(session: &Arc<Session>, method: Method, path: &str) -> Self {
        session.connection.activity.begin_request();
        Self {
            session: session.clone(),
            begin: Instant::now(),
            method,
            path: session.has_access_log().then(|| path.to_owned()),
            status: None,
            judged: None,
            reason: None,
            reusable: None,
            upstream: None,
            is_complete: false,
        }
    }

    /// Records the upstream that answered.
    pub fn answered_by(&mut self, reusable: Reusable) {
        self.upstream = Some(reusable.upstream().clone());
        self.reusable = Some(reusable);
    }

    /// Records that the request became a stream of octets: its client did not cancel it.
    pub fn becomes_stream(&mut self) {
        self.reusable = None;
        self.is_complete = true;
    }

    fn log(&self) {
        let certificate = self
            .judged
            .as_ref()
            .and_then(|judged| judged.certificate.as_ref());
        let authority = self.judged.as_ref().and_then(Judged::authority);
        tracing::info!(
            target: TARGET,
            client = %self.session.client.ip().to_canonical(),
            host = &*self.session.host,
            method = self.method.as_str(),
            path = self.path.as_deref(),
            status = self.status.map(|status| status.as_u16()),
            milliseconds = u64::try_from(self.begin.elapsed().as_millis()).unwrap_or(u64::MAX),
            serial = certificate.map(|known| tracing::field::display(Hex(&known.serial))),
            certificate_authority = authority.map(tracing::field::display),
            verdict = self.judged.as_ref().map(|judged| judged.verdict.as_str()),
            reason = self.reason,
            cut = self.session.connection.cut_reason().map(CutReason::as_str),
            upstream = self.upstream.as_ref().map(|upstream| upstream.url.authority.as_str()),
            "request"
        );
    }
}

/// Logs a connection in the mode `tcp`.
pub fn log_connection(session: &Session, judged: &Judged, verdict: Verdict) {
    if !session.has_access_log() {
        return;
    }
    let certificate = judged.certificate.as_ref();
    tracing::info!(
        target: TARGET,
        client = %session.client.ip().to_canonical(),
        host = &*session.host,
        serial = certificate.map(|certificate| tracing::field::display(Hex(&certificate.serial))),
        certificate_authority = judged.authority().map(tracing::field::display),
        verdict = verdict.as_str(),
        "connection"
    );
}

impl Ends for Exchange {
    fn complete(mut self) {
        self.is_complete = true;
        if let Some(reusable) = self.reusable.take() {
            reusable.put_back();
        }
    }

    fn awaits_reader(&self, unread: &mut Option<Arc<Unread>>) {
        let activity = &self.session.connection.activity;
        activity.awaits_reader(unread.get_or_insert_with(|| activity.watch_answer()));
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let connection = &self.session.connection;
        connection.activity.end_request();
        self.session.count(self.status);
        if self.session.has_access_log() {
            self.log();
        }
        if self.is_complete {
            connection.activity.complete();
            return;
        }
        let resets_max = number(self.session.limits().resets_per_connection);
        if !self.session.is_http1
            && connection.cut_reason().is_none()
            && connection.activity.reset() > resets_max
        {
            connection.cut(CutReason::Resets);
        }
    }
}
