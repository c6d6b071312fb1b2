//! What this crate counts is there from the start on, at zero: of a counter that appears with its first event, that event
//! is no increase to whoever watches it.

use certgate_model::Status;

/// Begins to count.
pub(crate) fn begin() {
    metrics::counter!("certgate_certificates_issued_total").increment(0);
    metrics::counter!("certgate_crls_published_total").increment(0);
    for status in Status::ALL {
        metrics::counter!("certgate_status_changes_total", "to" => status.name()).increment(0);
    }
    lagging(0, 0);
}

/// How many enforcement points lack a change: within their lease, and after its end.
pub(crate) fn lagging(live: usize, ended: usize) {
    metrics::gauge!("certgate_enforcement_points_lagging", "lease" => "live").set(live as f64);
    metrics::gauge!("certgate_enforcement_points_lagging", "lease" => "ended").set(ended as f64);
}
