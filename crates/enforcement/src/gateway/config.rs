//! The configuration file of `certgate gateway`.

use std::collections::BTreeSet;
use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use certgate_model::AccountId;
use http::Uri;
use http::uri::Authority;
use ipnet::IpNet;
use serde::Deserialize;
use toml::Spanned;

use super::limits::Limits;
use crate::{Coverage, PointSettings, TokenSource};

/// The longest configuration file of the gateway, in octets: some ten thousand hosts.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// The time for which the process serves without proof of freshness, in seconds, unless the file
/// has another one.
const STALE_AFTER_DEFAULT: u32 = 30;

/// The time by which the lease of the enforcement point is longer than the longest
/// `stale_after_seconds`, in seconds: the server waits until the last connection is cut, also if
/// messages take seconds and both processes are busy.
pub const LEASE_MARGIN: u32 = 30;

/// The smallest `head_bytes`: hyper reads the heads of HTTP/1.1 into a buffer of this size.
const HEAD_BYTES_MIN: u32 = 8_192;

/// The longest lease of the gateway, in seconds: the server accepts no longer one.
const LEASE_MAX: u32 = 3_600;

/// A problem of the configuration, with its place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}{}: {reason}", line.map(|line| format!(":{line}")).unwrap_or_default())]
pub struct ConfigError {
    /// The path of the file.
    pub file: String,
    /// The number of the line, counted from 1.
    pub line: Option<usize>,
    /// The problem and its remedy.
    pub reason: String,
}

/// The configuration of a gateway, already checked.
#[derive(Debug, Clone)]
pub struct Config {
    /// Base URL of the management API.
    pub api: String,
    /// File of the API token.
    pub token_file: PathBuf,
    /// ID of the account.
    pub account: AccountId,
    /// Name of the enforcement point, before its random part.
    pub name: String,
    /// Directory of the snapshot.
    pub state_dir: PathBuf,
    /// CA certificates of the management API, in PEM.
    pub ca_file: Option<PathBuf>,
    /// Addresses of the hosts.
    pub listen: Vec<SocketAddr>,
    /// Address of `/healthz`, `/readyz` and `/metrics`.
    pub metrics_listen: Option<SocketAddr>,
    /// Peers that begin each connection with a PROXY protocol header.
    pub proxy_protocol_from: Vec<IpNet>,
    /// The longest wait for requests in flight when the gateway stops, in seconds.
    pub stop_timeout_seconds: NonZeroU32,
    /// One access-log line for each request.
    pub access_log: bool,
    /// Filter of log lines.
    pub log: String,
    /// Form of log lines.
    pub log_format: LogFormat,
    /// The limits.
    pub limits: Limits,
    /// The hosts, by name.
    pub hosts: Vec<HostConfig>,
}

impl Config {
    /// Reads and checks the file. The gateway reads certificates and keys later.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let failed = |reason: String| ConfigError {
            file: path.display().to_string(),
            line: None,
            reason,
        };
        let size = fs::metadata(path).map_err(|error| failed(error.to_string()))?;
        if size.len() > FILE_BYTES_MAX {
            return Err(failed(format!("longer than {FILE_BYTES_MAX} octets")));
        }
        let text = fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
        Self::parse(path, &text)
    }

    /// Parses the text of the file at `path`.
    pub fn parse(path: &Path, text: &str) -> Result<Self, ConfigError> {
        let source = Source { path, text };
        let file: File = toml::from_str(text)
            .map_err(|error| source.error(error.span(), error.message().to_owned()))?;
        let listen = source.list(&file.listen, "an address such as 0.0.0.0:443")?;
        let account = source.one(&file.account, "the ID of an account, 32 hexadecimal digits")?;
        let networks = file.proxy_protocol_from.iter().map(|network| {
            parse_network(network.get_ref()).ok_or_else(|| {
                let reason = "expected an address or a network such as 192.0.2.0/24";
                source.at(network, reason)
            })
        });
        let metrics_listen = match &file.metrics_listen {
            None => None,
            Some(address) => Some(source.one(address, "an address such as 127.0.0.1:9180")?),
        };
        let mut hosts = Vec::with_capacity(file.host.len());
        let mut names = BTreeSet::new();
        for table in file.host {
            let host = HostConfig::check(&source, table, &mut names)?;
            hosts.push(host);
        }
        if file.limits.get_ref().head_bytes.get() < HEAD_BYTES_MIN {
            let reason = format!("head_bytes is at least {HEAD_BYTES_MIN}");
            return Err(source.at(&file.limits, &reason));
        }
        if listen.is_empty() {
            return Err(source.error(None, "listen is empty: add an address".to_owned()));
        }
        if hosts.is_empty() {
            return Err(source.error(None, "no [[host]]: add one".to_owned()));
        }
        Ok(Self {
            api: file.api,
            token_file: file.token_file,
            account,
            name: file.name,
            state_dir: file.state_dir,
            ca_file: file.ca_file,
            listen,
            metrics_listen,
            proxy_protocol_from: networks.collect::<Result<_, _>>()?,
            stop_timeout_seconds: file.stop_timeout_seconds,
            access_log: file.access_log,
            log: file.log,
            log_format: file.log_format,
            limits: file.limits.into_inner(),
            hosts,
        })
    }

    /// The lease of the enforcement point, in seconds: longer than the last connection lives
    /// without proof of freshness.
    pub fn lease_seconds(&self) -> u32 {
        let longest = self.hosts.iter().map(|host| host.stale_after_seconds).max();
        longest.unwrap_or(STALE_AFTER_DEFAULT) + LEASE_MARGIN
    }

    /// The settings of the enforcement point.
    pub fn point(&self) -> PointSettings {
        let serves = |host: &HostConfig| host.when_stale == WhenStale::Serve;
        PointSettings {
            api: self.api.clone(),
            token: TokenSource::File(self.token_file.clone()),
            account: self.account,
            name: self.name.clone(),
            state_dir: Some(self.state_dir.clone()),
            ca_file: self.ca_file.clone(),
            allow_cleartext: false,
            covers: vec![
                Coverage::Connections,
                Coverage::Requests,
                Coverage::Handshakes,
            ],
            when_stale: match self.hosts.iter().any(serves) {
                true => crate::WhenStale::Serve,
                false => crate::WhenStale::Refuse,
            },
            lease_seconds: self.lease_seconds(),
            forget_seconds: None,
        }
    }

    /// The smallest age from which a host treats the view as stale.
    pub fn stale_after(&self) -> Duration {
        let shortest = self.hosts.iter().map(|host| host.stale_after_seconds).min();
        Duration::from_secs(shortest.unwrap_or(STALE_AFTER_DEFAULT).into())
    }

    /// The files whose changes reload the gateway, besides the configuration itself.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        self.hosts.iter().flat_map(|host| {
            let upstream_ca = host.upstream_ca_file.as_deref();
            [&*host.certificate, &*host.key]
                .into_iter()
                .chain(upstream_ca)
        })
    }
}

/// One hostname, already checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostConfig {
    /// The hostname, in lower case.
    pub name: String,
    /// File of the server's certificate chain, in PEM.
    pub certificate: PathBuf,
    /// File of the server's private key, in PEM.
    pub key: PathBuf,
    /// The upstreams.
    pub upstreams: Vec<UpstreamUrl>,
    /// The policy for client certificates.
    pub client_certificates: Policy,
    /// The protocol inside TLS.
    pub mode: Mode,
    /// The behaviour without proof of freshness.
    pub when_stale: WhenStale,
    /// The time after which the last proof of freshness is too old, in seconds.
    pub stale_after_seconds: u32,
    /// Path of the active health check.
    pub health_path: Option<String>,
    /// Interval of the active health check, in seconds.
    pub health_interval_seconds: NonZeroU32,
    /// CA certificates of the upstreams, in PEM. Without a file, those of the system.
    pub upstream_ca_file: Option<PathBuf>,
    /// Begin each upstream connection with a PROXY protocol v2 header.
    pub send_proxy_protocol: bool,
}

/// The policy of a host for client certificates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Policy {
    /// Only requests with an admitted certificate reach the upstreams.
    Required,
    /// Every request reaches the upstreams, with the verdict in its headers.
    Optional,
    /// The gateway asks for no certificate.
    Off,
}

/// The protocol inside TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// HTTP/1.1 and HTTP/2.
    Http,
    /// Octets, which the gateway copies.
    Tcp,
}

/// The behaviour of a host when its last proof of freshness is too old.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WhenStale {
    /// Answer 503 and cut streams.
    Refuse,
    /// Continue with the last known state.
    Serve,
}

/// A form of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object per line.
    Json,
}

/// The address of an upstream.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct UpstreamUrl {
    /// The protocol.
    pub protocol: Protocol,
    /// Name or address, and port.
    pub authority: Authority,
}

/// The protocol of an upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// `http://`: HTTP/1.1 without TLS.
    Http,
    /// `https://`: HTTP/1.1 over TLS.
    Https,
    /// `h2c://`: HTTP/2 without TLS.
    H2c,
    /// `h2://`: HTTP/2 over TLS.
    H2,
    /// `tcp://`: octets.
    Tcp,
}

impl Protocol {
    /// Returns true if the connection to the upstream has TLS.
    pub const fn has_tls(self) -> bool {
        matches!(self, Self::Https | Self::H2)
    }

    /// Returns true for HTTP/2.
    pub const fn is_h2(self) -> bool {
        matches!(self, Self::H2c | Self::H2)
    }
}

impl UpstreamUrl {
    fn parse(text: &str) -> Option<Self> {
        let uri: Uri = text.parse().ok()?;
        let protocol = match uri.scheme_str()? {
            "http" => Protocol::Http,
            "https" => Protocol::Https,
            "h2c" => Protocol::H2c,
            "h2" => Protocol::H2,
            "tcp" => Protocol::Tcp,
            _ => return None,
        };
        let authority = uri.authority()?.clone();
        let is_bare = matches!(uri.path(), "" | "/") && uri.query().is_none();
        let has_user = authority.as_str().contains('@');
        let has_port = authority.port_u16().is_some();
        (is_bare && !has_user && has_port).then_some(Self {
            protocol,
            authority,
        })
    }
}

impl HostConfig {
    fn check(
        source: &Source<'_>,
        table: HostTable,
        names: &mut BTreeSet<String>,
    ) -> Result<Self, ConfigError> {
        // 1. The name.
        let name = table.name.get_ref().to_ascii_lowercase();
        if !is_hostname(&name) {
            let reason = "expected a hostname such as api.example.com, without a port or a *";
            return Err(source.at(&table.name, reason));
        }
        if !names.insert(name.clone()) {
            let reason = format!("a second [[host]] named {name}: remove one of them");
            return Err(source.at(&table.name, &reason));
        }

        // 2. The upstreams.
        let mut upstreams = Vec::new();
        for text in table.upstreams.get_ref() {
            let upstream = UpstreamUrl::parse(text.get_ref()).ok_or_else(|| {
                let reason = "expected http://, https://, h2c://, h2:// or tcp:// with a name or \
                              address and a port, and no path";
                source.at(text, reason)
            })?;
            if (upstream.protocol == Protocol::Tcp) != (table.mode == Mode::Tcp) {
                let reason = "mode = \"tcp\" needs tcp:// upstreams, and only that mode has them";
                return Err(source.at(text, reason));
            }
            upstreams.push(upstream);
        }
        if upstreams.is_empty() {
            return Err(source.at(&table.upstreams, "upstreams is empty: add one"));
        }

        // 3. Settings that exclude each other.
        if let Some(path) = &table.health_path
            && (!path.get_ref().starts_with('/') || table.mode == Mode::Tcp)
        {
            let reason = "health_path needs a path that begins with / and the mode http";
            return Err(source.at(path, reason));
        }
        if *table.send_proxy_protocol.get_ref() && table.mode == Mode::Http {
            let reason = "clients share the connections to HTTP upstreams: remove \
                          send_proxy_protocol and read X-Forwarded-For";
            return Err(source.at(&table.send_proxy_protocol, reason));
        }
        let stale_after = *table.stale_after_seconds.get_ref();
        if stale_after.get() > LEASE_MAX - LEASE_MARGIN {
            let reason = format!("at most {}", LEASE_MAX - LEASE_MARGIN);
            return Err(source.at(&table.stale_after_seconds, &reason));
        }
        Ok(Self {
            name,
            certificate: table.certificate,
            key: table.key,
            upstreams,
            client_certificates: table.client_certificates,
            mode: table.mode,
            when_stale: table.when_stale,
            stale_after_seconds: stale_after.get(),
            health_path: table.health_path.map(Spanned::into_inner),
            health_interval_seconds: table.health_interval_seconds,
            upstream_ca_file: table.upstream_ca_file,
            send_proxy_protocol: table.send_proxy_protocol.into_inner(),
        })
    }
}

/// The file as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    api: String,
    token_file: PathBuf,
    account: Spanned<String>,
    name: String,
    state_dir: PathBuf,
    ca_file: Option<PathBuf>,
    listen: Vec<Spanned<String>>,
    metrics_listen: Option<Spanned<String>>,
    #[serde(default)]
    proxy_protocol_from: Vec<Spanned<String>>,
    #[serde(default = "stop_timeout_default")]
    stop_timeout_seconds: NonZeroU32,
    #[serde(default = "access_log_default")]
    access_log: bool,
    #[serde(default = "log_default")]
    log: String,
    #[serde(default = "log_format_default")]
    log_format: LogFormat,
    #[serde(default = "limits_default")]
    limits: Spanned<Limits>,
    #[serde(default)]
    host: Vec<HostTable>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HostTable {
    name: Spanned<String>,
    certificate: PathBuf,
    key: PathBuf,
    upstreams: Spanned<Vec<Spanned<String>>>,
    #[serde(default = "policy_default")]
    client_certificates: Policy,
    #[serde(default = "mode_default")]
    mode: Mode,
    #[serde(default = "when_stale_default")]
    when_stale: WhenStale,
    #[serde(default = "stale_after_default")]
    stale_after_seconds: Spanned<NonZeroU32>,
    health_path: Option<Spanned<String>>,
    #[serde(default = "health_interval_default")]
    health_interval_seconds: NonZeroU32,
    upstream_ca_file: Option<PathBuf>,
    #[serde(default = "send_proxy_protocol_default")]
    send_proxy_protocol: Spanned<bool>,
}

/// Requests usually end within seconds. Supervisors kill after 90.
const fn stop_timeout_default() -> NonZeroU32 {
    const { NonZeroU32::new(30).expect("not zero") }
}

const fn access_log_default() -> bool {
    true
}

fn log_default() -> String {
    "info".to_owned()
}

const fn log_format_default() -> LogFormat {
    LogFormat::Text
}

fn limits_default() -> Spanned<Limits> {
    Spanned::new(0..0, Limits::default())
}

const fn policy_default() -> Policy {
    Policy::Required
}

const fn mode_default() -> Mode {
    Mode::Http
}

const fn when_stale_default() -> WhenStale {
    WhenStale::Refuse
}

fn stale_after_default() -> Spanned<NonZeroU32> {
    Spanned::new(
        0..0,
        const { NonZeroU32::new(STALE_AFTER_DEFAULT).expect("not zero") },
    )
}

const fn health_interval_default() -> NonZeroU32 {
    const { NonZeroU32::new(5).expect("not zero") }
}

fn send_proxy_protocol_default() -> Spanned<bool> {
    Spanned::new(0..0, false)
}

/// The text of the file, from which errors get their line.
struct Source<'a> {
    path: &'a Path,
    text: &'a str,
}

impl Source<'_> {
    fn error(&self, span: Option<Range<usize>>, reason: String) -> ConfigError {
        let line = span.map(|span| {
            let before = self.text.get(..span.start).unwrap_or(self.text);
            before.matches('\n').count() + 1
        });
        ConfigError {
            file: self.path.display().to_string(),
            line,
            reason: reason.trim_end().replace('\n', " "),
        }
    }

    fn at<T>(&self, value: &Spanned<T>, reason: &str) -> ConfigError {
        self.error(Some(value.span()), reason.to_owned())
    }

    fn one<T: std::str::FromStr>(
        &self,
        text: &Spanned<String>,
        wanted: &str,
    ) -> Result<T, ConfigError> {
        let parsed = text.get_ref().parse();
        parsed.map_err(|_| self.at(text, &format!("expected {wanted}")))
    }

    fn list<T: std::str::FromStr>(
        &self,
        texts: &[Spanned<String>],
        wanted: &str,
    ) -> Result<Vec<T>, ConfigError> {
        texts.iter().map(|text| self.one(text, wanted)).collect()
    }
}

fn parse_network(text: &str) -> Option<IpNet> {
    let address = text.parse::<IpAddr>().map(IpNet::from);
    text.parse().ok().or(address.ok())
}

/// Returns true for a name that TLS can carry as a server name (RFC 6066 §3).
fn is_hostname(name: &str) -> bool {
    let is_name = rustls::pki_types::DnsName::try_from(name).is_ok();
    is_name && name.parse::<IpAddr>().is_err() && !name.ends_with('.')
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
api = "https://certgate.internal:8443"
token_file = "token"
account = "0123456789abcdef0123456789abcdef"
name = "edge"
state_dir = "state"
listen = ["127.0.0.1:8443"]

[[host]]
name = "API.example.com"
certificate = "c.pem"
key = "k.pem"
upstreams = ["http://127.0.0.1:8080"]
"#;

    fn parse(text: &str) -> Result<Config, ConfigError> {
        Config::parse(Path::new("gateway.toml"), text)
    }

    #[test]
    fn a_host_needs_four_lines() {
        let config = parse(GOOD).unwrap();
        let host = &config.hosts[0];
        assert_eq!(host.name, "api.example.com");
        assert_eq!(host.client_certificates, Policy::Required);
        assert_eq!(host.when_stale, WhenStale::Refuse);
        assert_eq!(config.lease_seconds(), 60);
        assert_eq!(config.point().when_stale, crate::WhenStale::Refuse);
    }

    #[test]
    fn each_problem_has_a_line_and_a_reason() {
        for (from, to, line, reason) in [
            ("name = \"API", "name = \"*.API", 10, "hostname"),
            ("http://127", "ftp://127", 13, "expected http://"),
            ("127.0.0.1:8080", "127.0.0.1", 13, "port"),
            ("http://127", "tcp://127", 13, "mode"),
            ("\"http://127.0.0.1:8080\"", "", 13, "empty"),
            ("key = ", "kee = ", 12, "kee"),
            ("127.0.0.1:8443", "8443", 7, "address"),
            ("key = \"k.pem\"", "key = ", 12, "string"),
            (
                "key = ",
                "stale_after_seconds = 3571\nkey = ",
                12,
                "at most 3570",
            ),
            (
                "key = ",
                "send_proxy_protocol = true\nkey = ",
                12,
                "X-Forwarded-For",
            ),
            ("\n[[host]]", "[limits]\nstreams = 0\n[[host]]", 9, "0"),
            (
                "\n[[host]]",
                "[limits]\nhead_bytes = 8191\n[[host]]",
                8,
                "at least 8192",
            ),
        ] {
            let error = parse(&GOOD.replacen(from, to, 1)).expect_err(to);
            assert_eq!(error.line, Some(line), "{to}: {error}");
            assert!(error.reason.contains(reason), "{to}: {error}");
            assert!(error.to_string().starts_with("gateway.toml:"), "{error}");
        }
    }

    #[test]
    fn a_second_host_of_a_name_is_refused() {
        let host = GOOD.split_once("[[host]]").unwrap().1;
        let error = parse(&format!("{GOOD}[[host]]{host}")).unwrap_err();
        assert!(error.reason.contains("second"), "{error}");
    }
}
