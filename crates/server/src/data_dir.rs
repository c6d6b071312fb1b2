//! The data directory: the database, the master key, and the client's profile.

use std::fs::{DirBuilder, File, TryLockError};
use std::io::{self, Read};
use std::ops::RangeInclusive;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use certgate_client::profile::{self, LocalProfile};
use certgate_client::{Existing, write_file};
use certgate_model::Clock;
use certgate_service::{
    FirstInstallation, FirstNames, Initialised, MasterKey, OpenError, Service, Settings,
    is_token_of,
};
use certgate_store::{
    JournalBegun, PostgresOptions, PostgresStore, Restored, SqliteOptions, SqliteStore, Store,
    lock_database,
};

use crate::config::{
    Config, ConfigError, Database, InstallationConfig, MasterKeySource, StorageConfig,
};
use crate::failure::Failure;
use crate::secret_file;
use crate::system::{SystemClock, SystemRandom};

/// The most ranges of epochs that a message names.
const EPOCHS_NAMED_MAX: usize = 20;

/// The database's name in the data directory.
const DATABASE: &str = "certgate.db";

/// The name of the journal of revocations in the data directory.
const JOURNAL: &str = "certgate.revocations";

/// The mark of a data directory whose database was moved elsewhere.
const MOVED: &str = "certgate.moved";

/// The longest content of [`MOVED`] that messages show, in bytes.
const MOVED_BYTES_MAX: u64 = 1024;

/// The longest master key file, in bytes.
const MASTER_KEY_FILE_BYTES_MAX: u64 = 1024;

/// An open data directory. Its lock keeps other processes out.
pub struct DataDir {
    path: PathBuf,
    store: Arc<dyn Store>,
    /// The same store if it is embedded: only that has a journal.
    embedded: Option<Arc<SqliteStore>>,
    /// The directory itself is locked: another program may remove a lock file in it.
    _lock: File,
}

impl DataDir {
    /// Opens the directory and the configured database. Creates the directory, for its owner alone,
    /// if it does not exist.
    pub async fn open(config: &StorageConfig) -> anyhow::Result<Self> {
        let path = &config.data_dir;
        let shown = path.display();
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .with_context(|| {
                format!("cannot create the data directory {shown}: name another with --data-dir")
            })?;
        secret_file::check_directory(path, "data directory")?;
        let (store, embedded): (Arc<dyn Store>, _) = match &config.database {
            Database::Postgres(url) => (
                Arc::new(PostgresStore::open(url.expose(), PostgresOptions::default()).await?),
                None,
            ),
            Database::Embedded => {
                let store = Self::open_embedded(path)?;
                (store.clone(), Some(store))
            }
        };
        let lock = File::open(path)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                bail!(
                    "{shown} is in use by another process: stop the other certgate, or name \
                     another directory"
                )
            }
            Err(TryLockError::Error(error)) => {
                return Err(error)
                    .with_context(|| format!("cannot lock the data directory {shown}"));
            }
        }
        Ok(Self {
            path: path.to_owned(),
            store,
            embedded,
            _lock: lock,
        })
    }

    fn open_embedded(path: &Path) -> anyhow::Result<Arc<SqliteStore>> {
        if let Some(whereto) = Self::moved_to(path)? {
            bail!(
                "the database in {} was moved to {whereto}: name that database with --database-url \
                 or CERTGATE_DATABASE_URL; to return to the state of the directory, without later \
                 changes, remove {}",
                path.display(),
                Self::moved(path).display()
            );
        }
        // A new database here would be a second installation, and replace the first one's token.
        if !Self::has_database(path) && path.join(profile::FILE).exists() {
            bail!(
                "{} has the {} of an installation but not its database {DATABASE}; nothing was \
                 changed: restore the database (is a volume not mounted?), or move {} away to \
                 start a new installation",
                path.display(),
                profile::FILE,
                profile::FILE
            );
        }
        Ok(Arc::new(SqliteStore::open(
            &path.join(DATABASE),
            SqliteOptions::default(),
        )?))
    }

    /// Returns true if the directory has a database of any kind.
    pub fn has_database(path: &Path) -> bool {
        Self::database(path).exists()
    }

    /// The path of the database in the directory.
    pub fn database(path: &Path) -> PathBuf {
        path.join(DATABASE)
    }

    /// The path of the journal of revocations in the directory.
    pub fn journal(path: &Path) -> PathBuf {
        path.join(JOURNAL)
    }

    /// The path of the mark of a moved database.
    pub fn moved(path: &Path) -> PathBuf {
        path.join(MOVED)
    }

    /// Returns the place and time of the move, if the database was moved.
    pub fn moved_to(path: &Path) -> io::Result<Option<String>> {
        let file = match File::open(Self::moved(path)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut whereto = String::new();
        file.take(MOVED_BYTES_MAX).read_to_string(&mut whereto)?;
        Ok(Some(whereto.trim().to_owned()))
    }

    /// Marks the database in the directory as moved to `whereto`, durably: no server uses it then.
    pub fn mark_moved(path: &Path, whereto: &str) -> io::Result<()> {
        let parts = [whereto.as_bytes(), b"\n"];
        write_file(&Self::moved(path), &parts, 0o600, Existing::Replaced)
    }

    /// Opens the journal of revocations. Returns `true` if the database was restored from a backup,
    /// and logs the replayed changes. PostgreSQL has its own log.
    pub async fn begin_journal(&self) -> anyhow::Result<bool> {
        let Some(store) = &self.embedded else {
            return Ok(false);
        };
        let path = Self::journal(&self.path);
        // The error is about a file beside the store, and its text names the file.
        let begun = store.begin_journal(&path, SystemClock.now()).await;
        let begun = begun.map_err(|error| anyhow::Error::msg(error.into_detail()))?;
        let shown = path.display();
        let done = match begun {
            JournalBegun::Follows => return Ok(false),
            // A new installation has nothing to report.
            JournalBegun::Made { after: 0 } => return Ok(false),
            JournalBegun::Made { after } => {
                tracing::info!(
                    journal = %shown, after_epoch = after,
                    "created the journal of revocations"
                );
                return Ok(false);
            }
            JournalBegun::Replaced { after } => {
                tracing::error!(
                    journal = %shown, after_epoch = after,
                    "the first line of the journal of revocations was corrupt: the file was moved \
                     aside and a new one begun, so make a new backup now"
                );
                return Ok(false);
            }
            JournalBegun::Restored(done) => done,
        };
        let Restored {
            from_epoch,
            to_epoch,
            revoked,
            restored,
            lost,
            without_authority,
            is_all,
            missing,
        } = done;
        if to_epoch > from_epoch {
            tracing::warn!(
                journal = %shown, from_epoch, to_epoch, revoked, restored, lost, without_authority,
                "the database is older than the journal of revocations, as after a restore: its \
                 changes were replayed; lost certificates are in no list of the API, but stay \
                 revoked"
            );
        } else if is_all {
            tracing::info!(
                journal = %shown, epoch = from_epoch,
                "the database was restored from a backup; the journal has no later change"
            );
        }
        if !missing.is_empty() {
            tracing::error!(
                journal = %shown, epochs = named_epochs(&missing),
                "lines of the journal of revocations are corrupt: the changes with these epochs \
                 are missing"
            );
        }
        if !is_all {
            tracing::warn!(
                journal = %shown, after_epoch = from_epoch,
                "the journal of revocations lacks changes after the backup: certificates that were \
                 revoked later may be valid again, and enforcement points must read everything \
                 again"
            );
        }
        Ok(true)
    }

    /// The store.
    pub fn store(&self) -> Arc<dyn Store> {
        self.store.clone()
    }

    /// Makes the installation unless there is one. Returns `Some` if it made one.
    ///
    /// The order survives a crash at any point: the master key, the profile with the token under
    /// another name, the installation in one transaction, and the profile's own name. After a crash
    /// before the transaction, the next start begins again, also if another process has made the
    /// installation meanwhile. After the transaction nothing is missing.
    pub async fn initialise(
        &self,
        config: &InstallationConfig,
        names: &FirstNames,
        api_url: &str,
    ) -> anyhow::Result<Option<Initialised>> {
        if self.store.installation().await?.is_some() {
            self.settle_profile().await?;
            return Ok(None);
        }
        if self.embedded.is_none() && self.path.join(profile::FILE).exists() {
            bail!(
                "{} has the {} of an installation, but the database is empty; nothing was changed: \
                 name the right database, or move {} away to start a new installation",
                self.path.display(),
                profile::FILE,
                profile::FILE
            );
        }
        let master_key = match &config.storage.master_key {
            MasterKeySource::Environment(key) => key.clone(),
            MasterKeySource::File(path) => Arc::new(make_master_key(path)?),
        };
        let first = FirstInstallation::new(
            &SystemClock,
            &SystemRandom,
            &master_key,
            names,
            config.authority_algorithm,
        )?;
        let made = &first.initialised;
        let local = LocalProfile {
            api: api_url.to_owned(),
            token: made.token.expose().to_owned(),
            account_id: made.account_id.to_string(),
            zone_id: made.zone_id.to_string(),
            tls_certificate: config.tls_certificate(),
        };
        profile::write_new(&self.path, &local).context("cannot write the client's profile")?;
        let made = first.store(&*self.store).await?;
        self.settle_profile().await?;
        Ok(made)
    }

    /// Keeps the profile of a new installation if the store has that installation, and removes it
    /// otherwise.
    async fn settle_profile(&self) -> anyhow::Result<()> {
        let Some(new) =
            profile::read_new(&self.path).context("cannot read the client's new profile")?
        else {
            return Ok(());
        };
        match is_token_of(&*self.store, &new.token).await? {
            true => profile::keep_new(&self.path).context("cannot write the client's profile"),
            false => profile::drop_new(&self.path)
                .context("cannot remove the profile of an installation that was not made"),
        }
    }

    /// Opens the installation in the store.
    pub async fn service(&self, config: &Config, public_url: String) -> anyhow::Result<Service> {
        let InstallationConfig {
            storage,
            authority_algorithm,
            ..
        } = &config.installation;
        let master_key = master_key(&storage.master_key)?;
        let settings = Settings {
            public_url,
            authority_algorithm: *authority_algorithm,
            limits: config.limits,
        };
        let opened = Service::open(
            self.store.clone(),
            Arc::new(SystemClock),
            Arc::new(SystemRandom),
            master_key,
            settings,
        );
        opened.await.map_err(|error| match error {
            OpenError::WrongMasterKey => ConfigError::new(format!(
                "the master key from {} is not the key of this installation; nothing was changed: \
                 start with the right key",
                source_of(&storage.master_key)
            ))
            .into(),
            other => other.into(),
        })
    }

    /// Writes the server's address for clients on this machine, and the file of its certificate.
    pub fn update_profile(
        &self,
        api_url: &str,
        tls_certificate: Option<PathBuf>,
    ) -> anyhow::Result<()> {
        let Some(local) = profile::read(&self.path).context("cannot read the client's profile")?
        else {
            // The operator removed it: the token is elsewhere.
            return Ok(());
        };
        if local.api != api_url || local.tls_certificate != tls_certificate {
            let updated = LocalProfile {
                api: api_url.to_owned(),
                tls_certificate,
                ..local
            };
            profile::write(&self.path, &updated).context("cannot write the client's profile")?;
        }
        Ok(())
    }
}

/// A data directory without a server. No server can open it while this value lives.
pub struct Stopped {
    directory: File,
    _database: File,
}

impl Stopped {
    /// Takes the locks of a server. `then` is the user's next step after the server's end.
    pub fn lock(path: &Path, then: &str) -> Result<Self, Failure> {
        let shown = path.display();
        let failed = |error: io::Error| Failure::io(format!("cannot lock {shown}"), &error);
        let directory = File::open(path).map_err(failed)?;
        match directory.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(
                    Failure::failed(format!("{shown} is in use by another process"))
                        .hint(format!("stop the server, then {then}")),
                );
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        // A starting server takes this lock first.
        let database = lock_database(&DataDir::database(path));
        let database = database.map_err(|error| Failure::failed(error.to_string()))?;
        Ok(Self {
            directory,
            _database: database,
        })
    }

    /// Makes renamed files in it durable.
    pub fn sync(&self) -> io::Result<()> {
        self.directory.sync_all()
    }
}

/// Names ranges of epochs.
pub fn named_epochs(epochs: &[RangeInclusive<u64>]) -> String {
    let named: Vec<_> = epochs
        .iter()
        .take(EPOCHS_NAMED_MAX)
        .map(|epochs| match (epochs.start(), epochs.end()) {
            (first, last) if first == last => first.to_string(),
            (first, last) => format!("{first} to {last}"),
        })
        .collect();
    let more = match epochs.len() > EPOCHS_NAMED_MAX {
        true => " and more",
        false => "",
    };
    format!("{}{more}", named.join(", "))
}

fn source_of(source: &MasterKeySource) -> String {
    match source {
        MasterKeySource::Environment(_) => "CERTGATE_MASTER_KEY".to_owned(),
        MasterKeySource::File(path) => path.display().to_string(),
    }
}

/// Reads the master key from the file, or generates it and writes the file.
fn make_master_key(path: &Path) -> anyhow::Result<MasterKey> {
    // An existing key may be in a read-only directory.
    if path.exists() {
        return Ok(read_master_key(path)?);
    }
    let key = MasterKey::generate(&SystemRandom);
    let parts = [key.to_text().as_bytes(), b"\n"];
    match write_file(path, &parts, 0o600, Existing::Kept) {
        Ok(()) => Ok(key),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(read_master_key(path)?),
        Err(error) => Err(error)
            .with_context(|| format!("cannot write the master key file {}", path.display())),
    }
}

/// Returns the master key from its source.
pub fn master_key(source: &MasterKeySource) -> Result<Arc<MasterKey>, ConfigError> {
    match source {
        MasterKeySource::Environment(key) => Ok(key.clone()),
        MasterKeySource::File(path) => read_master_key(path).map(Arc::new),
    }
}

fn read_master_key(path: &Path) -> Result<MasterKey, ConfigError> {
    let remedy = ", which the CA keys need: restore the file, or name another with \
                  --master-key-file";
    let text = secret_file::read(path, "master key file", remedy, MASTER_KEY_FILE_BYTES_MAX)?;
    MasterKey::from_text(&text).map_err(|error| {
        let shown = path.display();
        ConfigError::new(format!(
            "the master key file {shown} cannot be used: {error}"
        ))
    })
}
