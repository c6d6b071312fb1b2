//! certgate, with its embedded database.

use serde_json::Value;

use super::peer::{Listing, Peer, Revocation, text};
use super::programs::{Places, Program};
use crate::bench::http::{Connection, Request};
use crate::bench::installation::{Installation, command};

/// The longest page.
const PAGE: u64 = 1_000;

pub async fn start(places: &Places) -> anyhow::Result<Peer> {
    let data = places.directory.join("certgate");
    let binary = &places.binaries.certgate;
    let installation = Installation::open_or_make(binary, &data, None)?;
    let (endpoint, public) = (places.endpoint()?, places.endpoint()?.address);
    let process = places
        .start(
            command(binary, "serve", &data, None)
                .args(["--listen", &endpoint.address.to_string()])
                .args(["--public-listen", &public.to_string()])
                .args(["--tls-certificate", &places.file("tls.crt")])
                .args(["--tls-key", &places.file("tls.key")])
                .args(["--log", "warn"]),
            &endpoint,
        )
        .await?;
    let (csrs, issues) = (places.csrs.clone(), installation.clone());
    let request = move |number: usize| Ok(Request::issue(&issues, &csrs[number % csrs.len()]));
    let mut peer = Peer::new(
        Program::Certgate,
        process,
        endpoint.clone(),
        "/result/certificate",
        request,
    );
    let first = Connection::open(endpoint)
        .await?
        .json(&peer.issue()?)
        .await?;
    let authority = text(&first, "/result/certificate_authority/id")?;
    let list = Request::public(&format!("/crl/{authority}/full.crl"));
    let pages = installation.clone();
    peer.listing = Some(Listing::Pages(Box::new(move |page| {
        let path = format!("client_certificates?status=all&limit={PAGE}&page={page}");
        Request::get(&pages, &path)
    })));
    peer.revocation = Some(Revocation {
        revoke: Box::new(move |answer: &Value, _: &[u8]| {
            let id = text(answer, "/result/id")?;
            let path = format!("client_certificates/{id}");
            Ok(Request::delete(&installation, &path))
        }),
        lists: public.into(),
        list,
    });
    peer.data = data;
    Ok(peer)
}
