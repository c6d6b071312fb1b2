use base64ct::{Base64Unpadded, Encoding as _};

/// Reads a request from the path of a GET (RFC 6960 §A.1); `None` if the path is not one DER value
/// in Base64.
///
/// Clients and proxies write Base64 in paths in many ways. This accepts `/`, `+` and `=`
/// percent-encoded or not, a missing `=` at the end, a space for a `+`, doubled slashes, and
/// slashes at the beginning.
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
    // Two slashes are part of the Base64, or a proxy doubled one.
    read(&text).or_else(|| read(&text.replace("//", "/")))
}

/// Returns true if the length in the header of a SEQUENCE is that of the octets.
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
        for bad in ["", "!", "a", "%ff", "=====", "AAAA"] {
            assert_eq!(read_ocsp_path(bad), None, "{bad}");
        }
    }
}
