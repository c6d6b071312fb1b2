use super::super::testing::{Captured, Seen, Server, ZONE, ok, page};
use super::*;
use crate::cli::Format;

fn server() -> Server {
    Server::start(
        |seen: &Seen| match (seen.method.as_str(), seen.path.as_str()) {
            ("POST", _) => ok(
                json!({"id": "1".repeat(32), "name": "ci", "status": "active", "value": "new-secret"}),
            ),
            ("PUT", API_KEY_PATH) => ok(json!({"email": "a@example.com", "api_key": "new-key"})),
            ("DELETE", API_KEY_PATH) => ok(json!({"email": "a@example.com"})),
            (_, "/client/v4/user") => ok(json!({"id": "2".repeat(32)})),
            (_, "/client/v4/user/tokens/verify") => {
                ok(json!({"id": "1".repeat(32), "status": "active"}))
            }
            ("DELETE", _) => ok(json!({"id": "1".repeat(32)})),
            _ => page(
                &[
                    json!({"id": "1".repeat(32), "name": "ci", "status": "active", "issued_on": "2026-01-02T03:04:05Z", "last_used_on": "2026-02-03T04:05:06Z",
                "policies": [{"effect": "allow", "permission_groups": [{"id": PermissionGroup::ZoneRead.id()}, {"id": PermissionGroup::ZoneWrite.id()}, {"id": "f", "name": "Other"}]}]}),
                ],
                seen,
                20,
            ),
        },
    )
}

fn arguments(permissions: &[&str], zones: &[&str]) -> TokenCreateArgs {
    TokenCreateArgs {
        name: "ci".to_owned(),
        permissions: permissions.iter().map(|name| (*name).to_owned()).collect(),
        zones: zones.iter().map(|name| (*name).to_owned()).collect(),
        expires: Some("2027-01-31T00:00:00Z".parse().unwrap()),
        allow_ips: vec!["192.0.2.0/24".to_owned()],
    }
}

#[test]
fn a_token_is_asked_for_with_a_policy_for_each_kind_of_thing() {
    let server = server();
    let captured = Captured::new(Format::Table);
    let arguments = arguments(
        &[
            "ssl and certificates READ",
            "Zone Read",
            "User Details Read",
        ],
        &[ZONE],
    );
    create(&server.session(), &arguments, &mut captured.screen()).unwrap();
    assert_eq!(captured.out(), "new-secret\n");
    assert!(captured.err().contains("shown this once"));
    let body = server
        .seen()
        .into_iter()
        .find(|seen| seen.method == "POST")
        .unwrap()
        .json();
    insta::assert_json_snapshot!(body, @r#"
    {
      "condition": {
        "request.ip": {
          "in": [
            "192.0.2.0/24"
          ]
        }
      },
      "expires_on": "2027-01-31T00:00:00Z",
      "name": "ci",
      "policies": [
        {
          "effect": "allow",
          "permission_groups": [
            {
              "id": "7b7216b327b04b8fbc8f524e1f9b7531"
            },
            {
              "id": "c8fed203ed3043cba015a93ad1616f1f"
            }
          ],
          "resources": {
            "com.cloudflare.api.account.zone.0bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb": "*"
          }
        },
        {
          "effect": "allow",
          "permission_groups": [
            {
              "id": "8acbe5bb0d54464ab867149d7f7cf8ac"
            }
          ],
          "resources": {
            "com.cloudflare.api.user.22222222222222222222222222222222": "*"
          }
        }
      ]
    }
    "#);
}

#[test]
fn an_unknown_permission_is_refused_before_anything_is_sent() {
    let server = server();
    let captured = Captured::new(Format::Table);
    let failure = create(
        &server.session(),
        &arguments(&["Read everything"], &[]),
        &mut captured.screen(),
    )
    .unwrap_err();
    assert!(
        failure
            .to_string()
            .contains("\"SSL and Certificates Read\""),
        "{failure}"
    );
    assert_eq!(server.seen().len(), 0);
}

#[test]
fn tokens_are_listed_revoked_and_verified() {
    let server = server();
    let captured = Captured::new(Format::Table);
    list(&server.session(), &mut captured.screen()).unwrap();
    insta::assert_snapshot!(captured.out(), @"
     ID                                NAME  STATUS  ISSUED            EXPIRES  LAST USED         PERMISSIONS
     11111111111111111111111111111111  ci    active  2026-01-02 03:04  never    2026-02-03 04:05  Zone Write, Other
    ");
    verify(&server.session(), &mut captured.screen()).unwrap();
    assert!(captured.out().contains("active"));
    revoke(&server.session(), &"1".repeat(32), &mut captured.screen()).unwrap();
    assert!(
        server.seen().iter().any(
            |seen| seen.method == "DELETE" && seen.path == format!("{PATH}/{}", "1".repeat(32))
        )
    );
    assert!(revoke(&server.session(), "ci", &mut captured.screen()).is_err());
}

#[test]
fn the_api_key_alone_goes_to_standard_output() {
    let server = server();
    let captured = Captured::new(Format::Table);
    create_api_key(&server.session(), &mut captured.screen()).unwrap();
    assert_eq!(captured.out(), "new-key\n");
    let told = captured.err();
    assert!(
        told.contains("a@example.com") && told.contains("shown this once"),
        "{told}"
    );
    delete_api_key(&server.session(), &mut captured.screen()).unwrap();
    assert_eq!(captured.out(), "");
    assert!(captured.err().contains("no API key any more"));
    let methods: Vec<_> = server.seen().into_iter().map(|seen| seen.method).collect();
    assert_eq!(methods, ["PUT", "DELETE"]);
}
