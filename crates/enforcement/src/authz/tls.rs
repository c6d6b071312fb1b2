//! TLS for listeners that other machines reach.

use std::path::Path;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

/// The PEM files of a listener.
pub struct TlsFiles<'a> {
    /// The certificate chain.
    pub certificate: &'a Path,
    /// Its private key.
    pub key: &'a Path,
    /// The CAs of the proxies' own certificates.
    pub client_ca: Option<&'a Path>,
}

/// Reads the files. The error names the problem and the remedy.
pub fn server_config(files: &TlsFiles<'_>) -> Result<Arc<ServerConfig>, String> {
    let chain = certificates(files.certificate)?;
    let key = PrivateKeyDer::from_pem_file(files.key).map_err(|error| {
        let shown = files.key.display();
        format!("cannot read the TLS key {shown}: {error}: correct tls_key or the file")
    })?;
    let builder = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .expect("the provider has the cipher suites of both versions");
    let builder = match files.client_ca {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let mut roots = RootCertStore::empty();
            for certificate in certificates(path)? {
                roots
                    .add(certificate)
                    .map_err(|error| unusable(path, &error))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider());
            let verifier = verifier.build().map_err(|error| unusable(path, &error))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let mut config = builder.with_single_cert(chain, key).map_err(|error| {
        format!(
            "the TLS certificate {} and its key {} cannot be used together: {error}: set \
             tls_certificate and tls_key to files of one key pair",
            files.certificate.display(),
            files.key.display()
        )
    })?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
    let read: Vec<_> = read.map_err(|error| unusable(path, &error))?;
    match read.is_empty() {
        true => Err(unusable(path, &"it has no certificate in PEM")),
        false => Ok(read),
    }
}

fn unusable(path: &Path, error: &dyn std::fmt::Display) -> String {
    format!(
        "cannot use the TLS certificates {}: {error}: correct the file",
        path.display()
    )
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}
