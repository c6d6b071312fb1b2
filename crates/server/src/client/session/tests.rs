use serde_json::json;

use super::super::output::Screen;
use super::super::testing::{ACCOUNT, Captured, Server, TOKEN, ZONE, ok, page};
use super::*;
use crate::cli::Format;

fn arguments(directory: &Path) -> ClientArgs {
    ClientArgs {
        api: None,
        token_file: None,
        token: None,
        api_ca: None,
        data_dir: Some(directory.to_owned()),
        config: None,
        output: Format::Table,
    }
}

fn environment(variables: &[(&str, &str)]) -> Environment {
    Environment::from_variables(
        variables
            .iter()
            .map(|(name, value)| (name.into(), value.into())),
    )
    .unwrap()
}

fn zones(names: &'static [(&'static str, &'static str)]) -> Server {
    Server::start(move |seen| {
        let all: Vec<_> = names
            .iter()
            .map(|(id, name)| json!({"id": id, "name": name}))
            .collect();
        match seen.query.contains("name=") {
            true => ok(all
                .into_iter()
                .filter(|zone| {
                    seen.query
                        .contains(&format!("name={}", zone["name"].as_str().unwrap()))
                })
                .collect()),
            false => page(&all, seen, 20),
        }
    })
}

fn screen() -> Screen {
    Captured::new(Format::Table).screen()
}

fn write_profile(directory: &Path, api: &str) {
    let profile = LocalProfile {
        api: api.to_owned(),
        token: TOKEN.to_owned(),
        account_id: ACCOUNT.to_owned(),
        zone_id: ZONE.to_owned(),
    };
    profile::write(directory, &profile).unwrap();
}

#[test]
fn beside_a_server_nothing_needs_to_be_said() {
    let directory = tempfile::tempdir().unwrap();
    let server = zones(&[(ZONE, "example.com")]);
    write_profile(directory.path(), &server.address);
    let session = Session::open(
        &arguments(directory.path()),
        &environment(&[]),
        &mut screen(),
    )
    .unwrap();
    assert_eq!(session.zone(None).unwrap().to_string(), ZONE);
    assert_eq!(session.account(None).unwrap().to_string(), ACCOUNT);
    assert_eq!(server.seen().len(), 0);
    assert_eq!(
        session
            .zone(Some("Example.com"))
            .err()
            .map(|error| error.to_string().contains("no zone called")),
        Some(true)
    );
    assert_eq!(session.zone(Some("example.com")).unwrap().to_string(), ZONE);
    assert!(
        server
            .seen()
            .iter()
            .all(|seen| seen.authorization == format!("Bearer {TOKEN}"))
    );
}

#[test]
fn the_local_token_goes_to_the_local_server_only() {
    let directory = tempfile::tempdir().unwrap();
    write_profile(directory.path(), "http://127.0.0.1:1");
    let other = environment(&[("CERTGATE_API", "http://127.0.0.1:2")]);
    let error = Session::open(&arguments(directory.path()), &other, &mut screen()).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("no token for http://127.0.0.1:2"),
        "{error}"
    );
    let same = environment(&[("CERTGATE_API", "http://127.0.0.1:1/")]);
    assert!(Session::open(&arguments(directory.path()), &same, &mut screen()).is_ok());
}

#[test]
fn flags_win_over_the_environment_over_the_local_profile() {
    let directory = tempfile::tempdir().unwrap();
    write_profile(directory.path(), "http://127.0.0.1:1");
    let (flag, variable) = (zones(&[]), zones(&[]));
    let file = directory.path().join("token");
    std::fs::write(&file, "from-file\n").unwrap();
    let environment = environment(&[
        ("CERTGATE_API", &variable.address),
        ("CERTGATE_TOKEN", "from-variable"),
        ("CERTGATE_ZONE", &"9".repeat(32)),
    ]);
    let mut arguments = arguments(directory.path());
    let session = Session::open(&arguments, &environment, &mut screen()).unwrap();
    assert_eq!(session.zone(None).unwrap().to_string(), "9".repeat(32));
    assert_eq!(session.zone(Some(ZONE)).unwrap().to_string(), ZONE);
    session.api.get("/x").unwrap();
    assert_eq!(variable.seen()[0].authorization, "Bearer from-variable");
    arguments.api = Some(flag.address.clone());
    arguments.token_file = Some(file);
    let session = Session::open(&arguments, &environment, &mut screen()).unwrap();
    session.api.get("/x").unwrap();
    assert_eq!(flag.seen()[0].authorization, "Bearer from-file");
}

#[test]
fn without_anything_the_user_is_told_what_to_do() {
    let directory = tempfile::tempdir().unwrap();
    let error = Session::open(
        &arguments(directory.path()),
        &environment(&[]),
        &mut screen(),
    )
    .unwrap_err();
    assert!(
        error.to_string().contains("start `certgate serve` here"),
        "{error}"
    );
}

#[test]
fn the_only_zone_needs_no_name_and_several_are_listed() {
    let one = zones(&[(ZONE, "example.com")]).session();
    assert_eq!(one.zone(None).unwrap().to_string(), ZONE);
    let several = zones(&[(ZONE, "example.com"), (ACCOUNT, "example.org")]).session();
    insta::assert_snapshot!(several.zone(None).unwrap_err(), @"which zone? There are example.com, example.org (name one with --zone)");
    insta::assert_snapshot!(several.zone(Some("nowhere")).unwrap_err(), @r#"there is no zone called "nowhere", or the token may not see it (`certgate zone list` shows the names)"#);
    assert_eq!(
        several.zone(Some("example.org")).unwrap().to_string(),
        ACCOUNT
    );
    let none = zones(&[]).session();
    assert_eq!(
        none.zone(None).unwrap_err().to_string(),
        "the token can see no zone"
    );
}

#[test]
fn names_are_encoded() {
    assert_eq!(encoded("a-b.c_d~e"), "a-b.c_d~e");
    assert_eq!(encoded("a b&c=ä"), "a%20b%26c%3D%C3%A4");
}
