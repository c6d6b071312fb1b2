//! Trust in an EST server: a fingerprint, or the CAs of this system.

use std::sync::{Arc, Mutex};

use certgate_model::{Hex, lock};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};

use crate::arguments::Fingerprint;
use crate::failure::Failure;

/// The servers that a connection accepts.
#[derive(Debug)]
pub(super) enum Trust {
    /// The certificate with this fingerprint, or one below the CA with it.
    Pinned(Fingerprint),
    /// Certificates below this CA.
    Authority(CertificateDer<'static>),
    /// Certificates below a CA of this system.
    System(RootCertStore),
    /// Every server: its answer is compared with a fingerprint.
    Nothing,
}

impl Trust {
    /// The CAs of this system.
    pub fn of_system() -> Result<Self, Failure> {
        let found = rustls_native_certs::load_native_certs();
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(found.certs);
        match roots.is_empty() {
            true => Err(Failure::usage("this system has no trusted CAs")
                .hint("give the fingerprint of the server or its CA with --fingerprint")),
            false => Ok(Self::System(roots)),
        }
    }
}

/// The last server certificate that a connection did not accept.
#[derive(Debug, Default)]
pub(super) struct Seen(Mutex<Option<Rejected>>);

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
pub(super) fn configuration(
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
        };
        outcome.inspect_err(|error| {
            let own = Hex(&certgate_pki::sha256(certificate)).to_string();
            let reason = match is_unknown {
                true => format!(
                    "neither its certificate, whose fingerprint is {own}, nor a CA that it names \
                     has the fingerprint that you gave"
                ),
                false => format!("its certificate with the fingerprint {own}: {error}"),
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
