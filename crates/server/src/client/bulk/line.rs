//! One line of the list.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use certgate_model::ZoneId;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::super::cert::{self, Certificate};
use super::super::files::{self, Secrecy};
use super::super::http::Refusal;
use super::super::journal::{Entry, Journal};
use super::super::key::{self, Password};
use super::super::rows::{Row, Wanted};
use super::super::session::Session;
use super::super::{ca, issue};
use crate::cli::IssueArgs;
use crate::failure::Failure;

/// What every line needs.
pub struct Work<'a> {
    pub session: &'a Session,
    pub zone: &'a ZoneId,
    pub arguments: &'a IssueArgs,
    pub password: Option<&'a Password>,
    pub directory: &'a Path,
    pub journal: Mutex<Journal>,
    /// The certificates of authorities (by id) for PKCS#12 files, each asked for once; or why there is none. There are
    /// several where the authority is replaced meanwhile.
    pub authorities: Mutex<HashMap<String, Result<String, String>>>,
}

/// How far a line came in earlier runs.
#[derive(Debug)]
pub enum Start {
    /// To the end.
    Done,
    /// Nowhere.
    Fresh,
    /// Key and request are on disk; the request may have been sent.
    Requested {
        /// The request.
        csr: String,
    },
    /// The certificate with this id is issued; its files may be missing.
    Issued {
        /// Its id.
        certificate_id: String,
        /// Whether the journal says so already.
        journaled: bool,
    },
}

/// Why a line was not finished.
#[derive(Debug)]
pub enum Trouble {
    /// For a reason of its own.
    Line(Failure),
    /// For a reason that every other line would meet too.
    Everything(Failure),
}

/// The content of `NAME.pending`.
#[derive(Debug, Serialize, Deserialize)]
struct Pending {
    zone_id: String,
    wanted: Wanted,
    csr: String,
}

/// Looks how far a line came.
pub fn start(
    row: &Row,
    zone: &ZoneId,
    directory: &Path,
    journal: &Journal,
    p12_wanted: bool,
) -> Result<Start, Failure> {
    let [pending, key, crt, p12] =
        ["pending", "key", "crt", "p12"].map(|ending| path(directory, row, ending));
    let other_data = |file: &Path| {
        Failure::failed(format!(
            "{} is from a run with other data for this line",
            file.display()
        ))
        .hint("move the files of that name away, or choose another directory with --out")
    };
    if let Some(entry) = journal.entry(&row.name) {
        if entry.wanted != row.wanted || entry.zone_id != zone.to_string() {
            return Err(other_data(&crt));
        }
        // After the end the files are the user's, who may have moved them where they belong.
        let p12_missing = p12_wanted && key.exists() && crt.exists() && !p12.exists();
        return Ok(match pending.exists() || p12_missing {
            true => Start::Issued {
                certificate_id: entry.certificate_id.clone(),
                journaled: true,
            },
            false => Start::Done,
        });
    }
    match (read_pending(&pending)?, key.exists()) {
        (Some(found), true) if found.wanted == row.wanted && found.zone_id == zone.to_string() => {
            Ok(Start::Requested { csr: found.csr })
        }
        (Some(_), true) => Err(other_data(&pending)),
        (Some(_), false) => {
            // Killed before the key was on disk, hence before anything was sent.
            remove(&pending)?;
            Ok(Start::Fresh)
        }
        (None, _) => match [key, crt, p12].iter().find(|file| file.exists()) {
            Some(file) => Err(Failure::failed(format!(
                "{} exists already and is not from this list",
                file.display()
            ))
            .hint("move it away, or choose another directory with --out")),
            None => Ok(Start::Fresh),
        },
    }
}

/// Brings a line to its end. The order is what makes a kill at any instant harmless.
pub fn issue(work: &Work<'_>, row: &Row, start: Start) -> Result<(), Trouble> {
    let pending = path(work.directory, row, "pending");
    let key = path(work.directory, row, "key");
    // 1. Request, then key, on disk: whatever is sent from now on, its key is there.
    let (start, fresh) = match start {
        Start::Done => return Ok(()),
        Start::Fresh => {
            let made = key::make(work.arguments.key_algorithm, &row.wanted.subject())
                .map_err(Trouble::Line)?;
            let content = Pending {
                zone_id: work.zone.to_string(),
                wanted: row.wanted.clone(),
                csr: made.csr.clone(),
            };
            let content = serde_json::to_vec(&content)
                .map_err(|error| Trouble::Everything(Failure::failed(error.to_string())))?;
            files::write_new(&pending, &content, Secrecy::Public).map_err(Trouble::Everything)?;
            files::write_new(&key, made.key.as_bytes(), Secrecy::Private)
                .map_err(Trouble::Everything)?;
            (Start::Requested { csr: made.csr }, true)
        }
        other => (other, false),
    };
    // 2. The certificate.
    let (certificate, journaled) = match &start {
        Start::Requested { csr } => {
            let days = row.wanted.validity_days.unwrap_or(work.arguments.days);
            match issue::post(
                work.session,
                work.zone,
                csr,
                days,
                &issue::key_of(csr, days),
            ) {
                Ok(answer) => (
                    answer.parse::<Certificate>().map_err(Trouble::Everything)?,
                    false,
                ),
                Err(refusal) => {
                    // A request that an earlier run sent may have a certificate, so its key stays.
                    if fresh && !matches!(refusal, Refusal::Unknown(_)) {
                        remove(&key)
                            .and_then(|()| remove(&pending))
                            .map_err(Trouble::Everything)?;
                    }
                    return Err(trouble(refusal));
                }
            }
        }
        Start::Issued {
            certificate_id,
            journaled,
        } => {
            let path = format!("{}/{certificate_id}", cert::path(work.zone));
            let answer = work.session.api.get(&path).map_err(trouble)?;
            (
                answer.parse::<Certificate>().map_err(Trouble::Everything)?,
                *journaled,
            )
        }
        Start::Done | Start::Fresh => return Ok(()),
    };
    // 3. The journal: from here on the certificate can always be fetched again.
    if !journaled {
        let entry = Entry {
            name: row.name.clone(),
            zone_id: work.zone.to_string(),
            certificate_id: certificate.id.clone(),
            wanted: row.wanted.clone(),
        };
        let mut journal = work
            .journal
            .lock()
            .expect("no thread panics with the journal");
        journal.append(&entry).map_err(Trouble::Everything)?;
    }
    // 4. The files.
    let pem = files::certificate_pem(&certificate.certificate).map_err(Trouble::Line)?;
    let crt = path(work.directory, row, "crt");
    if !crt.exists() {
        files::write_new(&crt, pem.as_bytes(), Secrecy::Public).map_err(Trouble::Everything)?;
    }
    if let Some(password) = work.password {
        write_p12(work, row, &certificate, &pem, password)?;
    }
    // 5. The end.
    remove(&pending).map_err(Trouble::Everything)
}

fn write_p12(
    work: &Work<'_>,
    row: &Row,
    certificate: &Certificate,
    pem: &str,
    password: &Password,
) -> Result<(), Trouble> {
    let target = path(work.directory, row, "p12");
    if target.exists() {
        return Ok(());
    }
    let key = path(work.directory, row, "key");
    let key = std::fs::read_to_string(&key)
        .map(Zeroizing::new)
        .map_err(|error| {
            Trouble::Line(Failure::io(
                format!("cannot read {}", key.display()),
                &error,
            ))
        })?;
    let authority = {
        let mut authorities = work
            .authorities
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let ask = || {
            ca::chain_of(work.session, work.zone, certificate)
                .map_err(|failure| failure.to_string())
        };
        let signer = certificate.certificate_authority.id.clone();
        authorities.entry(signer).or_insert_with(ask).clone().ok()
    };
    let file = key::p12(
        &row.wanted.common_name,
        &key,
        pem,
        authority.as_deref(),
        password,
    )
    .map_err(Trouble::Line)?;
    files::write_new(&target, &file, Secrecy::Private).map_err(Trouble::Everything)
}

fn trouble(refusal: Refusal) -> Trouble {
    let status = match &refusal {
        Refusal::Refused { status, .. } => Some(*status),
        Refusal::NotSent(_) | Refusal::Unknown(_) => None,
    };
    let failure = refusal.into_failure();
    match super::meets_everything(&failure, status) {
        true => Trouble::Everything(failure),
        false => Trouble::Line(failure),
    }
}

fn path(directory: &Path, row: &Row, ending: &str) -> std::path::PathBuf {
    files::with_ending(&directory.join(&row.name), ending)
}

fn read_pending(path: &Path) -> Result<Option<Pending>, Failure> {
    match std::fs::read(path) {
        Ok(content) => serde_json::from_slice(&content)
            .map(Some)
            .map_err(|_| Failure::failed(format!("{} is not from certgate", path.display()))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Failure::io(
            format!("cannot read {}", path.display()),
            &error,
        )),
    }
}

fn remove(path: &Path) -> Result<(), Failure> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Failure::io(
            format!("cannot remove {}", path.display()),
            &error,
        )),
        _ => Ok(()),
    }
}
