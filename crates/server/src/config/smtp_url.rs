//! The address of a mail server.

/// The protection of a connection to a mail server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SmtpSecurity {
    /// None: the server is on this machine.
    Cleartext,
    /// `smtp://`: TLS after STARTTLS, which the server must have.
    StartTls,
    /// `smtps://`: TLS from the beginning.
    Tls,
}

/// An address such as `smtp://certgate@mail.example.com:587`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SmtpUrl {
    /// The protection.
    pub security: SmtpSecurity,
    /// The user, if the server wants one.
    pub user: Option<String>,
    /// The host, without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl SmtpUrl {
    /// Reads an address. The error continues a sentence about it, and does not repeat it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let malformed = || {
            "must be an address such as smtp://user@mail.example.com:587 or \
             smtps://mail.example.com, without a path"
                .to_owned()
        };
        let (scheme, rest) = text.split_once("://").ok_or_else(malformed)?;
        let (security, port) = match scheme {
            "smtp" => (SmtpSecurity::StartTls, 587),
            "smtps" => (SmtpSecurity::Tls, 465),
            _ => return Err(malformed()),
        };
        let (user, place) = match rest.rsplit_once('@') {
            Some((user, place)) => (Some(user), place),
            None => (None, rest),
        };
        if user.is_some_and(|user| user.contains(':')) {
            return Err("has a password: put it into smtp_password_file".to_owned());
        }
        let after_host = place.rfind(']').map_or(0, |end| end + 1);
        let (host, port) = match place[after_host..].rfind(':') {
            Some(colon) => {
                let (host, port) = place.split_at(after_host + colon);
                (host, port[1..].parse().map_err(|_| malformed())?)
            }
            None => (place, port),
        };
        let host = host.trim_matches(['[', ']']);
        let is_plain = |octet: u8| octet.is_ascii_alphanumeric() || b"-._:".contains(&octet);
        let is_user = |octet: u8| octet.is_ascii_graphic() && !b"/?#%".contains(&octet);
        if host.is_empty()
            || !host.bytes().all(is_plain)
            || !user.is_none_or(|user| !user.is_empty() && user.bytes().all(is_user))
        {
            return Err(malformed());
        }
        let is_local = super::webhook_url::is_loopback(host);
        Ok(Self {
            security: match security {
                SmtpSecurity::StartTls if is_local => SmtpSecurity::Cleartext,
                security => security,
            },
            user: user.map(str::to_owned),
            host: host.to_owned(),
            port,
        })
    }

    /// Returns scheme, host and port.
    pub fn origin(&self) -> String {
        let scheme = match self.security {
            SmtpSecurity::Cleartext | SmtpSecurity::StartTls => "smtp",
            SmtpSecurity::Tls => "smtps",
        };
        let host = match self.host.contains(':') {
            true => format!("[{}]", self.host),
            false => self.host.clone(),
        };
        format!("{scheme}://{host}:{}", self.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_need_tls_unless_they_stay_on_this_machine() {
        for (text, security, user, host, port) in [
            (
                "smtp://a@mail.test",
                SmtpSecurity::StartTls,
                Some("a"),
                "mail.test",
                587,
            ),
            (
                "smtps://a@b@mail.test:1",
                SmtpSecurity::Tls,
                Some("a@b"),
                "mail.test",
                1,
            ),
            (
                "smtp://127.0.0.1:25",
                SmtpSecurity::Cleartext,
                None,
                "127.0.0.1",
                25,
            ),
            ("smtp://[::1]:25", SmtpSecurity::Cleartext, None, "::1", 25),
            (
                "smtps://localhost",
                SmtpSecurity::Tls,
                None,
                "localhost",
                465,
            ),
        ] {
            let url = SmtpUrl::parse(text).unwrap();
            let found = (url.security, url.user.as_deref(), &*url.host, url.port);
            assert_eq!(found, (security, user, host, port));
        }
        for refused in [
            "mail.test",
            "http://mail.test",
            "smtp://",
            "smtp://u:s3cret@mail.test",
            "smtp://@mail.test",
            "smtp://mail.test/path",
            "smtp://mail.test:x",
            "smtp://a b@mail.test",
        ] {
            let error = SmtpUrl::parse(refused).unwrap_err();
            assert!(!error.contains("s3cret"), "{error}");
        }
    }
}
