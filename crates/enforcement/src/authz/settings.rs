//! The configuration file of `certgate authz`.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::net::SocketAddr;
use std::ops::Range;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use certgate_model::AccountId;
use certgate_pki::sha256;
use rustls::ServerConfig;
use serde::Deserialize;
use toml::Spanned;

use super::host::{Asked, HostFrom, named};
use super::source::CertificateFrom;
use super::tls::{self, TlsFiles};
use crate::{StalePolicy, WhenStale};

/// The longest configuration file of `authz`, in octets: thousands of listeners.
pub const AUTHZ_FILE_BYTES_MAX: u64 = 1 << 20;

/// Listeners of `authz`. Each has a socket and reads certificates from one place.
pub const AUTHZ_LISTENERS_MAX: usize = 64;

/// The shortest shared secret of a listener, in octets: 128 bits as hexadecimal digits.
pub const AUTHZ_SECRET_BYTES_MIN: usize = 32;

/// The longest shared secret of a listener, in octets.
pub const AUTHZ_SECRET_BYTES_MAX: u64 = 4096;

/// The default of `stale_after_seconds`.
const STALE_AFTER_SECONDS: u32 = 30;

/// Seconds between the age at which this process refuses every client and the end of its lease: the
/// server stops waiting for the process after it has begun to refuse.
const LEASE_MARGIN_SECONDS: u32 = 30;

/// The longest lease of `authz`, in seconds: the server accepts no longer one.
const LEASE_SECONDS_MAX: u32 = 3600;

/// An error in the configuration. The text has the file, the line and the remedy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SettingsError(String);

/// The settings of `certgate authz`.
pub struct AuthzSettings {
    /// The part that needs a restart.
    pub point: Point,
    /// The verdicts that get a line in the log.
    pub access_log: AccessLog,
    /// The filter of log lines, in `tracing`'s syntax.
    pub log: String,
    /// The format of log lines.
    pub log_format: LogFormat,
    /// The address of `/healthz` and `/metrics`.
    pub metrics_listen: Option<SocketAddr>,
    /// The listeners.
    pub listeners: Vec<Arc<ListenerSettings>>,
    /// The configuration file, and those that it names.
    pub files: Vec<PathBuf>,
}

/// The format of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

/// The settings of the enforcement point.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Point {
    /// The URL of the server.
    pub api: String,
    /// The file with the token.
    pub token_file: PathBuf,
    /// The account.
    pub account: AccountId,
    /// The first part of the point's name.
    pub name: String,
    /// The directory of the snapshot.
    pub state_dir: PathBuf,
    /// A file with CA certificates for TLS to the server.
    pub ca_file: Option<PathBuf>,
    /// The treatment of clients while the view is stale.
    pub stale: StalePolicy,
    /// The lease to ask for, in seconds.
    pub lease_seconds: u32,
}

/// The verdicts that get a line in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AccessLog {
    /// All of them.
    All,
    /// Refusals.
    #[default]
    Refused,
    /// None.
    Off,
}

/// The settings of a listener.
pub struct ListenerSettings {
    /// The address.
    pub address: Address,
    /// The place of the certificate in questions.
    pub certificate_from: CertificateFrom,
    /// The hostname of questions.
    pub host: HostRule,
    /// The treatment of clients without a good certificate.
    pub client_certificates: ClientCertificates,
    /// SHA-256 of the secret that questions must have.
    pub secret: Option<[u8; 32]>,
    /// TLS for connections.
    pub tls: Option<Arc<ServerConfig>>,
}

/// The address of a listener.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Address {
    /// The path of a Unix socket.
    Unix(PathBuf),
    /// An IP address and port.
    Tcp(SocketAddr),
}

/// The hostname of questions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostRule {
    /// It stands in the question.
    From(HostFrom),
    /// It is always the same.
    Fixed(String),
}

/// The treatment of clients without a good certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClientCertificates {
    /// They are refused.
    #[default]
    Required,
    /// They pass, and `cf-cert-verified` and `cf-cert-revoked` have the verdict.
    Optional,
}

impl Address {
    /// Returns true if only processes of this machine reach it.
    pub fn is_local(&self) -> bool {
        match self {
            Self::Unix(_) => true,
            Self::Tcp(address) => address.ip().to_canonical().is_loopback(),
        }
    }

    fn parse(text: &str) -> Option<Self> {
        match text.strip_prefix("unix:") {
            Some("") => None,
            Some(path) => Some(Self::Unix(path.into())),
            None => text.parse().ok().map(Self::Tcp),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Tcp(address) => address.fmt(f),
        }
    }
}

/// The file as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    api: String,
    token_file: PathBuf,
    account: Spanned<String>,
    #[serde(default = "default_name")]
    name: String,
    state_dir: PathBuf,
    ca_file: Option<PathBuf>,
    #[serde(default)]
    when_stale: WrittenWhenStale,
    stale_after_seconds: Option<Spanned<u32>>,
    #[serde(default)]
    access_log: AccessLog,
    #[serde(default = "default_log")]
    log: String,
    #[serde(default)]
    log_format: LogFormat,
    metrics_listen: Option<Spanned<String>>,
    #[serde(default)]
    listener: Vec<Spanned<WrittenListener>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum WrittenWhenStale {
    #[default]
    Refuse,
    Serve,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenListener {
    address: Spanned<String>,
    certificate_from: CertificateFrom,
    host_from: Option<Spanned<HostFrom>>,
    host: Option<Spanned<String>>,
    #[serde(default)]
    client_certificates: ClientCertificates,
    secret_file: Option<Spanned<PathBuf>>,
    tls_certificate: Option<Spanned<PathBuf>>,
    tls_key: Option<Spanned<PathBuf>>,
    tls_client_ca: Option<Spanned<PathBuf>>,
}

fn default_log() -> String {
    "info".to_owned()
}

fn default_name() -> String {
    "authz".to_owned()
}

impl AuthzSettings {
    /// Reads the file, and the secrets and certificates that it names.
    pub fn read(path: &Path) -> Result<Self, SettingsError> {
        let failed = |error: &dyn fmt::Display| {
            SettingsError(format!(
                "cannot read the configuration file {}: {error}: name a readable file with \
                 --config",
                path.display()
            ))
        };
        let mut text = String::new();
        let file = File::open(path).map_err(|error| failed(&error))?;
        let read = file
            .take(AUTHZ_FILE_BYTES_MAX + 1)
            .read_to_string(&mut text);
        read.map_err(|error| failed(&error))?;
        if text.len() as u64 > AUTHZ_FILE_BYTES_MAX {
            return Err(failed(&format!(
                "it has more than {AUTHZ_FILE_BYTES_MAX} octets"
            )));
        }
        Self::parse(&Place { path, text: &text })
    }

    fn parse(place: &Place<'_>) -> Result<Self, SettingsError> {
        let written: Written = toml::from_str(place.text).map_err(|error| place.syntax(&error))?;
        let (stale_after, at) = match &written.stale_after_seconds {
            Some(seconds) => (*seconds.get_ref(), seconds.span()),
            None => (STALE_AFTER_SECONDS, 0..0),
        };
        let lease_seconds = stale_after.saturating_add(LEASE_MARGIN_SECONDS);
        if stale_after == 0 || lease_seconds > LEASE_SECONDS_MAX {
            return Err(place.error(
                &at,
                format!(
                    "stale_after_seconds is {stale_after}: use a number from 1 to {}",
                    LEASE_SECONDS_MAX - LEASE_MARGIN_SECONDS
                ),
            ));
        }
        let metrics_listen = written.metrics_listen.as_ref().map(|text| {
            text.get_ref().parse().map_err(|_| {
                let problem = "metrics_listen is not an address: use IP:PORT, such as \
                               127.0.0.1:9465";
                place.error(&text.span(), problem)
            })
        });
        let metrics_listen = metrics_listen.transpose()?;
        let account = written.account.get_ref().parse().map_err(|_| {
            let problem = "account is not the ID of an account: use 32 hexadecimal digits, which \
                           certgate init prints as account_id";
            place.error(&written.account.span(), problem)
        })?;
        let mut files = vec![place.path.to_owned(), written.token_file.clone()];
        let listeners = place.listeners(&written.listener, &mut files)?;
        Ok(Self {
            point: Point {
                api: written.api,
                token_file: written.token_file,
                account,
                name: written.name,
                state_dir: written.state_dir,
                ca_file: written.ca_file,
                stale: StalePolicy {
                    when_stale: match written.when_stale {
                        WrittenWhenStale::Refuse => WhenStale::Refuse,
                        WrittenWhenStale::Serve => WhenStale::Serve,
                    },
                    after: Duration::from_secs(stale_after.into()),
                },
                lease_seconds,
            },
            access_log: written.access_log,
            log: written.log,
            log_format: written.log_format,
            metrics_listen,
            listeners,
            files,
        })
    }
}

/// The file of an error.
struct Place<'a> {
    path: &'a Path,
    text: &'a str,
}

impl Place<'_> {
    fn error(&self, at: &Range<usize>, problem: impl fmt::Display) -> SettingsError {
        let before = self.text.get(..at.start).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        SettingsError(format!("{}, line {line}: {problem}", self.path.display()))
    }

    fn syntax(&self, error: &toml::de::Error) -> SettingsError {
        let message = error.message();
        let remedy = match message {
            unknown if unknown.starts_with("unknown field") => "correct or remove the key",
            missing if missing.starts_with("missing field") => "add the key",
            _ => "correct this line",
        };
        self.error(
            &error.span().unwrap_or(0..0),
            format!("{message}: {remedy}"),
        )
    }

    fn listeners(
        &self,
        written: &[Spanned<WrittenListener>],
        files: &mut Vec<PathBuf>,
    ) -> Result<Vec<Arc<ListenerSettings>>, SettingsError> {
        let mut listeners: Vec<Arc<ListenerSettings>> = Vec::new();
        for table in written {
            if listeners.len() == AUTHZ_LISTENERS_MAX {
                let problem = format!(
                    "there are more than {AUTHZ_LISTENERS_MAX} listeners: run another process"
                );
                return Err(self.error(&table.span(), problem));
            }
            let listener = self.listener(table.get_ref(), files)?;
            let is_same = |other: &Arc<ListenerSettings>| other.address == listener.address;
            if listeners.iter().any(is_same) {
                let address = &table.get_ref().address;
                let problem = format!("another listener has the address {}", listener.address);
                return Err(self.error(&address.span(), format!("{problem}: use one address once")));
            }
            listeners.push(Arc::new(listener));
        }
        match listeners.is_empty() {
            true => Err(self.error(
                &(self.text.trim_end().len()..self.text.len()),
                "no listener is configured: add [[listener]] with address and certificate_from",
            )),
            false => Ok(listeners),
        }
    }

    fn listener(
        &self,
        written: &WrittenListener,
        files: &mut Vec<PathBuf>,
    ) -> Result<ListenerSettings, SettingsError> {
        let text = &written.address;
        let Some(address) = Address::parse(text.get_ref()) else {
            let problem = "address is malformed: use IP:PORT or unix:PATH, such as 127.0.0.1:9464 \
                           or unix:/run/certgate/authz.sock";
            return Err(self.error(&text.span(), problem));
        };
        let secret = match &written.secret_file {
            Some(path) => {
                files.push(path.get_ref().clone());
                let read = read_secret(path.get_ref());
                Some(read.map_err(|problem| self.error(&path.span(), problem))?)
            }
            None => None,
        };
        let tls = self.tls(written, files)?;
        if !address.is_local() && secret.is_none() && written.tls_client_ca.is_none() {
            let problem = format!(
                "other machines reach {address}: set tls_certificate, tls_key and tls_client_ca, \
                 or secret_file, or use a loopback address or a Unix socket"
            );
            return Err(self.error(&text.span(), problem));
        }
        Ok(ListenerSettings {
            address,
            certificate_from: written.certificate_from,
            host: self.host(written)?,
            client_certificates: written.client_certificates,
            secret,
            tls,
        })
    }

    fn host(&self, written: &WrittenListener) -> Result<HostRule, SettingsError> {
        let is_grpc = written.certificate_from == CertificateFrom::Grpc;
        match (&written.host, &written.host_from) {
            (Some(host), Some(_)) => Err(self.error(
                &host.span(),
                "host and host_from exclude each other: remove one of them",
            )),
            (Some(host), None) => match named(Some(host.get_ref())) {
                Asked::Named(name) => Ok(HostRule::Fixed(name)),
                _ => Err(self.error(&host.span(), "host is not a hostname: correct it")),
            },
            (None, Some(from)) if is_grpc && *from.get_ref() == HostFrom::XForwardedHost => {
                let problem = "gRPC has the hostname in its message: use \"host\" or \"any\"";
                Err(self.error(&from.span(), problem))
            }
            (None, Some(from)) => Ok(HostRule::From(*from.get_ref())),
            (None, None) => Ok(HostRule::From(match written.certificate_from {
                CertificateFrom::XForwardedClientCert | CertificateFrom::Grpc => HostFrom::Host,
                _ => HostFrom::XForwardedHost,
            })),
        }
    }

    fn tls(
        &self,
        written: &WrittenListener,
        files: &mut Vec<PathBuf>,
    ) -> Result<Option<Arc<ServerConfig>>, SettingsError> {
        let named = [
            &written.tls_certificate,
            &written.tls_key,
            &written.tls_client_ca,
        ];
        let (certificate, key) = match (&written.tls_certificate, &written.tls_key) {
            (Some(certificate), Some(key)) => (certificate, key),
            _ => {
                return match named.into_iter().flatten().next() {
                    Some(one) => Err(self.error(
                        &one.span(),
                        "TLS needs tls_certificate and tls_key: set both",
                    )),
                    None => Ok(None),
                };
            }
        };
        files.extend(
            named
                .into_iter()
                .flatten()
                .map(|path| path.get_ref().clone()),
        );
        let read = tls::server_config(&TlsFiles {
            certificate: certificate.get_ref(),
            key: key.get_ref(),
            client_ca: written.tls_client_ca.as_ref().map(|path| &**path.get_ref()),
        });
        match read {
            Ok(config) => Ok(Some(config)),
            Err(problem) => Err(self.error(&certificate.span(), problem)),
        }
    }
}

/// Reads the secret of a listener, without white space around it, and returns its SHA-256.
fn read_secret(path: &Path) -> Result<[u8; 32], String> {
    let shown = path.display();
    let failed = |error| format!("cannot read the secret {shown}: {error}: correct secret_file");
    let file = File::open(path).map_err(failed)?;
    let mode = file.metadata().map_err(failed)?.mode();
    if mode & 0o007 != 0 {
        return Err(format!(
            "other users may read the secret {shown} (mode {:o}): chmod 640 {shown}",
            mode & 0o777
        ));
    }
    let mut text = Vec::new();
    file.take(AUTHZ_SECRET_BYTES_MAX + 1)
        .read_to_end(&mut text)
        .map_err(failed)?;
    let secret = text.trim_ascii();
    let is_long = secret.len() as u64 > AUTHZ_SECRET_BYTES_MAX;
    if secret.len() < AUTHZ_SECRET_BYTES_MIN || is_long {
        return Err(format!(
            "the secret {shown} has {} octets: use from {AUTHZ_SECRET_BYTES_MIN} to \
             {AUTHZ_SECRET_BYTES_MAX}, such as the output of openssl rand -hex 32",
            secret.len()
        ));
    }
    Ok(sha256(secret))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "api = \"http://127.0.0.1:1\"\ntoken_file = \"t\"\n\
                        account = \"0123456789abcdef0123456789abcdef\"\nstate_dir = \"s\"\n";

    fn read(rest: &str) -> Result<AuthzSettings, String> {
        let text = format!("{HEAD}{rest}");
        let place = Place {
            path: Path::new("authz.toml"),
            text: &text,
        };
        AuthzSettings::parse(&place).map_err(|error| error.to_string())
    }

    fn listener(lines: &str) -> Result<AuthzSettings, String> {
        read(&format!("[[listener]]\n{lines}\n"))
    }

    const LOCAL: &str = "address = \"127.0.0.1:9464\"\n";

    #[test]
    fn a_short_file_has_safe_defaults() {
        let settings = listener(&format!("{LOCAL}certificate_from = \"ssl-client-cert\"")).unwrap();
        assert_eq!(settings.point.stale.when_stale, WhenStale::Refuse);
        assert_eq!(settings.point.stale.after, Duration::from_secs(30));
        assert_eq!(settings.point.lease_seconds, 60);
        let [listener] = &*settings.listeners else {
            panic!("one listener");
        };
        assert_eq!(listener.host, HostRule::From(HostFrom::XForwardedHost));
        assert_eq!(listener.client_certificates, ClientCertificates::Required);
    }

    #[test]
    fn the_host_comes_from_the_place_that_the_proxy_sets() {
        for (lines, expected) in [
            (
                "certificate_from = \"grpc\"",
                HostRule::From(HostFrom::Host),
            ),
            (
                "certificate_from = \"x-forwarded-client-cert\"",
                HostRule::From(HostFrom::Host),
            ),
            (
                "certificate_from = \"grpc\"\nhost_from = \"any\"",
                HostRule::From(HostFrom::Any),
            ),
            (
                "certificate_from = \"grpc\"\nhost = \"A.example.com\"",
                HostRule::Fixed("a.example.com".to_owned()),
            ),
        ] {
            let settings = listener(&format!("{LOCAL}{lines}")).unwrap();
            assert_eq!(settings.listeners[0].host, expected, "{lines}");
        }
    }

    #[test]
    fn mistakes_are_refused_with_line_and_remedy() {
        let from = "certificate_from = \"client-cert\"\n";
        for (lines, expected) in [
            ("", "line 4: no listener is configured"),
            ("lease = 3\n", "line 5: unknown field `lease`"),
            (
                "stale_after_seconds = 0\n",
                "line 5: stale_after_seconds is 0: use a number from 1",
            ),
            (
                "stale_after_seconds = 3571\n",
                "use a number from 1 to 3570",
            ),
            (
                "when_stale = \"maybe\"\n",
                "line 5: unknown variant `maybe`",
            ),
            (
                "metrics_listen = \"x\"\n",
                "line 5: metrics_listen is not an address",
            ),
            (
                "[[listener]]\naddress = \"x\"\ncertificate_from = \"grpc\"\n",
                "line 6: address",
            ),
            (
                "[[listener]]\naddress = \"unix:\"\ncertificate_from = \"grpc\"\n",
                "line 6: address",
            ),
            (
                "[[listener]]\naddress = \"unix:a\"\n",
                "missing field `certificate_from`: add",
            ),
        ] {
            let error = read(lines).err().unwrap_or_default();
            assert!(
                error.contains(expected) && error.starts_with("authz.toml, "),
                "{error}"
            );
        }
        for (lines, expected) in [
            (
                "address = \"0.0.0.0:1\"\n",
                "other machines reach 0.0.0.0:1: set tls_certificate",
            ),
            ("address = \"[2001:db8::1]:1\"\n", "other machines reach"),
            (
                "address = \"127.0.0.1:1\"\ntls_client_ca = \"a\"\n",
                "set both",
            ),
            (
                "address = \"127.0.0.1:1\"\nhost = \"a b\"\n",
                "host is not a hostname",
            ),
            (
                "address = \"127.0.0.1:1\"\nsecret_file = \"/none\"\n",
                "cannot read the secret",
            ),
            (
                "address = \"127.0.0.1:1\"\nhost = \"a\"\nhost_from = \"any\"\n",
                "exclude each other",
            ),
        ] {
            let error = listener(&format!("{lines}{from}"))
                .err()
                .unwrap_or_default();
            assert!(error.contains(expected), "{lines}: {error}");
        }
        let twice = format!("{LOCAL}{from}[[listener]]\n{LOCAL}{from}");
        assert!(
            listener(&twice)
                .err()
                .unwrap_or_default()
                .contains("use one address once")
        );
    }
}
