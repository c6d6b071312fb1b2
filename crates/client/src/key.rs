//! Keys that never leave this machine, the requests for them, and PKCS #12 files.

use std::io::IsTerminal;
use std::path::Path;

use certgate_model::{KeyAlgorithm, Random, SECONDS_PER_DAY, SerialNumber, SubjectFields};
use certgate_pki::{ClientKey, P12Password, P12PasswordError, P12Protection, Validity, write_p12};
use console::Term;
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject;
use zeroize::Zeroizing;

use crate::arguments::{IssueArgs, KeyName};
use crate::environment::{self, Environment};
use crate::failure::Failure;
use crate::files;
use crate::output::wall_clock;

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

/// Makes the certificate and the key of a server for tests and demonstrations, both PEM: the
/// certificate signs itself and ends after a day.
pub fn server_identity(
    hostname: &str,
    random: &dyn Random,
) -> Result<(String, Zeroizing<String>), Failure> {
    let failed = |error: &dyn std::fmt::Display| Failure::failed(error.to_string());
    let key = ClientKey::generate(KeyAlgorithm::P256).map_err(|error| failed(&error))?;
    let mut serial = [0; 20];
    random.fill(&mut serial);
    let not_before = wall_clock().cut_to_minute();
    let validity = Validity {
        not_before,
        not_after: not_before.plus_seconds(SECONDS_PER_DAY),
    };
    let certificate = key.server_certificate(hostname, SerialNumber::from_random(serial), validity);
    Ok((
        certificate.map_err(|error| failed(&error))?,
        key.to_pkcs8_pem(),
    ))
}

/// Reads the password of PKCS #12 files from the file, from `CERTGATE_P12_PASSWORD`, or from the
/// terminal.
fn read_password(file: Option<&Path>, environment: &Environment) -> Result<P12Password, Failure> {
    let text = match (file, environment.variable(environment::P12_PASSWORD)) {
        (Some(path), _) => first_line(path)?,
        (None, Some(text)) => Zeroizing::new(text.to_owned()),
        (None, None) => prompt()?,
    };
    P12Password::new(text).map_err(|error| {
        let remedy = match error {
            P12PasswordError::Empty => {
                "give one, because many programs refuse a file without a password"
            }
            P12PasswordError::Inexpressible => "use letters, digits and signs",
        };
        Failure::usage(error.to_string()).hint(remedy)
    })
}

/// The form of the PKCS #12 files that a command writes.
pub struct P12Form {
    /// Their password.
    pub password: P12Password,
    /// Their protection.
    pub protection: P12Protection,
}

impl P12Form {
    /// Returns the form that the arguments ask for; `None` if they ask for no file. May read the
    /// password from the terminal.
    pub fn of(arguments: &IssueArgs, environment: &Environment) -> Result<Option<Self>, Failure> {
        let protection = match (arguments.p12, arguments.p12_legacy) {
            (false, false) => return Ok(None),
            (_, true) => P12Protection::Legacy,
            (true, false) => P12Protection::Modern {
                rounds: PASSWORD_ROUNDS,
            },
        };
        let password = read_password(arguments.p12_password_file.as_deref(), environment)?;
        Ok(Some(Self {
            password,
            protection,
        }))
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
    let key = PrivatePkcs8KeyDer::from_pem_slice(key_pem.as_bytes()).map_err(|_| {
        Failure::failed("the key file holds no PKCS #8 key in PEM form")
            .hint("convert it: openssl pkey -in old.key -out new.key")
    })?;
    let mut chain = Vec::new();
    for pem in [Some(certificate_pem), authority_pem].into_iter().flatten() {
        chain.push(files::certificate_der(pem)?);
    }
    let certificates = chain.iter().map(AsRef::as_ref);
    let P12Form {
        password,
        protection,
    } = form;
    let file = write_p12(
        name,
        key.secret_pkcs8_der(),
        certificates,
        password,
        *protection,
    );
    file.map_err(|error| Failure::failed(error.to_string()))
}

#[cfg(test)]
mod tests;
