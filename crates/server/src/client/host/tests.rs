use std::sync::Mutex;

use serde_json::Value;

use super::super::testing::{Captured, Seen, Server, ZONE, ok, refused};
use super::*;
use crate::cli::Format;

const CA: &str = "01010101-0101-0101-0101-010101010101";

/// A server that remembers one list.
fn listing(hostnames: &[&str]) -> Server {
    let list = Mutex::new(json!(hostnames));
    Server::start(move |seen: &Seen| {
        let mut list = list.lock().unwrap();
        if seen.method == "PUT" {
            *list = seen.json()["hostnames"].clone();
        }
        ok(json!({ "hostnames": *list }))
    })
}

fn managed() -> List {
    List {
        zone: ZONE.parse().unwrap(),
        authority: None,
    }
}

fn names(hostnames: &[&str]) -> Vec<String> {
    hostnames.iter().map(|name| (*name).to_owned()).collect()
}

/// The bodies of the changes that the server was asked for.
fn written(server: &Server) -> Vec<Value> {
    server
        .seen()
        .iter()
        .filter(|seen| seen.method == "PUT")
        .map(Seen::json)
        .collect()
}

#[test]
fn a_list_is_a_table_and_says_when_it_is_empty() {
    let captured = Captured::new(Format::Table);
    let server = listing(&["b.example.com", "a.example.com"]);
    list(&server.session(), &managed(), &mut captured.screen()).unwrap();
    insta::assert_snapshot!(captured.out(), @r"
     HOSTNAME
     b.example.com
     a.example.com
    ");
    let seen = server.seen();
    assert_eq!(
        seen[0].path,
        format!("/client/v4/zones/{ZONE}/certificate_authorities/hostname_associations")
    );
    assert_eq!(seen[0].query, "");
    list(&listing(&[]).session(), &managed(), &mut captured.screen()).unwrap();
    assert_eq!(captured.out(), "");
    assert_eq!(
        captured.err(),
        "no hostnames: certificates of this authority are asked for nowhere in the zone\n"
    );
}

#[test]
fn adding_goes_behind_what_is_listed_and_skips_what_is() {
    let captured = Captured::new(Format::Table);
    let server = listing(&["b.example.com"]);
    let added = names(&[
        "c.example.com",
        "B.EXAMPLE.com",
        "a.example.com",
        "C.example.com",
    ]);
    add(
        &server.session(),
        &managed(),
        &added,
        &mut captured.screen(),
    )
    .unwrap();
    let expected = json!({ "hostnames": ["b.example.com", "c.example.com", "a.example.com"], "mtls_certificate_id": null });
    assert_eq!(written(&server), [expected]);
    assert_eq!(
        captured.err(),
        "added c.example.com, a.example.com\n3 hostnames are listed\n"
    );

    add(
        &server.session(),
        &managed(),
        &added,
        &mut captured.screen(),
    )
    .unwrap();
    assert_eq!(written(&server), [Value::Null; 0]);
    assert_eq!(
        captured.err(),
        "nothing to do: every one of them is listed\n"
    );
}

#[test]
fn removing_what_is_not_listed_changes_nothing() {
    let captured = Captured::new(Format::Table);
    let server = listing(&["a.example.com", "b.example.com"]);
    let removed = names(&["a.example.com", "x.example.com"]);
    let failure = remove(
        &server.session(),
        &managed(),
        &removed,
        &mut captured.screen(),
    )
    .unwrap_err();
    assert!(
        failure
            .to_string()
            .contains("not listed: x.example.com; nothing was changed"),
        "{failure}"
    );
    assert_eq!(written(&server), [Value::Null; 0]);

    remove(
        &server.session(),
        &managed(),
        &names(&["A.example.com"]),
        &mut captured.screen(),
    )
    .unwrap();
    assert_eq!(written(&server)[0]["hostnames"], json!(["b.example.com"]));
    assert_eq!(
        captured.err(),
        "removed a.example.com\n1 hostname is listed\n"
    );
    remove(
        &server.session(),
        &managed(),
        &names(&["b.example.com"]),
        &mut captured.screen(),
    )
    .unwrap();
    assert!(captured.err().contains("no hostname is listed now"));
}

#[test]
fn setting_tells_what_came_and_what_went() {
    let captured = Captured::new(Format::Table);
    let server = listing(&["a.example.com", "b.example.com"]);
    set(
        &server.session(),
        &managed(),
        names(&["c.example.com", "a.example.com"]),
        &mut captured.screen(),
    )
    .unwrap();
    assert_eq!(
        written(&server)[0]["hostnames"],
        json!(["c.example.com", "a.example.com"])
    );
    assert_eq!(
        captured.err(),
        "added c.example.com\nremoved b.example.com\n2 hostnames are listed\n"
    );
    set(
        &server.session(),
        &managed(),
        names(&["a.example.com", "c.example.com"]),
        &mut captured.screen(),
    )
    .unwrap();
    assert_eq!(
        captured.err(),
        "the same hostnames as before\n2 hostnames are listed\n"
    );
}

#[test]
fn a_brought_authority_is_named_by_its_id_and_json_is_the_result_as_it_came() {
    let captured = Captured::new(Format::Json);
    let server = listing(&["a.example.com"]);
    let list = List {
        authority: authority(Some(CA)).unwrap(),
        ..managed()
    };
    super::list(&server.session(), &list, &mut captured.screen()).unwrap();
    assert_eq!(captured.out(), "{\"hostnames\":[\"a.example.com\"]}\n");
    assert_eq!(server.seen()[0].query, format!("mtls_certificate_id={CA}"));
    add(
        &server.session(),
        &list,
        &names(&["b.example.com"]),
        &mut captured.screen(),
    )
    .unwrap();
    assert_eq!(
        captured.out(),
        "{\"hostnames\":[\"a.example.com\",\"b.example.com\"]}\n"
    );
    assert_eq!(written(&server)[0]["mtls_certificate_id"], CA);
    add(
        &server.session(),
        &list,
        &names(&["b.example.com"]),
        &mut captured.screen(),
    )
    .unwrap();
    assert_eq!(
        captured.out(),
        "{\"hostnames\":[\"a.example.com\",\"b.example.com\"]}\n"
    );
    assert_eq!(captured.err(), "");
    assert!(authority(Some("managed")).is_err());
}

#[test]
fn what_the_server_refuses_is_told_in_its_words() {
    let server = Server::start(|seen: &Seen| match seen.method.as_str() {
        "PUT" => refused(400, 1481, "\"*.example.com\" has a wildcard"),
        _ => ok(json!({ "hostnames": [] })),
    });
    let captured = Captured::new(Format::Table);
    let failure = add(
        &server.session(),
        &managed(),
        &names(&["*.example.com"]),
        &mut captured.screen(),
    )
    .unwrap_err();
    assert!(failure.to_string().contains("has a wildcard"), "{failure}");
    assert_eq!(captured.err(), "");
}
