use certgate_pki::{PRIVATE_KEY_BYTES_MAX, pem_lines, read_private_key};

use super::message;

/// Reads a private key, PEM or DER in any of the three forms.
pub fn private_key(input: &[u8]) {
    match input {
        [0x30, ..] => {
            for label in ["PRIVATE KEY", "EC PRIVATE KEY", "RSA PRIVATE KEY"] {
                read(&pem_lines(label, input));
            }
        }
        _ => {
            if let Ok(text) = std::str::from_utf8(input) {
                read(text);
            }
        }
    }
}

fn read(text: &str) {
    let key = match read_private_key(text) {
        Ok(key) => key,
        Err(error) => return message::check(text, &error),
    };
    let shown = format!("{key:?}");
    assert!(
        shown.starts_with("PrivateKey(") && shown.len() <= "PrivateKey(RSA-8192)".len(),
        "{shown}"
    );

    let pem = pem_lines("PRIVATE KEY", key.pkcs8());
    assert!(
        pem.len() <= PRIVATE_KEY_BYTES_MAX,
        "the stored form is within the limit"
    );
    let again = read_private_key(&pem).expect("the stored form reads back");
    assert_eq!(again.pkcs8(), key.pkcs8());
    assert_eq!(again.public_key_spki(), key.public_key_spki());

    match again.into_authority_key() {
        Ok(authority) => assert_eq!(authority.public_key_spki(), key.public_key_spki()),
        Err(error) => message::check(text, &error),
    }
}
