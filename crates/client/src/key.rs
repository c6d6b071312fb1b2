//! Keys that never leave this machine, the requests for them, and PKCS #12 files.

use std::io::IsTerminal;
use std::path::Path;

use certgate_model::SubjectFields;
use certgate_pki::ClientKey;
use console::Term;
use p12_keystore::{Certificate, KeyStore, KeyStoreEntry, LocalKeyId, PrivateKey, PrivateKeyChain};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject;
use zeroize::Zeroizing;

use crate::arguments::KeyName;
use crate::environment::{self, Environment};
use crate::failure::Failure;
use crate::files;

/// The longest password file, in bytes.
const PASSWORD_BYTES_MAX: u64 = 4096;

/// The rounds of PBKDF2 over the password of a PKCS #12 file: a tenth of a second on a laptop, also
/// for each guess of an attacker. Tests use fewer rounds, because a build without optimisation
/// needs seconds.
const PASSWORD_ROUNDS: u32 = if cfg!(test) { 1_000 } else { 100_000 };

/// A new key and the request for its certificate.
pub struct NewKey {
    /// The key, PKCS #8 in PEM.
    pub key: Zeroizing<String>,
    /// The request, PEM.
    pub csr: String,
}

impl NewKey {
    /// Generates a key and makes a request for it.
    pub fn generate(algorithm: KeyName, subject: &SubjectFields) -> Result<Self, Failure> {
        let key = ClientKey::generate(algorithm.into())
            .map_err(|error| Failure::failed(error.to_string()))?;
        let csr = key
            .request(subject)
            .map_err(|error| Failure::usage(error.to_string()))?;
        Ok(Self {
            key: key.to_pkcs8_pem(),
            csr,
        })
    }
}

/// The password of PKCS #12 files. `Drop` wipes it from memory.
pub struct Password(Zeroizing<String>);

impl Password {
    /// Reads the password from the file, from `CERTGATE_P12_PASSWORD`, or from the terminal.
    pub fn read(file: Option<&Path>, environment: &Environment) -> Result<Self, Failure> {
        let text = match (file, environment.variable(environment::P12_PASSWORD)) {
            (Some(path), _) => first_line(path)?,
            (None, Some(text)) => Zeroizing::new(text.to_owned()),
            (None, None) => prompt()?,
        };
        match text.is_empty() {
            true => Err(Failure::usage("the password of the PKCS #12 file is empty")),
            false => Ok(Self(text)),
        }
    }
}

fn first_line(path: &Path) -> Result<Zeroizing<String>, Failure> {
    let text = files::read_text(path, PASSWORD_BYTES_MAX).map_err(|error| {
        let shown = path.display();
        Failure::usage(format!("cannot read the password from {shown}: {error}"))
    })?;
    let line = text.lines().next().unwrap_or_default();
    Ok(Zeroizing::new(line.to_owned()))
}

fn prompt() -> Result<Zeroizing<String>, Failure> {
    let terminal = Term::stderr();
    if !std::io::stdin().is_terminal() || !terminal.is_term() {
        return Err(Failure::usage("a PKCS #12 file needs a password")
            .hint("set CERTGATE_P12_PASSWORD, or name a file with --p12-password-file"));
    }
    let ask = |question: &str| {
        let answer = terminal
            .write_str(question)
            .and_then(|()| terminal.read_secure_line());
        answer
            .map(Zeroizing::new)
            .map_err(|error| Failure::io("cannot read the password", &error))
    };
    let password = ask("Password of the PKCS #12 file: ")?;
    match password == ask("Again: ")? {
        true => Ok(password),
        false => Err(Failure::usage("the two passwords differ")),
    }
}

/// Makes a PKCS #12 file of the key, its certificate, and the CA's certificate if it is known.
pub fn p12(
    name: &str,
    key_pem: &str,
    certificate_pem: &str,
    authority_pem: Option<&str>,
    password: &Password,
) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let failed = |error: p12_keystore::error::Error| {
        Failure::failed(format!("cannot make the PKCS #12 file: {error}"))
    };
    let key = PrivatePkcs8KeyDer::from_pem_slice(key_pem.as_bytes())
        .map_err(|_| Failure::failed("the key file holds no PKCS #8 key in PEM form"))?;
    let mut chain = Vec::new();
    for pem in [Some(certificate_pem), authority_pem].into_iter().flatten() {
        chain.push(Certificate::from_der(&files::certificate_der(pem)?).map_err(failed)?);
    }
    let key = PrivateKey::from_der(key.secret_pkcs8_der()).map_err(failed)?;
    // RFC 7292 §4.2: localKeyId ties the key to its certificate. With one key, any octets do.
    let entry = PrivateKeyChain::new(LocalKeyId(vec![1]), key, chain);
    let mut store = KeyStore::new();
    store.add_entry(name, KeyStoreEntry::PrivateKeyChain(entry));
    let file = store
        .writer(&password.0)
        .encryption_iterations(PASSWORD_ROUNDS)
        .mac_iterations(PASSWORD_ROUNDS)
        .write();
    file.map(Zeroizing::new).map_err(failed)
}

#[cfg(test)]
mod tests;
