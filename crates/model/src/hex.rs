//! Octets as hexadecimal digits.

use std::fmt;

/// A wrapper whose `Display` writes octets as lower-case hexadecimal digits.
pub struct Hex<'a>(pub &'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, self.0)
    }
}

impl Hex<'_> {
    /// Appends the digits to the text of an answer.
    pub fn append(&self, out: &mut Vec<u8>) {
        let mut text = [0; 2 * CHUNK];
        for chunk in self.0.chunks(CHUNK) {
            out.extend_from_slice(digits(chunk, &mut text));
        }
    }
}

/// Octets whose digits are made at once: a digest.
const CHUNK: usize = 32;

pub(crate) fn write_hex(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    let mut text = [0; 2 * CHUNK];
    for chunk in bytes.chunks(CHUNK) {
        let written = digits(chunk, &mut text);
        f.write_str(std::str::from_utf8(written).expect("hex digits are ASCII"))?;
    }
    Ok(())
}

/// Writes digits without a table, so that the compiler can use vector instructions.
fn digits<'t>(chunk: &[u8], text: &'t mut [u8; 2 * CHUNK]) -> &'t [u8] {
    let digit = |half: u8| half + if half < 10 { b'0' } else { b'a' - 10 };
    for (pair, byte) in text.chunks_exact_mut(2).zip(chunk) {
        pair[0] = digit(byte >> 4);
        pair[1] = digit(byte & 15);
    }
    &text[..chunk.len() * 2]
}

/// Reads exactly `N` octets from hexadecimal digits in any letter case; `None` for any other text.
pub fn read_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let text = text.as_bytes();
    if text.len() != 2 * N {
        return None;
    }
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let mut octets = [0; N];
    for (octet, pair) in octets.iter_mut().zip(text.chunks_exact(2)) {
        *octet = (digit(pair[0])? << 4 | digit(pair[1])?) as u8;
    }
    Some(octets)
}
