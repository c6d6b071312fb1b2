//! What a message about a rejected input may say.

use std::fmt::{Debug, Display};

/// Longest message. The longest advice has 400 bytes; the rest is for 40 quoted characters, each escaped.
const MESSAGE_BYTES_MAX: usize = 1_000;

/// How many characters of Base64 in a row are taken for key material: 24 octets, less than the shortest key has, and more
/// characters than any word of a message or name of an error.
const SECRET_CHARS_MIN: usize = 32;

/// The message is short, in what a person reads and in what a log could have, and repeats nothing of the text but labels.
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

/// What stands behind each BEGIN: it names the kind of the block, and is quoted.
fn labels(text: &str) -> impl Iterator<Item = &str> {
    text.split("-----BEGIN ")
        .skip(1)
        .map(|begun| begun.split("-----").next().unwrap_or_default())
}
