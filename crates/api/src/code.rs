//! The numbers in `errors[].code`. Those below 1420 and from 6003 on are Cloudflare's where its documentation or recorded
//! answers name one; 1420 to 1449 say what is wrong with a request for a certificate, 1450 to 1456 with a list of
//! hostnames.

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
/// The hostname is not a DNS name; the message says what is wrong with it.
pub(crate) const HOSTNAME_INVALID: u32 = 1450;
/// The hostname has a wildcard: list each hostname.
pub(crate) const HOSTNAME_WILDCARD: u32 = 1451;
/// The hostname is not in the zone: list the zone's name or names below it.
pub(crate) const HOSTNAME_OUTSIDE_ZONE: u32 = 1452;
/// The hostname is in the list twice, letter case aside: leave one out.
pub(crate) const HOSTNAME_REPEATED: u32 = 1453;
/// Another zone lists the hostname: take it out of that list first.
pub(crate) const HOSTNAME_LISTED_ELSEWHERE: u32 = 1454;
/// The list has too many hostnames: split it over several authorities or zones.
pub(crate) const HOSTNAMES_TOO_MANY: u32 = 1455;
/// Hostnames were to be listed for an mTLS certificate whose `ca` is false: name one whose `ca` is true.
pub(crate) const NOT_AN_AUTHORITY: u32 = 1456;
/// The account has no mTLS certificate of this id: GET mtls_certificates of the account lists them.
pub(crate) const MTLS_CERTIFICATE_NOT_FOUND: u32 = 1472;
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
