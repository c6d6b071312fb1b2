//! The state that handlers share.

use std::net::IpAddr;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use certgate_model::{Clock, Random};
use certgate_service::{Notifier, Service};
use certgate_store::ReadStore;

use crate::client_address::TrustedProxies;
use crate::crl_cache::CrlCache;
use crate::documentation::Documentation;
use crate::followers::Followers;
use crate::large_answers::LargeAnswers;
use crate::readiness::Readiness;

/// The address that a request comes from, as the listener saw it. The listener adds it to every
/// request.
#[derive(Debug, Clone, Copy)]
pub struct PeerAddress(pub IpAddr);

/// The chain of a client, in DER, its own certificate first. The TLS handshake proved the possession
/// of its key, and nothing else. The listener adds it to every request of the connection.
#[derive(Debug, Clone)]
pub struct PeerCertificate(pub Arc<[Vec<u8>]>);

/// The state of the API. Every request copies it several times, therefore it is one reference.
#[derive(Clone)]
pub struct Api(Arc<Inner>);

struct Inner {
    parts: ApiParts,
    crls: CrlCache,
    followers: Followers,
    large_answers: LargeAnswers,
    readiness: Readiness,
}

impl Api {
    /// Returns the API made of these parts.
    pub fn new(parts: ApiParts) -> Self {
        Self(Arc::new(Inner {
            followers: Followers::new(parts.connections_max),
            parts,
            crls: CrlCache::new(),
            large_answers: LargeAnswers::new(),
            readiness: Readiness::default(),
        }))
    }

    pub(crate) fn followers(&self) -> &Followers {
        &self.0.followers
    }

    pub(crate) fn large_answers(&self) -> &LargeAnswers {
        &self.0.large_answers
    }

    pub(crate) fn readiness(&self) -> &Readiness {
        &self.0.readiness
    }

    pub(crate) fn crls(&self) -> &CrlCache {
        &self.0.crls
    }
}

impl Deref for Api {
    type Target = ApiParts;

    fn deref(&self) -> &ApiParts {
        &self.0.parts
    }
}

/// The parts of an [`Api`].
pub struct ApiParts {
    /// The rules: every write, and every decision on a permission.
    pub service: Arc<Service>,
    /// The destinations of notifications.
    pub notifier: Arc<Notifier>,
    /// The reading half of the store.
    pub store: Arc<dyn ReadStore>,
    /// The clock for the state of tokens.
    pub clock: Arc<dyn Clock>,
    /// The source of request IDs.
    pub random: Arc<dyn Random>,
    /// Renders the metrics in the text format of Prometheus.
    pub metrics: Arc<dyn Fn() -> String + Send + Sync>,
    /// Returns the names of the server's tasks that do not run now.
    pub missing_tasks: Arc<dyn Fn() -> Vec<&'static str> + Send + Sync>,
    /// The longest duration of a request, its body included.
    pub request_timeout: Duration,
    /// The number of connections to the management API.
    pub connections_max: usize,
    /// The proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: TrustedProxies,
    /// The base of the links of invites, without a slash at the end.
    pub invite_url: Option<String>,
    /// The address under which clients reach enrolment, without a slash at the end.
    pub enrol_url: Option<String>,
    /// The documentation to which errors refer.
    pub documentation: Documentation,
}
