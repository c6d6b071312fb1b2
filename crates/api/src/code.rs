//! The numbers in `errors[].code`. Those below 1420 and from 6003 on are Cloudflare's where its documentation or recorded
//! answers name one; 1420 to 1449 say what is wrong with a request for a certificate, 1500 to 1517 with an authority to
//! import.

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
/// The authority's certificate is not PEM: send a CERTIFICATE block.
pub(crate) const AUTHORITY_NO_PEM: u32 = 1500;
/// The authority's certificate has several PEM blocks: send its own certificate alone.
pub(crate) const AUTHORITY_SEVERAL_PEM_BLOCKS: u32 = 1501;
/// A private key stands in the certificate's place: send it in `private_key`.
pub(crate) const AUTHORITY_PRIVATE_KEY: u32 = 1502;
/// The PEM block is no certificate: send the authority's certificate.
pub(crate) const AUTHORITY_WRONG_LABEL: u32 = 1503;
/// The authority's certificate is damaged or does not verify: send the file unchanged.
pub(crate) const AUTHORITY_MALFORMED: u32 = 1504;
/// The authority's certificate is over 16 KiB: send it alone.
pub(crate) const AUTHORITY_TOO_LARGE: u32 = 1505;
/// The certificate may not sign others (CA:TRUE, keyCertSign, a subject): send the one that the key signs with.
pub(crate) const NOT_AUTHORITY: u32 = 1506;
/// The certificate may not sign revocation lists: renew it with cRLSign.
pub(crate) const AUTHORITY_NO_CRL_SIGN: u32 = 1507;
/// The certificate may not vouch for clients: renew it without extended key usage.
pub(crate) const AUTHORITY_NOT_FOR_CLIENTS: u32 = 1508;
/// The authority's certificate has expired: renew it with the same key, or rotate.
pub(crate) const AUTHORITY_EXPIRED: u32 = 1509;
/// The authority's certificate is not valid yet: import it then, or set the clock right.
pub(crate) const AUTHORITY_NOT_YET_VALID: u32 = 1510;
/// The private key belongs to another certificate: send the two that belong together.
pub(crate) const AUTHORITY_KEY_MISMATCH: u32 = 1511;
/// The authority's private key is not exactly one PEM block with a private key: send it alone.
pub(crate) const AUTHORITY_KEY_PEM: u32 = 1512;
/// The authority's private key is encrypted: decrypt it first.
pub(crate) const AUTHORITY_KEY_ENCRYPTED: u32 = 1513;
/// The authority's private key is damaged: send the file unchanged.
pub(crate) const AUTHORITY_KEY_MALFORMED: u32 = 1514;
/// An authority cannot have a key of this kind: use P-256, P-384, RSA-2048, RSA-3072, RSA-4096 or Ed25519.
pub(crate) const AUTHORITY_KEY_KIND: u32 = 1515;
/// The account has that very authority already: nothing was changed.
pub(crate) const AUTHORITY_KNOWN: u32 = 1516;
/// The account has had as many managed authorities as there can be: make another account.
pub(crate) const AUTHORITIES_MAX: u32 = 1517;
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
