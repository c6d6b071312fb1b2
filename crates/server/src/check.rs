//! `certgate check`: checks everything in the database, and the journal beside it.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use certgate_client::{Format, Screen};
use certgate_model::{Clock, lock};
use certgate_service::DerJudge;
use indicatif::ProgressBar;

use crate::config::DatabaseConfig;
use crate::failure::Failure;
use crate::inspector::Inspector;
use crate::last_check::LastCheck;
use crate::system::SystemClock;

/// The time of work between two pauses: short for a server that waits for the disk.
const SLICE: Duration = Duration::from_millis(20);

/// The rows between two looks at the clock.
const ROWS_BETWEEN_LOOKS: u64 = 256;

/// Prints each problem on a line. Fails if there is one. Works for at most `share` percent of the
/// time.
pub fn run(config: &DatabaseConfig, share: u8) -> Result<(), Failure> {
    let (inspector, shown) = Inspector::configured(config)?;
    let mut screen = Screen::of_process(Format::Table);
    let failed = |error: certgate_store::StoreError| Failure::failed(error.to_string());
    let lines = problems(&inspector, &screen, share).map_err(failed)?;
    let last = LastCheck {
        finished_on: SystemClock.now(),
        problems: lines.len(),
    };
    if let Err(error) = last.write(&config.data_dir) {
        screen.say(&format!("the metrics will not show this check: {error}"));
    }
    if lines.is_empty() {
        return screen.data(&format!("{shown}: no problems found\n"));
    }
    screen.data(&format!("{}\n", lines.join("\n")))?;
    let hint = "restore a backup; docs/check.md, \"When check finds a problem\", says what else you \
                can do";
    Err(Failure::failed(format!("{shown} has {} problems", lines.len())).hint(hint))
}

/// Returns every problem of a database and of the journal beside it.
pub fn problems(
    inspector: &Inspector,
    screen: &Screen,
    share: u8,
) -> Result<Vec<String>, certgate_store::StoreError> {
    let pace = Pace::new(screen.working("checking"), share);
    let (rows, operations) = (pace.clone(), pace.clone());
    inspector.pace(move || operations.look())?;
    let found = inspector.check(&mut DerJudge::new(move |count| rows.add(count)));
    lock(&pace.0).bar.finish_and_clear();
    found
}

/// Counts the rows, and pauses so that the check works only for its share of the time.
#[derive(Clone)]
struct Pace(Arc<Mutex<Paced>>);

struct Paced {
    bar: ProgressBar,
    rows: u64,
    share: u32,
    begun: Instant,
}

impl Pace {
    #[expect(
        clippy::disallowed_methods,
        reason = "measures the work between two pauses"
    )]
    fn new(bar: ProgressBar, share: u8) -> Self {
        Self(Arc::new(Mutex::new(Paced {
            bar,
            rows: 0,
            share: u32::from(share).max(1),
            begun: Instant::now(),
        })))
    }

    fn add(&self, rows: u64) {
        let mut paced = lock(&self.0);
        let before = paced.rows / ROWS_BETWEEN_LOOKS;
        paced.rows += rows;
        if paced.rows / ROWS_BETWEEN_LOOKS != before {
            let message = format!("checking: {} rows", paced.rows);
            paced.bar.set_message(message);
            drop(paced);
            self.look();
        }
    }

    #[expect(clippy::disallowed_methods, reason = "a rate limit lets time pass")]
    fn look(&self) {
        let mut paced = lock(&self.0);
        let worked = paced.begun.elapsed();
        if paced.share < 100 && worked >= SLICE {
            std::thread::sleep(worked * (100 - paced.share) / paced.share);
            paced.begun = Instant::now();
        }
    }
}
