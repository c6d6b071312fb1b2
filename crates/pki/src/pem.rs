//! PEM (RFC 7468): reading blocks from a text, writing blocks for files and for JSON.

use base64_simd::{AsOut as _, STANDARD};
use base64ct::{Base64, Base64Unpadded, Encoding as _};

/// Octets in one line of 64 characters, the width that RFC 7468 §2 requires of writers.
const LINE_OCTETS: usize = 48;

/// Octets that are encoded at once: twelve lines.
const LINES_OCTETS: usize = 12 * LINE_OCTETS;

/// Octets in one piece of a long block, about 64 KiB of text: a thousand clients that read slowly
/// hold as many pieces.
const PIECE_OCTETS: usize = 1024 * LINE_OCTETS;

/// Longest accepted label of a PEM block, in characters. The longest in RFC 7468 has 22.
const LABEL_CHARS_MAX: usize = 64;

/// Most characters of a label that a message shows.
const SHOWN_LABEL_CHARS_MAX: usize = 40;

const BEGIN: &str = "-----BEGIN ";
const DASHES: &str = "-----";

/// The reasons to reject a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PemError {
    /// It has no BEGIN line.
    None,
    /// It has several BEGIN lines.
    Several,
    /// One of its blocks is a private key.
    PrivateKey,
    /// A BEGIN line does not end, or its label is too long.
    BeginCutOff,
    /// It has no END line with the same label.
    NoEnd,
}

/// An encoded block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Block<'a> {
    pub label: &'a str,
    body: &'a str,
    /// The text before the block.
    pub before: &'a str,
    /// The text after the block.
    pub after: &'a str,
}

impl<'a> Block<'a> {
    /// Finds the only block in `text`. Other text may precede and follow it.
    pub fn find(text: &'a str) -> Result<Self, PemError> {
        let found = Self::first(text).and_then(|block| match block.after.contains(BEGIN) {
            true => Err(PemError::Several),
            false => Ok(block),
        });
        // The body of a good block is Base64, which cannot contain a BEGIN line.
        let begins_key = match &found {
            Ok(block) => begins_private_key(block.before) || begins_private_key(block.after),
            Err(_) => false,
        };
        let is_key = found.is_ok_and(|block| block.is_private_key());
        match is_key || begins_key || found.is_err() && begins_private_key(text) {
            true => Err(PemError::PrivateKey),
            false => found,
        }
    }

    /// Finds all blocks in `text`, including private keys, in order. Other text may precede and
    /// follow each block.
    pub fn all(text: &'a str) -> Result<Vec<Self>, PemError> {
        let mut blocks = Vec::new();
        let mut rest = text;
        loop {
            match Self::first(rest) {
                Ok(block) if block.body.contains(BEGIN) => return Err(PemError::NoEnd),
                Ok(block) => {
                    rest = block.after;
                    blocks.push(block);
                }
                Err(PemError::None) if !blocks.is_empty() => return Ok(blocks),
                Err(error) => return Err(error),
            }
        }
    }

    /// Reads the first block in `text`.
    fn first(text: &'a str) -> Result<Self, PemError> {
        let (before, begun) = text.split_once(BEGIN).ok_or(PemError::None)?;
        let (label, rest) = begun.split_once(DASHES).ok_or(PemError::BeginCutOff)?;
        if label.len() > LABEL_CHARS_MAX || label.contains(['\n', '\r', '\\']) {
            return Err(PemError::BeginCutOff);
        }
        let (body, end) = rest.split_once("-----END ").ok_or(PemError::NoEnd)?;
        let after = end
            .strip_prefix(label)
            .and_then(|after| after.strip_prefix(DASHES))
            .ok_or(PemError::NoEnd)?;
        Ok(Self {
            label,
            body,
            before,
            after,
        })
    }

    /// Returns true for a private key in any form.
    pub fn is_private_key(&self) -> bool {
        self.label.ends_with("PRIVATE KEY")
    }

    /// Returns true if a passphrase protects the block. The label of PKCS #8 says so, and a header
    /// of the older forms (RFC 1421 §4.6.1.1).
    pub fn is_encrypted(&self) -> bool {
        self.label.starts_with("ENCRYPTED") || self.body.contains("Proc-Type:")
    }

    /// Returns the body without headers (RFC 1421 §4.4), which a blank line ends.
    fn encoded(&self) -> &'a str {
        if !self.body.contains(':') {
            return self.body;
        }
        let blank_lines = ["\n\n", "\r\n\r\n", "\\n\\n"].into_iter();
        let mut parts = blank_lines.filter_map(|line| self.body.split_once(line));
        parts.next().map_or(self.body, |(_, encoded)| encoded)
    }

    /// The label for a message: at most 40 characters, each escaped unless it is printable ASCII.
    pub fn shown_label(&self) -> String {
        self.label
            .chars()
            .take(SHOWN_LABEL_CHARS_MAX)
            .flat_map(char::escape_default)
            .collect()
    }

    /// Returns the length of a text that has nothing but this block with `octets` octets, its lines
    /// of 64 characters ended by CR and LF.
    pub fn ordinary_bytes(&self, octets: usize) -> usize {
        let frame = "-----BEGIN -----\r\n-----END -----\r\n".len() + 2 * self.label.len();
        frame + base64_bytes(octets)
    }

    /// Decodes the octets, `None` if the body is not Base64.
    pub fn decode(&self) -> Option<Vec<u8>> {
        let encoded = self.encoded();
        let mut octets: Vec<u8> = Vec::with_capacity(encoded.len());
        octets.extend(Characters(encoded.as_bytes()));
        let length = Base64::decode_in_place(&mut octets).ok()?.len();
        octets.truncate(length);
        Some(octets)
    }
}

/// Decodes a text that is Base64 and white space, [`None`] if it is not. Encoders of such texts
/// omit the padding, or use the alphabet of URLs (RFC 4648 §5).
pub(crate) fn decode_base64(text: &str) -> Option<Vec<u8>> {
    let mut octets = Vec::with_capacity(text.len());
    octets.extend(
        Characters(text.as_bytes()).map(|character| match character {
            b'-' => b'+',
            b'_' => b'/',
            other => other,
        }),
    );
    let padding = octets.iter().rev().take_while(|octet| **octet == b'=');
    let padding = padding.count();
    if padding > 2 {
        return None;
    }
    octets.truncate(octets.len() - padding);
    let length = Base64Unpadded::decode_in_place(&mut octets).ok()?.len();
    octets.truncate(length);
    Some(octets)
}

/// Writes Base64 (RFC 4648 §4) in one line.
pub fn write_base64(octets: &[u8]) -> String {
    Base64::encode_string(octets)
}

/// Returns the length of Base64 of `octets` octets, in lines of 64 characters ended by CR and LF.
pub(crate) fn base64_bytes(octets: usize) -> usize {
    octets.div_ceil(3) * 4 + octets.div_ceil(LINE_OCTETS) * "\r\n".len()
}

/// Returns true if a text begins a private key: with the BEGIN line of PEM or of SSH, in any letter
/// case and perhaps cut off, or as PuTTY does.
pub(crate) fn begins_private_key(text: &str) -> bool {
    const KEY: &[u8] = b"PRIVATE KEY";
    let octets = text.as_bytes();
    let begins = |(at, part): (usize, &[u8])| {
        let label = octets[at.saturating_sub(LABEL_CHARS_MAX)..at]
            .rsplit(|octet| !octet.is_ascii_alphanumeric() && *octet != b' ')
            .next()
            .unwrap_or_default()
            .trim_ascii_start();
        let begin = label.get(..b"BEGIN ".len()).unwrap_or_default();
        part.eq_ignore_ascii_case(KEY) && begin.eq_ignore_ascii_case(b"BEGIN ")
    };
    octets.windows(KEY.len()).enumerate().any(begins) || text.contains("PuTTY-User-Key-File-")
}

/// The characters of a text that are not white space: no space, no-break space, control character
/// or byte order mark. Line ends that went through a shell or a program into JSON are white space
/// too: they are one or more `\` with an `n` or `r`.
struct Characters<'a>(&'a [u8]);

impl Iterator for Characters<'_> {
    type Item = u8;

    fn next(&mut self) -> Option<u8> {
        loop {
            match self.0 {
                // First, the characters of Base64.
                [character @ (b'!'..=b'[' | b']'..=b'~'), rest @ ..] => {
                    self.0 = rest;
                    return Some(*character);
                }
                [0..=b' ', rest @ ..]
                | [0xc2, 0xa0, rest @ ..]
                | [0xef, 0xbb, 0xbf, rest @ ..]
                | [b'\\', b'n' | b'r', rest @ ..] => self.0 = rest,
                [b'\\', b'\\', ..] => self.0 = &self.0[1..],
                [character, rest @ ..] => {
                    self.0 = rest;
                    return Some(*character);
                }
                [] => return None,
            }
        }
    }
}

/// Writes a PEM block with 64 columns and LF, but without an LF after the END line. This is the
/// form of the API. A file needs one more LF.
pub fn pem_lines(label: &str, der: &[u8]) -> String {
    let mut out = Vec::new();
    write_pem(&mut out, label, der);
    String::from_utf8(out).expect("a label, Base64 and dashes are UTF-8")
}

/// Appends the text of [`pem_lines`]. It allocates at most once, so that a private key leaves no
/// copy in a buffer that became too small.
pub fn write_pem(out: &mut Vec<u8>, label: &str, der: &[u8]) {
    let frame = 2 * (label.len() + "-----BEGIN -----".len());
    out.reserve(frame + der.len().div_ceil(LINE_OCTETS) * 65 + 1);
    write_begin(out, label);
    write_lines(out, der);
    write_end(out, label);
}

/// Appends the text of [`pem_lines`] as JSON has it in a string, without the quotes: each line end
/// is `\\n`. The block must be public, because the time depends on its octets.
pub fn write_public_pem_in_json(out: &mut Vec<u8>, label: &str, der: &[u8]) {
    const LINE_END: &[u8] = b"\\n";
    let frame = 2 * (label.len() + "-----BEGIN -----".len());
    out.reserve(frame + der.len().div_ceil(LINE_OCTETS) * 66 + LINE_END.len());
    for part in [
        BEGIN.as_bytes(),
        label.as_bytes(),
        DASHES.as_bytes(),
        LINE_END,
    ] {
        out.extend_from_slice(part);
    }
    write_public_lines(out, der, LINE_END);
    write_end(out, label);
}

/// Writes one piece of [`pem_lines`], for a text that is sent while it is written. The first piece
/// has the number 0; [`None`] comes after the last one. The block must be public, because the time
/// depends on its octets.
pub fn pem_piece(label: &str, der: &[u8], number: usize) -> Option<Vec<u8>> {
    let pieces = der.len().div_ceil(PIECE_OCTETS).max(1);
    if number >= pieces {
        return None;
    }
    let start = number * PIECE_OCTETS;
    let octets = &der[start..der.len().min(start + PIECE_OCTETS)];
    let mut out = Vec::with_capacity(octets.len().div_ceil(LINE_OCTETS) * 65 + 256);
    if number == 0 {
        write_begin(&mut out, label);
    }
    write_public_lines(&mut out, octets, b"\n");
    if number + 1 == pieces {
        write_end(&mut out, label);
    }
    Some(out)
}

fn write_begin(out: &mut Vec<u8>, label: &str) {
    for part in [BEGIN, label, DASHES, "\n"] {
        out.extend_from_slice(part.as_bytes());
    }
}

fn write_lines(out: &mut Vec<u8>, octets: &[u8]) {
    for octets in octets.chunks(LINE_OCTETS) {
        let start = out.len();
        out.resize(start + octets.len().div_ceil(3) * 4, 0);
        Base64::encode(octets, &mut out[start..])
            .expect("the buffer has four characters for every three octets");
        out.push(b'\n');
    }
}

/// Encodes with vector instructions, several times as fast as the encoder of keys.
fn write_public_lines(out: &mut Vec<u8>, octets: &[u8], line_end: &[u8]) {
    let mut encoded = [0; LINES_OCTETS / 3 * 4];
    for octets in octets.chunks(LINES_OCTETS) {
        let encoded = STANDARD.encode(octets, encoded.as_mut_slice().as_out());
        for line in encoded.chunks(LINE_OCTETS / 3 * 4) {
            out.extend_from_slice(line);
            out.extend_from_slice(line_end);
        }
    }
}

fn write_end(out: &mut Vec<u8>, label: &str) {
    for part in ["-----END ", label, DASHES] {
        out.extend_from_slice(part.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BLOCK: &str = "-----BEGIN THING-----\nAAEC\n-----END THING-----\n";

    #[test]
    fn the_pieces_of_a_block_are_the_block() {
        let octets: Vec<u8> = (0..5 * PIECE_OCTETS).map(|octet| octet as u8).collect();
        let around = |pieces: usize| (pieces * PIECE_OCTETS).saturating_sub(40)..;
        for length in (0..5).flat_map(|pieces| around(pieces).take(80)) {
            let der = &octets[..length];
            let pieces: Vec<_> = (0..)
                .map_while(|number| pem_piece("THING", der, number))
                .collect();
            assert_eq!(pieces.concat(), pem_lines("THING", der).as_bytes());
            assert!(pieces.iter().all(|piece| piece.len() < 70_000), "{length}");
        }
    }

    #[test]
    fn a_block_in_json_is_the_block() {
        for length in (0..200).chain(570..580).chain(1150..1160) {
            let der: Vec<u8> = (0..length).map(|index| (index * 7) as u8).collect();
            let mut written = Vec::new();
            write_public_pem_in_json(&mut written, "THING", &der);
            let expected = pem_lines("THING", &der).replace('\n', "\\n");
            assert_eq!(written, expected.as_bytes(), "{length}");
        }
    }

    #[test]
    fn find_accepts_all_line_ends() {
        let crlf = BLOCK.replace('\n', "\r\n");
        let escaped = BLOCK.replace('\n', "\\n");
        let escaped_crlf = BLOCK.replace('\n', "\\r\\n");
        let no_line_ends = BLOCK.replace('\n', "");
        let text_before = format!("Subject: CN=x\n{BLOCK}");
        let text_after = format!("{BLOCK}# made by BEGIN\u{1a}\0\u{feff}\u{b}\u{c}");
        let twice_escaped = BLOCK.replace('\n', "\\\\n");
        let no_break_spaces = BLOCK.replace("AAEC", "\u{a0}AA\0EC\u{feff}\u{b}\u{c}");
        let headers = BLOCK.replace("AAEC", "Comment: a: b\n\nAAEC");
        for text in [
            &text_after,
            &twice_escaped,
            &no_break_spaces,
            &headers,
            BLOCK,
            &crlf,
            &escaped,
            &escaped_crlf,
            &no_line_ends,
            &text_before,
        ] {
            let block = Block::find(text).unwrap();
            assert_eq!(
                (block.label, block.decode()),
                ("THING", Some(vec![0, 1, 2])),
                "{text}"
            );
        }
    }

    #[test]
    fn find_names_each_defect() {
        for (text, error) in [
            ("", PemError::None),
            ("AAEC", PemError::None),
            ("-----BEGIN THING", PemError::BeginCutOff),
            (
                "-----BEGIN THI\nNG-----AAEC-----END THI\nNG-----",
                PemError::BeginCutOff,
            ),
            ("-----BEGIN THING-----\nAAEC\n", PemError::NoEnd),
            (
                "-----BEGIN THING-----\nAAEC\n-----END OTHER-----",
                PemError::NoEnd,
            ),
            (
                "-----BEGIN THING-----\nAAEC\n-----END THING-",
                PemError::NoEnd,
            ),
            (&format!("{BLOCK}{BLOCK}"), PemError::Several),
            ("-----BEGIN EC PRIVATE KEY-----\n", PemError::PrivateKey),
            (
                &format!("{BLOCK}-----BEGIN PRIVATE KEY-----\nAAEC\n"),
                PemError::PrivateKey,
            ),
            (
                &format!("{BLOCK}-----begin rsa private key---"),
                PemError::PrivateKey,
            ),
            (
                &format!("---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----\n{BLOCK}"),
                PemError::PrivateKey,
            ),
            (
                &format!("{BLOCK}PuTTY-User-Key-File-3: x"),
                PemError::PrivateKey,
            ),
            (
                "-----BEGIN THING-----\n-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----",
                PemError::PrivateKey,
            ),
        ] {
            assert_eq!(Block::find(text), Err(error), "{text}");
        }
        for body in ["AAE", "A?==", "é", "AAEC\\t", "AAEC===="] {
            let text = format!("-----BEGIN THING-----\n{body}\n-----END THING-----");
            assert_eq!(Block::find(&text).unwrap().decode(), None, "{body}");
        }
    }

    #[test]
    fn words_about_private_keys_are_not_keys() {
        for text in ["", "# its PRIVATE KEY is in a module", "BEGIN: PRIVATE KEY"] {
            let text = format!("{text}\n{BLOCK}{text}");
            assert!(Block::find(&text).is_ok(), "{text}");
        }
    }

    #[test]
    fn decode_base64_accepts_both_alphabets_without_padding() {
        for text in ["+/8=", "+/8", "-_8", " -\n_\r\n8 =\u{feff}"] {
            assert_eq!(decode_base64(text), Some(vec![0xfb, 0xff]), "{text}");
        }
        for text in ["+/8===", "+=/8", "é", "AAAAA"] {
            assert_eq!(decode_base64(text), None, "{text}");
        }
    }

    #[test]
    fn all_returns_the_blocks_in_order() {
        let key = "-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nAAEC\n\
                   -----END EC PRIVATE KEY-----";
        let text = format!("before\n{BLOCK}between\n{key}\n\nafter");
        let blocks = Block::all(&text).unwrap();
        assert_eq!(
            blocks.iter().map(|block| block.label).collect::<Vec<_>>(),
            ["THING", "EC PRIVATE KEY"]
        );
        assert!(!blocks[0].is_private_key() && !blocks[0].is_encrypted());
        assert!(blocks[1].is_private_key() && blocks[1].is_encrypted());
        for (text, error) in [
            ("x", PemError::None),
            (&format!("{BLOCK}-----BEGIN THING-----"), PemError::NoEnd),
            (
                &format!("-----BEGIN THING-----\nAAEC\n{BLOCK}"),
                PemError::NoEnd,
            ),
        ] {
            assert_eq!(Block::all(text), Err(error), "{text}");
        }
    }

    #[test]
    fn pem_lines_have_64_columns_and_read_back() {
        for length in [0, 1, 2, 3, 47, 48, 49, 96, 1000] {
            let octets: Vec<u8> = (0..length).map(|index| (index * 7) as u8).collect();
            let text = pem_lines("THING", &octets);
            let lines: Vec<&str> = text.split('\n').collect();
            let (last, inner) = lines[1..lines.len() - 1].split_last().unwrap_or((&"", &[]));
            assert!(
                inner.iter().all(|line| line.len() == 64) && last.len() <= 64,
                "{text}"
            );
            assert!(text.ends_with("-----END THING-----"));
            assert_eq!(Block::find(&text).unwrap().decode(), Some(octets));
        }
    }
}
