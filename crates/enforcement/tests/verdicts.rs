//! Verdicts on certificates of several CAs and hosts.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod corpus;

use certgate_enforcement::{
    BootInstant, Change, Presented, Reason, StalePolicy, Verdict, View, WhenStale, headers,
};
use certgate_model::Timestamp;
use http::HeaderMap;
use std::time::Duration;

use corpus::forge::{Certificate, Key, common_name, seq, tlv};
use corpus::{NOW, ca, configuration, id, leaf, view};

const HOST: &str = "api.example.com";
const ADMITTED: Verdict = Verdict::Admitted;

fn refused(reason: Reason) -> Verdict {
    Verdict::Refused(reason)
}

fn verdict_at(view: &View, host: Option<&str>, der: &[u8], now: Timestamp) -> Verdict {
    let presented = Presented {
        leaf: der,
        intermediates: &[],
    };
    let first = view.judge(host, Some(&presented), now).verdict;
    // The second verdict may come from the cache.
    assert_eq!(view.judge(host, Some(&presented), now).verdict, first);
    first
}

fn verdict(view: &View, host: &str, der: &[u8]) -> Verdict {
    verdict_at(view, Some(host), der, NOW)
}

fn change(number: u8, serial: [u8; 20], revoked: bool) -> Change {
    Change {
        authority: id(number),
        serial,
        revoked,
    }
}

#[test]
fn each_host_admits_the_certificates_of_its_cas() {
    let (key, one, other) = (Key::new("P-256"), Key::new("P-256"), Key::new("RSA-2048"));
    let (name, other_name) = (common_name("One"), common_name("Other"));
    let one_der = Certificate::root(&one, &name).der();
    let other_der = Certificate::root(&other, &other_name).der();
    let of_one = leaf(&key, &common_name("c"), &one, &name).der();
    let of_other = leaf(&key, &common_name("c"), &other, &other_name).der();
    let cas = |state| {
        [
            ca(1, state, &one_der, &[]),
            ca(2, "active", &other_der, &[]),
        ]
    };
    let hosts: [(&str, &[u8]); 3] = [(HOST, &[1]), ("b.example.com", &[2, 1]), ("none", &[])];
    let view = view(&hosts, &cas("active"));

    assert_eq!(verdict(&view, HOST, &of_one), ADMITTED);
    assert_eq!(verdict(&view, "API.example.COM.", &of_one), ADMITTED);
    let unknown_ca = refused(Reason::UnknownAuthority);
    assert_eq!(verdict(&view, HOST, &of_other), unknown_ca);
    assert_eq!(verdict(&view, "b.example.com", &of_other), ADMITTED);
    assert_eq!(verdict(&view, "b.example.com", &of_one), ADMITTED);
    assert_eq!(verdict(&view, "none", &of_one), unknown_ca);
    let unknown_host = refused(Reason::UnknownHost);
    assert_eq!(verdict(&view, "x.example.com", &of_one), unknown_host);
    assert_eq!(verdict_at(&view, None, &of_other, NOW), ADMITTED);
    assert_eq!(
        verdict(&view, HOST, b"\x30\x00"),
        refused(Reason::Malformed)
    );
    let none = view.judge(Some(HOST), None, NOW).verdict;
    assert_eq!(none, refused(Reason::NoCertificate));
    assert_eq!(
        view.host("B.example.com").unwrap().authorities,
        [id(2), id(1)]
    );

    // A name of a CA is not its key.
    let forged = leaf(&key, &common_name("c"), &key, &name).der();
    assert!(!verdict(&view, HOST, &forged).is_admitted());

    for (state, expected) in [
        ("prepared", ADMITTED),
        ("superseded", ADMITTED),
        ("retired", unknown_ca),
    ] {
        view.publish_changes(10, &[], Some(configuration(&hosts, &cas(state))));
        assert_eq!(verdict(&view, HOST, &of_one), expected, "{state}");
    }
    // A removed host has no rules.
    view.publish_changes(11, &[], Some(configuration(&hosts[1..], &cas("active"))));
    assert_eq!(verdict(&view, HOST, &of_one), unknown_host);
    assert_eq!(verdict(&view, "b.example.com", &of_one), ADMITTED);
}

#[test]
fn a_revocation_matches_the_ca_and_the_serial_number() {
    let (key, one, other) = (Key::new("P-256"), Key::new("P-256"), Key::new("P-256"));
    let (name, other_name) = (common_name("One"), common_name("Other"));
    let cas = [
        ca(1, "active", &Certificate::root(&one, &name).der(), &[]),
        ca(
            2,
            "active",
            &Certificate::root(&other, &other_name).der(),
            &[],
        ),
    ];
    let view = view(&[(HOST, &[1, 2])], &cas);
    let certificate = leaf(&key, &common_name("c"), &one, &name);
    let der = certificate.der();
    // The signature has a random number: another signature, the same certificate.
    let twin = certificate.der();
    assert_ne!(der, twin);
    let of_other = leaf(&key, &common_name("c"), &other, &other_name).der();
    assert_eq!(verdict(&view, HOST, &der), ADMITTED);

    view.publish_changes(10, &[change(1, [0x5a; 20], true)], None);
    for revoked in [&der, &twin] {
        assert_eq!(verdict(&view, HOST, revoked), refused(Reason::Revoked));
    }
    assert_eq!(verdict(&view, HOST, &of_other), ADMITTED, "another CA");
    assert_eq!(view.epoch(), 10);
    view.publish_changes(11, &[change(1, [0x5a; 20], false)], None);
    assert_eq!(verdict(&view, HOST, &der), ADMITTED);

    // Zeros before a serial number do not make another one: DER does not allow them, and 19 octets
    // are the number with one zero before it.
    let short = Certificate {
        serial: tlv(2, &[&[0x5a; 19]]),
        ..leaf(&key, &common_name("c"), &one, &name)
    };
    let padded = Certificate {
        serial: tlv(2, &[&[0], &[0x5a; 19]]),
        ..leaf(&key, &common_name("c"), &one, &name)
    };
    let mut serial = [0x5a; 20];
    serial[0] = 0;
    view.publish_changes(12, &[change(1, serial, true)], None);
    assert_eq!(verdict(&view, HOST, &short.der()), refused(Reason::Revoked));
    assert!(!verdict(&view, HOST, &padded.der()).is_admitted());
    assert_eq!(verdict(&view, HOST, &der), ADMITTED);
}

#[test]
fn certificates_are_valid_between_their_times_also_from_the_cache() {
    let (key, one) = (Key::new("P-256"), Key::new("P-256"));
    let name = common_name("One");
    let root = Certificate {
        validity: [
            tlv(0x17, &[b"260101000000Z"]),
            tlv(0x17, &[b"260901000000Z"]),
        ],
        ..Certificate::root(&one, &name)
    };
    let cas = [ca(1, "active", &root.der(), &[])];
    let view = view(&[(HOST, &[1])], &cas);
    let der = leaf(&key, &common_name("c"), &one, &name).der();
    let at = |text: &str| verdict_at(&view, Some(HOST), &der, text.parse().unwrap());
    assert_eq!(at("2026-01-01T00:00:00Z"), ADMITTED);
    assert_eq!(at("2025-12-31T23:59:59.9Z"), refused(Reason::NotYetValid));
    assert_eq!(at("2026-08-31T23:59:59.9Z"), ADMITTED);
    assert_eq!(at("2026-09-01T00:00:00Z"), refused(Reason::Expired));
    let presented = Presented {
        leaf: &der,
        intermediates: &[],
    };
    let judged = view.judge(Some(HOST), Some(&presented), NOW);
    let until = "2026-09-01T00:00:00Z".parse().unwrap();
    assert_eq!(judged.valid_until(), Some(until));
}

#[test]
fn a_leaf_alone_has_a_path_over_stored_intermediates_whose_revocation_counts() {
    let keys = [(); 3].map(|()| Key::new("P-256"));
    let [root_key, middle_key, key] = &keys;
    let (root_name, middle_name) = (common_name("Root"), common_name("Middle"));
    let root = Certificate::root(root_key, &root_name).der();
    let middle = Certificate::below(middle_key, &middle_name, root_key, &root_name).der();
    let der = leaf(key, &common_name("c"), middle_key, &middle_name).der();
    let stored = std::slice::from_ref(&middle);
    let without = view(&[(HOST, &[1])], &[ca(1, "active", &root, &[])]);
    assert!(!verdict(&without, HOST, &der).is_admitted());
    let view = view(
        &[(HOST, &[1])],
        &[
            ca(1, "active", &root, stored),
            ca(2, "active", &middle, &[]),
        ],
    );
    assert_eq!(verdict(&view, HOST, &der), ADMITTED);
    let presented = Presented {
        leaf: &der,
        intermediates: &[&middle],
    };
    let judged = without.judge(Some(HOST), Some(&presented), NOW);
    assert_eq!(judged.verdict, ADMITTED);
    assert_eq!(judged.authority(), Some(id(1)));
    assert_eq!(judged.chain(), std::slice::from_ref(&middle));

    // The second CA signed the client's certificate, although the host does not name it.
    let judged = view.judge(Some(HOST), Some(&presented), NOW);
    assert_eq!(judged.authority(), Some(id(2)));
    let mut serial = [0; 20];
    serial[19] = 7;
    for (revocation, expected) in [
        (change(2, [0x5a; 20], true), refused(Reason::Revoked)),
        (change(2, [0x5a; 20], false), ADMITTED),
        (change(1, serial, true), refused(Reason::Revoked)),
        (change(1, serial, false), ADMITTED),
        (change(1, [0x5a; 20], true), ADMITTED),
    ] {
        view.publish_changes(10, &[revocation], None);
        assert_eq!(verdict(&view, HOST, &der), expected, "{revocation:?}");
        let expected = revocation.authority == id(2) || revocation.serial == serial;
        assert_eq!(judged.is_affected_by(&revocation), expected);
    }
}

#[test]
fn headers_show_the_verdict_and_strip_removes_them() {
    let keys = [(); 3].map(|()| Key::new("P-256"));
    let [root_key, middle_key, key] = &keys;
    let (root_name, middle_name) = (common_name("Root"), common_name("Middle"));
    let root = Certificate::root(root_key, &root_name).der();
    let middle = Certificate::below(middle_key, &middle_name, root_key, &root_name).der();
    let der = leaf(key, &common_name("Zo\u{eb}"), middle_key, &middle_name).der();
    let stored = std::slice::from_ref(&middle);
    let view = view(&[(HOST, &[1])], &[ca(1, "active", &root, stored)]);
    let presented = Presented {
        leaf: &der,
        intermediates: &[],
    };
    let shown = |now| {
        let mut headers = HeaderMap::new();
        headers::set(&mut headers, &view.judge(Some(HOST), Some(&presented), now));
        headers
    };
    let mut headers = shown(NOW);
    for (name, value) in [
        ("cf-cert-presented", "true"),
        ("cf-cert-verified", "true"),
        ("cf-cert-revoked", "false"),
        ("cf-cert-subject-dn", "CN=Zo\\C3\\AB"),
        ("cf-cert-subject-dn-legacy", "/CN=Zo\\xC3\\xAB"),
        ("cf-cert-issuer-dn-rfc2253", "CN=Middle"),
        ("cf-cert-serial", "5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A"),
        ("cf-cert-issuer-serial", "07"),
        ("cf-cert-not-before", "Jan  1 00:00:00 2020 GMT"),
    ] {
        assert_eq!(headers[name], value, "{name}");
    }
    assert!(headers.contains_key("client-cert") && headers.contains_key("client-cert-chain"));
    headers::strip(&mut headers);
    assert!(headers.is_empty(), "{headers:?}");
    let expired = shown("2080-01-01T00:00:00Z".parse().unwrap());
    assert_eq!(expired["cf-cert-verified"], "false");
    assert!(!expired.contains_key("client-cert"));
    view.publish_changes(10, &[], None);
}

#[test]
fn weak_keys_and_old_versions_are_refused() {
    let ca_key = Key::new("P-256");
    let name = common_name("One");
    let root = Certificate::root(&ca_key, &name).der();
    let view = view(&[(HOST, &[1])], &[ca(1, "active", &root, &[])]);
    for kind in ["RSA-1024", "RSA-2047", "P-224"] {
        let key = Key::new(kind);
        let der = leaf(&key, &common_name("c"), &ca_key, &name).der();
        assert_eq!(
            verdict(&view, HOST, &der),
            refused(Reason::WeakKey),
            "{kind}"
        );
    }
    let key = Key::new("P-256");
    let old = Certificate {
        version: 1,
        extensions: vec![],
        ..leaf(&key, &common_name("c"), &ca_key, &name)
    };
    assert_eq!(verdict(&view, HOST, &old.der()), refused(Reason::NoPath));
    let empty = Certificate {
        subject: seq(&[]),
        ..leaf(&key, &common_name("c"), &ca_key, &name)
    };
    assert_eq!(verdict(&view, HOST, &empty.der()), ADMITTED);
}

#[test]
fn a_view_is_stale_until_it_is_confirmed_and_again_after_the_limit() {
    let view = View::new();
    let policy = |when_stale| StalePolicy {
        when_stale,
        after: Duration::from_secs(30),
    };
    let (refuse, serve) = (policy(WhenStale::Refuse), policy(WhenStale::Serve));
    let sent = BootInstant::now();
    assert!(view.is_stale(&refuse, sent) && view.is_stale(&serve, sent));
    view.confirm(sent);
    let later = |seconds| sent.plus(Duration::from_secs(seconds));
    assert!(!view.is_stale(&refuse, later(29)));
    assert!(view.is_stale(&refuse, later(30)));
    assert!(!view.is_stale(&serve, later(10_000)));
    view.confirm(sent.minus(Duration::from_secs(5)));
    assert_eq!(
        view.fresh_since(),
        Some(sent),
        "an earlier proof changes nothing"
    );
}
