//! The program under test, as its own process.

use std::ffi::OsString;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::rc::Rc;

use anyhow::{Context, ensure};

use super::installation::{Installation, command};
use super::keeper::Keeper;
use super::system::{line_of, ticks};

/// A running program.
pub struct Process {
    child: Child,
    keeper: Rc<Keeper>,
}

impl Process {
    pub fn start(command: &mut Command, keeper: &Rc<Keeper>) -> anyhow::Result<Self> {
        let child = command.spawn();
        let child = child.with_context(|| format!("cannot run {command:?}"))?;
        keeper.begun(child.id())?;
        Ok(Self {
            child,
            keeper: Rc::clone(keeper),
        })
    }

    /// Fails if the program has ended.
    pub fn ensure_runs(&mut self) -> anyhow::Result<()> {
        let ended = self.child.try_wait()?;
        ensure!(ended.is_none(), "the program ended: {ended:?}");
        Ok(())
    }

    pub fn peak_memory_bytes(&self) -> anyhow::Result<f64> {
        self.bytes_of("VmHWM")
    }

    pub fn memory_bytes(&self) -> anyhow::Result<f64> {
        self.bytes_of("VmRSS")
    }

    fn bytes_of(&self, name: &str) -> anyhow::Result<f64> {
        let line = line_of(&format!("/proc/{}/status", self.child.id()), name)?;
        let kib: f64 = line.trim_end_matches(" kB").parse()?;
        Ok(kib * 1024.0)
    }

    /// Returns the user and system time of all its threads so far.
    pub fn processor_seconds(&self) -> anyhow::Result<f64> {
        Ok(ticks(self.child.id(), false)? / 100.0)
    }

    /// Asks the program to end, and waits for it.
    pub fn stop(mut self) -> anyhow::Result<ExitStatus> {
        let id = self.child.id().to_string();
        ensure!(
            Command::new("kill")
                .args(["-TERM", &id])
                .status()?
                .success(),
            "cannot stop the server"
        );
        Ok(self.child.wait()?)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // After an error the program still runs. Only its parent can wait for it, not the keeper.
        let ended = self.child.kill().and_then(|()| self.child.wait());
        if let Err(error) = ended {
            eprintln!("cannot stop the server: {error}");
        }
        let _ = self.keeper.ended(self.child.id());
    }
}

pub struct Server {
    process: Process,
    address: SocketAddr,
    public_address: SocketAddr,
    enrolment_address: Option<SocketAddr>,
}

/// The choices of a server whose clients enrol.
#[derive(Default)]
pub struct Enrolling {
    /// The certificate and the key of the listener.
    pub tls: Option<(PathBuf, PathBuf)>,
    pub variables: Vec<(&'static str, OsString)>,
    /// The level of its log.
    pub log: Option<&'static str>,
}

impl Server {
    /// Starts the server. Returns when the server prints that it accepts connections.
    pub fn start(
        binary: &Path,
        installation: &Installation,
        keeper: &Rc<Keeper>,
    ) -> anyhow::Result<Self> {
        Self::start_enrolling(binary, installation, keeper, &Enrolling::default())
    }

    /// Starts a server with a listener for enrolment, if it has a certificate.
    pub fn start_enrolling(
        binary: &Path,
        installation: &Installation,
        keeper: &Rc<Keeper>,
        enrolling: &Enrolling,
    ) -> anyhow::Result<Self> {
        let Installation {
            directory,
            database_url,
            ..
        } = installation;
        let mut serve = command(binary, "serve", directory, database_url.as_ref());
        serve.args([
            "--listen",
            "127.0.0.1:0",
            "--public-listen",
            "127.0.0.1:0",
            "--log",
            enrolling.log.unwrap_or("warn"),
        ]);
        if let Some((certificate, key)) = &enrolling.tls {
            serve.args(["--enrol-listen", "127.0.0.1:0", "--enrol-tls-certificate"]);
            serve.arg(certificate).arg("--enrol-tls-key").arg(key);
        }
        serve
            .envs(enrolling.variables.iter().cloned())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit());
        let mut process = Process::start(&mut serve, keeper)?;
        let out = process.child.stdout.take().context("no standard output")?;
        let mut lines = BufReader::new(out).lines();
        let mut address = || {
            let line = lines.next().context("the server ended")??;
            anyhow::Ok(line.rsplit('/').next().context("no address")?.parse()?)
        };
        let (first, public_address) = (address()?, address()?);
        let enrolment_address = enrolling.tls.as_ref().map(|_| address()).transpose()?;
        Ok(Self {
            process,
            address: first,
            public_address,
            enrolment_address,
        })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn public_address(&self) -> SocketAddr {
        self.public_address
    }

    /// The address of EST.
    pub fn enrolment_address(&self) -> anyhow::Result<SocketAddr> {
        self.enrolment_address.context("no listener for enrolment")
    }

    pub fn peak_memory_bytes(&self) -> anyhow::Result<f64> {
        self.process.peak_memory_bytes()
    }

    pub fn memory_bytes(&self) -> anyhow::Result<f64> {
        self.process.memory_bytes()
    }

    /// Returns the user and system time of all its threads so far.
    pub fn processor_seconds(&self) -> anyhow::Result<f64> {
        self.process.processor_seconds()
    }

    pub fn stop(self) -> anyhow::Result<()> {
        let ended = self.process.stop()?;
        ensure!(ended.success(), "the server did not end well");
        Ok(())
    }
}
