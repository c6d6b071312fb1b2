use serde_json::json;

use super::*;
use crate::arguments::Format;
use crate::failure::Exit;
use crate::testing::{Captured, Server};

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// Each problem has a fix, and a good state has none.
fn judged(item: &Item) -> Colour {
    assert_eq!(item.fix.is_some(), item.status != Colour::Green, "{item:?}");
    assert!(
        item.fix.as_ref().is_none_or(|fix| fix.len() > 20),
        "{item:?}"
    );
    item.status
}

#[test]
fn clocks_that_differ_are_a_problem() {
    let now = at("2026-08-14T10:30:00Z");
    for (server, status) in [
        ("2026-08-14T10:30:00Z", Colour::Green),
        ("2026-08-14T10:29:57Z", Colour::Green),
        ("2026-08-14T10:29:50Z", Colour::Yellow),
        ("2026-08-14T10:30:30Z", Colour::Yellow),
        ("2026-08-14T10:32:00Z", Colour::Red),
        ("2025-08-14T10:30:00Z", Colour::Red),
    ] {
        assert_eq!(judged(&clock_of(at(server), now)), status, "{server}");
    }
    let behind = clock_of(at("2026-08-14T10:28:00Z"), now);
    assert_eq!(behind.detail, "the server is 120 s behind this machine");
}

#[test]
fn lists_that_end_are_a_problem() {
    let now = at("2026-08-14T10:30:00Z");
    for (next_update, status) in [
        (json!(null), Colour::Yellow),
        (json!("2026-08-14T10:00:00Z"), Colour::Red),
        (json!("2026-08-15T10:00:00Z"), Colour::Yellow),
        (json!("2026-08-20T10:00:00Z"), Colour::Green),
    ] {
        let lists =
            json!({"lists": 130, "number": 7, "this_update": null, "next_update": next_update});
        let lists = serde_json::from_value(lists).unwrap();
        assert_eq!(judged(&crl(&lists, now)), status, "{next_update}");
    }
}

#[test]
fn a_full_disk_is_a_problem() {
    let directory = "certgate-data";
    for (free, status) in [
        (0, Colour::Red),
        (255, Colour::Red),
        (256, Colour::Yellow),
        (2_048, Colour::Green),
    ] {
        assert_eq!(judged(&space(&directory, free)), status, "{free}");
    }
    let found = tempfile::tempdir().unwrap();
    assert!(disk(found.path()).detail.contains("MiB are free"));
    assert_eq!(judged(&disk(&found.path().join("none"))), Colour::Yellow);
}

#[test]
fn the_metrics_show_limits_versions_tasks_and_certificates() {
    let now = at("2026-08-14T10:30:00Z");
    let own = env!("CARGO_PKG_VERSION");
    let good = format!(
        "certgate_build_info{{version=\"{own}\"}} 1\ncertgate_connections_unavailable 0\n\
         certgate_task_restarts_total 0\ncertgate_tls_certificate_expires_timestamp_seconds 0\n"
    );
    let items = of_metrics(&good, now);
    assert!(
        items.iter().all(|item| judged(item) == Colour::Green),
        "{items:?}"
    );
    let unix = |days: i64| now.plus_seconds(days * SECONDS_PER_DAY).unix_milliseconds() / 1000;
    let tls = "certgate_tls_certificate_expires_timestamp_seconds";
    for (line, item, status) in [
        (
            "certgate_build_info{version=\"0.0.1\"} 1".to_owned(),
            "version",
            Colour::Yellow,
        ),
        (String::new(), "version", Colour::Yellow),
        (
            "certgate_connections_unavailable 3072".to_owned(),
            "limits",
            Colour::Yellow,
        ),
        (
            "certgate_task_restarts_total{task=\"settler\"} 2".to_owned(),
            "tasks",
            Colour::Yellow,
        ),
        (
            "certgate_notifications_undelivered{destination=\"webhook\"} 1".to_owned(),
            "notifications",
            Colour::Yellow,
        ),
        (
            "certgate_notification_oldest_seconds{destination=\"email\"} 901".to_owned(),
            "notifications",
            Colour::Yellow,
        ),
        (format!("{tls} {}", unix(30)), "TLS", Colour::Green),
        (format!("{tls} {}", unix(3)), "TLS", Colour::Yellow),
        (format!("{tls} {}", unix(-1)), "TLS", Colour::Red),
    ] {
        let items = of_metrics(&line, now);
        let found = items.iter().find(|found| found.item == item);
        assert_eq!(judged(found.unwrap()), status, "{line}");
    }
}

#[test]
fn addresses_that_do_not_answer_are_a_problem_with_a_fix() {
    let server = Server::start();
    server.issue("a");
    let captured = Captured::new(Format::Json);
    let outcome = run(&server.session(), None, None, &mut captured.screen());
    // No public responder runs in this test.
    assert_eq!(outcome.unwrap_err().exit(), Exit::Failed);
    let report = captured.json();
    assert_eq!(report["status"], "red");
    let items = report["items"].as_array().unwrap();
    let of = |name: &str| items.iter().find(|item| item["item"] == name).unwrap();
    assert_eq!(of("server")["status"], "green");
    assert_eq!(of("URLs")["status"], "red");
    assert!(
        of("URLs")["fix"]
            .as_str()
            .unwrap()
            .contains("public_listen")
    );
    assert!(of("server").get("fix").is_none());
    let captured = Captured::new(Format::Table);
    let _ = run(&server.session(), None, None, &mut captured.screen());
    let out = captured.out();
    assert!(
        out.starts_with("STATUS") && out.contains("\n  fix: certificates have"),
        "{out}"
    );
}
