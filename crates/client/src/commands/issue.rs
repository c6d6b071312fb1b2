//! `certgate cert issue`: one certificate for a new key or for an existing request.

use std::path::{Path, PathBuf};

use certgate_model::{Hex, Random, SubjectFields, ZoneId};

use super::certificate::{self, Certificate};
use super::{bulk, managed};
use crate::arguments::{IssueArgs, KeyName};
use crate::failure::Failure;
use crate::files::{self, Secrecy};
use crate::http::Refusal;
use crate::key::{self, NewKey, P12Form};
use crate::output::Screen;
use crate::session::{Context, Session};

/// `certgate cert issue`
pub fn run(
    session: &Session,
    zone: &ZoneId,
    arguments: &IssueArgs,
    context: &Context<'_>,
    screen: &mut Screen,
) -> Result<(), Failure> {
    let p12 = P12Form::of(arguments, context.environment)?;
    let p12 = p12.as_ref();
    if arguments.csr.is_none() && arguments.key_algorithm == KeyName::Ed25519 {
        screen.say(
            "note: browsers and NSS do not accept Ed25519: for them, use --key-algorithm p256",
        );
    }
    match (&arguments.from, &arguments.csr, &arguments.cn) {
        (Some(list), _, _) => bulk::run(session, zone, list, arguments, p12, screen),
        (None, Some(path), _) => {
            from_request(session, zone, path, arguments, context.random, screen)
        }
        (None, None, Some(name)) => from_name(session, zone, name, arguments, p12, screen),
        (None, None, None) => Err(Failure::usage(
            "nothing to issue: give --cn, --csr or --from",
        )),
    }
}

/// A request of another program may get several certificates, so each run has a key of its own.
fn from_request(
    session: &Session,
    zone: &ZoneId,
    path: &Path,
    arguments: &IssueArgs,
    random: &dyn Random,
    screen: &mut Screen,
) -> Result<(), Failure> {
    let remedy = "make a request for it: openssl req -new -key KEY -out REQUEST";
    let csr = files::read_public(path, remedy)?;
    let mut octets = [0; 16];
    random.fill(&mut octets);
    let idempotency_key = Hex(&octets).to_string();
    let answer = certificate::request(session, zone, &csr, arguments.days, &idempotency_key)
        .map_err(|refusal| unsure(refusal, None))?;
    for message in &answer.messages {
        screen.say(&format!("note: {message}"));
    }
    let certificate: Certificate = answer.parse()?;
    let pem = files::certificate_pem(&certificate.certificate)?;
    if let Some(out) = &arguments.out {
        let name = files::safe_name(&certificate.common_name);
        let target = files::with_ending(&files::stem(Some(out), &name)?, "crt");
        files::write_new(&target, pem.as_bytes(), Secrecy::Public)
            .map_err(|failure| is_issued(failure, &certificate))?;
        screen.say(&format!("wrote {}", target.display()));
    }
    match (screen.is_json(), &arguments.out) {
        (true, _) => screen.json(&answer.result),
        (false, Some(_)) => certificate::fields(&certificate, screen),
        (false, None) => {
            let (id, end) = (&certificate.id, &certificate.expires_on);
            screen.say(&format!("issued {id} until {end}"));
            screen.data(&pem)
        }
    }
}

/// Makes a key and its certificate. The order of the steps makes a kill at any instant harmless: a
/// certificate always has its key on disk, and no file is replaced.
fn from_name(
    session: &Session,
    zone: &ZoneId,
    name: &str,
    arguments: &IssueArgs,
    p12: Option<&P12Form>,
    screen: &mut Screen,
) -> Result<(), Failure> {
    // 1. The names of the new files are free.
    let stem = files::stem(arguments.out.as_deref(), &files::safe_name(name))?;
    let [key_path, crt_path, p12_path] =
        ["key", "crt", "p12"].map(|ending| files::with_ending(&stem, ending));
    let p12_wanted = p12.map(|_| &p12_path);
    let new = [Some(&key_path), Some(&crt_path), p12_wanted];
    for path in new.into_iter().flatten() {
        if path.symlink_metadata().is_ok() {
            return Err(files::exists_already(path));
        }
    }
    // 2. The key, on disk.
    let working = screen.working("making key and certificate");
    let made = NewKey::generate(arguments.key_algorithm, &subject(name, arguments))?;
    files::write_new(&key_path, made.key.as_bytes(), Secrecy::Private)?;
    // 3. The certificate.
    let days = arguments.days;
    let idempotency_key = certificate::key_of(&made.csr, days);
    let answer = certificate::request(session, zone, &made.csr, days, &idempotency_key).map_err(
        |refusal| match refusal {
            Refusal::Unknown(_) => unsure(refusal, Some(&key_path)),
            // The key has no certificate and will get none.
            Refusal::Refused { .. } | Refusal::NotSent(_) => {
                match std::fs::remove_file(&key_path) {
                    Ok(()) => refusal.into_failure(),
                    Err(_) => {
                        let left = format!("remove {} yourself", key_path.display());
                        refusal.into_failure().also_hint(left)
                    }
                }
            }
        },
    )?;
    let certificate: Certificate = answer.parse()?;
    let pem = files::certificate_pem(&certificate.certificate)?;
    files::write_new(&crt_path, pem.as_bytes(), Secrecy::Public)
        .map_err(|failure| is_issued(failure, &certificate))?;
    // 4. Both in one file.
    let mut written = vec![&key_path, &crt_path];
    if let Some(form) = p12 {
        let authority = working.suspend(|| authority_pem(session, zone, &certificate, screen));
        let file = key::p12(name, &made.key, &pem, authority.as_deref(), form)?;
        files::write_new(&p12_path, &file, Secrecy::Private)?;
        written.push(&p12_path);
    }
    drop(working);
    screen.say(&format!("wrote {}", listed(&written)));
    match screen.is_json() {
        true => screen.json(&answer.result),
        false => certificate::fields(&certificate, screen),
    }
}

/// Returns the CA's certificate for a PKCS #12 file, which is usable without it too.
fn authority_pem(
    session: &Session,
    zone: &ZoneId,
    certificate: &Certificate,
    screen: &mut Screen,
) -> Option<String> {
    let found = managed::chain_of(session, zone, certificate);
    if let Err(problem) = &found {
        screen.say(&format!(
            "note: the PKCS #12 file lacks the CA's certificate: {problem}"
        ));
    }
    found.ok()
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

/// Reports a request that the server may have executed.
fn unsure(refusal: Refusal, key: Option<&Path>) -> Failure {
    match refusal {
        Refusal::Unknown(failure) => {
            let kept = key.map(|path| format!("; its key stays in {}", path.display()));
            let kept = kept.unwrap_or_default();
            failure.with_hint(format!(
                "the certificate may have been issued: look for it with `certgate cert list`{kept}"
            ))
        }
        other => other.into_failure(),
    }
}

fn is_issued(failure: Failure, certificate: &Certificate) -> Failure {
    let id = &certificate.id;
    failure.and(format!(
        "the certificate is issued, and `certgate cert export {id}` writes it"
    ))
}

fn listed(paths: &[&PathBuf]) -> String {
    let shown = paths.iter().map(|path| path.display().to_string());
    shown.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
pub mod tests;
