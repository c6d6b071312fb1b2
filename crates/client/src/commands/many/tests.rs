use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use super::*;
use crate::arguments::{FilterArgs, Format};
use crate::failure::Exit;
use crate::testing::{Captured, Fate, Reply, Server, refused, text};

const REVOKE: StatusRequest = StatusRequest::Revoke(None);
const HOLD_IS_FINAL: StatusRequest = StatusRequest::Revoke(Some(RevocationReason::KeyCompromise));

/// A place for records.
struct Place {
    server: Server,
    directory: tempfile::TempDir,
}

impl Place {
    fn new(server: Server) -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self { server, directory }
    }

    fn issue(&self, prefix: &str, count: usize) -> Vec<String> {
        let names = (0..count).map(|number| format!("{prefix}{number}"));
        names.map(|name| self.server.issue(&name)).collect()
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Arguments that change what matches without a question.
    fn matching(&self, pattern: &str, expect: u64, record: &str) -> ChangeArgs {
        ChangeArgs {
            matching: Some(pattern.to_owned()),
            yes: true,
            expect: Some(expect),
            record: Some(self.file(record)),
            jobs: 4,
            ..ChangeArgs::default()
        }
    }

    fn resume(&self, record: &str) -> ChangeArgs {
        ChangeArgs {
            resume: Some(self.file(record)),
            jobs: 4,
            ..ChangeArgs::default()
        }
    }

    fn undo(&self, undone: &str, record: &str) -> ChangeArgs {
        ChangeArgs {
            undo: Some(self.file(undone)),
            record: Some(self.file(record)),
            yes: true,
            jobs: 4,
            ..ChangeArgs::default()
        }
    }

    fn run(
        &self,
        request: StatusRequest,
        arguments: &ChangeArgs,
        format: Format,
    ) -> (Result<(), Failure>, Captured) {
        self.typing(request, arguments, format, "")
    }

    /// Runs the command on a terminal with these answers, or without one.
    fn typing(
        &self,
        request: StatusRequest,
        arguments: &ChangeArgs,
        format: Format,
        answers: &'static str,
    ) -> (Result<(), Failure>, Captured) {
        let captured = Captured::new(format);
        let (session, zone) = (self.server.session(), self.server.zone());
        let mut screen = captured.screen();
        if !answers.is_empty() {
            screen = screen.typing(answers);
        }
        let outcome = change(&session, &zone, arguments, request, &mut screen);
        (outcome, captured)
    }

    /// The IDs of the certificates that are revoked now, sorted.
    fn revoked(&self) -> Vec<String> {
        let is_revoked = |one: &Value| {
            let status = text(&one["status"]);
            status == "revoked" || status == "pending_revocation"
        };
        let all = self.server.issued();
        let ids = all.iter().filter(|one| is_revoked(one));
        let mut ids: Vec<_> = ids.map(|one| text(&one["id"])).collect();
        ids.sort();
        ids
    }
}

fn sorted(mut ids: Vec<String>) -> Vec<String> {
    ids.sort();
    ids
}

#[test]
fn matching_certificates_are_revoked_and_the_record_undoes_exactly_that() {
    let place = Place::new(Server::start());
    let wanted = sorted(place.issue("laptop-", 30));
    let others = place.issue("phone-", 3);
    // A certificate that is revoked already is not a part of the change, nor of its undo.
    let before = place.issue("laptop-x", 1);
    place.run(REVOKE, &named(&before), Format::Json).0.unwrap();

    let arguments = place.matching("laptop-*", 30, "r");
    let (outcome, captured) = place.run(REVOKE, &arguments, Format::Json);
    outcome.unwrap();
    let summary = captured.json();
    assert_eq!(
        (&summary["changed"], &summary["left"]),
        (&json!(30), &json!(0))
    );
    let mut all = [wanted.clone(), before.clone()].concat();
    all.sort();
    assert_eq!(place.revoked(), all);

    // Another one matches later.
    let later = place.issue("laptop-y", 1);
    place.run(REVOKE, &named(&later), Format::Json).0.unwrap();
    let restore = StatusRequest::Restore;
    let undo = place.undo("r", "undo");
    let (outcome, captured) = place.run(restore, &undo, Format::Json);
    outcome.unwrap();
    assert_eq!(captured.json()["changed"], 30);
    assert_eq!(place.revoked(), sorted([before, later].concat()));
    // The undo has a record too.
    let again = place.undo("undo", "again");
    place.run(REVOKE, &again, Format::Json).0.unwrap();
    assert_eq!(place.revoked().len(), 32);
    assert!(others.iter().all(|id| !place.revoked().contains(id)));
}

#[test]
fn more_than_pages_reach_are_found_although_others_change_meanwhile() {
    let is_first = std::sync::atomic::AtomicBool::new(true);
    let server = Server::faulty(move |seen, certgate| {
        if seen.query.contains("continue=") && is_first.swap(false, Ordering::Relaxed) {
            // One that was read, and one that was not.
            for name in ["laptop-0000", "laptop-0029"] {
                let list = "/zones/{zone}/client_certificates";
                let found = format!("{list}?common_name={name}");
                let found = certgate.wait(certgate.app.get(&found)).result();
                let path = format!("{list}/{}", text(&found[0]["id"]));
                certgate.wait(certgate.app.delete(&path)).result();
            }
            certgate.issue("phone");
        }
        Fate::Pass
    });
    let place = Place::new(server);
    let wanted = (0..30).map(|number| place.server.issue(&format!("laptop-{number:04}")));
    let wanted = sorted(wanted.collect());
    let arguments = place.matching("laptop-*", 29, "r");
    let (outcome, captured) = place.run(REVOKE, &arguments, Format::Json);
    outcome.unwrap();
    let summary = captured.json();
    let counts = ["count", "changed", "unchanged"].map(|name| &summary[name]);
    assert_eq!(counts, [&json!(29), &json!(28), &json!(1)]);
    assert_eq!(place.revoked(), wanted);
}

#[test]
fn a_server_that_ends_the_list_is_not_taken_for_a_whole_list() {
    let relay = crate::testing::Relay::alone(|_| {
        Reply::Json(
            200,
            json!({
                "success": true, "errors": [], "result": [],
                "messages": [{ "code": 1530, "message": "More match", "type": null }],
                "result_info": { "total_count": 10_000, "total_pages": 10 },
            }),
        )
    });
    let captured = Captured::new(Format::Table);
    let arguments = ChangeArgs {
        matching: Some("laptop-*".to_owned()),
        dry_run: true,
        ..ChangeArgs::default()
    };
    let zone = "0123456789abcdef0123456789abcdef".parse().unwrap();
    let session = relay.session();
    let outcome = change(&session, &zone, &arguments, REVOKE, &mut captured.screen());
    let refused = outcome.unwrap_err().to_string();
    assert!(
        refused.contains("more certificates match than the 10000"),
        "{refused}"
    );
}

fn named(ids: &[String]) -> ChangeArgs {
    ChangeArgs {
        names: ids.to_vec(),
        jobs: 1,
        ..ChangeArgs::default()
    }
}

#[test]
fn a_preview_says_the_number_the_coverage_and_if_there_is_an_undo() {
    let place = Place::new(Server::start());
    place.issue("laptop-", 12);
    let app = &place.server.certgate.app;
    let path = "/certgate/v1/accounts/{account}/enforcement_points";
    let point = json!({"name": "gateway-1", "covers": ["connections", "requests"]});
    place.server.certgate.wait(app.post(path, point)).result();
    let arguments = ChangeArgs {
        dry_run: true,
        yes: false,
        expect: None,
        ..place.matching("laptop-*", 12, "r")
    };
    let (outcome, captured) = place.run(REVOKE, &arguments, Format::Table);
    outcome.unwrap();
    let told = captured.err();
    let expected = "12 certificates match (status=active, common_name.startswith=laptop-)";
    assert!(told.starts_with(expected), "{told}");
    for part in [
        "\nNAME ",
        "  active  2027-08-14T10:15:00Z  0",
        "and 2 more",
        "gateway-1",
        "connections, requests",
        "you can undo this change: certgate cert restore --undo",
        "nothing was changed",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    let (outcome, captured) = place.run(HOLD_IS_FINAL, &arguments, Format::Table);
    outcome.unwrap();
    let told = captured.err();
    assert!(
        told.contains("the reason key-compromise is final: you CANNOT undo"),
        "{told}"
    );
    assert_eq!(
        (place.revoked().len(), place.file("r").exists()),
        (0, false)
    );
}

#[test]
fn the_number_must_be_typed_or_expected() {
    let place = Place::new(Server::start());
    place.issue("laptop-", 2);
    let asking = ChangeArgs {
        yes: false,
        expect: None,
        ..place.matching("laptop-*", 2, "r")
    };
    let (outcome, _) = place.run(REVOKE, &asking, Format::Table);
    let failure = outcome.unwrap_err();
    assert_eq!(failure.exit(), Exit::Usage);
    assert!(
        failure.to_string().contains("--yes --expect 2"),
        "{failure}"
    );
    for wrong in ["3\n", "y\n", "\n"] {
        let (outcome, _) = place.typing(REVOKE, &asking, Format::Table, wrong);
        assert_eq!(outcome.unwrap_err().to_string(), "nothing was changed");
    }
    let other = ChangeArgs {
        expect: Some(3),
        ..place.matching("laptop-*", 3, "r")
    };
    let failure = place.run(REVOKE, &other, Format::Table).0.unwrap_err();
    let problem = "2 certificates match, not 3: nothing was changed";
    assert!(failure.to_string().starts_with(problem), "{failure}");
    assert_eq!(place.revoked().len(), 0);
    place
        .typing(REVOKE, &asking, Format::Table, "2\n")
        .0
        .unwrap();
    assert_eq!(place.revoked().len(), 2);
}

#[test]
fn conditions_alone_revoke_nothing() {
    let place = Place::new(Server::start());
    let ids = place.issue("laptop-", 1);
    let arguments = ChangeArgs {
        filter: FilterArgs {
            serial: Some("1".to_owned()),
            ..FilterArgs::default()
        },
        ..named(&ids)
    };
    let failure = place.run(REVOKE, &arguments, Format::Table).0.unwrap_err();
    assert_eq!(failure.exit(), Exit::Usage);
    assert_eq!(place.revoked().len(), 0);
}

#[test]
fn an_interrupted_change_continues_with_exactly_its_certificates() {
    // The server refuses to go on after some revocations, twice.
    let sent = std::sync::Arc::new(AtomicUsize::new(0));
    let count = sent.clone();
    let server = Server::faulty(move |seen, _| {
        if seen.method != "DELETE" {
            return Fate::Pass;
        }
        match count.fetch_add(1, Ordering::Relaxed) {
            // The answer is lost, also to the attempt that repeats the request.
            7 | 8 => Fate::LoseAnswer,
            15 | 16 => Fate::Instead(Reply::Hang),
            _ => Fate::Pass,
        }
    });
    let place = Place::new(server);
    let wanted = sorted(place.issue("laptop-", 30));
    let arguments = ChangeArgs {
        jobs: 1,
        ..place.matching("laptop-*", 30, "r")
    };
    let (outcome, _) = place.run(REVOKE, &arguments, Format::Json);
    let failure = outcome.unwrap_err();
    assert_eq!(failure.exit(), Exit::Unreachable);
    assert!(
        failure.to_string().contains("cert revoke --resume"),
        "{failure}"
    );
    let first = place.revoked().len();
    assert!((1..30).contains(&first), "{first}");
    // New matches are not a part of the change.
    let later = place.issue("laptop-z", 2);
    let resume = ChangeArgs {
        jobs: 1,
        ..place.resume("r")
    };
    let failure = place.run(REVOKE, &resume, Format::Json).0.unwrap_err();
    assert_eq!(failure.exit(), Exit::Unreachable);
    assert!((first..30).contains(&place.revoked().len()));
    let (outcome, captured) = place.run(REVOKE, &resume, Format::Json);
    outcome.unwrap();
    // The certificate whose answers were lost counts as changed: the undo restores it too.
    assert_eq!(captured.json()["changed"], 30);
    assert_eq!(place.revoked(), wanted);
    let (outcome, _) = place.run(StatusRequest::Restore, &place.resume("r"), Format::Json);
    assert_eq!(outcome.unwrap_err().exit(), Exit::Usage);
    let undo = place.undo("r", "undo");
    place
        .run(StatusRequest::Restore, &undo, Format::Json)
        .0
        .unwrap();
    assert_eq!(place.revoked(), Vec::<String>::new());
    assert_eq!(later.len(), 2);
}

#[test]
fn a_refused_certificate_does_not_stop_the_others() {
    let server = Server::faulty(|seen, certgate| {
        let last = certgate.app.zone_id.len();
        let is_marked = seen.path.len() > last && seen.query.is_empty() && seen.method == "DELETE";
        static FIRST: AtomicUsize = AtomicUsize::new(0);
        match is_marked && FIRST.fetch_add(1, Ordering::Relaxed) == 0 {
            true => Fate::Instead(refused(404, 1415, "gone")),
            false => Fate::Pass,
        }
    });
    let place = Place::new(server);
    place.issue("laptop-", 3);
    let arguments = place.matching("laptop-*", 3, "r");
    let (outcome, captured) = place.run(REVOKE, &arguments, Format::Json);
    assert_eq!(outcome.unwrap_err().exit(), Exit::Failed);
    let summary = captured.json();
    assert_eq!(
        (&summary["changed"], &summary["left"]),
        (&json!(2), &json!(0))
    );
    assert_eq!(summary["failed"][0]["problem"], "gone (code 1415)");
    assert_eq!(place.revoked().len(), 2);
    // A refused certificate is tried again.
    place
        .run(REVOKE, &place.resume("r"), Format::Json)
        .0
        .unwrap();
    assert_eq!(place.revoked().len(), 3);
}

#[test]
fn a_record_is_only_for_its_server() {
    let place = Place::new(Server::start());
    place.issue("laptop-", 2);
    let arguments = place.matching("laptop-*", 2, "r");
    place.run(REVOKE, &arguments, Format::Json).0.unwrap();
    let before = std::fs::read_to_string(place.file("r")).unwrap();
    let other = Place::new(Server::start());
    for (request, arguments) in [
        (REVOKE, place.resume("r")),
        (StatusRequest::Restore, place.undo("r", "undo")),
    ] {
        let failure = other.run(request, &arguments, Format::Json).0.unwrap_err();
        assert_eq!(failure.exit(), Exit::Usage);
        let text = failure.to_string();
        assert!(text.contains("records a change on"), "{text}");
    }
    // Another server at the same address, without the zone.
    let zone = place.server.zone().to_string();
    let head = before.replace(&zone, &"9".repeat(zone.len()));
    std::fs::write(place.file("r"), &head).unwrap();
    let outcome = place.run(REVOKE, &place.resume("r"), Format::Json).0;
    assert_eq!(outcome.unwrap_err().exit(), Exit::Failed);
    assert_eq!(std::fs::read_to_string(place.file("r")).unwrap(), head);
}

#[test]
fn a_final_reason_has_no_undo() {
    let place = Place::new(Server::start());
    place.issue("laptop-", 2);
    let arguments = place.matching("laptop-*", 2, "r");
    place
        .run(HOLD_IS_FINAL, &arguments, Format::Json)
        .0
        .unwrap();
    let undo = place.undo("r", "undo");
    let failure = place
        .run(StatusRequest::Restore, &undo, Format::Json)
        .0
        .unwrap_err();
    assert!(
        failure.to_string().contains("key-compromise is final"),
        "{failure}"
    );
}
