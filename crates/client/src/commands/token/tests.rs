use serde_json::Value;

use super::*;
use crate::arguments::{Format, Moment, RoleName};
use crate::testing::{Captured, Server, text};

fn arguments(permissions: &[&str], zones: &[String]) -> TokenCreateArgs {
    TokenCreateArgs {
        name: "ci".to_owned(),
        permissions: permissions.iter().map(|name| (*name).to_owned()).collect(),
        role: None,
        zones: zones.to_vec(),
        expires: Some(Moment::At("2027-01-31T00:00:00Z".parse().unwrap())),
        offline: false,
        only_names: Vec::new(),
        max_lifetime: None,
        rules: None,
        allow_ips: serde_json::from_str("[\"192.0.2.0/24\"]").unwrap(),
    }
}

#[test]
fn a_token_is_requested_with_a_policy_for_each_kind_of_resource() {
    let server = Server::start();
    let captured = Captured::new(Format::Table);
    let zone = server.zone().to_string();
    let names = [
        "ssl and certificates READ",
        "Zone Read",
        "User Details Read",
    ];
    let arguments = arguments(&names, std::slice::from_ref(&zone));
    create(&server.session(), &arguments, &mut captured.screen()).unwrap();
    let value = captured.out();
    assert_eq!(value.lines().count(), 1);
    assert!(captured.err().contains("shown only once"));
    let seen = server.seen().into_iter().find(|seen| seen.is_post());
    let user = text(&server.get("/user")["id"]);
    let body = seen.unwrap().body.replace(&zone, "ZONE");
    let body: Value = serde_json::from_str(&body.replace(&user, "USER")).unwrap();
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
            "com.cloudflare.api.account.zone.ZONE": "*"
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
            "com.cloudflare.api.user.USER": "*"
          }
        }
      ]
    }
    "#);
}

#[test]
fn a_role_is_a_set_of_permissions() {
    let server = Server::start();
    for (role, count) in [
        (RoleName::Issuer, 1),
        (RoleName::Operator, 4),
        (RoleName::Auditor, 9),
        (RoleName::Proxy, 1),
        (RoleName::Admin, 20),
    ] {
        let captured = Captured::new(Format::Table);
        let arguments = TokenCreateArgs {
            role: Some(role),
            expires: None,
            ..arguments(&[], &[])
        };
        create(&server.session(), &arguments, &mut captured.screen()).unwrap();
        let seen = server.seen().into_iter().rfind(|seen| seen.is_post());
        let body: Value = serde_json::from_str(&seen.unwrap().body).unwrap();
        let policies = body["policies"].as_array().unwrap();
        let groups = policies.iter().map(|policy| &policy["permission_groups"]);
        let found: usize = groups.map(|groups| groups.as_array().unwrap().len()).sum();
        assert_eq!(found, count, "{role:?}");
    }
}

#[test]
fn a_token_for_ci_issues_only_some_names_for_a_short_time() {
    let server = Server::start();
    let captured = Captured::new(Format::Json);
    let arguments = TokenCreateArgs {
        role: Some(RoleName::Issuer),
        only_names: vec!["build-*".parse().unwrap()],
        max_lifetime: Some("7d".parse().unwrap()),
        ..arguments(&[], &[])
    };
    create(&server.session(), &arguments, &mut captured.screen()).unwrap();
    let made: Value = serde_json::from_str(&captured.out()).unwrap();
    let rules = serde_json::json!({ "common_names": ["build-*"], "max_lifetime": 604_800 });
    assert_eq!(made["issuance_rules"], rules);
}

#[test]
fn an_unknown_permission_is_refused_before_anything_is_sent() {
    let server = Server::start();
    let captured = Captured::new(Format::Table);
    let arguments = arguments(&["Read everything"], &[]);
    let failure = create(&server.session(), &arguments, &mut captured.screen()).unwrap_err();
    let problem = failure.to_string();
    assert!(
        problem.contains("\"SSL and Certificates Read\""),
        "{problem}"
    );
    assert_eq!(server.seen().len(), 0);
}

#[test]
fn tokens_are_listed_revoked_and_verified() {
    let server = Server::start();
    let captured = Captured::new(Format::Table);
    let mut arguments = arguments(&["Zone Read", "Zone Write"], &[]);
    arguments.expires = None;
    create(&server.session(), &arguments, &mut captured.screen()).unwrap();
    captured.out();
    list(&server.session(), &mut captured.screen()).unwrap();
    let out = captured.out();
    let line = out.lines().find(|line| line.contains("  ci ")).unwrap();
    let cells: Vec<_> = line.split("  ").filter(|cell| !cell.is_empty()).collect();
    let cells: Vec<_> = cells.iter().map(|cell| cell.trim()).collect();
    // Zone Write includes Zone Read.
    let expected = [
        "ci",
        "active",
        "2026-08-14T10:20:30Z",
        "never",
        "never",
        "Zone Write",
    ];
    assert_eq!(cells[1..], expected);
    verify(&server.session(), &mut captured.screen()).unwrap();
    assert!(captured.out().contains("active"));
    revoke(&server.session(), cells[0], false, &mut captured.screen()).unwrap();
    let seen = server.seen().pop().unwrap();
    assert_eq!(
        (seen.method.as_str(), seen.path.as_str()),
        ("DELETE", format!("{PATH}/{}", cells[0]).as_str())
    );
    assert!(revoke(&server.session(), "ci", false, &mut captured.screen()).is_err());
}

#[test]
fn the_last_token_that_can_create_tokens_is_revoked_only_with_a_confirmation() {
    let server = Server::start();
    let captured = Captured::new(Format::Table);
    list(&server.session(), &mut captured.screen()).unwrap();
    let out = captured.out();
    let first = out.lines().nth(1).unwrap().split(' ').next().unwrap();
    let failure = revoke(&server.session(), first, false, &mut captured.screen()).unwrap_err();
    assert!(failure.lines().contains("--yes"), "{}", failure.lines());
    revoke(&server.session(), first, true, &mut captured.screen()).unwrap();
}

#[test]
fn a_permission_that_only_the_server_knows_is_listed() {
    let policy = TokenPolicy {
        id: "1".into(),
        effect: EffectName::Deny,
        permission_groups: vec![certgate_wire::PermissionGroupName {
            id: "f".into(),
            name: "Other".into(),
        }],
        resources: Default::default(),
    };
    assert_eq!(permissions(&[policy]), "not Other");
}

#[test]
fn the_api_key_alone_goes_to_standard_output() {
    let server = Server::start();
    let captured = Captured::new(Format::Table);
    create_api_key(&server.session(), &mut captured.screen()).unwrap();
    assert_eq!(captured.out().lines().count(), 1);
    let email = text(&server.get("/user")["email"]);
    let message = captured.err();
    assert!(
        message.contains(&email) && message.contains("shown only once"),
        "{message}"
    );
    delete_api_key(&server.session(), &mut captured.screen()).unwrap();
    assert_eq!(captured.out(), "");
    assert_eq!(captured.err(), format!("deleted the API key of {email}\n"));
    let methods: Vec<_> = server.seen().into_iter().map(|seen| seen.method).collect();
    assert_eq!(methods, ["PUT", "DELETE"]);
}
