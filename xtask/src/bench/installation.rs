//! A data directory that the benchmark fills and serves.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use anyhow::{Context, ensure};
use certgate_model::{CertificateQuery, CertificateRecord, Slice, Status, ZoneId};
use certgate_store::{PostgresOptions, PostgresStore, SqliteOptions, SqliteStore, Store};
use serde_json::Value;

/// A data directory, and the credentials for its server.
#[derive(Clone)]
pub struct Installation {
    pub directory: PathBuf,
    /// The URL of a PostgreSQL database. Without it, the database is in the directory.
    pub database_url: Option<String>,
    pub zone_id: String,
    pub token: String,
}

impl Installation {
    pub fn open_or_make(
        binary: &Path,
        directory: &Path,
        database_url: Option<String>,
    ) -> anyhow::Result<Self> {
        let saved = directory.join("bench.json");
        if !saved.exists() {
            let made = command(binary, "init", directory, database_url.as_ref())
                .arg("--json")
                .stderr(Stdio::inherit())
                .output()?;
            ensure!(made.status.success(), "init failed");
            std::fs::write(&saved, made.stdout)?;
        }
        let made: Value = serde_json::from_slice(&std::fs::read(&saved)?)?;
        let text = |name: &str| {
            made[name]
                .as_str()
                .map(str::to_owned)
                .context("init printed no IDs")
        };
        let (zone_id, token) = (text("zone_id")?, text("token")?);
        Ok(Self {
            directory: directory.to_owned(),
            database_url,
            zone_id,
            token,
        })
    }

    pub fn zone(&self) -> anyhow::Result<ZoneId> {
        Ok(self.zone_id.parse()?)
    }

    /// The file of an embedded database.
    pub fn database(&self) -> PathBuf {
        self.directory.join("certgate.db")
    }

    /// Opens the store in this process. `batch` is the most writes that share a commit, if it is
    /// not the server's default.
    pub async fn store(&self, batch: Option<usize>) -> anyhow::Result<Arc<dyn Store>> {
        Ok(match &self.database_url {
            None => {
                let default = SqliteOptions::default();
                let options = SqliteOptions {
                    batch: batch.unwrap_or(default.batch),
                    ..default
                };
                Arc::new(SqliteStore::open(&self.database(), options)?)
            }
            Some(url) => {
                let default = PostgresOptions::default();
                let options = PostgresOptions {
                    batch: batch.unwrap_or(default.batch),
                    ..default
                };
                Arc::new(PostgresStore::open(url, options).await?)
            }
        })
    }

    /// Returns the newest certificate of any status or of one, and the number of all that match.
    pub async fn newest(&self, status: Option<Status>) -> anyhow::Result<(CertificateRecord, u64)> {
        let store = self.store(None).await?;
        let slice = Slice { first: 0, size: 1 };
        let query = CertificateQuery { status, slice };
        let page = store.certificates(self.zone()?, query).await?;
        store.close().await;
        let newest = page.items.into_iter().next();
        Ok((
            newest.context("the zone has no such certificate")?,
            page.total,
        ))
    }

    /// Reads the IDs that filling wrote to a file.
    pub fn some_ids(&self) -> anyhow::Result<Vec<String>> {
        let text = std::fs::read_to_string(self.directory.join("ids.txt"))?;
        Ok(text.lines().map(str::to_owned).collect())
    }
}

/// Returns a command of the program on a data directory.
pub(super) fn command(
    binary: &Path,
    verb: &str,
    directory: &Path,
    database_url: Option<&String>,
) -> Command {
    let mut command = Command::new(binary);
    // A name with this prefix that is not a setting is an error, and tests have such names.
    let variables = std::env::vars_os().map(|(name, _)| name);
    for name in variables.filter(|name| name.to_string_lossy().starts_with("CERTGATE_")) {
        command.env_remove(name);
    }
    command.arg(verb).arg("--data-dir").arg(directory);
    if let Some(url) = database_url {
        command.env("CERTGATE_DATABASE_URL", url);
    }
    command
}
