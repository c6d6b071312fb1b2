//! What the user sees: data on standard output, talk on standard error.

use std::borrow::Cow;
use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use comfy_table::{Cell, Color, ColumnConstraint, ContentArrangement, Table, presets};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressFinish, ProgressState, ProgressStyle};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::cli::Format;
use crate::failure::Failure;

/// How often a progress bar moves by itself, so that a slow request does not look like a hang.
const TICK: Duration = Duration::from_millis(120);

/// Blanks between columns.
const COLUMN_GAP: u16 = 2;

/// Standard output and standard error of a command.
pub struct Screen {
    /// How results are printed.
    pub format: Format,
    /// Whether tables go to a person: they get colour and fit the window.
    terminal: Option<Colours>,
    /// Whether standard error can show a progress bar.
    progress: bool,
    out: Box<dyn Write>,
    err: Box<dyn Write>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Colours {
    Shown,
    Refused,
}

impl Screen {
    /// The process's own.
    pub fn of_process(format: Format) -> Self {
        let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let colours = if refused {
            Colours::Refused
        } else {
            Colours::Shown
        };
        Self {
            format,
            terminal: io::stdout().is_terminal().then_some(colours),
            progress: io::stderr().is_terminal(),
            out: Box::new(io::BufWriter::new(io::stdout())),
            err: Box::new(io::stderr()),
        }
    }

    /// One that writes elsewhere, as no terminal.
    #[cfg(test)]
    pub fn into(format: Format, out: Box<dyn Write>, err: Box<dyn Write>) -> Self {
        Self {
            format,
            terminal: None,
            progress: false,
            out,
            err,
        }
    }

    /// Whether results are printed for machines.
    pub fn is_json(&self) -> bool {
        self.format == Format::Json
    }

    /// Prints data as it is.
    pub fn bytes(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.out
            .write_all(bytes)
            .and_then(|()| self.out.flush())
            .map_err(|error| closed_or_failed(&error))
    }

    /// Prints a text from the server, control characters but line feeds taken out.
    pub fn data(&mut self, text: &str) -> Result<(), Failure> {
        let lines: Vec<_> = text.split('\n').map(printable).collect();
        self.bytes(lines.join("\n").as_bytes())
    }

    /// Prints the API's `result` as it came. JSON escapes control characters, so it is safe on a terminal.
    pub fn json(&mut self, result: &RawValue) -> Result<(), Failure> {
        self.bytes(format!("{}\n", result.get()).as_bytes())
    }

    /// Prints `value` as JSON.
    pub fn json_of(&mut self, value: &impl Serialize) -> Result<(), Failure> {
        let text =
            serde_json::to_string(value).map_err(|error| Failure::failed(error.to_string()))?;
        self.bytes(format!("{text}\n").as_bytes())
    }

    /// Tells something on standard error. That nobody listens there is no reason to stop.
    pub fn say(&mut self, text: &str) {
        let lines: Vec<_> = text.split('\n').map(printable).collect();
        let _ = writeln!(self.err, "{}", lines.join("\n"));
    }

    /// Prints rows under a header. The first column (an id, to be copied) is never broken over lines.
    pub fn table(
        &mut self,
        header: &[&str],
        rows: impl IntoIterator<Item = Vec<String>>,
    ) -> Result<(), Failure> {
        let mut table = Table::new();
        table.load_style(presets::NOTHING);
        if !header.is_empty() {
            table.set_header(header.iter().map(|name| name.to_uppercase()));
        }
        for row in rows {
            table.add_row(row.iter().map(|text| self.cell(&shortened(text))));
        }
        for column in table.column_iter_mut() {
            column.set_padding((0, COLUMN_GAP));
        }
        match self.terminal {
            Some(_) => {
                table.set_content_arrangement(ContentArrangement::Dynamic);
                if let Some(column) = table.column_mut(0) {
                    column.set_constraint(ColumnConstraint::ContentWidth);
                }
            }
            None => {
                table.force_no_tty();
            }
        }
        if let Some(Colours::Shown) = self.terminal {
            table.enforce_styling();
        }
        let mut text: String = table
            .lines()
            .flat_map(|line| [line.trim_end().to_owned(), "\n".to_owned()])
            .collect();
        if text.trim().is_empty() {
            text.clear();
        }
        self.bytes(text.as_bytes())
    }

    /// Prints names and values.
    pub fn fields(&mut self, fields: &[(&str, String)]) -> Result<(), Failure> {
        let shown = fields.iter().filter(|(_, value)| !value.is_empty());
        let rows: Vec<_> = shown
            .map(|(name, value)| vec![(*name).to_owned(), value.clone()])
            .collect();
        self.table(&[], rows)
    }

    /// Prints the configuration.
    pub fn settings(&mut self, shown: &[crate::config::Shown]) -> Result<(), Failure> {
        if self.is_json() {
            return self.json_of(&shown);
        }
        let rows = shown.iter().map(|setting| {
            let value = setting.value.clone().unwrap_or_else(|| "-".to_owned());
            vec![setting.name.to_owned(), value, setting.source.clone()]
        });
        self.table(&["setting", "value", "from"], rows)
    }

    /// A bar for `length` steps on standard error; an invisible one where that is no terminal or there is just one step.
    pub fn progress(&self, length: u64, doing: &'static str) -> ProgressBar {
        let target = match self.progress && length > 1 {
            true => ProgressDrawTarget::stderr(),
            false => ProgressDrawTarget::hidden(),
        };
        let bar = ProgressBar::with_draw_target(Some(length), target)
            .with_message(doing)
            .with_finish(ProgressFinish::AndClear);
        let template = "{msg} {bar:30} {human_pos}/{human_len} {rate} {eta} left";
        let style = ProgressStyle::with_template(template).expect("the template is valid");
        let rate = |state: &ProgressState, text: &mut dyn fmt::Write| {
            // A text that cannot be written is a bar that cannot be drawn.
            let _ = write!(text, "{:.0}/s", state.per_sec());
        };
        bar.set_style(style.with_key("rate", rate).progress_chars("█▉▊▋▌▍▎▏ "));
        bar.enable_steady_tick(TICK);
        bar
    }

    /// A sign of life while one thing takes its time (a key of 4,096 bits, a busy server). It goes away when dropped.
    pub fn working(&self, doing: &'static str) -> ProgressBar {
        let target = match self.progress {
            true => ProgressDrawTarget::stderr(),
            false => ProgressDrawTarget::hidden(),
        };
        let bar = ProgressBar::with_draw_target(None, target).with_message(doing);
        let bar = bar.with_finish(ProgressFinish::AndClear);
        bar.set_style(
            ProgressStyle::with_template("{spinner} {msg}").expect("the template is valid"),
        );
        bar.enable_steady_tick(TICK);
        bar
    }

    /// A bar while data goes to standard output: it would be drawn into the data where both are one terminal.
    pub fn progress_beside_data(&self, length: u64, doing: &'static str) -> ProgressBar {
        self.progress(if self.terminal.is_some() { 0 } else { length }, doing)
    }

    fn cell(&self, text: &str) -> Cell {
        let cell = Cell::new(printable(text));
        let colour = match text {
            "active" => Color::DarkGreen,
            "pending_revocation" | "pending_reactivation" => Color::DarkYellow,
            "revoked" | "expired" | "disabled" => Color::DarkRed,
            _ => return cell,
        };
        if self.terminal == Some(Colours::Shown) {
            cell.fg(colour)
        } else {
            cell
        }
    }
}

/// The text without what could steer a terminal or reorder its line: control characters (C0, DEL, C1) and the
/// bidirectional controls of Unicode.
pub fn printable(text: &str) -> String {
    let steers = |letter: char| {
        letter.is_control()
            || matches!(letter, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().filter(|letter| !steers(*letter)).collect()
}

/// `2033-02-20T23:18:00Z` as `2033-02-20 23:18`; anything else as it is.
pub fn minutes(instant: &str) -> String {
    match (instant.get(..10), instant.get(10..11), instant.get(11..16)) {
        (Some(date), Some("T"), Some(time)) if instant.ends_with('Z') => format!("{date} {time}"),
        _ => instant.to_owned(),
    }
}

/// `1234567` as `1,234,567`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn closed_or_failed(error: &io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::BrokenPipe => Failure::OutputClosed,
        _ => Failure::io("cannot write to standard output", error),
    }
}

/// The widest cell of a table, in characters: one long name must not push every row apart.
const CELL_CHARACTERS_MAX: usize = 256;

/// The beginning of a text that is too long for a table or a line of talk.
pub fn shortened(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(CELL_CHARACTERS_MAX) {
        None => Cow::Borrowed(text),
        Some((end, _)) => Cow::Owned(format!("{}…", &text[..end])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::testing::Captured;

    #[test]
    fn tables_are_plain_where_nobody_looks() {
        let captured = Captured::new(Format::Table);
        let mut screen = captured.screen();
        let rows = [
            vec!["a1".to_owned(), "active".to_owned()],
            vec!["b".to_owned(), "x\u{1b}[31m\u{202e}y".to_owned()],
        ];
        screen.table(&["id", "status"], rows).unwrap();
        screen
            .fields(&[("name", "n".to_owned()), ("empty", String::new())])
            .unwrap();
        insta::assert_snapshot!(captured.out(), @r"
         ID  STATUS
         a1  active
         b   x[31my
         name  n
        ");
    }

    #[test]
    fn one_long_name_does_not_push_every_row_apart() {
        let captured = Captured::new(Format::Table);
        let rows = [
            vec!["a".to_owned(), "ü".repeat(10_000)],
            vec!["b".to_owned(), "x".to_owned()],
        ];
        captured.screen().table(&["id", "name"], rows).unwrap();
        let out = captured.out();
        assert!(
            out.contains("ü…")
                && out
                    .lines()
                    .all(|line| line.chars().count() < 2 * CELL_CHARACTERS_MAX)
        );
    }

    #[test]
    fn server_text_cannot_steer_the_terminal() {
        assert_eq!(printable("a\u{7}\u{9b}2J\u{2066}b\tc\r\nd"), "a2Jbcd");
        let captured = Captured::new(Format::Table);
        captured.screen().data("one\r\ntwo\u{1b}c\n").unwrap();
        assert_eq!(captured.out(), "one\ntwoc\n");
    }

    #[test]
    fn numbers_and_times_are_readable() {
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (1000, "1,000"),
            (1_234_567, "1,234,567"),
        ] {
            assert_eq!(grouped(number), text);
        }
        assert_eq!(minutes("2033-02-20T23:18:00Z"), "2033-02-20 23:18");
        assert_eq!(minutes("soon"), "soon");
        assert_eq!(minutes("ä€-02-20T23:18:00Z"), "ä€-02-20T23:18:00Z");
    }

    #[test]
    fn a_reader_that_goes_away_is_no_failure() {
        struct Closed;
        impl Write for Closed {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut screen = Screen::into(Format::Table, Box::new(Closed), Box::new(io::sink()));
        assert!(matches!(screen.data("x"), Err(Failure::OutputClosed)));
    }
}
