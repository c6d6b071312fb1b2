//! TLS for the management API, for enrolment and for the pages of invites. A running server can
//! change its certificates.

use std::fs::File;
use std::path::Path;
use std::sync::{Arc, Mutex};

use aws_lc_rs::digest;
use certgate_enforcement::gateway::any_client_certificate;
use certgate_model::{Hex, SignatureAlgorithm, Timestamp, lock};
use certgate_service::{ProfileIdentity, ProfileSigner, certificate_expires_on};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{ServerConfig, SignatureScheme};
use tokio_rustls::TlsAcceptor;

use crate::config::ConfigError;
use crate::{limited, secret_file};

/// The longest file of a certificate chain or a key, in bytes: a hundred times a usual chain.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// The longest chain of a client, in octets, as the gateway accepts it: a few certificates with RSA
/// keys.
const CLIENT_CHAIN_BYTES_MAX: usize = 16 * 1024;

/// The time before the end of a certificate at which warnings begin, in seconds: a week after ACME
/// clients renew certificates of ninety days or of forty-five.
pub const EXPIRY_WARNED_SECONDS: i64 = 7 * 24 * 60 * 60;

/// A certificate chain with its key.
#[derive(Debug, Clone)]
pub struct Identity {
    key: Arc<CertifiedKey>,
    /// The end of the certificate that ends first.
    expires_on: Option<Timestamp>,
}

impl Identity {
    /// Reads a certificate chain and its key from PEM files, which the settings `tls_certificate`
    /// and `tls_key` after this prefix name.
    pub fn read(certificate: &Path, key: &Path, prefix: &str) -> Result<Self, ConfigError> {
        let wrong = |what: &str, path: &Path, error: &dyn std::fmt::Display| {
            ConfigError::new(format!(
                "cannot read the TLS {what} {}: {error}: correct {prefix}tls_{what} or the file",
                path.display()
            ))
        };
        let text = File::open(certificate).and_then(|file| limited::read(file, FILE_BYTES_MAX));
        let text = text.map_err(|error| wrong("certificate", certificate, &error))?;
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
        let chain = chain.map_err(|error| wrong("certificate", certificate, &error))?;
        let text = secret_file::read(key, "TLS key", "", FILE_BYTES_MAX)?;
        let private_key = PrivateKeyDer::from_pem_slice(text.as_bytes());
        let private_key = private_key.map_err(|error| wrong("key", key, &error))?;
        let expires_on = chain
            .iter()
            .filter_map(|der| certificate_expires_on(der))
            .min();
        let identity = CertifiedKey::from_der(chain, private_key, &provider());
        let identity = identity.map_err(|error| {
            ConfigError::new(format!(
                "the TLS certificate {} and its key {} cannot be used together: {error}: set \
                 {prefix}tls_certificate and {prefix}tls_key to files of one key pair",
                certificate.display(),
                key.display()
            ))
        })?;
        Ok(Self {
            key: Arc::new(identity),
            expires_on,
        })
    }
}

/// The identity that new connections get.
#[derive(Debug)]
pub struct CurrentIdentity(Mutex<Identity>);

impl CurrentIdentity {
    /// Begins with this identity.
    pub fn new(identity: Identity) -> Arc<Self> {
        Arc::new(Self(Mutex::new(identity)))
    }

    /// Replaces the identity, and returns true if the certificate differs. Open connections keep
    /// the earlier one.
    pub fn replace(&self, identity: Identity) -> bool {
        let mut current = lock(&self.0);
        let is_other = current.key.cert != identity.key.cert;
        *current = identity;
        is_other
    }

    /// Returns the end of the certificate of the chain that ends first.
    pub fn expires_on(&self) -> Option<Timestamp> {
        lock(&self.0).expires_on
    }

    /// Sets the gauges: 0 without TLS.
    pub fn measure(management: Option<&Self>, enrolment: Option<&Self>, invites: Option<&Self>) {
        let seconds = |current: Option<&Self>| {
            let expires_on = current.and_then(Self::expires_on);
            expires_on.map_or(0, |at| at.unix_milliseconds() / 1000) as f64
        };
        metrics::gauge!("certgate_tls_certificate_expires_timestamp_seconds")
            .set(seconds(management));
        metrics::gauge!("certgate_enrol_tls_certificate_expires_timestamp_seconds")
            .set(seconds(enrolment));
        metrics::gauge!("certgate_invite_tls_certificate_expires_timestamp_seconds")
            .set(seconds(invites));
    }

    /// Returns the acceptor of connections. It requests no certificate from clients.
    pub fn acceptor(self: &Arc<Self>) -> TlsAcceptor {
        self.accepting(WebPkiClientVerifier::no_client_auth())
    }

    /// Returns the acceptor of connections that requests a certificate from clients. Each handler
    /// judges it: a status that was checked in the handshake would be old for later requests.
    pub fn acceptor_of_clients(self: &Arc<Self>) -> TlsAcceptor {
        self.accepting(any_client_certificate(CLIENT_CHAIN_BYTES_MAX))
    }

    fn accepting(self: &Arc<Self>, clients: Arc<dyn ClientCertVerifier>) -> TlsAcceptor {
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .expect("the provider has the cipher suites of both versions")
            .with_client_cert_verifier(clients)
            .with_cert_resolver(self.clone());
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        TlsAcceptor::from(Arc::new(config))
    }
}

impl CurrentIdentity {
    /// Returns the SHA-256, in hexadecimal digits, of the last certificate of the chain: that of a
    /// CA lasts longer than the server's own.
    pub fn fingerprint(&self) -> Option<String> {
        let key = lock(&self.0).key.clone();
        let last = key.cert.last()?;
        Some(Hex(digest::digest(&digest::SHA256, last).as_ref()).to_string())
    }
}

/// The signatures of profiles, in the order of TLS. Apple's devices verify them.
const PROFILE_SIGNATURES: [(SignatureScheme, SignatureAlgorithm); 4] = [
    (
        SignatureScheme::ECDSA_NISTP256_SHA256,
        SignatureAlgorithm::EcdsaWithSha256,
    ),
    (
        SignatureScheme::ECDSA_NISTP384_SHA384,
        SignatureAlgorithm::EcdsaWithSha384,
    ),
    (
        SignatureScheme::ECDSA_NISTP521_SHA512,
        SignatureAlgorithm::EcdsaWithSha512,
    ),
    (
        SignatureScheme::RSA_PKCS1_SHA256,
        SignatureAlgorithm::Sha256WithRsa,
    ),
];

impl Identity {
    /// Returns the algorithm of profiles that its key signs. [`None`]: an Ed25519 key, which
    /// browsers do not accept either.
    pub fn profile_signature(&self) -> Option<(SignatureScheme, SignatureAlgorithm)> {
        let mut known = PROFILE_SIGNATURES.into_iter();
        known.find(|(scheme, _)| self.key.key.choose_scheme(&[*scheme]).is_some())
    }
}

impl ProfileSigner for CurrentIdentity {
    fn sign(&self, make: &mut dyn FnMut(&ProfileIdentity<'_>)) {
        let identity = lock(&self.0).clone();
        let Some((scheme, algorithm)) = identity.profile_signature() else {
            return;
        };
        let key = &identity.key;
        make(&ProfileIdentity {
            chain: key.cert.iter().map(AsRef::as_ref).collect(),
            algorithm,
            sign: &|octets: &[u8]| key.key.choose_scheme(&[scheme])?.sign(octets).ok(),
        });
    }
}

impl ResolvesServerCert for CurrentIdentity {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(lock(&self.0).key.clone())
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}
