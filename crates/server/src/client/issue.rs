//! `certgate cert issue`: one certificate, from a key made here or from somebody's request.

use std::io::Read;
use std::path::{Path, PathBuf};

use certgate_model::{Hex, Random, SubjectFields, ZoneId};
use serde_json::json;

use super::cert::{self, Certificate};
use super::files::{self, Secrecy};
use super::http::{Answer, Refusal};
use super::key::{self, Password};
use super::output::Screen;
use super::session::Session;
use super::{bulk, ca};
use crate::cli::IssueArgs;
use crate::config::Environment;
use crate::failure::Failure;
use crate::system::SystemRandom;

/// Longest request file that is read; the server accepts 16 KiB and says so itself.
const CSR_BYTES_MAX: u64 = 1 << 20;

/// `certgate cert issue`
pub fn run(
    session: &Session,
    zone: &ZoneId,
    arguments: &IssueArgs,
    environment: &Environment,
    screen: &mut Screen,
) -> Result<(), Failure> {
    let password = match arguments.p12 {
        true => Some(Password::ask(
            arguments.p12_password_file.as_deref(),
            environment,
        )?),
        false => None,
    };
    match (&arguments.from, &arguments.csr, &arguments.cn) {
        (Some(list), _, _) => bulk::run(session, zone, list, arguments, password.as_ref(), screen),
        (None, Some(path), _) => from_request(session, zone, path, arguments, screen),
        (None, None, Some(name)) => {
            from_name(session, zone, name, arguments, password.as_ref(), screen)
        }
        (None, None, None) => Err(Failure::usage(
            "nothing to issue: give --cn, --csr or --from",
        )),
    }
}

/// Asks for a certificate. Asking again with the same key makes no other one.
pub fn post(
    session: &Session,
    zone: &ZoneId,
    csr: &str,
    days: u32,
    idempotency_key: &str,
) -> Result<Answer, Refusal> {
    let body = json!({ "csr": csr, "validity_days": days });
    session
        .api
        .post_once(&cert::path(zone), &body, idempotency_key)
}

/// The idempotency key of a request that is made for one certificate only: the same whichever run sends it.
pub fn key_of(csr: &str, days: u32) -> String {
    Hex(&certgate_pki::sha256(format!("{days} {csr}").as_bytes())).to_string()
}

/// The idempotency key of a request from which several certificates may be made.
fn random_key() -> String {
    let mut octets = [0; 16];
    SystemRandom.fill(&mut octets);
    Hex(&octets).to_string()
}

fn from_request(
    session: &Session,
    zone: &ZoneId,
    path: &Path,
    arguments: &IssueArgs,
    screen: &mut Screen,
) -> Result<(), Failure> {
    let csr = read_request(path)?;
    let answer = post(session, zone, &csr, arguments.days, &random_key())
        .map_err(|refusal| unsure(refusal, None))?;
    let certificate: Certificate = answer.parse()?;
    let pem = files::certificate_pem(&certificate.certificate)?;
    if let Some(out) = &arguments.out {
        let name = files::safe_name(&certificate.common_name);
        let target = files::with_ending(&files::stem(Some(out), &name)?, "crt");
        files::write_new(&target, pem.as_bytes(), Secrecy::Public)
            .map_err(|failure| issued_all_the_same(failure, &certificate))?;
        screen.say(&format!("wrote {}", target.display()));
    }
    match (screen.is_json(), &arguments.out) {
        (true, _) => screen.json(&answer.result),
        (false, Some(_)) => cert::fields(&certificate, screen),
        (false, None) => {
            screen.say(&format!(
                "issued {} until {}",
                certificate.id, certificate.expires_on
            ));
            screen.data(&pem)
        }
    }
}

fn read_request(path: &Path) -> Result<String, Failure> {
    let mut text = String::new();
    let read = match path.to_str() {
        Some("-") => std::io::stdin()
            .take(CSR_BYTES_MAX)
            .read_to_string(&mut text),
        _ => std::fs::File::open(path)
            .and_then(|file| file.take(CSR_BYTES_MAX).read_to_string(&mut text)),
    };
    read.map_err(|error| {
        Failure::usage(format!(
            "cannot read the request from {}: {error}",
            path.display()
        ))
    })?;
    // A request has no secret in it; whoever mistook the key's file for it must not send that away.
    if text.contains("PRIVATE KEY-----") {
        return Err(Failure::usage(format!(
            "{} holds a private key, which stays here: nothing was sent",
            path.display()
        ))
        .hint("make a request for it: openssl req -new -key KEY -out REQUEST"));
    }
    Ok(text)
}

/// The order is what makes a kill at any instant harmless: no certificate without its key on disk, no file replaced.
fn from_name(
    session: &Session,
    zone: &ZoneId,
    name: &str,
    arguments: &IssueArgs,
    password: Option<&Password>,
    screen: &mut Screen,
) -> Result<(), Failure> {
    // 1. Nothing is made that would be in the way of, or in place of, something that is there.
    let stem = files::stem(arguments.out.as_deref(), &files::safe_name(name))?;
    let [key_path, crt_path, p12_path] =
        ["key", "crt", "p12"].map(|ending| files::with_ending(&stem, ending));
    let p12_wanted = password.map(|_| &p12_path);
    for path in [Some(&key_path), Some(&crt_path), p12_wanted]
        .into_iter()
        .flatten()
    {
        if path.symlink_metadata().is_ok() {
            return Err(
                Failure::failed(format!("{} exists already", path.display())).hint(
                    "certgate replaces no file: move it away, or choose another place with --out",
                ),
            );
        }
    }
    // 2. The key, on disk.
    let working = screen.working("making key and certificate");
    let made = key::make(arguments.key_algorithm, &subject(name, arguments))?;
    files::write_new(&key_path, made.key.as_bytes(), Secrecy::Private)?;
    // 3. The certificate.
    let answer = post(
        session,
        zone,
        &made.csr,
        arguments.days,
        &key_of(&made.csr, arguments.days),
    )
    .map_err(|refusal| match refusal {
        Refusal::Unknown(_) => unsure(refusal, Some(&key_path)),
        // A key that was certified by nobody, and never will be, is of no use to anybody.
        Refusal::Refused { .. } | Refusal::NotSent(_) => match std::fs::remove_file(&key_path) {
            Ok(()) => refusal.into_failure(),
            Err(_) => refusal
                .into_failure()
                .hint(format!("the key is left in {}", key_path.display())),
        },
    })?;
    let certificate: Certificate = answer.parse()?;
    let pem = files::certificate_pem(&certificate.certificate)?;
    files::write_new(&crt_path, pem.as_bytes(), Secrecy::Public)
        .map_err(|failure| issued_all_the_same(failure, &certificate))?;
    // 4. Both in one file.
    let mut written = vec![&key_path, &crt_path];
    if let Some(password) = password {
        let authority = working.suspend(|| authority_pem(session, zone, &certificate, screen));
        let file = key::p12(name, &made.key, &pem, authority.as_deref(), password)?;
        files::write_new(&p12_path, &file, Secrecy::Private)?;
        written.push(&p12_path);
    }
    drop(working);
    screen.say(&format!("wrote {}", listed(&written)));
    match screen.is_json() {
        true => screen.json(&answer.result),
        false => cert::fields(&certificate, screen),
    }
}

/// The authority's certificate for a PKCS#12 file, which works without it too.
pub fn authority_pem(
    session: &Session,
    zone: &ZoneId,
    certificate: &Certificate,
    screen: &mut Screen,
) -> Option<String> {
    match ca::chain_of(session, zone, certificate) {
        Ok(pem) => Some(pem),
        Err(failure) => {
            screen.say(&format!(
                "note: the PKCS#12 file is without the authority's certificate: {failure}"
            ));
            None
        }
    }
}

fn subject(name: &str, arguments: &IssueArgs) -> SubjectFields {
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let given = &arguments.subject;
    SubjectFields {
        common_name: name.to_owned(),
        country: text(&given.country),
        state: text(&given.state),
        location: text(&given.location),
        organization: text(&given.org),
        organizational_unit: text(&given.org_unit),
    }
}

/// What to tell about a request whose answer did not come.
fn unsure(refusal: Refusal, key: Option<&Path>) -> Failure {
    match refusal {
        Refusal::Unknown(Failure::Told { exit, message, .. }) => {
            let kept = key
                .map(|path| format!("; its key is kept in {}", path.display()))
                .unwrap_or_default();
            let hint = format!(
                "the certificate may have been issued: look for it with `certgate cert list`{kept}"
            );
            Failure::Told {
                exit,
                message,
                hint: Some(hint),
            }
        }
        other => other.into_failure(),
    }
}

fn issued_all_the_same(failure: Failure, certificate: &Certificate) -> Failure {
    let id = &certificate.id;
    failure.and(format!(
        "the certificate is issued all the same, `certgate cert export {id}` writes it"
    ))
}

fn listed(paths: &[&PathBuf]) -> String {
    paths
        .iter()
        .map(|path| path.display().to_string())
        .collect::<Vec<_>>()
        .join(", ")
}

#[cfg(test)]
mod tests;
