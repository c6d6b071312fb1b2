//! The view of an enforcement point: everything that a verdict needs, in memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use certgate_model::{AuthorityId, Timestamp, WhenStale};
use certgate_pki::PresentedCertificate;
use tokio::sync::watch;

use crate::boot::BootInstant;
use crate::cache::{Known, key_of};
use crate::certificate::{ClientCertificate, Presented};
use crate::configuration::{Configuration, HostRules};
use crate::path::CertifiedPath;
use crate::revoked::{Change, Revoked, Serial};
use crate::verdict::{Judged, Reason, Verdict};

/// The rule for a view that the server did not confirm for a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StalePolicy {
    /// The treatment of clients.
    pub when_stale: WhenStale,
    /// The age from which the view is stale.
    pub after: Duration,
}

/// One version of the view.
struct Version {
    epoch: u64,
    configuration: Arc<Configuration>,
    revoked: Revoked,
}

/// The view. Threads share it, and readers never wait for the follower.
pub struct View {
    version: ArcSwap<Version>,
    /// The instant of the last proof of freshness, 0 without one.
    fresh_since: AtomicU64,
    /// The smallest age from which a host treats the view as stale.
    stale_after: watch::Sender<Duration>,
}

/// An age that no process reaches: nothing treats the view as stale.
const NEVER_STALE: Duration = Duration::MAX;

impl Default for View {
    fn default() -> Self {
        Self::new()
    }
}

impl View {
    /// A view without hosts, which refuses every client.
    pub fn new() -> Self {
        Self {
            version: ArcSwap::from_pointee(Version {
                epoch: 0,
                configuration: Arc::new(Configuration::empty()),
                revoked: Revoked::default(),
            }),
            fresh_since: AtomicU64::new(0),
            stale_after: watch::Sender::new(NEVER_STALE),
        }
    }

    /// Sets the smallest age from which a host treats the view as stale. The follower proves its
    /// freshness several times in that time, from now on.
    pub fn set_stale_after(&self, age: Duration) {
        self.stale_after.send_replace(age);
    }

    /// The smallest age from which a host treats the view as stale, and its changes.
    pub(crate) fn stale_after(&self) -> watch::Receiver<Duration> {
        self.stale_after.subscribe()
    }

    /// Judges a client of `host`, or of any host of the account. [`Self::is_stale`] is a separate
    /// question.
    ///
    /// Paths, validity and revocation are judged at each call: call it for each connection, also
    /// one with a resumed TLS session, and after each change.
    pub fn judge(
        &self,
        host: Option<&str>,
        presented: Option<&Presented<'_>>,
        now: Timestamp,
    ) -> Judged {
        let version = self.version.load();
        let Some(rules) = version.configuration.host(host) else {
            return Judged::refused(Reason::UnknownHost);
        };
        let Some(presented) = presented else {
            return Judged::refused(Reason::NoCertificate);
        };
        let paths = &version.configuration.paths;
        let key = key_of(presented, rules.trust.number);
        let known = paths.get(&key).filter(|known| known.path.is_valid_at(now));
        let Known { certificate, path } = match known {
            Some(known) => known,
            None => {
                let Ok(leaf) = PresentedCertificate::read(presented.leaf) else {
                    return Judged::refused(Reason::Malformed);
                };
                let certificate = Arc::new(ClientCertificate::new(presented.leaf, &leaf));
                match rules.trust.set.validate(presented, &leaf, now) {
                    Ok(path) => {
                        let path = Arc::new(path);
                        let known = Known { certificate, path };
                        paths.insert(key, known.clone());
                        known
                    }
                    Err((reason, detail)) => {
                        return Judged {
                            certificate: Some(certificate),
                            detail: Some(detail.into()),
                            ..Judged::refused(reason)
                        };
                    }
                }
            }
        };
        let verdict = match is_revoked(&version.revoked, &path) {
            true => Verdict::Refused(Reason::Revoked),
            false => Verdict::Admitted,
        };
        Judged {
            verdict,
            certificate: Some(certificate),
            path: Some(path),
            detail: None,
        }
    }

    /// Counts a final verdict on a client of `host` in the metrics.
    pub fn count(&self, host: Option<&str>, verdict: Verdict) {
        self.version.load().configuration.count(host, verdict);
    }

    /// The rules of the host with exactly this name, in any letter case.
    pub fn host(&self, name: &str) -> Option<HostRules> {
        let version = self.version.load();
        let host = version.configuration.host(Some(name));
        host.map(|host| host.rules.clone())
    }

    /// The hosts and CAs.
    pub fn configuration(&self) -> Arc<Configuration> {
        self.version.load().configuration.clone()
    }

    /// Returns true if the certificate of this CA with this serial number is revoked.
    pub fn is_revoked(&self, authority: AuthorityId, serial: &Serial) -> bool {
        self.version.load().revoked.contains(authority, serial)
    }

    /// The revoked certificates of this moment.
    pub fn revoked(&self) -> Revoked {
        self.version.load().revoked.clone()
    }

    /// The epoch and the revoked certificates of one version.
    pub(crate) fn epoch_and_revoked(&self) -> (u64, Revoked) {
        let version = self.version.load();
        (version.epoch, version.revoked.clone())
    }

    /// The epoch up to which the view has every change.
    pub fn epoch(&self) -> u64 {
        self.version.load().epoch
    }

    /// The instant at which the last accepted acknowledgement was sent: the server waits for this
    /// point since then, and had no earlier change that the view lacks.
    pub fn fresh_since(&self) -> Option<BootInstant> {
        match self.fresh_since.load(Ordering::Acquire) {
            0 => None,
            nanoseconds => Some(BootInstant::from_nanoseconds(nanoseconds)),
        }
    }

    /// Records a proof of freshness. An earlier one changes nothing.
    pub fn confirm(&self, sent: BootInstant) {
        self.fresh_since
            .fetch_max(sent.nanoseconds(), Ordering::AcqRel);
    }

    /// The age of the view; [`None`] if the server never confirmed it.
    pub fn age(&self, now: BootInstant) -> Option<Duration> {
        self.fresh_since().map(|since| now.since(since))
    }

    /// Returns true if clients must be refused because the view is too old.
    pub fn is_stale(&self, policy: &StalePolicy, now: BootInstant) -> bool {
        match (policy.when_stale, self.age(now)) {
            // Without any view, no certificate can be judged.
            (WhenStale::Serve, age) => age.is_none() && self.epoch() == 0,
            (WhenStale::Refuse, None) => true,
            (WhenStale::Refuse, Some(age)) => age >= policy.after,
        }
    }

    /// Replaces everything. Only the follower publishes, and never two tasks at once.
    pub fn publish(&self, epoch: u64, configuration: Configuration, revoked: Revoked) {
        self.version.store(Arc::new(Version {
            epoch,
            configuration: Arc::new(configuration),
            revoked,
        }));
    }

    /// Applies changes of certificates and, if it changed, a new configuration.
    pub fn publish_changes(
        &self,
        epoch: u64,
        changes: &[Change],
        configuration: Option<Configuration>,
    ) {
        let current = self.version.load_full();
        let mut revoked = current.revoked.clone();
        for change in changes {
            revoked.change(change.authority, change.serial, change.revoked);
        }
        self.version.store(Arc::new(Version {
            epoch,
            configuration: configuration.map_or_else(|| current.configuration.clone(), Arc::new),
            revoked,
        }));
    }
}

fn is_revoked(revoked: &Revoked, path: &CertifiedPath) -> bool {
    let mut links = path.links.iter();
    links.any(|link| revoked.contains(link.authority, &link.serial))
}
