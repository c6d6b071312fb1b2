//! The conditions on certificates, and the commands that have them.

use std::path::PathBuf;

use certgate_model::RevocationReason;
use clap::{Args, ValueEnum, ValueHint};

use super::values::{Moment, Statuses, parse_moment, reasons, statuses};
use super::{JOBS_MAX, WaitArgs};

/// The requests of a bulk change at once. The server commits them together, so that more of them
/// cost no more writes to its disk.
const CHANGE_JOBS_DEFAULT: u16 = 32;

/// The conditions of a search. All of them must hold.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Conditions")]
pub struct FilterArgs {
    /// Status [default: active. With --revoked-since, --revoked-before, --serial or --fingerprint:
    /// all]
    #[arg(long, value_name = "STATUS", value_parser = statuses(), ignore_case = true)]
    pub status: Option<Statuses>,
    /// CA that signed the certificate
    #[arg(long, value_name = "NAME|ID")]
    pub ca: Option<String>,
    /// Serial number: hexadecimal, with or without colons, or decimal
    #[arg(long, value_name = "NUMBER")]
    pub serial: Option<String>,
    /// SHA-256 of the certificate, with or without colons
    #[arg(long, value_name = "SHA256")]
    pub fingerprint: Option<String>,
    /// Ends within this time, and has not ended yet: 30d, 12w, 2027-01-31
    #[arg(long, value_name = "TIME", value_parser = parse_moment,
        conflicts_with_all = ["expires_after", "expires_before"])]
    pub expires_within: Option<Moment>,
    /// Ends after this time
    #[arg(long, value_name = "TIME", value_parser = parse_moment)]
    pub expires_after: Option<Moment>,
    /// Ends before this time. With `now`: has ended
    #[arg(long, value_name = "TIME", value_parser = parse_moment)]
    pub expires_before: Option<Moment>,
    /// Issued at this time or later: 12h, yesterday, 2026-12-01
    #[arg(long, value_name = "TIME", value_parser = parse_moment)]
    pub issued_since: Option<Moment>,
    /// Issued before this time
    #[arg(long, value_name = "TIME", value_parser = parse_moment)]
    pub issued_before: Option<Moment>,
    /// Revoked at this time or later
    #[arg(long, value_name = "TIME", value_parser = parse_moment)]
    pub revoked_since: Option<Moment>,
    /// Revoked before this time
    #[arg(long, value_name = "TIME", value_parser = parse_moment)]
    pub revoked_before: Option<Moment>,
}

impl FilterArgs {
    /// Returns true if no condition is set.
    pub fn is_empty(&self) -> bool {
        let times = [
            self.expires_within,
            self.expires_after,
            self.expires_before,
            self.issued_since,
            self.issued_before,
            self.revoked_since,
            self.revoked_before,
        ];
        let texts = [&self.ca, &self.serial, &self.fingerprint];
        self.status.is_none()
            && times.iter().all(Option::is_none)
            && texts.iter().all(|text| text.is_none())
    }
}

/// An order of certificates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Sort {
    /// By the time of issue, newest first
    Issued,
    /// By the end, next first
    Expires,
    /// By the common name
    Name,
}

/// `certgate cert list`
#[derive(Debug, Default, Args)]
pub struct ListArgs {
    /// Common name in any letter case, with * at its end or at both ends: laptop-17, 'laptop-*',
    /// '*build*'
    pub pattern: Option<String>,
    /// Order [default: newest first, or that of a condition on times]
    #[arg(long, value_enum, value_name = "ORDER")]
    pub sort: Option<Sort>,
    /// Ascending order
    #[arg(long, conflicts_with = "desc")]
    pub asc: bool,
    /// Descending order
    #[arg(long)]
    pub desc: bool,
    /// Number of the page
    #[arg(long, value_name = "N", default_value_t = 1,
        value_parser = clap::value_parser!(u64).range(1..))]
    pub page: u64,
    /// Certificates on a page
    #[arg(long, value_name = "N", default_value_t = 20,
        value_parser = clap::value_parser!(u64).range(1..=1000))]
    pub per_page: u64,
    /// Every page
    #[arg(long, conflicts_with_all = ["page", "per_page"])]
    pub all: bool,
    /// The conditions.
    #[command(flatten)]
    pub filter: FilterArgs,
}

/// `certgate cert count`
#[derive(Debug, Default, Args)]
pub struct CountArgs {
    /// Common name in any letter case, with * at its end or at both ends
    pub pattern: Option<String>,
    /// The conditions.
    #[command(flatten)]
    pub filter: FilterArgs,
}

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
