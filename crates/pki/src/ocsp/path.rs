use base64ct::{Base64Unpadded, Encoding as _};

/// A request in the path of a GET (RFC 6960 §A.1); `None` if there is none. Understands what clients and what stands between make of Base64 in a path: `/`, `+` and `=` percent-encoded or not, or left out at
/// the end; a blank for a plus; slashes doubled or, by joining addresses, in front.
pub fn read_ocsp_path(text: &str) -> Option<Vec<u8>> {
    let text = percent_encoding::percent_decode_str(text)
        .decode_utf8()
        .ok()?;
    let text = text
        .trim_start_matches('/')
        .trim_end_matches('=')
        .replace(' ', "+");
    let read = |text: &str| {
        Base64Unpadded::decode_vec(text)
            .ok()
            .filter(|der| is_whole(der))
    };
    // Two slashes can belong there, or be one that was doubled on the way.
    read(&text).or_else(|| read(&text.replace("//", "/")))
}

/// Whether the octets are one DER value from beginning to end, as far as its header says.
fn is_whole(der: &[u8]) -> bool {
    match der {
        [0x30, length @ 0..=0x7f, rest @ ..] => rest.len() == usize::from(*length),
        [0x30, 0x81, length, rest @ ..] => rest.len() == usize::from(*length),
        [0x30, 0x82, high, low, rest @ ..] => {
            rest.len() == usize::from(*high) << 8 | usize::from(*low)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use base64ct::Base64;

    use super::*;

    #[test]
    fn every_spelling_of_a_request_is_understood() {
        // What becomes "/" and "+" in Base64.
        let der = [&[0x30, 9][..], b"???>>>\xff\xef\xbe"].concat();
        let text = Base64::encode_string(&der);
        assert!(
            text.contains('/') && text.contains('+') && text.ends_with('='),
            "{text}"
        );
        let escaped = text
            .replace('/', "%2F")
            .replace('+', "%2B")
            .replace('=', "%3D");
        for spelling in [
            text.clone(),
            format!("//{text}"),
            escaped,
            text.replace('/', "%2f"),
            text.replace('/', "//"),
            text.replace('+', " "),
            text.trim_end_matches('=').to_owned(),
        ] {
            assert_eq!(
                read_ocsp_path(&spelling).as_deref(),
                Some(&der[..]),
                "{spelling}"
            );
        }
        let doubled = [&[0x30, 3][..], b"\xff\xff\xff", &[]].concat();
        let text = Base64::encode_string(&doubled);
        assert!(text.contains("//"), "{text}");
        assert_eq!(
            read_ocsp_path(&text),
            Some(doubled),
            "two slashes that belong there"
        );
        for bad in ["", "!", "a", "%ff", "=====", "AAAA"] {
            assert_eq!(read_ocsp_path(bad), None, "{bad}");
        }
    }
}
