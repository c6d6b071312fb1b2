use serde_json::{Value, json};

use super::*;
use crate::arguments::{
    AccountArgs, CaExportArgs, CaPrepareArgs, CaRotateArgs, CaStateArgs, Format, KeyName,
};
use crate::commands::ca_states::{activate, csr, export, prepare, retire, rotate};
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
    assert_eq!(lines[0].join("|"), "ID|KIND|NAME|STATE|FROM|EXPIRES");
    let expected = [
        (&active, "managed", "active", "created_on"),
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
    state                  superseded; its certificates stay valid and revocable
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
        unknown.to_string().contains("not the name or ID of a CA"),
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
    let seen = server.seen();
    assert!(seen.iter().all(|seen| !seen.path.contains("user")));
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
        key: Some(file(&directory, "ca.key", &key)),
        name: None,
        prepare: false,
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
    certificates that NEW signed elsewhere stay valid on every server that trusts it; certgate does not list them and cannot revoke them before `certgate cert adopt`; until the last of them has expired, give proxies the full list (full.crl) instead of the bundle
    ");
    let out = captured.out();
    assert!(out.contains(&text(&imported["id"])) && !out.contains("PRIVATE KEY"));
    let sent = server.seen().pop().unwrap();
    assert_eq!(
        sent.json(),
        json!({ "certificate": certificate, "private_key": key })
    );

    let exchanged = CaImportArgs {
        certificate: arguments.key.clone().unwrap(),
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
    let api = crate::http::Api::new(
        "http://pki.example.com",
        crate::http::Trusted::System,
        token,
        source,
    )
    .unwrap();
    let arguments = CaImportArgs {
        certificate: file(&directory, "ca.crt", CERTIFICATE),
        key: Some(file(&directory, "ca.key", KEY)),
        name: None,
        prepare: false,
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

fn new_ca(server: &Server, algorithm: Option<KeyName>, name: Option<&str>) -> CaPrepareArgs {
    CaPrepareArgs {
        algorithm,
        name: name.map(str::to_owned),
        account: account(server),
    }
}

#[test]
fn rotating_prepares_and_activates_and_reports_the_consequences() {
    let (server, [_, active, _]) = server();
    let captured = Captured::new(Format::Json);
    let rotated = |algorithm, yes| {
        let arguments = CaRotateArgs {
            new: new_ca(&server, algorithm, None),
            yes,
            anyway: false,
        };
        rotate(&server.session(), &arguments, &mut captured.screen())
    };
    // The tests have no terminal.
    let refused = rotated(None, false).unwrap_err().to_string();
    assert!(
        refused.contains("standard input is not a terminal"),
        "{refused}"
    );
    assert!(server.seen().iter().all(|seen| !seen.is_post()));
    rotated(Some(KeyName::P384), true).unwrap();
    let result = captured.json();
    assert_eq!(
        (&result["algorithm"], &result["state"]),
        (&json!("P-384"), &json!("active"))
    );
    let report = captured.err();
    for ca in [&active, &result] {
        assert!(report.contains(&text(&ca["id"])), "{report}");
    }
    let undo = format!(
        "to undo this, run `certgate ca activate {}`",
        text(&active["id"])
    );
    assert!(report.contains(&undo), "{report}");
    let sent: Vec<_> = server
        .seen()
        .into_iter()
        .filter(crate::testing::Seen::is_post)
        .collect();
    assert_eq!(sent[0].json(), json!({ "algorithm": "P-384" }));
    assert!(sent[1].path.ends_with("/activate"));
    rotated(None, true).unwrap();
    assert_eq!(captured.json()["algorithm"], "P-256", "the account's");
}

#[test]
fn an_activation_names_the_points_that_are_late() {
    let (server, [_, active, _]) = server();
    let points = "/certgate/v1/accounts/{account}/enforcement_points";
    server.post(points, json!({ "name": "edge" }));
    let captured = Captured::new(Format::Json);
    let arguments = new_ca(&server, None, Some("Devices 2027"));
    prepare(&server.session(), &arguments, &mut captured.screen()).unwrap();
    let prepared = captured.json();
    let report = captured.err();
    assert!(report.contains("certgate ca export --bundle"), "{report}");
    let activated = |ca: &str, anyway| {
        let arguments = CaStateArgs {
            ca: ca.to_owned(),
            anyway,
            account: account(&server),
        };
        activate(&server.session(), &arguments, &mut captured.screen())
    };
    let late = activated("devices 2027", false).unwrap_err().to_string();
    assert!(late.contains("point edge has not acknowledged"), "{late}");
    assert!(
        captured
            .err()
            .contains("edge: has not acknowledged Devices 2027")
    );
    activated("Devices 2027", true).unwrap();
    assert_eq!(captured.json()["id"], prepared["id"]);
    captured.err();

    let retired = |ca: &str, anyway| {
        let arguments = CaStateArgs {
            ca: ca.to_owned(),
            anyway,
            account: account(&server),
        };
        retire(&server.session(), &arguments, &mut captured.screen())
    };
    // The CA of the server that never signed, by the beginning of its ID.
    let id = text(&active["id"]);
    retired(&id[..id.len() - 1], false).unwrap();
    assert_eq!(captured.json()["state"], "retired");
    assert!(captured.err().contains("To undo this"));
    let failure = retired("unknown", true).unwrap_err().to_string();
    assert!(
        failure.contains("is not the name or ID of a CA"),
        "{failure}"
    );
    let several = retired(&text(&active["name"]), true)
        .unwrap_err()
        .to_string();
    assert!(several.starts_with("2 CAs match"), "{several}");
    assert!(
        several.contains(&id) && several.contains("retired, created"),
        "{several}"
    );
}

#[test]
fn a_bundle_has_the_cas_that_a_proxy_must_trust() {
    let (server, [superseded, active, uploaded]) = server();
    let captured = Captured::new(Format::Table);
    let exported = |ca: Option<&Value>, bundle, hostname: Option<&str>| {
        let arguments = CaExportArgs {
            ca: ca.map(|ca| text(&ca["id"])),
            bundle,
            hostname: hostname.map(str::to_owned),
            account: account(&server),
        };
        let exported = export(&server.session(), &arguments, &mut captured.screen());
        exported.map(|()| captured.out())
    };
    let pem = |ca: &Value| format!("{}\n", text(&ca["certificate"]).trim_end());
    assert_eq!(exported(None, false, None).unwrap(), pem(&active));
    assert_eq!(
        exported(Some(&superseded), false, None).unwrap(),
        pem(&superseded)
    );
    let of_uploaded = exported(Some(&uploaded), false, None).unwrap();
    assert_eq!(of_uploaded.matches("BEGIN CERTIFICATE").count(), 1);
    let both = format!("{}{}", pem(&active), pem(&superseded));
    assert_eq!(exported(None, true, None).unwrap(), both);
    let unlisted = exported(None, true, Some("a.example.com")).unwrap_err();
    assert!(
        unlisted.to_string().contains("does not ask for"),
        "{unlisted}"
    );
    let hostnames = "/zones/{zone}/certificate_authorities/hostname_associations";
    let body = json!({ "hostnames": ["a.example.com"], "mtls_certificate_id": uploaded["id"] });
    server.put(hostnames, body);
    let of_host = exported(None, true, Some("A.example.com")).unwrap();
    assert_eq!(of_host.replace('\n', ""), of_uploaded.replace('\n', ""));
}

#[test]
fn a_request_is_printed_listed_and_removed() {
    let (server, _) = server();
    let captured = Captured::new(Format::Table);
    let arguments = new_ca(&server, None, Some("Issuing CA 7"));
    csr(&server.session(), &arguments, &mut captured.screen()).unwrap();
    let printed = captured.out();
    assert!(
        printed.starts_with("-----BEGIN CERTIFICATE REQUEST-----\n"),
        "{printed}"
    );
    assert!(
        captured
            .err()
            .contains("certgate ca import --certificate FILE")
    );
    list(&server.session(), None, &mut captured.screen()).unwrap();
    let listed = captured.out();
    assert!(listed.contains("Issuing CA 7") && listed.contains("waits for its certificate"));
    let removed = || {
        let (session, mut screen) = (server.session(), captured.screen());
        remove(
            &session,
            Some(server.account()),
            "issuing ca 7",
            &mut screen,
        )
    };
    removed().unwrap();
    assert!(captured.err().contains("and its key"));
    removed().unwrap_err();
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
