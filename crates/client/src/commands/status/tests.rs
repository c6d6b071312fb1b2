use serde_json::json;

use super::*;
use crate::arguments::Format;
use crate::testing::{Captured, Server};

fn shown(server: &Server, format: Format) -> (Exit, Captured) {
    let captured = Captured::new(format);
    let (session, zone) = (server.session(), server.zone());
    let outcome = run(&session, &zone, &mut captured.screen());
    (
        outcome.map_or_else(|failure| failure.exit(), |()| Exit::Done),
        captured,
    )
}

#[test]
fn one_screen_shows_everything_and_the_exit_status_is_the_worst_colour() {
    let server = Server::start();
    let id = server.issue("a");
    server.issue("b");
    let path = format!("/zones/{{zone}}/client_certificates/{id}");
    server
        .certgate
        .wait(server.certgate.app.delete(&path))
        .result();
    let (exit, captured) = shown(&server, Format::Table);
    // The metrics of the tests know no backup and no check, and no public listener runs.
    assert_eq!(exit, Exit::Warnings);
    let out = captured.out().replace(&server.relay.address, "http://a");
    let lines: Vec<_> = out
        .lines()
        .map(|line| line.split("  ").collect::<String>())
        .collect();
    for expected in [
        "STATUSITEMDETAIL",
        "green serverhttp://a, ready",
        "green zoneexample.com",
        "green certificates1 active, 1 pending, 0 revoked",
        "green expiring0 within 7 days, 0 within 30 days, 0 within 90 days",
        "green enforcementno enforcement points",
    ] {
        let words = |text: &str| text.replace(' ', "");
        let found = lines.iter().any(|line| words(line) == words(expected));
        assert!(found, "{expected}: {out}");
    }
    assert!(out.contains("CRL not reachable from here") && out.contains("last check"));
    let (_, captured) = shown(&server, Format::Json);
    let report = captured.json();
    assert_eq!(report["status"], "yellow");
    assert_eq!(report["items"][0]["item"], "server");

    // A point that has the change and one that lacks it.
    let points = "/certgate/v1/accounts/{account}/enforcement_points";
    server.post(points, json!({"name": "gateway-1"}));
    server
        .certgate
        .wait(server.certgate.app.patch(&path))
        .result();
    let (_, captured) = shown(&server, Format::Table);
    assert!(
        captured
            .out()
            .contains("0 of 1 current; not current: gateway-1")
    );
}

#[test]
fn colours_are_ordered() {
    assert!(Colour::Green < Colour::Yellow && Colour::Yellow < Colour::Red);
}
