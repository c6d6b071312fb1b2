//! Measurements of a server with a full zone.

use std::borrow::Borrow;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use super::arguments::{Arguments, Part};
use super::figures::Measure;
use super::http::{CONNECTIONS, Load, Measured, Request};
use super::inputs::scatter;
use super::installation::Installation;
use super::keeper::Keeper;
use super::postgres::Postgres;
use super::report::Report;
use super::server::Server;

/// A running server with a full zone, and its figures.
pub struct Bench<'p> {
    pub(super) server: Server,
    pub(super) binary: PathBuf,
    /// The PostgreSQL server, if the database is not embedded.
    pub(super) postgres: Option<&'p Postgres>,
    pub(super) installation: Installation,
    pub(super) duration: Duration,
    pub(super) report: Report,
    /// The rate of empty answers, which is the baseline of every other rate over HTTP.
    pub(super) bare_http: f64,
    pub(super) revoked_per_second: Option<f64>,
}

impl Bench<'_> {
    pub(super) async fn load<R: Borrow<Request>>(
        &self,
        connections: usize,
        request: impl Fn(u64) -> R,
    ) -> anyhow::Result<Measured> {
        self.run(Load::new(connections, self.duration), request)
            .await
    }

    pub(super) async fn run<R: Borrow<Request>>(
        &self,
        load: Load,
        request: impl Fn(u64) -> R,
    ) -> anyhow::Result<Measured> {
        self.run_at(self.server.address(), load, request).await
    }

    pub(super) async fn run_at<R: Borrow<Request>>(
        &self,
        address: SocketAddr,
        load: Load,
        request: impl Fn(u64) -> R,
    ) -> anyhow::Result<Measured> {
        let database = || self.postgres.map(Postgres::processor_seconds).transpose();
        let (before, database_before) = (self.server.processor_seconds()?, database()?);
        let measured = load.run(address, request).await?;
        let processor_seconds = Some(self.server.processor_seconds()? - before);
        let database_seconds = database()?
            .zip(database_before)
            .map(|(after, before)| after - before);
        Ok(Measured {
            processor_seconds,
            database_seconds,
            ..measured
        })
    }

    pub(super) async fn bare_http(&mut self) -> anyhow::Result<()> {
        eprintln!("an empty answer …");
        let health = Request::public("/healthz");
        let bare = self.load(CONNECTIONS, |_| &health).await?;
        self.bare_http = bare.per_second;
        self.report.add(self.report.rate(Measure::BareHttp, &bare))
    }

    pub(super) async fn get(&mut self) -> anyhow::Result<()> {
        eprintln!("get …");
        let ids = self.installation.some_ids()?;
        let get = |round: u64| {
            let id = &ids[scatter(round) as usize % ids.len()];
            Request::get(&self.installation, &format!("client_certificates/{id}"))
        };
        let got = self.load(CONNECTIONS, get).await?;
        let figure = self.report.rate(Measure::Get, &got).ratio(self.bare_http);
        self.report.add(figure)
    }
}

impl<'p> Bench<'p> {
    /// Starts the server on a full zone.
    pub(super) fn start(
        binary: &Path,
        keeper: &Rc<Keeper>,
        seconds: u64,
        report: Report,
        installation: &Installation,
        postgres: Option<&'p Postgres>,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            server: Server::start(binary, installation, keeper)?,
            binary: binary.to_owned(),
            postgres,
            installation: installation.clone(),
            duration: Duration::from_secs(seconds),
            report,
            bare_http: f64::NAN,
            revoked_per_second: None,
        })
    }

    /// Measures the parts that are wanted, and stops the server.
    ///
    /// Also returns the revocations per second, if they were measured.
    pub(super) async fn measure(
        mut self,
        arguments: &Arguments,
        memory_empty: Option<f64>,
    ) -> anyhow::Result<(Report, Option<f64>)> {
        self.quiet().await?;
        self.bare_http().await?;
        if arguments.wants(Part::List) {
            self.latency_of_lists().await?;
            self.throughput_of_lists().await?;
        }
        if arguments.wants(Part::Get) {
            self.get().await?;
        }
        if arguments.wants(Part::Search) {
            self.search().await?;
        }
        if arguments.wants(Part::Bulk) {
            self.bulk().await?;
        }
        if arguments.wants(Part::Revoke) {
            self.revoke().await?;
        }
        if arguments.wants(Part::Settle) {
            self.settle().await?;
        }
        if arguments.wants(Part::Ocsp) {
            self.ocsp().await?;
        }
        if arguments.wants(Part::Crl) {
            self.serve_lists().await?;
        }
        if arguments.wants(Part::Issue) {
            self.issue().await?;
        }
        if let Some(memory_empty) = memory_empty {
            let peak = self
                .report
                .figure(Measure::Memory, self.server.peak_memory_bytes()?);
            self.report
                .add(peak.ratio(memory_empty).which("after all this"))?;
        }
        self.server.stop()?;
        Ok((self.report, self.revoked_per_second))
    }
}
