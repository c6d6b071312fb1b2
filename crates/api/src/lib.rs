//! The management API (Cloudflare's `client_certificates` contract) and the public responder over HTTP.
//!
//! A handler reads like the API document: an extractor proves who may call, the body parses, one call down, envelope
//! out. This crate reads from the store and writes through the service.

mod body;
mod client_address;
mod code;
mod envelope;
mod error;
mod extract;
mod failure_log;
mod list_cache;
mod middleware;
mod openapi;
mod query;
mod request_metrics;
mod router;
mod routes;
mod wire;

use std::net::IpAddr;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use certgate_model::{Clock, Random};
use certgate_service::Service;
use certgate_store::ReadStore;

use list_cache::ListCache;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

pub use body::BODY_BYTES_MAX;
pub use client_address::TrustedProxies;
pub use openapi::openapi_json;
pub use router::{management, responder};

/// The address a request comes from, as the listener saw it; the listener adds it to every request.
#[derive(Debug, Clone, Copy)]
pub struct PeerAddress(pub IpAddr);

/// What the handlers work with. One reference to all of it, since every request copies it several times.
#[derive(Clone)]
pub struct Api(Arc<Inner>);

struct Inner {
    parts: ApiParts,
    lists: ListCache,
    streams: Arc<Semaphore>,
}

/// How many answers can go on with changes at once: each holds a connection, of which there are 1,024 unless configured
/// otherwise.
pub(crate) const STREAMS_MAX: usize = 128;

impl Api {
    /// From its parts.
    pub fn new(parts: ApiParts) -> Self {
        let streams = Arc::new(Semaphore::new(STREAMS_MAX));
        Self(Arc::new(Inner {
            parts,
            lists: ListCache::default(),
            streams,
        }))
    }

    /// A place for one more answer that goes on; `None`: there are as many as there can be.
    pub(crate) fn stream_place(&self) -> Option<OwnedSemaphorePermit> {
        self.0.streams.clone().try_acquire_owned().ok()
    }

    pub(crate) fn lists(&self) -> &ListCache {
        &self.0.lists
    }
}

impl Deref for Api {
    type Target = ApiParts;

    fn deref(&self) -> &ApiParts {
        &self.0.parts
    }
}

/// What an [`Api`] is made of.
pub struct ApiParts {
    /// The rules: every write, and every decision about a permission.
    pub service: Arc<Service>,
    /// The reading half of the store.
    pub store: Arc<dyn ReadStore>,
    /// For the state of tokens.
    pub clock: Arc<dyn Clock>,
    /// For request ids.
    pub random: Arc<dyn Random>,
    /// Renders the metrics in Prometheus' text format.
    pub metrics: Arc<dyn Fn() -> String + Send + Sync>,
    /// How long a request may take, its body included, before it is given up.
    pub request_timeout: Duration,
    /// Who is believed about where a request comes from.
    pub trusted_proxies: TrustedProxies,
}
