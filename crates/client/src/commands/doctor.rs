//! `certgate doctor`: looks for problems of a server, and names the fix of each.

use std::path::Path;

use certgate_model::{AccountId, SECONDS_PER_DAY, Timestamp};
use certgate_wire::{CaCrls, EnforcedCaState};
use rustix::fs::statvfs;
use serde::Serialize;

use super::managed::{self, ManagedCa};
use super::status::{Colour, Item, finish, instant, metric, permitted};
use crate::failure::Failure;
use crate::http::is_loopback;
use crate::output::{Screen, printable, relative, wall_clock};
use crate::session::Session;

/// The differences of clocks, in seconds, from which on a user must act: certificates are valid
/// from some minutes before they are made, and an answer may take a second.
const CLOCK_WARNED_SECONDS: i64 = 5;
const CLOCK_WRONG_SECONDS: i64 = 60;

/// The time before the end of the server's certificate at which warnings begin, in days.
const TLS_ENDS_DAYS: i64 = 7;

/// The age of an event, in seconds, from which on a destination of notifications is late.
const NOTIFICATION_SECONDS: f64 = 900.0;

/// The free space of a disk from which on a user must act, in MiB: a backup and the write-ahead log
/// need some hundred of them.
const DISK_WARNED_MIB: u64 = 2_048;
const DISK_FULL_MIB: u64 = 256;

/// The time before the end of a CRL at which the server must have made the next one, in days: it
/// makes each list four days before the end.
const CRL_ENDS_DAYS: i64 = 2;

/// An OCSP request without a certificate: the responder answers that it is malformed (RFC 6960
/// §4.2.1), which shows that it answers.
const OCSP_REQUEST: &[u8] = &[0x30, 0x00];

/// The beginning of every OCSP response: SEQUENCE, and then ENUMERATED in a short form.
const OCSP_RESPONSE_TAG: u8 = 0x30;

#[derive(Serialize)]
struct Report<'a> {
    status: Colour,
    items: &'a [Item],
}

/// `certgate doctor`. `directory` is the data directory, if it is on this machine.
pub fn run(
    session: &Session,
    account: Option<&str>,
    directory: Option<&Path>,
    screen: &mut Screen,
) -> Result<(), Failure> {
    let now = screen.now();
    let working = screen.working("looking at the server");
    let (ready, date) = server(session);
    let is_ready = ready.status == Colour::Green;
    let mut items = vec![ready];
    // Without a server, only this machine is left.
    if is_ready {
        // The answer is a moment old.
        items.push(clock(date, wall_clock()));
        let metrics = session.api.text("/metrics").unwrap_or_default();
        items.extend(of_metrics(&metrics, now));
        match session.account(account) {
            Ok(account) => {
                let cas = authorities(session, &account, now);
                items.extend(cas.unwrap_or_else(|failure| vec![failed("CAs", failure)]));
                let points = enforcement(session, &account);
                items.push(points.unwrap_or_else(|failure| failed("enforcement", failure)));
            }
            Err(failure) => items.push(failed("account", failure)),
        }
    }
    items.push(match directory {
        Some(directory) => disk(directory),
        None => Item::good(
            "disk",
            "not on this machine: run the command on the server's",
        ),
    });
    working.finish_and_clear();
    print(&items, screen)
}

fn print(items: &[Item], screen: &mut Screen) -> Result<(), Failure> {
    let status = items.iter().map(|item| item.status).max();
    let status = status.unwrap_or(Colour::Green);
    if screen.is_json() {
        screen.json_of(&Report { status, items })?;
        return finish(status);
    }
    let cells = |item: &Item| {
        let name = item.status.name().to_owned();
        vec![name, item.item.to_owned(), item.detail.clone()]
    };
    if screen.is_csv() {
        let rows = items.iter().map(|item| {
            let fix = item.fix.clone().unwrap_or_default();
            [cells(item), vec![fix]].concat()
        });
        screen.table(
            &["status", "item", "detail", "fix"],
            rows.collect::<Vec<_>>(),
        )?;
        return finish(status);
    }
    screen.table(
        &["status", "item", "detail"],
        items.iter().map(cells).collect::<Vec<_>>(),
    )?;
    let fixes = items.iter().filter_map(|item| {
        let fix = item.fix.as_ref()?;
        Some(format!("{}: {}\n  fix: {fix}\n", item.item, item.detail))
    });
    let fixes: Vec<_> = fixes.collect();
    if !fixes.is_empty() {
        screen.data(&format!("\n{}", fixes.join("\n")))?;
    }
    finish(status)
}

/// A request that failed. The other items are shown all the same.
fn failed(item: &'static str, failure: Failure) -> Item {
    let (problem, hint) = failure.parts();
    Item::problem(item, problem, hint)
}

/// Returns the state of the server, and the date of its answer.
fn server(session: &Session) -> (Item, Option<Timestamp>) {
    let base = session.api.base();
    match session.api.look(&format!("{base}/readyz"), None) {
        Ok(seen) if seen.status == 200 => {
            (Item::good("server", format!("{base} is ready")), seen.date)
        }
        Ok(seen) => {
            let reason = String::from_utf8_lossy(&seen.body);
            let reason = printable(reason.lines().next().unwrap_or_default());
            let problem = Item::problem(
                "server",
                format!("{base} is not ready: {reason}"),
                "look at the log of the server: journalctl -u certgate",
            );
            (problem, seen.date)
        }
        Err(failure) => (failed("server", failure), None),
    }
}

fn clock(date: Option<Timestamp>, now: Timestamp) -> Item {
    match date {
        Some(date) => clock_of(date, now),
        None => Item::warning(
            "clock",
            "the server shows no time",
            "let the proxy in front of certgate pass on the header `date`",
        ),
    }
}

/// Compares the server's clock with that of this machine.
fn clock_of(server: Timestamp, now: Timestamp) -> Item {
    let seconds = |from: Timestamp, to: Timestamp| from.until(to).microseconds() / 1_000_000;
    let (behind, ahead) = (seconds(server, now), seconds(now, server));
    let detail = match (behind, ahead) {
        (0, 0) => "both clocks agree".to_owned(),
        (behind, 0) => format!("the server is {behind} s behind this machine"),
        (_, ahead) => format!("the server is {ahead} s ahead of this machine"),
    };
    let fix = "synchronise both clocks: timedatectl set-ntp true; certificates and CRLs have times";
    match behind.max(ahead) {
        0..CLOCK_WARNED_SECONDS => Item::good("clock", detail),
        CLOCK_WARNED_SECONDS..CLOCK_WRONG_SECONDS => Item::warning("clock", detail, fix),
        _ => Item::problem("clock", detail, fix),
    }
}

/// The states that the server reports as metrics.
fn of_metrics(metrics: &str, now: Timestamp) -> Vec<Item> {
    let value = |name: &str| metric(metrics, name);
    let own = env!("CARGO_PKG_VERSION");
    let mut items = vec![version(metrics, own)];
    items.push(match value("certgate_connections_unavailable") {
        Some(missing) if missing > 0.0 => Item::warning(
            "limits",
            format!("too few open files: each listener has {missing} connections fewer"),
            "raise LimitNOFILE of the service (16384 is enough for connections_max = 4096)",
        ),
        _ => Item::good("limits", "enough open files for connections_max"),
    });
    let ends = value("certgate_tls_certificate_expires_timestamp_seconds").and_then(instant);
    items.extend(ends.map(|ends| tls(ends, now)));
    items.push(match sum(metrics, "certgate_task_restarts_total") {
        restarts if restarts > 0.0 => Item::warning(
            "tasks",
            format!("{restarts} background tasks ended by a defect and were restarted"),
            "report the lines `a task ended` of the server's log",
        ),
        _ => Item::good("tasks", "no background task ended by a defect"),
    });
    items.extend(notifications(metrics));
    items
}

/// Returns a line if notifications are not delivered.
fn notifications(metrics: &str) -> Option<Item> {
    let undelivered = sum(metrics, "certgate_notifications_undelivered");
    let oldest = sum(metrics, "certgate_notification_oldest_seconds");
    let detail = match undelivered > 0.0 {
        true => format!("{undelivered} events were not delivered in time"),
        false => format!("events wait for {} minutes", (oldest / 60.0).round()),
    };
    let is_late = undelivered > 0.0 || oldest > NOTIFICATION_SECONDS;
    is_late.then(|| {
        let fix = "see the reason with `certgate notifications`, repair the receiver, and run \
                   `certgate notifications retry`";
        Item::warning("notifications", detail, fix)
    })
}

/// Adds the values of a metric with labels.
fn sum(metrics: &str, name: &str) -> f64 {
    let lines = metrics.lines().filter(|line| line.starts_with(name));
    let values = lines.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok());
    values.sum()
}

fn version(metrics: &str, own: &str) -> Item {
    let start = "certgate_build_info{version=\"";
    let found = metrics
        .lines()
        .find_map(|line| line.strip_prefix(start)?.split('"').next());
    match found {
        Some(server) if server == own => {
            Item::good("version", format!("server and client are {own}"))
        }
        server => Item::warning(
            "version",
            format!(
                "the server is {}, this client {own}",
                server.unwrap_or("older")
            ),
            "use the program of the server's version on this machine",
        ),
    }
}

fn tls(ends: Timestamp, now: Timestamp) -> Item {
    let detail = format!("the certificate of the API ends {}", relative(now, ends));
    let fix = "renew the files of tls_certificate and tls_key: the server reads them again itself";
    match ends {
        ends if ends <= now => Item::problem("TLS", detail, fix),
        ends if ends <= now.plus_seconds(TLS_ENDS_DAYS * SECONDS_PER_DAY) => {
            Item::warning("TLS", detail, fix)
        }
        _ => Item::good("TLS", detail),
    }
}

fn authorities(
    session: &Session,
    account: &AccountId,
    now: Timestamp,
) -> Result<Vec<Item>, Failure> {
    let path = managed::path(account);
    let Some(answer) = permitted(session.api.get(&path))? else {
        return Ok(vec![Item::warning(
            "CAs",
            "the token may not see them",
            "use a token with Account Settings Read",
        )]);
    };
    let mut items = Vec::new();
    let all: Vec<ManagedCa> = answer.parse()?;
    for ca in all.iter().filter(|ca| ca.state != EnforcedCaState::Retired) {
        let crls = session.api.get(&format!("{path}/{}/crls", ca.id))?;
        items.push(crl(&crls.parse()?, now));
        items.push(addresses(session, ca));
    }
    if items.is_empty() {
        items.push(Item::good(
            "CAs",
            "none: the first certificate makes the first one",
        ));
    }
    Ok(items)
}

/// Judges the CRLs of a CA.
fn crl(crls: &CaCrls, now: Timestamp) -> Item {
    let fix = "look for `revocation lists were not published` in the log of the server";
    match crls.next_update {
        None => Item::warning("CRL", "not published yet", fix),
        Some(ends) => {
            let detail = format!(
                "{} lists, the first ends {}",
                crls.lists,
                relative(now, ends.0)
            );
            match ends.0 {
                ends if ends <= now => Item::problem("CRL", detail, fix),
                ends if ends <= now.plus_seconds(CRL_ENDS_DAYS * SECONDS_PER_DAY) => {
                    Item::warning("CRL", detail, fix)
                }
                _ => Item::good("CRL", detail),
            }
        }
    }
}

/// Reads the addresses in the certificates of a CA.
fn addresses(session: &Session, ca: &ManagedCa) -> Item {
    let (base, id) = (ca.public_url.trim_end_matches('/'), ca.id);
    let shown = printable(base);
    let is_list = |body: &[u8]| body.first() == Some(&OCSP_RESPONSE_TAG);
    for (path, body) in [
        (format!("/crl/{id}/0.crl"), None),
        (format!("/ca/{id}.crt"), None),
        ("/ocsp".to_owned(), Some(OCSP_REQUEST)),
    ] {
        let problem = match session.api.look(&format!("{base}{path}"), body) {
            Ok(seen) if seen.status == 200 && is_list(&seen.body) => continue,
            Ok(seen) => format!("{shown}{path} answers {}, not as certgate", seen.status),
            Err(failure) => failure.parts().0,
        };
        return Item::problem(
            "URLs",
            problem,
            format!(
                "certificates have this address for good: let {shown} lead to public_listen of \
                 the server (name, port, firewall, proxy)"
            ),
        );
    }
    match is_loopback(base) {
        true => Item::warning(
            "URLs",
            format!("{shown} in certificates answers, but only on this machine"),
            "set public_url before you issue certificates for other machines",
        ),
        false => Item::good("URLs", format!("{shown} answers: CRL, OCSP and caIssuers")),
    }
}

fn enforcement(session: &Session, account: &AccountId) -> Result<Item, Failure> {
    let Some(points) = super::wait::points_of(session, account)? else {
        return Ok(Item::warning(
            "enforcement",
            "the token may not see the enforcement points",
            "use a token with Enforcement Points Read",
        ));
    };
    let is_late = |status| status != certgate_wire::EnforcementPointStatus::Current;
    let late = points.iter().filter(|point| is_late(point.status));
    let late: Vec<_> = late.map(|point| printable(&point.name)).collect();
    Ok(match &late[..] {
        [] if points.is_empty() => Item::good("enforcement", "no enforcement points"),
        [] => Item::good(
            "enforcement",
            format!("{} points are current", points.len()),
        ),
        late => Item::warning(
            "enforcement",
            format!("not current: {}", late.join(", ")),
            "start these processes, and look at their logs: they cannot reach the server, or it \
             refuses their token",
        ),
    })
}

fn disk(directory: &Path) -> Item {
    let shown = directory.display();
    match statvfs(directory) {
        Ok(found) => space(&shown, found.f_bavail.saturating_mul(found.f_frsize) >> 20),
        Err(error) => Item::warning(
            "disk",
            format!("cannot look at {shown}: {error}"),
            "run the command as the user of the server",
        ),
    }
}

/// Judges the free space of a directory, in MiB.
fn space(directory: &dyn std::fmt::Display, free: u64) -> Item {
    let detail = format!("{free} MiB are free for {directory}");
    let fix = "free space, or move the data directory: with a full disk, certgate refuses changes";
    match free {
        ..DISK_FULL_MIB => Item::problem("disk", detail, fix),
        DISK_FULL_MIB..DISK_WARNED_MIB => Item::warning("disk", detail, fix),
        _ => Item::good("disk", detail),
    }
}

#[cfg(test)]
mod tests;
