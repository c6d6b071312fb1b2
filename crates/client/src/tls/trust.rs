//! Trust in a server: a fingerprint, its certificate, or CAs.

use std::fs::File;
use std::path::Path;
use std::sync::{Arc, Mutex};

use certgate_model::{Hex, lock};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};

use crate::arguments::Fingerprint;
use crate::failure::Failure;
use crate::files;

/// The largest file of certificates, in bytes: some hundred CAs.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// The servers that a connection accepts.
#[derive(Debug)]
pub enum Trust {
    /// The certificate with this fingerprint, or one below the CA with it.
    Pinned(Fingerprint),
    /// Certificates below this CA.
    Authority(CertificateDer<'static>),
    /// Certificates below a CA of this system.
    System(RootCertStore),
    /// Certificates below one of these, and these themselves: a certificate that signed itself is
    /// often a CA by its extensions, which a verifier of paths does not accept.
    Named(Vec<CertificateDer<'static>>),
    /// The first of these certificates, under any name, and those that the CAs accept: the server
    /// on this machine, which is reached by its address.
    Local(CertificateDer<'static>, RootCertStore),
    /// Every server: its answer is compared with a fingerprint.
    Nothing,
}

impl Trust {
    /// The CAs of this system.
    pub fn of_system() -> Result<Self, Failure> {
        let (roots, problem) = system_roots();
        match roots.is_empty() {
            true => Err(Failure::usage(format!(
                "this system has no trusted CAs{problem}"
            ))),
            false => Ok(Self::System(roots)),
        }
    }

    /// The CAs, or the server's own certificate, in a PEM file.
    pub fn in_file(path: &Path) -> Result<Self, Failure> {
        let shown = path.display();
        let certificates = certificates_in(path)
            .map_err(|error| Failure::usage(format!("cannot read {shown}: {error}")))?;
        match certificates.is_empty() {
            true => Err(
                Failure::usage(format!("{shown} has no certificate in PEM form"))
                    .hint("name a file with a CERTIFICATE block"),
            ),
            false => Ok(Self::Named(certificates)),
        }
    }

    /// The server on this machine whose certificate chain is in a PEM file, or a server below a CA
    /// of this system.
    pub fn local(path: &Path) -> Result<Self, Failure> {
        let own = certificates_in(path).ok().and_then(|chain| {
            let mut chain = chain.into_iter();
            chain.next()
        });
        match own {
            Some(own) => Ok(Self::Local(own, system_roots().0)),
            None => Self::of_system(),
        }
    }
}

fn system_roots() -> (RootCertStore, String) {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    let problem = found.errors.first();
    let problem = problem.map(|error| format!(": {error}"));
    (roots, problem.unwrap_or_default())
}

fn certificates_in(path: &Path) -> std::io::Result<Vec<CertificateDer<'static>>> {
    let pem = files::read_at_most(File::open(path)?, FILE_BYTES_MAX)?;
    let found: Result<_, _> = CertificateDer::pem_slice_iter(&pem).collect();
    found.map_err(std::io::Error::other)
}

/// The last server certificate that a connection did not accept.
#[derive(Debug, Default)]
pub struct Seen(Mutex<Option<Rejected>>);

#[derive(Debug, Clone)]
struct Rejected {
    /// Set if the reason is that no certificate has the fingerprint.
    is_unknown: bool,
    reason: String,
}

impl Seen {
    /// Returns true if the server sent no certificate with the fingerprint.
    pub fn is_unknown(&self) -> bool {
        lock(&self.0).as_ref().is_some_and(|one| one.is_unknown)
    }

    /// The reason for which the client did not accept the server.
    pub fn rejected(&self) -> Option<String> {
        lock(&self.0).as_ref().map(|one| one.reason.clone())
    }
}

/// Makes the TLS configuration of a connection.
pub fn configuration(
    trust: Trust,
    client: Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>,
    seen: Arc<Seen>,
) -> Result<ClientConfig, Failure> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let unusable = |error: Error| Failure::failed(format!("cannot use TLS: {error}"));
    let verifier = Verifier {
        trust,
        provider: provider.clone(),
        seen,
    };
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(unusable)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    match client {
        Some((chain, key)) => builder.with_client_auth_cert(chain, key).map_err(unusable),
        None => Ok(builder.with_no_client_auth()),
    }
}

/// The check of a server's certificate. The signatures of handshakes are checked for each
/// [`Trust`].
#[derive(Debug)]
struct Verifier {
    trust: Trust,
    provider: Arc<CryptoProvider>,
    seen: Arc<Seen>,
}

impl Verifier {
    fn below(
        &self,
        roots: RootCertStore,
        certificate: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if roots.is_empty() {
            return Err(CertificateError::UnknownIssuer.into());
        }
        let verifier =
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), self.provider.clone())
                .build()
                .map_err(|error| Error::General(error.to_string()))?;
        verifier.verify_server_cert(certificate, between, name, &[], now)
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let only = |authority: &CertificateDer<'_>| {
            let mut roots = RootCertStore::empty();
            roots.add(authority.clone().into_owned()).map(|()| roots)
        };
        let (outcome, is_unknown) = match &self.trust {
            Trust::Nothing => return Ok(ServerCertVerified::assertion()),
            // The certificate itself was compared: its name and its dates add nothing.
            Trust::Pinned(fingerprint) if fingerprint.is_of(certificate) => {
                return Ok(ServerCertVerified::assertion());
            }
            Trust::Pinned(fingerprint) => match between.iter().find(|one| fingerprint.is_of(one)) {
                Some(authority) => (
                    only(authority)
                        .and_then(|roots| self.below(roots, certificate, between, name, now)),
                    false,
                ),
                None => (Err(CertificateError::UnknownIssuer.into()), true),
            },
            Trust::Authority(authority) => (
                only(authority)
                    .and_then(|roots| self.below(roots, certificate, between, name, now)),
                false,
            ),
            Trust::System(roots) => (
                self.below(roots.clone(), certificate, between, name, now),
                false,
            ),
            // The file is the server's: its name and its dates add nothing.
            Trust::Local(own, _) if **own == **certificate => {
                return Ok(ServerCertVerified::assertion());
            }
            Trust::Local(_, roots) => (
                self.below(roots.clone(), certificate, between, name, now),
                false,
            ),
            Trust::Named(named) => {
                let mut roots = RootCertStore::empty();
                roots.add_parsable_certificates(named.iter().cloned());
                let verified = self.below(roots, certificate, between, name, now);
                let verified = match verified {
                    // The dates are checked before this error.
                    Err(Error::InvalidCertificate(ref error))
                        if is_of_authority(error)
                            && named.iter().any(|one| **one == **certificate) =>
                    {
                        ParsedCertificate::try_from(certificate)
                            .and_then(|parsed| verify_server_name(&parsed, name))
                            .map(|()| ServerCertVerified::assertion())
                    }
                    verified => verified,
                };
                (verified, false)
            }
        };
        outcome.inspect_err(|error| {
            let own = Hex(&certgate_pki::sha256(certificate)).to_string();
            let reason = match is_unknown {
                true => format!(
                    "neither its certificate, whose fingerprint is {own}, nor a CA that it names \
                     has the fingerprint that you gave"
                ),
                false => match error {
                    Error::InvalidCertificate(error) if is_of_authority(error) => format!(
                        "its certificate with the fingerprint {own} is that of a CA (CA:TRUE)"
                    ),
                    error => format!("its certificate with the fingerprint {own}: {error}"),
                },
            };
            *lock(&self.seen.0) = Some(Rejected { is_unknown, reason });
        })
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let algorithms = &self.provider.signature_verification_algorithms;
        algorithms.supported_schemes()
    }
}

/// Returns true for the error about a CA's certificate that a server presents as its own.
pub fn is_of_authority(error: &CertificateError) -> bool {
    match error {
        CertificateError::Other(error) => matches!(
            error.0.downcast_ref(),
            Some(webpki::Error::CaUsedAsEndEntity)
        ),
        _ => false,
    }
}
