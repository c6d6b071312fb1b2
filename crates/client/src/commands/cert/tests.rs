use std::collections::HashSet;

use serde_json::{Value, json};

use super::*;
use crate::arguments::{FilterArgs, Format, Moment, Sort};
use crate::commands::search::PAGE_MAX;
use crate::output::Style;
use crate::testing::{Captured, Fate, Server, text};

fn page_of(page: u64, per_page: u64) -> ListArgs {
    ListArgs {
        page,
        per_page,
        ..ListArgs::default()
    }
}

fn everything() -> ListArgs {
    ListArgs {
        all: true,
        ..page_of(1, 20)
    }
}

/// Replaces the values that differ between runs with zeros.
fn redacted(shown: &str, certificate: &Value) -> String {
    let serial = text(&certificate["serial_number"]);
    let values = ["id", "ski", "fingerprint_sha256"].map(|field| text(&certificate[field]));
    let signer = text(&certificate["certificate_authority"]["id"]);
    let values = values.iter().chain([&signer, &serial]);
    values.fold(shown.to_owned(), |shown, value| {
        let shown = shown.replace(value.as_str(), &"0".repeat(value.len()));
        shown.replace(&value[..16], &"0".repeat(16))
    })
}

#[test]
fn a_page_is_a_table_with_a_footer_beside_it() {
    let server = Server::start();
    let names = ["a", "b", "c", "d", "e"];
    let certificates = names.map(|name| server.certgate.issue(name));
    let captured = Captured::new(Format::Table);
    let zone = server.zone();
    list(
        &server.session(),
        &zone,
        &page_of(2, 2),
        &mut captured.screen(),
    )
    .unwrap();
    let shown = redacted(&captured.out(), &certificates[1]);
    insta::assert_snapshot!(redacted(&shown, &certificates[2]), @"
    NAME  STATUS  EXPIRES               ID
    c     active  2027-08-14T10:15:00Z  00000000000000000000000000000000
    b     active  2027-08-14T10:15:00Z  00000000000000000000000000000000
    ");
    assert_eq!(captured.err(), "3–4 of 5 (page 2 of 3)\n");
    let seen = server.seen();
    assert_eq!(
        seen[0].path,
        format!("/client/v4/zones/{zone}/client_certificates")
    );
    assert_eq!(seen[0].query, "status=active&limit=2&page=2");
}

#[test]
fn a_terminal_has_relative_times_and_short_ids_in_80_columns() {
    let server = Server::start();
    let name = "a-very-long-name-of-a-device-in-the-warehouse-of-the-north";
    let certificate = server.certgate.issue(name);
    let captured = Captured::new(Format::Table);
    let (session, zone) = (server.session(), server.zone());
    let mut screen = captured.screen().on_terminal(80);
    list(&session, &zone, &page_of(1, 20), &mut screen).unwrap();
    insta::assert_snapshot!(redacted(&captured.out(), &certificate), @"
    NAME                                       STATUS  EXPIRES      ID
    a-very-long-name-of-a-device-in-the-ware…  active  in 365 days  0000000000000000
    ");
    // Without a width, nothing is cut.
    let mut screen = captured.screen().on_terminal(0);
    list(&session, &zone, &page_of(1, 20), &mut screen).unwrap();
    assert!(captured.out().contains(name));
    let wide = Style {
        wide: true,
        quiet: true,
    };
    captured.err();
    let mut screen = captured.screen().on_terminal(80).with(wide);
    list(&session, &zone, &page_of(1, 20), &mut screen).unwrap();
    let out = captured.out();
    assert!(
        out.contains("SERIAL NUMBER  ") && out.contains(name),
        "{out}"
    );
    assert!(out.contains("2027-08-14T10:15:00Z") && out.contains(&text(&certificate["id"])));
    assert_eq!(captured.err(), "");
}

#[test]
fn csv_is_quoted_and_has_the_names_of_the_api() {
    let server = Server::start();
    server.issue("a \"quoted\", name");
    let captured = Captured::new(Format::Csv);
    let (session, zone) = (server.session(), server.zone());
    list(&session, &zone, &page_of(1, 20), &mut captured.screen()).unwrap();
    let out = captured.out();
    let mut rows = csv::Reader::from_reader(out.as_bytes());
    assert_eq!(rows.headers().unwrap(), &CSV[..]);
    let row = rows.records().next().unwrap().unwrap();
    assert_eq!(&row[1], "a \"quoted\", name");
    assert_eq!(&row[3], "2026-08-14T10:15:00Z");
    assert!(out.contains("\"a \"\"quoted\"\", name\""), "{out}");
}

#[test]
fn fields_of_json_are_selected() {
    let server = Server::start();
    let ids = [server.issue("a"), server.issue("b")];
    let fields = ["id", "common_name"].map(str::to_owned);
    for all in [false, true] {
        let captured = Captured::new(Format::Fields(fields.to_vec()));
        let (session, zone) = (server.session(), server.zone());
        let arguments = ListArgs {
            all,
            ..page_of(1, 20)
        };
        list(&session, &zone, &arguments, &mut captured.screen()).unwrap();
        let out = captured.json();
        let expected = json!([
            {"id": ids[1], "common_name": "b"},
            {"id": ids[0], "common_name": "a"},
        ]);
        assert_eq!(out["result"], expected);
        assert_eq!(out["result_info"]["total_count"], 2);
    }
}

#[test]
fn footers_are_right_at_the_edges() {
    let server = Server::start();
    let shown = |page, per_page| {
        let captured = Captured::new(Format::Table);
        let (session, zone) = (server.session(), server.zone());
        let mut screen = captured.screen();
        list(&session, &zone, &page_of(page, per_page), &mut screen).unwrap();
        captured.err()
    };
    assert_eq!(shown(1, 20), "no certificates\n");
    for name in ["a", "b", "c"] {
        server.issue(name);
    }
    assert_eq!(shown(2, 2), "3–3 of 3 (page 2 of 2)\n");
    assert_eq!(shown(7, 20), "none of 3 (page 7 of 1)\n");
}

/// Lists the names of the certificates that meet the conditions.
fn listed(server: &Server, arguments: ListArgs) -> Result<Vec<String>, Failure> {
    let captured = Captured::new(Format::Json);
    let (session, zone) = (server.session(), server.zone());
    list(&session, &zone, &arguments, &mut captured.screen())?;
    let out = captured.json();
    let result = out["result"].as_array().unwrap();
    Ok(result.iter().map(|one| text(&one["common_name"])).collect())
}

fn with_pattern(pattern: &str) -> ListArgs {
    ListArgs {
        pattern: Some(pattern.to_owned()),
        ..page_of(1, 20)
    }
}

fn with_filter(filter: FilterArgs) -> ListArgs {
    ListArgs {
        filter,
        ..page_of(1, 20)
    }
}

#[test]
fn lists_have_the_certificates_that_meet_the_conditions() {
    let server = Server::start();
    let certificates = ["laptop-2", "Laptop-1", "phone"].map(|name| server.certgate.issue(name));
    let ids = [text(&certificates[2]["id"])];
    changed(&server, &ids, StatusRequest::Revoke(None), Format::Json)
        .0
        .unwrap();
    let names = |arguments| listed(&server, arguments).unwrap();
    assert_eq!(names(with_pattern("laptop-*")), ["Laptop-1", "laptop-2"]);
    assert_eq!(names(with_pattern("LAPTOP-1")), ["Laptop-1"]);
    assert_eq!(names(with_pattern("*top*")), ["Laptop-1", "laptop-2"]);
    assert_eq!(names(with_pattern("phone")), Vec::<String>::new());
    let sorted = ListArgs {
        sort: Some(Sort::Name),
        desc: true,
        ..page_of(1, 20)
    };
    assert_eq!(names(sorted), ["laptop-2", "Laptop-1"]);
    let day = 86_400;
    for (days, count) in [(364, 0), (366, 2)] {
        let filter = FilterArgs {
            expires_within: Some(Moment::Span(days * day)),
            ..FilterArgs::default()
        };
        assert_eq!(names(with_filter(filter)).len(), count, "{days}");
    }
    // Revoked certificates are found by conditions that concern them, without a status.
    let revoked = FilterArgs {
        revoked_since: Some(Moment::Day(0)),
        ..FilterArgs::default()
    };
    assert_eq!(names(with_filter(revoked)), ["phone"]);
    let serial = FilterArgs {
        serial: Some(text(&certificates[2]["serial_number"])),
        ..FilterArgs::default()
    };
    assert_eq!(names(with_filter(serial)), ["phone"]);
    let authority = |name: &str| FilterArgs {
        ca: Some(name.to_owned()),
        ..FilterArgs::default()
    };
    let signer = text(&certificates[0]["certificate_authority"]["name"]);
    assert_eq!(names(with_filter(authority(&signer))).len(), 2);
    let unknown = listed(&server, with_filter(authority("unknown CA"))).unwrap_err();
    assert!(unknown.to_string().contains("no managed CA"), "{unknown}");
    let wrong = listed(&server, with_pattern("lap*top")).unwrap_err();
    assert_eq!(wrong.exit(), Exit::Usage);
}

#[test]
fn renewed_certificates_are_named_and_filtered() {
    let server = Server::start();
    for name in ["a", "b"] {
        server.issue(name);
    }
    let old = text(&server.issued()[0]["id"]);
    let new = server.renew(&old);
    let shown = |arguments: ListArgs| {
        let captured = Captured::new(Format::Csv);
        let (session, mut screen) = (server.session(), captured.screen());
        list(&session, &server.zone(), &arguments, &mut screen).unwrap();
        captured.out()
    };
    let with = |replaced| ListArgs {
        filter: FilterArgs {
            replaced,
            ..FilterArgs::default()
        },
        ..page_of(1, 20)
    };
    assert_eq!(shown(with(None)).lines().count(), 1 + 3);
    let newest = shown(with(Some(false)));
    assert_eq!(newest.lines().count(), 1 + 2);
    assert!(newest.contains(&format!(",{old},\n")) && !newest.contains(&format!("\n{old},")));
    let replaced = shown(with(Some(true)));
    let row = replaced.lines().nth(1).unwrap();
    assert!(row.starts_with(&old) && row.ends_with(&format!(",,{new}")));
    // A table says it in words.
    let captured = Captured::new(Format::Table);
    let (session, mut screen) = (server.session(), captured.screen());
    list(&session, &server.zone(), &with(None), &mut screen).unwrap();
    show(&session, &server.zone(), &old, &mut screen).unwrap();
    let table = captured.out();
    assert!(table.contains("active, replaced") && table.contains("replaced by"));
    // More matches of one minute than a filtered list has.
    for _ in 0..26 {
        server.issue("c");
    }
    let every = ListArgs {
        all: true,
        ..with(Some(false))
    };
    assert_eq!(shown(every).lines().count(), 1 + 28);
}

#[test]
fn more_matches_than_a_filtered_list_has_are_counted_and_listed() {
    let server = Server::start();
    // More than a filtered list has in tests, all of one minute.
    let count = 26;
    for number in 0..count {
        server.issue(&format!("device-{number}"));
        if number % 5 == 0 {
            server.issue(&format!("other-{number}"));
        }
    }
    let all = ListArgs {
        all: true,
        ..with_pattern("device-*")
    };
    let names: HashSet<_> = listed(&server, all).unwrap().into_iter().collect();
    assert_eq!(names.len(), count);
    assert!(names.iter().all(|name| name.starts_with("device-")));
    let arguments = CountArgs {
        pattern: Some("device-*".to_owned()),
        ..CountArgs::default()
    };
    let captured = Captured::new(Format::Table);
    let (session, zone) = (server.session(), server.zone());
    super::count(&session, &zone, &arguments, &mut captured.screen()).unwrap();
    assert_eq!(captured.out(), format!("{count}\n"));
    let sorted = ListArgs {
        all: true,
        sort: Some(Sort::Expires),
        ..with_pattern("device-*")
    };
    let refused = listed(&server, sorted).unwrap_err();
    assert!(
        refused
            .to_string()
            .contains("too many for order=expires_on"),
        "{refused}"
    );
}

#[test]
fn counts_are_printed_alone() {
    let server = Server::start();
    for name in ["a", "b", "c"] {
        server.issue(name);
    }
    let counted = |format| {
        let captured = Captured::new(format);
        let (session, zone) = (server.session(), server.zone());
        let mut screen = captured.screen();
        count(&session, &zone, &CountArgs::default(), &mut screen).unwrap();
        captured.out()
    };
    assert_eq!(counted(Format::Table), "3\n");
    assert_eq!(counted(Format::Json), "{\"count\":3}\n");
    assert_eq!(counted(Format::Csv), "count\n3\n");
}

#[test]
fn json_is_the_result_byte_for_byte() {
    let server = Server::start();
    server.issue("a");
    let captured = Captured::new(Format::Json);
    let (zone, arguments) = (server.zone(), page_of(1, 20));
    list(&server.session(), &zone, &arguments, &mut captured.screen()).unwrap();
    let path = "/zones/{zone}/client_certificates?status=active&page=1&limit=20";
    let answer = server.certgate.wait(server.certgate.app.get(path)).bytes;
    let (answer, out) = (String::from_utf8(answer).unwrap(), captured.out());
    let out = out.trim_end().strip_prefix('{').unwrap();
    assert!(out.starts_with("\"result\":[") && out.contains("\"total_count\":1"));
    assert!(
        out.split("\"result_info\"")
            .all(|part| answer.contains(part.trim_matches(',')))
    );
    assert_eq!(captured.err(), "");
}

#[test]
fn all_pages_are_printed_once_each() {
    let server = Server::start();
    let zone = server.zone();
    let all = |format| {
        let captured = Captured::new(format);
        let (session, mut screen) = (server.session(), captured.screen());
        list(&session, &zone, &everything(), &mut screen).unwrap();
        captured
    };
    let none = json!({"result": [], "result_info": {"count": 0, "total_count": 0}});
    assert_eq!(all(Format::Json).json(), none);
    let count = 2 * PAGE_MAX as usize + 1;
    for number in 0..count {
        server.issue(&format!("device-{number}"));
    }
    server.seen();
    let captured = all(Format::Json);
    assert_eq!(captured.json()["result"].as_array().unwrap().len(), count);
    assert_eq!(captured.err(), format!("{count} certificates\n"));
    // The last request counts what the list omits.
    assert_eq!(server.seen().len(), 4);
    assert_eq!(all(Format::Table).out().lines().count(), count + 1);
}

#[test]
fn a_list_without_a_status_says_how_many_certificates_it_omits() {
    let server = Server::start();
    let zone = server.zone();
    for name in ["a", "b", "c", "d"] {
        server.issue(name);
    }
    let listed = |status, all, format| {
        let captured = Captured::new(format);
        let (session, mut screen) = (server.session(), captured.screen());
        let arguments = ListArgs {
            filter: FilterArgs {
                status,
                ..FilterArgs::default()
            },
            all,
            ..page_of(1, 2)
        };
        list(&session, &zone, &arguments, &mut screen).unwrap();
        captured
    };
    let footer = "1–2 of 4 (page 1 of 2)\n";
    assert_eq!(listed(None, false, Format::Table).err(), footer);
    let ids: Vec<_> = server.issued().iter().map(|one| text(&one["id"])).collect();
    let omits = |count| format!("{count} not active and omitted: see --status all\n");
    for (revoked, omitted) in [(1, "1 certificate is"), (3, "3 certificates are")] {
        let revoke = StatusRequest::Revoke(None);
        changed(&server, &ids[..revoked], revoke, Format::Json)
            .0
            .unwrap();
        let omitted = omits(omitted);
        for (all, format) in [
            (false, Format::Table),
            (false, Format::Json),
            (true, Format::Table),
            (true, Format::Json),
        ] {
            let told = listed(None, all, format).err();
            assert!(told.ends_with(&omitted), "{told}");
        }
    }
    let pending = Statuses::One(Status::PendingRevocation);
    for (statuses, count) in [(Statuses::All, 4), (pending, 3)] {
        let captured = listed(Some(statuses), true, Format::Json);
        assert_eq!(captured.json()["result"].as_array().unwrap().len(), count);
        assert_eq!(captured.err(), format!("{count} certificates\n"));
    }
}

#[test]
fn revoking_again_says_when_and_by_whom_it_was_revoked() {
    let server = Server::start();
    let ids = [server.issue("a"), server.issue("b")];
    let revoke = StatusRequest::Revoke(None);
    let (_, first) = changed(&server, &ids[..1], revoke, Format::Table);
    assert_eq!(first.err(), "");
    let token = text(&server.get("/user/tokens/verify")["id"]);
    for format in [Format::Table, Format::Json] {
        let (outcome, captured) = changed(&server, &ids, revoke, format);
        outcome.unwrap();
        let told = captured.err();
        let start = format!(
            "{}: The client certificate was already revoked on 2026-08-14T10:2",
            ids[0]
        );
        let end = format!(" by API token {token} (certificateHold): nothing changed");
        let line = told.lines().next().unwrap();
        assert!(line.starts_with(&start) && line.ends_with(&end), "{told}");
        assert!(captured.out().contains(&ids[1]));
    }
}

#[test]
fn a_certificate_issued_meanwhile_makes_no_other_appear_twice() {
    let server = Server::faulty(|seen, certgate| {
        // Three certificates come first between the first page and the second.
        if seen.query.contains("&page=2") {
            for name in ["x", "y", "z"] {
                certgate.issue(name);
            }
        }
        Fate::Pass
    });
    let count = PAGE_MAX as usize + 5;
    for number in 0..count {
        server.issue(&format!("device-{number}"));
    }
    let captured = Captured::new(Format::Json);
    let (session, zone) = (server.session(), server.zone());
    list(&session, &zone, &everything(), &mut captured.screen()).unwrap();
    let all = captured.json()["result"].clone();
    let all: Vec<Certificate> = serde_json::from_value(all).unwrap();
    let ids: HashSet<_> = all.iter().map(|certificate| &certificate.id).collect();
    assert_eq!((all.len(), ids.len()), (count, count));
}

#[test]
fn a_certificate_is_shown_in_full() {
    let server = Server::start();
    let certificate = server.certgate.issue("device-7");
    let captured = Captured::new(Format::Table);
    let id = text(&certificate["id"]);
    let upper = id.to_uppercase();
    show(
        &server.session(),
        &server.zone(),
        &upper,
        &mut captured.screen(),
    )
    .unwrap();
    insta::assert_snapshot!(redacted(&captured.out(), &certificate), @"
    id                     00000000000000000000000000000000
    status                 active
    common name            device-7
    issued                 2026-08-14T10:15:00Z
    expires                2027-08-14T10:15:00Z
    validity               365 days
    serial number          0000000000000000000000000000000000000000
    fingerprint (SHA-256)  0000000000000000000000000000000000000000000000000000000000000000
    subject key id         0000000000000000000000000000000000000000
    signature              ECDSAWithSHA256
    authority              000000000000000000000000000000000000 certgate managed authority of default
    ");
    assert!(
        server.seen()[0]
            .path
            .ends_with(&format!("/client_certificates/{id}"))
    );
}

/// Changes certificates and returns the outcome with the output.
fn changed(
    server: &Server,
    ids: &[String],
    request: StatusRequest,
    format: Format,
) -> (Result<(), Failure>, Captured) {
    let captured = Captured::new(format);
    let (session, zone) = (server.session(), server.zone());
    let outcome = change(&session, &zone, ids, request, None, &mut captured.screen());
    (outcome, captured)
}

#[test]
fn revoking_several_tries_all_and_reports_each_failure() {
    let server = Server::start();
    let ids = [server.issue("a"), "f".repeat(32), server.issue("c")];
    let (outcome, captured) = changed(&server, &ids, StatusRequest::Revoke(None), Format::Table);
    let failure = outcome.unwrap_err();
    assert_eq!(failure.to_string(), "cannot revoke 1 of 3 certificates");
    let problem = captured.err();
    let start = format!("error: cannot revoke {}: ", ids[1]);
    assert!(
        problem.starts_with(&start) && problem.ends_with("(code 1415)\n"),
        "{problem}"
    );
    let out = captured.out();
    assert!(out.lines().count() == 3 && out.contains(&ids[0]) && out.contains(&ids[2]));
    let seen = server.seen();
    assert!(
        seen.iter()
            .all(|seen| seen.method == "DELETE" && seen.body.is_empty())
    );
}

#[test]
fn revoking_sends_the_reason() {
    let server = Server::start();
    let id = server.issue("a");
    let revoke = StatusRequest::Revoke(Some(RevocationReason::KeyCompromise));
    changed(&server, &[id], revoke, Format::Json).0.unwrap();
    let seen = server.seen();
    assert_eq!(
        (seen[0].method.as_str(), seen[0].json()),
        ("DELETE", json!({"reason": "keyCompromise"}))
    );
}

#[test]
fn restoring_undoes_revoking() {
    let server = Server::start();
    let ids = [server.issue("a")];
    let revoked = changed(&server, &ids, StatusRequest::Revoke(None), Format::Json);
    assert_eq!(revoked.1.json()["status"], "pending_revocation");
    let restored = changed(&server, &ids, StatusRequest::Restore, Format::Json);
    assert_eq!(restored.1.json()["status"], "pending_reactivation");
}

#[test]
fn a_typing_error_revokes_nothing() {
    let server = Server::start();
    let ids = [server.issue("a"), "../../user".to_owned()];
    let (outcome, _) = changed(&server, &ids, StatusRequest::Revoke(None), Format::Table);
    assert_eq!(outcome.unwrap_err().exit(), Exit::Usage);
    assert_eq!(server.seen().len(), 0);
}

#[test]
fn exporting_writes_pem_with_the_ca_that_signed_after_it() {
    let server = Server::start();
    let id = server.issue("a");
    let signer = server.get("/certgate/v1/accounts/{account}/managed_authority");
    // A newer CA has replaced the one that signed the certificate.
    let rotate = "/certgate/v1/accounts/{account}/managed_authorities/rotate";
    server.post(rotate, json!({}));
    let captured = Captured::new(Format::Table);
    let exported = |file: Option<&Path>, chain| {
        let (session, zone) = (server.session(), server.zone());
        export(&session, &zone, &id, file, chain, &mut captured.screen())
    };
    exported(None, true).unwrap();
    let pem = captured.out();
    assert_eq!(pem.matches("-----BEGIN CERTIFICATE-----\n").count(), 2);
    assert!(pem.ends_with(&files::certificate_pem(&text(&signer["certificate"])).unwrap()));

    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("c.pem");
    exported(Some(&file), false).unwrap();
    let written = std::fs::read_to_string(&file).unwrap();
    assert!(pem.starts_with(&written));
    let again = exported(Some(&file), false).unwrap_err();
    assert!(again.to_string().contains("exists already"), "{again}");
}
