//! New settings and a new TLS certificate for a running server: at SIGHUP, and after a change of
//! their files.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use certgate_model::{Clock as _, Timestamp};
use certgate_service::Service;
use tokio::task::block_in_place;

use crate::config::{
    Changes, Config, ConfigError, Configuration, EnrolmentConfig, Environment, InvitesConfig,
    Layers, Management, SettingFlags,
};
use crate::log::Log;
use crate::signals;
use crate::system::SystemClock;
use crate::tls::{CurrentIdentity, EXPIRY_WARNED_SECONDS, Identity};

/// The interval at which the server looks at the files. A file system has no event that holds for
/// all of their forms: Kubernetes exchanges a symbolic link two directories above.
pub const FILES_INTERVAL: Duration = Duration::from_secs(1);

/// The time between two warnings about the same certificate, in seconds.
const DAY_SECONDS: i64 = 24 * 60 * 60;

/// The origin of the settings.
#[derive(Clone)]
pub struct Origin {
    pub flags: SettingFlags<Config>,
    pub environment: Environment,
}

impl Origin {
    /// Reads the settings.
    pub fn read(&self) -> Result<(Layers, Config), ConfigError> {
        let layers = self.flags.layers(&self.environment)?;
        let config = Config::parse(&layers)?;
        Ok((layers, config))
    }

    /// Reads the settings for the start, after a look at their files: no later change is missed.
    pub fn read_first(&self) -> Result<(Layers, Config, Files), ConfigError> {
        let files = Files::look(&self.read()?.0);
        let (layers, config) = self.read()?;
        Ok((layers, config, files))
    }
}

/// The TLS certificates of the listeners.
#[derive(Clone, Default)]
pub struct Identities {
    pub management: Option<Arc<CurrentIdentity>>,
    pub enrolment: Option<Arc<CurrentIdentity>>,
    pub invites: Option<Arc<CurrentIdentity>>,
}

impl Identities {
    /// Reads the files that the settings name.
    pub fn read(config: &Config) -> Result<Self, ConfigError> {
        let [management, enrolment, invites] = read_identities(config)?;
        Ok(Self {
            management: management.map(CurrentIdentity::new),
            enrolment: enrolment.map(CurrentIdentity::new),
            invites: invites.map(CurrentIdentity::new),
        })
    }

    fn expires_on(&self) -> Option<Timestamp> {
        let all = [&self.management, &self.enrolment, &self.invites];
        let all = all.into_iter().flatten();
        all.filter_map(|tls| tls.expires_on()).min()
    }
}

/// Reads the certificates of management, enrolment and invites.
fn read_identities(config: &Config) -> Result<[Option<Identity>; 3], ConfigError> {
    let management = match &config.installation.management {
        Management::Cleartext => None,
        Management::Tls { certificate, key } => Some(Identity::read(certificate, key, "")?),
    };
    let enrolment = match &config.enrolment {
        None => None,
        Some(enrolment) => {
            let EnrolmentConfig {
                certificate, key, ..
            } = enrolment;
            Some(Identity::read(certificate, key, "enrol_")?)
        }
    };
    let invites = match &config.invites {
        None => None,
        Some(InvitesConfig {
            certificate, key, ..
        }) => {
            let identity = Identity::read(certificate, key, "invite_")?;
            if identity.profile_signature().is_none() {
                return Err(ConfigError::new(format!(
                    "the TLS key {} cannot sign profiles, and browsers do not accept its kind: set \
                     invite_tls_certificate and invite_tls_key to files of an RSA or ECDSA key",
                    key.display()
                )));
            }
            Some(identity)
        }
    };
    Ok([management, enrolment, invites])
}

/// The settings that are in effect, and the parts of the server that they are for.
pub struct Reloader {
    origin: Origin,
    layers: Layers,
    files: Files,
    identities: Identities,
    /// The day of the last warning about the end of the TLS certificate.
    warned_on: Option<Timestamp>,
    log: Log,
    service: Arc<Service>,
}

impl Reloader {
    /// Begins with the settings of the start. `files` were looked at before they were read.
    pub fn new(
        origin: Origin,
        layers: Layers,
        files: Files,
        identities: Identities,
        log: Log,
        service: Arc<Service>,
    ) -> Self {
        for result in ["changed", "rejected"] {
            counter(result).increment(0);
        }
        Self {
            origin,
            layers,
            files,
            identities,
            warned_on: None,
            log,
            service,
        }
    }

    /// Reloads at each SIGHUP and after each change of the files.
    pub async fn run_forever(&mut self) {
        let mut hangup = match signals::hangup() {
            Ok(hangup) => hangup,
            Err(error) => return tracing::error!(%error, "cannot handle SIGHUP"),
        };
        let mut looks = tokio::time::interval(FILES_INTERVAL);
        let mut seen = self.files.clone();
        loop {
            tokio::select! {
                _ = hangup.recv() => block_in_place(|| {
                    self.reload(Files::look(&self.layers), true);
                }),
                _ = looks.tick() => block_in_place(|| {
                    let now = Files::look(&self.layers);
                    // A file that still changes, or a certificate whose key is not there yet,
                    // waits for the next look.
                    if now != self.files && now == seen {
                        self.reload(now.clone(), false);
                    }
                    seen = now;
                    self.warn_of_expiry(SystemClock.now());
                }),
            }
        }
    }

    /// Warns once a day if the TLS certificate ends soon, or has ended.
    fn warn_of_expiry(&mut self, now: Timestamp) {
        let Some(expires_on) = self.identities.expires_on() else {
            return;
        };
        let is_warned = self
            .warned_on
            .is_some_and(|last| last.until(now).is_within(DAY_SECONDS));
        if expires_on > now.plus_seconds(EXPIRY_WARNED_SECONDS) || is_warned {
            return;
        }
        self.warned_on = Some(now);
        tracing::warn!(
            %expires_on,
            "a TLS certificate ends soon or has ended: renew its file"
        );
    }

    /// Puts new settings into effect, all or none. The files are those that were looked at before.
    fn reload(&mut self, files: Files, is_asked_for: bool) {
        self.files = files;
        let by = if is_asked_for {
            "SIGHUP"
        } else {
            "a change of the files"
        };
        match self.put_into_effect() {
            Ok(changed) if changed.is_empty() && !is_asked_for => {}
            Ok(changed) => {
                counter("changed").increment(1);
                let changed = changed.join(", ");
                tracing::info!(by, changed, "reloaded the settings and the TLS certificate");
            }
            Err(error) => {
                counter("rejected").increment(1);
                tracing::error!(
                    by, %error,
                    "the settings and the TLS certificate were not reloaded: the earlier ones stay \
                     in effect"
                );
            }
        }
    }

    /// Returns the names of all that changed.
    fn put_into_effect(&mut self) -> Result<Vec<&'static str>, ConfigError> {
        // 1. Read everything, so that nothing changes if a part is wrong.
        let (layers, config) = self.origin.read()?;
        let [management, enrolment, invites] = read_identities(&config)?;

        // 2. Put it into effect.
        let Identities {
            management: has_tls,
            enrolment: has_enrolment,
            invites: has_invites,
        } = self.identities.clone();
        let (mut changed, mut late) = (Vec::new(), Vec::new());
        for (name, changes) in layers.changed(&self.layers) {
            // Open sockets speak TLS or not, as they began.
            let is_late = match name {
                _ if name.starts_with("tls_") => has_tls.is_some() != management.is_some(),
                _ if name.starts_with("enrol_tls_") => {
                    has_enrolment.is_some() != enrolment.is_some()
                }
                _ if name.starts_with("invite_tls_") => has_invites.is_some() != invites.is_some(),
                _ => false,
            };
            match changes {
                Changes::WhileRunning if !is_late => changed.push(name),
                _ => late.push(name),
            }
        }
        self.log.set_filter(&config.log);
        self.service.set_limits(config.limits);
        self.layers.adopt(&layers, &changed);
        for (current, identity, name) in [
            (has_tls, management, "the TLS certificate"),
            (has_enrolment, enrolment, "the TLS certificate of enrolment"),
            (has_invites, invites, "the TLS certificate of invites"),
        ] {
            if let (Some(current), Some(identity)) = (current, identity)
                && current.replace(identity)
            {
                changed.push(name);
            }
        }
        if !late.is_empty() {
            let settings = late.join(", ");
            tracing::warn!(settings, "a change of these settings needs a restart");
        }
        Ok(changed)
    }
}

fn counter(result: &'static str) -> metrics::Counter {
    metrics::counter!("certgate_reloads_total", "result" => result)
}

/// The files with settings, and their state at a look.
#[derive(Clone, PartialEq, Eq)]
pub struct Files(Vec<(PathBuf, Option<State>)>);

/// The parts of a file's metadata that a change of the file changes.
type State = (u64, u64, u64, i64, i64, i64, i64);

impl Files {
    /// Looks at the files that these settings name.
    pub fn look(layers: &Layers) -> Self {
        Self::of(layers.files())
    }

    /// Looks at these files.
    pub fn of(paths: impl IntoIterator<Item = impl AsRef<Path>>) -> Self {
        let look = |path: &Path| (path.to_owned(), state(path).ok());
        Self(paths.into_iter().map(|path| look(path.as_ref())).collect())
    }
}

fn state(path: &Path) -> io::Result<State> {
    let file = path.metadata()?;
    Ok((
        file.dev(),
        file.ino(),
        file.size(),
        file.mtime(),
        file.mtime_nsec(),
        file.ctime(),
        file.ctime_nsec(),
    ))
}
