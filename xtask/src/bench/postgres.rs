//! A PostgreSQL server for the benchmark, durable as in production: fsync is on.

use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};

use super::system::{memory_bytes, ticks};

/// The user of the server if this process is root: PostgreSQL refuses to run as root.
const UNPRIVILEGED: u32 = 65_534;

/// A running server. The keeper stops it.
pub struct Postgres {
    programs: PathBuf,
    /// The directory of the socket. Only this user can enter it, so the server asks for no
    /// password.
    sockets: PathBuf,
    data: PathBuf,
    user: Option<u32>,
    process: u32,
    settings: Vec<(&'static str, String)>,
}

/// Returns the folder of its programs, on the path or where Debian installs them.
///
/// Returns nothing if PostgreSQL is not installed.
pub fn programs() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut debian: Vec<_> = fs::read_dir("/usr/lib/postgresql")
        .map(|versions| {
            versions
                .filter_map(Result::ok)
                .map(|version| version.path().join("bin"))
                .collect()
        })
        .unwrap_or_default();
    debian.sort();
    std::env::split_paths(&path)
        .chain(debian.into_iter().rev())
        .find(|directory| {
            ["initdb", "pg_ctl", "postgres"]
                .iter()
                .all(|name| directory.join(name).exists())
        })
}

impl Postgres {
    /// Starts a server on the cluster at `data`, with its socket in the empty directory `sockets`.
    ///
    /// Makes the cluster if it is missing.
    pub fn start(programs: PathBuf, data: &Path, sockets: &Path) -> anyhow::Result<Self> {
        let is_root = fs::metadata("/proc/self")?.uid() == 0;
        let mut postgres = Self {
            programs,
            sockets: sockets.to_owned(),
            data: data.to_owned(),
            user: is_root.then_some(UNPRIVILEGED),
            process: 0,
            settings: settings()?,
        };
        fs::create_dir_all(data)?;
        for directory in [data, sockets] {
            chown(directory, postgres.user, postgres.user)?;
        }
        if !data.join("PG_VERSION").exists() {
            let flags = [
                "-U",
                "postgres",
                "-A",
                "trust",
                "-E",
                "UTF8",
                "--locale=C.UTF-8",
                "-D",
            ];
            postgres.run(postgres.command("initdb").args(flags).arg(data))?;
        }
        let mut options = format!(
            "-c listen_addresses= -c unix_socket_directories={}",
            sockets.display()
        );
        for (name, value) in &postgres.settings {
            options.push_str(&format!(" -c {name}={value}"));
        }
        let mut start = postgres.command("pg_ctl");
        // The log goes to a file, because a pipe would stay open as long as the server runs.
        start
            .arg("-D")
            .arg(data)
            .args(["-s", "-w", "-l"])
            .arg(data.join("log"))
            .args(["-o", &options, "start"]);
        if let Err(error) = postgres.run(&mut start) {
            let log = fs::read_to_string(data.join("log")).unwrap_or_default();
            return Err(error.context(log));
        }
        let process = fs::read_to_string(data.join("postmaster.pid"))?;
        postgres.process = process
            .lines()
            .next()
            .context("postmaster.pid is empty")?
            .parse()?;
        Ok(postgres)
    }

    /// Makes a database unless it exists. Returns its URL.
    pub async fn database(&self, name: &str) -> anyhow::Result<String> {
        let (client, connection) =
            tokio_postgres::connect(&self.url("postgres"), tokio_postgres::NoTls).await?;
        let connection = tokio::spawn(connection);
        if client
            .query_opt("SELECT 1 FROM pg_database WHERE datname = $1", &[&name])
            .await?
            .is_none()
        {
            client
                .batch_execute(&format!("CREATE DATABASE {name}"))
                .await?;
        }
        drop(client);
        connection.await??;
        Ok(self.url(name))
    }

    fn url(&self, name: &str) -> String {
        let sockets = self.sockets.display().to_string().replace('/', "%2F");
        format!("postgres://postgres@{sockets}/{name}")
    }

    /// Returns the user and system time of all its processes so far.
    pub fn processor_seconds(&self) -> anyhow::Result<f64> {
        // The parent counts the time of ended processes, and running processes count their own.
        let mut sum = ticks(self.process, true)?;
        for entry in fs::read_dir("/proc")? {
            let Some(process) = entry?
                .file_name()
                .to_str()
                .and_then(|name| name.parse().ok())
            else {
                continue;
            };
            // The process may have ended since it was listed.
            let Ok(stat) = fs::read_to_string(format!("/proc/{process}/stat")) else {
                continue;
            };
            let parent = stat
                .rsplit_once(") ")
                .and_then(|(_, fields)| fields.split(' ').nth(1));
            if parent == Some(&self.process.to_string()) {
                sum += ticks(process, false).unwrap_or(0.0);
            }
        }
        Ok(sum / 100.0)
    }

    /// Returns the version and the settings.
    pub fn description(&self) -> anyhow::Result<String> {
        let version = self.run(self.command("postgres").arg("--version"))?;
        let settings: Vec<_> = self
            .settings
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        Ok(format!("{}: {}", version.trim(), settings.join(", ")))
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.programs.join(program));
        if let Some(user) = self.user {
            command.uid(user).gid(user);
        }
        command
            .current_dir(&self.sockets)
            .env("HOME", &self.sockets);
        command
    }

    /// Runs a command and returns its output. The command must not leave a process that holds the
    /// pipe.
    fn run(&self, command: &mut Command) -> anyhow::Result<String> {
        let output = command
            .output()
            .with_context(|| format!("cannot run {command:?}"))?;
        let errors = String::from_utf8_lossy(&output.stderr);
        let user = self.user.map_or(String::new(), |user| {
            format!(
                " (as user {user}, who needs access to {})",
                self.data.display()
            )
        });
        ensure!(
            output.status.success(),
            "{command:?}{user} failed: {errors}"
        );
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

/// Settings for a few million certificates. The durable ones are the defaults, and stand here for
/// the reader of the figures.
fn settings() -> anyhow::Result<Vec<(&'static str, String)>> {
    let eighth = memory_bytes()? / (8 << 20);
    Ok(vec![
        ("fsync", "on".to_owned()),
        ("synchronous_commit", "on".to_owned()),
        ("full_page_writes", "on".to_owned()),
        ("shared_buffers", format!("{eighth}MB")),
        ("effective_cache_size", format!("{}MB", eighth * 4)),
        ("max_wal_size", "8GB".to_owned()),
        ("checkpoint_timeout", "15min".to_owned()),
        ("random_page_cost", "1.1".to_owned()),
    ])
}
