//! Revocation: how soon it is published, how many questions about it are answered, what a long list costs.

use std::time::Instant;

use anyhow::{Context, ensure};
use certgate_model::{AuthorityId, KeyAlgorithm, RevocationReason, SerialNumber, Timestamp};
use certgate_pki::{
    AuthorityKey, CrlEntry, CrlHead, CrlScope, Issuer, self_sign, sign_crl, write_ocsp_request,
};

use super::http::{Connection, Load, Request};
use super::statistics::Samples;
use super::{Bench, CONNECTIONS, ISSUE_CONNECTIONS, csrs, milliseconds, per_second, scatter};

/// Certificates to ask about: more than the server keeps answers for would measure the forgetting.
const ASKED: u64 = 15_000;

/// Revocations whose way to `revoked` is timed, one after the other.
const SETTLED: usize = 100;

/// Entries of the long list.
const ENTRIES: u32 = 1_000_000;

impl Bench {
    /// From the DELETE to the first GET that says `revoked`, one at a time.
    pub(super) async fn settle(&mut self) -> anyhow::Result<()> {
        eprintln!("settle …");
        self.prepare(SETTLED as u64).await?;
        let active = self.installation.active_ids(self.server.address(), SETTLED).await?;
        let mut connection = Connection::open(self.server.address()).await?;
        let mut samples = Samples::default();
        for id in active.iter().take(SETTLED) {
            let path = format!("client_certificates/{id}");
            let (revoke, get) =
                (Request::delete(&self.installation, &path), Request::get(&self.installation, &path));
            let begun = Instant::now();
            connection.exchange(&revoke).await?;
            loop {
                let (_, body) = connection.exchange(&get).await?;
                if super::json(&body)?["result"]["status"] == "revoked" {
                    break;
                }
            }
            samples.push(begun.elapsed().as_secs_f64());
        }
        let notes = format!("99 % {}", milliseconds(samples.percentile(99)));
        self.table.row("revoked, from DELETE to published", &milliseconds(samples.median()), &notes);
        Ok(())
    }

    /// OCSP about certificates that the server issued: each once, then some of them again and again.
    pub(super) async fn ocsp(&mut self) -> anyhow::Result<()> {
        eprintln!("OCSP …");
        self.prepare(ASKED).await?;
        let (authority, serials) = self.newest().await?;
        let requests: Vec<_> = serials
            .iter()
            .map(|serial| Ok(Request::ocsp(&write_ocsp_request(&authority, &[*serial], None)?)))
            .collect::<anyhow::Result<_>>()?;
        let count = requests.len() as u64;
        let public = self.server.public_address();
        let once = Load::new(CONNECTIONS, self.duration).at_most(count);
        let signed = self.run_at(public, once, |round| &requests[(round % count) as usize]).await?;
        let again = Load::new(CONNECTIONS, self.duration);
        let kept = self.run_at(public, again, |round| &requests[(scatter(round) % count) as usize]).await?;
        self.table.row("OCSP, signed for each", &per_second(signed.per_second), &signed.notes());
        self.table.row("OCSP, asked again", &per_second(kept.per_second), &kept.notes());
        Ok(())
    }

    /// Issues certificates, so many at most, that others are about.
    async fn prepare(&mut self, count: u64) -> anyhow::Result<()> {
        let csr = csrs(1)?.swap_remove(0);
        let body = serde_json::json!({ "csr": csr, "validity_days": 365 }).to_string();
        let issue = Request::post(&self.installation, "client_certificates", &body);
        self.run(Load::new(ISSUE_CONNECTIONS, self.duration).at_most(count), |_| &issue).await?;
        Ok(())
    }

    /// The authority's certificate, and the serial numbers of the certificates issued last.
    async fn newest(&self) -> anyhow::Result<(Vec<u8>, Vec<SerialNumber>)> {
        let mut connection = Connection::open(self.server.address()).await?;
        let (mut serials, mut authority) = (Vec::new(), None);
        for page in 1..=ASKED / 1000 {
            let path = format!("client_certificates?limit=1000&page={page}");
            let (_, body) = connection.exchange(&Request::get(&self.installation, &path)).await?;
            let answer = super::json(&body)?;
            for item in answer["result"].as_array().context("no result")? {
                let text = item["serial_number"].as_str().context("no serial number")?;
                ensure!(text.len() == 40, "a serial number of {} digits", text.len());
                let mut octets = [0; 20];
                for (octet, at) in octets.iter_mut().zip((0..40).step_by(2)) {
                    *octet = u8::from_str_radix(&text[at..at + 2], 16)?;
                }
                serials.push(SerialNumber::from_bytes(octets));
                authority.get_or_insert(item["certificate_authority"]["id"].as_str().map(str::to_owned));
            }
        }
        let authority = authority.flatten().context("no authority")?;
        let mut connection = Connection::open(self.server.public_address()).await?;
        let (status, der) = connection.exchange(&Request::public(&format!("/ca/{authority}.crt"))).await?;
        super::check_status(status, &der)?;
        Ok((der, serials))
    }

    /// What the encoding and signing of a long list costs, without the store.
    pub(super) fn long_list(&mut self) -> anyhow::Result<()> {
        eprintln!("a list of {ENTRIES} …");
        let now = Timestamp::from_unix(1_800_000_000);
        let key = AuthorityKey::generate(KeyAlgorithm::P256)?;
        let serial = |number: u32| {
            let mut octets = [0x5a; 20];
            octets[16..].copy_from_slice(&number.to_be_bytes());
            SerialNumber::from_random(octets)
        };
        let id = AuthorityId::from_bytes([7; 16]);
        let issuer = Issuer::new(&self_sign(&key, id, serial(0), now, now.plus_days(365))?, key)?;
        let entry = |number| CrlEntry {
            serial: serial(number),
            revoked_on: now,
            reason: RevocationReason::CertificateHold,
        };
        let head =
            CrlHead { scope: CrlScope::Full, number: 1, this_update: now, next_update: now.plus_days(7) };
        let mut samples = Samples::default();
        let mut bytes = 0;
        for _ in 0..5 {
            let begun = Instant::now();
            bytes = sign_crl(&issuer, head, (0..ENTRIES).map(entry))?.len();
            samples.push(begun.elapsed().as_secs_f64());
        }
        let notes = format!("{:.0} MB", bytes as f64 / 1e6);
        self.table.row("a list of a million, built and signed", &milliseconds(samples.median()), &notes);
        Ok(())
    }
}
