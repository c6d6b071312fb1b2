//! The command line: what can be typed. What it means is decided by `config` and `client`.

mod values;

use std::fmt;
use std::path::PathBuf;

use certgate_model::{RevocationReason, Status, Timestamp, TokenId};
use clap::{ArgGroup, Args, Parser, Subcommand, ValueEnum, ValueHint};

pub use self::values::AuditHead;
use self::values::{parse_head, parse_instant, parse_network, parse_reason, parse_status};
use crate::config::{
    Config, DatabaseConfig, Flags, InstallationConfig, SettingFlags, StorageConfig,
};
use crate::failure::EXIT_CODES;

/// Validity of a certificate when nobody says how long, in days.
const DAYS_DEFAULT: u32 = 365;

/// Most requests that `cert issue --from` makes at once: more only queue at the server.
const JOBS_MAX: i64 = 64;

/// Where the help lists options that every command of a noun has: behind the command's own.
const BEHIND: usize = 500;

/// Self-hosted authority for mTLS client certificates that speaks Cloudflare's client_certificates API.
#[derive(Debug, Parser)]
#[command(name = "certgate", version, after_help = EXIT_CODES, propagate_version = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the server; makes the data directory on its first start
    #[command(after_help = EXIT_CODES)]
    Serve {
        /// Settings.
        #[command(flatten)]
        settings: SettingFlags<Config>,
    },
    /// Make a data directory with an account, a zone and a token, and print them
    #[command(after_help = EXIT_CODES)]
    Init {
        /// What to make.
        #[command(flatten)]
        arguments: InitArgs,
        /// Settings.
        #[command(flatten)]
        settings: SettingFlags<InstallationConfig>,
    },
    /// Read everything in the database of a running or stopped server and report what is wrong with it
    #[command(after_help = EXIT_CODES)]
    Check {
        /// Settings.
        #[command(flatten)]
        settings: SettingFlags<DatabaseConfig>,
    },
    /// Copy the database of a running or stopped server into one file. The master key is not in it
    #[command(after_help = EXIT_CODES)]
    Backup {
        /// File to write, which must not exist
        #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
        file: PathBuf,
        /// Settings.
        #[command(flatten)]
        settings: SettingFlags<StorageConfig>,
    },
    /// Put a backup in the place of a stopped server's database. What was revoked afterwards is done again from the journal
    #[command(after_help = EXIT_CODES)]
    Restore {
        /// File that `certgate backup` wrote
        #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
        file: PathBuf,
        /// Move the database that is there aside
        #[arg(long)]
        replace: bool,
        /// Settings.
        #[command(flatten)]
        settings: SettingFlags<StorageConfig>,
    },
    /// Move a stopped server's database to an empty PostgreSQL database. Run again, it goes on where it stopped
    #[command(after_help = EXIT_CODES)]
    Migrate(MigrateArgs),
    /// List what was done by whom, and verify that nobody changed the record of it
    #[command(after_help = EXIT_CODES)]
    Audit {
        /// What to do.
        #[command(subcommand)]
        command: AuditCommand,
    },
    /// Show the configuration in force and where each value came from
    #[command(after_help = EXIT_CODES)]
    Config {
        /// Print every setting, its default and its meaning in Markdown instead
        #[arg(long)]
        reference: bool,
        /// How to print
        #[arg(
            long,
            short,
            value_enum,
            value_name = "FORMAT",
            default_value = "table"
        )]
        output: Format,
        /// Settings.
        #[command(flatten)]
        settings: SettingFlags<Config>,
    },
    /// List, show, issue, revoke, restore and export client certificates
    #[command(after_help = EXIT_CODES)]
    Cert {
        /// How to reach the server.
        #[command(flatten)]
        client: ClientArgs,
        /// Zone by name or id [default: CERTGATE_ZONE, the first zone of the local data directory, or the only one there is]
        #[arg(long, short, global = true, value_name = "NAME|ID", display_order = BEHIND)]
        zone: Option<String>,
        /// What to do.
        #[command(subcommand)]
        command: CertCommand,
    },
    /// List and change the hostnames at which client certificates are asked for
    #[command(after_help = EXIT_CODES)]
    Host {
        /// How to reach the server.
        #[command(flatten)]
        client: ClientArgs,
        /// Zone by name or id [default: CERTGATE_ZONE, the first zone of the local data directory, or the only one there is]
        #[arg(long, short, global = true, value_name = "NAME|ID", display_order = BEHIND)]
        zone: Option<String>,
        /// Authority that the account brought, whose certificates are asked for [default: the managed one]
        #[arg(long, global = true, value_name = "ID", display_order = BEHIND)]
        ca: Option<String>,
        /// What to do.
        #[command(subcommand)]
        command: HostCommand,
    },
    /// List, create and delete zones
    #[command(after_help = EXIT_CODES)]
    Zone {
        /// How to reach the server.
        #[command(flatten)]
        client: ClientArgs,
        /// What to do.
        #[command(subcommand)]
        command: ZoneCommand,
    },
    /// Create, list, revoke and verify API tokens
    #[command(after_help = EXIT_CODES)]
    Token {
        /// How to reach the server.
        #[command(flatten)]
        client: ClientArgs,
        /// What to do.
        #[command(subcommand)]
        command: TokenCommand,
    },
    /// List, show, import and rotate the authorities that sign the certificates; add and remove those you bring
    #[command(after_help = EXIT_CODES)]
    Ca {
        /// How to reach the server.
        #[command(flatten)]
        client: ClientArgs,
        /// What to do.
        #[command(subcommand)]
        command: CaCommand,
    },
    /// Print a completion script for a shell
    Completions {
        /// The shell.
        #[arg(value_enum)]
        shell: clap_complete::Shell,
    },
}

/// `certgate audit …`
#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// List what was done, newest first
    List {
        /// How to reach the server.
        #[command(flatten)]
        client: ClientArgs,
        /// What to list.
        #[command(flatten)]
        arguments: AuditListArgs,
    },
    /// Read every log in the database of a running or stopped server, or in a backup, and find changed, missing or reordered entries
    #[command(after_help = EXIT_CODES)]
    Verify {
        /// Database file, such as a backup [default: the data directory's]
        #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
        database: Option<PathBuf>,
        /// Head that was printed earlier and kept elsewhere: the log must still hold that entry; may be repeated
        #[arg(long, value_name = "ID:NUMBER:HASH", value_parser = parse_head)]
        expect: Vec<AuditHead>,
        /// How to print
        #[arg(
            long,
            short,
            value_enum,
            value_name = "FORMAT",
            default_value = "table"
        )]
        output: Format,
        /// Settings.
        #[command(flatten)]
        settings: SettingFlags<DatabaseConfig>,
    },
}

/// `certgate audit list`
#[derive(Debug, Args)]
pub struct AuditListArgs {
    /// Account by name or id [default: the local data directory's, or the only one there is]
    #[arg(long, value_name = "NAME|ID", conflicts_with = "user")]
    pub account: Option<String>,
    /// What was done to the user's tokens and API key instead
    #[arg(long)]
    pub user: bool,
    /// Not before this date or time, such as 2026-01-31 or 2026-01-31T12:00:00Z
    #[arg(long, value_name = "TIME", value_parser = parse_instant)]
    pub since: Option<Timestamp>,
    /// Before this date or time
    #[arg(long, value_name = "TIME", value_parser = parse_instant)]
    pub before: Option<Timestamp>,
    /// Only what was done with this token
    #[arg(long, value_name = "ID")]
    pub token_id: Option<TokenId>,
    /// How many
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..=1000), conflicts_with = "all")]
    pub limit: u64,
    /// Every one
    #[arg(long)]
    pub all: bool,
}

/// `certgate migrate`: two settings under other names.
#[derive(Debug, Args)]
pub struct MigrateArgs {
    /// Data directory of the stopped server; it is left as it is [default: the setting data_dir]
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    from: Option<String>,
    /// PostgreSQL database: postgres://user:password@host/name; with a password not as a flag [default: the setting database_url]
    #[arg(long, value_name = "URL")]
    to: Option<String>,
    /// Configuration file [default: ./certgate.toml if there is one]
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

/// What `certgate init` makes.
#[derive(Debug, Clone, Args)]
pub struct InitArgs {
    /// E-mail address of the user, which clients send that have an API key instead of a token
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

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people
    Table,
    /// The API's `result` as it came, for machines
    Json,
}

/// A secret from the command line; `Debug` does not show it.
#[derive(Clone)]
pub struct Secret(pub String);

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// How to reach the server, and how to print.
#[derive(Debug, Clone, Args)]
pub struct ClientArgs {
    /// Address of the management API [default: CERTGATE_API, or the local data directory's]
    #[arg(long, global = true, value_name = "URL", value_hint = ValueHint::Url, help_heading = "Connection")]
    pub api: Option<String>,
    /// File with the API token (- is standard input) [default: CERTGATE_TOKEN, or the local data directory's]
    #[arg(long, global = true, value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with = "token", help_heading = "Connection")]
    pub token_file: Option<PathBuf>,
    /// The API token itself. Other users of this machine can see it while the command runs: prefer --token-file
    #[arg(long, global = true, value_name = "TOKEN", help_heading = "Connection")]
    pub token: Option<Secret>,
    /// PEM file with the authorities to trust for https [default: CERTGATE_API_CA, or the system's]
    #[arg(long, global = true, value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = "Connection")]
    pub api_ca: Option<PathBuf>,
    /// Data directory of a server on this machine, for its address and token [default: ./certgate-data]
    #[arg(long, global = true, value_name = "DIR", value_hint = ValueHint::DirPath, help_heading = "Connection")]
    pub data_dir: Option<PathBuf>,
    /// Configuration file that names the data directory [default: ./certgate.toml if there is one]
    #[arg(long, global = true, value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = "Connection")]
    pub config: Option<PathBuf>,
    /// How to print
    #[arg(long, short, global = true, value_enum, value_name = "FORMAT", default_value = "table", display_order = BEHIND)]
    pub output: Format,
}

/// `certgate cert …`
#[derive(Debug, Subcommand)]
pub enum CertCommand {
    /// List certificates, newest first
    List(ListArgs),
    /// Show one certificate
    Show {
        /// Its id
        id: String,
    },
    /// Issue one certificate, or many with --from
    Issue(Box<IssueArgs>),
    /// Revoke certificates
    Revoke {
        /// Their ids
        #[arg(required = true, value_name = "ID")]
        ids: Vec<String>,
        /// Why, as in RFC 5280: after any reason but certificateHold they cannot be restored [default: certificateHold]
        #[arg(long, value_name = "REASON", value_parser = parse_reason)]
        reason: Option<RevocationReason>,
    },
    /// Restore revoked certificates
    Restore {
        /// Their ids
        #[arg(required = true, value_name = "ID")]
        ids: Vec<String>,
    },
    /// Write a certificate as PEM
    Export {
        /// Its id
        id: String,
        /// File to write, which must not exist [default: standard output]
        #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
        out: Option<PathBuf>,
        /// Append the authority's certificate
        #[arg(long)]
        chain: bool,
    },
}

/// `certgate cert list`
#[derive(Debug, Args)]
pub struct ListArgs {
    /// Only certificates in this status: active, pending_reactivation, pending_revocation or revoked
    #[arg(long, value_name = "STATUS", value_parser = parse_status)]
    pub status: Option<Status>,
    /// Which page
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    pub page: u64,
    /// How many on a page
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=1000))]
    pub per_page: u64,
    /// Every certificate
    #[arg(long, conflicts_with_all = ["page", "per_page"])]
    pub all: bool,
}

/// `certgate cert issue`
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("what").required(true).args(["cn", "csr", "from"]))]
pub struct IssueArgs {
    /// Common name; key and request are made here, the key never leaves this machine
    #[arg(long, value_name = "NAME")]
    pub cn: Option<String>,
    /// Request (PEM) that somebody else made; - is standard input
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with_all = ["subject", "key_algorithm", "p12"])]
    pub csr: Option<PathBuf>,
    /// CSV file with a certificate a line. Its first line names the columns: common_name, and optionally organization,
    /// organizational_unit, country, state, location, validity_days. The same command again goes on where it stopped
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with = "subject")]
    pub from: Option<PathBuf>,
    /// The rest of the subject.
    #[command(flatten)]
    pub subject: SubjectArgs,
    /// Validity in days
    #[arg(long, value_name = "DAYS", default_value_t = DAYS_DEFAULT, value_parser = clap::value_parser!(u32).range(1..))]
    pub days: u32,
    /// Kind of key to make
    #[arg(long, value_enum, value_name = "NAME", default_value = "p256")]
    pub key_algorithm: KeyName,
    /// Where to write: a directory (with / at its end, or existing), or the beginning of the file names
    #[arg(long, value_name = "DIR|PREFIX", value_hint = ValueHint::AnyPath)]
    pub out: Option<PathBuf>,
    /// Write a PKCS#12 file too, for browsers and phones. Its password comes from CERTGATE_P12_PASSWORD,
    /// --p12-password-file, or is asked for
    #[arg(long)]
    pub p12: bool,
    /// File whose first line is the password of the PKCS#12 file
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, requires = "p12")]
    pub p12_password_file: Option<PathBuf>,
    /// How many requests to have under way at once
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=JOBS_MAX), conflicts_with_all = ["cn", "csr"])]
    pub jobs: u16,
}

/// Subject attributes beside the common name.
#[derive(Debug, Args)]
#[group(id = "subject", multiple = true, required = false)]
pub struct SubjectArgs {
    /// Organization (O)
    #[arg(long, value_name = "TEXT", alias = "organization")]
    pub org: Option<String>,
    /// Organizational unit (OU)
    #[arg(long, value_name = "TEXT", alias = "organizational-unit")]
    pub org_unit: Option<String>,
    /// Country (C), two letters
    #[arg(long, value_name = "CODE")]
    pub country: Option<String>,
    /// State or province (ST)
    #[arg(long, value_name = "TEXT")]
    pub state: Option<String>,
    /// Location (L)
    #[arg(long, value_name = "TEXT")]
    pub location: Option<String>,
}

/// The kinds of key that can be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum KeyName {
    /// ECDSA on NIST P-256
    #[value(alias = "p-256")]
    P256,
    /// ECDSA on NIST P-384
    #[value(alias = "p-384")]
    P384,
    /// RSA with 2048 bits
    #[value(alias = "rsa-2048")]
    Rsa2048,
    /// RSA with 3072 bits
    #[value(alias = "rsa-3072")]
    Rsa3072,
    /// RSA with 4096 bits
    #[value(alias = "rsa-4096")]
    Rsa4096,
    /// Ed25519
    Ed25519,
}

/// `certgate host …`
#[derive(Debug, Subcommand)]
pub enum HostCommand {
    /// List the hostnames
    List,
    /// Replace the whole list
    Set {
        /// The hostnames
        #[arg(
            required_unless_present = "none",
            conflicts_with = "none",
            value_name = "HOSTNAME"
        )]
        hostnames: Vec<String>,
        /// No hostnames: certificates of the authority are asked for nowhere in the zone
        #[arg(long)]
        none: bool,
    },
    /// Add hostnames at the end of the list
    Add {
        /// The hostnames
        #[arg(required = true, value_name = "HOSTNAME")]
        hostnames: Vec<String>,
    },
    /// Take hostnames out of the list
    Remove {
        /// The hostnames
        #[arg(required = true, value_name = "HOSTNAME")]
        hostnames: Vec<String>,
    },
}

/// `certgate zone …`
#[derive(Debug, Subcommand)]
pub enum ZoneCommand {
    /// List zones
    List,
    /// Create a zone
    Create {
        /// Its domain name
        name: String,
        /// Account by name or id [default: the local data directory's, or the only one there is]
        #[arg(long, value_name = "NAME|ID")]
        account: Option<String>,
    },
    /// Delete a zone whose certificates are all revoked
    Delete {
        /// Its name or id
        #[arg(value_name = "NAME|ID")]
        zone: String,
    },
}

/// `certgate token …`
#[derive(Debug, Subcommand)]
pub enum TokenCommand {
    /// Create a token and print its value, once
    Create(TokenCreateArgs),
    /// List tokens
    List,
    /// Revoke a token: it stops working at once, for ever
    Revoke {
        /// Its id
        id: String,
    },
    /// Ask the server whether the token in use works
    Verify,
    /// Make the user's API key, for clients that know X-Auth-Email and X-Auth-Key only, or switch it off
    ApiKey {
        /// What to do.
        #[command(subcommand)]
        command: ApiKeyCommand,
    },
}

/// `certgate token api-key …`
#[derive(Debug, Clone, Copy, Subcommand)]
pub enum ApiKeyCommand {
    /// Create the key and print it, once; the one before it stops working. It may do everything
    Create,
    /// Delete the key: it stops working at once
    Delete,
}

/// `certgate token create`
#[derive(Debug, Args)]
pub struct TokenCreateArgs {
    /// What to call it
    pub name: String,
    /// What it may do, such as "SSL and Certificates Read"; may be repeated
    #[arg(long = "permission", short, value_name = "NAME", required = true)]
    pub permissions: Vec<String>,
    /// Zone it may do that in, by name or id; may be repeated [default: every zone]
    #[arg(long = "zone", value_name = "NAME|ID")]
    pub zones: Vec<String>,
    /// When it ends, such as 2027-01-31 or 2027-01-31T12:00:00Z [default: never]
    #[arg(long, value_name = "TIME", value_parser = parse_instant)]
    pub expires: Option<Timestamp>,
    /// Address or network (CIDR) it may come from; may be repeated [default: anywhere]
    #[arg(long = "allow-ip", value_name = "ADDRESS", value_parser = parse_network)]
    pub allow_ips: Vec<String>,
}

/// `certgate ca …`
#[derive(Debug, Subcommand)]
pub enum CaCommand {
    /// List the authorities of an account: managed, and brought
    List {
        /// Account by name or id [default: the local data directory's, or the only one there is]
        #[arg(long, value_name = "NAME|ID")]
        account: Option<String>,
    },
    /// Show the managed authority that signs new certificates, or another one
    Show {
        /// Its id [default: the one that signs new certificates]
        id: Option<String>,
        /// Account by name or id [default: the local data directory's, or the only one there is]
        #[arg(long, value_name = "NAME|ID")]
        account: Option<String>,
    },
    /// Add an authority of your own, whose client certificates are to be accepted; or a leaf with --leaf
    Add(CaAddArgs),
    /// Remove what was added
    Remove {
        /// Its id
        id: String,
        /// Account by name or id [default: the local data directory's, or the only one there is]
        #[arg(long, value_name = "NAME|ID")]
        account: Option<String>,
    },
    /// Let an existing authority sign new certificates: moves a fleet over. What was issued here before stays valid
    Import(CaImportArgs),
    /// Let a new authority sign new certificates. What was issued before stays valid and revocable
    Rotate {
        /// Kind of key to make [default: the account's]
        #[arg(long, value_enum, value_name = "NAME")]
        algorithm: Option<KeyName>,
        /// Account by name or id [default: the local data directory's, or the only one there is]
        #[arg(long, value_name = "NAME|ID")]
        account: Option<String>,
    },
}

/// `certgate ca add`
#[derive(Debug, Args)]
pub struct CaAddArgs {
    /// PEM file with the certificate, or a chain of them; - is standard input
    #[arg(value_hint = ValueHint::FilePath)]
    pub file: PathBuf,
    /// PEM file with the private key of the first certificate, not encrypted
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub key: Option<PathBuf>,
    /// What to call it
    #[arg(long, value_name = "TEXT")]
    pub name: Option<String>,
    /// It is an authority (the default)
    #[arg(long, conflicts_with = "leaf")]
    pub ca: bool,
    /// It is the certificate of a client, not of an authority
    #[arg(long)]
    pub leaf: bool,
    /// Account by name or id [default: the local data directory's, or the only one there is]
    #[arg(long, value_name = "NAME|ID")]
    pub account: Option<String>,
}

/// `certgate ca import`
#[derive(Debug, Args)]
pub struct CaImportArgs {
    /// PEM file with the authority's certificate
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub certificate: PathBuf,
    /// PEM file with its private key, not encrypted (PKCS#8, SEC1 or PKCS#1); - is standard input
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub key: PathBuf,
    /// Account by name or id [default: the local data directory's, or the only one there is]
    #[arg(long, value_name = "NAME|ID")]
    pub account: Option<String>,
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
        assert!(parse("certgate cert issue").is_err());
        assert!(parse("certgate cert issue --cn a --csr b").is_err());
        assert!(parse("certgate cert issue --csr a --org b").is_err());
        assert!(parse("certgate cert issue --csr a --p12").is_err());
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
    fn connection_options_may_stand_anywhere_behind_the_noun() {
        for line in [
            "certgate cert --api http://a list",
            "certgate cert list --api http://a",
        ] {
            let Command::Cert { client, .. } =
                Cli::try_parse_from(line.split(' ')).unwrap().command
            else {
                panic!("{line}")
            };
            assert_eq!(client.api.as_deref(), Some("http://a"));
        }
    }
}
