//! Checks of names: display names, and domain names (RFC 1035, RFC 1123).

/// Longest name of an account, token or uploaded certificate, in characters.
pub(crate) const NAME_CHARACTERS_MAX: usize = 100;

/// Longest domain name, in octets (RFC 1035 §2.3.4, without the root label).
const DOMAIN_OCTETS_MAX: usize = 253;

/// Longest label of a domain name, in octets (RFC 1035 §2.3.4).
const LABEL_OCTETS_MAX: usize = 63;

/// Longest e-mail address, in octets: the limit of an SMTP mailbox (RFC 5321 §4.5.3.1.3).
const EMAIL_BYTES_MAX: usize = 254;

/// Longest part of a rejected name that an error shows, in characters.
const SHOWN_CHARACTERS_MAX: usize = 80;

/// Returns a display name without the spaces around it. Rejects an empty name, a name that is too
/// long, and control characters, which a terminal would obey, or which show the name in another
/// order.
pub(crate) fn checked_name(name: &str) -> Result<String, String> {
    let name = name.trim();
    if name.is_empty() {
        return Err("the name is empty".to_owned());
    }
    check_text(name)?;
    Ok(name.to_owned())
}

/// Rejects a name that is too long or has control characters. It may be empty.
pub(crate) fn check_text(name: &str) -> Result<(), String> {
    let length = name.chars().count();
    if length > NAME_CHARACTERS_MAX {
        return Err(format!(
            "the name has {length} characters: use at most {NAME_CHARACTERS_MAX}"
        ));
    }
    if name
        .chars()
        .any(|char| char.is_control() || is_bidirectional(char))
    {
        return Err("the name has a control character: use printable characters".to_owned());
    }
    Ok(())
}

/// Returns true for the control characters of the bidirectional algorithm (UAX #9 §2): they let a
/// name look like another one.
fn is_bidirectional(char: char) -> bool {
    let marks = ['\u{61c}', '\u{200e}', '\u{200f}'];
    marks.contains(&char) || matches!(char, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Accepts an address that can be sent in a header and compared. The server sends no mail.
pub(crate) fn checked_email(text: &str) -> Result<String, String> {
    let (mailbox, domain) = text.rsplit_once('@').unwrap_or_default();
    let visible = text.bytes().all(|byte| byte.is_ascii_graphic());
    if visible && !mailbox.is_empty() && !domain.is_empty() && text.len() <= EMAIL_BYTES_MAX {
        return Ok(text.to_owned());
    }
    Err(format!(
        "{text:?} is not an e-mail address: use one such as admin@example.com, with at most \
         {EMAIL_BYTES_MAX} octets"
    ))
}

/// Returns the name of a zone: a DNS name of at least two labels, in lower case, without the final
/// dot (RFC 1123 §2.1).
pub(crate) fn checked_zone_name(name: &str) -> Result<String, String> {
    let shown: String = name.chars().take(SHOWN_CHARACTERS_MAX).collect();
    let refuse = |reason: &str| {
        Err(format!(
            "{shown:?} is not a domain name such as example.com: {reason}"
        ))
    };
    let name = name.trim().trim_end_matches('.').to_ascii_lowercase();
    if let Some(fault) = domain_name_fault(&name) {
        return refuse(&fault);
    }
    if !name.contains('.') {
        return refuse("it needs at least two labels");
    }
    if is_address(&name) {
        return refuse("programs read a name that ends in a number as an IP address");
    }
    if is_public_suffix(&name) {
        return refuse(
            "it is a public suffix, below which everyone can register names; use a name below it",
        );
    }
    Ok(name)
}

/// Returns true if the last label is a number, decimal or hexadecimal: no top-level domain is one
/// (RFC 3696 §2), and URLs and resolvers read such a name as an IPv4 address.
fn is_address(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or_default();
    let digits = last.strip_prefix("0x");
    last.bytes().all(|byte| byte.is_ascii_digit())
        || digits.is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// Returns true if the name is a suffix in the ICANN section of the public suffix list, or if each
/// name below it is one. A name without a listed suffix, such as `corp.internal`, is not one.
fn is_public_suffix(name: &str) -> bool {
    let is_listed = |name: &str| {
        let suffix = psl::suffix(name.as_bytes());
        let is_icann = |suffix: &psl::Suffix<'_>| suffix.typ() == Some(psl::Type::Icann);
        suffix.is_some_and(|suffix| suffix.as_bytes() == name.as_bytes() && is_icann(&suffix))
    };
    is_listed(name) || is_listed(&format!("x.{name}"))
}

/// Returns the reason why a text is not a DNS name without a final dot (RFC 1123 §2.1), in any
/// letter case.
pub(crate) fn domain_name_fault(name: &str) -> Option<String> {
    if name.len() > DOMAIN_OCTETS_MAX {
        return Some(format!(
            "it has {} octets, the maximum is {DOMAIN_OCTETS_MAX}",
            name.len()
        ));
    }
    for label in name.split('.') {
        if label.is_empty() || label.len() > LABEL_OCTETS_MAX {
            return Some(format!("each label has 1 to {LABEL_OCTETS_MAX} octets"));
        }
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        if !label.bytes().all(allowed) || label.starts_with('-') || label.ends_with('-') {
            let reason = "labels have letters, digits and inner hyphens; write other scripts in \
                          Punycode (xn--…)";
            return Some(reason.to_owned());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zone_names_are_domain_names() {
        assert_eq!(checked_zone_name("Example.COM.").unwrap(), "example.com");
        assert_eq!(
            checked_zone_name("xn--bcher-kva.example").unwrap(),
            "xn--bcher-kva.example"
        );
        // A name below a suffix, one of the list's private section, an exception of the list, and
        // names without a listed suffix.
        for good in [
            "example.co.uk",
            "github.io",
            "www.ck",
            "corp.internal",
            "a.0xg",
            "1.example",
        ] {
            assert_eq!(checked_zone_name(good).unwrap(), good);
        }
        for bad in [
            "",
            "com",
            ".",
            "a..b",
            "-a.example",
            "a-.example",
            "bücher.example",
            "*.example.com",
            "a b.example",
            &"a.".repeat(140),
            &format!("{}.example", "a".repeat(64)),
            "192.0.2.1",
            "10.1",
            "a.0x7f",
            "co.uk",
            "CO.UK.",
            "xn--55qx5d.cn",
            "anything.ck",
            "kobe.jp",
        ] {
            assert!(checked_zone_name(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn names_are_printable_and_bounded() {
        assert_eq!(checked_name(" Büro 1 ").unwrap(), "Büro 1");
        for bad in [
            "",
            "  ",
            "a\u{1b}[2Jb",
            "prod\u{202e}tset",
            "a\u{2066}b",
            "a\u{200f}b",
            &"x".repeat(NAME_CHARACTERS_MAX + 1),
        ] {
            assert!(checked_name(bad).is_err(), "{bad:?}");
        }
    }
}
