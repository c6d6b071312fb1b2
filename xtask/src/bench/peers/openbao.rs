//! OpenBao with its own storage (Raft, one node) and its PKI secrets engine. No audit device.

use std::fs;
use std::process::Command;

use anyhow::Context;
use serde_json::{Value, json};

use super::peer::{Listing, Peer, Revocation, text};
use super::programs::{Places, Program};
use crate::bench::http::{Connection, Request};

pub async fn start(places: &Places) -> anyhow::Result<Peer> {
    let (data, endpoint) = (places.data("openbao")?, places.endpoint()?);
    let (address, cluster) = (endpoint.address, places.endpoint()?.address);
    let config = places.directory.join("openbao.json");
    let settings = json!({
        "storage": { "raft": { "path": data, "node_id": "one" } },
        "listener": { "tcp": {
            "address": address,
            "cluster_address": cluster,
            "tls_cert_file": places.file("tls.crt"),
            "tls_key_file": places.file("tls.key"),
        } },
        "api_addr": format!("https://{address}"),
        "cluster_addr": format!("https://{cluster}"),
        "log_level": "warn",
    });
    fs::write(&config, settings.to_string())?;
    let mut server = Command::new(&places.binaries.openbao);
    server.arg("server").arg("-config").arg(&config);
    let process = places.start(&mut server, &endpoint).await?;

    let mut connection = Connection::open(endpoint.clone()).await?;
    let init = json!({ "secret_shares": 1, "secret_threshold": 1 });
    let init = Request::json("PUT", "/v1/sys/init", "", &init.to_string());
    let made = connection.json(&init).await?;
    let token = format!("x-vault-token: {}\r\n", text(&made, "/root_token")?);
    let key = json!({ "key": text(&made, "/keys_base64/0")? }).to_string();
    connection
        .json(&Request::json("PUT", "/v1/sys/unseal", "", &key))
        .await?;
    let health = Request::json("GET", "/v1/sys/health", "", "");
    // 503 until the node is the leader.
    while connection.exchange(&health).await?.0 != 200 {}
    let year = "8760h";
    for (path, body) in [
        (
            "sys/mounts/pki",
            json!({ "type": "pki", "config": { "max_lease_ttl": "87600h" } }),
        ),
        (
            "pki/root/generate/internal",
            json!({
                "common_name": "bench", "key_type": "ec", "key_bits": 256, "ttl": "87600h"
            }),
        ),
        (
            "pki/roles/client",
            json!({
                "allow_any_name": true, "enforce_hostnames": false, "key_type": "ec", "key_bits": 256,
                "client_flag": true, "server_flag": false, "max_ttl": year
            }),
        ),
    ] {
        let request = Request::json("POST", &format!("/v1/{path}"), &token, &body.to_string());
        connection.timed(&request).await.with_context(|| path)?;
    }

    let (csrs, headers) = (places.csrs.clone(), token.clone());
    let request = move |number: usize| {
        let body = json!({ "csr": csrs[number % csrs.len()], "ttl": year }).to_string();
        Ok(Request::json(
            "POST",
            "/v1/pki/sign/client",
            &headers,
            &body,
        ))
    };
    let certificate = "/data/certificate";
    let mut peer = Peer::new(
        Program::OpenBao,
        process,
        endpoint.clone(),
        certificate,
        request,
    );
    let headers = token.clone();
    peer.listing = Some(Listing::Serials {
        list: Request::json("GET", "/v1/pki/certs?list=true", &token, ""),
        get: Box::new(move |serial| {
            Request::json("GET", &format!("/v1/pki/cert/{serial}"), &headers, "")
        }),
    });
    peer.revocation = Some(Revocation {
        revoke: Box::new(move |answer: &Value, _: &[u8]| {
            let serial = text(answer, "/data/serial_number")?;
            let body = json!({ "serial_number": serial }).to_string();
            Ok(Request::json("POST", "/v1/pki/revoke", &token, &body))
        }),
        lists: endpoint,
        list: Request::json("GET", "/v1/pki/crl", "", ""),
    });
    peer.data = data;
    Ok(peer)
}
