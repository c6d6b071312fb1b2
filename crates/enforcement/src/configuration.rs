//! The hosts and CAs of an account, as of one epoch.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use certgate_model::AuthorityId;
use certgate_pki::stored_certificates;
use certgate_wire::{EnforcedCaState, EnforcementView};
use metrics::Counter;

use crate::cache::PathCache;
use crate::validation::{Authority, Issuers, TrustSet};
use crate::verdict::{Reason, Verdict};

/// The name of hosts without rules in metrics. Clients choose those names.
const UNKNOWN_HOST: &str = "unknown";

/// The error for a view that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigurationError {
    /// A hostname names a CA that the view does not have.
    #[error("the hostname {hostname} names the unknown CA {authority}")]
    UnknownAuthority {
        /// The hostname.
        hostname: String,
        /// The ID of the CA.
        authority: AuthorityId,
    },
}

/// The rules of a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostRules {
    /// The hostname in lower case.
    pub hostname: String,
    /// Its CAs, the most recently deployed first. Without any, every client is refused.
    pub authorities: Vec<AuthorityId>,
}

pub(crate) struct Host {
    pub rules: HostRules,
    pub trust: Trust,
    counters: Counters,
}

/// CAs that hosts share, with a number for the cache.
#[derive(Clone)]
pub(crate) struct Trust {
    pub number: u32,
    pub set: Arc<TrustSet>,
}

/// The hosts and CAs of an account.
pub struct Configuration {
    hosts: HashMap<String, Host>,
    /// The CAs of all hosts.
    any_host: Host,
    unknown_host: Counters,
    pub(crate) paths: PathCache,
    source: EnforcementView<'static>,
}

impl Configuration {
    /// A configuration without hosts, which refuses every client.
    pub fn empty() -> Self {
        let issuers = Arc::new(Issuers::new());
        Self {
            hosts: HashMap::new(),
            any_host: Host {
                rules: HostRules {
                    hostname: "any".to_owned(),
                    authorities: Vec::new(),
                },
                trust: Trust {
                    number: 0,
                    set: Arc::new(TrustSet::new(Vec::new(), issuers)),
                },
                counters: Counters::of_host("any"),
            },
            unknown_host: Counters::of_host(UNKNOWN_HOST),
            paths: PathCache::default(),
            source: EnforcementView {
                epoch: 0,
                hostnames: Vec::new(),
                certificate_authorities: Vec::new(),
            },
        }
    }

    /// Reads the answer of the server. A CA with a malformed certificate is logged and trusted by
    /// no host.
    pub fn read(view: &EnforcementView<'static>) -> Result<Self, ConfigurationError> {
        let known = Known::read(view);
        let mut trusts: BTreeMap<Vec<AuthorityId>, Trust> = BTreeMap::new();
        let mut trust_of = |ids: &[AuthorityId]| {
            let number = trusts.len() as u32;
            let trust = trusts.entry(ids.to_vec());
            let set = || Arc::new(known.trust_set(ids));
            trust
                .or_insert_with(|| Trust { number, set: set() })
                .clone()
        };
        let mut hosts = HashMap::with_capacity(view.hostnames.len());
        let mut all = Vec::new();
        for host in &view.hostnames {
            let hostname = host.hostname.to_ascii_lowercase();
            let ids = host.certificate_authorities.iter();
            let authorities: Vec<_> = ids.map(|id| AuthorityId::from(*id)).collect();
            if let Some(authority) = authorities
                .iter()
                .find(|id| !known.authorities.contains_key(id))
            {
                return Err(ConfigurationError::UnknownAuthority {
                    hostname,
                    authority: *authority,
                });
            }
            all.extend(authorities.iter().copied());
            let host = Host {
                trust: trust_of(&authorities),
                counters: Counters::of_host(&hostname),
                rules: HostRules {
                    hostname: hostname.clone(),
                    authorities,
                },
            };
            hosts.insert(hostname, host);
        }
        all.sort_unstable();
        all.dedup();
        Ok(Self {
            hosts,
            any_host: Host {
                trust: trust_of(&all),
                counters: Counters::of_host("any"),
                rules: HostRules {
                    hostname: "any".to_owned(),
                    authorities: all,
                },
            },
            unknown_host: Counters::of_host(UNKNOWN_HOST),
            paths: PathCache::default(),
            source: view.clone(),
        })
    }

    /// The answer of the server from which this was read.
    pub fn source(&self) -> &EnforcementView<'static> {
        &self.source
    }

    /// The host with this name in any letter case, or for [`None`] the CAs of all hosts.
    pub(crate) fn host(&self, name: Option<&str>) -> Option<&Host> {
        let Some(name) = name else {
            return Some(&self.any_host);
        };
        let name = name.strip_suffix('.').unwrap_or(name);
        match name.bytes().any(|octet| octet.is_ascii_uppercase()) {
            true => self.hosts.get(&name.to_ascii_lowercase()),
            false => self.hosts.get(name),
        }
    }

    /// The contents of the names of a host's CAs, in DER.
    pub(crate) fn authority_subjects(&self, host: &str) -> Vec<Vec<u8>> {
        let host = self.host(Some(host));
        let subjects = host.into_iter().flat_map(|host| host.trust.set.subjects());
        subjects.map(<[u8]>::to_vec).collect()
    }

    /// Counts a verdict.
    pub(crate) fn count(&self, host: Option<&str>, verdict: Verdict) {
        let counters = self.host(host).map(|host| &host.counters);
        counters.unwrap_or(&self.unknown_host).count(verdict);
    }

    /// The rules of every host.
    pub fn hosts(&self) -> impl Iterator<Item = &HostRules> {
        self.hosts.values().map(|host| &host.rules)
    }
}

/// The CAs of an account.
struct Known {
    /// [`None`]: the CA cannot be trusted, or is retired.
    authorities: HashMap<AuthorityId, Option<Arc<Authority>>>,
    issuers: Arc<Issuers>,
}

impl Known {
    fn read(view: &EnforcementView<'static>) -> Self {
        let mut authorities = HashMap::new();
        let mut issuers = Issuers::new();
        for ca in &view.certificate_authorities {
            let id = AuthorityId::from(ca.id);
            let certificates = |pem: &str| stored_certificates(pem).unwrap_or_default();
            let certificate = certificates(&ca.certificate).into_iter().next();
            let intermediates = ca.intermediates.iter().flat_map(|pem| certificates(pem));
            let read = match certificate {
                Some(certificate) => Authority::read(id, certificate, intermediates.collect()),
                None => Err("its certificate is not PEM".to_owned()),
            };
            let authority = match read {
                Ok(authority) => {
                    issuers.entry(authority.key()).or_default().push(id);
                    // Nothing that a retired CA signed is valid.
                    (ca.state != EnforcedCaState::Retired).then(|| Arc::new(authority))
                }
                Err(error) => {
                    tracing::error!(certificate_authority = %id, error, "a CA cannot be trusted");
                    None
                }
            };
            authorities.insert(id, authority);
        }
        Self {
            authorities,
            issuers: Arc::new(issuers),
        }
    }

    fn trust_set(&self, ids: &[AuthorityId]) -> TrustSet {
        let trusted = ids
            .iter()
            .filter_map(|id| self.authorities.get(id)?.clone());
        TrustSet::new(trusted.collect(), self.issuers.clone())
    }
}

/// The counters of a host's verdicts.
struct Counters {
    admitted: Counter,
    refused: [Counter; Reason::ALL.len()],
}

impl Counters {
    fn of_host(host: &str) -> Self {
        let counter = |verdict: &'static str| {
            metrics::counter!(
                "certgate_enforcement_verdicts_total",
                "host" => host.to_owned(), "verdict" => verdict
            )
        };
        Self {
            admitted: counter(Verdict::Admitted.as_str()),
            refused: Reason::ALL.map(|reason| counter(reason.as_str())),
        }
    }

    fn count(&self, verdict: Verdict) {
        match verdict {
            Verdict::Admitted => self.admitted.increment(1),
            Verdict::Refused(reason) => {
                let place = Reason::ALL.iter().position(|known| *known == reason);
                if let Some(counter) = place.and_then(|place| self.refused.get(place)) {
                    counter.increment(1);
                }
            }
        }
    }
}
