//! A fleet of devices that renew by EST for some days, with an outage. Devices and server are real,
//! their clock is not: it moves on to the next minute in which a device is due. The instants come
//! from the schedule of `certgate renew`.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context, ensure};
use certgate_client::{Life, Within};
use certgate_model::Timestamp;
use certgate_pki::{PresentedCertificate, sha256};

use super::device::{Answer, Device, devices};
use super::enrol::listener_identity;
use super::inputs::scatter;
use super::installation::Installation;
use super::keeper::Keeper;
use super::server::{Enrolling, Server};
use super::system;

/// The default of `certgate renew`.
const WITHIN: Within = Within::Part(1, 3);

/// Renewals are counted in parts of the time of this length, in seconds.
const PART: i64 = 2 * 3_600;

// The parts since the first enrolment, in which every device gets a certificate in one burst.

/// Each device has renewed three times, and the burst has dissolved.
const BEFORE: Range<usize> = 24..36;

/// The server is away.
const OUTAGE: Range<usize> = 36..37;

/// Devices that were due in the outage renew, besides the others.
const AFTER: Range<usize> = 37..41;

/// The same as before the outage.
const LATER: Range<usize> = 41..53;

/// The difference from an even rate that is accepted.
const UNEVEN_MAX: f64 = 0.2;

/// Devices that connect at the same time.
const AT_ONCE: usize = 32;

/// Devices of the simulation that tests run.
const FEW: usize = 200;

/// The renewals of a fleet.
pub struct Spread {
    /// The renewals of each part.
    parts: Vec<u32>,
    failures: u32,
    expired: u32,
    /// Octets of the embedded database for each certificate.
    pub database_bytes: f64,
}

/// Simulates a few devices, in a directory of its own.
pub fn simulate_few(binary: &Path) -> anyhow::Result<Spread> {
    let directory = tempfile::tempdir()?;
    let keeper = Rc::new(Keeper::start(&directory.path().join("none"), &[])?);
    let installation = directory.path().join("fleet");
    let installation = Installation::open_or_make(binary, &installation, None)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(simulate(binary, &installation, &keeper, FEW))
}

/// Simulates a fleet on an installation.
pub async fn simulate(
    binary: &Path,
    installation: &Installation,
    keeper: &Rc<Keeper>,
    count: usize,
) -> anyhow::Result<Spread> {
    let clock = Clock::new(installation.directory.with_extension("clock"))?;
    let enrolling = Enrolling {
        tls: Some(listener_identity(installation)?),
        variables: clock.variables()?,
        // It would warn of each step of the clock.
        log: Some("error"),
    };
    let start = || Server::start_enrolling(binary, installation, keeper, &enrolling);
    let mut server = Some(start()?);
    let begun = system::now()?;
    let address = server.as_ref().context("no server")?.address();
    let devices = devices(installation, address, count).await?;
    let mut fleet = devices
        .into_iter()
        .map(Member::new)
        .collect::<anyhow::Result<Vec<_>>>()?;
    let mut due: BinaryHeap<_> = fleet
        .iter()
        .map(Member::renews_at)
        .zip(0..)
        .map(Reverse)
        .collect();
    let mut spread = Spread {
        parts: vec![0; LATER.end],
        failures: 0,
        expired: 0,
        database_bytes: 0.0,
    };
    while let Some(Reverse((first, _))) = due.peek() {
        // 1. The clock, the server and the devices of the next minute.
        let minute = begun.until(*first).seconds().max(0) / 60 + 1;
        let now = begun.plus_seconds(minute * 60);
        let part = usize::try_from(minute * 60 / PART)?;
        if part >= LATER.end {
            break;
        }
        clock.set(now)?;
        match (OUTAGE.contains(&part), server.take()) {
            (true, Some(running)) => running.stop()?,
            (true, None) => {}
            (false, None) => server = Some(start()?),
            (false, running) => server = running,
        }
        let mut batch = Vec::new();
        while let Some(Reverse((at, number))) = due.peek()
            && *at <= now
        {
            batch.push(*number);
            due.pop();
        }
        // 2. Each tries once.
        let address = server.as_ref().map(Server::enrolment_address).transpose()?;
        for some in batch.chunks(AT_ONCE) {
            let tries = some.iter().map(|number: &usize| {
                let device = &fleet[*number].device;
                async move {
                    let Some(address) = address else {
                        return Ok(None);
                    };
                    let renewal = device.renewal()?;
                    let answer = device.renew(address, &renewal).await?;
                    anyhow::Ok(Some((renewal, answer)))
                }
            });
            for (number, tried) in some.iter().zip(futures_util::future::join_all(tries).await) {
                let member = &mut fleet[*number];
                spread.expired += u32::from(member.life.not_after < now);
                let next = match tried? {
                    Some((renewal, Answer::Renewed(certificate))) => {
                        spread.parts[part] += 1;
                        *member = Member::new(renewal.device(certificate)?)?;
                        member.renews_at()
                    }
                    later => {
                        spread.failures += 1;
                        let wait = member.wait_after_failure(now, spread.failures);
                        let wait = match later {
                            Some((_, Answer::Later(least))) => wait.max(least),
                            _ => wait,
                        };
                        now.plus_seconds(i64::try_from(wait.as_secs())?)
                    }
                };
                due.push(Reverse((next, *number)));
            }
        }
    }
    if let Some(server) = server {
        server.stop()?;
    }
    let issued = f64::from(spread.parts.iter().sum::<u32>()) + fleet.len() as f64;
    spread.database_bytes = std::fs::metadata(installation.database())?.len() as f64 / issued;
    Ok(spread)
}

/// A device and its schedule.
struct Member {
    device: Device,
    life: Life,
    failures: u32,
}

impl Member {
    fn new(device: Device) -> anyhow::Result<Self> {
        let read = PresentedCertificate::read(&device.certificate).map_err(anyhow::Error::msg)?;
        let life = Life {
            not_before: read.not_before(),
            not_after: read.not_after(),
        };
        Ok(Self {
            device,
            life,
            failures: 0,
        })
    }

    fn wait_after_failure(&mut self, now: Timestamp, number: u32) -> Duration {
        self.failures += 1;
        let draw = scatter(number.into()) as u32;
        self.life.backoff(self.failures, now, draw)
    }

    fn renews_at(&self) -> Timestamp {
        let fingerprint = sha256(&self.device.certificate);
        self.life.renews_at(WITHIN, &fingerprint)
    }
}

impl Spread {
    /// Renewals of a part if they were even.
    fn even(&self) -> f64 {
        f64::from(self.parts[BEFORE].iter().sum::<u32>()) / BEFORE.len() as f64
    }

    /// The greatest differences from an even rate, below and above.
    fn uneven(&self, parts: Range<usize>) -> (f64, f64) {
        let ratios = self.parts[parts]
            .iter()
            .map(|part| f64::from(*part) / self.even() - 1.0);
        ratios.fold((0.0, 0.0), |(low, high), ratio| {
            (ratio.min(low), ratio.max(high))
        })
    }

    /// Fails if a certificate has expired, or if renewals were not spread.
    pub fn check(&self) -> anyhow::Result<()> {
        ensure!(
            self.expired == 0,
            "{} certificates have expired",
            self.expired
        );
        ensure!(self.failures > 0, "no device noticed the outage");
        // Of few renewals, chance alone makes some parts larger.
        let chance = 5.0 / self.even().sqrt();
        let most = UNEVEN_MAX.max(chance);
        for parts in [BEFORE, AFTER, LATER] {
            let (low, high) = self.uneven(parts.clone());
            ensure!(
                -low <= most && high <= most,
                "renewals are not spread in the parts {parts:?}: {self}"
            );
        }
        Ok(())
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all: u32 = self.parts.iter().sum();
        writeln!(f, "{all} renewals, {} failed attempts", self.failures)?;
        writeln!(f, "{} certificates expired", self.expired)?;
        writeln!(f, "{:.0} renewals in two hours are even", self.even())?;
        for (name, parts) in [
            ("before the outage", BEFORE),
            ("in eight hours after it", AFTER),
            ("later", LATER),
        ] {
            let (low, high) = self.uneven(parts);
            writeln!(f, "{name}: {:+.1} % to {:+.1} %", low * 100.0, high * 100.0)?;
        }
        write!(f, "{:?}", self.parts)
    }
}

/// The clock of the server, by libfaketime.
struct Clock(PathBuf);

impl Clock {
    fn new(file: PathBuf) -> anyhow::Result<Self> {
        let clock = Self(file);
        clock.set(system::now()?)?;
        Ok(clock)
    }

    /// Sets the clock. From this instant it runs on.
    fn set(&self, at: Timestamp) -> anyhow::Result<()> {
        let ahead = system::now()?.until(at).seconds();
        let new = self.0.with_extension("new");
        std::fs::write(&new, format!("+{ahead}\n"))?;
        Ok(std::fs::rename(&new, &self.0)?)
    }

    fn variables(&self) -> anyhow::Result<Vec<(&'static str, std::ffi::OsString)>> {
        let folders = std::fs::read_dir("/usr/lib")?;
        let library = folders
            .filter_map(|entry| Some(entry.ok()?.path().join("faketime/libfaketimeMT.so.1")))
            .find(|library| library.exists())
            .context("faketime is missing: install it")?;
        let mut variables = vec![
            ("LD_PRELOAD", library.into_os_string()),
            ("FAKETIME_TIMESTAMP_FILE", self.0.clone().into_os_string()),
        ];
        let on = [
            "FAKETIME_NO_CACHE",
            "FAKETIME_DONT_FAKE_MONOTONIC",
            "DONT_FAKE_MONOTONIC",
        ];
        variables.extend(on.map(|name| (name, "1".into())));
        Ok(variables)
    }
}
