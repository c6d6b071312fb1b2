//! The way of lines to standard error: a bounded queue, and a thread that writes.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use certgate_model::lock;
use metrics::Counter;

/// The most bytes of log lines that wait to be written: about 5,000 lines. A reader that pauses for a
/// moment loses nothing, and one that has stopped costs no more memory.
const WAITING_BYTES_MAX: usize = 1 << 20;

/// The longest time that a task waits for its line. Usually a line is written before its task goes
/// on: a reader sees it before the answer to a request, and a killed process has written it. After
/// this time the output counts as stalled, and no task waits until every line is written.
const PATIENCE: Duration = Duration::from_millis(50);

/// The longest time for which lines that no task waits for are collected: waking the thread for
/// each request would cost as much as the request itself.
const COLLECTING: Duration = Duration::from_millis(10);

/// A queue of lines and the thread that writes them.
#[derive(Clone)]
pub struct Outlet {
    shared: Arc<Shared>,
    wait: Wait,
}

/// The wait of a task for its line.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// Until the line is written.
    UntilWritten,
    /// While the queue has no room for the line.
    ForRoom,
    /// None: without room, the line is dropped.
    Never,
}

struct Shared {
    waiting: Mutex<Waiting>,
    /// There is a line, and the thread does not collect or a task waits for the line.
    more: Condvar,
    /// Every line is written or dropped.
    none: Condvar,
    dropped: Counter,
}

#[derive(Default)]
struct Waiting {
    lines: VecDeque<Vec<u8>>,
    /// The bytes of the lines and of the one that the thread is writing.
    bytes: usize,
    is_stalled: bool,
    /// The thread has written a line that no task waited for, and collects the next ones.
    is_collecting: bool,
    /// A task waits for one of the lines.
    is_awaited: bool,
}

impl Outlet {
    /// Starts the thread, which writes to `out` and counts lines that it cannot write as `dropped`.
    pub fn start(out: impl Write + Send + 'static, dropped: Counter) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            waiting: Mutex::default(),
            more: Condvar::new(),
            none: Condvar::new(),
            dropped,
        });
        let writing = shared.clone();
        std::thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || writing.write_forever(out))?;
        Ok(Self {
            shared,
            wait: Wait::UntilWritten,
        })
    }

    /// Returns a way to the same output with another wait.
    pub fn with(&self, wait: Wait) -> Self {
        Self {
            shared: self.shared.clone(),
            wait,
        }
    }

    /// Queues a line, or drops it if too many are queued. Does not wait for a stalled output.
    pub fn push(&self, line: &[u8]) {
        let mut waiting = lock(&self.shared.waiting);
        if self.wait == Wait::ForRoom && line.len() > WAITING_BYTES_MAX - waiting.bytes {
            waiting = self.written(waiting);
        }
        if line.len() > WAITING_BYTES_MAX - waiting.bytes {
            drop(waiting);
            return self.shared.dropped.increment(1);
        }
        waiting.bytes += line.len();
        waiting.lines.push_back(line.to_vec());
        match self.wait {
            Wait::UntilWritten => drop(self.written(waiting)),
            _ if !waiting.is_collecting => self.shared.more.notify_one(),
            _ => {}
        }
    }

    /// Waits until every line is written, unless the output is stalled or stalls now.
    fn written<'w>(&'w self, mut waiting: MutexGuard<'w, Waiting>) -> MutexGuard<'w, Waiting> {
        waiting.is_awaited = true;
        self.shared.more.notify_one();
        if waiting.is_stalled {
            return waiting;
        }
        let written = self
            .shared
            .none
            .wait_timeout_while(waiting, PATIENCE, |waiting| {
                waiting.bytes > 0 && !waiting.is_stalled
            });
        let (mut waiting, _) = written.unwrap_or_else(PoisonError::into_inner);
        waiting.is_stalled = waiting.bytes > 0;
        waiting
    }

    /// Waits until every line is written or dropped, up to `limit`.
    pub fn drain(&self, limit: Duration) {
        let mut waiting = lock(&self.shared.waiting);
        waiting.is_awaited = true;
        self.shared.more.notify_one();
        let _ = self
            .shared
            .none
            .wait_timeout_while(waiting, limit, |waiting| waiting.bytes > 0);
    }
}

impl Write for Outlet {
    /// Takes a whole line: the subscriber formats it before it writes it with one call.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.push(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Shared {
    fn write_forever(&self, mut out: impl Write) -> ! {
        let mut is_torn = false;
        loop {
            let line = self.next();
            // A torn line must not swallow the beginning of this one.
            let written = match is_torn {
                true => write(&mut out, b"\n").and_then(|()| write(&mut out, &line)),
                false => write(&mut out, &line),
            };
            match written {
                Ok(()) => is_torn = false,
                Err(Unwritten { some }) => {
                    is_torn |= some;
                    self.dropped.increment(1);
                }
            }
            let mut waiting = lock(&self.waiting);
            waiting.bytes -= line.len();
            if waiting.bytes == 0 {
                waiting.is_stalled = false;
                self.none.notify_all();
            }
        }
    }

    /// Waits for the next line. After one that no task waited for, it first collects others.
    fn next(&self) -> Vec<u8> {
        let mut waiting = lock(&self.waiting);
        loop {
            if let Some(line) = waiting.lines.pop_front() {
                return line;
            }
            if !std::mem::take(&mut waiting.is_awaited) {
                waiting.is_collecting = true;
                let collected = self
                    .more
                    .wait_timeout_while(waiting, COLLECTING, |waiting| !waiting.is_awaited);
                waiting = collected.unwrap_or_else(PoisonError::into_inner).0;
                waiting.is_collecting = false;
            }
            if waiting.lines.is_empty() {
                let woken = self.more.wait(waiting);
                waiting = woken.unwrap_or_else(PoisonError::into_inner);
            }
        }
    }
}

/// A text that was not written, or only its beginning.
struct Unwritten {
    some: bool,
}

fn write(out: &mut impl Write, text: &[u8]) -> Result<(), Unwritten> {
    let mut rest = text;
    while !rest.is_empty() {
        match out.write(rest) {
            Ok(written @ 1..) => rest = &rest[written.min(rest.len())..],
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Ok(0) | Err(_) => {
                let some = rest.len() < text.len();
                return Err(Unwritten { some });
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use certgate_model::Random;
    use certgate_testkit::SeededRandom;

    use super::*;

    /// An output with seeded faults, which stores what it accepted.
    struct Faulty {
        random: SeededRandom,
        accepted: Arc<Mutex<Vec<u8>>>,
    }

    impl Write for Faulty {
        fn write(&mut self, text: &[u8]) -> io::Result<usize> {
            let mut dice = [0; 2];
            self.random.fill(&mut dice);
            let length = match dice[0] % 6 {
                0 => return Err(ErrorKind::StorageFull.into()),
                1 => return Err(ErrorKind::Interrupted.into()),
                2 => return Err(ErrorKind::WouldBlock.into()),
                // Never all but the line break, whose loss a reader could not see.
                3 => (usize::from(dice[1]) % text.len()).saturating_sub(1),
                _ => text.len(),
            };
            lock(&self.accepted).extend_from_slice(&text[..length]);
            Ok(length)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn each_line_is_written_whole_and_in_order_or_counted() {
        for seed in 0..300 {
            let accepted = Arc::<Mutex<Vec<u8>>>::default();
            let dropped = Arc::new(AtomicU64::new(0));
            let random = SeededRandom::new(seed);
            let out = Faulty {
                random,
                accepted: accepted.clone(),
            };
            let outlet = Outlet::start(out, Counter::from_arc(dropped.clone())).unwrap();
            for number in 0..100 {
                outlet.push(format!("<line {number}>\n").as_bytes());
            }
            outlet.drain(Duration::MAX);
            let accepted = String::from_utf8(lock(&accepted).clone()).unwrap();
            // A torn line is a beginning alone on its line; whole ones have both brackets.
            let whole: Vec<u64> = accepted
                .lines()
                .filter_map(|line| line.strip_prefix("<line ")?.strip_suffix('>')?.parse().ok())
                .collect();
            assert!(
                whole.is_sorted_by(|one, next| one < next),
                "seed {seed}: {accepted}"
            );
            let missing = 100 - whole.len() as u64;
            assert_eq!(
                dropped.load(Ordering::Relaxed),
                missing,
                "seed {seed}: {accepted}"
            );
            assert!(missing > 0 && !whole.is_empty(), "seed {seed}");
            assert!(
                accepted.lines().all(|line| line.matches('<').count() <= 1),
                "{accepted}"
            );
        }
    }

    /// An output that tells of each write.
    struct Told(std::sync::mpsc::Sender<String>);

    impl Write for Told {
        fn write(&mut self, text: &[u8]) -> io::Result<usize> {
            let written = String::from_utf8_lossy(text).into_owned();
            self.0.send(written).map_err(io::Error::other)?;
            Ok(text.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// An output whose reader has stopped to read.
    struct Stalled(std::sync::mpsc::Receiver<()>);

    impl Write for Stalled {
        fn write(&mut self, text: &[u8]) -> io::Result<usize> {
            self.0.recv().map_err(io::Error::other)?;
            Ok(text.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_stalled_output_holds_up_no_line_and_a_bounded_memory() {
        let (go_on, stalled) = std::sync::mpsc::channel();
        let dropped = Arc::new(AtomicU64::new(0));
        let counter = Counter::from_arc(dropped.clone());
        let outlet = Outlet::start(Stalled(stalled), counter).unwrap();
        let line = [b'x'; 1024];
        let fit = (WAITING_BYTES_MAX / line.len()) as u64;
        for _ in 0..fit + 7 {
            outlet.push(&line);
        }
        assert_eq!(dropped.load(Ordering::Relaxed), 7);
        assert_eq!(lock(&outlet.shared.waiting).bytes, WAITING_BYTES_MAX);
        outlet.drain(Duration::ZERO);
        (0..fit).for_each(|_| go_on.send(()).unwrap());
        outlet.drain(Duration::MAX);
        assert_eq!(lock(&outlet.shared.waiting).bytes, 0);
        outlet.push(&line);
        assert_eq!(dropped.load(Ordering::Relaxed), 7, "it is queued again");
    }

    #[test]
    fn lines_of_both_kinds_are_written_in_order_and_a_task_waits_for_its_own_only() {
        let (told, written) = std::sync::mpsc::channel();
        let outlet = Outlet::start(Told(told), Counter::noop()).unwrap();
        let unawaited = outlet.with(Wait::Never);
        let mut pushed = Vec::new();
        for number in 0..200 {
            let line = format!("{number}\n");
            match number % 7 {
                0 => {
                    outlet.push(line.as_bytes());
                    pushed.push(line);
                    // Every line before it was written before the task went on.
                    assert_eq!(written.try_iter().collect::<Vec<_>>(), pushed);
                    pushed.clear();
                }
                _ => {
                    unawaited.push(line.as_bytes());
                    pushed.push(line);
                }
            }
        }
        // No other line has to come for the last ones.
        let last =
            (0..pushed.len()).map(|_| written.recv_timeout(Duration::from_secs(60)).unwrap());
        assert_eq!(last.collect::<Vec<_>>(), pushed);
    }

    #[test]
    fn a_flood_that_waits_for_room_loses_no_line() {
        let (told, written) = std::sync::mpsc::channel();
        let dropped = Arc::new(AtomicU64::new(0));
        let counter = Counter::from_arc(dropped.clone());
        let flood = Outlet::start(Told(told), counter)
            .unwrap()
            .with(Wait::ForRoom);
        let text = "x".repeat(1_000);
        let count = 5 * WAITING_BYTES_MAX / text.len();
        (0..count).for_each(|number| flood.push(format!("{number} {text}\n").as_bytes()));
        flood.drain(Duration::MAX);
        assert_eq!(dropped.load(Ordering::Relaxed), 0);
        let numbers = written
            .try_iter()
            .map(|line| line.split(' ').next().map(str::to_owned));
        assert!(numbers.eq((0..count).map(|number| Some(number.to_string()))));
    }
}
