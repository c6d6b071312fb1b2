//! `certgate cert list|show|revoke|restore|export`.

use std::collections::HashSet;
use std::path::Path;
use std::time::Duration;

use certgate_model::{RevocationReason, Status, ZoneId};
use certgate_wire::{
    Id, ReactivateClientCertificate, ReasonName, ResultInfo, RevokeClientCertificate,
};
use serde_json::value::RawValue;

use super::certificate::{self, Certificate};
use super::managed;
use super::wait::Wait;
use crate::arguments::{ListArgs, Statuses};
use crate::failure::{Exit, Failure};
use crate::files::{self, Secrecy};
use crate::http::{Answer, parsed};
use crate::output::{Screen, grouped, minutes};
use crate::session::Session;

/// The certificates in one request of `--all`: the most that the API returns, few in tests.
const PAGE_MAX: u64 = if cfg!(test) { 8 } else { 1000 };

/// The digits of a serial number in a list: enough to tell certificates apart by eye.
const SERIAL_DIGITS: usize = 12;

const HEADER: [&str; 6] = ["id", "common name", "status", "issued", "expires", "serial"];

/// A change of a certificate's status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatusRequest {
    /// DELETE, perhaps with a reason.
    Revoke(Option<RevocationReason>),
    /// PATCH.
    Restore,
}

/// `certgate cert list`
pub fn list(
    session: &Session,
    zone: &ZoneId,
    arguments: &ListArgs,
    screen: &mut Screen,
) -> Result<(), Failure> {
    let statuses = arguments.status.unwrap_or(Statuses::One(Status::Active));
    let total = match arguments.all {
        true => list_all(session, zone, statuses, screen)?,
        false => list_page(session, zone, statuses, arguments, screen)?,
    };
    if arguments.status.is_none() {
        say_omitted(session, zone, total, screen)?;
    }
    Ok(())
}

/// Prints a page and returns the number of certificates in the whole list.
fn list_page(
    session: &Session,
    zone: &ZoneId,
    statuses: Statuses,
    arguments: &ListArgs,
    screen: &mut Screen,
) -> Result<u64, Failure> {
    let ListArgs { page, per_page, .. } = *arguments;
    let answer = session
        .api
        .get(&page_path(zone, statuses, page, per_page))?;
    let info: ResultInfo = answer.info()?;
    if screen.is_json() {
        screen.json(&answer.result)?;
        return Ok(info.total_count);
    }
    let certificates: Vec<Certificate> = answer.parse()?;
    if !certificates.is_empty() {
        screen.table(&HEADER, certificates.iter().map(row))?;
    }
    screen.say(&footer(page, per_page, certificates.len() as u64, &info));
    Ok(info.total_count)
}

/// Prints the number of certificates of the zone that a list of `listed` does not have.
fn say_omitted(
    session: &Session,
    zone: &ZoneId,
    listed: u64,
    screen: &mut Screen,
) -> Result<(), Failure> {
    let answer = session.api.get(&page_path(zone, Statuses::All, 1, 1))?;
    let every: ResultInfo = answer.info()?;
    match every.total_count.saturating_sub(listed) {
        0 => {}
        1 => screen.say("1 certificate is not active and omitted: see --status all"),
        many => screen.say(&format!(
            "{} certificates are not active and omitted: see --status all",
            grouped(many)
        )),
    }
    Ok(())
}

fn page_path(zone: &ZoneId, statuses: Statuses, page: u64, size: u64) -> String {
    let (path, status) = (certificate::path(zone), statuses.name());
    format!("{path}?status={status}&page={page}&limit={size}")
}

fn row(certificate: &Certificate) -> Vec<String> {
    vec![
        certificate.id.to_string(),
        certificate.common_name.to_string(),
        certificate.status.to_string(),
        minutes(certificate.issued_on),
        minutes(certificate.expires_on),
        format!("{:.SERIAL_DIGITS$}…", certificate.serial_number.to_string()),
    ]
}

fn footer(page: u64, size: u64, count: u64, info: &ResultInfo) -> String {
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

/// Prints page after page, so that memory stays small in a zone of any size. A certificate that is
/// issued meanwhile pushes an older one to the next page, where this function skips it. Returns the
/// number of certificates.
fn list_all(
    session: &Session,
    zone: &ZoneId,
    statuses: Statuses,
    screen: &mut Screen,
) -> Result<u64, Failure> {
    let mut printed = 0u64;
    let mut before: HashSet<Id> = HashSet::new();
    let mut bar = None;
    for number in 1.. {
        let answer = session
            .api
            .get(&page_path(zone, statuses, number, PAGE_MAX))?;
        let info: ResultInfo = answer.info()?;
        let items: Vec<Box<RawValue>> = answer.parse()?;
        if items.is_empty() {
            break;
        }
        let mut ids = HashSet::with_capacity(items.len());
        let mut rows = Vec::with_capacity(items.len());
        for item in &items {
            let certificate: Certificate = parsed(item)?;
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
        let bar =
            bar.get_or_insert_with(|| screen.progress_beside_data(info.total_count, "listing"));
        bar.set_position(printed);
        if number >= info.total_pages {
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
    Ok(printed)
}

/// `certgate cert show`
pub fn show(
    session: &Session,
    zone: &ZoneId,
    id: &str,
    screen: &mut Screen,
) -> Result<(), Failure> {
    let answer = session.api.get(&certificate::path_of(zone, id)?)?;
    match screen.is_json() {
        true => screen.json(&answer.result),
        false => certificate::fields(&answer.parse()?, screen),
    }
}

/// `certgate cert revoke` and `certgate cert restore`. It tries every ID and reports each failure.
pub fn change(
    session: &Session,
    zone: &ZoneId,
    ids: &[String],
    request: StatusRequest,
    timeout: Option<Duration>,
    screen: &mut Screen,
) -> Result<(), Failure> {
    let wait = timeout.map(Wait::begin);
    // A typing error in the last ID must stop the command before it changes the first one.
    let paths = ids
        .iter()
        .map(|id| certificate::path_of(zone, id))
        .collect::<Result<Vec<_>, _>>()?;
    let (doing, verb, done) = match request {
        StatusRequest::Revoke(_) => ("revoking", "revoke", "refused"),
        StatusRequest::Restore => ("restoring", "restore", "admitted"),
    };
    let bar = screen.progress(paths.len() as u64, doing);
    let mut rows = Vec::new();
    let (mut failed, mut changed) = (0, Vec::new());
    for (path, id) in paths.iter().zip(ids) {
        let answer = match request {
            StatusRequest::Revoke(None) => session.api.delete(path),
            StatusRequest::Revoke(reason) => {
                let reason = reason.map(ReasonName);
                session
                    .api
                    .delete_with(path, &RevokeClientCertificate { reason })
            }
            StatusRequest::Restore => {
                let reactivate = Some(true);
                session
                    .api
                    .patch(path, &ReactivateClientCertificate { reactivate })
            }
        };
        bar.inc(1);
        if answer.is_ok() {
            changed.push(id.clone());
        }
        match answer.map_err(Failure::from) {
            Ok(answer) if screen.is_json() => {
                say_messages(&answer, id, screen);
                screen.json(&answer.result)?;
            }
            Ok(answer) => {
                bar.suspend(|| say_messages(&answer, id, screen));
                let certificate: Certificate = answer.parse()?;
                rows.push(vec![
                    certificate.id.to_string(),
                    certificate.common_name.into_owned(),
                    certificate.status.to_string(),
                ]);
            }
            Err(failure) if ids.len() == 1 || failure.exit() == Exit::Unreachable => {
                return Err(failure);
            }
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
    if let Some(wait) = wait.filter(|_| !changed.is_empty()) {
        wait.settle(session, zone, &changed, done, screen)?;
    }
    match failed {
        0 => Ok(()),
        failed => Err(Failure::failed(format!(
            "cannot {verb} {failed} of {} certificates",
            ids.len()
        ))),
    }
}

/// Prints the remarks about a certificate, such as when and by whom it was revoked before.
fn say_messages(answer: &Answer, id: &str, screen: &mut Screen) {
    for message in &answer.messages {
        screen.say(&format!("{id}: {message}"));
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
    let answer = session.api.get(&certificate::path_of(zone, id)?)?;
    let certificate: Certificate = answer.parse()?;
    let mut pem = files::certificate_pem(&certificate.certificate)?;
    if chain {
        pem.push_str(&managed::chain_of(session, zone, &certificate)?);
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
