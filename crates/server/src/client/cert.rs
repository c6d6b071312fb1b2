//! `certgate cert list|show|revoke|restore|export`.

use std::collections::HashSet;
use std::path::Path;

use certgate_model::{CertificateId, RevocationReason, Status, ZoneId};
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use super::ca;
use super::files::{self, Secrecy};
use super::http::ResultInfo;
use super::output::{Screen, grouped, minutes};
use super::session::Session;
use crate::cli::ListArgs;
use crate::failure::{Exit, Failure};

/// How many certificates a request of `--all` asks for: the most that the API gives.
pub const PAGE_MAX: u64 = 1000;

/// How many digits of a serial number a list shows: enough to tell certificates apart by eye.
const SERIAL_DIGITS: usize = 12;

const HEADER: [&str; 6] = ["id", "common name", "status", "issued", "expires", "serial"];

/// A certificate as the API shows it.
#[derive(Debug, Clone, Deserialize)]
#[serde(default)]
#[derive(Default)]
pub struct Certificate {
    pub id: String,
    pub certificate: String,
    pub certificate_authority: Authority,
    pub common_name: String,
    pub organization: String,
    pub organizational_unit: String,
    pub location: String,
    pub state: String,
    pub country: String,
    pub csr: String,
    pub status: String,
    pub issued_on: String,
    pub expires_on: String,
    pub validity_days: u64,
    pub serial_number: String,
    pub signature: String,
    pub ski: String,
    pub fingerprint_sha256: String,
}

/// The authority as a certificate names it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Authority {
    pub id: String,
    pub name: String,
}

/// What to do to a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// DELETE, perhaps with a reason.
    Revoke(Option<RevocationReason>),
    /// PATCH.
    Restore,
}

/// `/client/v4/zones/…/client_certificates`
pub fn path(zone: &ZoneId) -> String {
    format!("/client/v4/zones/{zone}/client_certificates")
}

fn path_of(zone: &ZoneId, id: &str) -> Result<String, Failure> {
    let id: CertificateId = id.trim().parse().map_err(|_| {
        Failure::usage(format!(
            "{id:?} is no certificate id: that is 32 hexadecimal digits"
        ))
        .hint("`certgate cert list` shows the ids")
    })?;
    Ok(format!("{}/{id}", path(zone)))
}

/// `certgate cert list`
pub fn list(
    session: &Session,
    zone: &ZoneId,
    arguments: &ListArgs,
    screen: &mut Screen,
) -> Result<(), Failure> {
    if arguments.all {
        return list_all(session, zone, arguments.status, screen);
    }
    let answer = session.api.get(&page(
        zone,
        arguments.status,
        arguments.page,
        arguments.per_page,
    ))?;
    if screen.is_json() {
        return screen.json(&answer.result);
    }
    let certificates: Vec<Certificate> = answer.parse()?;
    if !certificates.is_empty() {
        screen.table(&HEADER, certificates.iter().map(row))?;
    }
    screen.say(&footer(
        arguments.page,
        arguments.per_page,
        certificates.len() as u64,
        answer.info,
    ));
    Ok(())
}

fn page(zone: &ZoneId, status: Option<Status>, page: u64, size: u64) -> String {
    let status = status.map_or("all", Status::name);
    format!("{}?status={status}&page={page}&limit={size}", path(zone))
}

fn row(certificate: &Certificate) -> Vec<String> {
    let serial = match certificate.serial_number.get(..SERIAL_DIGITS) {
        Some(short) => format!("{short}…"),
        None => certificate.serial_number.clone(),
    };
    vec![
        certificate.id.clone(),
        certificate.common_name.clone(),
        certificate.status.clone(),
        minutes(&certificate.issued_on),
        minutes(&certificate.expires_on),
        serial,
    ]
}

fn footer(page: u64, size: u64, count: u64, info: ResultInfo) -> String {
    let total = grouped(info.total_count);
    let pages = grouped(info.total_pages);
    match (count, info.total_count) {
        (_, 0) => "no certificates".to_owned(),
        (0, _) => format!("none of {total} (page {} of {pages})", grouped(page)),
        _ => {
            let first = page
                .saturating_sub(1)
                .saturating_mul(size)
                .saturating_add(1);
            let last = first.saturating_add(count - 1);
            format!(
                "{}–{} of {total} (page {} of {pages})",
                grouped(first),
                grouped(last),
                grouped(page)
            )
        }
    }
}

/// Prints page after page, so that memory stays small whatever the zone holds. Certificates that are issued meanwhile
/// push older ones to the next page, where they are recognised and not printed again.
fn list_all(
    session: &Session,
    zone: &ZoneId,
    status: Option<Status>,
    screen: &mut Screen,
) -> Result<(), Failure> {
    let mut printed = 0u64;
    let mut before: HashSet<String> = HashSet::new();
    let mut bar = None;
    for number in 1.. {
        let answer = session.api.get(&page(zone, status, number, PAGE_MAX))?;
        let items: Vec<Box<RawValue>> = answer.parse()?;
        if items.is_empty() {
            break;
        }
        let mut ids = HashSet::with_capacity(items.len());
        let mut rows = Vec::with_capacity(items.len());
        for item in &items {
            let certificate: Certificate = serde_json::from_str(item.get()).map_err(|error| {
                Failure::failed(format!("the server's answer is not understood: {error}"))
            })?;
            if !before.contains(&certificate.id) {
                if screen.is_json() {
                    let opening = if printed == 0 { "[" } else { "," };
                    screen.bytes(opening.as_bytes())?;
                    screen.bytes(item.get().as_bytes())?;
                } else {
                    rows.push(row(&certificate));
                }
                printed += 1;
            }
            ids.insert(certificate.id);
        }
        before = ids;
        if !screen.is_json() {
            screen.table(if number == 1 { &HEADER } else { &[] }, rows)?;
        }
        let bar = bar
            .get_or_insert_with(|| screen.progress_beside_data(answer.info.total_count, "listing"));
        bar.set_position(printed);
        if number >= answer.info.total_pages {
            break;
        }
    }
    if screen.is_json() {
        screen.bytes(if printed == 0 { b"[]\n" } else { b"]\n" })?;
    }
    if let Some(bar) = bar {
        bar.finish_and_clear();
    }
    screen.say(&match printed {
        0 => "no certificates".to_owned(),
        1 => "1 certificate".to_owned(),
        many => format!("{} certificates", grouped(many)),
    });
    Ok(())
}

/// `certgate cert show`
pub fn show(
    session: &Session,
    zone: &ZoneId,
    id: &str,
    screen: &mut Screen,
) -> Result<(), Failure> {
    let answer = session.api.get(&path_of(zone, id)?)?;
    match screen.is_json() {
        true => screen.json(&answer.result),
        false => fields(&answer.parse()?, screen),
    }
}

/// Prints a certificate in full.
pub fn fields(certificate: &Certificate, screen: &mut Screen) -> Result<(), Failure> {
    let authority = &certificate.certificate_authority;
    screen.fields(&[
        ("id", certificate.id.clone()),
        ("status", certificate.status.clone()),
        ("common name", certificate.common_name.clone()),
        ("organization", certificate.organization.clone()),
        (
            "organizational unit",
            certificate.organizational_unit.clone(),
        ),
        ("location", certificate.location.clone()),
        ("state", certificate.state.clone()),
        ("country", certificate.country.clone()),
        ("issued", certificate.issued_on.clone()),
        ("expires", certificate.expires_on.clone()),
        ("validity", format!("{} days", certificate.validity_days)),
        ("serial number", certificate.serial_number.clone()),
        (
            "fingerprint (SHA-256)",
            certificate.fingerprint_sha256.clone(),
        ),
        ("subject key id", certificate.ski.clone()),
        ("signature", certificate.signature.clone()),
        ("authority", format!("{} {}", authority.id, authority.name)),
    ])
}

/// `certgate cert revoke` and `certgate cert restore`: every id is tried, and what failed is told at once.
pub fn change(
    session: &Session,
    zone: &ZoneId,
    ids: &[String],
    change: Change,
    screen: &mut Screen,
) -> Result<(), Failure> {
    // A typing error in the last id must not be found after the first ones were revoked.
    let paths = ids
        .iter()
        .map(|id| path_of(zone, id))
        .collect::<Result<Vec<_>, _>>()?;
    let (doing, verb) = match change {
        Change::Revoke(_) => ("revoking", "revoke"),
        Change::Restore => ("restoring", "restore"),
    };
    let bar = screen.progress(paths.len() as u64, doing);
    let mut rows = Vec::new();
    let mut failed = 0;
    for (path, id) in paths.iter().zip(ids) {
        let answer = match change {
            Change::Revoke(None) => session.api.delete(path),
            Change::Revoke(Some(reason)) => session
                .api
                .delete_with(path, &json!({ "reason": reason.name() })),
            Change::Restore => session.api.patch(path, &json!({ "reactivate": true })),
        };
        bar.inc(1);
        match answer.map_err(Failure::from) {
            Ok(answer) if screen.is_json() => screen.json(&answer.result)?,
            Ok(answer) => {
                let certificate: Certificate = answer.parse()?;
                rows.push(vec![
                    certificate.id,
                    certificate.common_name,
                    certificate.status,
                ]);
            }
            Err(
                failure @ Failure::Told {
                    exit: Exit::Unreachable,
                    ..
                },
            ) => return Err(failure),
            Err(failure) if ids.len() == 1 => return Err(failure),
            Err(failure) => {
                failed += 1;
                bar.suspend(|| screen.say(&format!("error: cannot {verb} {id}: {failure}")));
            }
        }
    }
    bar.finish_and_clear();
    if !rows.is_empty() {
        screen.table(&["id", "common name", "status"], rows)?;
    }
    match failed {
        0 => Ok(()),
        failed => Err(Failure::failed(format!(
            "{failed} of {} could not be {verb}d",
            ids.len()
        ))),
    }
}

/// `certgate cert export`
pub fn export(
    session: &Session,
    zone: &ZoneId,
    id: &str,
    out: Option<&Path>,
    chain: bool,
    screen: &mut Screen,
) -> Result<(), Failure> {
    let answer = session.api.get(&path_of(zone, id)?)?;
    let certificate: Certificate = answer.parse()?;
    let mut pem = files::certificate_pem(&certificate.certificate)?;
    if chain {
        pem.push_str(&ca::chain_of(session, zone, &certificate)?);
    }
    match out {
        None if screen.is_json() => screen.json(&answer.result),
        None => screen.data(&pem),
        Some(path) => {
            files::write_new(path, pem.as_bytes(), Secrecy::Public)?;
            screen.say(&format!("wrote {}", path.display()));
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests;
