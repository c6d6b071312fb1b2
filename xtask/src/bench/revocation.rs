//! Revocation: the rate of answers, and the time until a revocation is published.

use std::time::Instant;

use anyhow::{Context, ensure};

use super::figures::Measure;
use super::http::{Connection, Load, Request};
use super::inputs::csrs;
use super::served::Bench;
use super::statistics::Samples;

/// Connections. Each answer waits for an fsync, which all waiting requests share.
const REVOKE_CONNECTIONS: usize = 256;

/// Certificates to revoke. Each is revoked once.
const REVOCATIONS: u64 = 20_000;

/// Revocations that are timed until `revoked`, one after the other.
const SETTLED: u64 = 100;

impl Bench<'_> {
    pub(super) async fn revoke(&mut self) -> anyhow::Result<()> {
        eprintln!("revoke …");
        self.prepare(REVOCATIONS).await?;
        let active = self.active_ids(REVOCATIONS as usize).await?;
        let revoke = |round: u64| {
            let id = &active[round as usize % active.len()];
            Request::delete(&self.installation, &format!("client_certificates/{id}"))
        };
        // Some are left, because each connection takes one more after the last number.
        let most = (active.len() as u64)
            .saturating_sub(REVOKE_CONNECTIONS as u64)
            .max(1);
        let load = Load::new(REVOKE_CONNECTIONS, self.duration).at_most(most);
        let revoked = self.run(load, revoke).await?;
        self.revoked_per_second = Some(revoked.per_second);
        let figure = self.report.rate(Measure::Revoke, &revoked);
        self.report
            .add(figure.ratio(self.bare_http).which("256 clients"))?;
        self.quiet().await
    }

    /// Times one revocation after the other, from DELETE to its answer and to the first GET that
    /// answers `revoked`.
    pub(super) async fn settle(&mut self) -> anyhow::Result<()> {
        eprintln!("settle …");
        self.prepare(SETTLED).await?;
        let (mut answered, mut published) = (Samples::default(), Samples::default());
        for id in self.active_ids(SETTLED as usize).await? {
            let [answer, settled] = self.settle_one(&id).await?;
            answered.push(answer);
            published.push(settled);
        }
        let report = &mut self.report;
        let figure = report.median(Measure::Settle, &answered);
        report.add(figure.which("DELETE answered"))?;
        let figure = report.median(Measure::Settle, &published);
        report.add(figure.ratio(answered.median()).which("DELETE to published"))
    }

    /// Waits until the lists that are due have been made.
    pub(super) async fn quiet(&mut self) -> anyhow::Result<()> {
        let active = self.active_ids(1).await?;
        ensure!(!active.is_empty(), "no certificate is active");
        self.settle_one(&active[0]).await?;
        Ok(())
    }

    /// Lists the IDs of at most `count` active certificates.
    async fn active_ids(&self, count: usize) -> anyhow::Result<Vec<String>> {
        let mut connection = Connection::open(self.server.address()).await?;
        let mut ids = Vec::new();
        for page in 1.. {
            let request = Request::get(
                &self.installation,
                &format!("client_certificates?status=active&limit=1000&page={page}"),
            );
            let answer = connection.json(&request).await?;
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

    async fn settle_one(&self, id: &str) -> anyhow::Result<[f64; 2]> {
        let mut connection = Connection::open(self.server.address()).await?;
        let path = format!("client_certificates/{id}");
        let revoke = Request::delete(&self.installation, &path);
        let get = Request::get(&self.installation, &path);
        let begun = Instant::now();
        connection.timed(&revoke).await?;
        let answered = begun.elapsed();
        loop {
            if connection.json(&get).await?["result"]["status"] == "revoked" {
                return Ok([answered.as_secs_f64(), begun.elapsed().as_secs_f64()]);
            }
        }
    }

    /// Issues at most `count` certificates for a measurement.
    pub(super) async fn prepare(&self, count: u64) -> anyhow::Result<()> {
        let issue = Request::issue(&self.installation, &csrs(1)?[0]);
        let load = Load::new(REVOKE_CONNECTIONS, self.duration).at_most(count);
        self.run(load, |_| &issue).await?;
        Ok(())
    }
}
