//! The address of the database, and the settings of connections to it.

use std::fmt;
use std::time::Duration;

use deadpool::Runtime;
use deadpool::managed::{Pool, Timeouts};
use percent_encoding::percent_decode_str;
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode, TargetSessionAttrs};

use super::db::PostgresDb;
use super::hosts::{Hosts, host_names};
use super::open_error::PostgresError;
use super::tls::{self, Files};
use crate::StoreError;
use crate::position::Layout;

/// The longest time that an address has to accept a connection, unless the URL has another: a host
/// may have several addresses.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// The longest time that a read waits for a connection.
const POOL_TIMEOUT: Duration = Duration::from_secs(5);
/// The idle time before the first TCP keepalive, and the longest wait for an acknowledgement.
const KEEPALIVE: Duration = Duration::from_secs(10);
/// The time between two keepalives, of which the first was not acknowledged.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(3);

/// The parsed URL of a database, not connected yet. Its `Display` and `Debug` texts never have the
/// password.
#[derive(Clone)]
pub struct PostgresUrl {
    text: String,
    config: Config,
}

impl PostgresUrl {
    /// Parses a URL in the form that [`PostgresStore::open`](crate::PostgresStore::open) accepts.
    pub fn parse(url: &str) -> Result<Self, PostgresError> {
        Ok(Self {
            text: url.to_owned(),
            config: read(url)?.0,
        })
    }

    /// Returns the URL as it was given, with its password.
    pub fn expose(&self) -> &str {
        &self.text
    }

    /// Returns whether the URL has a password.
    pub fn has_password(&self) -> bool {
        self.config.get_password().is_some()
    }
}

impl fmt::Debug for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PostgresUrl({self})")
    }
}

impl fmt::Display for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("postgres://")?;
        if let Some(user) = self.config.get_user() {
            write!(
                f,
                "{user}{}@",
                if self.has_password() { ":********" } else { "" }
            )?;
        }
        write!(
            f,
            "{}/{}",
            host_names(&self.config),
            self.config.get_dbname().unwrap_or_default()
        )
    }
}

/// The address of a database, with everything that connecting needs. Its texts never have the
/// password.
#[derive(Clone)]
pub(super) struct Address {
    /// The configuration with every host.
    config: Config,
    hosts: Hosts,
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({self})")
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} on {}",
            self.config.get_dbname().unwrap_or("(no name)"),
            host_names(&self.config)
        )
    }
}

impl Address {
    /// Parses `postgres://user:password@host:port/name?option=value`, with the options of libpq
    /// that the driver knows.
    ///
    /// `sslmode` is `disable`, `prefer`, `require`, `verify-ca` or `verify-full`. The default is
    /// `require`, except on a Unix socket, which has no TLS. Only `disable` and `prefer` allow
    /// clear text: `prefer` with a server that has no TLS. The others always verify the server's
    /// certificate and its name, against the certificates in the PEM file `sslrootcert`, or those
    /// that the system trusts. The PEM files `sslcert` and `sslkey` have the client certificate
    /// with its chain, and its key.
    pub(super) fn parse(url: &str) -> Result<Self, PostgresError> {
        // Of several hosts only the primary, because a standby may be lagging.
        Self::parse_for(url, TargetSessionAttrs::ReadWrite)
    }

    /// Parses the URL for a caller that only reads, and does not need the latest state.
    pub(super) fn parse_for_reading(url: &str) -> Result<Self, PostgresError> {
        Self::parse_for(url, TargetSessionAttrs::Any)
    }

    fn parse_for(url: &str, wanted: TargetSessionAttrs) -> Result<Self, PostgresError> {
        let (config, files) = read(url)?;
        let tls = if config.get_ssl_mode() == SslMode::Disable {
            tls::none()
        } else {
            files.connector()
        }?;
        // `hostaddr` has one address for each host, in the same order.
        let urls = if config.get_hostaddrs().is_empty() {
            each_host(url)
        } else {
            vec![url.to_owned()]
        };
        let mut hosts = Vec::new();
        for url in urls {
            let (mut config, _) = read(&url)?;
            behave(&mut config, wanted);
            hosts.push(config);
        }
        Ok(Self {
            config,
            hosts: Hosts::new(hosts, tls),
        })
    }

    /// Creates a pool of connections for reading.
    pub(super) fn pool(&self, size: usize) -> Result<Pool<Hosts>, PostgresError> {
        // Connecting has limits of its own.
        let timeouts = Timeouts {
            wait: Some(POOL_TIMEOUT),
            ..Timeouts::default()
        };
        Pool::builder(self.hosts.clone())
            .max_size(size.max(1))
            .timeouts(timeouts)
            .runtime(Runtime::Tokio1)
            .build()
            .map_err(|error| PostgresError::Unavailable {
                address: self.to_string(),
                detail: error.to_string(),
            })
    }

    /// Makes a connection that is not shared.
    pub(super) async fn connect(&self) -> Result<PostgresDb, StoreError> {
        Ok(PostgresDb::own(
            self.hosts.connect().await?,
            Layout::DEFAULT,
        ))
    }
}

/// Returns one URL for each host before the name of the database.
fn each_host(url: &str) -> Vec<String> {
    // Like the driver: the user and the password end at the first @.
    let begin = url
        .find('@')
        .map(|at| at + 1)
        .or_else(|| url.find("://").map(|at| at + 3))
        .unwrap_or(0);
    let end = url[begin..]
        .find(['/', '?'])
        .map_or(url.len(), |length| begin + length);
    url[begin..end]
        .split(',')
        .map(|host| format!("{}{host}{}", &url[..begin], &url[end..]))
        .collect()
}

/// Returns the driver's configuration, and the files in the URL.
fn read(url: &str) -> Result<(Config, Files), PostgresError> {
    // Like the driver: the user and the password end at the first @, and may have a question mark.
    let after_user = url.find('@').unwrap_or(0);
    let (base, query) = match url[after_user..].find('?') {
        Some(at) => (&url[..after_user + at], &url[after_user + at + 1..]),
        None => (url, ""),
    };
    if !base.starts_with("postgres://") && !base.starts_with("postgresql://") {
        return Err(PostgresError::Url("it does not begin with postgres://"));
    }
    let (mut mode, mut files, mut others) = (None, Files::default(), Vec::new());
    let path = |value: &str, refused| match percent_decode_str(value).decode_utf8() {
        Ok(path) => Ok(Some(path.into_owned())),
        Err(_) => Err(PostgresError::Url(refused)),
    };
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        match pair.split_once('=') {
            Some(("sslmode", value)) => mode = Some(value),
            Some(("sslrootcert", value)) => files.roots = path(value, "sslrootcert is not UTF-8")?,
            Some(("sslcert", value)) => files.certificate = path(value, "sslcert is not UTF-8")?,
            Some(("sslkey", value)) => files.key = path(value, "sslkey is not UTF-8")?,
            _ => others.push(pair),
        }
    }
    let rest = if others.is_empty() {
        base.to_owned()
    } else {
        format!("{base}?{}", others.join("&"))
    };
    // Without the driver's text, which can quote a part of the password.
    let mut config: Config = rest.parse().map_err(|_| {
        PostgresError::Url(
            "it is not of the form postgres://user:password@host:5432/name?option=value, or has an \
             unknown option",
        )
    })?;
    let is_local = !config.get_hosts().is_empty()
        && config
            .get_hosts()
            .iter()
            .all(|host| !matches!(host, Host::Tcp(_)));
    config.ssl_mode(match mode {
        _ if is_local => SslMode::Disable,
        Some("disable") => SslMode::Disable,
        Some("prefer") => SslMode::Prefer,
        None | Some("require" | "verify-ca" | "verify-full") => SslMode::Require,
        Some(_) => {
            return Err(PostgresError::Url(
                "sslmode is not disable, prefer, require, verify-ca or verify-full",
            ));
        }
    });
    Ok((config, files))
}

fn behave(config: &mut Config, wanted: TargetSessionAttrs) {
    config.target_session_attrs(wanted);
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(CONNECT_TIMEOUT);
    }
    if config.get_application_name().is_none() {
        config.application_name("certgate");
    }
    config
        .keepalives(true)
        .keepalives_idle(KEEPALIVE)
        .keepalives_interval(KEEPALIVE_INTERVAL)
        .tcp_user_timeout(KEEPALIVE);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(url: &str) -> SslMode {
        Address::parse(url).unwrap().config.get_ssl_mode()
    }

    #[test]
    fn clear_text_needs_an_option() {
        assert_eq!(
            mode("postgres://u@db.example/name?sslmode=disable"),
            SslMode::Disable
        );
        assert_eq!(
            mode("postgres://u@%2Frun%2Fpostgresql/name?sslmode=require"),
            SslMode::Disable
        );
        assert!(matches!(
            Address::parse("postgres://u@db.example/name?sslmode=allow"),
            Err(PostgresError::Url(_))
        ));
        let missing = Address::parse("postgres://u@db.example/name?sslrootcert=/nowhere.pem");
        assert!(
            matches!(missing, Err(PostgresError::Roots { .. })),
            "TLS is the default: {missing:?}"
        );
    }

    #[test]
    fn every_host_gets_the_rest_of_the_url() {
        assert_eq!(
            each_host("postgres://u:p,w/?@a.example:1,b.example/name?sslmode=disable"),
            [
                "postgres://u:p,w/?@a.example:1/name?sslmode=disable",
                "postgres://u:p,w/?@b.example/name?sslmode=disable"
            ]
        );
        assert_eq!(
            each_host("postgres://a.example,%2Frun"),
            ["postgres://a.example", "postgres://%2Frun"]
        );
        for url in [
            "postgres:///name?host=a.example,b.example",
            "postgres://u@a.example/name",
        ] {
            assert_eq!(each_host(url), [url]);
        }
        let address =
            Address::parse("postgres://u@a.example:1,b.example/name?sslmode=disable").unwrap();
        assert_eq!(address.to_string(), "name on a.example:1,b.example");
    }

    #[test]
    fn texts_never_have_the_password() {
        let address =
            Address::parse("postgres://u:s3cret@db.example/name?sslmode=disable").unwrap();
        assert_eq!(
            format!("{address:?} {address}"),
            "Address(name on db.example) name on db.example"
        );
        let url =
            PostgresUrl::parse("postgres://u:s3cret@db.example/name?password=s3cret").unwrap();
        assert_eq!(
            format!("{url:?} {url}"),
            "PostgresUrl(postgres://u:********@db.example/name) \
             postgres://u:********@db.example/name"
        );
        assert!(
            url.has_password()
                && !PostgresUrl::parse("postgres://u@db.example/name")
                    .unwrap()
                    .has_password()
        );
        for url in [
            "postgres://u:s3cret@db.example:port/name",
            "mysql://u:s3cret@db.example/name",
            "postgres://u:s3cret@db.example/name?sslmode=s3cret",
            "postgres://u:x@db.example/name?s3cret=1",
        ] {
            let error = Address::parse(url).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("s3cret"), "{error}");
        }
    }
}
