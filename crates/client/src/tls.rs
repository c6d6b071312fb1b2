//! TLS below ureq: the servers that the client trusts.

mod connector;
mod trust;

use ureq::Agent;
use ureq::config::Config;
use ureq::unversioned::resolver::DefaultResolver;
use ureq::unversioned::transport::{ConnectProxyConnector, Connector as _, TcpConnector};

use rustls::ClientConfig;

use self::connector::TlsConnector;
pub use self::trust::{Seen, Trust, configuration, is_of_authority};

/// Makes an agent whose https connections have this TLS configuration.
pub fn agent(config: Config, tls: ClientConfig) -> Agent {
    let connector =
        ().chain(ConnectProxyConnector::default())
            .chain(TcpConnector::default())
            .chain(TlsConnector::new(tls));
    Agent::with_parts(config, connector, DefaultResolver::default())
}
