//! The state that all connections of a gateway share: the view, the table, and the hosts of the
//! current configuration.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::{ArcSwap, Guard};
use certgate_model::{AuthorityId, Clock};
use http::uri::Authority;
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, DistinguishedName, RootCertStore, ServerConfig};

use super::config::{Config, HostConfig, Policy, UpstreamUrl, WhenStale};
use super::limits::number;
use super::table::{Connection, CutReason, Table};
use super::tls;
use super::upstream::{Upstream, Upstreams};
use crate::{BootInstant, Judged, Presented, StalePolicy, Verdict, View};

/// A gateway.
pub struct Gateway {
    /// The verdicts.
    pub view: Arc<View>,
    /// The wall clock.
    pub clock: Arc<dyn Clock>,
    /// The open connections.
    pub table: Arc<Table>,
    /// TLS for server names without a host: every handshake ends with an alert.
    pub refusing: Arc<ServerConfig>,
    active: ArcSwap<Active>,
}

/// A configuration with its files, in effect.
pub struct Active {
    /// The settings.
    pub config: Config,
    /// The hosts, by name.
    pub hosts: HashMap<Arc<str>, Arc<Host>>,
}

/// A host with its certificate and its upstreams.
pub struct Host {
    /// The name in lower case.
    pub name: Arc<str>,
    /// The name as the authority of requests.
    pub authority: Authority,
    /// The settings.
    pub config: HostConfig,
    /// The upstreams.
    pub upstreams: Upstreams,
    /// The rule for a stale view.
    pub stale: StalePolicy,
    identity: Arc<CertifiedKey>,
    chain_bytes_max: usize,
    tls: ArcSwap<HostTls>,
}

/// TLS of a host, with the CAs that it was made for.
struct HostTls {
    config: Arc<ServerConfig>,
    authorities: Vec<AuthorityId>,
}

impl Gateway {
    /// Makes a gateway with this configuration. The error has the reason.
    pub fn new(config: Config, view: Arc<View>, clock: Arc<dyn Clock>) -> Result<Self, String> {
        let active = Active::load(config, None, &view)?;
        view.set_stale_after(active.config.stale_after());
        Ok(Self {
            view,
            clock,
            table: Arc::default(),
            refusing: tls::refusing_config().map_err(|error| error.to_string())?,
            active: ArcSwap::from_pointee(active),
        })
    }

    /// The configuration in effect.
    pub fn active(&self) -> Guard<Arc<Active>> {
        self.active.load()
    }

    /// Replaces the configuration, or returns the reason for which nothing changed. Connections of
    /// hosts that are gone, or whose policy changed, are cut.
    pub fn replace(&self, config: Config) -> Result<(), String> {
        let earlier = self.active.load_full();
        let later = Arc::new(Active::load(config, Some(&earlier), &self.view)?);
        self.active.store(later.clone());
        self.view.set_stale_after(later.config.stale_after());
        // A change of the CAs during the load is in the earlier hosts only.
        later.follow_authorities(&self.view);
        self.table.cut_where(|connection| {
            let before = earlier.hosts.get(&connection.host)?;
            let after = later.hosts.get(&connection.host);
            let is_same = after.is_some_and(|after| after.has_terms_of(before));
            (!is_same).then_some(CutReason::Host)
        });
        Ok(())
    }

    /// The host with exactly this name.
    pub fn host(&self, name: &str) -> Option<Arc<Host>> {
        self.active.load().hosts.get(name).cloned()
    }

    /// Judges the certificate of a connection by the current view.
    pub fn judge(&self, connection: &Connection) -> Judged {
        let host = Some(&*connection.host);
        let now = self.clock.now();
        let Some((leaf, others)) = connection.chain.split_first() else {
            return self.view.judge(host, None, now);
        };
        let intermediates: Vec<&[u8]> = others.iter().map(|other| &**other).collect();
        let presented = Presented {
            leaf,
            intermediates: &intermediates,
        };
        self.view.judge(host, Some(&presented), now)
    }

    /// Returns true if the view is too old for this host.
    pub fn is_stale(&self, host: &Host) -> bool {
        host.config.client_certificates != Policy::Off
            && self.view.is_stale(&host.stale, BootInstant::now())
    }
}

impl Active {
    /// Loads the files of a configuration. Hosts that did not change keep their ticket keys, and
    /// upstreams their connections.
    fn load(config: Config, earlier: Option<&Self>, view: &View) -> Result<Self, String> {
        let mut hosts = HashMap::with_capacity(config.hosts.len());
        for settings in &config.hosts {
            let before = earlier.and_then(|earlier| earlier.hosts.get(&*settings.name));
            let chain_bytes_max = number(config.limits.chain_bytes);
            let host = Host::load(settings, before, view, chain_bytes_max)
                .map_err(|reason| format!("the host {}: {reason}", settings.name))?;
            hosts.insert(host.name.clone(), Arc::new(host));
        }
        Ok(Self { config, hosts })
    }

    /// Makes new ticket keys for the hosts whose CAs have changed.
    pub fn follow_authorities(&self, view: &View) {
        for host in self.hosts.values() {
            if host.config.client_certificates != Policy::Off {
                host.follow_authorities(view);
            }
        }
    }
}

impl Host {
    fn load(
        settings: &HostConfig,
        before: Option<&Arc<Self>>,
        view: &View,
        chain_bytes_max: usize,
    ) -> Result<Self, String> {
        let identity = tls::read_identity(&settings.certificate, &settings.key)?;
        let upstreams = upstreams(settings, before)?;
        let kept = before.filter(|before| {
            before.identity.cert == identity.cert
                && before.config.client_certificates == settings.client_certificates
                && before.config.mode == settings.mode
                && before.chain_bytes_max == chain_bytes_max
        });
        let tls = match kept {
            Some(before) => before.tls.load_full(),
            None => Arc::new(HostTls::new(settings, &identity, view, chain_bytes_max)?),
        };
        Ok(Self {
            name: settings.name.as_str().into(),
            authority: settings
                .name
                .parse()
                .map_err(|error| format!("{error}: choose another name"))?,
            config: settings.clone(),
            upstreams,
            stale: StalePolicy {
                when_stale: match settings.when_stale {
                    WhenStale::Refuse => crate::WhenStale::Refuse,
                    WhenStale::Serve => crate::WhenStale::Serve,
                },
                after: Duration::from_secs(settings.stale_after_seconds.into()),
            },
            identity,
            chain_bytes_max,
            tls: ArcSwap::new(tls),
        })
    }

    /// The TLS settings for a new connection.
    pub fn tls(&self) -> Arc<ServerConfig> {
        self.tls.load().config.clone()
    }

    /// Makes new ticket keys if the CAs of the host have changed: no earlier session is resumed.
    fn follow_authorities(&self, view: &View) {
        let authorities = view.host(&self.name).map(|rules| rules.authorities);
        if authorities.unwrap_or_default() == self.tls.load().authorities {
            return;
        }
        match HostTls::new(&self.config, &self.identity, view, self.chain_bytes_max) {
            Ok(tls) => self.tls.store(Arc::new(tls)),
            Err(error) => {
                tracing::error!(host = &*self.name, error, "cannot make new ticket keys");
            }
        }
    }

    /// Returns true if a connection of `earlier` can stay open under the settings of this host.
    pub fn has_terms_of(&self, earlier: &Self) -> bool {
        self.config.client_certificates == earlier.config.client_certificates
            && self.config.mode == earlier.config.mode
    }

    /// Returns true if a connection with this verdict reaches the upstreams.
    pub fn admits(&self, verdict: Verdict) -> bool {
        match self.config.client_certificates {
            Policy::Required => verdict.is_admitted(),
            Policy::Optional | Policy::Off => true,
        }
    }
}

impl HostTls {
    fn new(
        settings: &HostConfig,
        identity: &Arc<CertifiedKey>,
        view: &View,
        chain_bytes_max: usize,
    ) -> Result<Self, String> {
        let authorities = view.host(&settings.name).map(|rules| rules.authorities);
        let subjects = view.configuration().authority_subjects(&settings.name);
        let subjects = subjects
            .iter()
            .map(|name| DistinguishedName::in_sequence(name));
        let config = tls::server_config(
            identity.clone(),
            settings.client_certificates,
            settings.mode,
            subjects.collect(),
            chain_bytes_max,
        );
        Ok(Self {
            config: config.map_err(|error| error.to_string())?,
            authorities: authorities.unwrap_or_default(),
        })
    }
}

fn upstreams(settings: &HostConfig, before: Option<&Arc<Host>>) -> Result<Upstreams, String> {
    let has_tls = |url: &UpstreamUrl| url.protocol.has_tls();
    let tls = match settings.upstreams.iter().any(has_tls) {
        true => Some(client_config(settings)?),
        false => None,
    };
    let same_ca =
        before.filter(|before| before.config.upstream_ca_file == settings.upstream_ca_file);
    let mut all = Vec::with_capacity(settings.upstreams.len());
    for url in &settings.upstreams {
        // Without TLS, its connections and its health stay valid.
        let kept = same_ca.filter(|_| !has_tls(url)).and_then(|before| {
            let mut known = before.upstreams.all().iter();
            known.find(|known| known.url == *url).cloned()
        });
        all.push(match kept {
            Some(upstream) => upstream,
            None => {
                let tls = tls.clone().filter(|_| has_tls(url));
                Arc::new(Upstream::new(url.clone(), tls)?)
            }
        });
    }
    Ok(Upstreams::new(all))
}

fn client_config(settings: &HostConfig) -> Result<Arc<ClientConfig>, String> {
    let mut roots = RootCertStore::empty();
    match &settings.upstream_ca_file {
        Some(path) => {
            for certificate in tls::read_certificates(path)? {
                let added = roots.add(certificate);
                added.map_err(|error| format!("the file {}: {error}", path.display()))?;
            }
        }
        None => {
            let found = rustls_native_certs::load_native_certs();
            roots.add_parsable_certificates(found.certs);
        }
    }
    let config = ClientConfig::builder_with_provider(tls::provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}
