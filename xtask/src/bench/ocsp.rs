//! OCSP: answers that are signed for each question, and repeated answers.

use anyhow::Context;
use certgate_model::{SerialNumber, read_hex};
use certgate_pki::write_ocsp_request;

use super::crypto;
use super::figures::Measure;
use super::http::{CONNECTIONS, Connection, Load, Request, check_status};
use super::inputs::scatter;
use super::served::Bench;

/// Certificates in the questions. The server caches answers for this many.
const ASKED: u64 = 15_000;

impl Bench<'_> {
    /// Asks once about each of some certificates that the server issued, and then repeatedly.
    pub(super) async fn ocsp(&mut self) -> anyhow::Result<()> {
        eprintln!("OCSP …");
        self.prepare(ASKED).await?;
        let (authority, serials) = self.newest(ASKED / 1000).await?;
        let der = self.authority_certificate(&authority).await?;
        let request =
            |serial: &SerialNumber| Ok(Request::ocsp(&write_ocsp_request(&der, &[*serial], None)?));
        let requests: Vec<_> = serials.iter().map(request).collect::<anyhow::Result<_>>()?;
        let count = requests.len() as u64;
        let public = self.server.public_address();
        let mut bare = crypto::sign_per_second(self.duration / 4);
        let once = Load::new(CONNECTIONS, self.duration).at_most(count);
        let signed = self
            .run_at(public, once, |round| &requests[(round % count) as usize])
            .await?;
        bare = f64::midpoint(bare, crypto::sign_per_second(self.duration / 4));
        let again = Load::new(CONNECTIONS, self.duration);
        let kept = self
            .run_at(public, again, |round| {
                &requests[(scatter(round) % count) as usize]
            })
            .await?;
        let report = &mut self.report;
        report.add(report.figure(Measure::Signatures, bare))?;
        let figure = report.rate(Measure::Ocsp, &signed).ratio(bare);
        report.add(figure.which("signed for each"))?;
        let figure = report.rate(Measure::Ocsp, &kept).ratio(bare);
        report.add(figure.which("asked again"))
    }

    /// Returns the ID of the CA, and the serial numbers of the newest certificates, 1,000 per page.
    pub(super) async fn newest(&self, pages: u64) -> anyhow::Result<(String, Vec<SerialNumber>)> {
        let mut connection = Connection::open(self.server.address()).await?;
        let (mut serials, mut authority) = (Vec::new(), None);
        for page in 1..=pages {
            let path = format!("client_certificates?status=all&limit=1000&page={page}");
            let answer = connection
                .json(&Request::get(&self.installation, &path))
                .await?;
            for item in answer["result"].as_array().context("no result")? {
                let text = item["serial_number"].as_str().context("no serial number")?;
                let octets = read_hex(text).with_context(|| format!("a serial number {text:?}"))?;
                serials.push(SerialNumber::from_bytes(octets));
                authority.get_or_insert(
                    item["certificate_authority"]["id"]
                        .as_str()
                        .map(str::to_owned),
                );
            }
        }
        Ok((authority.flatten().context("no authority")?, serials))
    }

    async fn authority_certificate(&self, authority: &str) -> anyhow::Result<Vec<u8>> {
        let mut connection = Connection::open(self.server.public_address()).await?;
        let (status, der) = connection
            .exchange(&Request::public(&format!("/ca/{authority}.crt")))
            .await?;
        check_status(status, &der)?;
        Ok(der)
    }
}
