//! Certificates in a CMS message without a signature, as EST answers with them.

use crate::oid;
use crate::tlv::{self, tag};

/// Returns a certs-only message (RFC 5272 §4.1): a `SignedData` (RFC 5652 §5.1) with these
/// certificates (DER), and without content and signatures.
pub fn certs_only<'a>(certificates: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut message = Vec::new();
    tlv::write_with(&mut message, tag::SEQUENCE, |out| {
        tlv::write(out, tag::OID, oid::CMS_SIGNED_DATA);
        tlv::write_with(out, tag::CONTEXT_0_CONSTRUCTED, |out| {
            tlv::write_with(out, tag::SEQUENCE, |out| {
                // Version 1: only X.509 certificates, and content of the type id-data.
                tlv::write(out, tag::INTEGER, &[1]);
                tlv::write(out, tag::SET, &[]);
                tlv::write_with(out, tag::SEQUENCE, |out| {
                    tlv::write(out, tag::OID, oid::CMS_DATA);
                });
                tlv::write_with(out, tag::CONTEXT_0_CONSTRUCTED, |out| {
                    for certificate in certificates {
                        out.extend_from_slice(certificate);
                    }
                });
                tlv::write(out, tag::SET, &[]);
            });
        });
    });
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_has_the_octets_that_openssl_writes() {
        // openssl crl2pkcs7 -nocrl makes the same message, except that it has an empty set of CRLs.
        let message = certs_only([&[0x30, 0][..], &[0x30, 1, 5]]);
        let expected = [
            &[
                0x30, 0x2a, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 2, 0xa0, 0x1d,
            ][..],
            &[0x30, 0x1b, 2, 1, 1, 0x31, 0, 0x30, 0x0b, 6, 9],
            &[
                0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 1, 0xa0, 5, 0x30, 0, 0x30, 1, 5, 0x31, 0,
            ],
        ];
        assert_eq!(message, expected.concat());
    }
}
