//! Chains with properties chosen at random, the same in each run. openssl is the judge: no chain is
//! admitted that it refuses, and the reasons of stricter refusals are listed.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod corpus;

use std::collections::BTreeMap;

use certgate_enforcement::{Presented, Verdict};

use corpus::forge::{
    Certificate, Key, NULL, Numbers, ca_constraints, ca_usage, common_name, extension, octets, seq,
    tlv,
};
use corpus::judge::openssl_verifies;
use corpus::{ANY, CLIENT, NOW, SERVER, ca, key_usage, leaf, usage, view};

const HOST: &str = "api.example.com";
const CHAINS: usize = 240;

/// The properties that this project refuses and openssl accepts.
const STRICTER: [&str; 11] = [
    "a client certificate of version 1",
    "a client certificate with CA:TRUE",
    "a CA of version 1",
    "a directory name constraint",
    "a CA without basic constraints",
    "a critical extension with policies",
    "a path length without CA:TRUE",
    "a negative serial number",
    "a serial number of 21 octets",
    "a key on P-224",
    "a key identifier in a critical extension",
];

/// A certificate to make, with the names of its stricter properties.
struct Drawn<'a> {
    certificate: Certificate<'a>,
    stricter: Vec<&'static str>,
}

fn basic(is_ca: bool, length: Option<u8>) -> Vec<u8> {
    let is_ca = if is_ca { tlv(1, &[&[0xff]]) } else { vec![] };
    let length = length
        .map(|length| tlv(2, &[&[length]]))
        .unwrap_or_default();
    extension("2.5.29.19", Some(0xff), &seq(&[&is_ca, &length]))
}

fn identifier(octet: u8, critical: Option<u8>) -> Vec<u8> {
    extension("2.5.29.14", critical, &octets(&[octet; 20]))
}

fn issuer_identifier(octet: u8) -> Vec<u8> {
    extension("2.5.29.35", None, &seq(&[&tlv(0x80, &[&[octet; 20]])]))
}

fn issuer_serial(serial: u8) -> Vec<u8> {
    let name = tlv(0xa4, &[&common_name("Root")]);
    let content = seq(&[&tlv(0xa1, &[&name]), &tlv(0x82, &[&[serial]])]);
    extension("2.5.29.35", None, &content)
}

/// Changes the validity of some certificates.
fn age(certificate: &mut Certificate<'_>, numbers: &mut Numbers) {
    match numbers.below(40) {
        0 => certificate.validity[1] = tlv(0x17, &[b"260731235959Z"]),
        1 => certificate.validity[0] = tlv(0x17, &[b"260801000001Z"]),
        // The first and the last second.
        2 => {
            certificate.validity = [
                tlv(0x17, &[b"260801000000Z"]),
                tlv(0x17, &[b"260801000000Z"]),
            ];
        }
        _ => {}
    }
}

/// Draws the extensions of a CA; most are good.
fn draw_ca<'a>(mut certificate: Certificate<'a>, own: u8, numbers: &mut Numbers) -> Drawn<'a> {
    let mut stricter = Vec::new();
    let mut extensions = match numbers.below(48) {
        0 => vec![ca_usage()],
        1 => vec![basic(false, None), ca_usage()],
        2 => vec![basic(true, Some(0)), ca_usage()],
        3 => vec![basic(true, Some(1)), ca_usage()],
        // cRLSign without keyCertSign.
        4 => vec![ca_constraints(), key_usage(1, 0x02)],
        5 => vec![ca_constraints()],
        6 => vec![],
        _ => vec![ca_constraints(), ca_usage()],
    };
    if extensions.is_empty() || extensions == [ca_usage()] {
        stricter.push("a CA without basic constraints");
    }
    match numbers.below(48) {
        0 => extensions.push(usage(&[SERVER])),
        1 => extensions.push(usage(&[ANY])),
        2 => extensions.push(usage(&[CLIENT, SERVER])),
        3 => extensions.push(extension("1.3.6.1.4.1.99999.9", Some(0xff), NULL)),
        4 => extensions.push(extension("1.3.6.1.4.1.99999.9", None, NULL)),
        5 => extensions.push(ca_constraints()),
        6 => {
            extensions.push(identifier(own, Some(0xff)));
            stricter.push("a key identifier in a critical extension");
        }
        7 => {
            let name = tlv(0xa4, &[&common_name("client")]);
            let permitted = tlv(0xa0, &[&seq(&[&name])]);
            extensions.push(extension("2.5.29.30", Some(0xff), &seq(&[&permitted])));
            stricter.push("a directory name constraint");
        }
        8 => {
            let content = seq(&[&tlv(0x80, &[&[0]])]);
            extensions.push(extension("2.5.29.36", Some(0xff), &content));
            stricter.push("a critical extension with policies");
        }
        _ => extensions.push(identifier(own, None)),
    }
    if numbers.below(60) == 0 {
        certificate.version = 1;
        extensions.clear();
        stricter.push("a CA of version 1");
    }
    certificate.extensions = extensions;
    age(&mut certificate, numbers);
    Drawn {
        certificate,
        stricter,
    }
}

/// Draws a client's certificate. The keys of its issuer are named by `issuer`.
fn draw_leaf<'a>(mut certificate: Certificate<'a>, issuer: u8, numbers: &mut Numbers) -> Drawn<'a> {
    let mut stricter = Vec::new();
    let mut extensions = Vec::new();
    match numbers.below(30) {
        0 => {}
        1 => extensions.push(usage(&[SERVER])),
        2 => extensions.push(usage(&[ANY])),
        3 => extensions.push(usage(&[SERVER, CLIENT])),
        _ => extensions.push(usage(&[CLIENT])),
    }
    match numbers.below(30) {
        0 => {
            extensions.push(ca_constraints());
            stricter.push("a client certificate with CA:TRUE");
        }
        1 => {
            extensions.push(basic(false, Some(1)));
            stricter.push("a path length without CA:TRUE");
        }
        2 => extensions.push(basic(false, None)),
        _ => {}
    }
    match numbers.below(30) {
        // keyEncipherment, keyAgreement, keyCertSign, and none.
        0 => extensions.push(key_usage(5, 0x20)),
        1 => extensions.push(key_usage(3, 0x08)),
        2 => extensions.push(key_usage(2, 0x04)),
        3 => extensions.push(key_usage(7, 0)),
        4 => {}
        _ => extensions.push(key_usage(7, 0x80)),
    }
    match numbers.below(40) {
        0 => extensions.push(extension("1.3.6.1.4.1.99999.9", Some(0xff), NULL)),
        1 => extensions.push(extension("1.3.6.1.4.1.99999.9", Some(0), NULL)),
        2 => extensions.push(usage(&[CLIENT])),
        3 => extensions.push(issuer_identifier(99)),
        4 => extensions.push(issuer_serial(8)),
        5 => extensions.push(issuer_serial(7)),
        // Netscape's types of a server and a client.
        6 => extensions.push(extension(
            "2.16.840.1.113730.1.1",
            None,
            &tlv(3, &[&[6, 0x40]]),
        )),
        7 => extensions.push(extension(
            "2.16.840.1.113730.1.1",
            None,
            &tlv(3, &[&[7, 0x80]]),
        )),
        8 => extensions.push(extension("2.5.29.17", None, b"\x30\x03\x82\x05a")),
        9 => extensions.push(extension("2.5.29.15", None, b"\x03\x00")),
        _ => extensions.push(issuer_identifier(issuer)),
    }
    match numbers.below(48) {
        0 => {
            certificate.version = 1;
            extensions.clear();
            stricter.push("a client certificate of version 1");
        }
        1 => {
            certificate.serial = tlv(2, &[&[0x80, 1]]);
            stricter.push("a negative serial number");
        }
        2 => certificate.serial = tlv(2, &[&[0]]),
        3 => {
            certificate.serial = tlv(2, &[&[0x5a; 21]]);
            stricter.push("a serial number of 21 octets");
        }
        4 => certificate.serial = tlv(2, &[&[0, 0, 5]]),
        _ => {}
    }
    certificate.extensions = extensions;
    age(&mut certificate, numbers);
    Drawn {
        certificate,
        stricter,
    }
}

#[test]
fn no_chain_is_admitted_that_openssl_refuses() {
    let folder = tempfile::tempdir().unwrap();
    let kinds = ["P-256", "P-384", "RSA-2048", "P-521", "ED25519"];
    let ca_keys = kinds.map(Key::new);
    let weak = [Key::new("RSA-1024"), Key::new("P-224")];
    let key = Key::new("P-256");
    let names = ["Root", "One", "Two"].map(common_name);
    let mut numbers = Numbers(21);
    let (mut admitted, mut refused) = (0, 0);
    let mut stricter: BTreeMap<&str, usize> = BTreeMap::new();

    for case in 0..CHAINS {
        // 1. A root, up to two CAs below it, and a client's certificate.
        let mut known = Vec::new();
        let count = 1 + numbers.below(3);
        let keys: Vec<_> = (0..count).map(|_| numbers.one_of(&ca_keys)).collect();
        let mut ders = Vec::new();
        for place in 0..count {
            let own = &keys[place];
            let certificate = match place {
                0 => Certificate::root(own, &names[0]),
                _ => Certificate::below(own, &names[place], keys[place - 1], &names[place - 1]),
            };
            let drawn = draw_ca(certificate, place as u8 + 1, &mut numbers);
            known.extend(drawn.stricter);
            ders.push(drawn.certificate.der());
        }
        let leaf_key = match numbers.below(24) {
            0 => &weak[0],
            1 => {
                known.push("a key on P-224");
                &weak[1]
            }
            _ => &key,
        };
        let (signer, name) = (keys[count - 1], &names[count - 1]);
        // One in forty is signed by another key than its issuer's.
        let signer = if numbers.below(40) == 0 { &key } else { signer };
        let certificate = leaf(leaf_key, &common_name("client"), signer, name);
        let drawn = draw_leaf(certificate, count as u8, &mut numbers);
        known.extend(drawn.stricter);
        let mut der = drawn.certificate.der();
        if numbers.below(40) == 0 {
            // A changed octet of the signed part.
            let place = 20 + numbers.below(der.len() / 2);
            der[place] ^= 1;
        }

        // 2. The client sends the CAs, or the server stores them, or one is missing.
        let mut between = ders.split_off(1);
        if !between.is_empty() && numbers.below(24) == 0 {
            between.remove(numbers.below(between.len()));
        }
        let (stored, sent) = match numbers.below(2) {
            0 => (&between[..], &[][..]),
            _ => (&[][..], &between[..]),
        };
        let root = &ders[0];
        let view = view(&[(HOST, &[1])], &[ca(1, "active", root, stored)]);
        let sent: Vec<_> = sent.iter().map(Vec::as_slice).collect();
        let presented = Presented {
            leaf: &der,
            intermediates: &sent,
        };

        // 3. Both judges.
        let judged = view.judge(Some(HOST), Some(&presented), NOW);
        let theirs = openssl_verifies(&folder, root, &between, &der);
        match (judged.verdict, theirs) {
            (Verdict::Admitted, true) => admitted += 1,
            (Verdict::Refused(_), false) => refused += 1,
            (Verdict::Admitted, false) => {
                panic!("case {case}: admitted, but openssl refuses it")
            }
            (Verdict::Refused(reason), true) => {
                let Some(property) = known.first() else {
                    let detail = judged.detail;
                    panic!("case {case}: {reason}, {detail:?}, but openssl accepts it");
                };
                assert!(STRICTER.contains(property), "{property}");
                *stricter.entry(property).or_default() += 1;
            }
        }
    }
    assert!(
        admitted >= 30 && refused >= 60,
        "{admitted} {refused} {stricter:?}"
    );
}
