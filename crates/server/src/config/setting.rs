//! Every setting of the server, once. This table makes the flags, environment variables and keys of
//! the file, `certgate config` and the reference in the documentation.

use certgate_client::ENVIRONMENT_PREFIX;

/// The name of a setting in code, in the order of [`SETTINGS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Id {
    DataDir,
    DatabaseUrl,
    Listen,
    PublicListen,
    PublicUrl,
    MasterKeyFile,
    MasterKey,
    TlsCertificate,
    TlsKey,
    EnrolListen,
    EnrolUrl,
    EnrolTlsCertificate,
    EnrolTlsKey,
    InviteListen,
    InviteUrl,
    InviteTlsCertificate,
    InviteTlsKey,
    AllowCleartextManagement,
    AuthorityAlgorithm,
    ValidityDaysMax,
    BackdateMinutes,
    ZoneCertificatesMax,
    AccountMtlsCertificatesMax,
    RequestsPerMinute,
    ConnectionsMax,
    RequestTimeoutSeconds,
    StopTimeoutSeconds,
    TrustedProxies,
    DocsUrl,
    Console,
    WebhookUrl,
    WebhookSecretFile,
    WebhookCaFile,
    WebhookEvents,
    SmtpUrl,
    SmtpPasswordFile,
    SmtpCaFile,
    EmailFrom,
    EmailTo,
    EmailEvents,
    NotifyExpiringDays,
    NotifyRetrySeconds,
    Log,
    LogFormat,
}

/// The sources that a setting accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Given {
    /// A flag, the environment and the file.
    Anywhere,
    /// The environment only: other users see process arguments, and operators copy configuration
    /// files.
    EnvironmentOnly,
}

/// The commands that read a setting. Each value adds settings for the commands after it, which read
/// those of the earlier values too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum AppliesTo {
    /// Every command on a database; `check` and `audit verify` read nothing else.
    Database,
    /// `backup`, `restore` and `migrate`, which name the master key that belongs to the database.
    Storage,
    /// `init`, which makes an installation.
    Installation,
    /// `serve`, and `config`, which shows all of them.
    Server,
}

/// The form of a value on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// A value, described by this word.
    Value(&'static str),
    /// A value that is also a file or directory to complete.
    Path(&'static str),
    /// Values separated by commas, in the file also an array of texts, described by this word.
    List(&'static str),
    /// `true` or `false`. The bare flag means `true`.
    Switch,
}

/// The time at which a changed value takes effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Changes {
    /// At the next start.
    AtStart,
    /// At SIGHUP, and after a change of the file.
    WhileRunning,
}

/// One setting.
#[derive(Debug)]
pub struct Setting {
    /// Its name in code.
    pub key: Id,
    /// Its name in the file. The flag has hyphens, the variable `CERTGATE_` and capitals.
    pub name: &'static str,
    /// The form of its value.
    pub shape: Shape,
    /// The sources that it accepts.
    pub given: Given,
    /// Its default as a text. [`None`]: unset, or derived from other settings as the help says.
    pub default: Option<&'static str>,
    /// The commands that read it.
    pub applies_to: AppliesTo,
    /// The time at which a changed value takes effect.
    pub changes: Changes,
    /// The meaning in one line.
    pub help: &'static str,
}

impl Setting {
    /// The setting of that key.
    pub fn of(key: Id) -> &'static Self {
        &SETTINGS[key as usize]
    }

    /// Its flag without the two hyphens.
    pub fn flag(&self) -> String {
        self.name.replace('_', "-")
    }

    /// Its environment variable.
    pub fn variable(&self) -> String {
        format!("{ENVIRONMENT_PREFIX}{}", self.name.to_uppercase())
    }

    /// Returns true if commands of this kind read it.
    pub fn is_for(&self, commands: AppliesTo) -> bool {
        self.applies_to <= commands
    }

    /// Returns true if messages must not repeat its value: it is secret, or a part of it is.
    pub fn has_secret(&self) -> bool {
        self.is_secret() || matches!(self.key, Id::DatabaseUrl | Id::WebhookUrl | Id::SmtpUrl)
    }

    /// Returns true if its value is a secret.
    pub fn is_secret(&self) -> bool {
        self.given == Given::EnvironmentOnly
    }
}

/// The default data directory.
pub const DATA_DIR_DEFAULT: &str = "./certgate-data";

/// The table.
pub const SETTINGS: &[Setting] = &[
    Setting {
        key: Id::DataDir,
        name: "data_dir",
        shape: Shape::Path("DIR"),
        given: Given::Anywhere,
        default: Some(DATA_DIR_DEFAULT),
        applies_to: AppliesTo::Database,
        changes: Changes::AtStart,
        help: "Directory of the database, the master key and client.toml",
    },
    Setting {
        key: Id::DatabaseUrl,
        name: "database_url",
        shape: Shape::Value("URL"),
        given: Given::Anywhere,
        default: None,
        applies_to: AppliesTo::Database,
        changes: Changes::AtStart,
        help: "PostgreSQL database, which several servers may share: \
               postgres://user:password@host/name; a flag must not have a password [default: the \
               database in the data directory]",
    },
    Setting {
        key: Id::Listen,
        name: "listen",
        shape: Shape::Value("ADDRESS"),
        given: Given::Anywhere,
        default: Some("127.0.0.1:8787"),
        applies_to: AppliesTo::Installation,
        changes: Changes::AtStart,
        help: "Address and port of the management API",
    },
    Setting {
        key: Id::PublicListen,
        name: "public_listen",
        shape: Shape::Value("ADDRESS"),
        given: Given::Anywhere,
        default: Some("127.0.0.1:8788"),
        applies_to: AppliesTo::Server,
        changes: Changes::AtStart,
        help: "Address and port of the public responder (CRL, OCSP, CA certificates)",
    },
    Setting {
        key: Id::PublicUrl,
        name: "public_url",
        shape: Shape::Value("URL"),
        given: Given::Anywhere,
        default: None,
        applies_to: AppliesTo::Server,
        changes: Changes::AtStart,
        help: "Base address of the public responder in certificates; the first start stores it, \
               and a CA keeps the value of its creation [default: http://<public listen address>]",
    },
    Setting {
        key: Id::MasterKeyFile,
        name: "master_key_file",
        shape: Shape::Path("FILE"),
        given: Given::Anywhere,
        default: None,
        applies_to: AppliesTo::Storage,
        changes: Changes::AtStart,
        help: "File of the key that seals the CA keys [default: master.key in the data directory]",
    },
    Setting {
        key: Id::MasterKey,
        name: "master_key",
        shape: Shape::Value("KEY"),
        given: Given::EnvironmentOnly,
        default: None,
        applies_to: AppliesTo::Storage,
        changes: Changes::AtStart,
        help: "Key instead of a file: 64 hexadecimal digits",
    },
    Setting {
        key: Id::TlsCertificate,
        name: "tls_certificate",
        shape: Shape::Path("FILE"),
        given: Given::Anywhere,
        default: None,
        applies_to: AppliesTo::Installation,
        changes: Changes::WhileRunning,
        help: "PEM file with the certificate chain of the management API; needs tls_key too \
               [default: no TLS]",
    },
    Setting {
        key: Id::TlsKey,
        name: "tls_key",
        shape: Shape::Path("FILE"),
        given: Given::Anywhere,
        default: None,
        applies_to: AppliesTo::Installation,
        changes: Changes::WhileRunning,
        help: "PEM file with the private key of tls_certificate",
    },
    Setting {
        key: Id::EnrolListen,
        name: "enrol_listen",
        shape: Shape::Value("ADDRESS"),
        given: Given::Anywhere,
        default: None,
        applies_to: AppliesTo::Server,
        changes: Changes::AtStart,
        help: "Address of enrolment (EST), which speaks TLS [default: no enrolment]",
    },
    Setting {
        key: Id::EnrolUrl,
        name: "enrol_url",
        shape: Shape::Value("URL"),
        given: Given::Anywhere,
        default: None,
        applies_to: AppliesTo::Server,
        changes: Changes::AtStart,
        help: "Address under which clients reach enrolment, beginning with https:// [default: \
               https:// and enrol_listen]",
    },
    Setting {
        key: Id::EnrolTlsCertificate,
        name: "enrol_tls_certificate",
        shape: Shape::Path("FILE"),
        given: Given::Anywhere,
        default: None,
        applies_to: AppliesTo::Server,
        changes: Changes::WhileRunning,
        help: "PEM file with the certificate chain of enrolment; needs enrol_tls_key too",
    },
    Setting {
        key: Id::EnrolTlsKey,
        name: "enrol_tls_key",
        shape: Shape::Path("FILE"),
        given: Given::Anywhere,
        default: None,
        applies_to: AppliesTo::Server,
        changes: Changes::WhileRunning,
        help: "PEM file with the private key of enrol_tls_certificate",
    },
    Setting {
        key: Id::InviteListen,
        name: "invite_listen",
        shape: Shape::Value("ADDRESS"),
        given: Given::Anywhere,
        default: None,
        applies_to: AppliesTo::Server,
        changes: Changes::AtStart,
        help: "Address of the pages of invites, which speak TLS [default: no pages]",
    },
    Setting {
        key: Id::InviteUrl,
        name: "invite_url",
        shape: Shape::Value("URL"),
        given: Given::Anywhere,
        default: None,
        applies_to: AppliesTo::Server,
        changes: Changes::AtStart,
        help: "Beginning of the links of invites, with https:// [default: https:// and \
               invite_listen, or no links]",
    },
    Setting {
        key: Id::InviteTlsCertificate,
        name: "invite_tls_certificate",
        shape: Shape::Path("FILE"),
        given: Given::Anywhere,
        default: None,
        applies_to: AppliesTo::Server,
        changes: Changes::WhileRunning,
        help: "PEM file with the certificate chain of the pages of invites, with an RSA or ECDSA \
               key; needs invite_tls_key too",
    },
    Setting {
        key: Id::InviteTlsKey,
        name: "invite_tls_key",
        shape: Shape::Path("FILE"),
        given: Given::Anywhere,
        default: None,
        applies_to: AppliesTo::Server,
        changes: Changes::WhileRunning,
        help: "PEM file with the private key of invite_tls_certificate, which signs profiles for \
               Apple's devices too",
    },
    Setting {
        key: Id::AllowCleartextManagement,
        name: "allow_cleartext_management",
        shape: Shape::Switch,
        given: Given::Anywhere,
        default: Some("false"),
        applies_to: AppliesTo::Installation,
        changes: Changes::AtStart,
        help: "Serve the management API without TLS on an address that other machines can reach",
    },
    Setting {
        key: Id::AuthorityAlgorithm,
        name: "authority_algorithm",
        shape: Shape::Value("NAME"),
        given: Given::Anywhere,
        default: Some("P-256"),
        applies_to: AppliesTo::Installation,
        changes: Changes::AtStart,
        help: "Key algorithm of new CAs: P-256, P-384, RSA-2048, RSA-3072, RSA-4096 or Ed25519",
    },
    Setting {
        key: Id::ValidityDaysMax,
        name: "validity_days_max",
        shape: Shape::Value("DAYS"),
        given: Given::Anywhere,
        default: Some("5475"),
        applies_to: AppliesTo::Server,
        changes: Changes::WhileRunning,
        help: "Longest validity of a certificate, in days",
    },
    Setting {
        key: Id::BackdateMinutes,
        name: "backdate_minutes",
        shape: Shape::Value("MINUTES"),
        given: Given::Anywhere,
        default: Some("5"),
        applies_to: AppliesTo::Server,
        changes: Changes::WhileRunning,
        help: "Minutes by which certificates and CAs begin before they are made, for verifiers \
               whose clocks are late: 0 to 60",
    },
    Setting {
        key: Id::ZoneCertificatesMax,
        name: "zone_certificates_max",
        shape: Shape::Value("NUMBER"),
        given: Given::Anywhere,
        default: None,
        applies_to: AppliesTo::Server,
        changes: Changes::WhileRunning,
        help: "Quota of certificates in a zone [default: no limit]",
    },
    Setting {
        key: Id::AccountMtlsCertificatesMax,
        name: "account_mtls_certificates_max",
        shape: Shape::Value("NUMBER"),
        given: Given::Anywhere,
        default: None,
        applies_to: AppliesTo::Server,
        changes: Changes::WhileRunning,
        help: "Quota of uploaded certificates in an account [default: no limit]",
    },
    Setting {
        key: Id::RequestsPerMinute,
        name: "requests_per_minute",
        shape: Shape::Value("NUMBER"),
        given: Given::Anywhere,
        default: None,
        applies_to: AppliesTo::Server,
        changes: Changes::WhileRunning,
        help: "Requests of a token per minute [default: no limit]",
    },
    Setting {
        key: Id::ConnectionsMax,
        name: "connections_max",
        shape: Shape::Value("NUMBER"),
        given: Given::Anywhere,
        default: Some("4096"),
        applies_to: AppliesTo::Server,
        changes: Changes::AtStart,
        help: "Open connections of each listener; one address can have half of them",
    },
    Setting {
        key: Id::RequestTimeoutSeconds,
        name: "request_timeout_seconds",
        shape: Shape::Value("SECONDS"),
        given: Given::Anywhere,
        default: Some("30"),
        applies_to: AppliesTo::Server,
        changes: Changes::AtStart,
        help: "Limit of a request with its body, in seconds",
    },
    Setting {
        key: Id::StopTimeoutSeconds,
        name: "stop_timeout_seconds",
        shape: Shape::Value("SECONDS"),
        given: Given::Anywhere,
        default: Some("10"),
        applies_to: AppliesTo::Server,
        changes: Changes::AtStart,
        help: "Limit of the requests in flight after SIGTERM, in seconds; the server then closes the remaining connections",
    },
    Setting {
        key: Id::TrustedProxies,
        name: "trusted_proxies",
        shape: Shape::List("ADDRESSES"),
        given: Given::Anywhere,
        default: None,
        applies_to: AppliesTo::Server,
        changes: Changes::AtStart,
        help: "Addresses and CIDR blocks of the proxies whose X-Forwarded-For counts, separated by \
               commas [default: none]",
    },
    Setting {
        key: Id::DocsUrl,
        name: "docs_url",
        shape: Shape::Value("URL"),
        given: Given::Anywhere,
        default: None,
        applies_to: AppliesTo::Server,
        changes: Changes::AtStart,
        help: "Address of the folder with certgate's documentation (errors.md), to which the \
               documentation_url of errors leads [default: none]",
    },
    Setting {
        key: Id::Console,
        name: "console",
        shape: Shape::Switch,
        given: Given::Anywhere,
        default: Some("true"),
        applies_to: AppliesTo::Server,
        changes: Changes::AtStart,
        help: "Serve the web console at /console/ on the address of the management API",
    },
    Setting {
        key: Id::WebhookUrl,
        name: "webhook_url",
        shape: Shape::Value("URL"),
        given: Given::Anywhere,
        default: None,
        applies_to: AppliesTo::Server,
        changes: Changes::AtStart,
        help: "Address that gets notifications, beginning with https:// unless it is on this \
               machine; needs webhook_secret_file too [default: no webhook]",
    },
    Setting {
        key: Id::WebhookSecretFile,
        name: "webhook_secret_file",
        shape: Shape::Path("FILE"),
        given: Given::Anywhere,
        default: None,
        applies_to: AppliesTo::Server,
        changes: Changes::AtStart,
        help: "File with the secret that signs the webhook's requests: whsec_ and base64; with \
               several lines, each signs",
    },
    Setting {
        key: Id::WebhookCaFile,
        name: "webhook_ca_file",
        shape: Shape::Path("FILE"),
        given: Given::Anywhere,
        default: None,
        applies_to: AppliesTo::Server,
        changes: Changes::AtStart,
        help: "PEM file with the CAs to trust for webhook_url [default: those of the system]",
    },
    Setting {
        key: Id::WebhookEvents,
        name: "webhook_events",
        shape: Shape::List("TYPES"),
        given: Given::Anywhere,
        default: None,
        applies_to: AppliesTo::Server,
        changes: Changes::AtStart,
        help: "Types of events that the webhook gets, separated by commas [default: all]",
    },
    Setting {
        key: Id::SmtpUrl,
        name: "smtp_url",
        shape: Shape::Value("URL"),
        given: Given::Anywhere,
        default: None,
        applies_to: AppliesTo::Server,
        changes: Changes::AtStart,
        help: "Mail server that sends notifications, such as smtp://user@mail.example.com:587 \
               (STARTTLS) or smtps:// [default: no e-mail]",
    },
    Setting {
        key: Id::SmtpPasswordFile,
        name: "smtp_password_file",
        shape: Shape::Path("FILE"),
        given: Given::Anywhere,
        default: None,
        applies_to: AppliesTo::Server,
        changes: Changes::AtStart,
        help: "File with the password of the user in smtp_url",
    },
    Setting {
        key: Id::SmtpCaFile,
        name: "smtp_ca_file",
        shape: Shape::Path("FILE"),
        given: Given::Anywhere,
        default: None,
        applies_to: AppliesTo::Server,
        changes: Changes::AtStart,
        help: "PEM file with the CA to trust for smtp_url [default: those of the system]",
    },
    Setting {
        key: Id::EmailFrom,
        name: "email_from",
        shape: Shape::Value("ADDRESS"),
        given: Given::Anywhere,
        default: None,
        applies_to: AppliesTo::Server,
        changes: Changes::AtStart,
        help: "Sender of notifications",
    },
    Setting {
        key: Id::EmailTo,
        name: "email_to",
        shape: Shape::List("ADDRESSES"),
        given: Given::Anywhere,
        default: None,
        applies_to: AppliesTo::Server,
        changes: Changes::AtStart,
        help: "Receivers of notifications, separated by commas",
    },
    Setting {
        key: Id::EmailEvents,
        name: "email_events",
        shape: Shape::List("TYPES"),
        given: Given::Anywhere,
        default: None,
        applies_to: AppliesTo::Server,
        changes: Changes::AtStart,
        help: "Types of events that are sent by e-mail, separated by commas [default: all but \
               certificate.issued]",
    },
    Setting {
        key: Id::NotifyExpiringDays,
        name: "notify_expiring_days",
        shape: Shape::Value("DAYS"),
        given: Given::Anywhere,
        default: Some("30"),
        applies_to: AppliesTo::Server,
        changes: Changes::AtStart,
        help: "Days before their end at which notifications name certificates without a renewal: \
               1 to 365",
    },
    Setting {
        key: Id::NotifyRetrySeconds,
        name: "notify_retry_seconds",
        shape: Shape::Value("SECONDS"),
        given: Given::Anywhere,
        default: Some("86400"),
        applies_to: AppliesTo::Server,
        changes: Changes::AtStart,
        help: "Seconds for which a notification is tried before it is set aside as undelivered: \
               10 to 2592000",
    },
    Setting {
        key: Id::Log,
        name: "log",
        shape: Shape::Value("FILTER"),
        given: Given::Anywhere,
        default: Some("info"),
        applies_to: AppliesTo::Server,
        changes: Changes::WhileRunning,
        help: "Log level (error, warn, info, debug) or a filter such as info,certgate_api=debug",
    },
    Setting {
        key: Id::LogFormat,
        name: "log_format",
        shape: Shape::Value("FORMAT"),
        given: Given::Anywhere,
        default: Some("text"),
        applies_to: AppliesTo::Server,
        changes: Changes::AtStart,
        help: "Log format: text or json",
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_the_order_of_the_keys_and_names_are_unique() {
        for (index, setting) in SETTINGS.iter().enumerate() {
            assert_eq!(setting.key as usize, index, "{}", setting.name);
            assert_eq!(
                SETTINGS
                    .iter()
                    .filter(|other| other.name == setting.name)
                    .count(),
                1
            );
        }
        assert_eq!(SETTINGS.len(), Id::LogFormat as usize + 1);
    }

    #[test]
    fn secrets_have_no_default_and_no_flag() {
        for setting in SETTINGS.iter().filter(|setting| setting.is_secret()) {
            assert_eq!(
                (setting.default, setting.given),
                (None, Given::EnvironmentOnly)
            );
        }
        assert!(Setting::of(Id::MasterKey).is_secret());
    }
}
