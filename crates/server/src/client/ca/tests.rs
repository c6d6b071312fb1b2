use serde_json::Value;

use super::super::testing::{
    ACCOUNT, CERTIFICATE, Captured, Seen, Server, ZONE, ok, page, refused,
};
use super::*;
use crate::cli::Format;
use crate::client::http::{Api, Token};

const OLD: &str = "01890000-0000-7000-8000-000000000001";
const NEW: &str = "01890000-0000-7000-8000-000000000002";
const OURS: &str = "2458ce5a-0c35-4c7f-82c7-8e9487d3ff60";

fn managed_object(id: &str, name: &str, in_force: bool) -> Value {
    json!({
        "id": id, "name": name, "algorithm": "P-256", "certificate": CERTIFICATE, "in_force": in_force,
        "public_url": "http://pki.example.com", "created_on": "2026-08-14T10:20:00Z",
        "expires_on": "2056-08-06T10:20:00Z", "fingerprint_sha256": "ab".repeat(32),
    })
}

fn brought_object() -> Value {
    json!({
        "id": OURS, "name": "partner", "issuer": "CN=Partner CA", "signature": "SHA256WithRSA",
        "serial_number": "235217144297995885180570755458463043449861756659",
        "certificates": format!("{CERTIFICATE}\n{CERTIFICATE}\n"), "ca": true, "type": "custom",
        "uploaded_on": "2026-08-15T00:00:00.5Z", "expires_on": "2030-01-01T00:00:00Z",
    })
}

/// A server with two managed authorities and one that was brought.
fn server() -> Server {
    Server::start(|seen: &Seen| {
        let both = json!([
            managed_object(NEW, "new", true),
            managed_object(OLD, "old", false)
        ]);
        match (
            seen.method.as_str(),
            seen.path.split('/').next_back().unwrap(),
        ) {
            ("GET", "managed_authority") => ok(managed_object(NEW, "new", true)),
            ("GET", "managed_authorities") => ok(both),
            ("POST", "managed_authorities" | "rotate") => ok(managed_object(OURS, "newest", true)),
            ("GET", "mtls_certificates") => page(&[brought_object()], seen, 50),
            (_, OURS) | ("POST", "mtls_certificates") => ok(brought_object()),
            ("GET", "accounts") => page(&[json!({ "id": ACCOUNT, "name": "default" })], seen, 20),
            ("GET", ZONE) => ok(json!({ "id": ZONE, "account": { "id": ACCOUNT } })),
            _ => refused(404, 1472, "no such certificate"),
        }
    })
}

fn file(directory: &tempfile::TempDir, name: &str, content: &str) -> std::path::PathBuf {
    let path = directory.path().join(name);
    std::fs::write(&path, content).unwrap();
    path
}

const KEY: &str = "-----BEGIN PRIVATE KEY-----\nsesame\n-----END PRIVATE KEY-----\n";

#[test]
fn managed_and_brought_ones_are_one_table() {
    let server = server();
    let captured = Captured::new(Format::Table);
    list(&server.session(), None, &mut captured.screen()).unwrap();
    insta::assert_snapshot!(captured.out(), @"
    ID                                    KIND     NAME     USE                     FROM              EXPIRES
    01890000-0000-7000-8000-000000000002  managed  new      signs new certificates  2026-08-14 10:20  2056-08-06 10:20
    01890000-0000-7000-8000-000000000001  managed  old      replaced                2026-08-14 10:20  2056-08-06 10:20
    2458ce5a-0c35-4c7f-82c7-8e9487d3ff60  brought  partner  authority               2026-08-15 00:00  2030-01-01 00:00
    ");
    let captured = Captured::new(Format::Json);
    list(&server.session(), Some(ACCOUNT), &mut captured.screen()).unwrap();
    let both: Value = serde_json::from_str(&captured.out()).unwrap();
    assert_eq!(both["managed"][0], managed_object(NEW, "new", true));
    assert_eq!(both["brought"], json!([brought_object()]));

    let none = Server::start(
        |seen: &Seen| match seen.path.ends_with("managed_authorities") {
            true => ok(json!([])),
            false => page(&[], seen, 50),
        },
    );
    let captured = Captured::new(Format::Table);
    list(&none.session(), Some(ACCOUNT), &mut captured.screen()).unwrap();
    assert_eq!(
        (
            captured.out().as_str(),
            captured.err().contains("made on first use")
        ),
        ("", true)
    );
}

#[test]
fn one_is_shown_whatever_it_is() {
    let server = server();
    let captured = Captured::new(Format::Table);
    let shown = |id: Option<&str>| {
        show(&server.session(), Some(ACCOUNT), id, &mut captured.screen()).map(|()| captured.out())
    };
    insta::assert_snapshot!(shown(Some(OLD)).unwrap(), @"
    id                     01890000-0000-7000-8000-000000000001
    kind                   managed
    name                   old
    use                    replaced; its certificates stay valid and revocable
    algorithm              P-256
    revocation addresses   http://pki.example.com
    created                2026-08-14T10:20:00Z
    expires                2056-08-06T10:20:00Z
    fingerprint (SHA-256)  abababababababababababababababababababababababababababababababab

    -----BEGIN CERTIFICATE-----
    MAA=
    -----END CERTIFICATE-----
    ");
    assert!(shown(None).unwrap().contains(NEW));
    let brought = shown(Some(OURS)).unwrap();
    assert!(
        brought.contains("partner") && brought.contains("CN=Partner CA"),
        "{brought}"
    );
    assert_eq!(brought.matches("-----BEGIN CERTIFICATE-----\n").count(), 2);
    let unknown = shown(Some(&OURS.replace('2', "3")))
        .unwrap_err()
        .to_string();
    assert!(
        unknown.contains("code 1472") && unknown.contains("ca list"),
        "{unknown}"
    );
    server.seen();
    assert!(
        shown(Some("../../user"))
            .unwrap_err()
            .to_string()
            .contains("no id of an authority")
    );
    assert_eq!(server.seen().len(), 0);
}

#[test]
fn importing_sends_certificate_and_key_and_says_what_happened() {
    let (server, directory) = (server(), tempfile::tempdir().unwrap());
    let captured = Captured::new(Format::Table);
    let arguments = CaImportArgs {
        certificate: file(&directory, "ca.crt", CERTIFICATE),
        key: file(&directory, "ca.key", KEY),
        account: Some(ACCOUNT.to_owned()),
    };
    import(&server.session(), &arguments, &mut captured.screen()).unwrap();
    let told = captured.err();
    insta::assert_snapshot!(told, @"
    new certificates are signed by newest (2458ce5a-0c35-4c7f-82c7-8e9487d3ff60) from now on
    trust it wherever client certificates are checked: `certgate ca show` prints its certificate
    certificates of new (01890000-0000-7000-8000-000000000002) stay valid, listed and revocable: keep trusting it until the last of them has expired
    certificates that newest signed elsewhere stay valid wherever it is trusted; they are not in certgate's lists and cannot be revoked here; while they live, give proxies the full list (full.crl) instead of the bundle
    ");
    assert!(
        captured.out().contains(OURS)
            && !captured.out().contains("sesame")
            && !told.contains("sesame")
    );
    let sent = server.seen().pop().unwrap();
    assert_eq!(
        sent.path,
        format!("/certgate/v1/accounts/{ACCOUNT}/managed_authorities")
    );
    assert_eq!(
        sent.json(),
        json!({ "certificate": CERTIFICATE, "private_key": KEY })
    );

    let exchanged = CaImportArgs {
        certificate: arguments.key.clone(),
        ..arguments
    };
    let failure = import(&server.session(), &exchanged, &mut captured.screen())
        .unwrap_err()
        .to_string();
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
    let token = Token::new("x").unwrap();
    let api = Api::new("http://pki.example.com", None, token, "the test".to_owned()).unwrap();
    let arguments = CaImportArgs {
        certificate: file(&directory, "ca.crt", CERTIFICATE),
        key: file(&directory, "ca.key", KEY),
        account: Some(ACCOUNT.to_owned()),
    };
    let failure = import(&Session::over(api), &arguments, &mut captured.screen()).unwrap_err();
    assert!(
        failure
            .to_string()
            .contains("in clear text: nothing was sent"),
        "{failure}"
    );
}

#[test]
fn rotating_says_what_happened() {
    let server = server();
    let captured = Captured::new(Format::Json);
    let account = Some(ACCOUNT);
    rotate(
        &server.session(),
        account,
        Some(KeyName::Rsa3072),
        &mut captured.screen(),
    )
    .unwrap();
    let told = captured.err();
    assert!(told.contains(OURS) && told.contains(NEW), "{told}");
    let result: Value = serde_json::from_str(&captured.out()).unwrap();
    assert_eq!(result, managed_object(OURS, "newest", true));
    let sent = server.seen().pop().unwrap();
    assert_eq!(
        sent.path,
        format!("/certgate/v1/accounts/{ACCOUNT}/managed_authorities/rotate")
    );
    assert_eq!(sent.json(), json!({ "algorithm": "RSA-3072" }));
    rotate(&server.session(), account, None, &mut captured.screen()).unwrap();
    assert_eq!(server.seen().pop().unwrap().json(), json!({}));
}

#[test]
fn a_brought_one_is_added_as_what_it_is() {
    let (server, directory) = (server(), tempfile::tempdir().unwrap());
    let captured = Captured::new(Format::Table);
    let plain = |leaf| CaAddArgs {
        file: file(&directory, "ca.crt", CERTIFICATE),
        key: None,
        name: None,
        ca: false,
        leaf,
        account: Some(ACCOUNT.to_owned()),
    };
    add(&server.session(), &plain(false), &mut captured.screen()).unwrap();
    let sent = server.seen().pop().unwrap();
    assert_eq!(
        sent.path,
        format!("/client/v4/accounts/{ACCOUNT}/mtls_certificates")
    );
    assert_eq!(
        sent.json(),
        json!({ "certificates": CERTIFICATE, "ca": true })
    );
    assert!(captured.out().contains("partner"));
    let key = Some(file(&directory, "ca.key", KEY));
    let full = CaAddArgs {
        key,
        name: Some("n".to_owned()),
        ..plain(true)
    };
    add(&server.session(), &full, &mut captured.screen()).unwrap();
    let expected =
        json!({ "certificates": CERTIFICATE, "ca": false, "name": "n", "private_key": KEY });
    assert_eq!(server.seen().pop().unwrap().json(), expected);
}

#[test]
fn only_what_was_brought_is_removed() {
    let server = server();
    let captured = Captured::new(Format::Table);
    let remove = |id: &str| remove(&server.session(), Some(ACCOUNT), id, &mut captured.screen());
    remove(OURS).unwrap();
    assert_eq!(captured.err(), format!("removed {OURS}\n"));
    let sent = server.seen().pop().unwrap();
    assert_eq!(
        (sent.method.as_str(), sent.path.ends_with(OURS)),
        ("DELETE", true)
    );
    let failure = remove(OLD).unwrap_err().to_string();
    assert!(failure.contains("is a managed authority"), "{failure}");
    assert!(
        server.seen().iter().all(|seen| seen.method == "GET"),
        "nothing was deleted"
    );
}

#[test]
fn a_chain_ends_in_the_authority_that_signed() {
    let zone: ZoneId = ZONE.parse().unwrap();
    let mut certificate = Certificate::default();
    certificate.certificate_authority.id = OLD.to_owned();
    let pem = chain_of(&server().session(), &zone, &certificate).unwrap();
    assert_eq!(pem, format!("{CERTIFICATE}\n"));
    certificate.certificate_authority.id = OURS.to_owned();
    let failure = chain_of(&server().session(), &zone, &certificate)
        .unwrap_err()
        .to_string();
    assert!(
        failure.contains("an authority that the account does not have"),
        "{failure}"
    );
}
