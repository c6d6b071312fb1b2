//! `--wait`: the wait until a change of certificates is settled at every enforcement point.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use certgate_model::{AccountId, Status, ZoneId};
use certgate_wire::{EnforcementPoint, EnforcementPointStatus};

use super::certificate::{self, Certificate};
use super::managed::account_of;
use crate::failure::{Exit, Failure};
use crate::http::Refusal;
use crate::output::{Screen, printable};
use crate::session::Session;

/// The pause before the next look. A change takes some ten milliseconds if no point is late.
const LOOK: Duration = Duration::from_millis(25);
const LOOK_MAX: Duration = Duration::from_millis(500);

/// The most late points that a message names.
const NAMED_MAX: usize = 10;

/// A wait that began before the change was sent.
pub struct Wait {
    begun: Instant,
    timeout: Duration,
}

/// The enforcement points of the account; [`None`] if the token may not see them.
pub type Points = Option<Vec<EnforcementPoint<'static>>>;

impl Wait {
    /// Begins to wait.
    #[expect(clippy::disallowed_methods, reason = "the user sees the elapsed time")]
    pub fn begin(timeout: Duration) -> Self {
        Self {
            begun: Instant::now(),
            timeout,
        }
    }

    /// Waits until the certificates with these IDs are settled, and reports the points that enforce
    /// the change. `verb` is a past participle: they are refused, or admitted.
    pub fn settle(
        &self,
        session: &Session,
        zone: &ZoneId,
        ids: &[String],
        verb: &str,
        screen: &mut Screen,
    ) -> Result<(), Failure> {
        let account = account_of(session, zone)?;
        let points = points_of(session, &account)?;
        // Every change of these certificates has at most this epoch.
        let epoch = points.iter().flatten().map(|point| point.last_epoch).max();
        let epoch = epoch.unwrap_or_default();
        let mut waiting = ids.to_vec();
        let mut pause = LOOK;
        loop {
            let mut pending = Vec::new();
            for id in waiting {
                match status_of(session, zone, &id)? {
                    Status::PendingRevocation | Status::PendingReactivation => pending.push(id),
                    Status::Revoked | Status::Active => {}
                }
            }
            waiting = pending;
            if waiting.is_empty() {
                break;
            }
            let left = self.timeout.saturating_sub(self.begun.elapsed());
            if left.is_zero() {
                let points = points_of(session, &account)?;
                return Err(self.late(&waiting, ids.len(), points.as_deref(), epoch));
            }
            session.api.pause(pause.min(left));
            pause = (pause * 2).min(LOOK_MAX);
        }
        let seconds = self.begun.elapsed().as_secs_f64();
        let points = points_of(session, &account)?;
        screen.say(&settled(verb, points.as_deref(), epoch, seconds));
        Ok(())
    }

    fn late(
        &self,
        waiting: &[String],
        all: usize,
        points: Option<&[EnforcementPoint<'_>]>,
        epoch: u64,
    ) -> Failure {
        let seconds = self.timeout.as_secs_f64();
        let mut text = match all {
            1 => format!("the change is still pending after {seconds} s"),
            _ => format!(
                "{} of {all} changes are still pending after {seconds} s",
                waiting.len()
            ),
        };
        let late: Vec<_> = points
            .unwrap_or_default()
            .iter()
            .filter(|point| point.acknowledged_epoch < epoch)
            .collect();
        if !late.is_empty() {
            let _ = write!(text, "; not confirmed by {}", names(&late));
        }
        Failure::new(Exit::TimedOut, text).hint(
            "certgate stops waiting for an enforcement point when its lease ends; \
             GET /enforcement_points shows the leases",
        )
    }
}

/// The report of a change that is settled.
fn settled(
    verb: &str,
    points: Option<&[EnforcementPoint<'_>]>,
    epoch: u64,
    seconds: f64,
) -> String {
    let Some(points) = points else {
        return format!(
            "{verb} by every live enforcement point after {seconds:.1} s; the token may not list \
             them"
        );
    };
    if points.is_empty() {
        return format!("settled after {seconds:.1} s; the account has no enforcement points");
    }
    let late: Vec<_> = points
        .iter()
        .filter(|point| point.acknowledged_epoch < epoch)
        .collect();
    let (count, all) = (points.len() - late.len(), points.len());
    let mut text = format!("{verb} by {count} of {all} enforcement points after {seconds:.1} s");
    if !late.is_empty() {
        let _ = write!(text, "; not confirmed by {}", names(&late));
    }
    text
}

fn names(points: &[&EnforcementPoint<'_>]) -> String {
    let shown = points.iter().take(NAMED_MAX).map(|point| {
        let name = printable(&point.name);
        match point.status {
            EnforcementPointStatus::Silent => format!("{name} (silent since {})", point.seen_on),
            _ => name,
        }
    });
    let mut text = shown.collect::<Vec<_>>().join(", ");
    if points.len() > NAMED_MAX {
        let _ = write!(text, " and {} more", points.len() - NAMED_MAX);
    }
    text
}

/// Returns the enforcement points of an account; [`None`] if the token may not see them.
pub fn points_of(session: &Session, account: &AccountId) -> Result<Points, Failure> {
    let path = format!("/certgate/v1/accounts/{account}/enforcement_points");
    match session.api.get(&path) {
        Ok(answer) => Ok(Some(answer.parse()?)),
        Err(Refusal::Refused { status: 403, .. }) => Ok(None),
        Err(refusal) => Err(refusal.into()),
    }
}

fn status_of(session: &Session, zone: &ZoneId, id: &str) -> Result<Status, Failure> {
    let answer = session.api.get(&certificate::path_of(zone, id)?)?;
    Ok(answer.parse::<Certificate>()?.status.0)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn point(name: &str, epoch: u64, status: &str) -> EnforcementPoint<'static> {
        serde_json::from_value(json!({
            "id": "0123456789abcdef0123456789abcdef",
            "name": name,
            "lease_seconds": 60,
            "covers": ["requests"],
            "when_stale": "refuse",
            "forget_seconds": 86400,
            "acknowledged_epoch": epoch,
            "last_epoch": 9,
            "status": status,
            "seen_on": "2026-08-01T00:00:00Z",
            "registered_on": "2026-08-01T00:00:00Z",
        }))
        .unwrap()
    }

    #[test]
    fn the_report_counts_points_and_names_those_that_did_not_confirm() {
        let points = [point("a", 9, "current"), point("b", 12, "current")];
        let report = |verb, points: Option<&[_]>| settled(verb, points, 9, 0.42);
        assert_eq!(
            report("refused", Some(&points)),
            "refused by 2 of 2 enforcement points after 0.4 s"
        );
        let points = [points[0].clone(), point("c", 8, "silent")];
        assert_eq!(
            report("admitted", Some(&points)),
            "admitted by 1 of 2 enforcement points after 0.4 s; not confirmed by c (silent since \
             2026-08-01T00:00:00Z)"
        );
        assert_eq!(
            report("admitted", Some(&[])),
            "settled after 0.4 s; the account has no enforcement points"
        );
        let wait = Wait::begin(Duration::from_secs(2));
        let late = wait.late(&["x".to_owned()], 1, Some(&points), 9);
        assert_eq!(late.exit(), Exit::TimedOut);
        let text = late.lines();
        assert!(
            text.contains("pending after 2 s; not confirmed by c"),
            "{text}"
        );
    }
}
