//! The ways in which a command ends, and the exit status of each.

use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;

/// An exit status. Scripts depend on the numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// The command did what you asked for.
    Done = 0,
    /// The command failed, or a check found a problem.
    Failed = 1,
    /// The command line or the configuration is wrong: running the command again cannot succeed.
    Usage = 2,
    /// The server cannot be reached: running the command again later can succeed.
    Unreachable = 3,
    /// The time that `--timeout` allows ended first.
    TimedOut = 4,
    /// A check found nothing worse than warnings.
    Warnings = 5,
}

impl Exit {
    /// Every exit status, in the order of the numbers.
    pub const ALL: [Self; 6] = [
        Self::Done,
        Self::Failed,
        Self::Usage,
        Self::Unreachable,
        Self::TimedOut,
        Self::Warnings,
    ];

    /// The number.
    pub fn status(self) -> u8 {
        self as u8
    }

    /// The meaning, as the help and the documentation print it.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed, or a problem was found",
            Self::Usage => "wrong command line or configuration",
            Self::Unreachable => "server unreachable",
            Self::TimedOut => "a --timeout ended first",
            Self::Warnings => "warnings only",
        }
    }

    /// The table of all exit statuses, for the end of each `--help`.
    pub fn help() -> String {
        let lines = Self::ALL.map(|exit| format!("\n  {}  {}", exit.status(), exit.meaning()));
        format!("Exit status:{}", lines.concat())
    }
}

/// The reason why a command ends early, and what to print about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    exit: Exit,
    /// The problem with its value. Empty: the command has printed it already.
    message: String,
    /// The remedy.
    hint: Option<String>,
}

impl Failure {
    /// A failure with this exit status.
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self {
            exit,
            message: message.into(),
            hint: None,
        }
    }

    /// A failed operation.
    pub fn failed(message: impl Into<String>) -> Self {
        Self::new(Exit::Failed, message)
    }

    /// A wrong command line or configuration.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// An answer that this version of the client does not understand.
    pub fn not_understood(detail: impl fmt::Display) -> Self {
        Self::failed(format!("cannot understand the server's answer: {detail}"))
            .hint("use a client of the server's version")
    }

    /// A failure that the command has printed already, such as in a summary of many operations.
    pub fn printed() -> Self {
        Self::failed("")
    }

    /// A closed standard output (`certgate cert list | head`). That is not an error.
    pub fn output_closed() -> Self {
        Self::new(Exit::Done, "")
    }

    /// An input or output error during an action ("cannot write alice.key").
    pub fn io(action: impl fmt::Display, error: &io::Error) -> Self {
        Self::failed(format!("{action}: {error}"))
    }

    /// The exit status.
    pub fn exit(&self) -> Exit {
        self.exit
    }

    /// Adds a remedy, unless the failure has one.
    pub fn hint(mut self, remedy: impl Into<String>) -> Self {
        self.hint.get_or_insert_with(|| remedy.into());
        self
    }

    /// Adds one more remedy.
    pub fn also_hint(mut self, remedy: impl fmt::Display) -> Self {
        self.hint = Some(match self.hint {
            Some(hint) => format!("{hint}; {remedy}"),
            None => remedy.to_string(),
        });
        self
    }

    /// Replaces the remedy.
    pub fn with_hint(mut self, remedy: String) -> Self {
        self.hint = Some(remedy);
        self
    }

    /// Adds to the message.
    pub fn and(mut self, more: impl fmt::Display) -> Self {
        if !self.message.is_empty() {
            self.message.push_str(&format!("; {more}"));
        }
        self
    }

    /// The lines to print, or nothing if the command has printed them already.
    pub fn lines(&self) -> String {
        let message = match self.message.as_str() {
            "" => return String::new(),
            message => format!("error: {message}\n"),
        };
        match self
            .hint
            .as_deref()
            .or_else(|| remedy_of_system(&self.message))
        {
            Some(hint) => format!("{message}hint: {hint}\n"),
            None => message,
        }
    }

    /// Returns the problem and the remedy apart.
    pub fn parts(self) -> (String, String) {
        (self.message, self.hint.unwrap_or_default())
    }

    /// Keeps only the exit status, after the lines were printed.
    pub fn but_printed(mut self) -> Self {
        self.message.clear();
        self
    }

    /// Prints the failure on standard error and returns the exit status.
    pub fn report(&self) -> ExitCode {
        // A closed standard error changes nothing about the exit status.
        let _ = io::stderr().lock().write_all(self.lines().as_bytes());
        ExitCode::from(self.exit.status())
    }
}

/// Returns the remedy of an error of the system that ends a message, which has no other.
fn remedy_of_system(message: &str) -> Option<&'static str> {
    const REMEDIES: [(&str, &str); 3] = [
        (
            "(os error 2)",
            "check the path, which is relative to the current directory",
        ),
        (
            "(os error 13)",
            "run the command as a user who may use the file, or name another",
        ),
        ("(os error 21)", "name a file in the directory"),
    ];
    let found = REMEDIES.iter().find(|(end, _)| message.ends_with(end));
    found.map(|(_, remedy)| *remedy)
}

/// The message and the hint, as one text.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match &self.hint {
            Some(hint) => write!(f, " ({hint})"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documentation_has_the_table() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/client.md");
        let document = std::fs::read_to_string(path).unwrap();
        for exit in Exit::ALL {
            let row = format!("| {} | {} |", exit.status(), exit.meaning());
            assert!(document.contains(&row), "docs/client.md lacks: {row}");
        }
    }

    #[test]
    fn a_failure_names_problem_and_remedy() {
        let failure = Failure::usage("no zone").hint("name one").hint("ignored");
        assert_eq!(failure.to_string(), "no zone (name one)");
        let failure = failure.and("nothing was sent").also_hint("or none");
        assert_eq!(
            failure.to_string(),
            "no zone; nothing was sent (name one; or none)"
        );
        assert_eq!(failure.exit().status(), 2);
        let lines = "error: no zone; nothing was sent\nhint: name one; or none\n";
        assert_eq!(failure.lines(), lines);
        let failure = failure.but_printed();
        assert_eq!(
            (failure.lines(), failure.exit().status()),
            (String::new(), 2)
        );
    }
}
