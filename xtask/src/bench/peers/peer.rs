//! A running program, and the requests that it understands.

use std::cell::Cell;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, ensure};
use base64ct::{Base64, Encoding as _};
use serde_json::Value;

use super::programs::Program;
use crate::bench::http::{Endpoint, Load, Measured, Request};
use crate::bench::server::Process;

/// Certificates per second that requests are made for before the first measurement.
const FIRST_RATE: f64 = 4_000.0;

/// A running program.
pub struct Peer {
    pub program: Program,
    pub process: Process,
    pub endpoint: Endpoint,
    /// The directory of the stored certificates.
    pub data: PathBuf,
    /// Makes the request of each number, which is sent once.
    pub request: Box<dyn Fn(usize) -> anyhow::Result<Request>>,
    /// The place of the PEM in the answer (RFC 6901).
    pub certificate: &'static str,
    pub listing: Option<Listing>,
    pub revocation: Option<Revocation>,
    /// Certificates that the measurements have issued.
    pub issued: u64,
    pub numbers: Cell<usize>,
    pub rate: f64,
}

/// The way to all certificates.
pub enum Listing {
    /// Pages with the certificates.
    Pages(Box<dyn Fn(u64) -> Request>),
    /// Serial numbers, and a request for each certificate.
    Serials {
        list: Request,
        get: Box<dyn Fn(&str) -> Request>,
    },
}

/// Makes the request that revokes the certificate of an answer, whose serial number is a DER
/// INTEGER.
type Revoke = dyn Fn(&Value, &[u8]) -> anyhow::Result<Request>;

/// The way to revoke, and the CRL.
pub struct Revocation {
    pub revoke: Box<Revoke>,
    pub lists: Endpoint,
    pub list: Request,
}

impl Peer {
    pub fn new(
        program: Program,
        process: Process,
        endpoint: Endpoint,
        certificate: &'static str,
        request: impl Fn(usize) -> anyhow::Result<Request> + 'static,
    ) -> Self {
        Self {
            program,
            process,
            endpoint,
            data: PathBuf::new(),
            request: Box::new(request),
            certificate,
            listing: None,
            revocation: None,
            issued: 0,
            numbers: Cell::new(0),
            rate: FIRST_RATE,
        }
    }

    /// Returns the next request for a certificate.
    pub fn issue(&self) -> anyhow::Result<Request> {
        let number = self.numbers.replace(self.numbers.get() + 1);
        (self.request)(number)
    }

    /// Returns a number of requests that is probably enough for a measurement.
    pub fn most(&self, seconds: u64) -> usize {
        (self.rate * 1.5) as usize * seconds as usize + 1_000
    }

    /// Issues certificates for some time, at most so many. The requests are made before, because
    /// the client shares the processors with the server.
    pub async fn load(
        &mut self,
        clients: usize,
        duration: Duration,
        most: usize,
    ) -> anyhow::Result<Measured> {
        let requests: Vec<Request> = (0..most).map(|_| self.issue()).collect::<Result<_, _>>()?;
        let before = self.process.processor_seconds()?;
        let load = Load::new(clients, duration).at_most(most as u64);
        let request = |number: u64| &requests[number as usize];
        let measured = load.run(self.endpoint.clone(), request).await;
        let measured = measured.with_context(|| self.program.name())?;
        let processor_seconds = Some(self.process.processor_seconds()? - before);
        self.issued += measured.latency.len() as u64;
        self.rate = self.rate.max(measured.per_second);
        Ok(Measured {
            processor_seconds,
            ..measured
        })
    }

    /// Returns the serial number in an answer, as a DER INTEGER.
    pub fn serial(&self, answer: &Value) -> anyhow::Result<Vec<u8>> {
        let pem = answer.pointer(self.certificate).and_then(Value::as_str);
        let pem = pem.context("no certificate in the answer")?;
        let lines = pem.lines().skip(1);
        let text: String = lines.take_while(|line| !line.starts_with('-')).collect();
        let der = Base64::decode_vec(&text).map_err(|error| anyhow::anyhow!("{error}"))?;
        serial(&der).context("not a certificate")
    }
}

/// Returns the first INTEGER after the version (RFC 5280 §4.1).
fn serial(der: &[u8]) -> Option<Vec<u8>> {
    const VERSION_3: [u8; 5] = [0xa0, 3, 2, 1, 2];
    let at = der
        .windows(VERSION_3.len())
        .position(|part| part == VERSION_3)?
        + VERSION_3.len();
    let [2, length, ..] = der[at..] else {
        return None;
    };
    Some(der.get(at..at + 2 + usize::from(length))?.to_vec())
}

/// Fails unless the text of JSON is there.
pub fn text<'a>(answer: &'a Value, pointer: &str) -> anyhow::Result<&'a str> {
    let text = answer.pointer(pointer).and_then(Value::as_str);
    ensure!(text.is_some(), "no {pointer} in {answer}");
    Ok(text.unwrap_or_default())
}
