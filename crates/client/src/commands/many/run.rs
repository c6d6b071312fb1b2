//! Sends the requests of a record, several at once.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use certgate_model::ZoneId;
use certgate_wire::Id;
use indicatif::ProgressBar;
use serde::Serialize;

use super::record::{Action, Outcome, Record};
use crate::commands::cert::StatusRequest;
use crate::commands::certificate;
use crate::commands::wait::Wait;
use crate::failure::Failure;
use crate::http::Refusal;
use crate::output::{Screen, grouped};
use crate::session::Session;

/// The most refused certificates that a message lists.
const LISTED_MAX: usize = 20;

/// The result for programs.
#[derive(Serialize)]
struct Summary<'a> {
    action: Action,
    count: usize,
    changed: usize,
    unchanged: usize,
    failed: Vec<Failed<'a>>,
    left: usize,
    record: String,
}

#[derive(Serialize)]
struct Failed<'a> {
    id: Id,
    common_name: &'a str,
    problem: &'a str,
}

/// The state that the threads share.
struct Work {
    record: Record,
    next: usize,
    /// The certificates that were changed last. Changes settle in the order of their epochs, and
    /// one of the last ones has the highest.
    last: VecDeque<Id>,
    stopped: Option<Failure>,
}

/// Changes the certificates of the record that are left.
pub fn run(
    session: &Session,
    record: Record,
    jobs: u16,
    wait: Option<Wait>,
    screen: &mut Screen,
) -> Result<(), Failure> {
    let zone = ZoneId::from(record.head().zone_id);
    let reason = record.head().reason.map(|reason| reason.0);
    let (action, count) = (record.head().action, record.planned().len());
    let request = match action {
        Action::Revoke => StatusRequest::Revoke(reason),
        Action::Restore => StatusRequest::Restore,
    };
    let left = (0..count).filter(|index| record.is_left(*index)).count();
    let bar = screen.progress(count as u64, request.doing());
    bar.set_position((count - left) as u64);
    let work = Mutex::new(Work {
        record,
        next: 0,
        last: VecDeque::new(),
        stopped: None,
    });
    let stop = AtomicBool::new(false);
    let job = Job {
        session,
        zone: &zone,
        request,
        jobs: usize::from(jobs),
        work: &work,
        stop: &stop,
        bar: &bar,
    };
    std::thread::scope(|scope| {
        for _ in 0..usize::from(jobs).min(left) {
            scope.spawn(|| job.work());
        }
    });
    bar.finish_and_clear();
    let mut work = work.into_inner().unwrap_or_else(PoisonError::into_inner);
    work.record.sync()?;
    report(&work.record, screen)?;
    let (path, name) = (work.record.path().display(), action.name());
    if let Some(failure) = work.stopped {
        let hint = format!("continue with: certgate cert {name} --resume {path}");
        return Err(failure.also_hint(hint));
    }
    if let Some(wait) = wait.filter(|_| !work.last.is_empty()) {
        let last: Vec<_> = work.last.iter().map(Id::to_string).collect();
        wait.settle(session, &zone, &last, request.done(), screen)?;
    }
    let is_complete = (0..count).all(|index| !work.record.is_left(index));
    match is_complete {
        true => Ok(()),
        false => Err(Failure::printed()),
    }
}

/// The task of each thread.
struct Job<'a> {
    session: &'a Session,
    zone: &'a ZoneId,
    request: StatusRequest,
    jobs: usize,
    work: &'a Mutex<Work>,
    stop: &'a AtomicBool,
    bar: &'a ProgressBar,
}

impl Job<'_> {
    fn work(&self) {
        while !self.stop.load(Ordering::Relaxed) {
            let next = self.locked(|work| work.take());
            let Some((id, may_be_changed)) = next else {
                return;
            };
            let path = format!("{}/{id}", certificate::path(self.zone));
            let outcome = match self.request.send(self.session, &path) {
                // It was revoked before: perhaps by us, if an answer was lost.
                Ok(answer) if answer.is_unchanged && !may_be_changed && !answer.is_repeated => {
                    Ok(Outcome::Unchanged)
                }
                Ok(_) => Ok(Outcome::Changed),
                Err(Refusal::Refused {
                    status: 400 | 404 | 409,
                    failure,
                    ..
                }) => Ok(Outcome::Failed(failure.to_string())),
                Err(refusal) => Err(refusal.into_failure()),
            };
            self.locked(|work| work.finish(id, outcome, self.jobs));
            self.bar.inc(1);
        }
    }

    /// Uses the shared state. A failure stops every thread.
    fn locked<T>(&self, work: impl FnOnce(&mut Work) -> Result<T, Failure>) -> T
    where
        T: Default,
    {
        let mut state = self.work.lock().unwrap_or_else(PoisonError::into_inner);
        work(&mut state).unwrap_or_else(|failure| {
            state.stopped.get_or_insert(failure);
            self.stop.store(true, Ordering::Relaxed);
            T::default()
        })
    }
}

impl Work {
    /// Takes the next certificate that is left, and returns true with it if an earlier run may have
    /// changed it.
    fn take(&mut self) -> Result<Option<(Id, bool)>, Failure> {
        let count = self.record.planned().len();
        while self.next < count && !self.record.is_left(self.next) {
            self.next += 1;
        }
        if self.next == count {
            return Ok(None);
        }
        let index = self.next;
        self.next += 1;
        let may_be_changed = self.record.may_be_changed(index);
        self.record.announce(index)?;
        Ok(Some((self.record.planned()[index].id, may_be_changed)))
    }

    fn finish(
        &mut self,
        id: Id,
        outcome: Result<Outcome, Failure>,
        jobs: usize,
    ) -> Result<(), Failure> {
        let outcome = outcome?;
        if outcome == Outcome::Changed {
            self.last.push_back(id);
            if self.last.len() > jobs {
                self.last.pop_front();
            }
        }
        self.record.finish(id, outcome)
    }
}

/// Prints the result.
fn report(record: &Record, screen: &mut Screen) -> Result<(), Failure> {
    let mut summary = Summary {
        action: record.head().action,
        count: record.planned().len(),
        changed: 0,
        unchanged: 0,
        failed: Vec::new(),
        left: 0,
        record: record.path().display().to_string(),
    };
    for planned in record.planned() {
        match record.outcome(planned.id) {
            Some(Outcome::Changed) => summary.changed += 1,
            Some(Outcome::Unchanged) => summary.unchanged += 1,
            Some(Outcome::Failed(problem)) => summary.failed.push(Failed {
                id: planned.id,
                common_name: &planned.common_name,
                problem,
            }),
            None => summary.left += 1,
        }
    }
    for failed in summary.failed.iter().take(LISTED_MAX) {
        let Failed {
            id,
            common_name,
            problem,
        } = failed;
        screen.complain(&format!("error: {id} {common_name}: {problem}"));
    }
    if screen.is_json() {
        return screen.json_of(&summary);
    }
    let (done, before) = match summary.action {
        Action::Revoke => ("revoked", "revoked before"),
        Action::Restore => ("restored", "restored before"),
    };
    let counts = [
        (summary.changed, done),
        (summary.unchanged, before),
        (summary.failed.len(), "failed"),
        (summary.left, "left"),
    ];
    let counted = counts
        .iter()
        .filter(|(count, what)| *count > 0 || *what == done);
    let counted = counted.map(|(count, what)| format!("{} {what}", grouped(*count as u64)));
    let counted: Vec<_> = counted.collect();
    screen.say(&format!(
        "{}; record: {}",
        counted.join(", "),
        summary.record
    ));
    Ok(())
}
