//! The server under test, as its own process.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, ensure};

use super::http::{Connection, Request};
use super::{check_status, json};

/// A data directory and how to speak to it.
#[derive(Clone)]
pub struct Installation {
    pub directory: PathBuf,
    pub zone_id: String,
    pub token: String,
}

impl Installation {
    pub fn open_or_make(binary: &Path, directory: &Path) -> anyhow::Result<Self> {
        let saved = directory.join("bench.json");
        if !saved.exists() {
            let made = Command::new(binary)
                .args(["init", "--json", "--data-dir"])
                .arg(directory)
                .stderr(Stdio::inherit())
                .output()?;
            ensure!(made.status.success(), "init failed");
            std::fs::write(&saved, made.stdout)?;
        }
        let made = json(&std::fs::read(&saved)?)?;
        let text = |name: &str| made[name].as_str().map(str::to_owned).context("init printed no ids");
        Ok(Self { directory: directory.to_owned(), zone_id: text("zone_id")?, token: text("token")? })
    }

    pub fn database(&self) -> PathBuf {
        self.directory.join("certgate.db")
    }

    pub fn database_bytes(&self) -> anyhow::Result<u64> {
        Ok(self.database().metadata()?.len())
    }

    /// The ids that filling wrote down.
    pub fn some_ids(&self) -> anyhow::Result<Vec<String>> {
        let text = std::fs::read_to_string(self.directory.join("ids.txt"))?;
        Ok(text.lines().map(str::to_owned).collect())
    }

    /// Ids of active certificates, by listing.
    pub async fn active_ids(&self, address: SocketAddr, count: usize) -> anyhow::Result<Vec<String>> {
        let mut connection = Connection::open(address).await?;
        let mut ids = Vec::new();
        for page in 1.. {
            let request =
                Request::get(self, &format!("client_certificates?status=active&limit=1000&page={page}"));
            let (status, body) = connection.exchange(&request).await?;
            check_status(status, &body)?;
            let answer = json(&body)?;
            let found = answer["result"].as_array().context("no result")?;
            ids.extend(found.iter().filter_map(|item| item["id"].as_str().map(str::to_owned)));
            if found.is_empty() || ids.len() >= count {
                break;
            }
        }
        Ok(ids)
    }
}

pub struct Server {
    child: Child,
    address: SocketAddr,
    public_address: SocketAddr,
}

impl Server {
    /// Starts it; returns when it says that it accepts connections.
    pub fn start(binary: &Path, installation: &Installation) -> anyhow::Result<Self> {
        let mut child = Command::new(binary)
            .args(["serve", "--listen", "127.0.0.1:0", "--public-listen", "127.0.0.1:0", "--data-dir"])
            .arg(&installation.directory)
            .args(["--log", "warn"])
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()?;
        let out = child.stdout.take().context("no standard output")?;
        let mut lines = BufReader::new(out).lines();
        let first = lines.next().context("the server ended")??;
        let second = lines.next().context("the server ended")??;
        let address = |line: &str| anyhow::Ok(line.rsplit('/').next().context("no address")?.parse()?);
        Ok(Self { child, address: address(&first)?, public_address: address(&second)? })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn public_address(&self) -> SocketAddr {
        self.public_address
    }

    pub fn peak_memory_mb(&self) -> anyhow::Result<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM")?;
        let kib: f64 = line.trim().trim_end_matches(" kB").parse()?;
        Ok(kib * 1024.0 / 1e6)
    }

    /// User and system time of all its threads so far.
    pub fn processor_seconds(&self) -> anyhow::Result<f64> {
        // proc(5): fields 14 and 15, counted behind the name in parentheses; in ticks of 1/100 s.
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        let (_, fields) = stat.rsplit_once(") ").context("no process name")?;
        let ticks = fields.split(' ').skip(11).take(2).map(str::parse::<f64>).sum::<Result<f64, _>>()?;
        Ok(ticks / 100.0)
    }

    pub fn stop(mut self) -> anyhow::Result<()> {
        let id = self.child.id().to_string();
        ensure!(Command::new("kill").args(["-TERM", &id]).status()?.success(), "cannot stop the server");
        ensure!(self.child.wait()?.success(), "the server did not end well");
        Ok(())
    }
}
