//! The meaning of each metric, as `# HELP` shows it.

/// The name of each metric of the server and of enforcement points, and its meaning.
const HELP: &[(&str, &str)] = &[
    (
        "certgate_http_requests_total",
        "Answered requests, by method, route and status",
    ),
    (
        "certgate_http_request_seconds",
        "Time from the head of a request to the head of its answer",
    ),
    (
        "certgate_certificates",
        "Certificates of all zones, by status",
    ),
    (
        "certgate_certificates_expiring",
        "Certificates that are not revoked or replaced and expire within some days",
    ),
    (
        "certgate_certificates_unindexed",
        "Certificates that an upgrade has not indexed for the search yet",
    ),
    (
        "certgate_certificates_issued_total",
        "Certificates that were signed and stored",
    ),
    (
        "certgate_enrolled_total",
        "Certificates that clients got by EST, by their credential",
    ),
    (
        "certgate_status_changes_total",
        "Changes of the status of certificates, by the new status",
    ),
    (
        "certgate_crls_published_total",
        "CRLs that were signed and stored",
    ),
    (
        "certgate_corrupt_crls_total",
        "Stored CRLs that failed their check and were made again",
    ),
    (
        "certgate_backup_finished_timestamp_seconds",
        "End of the last backup, in seconds since 1970, or 0",
    ),
    (
        "certgate_check_finished_timestamp_seconds",
        "End of the last full check, in seconds since 1970, or 0",
    ),
    (
        "certgate_check_problems",
        "Problems that the last full check found",
    ),
    (
        "certgate_tls_certificate_expires_timestamp_seconds",
        "End of the management API's certificate, in seconds since 1970, or 0 without TLS",
    ),
    (
        "certgate_enrol_tls_certificate_expires_timestamp_seconds",
        "End of the enrolment listener's certificate, in seconds since 1970, or 0 without one",
    ),
    (
        "certgate_invite_tls_certificate_expires_timestamp_seconds",
        "End of the invite listener's certificate, in seconds since 1970, or 0 without one",
    ),
    ("certgate_build_info", "1, with the version of the server"),
    (
        "certgate_connections_unavailable",
        "Connections of each listener for which the process may open too few files",
    ),
    (
        "certgate_connections_closed_total",
        "Connections that the server closed, by reason",
    ),
    (
        "certgate_log_lines_dropped_total",
        "Log lines that could not be written",
    ),
    (
        "certgate_log_lines_limited_total",
        "Repeated log lines that were left out",
    ),
    (
        "certgate_enforcement_points_lagging",
        "Enforcement points that lack changes, by the state of their lease",
    ),
    (
        "certgate_notifications_delivered_total",
        "Events that a destination accepted",
    ),
    (
        "certgate_notification_failures_total",
        "Attempts to deliver events that failed",
    ),
    (
        "certgate_notification_backlog",
        "Entries of logs that a destination has not gone through",
    ),
    (
        "certgate_notification_oldest_seconds",
        "Age of the event that waits longest for a destination",
    ),
    (
        "certgate_notifications_undelivered",
        "Events that were not delivered in time and are listed",
    ),
    (
        "certgate_task_restarts_total",
        "Restarts of background tasks that ended by a defect, by task",
    ),
    (
        "certgate_reloads_total",
        "Reloads of the settings, by result",
    ),
    (
        "certgate_enforcement_verdicts_total",
        "Verdicts on clients, by host and verdict",
    ),
    (
        "certgate_enforcement_epoch",
        "Epoch of the last change that this process enforces",
    ),
    (
        "certgate_enforcement_fresh_seconds",
        "Age of the last proof that the view is up to date",
    ),
    (
        "certgate_gateway_connections",
        "Open connections of clients",
    ),
    (
        "certgate_gateway_connections_untracked",
        "Open connections that no revocation could cut",
    ),
    (
        "certgate_gateway_connections_cut_total",
        "Connections that the gateway cut, by reason",
    ),
    (
        "certgate_gateway_connections_refused_total",
        "Connections that the gateway refused, by limit",
    ),
    (
        "certgate_gateway_handshakes_failed_total",
        "TLS handshakes with clients that failed",
    ),
    (
        "certgate_gateway_requests_total",
        "Answered requests of clients, by host and status",
    ),
    (
        "certgate_gateway_reloads_total",
        "Reloads of the gateway's configuration, by result",
    ),
];

/// Describes every metric to the recorder of this process.
pub fn describe() {
    for (name, help) in HELP {
        // The recorder stores one text for a name, whatever the kind of the metric.
        metrics::describe_gauge!(*name, *help);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_documented_metric_has_a_meaning_and_no_other() {
        let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/monitoring.md");
        let page = std::fs::read_to_string(page).unwrap();
        let rows = page
            .lines()
            .filter_map(|line| line.strip_prefix("| `certgate_"));
        let rows = rows.filter_map(|row| row.split('`').next());
        let mut documented: Vec<_> = rows.map(|name| format!("certgate_{name}")).collect();
        documented.sort();
        let mut described: Vec<_> = HELP.iter().map(|(name, _)| (*name).to_owned()).collect();
        described.sort();
        assert_eq!(described, documented);
        let is_sentence = |help: &str| help.len() > 20 && !help.ends_with('.');
        assert!(HELP.iter().all(|(_, help)| is_sentence(help)));
    }
}
