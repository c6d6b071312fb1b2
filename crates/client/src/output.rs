//! The output of a command: results on standard output, messages on standard error.

mod layout;
mod selection;
mod times;

use std::borrow::Cow;
use std::fmt;
use std::io::{self, BufRead, IsTerminal, Write};
use std::time::Duration;

use certgate_model::Timestamp;
use certgate_wire::Time;
use console::Term;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressFinish, ProgressState, ProgressStyle};
use serde::Serialize;
use serde_json::value::RawValue;

use self::layout::Columns;
pub use self::times::relative;
use crate::arguments::Format;
use crate::failure::Failure;

/// The interval at which a progress bar moves by itself, so that a slow request does not look like
/// a hang.
const TICK: Duration = Duration::from_millis(120);

/// The digits of an ID on a terminal. Two of a billion random IDs begin alike once in 30 zones, and
/// every command lists them if that happens.
const SHORT_ID: usize = 16;

/// Standard output and standard error of a command.
pub struct Screen {
    format: Format,
    style: Style,
    /// The instant to which times are relative.
    now: Timestamp,
    /// Set if standard output is a terminal.
    terminal: Option<Terminal>,
    /// Set if standard error can show a progress bar.
    progress: bool,
    /// Set if standard input is a terminal, on which a user can answer.
    input: Option<Box<dyn BufRead>>,
    out: Box<dyn Write>,
    err: Box<dyn Write>,
}

/// The choices of the user beside the format.
#[derive(Debug, Clone, Copy, Default)]
pub struct Style {
    /// Every column, and nothing is cut.
    pub wide: bool,
    /// No messages but errors.
    pub quiet: bool,
}

/// A terminal: tables fit its window and may have colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Terminal {
    colours: bool,
    /// Cells of a line, if they are known.
    width: Option<usize>,
}

impl Terminal {
    fn of_process() -> Option<Self> {
        if !io::stdout().is_terminal() {
            return None;
        }
        let chosen = std::env::var("COLUMNS");
        let chosen = chosen.ok().and_then(|columns| columns.trim().parse().ok());
        let actual = || {
            Term::stdout()
                .size_checked()
                .map(|(_, width)| usize::from(width))
        };
        Some(Self {
            colours: std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
            width: chosen.or_else(actual).filter(|width| *width > 0),
        })
    }
}

impl Screen {
    /// The screen of this process.
    pub fn of_process(format: Format) -> Self {
        Self {
            format,
            style: Style::default(),
            now: wall_clock(),
            terminal: Terminal::of_process(),
            progress: io::stderr().is_terminal(),
            input: match io::stdin().is_terminal() {
                true => Some(Box::new(io::BufReader::new(io::stdin()))),
                false => None,
            },
            out: Box::new(io::BufWriter::new(io::stdout())),
            err: Box::new(io::stderr()),
        }
    }

    /// Applies the choices of the user.
    pub fn with(mut self, style: Style) -> Self {
        self.style = style;
        self.progress &= !style.quiet;
        self
    }

    /// A screen that writes to `out` and `err`, which are not terminals, at the time of the tests.
    #[cfg(test)]
    pub fn into(format: Format, out: Box<dyn Write>, err: Box<dyn Write>) -> Self {
        Self {
            format,
            style: Style::default(),
            now: "2026-08-14T10:30:00Z".parse().expect("a time"),
            terminal: None,
            progress: false,
            input: None,
            out,
            err,
        }
    }

    /// Answers the next questions with these lines.
    #[cfg(test)]
    pub fn typing(mut self, lines: &'static str) -> Self {
        self.input = Some(Box::new(lines.as_bytes()));
        self
    }

    /// Makes standard output a terminal of so many columns, without colours.
    #[cfg(test)]
    pub fn on_terminal(mut self, width: usize) -> Self {
        self.terminal = Some(Terminal {
            colours: false,
            width: Some(width).filter(|width| *width > 0),
        });
        self
    }

    /// Returns true if results are read on a terminal.
    pub fn is_terminal(&self) -> bool {
        self.terminal.is_some()
    }

    /// Returns true if results are JSON.
    pub fn is_json(&self) -> bool {
        matches!(self.format, Format::Json | Format::Fields(_))
    }

    /// Returns true if results are CSV.
    pub fn is_csv(&self) -> bool {
        self.format == Format::Csv
    }

    /// Returns true if tables have every column: on request, and in a file.
    pub fn is_wide(&self) -> bool {
        self.style.wide || self.format == Format::Csv
    }

    /// The instant to which times are relative.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// Writes a time in a table: relative on a terminal, else RFC 3339 in UTC.
    pub fn time(&self, time: Time) -> String {
        match self.is_for_people() && !self.style.wide {
            true => relative(self.now, time.0),
            false => time.to_string(),
        }
    }

    /// Writes a time in full, on a terminal also relative.
    pub fn full_time(&self, time: Time) -> String {
        match self.is_for_people() {
            true => format!("{time} ({})", relative(self.now, time.0)),
            false => time.to_string(),
        }
    }

    /// Writes an ID in a table: its beginning on a terminal, which every command accepts, and the
    /// whole ID for programs.
    pub fn id(&self, id: impl fmt::Display) -> String {
        match self.is_for_people() && !self.style.wide {
            true => format!("{id:.SHORT_ID$}", id = id.to_string()),
            false => id.to_string(),
        }
    }

    /// Returns true if tables leave out what `--wide` shows.
    pub fn is_short(&self) -> bool {
        self.is_for_people() && !self.style.wide
    }

    fn is_for_people(&self) -> bool {
        self.terminal.is_some() && self.format == Format::Table
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
    /// escaped, which programs read as the same text. If the user named fields, only those.
    pub fn json(&mut self, result: &RawValue) -> Result<(), Failure> {
        let text = self.selected(result)?;
        self.bytes(format!("{}\n", escaped(&text)).as_bytes())
    }

    /// Prints a list with its totals, as the API does.
    pub fn json_list(&mut self, result: &RawValue, info: &RawValue) -> Result<(), Failure> {
        let (list, info) = (self.selected(result)?, info.get());
        let text = format!("{{\"result\":{list},\"result_info\":{info}}}\n");
        self.bytes(escaped(&text).as_bytes())
    }

    /// Prints an object of a list after `opening`.
    pub fn json_piece(&mut self, opening: &str, item: &RawValue) -> Result<(), Failure> {
        let text = self.selected(item)?;
        let text = format!("{opening}{}", escaped(&text));
        self.bytes(text.as_bytes())
    }

    /// Prints `value` as JSON.
    pub fn json_of(&mut self, value: &impl Serialize) -> Result<(), Failure> {
        let value = serde_json::value::to_raw_value(value);
        self.json(&value.map_err(|error| Failure::failed(error.to_string()))?)
    }

    /// Returns the selected fields of a value, or all of it.
    pub fn selected<'a>(&self, value: &'a RawValue) -> Result<Cow<'a, str>, Failure> {
        match &self.format {
            Format::Fields(fields) => selection::select(value, fields).map(Cow::Owned),
            _ => Ok(Cow::Borrowed(value.get())),
        }
    }

    /// Prints a message on standard error, unless the user wants none. A closed standard error does
    /// not stop a command.
    pub fn say(&mut self, text: &str) {
        if !self.style.quiet {
            self.complain(text);
        }
    }

    /// Prints an error on standard error.
    pub fn complain(&mut self, text: &str) {
        let lines: Vec<_> = text.split('\n').map(printable).collect();
        let _ = writeln!(self.err, "{}", lines.join("\n"));
    }

    /// Prints rows under a header, one line each. The column with the header `id` is never cut.
    pub fn table(
        &mut self,
        header: &[&str],
        rows: impl IntoIterator<Item = Vec<String>>,
    ) -> Result<(), Failure> {
        self.rows(header, !header.is_empty(), rows)
    }

    /// Prints more rows of a table whose header is printed.
    pub fn more_rows(
        &mut self,
        header: &[&str],
        rows: impl IntoIterator<Item = Vec<String>>,
    ) -> Result<(), Failure> {
        self.rows(header, false, rows)
    }

    /// Asks a question on the terminal and returns the answer. `hint` is for a command without one.
    pub fn ask(&mut self, question: &str, hint: &str) -> Result<String, Failure> {
        let Some(input) = &mut self.input else {
            return Err(Failure::usage(
                "the command must ask, and standard input is not a terminal",
            )
            .hint(hint));
        };
        let asked = write!(self.err, "{}", printable(question)).and_then(|()| self.err.flush());
        let mut answer = String::new();
        let read = asked.and_then(|()| input.read_line(&mut answer));
        read.map_err(|error| Failure::io("cannot read the answer", &error))?;
        Ok(answer)
    }

    /// Prints a table on standard error, unless the user wants no messages.
    pub fn say_rows(&mut self, header: &[&str], rows: Vec<Vec<String>>) {
        if !self.style.quiet {
            self.list_beside(header, rows);
        }
    }

    /// Prints a table on standard error, beside an error that it explains.
    pub fn list_beside(&mut self, header: &[&str], rows: Vec<Vec<String>>) {
        let titles: Vec<_> = header.iter().map(|title| title.to_uppercase()).collect();
        let columns = Columns::fit(header, &rows, None);
        let lines = std::iter::once(&titles).chain(&rows);
        let lines: Vec<_> = lines
            .map(|row| columns.line(row, |_, shown| shown))
            .collect();
        self.complain(&lines.join("\n"));
    }

    fn rows(
        &mut self,
        header: &[&str],
        has_header: bool,
        rows: impl IntoIterator<Item = Vec<String>>,
    ) -> Result<(), Failure> {
        if self.format == Format::Csv {
            let titles = has_header.then_some(header);
            let text = csv_of(titles.unwrap_or_default(), rows)?;
            return match self.terminal {
                Some(_) => self.data(&text),
                None => self.bytes(text.as_bytes()),
            };
        }
        let shown = |row: Vec<String>| row.iter().map(|cell| printable(&shortened(cell))).collect();
        let rows: Vec<Vec<String>> = rows.into_iter().map(shown).collect();
        let width = self.terminal.and_then(|terminal| terminal.width);
        let columns = Columns::fit(header, &rows, width.filter(|_| !self.style.wide));
        let titles: Vec<_> = header.iter().map(|title| title.to_uppercase()).collect();
        let mut text = String::new();
        if has_header {
            text += &columns.line(&titles, |_, shown| shown);
            text.push('\n');
        }
        text += &self.lines(&columns, &rows);
        self.bytes(text.as_bytes())
    }

    /// Prints names and values, none of them cut.
    pub fn fields(&mut self, fields: &[(&str, String)]) -> Result<(), Failure> {
        if self.format == Format::Csv {
            let names: Vec<_> = fields.iter().map(|(name, _)| *name).collect();
            let values = fields.iter().map(|(_, value)| value.clone()).collect();
            return self.table(&names, [values]);
        }
        let shown = fields.iter().filter(|(_, value)| !value.is_empty());
        let rows: Vec<_> = shown
            .map(|(name, value)| vec![(*name).to_owned(), printable(&shortened(value))])
            .collect();
        let columns = Columns::fit(&[], &rows, None);
        let text = self.lines(&columns, &rows);
        self.bytes(text.as_bytes())
    }

    fn lines(&self, columns: &Columns, rows: &[Vec<String>]) -> String {
        let has_colours = self.terminal.is_some_and(|terminal| terminal.colours);
        let coloured = |cell: &str, shown: String| match colour(cell) {
            Some(colour) if has_colours => format!("\u{1b}[{colour}m{shown}\u{1b}[0m"),
            _ => shown,
        };
        let lines = rows.iter().map(|row| columns.line(row, coloured) + "\n");
        lines.collect()
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
}

/// The current instant.
#[expect(
    clippy::disallowed_methods,
    reason = "the user sees times relative to now, and renewals have their instants"
)]
pub fn wall_clock() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let microseconds = since.unwrap_or_default().as_micros();
    Timestamp::from_unix_microseconds(i64::try_from(microseconds).unwrap_or(i64::MAX))
}

/// The colour of a word in the codes of terminals (ECMA-48 §8.3.117).
fn colour(cell: &str) -> Option<u8> {
    match cell {
        "active" | "green" => Some(32),
        "pending_revocation" | "pending_reactivation" | "yellow" => Some(33),
        "revoked" | "expired" | "disabled" | "red" => Some(31),
        _ => None,
    }
}

/// Writes rows as RFC 4180 wants them. The names of columns are those of the API.
fn csv_of(titles: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> Result<String, Failure> {
    let failed = |error: &dyn fmt::Display| Failure::failed(format!("cannot write CSV: {error}"));
    let mut writer = csv::WriterBuilder::new()
        .flexible(true)
        .from_writer(Vec::new());
    if !titles.is_empty() {
        let names = titles.iter().map(|title| title.replace(' ', "_"));
        writer.write_record(names).map_err(|error| failed(&error))?;
    }
    for row in rows {
        writer.write_record(row).map_err(|error| failed(&error))?;
    }
    let bytes = writer.into_inner().map_err(|error| failed(&error))?;
    String::from_utf8(bytes).map_err(|error| failed(&error))
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
    fn numbers_are_readable() {
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (1000, "1,000"),
            (1_234_567, "1,234,567"),
        ] {
            assert_eq!(grouped(number), text);
        }
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
