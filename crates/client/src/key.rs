//! Keys that never leave this machine, the requests for them, and PKCS #12 files.

use std::io::IsTerminal;
use std::path::Path;

use certgate_model::SubjectFields;
use certgate_pki::ClientKey;
use console::Term;
use p12_keystore::{
    Certificate, EncryptionAlgorithm, KeyStore, KeyStoreEntry, LocalKeyId, MacAlgorithm,
    PrivateKey, PrivateKeyChain,
};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject;
use zeroize::Zeroizing;

use crate::arguments::{IssueArgs, KeyName};
use crate::environment::{self, Environment};
use crate::failure::Failure;
use crate::files;

/// The longest password file, in bytes.
const PASSWORD_BYTES_MAX: u64 = 4096;

/// The rounds of PBKDF2 over the password of a PKCS #12 file: a tenth of a second on a laptop, also
/// for each guess of an attacker. Tests use fewer rounds, because a build without optimisation
/// needs seconds.
const PASSWORD_ROUNDS: u32 = if cfg!(test) { 1_000 } else { 100_000 };

/// The rounds over the password of a PKCS #12 file for older systems: as many as openssl writes.
/// Some appliances refuse more.
const LEGACY_ROUNDS: u32 = 2_048;

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
        Self::check(text)
    }

    fn check(text: Zeroizing<String>) -> Result<Self, Failure> {
        if text.is_empty() {
            return Err(Failure::usage("the password of the PKCS #12 file is empty")
                .hint("give one, because many programs refuse a file without a password"));
        }
        // RFC 7292 §B.1: the password is a BMPString.
        if !text.chars().all(is_in_bmp) {
            return Err(Failure::usage(
                "the password of the PKCS #12 file has a character that such a file cannot \
                 express, for example an emoji",
            )
            .hint("use letters, digits and signs"));
        }
        Ok(Self(text))
    }
}

/// The protection of a PKCS #12 file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protection {
    /// AES-256 and HMAC-SHA-256, by PBKDF2.
    Modern,
    /// 3DES and HMAC-SHA-1 (RFC 7292 appendix C), which every system can read.
    Legacy,
}

/// The form of the PKCS #12 files that a command writes.
pub struct P12Form {
    /// Their password.
    pub password: Password,
    /// Their protection.
    pub protection: Protection,
}

impl P12Form {
    /// Returns the form that the arguments ask for; `None` if they ask for no file. May read the
    /// password from the terminal.
    pub fn of(arguments: &IssueArgs, environment: &Environment) -> Result<Option<Self>, Failure> {
        let protection = match (arguments.p12, arguments.p12_legacy) {
            (false, false) => return Ok(None),
            (_, true) => Protection::Legacy,
            (true, false) => Protection::Modern,
        };
        let password = Password::read(arguments.p12_password_file.as_deref(), environment)?;
        Ok(Some(Self {
            password,
            protection,
        }))
    }
}

/// Returns true if a BMPString can hold the character.
fn is_in_bmp(character: char) -> bool {
    character <= '\u{ffff}'
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
        false => Err(Failure::usage("the two passwords differ").hint("run the command again")),
    }
}

/// Makes a PKCS #12 file of the key, its certificate, and the CA's certificate if it is known.
pub fn p12(
    name: &str,
    key_pem: &str,
    certificate_pem: &str,
    authority_pem: Option<&str>,
    form: &P12Form,
) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let failed = |error: p12_keystore::error::Error| {
        Failure::failed(format!("cannot make the PKCS #12 file: {error}"))
    };
    let key = PrivatePkcs8KeyDer::from_pem_slice(key_pem.as_bytes()).map_err(|_| {
        Failure::failed("the key file holds no PKCS #8 key in PEM form")
            .hint("convert it: openssl pkey -in old.key -out new.key")
    })?;
    let mut chain = Vec::new();
    for pem in [Some(certificate_pem), authority_pem].into_iter().flatten() {
        chain.push(Certificate::from_der(&files::certificate_der(pem)?).map_err(failed)?);
    }
    let key = PrivateKey::from_der(key.secret_pkcs8_der()).map_err(failed)?;
    // RFC 7292 §4.2: localKeyId ties the key to its certificate. With one key, any octets do.
    let entry = PrivateKeyChain::new(LocalKeyId(vec![1]), key, chain);
    let mut store = KeyStore::new();
    // The name is a BMPString too (RFC 2985 §5.5.1), and only a label.
    let name: String = name.chars().filter(|one| is_in_bmp(*one)).collect();
    store.add_entry(&name, KeyStoreEntry::PrivateKeyChain(entry));
    let (encryption, mac, rounds) = match form.protection {
        Protection::Modern => (
            EncryptionAlgorithm::PbeWithHmacSha256AndAes256,
            MacAlgorithm::HmacSha256,
            PASSWORD_ROUNDS,
        ),
        Protection::Legacy => (
            EncryptionAlgorithm::PbeWithShaAnd3KeyTripleDesCbc,
            MacAlgorithm::HmacSha1,
            LEGACY_ROUNDS,
        ),
    };
    let file = store
        .writer(&form.password.0)
        .encryption_algorithm(encryption)
        .encryption_iterations(rounds)
        .mac_algorithm(mac)
        .mac_iterations(rounds)
        .write();
    file.map(Zeroizing::new).map_err(failed)
}

#[cfg(test)]
mod tests;
