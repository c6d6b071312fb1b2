//! `certgate follow`: a point that writes the CAs and CRLs of an account into files, for a proxy
//! that checks clients itself, and makes the proxy read them.

mod files;
mod lists;
mod program;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use certgate_model::{AuthorityId, Clock, Timestamp};
use certgate_wire::{EnforcedCaState, EnforcementView};
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

pub use self::files::FileFormat;
use self::files::Files;
use self::lists::Lists;
pub use self::program::run as run_command;
use crate::follower::{Applied, Enforce, EnforceError};
use crate::revoked::Change;
use crate::view::View;

/// The interval at which the files are renewed without a change. CRLs are valid for a week, and the
/// server renews them days before their end.
const RENEWAL: Duration = Duration::from_secs(600);

/// The settings of `certgate follow`.
#[derive(Debug, Clone)]
pub struct FollowSettings {
    /// The directory of the files.
    pub directory: PathBuf,
    /// The form of the files.
    pub format: FileFormat,
    /// The command that makes the proxy read them, for a shell.
    pub command: Option<String>,
    /// The least time between two runs of the command.
    pub every: Duration,
    /// The time between the end of the command and the acknowledgement.
    pub settle: Duration,
    /// Only the CAs of this host; [`None`]: every CA of the account.
    pub hostname: Option<String>,
    /// A PEM file with the CAs to trust for https instead of the system's.
    pub ca_file: Option<PathBuf>,
}

/// The files, and the proxy that reads them.
pub struct FilePoint {
    settings: FollowSettings,
    view: Arc<View>,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

struct State {
    lists: Lists,
    files: Files,
    /// The files have changed since the last successful run of the command.
    is_due: bool,
    last_run: Option<Instant>,
    runs: u64,
}

/// The content of `state.json`.
#[derive(serde::Serialize)]
struct Shown<'a> {
    epoch: u64,
    written_on: String,
    certificate_authorities: Vec<ShownAuthority<'a>>,
    command: Option<&'a str>,
    runs: u64,
    error: Option<&'a str>,
}

#[derive(serde::Serialize)]
struct ShownAuthority<'a> {
    id: String,
    name: &'a str,
    revoked: Option<usize>,
}

impl FilePoint {
    /// Prepares the directory. Files of an earlier process stay until everything is read.
    pub fn new(
        settings: FollowSettings,
        view: Arc<View>,
        clock: Arc<dyn Clock>,
    ) -> std::io::Result<Self> {
        let files = Files::open(&settings.directory)?;
        let lists = Lists::new(settings.ca_file.as_deref());
        Ok(Self {
            settings,
            view,
            clock,
            state: Mutex::new(State {
                lists,
                files,
                is_due: true,
                last_run: None,
                runs: 0,
            }),
        })
    }

    /// Renews the files at intervals, forever: CRLs expire.
    pub async fn renew(&self) {
        loop {
            let _ = timeout(RENEWAL, std::future::pending::<()>()).await;
            let everything = Applied::Changes {
                certificates: Vec::new(),
                configuration: true,
            };
            if let Err(error) = self.enforce(&everything).await {
                tracing::error!(%error, "the files cannot be renewed; it is tried again");
            }
        }
    }

    async fn update(&self, state: &mut State, applied: &Applied) -> Result<(), EnforceError> {
        let configuration = self.view.configuration();
        let source = configuration.source();
        let chosen = self.chosen(source)?;
        let (wanted, changed) = match applied {
            Applied::Everything => (self.revoked(&chosen), chosen.clone()),
            Applied::Changes {
                certificates,
                configuration,
            } => {
                let changed = match configuration {
                    true => chosen.clone(),
                    false => certificates.iter().map(|change| change.authority).collect(),
                };
                (last_states(certificates), changed)
            }
        };
        // 1. Lists that have every change.
        let fetched = state.lists.fetch(source, &chosen, &changed, &wanted);
        let has_new_lists = fetched.await?;
        // 2. The files.
        let authorities = source.certificate_authorities.iter();
        let authorities: Vec<_> = authorities
            .filter(|ca| chosen.contains(&AuthorityId::from(ca.id)))
            .collect();
        let format = self.settings.format;
        let has_new_files = state
            .files
            .write(format, &authorities, &state.lists)
            .map_err(|error| EnforceError::new(format!("cannot write the files: {error}")))?;
        state.is_due |= has_new_lists || has_new_files;
        if !state.is_due {
            return Ok(());
        }
        // 3. The proxy.
        self.run(state).await?;
        state.is_due = false;
        Ok(())
    }

    async fn run(&self, state: &mut State) -> Result<(), EnforceError> {
        if let Some(command) = &self.settings.command {
            if let Some(last) = state.last_run {
                let pause = self.settings.every.saturating_sub(last.elapsed());
                let _ = timeout(pause, std::future::pending::<()>()).await;
            }
            state.last_run = Some(Instant::now());
            state.runs += 1;
            program::run(command)
                .await
                .map_err(|error| EnforceError::new(format!("{command:?} failed: {error}")))?;
        }
        let _ = timeout(self.settings.settle, std::future::pending::<()>()).await;
        Ok(())
    }

    /// The CAs whose files are written.
    fn chosen(
        &self,
        source: &EnforcementView<'static>,
    ) -> Result<BTreeSet<AuthorityId>, EnforceError> {
        let named = match &self.settings.hostname {
            None => None,
            Some(hostname) => {
                let rules = self.view.host(hostname).ok_or_else(|| {
                    EnforceError::new(format!(
                        "no zone lists the hostname {hostname}: `certgate host add` adds it"
                    ))
                })?;
                Some(rules.authorities)
            }
        };
        let all = source.certificate_authorities.iter();
        let trusted = all.filter(|ca| ca.state != EnforcedCaState::Retired);
        let ids = trusted.map(|ca| AuthorityId::from(ca.id));
        Ok(ids
            .filter(|id| named.as_ref().is_none_or(|named| named.contains(id)))
            .collect())
    }

    /// The revoked certificates of these CAs, as changes that the lists must have.
    fn revoked(&self, chosen: &BTreeSet<AuthorityId>) -> Vec<Change> {
        let revoked = self.view.revoked();
        let of_chosen = revoked.authorities().filter(|(id, _)| chosen.contains(id));
        of_chosen
            .flat_map(|(authority, serials)| {
                serials.iter().map(move |serial| Change {
                    authority,
                    serial: *serial,
                    revoked: true,
                })
            })
            .collect()
    }

    fn show(&self, state: &State, error: Option<&str>) {
        let configuration = self.view.configuration();
        let all = configuration.source().certificate_authorities.iter();
        let shown = Shown {
            epoch: self.view.epoch(),
            written_on: self.now().to_string(),
            certificate_authorities: all
                .map(|ca| ShownAuthority {
                    id: ca.id.to_string(),
                    name: &ca.name,
                    revoked: state.lists.count(AuthorityId::from(ca.id)),
                })
                .collect(),
            command: self.settings.command.as_deref(),
            runs: state.runs,
            error,
        };
        let text = serde_json::to_vec_pretty(&shown).unwrap_or_default();
        if let Err(error) = state.files.write_one("state.json", &text) {
            tracing::warn!(%error, "cannot write state.json");
        }
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

/// The last state of each certificate.
fn last_states(changes: &[Change]) -> Vec<Change> {
    let mut known = BTreeSet::new();
    let mut last: Vec<_> = changes
        .iter()
        .rev()
        .filter(|change| known.insert((change.authority, change.serial)))
        .copied()
        .collect();
    last.reverse();
    last
}

impl Enforce for FilePoint {
    async fn enforce(&self, applied: &Applied) -> Result<(), EnforceError> {
        let state = &mut *self.state.lock().await;
        let updated = self.update(state, applied).await;
        let error = updated.as_ref().err().map(ToString::to_string);
        self.show(state, error.as_deref());
        updated
    }
}
