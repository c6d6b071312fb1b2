use serde_json::{Value, json};

use super::*;
use crate::arguments::Format;
use crate::failure::Exit;
use crate::testing::{Captured, Seen, Server, text};

const PATH: &str = "/zones/{zone}/certificate_authorities/hostname_associations";

/// A server on which the managed CA has these hostnames.
fn listing(hostnames: &[&str]) -> (Server, List) {
    let server = Server::start();
    let app = &server.certgate.app;
    let body = json!({ "hostnames": hostnames });
    server.certgate.wait(app.put(PATH, body)).result();
    let list = List {
        zone: server.zone(),
        uploaded: None,
    };
    (server, list)
}

fn names(hostnames: &[&str]) -> Vec<String> {
    hostnames.iter().map(|name| (*name).to_owned()).collect()
}

/// The bodies of the changes that the client requested.
fn written(server: &Server) -> Vec<Value> {
    let seen = server.seen();
    let changes = seen.iter().filter(|seen| seen.method == "PUT");
    changes.map(Seen::json).collect()
}

#[test]
fn a_list_is_a_table_and_an_empty_one_is_explained() {
    let captured = Captured::new(Format::Table);
    let (server, of) = listing(&["b.example.com", "a.example.com"]);
    list(&server.session(), &of, &mut captured.screen()).unwrap();
    insta::assert_snapshot!(captured.out(), @r"
     HOSTNAME
     b.example.com
     a.example.com
    ");
    assert_eq!(server.seen()[0].query, "");
    let (server, of) = listing(&[]);
    list(&server.session(), &of, &mut captured.screen()).unwrap();
    assert_eq!(captured.out(), "");
    assert_eq!(captured.err(), format!("{NOWHERE}\n"));
}

#[test]
fn adding_appends_and_skips_listed_hostnames() {
    let captured = Captured::new(Format::Table);
    let (server, list) = listing(&["b.example.com"]);
    let added = names(&[
        "c.example.com",
        "B.EXAMPLE.com",
        "a.example.com",
        "C.example.com",
    ]);
    add(&server.session(), &list, &added, &mut captured.screen()).unwrap();
    let hostnames = ["b.example.com", "c.example.com", "a.example.com"];
    let expected = json!({ "hostnames": hostnames, "mtls_certificate_id": null });
    assert_eq!(written(&server), [expected]);
    assert_eq!(
        captured.err(),
        "added c.example.com, a.example.com\n3 hostnames are listed\n"
    );
    assert_eq!(server.get(PATH)["hostnames"], json!(hostnames));

    add(&server.session(), &list, &added, &mut captured.screen()).unwrap();
    assert_eq!(written(&server), [Value::Null; 0]);
    assert_eq!(captured.err(), "nothing to do: the list has all of them\n");
}

#[test]
fn removing_an_unlisted_hostname_changes_nothing() {
    let captured = Captured::new(Format::Table);
    let (server, list) = listing(&["a.example.com", "b.example.com"]);
    let removed = |hostnames: &[&str]| {
        let (session, mut screen) = (server.session(), captured.screen());
        remove(&session, &list, &names(hostnames), &mut screen)
    };
    let failure = removed(&["a.example.com", "x.example.com"]).unwrap_err();
    let problem = "not listed: x.example.com; nothing was changed";
    assert!(failure.to_string().contains(problem), "{failure}");
    assert_eq!(written(&server), [Value::Null; 0]);

    removed(&["A.example.com"]).unwrap();
    assert_eq!(written(&server)[0]["hostnames"], json!(["b.example.com"]));
    assert_eq!(
        captured.err(),
        "removed a.example.com\n1 hostname is listed\n"
    );
    removed(&["b.example.com"]).unwrap();
    assert!(captured.err().contains(NOWHERE));
}

#[test]
fn setting_reports_added_and_removed_hostnames() {
    let captured = Captured::new(Format::Table);
    let (server, list) = listing(&["a.example.com", "b.example.com"]);
    let set_to = |hostnames: &[&str]| {
        let (session, mut screen) = (server.session(), captured.screen());
        set(&session, &list, names(hostnames), &mut screen).unwrap();
        captured.err()
    };
    assert_eq!(
        set_to(&["c.example.com", "a.example.com"]),
        "added c.example.com\nremoved b.example.com\n2 hostnames are listed\n"
    );
    assert_eq!(
        written(&server)[0]["hostnames"],
        json!(["c.example.com", "a.example.com"])
    );
    assert_eq!(
        set_to(&["a.example.com", "c.example.com"]),
        "the same hostnames as before\n2 hostnames are listed\n"
    );
}

#[test]
fn an_uploaded_ca_has_a_list_of_its_own_and_json_is_the_result_byte_for_byte() {
    let captured = Captured::new(Format::Json);
    let (server, of_managed) = listing(&["a.example.com"]);
    let body = json!({ "certificates": certgate_testkit::uploaded("good_root.certs"), "ca": true });
    let uploaded = server.post("/accounts/{account}/mtls_certificates", body);
    let id = text(&uploaded["id"]);
    let of = List {
        uploaded: uploaded_ca(Some(&id)).unwrap(),
        ..of_managed
    };
    list(&server.session(), &of, &mut captured.screen()).unwrap();
    assert_eq!(captured.out(), "{\"hostnames\":[]}\n");
    assert_eq!(server.seen()[0].query, format!("mtls_certificate_id={id}"));
    for _ in 0..2 {
        let added = names(&["b.example.com"]);
        add(&server.session(), &of, &added, &mut captured.screen()).unwrap();
        assert_eq!(captured.out(), "{\"hostnames\":[\"b.example.com\"]}\n");
    }
    assert_eq!(written(&server)[0]["mtls_certificate_id"], id.as_str());
    assert_eq!(captured.err(), "");
    assert_eq!(
        uploaded_ca(Some("managed")).unwrap_err().exit(),
        Exit::Usage
    );
}

#[test]
fn a_refusal_is_reported_in_the_servers_words() {
    let (server, list) = listing(&[]);
    let captured = Captured::new(Format::Table);
    let added = names(&["*.example.com"]);
    let failure = add(&server.session(), &list, &added, &mut captured.screen()).unwrap_err();
    assert!(failure.to_string().contains("code 1481"), "{failure}");
    assert_eq!(captured.err(), "");
}
