//! The two ways to sign as a CA. Both verify the new signature before the caller gets it.

use aws_lc_rs::signature::ParsedPublicKey;

use crate::certificate::{SignedParts, write_signature};
use crate::key::{KeyError, SigningKey};
use crate::lint::LintError;
use crate::tlv::{self, tag};

/// The reasons for a CA not to sign. The requester is not at fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignError {
    /// The key cannot be used.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The certificate to be signed breaks a rule.
    #[error(transparent)]
    Lint(#[from] LintError),
    /// The signed bytes differ from the input or do not verify, because hardware or memory is
    /// broken. They were discarded.
    #[error("the signed certificate was discarded: {0}")]
    Reread(&'static str),
}

/// Signs a TBSCertificate and reads the certificate back. Its content must equal `tbs`, and its
/// signature must verify. `algorithm` is the AlgorithmIdentifier inside `tbs`.
pub(crate) fn sign_tbs(
    tbs: &[u8],
    algorithm: &[u8],
    key: &SigningKey,
    verifier: &ParsedPublicKey,
) -> Result<Vec<u8>, SignError> {
    let signature = key.sign(tbs)?;
    let length = tbs.len() + algorithm.len() + signature.len();
    // Three headers of at most four octets, and the count of unused bits.
    let mut der = Vec::with_capacity(length + 16);
    tlv::write_with(&mut der, tag::SEQUENCE, |out| {
        out.extend_from_slice(tbs);
        write_signature(out, algorithm, &signature);
    });

    let signed =
        SignedParts::read(&der).map_err(|_| SignError::Reread("it is not a certificate"))?;
    if signed.tbs != tbs || signed.algorithm != algorithm {
        return Err(SignError::Reread(
            "it does not have the content that was to be signed",
        ));
    }
    verify(verifier, signed.tbs, signed.signature)?;
    Ok(der)
}

/// Signs a message that is not a certificate, and verifies the signature.
pub(crate) fn sign_message(
    message: &[u8],
    key: &SigningKey,
    verifier: &ParsedPublicKey,
) -> Result<Vec<u8>, SignError> {
    let signature = key.sign(message)?;
    verify(verifier, message, &signature)?;
    Ok(signature)
}

fn verify(verifier: &ParsedPublicKey, message: &[u8], signature: &[u8]) -> Result<(), SignError> {
    verifier
        .verify_sig(message, signature)
        .map_err(|_| SignError::Reread("its signature does not verify under the CA's key"))
}

#[cfg(test)]
mod tests {
    use certgate_model::KeyAlgorithm;

    use super::*;
    use crate::key::algorithm_identifier;

    #[test]
    fn signatures_of_another_key_are_discarded() {
        let algorithm = KeyAlgorithm::P256;
        let (key, other) = (
            SigningKey::generate(algorithm).unwrap(),
            SigningKey::generate(algorithm).unwrap(),
        );
        let identifier = algorithm_identifier(algorithm.signature());
        let tbs = [tag::SEQUENCE, 0];
        assert!(sign_tbs(&tbs, &identifier, &key, &key.verifier().unwrap()).is_ok());
        let refused = sign_tbs(&tbs, &identifier, &key, &other.verifier().unwrap());
        assert!(matches!(refused, Err(SignError::Reread(_))), "{refused:?}");
        let refused = sign_message(&tbs, &key, &other.verifier().unwrap());
        assert!(matches!(refused, Err(SignError::Reread(_))), "{refused:?}");
    }
}
