//! The invariants of messages about rejected input.

use std::fmt::{Debug, Display};

/// Longest message, in bytes. The longest advice has 400 bytes. The rest is room for 40 quoted
/// characters, each escaped.
const MESSAGE_BYTES_MAX: usize = 1_000;

/// Shortest run of Base64 characters that counts as key material. It has 24 octets, fewer than the
/// shortest key, and is longer than any word of a message or name of an error.
const SECRET_CHARS_MIN: usize = 32;

/// Checks that the `Display` and `Debug` forms of an error are short and repeat no part of the text
/// except labels.
pub(crate) fn check(text: &str, error: &(impl Display + Debug)) {
    for message in [error.to_string(), format!("{error:?}")] {
        assert!(
            message.len() <= MESSAGE_BYTES_MAX,
            "{} bytes: {message}",
            message.len()
        );
        for run in message.split(|c: char| !(c.is_ascii_alphanumeric() || "+/=".contains(c))) {
            let repeated = run.len() >= SECRET_CHARS_MIN && text.contains(run);
            assert!(
                !repeated || labels(text).any(|label| label.contains(run)),
                "repeats {run}: {message}"
            );
        }
    }
}

/// The labels after each BEGIN. They name the kind of the block, and messages quote them.
fn labels(text: &str) -> impl Iterator<Item = &str> {
    text.split("-----BEGIN ")
        .skip(1)
        .map(|begun| begun.split("-----").next().unwrap_or_default())
}
