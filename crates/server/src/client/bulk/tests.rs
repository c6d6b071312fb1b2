use std::collections::BTreeSet;
use std::sync::atomic::AtomicU32;

use clap::Parser;
use serde_json::Value;

use super::super::testing::{Captured, Issuing, Reply, Verdict, ZONE, refused};
use super::*;
use crate::cli::{CertCommand, Cli, Command, Format};
use crate::config::Environment;

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

    fn run(&self, issuing: &Issuing, more: &[&str]) -> (Result<(), Failure>, Value) {
        let list = self.directory.path().join("names.csv");
        let out = self.out();
        let line = [
            "certgate",
            "cert",
            "issue",
            "--from",
            list.to_str().unwrap(),
            "--out",
            out.to_str().unwrap(),
        ];
        let line = line.iter().chain(more);
        let Command::Cert {
            command: CertCommand::Issue(arguments),
            ..
        } = Cli::parse_from(line).command
        else {
            panic!("that is a command to issue")
        };
        let variables = [("CERTGATE_P12_PASSWORD".into(), "secret".into())];
        let environment = Environment::from_variables(variables).unwrap();
        let captured = Captured::new(Format::Json);
        let (session, zone) = (issuing.server.session(), ZONE.parse().unwrap());
        let outcome = super::super::issue::run(
            &session,
            &zone,
            &arguments,
            &environment,
            &mut captured.screen(),
        );
        let out = captured.out();
        (outcome, serde_json::from_str(&out).unwrap_or(Value::Null))
    }

    fn out(&self) -> PathBuf {
        self.directory.path().join("out")
    }

    fn has(&self, name: &str) -> bool {
        self.out().join(name).exists()
    }

    /// Every name has its key and certificate, one certificate was issued for it, and nothing else is there.
    fn is_complete(&self, issuing: &Issuing, names: &[&str]) {
        let files = std::fs::read_dir(self.out()).unwrap();
        let files: BTreeSet<_> = files
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        let mut expected: BTreeSet<_> = names
            .iter()
            .flat_map(|name| [format!("{name}.key"), format!("{name}.crt")])
            .collect();
        expected.insert(journal::FILE.to_owned());
        assert_eq!(files, expected);
        let issued = issuing.issued();
        assert_eq!(issued.len(), names.len());
        for name in names {
            let pem = std::fs::read_to_string(self.out().join(format!("{name}.crt"))).unwrap();
            assert!(
                issued
                    .iter()
                    .any(|certificate| certificate["certificate"] == pem.trim_end()),
                "{name}"
            );
        }
    }
}

fn is_post(seen: &super::super::testing::Seen) -> bool {
    seen.method == "POST"
}

const NAMES: [&str; 12] = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"];

#[test]
fn a_list_is_issued_once_and_running_again_does_nothing() {
    let (bulk, issuing) = (Bulk::new(&NAMES), Issuing::start(|_| Verdict::Answer));
    let (outcome, summary) = bulk.run(&issuing, &["--days", "7"]);
    outcome.unwrap();
    assert_eq!(
        (&summary["issued"], &summary["already_issued"]),
        (&12.into(), &0.into())
    );
    bulk.is_complete(&issuing, &NAMES);
    issuing.server.seen();
    let (outcome, summary) = bulk.run(&issuing, &[]);
    outcome.unwrap();
    assert_eq!(
        (&summary["issued"], &summary["already_issued"]),
        (&0.into(), &12.into())
    );
    assert_eq!(issuing.server.seen().len(), 0);
    bulk.is_complete(&issuing, &NAMES);
}

#[test]
fn what_failed_is_told_and_only_that_is_tried_again() {
    let bulk = Bulk::new(&["good", "", "also-good", &"x".repeat(65)]);
    let tries = AtomicU32::new(0);
    let issuing = Issuing::start(move |seen| {
        match is_post(seen) && tries.fetch_add(1, Ordering::Relaxed) == 0 {
            true => Verdict::Instead(refused(400, 1400, "not today")),
            false => Verdict::Answer,
        }
    });
    let (outcome, summary) = bulk.run(&issuing, &["--jobs", "1"]);
    assert!(matches!(outcome, Err(Failure::Reported)));
    assert_eq!(summary["issued"], 1);
    let failed = summary["failed"].as_array().unwrap();
    assert_eq!(failed.len(), 2, "{failed:?}");
    assert_eq!(
        (&failed[0]["line"], &failed[0]["common_name"]),
        (&2.into(), &"good".into())
    );
    assert!(
        failed[0]["message"]
            .as_str()
            .unwrap()
            .contains("not today (code 1400)")
    );
    assert!(
        failed[1]["message"]
            .as_str()
            .unwrap()
            .contains("65 characters")
    );
    assert!(!bulk.has("good.key") && !bulk.has("good.pending"));
    bulk.list(&["good", "", "also-good"]);
    bulk.run(&issuing, &[]).0.unwrap();
    bulk.is_complete(&issuing, &["good", "also-good"]);
}

#[test]
fn an_answer_that_was_lost_is_not_issued_twice() {
    let lost = AtomicU32::new(0);
    let issuing = Issuing::start(move |seen| {
        match is_post(seen) && lost.fetch_add(1, Ordering::Relaxed) < 4 {
            true => Verdict::LoseAnswer,
            false => Verdict::Answer,
        }
    });
    let bulk = Bulk::new(&NAMES);
    let mut runs = 0;
    while let (Err(failure), summary) = bulk.run(&issuing, &["--jobs", "2"]) {
        assert!(
            matches!(
                failure,
                Failure::Told {
                    exit: Exit::Unreachable,
                    ..
                }
            ),
            "{failure}"
        );
        assert!(
            failure
                .to_string()
                .contains("goes on where this one stopped"),
            "{failure}"
        );
        assert!(summary["left"].as_u64().unwrap() > 0);
        runs += 1;
        assert!(runs <= 4, "every run gets further");
    }
    assert!(runs > 0);
    bulk.is_complete(&issuing, &NAMES);
}

#[test]
fn a_kill_after_any_step_leaves_a_state_to_go_on_from() {
    // Runs to the end, then takes away what a killed run would not have written yet, step by step backwards.
    for steps_missing in 0..=6 {
        let (bulk, issuing) = (Bulk::new(&["a", "b"]), Issuing::start(|_| Verdict::Answer));
        bulk.run(&issuing, &["--jobs", "1"]).0.unwrap();
        let csr = issuing.issued()[1]["csr"].as_str().unwrap().to_owned();
        let file = |name: &str| bulk.out().join(name);
        let pending =
            serde_json::json!({ "zone_id": ZONE, "wanted": { "common_name": "b" }, "csr": csr });
        let journal = std::fs::read_to_string(file(journal::FILE)).unwrap();
        let (first, second) = journal.split_at(journal.find('\n').unwrap() + 1);
        if steps_missing >= 1 {
            std::fs::write(file("b.pending"), pending.to_string()).unwrap();
        }
        if steps_missing >= 2 {
            std::fs::remove_file(file("b.crt")).unwrap();
        }
        if steps_missing >= 3 {
            let torn = if steps_missing == 3 {
                &second[..second.len() / 2]
            } else {
                ""
            };
            std::fs::write(file(journal::FILE), format!("{first}{torn}")).unwrap();
        }
        if steps_missing >= 5 {
            // The key was not yet on disk, hence nothing was sent.
            std::fs::remove_file(file("b.key")).unwrap();
            std::fs::write(file(".certgate-partial-abc"), "half a key").unwrap();
        }
        if steps_missing >= 6 {
            std::fs::remove_file(file("b.pending")).unwrap();
        }
        let sent_before = issuing.issued().len();
        bulk.run(&issuing, &[]).0.unwrap();
        let files = std::fs::read_dir(bulk.out()).unwrap().count();
        assert_eq!(
            files, 5,
            "{steps_missing}: two keys, two certificates, the journal"
        );
        let again = issuing.issued().len() - sent_before;
        assert_eq!(again, usize::from(steps_missing >= 5), "{steps_missing}");
    }
}

#[test]
fn what_every_line_would_meet_stops_the_run() {
    let issuing = Issuing::start(|_| Verdict::Instead(refused(403, 9109, "Invalid access token")));
    let bulk = Bulk::new(&NAMES);
    let (outcome, summary) = bulk.run(&issuing, &["--jobs", "1"]);
    assert!(
        outcome
            .unwrap_err()
            .to_string()
            .contains("Invalid access token")
    );
    assert_eq!(summary["left"], 12);
    assert_eq!(issuing.server.seen().len(), 1);
    let page = Issuing::start(|_| Verdict::Instead(Reply::Raw(502, "<html>")));
    assert!(bulk.run(&page, &["--jobs", "1"]).0.is_err());
    assert_eq!(page.server.seen().len(), 1);
}

#[test]
fn files_of_somebody_else_are_left_alone() {
    let (bulk, issuing) = (
        Bulk::new(&["a", "b", "c"]),
        Issuing::start(|_| Verdict::Answer),
    );
    std::fs::create_dir(bulk.out()).unwrap();
    std::fs::write(bulk.out().join("a.key"), "mine").unwrap();
    std::fs::write(bulk.out().join("b.crt"), "mine").unwrap();
    let (outcome, summary) = bulk.run(&issuing, &[]);
    assert!(matches!(outcome, Err(Failure::Reported)));
    assert_eq!(
        (
            &summary["issued"],
            summary["failed"].as_array().unwrap().len()
        ),
        (&1.into(), 2)
    );
    assert_eq!(std::fs::read(bulk.out().join("a.key")).unwrap(), b"mine");
    assert_eq!(std::fs::read(bulk.out().join("b.crt")).unwrap(), b"mine");
    // A line that changed after it was issued is told, not ignored.
    std::fs::write(
        bulk.directory.path().join("names.csv"),
        "common_name,organization\nc,Other\n",
    )
    .unwrap();
    let (_, summary) = bulk.run(&issuing, &[]);
    assert!(
        summary["failed"][0]["message"]
            .as_str()
            .unwrap()
            .contains("other data"),
        "{summary}"
    );
}

#[test]
fn pkcs12_files_come_with_it_or_later() {
    let (bulk, issuing) = (Bulk::new(&["a", "b"]), Issuing::start(|_| Verdict::Answer));
    bulk.run(&issuing, &[]).0.unwrap();
    bulk.list(&["a", "b", "c"]);
    let (outcome, summary) = bulk.run(&issuing, &["--p12"]);
    outcome.unwrap();
    assert_eq!(summary["issued"], 3);
    assert!(
        ["a.p12", "b.p12", "c.p12"]
            .iter()
            .all(|name| bulk.has(name))
    );
    assert_eq!(issuing.issued().len(), 3);
}
