//! The command line of changes of certificates: the certificates, and the wait for enforcement
//! points.

use std::path::PathBuf;
use std::time::Duration;

use certgate_model::RevocationReason;
use clap::{Args, ValueHint};

use super::search::FilterArgs;
use super::values::{parse_duration, reasons};

/// The most requests that a command sends at once: more would only wait at the server.
pub const JOBS_MAX: i64 = 64;

/// The requests of a bulk change at once. The server commits them together, so that more of them
/// cost no more writes to its disk.
const CHANGE_JOBS_DEFAULT: u16 = 64;

/// The certificates that `certgate cert revoke` and `certgate cert restore` change.
#[derive(Debug, Default, Args)]
pub struct ChangeArgs {
    /// Certificates: ID, its beginning (6 digits or more), serial number, fingerprint, file with
    /// the certificate, - for standard input, or common name
    #[arg(required_unless_present_any = ["matching", "resume", "undo"], value_name = "CERTIFICATE",
        conflicts_with_all = ["matching", "resume", "undo"])]
    pub names: Vec<String>,
    /// Every certificate whose common name matches, as in `cert list`, and that meets the
    /// conditions. Without a name: every certificate that meets the conditions
    #[arg(long = "match", value_name = "PATTERN", num_args = 0..=1, default_missing_value = "*",
        conflicts_with_all = ["resume", "undo"], help_heading = "Many certificates")]
    pub matching: Option<String>,
    /// Show what would change, and change nothing
    #[arg(long, help_heading = "Many certificates", conflicts_with_all = ["yes", "names"])]
    pub dry_run: bool,
    /// Do not ask. With --match, it needs --expect
    #[arg(long, conflicts_with_all = ["names", "resume"], help_heading = "Many certificates")]
    pub yes: bool,
    /// Change nothing unless exactly so many certificates match
    #[arg(long, value_name = "N", help_heading = "Many certificates")]
    pub expect: Option<u64>,
    /// File for the list of certificates and the progress, which must not exist. The command that
    /// undoes this one reads it [default: certgate-ACTION-TIME.jsonl]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with = "names",
        help_heading = "Many certificates")]
    pub record: Option<PathBuf>,
    /// Continue the interrupted change that this file records
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with = "undo",
        help_heading = "Many certificates")]
    pub resume: Option<PathBuf>,
    /// Undo the change that this file records: exactly the certificates that it changed
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath,
        help_heading = "Many certificates")]
    pub undo: Option<PathBuf>,
    /// Requests to send at once
    #[arg(long, value_name = "N", default_value_t = CHANGE_JOBS_DEFAULT,
        value_parser = clap::value_parser!(u16).range(1..=JOBS_MAX),
        help_heading = "Many certificates")]
    pub jobs: u16,
    /// The wait for enforcement points.
    #[command(flatten)]
    pub wait: WaitArgs,
    /// The conditions.
    #[command(flatten)]
    pub filter: FilterArgs,
}

/// `certgate cert revoke`
#[derive(Debug, Args)]
pub struct RevokeArgs {
    /// Reason of RFC 5280. You can restore a certificate only after certificate-hold, which is the
    /// default
    #[arg(long, value_name = "REASON", value_parser = reasons(), ignore_case = true,
        conflicts_with_all = ["resume", "undo"])]
    pub reason: Option<RevocationReason>,
    /// The certificates.
    #[command(flatten)]
    pub change: ChangeArgs,
}

/// The wait until a change is settled.
#[derive(Debug, Clone, Default, Args)]
pub struct WaitArgs {
    /// Wait until every enforcement point has confirmed the change, or its lease has ended
    #[arg(long)]
    pub wait: bool,
    /// Longest wait, such as 500ms, 30s or 2m
    #[arg(long, value_name = "TIME", default_value = "60s", requires = "wait",
        value_parser = parse_duration)]
    pub timeout: Duration,
}

impl WaitArgs {
    /// The longest wait, if the command waits.
    pub fn timeout(&self) -> Option<Duration> {
        self.wait.then_some(self.timeout)
    }
}
