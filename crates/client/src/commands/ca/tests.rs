use serde_json::{Value, json};

use super::*;
use crate::arguments::{AccountArgs, Format};
use crate::testing::{CERTIFICATE, Captured, Server, text};

const KEY: &str = "-----BEGIN PRIVATE KEY-----\nsesame\n-----END PRIVATE KEY-----\n";

fn file(directory: &tempfile::TempDir, name: &str, content: &str) -> std::path::PathBuf {
    let path = directory.path().join(name);
    std::fs::write(&path, content).unwrap();
    path
}

/// A server with a superseded CA, an active CA and an uploaded CA, and their objects.
fn server() -> (Server, [Value; 3]) {
    let server = Server::start();
    let managed = "/certgate/v1/accounts/{account}/managed_authority";
    server.issue("a");
    let superseded = server.get(managed);
    let rotate = "/certgate/v1/accounts/{account}/managed_authorities/rotate";
    let active = server.post(rotate, json!({}));
    let body = json!({
        "certificates": format!(
            "# from the partner\u{1b}[2J\r\n{}",
            certgate_testkit::uploaded("good_root.certs").replace('\n', "\r\n")
        ),
        "ca": true,
        "name": "partner",
    });
    let uploaded = server.post("/accounts/{account}/mtls_certificates", body);
    let superseded = {
        let id = text(&superseded["id"]);
        let all = server.get("/certgate/v1/accounts/{account}/managed_authorities");
        let all = all.as_array().unwrap().clone();
        all.into_iter().find(|ca| ca["id"] == id.as_str()).unwrap()
    };
    (server, [superseded, active, uploaded])
}

fn account(server: &Server) -> AccountArgs {
    AccountArgs {
        account: Some(server.account().to_owned()),
    }
}

#[test]
fn managed_and_uploaded_cas_are_one_table() {
    let (server, [superseded, active, uploaded]) = server();
    let captured = Captured::new(Format::Table);
    list(&server.session(), None, &mut captured.screen()).unwrap();
    let out = captured.out();
    let cells = |line: &str| {
        let cells = line.split("  ").map(|cell| cell.trim().to_owned());
        cells.filter(|cell| !cell.is_empty()).collect::<Vec<_>>()
    };
    let lines: Vec<_> = out.lines().map(cells).collect();
    assert_eq!(lines[0].join("|"), "ID|KIND|NAME|USE|FROM|EXPIRES");
    let expected = [
        (&active, "managed", "signs new certificates", "created_on"),
        (&superseded, "managed", "superseded", "created_on"),
        (&uploaded, "uploaded", "authority", "uploaded_on"),
    ];
    for (line, (object, kind, its_use, from)) in lines[1..].iter().zip(expected) {
        let [id, name] = ["id", "name"].map(|field| text(&object[field]));
        let [from, expires] = [from, "expires_on"].map(|field| text(&object[field]));
        assert_eq!(
            *line,
            [id, kind.into(), name, its_use.into(), from, expires]
        );
    }
    assert_eq!(lines.len(), 4);

    let captured = Captured::new(Format::Json);
    let (session, account) = (server.session(), server.account());
    list(&session, Some(account), &mut captured.screen()).unwrap();
    let both = captured.json();
    assert_eq!(both["managed"], json!([active, superseded]));
    let listed = server.get("/accounts/{account}/mtls_certificates");
    assert_eq!(both["uploaded"], listed);

    let none = Server::start();
    let captured = Captured::new(Format::Table);
    list(&none.session(), None, &mut captured.screen()).unwrap();
    assert_eq!(captured.out(), "");
    let err = captured.err();
    assert!(err.contains("the first certificate makes"), "{err}");
}

#[test]
fn each_kind_of_ca_is_shown() {
    let (server, [superseded, active, uploaded]) = server();
    let captured = Captured::new(Format::Table);
    let shown = |id: Option<&str>| {
        let (session, mut screen) = (server.session(), captured.screen());
        show(&session, Some(server.account()), id, &mut screen).map(|()| captured.out())
    };
    let of = |ca: &Value| shown(Some(&text(&ca["id"])));
    let mut text_of_superseded = of(&superseded).unwrap();
    for field in ["id", "name", "fingerprint_sha256", "certificate"] {
        let value = text(&superseded[field]);
        text_of_superseded = text_of_superseded.replace(value.trim_end(), field);
    }
    insta::assert_snapshot!(text_of_superseded, @"
    id                     id
    kind                   managed
    name                   name
    use                    superseded; its certificates stay valid and revocable
    algorithm              P-256
    revocation addresses   http://pki.example.com
    created                2026-08-14T10:15:00Z
    expires                2056-08-06T10:15:00Z
    fingerprint (SHA-256)  fingerprint_sha256

    certificate
    ");
    let of_active = shown(None).unwrap();
    assert!(of_active.contains(&text(&active["id"])) && of_active.contains("signs new"));
    let of_uploaded = of(&uploaded).unwrap();
    assert!(
        of_uploaded.contains("partner") && of_uploaded.contains(&text(&uploaded["issuer"])),
        "{of_uploaded}"
    );
    assert_eq!(
        of_uploaded.matches("-----BEGIN CERTIFICATE-----\n").count(),
        1
    );
    assert!(!of_uploaded.contains("from the partner") && !of_uploaded.contains('\r'));
    let unknown = shown(Some(&"3".repeat(8).to_string())).unwrap_err();
    assert!(
        unknown.to_string().contains("not the ID of a CA"),
        "{unknown}"
    );
    let unknown = shown(Some("33333333-3333-4333-8333-333333333333")).unwrap_err();
    let unknown = unknown.to_string();
    assert!(
        unknown.contains("code 1472") && unknown.contains("ca list"),
        "{unknown}"
    );
    server.seen();
    assert!(shown(Some("../../user")).is_err());
    assert_eq!(server.seen().len(), 0);
}

#[test]
fn importing_sends_certificate_and_key_and_reports_the_consequences() {
    let (server, [_, active, _]) = server();
    let directory = tempfile::tempdir().unwrap();
    let captured = Captured::new(Format::Table);
    let [certificate, key] =
        ["certs", "key"].map(|kind| certgate_testkit::uploaded(&format!("good_root.{kind}")));
    let arguments = CaImportArgs {
        certificate: file(&directory, "ca.crt", &certificate),
        key: file(&directory, "ca.key", &key),
        account: account(&server),
    };
    server.seen();
    import(&server.session(), &arguments, &mut captured.screen()).unwrap();
    let imported = server.get("/certgate/v1/accounts/{account}/managed_authority");
    let mut report = captured.err();
    for (ca, name) in [(&imported, "NEW"), (&active, "OLD")] {
        report = report
            .replace(&text(&ca["id"]), &format!("{name}-ID"))
            .replace(&text(&ca["name"]), name);
    }
    insta::assert_snapshot!(report, @"
    NEW (NEW-ID) signs new certificates from now on
    trust it on every server that checks client certificates: `certgate ca show` prints its certificate
    certificates of OLD (OLD-ID) stay valid, listed and revocable: trust it until the last of them has expired
    certificates that NEW signed elsewhere stay valid on every server that trusts it; certgate does not list them and cannot revoke them; until the last of them has expired, give proxies the full list (full.crl) instead of the bundle
    ");
    let out = captured.out();
    assert!(out.contains(&text(&imported["id"])) && !out.contains("PRIVATE KEY"));
    let sent = server.seen().pop().unwrap();
    assert_eq!(
        sent.json(),
        json!({ "certificate": certificate, "private_key": key })
    );

    let exchanged = CaImportArgs {
        certificate: arguments.key.clone(),
        ..arguments
    };
    let failure = import(&server.session(), &exchanged, &mut captured.screen()).unwrap_err();
    let failure = failure.to_string();
    assert!(
        failure.contains("holds a private key: nothing was sent"),
        "{failure}"
    );
    assert_eq!(server.seen().len(), 0);
}

#[test]
fn a_private_key_is_not_sent_in_clear_text_to_others() {
    let directory = tempfile::tempdir().unwrap();
    let captured = Captured::new(Format::Table);
    let token = crate::http::Token::new("x").unwrap();
    let source = "the test".to_owned();
    let api = crate::http::Api::new("http://pki.example.com", None, token, source).unwrap();
    let arguments = CaImportArgs {
        certificate: file(&directory, "ca.crt", CERTIFICATE),
        key: file(&directory, "ca.key", KEY),
        account: AccountArgs::default(),
    };
    let session = Session::over(api);
    let failure = import(&session, &arguments, &mut captured.screen()).unwrap_err();
    let failure = failure.to_string();
    assert!(
        failure.contains("in clear text: nothing was sent"),
        "{failure}"
    );
}

#[test]
fn rotating_reports_the_consequences() {
    let (server, [_, active, _]) = server();
    let captured = Captured::new(Format::Json);
    let rotated = |algorithm| {
        let (session, mut screen) = (server.session(), captured.screen());
        rotate(&session, Some(server.account()), algorithm, &mut screen).unwrap();
        captured.json()
    };
    let result = rotated(Some(KeyName::P384));
    assert_eq!(
        (&result["algorithm"], &result["in_force"]),
        (&json!("P-384"), &json!(true))
    );
    let report = captured.err();
    for ca in [&active, &result] {
        assert!(report.contains(&text(&ca["id"])), "{report}");
    }
    let sent = server.seen().pop().unwrap();
    assert!(sent.path.ends_with("/managed_authorities/rotate"));
    assert_eq!(sent.json(), json!({ "algorithm": "P-384" }));
    rotated(None);
    assert_eq!(server.seen().pop().unwrap().json(), json!({}));
}

#[test]
fn a_ca_and_a_client_certificate_are_uploaded_as_such() {
    let (server, directory) = (Server::start(), tempfile::tempdir().unwrap());
    let captured = Captured::new(Format::Table);
    let [root, leaf, key] =
        ["good_root.certs", "good_leaf.certs", "good_leaf.key"].map(certgate_testkit::uploaded);
    let plain = CaAddArgs {
        file: file(&directory, "ca.crt", &root),
        key: None,
        name: None,
        ca: false,
        leaf: false,
        account: account(&server),
    };
    add(&server.session(), &plain, &mut captured.screen()).unwrap();
    let sent = server.seen().pop().unwrap();
    assert_eq!(sent.json(), json!({ "certificates": root, "ca": true }));
    assert!(captured.out().contains("authority"));
    let full = CaAddArgs {
        file: file(&directory, "leaf.crt", &leaf),
        key: Some(file(&directory, "leaf.key", &key)),
        name: Some("n".to_owned()),
        leaf: true,
        ..plain
    };
    add(&server.session(), &full, &mut captured.screen()).unwrap();
    let expected = json!({ "certificates": leaf, "ca": false, "name": "n", "private_key": key });
    assert_eq!(server.seen().pop().unwrap().json(), expected);
    assert!(captured.out().contains("leaf"));
}

#[test]
fn only_an_uploaded_ca_can_be_removed() {
    let (server, [superseded, _, uploaded]) = server();
    let captured = Captured::new(Format::Table);
    let removed = |ca: &Value| {
        let (session, mut screen) = (server.session(), captured.screen());
        remove(
            &session,
            Some(server.account()),
            &text(&ca["id"]),
            &mut screen,
        )
    };
    removed(&uploaded).unwrap();
    assert_eq!(
        captured.err(),
        format!("removed {}\n", text(&uploaded["id"]))
    );
    let sent = server.seen().pop().unwrap();
    assert_eq!(sent.method, "DELETE");
    let failure = removed(&superseded).unwrap_err().to_string();
    assert!(failure.contains("is a managed CA"), "{failure}");
    assert!(server.seen().iter().all(|seen| seen.method == "GET"));
}
