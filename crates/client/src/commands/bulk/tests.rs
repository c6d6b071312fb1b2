use std::collections::BTreeSet;
use std::sync::atomic::AtomicU32;

use serde_json::Value;

use super::*;
use crate::arguments::Format;
use crate::commands::issue::tests::issue_with;
use crate::failure::Exit;
use crate::http::Api;
use crate::testing::{Captured, Fate, Reply, Server, names, refused, text};

struct Bulk {
    directory: tempfile::TempDir,
}

impl Bulk {
    fn new(names: &[&str]) -> Self {
        let bulk = Self {
            directory: tempfile::tempdir().unwrap(),
        };
        bulk.list(names);
        bulk
    }

    fn list(&self, names: &[&str]) {
        let text = format!("common_name\n{}\n", names.join("\n"));
        std::fs::write(self.directory.path().join("names.csv"), text).unwrap();
    }

    fn run(&self, server: &Server, more: &[&str]) -> (Result<(), Failure>, Value) {
        self.run_with(server.relay.api(), server, more)
    }

    fn run_with(&self, api: Api, server: &Server, more: &[&str]) -> (Result<(), Failure>, Value) {
        let list = self.directory.path().join("names.csv");
        let out = self.out();
        let mut line = vec!["--from", list.to_str().unwrap()];
        line.extend(["--out", out.to_str().unwrap()]);
        line.extend(more);
        let captured = Captured::new(Format::Json);
        let (session, mut screen) = (Session::over(api), captured.screen());
        let outcome = issue_with(&session, server, &line, &mut screen);
        let out = captured.out();
        (outcome, serde_json::from_str(&out).unwrap_or(Value::Null))
    }

    fn out(&self) -> PathBuf {
        self.directory.path().join("out")
    }

    fn has(&self, name: &str) -> bool {
        self.out().join(name).exists()
    }

    /// Checks that each name has its key and its only certificate, and that no other file exists.
    fn is_complete(&self, server: &Server, expected: &[&str]) {
        let mut files: BTreeSet<_> = expected
            .iter()
            .flat_map(|name| [format!("{name}.key"), format!("{name}.crt")])
            .collect();
        files.insert(progress::FILE.to_owned());
        assert_eq!(BTreeSet::from_iter(names(&self.out())), files);
        let issued = server.issued();
        assert_eq!(issued.len(), expected.len());
        for name in expected {
            let pem = std::fs::read_to_string(self.out().join(format!("{name}.crt"))).unwrap();
            let is_issued = |certificate: &Value| {
                text(&certificate["certificate"]).trim_end() == pem.trim_end()
            };
            assert!(issued.iter().any(is_issued), "{name}");
        }
    }
}

const NAMES: [&str; 12] = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"];

#[test]
fn a_list_is_issued_once_and_running_again_does_nothing() {
    let (bulk, server) = (Bulk::new(&NAMES), Server::start());
    let (outcome, summary) = bulk.run(&server, &["--days", "7"]);
    outcome.unwrap();
    assert_eq!(
        (&summary["issued"], &summary["already_issued"]),
        (&12.into(), &0.into())
    );
    bulk.is_complete(&server, &NAMES);
    server.seen();
    let (outcome, summary) = bulk.run(&server, &[]);
    outcome.unwrap();
    assert_eq!(
        (&summary["issued"], &summary["already_issued"]),
        (&0.into(), &12.into())
    );
    assert_eq!(server.seen().len(), 0);
    bulk.is_complete(&server, &NAMES);
}

#[test]
fn a_failure_is_reported_and_only_that_line_is_tried_again() {
    let bulk = Bulk::new(&["good", "", "also-good", &"x".repeat(65)]);
    let tries = AtomicU32::new(0);
    let server = Server::faulty(move |seen, _| {
        match seen.is_post() && tries.fetch_add(1, Ordering::Relaxed) == 0 {
            true => Fate::Instead(refused(400, 1400, "not today")),
            false => Fate::Pass,
        }
    });
    let (outcome, summary) = bulk.run(&server, &["--jobs", "1"]);
    assert_eq!(outcome, Err(Failure::printed()));
    assert_eq!(summary["issued"], 1);
    let failed = summary["failed"].as_array().unwrap();
    assert_eq!(failed.len(), 2, "{failed:?}");
    assert_eq!(
        (&failed[0]["line"], &failed[0]["common_name"]),
        (&2.into(), &"good".into())
    );
    for (row, problem) in failed
        .iter()
        .zip(["not today (code 1400)", "65 characters"])
    {
        assert!(text(&row["message"]).contains(problem), "{row}");
    }
    assert!(!bulk.has("good.key") && !bulk.has("good.pending"));
    bulk.list(&["good", "", "also-good"]);
    bulk.run(&server, &[]).0.unwrap();
    bulk.is_complete(&server, &["good", "also-good"]);
}

#[test]
fn a_line_whose_answer_was_lost_is_not_issued_twice() {
    let lost = AtomicU32::new(0);
    let server = Server::faulty(move |seen, _| {
        match seen.is_post() && lost.fetch_add(1, Ordering::Relaxed) < 4 {
            true => Fate::LoseAnswer,
            false => Fate::Pass,
        }
    });
    let bulk = Bulk::new(&NAMES);
    let mut runs = 0;
    // A later run requests the certificate of the first run, also with another default validity.
    let days = |runs: u32| (7 + runs).to_string();
    while let (Err(failure), summary) = bulk.run(&server, &["--jobs", "2", "--days", &days(runs)]) {
        assert_eq!(failure.exit(), Exit::Unreachable, "{failure}");
        assert!(failure.to_string().contains("to continue"), "{failure}");
        assert!(summary["left"].as_u64().unwrap() > 0);
        runs += 1;
        assert!(runs <= 4, "every run gets further");
    }
    assert!(runs > 0);
    bulk.is_complete(&server, &NAMES);
}

#[test]
fn another_token_does_not_repeat_a_request_whose_answer_was_lost() {
    let server = Server::faulty(|seen, _| match seen.body.contains("csr") {
        true => Fate::LoseAnswer,
        false => Fate::Pass,
    });
    let bulk = Bulk::new(&["a"]);
    assert!(bulk.run(&server, &[]).0.is_err());
    let group = certgate_model::PermissionGroup::SslAndCertificatesWrite;
    let zone = format!("com.cloudflare.api.account.zone.{}", server.zone());
    let groups = [group.id()];
    let app = &server.certgate.app;
    let other = server.certgate.wait(app.token_for(&groups, &[&zone]));
    let (outcome, summary) = bulk.run_with(server.relay.api_with(&other), &server, &[]);
    assert_eq!(outcome, Err(Failure::printed()));
    let problem = text(&summary["failed"][0]["message"]);
    assert!(problem.contains("another token"), "{problem}");
    assert_eq!(server.issued().len(), 1);
    assert!(bulk.has("a.key") && bulk.has("a.pending"));
}

#[test]
fn a_kill_after_any_step_leaves_a_state_to_continue_from() {
    // Runs to the end, then removes the files that a killed run would not have, step by step.
    for steps_missing in 0..=6 {
        let (bulk, server) = (Bulk::new(&["a", "b"]), Server::start());
        bulk.run(&server, &["--jobs", "1"]).0.unwrap();
        let csr = text(&server.issued()[1]["csr"]);
        let file = |name: &str| bulk.out().join(name);
        let pending = serde_json::json!({
            "zone_id": server.zone().to_string(),
            "wanted": { "common_name": "b" },
            "csr": csr,
            "validity_days": 365,
            "token": server.relay.api().token().fingerprint(),
        });
        let progress = std::fs::read_to_string(file(progress::FILE)).unwrap();
        let (first, second) = progress.split_at(progress.find('\n').unwrap() + 1);
        if steps_missing >= 1 {
            std::fs::write(file("b.pending"), pending.to_string()).unwrap();
        }
        if steps_missing >= 2 {
            std::fs::remove_file(file("b.crt")).unwrap();
        }
        if steps_missing >= 3 {
            let torn = match steps_missing {
                3 => &second[..second.len() / 2],
                _ => "",
            };
            std::fs::write(file(progress::FILE), format!("{first}{torn}")).unwrap();
        }
        if steps_missing >= 5 {
            // The key was not yet on disk, so nothing was sent.
            std::fs::remove_file(file("b.key")).unwrap();
            std::fs::write(file(".certgate-partial-abc"), "half a key").unwrap();
        }
        if steps_missing >= 6 {
            std::fs::remove_file(file("b.pending")).unwrap();
        }
        let sent_before = server.issued().len();
        bulk.run(&server, &[]).0.unwrap();
        let expected = ["a.crt", "a.key", "b.crt", "b.key", progress::FILE];
        assert_eq!(names(&bulk.out()), expected, "{steps_missing}");
        let again = server.issued().len() - sent_before;
        assert_eq!(again, usize::from(steps_missing >= 5), "{steps_missing}");
    }
}

#[test]
fn a_failure_of_every_line_stops_the_run() {
    let bulk = Bulk::new(&NAMES);
    let server = Server::start();
    let unknown = server.relay.api_with(&"x".repeat(40));
    let (outcome, summary) = bulk.run_with(unknown, &server, &["--jobs", "1"]);
    let failure = outcome.unwrap_err();
    assert!(failure.to_string().contains("token"), "{failure}");
    assert_eq!(summary["left"], 12);
    assert_eq!(server.seen().len(), 1);
    let gateway = Server::faulty(|_, _| Fate::Instead(Reply::Raw(502, "<html>")));
    assert!(bulk.run(&gateway, &["--jobs", "1"]).0.is_err());
    assert_eq!(gateway.seen().len(), 1);
}

#[test]
fn files_of_another_program_are_left_alone() {
    let (bulk, server) = (Bulk::new(&["a", "b", "c"]), Server::start());
    std::fs::create_dir(bulk.out()).unwrap();
    std::fs::write(bulk.out().join("a.key"), "mine").unwrap();
    std::fs::write(bulk.out().join("b.crt"), "mine").unwrap();
    let (outcome, summary) = bulk.run(&server, &[]);
    assert_eq!(outcome, Err(Failure::printed()));
    let failed = summary["failed"].as_array().unwrap().len();
    assert_eq!((&summary["issued"], failed), (&1.into(), 2));
    assert_eq!(std::fs::read(bulk.out().join("a.key")).unwrap(), b"mine");
    assert_eq!(std::fs::read(bulk.out().join("b.crt")).unwrap(), b"mine");
    // A line that changed after it was issued is reported, not ignored.
    let list = bulk.directory.path().join("names.csv");
    std::fs::write(list, "common_name,organization\nc,Other\n").unwrap();
    let (_, summary) = bulk.run(&server, &[]);
    let problem = text(&summary["failed"][0]["message"]);
    assert!(problem.contains("other data"), "{problem}");
}

#[test]
fn pkcs12_files_come_with_the_certificate_or_later() {
    let (bulk, server) = (Bulk::new(&["a", "b"]), Server::start());
    bulk.run(&server, &[]).0.unwrap();
    bulk.list(&["a", "b", "c"]);
    let (outcome, summary) = bulk.run(&server, &["--p12"]);
    outcome.unwrap();
    assert_eq!(summary["issued"], 3);
    assert!(["a.p12", "b.p12", "c.p12"].map(|name| bulk.has(name)) == [true; 3]);
    assert_eq!(server.issued().len(), 3);
}
