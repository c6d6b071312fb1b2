//! Name constraints of CAs (RFC 5280 §4.2.1.10), for the names that client certificates have: the
//! subject, e-mail addresses and host names in it, and subject alternative names.

use certgate_model::AlternativeName;

use crate::oid;
use crate::subject::{ComparableName, LetterCase, read_attribute, read_text};
use crate::tlv::{Cursor, NotDer, Tlv, tag};

/// The constraints of a CA, read once.
pub(crate) struct NameConstraints {
    permitted: Subtrees,
    excluded: Subtrees,
}

const BOUNDED: &str = "they have a minimum or maximum, which verifiers reject";

/// Subtrees of one kind each. Those of other kinds, such as directory names of other forms,
/// constrain no name of a client certificate.
#[derive(Default)]
struct Subtrees {
    directory: Vec<Vec<u8>>,
    dns: Vec<String>,
    email: Vec<String>,
    /// Tags of subtrees with a minimum or maximum: verifiers reject each name of these kinds.
    bounded: Vec<u8>,
    /// True if there are subtrees of URIs, and of IP addresses.
    has_uris: bool,
    has_addresses: bool,
}

impl NameConstraints {
    /// Reads the value of the extension. The error continues a sentence about the certificate.
    pub fn read(value: &[u8]) -> Result<Self, &'static str> {
        const MALFORMED: &str = "its name constraints are malformed";
        let read = || {
            let mut constraints = Cursor::new(value).inside(tag::SEQUENCE)?;
            let permitted = constraints.optional(tag::CONTEXT_0_CONSTRUCTED)?;
            let excluded = constraints.optional(tag::CONTEXT_1_CONSTRUCTED)?;
            constraints.end()?;
            Ok::<_, NotDer>([permitted, excluded])
        };
        let [permitted, excluded] = read().map_err(|_| MALFORMED)?;
        let subtrees = |found: Option<Tlv<'_>>| match found {
            Some(found) => Subtrees::read(found.content),
            None => Ok(Subtrees::default()),
        };
        let constraints = Self {
            permitted: subtrees(permitted)?,
            excluded: subtrees(excluded)?,
        };
        match constraints
            .excluded
            .directory
            .iter()
            .any(|base| *base == [tag::SEQUENCE, 0])
        {
            true => Err("its name constraints exclude every subject"),
            false => Ok(constraints),
        }
    }

    /// Checks a subject, a Name in DER, as a verifier does. The error names the first name that is
    /// not permitted.
    pub fn check(&self, subject: &[u8]) -> Result<(), String> {
        let malformed = |_| "the subject is malformed".to_owned();
        if subject != [tag::SEQUENCE, 0] {
            self.check_directory(subject).map_err(malformed)??;
        }
        let mut rdns = Cursor::new(subject)
            .inside(tag::SEQUENCE)
            .map_err(malformed)?;
        while !rdns.is_empty() {
            let mut rdn = rdns.inside(tag::SET).map_err(malformed)?;
            while !rdn.is_empty() {
                match read_attribute(&mut rdn).map_err(malformed)? {
                    (oid::EMAIL_ADDRESS, value) => self.check_email(value)?,
                    (oid::COMMON_NAME, value) => self.check_common_name(value)?,
                    _ => {}
                }
            }
        }
        Ok(())
    }

    /// Checks a subject alternative name. Constraints of URIs and IP addresses are not evaluated:
    /// below a CA that has some, no certificate has such names.
    pub fn check_alternative(&self, name: &AlternativeName) -> Result<(), String> {
        let (permitted, excluded) = (&self.permitted, &self.excluded);
        let bounded = |kind| match self.is_bounded(kind) {
            true => Err(BOUNDED.to_owned()),
            false => Ok(()),
        };
        let unless = |is_constrained: bool, kind: u8, names: &str| match is_constrained {
            true => Err(format!(
                "they constrain {names}, which certgate does not evaluate"
            )),
            false => bounded(kind),
        };
        match name {
            AlternativeName::Dns(name) => {
                bounded(tag::CONTEXT_2)?;
                check_text("host name", name, &permitted.dns, &excluded.dns, host_is_in)
            }
            AlternativeName::Email(address) => {
                bounded(tag::CONTEXT_1)?;
                let (permitted, excluded) = (&permitted.email, &excluded.email);
                check_text("e-mail address", address, permitted, excluded, email_is_in)
            }
            AlternativeName::Uri(_) => {
                let is_constrained = permitted.has_uris || excluded.has_uris;
                unless(is_constrained, tag::CONTEXT_6, "URIs")
            }
            AlternativeName::Ip(_) => {
                let is_constrained = permitted.has_addresses || excluded.has_addresses;
                unless(is_constrained, tag::CONTEXT_7, "IP addresses")
            }
            AlternativeName::Other(_) => Ok(()),
        }
    }

    fn check_directory(&self, subject: &[u8]) -> Result<Result<(), String>, NotDer> {
        let begins_with = |bases: &[Vec<u8>], case: LetterCase| -> Result<bool, NotDer> {
            let name = ComparableName::read_as(subject, case)?;
            let mut bases = bases.iter().map(|base| ComparableName::read_as(base, case));
            bases.try_fold(false, |found, base| Ok(found || name.begins_with(&base?)))
        };
        // Verifiers differ in the letter case beyond ASCII: both answers must be good.
        if self.is_bounded(tag::CONTEXT_4_CONSTRUCTED) {
            return Ok(Err(BOUNDED.to_owned()));
        }
        let (permitted, excluded) = (&self.permitted.directory, &self.excluded.directory);
        if !permitted.is_empty() && !begins_with(permitted, LetterCase::Ascii)? {
            return Ok(Err("the subject is not in a permitted subtree".to_owned()));
        }
        Ok(match begins_with(excluded, LetterCase::Unicode)? {
            true => Err("the subject is in an excluded subtree".to_owned()),
            false => Ok(()),
        })
    }

    fn is_bounded(&self, kind: u8) -> bool {
        self.permitted.bounded.contains(&kind) || self.excluded.bounded.contains(&kind)
    }

    fn check_email(&self, value: Tlv<'_>) -> Result<(), String> {
        if self.is_bounded(tag::CONTEXT_1) {
            return Err(BOUNDED.to_owned());
        }
        // OpenSSL rejects other string types below any constraint.
        let Some(address) = read_text(value).filter(|_| value.tag == tag::IA5_STRING) else {
            return Err("the emailAddress in the subject is not an IA5String".to_owned());
        };
        let (permitted, excluded) = (&self.permitted.email, &self.excluded.email);
        let is_constrained = !permitted.is_empty() || !excluded.is_empty();
        if is_constrained && !address.contains('@') {
            return Err("the emailAddress in the subject is not an e-mail address".to_owned());
        }
        check_text("e-mail address", &address, permitted, excluded, email_is_in)
    }

    /// Checks a common name that is a host name: without a subjectAltName, OpenSSL treats it so.
    fn check_common_name(&self, value: Tlv<'_>) -> Result<(), String> {
        let text = read_text(value).unwrap_or_default();
        match is_host_name(&text) {
            true if self.is_bounded(tag::CONTEXT_2) => Err(BOUNDED.to_owned()),
            true => check_text(
                "host name",
                &text,
                &self.permitted.dns,
                &self.excluded.dns,
                host_is_in,
            ),
            false => Ok(()),
        }
    }
}

fn check_text(
    kind: &str,
    text: &str,
    permitted: &[String],
    excluded: &[String],
    is_in: fn(&str, &str) -> bool,
) -> Result<(), String> {
    let within = |bases: &[String]| bases.iter().any(|base| is_in(text, base));
    let shown: String = text
        .chars()
        .take(80)
        .flat_map(char::escape_default)
        .collect();
    if !permitted.is_empty() && !within(permitted) {
        return Err(format!("the {kind} {shown} is not in a permitted subtree"));
    }
    match within(excluded) {
        true => Err(format!("the {kind} {shown} is in an excluded subtree")),
        false => Ok(()),
    }
}

impl Subtrees {
    fn read(content: &[u8]) -> Result<Self, &'static str> {
        const MALFORMED: &str = "its name constraints are malformed";
        let mut subtrees = Self::default();
        let mut rest = Cursor::new(content);
        while !rest.is_empty() {
            // GeneralSubtree ::= SEQUENCE { base, minimum [0] DEFAULT 0, maximum [1] OPTIONAL }
            let mut subtree = rest.inside(tag::SEQUENCE).map_err(|_| MALFORMED)?;
            let base = subtree.any().map_err(|_| MALFORMED)?;
            let minimum = subtree.optional(tag::CONTEXT_0).map_err(|_| MALFORMED)?;
            if minimum.is_some_and(|minimum| minimum.content != [0]) || !subtree.is_empty() {
                subtrees.bounded.push(base.tag);
                continue;
            }
            let text = || {
                let text = std::str::from_utf8(base.content).ok();
                text.filter(|text| text.is_ascii())
                    .map(str::to_owned)
                    .ok_or(MALFORMED)
            };
            match base.tag {
                tag::CONTEXT_1 => subtrees.email.push(text()?),
                tag::CONTEXT_2 => subtrees.dns.push(text()?),
                // directoryName [4] is explicit, because Name is a CHOICE.
                tag::CONTEXT_4_CONSTRUCTED => {
                    ComparableName::read(base.content).map_err(|_| MALFORMED)?;
                    subtrees.directory.push(base.content.to_vec());
                }
                tag::CONTEXT_6 => subtrees.has_uris = true,
                tag::CONTEXT_7 => subtrees.has_addresses = true,
                _ => {}
            }
        }
        Ok(subtrees)
    }
}

/// Returns true if an address is the mailbox, at the host, or in the domain of a constraint.
fn email_is_in(address: &str, base: &str) -> bool {
    let Some((mailbox, host)) = address.rsplit_once('@') else {
        return false;
    };
    match base.rsplit_once('@') {
        Some((only, at)) => (only.is_empty() || only == mailbox) && at.eq_ignore_ascii_case(host),
        None if base.starts_with('.') => ends_with(host, base),
        None => base.eq_ignore_ascii_case(host),
    }
}

/// Returns true if a host is that of a constraint or below it. An empty constraint has every host.
fn host_is_in(host: &str, base: &str) -> bool {
    match host.len().checked_sub(base.len()) {
        _ if base.is_empty() => true,
        None => false,
        Some(0) => host.eq_ignore_ascii_case(base),
        Some(at) => {
            let is_below = base.starts_with('.') || host.as_bytes()[at - 1] == b'.';
            is_below && ends_with(host, base)
        }
    }
}

fn ends_with(text: &str, end: &str) -> bool {
    let at = text.len().checked_sub(end.len());
    let rest = at.and_then(|at| text.as_bytes().get(at..));
    rest.is_some_and(|rest| rest.eq_ignore_ascii_case(end.as_bytes()))
}

/// Returns true if OpenSSL takes a common name for a host name: two or more labels of letters,
/// digits, `_` and inner hyphens.
fn is_host_name(text: &str) -> bool {
    let is_label = |label: &str| {
        let inner = label.bytes();
        let mut known = inner.map(|octet| octet.is_ascii_alphanumeric() || b"_-".contains(&octet));
        !label.is_empty()
            && known.all(|known| known)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    text.contains('.') && text.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_hosts_match_their_constraints() {
        for (address, base, is_in) in [
            ("a@example.com", "example.com", true),
            ("a@Example.COM", "example.com", true),
            ("a@b.example.com", "example.com", false),
            ("a@b.example.com", ".example.com", true),
            ("a@example.com", ".example.com", false),
            ("a@example.com", "a@example.com", true),
            ("A@example.com", "a@example.com", false),
            ("a@example.com", "@example.com", true),
            ("a@evilexample.com", "example.com", false),
            ("a@example.com", "", false),
        ] {
            assert_eq!(email_is_in(address, base), is_in, "{address} {base}");
        }
        for (host, base, is_in) in [
            ("example.com", "example.com", true),
            ("a.Example.com", "example.com", true),
            ("evilexample.com", "example.com", false),
            ("a.example.com", ".example.com", true),
            ("example.com", ".example.com", false),
            ("com", "example.com", false),
            ("a.b", "", true),
        ] {
            assert_eq!(host_is_in(host, base), is_in, "{host} {base}");
        }
        for (text, is_host) in [
            ("a.b", true),
            ("a_1.b-c.d", true),
            ("device-7", false),
            ("a..b", false),
            (".a.b", false),
            ("a.b.", false),
            ("a-.b", false),
            ("Zoë.example", false),
            ("a b.c", false),
            ("", false),
        ] {
            assert_eq!(is_host_name(text), is_host, "{text}");
        }
    }
}
