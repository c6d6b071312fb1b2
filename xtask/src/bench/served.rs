//! What a server does with a full zone.

use std::borrow::Borrow;
use std::net::SocketAddr;
use std::time::Duration;

use super::figures::{Report, What};
use super::http::{Load, Measured, Request};
use super::postgres::Postgres;
use super::server::{Installation, Server};
use super::{CONNECTIONS, Part, Run, scatter};

/// A running server with a full zone, and what was measured of it.
pub struct Bench<'p> {
    pub(super) server: Server,
    /// What it stores in, if that is not embedded.
    pub(super) postgres: Option<&'p Postgres>,
    pub(super) installation: Installation,
    pub(super) duration: Duration,
    pub(super) report: Report,
    /// Answers of nothing in a second: what every other throughput over HTTP is compared with.
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
        self.report.add(self.report.rate(What::BareHttp, &bare))
    }

    pub(super) async fn get(&mut self) -> anyhow::Result<()> {
        eprintln!("get …");
        let ids = self.installation.some_ids()?;
        let get = |round: u64| {
            let id = &ids[scatter(round) as usize % ids.len()];
            Request::get(&self.installation, &format!("client_certificates/{id}"))
        };
        let got = self.load(CONNECTIONS, get).await?;
        let figure = self.report.rate(What::Get, &got).ratio(self.bare_http);
        self.report.add(figure)
    }
}

impl Run {
    /// What a server does with a full zone; how many revocations it answers in a second.
    pub(super) async fn served(
        &self,
        report: Report,
        installation: &Installation,
        postgres: Option<&Postgres>,
        memory_empty: Option<f64>,
    ) -> anyhow::Result<(Report, Option<f64>)> {
        let mut bench = Bench {
            server: Server::start(&self.binary, installation, &self.keeper)?,
            postgres,
            installation: installation.clone(),
            duration: Duration::from_secs(self.arguments.seconds),
            report,
            bare_http: f64::NAN,
            revoked_per_second: None,
        };
        bench.quiet().await?;
        bench.bare_http().await?;
        if self.wanted(Part::List) {
            bench.latency_of_lists().await?;
            bench.throughput_of_lists().await?;
        }
        if self.wanted(Part::Get) {
            bench.get().await?;
        }
        if self.wanted(Part::Revoke) {
            bench.revoke().await?;
        }
        if self.wanted(Part::Settle) {
            bench.settle().await?;
        }
        if self.wanted(Part::Ocsp) {
            bench.ocsp().await?;
        }
        if self.wanted(Part::Crl) {
            bench.serve_lists().await?;
        }
        if self.wanted(Part::Issue) {
            bench.issue().await?;
        }
        if let Some(memory_empty) = memory_empty {
            let peak = bench
                .report
                .figure(What::Memory, bench.server.peak_memory_bytes()?);
            bench
                .report
                .add(peak.ratio(memory_empty).which("after all this"))?;
        }
        bench.server.stop()?;
        Ok((bench.report, bench.revoked_per_second))
    }
}
