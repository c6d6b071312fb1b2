//! Revocation: how many are answered, and how soon one is published.

use std::time::Instant;

use anyhow::ensure;

use super::figures::What;
use super::http::{Connection, Load, Request};
use super::statistics::Samples;
use super::{Bench, csrs};

/// Connections: every answer waits for an fsync that all waiting ones share.
const REVOKE_CONNECTIONS: usize = 256;

/// Certificates to revoke, each once.
const REVOCATIONS: u64 = 20_000;

/// Revocations whose way to `revoked` is timed, one after the other.
const SETTLED: u64 = 100;

impl Bench<'_> {
    pub(super) async fn revoke(&mut self) -> anyhow::Result<()> {
        eprintln!("revoke …");
        self.prepare(REVOCATIONS).await?;
        let active = self
            .installation
            .active_ids(self.server.address(), REVOCATIONS as usize)
            .await?;
        let revoke = |round: u64| {
            let id = &active[round as usize % active.len()];
            Request::delete(&self.installation, &format!("client_certificates/{id}"))
        };
        // Not quite all: that many connections each take one more when the last number has been given.
        let most = (active.len() as u64)
            .saturating_sub(REVOKE_CONNECTIONS as u64)
            .max(1);
        let load = Load::new(REVOKE_CONNECTIONS, self.duration).at_most(most);
        let revoked = self.run(load, revoke).await?;
        self.revoked_per_second = Some(revoked.per_second);
        let figure = self
            .report
            .rate(What::Revoke, &revoked)
            .ratio(self.bare_http);
        self.report.add(figure.which("256 clients"))?;
        self.quiet().await
    }

    /// From the DELETE to its answer, and to the first GET that says `revoked`, one at a time.
    pub(super) async fn settle(&mut self) -> anyhow::Result<()> {
        eprintln!("settle …");
        self.prepare(SETTLED).await?;
        let (mut answered, mut published) = (Samples::default(), Samples::default());
        for id in self
            .installation
            .active_ids(self.server.address(), SETTLED as usize)
            .await?
        {
            let [answer, settled] = self.settle_one(&id).await?;
            answered.push(answer);
            published.push(settled);
        }
        let report = &mut self.report;
        report.add(
            report
                .median(What::Settle, &answered)
                .which("DELETE answered"),
        )?;
        let figure = report
            .median(What::Settle, &published)
            .ratio(answered.median());
        report.add(figure.which("DELETE to published"))
    }

    /// Waits until the lists that are old have been made.
    pub(super) async fn quiet(&mut self) -> anyhow::Result<()> {
        let active = self
            .installation
            .active_ids(self.server.address(), 1)
            .await?;
        ensure!(!active.is_empty(), "no certificate is active");
        self.settle_one(&active[0]).await?;
        Ok(())
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
            let (status, body) = connection.exchange(&get).await?;
            super::check_status(status, &body)?;
            if super::json(&body)?["result"]["status"] == "revoked" {
                return Ok([answered.as_secs_f64(), begun.elapsed().as_secs_f64()]);
            }
        }
    }

    /// Issues certificates, so many at most, that others are about.
    pub(super) async fn prepare(&self, count: u64) -> anyhow::Result<()> {
        let csr = csrs(1)?.swap_remove(0);
        let body = serde_json::json!({ "csr": csr, "validity_days": 365 }).to_string();
        let issue = Request::post(&self.installation, "client_certificates", &body);
        self.run(
            Load::new(REVOKE_CONNECTIONS, self.duration).at_most(count),
            |_| &issue,
        )
        .await?;
        Ok(())
    }
}
