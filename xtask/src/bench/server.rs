//! The server under test, as its own process.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::rc::Rc;
use std::sync::Arc;

use anyhow::{Context, ensure};
use certgate_model::ZoneId;
use certgate_store::{PostgresOptions, PostgresStore, SqliteOptions, SqliteStore, Store};

use super::http::{Connection, Request};
use super::keeper::Keeper;
use super::{check_status, json, machine};

/// A data directory and how to speak to it.
#[derive(Clone)]
pub struct Installation {
    pub directory: PathBuf,
    /// Of a PostgreSQL database; otherwise it is in the directory.
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
        let made = json(&std::fs::read(&saved)?)?;
        let text = |name: &str| {
            made[name]
                .as_str()
                .map(str::to_owned)
                .context("init printed no ids")
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

    /// The store, in this process. `batch`: how many writes share a commit, if not as many as the server lets.
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

    /// The ids that filling wrote down.
    pub fn some_ids(&self) -> anyhow::Result<Vec<String>> {
        let text = std::fs::read_to_string(self.directory.join("ids.txt"))?;
        Ok(text.lines().map(str::to_owned).collect())
    }

    /// Ids of active certificates, by listing.
    pub async fn active_ids(
        &self,
        address: SocketAddr,
        count: usize,
    ) -> anyhow::Result<Vec<String>> {
        let mut connection = Connection::open(address).await?;
        let mut ids = Vec::new();
        for page in 1.. {
            let request = Request::get(
                self,
                &format!("client_certificates?status=active&limit=1000&page={page}"),
            );
            let (status, body) = connection.exchange(&request).await?;
            check_status(status, &body)?;
            let answer = json(&body)?;
            let found = answer["result"].as_array().context("no result")?;
            ids.extend(
                found
                    .iter()
                    .filter_map(|item| item["id"].as_str().map(str::to_owned)),
            );
            if found.is_empty() || ids.len() >= count {
                break;
            }
        }
        ids.truncate(count);
        Ok(ids)
    }
}

fn command(binary: &Path, verb: &str, directory: &Path, database_url: Option<&String>) -> Command {
    let mut command = Command::new(binary);
    command.arg(verb).arg("--data-dir").arg(directory);
    if let Some(url) = database_url {
        command.env("CERTGATE_DATABASE_URL", url);
    }
    command
}

pub struct Server {
    child: Child,
    address: SocketAddr,
    public_address: SocketAddr,
    keeper: Rc<Keeper>,
}

impl Server {
    /// Starts it; returns when it says that it accepts connections.
    pub fn start(
        binary: &Path,
        installation: &Installation,
        keeper: &Rc<Keeper>,
    ) -> anyhow::Result<Self> {
        let Installation {
            directory,
            database_url,
            ..
        } = installation;
        let mut child = command(binary, "serve", directory, database_url.as_ref())
            .args([
                "--listen",
                "127.0.0.1:0",
                "--public-listen",
                "127.0.0.1:0",
                "--log",
                "warn",
            ])
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()?;
        keeper.begun(child.id())?;
        let out = child.stdout.take().context("no standard output")?;
        let mut lines = BufReader::new(out).lines();
        let first = lines.next().context("the server ended")??;
        let second = lines.next().context("the server ended")??;
        let address =
            |line: &str| anyhow::Ok(line.rsplit('/').next().context("no address")?.parse()?);
        let (address, public_address) = (address(&first)?, address(&second)?);
        Ok(Self {
            child,
            address,
            public_address,
            keeper: Rc::clone(keeper),
        })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn public_address(&self) -> SocketAddr {
        self.public_address
    }

    pub fn peak_memory_bytes(&self) -> anyhow::Result<f64> {
        let line = machine::line_of(&format!("/proc/{}/status", self.child.id()), "VmHWM")?;
        let kib: f64 = line.trim_end_matches(" kB").parse()?;
        Ok(kib * 1024.0)
    }

    /// User and system time of all its threads so far.
    pub fn processor_seconds(&self) -> anyhow::Result<f64> {
        Ok(ticks(self.child.id(), false)? / 100.0)
    }

    pub fn stop(mut self) -> anyhow::Result<()> {
        let id = self.child.id().to_string();
        ensure!(
            Command::new("kill")
                .args(["-TERM", &id])
                .status()?
                .success(),
            "cannot stop the server"
        );
        ensure!(self.child.wait()?.success(), "the server did not end well");
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // After an error nobody has stopped it. The keeper cannot wait for a process that we have to wait for.
        let ended = self.child.kill().and_then(|()| self.child.wait());
        if let Err(error) = ended {
            eprintln!("cannot stop the server: {error}");
        }
        let _ = self.keeper.ended(self.child.id());
    }
}

/// User and system time of a process, or of those that it has waited for as well, in ticks of 1/100 s.
pub fn ticks(process: u32, with_children: bool) -> anyhow::Result<f64> {
    // proc(5): fields 14 to 17, counted behind the name in parentheses.
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat"))?;
    let (_, fields) = stat.rsplit_once(") ").context("no process name")?;
    let count = if with_children { 4 } else { 2 };
    Ok(fields
        .split(' ')
        .skip(11)
        .take(count)
        .map(str::parse::<f64>)
        .sum::<Result<f64, _>>()?)
}
