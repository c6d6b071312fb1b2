use serde_json::Value;

use super::super::testing::{
    Captured, Reply, Seen, Server, ZONE, certificate, ok, page as page_of, refused,
};
use super::*;
use crate::cli::Format;

fn zone() -> ZoneId {
    ZONE.parse().unwrap()
}

/// A zone of `count` certificates, newest first.
fn zone_of(count: u64) -> Server {
    let all: Vec<Value> = (1..=count)
        .rev()
        .map(|number| certificate(number, "active"))
        .collect();
    Server::start(move |seen: &Seen| page_of(&all, seen, 20))
}

fn arguments(page: u64, per_page: u64, all: bool) -> ListArgs {
    ListArgs {
        status: None,
        page,
        per_page,
        all,
    }
}

#[test]
fn a_page_is_a_table_with_a_footer_beside_it() {
    let server = zone_of(43);
    let captured = Captured::new(Format::Table);
    list(
        &server.session(),
        &zone(),
        &arguments(21, 2, false),
        &mut captured.screen(),
    )
    .unwrap();
    insta::assert_snapshot!(captured.out(), @"
     ID                                COMMON NAME  STATUS  ISSUED            EXPIRES           SERIAL
     00000000000000000000000000000003  device-3     active  2023-02-23 23:18  2033-02-20 23:18  000000000000…
     00000000000000000000000000000002  device-2     active  2023-02-23 23:18  2033-02-20 23:18  000000000000…
    ");
    assert_eq!(captured.err(), "41–42 of 43 (page 21 of 22)\n");
    let seen = server.seen();
    assert_eq!(
        seen[0].path,
        format!("/client/v4/zones/{ZONE}/client_certificates")
    );
    assert_eq!(seen[0].query, "status=all&page=21&limit=2");
}

#[test]
fn footers_are_right_at_the_edges() {
    let info = |total_count, total_pages| ResultInfo {
        total_count,
        total_pages,
        ..ResultInfo::default()
    };
    assert_eq!(
        footer(2, 20, 20, info(2000, 100)),
        "21–40 of 2,000 (page 2 of 100)"
    );
    assert_eq!(footer(1, 20, 0, info(0, 0)), "no certificates");
    assert_eq!(footer(7, 20, 0, info(3, 1)), "none of 3 (page 7 of 1)");
    assert_eq!(
        footer(u64::MAX, 1000, 1, info(u64::MAX, 1)).lines().count(),
        1
    );
}

#[test]
fn json_is_the_result_as_it_came() {
    let server = Server::start(|_| {
        Reply::Raw(
            200,
            r#"{"success":true,"errors":[],"messages":[],"result":[ {"id":"x","n":1.0} ],"result_info":{}}"#,
        )
    });
    let captured = Captured::new(Format::Json);
    list(
        &server.session(),
        &zone(),
        &arguments(1, 20, false),
        &mut captured.screen(),
    )
    .unwrap();
    assert_eq!(captured.out(), "[ {\"id\":\"x\",\"n\":1.0} ]\n");
    assert_eq!(captured.err(), "");
}

#[test]
fn all_pages_are_printed_once_each() {
    let server = zone_of(2500);
    let captured = Captured::new(Format::Json);
    list(
        &server.session(),
        &zone(),
        &arguments(1, 20, true),
        &mut captured.screen(),
    )
    .unwrap();
    let all: Vec<Value> = serde_json::from_str(&captured.out()).unwrap();
    assert_eq!(all.len(), 2500);
    assert_eq!(server.seen().len(), 3);
    assert_eq!(captured.err(), "2,500 certificates\n");

    let captured = Captured::new(Format::Table);
    list(
        &server.session(),
        &zone(),
        &arguments(1, 20, true),
        &mut captured.screen(),
    )
    .unwrap();
    assert_eq!(captured.out().lines().count(), 2501);

    let captured = Captured::new(Format::Json);
    list(
        &zone_of(0).session(),
        &zone(),
        &arguments(1, 20, true),
        &mut captured.screen(),
    )
    .unwrap();
    assert_eq!(captured.out(), "[]\n");
}

#[test]
fn what_is_issued_while_listing_prints_nothing_twice() {
    let server = Server::start(|seen: &Seen| {
        // Three certificates come in front between the first page and the second.
        let newest = if seen.parameter("page") == Some(1) {
            1500
        } else {
            1503
        };
        let all: Vec<Value> = (1..=newest)
            .rev()
            .map(|number| certificate(number, "active"))
            .collect();
        page_of(&all, seen, 20)
    });
    let captured = Captured::new(Format::Json);
    list(
        &server.session(),
        &zone(),
        &arguments(1, 20, true),
        &mut captured.screen(),
    )
    .unwrap();
    let all: Vec<Certificate> = serde_json::from_str(&captured.out()).unwrap();
    let ids: HashSet<_> = all.iter().map(|certificate| &certificate.id).collect();
    assert_eq!((all.len(), ids.len()), (1500, 1500));
}

#[test]
fn a_certificate_is_shown_in_full() {
    let server = Server::start(|_| ok(certificate(7, "revoked")));
    let captured = Captured::new(Format::Table);
    show(
        &server.session(),
        &zone(),
        &format!("{:032X}", 7),
        &mut captured.screen(),
    )
    .unwrap();
    insta::assert_snapshot!(captured.out(), @"
     id                     00000000000000000000000000000007
     status                 revoked
     common name            device-7
     organization           Acme
     country                DE
     issued                 2023-02-23T23:18:00Z
     expires                2033-02-20T23:18:00Z
     validity               3650 days
     serial number          0000000000000000000000000000000000000007
     fingerprint (SHA-256)  abababababababababababababababababababababababababababababababab
     subject key id         cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd
     signature              ECDSAWithSHA256
     authority              01890000-0000-7000-8000-000000000000 Managed CA
    ");
    assert!(
        server.seen()[0]
            .path
            .ends_with("/client_certificates/00000000000000000000000000000007")
    );
}

fn revoking() -> Server {
    Server::start(|seen: &Seen| match seen.path.ends_with('2') {
        true => refused(400, 1407, "is revoked already"),
        false => ok(certificate(
            1,
            if seen.method == "DELETE" {
                "pending_revocation"
            } else {
                "pending_reactivation"
            },
        )),
    })
}

#[test]
fn revoking_several_tries_all_and_says_which_failed() {
    let server = revoking();
    let captured = Captured::new(Format::Table);
    let ids: Vec<_> = [1, 2, 3].map(|number| format!("{number:032x}")).into();
    let failure = change(
        &server.session(),
        &zone(),
        &ids,
        Change::Revoke(None),
        &mut captured.screen(),
    )
    .unwrap_err();
    assert_eq!(failure.to_string(), "1 of 3 could not be revoked");
    assert_eq!(
        captured.err(),
        format!(
            "error: cannot revoke {}: is revoked already (code 1407) (`certgate cert restore` restores it)\n",
            ids[1]
        )
    );
    assert_eq!(captured.out().lines().count(), 3);
    assert!(
        server
            .seen()
            .iter()
            .all(|seen| seen.method == "DELETE" && seen.body.is_empty())
    );
}

#[test]
fn a_reason_goes_along() {
    let server = revoking();
    let captured = Captured::new(Format::Json);
    let revoke = Change::Revoke(Some(RevocationReason::KeyCompromise));
    change(
        &server.session(),
        &zone(),
        &[format!("{:032x}", 1)],
        revoke,
        &mut captured.screen(),
    )
    .unwrap();
    let seen = server.seen();
    assert_eq!(
        (seen[0].method.as_str(), seen[0].json()),
        ("DELETE", json!({"reason": "keyCompromise"}))
    );
}

#[test]
fn restoring_sends_what_the_api_wants() {
    let server = revoking();
    let captured = Captured::new(Format::Json);
    change(
        &server.session(),
        &zone(),
        &[format!("{:032x}", 1)],
        Change::Restore,
        &mut captured.screen(),
    )
    .unwrap();
    assert!(captured.out().contains("pending_reactivation"));
    let seen = server.seen();
    assert_eq!(
        (seen[0].method.as_str(), seen[0].json()),
        ("PATCH", json!({"reactivate": true}))
    );
}

#[test]
fn a_typing_error_revokes_nothing() {
    let server = revoking();
    let ids = [format!("{:032x}", 1), "../../user".to_owned()];
    let captured = Captured::new(Format::Table);
    assert!(
        change(
            &server.session(),
            &zone(),
            &ids,
            Change::Revoke(None),
            &mut captured.screen()
        )
        .is_err()
    );
    assert_eq!(server.seen().len(), 0);
}

#[test]
fn exporting_writes_pem_with_the_authority_behind_it() {
    let server = Server::start(|seen: &Seen| match seen.path.as_str() {
        path if path.contains("client_certificates") => ok(certificate(1, "active")),
        path if path.contains("managed_authorities") => ok(json!([
            { "id": "01890000-0000-7000-8000-000000000001", "certificate": "the one in force", "in_force": true },
            {
                "id": "01890000-0000-7000-8000-000000000000",
                "certificate": "-----BEGIN CERTIFICATE-----\nMAE=\n-----END CERTIFICATE-----\n",
            },
        ])),
        _ => ok(
            json!({"id": ZONE, "name": "example.com", "account": {"id": "a".repeat(32), "name": "default"}}),
        ),
    });
    let captured = Captured::new(Format::Table);
    export(
        &server.session(),
        &zone(),
        &format!("{:032x}", 1),
        None,
        true,
        &mut captured.screen(),
    )
    .unwrap();
    let pem = captured.out();
    assert_eq!(pem.matches("-----BEGIN CERTIFICATE-----\n").count(), 2);
    assert!(
        pem.contains("-----END CERTIFICATE-----\n-----BEGIN")
            && pem.ends_with("-----END CERTIFICATE-----\n")
    );
    assert_eq!(
        server.seen()[2].path,
        format!(
            "/certgate/v1/accounts/{}/managed_authorities",
            "a".repeat(32)
        )
    );

    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("c.pem");
    let once = |file: &Path| {
        export(
            &server.session(),
            &zone(),
            &format!("{:032x}", 1),
            Some(file),
            false,
            &mut captured.screen(),
        )
    };
    once(&file).unwrap();
    assert_eq!(std::fs::read_to_string(&file).unwrap().lines().count(), 3);
    assert!(
        once(&file)
            .unwrap_err()
            .to_string()
            .contains("exists already")
    );
}
