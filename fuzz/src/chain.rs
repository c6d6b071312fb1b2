use std::borrow::Cow;

use certgate_pki::{CHAIN_BYTES_MAX, CHAIN_CERTIFICATES_MAX, Purpose, pem_lines, read_chain};

use super::given::{self, NOW};
use super::message;

/// Reads uploaded certificates: PEM, or consecutive certificates in DER.
pub fn chain(input: &[u8]) {
    let several = || {
        given::values(input)
            .into_iter()
            .map(|der| pem_lines("CERTIFICATE", der) + "\n")
            .collect()
    };
    let text = match input {
        [0x30, ..] => Cow::Owned(several()),
        _ => match std::str::from_utf8(input) {
            Ok(text) => Cow::Borrowed(text),
            Err(_) => return,
        },
    };
    let as_leaf = match read_chain(&text, Purpose::Leaf, NOW) {
        Ok(chain) => chain,
        Err(error) => {
            message::check(&text, &error);
            let as_authority = read_chain(&text, Purpose::Authority, NOW);
            return message::check(
                &text,
                &as_authority.expect_err("a CA must fulfil all conditions of a leaf"),
            );
        }
    };
    assert!((1..=CHAIN_CERTIFICATES_MAX).contains(&as_leaf.certificates().len()));
    assert!(as_leaf.expires_on >= NOW);
    // An octet takes at most three characters: a backslash and two digits.
    assert!(as_leaf.issuer.len() <= 3 * text.len());
    assert!(
        as_leaf
            .serial_number
            .bytes()
            .all(|byte| byte.is_ascii_digit())
    );

    let pem = as_leaf.to_pem();
    if pem.len() <= CHAIN_BYTES_MAX {
        assert_eq!(
            read_chain(&pem, Purpose::Leaf, NOW).as_ref(),
            Ok(&as_leaf),
            "the written chain reads back"
        );
    }
    match read_chain(&text, Purpose::Authority, NOW) {
        Ok(chain) => assert_eq!(chain, as_leaf),
        Err(error) => message::check(&text, &error),
    }
}
