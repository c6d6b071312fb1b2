//! Strings of JSON, written straight into the text of an answer.

/// Octets that are checked at once.
const BLOCK: usize = 32;

/// Appends a string with its quotes, as `serde_json` writes it, several times as fast.
pub fn write_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    let mut rest = text.as_bytes();
    loop {
        let plain = plain_octets(rest);
        out.extend_from_slice(&rest[..plain]);
        let Some((octet, after)) = rest[plain..].split_first() else {
            break;
        };
        write_escape(out, *octet);
        rest = after;
    }
    out.push(b'"');
}

/// Returns the number of octets before the first that is escaped. A block is checked to its end, so
/// that the compiler can use vector instructions.
fn plain_octets(octets: &[u8]) -> usize {
    let is_plain = |block: &&[u8]| {
        let found = block.iter().fold(0, |found, octet| found | escaped(*octet));
        found == 0
    };
    let blocks = octets.chunks_exact(BLOCK).take_while(is_plain).count();
    let rest = &octets[blocks * BLOCK..];
    let plain = rest.iter().position(|octet| escaped(*octet) != 0);
    blocks * BLOCK + plain.unwrap_or(rest.len())
}

/// Returns 1 for an octet that RFC 8259 §7 requires to be escaped, and 0 for any other.
fn escaped(octet: u8) -> u8 {
    u8::from(octet < b' ') | u8::from(octet == b'"') | u8::from(octet == b'\\')
}

fn write_escape(out: &mut Vec<u8>, octet: u8) {
    let short = match octet {
        b'\n' => b'n',
        b'\r' => b'r',
        b'\t' => b't',
        0x08 => b'b',
        0x0c => b'f',
        b'"' | b'\\' => octet,
        control => {
            let digits = b"0123456789abcdef";
            let [high, low] = [control >> 4, control & 15].map(|half| digits[usize::from(half)]);
            return out.extend_from_slice(&[b'\\', b'u', b'0', b'0', high, low]);
        }
    };
    out.extend_from_slice(&[b'\\', short]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_written_as_serde_json_writes_them() {
        let each = (0..=0x2ff).filter_map(char::from_u32);
        let texts = each.flat_map(|character| {
            [0, 1, 31, 32, 33, 63, 64, 100].map(|before| {
                let plain = "x".repeat(before);
                format!("{plain}{character}{plain}\n{character}")
            })
        });
        for text in texts.chain(["".to_owned(), "a\"\\b".to_owned(), "\u{1f511}".repeat(20)]) {
            let mut written = Vec::new();
            write_string(&mut written, &text);
            assert_eq!(written, serde_json::to_vec(&text).unwrap(), "{text:?}");
        }
    }
}
