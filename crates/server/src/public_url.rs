//! The public address in certificates: the first start stores it, and a later one must have the
//! same. A certificate names the address for as long as it is valid.

use std::io::{BufRead, IsTerminal, Write};
use std::net::SocketAddr;

use anyhow::Context;
use certgate_service::{record_public_url, stored_public_url};
use certgate_store::{Earlier, Store};

use crate::config::{Config, ConfigError, read_public_url};

/// The treatment of another address than the stored one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// The start fails.
    Refused,
    /// New CAs get the new one.
    Accepted,
}

/// Returns the address for new CAs of a server whose responder is bound to `bound`.
pub async fn decide(
    store: &dyn Store,
    config: &Config,
    bound: SocketAddr,
    change: Change,
) -> anyhow::Result<String> {
    let stored = stored_public_url(store).await?;
    let wanted = match (&config.public_url, stored) {
        (None, Some(stored)) if !is_another_port(&stored, config.public_listen, bound) => {
            return Ok(stored);
        }
        (None, None) => ask(config.public_url(bound), bound).await?,
        (_, _) => config.public_url(bound),
    };
    let kept = record_public_url(store, &wanted, Earlier::Stays).await?;
    match (canonical(&kept) == canonical(&wanted), change) {
        // The same spelling in all certificates.
        (true, _) => return Ok(kept),
        (false, Change::Refused) => {
            return Err(ConfigError::new(format!(
                "public_url is {wanted}, but the first start stored {kept}, which certificates \
                 name: set public_url to {kept}, or use {wanted} for new CAs only with \
                 --public-url-changes"
            ))
            .into());
        }
        (false, Change::Accepted) => {
            record_public_url(store, &wanted, Earlier::IsReplaced).await?;
            tracing::warn!(
                before = kept,
                now = wanted,
                "public_url changed: new CAs name the new address, and the old one must keep \
                 working for the CAs before"
            );
        }
    }
    Ok(wanted)
}

/// Returns the form of an address that is equal for equal addresses (RFC 3986 §6.2): the host in
/// lower case, and without the default port and a slash at the end.
fn canonical(url: &str) -> String {
    let url = url.trim_end_matches('/');
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    let scheme = scheme.to_ascii_lowercase();
    let end_of_host = rest.find('/').unwrap_or(rest.len());
    let (host, path) = rest.split_at(end_of_host);
    let host = host.to_ascii_lowercase();
    let default_port = match &scheme[..] {
        "http" => ":80",
        "https" => ":443",
        _ => "",
    };
    let host = host.strip_suffix(default_port).unwrap_or(&host);
    format!("{scheme}://{host}{path}")
}

/// Returns true if the stored address was that of another port, which the user has changed. A port
/// that the system chooses is another one at each start.
fn is_another_port(stored: &str, listen: SocketAddr, bound: SocketAddr) -> bool {
    let of_socket = stored.strip_prefix("http://").map(str::parse::<SocketAddr>);
    matches!(of_socket, Some(Ok(before)) if listen.port() != 0 && before != bound)
}

/// Asks before certificates name an address that only this machine reaches, if a person starts the
/// server.
async fn ask(default: String, bound: SocketAddr) -> anyhow::Result<String> {
    let is_terminal = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    if !bound.ip().is_loopback() || !is_terminal {
        return Ok(default);
    }
    // The signals that stop the server are heard meanwhile.
    let answer = tokio::task::spawn_blocking(move || {
        let (mut input, mut output) = (std::io::stdin().lock(), std::io::stdout());
        answer(&mut input, &mut output, &default)
    });
    answer.await.context("the question was not answered")?
}

/// Asks until the answer is an address. An empty one accepts the default.
fn answer(
    input: &mut impl BufRead,
    output: &mut impl Write,
    default: &str,
) -> anyhow::Result<String> {
    writeln!(
        output,
        "Certificates name the address of their revocation lists for as long as they are valid.\n\
         Only this machine reaches {default}. You can set another one with --public-url."
    )?;
    loop {
        write!(output, "Public address [{default}]: ")?;
        output.flush()?;
        let mut line = String::new();
        input.read_line(&mut line)?;
        match line.trim() {
            "" => return Ok(default.to_owned()),
            text => match read_public_url(text) {
                Ok(url) => return Ok(url),
                Err(problem) => writeln!(output, "It {problem}.")?,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn enter_accepts_and_another_address_is_checked() {
        let asked = |typed: &str| {
            let mut output = Vec::new();
            let url = answer(&mut typed.as_bytes(), &mut output, "http://127.0.0.1:8788");
            (url.unwrap(), String::from_utf8(output).unwrap())
        };
        assert_eq!(asked("\n").0, "http://127.0.0.1:8788");
        assert_eq!(asked("").0, "http://127.0.0.1:8788");
        let (url, shown) = asked("pki.example.com\nhttp://pki.example.com/\n");
        assert_eq!(url, "http://pki.example.com");
        assert!(shown.contains("It must be an address"), "{shown}");
        assert_eq!(shown.matches("Public address [").count(), 2);
    }

    #[test]
    fn another_spelling_is_the_same_address() {
        for (one, other, is_same) in [
            ("http://PKI.example.com", "http://pki.example.com", true),
            ("http://pki.example.com:80", "http://pki.example.com/", true),
            ("https://pki.example:443/a", "https://pki.example/a/", true),
            ("http://[2001:DB8::1]:80", "http://[2001:db8::1]", true),
            ("http://pki.example:443", "http://pki.example", false),
            ("http://pki.example:8080", "http://pki.example", false),
            ("https://pki.example", "http://pki.example", false),
            ("http://pki.example/A", "http://pki.example/a", false),
            ("http://[2001:db8::80]", "http://[2001:db8:]", false),
        ] {
            assert_eq!(canonical(one) == canonical(other), is_same, "{one} {other}");
        }
    }

    #[test]
    fn a_port_that_the_system_chooses_is_not_another_address() {
        let socket = |text: &str| text.parse::<SocketAddr>().unwrap();
        let (listen, bound) = (socket("127.0.0.1:8788"), socket("127.0.0.1:8788"));
        for (stored, is_other) in [
            ("http://127.0.0.1:8788", false),
            ("http://127.0.0.1:9999", true),
            ("http://pki.example.com", false),
        ] {
            assert_eq!(is_another_port(stored, listen, bound), is_other, "{stored}");
        }
        let any = socket("127.0.0.1:0");
        assert!(!is_another_port("http://127.0.0.1:9999", any, bound));
    }
}
