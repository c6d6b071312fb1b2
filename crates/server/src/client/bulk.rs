//! `certgate cert issue --from`: many certificates with bounded concurrency. A kill at any instant leaves a state from
//! which the next run goes on, and nothing is issued twice.
//!
//! What a line has on disk tells how far it came: `NAME.pending` (the request, written first and removed last), then
//! `NAME.key`, then its entry in the journal, then `NAME.crt` and `NAME.p12`.

mod adopt;
mod line;

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError, mpsc};

use certgate_model::ZoneId;
use serde::Serialize;

use self::line::{Start, Trouble, Work};
use super::files;
use super::journal::{self, Journal};
use super::key::Password;
use super::output::{Screen, grouped, shortened};
use super::rows::{self, BadRow, Row};
use super::session::Session;
use crate::cli::IssueArgs;
use crate::failure::{Exit, Failure};

/// How a run ended.
#[derive(Debug, Default, Serialize)]
struct Summary {
    directory: PathBuf,
    issued: u64,
    already_issued: u64,
    failed: Vec<BadRow>,
    left: u64,
}

/// Issues what the list asks for.
pub fn run(
    session: &Session,
    zone: &ZoneId,
    list: &Path,
    arguments: &IssueArgs,
    password: Option<&Password>,
    screen: &mut Screen,
) -> Result<(), Failure> {
    // 1. What is wanted.
    let file = std::fs::File::open(list)
        .map_err(|error| Failure::usage(format!("cannot read {}: {error}", list.display())))?;
    let (rows, bad) = rows::read(std::io::BufReader::new(file))?;
    let directory = arguments.out.clone().unwrap_or_else(|| directory_of(list));
    files::make_directory(&directory)?;
    // 2. What is there. The journal's lock is held from here on.
    let journal = Journal::open(&directory)?;
    files::remove_partial(&directory)
        .map_err(|error| Failure::io(format!("cannot tidy up {}", directory.display()), &error))?;
    let mut summary = Summary {
        directory: directory.clone(),
        failed: bad,
        ..Summary::default()
    };
    let mut todo = Vec::new();
    for row in rows {
        match line::start(&row, zone, &directory, &journal, password.is_some()) {
            Ok(Start::Done) => summary.already_issued += 1,
            Ok(start) => todo.push((row, start)),
            Err(failure) => summary.failed.push(bad_row(&row, &failure)),
        }
    }
    // 3. What an earlier run sent without learning what became of it.
    adopt::adopt(session, zone, &mut todo)?;
    // 4. The rest.
    let work = Work {
        session,
        zone,
        arguments,
        password,
        directory: &directory,
        journal: Mutex::new(journal),
        authorities: Mutex::default(),
    };
    let stopped = issue_all(&work, todo, arguments.jobs, &mut summary, screen);
    // 5. How it went.
    summary.failed.sort_by_key(|row| row.line);
    let authorities = work
        .authorities
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    if let Some(told) = authorities
        .values()
        .find_map(|authority| authority.as_ref().err())
    {
        screen.say(&format!(
            "note: the PKCS#12 files are without the authority's certificate: {told}"
        ));
    }
    report(&summary, screen)?;
    match stopped {
        Some(failure) => Err(failure.and("the same command again goes on where this one stopped")),
        None if summary.failed.is_empty() => Ok(()),
        None => Err(Failure::Reported),
    }
}

/// `names-certificates` for `lists/names.csv`.
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

/// Works off `todo` on `jobs` threads; what stopped it before its end, if anything did.
fn issue_all(
    work: &Work<'_>,
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
                    let outcome = line::issue(work, &row, start);
                    if matches!(outcome, Err(Trouble::Everything(_))) {
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
                // It is told once, at the end, and the line is left like those that were not tried.
                Err(Trouble::Everything(failure)) => {
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
    let told: Vec<_> = counts
        .into_iter()
        .filter(|(count, what)| *count > 0 || *what == "issued")
        .map(|(count, what)| format!("{} {what}", grouped(count)))
        .collect();
    let directory = summary.directory.display();
    screen.say(&format!(
        "{}; keys and certificates are in {directory}, finished lines in {}",
        told.join(", "),
        journal::FILE
    ));
    Ok(())
}

/// Whether a failure would meet every other line too.
fn meets_everything(failure: &Failure, status: Option<u16>) -> bool {
    let unreachable = matches!(
        failure,
        Failure::Told {
            exit: Exit::Unreachable,
            ..
        }
    );
    unreachable
        || status.is_some_and(|status| matches!(status, 401 | 403 | 404 | 429) || status >= 500)
}

#[cfg(test)]
mod tests;
