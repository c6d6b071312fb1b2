//! Metrics of all certificates, from the counters of the store.

use std::time::Duration;

use certgate_model::{InstallationSummary, Status};
use tokio::time::timeout;

use crate::environment::Environment;

/// The days within which certificates expire, and their labels.
const WITHIN: [(i64, &str); 3] = [(7, "7d"), (30, "30d"), (90, "90d")];

/// The longest wait for the store. The other metrics must come when a database hangs, which is when
/// they are needed.
const WAIT: Duration = Duration::from_millis(500);

/// The gauges of certificates by status and expiry.
pub struct CertificateGauges {
    pub(crate) environment: Environment,
}

impl CertificateGauges {
    /// Sets the gauges. If the store does not answer, they keep their values.
    pub async fn measure(&self) {
        let today = self.environment.now().unix_day();
        let longest = WITHIN.iter().map(|(days, _)| *days).max().unwrap_or(0);
        let store = &self.environment.store;
        match timeout(WAIT, store.installation_summary(today, longest)).await {
            Ok(Ok(summary)) => set(&summary, today),
            Ok(Err(error)) => {
                tracing::debug!(%error, "the counters of certificates cannot be read");
            }
            Err(_) => tracing::debug!("the counters of certificates were not read in time"),
        }
    }
}

fn set(summary: &InstallationSummary, today: i64) {
    for status in Status::ALL {
        let count = summary.totals.of(status);
        metrics::gauge!("certgate_certificates", "status" => status.name()).set(count as f64);
    }
    for (days, within) in WITHIN {
        let count = summary.expiring_within(today, days);
        metrics::gauge!("certgate_certificates_expiring", "within" => within).set(count as f64);
    }
    metrics::gauge!("certgate_certificates_unindexed").set(summary.unindexed as f64);
}
