//! TLS to the database: the trusted certificates, and the client certificate.

use std::sync::Arc;

use rustls::client::WantsClientCert;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, ConfigBuilder, RootCertStore};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::open_error::PostgresError;

/// The PEM files that a URL names.
#[derive(Default)]
pub(super) struct Files {
    /// The trusted certificates; `None`: those that the system trusts.
    pub(super) roots: Option<String>,
    /// The client certificate, followed by its chain.
    pub(super) certificate: Option<String>,
    /// The key of that certificate.
    pub(super) key: Option<String>,
}

/// Returns the connector of connections without TLS.
pub(super) fn none() -> Result<MakeRustlsConnect, PostgresError> {
    Ok(MakeRustlsConnect::new(
        verifying(RootCertStore::empty())?.with_no_client_auth(),
    ))
}

impl Files {
    /// Reads the files, and returns the connector.
    pub(super) fn connector(&self) -> Result<MakeRustlsConnect, PostgresError> {
        let builder = verifying(self.trusted()?)?;
        let config = match (&self.certificate, &self.key) {
            (None, None) => builder.with_no_client_auth(),
            (Some(certificate), Some(key)) => {
                let failed = |path: &str, detail: String| PostgresError::Identity {
                    path: path.to_owned(),
                    detail,
                };
                let chain =
                    certificates(certificate).map_err(|detail| failed(certificate, detail))?;
                let private = PrivateKeyDer::from_pem_file(key)
                    .map_err(|error| failed(key, error.to_string()))?;
                builder
                    .with_client_auth_cert(chain, private)
                    .map_err(|error| failed(certificate, error.to_string()))?
            }
            _ => return Err(PostgresError::Url("it has only one of sslcert and sslkey")),
        };
        Ok(MakeRustlsConnect::new(config))
    }

    fn trusted(&self) -> Result<RootCertStore, PostgresError> {
        let mut store = RootCertStore::empty();
        let Some(path) = &self.roots else {
            let found = rustls_native_certs::load_native_certs();
            let (added, _) = store.add_parsable_certificates(found.certs);
            if added == 0 {
                return Err(PostgresError::Roots {
                    path: "the certificates of the system".into(),
                    detail: found
                        .errors
                        .first()
                        .map_or("the system has none".into(), ToString::to_string),
                });
            }
            return Ok(store);
        };
        let failed = |detail: String| PostgresError::Roots {
            path: path.clone(),
            detail,
        };
        for certificate in certificates(path).map_err(failed)? {
            store
                .add(certificate)
                .map_err(|error| failed(error.to_string()))?;
        }
        Ok(store)
    }
}

/// Reads the certificates in a file, of which there must be at least one.
fn certificates(path: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let read = CertificateDer::pem_file_iter(path).map_err(|error| error.to_string())?;
    let certificates: Vec<_> = read
        .collect::<Result<_, _>>()
        .map_err(|error| error.to_string())?;
    match certificates.is_empty() {
        true => Err("the file has no certificate".into()),
        false => Ok(certificates),
    }
}

fn verifying(
    roots: RootCertStore,
) -> Result<ConfigBuilder<ClientConfig, WantsClientCert>, PostgresError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| PostgresError::Roots {
            path: "TLS".into(),
            detail: error.to_string(),
        })?;
    Ok(builder.with_root_certificates(roots))
}
