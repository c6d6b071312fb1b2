//! One line of the list.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use certgate_model::ZoneId;
use certgate_wire::Uuid;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::progress::{Entry, Progress};
use super::rows::{Row, Wanted};
use crate::arguments::IssueArgs;
use crate::commands::certificate::{self, Certificate};
use crate::commands::managed;
use crate::failure::{Exit, Failure};
use crate::files::{self, Secrecy};
use crate::http::{Answer, Refusal};
use crate::key::{self, NewKey, P12Form};
use crate::session::Session;

/// The data of a run that every line needs.
pub struct Run<'a> {
    pub session: &'a Session,
    pub zone: &'a ZoneId,
    pub arguments: &'a IssueArgs,
    pub p12: Option<&'a P12Form>,
    pub directory: &'a Path,
    pub progress: Mutex<Progress>,
    /// The certificates of CAs (by ID) for PKCS #12 files, or the reason why one is missing. The
    /// run requests each once. There are several if the account rotates its CA meanwhile.
    pub authorities: Mutex<HashMap<Uuid, Result<String, String>>>,
}

/// The progress of a line in earlier runs.
#[derive(Debug)]
pub enum Start {
    /// Finished.
    Done,
    /// Not begun.
    Fresh,
    /// Key and request are on disk, and an earlier run may have sent the request.
    Requested(Box<Pending>),
    /// The certificate with this ID is issued, but its files may be missing.
    Issued(String),
}

/// The reason why a line is not finished.
#[derive(Debug)]
pub enum Trouble {
    /// A reason of this line alone.
    Line(Failure),
    /// A reason that affects every other line too.
    EveryLine(Failure),
}

/// The content of `NAME.pending`: everything that makes a second request the same as the first.
#[derive(Debug, Serialize, Deserialize)]
pub struct Pending {
    zone_id: String,
    wanted: Wanted,
    csr: String,
    validity_days: u32,
    /// The fingerprint of the token: the server keeps the idempotency keys of each token apart.
    token: String,
}

/// Determines the progress of earlier runs with a line.
pub fn start(
    row: &Row,
    session: &Session,
    zone: &ZoneId,
    directory: &Path,
    progress: &Progress,
    wants_p12: bool,
) -> Result<Start, Failure> {
    let [pending, key, crt, p12] =
        ["pending", "key", "crt", "p12"].map(|ending| path(directory, row, ending));
    let other_data = |file: &Path| {
        let shown = file.display();
        Failure::failed(format!(
            "{shown} is from a run with other data for this line"
        ))
        .hint("move the files of that name away, or choose another directory with --out")
    };
    if let Some(entry) = progress.entry(&row.name) {
        if entry.wanted != row.wanted || entry.zone_id != zone.to_string() {
            return Err(other_data(&crt));
        }
        // After the end, the user may have moved the files.
        let lacks_p12 = wants_p12 && key.exists() && crt.exists() && !p12.exists();
        return Ok(match pending.exists() || lacks_p12 {
            true => Start::Issued(entry.certificate_id.clone()),
            false => Start::Done,
        });
    }
    let Some(found) = read_pending(&pending)? else {
        return match [key, crt, p12].iter().find(|file| file.exists()) {
            Some(file) => Err(Failure::failed(format!(
                "{} exists already and is not from this list",
                file.display()
            ))
            .hint("move it away, or choose another directory with --out")),
            None => Ok(Start::Fresh),
        };
    };
    if !key.exists() {
        // The earlier run was killed before the key was on disk, so it sent nothing.
        files::remove(&pending)?;
        return Ok(Start::Fresh);
    }
    if found.wanted != row.wanted || found.zone_id != zone.to_string() {
        return Err(other_data(&pending));
    }
    if found.token != session.api.token().fingerprint() {
        let shown = pending.display();
        return Err(Failure::failed(format!(
            "{shown} was requested with another token, and its answer was lost: a request with this \
             token could issue a second certificate"
        ))
        .hint(
            "use the token of the earlier run; or look for the certificate with `certgate cert \
             list`, revoke it, and move the files of that name away",
        ));
    }
    Ok(Start::Requested(Box::new(found)))
}

/// Finishes a line. The order of the steps makes a kill at any instant harmless.
pub fn issue(run: &Run<'_>, row: &Row, start: Start) -> Result<(), Trouble> {
    let pending = path(run.directory, row, "pending");
    let key = path(run.directory, row, "key");
    // 1. The request and then the key, on disk: every request that is sent has its key here.
    // 2. The certificate. The idempotency key makes a second request return the same one.
    let (answer, is_recorded) = match start {
        Start::Done => return Ok(()),
        Start::Fresh => {
            let answer = send(run, &make_request(run, row, &pending, &key)?);
            if let Err(Refusal::Refused { .. } | Refusal::NotSent(_)) = &answer {
                // The key has no certificate and will get none.
                files::remove(&key)
                    .and_then(|()| files::remove(&pending))
                    .map_err(Trouble::EveryLine)?;
            }
            (answer.map_err(trouble)?, false)
        }
        // A refusal of this request does not show the result of the earlier request, so the key
        // stays.
        Start::Requested(request) => (send(run, &request).map_err(trouble)?, false),
        Start::Issued(certificate_id) => {
            let path = format!("{}/{certificate_id}", certificate::path(run.zone));
            (run.session.api.get(&path).map_err(trouble)?, true)
        }
    };
    let certificate: Certificate = answer.parse().map_err(Trouble::EveryLine)?;
    // 3. The progress file: from here on the client can get the certificate again.
    if !is_recorded {
        let entry = Entry {
            name: row.name.clone(),
            zone_id: run.zone.to_string(),
            certificate_id: certificate.id.to_string(),
            wanted: row.wanted.clone(),
        };
        let mut progress = run.progress.lock().unwrap_or_else(PoisonError::into_inner);
        progress.append(&entry).map_err(Trouble::EveryLine)?;
    }
    // 4. The files.
    let pem = files::certificate_pem(&certificate.certificate).map_err(Trouble::Line)?;
    let crt = path(run.directory, row, "crt");
    if !crt.exists() {
        files::write_new(&crt, pem.as_bytes(), Secrecy::Public).map_err(Trouble::EveryLine)?;
    }
    if let Some(form) = run.p12 {
        write_p12(run, row, &certificate, &pem, form)?;
    }
    // 5. The end.
    files::remove(&pending).map_err(Trouble::EveryLine)
}

fn make_request(run: &Run<'_>, row: &Row, pending: &Path, key: &Path) -> Result<Pending, Trouble> {
    let made = NewKey::generate(run.arguments.key_algorithm, &row.wanted.subject())
        .map_err(Trouble::Line)?;
    let request = Pending {
        zone_id: run.zone.to_string(),
        wanted: row.wanted.clone(),
        csr: made.csr,
        validity_days: row.wanted.validity_days.unwrap_or(run.arguments.days),
        token: run.session.api.token().fingerprint(),
    };
    let content = serde_json::to_vec(&request)
        .map_err(|error| Trouble::EveryLine(Failure::failed(error.to_string())))?;
    files::write_new(pending, &content, Secrecy::Public).map_err(Trouble::EveryLine)?;
    files::write_new(key, made.key.as_bytes(), Secrecy::Private).map_err(Trouble::EveryLine)?;
    Ok(request)
}

fn send(run: &Run<'_>, request: &Pending) -> Result<Answer, Refusal> {
    let Pending {
        csr, validity_days, ..
    } = request;
    let key = certificate::key_of(csr, *validity_days);
    certificate::request(run.session, run.zone, csr, *validity_days, &key)
}

fn write_p12(
    run: &Run<'_>,
    row: &Row,
    certificate: &Certificate,
    pem: &str,
    form: &P12Form,
) -> Result<(), Trouble> {
    let target = path(run.directory, row, "p12");
    if target.exists() {
        return Ok(());
    }
    let key = path(run.directory, row, "key");
    let key = std::fs::read_to_string(&key)
        .map(Zeroizing::new)
        .map_err(|error| {
            let shown = key.display();
            Trouble::Line(Failure::io(format!("cannot read {shown}"), &error))
        })?;
    let authority = {
        let authorities = run.authorities.lock();
        let mut authorities = authorities.unwrap_or_else(PoisonError::into_inner);
        let request = || {
            managed::chain_of(run.session, run.zone, certificate)
                .map_err(|failure| failure.to_string())
        };
        let signer = certificate.certificate_authority.id;
        authorities
            .entry(signer)
            .or_insert_with(request)
            .clone()
            .ok()
    };
    let name = &row.wanted.common_name;
    let file = key::p12(name, &key, pem, authority.as_deref(), form).map_err(Trouble::Line)?;
    files::write_new(&target, &file, Secrecy::Private).map_err(Trouble::EveryLine)
}

/// An unreachable server, a refused token and a full quota affect every other line too.
fn trouble(refusal: Refusal) -> Trouble {
    let status = match &refusal {
        Refusal::Refused { status, .. } => *status,
        Refusal::NotSent(_) | Refusal::Unknown(_) => 0,
    };
    let failure = refusal.into_failure();
    let is_of_every_line = failure.exit() == Exit::Unreachable
        || matches!(status, 401 | 403 | 404 | 429)
        || status >= 500;
    match is_of_every_line {
        true => Trouble::EveryLine(failure),
        false => Trouble::Line(failure),
    }
}

fn path(directory: &Path, row: &Row, ending: &str) -> PathBuf {
    files::with_ending(&directory.join(&row.name), ending)
}

fn read_pending(path: &Path) -> Result<Option<Pending>, Failure> {
    let shown = path.display();
    match std::fs::read(path) {
        Ok(content) => serde_json::from_slice(&content).map(Some).map_err(|_| {
            Failure::failed(format!("{shown} is not from this version of certgate"))
                .hint("move the files of that name away")
        }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Failure::io(format!("cannot read {shown}"), &error)),
    }
}
