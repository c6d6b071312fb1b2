//! `certgate cert revoke|restore --match`, `--resume` and `--undo`: a change of many certificates.
//!
//! The list of certificates is complete and on disk before the first request, because each change
//! takes a certificate out of the searches. A record file has the list and the outcomes: after a
//! kill at any instant, the command continues with exactly these certificates.

mod record;
mod run;

use std::path::{Path, PathBuf};

use certgate_model::{RevocationReason, Status, ZoneId};
use certgate_wire::{CoverageName, EnforcementPoint, Id, ReasonName, Time};

use self::record::{About, Action, Planned, Record};
use super::cert::{self, StatusRequest};
use super::managed;
use super::search::{Match, Search};
use super::wait::{self, Wait};
use crate::arguments::{ChangeArgs, Statuses, kebab};
use crate::failure::Failure;
use crate::http::Refusal;
use crate::output::{Screen, grouped, printable};
use crate::session::Session;

/// The certificates and the enforcement points that a preview shows.
const SHOWN: usize = 10;

/// `certgate cert revoke` and `certgate cert restore`
pub fn change(
    session: &Session,
    zone: &ZoneId,
    arguments: &ChangeArgs,
    request: StatusRequest,
    screen: &mut Screen,
) -> Result<(), Failure> {
    let is_many = arguments.matching.is_some();
    if !is_many && !arguments.filter.is_empty() {
        return Err(
            Failure::usage("the conditions have no effect without --match")
                .hint("add --match, or name the certificates without conditions"),
        );
    }
    if is_many && arguments.yes && arguments.expect.is_none() {
        return Err(Failure::usage(
            "--yes with --match needs --expect N, the number of certificates",
        )
        .hint("--dry-run shows the number"));
    }
    if !arguments.names.is_empty() {
        let timeout = arguments.wait.timeout();
        return cert::change(session, zone, &arguments.names, request, timeout, screen);
    }
    let action = match request {
        StatusRequest::Revoke(_) => Action::Revoke,
        StatusRequest::Restore => Action::Restore,
    };
    let wait = arguments.wait.timeout().map(Wait::begin);
    let record = if let Some(path) = &arguments.resume {
        let record = Record::open(path)?;
        is_of(&record, action)?;
        is_of_server(&record, session)?;
        Some(record)
    } else if let Some(path) = &arguments.undo {
        undo(session, &Record::open(path)?, action, arguments, screen)?
    } else {
        matching(session, zone, request, arguments, screen)?
    };
    match record {
        Some(record) => run::run(session, record, arguments.jobs, wait, screen),
        None => Ok(()),
    }
}

/// Refuses to continue the record of another action.
fn is_of(record: &Record, action: Action) -> Result<(), Failure> {
    let recorded = record.head().action;
    if recorded == action {
        return Ok(());
    }
    let (path, name) = (record.path().display(), recorded.name());
    Err(
        Failure::usage(format!("{path} records a change of the kind {name}"))
            .hint(format!("continue it: certgate cert {name} --resume {path}")),
    )
}

/// Refuses the record of a change on another server.
fn is_of_server(record: &Record, session: &Session) -> Result<(), Failure> {
    let (path, head) = (record.path().display(), record.head());
    let (server, zone) = (&head.server, head.zone_id);
    if server != session.api.base() {
        return Err(Failure::usage(format!(
            "{path} records a change on {server}, not on {}",
            session.api.base()
        ))
        .hint(format!("name the server: --api {server}")));
    }
    // Another server at this address does not know the zone. A token that may not read it gets 403.
    match session.api.get(&format!("/client/v4/zones/{zone}")) {
        Err(Refusal::Refused { status: 404, .. }) => Err(Failure::failed(format!(
            "{path} records a change in the zone {zone}, which {server} does not have"
        ))
        .hint("is another server at this address?")),
        Ok(_) | Err(Refusal::Refused { status: 403, .. }) => Ok(()),
        Err(refusal) => Err(refusal.into()),
    }
}

/// Lists what to change to undo a record.
fn undo(
    session: &Session,
    undone: &Record,
    action: Action,
    arguments: &ChangeArgs,
    screen: &mut Screen,
) -> Result<Option<Record>, Failure> {
    let (head, path) = (undone.head(), undone.path().display());
    is_of_opposite(undone, action)?;
    is_of_server(undone, session)?;
    if let Some(ReasonName(reason)) = head.reason
        && reason.is_permanent()
    {
        let reason = kebab(reason);
        return Err(Failure::failed(format!(
            "{path} cannot be undone: the reason {reason} is final"
        ))
        .hint("issue new certificates"));
    }
    let planned: Vec<_> = undone.changed().cloned().collect();
    if planned.is_empty() {
        screen.say(&format!(
            "nothing to do: the change in {path} changed no certificate"
        ));
        return Ok(None);
    }
    screen.say(&format!(
        "{} certificates that the change of {} changed ({})",
        grouped(planned.len() as u64),
        head.created_on,
        head.conditions
    ));
    let plan = Plan {
        action,
        reason: None,
        zone: head.zone_id,
        conditions: format!("undo of {path}"),
        planned,
    };
    plan.confirmed(session, arguments, screen)
}

fn is_of_opposite(record: &Record, action: Action) -> Result<(), Failure> {
    let recorded = record.head().action;
    if recorded.opposite() == action {
        return Ok(());
    }
    let (path, name) = (record.path().display(), recorded.name());
    let undo = recorded.opposite().name();
    Err(
        Failure::usage(format!("{path} records a change of the kind {name}"))
            .hint(format!("undo it: certgate cert {undo} --undo {path}")),
    )
}

/// Lists the certificates that match.
fn matching(
    session: &Session,
    zone: &ZoneId,
    request: StatusRequest,
    arguments: &ChangeArgs,
    screen: &mut Screen,
) -> Result<Option<Record>, Failure> {
    let (pattern, filter) = (arguments.matching.as_deref(), &arguments.filter);
    // The statuses that the action changes.
    let statuses: &[Status] = match (request, filter.status) {
        (StatusRequest::Revoke(_), None) => &[Status::Active],
        (StatusRequest::Revoke(_), Some(_)) => &[Status::Active, Status::PendingReactivation],
        (StatusRequest::Restore, _) => &[Status::Revoked, Status::PendingRevocation],
    };
    let asked = filter.status.unwrap_or(Statuses::All);
    let is_asked = |status: &&Status| match asked {
        Statuses::All => true,
        Statuses::One(asked) => asked == **status,
    };
    let statuses: Vec<_> = statuses.iter().filter(is_asked).collect();
    let search = Search::new(session, zone, pattern, filter, asked, screen.now())?;
    let conditions = match statuses.first() {
        Some(status) => search.with_statuses(Statuses::One(**status)).description(),
        None => search.description(),
    };
    let working = screen.working("searching");
    let mut found = Vec::new();
    for status in &statuses {
        let search = search.with_statuses(Statuses::One(**status));
        found.extend(search.collect(session, zone)?);
    }
    working.finish_and_clear();
    // A certificate whose change settles between the two searches is in both.
    found.sort_by_key(|certificate| certificate.id);
    found.dedup_by_key(|certificate| certificate.id);
    // A preview in the order of names is easier to read.
    found.sort_by(|one, other| one.common_name.cmp(&other.common_name));
    if found.is_empty() {
        screen.say(&format!(
            "no certificate to {} matches ({conditions})",
            request.verb()
        ));
        return match arguments.expect {
            None | Some(0) => Ok(None),
            Some(expected) => Err(differs(0, expected)),
        };
    }
    preview(&found, &conditions, screen);
    let plan = Plan {
        action: match request {
            StatusRequest::Revoke(_) => Action::Revoke,
            StatusRequest::Restore => Action::Restore,
        },
        reason: match request {
            StatusRequest::Revoke(reason) => reason,
            StatusRequest::Restore => None,
        },
        zone: (*zone).into(),
        conditions,
        planned: found.into_iter().map(planned).collect(),
    };
    plan.confirmed(session, arguments, screen)
}

fn planned(found: Match) -> Planned {
    Planned {
        id: found.id,
        common_name: found.common_name,
    }
}

/// Shows the number of certificates and the first of them.
fn preview(found: &[Match], conditions: &str, screen: &mut Screen) {
    let count = found.len();
    let verb = if count == 1 {
        "certificate matches"
    } else {
        "certificates match"
    };
    screen.say(&format!("{} {verb} ({conditions})", grouped(count as u64)));
    let rows = found.iter().take(SHOWN).map(|certificate| {
        vec![
            certificate.common_name.clone(),
            certificate.status.to_string(),
            screen.time(certificate.expires_on),
            screen.id(certificate.id),
        ]
    });
    let rows: Vec<_> = rows.collect();
    screen.say_rows(&["name", "status", "expires", "id"], rows);
    if count > SHOWN {
        screen.say(&format!("and {} more", grouped((count - SHOWN) as u64)));
    }
}

/// A change of many certificates before it is confirmed.
struct Plan {
    action: Action,
    reason: Option<RevocationReason>,
    zone: Id,
    conditions: String,
    planned: Vec<Planned>,
}

impl Plan {
    /// Says the consequences, asks, and writes the record. [`None`]: the user wanted a preview.
    fn confirmed(
        self,
        session: &Session,
        arguments: &ChangeArgs,
        screen: &mut Screen,
    ) -> Result<Option<Record>, Failure> {
        let path = self.path(arguments, screen);
        self.say_consequences(session, &path, screen)?;
        let count = self.planned.len() as u64;
        if let Some(expected) = arguments.expect.filter(|expected| *expected != count) {
            return Err(differs(count, expected));
        }
        if arguments.dry_run {
            screen.say("nothing was changed");
            return Ok(None);
        }
        if !arguments.yes && !self.is_agreed(screen)? {
            return Err(Failure::failed("nothing was changed"));
        }
        let reason = match self.action {
            Action::Revoke => Some(ReasonName(self.reason.unwrap_or_default())),
            Action::Restore => None,
        };
        let about = About {
            action: self.action,
            reason,
            server: session.api.base().to_owned(),
            zone_id: self.zone,
            conditions: self.conditions,
            created_on: Time(screen.now()),
        };
        let record = Record::create(&path, about, &self.planned)?;
        let (name, path) = (self.action.name(), path.display());
        screen.say(&format!(
            "after an interruption, continue with: certgate cert {name} --resume {path}"
        ));
        Ok(Some(record))
    }

    fn path(&self, arguments: &ChangeArgs, screen: &Screen) -> PathBuf {
        arguments.record.clone().unwrap_or_else(|| {
            let now = Time(screen.now()).to_string();
            let time: String = now
                .chars()
                .filter(|letter| !"-:".contains(*letter))
                .collect();
            let time = time.split(['.', 'Z']).next().unwrap_or_default().to_owned();
            let stem = format!("certgate-{}-{time}Z", self.action.name());
            // Two changes of one second.
            let others = (2..).map(|number| format!("{stem}-{number}"));
            let mut names = std::iter::once(stem.clone()).chain(others);
            let free = names.find(|name| !Path::new(&format!("{name}.jsonl")).exists());
            PathBuf::from(format!("{}.jsonl", free.unwrap_or(stem)))
        })
    }

    fn say_consequences(
        &self,
        session: &Session,
        path: &Path,
        screen: &mut Screen,
    ) -> Result<(), Failure> {
        let account = managed::account_of(session, &self.zone.into())?;
        say_coverage(wait::points_of(session, &account)?.as_deref(), screen);
        let (undo, path) = (self.action.opposite().name(), path.display());
        let reason = self.reason.unwrap_or_default();
        screen.say(&match self.action {
            Action::Revoke if reason.is_permanent() => format!(
                "the reason {} is final: you CANNOT undo this change",
                kebab(reason)
            ),
            _ => format!("you can undo this change: certgate cert {undo} --undo {path}"),
        });
        Ok(())
    }

    fn is_agreed(&self, screen: &mut Screen) -> Result<bool, Failure> {
        let (count, name) = (self.planned.len(), self.action.name());
        let question = format!("Type the number of certificates ({count}) to {name} them: ");
        let hint = format!("add --yes --expect {count}, or run the command in a terminal");
        let typed = screen.ask(&question, &hint)?;
        let digits: String = typed
            .trim()
            .chars()
            .filter(|letter| *letter != ',')
            .collect();
        Ok(digits == count.to_string())
    }
}

fn differs(count: u64, expected: u64) -> Failure {
    let matching = match count {
        1 => "1 certificate matches".to_owned(),
        many => format!("{} certificates match", grouped(many)),
    };
    let expected = grouped(expected);
    Failure::failed(format!("{matching}, not {expected}: nothing was changed"))
        .hint("look at them with --dry-run")
}

/// Says which enforcement points enforce the change, and on which traffic.
fn say_coverage(points: Option<&[EnforcementPoint<'_>]>, screen: &mut Screen) {
    let Some(points) = points else {
        return screen.say("the token may not list the enforcement points");
    };
    if points.is_empty() {
        return screen.say("no enforcement points: only CRLs and OCSP report the change");
    }
    screen.say(&format!(
        "{} enforcement points enforce the change:",
        points.len()
    ));
    let rows = points.iter().take(SHOWN).map(|point| {
        let covers: Vec<_> = point.covers.iter().map(CoverageName::to_string).collect();
        let state = match serde_json::to_value(point.status) {
            Ok(state) => state.as_str().unwrap_or_default().to_owned(),
            Err(_) => String::new(),
        };
        vec![printable(&point.name), covers.join(", "), state]
    });
    screen.say_rows(&["point", "covers", "state"], rows.collect());
    if points.len() > SHOWN {
        screen.say(&format!("and {} more", points.len() - SHOWN));
    }
}

#[cfg(test)]
mod tests;
