//! The numbers in `errors[].code`. Those below 1420 and from 6003 on are Cloudflare's where its documentation or recorded
//! answers name one; 1420 to 1449 say what is wrong with a request for a certificate, 1450 to
//! 1469 with one that an account brings.

pub(crate) const RATE_LIMITED: u32 = 971;
pub(crate) const INVALID_API_TOKEN: u32 = 1000;
pub(crate) const TOKEN_NOT_FOUND: u32 = 1003;
pub(crate) const TOKEN_EXCEEDS_OWN: u32 = 1004;
pub(crate) const ZONE_EXISTS: u32 = 1061;
pub(crate) const ACCOUNT_EXISTS: u32 = 1062;
pub(crate) const ZONE_IN_USE: u32 = 1063;
pub(crate) const ACCOUNT_IN_USE: u32 = 1064;
pub(crate) const NAME_INVALID: u32 = 1065;
pub(crate) const ALREADY_REVOKED: u32 = 1407;
pub(crate) const CERTIFICATE_NOT_FOUND: u32 = 1415;
pub(crate) const CSR_NO_PEM: u32 = 1420;
pub(crate) const CSR_SEVERAL_PEM_BLOCKS: u32 = 1421;
pub(crate) const CSR_PRIVATE_KEY: u32 = 1422;
pub(crate) const CSR_WRONG_LABEL: u32 = 1423;
pub(crate) const CSR_BAD_BASE64: u32 = 1424;
pub(crate) const CSR_MALFORMED: u32 = 1425;
pub(crate) const CSR_TRAILING_BYTES: u32 = 1426;
pub(crate) const CSR_SIGNATURE_INVALID: u32 = 1427;
pub(crate) const CSR_SIGNATURE_ALGORITHM: u32 = 1428;
pub(crate) const CSR_RSA_MODULUS: u32 = 1429;
pub(crate) const CSR_RSA_EXPONENT: u32 = 1430;
pub(crate) const CSR_CURVE: u32 = 1431;
pub(crate) const CSR_KEY: u32 = 1432;
pub(crate) const CSR_TOO_LARGE: u32 = 1433;
pub(crate) const CSR_SUBJECT: u32 = 1434;
pub(crate) const CSR_POINT_COMPRESSED: u32 = 1435;
pub(crate) const CSR_KEY_INVALID: u32 = 1436;
pub(crate) const VALIDITY: u32 = 1440;
pub(crate) const OUTLIVES_AUTHORITY: u32 = 1441;
pub(crate) const QUOTA_REACHED: u32 = 1445;
/// The certificates have a PEM problem: no block, damaged Base64 or structure, too long. Send the PEM file unchanged.
pub(crate) const BUNDLE_MALFORMED: u32 = 1450;
/// The certificates are a DER or PKCS #12 file. Convert them to PEM.
pub(crate) const BUNDLE_NOT_PEM: u32 = 1451;
/// A private key is among the certificates. Send it in `private_key`.
pub(crate) const BUNDLE_PRIVATE_KEY: u32 = 1452;
/// A public key is among the certificates. Send the certificate.
pub(crate) const BUNDLE_PUBLIC_KEY: u32 = 1453;
/// A certificate signing request is among the certificates. Send the certificate that was made of it.
pub(crate) const BUNDLE_REQUEST: u32 = 1454;
/// A PEM block of another kind is among the certificates. Send only CERTIFICATE blocks.
pub(crate) const BUNDLE_WRONG_LABEL: u32 = 1455;
/// There is text behind the last certificate. Remove it.
pub(crate) const BUNDLE_TEXT_AFTER_END: u32 = 1456;
/// There are more than ten certificates. Send one chain.
pub(crate) const BUNDLE_TOO_MANY: u32 = 1457;
/// A certificate's signature algorithm is not supported. Use RSA or ECDSA with SHA-2, or Ed25519.
pub(crate) const BUNDLE_SIGNATURE_ALGORITHM: u32 = 1458;
/// A certificate's public key is not accepted. Use RSA of 2048 to 8192 bits, P-256, P-384, P-521 or Ed25519.
pub(crate) const BUNDLE_KEY: u32 = 1459;
/// A certificate that must be an authority's is not. Send the authority's, or `ca: false` with the key.
pub(crate) const BUNDLE_NOT_AUTHORITY: u32 = 1460;
/// The chain is out of order, or a certificate is there twice. Each must be signed by the next.
pub(crate) const BUNDLE_CHAIN: u32 = 1461;
/// A certificate's signature does not verify. Get the certificate again.
pub(crate) const BUNDLE_SIGNATURE_INVALID: u32 = 1462;
/// A certificate has expired. Send one that is valid.
pub(crate) const BUNDLE_EXPIRED: u32 = 1463;
/// The private key is no PEM, damaged, too long, or something else. Send one private key in PEM.
pub(crate) const PRIVATE_KEY_MALFORMED: u32 = 1464;
/// The private key is encrypted. Decrypt it first.
pub(crate) const PRIVATE_KEY_ENCRYPTED: u32 = 1465;
/// There are several private keys. Send that of the first certificate.
pub(crate) const PRIVATE_KEY_SEVERAL: u32 = 1466;
/// The private key is of a kind or size that is not supported. Use RSA of 2048 to 8192 bits, P-256, P-384, P-521 or Ed25519.
pub(crate) const PRIVATE_KEY_UNSUPPORTED: u32 = 1467;
/// The private key does not belong to the first certificate. Send the one that does.
pub(crate) const PRIVATE_KEY_MISMATCH: u32 = 1468;
/// A leaf certificate came without its private key. Send `private_key`, or `ca: true` for an authority.
pub(crate) const PRIVATE_KEY_MISSING: u32 = 1469;
/// The account has the certificate already. The message names its id.
pub(crate) const MTLS_CERTIFICATE_EXISTS: u32 = 1471;
/// The account has no such mTLS certificate.
pub(crate) const MTLS_CERTIFICATE_NOT_FOUND: u32 = 1472;
/// Hostnames use the mTLS certificate. Take it off them first.
pub(crate) const MTLS_CERTIFICATE_IN_USE: u32 = 1473;
/// The account has as many mTLS certificates as its quota allows. Delete one, or raise `account_mtls_certificates_max`.
pub(crate) const MTLS_QUOTA_REACHED: u32 = 1489;
pub(crate) const INVALID_HEADERS: u32 = 6003;
pub(crate) const MALFORMED_JSON: u32 = 6007;
pub(crate) const BODY_INCOMPLETE: u32 = 6008;
pub(crate) const AUTHORIZATION_FORMAT: u32 = 6111;
pub(crate) const NO_ROUTE: u32 = 7003;
pub(crate) const MISSING_CREDENTIALS: u32 = 9106;
pub(crate) const UNKNOWN_KEY: u32 = 9103;
pub(crate) const ACCESS: u32 = 9109;
pub(crate) const INVALID_MEMBER: u32 = 9207;
pub(crate) const INVALID_PARAMETER: u32 = 9208;
pub(crate) const TOKEN_VALID: u32 = 10000;
pub(crate) const METHOD: u32 = 10405;
pub(crate) const TIMEOUT: u32 = 10408;
pub(crate) const BODY_TOO_LARGE: u32 = 10413;
pub(crate) const INTERNAL: u32 = 10500;
pub(crate) const UNAVAILABLE: u32 = 10503;
