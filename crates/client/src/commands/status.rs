//! `certgate status`: the state of a server and a zone on one screen.

use certgate_model::{SECONDS_PER_DAY, Span, Status, Timestamp, ZoneId};
use certgate_wire::{
    EnforcementPoint, EnforcementPointStatus, NotificationDestination, StatusTotals, Zone,
    ZoneSummary,
};
use serde::Serialize;

use super::managed::{self, ManagedCa};
use super::search::Search;
use super::{notifications, wait};
use crate::arguments::{FilterArgs, Moment, Statuses};
use crate::failure::{Exit, Failure};
use crate::http::Refusal;
use crate::output::{Screen, grouped, printable, relative};
use crate::session::Session;

/// The days for which expiring certificates are counted, as the metrics count them.
const EXPIRING_DAYS: [i64; 3] = [7, 30, 90];

/// Days before the end of an active CA at which a user must prepare the next one.
const CA_ENDS_DAYS: i64 = 30;

/// The age of a list, in days, from which on something is wrong: the server renews each list once
/// in four days.
const LIST_AGE_DAYS: i64 = 5;

/// The ages of the last backup and the last check from which on they are too old, in days.
const BACKUP_AGE_DAYS: i64 = 7;
const CHECK_AGE_DAYS: i64 = 35;

/// The most enforcement points that a line names.
const NAMED_MAX: usize = 5;

const BACKUP: &str = "certgate_backup_finished_timestamp_seconds";
const CHECK: &str = "certgate_check_finished_timestamp_seconds";
const PROBLEMS: &str = "certgate_check_problems";

/// A colour. A greater one is worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Colour {
    Green,
    Yellow,
    Red,
}

impl Colour {
    pub fn name(self) -> &'static str {
        match self {
            Self::Green => "green",
            Self::Yellow => "yellow",
            Self::Red => "red",
        }
    }

    fn if_else(is_good: bool, other: Self) -> Self {
        if is_good { Self::Green } else { other }
    }
}

/// A line.
#[derive(Debug, Serialize)]
pub(super) struct Item {
    pub status: Colour,
    pub item: &'static str,
    pub detail: String,
    /// The remedy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
}

impl Item {
    /// A line without a problem.
    pub fn good(item: &'static str, detail: impl Into<String>) -> Self {
        Self {
            status: Colour::Green,
            item,
            detail: detail.into(),
            fix: None,
        }
    }

    /// A line about something that may become a problem.
    pub fn warning(item: &'static str, detail: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            status: Colour::Yellow,
            fix: Some(fix.into()),
            ..Self::good(item, detail)
        }
    }

    /// A line about a problem.
    pub fn problem(item: &'static str, detail: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            status: Colour::Red,
            ..Self::warning(item, detail, fix)
        }
    }
}

#[derive(Serialize)]
struct Report<'a> {
    status: Colour,
    items: &'a [Item],
}

/// `certgate status`
pub fn run(session: &Session, zone: &ZoneId, screen: &mut Screen) -> Result<(), Failure> {
    let now = screen.now();
    let account = managed::account_of(session, zone)?;
    let mut items = vec![server(session), self::zone(session, zone)?];
    items.extend(certificates(session, zone, now)?);
    let authorities = session.api.get(&managed::path(&account));
    match permitted(authorities)? {
        Some(answer) => {
            for ca in answer.parse::<Vec<ManagedCa>>()? {
                items.push(authority(session, &ca, now));
            }
        }
        None => items.push(hidden("CAs")),
    }
    items.push(match wait::points_of(session, &account)? {
        Some(points) => enforcement(&points, now),
        None => hidden("enforcement"),
    });
    items.extend(of_notifications(session, now)?);
    items.extend(operations(session, now));
    print(&items, screen)
}

fn print(items: &[Item], screen: &mut Screen) -> Result<(), Failure> {
    let status = items.iter().map(|item| item.status).max();
    let status = status.unwrap_or(Colour::Green);
    if screen.is_json() {
        screen.json_of(&Report { status, items })?;
    } else {
        let rows = items.iter().map(|item| {
            let (colour, name) = (item.status.name(), item.item);
            vec![colour.to_owned(), name.to_owned(), item.detail.clone()]
        });
        screen.table(&["status", "item", "detail"], rows)?;
    }
    finish(status)
}

/// Ends a command with the exit status of a colour.
pub(super) fn finish(status: Colour) -> Result<(), Failure> {
    match status {
        Colour::Green => Ok(()),
        Colour::Yellow => Err(Failure::new(Exit::Warnings, "")),
        Colour::Red => Err(Failure::printed()),
    }
}

/// Returns the answer; [`None`] if the token may not see it.
pub(super) fn permitted<T>(answer: Result<T, Refusal>) -> Result<Option<T>, Failure> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(Refusal::Refused { status: 403, .. }) => Ok(None),
        Err(refusal) => Err(refusal.into()),
    }
}

fn hidden(item: &'static str) -> Item {
    Item {
        status: Colour::Yellow,
        item,
        detail: "the token may not see them".to_owned(),
        fix: None,
    }
}

fn server(session: &Session) -> Item {
    let is_ready = session.api.text("/readyz").is_some();
    let state = if is_ready {
        "ready"
    } else {
        "not ready: see its log"
    };
    Item {
        status: Colour::if_else(is_ready, Colour::Red),
        item: "server",
        detail: format!("{}, {state}", session.api.base()),
        fix: None,
    }
}

fn zone(session: &Session, zone: &ZoneId) -> Result<Item, Failure> {
    let answer = permitted(session.api.get(&format!("/client/v4/zones/{zone}")))?;
    let name = match answer {
        Some(answer) => printable(&answer.parse::<Zone<'_>>()?.name),
        None => zone.to_string(),
    };
    Ok(Item {
        status: Colour::Green,
        item: "zone",
        detail: name,
        fix: None,
    })
}

fn certificates(session: &Session, zone: &ZoneId, now: Timestamp) -> Result<Vec<Item>, Failure> {
    let path = format!("/certgate/v1/zones/{zone}/summary");
    let (totals, expiring) = match session.api.get(&path) {
        Ok(answer) => of_summary(&answer.parse()?, now),
        Err(Refusal::Refused { status: 403, .. }) => return Ok(vec![hidden("certificates")]),
        // A server without this route.
        Err(Refusal::Refused { status: 404, .. }) => of_lists(session, zone, now)?,
        Err(refusal) => return Err(refusal.into()),
    };
    let pending = totals.pending_reactivation + totals.pending_revocation;
    let counts = [
        (totals.active, "active"),
        (pending, "pending"),
        (totals.revoked, "revoked"),
    ];
    let counts = counts.map(|(count, what)| format!("{} {what}", grouped(count)));
    let expiring = expiring.iter().zip(EXPIRING_DAYS);
    let expiring = expiring.map(|(count, days)| format!("{} within {days} days", grouped(*count)));
    let expiring: Vec<_> = expiring.collect();
    let items = [
        ("certificates", counts.join(", ")),
        ("expiring", expiring.join(", ")),
    ];
    let items = items.map(|(item, detail)| Item {
        status: Colour::Green,
        item,
        detail,
        fix: None,
    });
    Ok(items.into())
}

/// The certificates by status, and those that end within [`EXPIRING_DAYS`].
type Counts = (StatusTotals, [u64; EXPIRING_DAYS.len()]);

fn of_summary(summary: &ZoneSummary<'_>, now: Timestamp) -> Counts {
    let today = now.unix_day();
    let within = |days: i64| {
        let days = summary
            .expiring
            .iter()
            .filter(move |day| day.date.0 <= today + days);
        days.map(|day| day.count).sum()
    };
    (summary.totals, EXPIRING_DAYS.map(within))
}

fn of_lists(session: &Session, zone: &ZoneId, now: Timestamp) -> Result<Counts, Failure> {
    let total = |status| {
        let list = Search::of_statuses(Statuses::One(status));
        list.count(session, zone)
    };
    let totals = StatusTotals {
        active: total(Status::Active)?,
        pending_reactivation: total(Status::PendingReactivation)?,
        pending_revocation: total(Status::PendingRevocation)?,
        revoked: total(Status::Revoked)?,
    };
    let mut expiring = [0; EXPIRING_DAYS.len()];
    for (count, days) in expiring.iter_mut().zip(EXPIRING_DAYS) {
        let filter = FilterArgs {
            expires_within: Some(Moment::Span(days * SECONDS_PER_DAY)),
            ..FilterArgs::default()
        };
        let active = Statuses::One(Status::Active);
        let search = Search::new(session, zone, None, &filter, active, now)?;
        *count = search.count(session, zone)?;
    }
    Ok((totals, expiring))
}

fn authority(session: &Session, ca: &ManagedCa, now: Timestamp) -> Item {
    let is_active = ca.in_force;
    let state = if is_active { "active" } else { "not active" };
    let (ends, id) = (ca.expires_on.0, ca.id);
    let url = format!("{}/crl/{id}/ca.crl", ca.public_url.trim_end_matches('/'));
    let list = session.api.public_date(&url);
    let (list, list_status) = match list {
        Some(made) => {
            let is_new = made.until(now).is_within(LIST_AGE_DAYS * SECONDS_PER_DAY);
            let is_new = is_new || made > now;
            (
                format!("CRL made {}", relative(now, made)),
                Colour::if_else(is_new, Colour::Red),
            )
        }
        None => ("CRL not reachable from here".to_owned(), Colour::Yellow),
    };
    let has_time = ends > now.plus_seconds(CA_ENDS_DAYS * SECONDS_PER_DAY);
    let end_status = match (is_active, has_time) {
        (true, false) if ends <= now => Colour::Red,
        (true, false) => Colour::Yellow,
        _ => Colour::Green,
    };
    Item {
        status: list_status.max(end_status),
        item: "CA",
        detail: format!(
            "{}, {state}, expires {}, {list}",
            printable(&ca.name),
            relative(now, ends)
        ),
        fix: None,
    }
}

fn enforcement(points: &[EnforcementPoint<'_>], now: Timestamp) -> Item {
    let is_current =
        |point: &&EnforcementPoint<'_>| point.status == EnforcementPointStatus::Current;
    let late: Vec<_> = points.iter().filter(|point| !is_current(point)).collect();
    let mut detail = match points.len() {
        0 => "no enforcement points".to_owned(),
        all => format!("{} of {all} current", all - late.len()),
    };
    let named = late.iter().take(NAMED_MAX).map(|point| {
        let (name, seen) = (printable(&point.name), relative(now, point.seen_on.0));
        format!("{name} (seen {seen})")
    });
    let named: Vec<_> = named.collect();
    if !named.is_empty() {
        detail.push_str(&format!("; not current: {}", named.join(", ")));
    }
    if late.len() > NAMED_MAX {
        detail.push_str(&format!(" and {} more", late.len() - NAMED_MAX));
    }
    Item {
        status: Colour::if_else(late.is_empty(), Colour::Yellow),
        item: "enforcement",
        detail,
        fix: None,
    }
}

/// The destinations of notifications. A token that may not see them, and a server that has none,
/// have no line.
fn of_notifications(session: &Session, now: Timestamp) -> Result<Vec<Item>, Failure> {
    let found: Vec<NotificationDestination<'static>> = match session.api.get(notifications::PATH) {
        Ok(answer) => answer.parse()?,
        Err(Refusal::Refused {
            status: 403 | 404, ..
        }) => Vec::new(),
        Err(refusal) => return Err(refusal.into()),
    };
    let item = |one: &NotificationDestination<'_>| {
        let is_good = one.failing_since.is_none() && one.undelivered == 0;
        let mut detail = format!(
            "{}: {}",
            printable(&one.name),
            notifications::state(one, now)
        );
        if one.undelivered > 0 {
            detail.push_str(&format!(", {} undelivered", grouped(one.undelivered)));
        }
        if !is_good {
            detail.push_str(": see `certgate notifications`");
        }
        Item {
            status: Colour::if_else(is_good, Colour::Yellow),
            item: "notifications",
            detail,
            fix: None,
        }
    };
    Ok(found.iter().map(item).collect())
}

/// The last backup and the last check, as the metrics of the server know them.
fn operations(session: &Session, now: Timestamp) -> [Item; 2] {
    let metrics = session.api.text("/metrics").unwrap_or_default();
    let value = |name: &str| metric(&metrics, name);
    let is_young = |span: Span, days: i64| span.is_within(days * SECONDS_PER_DAY);
    let backup = match value(BACKUP).map(instant) {
        None => (
            Colour::Green,
            "not known: PostgreSQL has its own backups".to_owned(),
        ),
        Some(None) => (
            Colour::Yellow,
            "never: see `certgate backup --help`".to_owned(),
        ),
        Some(Some(at)) => {
            let status = Colour::if_else(is_young(at.until(now), BACKUP_AGE_DAYS), Colour::Yellow);
            (status, relative(now, at))
        }
    };
    let problems = value(PROBLEMS).unwrap_or_default();
    let check = match value(CHECK).and_then(instant) {
        None => (
            Colour::Yellow,
            "never: see `certgate check --help`".to_owned(),
        ),
        Some(at) if problems > 0.0 => (
            Colour::Red,
            format!("{}, {problems} problems", relative(now, at)),
        ),
        Some(at) => {
            let status = Colour::if_else(is_young(at.until(now), CHECK_AGE_DAYS), Colour::Yellow);
            (status, format!("{}, no problems", relative(now, at)))
        }
    };
    [("last backup", backup), ("last check", check)].map(|(item, (status, detail))| Item {
        status,
        item,
        detail,
        fix: None,
    })
}

/// Returns the value of a metric without labels.
pub(super) fn metric(metrics: &str, name: &str) -> Option<f64> {
    let mut lines = metrics.lines();
    let value = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value.and_then(|value| value.trim().parse().ok())
}

/// Reads a gauge of a time. Zero means never.
pub(super) fn instant(seconds: f64) -> Option<Timestamp> {
    (seconds > 0.0).then(|| Timestamp::from_unix(seconds as i64))
}

#[cfg(test)]
mod tests;
