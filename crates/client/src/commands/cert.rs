//! `certgate cert list|count|show|history|revoke|restore|export`.

use std::path::Path;
use std::time::Duration;

use certgate_model::{RevocationReason, Status, ZoneId};
use certgate_wire::{ReactivateClientCertificate, ReasonName, RevokeClientCertificate};
use serde_json::json;

use super::certificate::{self, Certificate};
use super::history;
use super::managed;
use super::names::{self, Found};
use super::search::{Page, Search, new_items};
use super::wait::Wait;
use crate::arguments::{CountArgs, ListArgs, Statuses};
use crate::failure::{Exit, Failure};
use crate::files::{self, Secrecy};
use crate::http::{Answer, Refusal};
use crate::output::{Screen, grouped};
use crate::session::Session;

const ACTIVE: Statuses = Statuses::One(Status::Active);

const HEADER: [&str; 4] = ["name", "status", "expires", "id"];
const WIDE: [&str; 7] = [
    "name",
    "status",
    "issued",
    "expires",
    "serial number",
    "authority",
    "id",
];

/// The names of the API.
const CSV: [&str; 14] = [
    "id",
    "common_name",
    "status",
    "issued_on",
    "expires_on",
    "serial_number",
    "fingerprint_sha256",
    "certificate_authority_id",
    "certificate_authority_name",
    "organization",
    "organizational_unit",
    "country",
    "replaces",
    "replaced_by",
];

/// A change of a certificate's status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatusRequest {
    /// DELETE, perhaps with a reason.
    Revoke(Option<RevocationReason>),
    /// PATCH.
    Restore,
}

impl StatusRequest {
    /// Sends the request. `path` is that of the certificate.
    pub fn send(self, session: &Session, path: &str) -> Result<Answer, Refusal> {
        match self {
            Self::Revoke(None) => session.api.delete(path),
            Self::Revoke(reason) => {
                let reason = reason.map(ReasonName);
                let body = RevokeClientCertificate { reason };
                session.api.delete_with(path, &body)
            }
            Self::Restore => {
                let reactivate = Some(true);
                let body = ReactivateClientCertificate { reactivate };
                session.api.patch(path, &body)
            }
        }
    }

    /// The verb of messages.
    pub fn verb(self) -> &'static str {
        match self {
            Self::Revoke(_) => "revoke",
            Self::Restore => "restore",
        }
    }

    /// The verb of progress bars.
    pub fn doing(self) -> &'static str {
        match self {
            Self::Revoke(_) => "revoking",
            Self::Restore => "restoring",
        }
    }

    /// The treatment of clients after the change.
    pub fn done(self) -> &'static str {
        match self {
            Self::Revoke(_) => "refused",
            Self::Restore => "admitted",
        }
    }
}

/// `certgate cert list`
pub fn list(
    session: &Session,
    zone: &ZoneId,
    arguments: &ListArgs,
    screen: &mut Screen,
) -> Result<(), Failure> {
    let (pattern, filter) = (arguments.pattern.as_deref(), &arguments.filter);
    let search = Search::new(session, zone, pattern, filter, ACTIVE, screen.now())?;
    let search = search.sorted(arguments.sort, arguments.asc, arguments.desc);
    let total = match arguments.all {
        true => list_all(session, zone, &search, screen)?,
        false => list_page(session, zone, &search, arguments, screen)?,
    };
    if filter.status.is_none() && search.statuses != Statuses::All {
        say_omitted(session, zone, &search, total, screen)?;
    }
    Ok(())
}

/// Prints a page and returns the number of certificates in the whole list.
fn list_page(
    session: &Session,
    zone: &ZoneId,
    search: &Search,
    arguments: &ListArgs,
    screen: &mut Screen,
) -> Result<u64, Failure> {
    let ListArgs { page, per_page, .. } = *arguments;
    let found = search.page(session, zone, page, per_page)?;
    if screen.is_json() {
        screen.json_list(&found.answer().result, found.answer().raw_info()?)?;
        return Ok(found.total());
    }
    if !found.certificates.is_empty() {
        let rows = found.certificates.iter().map(|one| row(one, screen));
        let rows: Vec<_> = rows.collect();
        screen.table(header(screen), rows)?;
    }
    screen.say(&footer(page, per_page, &found));
    for message in &found.answer().messages {
        screen.say(message);
    }
    Ok(found.total())
}

/// Prints the number of certificates that a list of `listed` does not have because of their status.
fn say_omitted(
    session: &Session,
    zone: &ZoneId,
    search: &Search,
    listed: u64,
    screen: &mut Screen,
) -> Result<(), Failure> {
    let every = search.with_statuses(Statuses::All);
    let every = every.page(session, zone, 1, 1)?;
    match every.total().saturating_sub(listed) {
        0 => {}
        1 => screen.say("1 certificate is not active and omitted: see --status all"),
        many => screen.say(&format!(
            "{} certificates are not active and omitted: see --status all",
            grouped(many)
        )),
    }
    Ok(())
}

fn header(screen: &Screen) -> &'static [&'static str] {
    match (screen.is_csv(), screen.is_wide()) {
        (true, _) => &CSV,
        (false, true) => &WIDE,
        (false, false) => &HEADER,
    }
}

fn row(certificate: &Certificate, screen: &Screen) -> Vec<String> {
    let signer = &certificate.certificate_authority;
    let (id, name) = (
        screen.id(certificate.id),
        certificate.common_name.to_string(),
    );
    let status = match certificate::is_replaced(certificate) && !screen.is_csv() {
        true => format!("{}, replaced", certificate.status),
        false => certificate.status.to_string(),
    };
    let times = [certificate.issued_on, certificate.expires_on];
    let [issued, expires] = times.map(|time| screen.time(time));
    let serial = certificate.serial_number.to_string();
    let [replaces, replaced_by] = certificate::neighbours(certificate);
    match (screen.is_csv(), screen.is_wide()) {
        (true, _) => vec![
            id,
            name,
            status,
            issued,
            expires,
            serial,
            certificate.fingerprint_sha256.to_string(),
            signer.id.to_string(),
            signer.name.to_string(),
            certificate.organization.to_string(),
            certificate.organizational_unit.to_string(),
            certificate.country.to_string(),
            replaces,
            replaced_by,
        ],
        (false, true) => {
            let signer = signer.name.to_string();
            vec![name, status, issued, expires, serial, signer, id]
        }
        (false, false) => vec![name, status, expires, id],
    }
}

fn footer(page: u64, size: u64, found: &Page) -> String {
    let (count, all) = (found.certificates.len() as u64, found.total());
    let (total, pages) = (grouped(all), grouped(found.pages()));
    // The server counts searches with many matches up to a limit.
    let total = match found.is_at_least() {
        true => format!("at least {total}"),
        false => total,
    };
    match (count, all) {
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

/// Prints page after page, so that memory stays small in a zone of any size. Returns the number of
/// certificates.
fn list_all(
    session: &Session,
    zone: &ZoneId,
    search: &Search,
    screen: &mut Screen,
) -> Result<u64, Failure> {
    let (mut printed, mut bar) = (0u64, None);
    search.every(session, zone, |page, before| {
        let new: Vec<_> = new_items(page, before).collect();
        if screen.is_json() {
            for (item, _) in &new {
                let opening = if printed == 0 { "{\"result\":[" } else { "," };
                screen.json_piece(opening, item)?;
                printed += 1;
            }
        } else {
            let rows: Vec<_> = new.iter().map(|(_, one)| row(one, screen)).collect();
            match printed {
                0 => screen.table(header(screen), rows)?,
                _ => screen.more_rows(header(screen), rows)?,
            }
            printed += new.len() as u64;
        }
        let bar = bar.get_or_insert_with(|| screen.progress_beside_data(page.total(), "listing"));
        bar.set_position(printed);
        Ok(())
    })?;
    if screen.is_json() {
        let opening = if printed == 0 { "{\"result\":[" } else { "" };
        let info = json!({"count": printed, "total_count": printed});
        screen.bytes(format!("{opening}],\"result_info\":{info}}}\n").as_bytes())?;
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

/// `certgate cert count`
pub fn count(
    session: &Session,
    zone: &ZoneId,
    arguments: &CountArgs,
    screen: &mut Screen,
) -> Result<(), Failure> {
    let (pattern, filter) = (arguments.pattern.as_deref(), &arguments.filter);
    let search = Search::new(session, zone, pattern, filter, ACTIVE, screen.now())?;
    let working = screen.working("counting");
    let count = search.count(session, zone)?;
    working.finish_and_clear();
    if screen.is_json() {
        return screen.json_of(&json!({ "count": count }));
    }
    match screen.is_csv() {
        true => screen.table(&["count"], [vec![count.to_string()]])?,
        false => screen.data(&format!("{count}\n"))?,
    }
    if filter.status.is_none() && search.statuses != Statuses::All {
        say_omitted(session, zone, &search, count, screen)?;
    }
    Ok(())
}

/// `certgate cert show`
pub fn show(
    session: &Session,
    zone: &ZoneId,
    name: &str,
    screen: &mut Screen,
) -> Result<(), Failure> {
    let Found { json, certificate } = names::find(session, zone, name, screen)?;
    if screen.is_json() {
        return screen.json(&json);
    }
    let mut rows = certificate::rows(&certificate, screen);
    rows.extend(history::last(session, zone, &certificate, screen)?);
    screen.fields(&rows)
}

/// `certgate cert revoke` and `certgate cert restore`. It tries every certificate and
/// reports each failure.
pub fn change(
    session: &Session,
    zone: &ZoneId,
    names: &[String],
    request: StatusRequest,
    timeout: Option<Duration>,
    screen: &mut Screen,
) -> Result<(), Failure> {
    let wait = timeout.map(Wait::begin);
    // A name that is wrong or has several meanings must stop the command before it changes the
    // first certificate. A token without the permission to read can still name one by its ID.
    let mut paths = Vec::with_capacity(names.len());
    let mut ids = Vec::with_capacity(names.len());
    for name in names {
        let id = match names::whole_id(name) {
            Some(id) => id,
            None => names::find(session, zone, name, screen)?
                .certificate
                .id
                .into(),
        };
        paths.push(format!("{}/{id}", certificate::path(zone)));
        ids.push(id.to_string());
    }
    let ids = &ids;
    let verb = request.verb();
    let bar = screen.progress(paths.len() as u64, request.doing());
    let mut rows = Vec::new();
    let (mut failed, mut changed) = (0, Vec::new());
    for (path, id) in paths.iter().zip(ids) {
        let answer = request.send(session, path);
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
                    certificate.common_name.to_string(),
                    certificate.status.to_string(),
                    screen.id(certificate.id),
                ]);
            }
            Err(failure) if ids.len() == 1 || failure.exit() == Exit::Unreachable => {
                return Err(failure);
            }
            Err(failure) => {
                failed += 1;
                bar.suspend(|| screen.complain(&format!("error: cannot {verb} {id}: {failure}")));
            }
        }
    }
    bar.finish_and_clear();
    if !rows.is_empty() {
        screen.table(&["name", "status", "id"], rows)?;
    }
    if let Some(wait) = wait.filter(|_| !changed.is_empty()) {
        wait.settle(session, zone, &changed, request.done(), screen)?;
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
    name: &str,
    out: Option<&Path>,
    chain: bool,
    screen: &mut Screen,
) -> Result<(), Failure> {
    let Found { json, certificate } = names::find(session, zone, name, screen)?;
    let mut pem = files::certificate_pem(&certificate.certificate)?;
    if chain {
        pem.push_str(&managed::chain_of(session, zone, &certificate)?);
    }
    match out {
        None if screen.is_json() => screen.json(&json),
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
