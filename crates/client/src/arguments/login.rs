//! The command line of `certgate login`, `logout` and `context`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};

use super::format::{Format, FormatParser};

/// `certgate login`
#[derive(Debug, Args)]
pub struct LoginArgs {
    /// Address of the management API
    #[arg(value_name = "URL", value_hint = ValueHint::Url)]
    pub api: String,
    /// Name of the context [default: the host of the address]
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// PEM file with the CAs to trust for https, or with the server's certificate [default: the
    /// system's CAs]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub api_ca: Option<PathBuf>,
    /// Zone of the commands in this context, by name or ID [default: the only zone]
    #[arg(long, short, value_name = "NAME|ID")]
    pub zone: Option<String>,
    /// No messages but errors
    #[arg(long, short)]
    pub quiet: bool,
}

/// `certgate logout`
#[derive(Debug, Args)]
pub struct LogoutArgs {
    /// Name of the context [default: the current one]
    #[arg(value_name = "NAME", conflicts_with = "all")]
    pub name: Option<String>,
    /// Remove every context
    #[arg(long)]
    pub all: bool,
}

/// `certgate context …`
#[derive(Debug, Subcommand)]
pub enum ContextCommand {
    /// List the servers that you have logged in to
    List {
        /// Output format. json=FIELD,… prints only these fields
        #[arg(long, short, value_parser = FormatParser, value_name = "FORMAT")]
        #[arg(default_value = "table")]
        output: Format,
    },
    /// Choose the server of the next commands
    Use {
        /// Name of the context
        #[arg(value_name = "NAME")]
        name: String,
    },
}
