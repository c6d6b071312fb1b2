//! The configuration of the server: flags win over `CERTGATE_*`, those over `certgate.toml`, and
//! that over defaults.

mod flags;
mod layers;
mod setting;
mod show;
mod smtp_url;
mod webhook_url;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use certgate_api::{Documentation, TrustedProxies};
use certgate_model::{KeyAlgorithm, NotificationKind};
use certgate_service::{BACKDATE_MINUTES_MAX, Limits, MasterKey};
use certgate_store::PostgresUrl;
use lettre::message::Mailbox;

pub use flags::SettingFlags;
pub use layers::{Environment, Flags, Layers};
pub use setting::{AppliesTo, Changes, DATA_DIR_DEFAULT, Id, Setting};
pub use show::{print, reference, show};
pub use smtp_url::{SmtpSecurity, SmtpUrl};
pub use webhook_url::WebhookUrl;

use self::layers::Source;
use crate::failure::Failure;

/// The highest `validity_days_max`: no certificate outlives its CA.
const VALIDITY_DAYS_CEILING: u32 = certgate_service::AUTHORITY_VALIDITY_DAYS;

/// The longest `public_url`: with the path of a CRL it still fits a certificate's extension.
const PUBLIC_URL_BYTES_MAX: usize = 256;

/// The highest `notify_expiring_days`: a year, because most certificates are not valid for longer.
const EXPIRING_DAYS_MAX: u64 = 365;

/// The highest `notify_retry_seconds`: 30 days.
const RETRY_SECONDS_MAX: u64 = 2_592_000;

/// The most receivers of e-mail.
const RECEIVERS_MAX: usize = 20;

/// A wrong configuration. The text names the place and the problem, never the value of a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(String);

impl ConfigError {
    /// An error with this text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::usage(error.0)
    }
}

/// The settings that one kind of commands reads, already checked. Values of other settings are not
/// evaluated, so that no command fails because of a setting that it does not use.
pub trait Configuration: Sized {
    /// The commands that read it.
    const COMMANDS: AppliesTo;

    /// Parses the gathered texts.
    fn parse(layers: &Layers) -> Result<Self, ConfigError>;
}

/// The configured kind of database. Each command matches it, so that no command works on the
/// embedded database while another one is in use.
#[derive(Debug, Clone)]
pub enum Database {
    /// The database in the data directory.
    Embedded,
    /// The PostgreSQL database at this URL.
    Postgres(Box<PostgresUrl>),
}

/// The settings of commands that read the database only.
#[derive(Debug, Clone)]
pub struct DatabaseConfig {
    /// Directory of the embedded database, the master key and `client.toml`.
    pub data_dir: PathBuf,
    /// The database.
    pub database: Database,
}

/// The settings of commands that copy or move the database.
#[derive(Debug, Clone)]
pub struct StorageConfig {
    /// Directory of the embedded database, the master key and `client.toml`.
    pub data_dir: PathBuf,
    /// The database.
    pub database: Database,
    /// Source of the key that seals the CA keys.
    pub master_key: MasterKeySource,
}

/// The settings that making an installation reads.
#[derive(Debug, Clone)]
pub struct InstallationConfig {
    /// Database, data directory and master key.
    pub storage: StorageConfig,
    /// Address of the management API. Port 0 means any port.
    pub listen: SocketAddr,
    /// Protection of the management API.
    pub management: Management,
    /// Key algorithm of new CAs.
    pub authority_algorithm: KeyAlgorithm,
}

/// All settings of the server, already checked.
#[derive(Debug, Clone)]
pub struct Config {
    /// The settings that making an installation reads too.
    pub installation: InstallationConfig,
    /// Address of the public responder. Port 0 means any port.
    pub public_listen: SocketAddr,
    /// Base address of the public responder in certificates, without a slash at the end. [`None`]:
    /// `http://` and the bound address, see [`Config::public_url`].
    pub public_url: Option<String>,
    /// The listener of enrolment. [`None`]: there is none.
    pub enrolment: Option<EnrolmentConfig>,
    /// The listener of the pages of invites. [`None`]: there is none.
    pub invites: Option<InvitesConfig>,
    /// The base of the links of invites, without a slash at the end. Another server may have the
    /// pages.
    pub invite_url: Option<String>,
    /// The rules that can change while the server runs.
    pub limits: Limits,
    /// Open connections of a listener.
    pub connections_max: NonZeroUsize,
    /// Limit of a request with its body.
    pub request_timeout: Duration,
    /// Limit of the requests in flight when the server stops.
    pub stop_timeout: Duration,
    /// Proxies whose `X-Forwarded-For` counts.
    pub trusted_proxies: TrustedProxies,
    /// Address of the documentation, without a slash at the end.
    pub docs_url: Option<String>,
    /// True if the management listener serves the web console too.
    pub console: bool,
    /// Notifications.
    pub notifications: NotificationsConfig,
    /// Filter of log lines, in `tracing`'s syntax.
    pub log: String,
    /// Format of log lines.
    pub log_format: LogFormat,
}

/// The listener of enrolment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnrolmentConfig {
    /// Its address. Port 0 means any port.
    pub listen: SocketAddr,
    /// Base address under which clients reach it, without a slash at the end. [`None`]: `https://`
    /// and the bound address.
    pub url: Option<String>,
    /// PEM file with its certificate chain.
    pub certificate: PathBuf,
    /// PEM file with its private key.
    pub key: PathBuf,
}

/// The listener of the pages of invites.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvitesConfig {
    /// Its address. Port 0 means any port.
    pub listen: SocketAddr,
    /// PEM file with its certificate chain.
    pub certificate: PathBuf,
    /// PEM file with its private key.
    pub key: PathBuf,
}

/// The settings of notifications.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotificationsConfig {
    /// The webhook. [`None`]: there is none.
    pub webhook: Option<WebhookConfig>,
    /// E-mail. [`None`]: there is none.
    pub email: Option<EmailConfig>,
    /// The number of days before their end at which certificates are reported.
    pub expiring_days: u32,
    /// The age in seconds from which on an event that cannot be delivered is set aside.
    pub retry_seconds: u32,
}

/// A webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookConfig {
    /// Its address.
    pub url: WebhookUrl,
    /// File with the secrets that sign requests.
    pub secret_file: PathBuf,
    /// PEM file with the CAs to trust instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// The kinds of events that it gets.
    pub events: Vec<NotificationKind>,
}

/// E-mail to some addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmailConfig {
    /// The mail server.
    pub url: SmtpUrl,
    /// File with the password of the user of the mail server.
    pub password_file: Option<PathBuf>,
    /// PEM file with the CA to trust instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// The sender.
    pub from: Mailbox,
    /// The receivers.
    pub to: Vec<Mailbox>,
    /// The kinds of events that they get.
    pub events: Vec<NotificationKind>,
}

/// The protection of the management API on the network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Management {
    /// None: a loopback address, or the operator allows it by name.
    Cleartext,
    /// TLS with these PEM files.
    Tls {
        /// The certificate chain.
        certificate: PathBuf,
        /// Its private key.
        key: PathBuf,
    },
}

/// The source of the master key.
#[derive(Debug, Clone)]
pub enum MasterKeySource {
    /// A file, which the first start creates.
    File(PathBuf),
    /// `CERTGATE_MASTER_KEY`.
    Environment(Arc<MasterKey>),
}

/// A format of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object per line.
    Json,
}

impl Configuration for DatabaseConfig {
    const COMMANDS: AppliesTo = AppliesTo::Database;

    fn parse(layers: &Layers) -> Result<Self, ConfigError> {
        Ok(Self {
            data_dir: data_dir(layers),
            database: Reader(layers).database()?,
        })
    }
}

impl Configuration for StorageConfig {
    const COMMANDS: AppliesTo = AppliesTo::Storage;

    fn parse(layers: &Layers) -> Result<Self, ConfigError> {
        let DatabaseConfig { data_dir, database } = DatabaseConfig::parse(layers)?;
        Ok(Self {
            master_key: Reader(layers).master_key(&data_dir)?,
            data_dir,
            database,
        })
    }
}

impl Configuration for InstallationConfig {
    const COMMANDS: AppliesTo = AppliesTo::Installation;

    fn parse(layers: &Layers) -> Result<Self, ConfigError> {
        let read = Reader(layers);
        let listen = read.address(Id::Listen)?;
        Ok(Self {
            storage: StorageConfig::parse(layers)?,
            listen,
            management: read.management(listen)?,
            authority_algorithm: read
                .with(Id::AuthorityAlgorithm, |text| {
                    KeyAlgorithm::from_name(text).map_err(|error| error.to_string())
                })?
                .unwrap_or_default(),
        })
    }
}

impl Configuration for Config {
    const COMMANDS: AppliesTo = AppliesTo::Server;

    fn parse(layers: &Layers) -> Result<Self, ConfigError> {
        let read = Reader(layers);
        let installation = InstallationConfig::parse(layers)?;
        let public_listen = read.address(Id::PublicListen)?;
        let config = Self {
            installation,
            public_url: read.public_url(public_listen)?,
            enrolment: read.enrolment()?,
            limits: read.limits()?,
            connections_max: read
                .number(Id::ConnectionsMax, 1, 1 << 20)?
                .and_then(|number| NonZeroUsize::new(number as usize))
                .expect("has a default"),
            request_timeout: read.seconds(Id::RequestTimeoutSeconds, 1)?,
            stop_timeout: read.seconds(Id::StopTimeoutSeconds, 0)?,
            trusted_proxies: read
                .with(Id::TrustedProxies, str::parse)?
                .unwrap_or_default(),
            invites: read.invites()?,
            invite_url: read.https_url(Id::InviteUrl)?,
            docs_url: read.with(Id::DocsUrl, |text| {
                plain_url(text).ok_or_else(|| {
                    "must be an address such as https://docs.example.com/certgate, without user, ? \
                     and #"
                        .to_owned()
                })
            })?,
            console: read.switch(Id::Console)?,
            notifications: read.notifications()?,
            log: read
                .with(Id::Log, |text| {
                    match text.parse::<tracing_subscriber::EnvFilter>() {
                        Ok(_) => Ok(text.to_owned()),
                        Err(error) => Err(format!(
                            "must be a log filter, such as info or info,certgate_api=debug: {error}"
                        )),
                    }
                })?
                .unwrap_or_default(),
            log_format: read
                .with(Id::LogFormat, |text| match text {
                    "text" => Ok(LogFormat::Text),
                    "json" => Ok(LogFormat::Json),
                    _ => Err("must be text or json".to_owned()),
                })?
                .unwrap_or(LogFormat::Text),
            public_listen,
        };
        Ok(config)
    }
}

impl Config {
    /// Base address of the public responder that is bound to `bound`.
    pub fn public_url(&self, bound: SocketAddr) -> String {
        self.public_url
            .clone()
            .unwrap_or_else(|| format!("http://{bound}"))
    }

    /// The documentation to which errors refer.
    pub fn documentation(&self) -> Documentation {
        Documentation::below(self.docs_url.as_deref())
    }
}

impl InstallationConfig {
    /// Base address of the management API at `bound`, for clients on this machine.
    pub fn api_url(&self, bound: SocketAddr) -> String {
        let scheme = match self.management {
            Management::Cleartext => "http",
            Management::Tls { .. } => "https",
        };
        let reachable = match bound.ip() {
            IpAddr::V4(address) if address.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(address) if address.is_unspecified() => std::net::Ipv6Addr::LOCALHOST.into(),
            address => address,
        };
        format!("{scheme}://{}", SocketAddr::new(reachable, bound.port()))
    }

    /// The file of the management API's certificate, for clients in any directory.
    pub fn tls_certificate(&self) -> Option<PathBuf> {
        match &self.management {
            Management::Cleartext => None,
            Management::Tls { certificate, .. } => {
                Some(std::path::absolute(certificate).unwrap_or_else(|_| certificate.clone()))
            }
        }
    }
}

/// The data directory alone: a client must not fail because of a setting that it does not use.
pub fn data_dir(layers: &Layers) -> PathBuf {
    Reader(layers).path(Id::DataDir).expect("has a default")
}

struct Reader<'a>(&'a Layers);

impl Reader<'_> {
    /// Parses a text. An error names the setting, the value and the source.
    fn with<T>(
        &self,
        key: Id,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Result<Option<T>, ConfigError> {
        let Some(text) = self.0.text(key) else {
            return Ok(None);
        };
        match parse(text) {
            Ok(value) => Ok(Some(value)),
            Err(complaint) => Err(self.error(key, &complaint)),
        }
    }

    fn error(&self, key: Id, complaint: &str) -> ConfigError {
        let setting = Setting::of(key);
        let value = match self.0.text(key) {
            Some(text) if !setting.has_secret() => format!(" = {text:?}"),
            _ => String::new(),
        };
        ConfigError::new(format!(
            "{}{value} (from {}): {complaint}",
            setting.name,
            self.0.source(key)
        ))
    }

    fn path(&self, key: Id) -> Option<PathBuf> {
        self.0.text(key).map(PathBuf::from)
    }

    fn switch(&self, key: Id) -> Result<bool, ConfigError> {
        let read = self.with(key, |text| match text {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err("must be true or false".to_owned()),
        })?;
        Ok(read.unwrap_or_default())
    }

    fn address(&self, key: Id) -> Result<SocketAddr, ConfigError> {
        Ok(self.optional_address(key)?.expect("has a default"))
    }

    fn optional_address(&self, key: Id) -> Result<Option<SocketAddr>, ConfigError> {
        self.with(key, |text| {
            text.parse().map_err(|_| {
                "must be an address and a port, such as 127.0.0.1:8787 or [::1]:8787".to_owned()
            })
        })
    }

    fn https_url(&self, key: Id) -> Result<Option<String>, ConfigError> {
        self.with(key, |text| {
            let url = plain_url(text).filter(|url| url.starts_with("https://"));
            url.ok_or_else(|| {
                "must be an address such as https://enrol.example.com, without user, ? and #"
                    .to_owned()
            })
        })
    }

    fn enrolment(&self) -> Result<Option<EnrolmentConfig>, ConfigError> {
        let url = self.https_url(Id::EnrolUrl)?;
        let Some(listen) = self.optional_address(Id::EnrolListen)? else {
            for key in [Id::EnrolUrl, Id::EnrolTlsCertificate, Id::EnrolTlsKey] {
                if self.0.text(key).is_some() {
                    return Err(self.error(key, "needs enrol_listen too"));
                }
            }
            return Ok(None);
        };
        let files = (
            self.path(Id::EnrolTlsCertificate),
            self.path(Id::EnrolTlsKey),
        );
        let (Some(certificate), Some(key)) = files else {
            let text = "needs enrol_tls_certificate and enrol_tls_key too, because clients prove \
                        their identity by TLS";
            return Err(self.error(Id::EnrolListen, text));
        };
        if url.is_none() && listen.ip().is_unspecified() {
            let text = "is not an address that clients can reach: set enrol_url";
            return Err(self.error(Id::EnrolListen, text));
        }
        Ok(Some(EnrolmentConfig {
            listen,
            url,
            certificate,
            key,
        }))
    }

    fn invites(&self) -> Result<Option<InvitesConfig>, ConfigError> {
        let Some(listen) = self.optional_address(Id::InviteListen)? else {
            for key in [Id::InviteTlsCertificate, Id::InviteTlsKey] {
                if self.0.text(key).is_some() {
                    return Err(self.error(key, "needs invite_listen too"));
                }
            }
            return Ok(None);
        };
        let files = (
            self.path(Id::InviteTlsCertificate),
            self.path(Id::InviteTlsKey),
        );
        let (Some(certificate), Some(key)) = files else {
            let text = "needs invite_tls_certificate and invite_tls_key too, because browsers make \
                        keys only on pages that came over TLS";
            return Err(self.error(Id::InviteListen, text));
        };
        if self.0.text(Id::InviteUrl).is_none() && listen.ip().is_unspecified() {
            let text = "is not an address that browsers can reach: set invite_url";
            return Err(self.error(Id::InviteListen, text));
        }
        Ok(Some(InvitesConfig {
            listen,
            certificate,
            key,
        }))
    }

    fn notifications(&self) -> Result<NotificationsConfig, ConfigError> {
        let (days, seconds) = (Id::NotifyExpiringDays, Id::NotifyRetrySeconds);
        Ok(NotificationsConfig {
            webhook: self.webhook()?,
            email: self.email()?,
            expiring_days: self
                .number(days, 1, EXPIRING_DAYS_MAX)?
                .map(|days| days as u32)
                .expect("has a default"),
            retry_seconds: self
                .number(seconds, 10, RETRY_SECONDS_MAX)?
                .map(|seconds| seconds as u32)
                .expect("has a default"),
        })
    }

    fn webhook(&self) -> Result<Option<WebhookConfig>, ConfigError> {
        let Some(url) = self.with(Id::WebhookUrl, WebhookUrl::parse)? else {
            for key in [Id::WebhookSecretFile, Id::WebhookCaFile, Id::WebhookEvents] {
                if self.0.text(key).is_some() {
                    return Err(self.error(key, "needs webhook_url too"));
                }
            }
            return Ok(None);
        };
        let Some(secret_file) = self.path(Id::WebhookSecretFile) else {
            let text = "needs webhook_secret_file too, because receivers verify the signature of \
                        events";
            return Err(self.error(Id::WebhookUrl, text));
        };
        let ca_file = self.path(Id::WebhookCaFile);
        if ca_file.is_some() && !url.is_tls {
            return Err(self.error(Id::WebhookCaFile, "needs a webhook_url with https://"));
        }
        Ok(Some(WebhookConfig {
            url,
            secret_file,
            ca_file,
            events: self
                .event_kinds(Id::WebhookEvents)?
                .unwrap_or_else(|| NotificationKind::ALL.to_vec()),
        }))
    }

    fn email(&self) -> Result<Option<EmailConfig>, ConfigError> {
        let Some(url) = self.with(Id::SmtpUrl, SmtpUrl::parse)? else {
            for key in [
                Id::SmtpPasswordFile,
                Id::SmtpCaFile,
                Id::EmailFrom,
                Id::EmailTo,
                Id::EmailEvents,
            ] {
                if self.0.text(key).is_some() {
                    return Err(self.error(key, "needs smtp_url too"));
                }
            }
            return Ok(None);
        };
        let password_file = self.path(Id::SmtpPasswordFile);
        match (&url.user, &password_file) {
            (Some(_), None) => {
                return Err(self.error(Id::SmtpUrl, "needs smtp_password_file too"));
            }
            (None, Some(_)) => {
                return Err(self.error(Id::SmtpPasswordFile, "needs a user in smtp_url too"));
            }
            _ => {}
        }
        let (from, to) = (
            self.mailboxes(Id::EmailFrom, 1)?,
            self.mailboxes(Id::EmailTo, RECEIVERS_MAX)?,
        );
        let (Some(from), Some(to)) = (from, to) else {
            return Err(self.error(Id::SmtpUrl, "needs email_from and email_to too"));
        };
        let issued = NotificationKind::Issued;
        let default = || {
            let kinds = NotificationKind::ALL.iter().copied();
            kinds.filter(|kind| *kind != issued).collect()
        };
        Ok(Some(EmailConfig {
            ca_file: self.path(Id::SmtpCaFile),
            events: self.event_kinds(Id::EmailEvents)?.unwrap_or_else(default),
            from: from.into_iter().next().expect("there is one"),
            to,
            url,
            password_file,
        }))
    }

    /// Reads 1 to `max` addresses of e-mail.
    fn mailboxes(&self, key: Id, max: usize) -> Result<Option<Vec<Mailbox>>, ConfigError> {
        self.with(key, |text| {
            let parts = text.split(',').map(|part| mailbox(part.trim()));
            let boxes: Vec<Mailbox> = parts.collect::<Option<_>>().unwrap_or_default();
            match (boxes.len(), max) {
                (found, max) if (1..=max).contains(&found) => Ok(boxes),
                (_, 1) => Err("must be an address such as certgate@example.com".to_owned()),
                (_, max) => Err(format!(
                    "must be 1 to {max} addresses such as ops@example.com, separated by commas"
                )),
            }
        })
    }

    fn event_kinds(&self, key: Id) -> Result<Option<Vec<NotificationKind>>, ConfigError> {
        self.with(key, |text| {
            let names = text.split(',').map(str::trim);
            let kinds = names.map(|name| NotificationKind::from_name(name).ok_or(name));
            kinds.collect::<Result<Vec<_>, _>>().map_err(|unknown| {
                let known: Vec<_> = NotificationKind::ALL
                    .iter()
                    .map(|kind| kind.name())
                    .collect();
                format!("{unknown:?} is not one of {}", known.join(", "))
            })
        })
    }

    fn number(&self, key: Id, least: u64, most: u64) -> Result<Option<u64>, ConfigError> {
        self.with(key, |text| match text.parse() {
            Ok(number) if (least..=most).contains(&number) => Ok(number),
            _ => Err(format!("must be a whole number from {least} to {most}")),
        })
    }

    fn seconds(&self, key: Id, least: u64) -> Result<Duration, ConfigError> {
        let seconds = self.number(key, least, 3600)?;
        Ok(Duration::from_secs(seconds.expect("has a default")))
    }

    fn limits(&self) -> Result<Limits, ConfigError> {
        Ok(Limits {
            validity_days_max: self
                .number(Id::ValidityDaysMax, 1, VALIDITY_DAYS_CEILING.into())?
                .map(|days| days as u32)
                .expect("has a default"),
            backdate_minutes: self
                .number(Id::BackdateMinutes, 0, BACKDATE_MINUTES_MAX.into())?
                .map(|minutes| minutes as u32)
                .expect("has a default"),
            zone_certificates_max: self.number(Id::ZoneCertificatesMax, 0, i64::MAX as u64)?,
            account_mtls_certificates_max: self.number(
                Id::AccountMtlsCertificatesMax,
                0,
                i64::MAX as u64,
            )?,
            requests_per_minute: self
                .number(Id::RequestsPerMinute, 1, u32::MAX.into())?
                .map(|number| number as u32),
        })
    }

    fn database(&self) -> Result<Database, ConfigError> {
        let url = self.with(Id::DatabaseUrl, |text| {
            PostgresUrl::parse(text).map_err(|error| error.to_string())
        })?;
        match (url, self.0.source(Id::DatabaseUrl)) {
            (None, _) => Ok(Database::Embedded),
            (Some(url), Source::Flag(_)) if url.has_password() => Err(self.error(
                Id::DatabaseUrl,
                "has a password, and other users can see the arguments of a program: use the \
                 environment or the file",
            )),
            (Some(url), _) => Ok(Database::Postgres(Box::new(url))),
        }
    }

    fn management(&self, listen: SocketAddr) -> Result<Management, ConfigError> {
        let is_allowed = self.switch(Id::AllowCleartextManagement)?;
        match (self.path(Id::TlsCertificate), self.path(Id::TlsKey)) {
            (Some(certificate), Some(key)) => Ok(Management::Tls { certificate, key }),
            (Some(_), None) => Err(self.error(Id::TlsCertificate, "needs tls_key too")),
            (None, Some(_)) => Err(self.error(Id::TlsKey, "needs tls_certificate too")),
            (None, None) if listen.ip().is_loopback() || is_allowed => Ok(Management::Cleartext),
            (None, None) => Err(self.error(
                Id::Listen,
                "others can reach this address, and tokens would cross the network in clear text: \
                 set tls_certificate and tls_key, or allow_cleartext_management behind a TLS proxy",
            )),
        }
    }

    fn public_url(&self, public_listen: SocketAddr) -> Result<Option<String>, ConfigError> {
        let given = self.with(Id::PublicUrl, read_public_url)?;
        if given.is_none() && public_listen.ip().is_unspecified() {
            return Err(self.error(
                Id::PublicListen,
                "is not an address that clients can reach, and certificates need one: set \
                 public_url",
            ));
        }
        Ok(given)
    }

    fn master_key(&self, data_dir: &Path) -> Result<MasterKeySource, ConfigError> {
        let key = self.with(Id::MasterKey, |text| match MasterKey::from_text(text) {
            Ok(key) => Ok(Arc::new(key)),
            Err(error) => Err(format!("{error}; make one with: openssl rand -hex 32")),
        })?;
        match (key, self.path(Id::MasterKeyFile)) {
            (Some(_), Some(_)) => Err(self.error(
                Id::MasterKeyFile,
                "CERTGATE_MASTER_KEY is set as well, and only one of them can be the key: unset \
                 one of them",
            )),
            (Some(key), None) => Ok(MasterKeySource::Environment(key)),
            (None, Some(path)) => Ok(MasterKeySource::File(path)),
            (None, None) => Ok(MasterKeySource::File(data_dir.join("master.key"))),
        }
    }
}

/// Reads the address of the public responder; returns it without a slash at its end. The error
/// continues a sentence about it.
pub fn read_public_url(text: &str) -> Result<String, String> {
    let too_long = |url: &String| url.len() > PUBLIC_URL_BYTES_MAX;
    match plain_url(text) {
        Some(url) if too_long(&url) => Err(format!(
            "has {} bytes, at most {PUBLIC_URL_BYTES_MAX} are allowed",
            url.len()
        )),
        Some(url) => Ok(url),
        None => Err(
            "must be an address such as http://certs.example.com, without user, ? and #".to_owned(),
        ),
    }
}

/// Reads an address of the web without user, query and fragment; returns it without a slash at its
/// end.
fn plain_url(text: &str) -> Option<String> {
    let text = text.trim_end_matches('/');
    let rest = text
        .strip_prefix("http://")
        .or_else(|| text.strip_prefix("https://"))?;
    let is_plain = rest
        .bytes()
        .all(|byte| byte.is_ascii_graphic() && !b"?#@\"<>\\".contains(&byte));
    (!rest.is_empty() && !rest.starts_with(['/', ':']) && is_plain).then(|| text.to_owned())
}

/// Reads an address of e-mail, such as `ops@example.com` or `Operators <ops@example.com>`.
fn mailbox(text: &str) -> Option<Mailbox> {
    let read: Mailbox = text.parse().ok()?;
    let address = read.email.to_string();
    // The parser ignores what it does not understand after the address.
    let is_complete = text == address || text.ends_with(&format!("<{address}>"));
    let is_plain = !text.chars().any(char::is_control) && address.is_ascii();
    (is_complete && is_plain).then_some(read)
}

#[cfg(test)]
mod tests;
