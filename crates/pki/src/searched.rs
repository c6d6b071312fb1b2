//! Requests and chains whose RSA keys were searched for weaknesses.
//!
//! A search of a new modulus takes up to a second, a thousand times longer than the other checks.
//! It comes after every signature has been verified, so that only the holder of a private key can
//! cause it. A server does not run it where other requests wait: with the functions for known keys
//! the server sees that a search is needed.

use certgate_model::Timestamp;

use crate::chain::{self, Chain, Purpose};
use crate::chain_error::ChainError;
use crate::csr::{self, CheckedCsr};
use crate::csr_error::CsrError;
use crate::public_key::PublicKey;
use crate::tlv::{Cursor, tag};
use crate::uploaded::{UploadedCertificate, key_error};

/// Reads a request and performs every check that does not depend on the caller.
///
/// It judges only the parts that a certificate copies or that prove possession. Beyond RFC 7468 it
/// accepts any line ends, including the two characters `\` and `n`, the label `NEW CERTIFICATE
/// REQUEST`, short texts around the block, and Base64 without BEGIN and END lines. Attributes and
/// extensions may have any content.
pub fn read_csr(text: &str) -> Result<CheckedCsr, CsrError> {
    let csr = csr::read_verified(text)?;
    key_of(&csr)?.refuse_weak_rsa()?;
    Ok(csr)
}

/// Does the same, but only for a key that needs no search: it is not RSA, or was searched before.
/// [`None`]: call [`read_csr`].
pub fn read_csr_of_known_key(text: &str) -> Result<Option<CheckedCsr>, CsrError> {
    let csr = csr::read_verified(text)?;
    let is_known = !key_of(&csr)?.is_unsearched();
    Ok(is_known.then_some(csr))
}

fn key_of(csr: &CheckedCsr) -> Result<PublicKey<'_>, CsrError> {
    let spki = Cursor::new(csr.spki_der()).expect(tag::SEQUENCE);
    PublicKey::read(
        spki.map_err(|_| CsrError::malformed("it has no public key"))?
            .content,
    )
}

/// Reads a chain of certificates in PEM and performs every check that does not depend on the
/// caller.
///
/// Beyond RFC 7468 it accepts any line ends, including the two characters `\` and `n`, and text
/// around each certificate. The certificates may be in any order. It accepts certificates that are
/// not valid yet, because operators distribute CA certificates before the CAs issue.
pub fn read_chain(text: &str, purpose: Purpose, now: Timestamp) -> Result<Chain, ChainError> {
    let chain = chain::read_verified(text, purpose, now)?;
    for (number, der) in (1..).zip(chain.certificates()) {
        let read = UploadedCertificate::read(number, der)?;
        let searched = read.key().refuse_weak_rsa();
        searched.map_err(|error| key_error(number, &error))?;
    }
    Ok(chain)
}

/// Does the same, but only for keys that need no search. [`None`]: call [`read_chain`].
pub fn read_chain_of_known_keys(
    text: &str,
    purpose: Purpose,
    now: Timestamp,
) -> Result<Option<Chain>, ChainError> {
    let chain = chain::read_verified(text, purpose, now)?;
    for (number, der) in (1..).zip(chain.certificates()) {
        if UploadedCertificate::read(number, der)?
            .key()
            .is_unsearched()
        {
            return Ok(None);
        }
    }
    Ok(Some(chain))
}
