//! `certgate cert issue --from`: many certificates with bounded concurrency. After a kill at any
//! instant the next run continues, and no line gets a second certificate.
//!
//! The files of a line show its progress: `NAME.pending` (the request, written first and removed
//! last), then `NAME.key`, then its entry in the progress file, then `NAME.crt` and `NAME.p12`. A
//! run sends a pending request again with the same `Idempotency-Key`, and the server answers with
//! the certificate that the first one made.

mod line;
mod progress;
mod rows;

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError, mpsc};

use certgate_model::ZoneId;
use serde::Serialize;

use self::line::{Run, Start, Trouble};
use self::progress::Progress;
use self::rows::{BadRow, Row};
use crate::arguments::IssueArgs;
use crate::failure::Failure;
use crate::files;
use crate::key::P12Form;
use crate::output::{Screen, grouped, shortened};
use crate::session::Session;

/// The result of a run.
#[derive(Debug, Default, Serialize)]
struct Summary {
    directory: PathBuf,
    issued: u64,
    already_issued: u64,
    failed: Vec<BadRow>,
    left: u64,
}

/// Issues the certificates of the list.
pub fn run(
    session: &Session,
    zone: &ZoneId,
    list: &Path,
    arguments: &IssueArgs,
    p12: Option<&P12Form>,
    screen: &mut Screen,
) -> Result<(), Failure> {
    // 1. The lines.
    let file = std::fs::File::open(list)
        .map_err(|error| Failure::usage(format!("cannot read {}: {error}", list.display())))?;
    let (rows, bad) = rows::read(std::io::BufReader::new(file))?;
    let directory = arguments.out.clone().unwrap_or_else(|| directory_of(list));
    files::make_directory(&directory)?;
    // 2. The progress of earlier runs, whose file stays locked from here on.
    let progress = Progress::open(&directory)?;
    files::remove_partial(&directory).map_err(|error| {
        Failure::io(
            format!("cannot remove temporary files in {}", directory.display()),
            &error,
        )
    })?;
    let mut summary = Summary {
        directory: directory.clone(),
        failed: bad,
        ..Summary::default()
    };
    let mut todo = Vec::new();
    for row in rows {
        let wants_p12 = p12.is_some();
        match line::start(&row, session, zone, &directory, &progress, wants_p12) {
            Ok(Start::Done) => summary.already_issued += 1,
            Ok(start) => todo.push((row, start)),
            Err(failure) => summary.failed.push(bad_row(&row, &failure)),
        }
    }
    // 3. The unfinished lines.
    let run = Run {
        session,
        zone,
        arguments,
        p12,
        directory: &directory,
        progress: Mutex::new(progress),
        authorities: Mutex::default(),
    };
    let stopped = issue_all(&run, todo, arguments.jobs, &mut summary, screen);
    // 4. The result.
    summary.failed.sort_by_key(|row| row.line);
    let authorities = run.authorities.lock();
    let authorities = authorities.unwrap_or_else(PoisonError::into_inner);
    if let Some(problem) = authorities.values().find_map(|found| found.as_ref().err()) {
        screen.say(&format!(
            "note: the PKCS #12 files lack the CA's certificate: {problem}"
        ));
    }
    report(&summary, screen)?;
    match stopped {
        Some(failure) => Err(failure.and("run the same command again to continue")),
        None if summary.failed.is_empty() => Ok(()),
        None => Err(Failure::printed()),
    }
}

/// Returns `names-certificates` for `lists/names.csv`.
fn directory_of(list: &Path) -> PathBuf {
    let stem = list
        .file_stem()
        .map(|stem| stem.to_string_lossy().into_owned())
        .unwrap_or_default();
    PathBuf::from(format!("{}-certificates", files::safe_name(&stem)))
}

fn bad_row(row: &Row, failure: &Failure) -> BadRow {
    let common_name = shortened(&row.wanted.common_name).into_owned();
    BadRow {
        line: row.line,
        common_name,
        message: failure.to_string(),
    }
}

/// Finishes `todo` on `jobs` threads. Returns the failure that stopped it early, if one did.
fn issue_all(
    run: &Run<'_>,
    todo: Vec<(Row, Start)>,
    jobs: u16,
    summary: &mut Summary,
    screen: &Screen,
) -> Option<Failure> {
    let count = todo.len();
    let threads = NonZeroUsize::new(usize::from(jobs).min(count))?.get();
    let bar = screen.progress(count as u64, "issuing");
    let queue = Mutex::new(todo.into_iter());
    let stop = AtomicBool::new(false);
    let (send, outcomes) = mpsc::channel();
    let mut stopped: Option<Failure> = None;
    let mut ended = 0;
    std::thread::scope(|scope| {
        for _ in 0..threads {
            let (send, queue, stop) = (send.clone(), &queue, &stop);
            scope.spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let next = queue
                        .lock()
                        .expect("no thread panics with the queue")
                        .next();
                    let Some((row, start)) = next else { break };
                    let outcome = line::issue(run, &row, start);
                    if matches!(outcome, Err(Trouble::EveryLine(_))) {
                        stop.store(true, Ordering::Relaxed);
                    }
                    if send.send((row, outcome)).is_err() {
                        break;
                    }
                }
            });
        }
        drop(send);
        for (row, outcome) in outcomes {
            bar.inc(1);
            match outcome {
                Ok(()) => {
                    ended += 1;
                    summary.issued += 1;
                }
                Err(Trouble::Line(failure)) => {
                    ended += 1;
                    summary.failed.push(bad_row(&row, &failure));
                }
                // The command reports it once, at the end. The line stays unfinished.
                Err(Trouble::EveryLine(failure)) => {
                    stopped.get_or_insert(failure);
                }
            }
        }
    });
    bar.finish_and_clear();
    summary.left = (count - ended) as u64;
    stopped
}

fn report(summary: &Summary, screen: &mut Screen) -> Result<(), Failure> {
    if screen.is_json() {
        return screen.json_of(summary);
    }
    if summary.issued == 0 && summary.failed.is_empty() && summary.left == 0 {
        screen.say(&format!(
            "nothing to do: all {} were issued before",
            grouped(summary.already_issued)
        ));
        return Ok(());
    }
    for row in &summary.failed {
        let name = if row.common_name.is_empty() {
            String::new()
        } else {
            format!(", {}", row.common_name)
        };
        screen.say(&format!("line {}{name}: {}", row.line, row.message));
    }
    let failed = summary.failed.len() as u64;
    let counts = [
        (summary.issued, "issued"),
        (summary.already_issued, "issued before"),
        (failed, "failed"),
        (summary.left, "left"),
    ];
    let counted: Vec<_> = counts
        .into_iter()
        .filter(|(count, what)| *count > 0 || *what == "issued")
        .map(|(count, what)| format!("{} {what}", grouped(count)))
        .collect();
    let directory = summary.directory.display();
    screen.say(&format!(
        "{}; keys and certificates are in {directory}, finished lines in {}",
        counted.join(", "),
        progress::FILE
    ));
    Ok(())
}

#[cfg(test)]
mod tests;
