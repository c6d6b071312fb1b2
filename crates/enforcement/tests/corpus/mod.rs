//! Certificates for the tests of verdicts, forged with openssl.

#![allow(dead_code, reason = "each test binary uses a part")]

#[path = "../../../pki/tests/forge/mod.rs"]
pub mod forge;
pub mod judge;

use certgate_enforcement::{Configuration, EnforcementView, View};
use certgate_model::{AuthorityId, Timestamp};
use serde_json::{Value, json};

use forge::{Certificate, Key, certificates, extension, oid, seq, tlv};

/// 2026-08-01T00:00:00Z.
pub const NOW: Timestamp = Timestamp::from_unix(1_785_542_400);

pub const CLIENT: &str = "1.3.6.1.5.5.7.3.2";
pub const SERVER: &str = "1.3.6.1.5.5.7.3.1";
pub const ANY: &str = "2.5.29.37.0";

pub fn id(number: u8) -> AuthorityId {
    AuthorityId::from_bytes([number; 16])
}

pub fn usage(purposes: &[&str]) -> Vec<u8> {
    let ids: Vec<_> = purposes.iter().map(|purpose| oid(purpose)).collect();
    extension("2.5.29.37", None, &seq(&[&ids.concat()]))
}

pub fn key_usage(unused: u8, bits: u8) -> Vec<u8> {
    extension("2.5.29.15", Some(0xff), &tlv(3, &[&[unused, bits]]))
}

/// A certificate as clients have one.
pub fn leaf<'a>(
    key: &'a Key,
    subject: &[u8],
    issuer: &'a Key,
    issuer_name: &[u8],
) -> Certificate<'a> {
    Certificate {
        serial: tlv(2, &[&[0x5a; 20]]),
        extensions: vec![
            usage(&[CLIENT]),
            extension("2.5.29.19", Some(0xff), &seq(&[])),
            key_usage(7, 0x80),
        ],
        ..Certificate::below(key, subject, issuer, issuer_name)
    }
}

/// A CA in the answer of the server.
pub fn ca(number: u8, state: &str, der: &[u8], intermediates: &[Vec<u8>]) -> Value {
    let pem = |der: &Vec<u8>| certificates(std::slice::from_ref(der));
    json!({
        "id": id(number).to_string(),
        "name": format!("CA {number}"),
        "kind": "managed",
        "state": state,
        "certificate": pem(&der.to_vec()),
        "intermediates": intermediates.iter().map(pem).collect::<Vec<_>>(),
        "crl_bundle_url": null,
    })
}

/// A view with these hosts, each with the numbers of its CAs.
pub fn configuration(hosts: &[(&str, &[u8])], cas: &[Value]) -> Configuration {
    let hosts = hosts.iter().map(|(hostname, numbers)| {
        let ids: Vec<_> = numbers
            .iter()
            .map(|number| id(*number).to_string())
            .collect();
        json!({
            "hostname": hostname,
            "zone_id": "00000000000000000000000000000000",
            "certificate_authorities": ids,
        })
    });
    let answer = json!({
        "epoch": 9,
        "hostnames": hosts.collect::<Vec<_>>(),
        "certificate_authorities": cas,
    });
    let answer: EnforcementView<'static> = serde_json::from_value(answer).unwrap();
    Configuration::read(&answer).unwrap()
}

pub fn view(hosts: &[(&str, &[u8])], cas: &[Value]) -> View {
    let view = View::new();
    view.publish(9, configuration(hosts, cas), Default::default());
    view
}
