//! The command line of the client commands.

mod ca;
mod change;
mod enrol;
mod format;
mod invite;
mod login;
mod search;
mod values;

use std::fmt;
use std::path::PathBuf;

use certgate_model::{KeyAlgorithm, Lifetime, NamePattern, Role, TokenId};
use certgate_wire::AddressBlockText;
use clap::builder::NonEmptyStringValueParser;
use clap::{ArgGroup, Args, Subcommand, ValueEnum, ValueHint};

pub use self::ca::{
    CaAddArgs, CaCommand, CaExportArgs, CaImportArgs, CaPrepareArgs, CaRotateArgs, CaStateArgs,
};
use self::change::JOBS_MAX;
pub use self::change::{ChangeArgs, RevokeArgs};
#[cfg(test)]
pub use self::enrol::parse_within;
pub use self::enrol::{EnrolArgs, Fingerprint, RenewArgs, Within, parse_fingerprint};
pub use self::format::{Format, FormatParser};
pub use self::invite::{InviteArgs, InviteCommand};
pub use self::login::{ContextCommand, LoginArgs, LogoutArgs};
pub use self::search::{CountArgs, FilterArgs, ListArgs, Sort};
pub use self::values::{Moment, Statuses, kebab, parse_duration};
use self::values::{parse_days, parse_moment, parse_network};

/// The default validity of a certificate, in days.
const DAYS_DEFAULT: u32 = 365;

/// The position in the help of options that all commands of a noun share: after the command's own
/// options.
const LAST: usize = 500;

/// The commands that use the management API.
#[derive(Debug, Subcommand)]
pub enum ClientCommand {
    /// Show the state of the server and a zone on one screen. The exit status is 0 if all is well,
    /// 5 with warnings, 1 with problems
    Status {
        /// The connection.
        #[command(flatten)]
        client: ClientArgs,
        /// Zone by name or ID [default: CERTGATE_ZONE, the first zone of the local data directory,
        /// or the only zone]
        #[arg(long, short, value_name = "NAME|ID", display_order = LAST)]
        zone: Option<String>,
    },
    /// Look for problems of the server, and print the fix of each: listeners, clock, addresses in
    /// certificates, CRLs, disk, limits and versions. The exit status is as that of `status`
    Doctor {
        /// The connection.
        #[command(flatten)]
        client: ClientArgs,
        /// The account.
        #[command(flatten)]
        account: AccountArgs,
    },
    /// Find, show, issue, revoke, restore and export client certificates
    Cert {
        /// The connection.
        #[command(flatten)]
        client: ClientArgs,
        /// Zone by name or ID [default: CERTGATE_ZONE, the first zone of the local data directory,
        /// or the only zone]
        #[arg(long, short, global = true, value_name = "NAME|ID", display_order = LAST)]
        zone: Option<String>,
        /// The command.
        #[command(subcommand)]
        command: CertCommand,
    },
    /// List and change the hostnames at which the proxy asks for client certificates
    Host {
        /// The connection.
        #[command(flatten)]
        client: ClientArgs,
        /// Zone by name or ID [default: CERTGATE_ZONE, the first zone of the local data directory,
        /// or the only zone]
        #[arg(long, short, global = true, value_name = "NAME|ID", display_order = LAST)]
        zone: Option<String>,
        /// Uploaded CA whose hostnames to list or change [default: the managed CA]
        #[arg(long, global = true, value_name = "ID", display_order = LAST)]
        ca: Option<String>,
        /// The command.
        #[command(subcommand)]
        command: HostCommand,
    },
    /// List, create and delete zones
    Zone {
        /// The connection.
        #[command(flatten)]
        client: ClientArgs,
        /// The command.
        #[command(subcommand)]
        command: ZoneCommand,
    },
    /// Create, list, revoke and verify API tokens
    Token {
        /// The connection.
        #[command(flatten)]
        client: ClientArgs,
        /// The command.
        #[command(subcommand)]
        command: TokenCommand,
    },
    /// Invite a person or a device, or list and withdraw invites. The link gives its holder a
    /// certificate of this name, once
    #[command(subcommand_negates_reqs = true)]
    Invite {
        /// The connection.
        #[command(flatten)]
        client: ClientArgs,
        /// Zone by name or ID [default: CERTGATE_ZONE, the first zone of the local data directory,
        /// or the only zone]
        #[arg(long, short, global = true, value_name = "NAME|ID", display_order = LAST)]
        zone: Option<String>,
        /// The invite.
        #[command(flatten)]
        arguments: InviteArgs,
        /// The command.
        #[command(subcommand)]
        command: Option<InviteCommand>,
    },
    /// Show the destinations of notifications and their state, or list, retry and test them
    Notifications {
        /// The connection.
        #[command(flatten)]
        client: ClientArgs,
        /// The command.
        #[command(subcommand)]
        command: Option<NotificationsCommand>,
    },
    /// List, show, import and rotate the CAs that sign certificates, add and remove uploaded CAs
    Ca {
        /// The connection.
        #[command(flatten)]
        client: ClientArgs,
        /// The command.
        #[command(subcommand)]
        command: CaCommand,
    },
}

/// `certgate notifications …`
#[derive(Debug, Subcommand)]
pub enum NotificationsCommand {
    /// List the events that were not delivered in time
    Undelivered,
    /// Try each undelivered event once more, now, and end the pauses after failures
    Retry,
    /// Send an event of type test to each destination now
    Test,
}

/// The connection to the server, and the output format.
#[derive(Debug, Clone, Args)]
pub struct ClientArgs {
    /// Address of the management API [default: CERTGATE_API, the local data directory's, or that of
    /// the current context]
    #[arg(long, global = true, value_name = "URL", value_hint = ValueHint::Url,
        help_heading = "Connection")]
    pub api: Option<String>,
    /// File with the API token, - for standard input [default: CERTGATE_TOKEN, the local data
    /// directory's token, or that of the current context]
    #[arg(long, global = true, value_name = "FILE", value_hint = ValueHint::FilePath,
        conflicts_with = "token", help_heading = "Connection")]
    pub token_file: Option<PathBuf>,
    /// API token. Other users of this machine can see it while the command runs: prefer
    /// --token-file
    #[arg(long, global = true, value_name = "TOKEN", help_heading = "Connection")]
    pub token: Option<Secret>,
    /// PEM file with the CAs to trust for https [default: CERTGATE_API_CA, or the system's CAs]
    #[arg(long, global = true, value_name = "FILE", value_hint = ValueHint::FilePath,
        help_heading = "Connection")]
    pub api_ca: Option<PathBuf>,
    /// Server that you have logged in to, by the name of its context [default: CERTGATE_CONTEXT, or
    /// the current context unless ./certgate-data has a server]
    #[arg(long, global = true, value_name = "NAME", help_heading = "Connection")]
    pub context: Option<String>,
    /// Data directory of a server on this machine, for its address and token [default:
    /// ./certgate-data]
    #[arg(long, global = true, value_name = "DIR", value_hint = ValueHint::DirPath,
        help_heading = "Connection")]
    pub data_dir: Option<PathBuf>,
    /// Configuration file that names the data directory [default: ./certgate.toml if it exists]
    #[arg(long, global = true, value_name = "FILE", value_hint = ValueHint::FilePath,
        help_heading = "Connection")]
    pub config: Option<PathBuf>,
    /// Output format. json=FIELD,… prints only these fields
    #[arg(long, short, global = true, value_parser = FormatParser, value_name = "FORMAT",
        default_value = "table", display_order = LAST)]
    pub output: Format,
    /// Every column, IDs and times in full, and nothing cut
    #[arg(long, global = true, display_order = LAST)]
    pub wide: bool,
    /// No messages but errors
    #[arg(long, short, global = true, display_order = LAST)]
    pub quiet: bool,
    /// Print each request to the server
    #[arg(long, short, global = true, conflicts_with = "quiet", display_order = LAST)]
    pub verbose: bool,
}

/// A secret from the command line. `Debug` does not show it.
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

/// The account that a command works on.
#[derive(Debug, Clone, Default, Args)]
pub struct AccountArgs {
    /// Account by name or ID [default: the local data directory's, or the only account]
    #[arg(long, value_name = "NAME|ID")]
    pub account: Option<String>,
}

impl AccountArgs {
    /// The name or ID, if there is one.
    pub fn named(&self) -> Option<&str> {
        self.account.as_deref()
    }
}

/// `certgate audit list`
#[derive(Debug, Args)]
pub struct AuditListArgs {
    /// Account by name or ID [default: the local data directory's, or the only account]
    #[arg(long, value_name = "NAME|ID", conflicts_with = "user")]
    pub account: Option<String>,
    /// List changes to the user's tokens and API key instead
    #[arg(long)]
    pub user: bool,
    /// Only entries from this date or time on, such as 2026-01-31, yesterday or 12h
    #[arg(long, value_name = "TIME", value_parser = parse_moment)]
    pub since: Option<Moment>,
    /// Only entries before this date or time
    #[arg(long, value_name = "TIME", value_parser = parse_moment)]
    pub before: Option<Moment>,
    /// Only changes made with this token
    #[arg(long, value_name = "ID")]
    pub token_id: Option<TokenId>,
    /// Number of entries
    #[arg(long, value_name = "N", default_value_t = 50,
        value_parser = clap::value_parser!(u64).range(1..=1000), conflicts_with = "all")]
    pub limit: u64,
    /// Every entry
    #[arg(long)]
    pub all: bool,
}

/// `certgate cert …`
#[derive(Debug, Subcommand)]
pub enum CertCommand {
    /// List certificates, newest first
    List(Box<ListArgs>),
    /// Count certificates
    Count(Box<CountArgs>),
    /// Show one certificate, and when, why and by whom it was revoked
    Show {
        /// ID, its beginning, serial number, fingerprint, file, - for standard input, or common
        /// name
        #[arg(value_name = "CERTIFICATE")]
        name: String,
    },
    /// List the changes of a certificate: when, by whom, from which address and why
    History {
        /// ID, its beginning, serial number, fingerprint, file, - for standard input, or common
        /// name
        #[arg(value_name = "CERTIFICATE")]
        name: String,
    },
    /// Issue one certificate, or many with --from
    Issue(Box<IssueArgs>),
    /// Revoke certificates, or every certificate that matches
    Revoke(Box<RevokeArgs>),
    /// Restore revoked certificates, or undo a change of many
    Restore(Box<ChangeArgs>),
    /// Record certificates that an imported CA issued elsewhere, so that you can list, revoke and
    /// restore them
    Adopt {
        /// Files with certificates, PEM or DER, - for standard input
        #[arg(required = true, value_name = "FILE", value_hint = ValueHint::FilePath)]
        files: Vec<PathBuf>,
    },
    /// Write a certificate as PEM
    Export {
        /// ID, its beginning, serial number, fingerprint, file, - for standard input, or common
        /// name
        #[arg(value_name = "CERTIFICATE")]
        name: String,
        /// File to write, which must not exist [default: standard output]
        #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
        out: Option<PathBuf>,
        /// Append the CA's certificate
        #[arg(long)]
        chain: bool,
    },
}

/// `certgate cert issue`
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("what").required(true).args(["cn", "csr", "from"]))]
#[command(group = ArgGroup::new("p12_form").multiple(true).args(["p12", "p12_legacy"]))]
pub struct IssueArgs {
    /// Common name of a new key and request. The key never leaves this machine
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    pub cn: Option<String>,
    /// Existing certificate signing request (PEM), - for standard input
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath,
        conflicts_with_all = ["subject", "key_algorithm", "p12", "p12_legacy"])]
    pub csr: Option<PathBuf>,
    /// CSV file with one certificate per line. Its first line names the columns: common_name, and
    /// optionally organization, organizational_unit, country, state, location, validity_days. Run
    /// the same command again to continue after an interruption
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with = "subject")]
    pub from: Option<PathBuf>,
    /// The rest of the subject.
    #[command(flatten)]
    pub subject: SubjectArgs,
    /// Validity, such as 90, 90d or 12w
    #[arg(long, value_name = "DAYS", default_value_t = DAYS_DEFAULT, value_parser = parse_days)]
    pub days: u32,
    /// Algorithm of the new key. Browsers and NSS do not accept ed25519
    #[arg(long, value_enum, value_name = "NAME", default_value = "p256")]
    pub key_algorithm: KeyName,
    /// Directory (existing, or with / at its end), or the beginning of the file names
    #[arg(long, value_name = "DIR|PREFIX", value_hint = ValueHint::AnyPath)]
    pub out: Option<PathBuf>,
    /// Write a PKCS #12 file too, for browsers and phones. The password comes from
    /// --p12-password-file, from CERTGATE_P12_PASSWORD, or from a prompt
    #[arg(long)]
    pub p12: bool,
    /// Write the PKCS #12 file with 3DES and a SHA-1 MAC, which are weak: only for Android 13 and
    /// older, older iOS and macOS, Windows Server 2016 and older, and appliances
    #[arg(long)]
    pub p12_legacy: bool,
    /// File whose first line is the password of the PKCS #12 file
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, requires = "p12_form")]
    pub p12_password_file: Option<PathBuf>,
    /// Requests to send at once
    #[arg(long, value_name = "N", default_value_t = 8,
        value_parser = clap::value_parser!(u16).range(1..=JOBS_MAX),
        conflicts_with_all = ["cn", "csr"])]
    pub jobs: u16,
}

/// The subject attributes beside the common name.
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

/// An algorithm of a new key.
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

impl From<KeyName> for KeyAlgorithm {
    fn from(name: KeyName) -> Self {
        match name {
            KeyName::P256 => Self::P256,
            KeyName::P384 => Self::P384,
            KeyName::Rsa2048 => Self::Rsa2048,
            KeyName::Rsa3072 => Self::Rsa3072,
            KeyName::Rsa4096 => Self::Rsa4096,
            KeyName::Ed25519 => Self::Ed25519,
        }
    }
}

/// `certgate host …`
#[derive(Debug, Subcommand)]
pub enum HostCommand {
    /// List the hostnames
    List,
    /// Replace the whole list
    Set {
        /// Hostnames
        #[arg(
            required_unless_present = "none",
            conflicts_with = "none",
            value_name = "HOSTNAME"
        )]
        hostnames: Vec<String>,
        /// Remove every hostname: the proxy asks for certificates of this CA nowhere in the zone
        #[arg(long)]
        none: bool,
    },
    /// Add hostnames at the end of the list
    Add {
        /// Hostnames
        #[arg(required = true, value_name = "HOSTNAME")]
        hostnames: Vec<String>,
    },
    /// Remove hostnames from the list
    Remove {
        /// Hostnames
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
        /// Domain name of the zone
        name: String,
        /// The account.
        #[command(flatten)]
        account: AccountArgs,
    },
    /// Delete a zone whose certificates are all revoked
    Delete {
        /// Name or ID of the zone
        #[arg(value_name = "NAME|ID")]
        zone: String,
    },
    /// Show or replace the issuance rules of a zone
    Rules {
        /// The command.
        #[command(subcommand)]
        command: RulesCommand,
    },
}

/// `certgate zone rules …`
#[derive(Debug, Subcommand)]
pub enum RulesCommand {
    /// Print the rules as JSON
    Show {
        /// Name or ID of the zone
        #[arg(value_name = "NAME|ID")]
        zone: String,
    },
    /// Replace the rules. A file with {} removes them
    Set {
        /// Name or ID of the zone
        #[arg(value_name = "NAME|ID")]
        zone: String,
        /// JSON file with the rules, - for standard input
        #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
        file: PathBuf,
    },
}

/// `certgate token …`
#[derive(Debug, Subcommand)]
pub enum TokenCommand {
    /// Create a token and print its value, once
    Create(TokenCreateArgs),
    /// List tokens
    List,
    /// Revoke a token immediately and permanently
    Revoke {
        /// ID of the token
        id: String,
        /// Revoke it although it is the last token that can create tokens
        #[arg(long)]
        yes: bool,
    },
    /// Verify that the server accepts your token
    Verify,
    /// Create or delete the user's API key, for clients that only send X-Auth-Email and X-Auth-Key
    ApiKey {
        /// The command.
        #[command(subcommand)]
        command: ApiKeyCommand,
    },
}

/// `certgate token api-key …`
#[derive(Debug, Clone, Copy, Subcommand)]
pub enum ApiKeyCommand {
    /// Create the key and print it, once. It replaces the previous key and has every permission
    Create,
    /// Delete the key: it stops working immediately
    Delete,
}

/// `certgate token create`
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("rights").required(true).multiple(true)
    .args(["permissions", "role", "offline"]))]
pub struct TokenCreateArgs {
    /// Name of the token
    pub name: String,
    /// Permission of the token, such as "SSL and Certificates Read". You can repeat it
    #[arg(long = "permission", short, value_name = "NAME")]
    #[arg(conflicts_with = "role")]
    pub permissions: Vec<String>,
    /// Job of the token, instead of its permissions [default with --offline: admin]
    #[arg(long, value_enum, value_name = "NAME")]
    pub role: Option<RoleName>,
    /// Zone of the permissions, by name or ID. You can repeat it [default: every zone]
    #[arg(long = "zone", value_name = "NAME|ID")]
    pub zones: Vec<String>,
    /// End of the token, such as 90d, 2027-01-31 or 2027-01-31T12:00:00Z [default: never]
    #[arg(long, value_name = "TIME", value_parser = parse_moment)]
    pub expires: Option<Moment>,
    /// Create it without a token, on the server's machine, with the data directory or database URL
    /// and the master key. The server may run. The audit log has an entry
    #[arg(long, conflicts_with_all = ["only_names", "max_lifetime", "rules"])]
    pub offline: bool,
    /// Pattern of the common names that the token may issue, such as 'build-*'. You can repeat it
    /// [default: any name]
    #[arg(long = "only-name", value_name = "PATTERN")]
    pub only_names: Vec<NamePattern>,
    /// Longest lifetime of the certificates that the token issues, such as 7d or 8h [default: any]
    #[arg(long, value_name = "TIME")]
    pub max_lifetime: Option<Lifetime>,
    /// JSON file with all issuance rules of the token, - for standard input
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    #[arg(conflicts_with_all = ["only_names", "max_lifetime"])]
    pub rules: Option<PathBuf>,
    /// Address or network (CIDR) that may use the token. You can repeat it [default: anywhere]
    #[arg(long = "allow-ip", value_name = "ADDRESS", value_parser = parse_network)]
    pub allow_ips: Vec<AddressBlockText<'static>>,
}

/// The name of a role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum RoleName {
    /// Issues client certificates, and reads none
    Issuer,
    /// Issues, reads, revokes and restores client certificates
    Operator,
    /// Reads everything
    Auditor,
    /// Reports for an enforcement point that it has the revocations
    Proxy,
    /// Does everything
    Admin,
}

impl From<RoleName> for Role {
    fn from(name: RoleName) -> Self {
        match name {
            RoleName::Issuer => Self::Issuer,
            RoleName::Operator => Self::Operator,
            RoleName::Auditor => Self::Auditor,
            RoleName::Proxy => Self::Proxy,
            RoleName::Admin => Self::Admin,
        }
    }
}
