//! A run of several steps, and its result.

use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result};

use super::programs::Installer;
use super::tally::Tally;

/// The result of a step.
pub(super) enum Outcome {
    /// The step ran.
    Ran(Tally),
    /// The step could not run, for this reason.
    Skipped(String),
}

/// The steps so far.
pub(super) struct Session {
    steps: Vec<Step>,
    /// A step that cannot run is a failure.
    requires_all: bool,
    programs: Installer,
}

/// A step that has ended.
struct Step {
    name: String,
    tally: Tally,
    seconds: f64,
}

impl Session {
    /// Begins a run. With `CERTGATE_TEST_REQUIRE_ALL=1`, a step that cannot run is a failure.
    pub fn from_environment() -> Self {
        let requires_all =
            std::env::var_os("CERTGATE_TEST_REQUIRE_ALL").is_some_and(|value| value == "1");
        Self {
            steps: Vec::new(),
            requires_all,
            programs: Installer::new(),
        }
    }

    /// Runs a step. Returns true if it ran without a failure.
    #[expect(clippy::disallowed_methods, reason = "measures the time of the step")]
    pub fn step(
        &mut self,
        name: &str,
        run: impl FnOnce(&mut Installer) -> Result<Outcome>,
    ) -> Result<bool> {
        println!("\n==> {name}");
        let started = Instant::now();
        let outcome =
            run(&mut self.programs).with_context(|| format!("cannot run the step \"{name}\""))?;
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
        self.steps.push(Step {
            name: name.to_owned(),
            tally,
            seconds,
        });
        Ok(tally.failed == 0 && tally.skipped == 0)
    }

    /// Prints the table of the steps and the line with the sums. Fails if a step has failed.
    pub fn finish(self) -> ExitCode {
        let mut total = Tally::default();
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
        let seconds: f64 = self.steps.iter().map(|step| step.seconds).sum();
        println!("{seconds:>7.1}  in all\n\n{total}");
        match total.failed {
            0 => ExitCode::SUCCESS,
            _ => ExitCode::FAILURE,
        }
    }
}
