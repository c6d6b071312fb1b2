//! TLS of a host: its certificate, its policy, and its own ticket keys.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, ServerConfig,
    SignatureScheme,
};
use zeroize::Zeroizing;

use super::config::{Mode, Policy};
use super::signature::{PresentedKey, SCHEMES, Version};

/// The longest file of a certificate chain or a key of the gateway, in octets: a hundred times a
/// usual chain.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Returns the cryptographic provider of all TLS connections.
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// Reads a certificate chain and its key from PEM files. The error has the path and the problem.
pub fn read_identity(certificate: &Path, key: &Path) -> Result<Arc<CertifiedKey>, String> {
    let chain = read_certificates(certificate)?;
    let wrong = |error: &dyn std::fmt::Display| format!("the key {}: {error}", key.display());
    let text = Zeroizing::new(read(key).map_err(|error| wrong(&error))?);
    let private_key = PrivateKeyDer::from_pem_slice(&text).map_err(|error| wrong(&error))?;
    let identity = CertifiedKey::from_der(chain, private_key, &provider()).map_err(|error| {
        format!(
            "the certificate {} and the key {} cannot be used together: {error}",
            certificate.display(),
            key.display()
        )
    })?;
    Ok(Arc::new(identity))
}

/// Reads all certificates of a PEM file. The error has the path and the problem.
pub fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let wrong = |error: &dyn std::fmt::Display| format!("the file {}: {error}", path.display());
    let text = read(path).map_err(|error| wrong(&error))?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let chain = chain.map_err(|error| wrong(&error))?;
    if chain.is_empty() {
        return Err(wrong(&"it has no certificate"));
    }
    Ok(chain)
}

fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut octets = Vec::new();
    File::open(path)?
        .take(FILE_BYTES_MAX)
        .read_to_end(&mut octets)?;
    Ok(octets)
}

/// Makes the TLS settings of a host. Each call makes new ticket keys, so that no session from
/// before is resumed. `authorities` are the subjects of the CAs, which clients use to choose among
/// their certificates.
pub fn server_config(
    identity: Arc<CertifiedKey>,
    policy: Policy,
    mode: Mode,
    authorities: Vec<DistinguishedName>,
    chain_bytes_max: usize,
) -> Result<Arc<ServerConfig>, Error> {
    let builder =
        ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions()?;
    let builder = match policy {
        Policy::Off => builder.with_no_client_auth(),
        Policy::Required | Policy::Optional => {
            builder.with_client_cert_verifier(Arc::new(AnyCertificate {
                authorities,
                chain_bytes_max,
            }))
        }
    };
    let mut config = builder.with_cert_resolver(Arc::new(OneIdentity(identity)));
    config.alpn_protocols = match mode {
        Mode::Http => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
        Mode::Tcp => Vec::new(),
    };
    // Tickets alone: sessions in memory would outlive a change of the CAs in a shared storage.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.ticketer = rustls::crypto::aws_lc_rs::Ticketer::new()?;
    Ok(Arc::new(config))
}

/// Makes TLS settings that end each handshake with an alert, for server names without a host.
pub fn refusing_config() -> Result<Arc<ServerConfig>, Error> {
    let config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(NoIdentity));
    Ok(Arc::new(config))
}

/// Returns a verifier that requests a certificate from clients and accepts any well-formed chain of
/// at most so many octets whose key signed the handshake, or none. The application judges it.
pub fn any_client_certificate(chain_bytes_max: usize) -> Arc<dyn ClientCertVerifier> {
    Arc::new(AnyCertificate {
        authorities: Vec::new(),
        chain_bytes_max,
    })
}

#[derive(Debug)]
struct OneIdentity(Arc<CertifiedKey>);

impl ResolvesServerCert for OneIdentity {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.clone())
    }
}

#[derive(Debug)]
struct NoIdentity;

impl ResolvesServerCert for NoIdentity {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        None
    }
}

/// Accepts every well-formed certificate whose key signed the handshake. The gateway judges path,
/// expiry and revocation after the handshake, because rustls resumes sessions without asking.
#[derive(Debug)]
struct AnyCertificate {
    authorities: Vec<DistinguishedName>,
    chain_bytes_max: usize,
}

impl AnyCertificate {
    fn verify(
        version: Version,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let key = PresentedKey::of_certificate(certificate)
            .ok_or(Error::InvalidCertificate(CertificateError::BadEncoding))?;
        match key.verifies(version, signed.scheme, message, signed.signature()) {
            true => Ok(HandshakeSignatureValid::assertion()),
            false => Err(Error::InvalidCertificate(CertificateError::BadSignature)),
        }
    }
}

impl ClientCertVerifier for AnyCertificate {
    fn client_auth_mandatory(&self) -> bool {
        // A client without a certificate gets an answer that says so.
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.authorities
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let others: usize = intermediates.iter().map(|other| other.len()).sum();
        if leaf.len() + others > self.chain_bytes_max {
            return Err(Error::General("the certificate chain is too long".into()));
        }
        // A malformed certificate has no key that verifies its signature, which follows.
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Self::verify(Version::Tls12, message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Self::verify(Version::Tls13, message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        SCHEMES.to_vec()
    }
}
