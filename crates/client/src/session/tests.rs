use serde_json::json;

use super::*;
use crate::arguments::Format;
use crate::testing::{Captured, Relay, Server, ok, text};

const ID: &str = "0bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

fn arguments(directory: &Path) -> ClientArgs {
    ClientArgs {
        api: None,
        token_file: None,
        token: None,
        api_ca: None,
        context: None,
        data_dir: Some(directory.to_owned()),
        config: None,
        output: Format::Table,
        wide: false,
        quiet: false,
        verbose: false,
    }
}

fn open(arguments: &ClientArgs, variables: &[(&str, &str)]) -> Result<Session, Failure> {
    let variables = variables.iter();
    let variables = variables.map(|(name, value)| (name.into(), value.into()));
    let context = Context {
        environment: &Environment::from_variables(variables).unwrap(),
        data_dir: &|_| unreachable!("every test names a directory"),
        config_dir: None,
        random: &certgate_testkit::SeededRandom::new(2),
    };
    Session::open(
        arguments,
        &context,
        &mut Captured::new(Format::Table).screen(),
    )
}

fn write_profile(directory: &Path, api: &str, token: &str) {
    let profile = LocalProfile {
        api: api.to_owned(),
        token: token.to_owned(),
        account_id: ID.to_owned(),
        zone_id: ID.to_owned(),
        tls_certificate: None,
    };
    profile::write(directory, &profile).unwrap();
}

#[test]
fn beside_a_server_no_option_is_needed() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start();
    let token = server.relay.token();
    write_profile(directory.path(), &server.relay.address, token);
    let session = open(&arguments(directory.path()), &[]).unwrap();
    assert_eq!(session.zone(None).unwrap().to_string(), ID);
    assert_eq!(session.account(None).unwrap().to_string(), ID);
    assert_eq!(server.seen().len(), 0);
    let unknown = session.zone(Some("example.net")).unwrap_err();
    assert!(
        unknown.to_string().contains("no zone with the name"),
        "{unknown}"
    );
    let zone = session.zone(Some("Example.com")).unwrap();
    assert_eq!(zone, server.zone());
    let bearer = format!("Bearer {token}");
    let seen = server.seen();
    assert!(seen.iter().all(|seen| seen.authorization == bearer));
}

#[test]
fn the_local_token_goes_to_the_local_server_only() {
    let directory = tempfile::tempdir().unwrap();
    write_profile(directory.path(), "http://127.0.0.1:1", "sesame");
    let arguments = arguments(directory.path());
    let other = open(&arguments, &[("CERTGATE_API", "http://127.0.0.1:2")]).unwrap_err();
    assert!(
        other
            .to_string()
            .starts_with("no token for http://127.0.0.1:2"),
        "{other}"
    );
    assert!(open(&arguments, &[("CERTGATE_API", "http://127.0.0.1:1/")]).is_ok());
}

#[test]
fn flags_win_over_the_environment_over_the_local_profile() {
    let directory = tempfile::tempdir().unwrap();
    write_profile(directory.path(), "http://127.0.0.1:1", "sesame");
    let [flag, variable] = [(); 2].map(|()| Relay::alone(|_| ok(json!([]))));
    let file = directory.path().join("token");
    std::fs::write(&file, "from-file\n").unwrap();
    let nines = "9".repeat(32);
    let variables = [
        ("CERTGATE_API", variable.address.as_str()),
        ("CERTGATE_TOKEN", "from-variable"),
        ("CERTGATE_ZONE", &nines),
    ];
    let mut arguments = arguments(directory.path());
    let session = open(&arguments, &variables).unwrap();
    assert_eq!(session.zone(None).unwrap().to_string(), nines);
    assert_eq!(session.zone(Some(ID)).unwrap().to_string(), ID);
    session.api.get("/x").unwrap();
    assert_eq!(variable.seen()[0].authorization, "Bearer from-variable");
    arguments.api = Some(flag.address.clone());
    arguments.token_file = Some(file);
    let session = open(&arguments, &variables).unwrap();
    session.api.get("/x").unwrap();
    assert_eq!(flag.seen()[0].authorization, "Bearer from-file");
}

#[test]
fn without_any_option_the_message_names_the_next_step() {
    let directory = tempfile::tempdir().unwrap();
    let failure = open(&arguments(directory.path()), &[]).unwrap_err();
    assert!(
        failure.to_string().contains("start `certgate serve` here"),
        "{failure}"
    );
}

#[test]
fn the_only_zone_needs_no_name_and_several_are_listed() {
    let server = Server::start();
    let session = server.session();
    assert_eq!(session.zone(None).unwrap(), server.zone());
    let account = json!({ "id": server.account() });
    let second = server.post(
        "/zones",
        json!({ "name": "example.org", "account": account, "type": "full" }),
    );
    let problem = |zone| session.zone(zone).unwrap_err();
    insta::assert_snapshot!(problem(None), @"there are several zones: example.org, example.com (name one with --zone)");
    insta::assert_snapshot!(problem(Some("nowhere")), @r#"there is no zone with the name "nowhere", or the token may not see it (`certgate zone list` shows the zones and accounts that the token may see)"#);
    let zone = session.zone(Some("example.org")).unwrap();
    assert_eq!(zone.to_string(), text(&second["id"]));
    let app = &server.certgate.app;
    for zone in ["{zone}", &text(&second["id"])] {
        let path = format!("/zones/{zone}");
        server.certgate.wait(app.delete(&path)).result();
    }
    insta::assert_snapshot!(problem(None), @"the token can see no zone (name one by its ID with --zone)");
}

#[test]
fn names_are_encoded() {
    assert_eq!(encoded("a-b.c_d~e"), "a-b.c_d~e");
    assert_eq!(encoded("a b&c=ä"), "a%20b%26c%3D%C3%A4");
}
