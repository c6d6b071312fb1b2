//! The command line of the server's commands. The client's commands are in `certgate-client`.

mod examples;
mod manual;
mod mistakes;
mod values;

use std::path::PathBuf;
use std::time::Duration;

use certgate_client::{
    AuditListArgs, ClientArgs, ClientCommand, ContextCommand, EnrolArgs, Format, FormatParser,
    LoginArgs, LogoutArgs, RenewArgs, parse_duration,
};
use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint};

pub use self::examples::with_examples;
pub use self::manual::{install_completions, print_completions, write_pages};
pub use self::mistakes::explained;
pub use self::values::AuditHead;
use self::values::parse_head;
use crate::config::{
    Config, DatabaseConfig, Flags, InstallationConfig, SettingFlags, StorageConfig,
};

/// Self-hosted CA for mTLS client certificates with Cloudflare's client_certificates API.
#[derive(Debug, Parser)]
#[command(name = "certgate", version, propagate_version = true)]
pub struct Cli {
    /// The command.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the server. Its first start makes the data directory
    Serve {
        /// Use another public_url than the stored one, for new CAs only
        #[arg(long)]
        public_url_changes: bool,
        /// Settings.
        #[command(flatten)]
        settings: SettingFlags<Config>,
    },
    /// Make a data directory with an account, a zone and a token. Print the IDs and the token
    Init {
        /// The first account and zone.
        #[command(flatten)]
        arguments: InitArgs,
        /// Settings.
        #[command(flatten)]
        settings: SettingFlags<InstallationConfig>,
    },
    /// Check the whole database of a running or stopped server and report every problem
    Check {
        /// Use at most this percentage of the time, so that a running server has the disk
        #[arg(long, value_name = "PERCENT", default_value_t = 100)]
        #[arg(value_parser = clap::value_parser!(u8).range(1..=100))]
        share: u8,
        /// Settings.
        #[command(flatten)]
        settings: SettingFlags<DatabaseConfig>,
    },
    /// Copy the database of a running or stopped server to one file, without the master key
    Backup {
        /// File to write, which must not exist
        #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
        file: PathBuf,
        /// Write the file although the database has problems
        #[arg(long)]
        despite_problems: bool,
        /// Settings.
        #[command(flatten)]
        settings: SettingFlags<StorageConfig>,
    },
    /// Replace a stopped server's database with a backup. Later revocations are replayed from the
    /// journal
    Restore {
        /// File that `certgate backup` wrote
        #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
        file: PathBuf,
        /// Move the existing database aside
        #[arg(long)]
        replace: bool,
        /// Restore the backup although it has problems
        #[arg(long)]
        despite_problems: bool,
        /// Settings.
        #[command(flatten)]
        settings: SettingFlags<StorageConfig>,
    },
    /// Move a stopped server's database to an empty PostgreSQL database. Run the command again to
    /// continue after an interruption
    Migrate(MigrateArgs),
    /// List the entries of the audit log, or verify that the log is intact
    Audit {
        /// The command.
        #[command(subcommand)]
        command: AuditCommand,
    },
    /// Follow revocations: write the CAs and CRLs of an account into files, and make a proxy read
    /// them after each change
    Follow(FollowArgs),
    /// Terminate TLS in front of services, and cut the connections of revoked client certificates
    Gateway {
        /// Configuration file, as docs/gateway.md describes it
        #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
        config: PathBuf,
    },
    /// Answer the questions of a reverse proxy: may this client pass?
    Authz {
        /// Configuration file, as docs/authz.md describes it
        #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
        config: PathBuf,
    },
    /// Show the configuration and the source of each value
    Config {
        /// Print every setting, its default and its meaning in Markdown instead
        #[arg(long)]
        reference: bool,
        /// Output format
        #[arg(long, short, value_parser = FormatParser, value_name = "FORMAT")]
        #[arg(default_value = "table")]
        output: Format,
        /// Settings.
        #[command(flatten)]
        settings: SettingFlags<Config>,
    },
    /// The commands that use the management API.
    #[command(flatten)]
    Client(ClientCommand),
    /// Store the address and the token of a server for the next commands. The token is read from
    /// standard input
    Login(LoginArgs),
    /// Remove the stored address and token of a server
    Logout(LogoutArgs),
    /// List the servers that you have logged in to, and choose one
    Context {
        /// The command.
        #[command(subcommand)]
        command: ContextCommand,
    },
    /// Get the first certificate of this machine from an EST server, with an invite. The key is
    /// made here and stays here
    Enrol(EnrolArgs),
    /// Renew certificates before they expire, with the certificate itself as the proof of identity
    Renew(RenewArgs),
    /// Show issue, revoke and restore in front of a service: real servers in a temporary directory,
    /// which needs no rights and no network
    Demo {
        /// Time to read each step, such as 0s or 3s
        #[arg(long, value_name = "TIME", default_value = "2s", value_parser = parse_duration)]
        pause: Duration,
    },
    /// Print or install a completion script for a shell
    Completions {
        /// Name of the shell [default with --install: the shell that SHELL names]
        #[arg(value_enum, required_unless_present = "install")]
        shell: Option<clap_complete::Shell>,
        /// Write the script to where the shell of this user looks for it
        #[arg(long)]
        install: bool,
    },
    /// Write the manual pages into a directory
    Man {
        /// Directory, which may be new
        #[arg(value_name = "DIR", value_hint = ValueHint::DirPath)]
        directory: PathBuf,
    },
}

/// `certgate audit …`
#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// List entries, newest first
    List {
        /// The connection.
        #[command(flatten)]
        client: ClientArgs,
        /// The conditions.
        #[command(flatten)]
        arguments: AuditListArgs,
    },
    /// Verify every log in the database of a running or stopped server, or in a backup: report
    /// changed, missing and reordered entries
    Verify {
        /// Database file, such as a backup [default: the configured database]
        #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
        database: Option<PathBuf>,
        /// Head from an earlier run, stored elsewhere: the log must still have that entry. You can
        /// repeat it
        #[arg(long, value_name = "ID:NUMBER:HASH", value_parser = parse_head)]
        expect: Vec<AuditHead>,
        /// Output format
        #[arg(long, short, value_parser = FormatParser, value_name = "FORMAT")]
        #[arg(default_value = "table")]
        output: Format,
        /// Settings.
        #[command(flatten)]
        settings: SettingFlags<DatabaseConfig>,
    },
}

/// `certgate follow`
#[derive(Debug, Args)]
pub struct FollowArgs {
    /// Directory of the files, which the proxy reads
    #[arg(value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub directory: PathBuf,
    /// Command that makes the proxy read the files, for a shell, such as 'nginx -s reload'
    #[arg(long, value_name = "COMMAND", value_hint = ValueHint::CommandString)]
    pub exec: Option<String>,
    /// Least time between two runs of the command, such as 250ms or 2s
    #[arg(long, value_name = "TIME", default_value = "250ms", value_parser = parse_duration)]
    pub every: Duration,
    /// Time from the end of the command until every new handshake uses the lists: the command only
    /// starts a reload [default: 1500ms for nginx and haproxy, 500ms for envoy-sds, else 0s]
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub settle: Option<Duration>,
    /// Form of the files
    #[arg(long, value_enum, value_name = "FORMAT", default_value = "nginx")]
    pub format: FileFormatName,
    /// Only the CAs of this hostname [default: every CA of the account]
    #[arg(long, value_name = "NAME")]
    pub hostname: Option<String>,
    /// Name of the enforcement point, to which 8 random digits are added
    #[arg(long, value_name = "NAME", default_value = "follow")]
    pub name: String,
    /// Seconds of silence after which certgate stops waiting for this process
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    #[arg(value_parser = clap::value_parser!(u32).range(5..=3_600))]
    pub lease_seconds: u32,
    /// Seconds of silence after which certgate deletes the enforcement point [default: one day]
    #[arg(long, value_name = "SECONDS")]
    #[arg(value_parser = clap::value_parser!(u32).range(5..=2_592_000))]
    pub forget_seconds: Option<u32>,
    /// Send the token over http to another machine, where others may read it
    #[arg(long)]
    pub allow_cleartext: bool,
    /// Filter of log lines
    #[arg(long, value_name = "FILTER", default_value = "info")]
    pub log: String,
    /// Account by name or ID [default: the local data directory's, or the only account]
    #[arg(long, value_name = "NAME|ID")]
    pub account: Option<String>,
    /// The connection.
    #[command(flatten)]
    pub client: ClientArgs,
}

/// A form of the files of `certgate follow`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FileFormatName {
    /// ca.pem and crl.pem
    Nginx,
    /// ca.pem and crl.pem
    Haproxy,
    /// ca.pem, crl.pem and sds.json, from which Envoy reads them by itself
    EnvoySds,
    /// <CA ID>.pem and <CA ID>.crl for each CA
    Separate,
}

/// `certgate migrate`, which has two settings under other names.
#[derive(Debug, Args)]
pub struct MigrateArgs {
    /// Data directory of the stopped server, which stays unchanged [default: the setting data_dir]
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    from: Option<String>,
    /// PostgreSQL database: postgres://user@host/name. Give a URL with a password as
    /// CERTGATE_DATABASE_URL [default: the setting database_url]
    #[arg(long, value_name = "URL")]
    to: Option<String>,
    /// Configuration file [default: ./certgate.toml if it exists]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    config: Option<PathBuf>,
}

impl From<MigrateArgs> for SettingFlags<StorageConfig> {
    fn from(arguments: MigrateArgs) -> Self {
        let given = [("data_dir", arguments.from), ("database_url", arguments.to)];
        Self::new(Flags {
            given: given
                .into_iter()
                .filter_map(|(name, text)| Some((name, text?)))
                .collect(),
            file: arguments.config,
            renamed: &[("data_dir", "from"), ("database_url", "to")],
        })
    }
}

/// The first user, account and zone of `certgate init`.
#[derive(Debug, Clone, Args)]
pub struct InitArgs {
    /// E-mail address of the user, which clients with an API key send
    #[arg(long, value_name = "ADDRESS", default_value = certgate_service::EMAIL_DEFAULT)]
    pub email: String,
    /// Name of the first account
    #[arg(long, value_name = "NAME", default_value = "default")]
    pub account: String,
    /// Domain name of the first zone
    #[arg(long, value_name = "NAME", default_value = "example.com")]
    pub zone: String,
    /// Print one JSON object with account_id, zone_id and token
    #[arg(long)]
    pub json: bool,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definitions_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn issuing_needs_exactly_one_thing_to_issue() {
        let parse = |line: &str| Cli::try_parse_from(line.split(' '));
        assert!(parse("certgate cert issue --cn a").is_ok());
        assert!(parse("certgate cert issue --csr - --days 9").is_ok());
        assert!(
            parse("certgate cert issue --from n.csv --jobs 2 --p12 --p12-password-file f").is_ok()
        );
        assert!(parse("certgate cert issue --cn a --p12 --p12-legacy").is_ok());
        assert!(parse("certgate cert issue --cn a --p12-legacy --p12-password-file f").is_ok());
        assert!(parse("certgate cert issue").is_err());
        assert!(parse("certgate cert issue --cn a --csr b").is_err());
        assert!(parse("certgate cert issue --csr a --org b").is_err());
        assert!(parse("certgate cert issue --csr a --p12").is_err());
        assert!(parse("certgate cert issue --csr a --p12-legacy").is_err());
        assert!(parse("certgate cert issue --cn a --p12-password-file f").is_err());
        assert!(parse("certgate cert issue --from a --org b").is_err());
        assert!(parse("certgate cert issue --cn a --jobs 2").is_err());
    }

    #[test]
    fn a_list_of_hostnames_is_not_emptied_by_leaving_them_out() {
        let parse = |line: &str| Cli::try_parse_from(line.split(' '));
        assert!(parse("certgate host set a.example.com b.example.com --ca x").is_ok());
        assert!(parse("certgate host set --none").is_ok());
        for bad in ["set", "set --none a.example.com", "add", "remove"] {
            assert!(parse(&format!("certgate host {bad}")).is_err(), "{bad}");
        }
    }

    #[test]
    fn connection_options_are_accepted_anywhere_after_the_noun() {
        for line in [
            "certgate cert --api http://a list",
            "certgate cert list --api http://a",
        ] {
            let Command::Client(ClientCommand::Cert { client, .. }) =
                Cli::try_parse_from(line.split(' ')).unwrap().command
            else {
                panic!("{line}")
            };
            assert_eq!(client.api.as_deref(), Some("http://a"));
        }
    }
}
