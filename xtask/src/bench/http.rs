//! An HTTP/1.1 client that works as little as possible, because it shares the processors with the
//! server.

use std::borrow::Borrow;
use std::cell::Cell;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

use super::installation::Installation;
use super::statistics::Samples;

/// Connections of the client while it measures throughput.
pub const CONNECTIONS: usize = 64;

/// The status of an answer without content.
const NO_CONTENT: u16 = 204;

/// The bytes of a request.
pub struct Request(Vec<u8>);

impl Request {
    pub fn get(installation: &Installation, path: &str) -> Self {
        Self::new("GET", installation, path, "")
    }

    pub fn delete(installation: &Installation, path: &str) -> Self {
        Self::new("DELETE", installation, path, "")
    }

    /// Returns a request to issue a certificate.
    pub fn issue(installation: &Installation, csr: &str) -> Self {
        let body = json!({ "csr": csr, "validity_days": 365 }).to_string();
        Self::new("POST", installation, "client_certificates", &body)
    }

    /// Returns a request to the public responder.
    pub fn public(path: &str) -> Self {
        Self(format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n").into_bytes())
    }

    /// Returns a request to the OCSP responder.
    pub fn ocsp(der: &[u8]) -> Self {
        let head = format!(
            "POST /ocsp HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/ocsp-request\r\n\
             content-length: {}\r\n\r\n",
            der.len()
        );
        Self([head.as_bytes(), der].concat())
    }

    /// Returns the request as text; its body must be text.
    pub fn into_text(self) -> anyhow::Result<String> {
        Ok(String::from_utf8(self.0)?)
    }

    fn new(method: &str, installation: &Installation, path: &str, body: &str) -> Self {
        let path = format!("/client/v4/zones/{}/{path}", installation.zone_id);
        Self::of(installation, method, &path, body)
    }

    /// Returns a request with any path.
    pub fn of(installation: &Installation, method: &str, path: &str, body: &str) -> Self {
        let authorization = format!("authorization: Bearer {}\r\n", installation.token);
        Self::json(method, path, &authorization, body)
    }

    /// Returns a request with JSON. Each of the `headers` ends with CR and LF.
    pub fn json(method: &str, path: &str, headers: &str, body: &str) -> Self {
        let length = body.len();
        Self(
            format!(
                "{method} {path} HTTP/1.1\r\nhost: localhost\r\n{headers}\
                 content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
            )
            .into_bytes(),
        )
    }
}

/// The address of a server, and the TLS that it needs.
#[derive(Clone)]
pub struct Endpoint {
    pub address: SocketAddr,
    pub tls: Option<TlsConnector>,
}

impl From<SocketAddr> for Endpoint {
    fn from(address: SocketAddr) -> Self {
        let tls = None;
        Self { address, tls }
    }
}

trait Stream: AsyncRead + AsyncWrite + Unpin {}
impl<S: AsyncRead + AsyncWrite + Unpin> Stream for S {}

pub struct Connection {
    stream: Box<dyn Stream>,
    buffer: Vec<u8>,
}

impl Connection {
    pub async fn open(endpoint: impl Into<Endpoint>) -> anyhow::Result<Self> {
        let Endpoint { address, tls } = endpoint.into();
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let stream: Box<dyn Stream> = match tls {
            None => Box::new(stream),
            Some(tls) => {
                let name = ServerName::IpAddress(address.ip().into());
                Box::new(tls.connect(name, stream).await?)
            }
        };
        Ok(Self {
            stream,
            buffer: Vec::with_capacity(1 << 20),
        })
    }

    /// Sends a request and reads the answer. Returns the seconds between.
    pub async fn timed(&mut self, request: &Request) -> anyhow::Result<f64> {
        let begun = Instant::now();
        let (status, length) = self.receive(request).await?;
        check_status(status, &self.buffer[self.buffer.len() - length..])?;
        Ok(begun.elapsed().as_secs_f64())
    }

    /// Sends a request. Returns the status and the body of the answer.
    pub async fn exchange(&mut self, request: &Request) -> anyhow::Result<(u16, Vec<u8>)> {
        let (status, length) = self.receive(request).await?;
        Ok((status, self.buffer[self.buffer.len() - length..].to_vec()))
    }

    /// Sends a request. Returns the JSON of the answer, which must be a success.
    pub async fn json(&mut self, request: &Request) -> anyhow::Result<Value> {
        let (status, body) = self.exchange(request).await?;
        check_status(status, &body)?;
        serde_json::from_slice(&body).context("not JSON")
    }

    async fn receive(&mut self, request: &Request) -> anyhow::Result<(u16, usize)> {
        self.stream.write_all(&request.0).await?;
        // TLS may still hold a part.
        self.stream.flush().await?;
        self.buffer.clear();
        let head_length = loop {
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                bail!("the server closed the connection");
            }
            if let Some(at) = self
                .buffer
                .windows(4)
                .position(|window| window == b"\r\n\r\n")
            {
                break at + 4;
            }
        };
        let head = std::str::from_utf8(&self.buffer[..head_length])?;
        let status = head.split(' ').nth(1).context("no status")?.parse()?;
        let length = head.lines().find_map(|line| {
            let (name, length) = line.split_once(": ")?;
            name.eq_ignore_ascii_case("content-length")
                .then_some(length)
        });
        // RFC 9110 §15.3.5: no content, and no length.
        let length = length.or_else(|| (status == NO_CONTENT).then_some("0"));
        let Some(length) = length else {
            return Ok((status, self.receive_chunks(head_length).await?));
        };
        let length: usize = length.parse()?;
        while self.buffer.len() < head_length + length {
            self.receive_more().await?;
        }
        Ok((status, length))
    }

    async fn receive_more(&mut self) -> anyhow::Result<()> {
        if self.stream.read_buf(&mut self.buffer).await? == 0 {
            bail!("the server closed the connection");
        }
        Ok(())
    }

    /// Reads a body in chunks (RFC 9112 §7.1), and leaves the content alone at the end of the
    /// buffer. Returns its length.
    async fn receive_chunks(&mut self, begin: usize) -> anyhow::Result<usize> {
        let (mut at, mut content) = (begin, Vec::new());
        loop {
            let line_end = loop {
                let line = &self.buffer[at..];
                match line.windows(2).position(|window| window == b"\r\n") {
                    Some(length) => break at + length,
                    None => self.receive_more().await?,
                }
            };
            let size = std::str::from_utf8(&self.buffer[at..line_end])?;
            let size = usize::from_str_radix(size, 16).context("no size of a chunk")?;
            let chunk = line_end + 2;
            while self.buffer.len() < chunk + size + 2 {
                self.receive_more().await?;
            }
            content.extend_from_slice(&self.buffer[chunk..chunk + size]);
            at = chunk + size + 2;
            if size == 0 {
                break;
            }
        }
        self.buffer.extend_from_slice(&content);
        Ok(content.len())
    }
}

/// Requests on many connections at once. Each connection sends the next request after an answer.
pub struct Load {
    connections: usize,
    duration: Duration,
    requests_max: u64,
}

pub struct Measured {
    pub per_second: f64,
    pub latency: Samples,
    /// Processor time of the server meanwhile.
    pub processor_seconds: Option<f64>,
    /// Processor time of the database's server meanwhile.
    pub database_seconds: Option<f64>,
}

impl Load {
    pub fn new(connections: usize, duration: Duration) -> Self {
        Self {
            connections,
            duration,
            requests_max: u64::MAX,
        }
    }

    pub fn at_most(self, requests_max: u64) -> Self {
        Self {
            requests_max,
            ..self
        }
    }

    /// Sends requests until the time is over. `request` makes the request of each number.
    ///
    /// Fails at the first answer that is not a success.
    pub async fn run<R: Borrow<Request>>(
        self,
        endpoint: impl Into<Endpoint>,
        request: impl Fn(u64) -> R,
    ) -> anyhow::Result<Measured> {
        let endpoint = endpoint.into();
        let mut connections = Vec::new();
        for _ in 0..self.connections {
            connections.push(Connection::open(endpoint.clone()).await?);
        }
        let numbers = Cell::new(0);
        let begun = Instant::now();
        let work = connections.into_iter().map(|mut connection| {
            let (numbers, request) = (&numbers, &request);
            async move {
                let mut latency = Samples::default();
                while begun.elapsed() < self.duration && numbers.get() < self.requests_max {
                    let request = request(numbers.replace(numbers.get() + 1));
                    latency.push(connection.timed(request.borrow()).await?);
                }
                Ok::<_, anyhow::Error>(latency)
            }
        });
        let all = futures_util::future::join_all(work).await;
        let seconds = begun.elapsed().as_secs_f64();
        let mut latency = Samples::default();
        for one in all {
            latency.extend(&one?);
        }
        let per_second = latency.len() as f64 / seconds;
        Ok(Measured {
            per_second,
            latency,
            processor_seconds: None,
            database_seconds: None,
        })
    }
}

/// Fails with the beginning of the body if the answer is not a success.
pub fn check_status(status: u16, body: &[u8]) -> anyhow::Result<()> {
    if !(200..300).contains(&status) {
        bail!(
            "answer {status}: {}",
            String::from_utf8_lossy(&body[..body.len().min(300)])
        );
    }
    Ok(())
}
