//! The requests of the laptop, over TLS with its certificate.

use std::fmt;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::stage::WAIT_MAX;

/// The longest answer that the demo reads, in bytes.
const ANSWER_BYTES_MAX: u64 = 64 * 1024;

/// The laptop.
pub(super) struct Laptop {
    address: SocketAddr,
    hostname: &'static str,
    tls: TlsConnector,
}

/// The answer of the service or of the gateway.
pub(super) struct Answer {
    status: String,
    body: String,
}

impl Answer {
    /// Returns true for the answer of the service.
    pub fn is_hello(&self) -> bool {
        self.status == "200 OK" && self.body == "hello"
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.is_hello() {
            true => f.write_str(&self.body),
            false => write!(f, "{}: {}", self.status, self.body),
        }
    }
}

impl Laptop {
    /// Reads the files in the directory. `printed` is the line of the gateway with its address.
    pub fn new(directory: &Path, hostname: &'static str, printed: &str) -> anyhow::Result<Self> {
        let (_, address) = printed.trim().rsplit_once(' ').context("no address")?;
        let file = |name: &str| directory.join(name);
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(file("server.crt"))?)?;
        let own = CertificateDer::from_pem_file(file("laptop.crt"))?;
        let key = PrivateKeyDer::from_pem_file(file("laptop.key"))?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_client_auth_cert(vec![own], key)?;
        Ok(Self {
            address: address.parse().context("the gateway prints no address")?,
            hostname,
            tls: TlsConnector::from(Arc::new(config)),
        })
    }

    /// The same request as a command.
    pub fn as_curl(&self) -> String {
        let (hostname, port) = (self.hostname, self.address.port());
        format!(
            "curl --cacert server.crt --cert laptop.crt --key laptop.key \\\n       --resolve \
             {hostname}:{port}:127.0.0.1 https://{hostname}:{port}/"
        )
    }

    /// Sends a request on a new connection.
    pub async fn ask(&self) -> anyhow::Result<Answer> {
        timeout(WAIT_MAX, self.exchange()).await?
    }

    async fn exchange(&self) -> anyhow::Result<Answer> {
        let stream = TcpStream::connect(self.address).await?;
        let name = ServerName::try_from(self.hostname)?;
        let mut stream = self.tls.connect(name, stream).await?;
        let head = format!(
            "GET / HTTP/1.1\r\nhost: {}:{}\r\nconnection: close\r\n\r\n",
            self.hostname,
            self.address.port()
        );
        stream.write_all(head.as_bytes()).await?;
        let mut answer = String::new();
        stream
            .take(ANSWER_BYTES_MAX)
            .read_to_string(&mut answer)
            .await?;
        let (head, body) = answer.split_once("\r\n\r\n").context("a cut answer")?;
        let status = head.lines().next().unwrap_or_default();
        let (_, status) = status.split_once(' ').unwrap_or_default();
        Ok(Answer {
            status: status.to_owned(),
            body: body.trim().to_owned(),
        })
    }
}
