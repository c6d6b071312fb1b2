//! Metrics of this crate. Each exists from the start with the value 0: a counter that appears with
//! its first event shows no increase to a monitoring system.

use certgate_model::Status;

/// Registers every metric.
pub(crate) fn begin() {
    metrics::counter!("certgate_certificates_issued_total").increment(0);
    metrics::counter!("certgate_crls_published_total").increment(0);
    metrics::counter!("certgate_corrupt_crls_total").increment(0);
    for status in Status::ALL {
        status_changes(status, 0);
    }
    lagging(0, 0);
    for way in ENROLLED {
        metrics::counter!("certgate_enrolled_total", "by" => way).increment(0);
    }
}

/// The ways in which clients without a token get certificates.
const ENROLLED: [&str; 3] = ["invite", "renewal", "trusted_ca"];

/// Counts a certificate of a client without a token.
pub(crate) fn enrolled(by: &'static str) {
    metrics::counter!("certgate_enrolled_total", "by" => by).increment(1);
}

/// Counts changes to a status.
pub(crate) fn status_changes(to: Status, count: u64) {
    metrics::counter!("certgate_status_changes_total", "to" => to.name()).increment(count);
}

/// Sets the number of lagging enforcement points: within their lease, and silent ones.
pub(crate) fn lagging(live: usize, silent: usize) {
    metrics::gauge!("certgate_enforcement_points_lagging", "lease" => "live").set(live as f64);
    metrics::gauge!("certgate_enforcement_points_lagging", "lease" => "ended").set(silent as f64);
}

/// Registers the metrics of a destination of notifications.
pub(crate) fn notifications_begin(destination: &'static str) {
    notifications_delivered(destination, 0);
    metrics::counter!("certgate_notification_failures_total", "destination" => destination)
        .increment(0);
    notifications_backlog(destination, 0, 0, 0);
}

/// Counts delivered events.
pub(crate) fn notifications_delivered(destination: &'static str, count: u64) {
    metrics::counter!("certgate_notifications_delivered_total", "destination" => destination)
        .increment(count);
}

/// Counts an attempt that failed.
pub(crate) fn notification_failed(destination: &'static str) {
    metrics::counter!("certgate_notification_failures_total", "destination" => destination)
        .increment(1);
}

/// Sets the number of log entries to go through, the age of the oldest event in seconds, and the
/// number of undelivered events.
pub(crate) fn notifications_backlog(
    destination: &'static str,
    entries: u64,
    age: i64,
    undelivered: u64,
) {
    metrics::gauge!("certgate_notification_backlog", "destination" => destination)
        .set(entries as f64);
    metrics::gauge!("certgate_notification_oldest_seconds", "destination" => destination)
        .set(age as f64);
    metrics::gauge!("certgate_notifications_undelivered", "destination" => destination)
        .set(undelivered as f64);
}
