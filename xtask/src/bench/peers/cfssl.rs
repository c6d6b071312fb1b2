//! CFSSL as a remote signer. Without a database it stores nothing, and has no list and no CRL.

use std::fs;
use std::process::Command;

use serde_json::json;

use super::peer::Peer;
use super::programs::{Places, Program};
use crate::bench::http::Request;

pub async fn start(places: &Places) -> anyhow::Result<Peer> {
    let endpoint = places.endpoint()?;
    let config = places.directory.join("cfssl.json");
    let profile = json!({ "expiry": "8760h", "usages": ["digital signature", "client auth"] });
    let settings = json!({ "signing": { "default": profile } });
    fs::write(&config, settings.to_string())?;
    let process = places
        .start(
            Command::new(&places.binaries.cfssl)
                .args(["serve", "-loglevel", "3", "-address", "127.0.0.1", "-port"])
                .arg(endpoint.address.port().to_string())
                .args(["-ca", &places.file("intermediate.crt")])
                .args(["-ca-key", &places.file("intermediate.key")])
                .args(["-tls-cert", &places.file("tls.crt")])
                .args(["-tls-key", &places.file("tls.key")])
                .arg("-config")
                .arg(&config),
            &endpoint,
        )
        .await?;
    let csrs = places.csrs.clone();
    let request = move |number: usize| {
        let body = json!({ "certificate_request": csrs[number % csrs.len()] }).to_string();
        Ok(Request::json("POST", "/api/v1/cfssl/sign", "", &body))
    };
    let certificate = "/result/certificate";
    let mut peer = Peer::new(Program::Cfssl, process, endpoint, certificate, request);
    peer.data = places.data("cfssl")?;
    Ok(peer)
}
