//! CRLs: making them, the cost of a very long one, and serving them.

use std::time::{Duration, Instant};

use anyhow::Context;
use certgate_model::{
    AuthorityId, CrlKind, KeyAlgorithm, Revocation, RevocationReason, SerialNumber, Timestamp,
};
use certgate_pki::{CrlHead, CrlScope, Issuer, SigningKey, self_sign, sign_crl};

use super::figures::Measure;
use super::http::{CONNECTIONS, Connection, Load, Request, check_status};
use super::installation::Installation;
use super::report::Report;
use super::served::Bench;
use super::statistics::Samples;
use super::system;

/// Entries of the long list.
const ENTRIES: u32 = 1_000_000;

/// The most revocations of a full list. The server does not make a longer one.
const FULL_ENTRIES_MAX: u32 = 65_536;

/// The fewest and the most rounds of one measurement.
const ROUNDS: std::ops::RangeInclusive<usize> = 5..=200;

/// Measures reading the entries from the store, encoding and signing: of one shard, and of the full
/// list if it is short enough.
pub async fn make(
    installation: &Installation,
    report: &mut Report,
    duration: Duration,
) -> anyhow::Result<()> {
    eprintln!("make CRLs …");
    let authority = installation.newest(None).await?.0.authority.id;
    let store = installation.store(None).await?;
    let issuer = issuer()?;
    let now = system::now()?;
    for (name, kind) in [
        ("one of 128 shards", CrlKind::Shard(0)),
        ("full", CrlKind::Full),
    ] {
        let (mut whole, mut signing) = (Samples::default(), Samples::default());
        let mut entries = 0;
        let begun = Instant::now();
        while whole.len() < *ROUNDS.start()
            || begun.elapsed() < duration && whole.len() < *ROUNDS.end()
        {
            let before = Instant::now();
            let content = store
                .crl_content(authority, kind, now, FULL_ENTRIES_MAX)
                .await?;
            let revocations = content.context("the authority is unknown")?.revocations;
            let between = Instant::now();
            entries = revocations.len();
            if entries > FULL_ENTRIES_MAX as usize {
                break;
            }
            let scope = match kind {
                CrlKind::Shard(_) => CrlScope::Shard {
                    url: "http://localhost/crl/0.crl",
                },
                _ => CrlScope::Full,
            };
            sign_crl(&issuer, head(scope, now), revocations.iter().copied())?;
            whole.push(before.elapsed().as_secs_f64());
            signing.push(between.elapsed().as_secs_f64());
        }
        if whole.len() > 0 {
            let figure = report
                .median(Measure::MakeCrl, &whole)
                .ratio(signing.median());
            report.add(figure.which(name).at(entries as u64))?;
        }
    }
    store.close().await;
    Ok(())
}

/// Measures encoding and signing of a long list, without the store.
pub fn long(report: &mut Report) -> anyhow::Result<()> {
    eprintln!("a list of {ENTRIES} …");
    let now = Timestamp::from_unix(1_800_000_000);
    let issuer = issuer()?;
    let entry = |number| Revocation {
        serial: serial(number),
        revoked_on: now,
        reason: RevocationReason::CertificateHold,
    };
    let mut samples = Samples::default();
    let mut bytes = 0;
    for _ in 0..5 {
        let begun = Instant::now();
        bytes = sign_crl(&issuer, head(CrlScope::Full, now), (0..ENTRIES).map(entry))?.len();
        samples.push(begun.elapsed().as_secs_f64());
    }
    let which = format!("{:.0} MB", bytes as f64 / 1e6);
    let figure = report.figure(Measure::LongCrl, samples.median());
    report.add(figure.which(which))
}

impl Bench<'_> {
    /// Measures the rate at which the public responder serves lists.
    pub(super) async fn serve_lists(&mut self) -> anyhow::Result<()> {
        eprintln!("serve CRLs …");
        self.quiet().await?;
        let (authority, _) = self.newest(1).await?;
        let public = self.server.public_address();
        for (name, file) in [("one of 128 shards", "0.crl"), ("full", "full.crl")] {
            let request = Request::public(&format!("/crl/{authority}/{file}"));
            let (status, body) = Connection::open(public).await?.exchange(&request).await?;
            if file == "full.crl" && status == 404 {
                eprintln!(
                    "  the server does not make the full list: {}",
                    String::from_utf8_lossy(&body)
                );
                continue;
            }
            check_status(status, &body)?;
            let served = self
                .run_at(public, Load::new(CONNECTIONS, self.duration), |_| &request)
                .await?;
            let figure = self
                .report
                .rate(Measure::ServeCrl, &served)
                .ratio(self.bare_http);
            self.report.add(figure.which(name).at(body.len() as u64))?;
        }
        Ok(())
    }
}

fn issuer() -> anyhow::Result<Issuer> {
    let now = Timestamp::from_unix(1_800_000_000);
    let key = SigningKey::generate(KeyAlgorithm::P256)?;
    let id = AuthorityId::from_bytes([7; 16]);
    Ok(Issuer::new(
        &self_sign(&key, id, serial(0), now, now.plus_days(365))?,
        key,
    )?)
}

fn serial(number: u32) -> SerialNumber {
    let mut octets = [0x5a; 20];
    octets[16..].copy_from_slice(&number.to_be_bytes());
    SerialNumber::from_random(octets)
}

fn head(scope: CrlScope<'_>, now: Timestamp) -> CrlHead<'_> {
    CrlHead {
        scope,
        number: 1,
        this_update: now,
        next_update: now.plus_days(7),
    }
}
