//! Hostile load: the latency of honest clients beside it, and the memory that it takes. Each
//! scenario has a target.

use std::net::SocketAddr;
use std::path::Path;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use certgate_model::{SerialNumber, read_hex};
use certgate_pki::write_ocsp_request;
use serde_json::json;

use super::attack::{Attack, Attacker, Kind};
use super::figures::Measure;
use super::http::{Connection, Request, check_status};
use super::inputs::{csrs, largest_csr};
use super::installation::Installation;
use super::keeper::Keeper;
use super::report::Report;
use super::server::Server;
use super::statistics::Samples;

/// Sockets of one address.
const SOCKETS: usize = 10_000;

/// An honest client's 99th percentile beside the sockets is at most this multiple of the one
/// without them.
const HONEST_RATIO_MAX: f64 = 3.0;

/// Rotations to RSA-4096 at the same time, each of the accounts four.
const ROTATIONS: usize = 12;
const ROTATIONS_PER_ACCOUNT: usize = 4;

/// The same multiple for OCSP beside the rotations.
const OCSP_RATIO_MAX: f64 = 2.0;

/// The most resident memory of the server in each of the three cases.
const MEMORY_MB_MAX: f64 = 300.0;

/// After a case, the server returns the memory up to this multiple of that before, within the time.
const RETURNED_RATIO_MAX: f64 = 1.5;
const RETURNED_SECONDS_MAX: u64 = 60;

/// The records of the largest page.
const PAGE: usize = 1_000;

/// The scenarios of one server.
pub struct Hostile<'r> {
    server: Server,
    installation: Installation,
    report: &'r mut Report,
    duration: Duration,
    /// The targets that were missed.
    missed: Vec<String>,
}

/// Measures every scenario on an installation whose certificates are all revoked.
pub async fn measure(
    binary: &Path,
    installation: &Installation,
    keeper: &Rc<Keeper>,
    report: &mut Report,
    duration: Duration,
) -> anyhow::Result<()> {
    let mut hostile = Hostile {
        server: Server::start(binary, installation, keeper)?,
        installation: installation.clone(),
        report,
        duration,
        missed: Vec::new(),
    };
    hostile.sockets().await?;
    hostile.rotations().await?;
    hostile.memory().await?;
    let missed = hostile.missed;
    hostile.server.stop()?;
    ensure!(missed.is_empty(), "targets missed: {}", missed.join(", "));
    Ok(())
}

impl Hostile<'_> {
    async fn sockets(&mut self) -> anyhow::Result<()> {
        eprintln!("{SOCKETS} sockets of one address …");
        let list = Request::get(&self.installation, "client_certificates?per_page=5");
        let health = Request::public("/healthz");
        let honest = [
            ("management", self.server.address(), &list),
            ("public", self.server.public_address(), &health),
        ];
        let mut alone = Vec::new();
        for (_, address, request) in honest {
            alone.push(each_on_its_own(address, request, self.duration).await?);
        }
        for (attacked, address, _) in honest {
            for kind in Kind::SENDERS {
                let _attacker = Attacker::start(&Attack {
                    address,
                    kind,
                    sockets: SOCKETS,
                    request: String::new(),
                })?;
                for ((client, address, request), alone) in honest.iter().zip(&alone) {
                    let beside = each_on_its_own(*address, request, self.duration).await?;
                    let which = format!("{client}, beside {} at {attacked}", kind.name());
                    self.compare(Measure::Honest, which, &beside, alone, HONEST_RATIO_MAX)?;
                }
            }
        }
        Ok(())
    }

    /// Reports a 99th percentile with its ratio to the one without the load.
    fn compare(
        &mut self,
        what: Measure,
        which: String,
        beside: &Samples,
        alone: &Samples,
        ratio_max: f64,
    ) -> anyhow::Result<()> {
        let (value, baseline) = (beside.percentile(99), alone.percentile(99));
        if value > ratio_max * baseline {
            self.missed
                .push(format!("{which}: {:.1} times", value / baseline));
        }
        let figure = self.report.figure(what, value).ratio(baseline);
        self.report.add(figure.which(which))
    }

    async fn rotations(&mut self) -> anyhow::Result<()> {
        eprintln!("{ROTATIONS} rotations to RSA-4096 …");
        let request = Request::ocsp(&self.ocsp_with_nonce().await?);
        let address = self.server.public_address();
        let alone = each_on_its_own(address, &request, self.duration).await?;
        let mut pending = Vec::new();
        for number in 0..ROTATIONS / ROTATIONS_PER_ACCOUNT {
            let account = self.account(&format!("rotating {number}")).await?;
            for _ in 0..ROTATIONS_PER_ACCOUNT {
                pending.push(self.rotate(account.clone()));
            }
        }
        let rotated = futures_util::future::join_all(pending);
        let mut beside = Samples::default();
        tokio::select! {
            rotated = rotated => for status in rotated {
                // On a slow machine, the last ones take longer than a request may.
                let status = status?;
                ensure!(matches!(status, 200 | 408), "a rotation got {status}");
            },
            failed = one_after_another(address, &request, &mut beside) => failed?,
        }
        let which = format!("beside {ROTATIONS} rotations to RSA-4096");
        self.compare(Measure::HonestOcsp, which, &beside, &alone, OCSP_RATIO_MAX)
    }

    /// Returns a request about a new certificate, whose answer must be signed each time.
    async fn ocsp_with_nonce(&self) -> anyhow::Result<Vec<u8>> {
        let made = self.issue(&csrs(1)?.swap_remove(0)).await?;
        let serial = made["serial_number"].as_str().and_then(read_hex);
        let serial = SerialNumber::from_bytes(serial.context("no serial number")?);
        let authority = made["certificate_authority"]["id"].as_str();
        let file = format!("/ca/{}.crt", authority.context("no CA")?);
        let mut connection = Connection::open(self.server.public_address()).await?;
        let (status, der) = connection.exchange(&Request::public(&file)).await?;
        check_status(status, &der)?;
        Ok(write_ocsp_request(&der, &[serial], Some(&[7; 16]))?)
    }

    async fn issue(&self, csr: &str) -> anyhow::Result<serde_json::Value> {
        let mut connection = Connection::open(self.server.address()).await?;
        let issue = Request::issue(&self.installation, csr);
        Ok(connection.json(&issue).await?["result"].take())
    }

    async fn rotate(&self, account: String) -> anyhow::Result<u16> {
        let path = format!("/certgate/v1/accounts/{account}/managed_authorities/rotate");
        let body = json!({ "algorithm": "RSA-4096" }).to_string();
        let rotate = Request::of(&self.installation, "POST", &path, &body);
        let mut connection = Connection::open(self.server.address()).await?;
        Ok(connection.exchange(&rotate).await?.0)
    }

    async fn account(&self, name: &str) -> anyhow::Result<String> {
        let body = json!({ "name": format!("{name} {}", std::process::id()) }).to_string();
        let make = Request::of(&self.installation, "POST", "/client/v4/accounts", &body);
        let mut connection = Connection::open(self.server.address()).await?;
        let made = connection.json(&make).await?;
        let id = made["result"]["id"].as_str().map(str::to_owned);
        id.context("no account")
    }
}

/// The three cases of memory.
impl Hostile<'_> {
    async fn memory(&mut self) -> anyhow::Result<()> {
        eprintln!("readers of the largest pages, and of a bundle …");
        let csr = largest_csr()?;
        for _ in 0..PAGE {
            self.issue(&csr).await?;
        }
        let made = self.issue(&csr).await?;
        let authority = made["certificate_authority"]["id"].as_str();
        let authority = authority.context("no CA")?;
        let page = format!("client_certificates?limit={PAGE}");
        let page = Request::get(&self.installation, &page).into_text()?;
        let bundle = Request::public(&format!("/crl/{authority}/bundle.pem")).into_text()?;
        let (management, public) = (self.server.address(), self.server.public_address());
        for (which, address, kind, sockets, request) in [
            (
                "200 readers that never read",
                management,
                Kind::Unread,
                200,
                &page,
            ),
            (
                "64 readers of the largest pages",
                management,
                Kind::Reader,
                64,
                &page,
            ),
            (
                "1,024 slow readers of a bundle",
                public,
                Kind::SlowReader,
                1_024,
                &bundle,
            ),
        ] {
            let attack = Attack {
                address,
                kind,
                sockets,
                request: request.clone(),
            };
            self.memory_beside(which, &attack).await?;
        }
        Ok(())
    }

    async fn memory_beside(&mut self, which: &str, attack: &Attack) -> anyhow::Result<()> {
        let before = self.server.memory_bytes()?;
        let mut most = before;
        let attacker = Attacker::start(attack)?;
        let mut ticks = tokio::time::interval(Duration::from_millis(100));
        let begun = Instant::now();
        while begun.elapsed() < self.duration.max(Duration::from_secs(10)) {
            ticks.tick().await;
            most = most.max(self.server.memory_bytes()?);
        }
        drop(attacker);
        let begun = Instant::now();
        let mut after = self.server.memory_bytes()?;
        while after > before * RETURNED_RATIO_MAX
            && begun.elapsed() < Duration::from_secs(RETURNED_SECONDS_MAX)
        {
            ticks.tick().await;
            after = self.server.memory_bytes()?;
        }
        if most > MEMORY_MB_MAX * 1e6 {
            self.missed.push(format!("{which}: {:.0} MB", most / 1e6));
        }
        if after > before * RETURNED_RATIO_MAX {
            self.missed
                .push(format!("{which}: {:.0} MB stay", after / 1e6));
        }
        let figure = self
            .report
            .figure(Measure::HostileMemory, most)
            .ratio(before);
        self.report.add(figure.which(which))?;
        let figure = self
            .report
            .figure(Measure::MemoryAfter, after)
            .ratio(before);
        self.report.add(figure.which(which))
    }
}

/// Sends a request on a new connection. Returns the seconds from the connection to the answer.
async fn one(address: SocketAddr, request: &Request) -> anyhow::Result<f64> {
    let begun = Instant::now();
    Connection::open(address).await?.timed(request).await?;
    Ok(begun.elapsed().as_secs_f64())
}

async fn one_after_another(
    address: SocketAddr,
    request: &Request,
    samples: &mut Samples,
) -> anyhow::Result<()> {
    loop {
        samples.push(one(address, request).await?);
    }
}

/// Sends requests for this time, each on a connection of its own.
async fn each_on_its_own(
    address: SocketAddr,
    request: &Request,
    duration: Duration,
) -> anyhow::Result<Samples> {
    let mut samples = Samples::default();
    let begun = Instant::now();
    while begun.elapsed() < duration {
        samples.push(one(address, request).await?);
    }
    Ok(samples)
}
