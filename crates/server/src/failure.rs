//! How a command ends when it does not end well, and the exit code that says so.

use std::fmt;
use std::io;
use std::process::ExitCode;

use crate::log;

/// Printed at the end of `--help`: scripts depend on it.
pub const EXIT_CODES: &str = "Exit codes:
  0  done
  1  the operation failed
  2  the command line or the configuration is wrong
  3  the server cannot be reached";

/// Which exit code a failure has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// 1: the operation failed.
    Failed,
    /// 2: the command line or the configuration is wrong.
    Usage,
    /// 3: the server cannot be reached.
    Unreachable,
}

/// Why a command ends without success.
#[derive(Debug)]
pub enum Failure {
    /// Something to tell the user.
    Told {
        /// The exit code.
        exit: Exit,
        /// What is wrong, with which value.
        message: String,
        /// What to do about it.
        hint: Option<String>,
    },
    /// Everything has been told already, as by the summary of many operations.
    Reported,
    /// The reader of standard output went away (`certgate cert list | head`): nothing is wrong.
    OutputClosed,
}

impl Failure {
    /// The operation failed.
    pub fn failed(message: impl Into<String>) -> Self {
        Self::Told {
            exit: Exit::Failed,
            message: message.into(),
            hint: None,
        }
    }

    /// The command line or the configuration is wrong.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::Told {
            exit: Exit::Usage,
            message: message.into(),
            hint: None,
        }
    }

    /// The same failure with advice, unless it has some already.
    pub fn hint(self, advice: impl Into<String>) -> Self {
        match self {
            Self::Told {
                exit,
                message,
                hint: None,
            } => Self::Told {
                exit,
                message,
                hint: Some(advice.into()),
            },
            other => other,
        }
    }

    /// The same failure with more advice.
    pub fn advise(self, advice: impl fmt::Display) -> Self {
        match self {
            Self::Told {
                exit,
                message,
                hint: Some(hint),
            } => Self::Told {
                exit,
                message,
                hint: Some(format!("{hint}; {advice}")),
            },
            other => other.hint(advice.to_string()),
        }
    }

    /// The same failure with more about it.
    pub fn and(self, more: impl fmt::Display) -> Self {
        match self {
            Self::Told {
                exit,
                message,
                hint,
            } => Self::Told {
                exit,
                message: format!("{message}; {more}"),
                hint,
            },
            other => other,
        }
    }

    /// An input or output error, told with what was being done ("cannot write alice.key").
    pub fn io(doing: impl fmt::Display, error: &io::Error) -> Self {
        Self::failed(format!("{doing}: {error}"))
    }

    /// Prints what there is to tell on standard error; the exit code.
    pub fn report(&self) -> ExitCode {
        match self {
            Self::OutputClosed => ExitCode::SUCCESS,
            Self::Reported => ExitCode::from(1),
            Self::Told {
                exit,
                message,
                hint,
            } => {
                log::say(format_args!("error: {message}"));
                if let Some(hint) = hint {
                    log::say(format_args!("hint: {hint}"));
                }
                ExitCode::from(match exit {
                    Exit::Failed => 1,
                    Exit::Usage => 2,
                    Exit::Unreachable => 3,
                })
            }
        }
    }
}

/// The message and the hint, as one text.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Told {
                message,
                hint: None,
                ..
            } => f.write_str(message),
            Self::Told {
                message,
                hint: Some(hint),
                ..
            } => write!(f, "{message} ({hint})"),
            Self::Reported => f.write_str("failed"),
            Self::OutputClosed => f.write_str("standard output was closed"),
        }
    }
}

/// What `init` and `serve` report: the whole chain of causes on one line.
impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::failed(format!("{error:#}"))
    }
}
