//! The order of a chain: operators concatenate its certificates in any order.

use crate::chain_error::{CHAIN_CERTIFICATES_MAX, ChainError};
use crate::uploaded::UploadedCertificate;

/// Orders the certificates of a chain: each is signed by the next. The numbers are indices. If the
/// certificates are in such an order, it stays.
pub(crate) fn chain_order(
    certificates: &[UploadedCertificate<'_>],
) -> Result<Vec<usize>, ChainError> {
    debug_assert!(certificates.len() <= CHAIN_CERTIFICATES_MAX);
    let links = Links::of(certificates);
    let mut path = Vec::with_capacity(certificates.len());
    let mut starts = 0..certificates.len();
    if starts.any(|start| links.extend(&mut path, start, &mut Vec::new())) {
        return Ok(path);
    }
    // A certificate that names another one, which did not sign it, is forged or of another key.
    for (index, certificate) in certificates.iter().enumerate() {
        let mut others = certificates
            .iter()
            .enumerate()
            .filter(|(other, _)| *other != index);
        let names_another = others.any(|(_, other)| certificate.names_as_issuer(other));
        let is_root = certificate.is_self_issued() && certificate.is_signed_by(certificate);
        if names_another && links.signers[index].is_empty() && !is_root {
            let number = index + 1;
            let mut issuers = certificates
                .iter()
                .filter(|other| certificate.names_as_issuer(other));
            return Err(
                match issuers.find_map(|issuer| certificate.cannot_verify(issuer)) {
                    Some(algorithm) => ChainError::SignatureAlgorithmUnsupported {
                        number,
                        oid: algorithm.to_owned(),
                    },
                    None => ChainError::SignatureInvalid { number },
                },
            );
        }
    }
    Err(ChainError::SeveralChains {
        number: links.outsider() + 1,
    })
}

struct Links {
    /// The signers of each certificate among the others.
    signers: Vec<Vec<usize>>,
}

impl Links {
    fn of(certificates: &[UploadedCertificate<'_>]) -> Self {
        let signers = |(index, certificate): (usize, &UploadedCertificate<'_>)| {
            let others = certificates.iter().enumerate();
            let signers = others.filter(|(other, issuer)| {
                *other != index
                    && certificate.names_as_issuer(issuer)
                    && certificate.is_signed_by(issuer)
            });
            signers.map(|(other, _)| other).collect()
        };
        Self {
            signers: certificates.iter().enumerate().map(signers).collect(),
        }
    }

    /// Extends a path by `next`, and then to all certificates; otherwise leaves it as it is. `dead`
    /// has the ends, with the sets of certificates before them, that lead nowhere.
    fn extend(&self, path: &mut Vec<usize>, next: usize, dead: &mut Vec<(u32, usize)>) -> bool {
        path.push(next);
        if path.len() == self.signers.len() {
            return true;
        }
        let used = path.iter().fold(0_u32, |set, index| set | 1 << index);
        if !dead.contains(&(used, next)) {
            for signer in &self.signers[next] {
                if used & 1 << signer == 0 && self.extend(path, *signer, dead) {
                    return true;
                }
            }
            dead.push((used, next));
        }
        path.pop();
        false
    }

    /// Finds a certificate that does not belong to the others: without a signer and without having
    /// signed, or else the first one beside another of the same signer.
    fn outsider(&self) -> usize {
        let has_signed =
            |index: usize| self.signers.iter().flatten().any(|signer| *signer == index);
        let mut all = 0..self.signers.len();
        let alone = all.find(|index| self.signers[*index].is_empty() && !has_signed(*index));
        let ends: Vec<_> = (0..self.signers.len())
            .filter(|index| !has_signed(*index))
            .collect();
        alone.or_else(|| ends.get(1).copied()).unwrap_or(0)
    }
}
