use base64ct::{Base64Unpadded, Encoding as _};

/// Reads a request from the path of a GET (RFC 6960 §A.1); `None` if the path is not one DER value
/// in Base64.
///
/// Clients and proxies write Base64 in paths in many ways. This accepts `/`, `+` and `=`
/// percent-encoded once, twice or not, the URL-safe alphabet, a missing `=` at the end, a space for
/// a `+`, line ends, doubled slashes, and slashes at the beginning and at the end.
pub fn read_ocsp_path(text: &str) -> Option<Vec<u8>> {
    let decode = |text: &str| {
        let text = percent_encoding::percent_decode_str(text).decode_utf8();
        text.map(|text| text.into_owned()).ok()
    };
    let mut text = decode(text)?;
    // Base64 has no `%`.
    if text.contains('%') {
        text = decode(&text)?;
    }
    let text: String = text
        .trim_start_matches('/')
        .chars()
        .filter(|character| !matches!(character, '\r' | '\n'))
        .map(|character| match character {
            ' ' | '-' => '+',
            '_' => '/',
            other => other,
        })
        .collect();
    let read = |text: &str| {
        Base64Unpadded::decode_vec(text.trim_end_matches('='))
            .ok()
            .filter(|der| is_complete(der))
    };
    // Slashes at the end, and two in sequence, are part of the Base64, or a proxy added them.
    read(&text)
        .or_else(|| read(text.trim_end_matches('/')))
        .or_else(|| read(&text.replace("//", "/")))
}

/// Returns true if the length in the header of a SEQUENCE is that of the octets.
fn is_complete(der: &[u8]) -> bool {
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
    fn read_ocsp_path_accepts_all_spellings() {
        // These octets become "/" and "+" in Base64.
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
            text.replace('/', "_").replace('+', "-"),
            text.replace('/', "%252F").replace('+', "%252B"),
            format!("{text}/"),
            format!("{}%0D%0A{}%0A", &text[..8], &text[8..]),
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
            "two slashes that are part of the Base64"
        );
        for bad in [
            "", "/", "!", "a", "%ff", "%25ff", "=====", "AAAA", "MAA=MAA=", "MAAA", "MA%09A=",
        ] {
            assert_eq!(read_ocsp_path(bad), None, "{bad}");
        }
    }
}
