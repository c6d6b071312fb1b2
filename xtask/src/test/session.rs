//! A run of several steps, and its result.

use std::collections::VecDeque;
use std::num::NonZero;
use std::process::ExitCode;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use anyhow::{Context, Result};

use super::failures;
use super::programs::Installer;
use super::tally::Tally;

/// The result of a step.
pub(super) enum Outcome {
    /// The step ran.
    Ran(Tally),
    /// The step could not run, for this reason.
    Skipped(String),
}

/// Lanes at least: tests from outside wait for timers and disks most of the time, and one of them
/// leaves a processor idle.
const LANES_MIN: usize = 2;

/// The work of a job.
type Run<'a> = dyn Fn(&Programs) -> Result<Outcome> + Send + Sync + 'a;

/// A step that may run at the same time as others.
pub(super) struct Job<'a> {
    pub name: &'a str,
    pub run: Box<Run<'a>>,
}

/// The installer that the jobs of a session share.
pub(super) struct Programs(Mutex<Installer>);

impl Programs {
    /// Waits for other jobs that install something.
    pub fn lock(&self) -> MutexGuard<'_, Installer> {
        lock(&self.0)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The steps so far.
pub(super) struct Session {
    began: Instant,
    steps: Vec<Step>,
    /// A step that cannot run is a failure.
    requires_all: bool,
    programs: Programs,
}

/// A step that has ended.
struct Step {
    name: String,
    tally: Tally,
    seconds: f64,
}

impl Session {
    /// Begins a run. With `CERTGATE_TEST_REQUIRE_ALL=1`, a step that cannot run is a failure.
    #[expect(clippy::disallowed_methods, reason = "measures the time of the run")]
    pub fn from_environment() -> Self {
        let requires_all =
            std::env::var_os("CERTGATE_TEST_REQUIRE_ALL").is_some_and(|value| value == "1");
        Self {
            began: Instant::now(),
            steps: Vec::new(),
            requires_all,
            programs: Programs(Mutex::new(Installer::new())),
        }
    }

    /// Runs a step. Returns true if it ran without a failure.
    pub fn step(
        &mut self,
        name: &str,
        run: impl FnOnce(&mut Installer) -> Result<Outcome>,
    ) -> Result<bool> {
        let step = self.timed(name, || run(&mut self.programs.lock()))?;
        let is_clean = step.tally.failed == 0 && step.tally.skipped == 0;
        self.steps.push(step);
        Ok(is_clean)
    }

    /// Runs jobs in as many lanes as there are processors. A lane takes the first job that waits,
    /// so long jobs come first. The table has the jobs in the order of this list.
    pub fn parallel(&mut self, jobs: &[Job<'_>]) -> Result<()> {
        let lanes = std::thread::available_parallelism()
            .map_or(LANES_MIN, NonZero::get)
            .max(LANES_MIN);
        let waiting: Mutex<VecDeque<_>> = Mutex::new(jobs.iter().enumerate().collect());
        let ended = Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            for _ in 0..lanes {
                scope.spawn(|| {
                    loop {
                        let next = lock(&waiting).pop_front();
                        let Some((place, job)) = next else { return };
                        let step = self.timed(job.name, || (job.run)(&self.programs));
                        lock(&ended).push((place, step));
                    }
                });
            }
        });
        let mut ended = ended.into_inner().unwrap_or_else(PoisonError::into_inner);
        ended.sort_by_key(|(place, _)| *place);
        for (_, step) in ended {
            self.steps.push(step?);
        }
        Ok(())
    }

    #[expect(clippy::disallowed_methods, reason = "measures the time of the step")]
    fn timed(&self, name: &str, run: impl FnOnce() -> Result<Outcome>) -> Result<Step> {
        println!("\n==> {name}");
        let started = Instant::now();
        let outcome = run().with_context(|| format!("cannot run the step \"{name}\""))?;
        let tally = match outcome {
            Outcome::Ran(tally) => tally,
            Outcome::Skipped(reason) => {
                let verdict = match self.requires_all {
                    true => "FAILED",
                    false => "SKIPPED",
                };
                println!("{verdict}: {name} did not run: {reason}");
                Tally::not_run(self.requires_all)
            }
        };
        let seconds = started.elapsed().as_secs_f64();
        println!("==> {name}: {tally} ({seconds:.1} s)");
        let name = name.to_owned();
        Ok(Step {
            name,
            tally,
            seconds,
        })
    }

    /// Prints the failures, the table of the steps, and the line with the sums. Fails if a step has
    /// failed.
    pub fn finish(self) -> ExitCode {
        let mut total = Tally::default();
        failures::print();
        println!("\nseconds  step");
        for Step {
            name,
            tally,
            seconds,
        } in &self.steps
        {
            println!("{seconds:>7.1}  {name}: {tally}");
            total += *tally;
        }
        // Less than the sum: some steps ran at the same time.
        let seconds = self.began.elapsed().as_secs_f64();
        println!("{seconds:>7.1}  in all\n\n{total}");
        match total.failed {
            0 => ExitCode::SUCCESS,
            _ => ExitCode::FAILURE,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use super::*;

    #[test]
    fn jobs_run_at_the_same_time_and_keep_their_order() {
        // Each waits for the other one.
        let (barrier, names) = (Barrier::new(2), ["first", "second"]);
        let jobs = names.map(|name| Job {
            name,
            run: Box::new(|_| {
                barrier.wait();
                Ok(Outcome::Ran(Tally::of(true)))
            }),
        });
        let mut session = Session::from_environment();
        session.parallel(&jobs).unwrap();
        let ended: Vec<_> = session.steps.iter().map(|step| &step.name).collect();
        assert_eq!(ended, names);

        let broken = Job {
            name: "broken",
            run: Box::new(|_| anyhow::bail!("it cannot run")),
        };
        let error = session.parallel(&[broken]).unwrap_err();
        assert_eq!(error.to_string(), "cannot run the step \"broken\"");
    }
}
