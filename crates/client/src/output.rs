//! The output of a command: results on standard output, messages on standard error.

use std::borrow::Cow;
use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use certgate_wire::Time;
use comfy_table::{Cell, Color, ColumnConstraint, ContentArrangement, Table, presets};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressFinish, ProgressState, ProgressStyle};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::arguments::Format;
use crate::failure::Failure;

/// The interval at which a progress bar moves by itself, so that a slow request does not look like
/// a hang.
const TICK: Duration = Duration::from_millis(120);

/// The blanks between columns.
const COLUMN_GAP: u16 = 2;

/// Standard output and standard error of a command.
pub struct Screen {
    format: Format,
    /// Set if standard output is a terminal: tables fit its window and may have colours.
    terminal: Option<Colours>,
    /// Set if standard error can show a progress bar.
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
    /// The screen of this process.
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

    /// A screen that writes to `out` and `err`, which are not terminals.
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

    /// Returns true if results are for programs.
    pub fn is_json(&self) -> bool {
        self.format == Format::Json
    }

    /// Prints bytes unchanged.
    pub fn bytes(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.out
            .write_all(bytes)
            .and_then(|()| self.out.flush())
            .map_err(|error| closed_or_failed(&error))
    }

    /// Prints a text from the server without its control characters. Line feeds stay.
    pub fn data(&mut self, text: &str) -> Result<(), Failure> {
        let lines: Vec<_> = text.split('\n').map(printable).collect();
        self.bytes(lines.join("\n").as_bytes())
    }

    /// Prints the API's `result` as it is, except that characters that could steer a terminal are
    /// escaped, which programs read as the same text.
    pub fn json(&mut self, result: &RawValue) -> Result<(), Failure> {
        self.bytes(format!("{}\n", escaped(result.get())).as_bytes())
    }

    /// Prints `value` as JSON.
    pub fn json_of(&mut self, value: &impl Serialize) -> Result<(), Failure> {
        let text =
            serde_json::to_string(value).map_err(|error| Failure::failed(error.to_string()))?;
        self.bytes(format!("{}\n", escaped(&text)).as_bytes())
    }

    /// Prints a message on standard error. A closed standard error does not stop a command.
    pub fn say(&mut self, text: &str) {
        let lines: Vec<_> = text.split('\n').map(printable).collect();
        let _ = writeln!(self.err, "{}", lines.join("\n"));
    }

    /// Prints rows under a header. The first column is an ID to copy, and stays on one line.
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

    /// Starts a bar of `length` steps on standard error. It is invisible with a single step, or if
    /// standard error is not a terminal.
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
            // If the bar cannot write its text, it cannot be drawn either.
            let _ = write!(text, "{:.0}/s", state.per_sec());
        };
        bar.set_style(style.with_key("rate", rate).progress_chars("█▉▊▋▌▍▎▏ "));
        bar.enable_steady_tick(TICK);
        bar
    }

    /// Starts a spinner for one slow step (a key of 4,096 bits, a busy server). `Drop` removes it.
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

    /// Starts a bar beside data on standard output. It is invisible if that is a terminal too.
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

/// Removes the characters that could steer a terminal or reorder its line: control characters (C0,
/// DEL, C1) and the bidirectional controls of Unicode.
pub fn printable(text: &str) -> String {
    text.chars().filter(|letter| !steers(*letter)).collect()
}

fn steers(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '\u{61c}' | '\u{200e}' | '\u{200f}')
        || matches!(letter, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Escapes the characters that could steer a terminal in JSON. It has them in strings only, except
/// for the white space between its parts.
fn escaped(json: &str) -> Cow<'_, str> {
    let steers = |letter: char| steers(letter) && !matches!(letter, '\n' | '\r' | '\t');
    if !json.contains(steers) {
        return Cow::Borrowed(json);
    }
    let mut text = String::with_capacity(json.len());
    for letter in json.chars() {
        match steers(letter) {
            true => text.push_str(&format!("\\u{:04x}", u32::from(letter))),
            false => text.push(letter),
        }
    }
    Cow::Owned(text)
}

/// Writes `2033-02-20T23:18:00Z` as `2033-02-20 23:18`.
pub fn minutes(time: Time) -> String {
    format!("{:.16}", time.to_string()).replace('T', " ")
}

/// Writes `1234567` as `1,234,567`.
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
        io::ErrorKind::BrokenPipe => Failure::output_closed(),
        _ => Failure::io("cannot write to standard output", error),
    }
}

/// The widest cell of a table, in characters: one long name must not widen every row.
const CELL_CHARACTERS_MAX: usize = 256;

/// Cuts a text that is too long for a table or a message.
pub fn shortened(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(CELL_CHARACTERS_MAX) {
        None => Cow::Borrowed(text),
        Some((end, _)) => Cow::Owned(format!("{}…", &text[..end])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Captured;

    #[test]
    fn tables_are_plain_without_a_terminal() {
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
    fn one_long_name_does_not_widen_every_row() {
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
    fn json_cannot_steer_the_terminal_and_stays_the_same_for_programs() {
        let every: String = ('\0'..='\u{2fff}').collect();
        let value = serde_json::json!({ &every: [every.clone(), "é\u{1f600}"] });
        for raw in [value.to_string(), format!("{value:#}")] {
            let captured = Captured::new(Format::Json);
            let result = RawValue::from_string(raw).unwrap();
            captured.screen().json(&result).unwrap();
            captured.screen().json_of(&value).unwrap();
            let out = captured.out();
            // The lists of Unicode 16: general category Cc, and property Bidi_Control.
            let harmful = |letter: char| {
                matches!(letter, '\0'..='\t' | '\u{b}'..='\u{1f}' | '\u{7f}'..='\u{9f}')
                    || "\u{61c}\u{200e}\u{200f}\u{202a}\u{202b}\u{202c}\u{202d}\u{202e}"
                        .contains(letter)
                    || "\u{2066}\u{2067}\u{2068}\u{2069}".contains(letter)
            };
            assert!(!out.contains(harmful) && out.contains("é\u{1f600}"));
            let read = serde_json::Deserializer::from_str(&out).into_iter::<serde_json::Value>();
            let read: Vec<_> = read.map(Result::unwrap).collect();
            assert_eq!(read, [value.clone(), value.clone()]);
        }
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
        let time = Time("2033-02-20T23:18:00Z".parse().unwrap());
        assert_eq!(minutes(time), "2033-02-20 23:18");
    }

    #[test]
    fn a_closed_output_is_not_an_error() {
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
        assert_eq!(screen.data("x"), Err(Failure::output_closed()));
    }
}
