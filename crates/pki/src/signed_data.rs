//! Signed CMS messages with their content (RFC 5652 §5), as Apple's devices read them.

use aws_lc_rs::digest;
use certgate_model::{SignatureAlgorithm, Timestamp};

use crate::certificate::{SignedParts, TbsParts, write_time};
use crate::key::algorithm_identifier;
use crate::oid;
use crate::tlv::{self, tag};

/// Returns a message with this content, signed at this time. The chain (DER) begins with the
/// signer's certificate. `sign` signs the octets that it gets with the key of that certificate.
///
/// [`None`]: the certificate is malformed, `sign` failed, or the algorithm is Ed25519, which
/// openssl does not verify here, or uses SHA-1.
pub fn signed_data<'a>(
    content: &[u8],
    chain: impl IntoIterator<Item = &'a [u8], IntoIter: Clone>,
    algorithm: SignatureAlgorithm,
    at: Timestamp,
    sign: impl FnOnce(&[u8]) -> Option<Vec<u8>>,
) -> Option<Vec<u8>> {
    let chain = chain.into_iter();
    let signer = SignedParts::read(chain.clone().next()?).ok()?;
    let signer = TbsParts::read(signer.tbs).ok()?;
    let (hash, hash_oid) = hash_of(algorithm)?;
    let digest = digest::digest(hash, content);
    let attributes = signed_attributes(digest.as_ref(), at);
    // RFC 5652 §5.4: the signed octets have the tag of a SET, those in the message have [0].
    let mut signed = Vec::new();
    tlv::write(&mut signed, tag::SET, &attributes);
    let signature = sign(&signed)?;

    let mut message = Vec::new();
    tlv::write_with(&mut message, tag::SEQUENCE, |out| {
        tlv::write(out, tag::OID, oid::CMS_SIGNED_DATA);
        tlv::write_with(out, tag::CONTEXT_0_CONSTRUCTED, |out| {
            tlv::write_with(out, tag::SEQUENCE, |out| {
                // Version 1: only X.509 certificates, content of the type id-data, and signers
                // that are named by issuer and serial number.
                tlv::write(out, tag::INTEGER, &[1]);
                tlv::write_with(out, tag::SET, |out| write_hash(out, hash_oid));
                tlv::write_with(out, tag::SEQUENCE, |out| {
                    tlv::write(out, tag::OID, oid::CMS_DATA);
                    tlv::write_with(out, tag::CONTEXT_0_CONSTRUCTED, |out| {
                        tlv::write(out, tag::OCTET_STRING, content);
                    });
                });
                tlv::write_with(out, tag::CONTEXT_0_CONSTRUCTED, |out| {
                    for certificate in chain {
                        out.extend_from_slice(certificate);
                    }
                });
                tlv::write_with(out, tag::SET, |out| {
                    tlv::write_with(out, tag::SEQUENCE, |out| {
                        tlv::write(out, tag::INTEGER, &[1]);
                        tlv::write_with(out, tag::SEQUENCE, |out| {
                            out.extend_from_slice(signer.issuer);
                            tlv::write(out, tag::INTEGER, signer.serial);
                        });
                        write_hash(out, hash_oid);
                        tlv::write(out, tag::CONTEXT_0_CONSTRUCTED, &attributes);
                        out.extend_from_slice(&algorithm_identifier(algorithm));
                        tlv::write(out, tag::OCTET_STRING, &signature);
                    });
                });
            });
        });
    });
    Some(message)
}

/// Returns the hash of a message with such a signature: the one inside the signature (RFC 5753
/// §2.1.1).
fn hash_of(algorithm: SignatureAlgorithm) -> Option<(&'static digest::Algorithm, &'static [u8])> {
    Some(match algorithm {
        SignatureAlgorithm::Sha1WithRsa
        | SignatureAlgorithm::EcdsaWithSha1
        | SignatureAlgorithm::PureEd25519 => return None,
        SignatureAlgorithm::Sha256WithRsa | SignatureAlgorithm::EcdsaWithSha256 => {
            (&digest::SHA256, oid::SHA256)
        }
        SignatureAlgorithm::Sha384WithRsa | SignatureAlgorithm::EcdsaWithSha384 => {
            (&digest::SHA384, oid::SHA384)
        }
        SignatureAlgorithm::Sha512WithRsa | SignatureAlgorithm::EcdsaWithSha512 => {
            (&digest::SHA512, oid::SHA512)
        }
    })
}

/// RFC 5754 §2: the parameters are absent.
fn write_hash(out: &mut Vec<u8>, hash: &[u8]) {
    tlv::write_with(out, tag::SEQUENCE, |out| tlv::write(out, tag::OID, hash));
}

/// Returns the attributes of RFC 5652 §11, each with one value, in the order of DER: by length,
/// because the octets after the tag are lengths.
fn signed_attributes(digest: &[u8], at: Timestamp) -> Vec<u8> {
    let mut out = Vec::new();
    let mut attribute = |kind: &[u8], value: &dyn Fn(&mut Vec<u8>)| {
        tlv::write_with(&mut out, tag::SEQUENCE, |out| {
            tlv::write(out, tag::OID, kind);
            tlv::write_with(out, tag::SET, |out| value(out));
        });
    };
    attribute(oid::CONTENT_TYPE, &|out| {
        tlv::write(out, tag::OID, oid::CMS_DATA);
    });
    attribute(oid::SIGNING_TIME, &|out| write_time(out, at));
    attribute(oid::MESSAGE_DIGEST, &|out| {
        tlv::write(out, tag::OCTET_STRING, digest);
    });
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_without_a_signature_is_not_made() {
        let at = Timestamp::from_unix(0);
        let sign = |_: &[u8]| Some(Vec::new());
        let algorithm = SignatureAlgorithm::EcdsaWithSha256;
        assert_eq!(signed_data(b"", [], algorithm, at, sign), None);
        let malformed = [&[0x30, 0][..]];
        assert_eq!(signed_data(b"", malformed, algorithm, at, sign), None);
        for refused in [
            SignatureAlgorithm::Sha1WithRsa,
            SignatureAlgorithm::EcdsaWithSha1,
            SignatureAlgorithm::PureEd25519,
        ] {
            assert_eq!(hash_of(refused), None);
        }
    }
}
