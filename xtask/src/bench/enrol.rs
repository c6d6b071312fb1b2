//! Renewals by EST, each with a TLS handshake, against handshakes alone.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};

use super::device::{Answer, Device, Renewal, devices};
use super::figures::Measure;
use super::http::Measured;
use super::installation::Installation;
use super::keeper::Keeper;
use super::report::Report;
use super::server::{Enrolling, Server};
use super::statistics::Samples;
use super::system::{loopback_bytes, ticks};
use super::units::seconds;

/// Devices that connect at the same time.
const AT_ONCE: usize = 32;

/// Devices for each second of renewals. The server renews a certificate once.
const DEVICES_PER_SECOND: usize = 4_000;

/// Both are measured in turn, because the speed of the machine drifts.
const ROUNDS: u32 = 5;

/// Makes the certificate and the key of a listener beside an installation.
pub fn listener_identity(installation: &Installation) -> anyhow::Result<(PathBuf, PathBuf)> {
    let file = |ending| installation.directory.with_extension(ending);
    let (certificate, key) = (file("enrol.crt"), file("enrol.key"));
    let made = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-nodes",
            "-subj",
            "/CN=localhost",
        ])
        .args(["-pkeyopt", "ec_paramgen_curve:P-256", "-days", "3650"])
        .args(["-addext", "subjectAltName=IP:127.0.0.1"])
        .arg("-keyout")
        .arg(&key)
        .arg("-out")
        .arg(&certificate)
        .stderr(Stdio::null())
        .status()
        .context("cannot run openssl")?;
    ensure!(made.success(), "openssl made no certificate");
    Ok((certificate, key))
}

/// Measures both on an installation.
pub async fn measure(
    binary: &Path,
    installation: &Installation,
    keeper: &Rc<Keeper>,
    report: &mut Report,
    duration: Duration,
) -> anyhow::Result<()> {
    eprintln!("renewals by EST, and handshakes alone …");
    let enrolling = Enrolling {
        tls: Some(listener_identity(installation)?),
        ..Enrolling::default()
    };
    let server = Server::start_enrolling(binary, installation, keeper, &enrolling)?;
    let count = DEVICES_PER_SECOND * usize::try_from(duration.as_secs())?;
    let fleet = devices(installation, server.address(), count).await?;
    // Keys and requests are made before, because the client shares the processors.
    let renewals = fleet.iter().map(Device::renewal);
    let renewals = renewals.collect::<anyhow::Result<Vec<_>>>()?;
    let address = server.enrolment_address()?;
    let (mut shaken, mut renewed) = (Run::default(), Run::default());
    let slice = duration / ROUNDS;
    let (mut any, mut each) = (fleet.iter().cycle(), fleet.iter().zip(&renewals));
    for _ in 0..ROUNDS {
        let shake = async |device: &Device| device.shake_hands(address).await;
        shaken.go_on(&server, slice, &mut any, shake).await?;
        let renew = async |(device, renewal): (&Device, &Renewal)| match device
            .renew(address, renewal)
            .await?
        {
            Answer::Renewed(_) => Ok(()),
            Answer::Later(wait) => bail!("the server defers a renewal by {wait:?}"),
        };
        renewed.go_on(&server, slice, &mut each, renew).await?;
    }
    server.stop()?;
    for run in [&shaken, &renewed] {
        let count = run.latency.len() as f64;
        let of_client = seconds(run.client_seconds / count);
        let octets = run.network_bytes / count;
        eprintln!("  each takes the client {of_client}, and the network {octets:.0} bytes");
    }
    let (shaken, renewed) = (shaken.measured(), renewed.measured());
    report.add(report.rate(Measure::Handshake, &shaken))?;
    let figure = report.rate(Measure::Reenrol, &renewed);
    report.add(figure.ratio(shaken.per_second))
}

/// The slices of one measurement.
#[derive(Default)]
struct Run {
    latency: Samples,
    seconds: f64,
    server_seconds: f64,
    client_seconds: f64,
    network_bytes: f64,
}

impl Run {
    /// Does the work for one item after another, many at the same time, until the time is over.
    async fn go_on<T>(
        &mut self,
        server: &Server,
        slice: Duration,
        items: &mut impl Iterator<Item = T>,
        work: impl AsyncFn(T) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let own = || anyhow::Ok(ticks(std::process::id(), false)? / 100.0);
        let (of_server, of_client) = (server.processor_seconds()?, own()?);
        let octets = loopback_bytes()?;
        let begun = Instant::now();
        let items = RefCell::new(items);
        let tasks = (0..AT_ONCE).map(|_| async {
            let mut latency = Samples::default();
            while begun.elapsed() < slice {
                let item = items.borrow_mut().next();
                let item = item.context("there are too few devices")?;
                let sent = Instant::now();
                work(item).await?;
                latency.push(sent.elapsed().as_secs_f64());
            }
            anyhow::Ok(latency)
        });
        for latency in futures_util::future::join_all(tasks).await {
            self.latency.extend(&latency?);
        }
        self.seconds += begun.elapsed().as_secs_f64();
        self.server_seconds += server.processor_seconds()? - of_server;
        self.client_seconds += own()? - of_client;
        self.network_bytes += loopback_bytes()? - octets;
        Ok(())
    }

    fn measured(self) -> Measured {
        Measured {
            per_second: self.latency.len() as f64 / self.seconds,
            latency: self.latency,
            processor_seconds: Some(self.server_seconds),
            database_seconds: None,
        }
    }
}
