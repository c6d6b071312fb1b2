//! The limit of repeated lines. It holds for each place in the code that logs, so that a new line
//! cannot lack one: a client, or a full disk, repeats a line without limit, but a flood from
//! one place hides no line of another.

use std::collections::HashMap;
use std::fmt;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use certgate_enforcement::authz::ACCESS_LOG_TARGET as AUTHZ_LOG;
use certgate_enforcement::gateway::ACCESS_LOG;
use certgate_model::lock;
use certgate_store::CHANGES_TARGET;
use metrics::Counter;
use tracing::callsite::Identifier;
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// The lines that one place may write together: enough to see every cause.
const LINES_TOGETHER_MAX: u32 = 10;

/// The time after which a place may write one more line: too seldom to fill a disk.
const LINE_INTERVAL: Duration = Duration::from_secs(1);

/// The end of a formatted line, before which a field can be added.
#[derive(Debug, Clone, Copy)]
pub enum End {
    /// `message field=value⏎`
    Text,
    /// `{"message":…}⏎`
    Json,
}

/// A format of lines that leaves out repeated ones. The next written line of the same place has
/// their number as `not_logged`. Debug and trace lines and the access log of the gateway, which an
/// operator asks for, and the lines about changes have no limit.
pub struct Limited<F> {
    format: F,
    end: End,
    left_out: Counter,
    now: fn() -> Instant,
    places: Mutex<HashMap<Identifier, Place>>,
}

/// The lines of one place in the code.
#[derive(Default)]
struct Place {
    /// The lines that it has written together, less those that time has allowed again.
    together: u32,
    /// The time up to which `together` is reduced.
    since: Option<Instant>,
    not_logged: u64,
}

impl<F> Limited<F> {
    /// Limits the lines of `format`, and counts those that are left out.
    pub fn new(format: F, end: End, left_out: Counter) -> Self {
        Self {
            format,
            end,
            left_out,
            now: monotonic,
            places: Mutex::default(),
        }
    }

    /// Returns the number of lines left out before this one. [`None`] leaves this one out too.
    fn admit(&self, event: &Event<'_>) -> Option<u64> {
        let metadata = event.metadata();
        let is_wanted = is_access_log(metadata) || metadata.target() == CHANGES_TARGET;
        if *metadata.level() > Level::INFO || is_wanted {
            return Some(0);
        }
        let mut places = lock(&self.places);
        let place = places.entry(event.metadata().callsite()).or_default();
        let admitted = place.line((self.now)());
        if admitted.is_none() {
            self.left_out.increment(1);
        }
        admitted
    }
}

/// Returns true for a line about a request at an enforcement point.
pub fn is_access_log(metadata: &Metadata<'_>) -> bool {
    [ACCESS_LOG, AUTHZ_LOG].contains(&metadata.target())
}

#[expect(
    clippy::disallowed_methods,
    reason = "a rate of log lines, which decides nothing that is stored"
)]
fn monotonic() -> Instant {
    Instant::now()
}

impl Place {
    fn line(&mut self, now: Instant) -> Option<u64> {
        let since = *self.since.get_or_insert(now);
        let elapsed = now.saturating_duration_since(since).as_nanos();
        let intervals = elapsed / LINE_INTERVAL.as_nanos();
        let allowed = u32::try_from(intervals).unwrap_or(u32::MAX);
        self.since = match allowed < self.together {
            true => Some(since + LINE_INTERVAL * allowed),
            false => Some(now),
        };
        self.together = self.together.saturating_sub(allowed);
        if self.together == LINES_TOGETHER_MAX {
            self.not_logged += 1;
            return None;
        }
        self.together += 1;
        Some(std::mem::take(&mut self.not_logged))
    }
}

impl<S, N, F> FormatEvent<S, N> for Limited<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        match self.admit(event) {
            // The subscriber then writes nothing.
            None => Ok(()),
            Some(0) => self.format.format_event(context, writer, event),
            Some(not_logged) => {
                let mut line = String::new();
                let format = &self.format;
                format.format_event(context, Writer::new(&mut line), event)?;
                let line = line.trim_end_matches('\n');
                match self.end {
                    End::Text => writeln!(writer, "{line} not_logged={not_logged}"),
                    End::Json => {
                        let fields = line.strip_suffix('}').ok_or(fmt::Error)?;
                        writeln!(writer, "{fields},\"not_logged\":{not_logged}}}")
                    }
                }
            }
        }
    }
}

#[cfg(test)]
#[expect(
    clippy::disallowed_methods,
    reason = "tests of a rate look at the clock"
)]
mod tests {
    use std::cell::Cell;
    use std::io;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use certgate_model::Random;
    use certgate_testkit::SeededRandom;
    use tracing_subscriber::fmt::MakeWriter;

    use super::*;

    /// Judges histories by the promise, without the arithmetic of [`Place`]: no interval has more
    /// lines than it may have, no line is left out while there is room, and each is accounted for.
    #[test]
    fn any_history_stays_within_the_limit_and_accounts_for_each_line() {
        let begun = Instant::now();
        for seed in 0..300 {
            let random = SeededRandom::new(seed);
            let below = |limit: u64| {
                let mut bytes = [0; 8];
                random.fill(&mut bytes);
                u64::from_le_bytes(bytes) % limit
            };
            let longest = [2, 200, 2_000, 20_000][below(4) as usize];
            let (mut place, mut at) = (Place::default(), 0);
            let (mut written, mut left_out) = (Vec::<u64>::new(), 0);
            for _ in 0..below(200) {
                at += below(longest);
                match place.line(begun + Duration::from_millis(at)) {
                    Some(not_logged) => {
                        assert_eq!(not_logged, left_out, "seed {seed}");
                        left_out = 0;
                        written.push(at);
                    }
                    None => {
                        let last_ten = written.iter().rev().nth(9).copied();
                        let full_since = last_ten.expect("ten lines come before a missing one");
                        let last = written.last().copied().unwrap_or_default();
                        assert!(at - last < 1_000, "seed {seed}: a second allows a line");
                        assert!(
                            at - full_since < 10_000,
                            "seed {seed}: ten seconds allow ten"
                        );
                        left_out += 1;
                    }
                }
            }
            for (index, from) in written.iter().enumerate() {
                for (count, to) in (1..).zip(&written[index..]) {
                    let allowed = 10 + (to - from) / 1_000 + 1;
                    assert!(
                        count <= allowed,
                        "seed {seed}: {count} lines in {from}–{to}"
                    );
                }
            }
        }
    }

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Written {
        fn write(&mut self, line: &[u8]) -> io::Result<usize> {
            lock(&self.0).extend_from_slice(line);
            Ok(line.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl MakeWriter<'_> for Written {
        type Writer = Self;

        fn make_writer(&self) -> Self {
            self.clone()
        }
    }

    thread_local! {
        static BEGUN: Instant = Instant::now();
        static SECONDS: Cell<u64> = const { Cell::new(0) };
    }

    fn fake() -> Instant {
        BEGUN.with(|begun| *begun) + Duration::from_secs(SECONDS.get())
    }

    fn flood() {
        for number in 0..25 {
            tracing::warn!(number, "flood");
        }
    }

    /// Returns the lines, and the number of those that were left out.
    fn logged(end: End) -> (Vec<String>, u64) {
        let (written, left_out) = (Written::default(), Arc::new(AtomicU64::new(0)));
        let counter = Counter::from_arc(left_out.clone());
        let lines = tracing_subscriber::fmt()
            .with_max_level(Level::DEBUG)
            .with_writer(written.clone());
        fn limited<F>(format: F, end: End, counter: Counter) -> Limited<F> {
            let now = fake;
            Limited {
                now,
                ..Limited::new(format, end, counter)
            }
        }
        let log = || {
            flood();
            tracing::warn!("of another place");
            (0..25).for_each(|_| tracing::debug!("asked for"));
            SECONDS.set(2);
            flood();
        };
        SECONDS.set(0);
        match end {
            End::Text => {
                let lines = lines.with_ansi(false);
                let lines = lines.map_event_format(|format| limited(format, end, counter));
                tracing::subscriber::with_default(lines.finish(), log);
            }
            End::Json => {
                let lines = lines.json().flatten_event(true);
                let lines = lines.map_event_format(|format| limited(format, end, counter));
                tracing::subscriber::with_default(lines.finish(), log);
            }
        }
        let text = String::from_utf8(lock(&written.0).clone()).unwrap();
        let lines = text.lines().map(str::to_owned).collect();
        (lines, left_out.load(Ordering::Relaxed))
    }

    #[test]
    fn a_flood_hides_no_line_of_another_place_and_the_next_line_has_the_rest() {
        for end in [End::Text, End::Json] {
            let (lines, left_out) = logged(end);
            let with = |text: &str| lines.iter().filter(|line| line.contains(text)).count();
            assert_eq!(with("flood"), 10 + 2, "{lines:?}");
            assert_eq!((with("of another place"), with("asked for")), (1, 25));
            assert_eq!(left_out, 15 + 23);
            let number = |line: &String| match end {
                End::Text => line.split("not_logged=").nth(1)?.parse::<u64>().ok(),
                End::Json => serde_json::from_str::<serde_json::Value>(line)
                    .expect("each line is one object")["not_logged"]
                    .as_u64(),
            };
            let numbers: Vec<_> = lines.iter().filter_map(number).collect();
            assert_eq!(numbers, [15], "{lines:?}");
        }
    }
}
