use aws_lc_rs::digest;

/// Computes SHA-256 of `octets`, for the fingerprint of a certificate or an entity tag.
pub fn sha256(octets: &[u8]) -> [u8; 32] {
    let digest = digest::digest(&digest::SHA256, octets);
    digest.as_ref().try_into().expect("SHA-256 has 32 octets")
}

/// Computes SHA-1 of `octets`, for the fingerprints of old programs. It protects nothing.
pub fn sha1(octets: &[u8]) -> [u8; 20] {
    key_identifier(octets)
}

/// Computes the key identifier of public key bits: SHA-1, as an identifier and not as a protection
/// (RFC 5280 §4.2.1.2, method 1).
pub(crate) fn key_identifier(bits: &[u8]) -> [u8; 20] {
    let digest = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, bits);
    digest.as_ref().try_into().expect("SHA-1 has 20 octets")
}
