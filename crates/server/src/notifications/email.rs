//! E-mail: one message for all events of a minute.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use certgate_model::{Hex, NotificationKind, Timestamp};
use certgate_service::{NotDelivered, Notification, NotifiedCertificate, Outlet, Subject};
use futures_util::future::BoxFuture;
use lettre::message::Mailbox;
use lettre::message::header::ContentType;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, CertificateStore, Tls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use tokio::time::timeout;

use super::document::event_id;
use crate::config::{ConfigError, EmailConfig, SmtpSecurity};
use crate::secret_file;

/// The limit of an attempt to send e-mail. Mail servers are slow, and the lease on delivering is
/// renewed after half a minute.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(25);

/// The shortest time between two messages.
const INTERVAL: Duration = Duration::from_secs(60);

/// The most events of an e-mail.
const EVENTS_MAX: u32 = 1_000;

/// The most events that an e-mail lists.
const LISTED_MAX: usize = 50;

/// The largest file of a mail password, in octets.
const PASSWORD_BYTES_MAX: u64 = 1_024;

/// The longest name in an e-mail, in characters.
const NAME_CHARACTERS_MAX: usize = 100;

/// E-mail to some addresses.
pub struct Email {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    address: String,
    from: Mailbox,
    to: Vec<Mailbox>,
    kinds: Vec<NotificationKind>,
}

impl Email {
    /// Reads the files that the settings name.
    pub fn new(config: &EmailConfig) -> Result<Self, ConfigError> {
        let url = &config.url;
        let secured = || parameters(&url.host, config.ca_file.as_deref());
        let tls = match url.security {
            SmtpSecurity::Cleartext => Tls::None,
            SmtpSecurity::StartTls => Tls::Required(secured()?),
            SmtpSecurity::Tls => Tls::Wrapper(secured()?),
        };
        let mut transport = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&url.host)
            .port(url.port)
            .timeout(Some(ATTEMPT_TIMEOUT))
            .tls(tls);
        if let (Some(user), Some(file)) = (&url.user, &config.password_file) {
            let what = "file of the password for e-mail";
            let remedy = " (smtp_password_file)";
            let password = secret_file::read(file, what, remedy, PASSWORD_BYTES_MAX)?;
            let password = password.trim_end_matches(['\r', '\n']);
            if password.is_empty() {
                let shown = file.display();
                return Err(ConfigError::new(format!("the {what} {shown} is empty")));
            }
            transport = transport.credentials(Credentials::new(user.clone(), password.to_owned()));
        }
        Ok(Self {
            transport: transport.build(),
            address: url.origin(),
            from: config.from.clone(),
            to: config.to.clone(),
            kinds: config.events.clone(),
        })
    }

    fn message(&self, events: &[Notification]) -> Result<Message, NotDelivered> {
        let failed = |error: lettre::error::Error| {
            NotDelivered::new(format!("the message cannot be made: {error}"))
        };
        let mut builder = Message::builder()
            .from(self.from.clone())
            .subject(subject(events))
            .header(ContentType::TEXT_PLAIN);
        for to in &self.to {
            builder = builder.to(to.clone());
        }
        if let Some(first) = events.first() {
            // The same for the same events, so that a repetition is recognised.
            let id = format!("<{}.{}@certgate>", event_id(first), events.len());
            builder = builder.message_id(Some(id));
        }
        builder.body(body(events)).map_err(failed)
    }
}

impl Outlet for Email {
    fn name(&self) -> &'static str {
        "email"
    }

    fn address(&self) -> &str {
        &self.address
    }

    fn kinds(&self) -> &[NotificationKind] {
        &self.kinds
    }

    fn events_max(&self) -> u32 {
        EVENTS_MAX
    }

    fn interval(&self) -> Duration {
        INTERVAL
    }

    fn deliver<'a>(
        &'a self,
        events: &'a [Notification],
    ) -> BoxFuture<'a, Result<(), NotDelivered>> {
        Box::pin(async move {
            let message = self.message(events)?;
            let seconds = ATTEMPT_TIMEOUT.as_secs();
            match timeout(ATTEMPT_TIMEOUT, self.transport.send(message)).await {
                Ok(Ok(_)) => Ok(()),
                Ok(Err(error)) => Err(NotDelivered::new(with_causes(&error))),
                Err(_) => Err(NotDelivered::new(format!(
                    "no answer within {seconds} seconds"
                ))),
            }
        })
    }
}

fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        let shown = next.to_string();
        if !text.contains(&shown) {
            text.push_str(": ");
            text.push_str(&shown);
        }
        cause = next.source();
    }
    text
}

fn parameters(host: &str, ca_file: Option<&Path>) -> Result<TlsParameters, ConfigError> {
    let mut builder = TlsParameters::builder(host.to_owned());
    if let Some(path) = ca_file {
        let shown = path.display();
        let failed = |error: String| ConfigError::new(format!("smtp_ca_file {shown}: {error}"));
        let pem = std::fs::read(path).map_err(|error| failed(error.to_string()))?;
        let certificate = Certificate::from_pem(&pem).map_err(|error| failed(error.to_string()))?;
        builder = builder
            .certificate_store(CertificateStore::None)
            .add_root_certificate(certificate);
    }
    let built = builder.build();
    built.map_err(|error| ConfigError::new(format!("TLS to {host} cannot be used: {error}")))
}

/// Returns a subject without a name from a certificate.
fn subject(events: &[Notification]) -> String {
    match events {
        [one] => format!("certgate: {}", what(one)),
        events => format!("certgate: {} events", events.len()),
    }
}

fn what(event: &Notification) -> &'static str {
    match &event.subject {
        Subject::Certificate { kind, .. } => match kind {
            NotificationKind::Revoked => "certificate revoked",
            NotificationKind::Restored => "certificate restored",
            _ => "certificate issued",
        },
        Subject::Expiring { .. } => "certificates expire soon",
        Subject::Authority { .. } => "CA expires soon",
        Subject::Crl { .. } => "CRL was not renewed",
        Subject::Point { .. } => "enforcement point is silent",
        Subject::Test => "test",
    }
}

fn body(events: &[Notification]) -> String {
    let mut text = String::new();
    for event in events.iter().take(LISTED_MAX) {
        write_event(&mut text, event).expect("writing to a String cannot fail");
    }
    let others = events.len().saturating_sub(LISTED_MAX);
    if others > 0 {
        text.push_str(&format!("and {others} other events\n"));
    }
    text
}

fn write_event(text: &mut String, event: &Notification) -> std::fmt::Result {
    writeln!(text, "{} {}", event.at, what(event))?;
    match &event.subject {
        Subject::Certificate {
            actor,
            reason,
            zone,
            certificate,
            ..
        } => {
            write_certificate(text, certificate)?;
            writeln!(text, "  zone: {}", name(zone.name.as_deref()))?;
            writeln!(text, "  by: {actor}")?;
            if let Some(reason) = reason {
                writeln!(text, "  reason: {reason}")?;
            }
        }
        Subject::Expiring {
            zone,
            count,
            certificates,
        } => {
            writeln!(text, "  zone: {}", name(zone.name.as_deref()))?;
            writeln!(text, "  certificates without a renewal: {count}")?;
            for certificate in certificates {
                write_certificate(text, certificate)?;
            }
        }
        Subject::Authority {
            id,
            name: of,
            expires_on,
        } => write_object(text, "CA", of, &id.to_string(), "expires", *expires_on)?,
        Subject::Crl {
            authority,
            name: of,
            next_update,
        } => {
            let id = authority.to_string();
            write_object(text, "CA", of, &id, "the list ends", *next_update)?;
        }
        Subject::Point {
            id,
            name: of,
            lease_ended_on,
        } => {
            let (id, what) = (id.to_string(), "enforcement point");
            write_object(text, what, of, &id, "the lease ended", *lease_ended_on)?;
        }
        Subject::Test => {}
    }
    writeln!(text, "  event: evt_{}\n", Hex(&event.id))
}

fn write_object(
    text: &mut String,
    what: &str,
    of: &str,
    id: &str,
    ends: &str,
    at: Timestamp,
) -> std::fmt::Result {
    writeln!(text, "  {what}: {} ({id})\n  {ends}: {at}", name(Some(of)))
}

fn write_certificate(text: &mut String, certificate: &NotifiedCertificate) -> std::fmt::Result {
    let record = certificate.record.as_deref();
    let common_name = record.map(|record| &*record.subject.common_name);
    write!(
        text,
        "  certificate: {} ({})",
        name(common_name),
        certificate.id
    )?;
    match record {
        Some(record) => writeln!(text, ", expires {}", record.expires_on),
        None => writeln!(text),
    }
}

/// Returns the beginning of a name in quotation marks. Control characters, and those that change
/// the direction of text or are invisible, are escaped: a name must not look like another line.
fn name(name: Option<&str>) -> String {
    let Some(name) = name else {
        return "-".to_owned();
    };
    let mut shown = String::from("\"");
    for character in name.chars().take(NAME_CHARACTERS_MAX) {
        match character {
            ' '..='~' if character != '"' => shown.push(character),
            _ if character.is_alphanumeric() => shown.push(character),
            _ => shown.extend(character.escape_unicode()),
        }
    }
    if name.chars().nth(NAME_CHARACTERS_MAX).is_some() {
        shown.push('…');
    }
    shown.push('"');
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_names_stay_on_their_line() {
        let hostile = "a\r\nBcc: x@example.com\u{202e}\u{200b}\"\u{0}é漢";
        let shown = name(Some(hostile));
        assert!(shown.chars().all(|character| !character.is_control()));
        assert!(!shown.contains(['\u{202e}', '\u{200b}']));
        assert!(shown.contains("é漢") && shown.contains("\\u{d}\\u{a}Bcc"));
        assert!(name(Some(&"x".repeat(500))).chars().count() < 110);
    }
}
