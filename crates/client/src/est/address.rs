//! The address of an EST server, as a user writes it.

use std::fmt;

use crate::failure::Failure;
use crate::http::is_loopback;
use crate::output::printable;

/// The path below which RFC 7030 §3.2.2 puts the operations.
const WELL_KNOWN: &str = "/.well-known/est";

/// The address of the operations of an EST server, without the last slash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EstUrl(String);

impl EstUrl {
    /// Reads an address. An address without a path gets that of RFC 7030.
    pub fn new(text: &str) -> Result<Self, Failure> {
        let trimmed = text.trim().trim_end_matches('/');
        let rest = trimmed.strip_prefix("https://").unwrap_or_default();
        let plain = rest
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && !b"?#@\"<>\\".contains(&byte));
        if rest.is_empty() || rest.starts_with('/') || !plain {
            let shown = printable(text);
            return Err(
                Failure::usage(format!("{shown:?} is not the address of an EST server")).hint(
                    "write it as https://enrol.example.com/.well-known/est/example.com; http is \
                     not possible",
                ),
            );
        }
        Ok(match rest.contains('/') {
            true => Self(trimmed.to_owned()),
            false => Self(format!("{trimmed}{WELL_KNOWN}")),
        })
    }

    /// The address of an operation.
    pub(super) fn of(&self, operation: &str) -> String {
        format!("{}/{operation}", self.0)
    }

    /// Returns true if requests stay on this machine.
    pub(super) fn is_loopback(&self) -> bool {
        is_loopback(&self.0)
    }
}

impl fmt::Display for EstUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_get_the_path_of_the_rfc() {
        for (text, read) in [
            ("https://a.example/", "https://a.example/.well-known/est"),
            (
                " https://a.example:8443/.well-known/est/example.com/ ",
                "https://a.example:8443/.well-known/est/example.com",
            ),
            ("https://a.example/other", "https://a.example/other"),
        ] {
            assert_eq!(EstUrl::new(text).unwrap().to_string(), read);
        }
        for bad in [
            "",
            "a.example",
            "http://a.example",
            "https://",
            "https://u@a",
            "https://a?b",
        ] {
            let refused = EstUrl::new(bad).unwrap_err().to_string();
            assert!(refused.contains("is not the address"), "{bad}: {refused}");
        }
    }
}
