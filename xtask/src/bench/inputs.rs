//! Inputs of measurements: requests for certificates, and numbers in a scattered order.

use certgate_model::{KeyAlgorithm, SubjectFields};
use certgate_pki::ClientKey;

/// Makes requests for certificates, each with a key of its own.
pub fn csrs(count: usize) -> anyhow::Result<Vec<String>> {
    let csr = |number: usize| {
        let subject = SubjectFields {
            common_name: format!("device-{number}"),
            organization: "Example".to_owned(),
            ..SubjectFields::default()
        };
        Ok(ClientKey::generate(KeyAlgorithm::P256)?.request(&subject)?)
    };
    (0..count).map(csr).collect()
}

/// Spreads consecutive numbers over the whole range: the finaliser of SplitMix64.
pub fn scatter(number: u64) -> u64 {
    let mut mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed ^ mixed >> 31
}
