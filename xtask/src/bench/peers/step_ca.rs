//! step-ca with its default database (Badger). Each request has a token of its own, which the
//! server accepts once.

use std::fs;
use std::process::Command;
use std::rc::Rc;

use anyhow::Context;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64ct::{Base64UrlUnpadded, Encoding as _};
use serde_json::{Value, json};

use super::peer::{Peer, Revocation};
use super::programs::{Places, Program};
use crate::bench::http::Request;
use crate::bench::system::now;

const PROVISIONER: &str = "bench";

pub async fn start(places: &Places) -> anyhow::Result<Peer> {
    let (data, endpoint) = (places.data("step-ca")?, places.endpoint()?);
    let random = SystemRandom::new();
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random)?;
    let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref())?;
    let point = key.public_key().as_ref();
    let encoded = |octets: &[u8]| Base64UrlUnpadded::encode_string(octets);
    let jwk = json!({
        "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": PROVISIONER,
        "x": encoded(&point[1..33]), "y": encoded(&point[33..]),
    });
    let year = "8760h";
    let claims = json!({ "maxTLSCertDuration": year, "defaultTLSCertDuration": year });
    let provisioner = json!({ "type": "JWK", "name": PROVISIONER, "key": jwk, "claims": claims });
    let settings = json!({
        "root": places.file("root.crt"),
        "crt": places.file("intermediate.crt"),
        "key": places.file("intermediate.key"),
        "address": endpoint.address,
        "dnsNames": ["127.0.0.1"],
        "db": { "type": "badgerv2", "dataSource": data },
        "crl": { "enabled": true, "generateOnRevoke": true },
        "authority": { "provisioners": [provisioner] },
    });
    let config = places.directory.join("step-ca.json");
    fs::write(&config, settings.to_string())?;
    let mut server = Command::new(&places.binaries.step_ca);
    let process = places.start(server.arg(&config), &endpoint).await?;

    let tokens = Rc::new(Tokens { key, random });
    let (csrs, signing) = (places.csrs.clone(), tokens.clone());
    let request = move |number: usize| {
        let which = number % csrs.len();
        // The names of the requests of this benchmark.
        let token = signing.token("sign", &format!("device-{which}"), number)?;
        let body = json!({ "csr": csrs[which], "ott": token }).to_string();
        Ok(Request::json("POST", "/1.0/sign", "", &body))
    };
    let mut peer = Peer::new(Program::StepCa, process, endpoint.clone(), "/crt", request);
    peer.revocation = Some(Revocation {
        revoke: Box::new(move |_: &Value, serial: &[u8]| {
            let serial = decimal(&serial[2..]);
            let token = tokens.token("revoke", &serial, 0)?;
            let body = json!({ "serial": serial, "ott": token, "passive": true, "reasonCode": 0 });
            Ok(Request::json("POST", "/1.0/revoke", "", &body.to_string()))
        }),
        lists: endpoint,
        list: Request::json("GET", "/1.0/crl", "", ""),
    });
    peer.data = data;
    Ok(peer)
}

struct Tokens {
    key: EcdsaKeyPair,
    random: SystemRandom,
}

impl Tokens {
    /// Makes a JWT (RFC 7519) for one request.
    fn token(&self, route: &str, subject: &str, number: usize) -> anyhow::Result<String> {
        let now = now()?.unix();
        let head = json!({ "alg": "ES256", "kid": PROVISIONER, "typ": "JWT" });
        let claims = json!({
            "iss": PROVISIONER,
            "aud": format!("https://127.0.0.1/1.0/{route}"),
            "sub": subject,
            "jti": format!("{route}-{subject}-{number}"),
            "iat": now,
            "nbf": now,
            "exp": now + 3_600,
        });
        let encoded = |octets: &[u8]| Base64UrlUnpadded::encode_string(octets);
        let [head, claims] = [head, claims].map(|part| encoded(part.to_string().as_bytes()));
        let signed = format!("{head}.{claims}");
        let signature = self.key.sign(&self.random, signed.as_bytes());
        let signature = signature.ok().context("cannot sign a token")?;
        Ok(format!("{signed}.{}", encoded(signature.as_ref())))
    }
}

/// Writes a large number of octets, highest first.
fn decimal(octets: &[u8]) -> String {
    let mut digits = vec![0_u16];
    for octet in octets {
        let mut carry = u16::from(*octet);
        for digit in &mut digits {
            let value = *digit * 256 + carry;
            (*digit, carry) = (value % 10, value / 10);
        }
        while carry > 0 {
            digits.push(carry % 10);
            carry /= 10;
        }
    }
    digits.iter().rev().map(u16::to_string).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_serial_number_is_written_in_decimal() {
        for number in [0_u64, 9, 10, 255, 256, 65_537, u64::MAX] {
            assert_eq!(decimal(&number.to_be_bytes()), number.to_string());
        }
    }
}
