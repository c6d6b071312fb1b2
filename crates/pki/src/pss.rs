//! RSASSA-PSS (RFC 8017 §8.1): signatures of ordinary RSA keys.
//!
//! The cryptographic library accepts only salts as long as the digest. Programs use other lengths:
//! `openssl req -sigopt rsa_padding_mode:pss` takes the longest that fits.

use aws_lc_rs::digest::{self, Algorithm};
use crypto_bigint::modular::{BoxedMontyForm, BoxedMontyParams};
use crypto_bigint::{BoxedUint, Resize as _};

use crate::csr_error::CsrError;
use crate::oid;
use crate::tlv::{Cursor, NotDer, tag};

/// The parameters of a signature.
pub(crate) struct PssParameters {
    digest: &'static Algorithm,
    /// The digest of the mask generation function.
    mask_digest: &'static Algorithm,
    salt_octets: usize,
}

impl PssParameters {
    /// The parameters of TLS: one digest for everything, and a salt as long as it.
    pub fn of_tls(digest: &'static Algorithm) -> Self {
        Self {
            digest,
            mask_digest: digest,
            salt_octets: digest.output_len(),
        }
    }

    /// Reads the parameters of an AlgorithmIdentifier with the object identifier id-RSASSA-PSS.
    pub fn read(parameters: Cursor<'_>) -> Result<Self, CsrError> {
        const MALFORMED: CsrError =
            CsrError::malformed("the parameters of its RSASSA-PSS signature are malformed");
        let fields = Fields::read(parameters).map_err(|_| MALFORMED)?;
        // RFC 4055 §3.1: each default is SHA-1.
        let digest_of = |id: Option<&[u8]>| {
            let unsupported = || {
                let id = id.map_or_else(|| "SHA-1".to_owned(), oid::shown);
                let oid = format!("{} with the digest {id}", oid::shown(oid::RSASSA_PSS));
                CsrError::SignatureAlgorithmUnsupported { oid }
            };
            id.and_then(digest_algorithm).ok_or_else(unsupported)
        };
        Ok(Self {
            digest: digest_of(fields.digest)?,
            mask_digest: digest_of(fields.mask_digest)?,
            salt_octets: fields.salt_octets,
        })
    }
}

/// RSASSA-PSS-params ::= SEQUENCE { hashAlgorithm [0], maskGenAlgorithm [1], saltLength [2] INTEGER
/// DEFAULT 20, trailerField [3] INTEGER DEFAULT 1 } (RFC 4055 §3.1)
struct Fields<'a> {
    digest: Option<&'a [u8]>,
    mask_digest: Option<&'a [u8]>,
    salt_octets: usize,
}

impl<'a> Fields<'a> {
    fn read(mut parameters: Cursor<'a>) -> Result<Self, NotDer> {
        let mut fields = parameters.inside(tag::SEQUENCE)?;
        parameters.end()?;
        let mut next = |tag| -> Result<Option<Cursor<'a>>, NotDer> {
            let field = fields.optional(tag)?;
            Ok(field.map(|field| Cursor::new(field.content)))
        };
        let digest = next(tag::CONTEXT_0_CONSTRUCTED)?
            .map(digest_id)
            .transpose()?;
        let mask_digest = match next(tag::CONTEXT_1_CONSTRUCTED)? {
            None => None,
            Some(mut mask) => {
                let mut algorithm = mask.inside(tag::SEQUENCE)?;
                mask.end()?;
                if algorithm.oid()? != oid::MGF1 {
                    return Err(NotDer);
                }
                Some(digest_id(algorithm)?)
            }
        };
        let salt_octets = match next(tag::CONTEXT_2_CONSTRUCTED)? {
            None => 20,
            Some(salt) => small_number(salt)?,
        };
        match next(tag::CONTEXT_3_CONSTRUCTED)?
            .map(small_number)
            .transpose()?
        {
            // The octet 0xbc, the only trailer that exists.
            None | Some(1) => {}
            Some(_) => return Err(NotDer),
        }
        fields.end()?;
        Ok(Self {
            digest,
            mask_digest,
            salt_octets,
        })
    }
}

/// Reads the AlgorithmIdentifier of a digest: its parameters are absent or NULL (RFC 4055 §2.1).
fn digest_id(mut outer: Cursor<'_>) -> Result<&[u8], NotDer> {
    let mut algorithm = outer.inside(tag::SEQUENCE)?;
    outer.end()?;
    let id = algorithm.oid()?;
    match algorithm.is_empty() || algorithm.is_null() {
        true => Ok(id),
        false => Err(NotDer),
    }
}

/// Reads an INTEGER from 0 to 32,767: the longest salt that fits has less than 1,024 octets.
fn small_number(mut outer: Cursor<'_>) -> Result<usize, NotDer> {
    let number = outer.expect(tag::INTEGER)?.content;
    outer.end()?;
    match *number {
        [low @ 0..=0x7f] => Ok(low.into()),
        [0, low @ 0x80..=0xff] => Ok(low.into()),
        [high @ 1..=0x7f, low] => Ok(usize::from(high) << 8 | usize::from(low)),
        _ => Err(NotDer),
    }
}

fn digest_algorithm(id: &[u8]) -> Option<&'static Algorithm> {
    match id {
        oid::SHA256 => Some(&digest::SHA256),
        oid::SHA384 => Some(&digest::SHA384),
        oid::SHA512 => Some(&digest::SHA512),
        _ => None,
    }
}

/// Verifies a signature (RFC 8017 §8.1.2). `None`: the modulus is even.
pub(crate) fn verify(
    parameters: &PssParameters,
    modulus: &[u8],
    exponent: &[u8],
    message: &[u8],
    signature: &[u8],
) -> Option<bool> {
    let number = BoxedUint::from_be_slice_vartime(modulus);
    let bits = number.bit_width_vartime();
    let odd = number.into_odd().into_option()?;
    let encoded_octets = (bits - 1).div_ceil(8) as usize;
    if signature.len() != modulus.len() {
        return Some(false);
    }
    let signature = BoxedUint::from_be_slice_vartime(signature);
    let signature = signature.resize(odd.as_ref().bits_precision());
    if signature >= *odd.as_ref() {
        return Some(false);
    }
    let params = BoxedMontyParams::new_vartime(odd);
    let base = BoxedMontyForm::new(signature, &params);
    let mut power = BoxedMontyForm::one(&params);
    for octet in exponent {
        for bit in (0..8).rev() {
            power = power.square();
            if octet >> bit & 1 == 1 {
                power = power.mul(&base);
            }
        }
    }
    let encoded = power.retrieve().to_be_bytes();
    let (zeros, encoded) = encoded.split_at_checked(encoded.len().checked_sub(encoded_octets)?)?;
    let is_small = zeros.iter().all(|octet| *octet == 0);
    Some(is_small && is_encoding(parameters, message, encoded, bits - 1))
}

/// Verifies an encoded message of `bits` bits (EMSA-PSS-VERIFY, RFC 8017 §9.1.2).
fn is_encoding(parameters: &PssParameters, message: &[u8], encoded: &[u8], bits: u32) -> bool {
    let PssParameters {
        digest: algorithm,
        mask_digest,
        salt_octets,
    } = *parameters;
    let hash_octets = algorithm.output_len();
    let Some((masked, [hash @ .., 0xbc])) = encoded
        .len()
        .checked_sub(hash_octets + 1)
        .and_then(|at| encoded.split_at_checked(at))
    else {
        return false;
    };
    let unused_bits = 8 * encoded.len() as u32 - bits;
    let used = 0xff_u8 >> unused_bits;
    if masked.first().is_none_or(|first| first & !used != 0) {
        return false;
    }
    let mask = mask(mask_digest, hash, masked.len());
    let mut block: Vec<u8> = masked
        .iter()
        .zip(mask)
        .map(|(one, other)| one ^ other)
        .collect();
    block[0] &= used;
    let Some(at) = block.len().checked_sub(salt_octets) else {
        return false;
    };
    let (padding, salt) = block.split_at(at);
    let Some((1, zeros)) = padding.split_last() else {
        return false;
    };
    let mut context = digest::Context::new(algorithm);
    context.update(&[0; 8]);
    context.update(digest::digest(algorithm, message).as_ref());
    context.update(salt);
    zeros.iter().all(|octet| *octet == 0) && context.finish().as_ref() == hash
}

/// Generates a mask (MGF1, RFC 8017 §B.2.1).
fn mask(algorithm: &'static Algorithm, seed: &[u8], octets: usize) -> Vec<u8> {
    let mut mask = Vec::with_capacity(octets + algorithm.output_len());
    for counter in 0_u32.. {
        if mask.len() >= octets {
            break;
        }
        let mut context = digest::Context::new(algorithm);
        context.update(seed);
        context.update(&counter.to_be_bytes());
        mask.extend_from_slice(context.finish().as_ref());
    }
    mask.truncate(octets);
    mask
}
