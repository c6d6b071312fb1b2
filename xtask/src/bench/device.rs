//! Devices that authenticate with their certificates and renew them by EST (RFC 7030).

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use certgate_model::{KeyAlgorithm, SubjectFields};
use certgate_pki::{ClientKey, read_certs_only, write_base64};
use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::http::{Connection, Request};
use super::installation::Installation;

/// The zone that `certgate init` makes.
const ZONE: &str = "example.com";

/// Connections at the same time that issue the first certificates.
const CONNECTIONS: usize = 64;

/// A device with its certificate (DER), ready to connect.
pub struct Device {
    pub certificate: CertificateDer<'static>,
    configuration: Arc<ClientConfig>,
}

/// The result of a request.
pub enum Answer {
    /// The next certificate.
    Renewed(CertificateDer<'static>),
    /// The server asks for the same request after this time.
    Later(Duration),
}

impl Device {
    fn new(key: &ClientKey, certificate: CertificateDer<'static>) -> anyhow::Result<Self> {
        let own = PrivateKeyDer::Pkcs8(key.to_pkcs8_der().to_vec().into());
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut configuration = ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AnyServer(provider)))
            .with_client_auth_cert(vec![certificate.clone()], own)?;
        // A device connects once in hours: it has no ticket.
        configuration.resumption = Resumption::disabled();
        Ok(Self {
            certificate,
            configuration: Arc::new(configuration),
        })
    }

    /// Connects as this device.
    pub async fn connect(&self, address: SocketAddr) -> anyhow::Result<TlsStream<TcpStream>> {
        let socket = TcpStream::connect(address).await?;
        socket.set_nodelay(true)?;
        let connector = TlsConnector::from(self.configuration.clone());
        let name = ServerName::IpAddress(address.ip().into());
        Ok(connector.connect(name, socket).await?)
    }

    /// Connects, and returns when the server has accepted this device and has closed too.
    pub async fn shake_hands(&self, address: SocketAddr) -> anyhow::Result<()> {
        let mut stream = self.connect(address).await?;
        stream.shutdown().await?;
        let read = stream.read_to_end(&mut Vec::new()).await?;
        ensure!(read == 0, "the server answers without a request");
        Ok(())
    }

    /// Makes the request for the next certificate, with a new key.
    pub fn renewal(&self) -> anyhow::Result<Renewal> {
        let key = ClientKey::generate(KeyAlgorithm::P256)?;
        let body = write_base64(&key.renewal_request(&self.certificate)?);
        let length = body.len();
        let request = format!(
            "POST /.well-known/est/{ZONE}/simplereenroll HTTP/1.1\r\nhost: localhost\r\n\
             content-type: application/pkcs10\r\nconnection: close\r\n\
             content-length: {length}\r\n\r\n{body}"
        );
        Ok(Renewal { key, request })
    }

    /// Renews the certificate over a connection of its own.
    pub async fn renew(&self, address: SocketAddr, renewal: &Renewal) -> anyhow::Result<Answer> {
        let mut stream = self.connect(address).await?;
        stream.write_all(renewal.request.as_bytes()).await?;
        let mut answer = Vec::with_capacity(4 << 10);
        stream.read_to_end(&mut answer).await?;
        let text = std::str::from_utf8(&answer)?;
        let (head, body) = text.split_once("\r\n\r\n").context("no answer")?;
        let status = head.split(' ').nth(1).context("no status")?;
        let retry = head
            .lines()
            .find_map(|line| line.strip_prefix("retry-after: "));
        match (status, retry) {
            ("200", _) => {}
            ("202" | "503", Some(seconds)) => {
                return Ok(Answer::Later(Duration::from_secs(seconds.parse()?)));
            }
            _ => bail!("answer {status}: {body}"),
        }
        let read = read_certs_only(body.as_bytes()).map_err(anyhow::Error::msg)?;
        let certificate = read.into_iter().next().context("no certificate")?;
        Ok(Answer::Renewed(certificate.into()))
    }
}

/// A request for the next certificate.
pub struct Renewal {
    key: ClientKey,
    request: String,
}

impl Renewal {
    /// Returns the device with its next certificate.
    pub fn device(&self, certificate: CertificateDer<'static>) -> anyhow::Result<Device> {
        Device::new(&self.key, certificate)
    }
}

/// Issues certificates of a day to new devices, by the management API.
pub async fn devices(
    installation: &Installation,
    address: SocketAddr,
    count: usize,
) -> anyhow::Result<Vec<Device>> {
    let path = format!(
        "/client/v4/zones/{}/client_certificates",
        installation.zone_id
    );
    let own = |first: usize| {
        let path = &path;
        async move {
            let mut connection = Connection::open(address).await?;
            let mut made = Vec::new();
            for number in (first..count).step_by(CONNECTIONS) {
                let key = ClientKey::generate(KeyAlgorithm::P256)?;
                let csr = key.request(&SubjectFields {
                    common_name: format!("device-{number}"),
                    ..SubjectFields::default()
                })?;
                let body = json!({ "csr": csr, "validity_days": 1 }).to_string();
                let request = Request::of(installation, "POST", path, &body);
                let issued = connection.json(&request).await?;
                let pem = issued["result"]["certificate"].as_str();
                let pem = pem.context("no certificate")?.as_bytes();
                made.push(Device::new(&key, CertificateDer::from_pem_slice(pem)?)?);
            }
            anyhow::Ok(made)
        }
    };
    let all = futures_util::future::join_all((0..CONNECTIONS).map(own)).await;
    let all = all.into_iter().collect::<anyhow::Result<Vec<_>>>()?;
    Ok(all.into_iter().flatten().collect())
}

/// Accepts every server, so that the client takes little of the time that it shares with the server.
#[derive(Debug)]
struct AnyServer(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyServer {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
