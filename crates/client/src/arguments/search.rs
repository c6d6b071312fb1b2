//! The conditions on certificates, and the commands that show those that meet them.

use clap::{Args, ValueEnum};

use super::values::{Moment, Statuses, parse_moment, statuses};

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
    /// A renewal has replaced it (true), or it is the newest of its line (false) [default: both]
    #[arg(long, value_name = "true|false")]
    pub replaced: Option<bool>,
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
            && self.replaced.is_none()
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
        value_parser = clap::value_parser!(u64).range(1..=1_000_000_000))]
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
