//! The arguments of `certgate invite`.

use certgate_model::{Device, InviteId, Lifetime};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand};

use super::values::parse_seconds;

/// `certgate invite`
#[derive(Debug, Args)]
pub struct InviteArgs {
    /// Common name of the certificate, such as that of a person or a device
    #[arg(value_name = "NAME", required = true)]
    pub name: Option<String>,
    /// Kind of device, for which the page behind the link has its steps
    #[arg(long, value_name = "KIND", default_value = "device", value_parser = devices(),
        ignore_case = true)]
    pub device: Device,
    /// Lifetime of the certificate, such as 90 (days), 12w or 8h [default: that of the rules of the
    /// zone, or 90 days]
    #[arg(long, value_name = "DAYS", value_parser = parse_lifetime)]
    pub days: Option<Lifetime>,
    /// Time for which the invite can be used, such as 24h or 7d
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = parse_span)]
    pub valid_for: i64,
    /// Number of certificates that the invite gives
    #[arg(long, value_name = "N", default_value_t = 1,
        value_parser = clap::value_parser!(u32).range(1..=100))]
    pub uses: u32,
}

/// `certgate invite …`
#[derive(Debug, Subcommand)]
pub enum InviteCommand {
    /// List invites, newest first, with their state and their certificates
    List,
    /// Withdraw an invite. Certificates that it gave stay valid
    Withdraw {
        /// ID of the invite
        #[arg(value_name = "ID")]
        id: InviteId,
    },
}

fn devices() -> impl TypedValueParser<Value = Device> {
    PossibleValuesParser::new(Device::ALL.map(Device::name)).map(|text| {
        let device = text.to_ascii_lowercase().parse();
        device.expect("each possible value is a device")
    })
}

/// Reads a number of days, or a time with a unit.
fn parse_lifetime(text: &str) -> Result<Lifetime, String> {
    let text = text.trim();
    let is_number = !text.is_empty() && text.bytes().all(|digit| digit.is_ascii_digit());
    let read = match is_number {
        true => format!("{text}d").parse(),
        false => text.parse::<Lifetime>(),
    };
    read.map_err(|_| "must be a number of days, or a time of at least 1h, such as 12w".to_owned())
}

fn parse_span(text: &str) -> Result<i64, String> {
    let seconds = parse_seconds(text.trim()).filter(|seconds| *seconds > 0);
    seconds.ok_or_else(|| "must be a time such as 24h or 7d".to_owned())
}
