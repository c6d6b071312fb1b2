//! The numbers in `errors[].code`: the one table, from which docs/errors.md, docs/errors-csr.md and
//! docs/errors-ca.md are written.
//!
//! Cloudflare has the numbers below 1419 except 1066, 1471, 1472, 1489 and those from 6003 on,
//! where its documentation or recorded answers name one. The others are our own: 1419 is about
//! repeated requests, 1420 to 1449 about certificate requests, 1450 to 1469 about uploaded
//! certificates, 1480 to 1486 about hostnames, 1500 to 1514 about imported CAs, 1520 to 1523 about
//! enforcement points, 1530 to 1536 about searches, 1540 to 1542 about issuance rules and the last
//! token, 1550 to 1556 about states of CAs, 1560 to 1567 about adopted certificates, and 1570 to
//! 1572 about invites.

use http::StatusCode;

/// A code, with the HTTP status of its answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Code {
    number: u16,
    pub(crate) status: StatusCode,
}

impl Code {
    /// Returns the number in `errors[].code`.
    pub(crate) fn number(self) -> u32 {
        self.number.into()
    }
}

/// Returns the page of the documentation that describes a code.
pub(crate) const fn page(number: u32) -> &'static str {
    match number {
        1420..=1449 => "errors-csr.md",
        1450..=1529 | 1550..=1569 => "errors-ca.md",
        _ => "errors.md",
    }
}

/// A code as the error reference shows it.
#[cfg(test)]
struct CodeEntry {
    code: Code,
    /// The problem: half a sentence in Markdown, like the remedy.
    when: &'static str,
    remedy: &'static str,
}

/// Makes a constant and a [`CodeEntry`] of each row, so that every code has its texts.
macro_rules! codes {
    ($($name:ident = $number:literal [$status:ident] $when:literal => $remedy:literal;)+) => {
        $(
            #[doc = $when]
            pub(crate) const $name: Code = Code {
                number: $number,
                status: StatusCode::$status,
            };
        )+

        /// Every code, in ascending order.
        #[cfg(test)]
        const ALL: &[CodeEntry] = &[
            $(CodeEntry { code: $name, when: $when, remedy: $remedy },)+
        ];
    };
}

codes! {
    RATE_LIMITED = 971 [TOO_MANY_REQUESTS]
        "the token sent more requests than the server allows in a minute; or the token, the \
         account or your address has the maximum of streams and waiting requests, of pending \
         rotations, of new managed CAs within an hour, or of connections"
        => "wait as many seconds as `retry-after` says";
    INVALID_API_TOKEN = 1000 [UNAUTHORIZED]
        "`/user/tokens/verify` got a token that is unknown, expired or disabled, or that does not \
         allow the client's address"
        => "use another token";
    TOKEN_NOT_FOUND = 1003 [NOT_FOUND]
        "the user has no token with this ID"
        => "list the tokens: `GET /user/tokens`";
    TOKEN_EXCEEDS_OWN = 1004 [FORBIDDEN]
        "the token to create, change, roll or delete has a permission that the token of the \
         request does not have"
        => "use a token that has at least the same permissions";
    ZONE_EXISTS = 1061 [BAD_REQUEST]
        "a zone already has this name"
        => "choose another name, or use the existing zone: `GET /zones?name=…`";
    ACCOUNT_EXISTS = 1062 [BAD_REQUEST]
        "an account already has this name"
        => "choose another name, or use the existing account: `GET /accounts?name=…`";
    ZONE_IN_USE = 1063 [BAD_REQUEST]
        "the zone to delete has certificates that are not revoked, or whose revocation is pending"
        => "revoke them first, and wait as long as the message says";
    ACCOUNT_IN_USE = 1064 [BAD_REQUEST]
        "the account to delete has zones or mTLS certificates"
        => "delete them first";
    NAME_INVALID = 1065 [BAD_REQUEST]
        "the name of the zone, account or other object is not valid"
        => "read the message, which states the rule";
    ZONE_NEIGHBOUR = 1066 [FORBIDDEN]
        "the zone to create is above or below a zone of another account"
        => "use a token that has Zone Write on both, or choose another name";
    REVOKED_BEFORE = 1407 [OK]
        "not an error: in `messages` of a DELETE, the certificate was revoked before, and nothing \
         changed"
        => "do nothing; PATCH restores a certificate on hold";
    REVOKED_FOR_GOOD = 1408 [BAD_REQUEST]
        "the certificate to restore was revoked for a final reason (RFC 5280 §5.3.1)"
        => "issue another certificate";
    CERTIFICATE_NOT_FOUND = 1415 [NOT_FOUND]
        "the zone has no client certificate with this ID"
        => "check the ID and the zone";
    IDEMPOTENCY_KEY_REUSED = 1419 [BAD_REQUEST]
        "an earlier request had this `Idempotency-Key` with another `csr` or `validity_days`"
        => "use a new key for each certificate, and the same key only to repeat its request";
    CSR_NO_PEM = 1420 [BAD_REQUEST]
        "`csr` has no PEM block, and is not Base64 of a request"
        => "send the whole output of `openssl req -new`";
    CSR_SEVERAL_PEM_BLOCKS = 1421 [BAD_REQUEST]
        "`csr` has several PEM blocks"
        => "send one request per call";
    CSR_PRIVATE_KEY = 1422 [BAD_REQUEST]
        "`csr` is a private key"
        => "send the request that you made with the key, and consider a new key";
    CSR_WRONG_LABEL = 1423 [BAD_REQUEST]
        "the PEM block is not a certificate request"
        => "send the block that begins with `BEGIN CERTIFICATE REQUEST`";
    CSR_BAD_BASE64 = 1424 [BAD_REQUEST]
        "the text between the BEGIN and the END line is not Base64"
        => "send the file without changes to its lines";
    CSR_MALFORMED = 1425 [BAD_REQUEST]
        "the request is not well-formed DER (RFC 2986)"
        => "create it again; the message names the malformed part";
    CSR_TRAILING_BYTES = 1426 [BAD_REQUEST]
        "data follows the request"
        => "remove the data";
    CSR_SIGNATURE_INVALID = 1427 [BAD_REQUEST]
        "the request's signature does not verify under its own key"
        => "create the request again with the private key of its public key";
    CSR_SIGNATURE_ALGORITHM = 1428 [BAD_REQUEST]
        "the request has an unsupported signature algorithm"
        => "sign it with SHA-256 or better";
    CSR_RSA_MODULUS = 1429 [BAD_REQUEST]
        "the RSA key is too short or too long"
        => "use 2048 to 8192 bits";
    CSR_RSA_EXPONENT = 1430 [BAD_REQUEST]
        "the public exponent of the RSA key is not accepted"
        => "use 65537, the default of every tool";
    CSR_CURVE = 1431 [BAD_REQUEST]
        "the curve of the key is not accepted"
        => "use P-256, P-384 or P-521";
    CSR_KEY = 1432 [BAD_REQUEST]
        "the kind of the key is not accepted"
        => "use RSA, ECDSA or Ed25519";
    CSR_TOO_LARGE = 1433 [BAD_REQUEST]
        "`csr` is too large"
        => "remove unnecessary attributes; 16 KiB is enough for any key";
    CSR_SUBJECT = 1434 [BAD_REQUEST]
        "the request's subject is malformed or not accepted"
        => "create the request again with a plain subject, such as `-subj /CN=device-1`";
    CSR_POINT_COMPRESSED = 1435 [BAD_REQUEST]
        "the public key is a compressed point"
        => "write it uncompressed: `-pkeyopt ec_point_format:uncompressed` with OpenSSL";
    CSR_KEY_INVALID = 1436 [BAD_REQUEST]
        "the public key is not valid, for example not a point of its curve"
        => "create a new key";
    CSR_KEY_WEAK = 1437 [BAD_REQUEST]
        "anyone can compute the private key of the public key, or sign without it"
        => "create a new key, with another program or library";
    CSR_TEXT_AROUND = 1438 [BAD_REQUEST]
        "`csr` has more than 1 KiB of text or white space around the request, without the dump of \
         the request's octets that programs write before it"
        => "send the PEM block only: `openssl req -in client.csr` prints it";
    CSR_CONTROL_CHARACTER = 1439 [BAD_REQUEST]
        "a name in the request's subject has a control character, such as NUL"
        => "create the request again without it";
    VALIDITY = 1440 [BAD_REQUEST]
        "`validity_days` is below 1 or above the server's maximum"
        => "choose a number within the bounds in the message";
    OUTLIVES_AUTHORITY = 1441 [BAD_REQUEST]
        "the certificate would be valid longer than the CA that signs it"
        => "choose a shorter validity";
    AUTHORITY_NOT_VALID = 1442 [BAD_REQUEST]
        "the CA that signs is not valid now: it has expired, or the server's clock is wrong"
        => "correct the server's clock; if it is right, rotate the CA";
    PATH_NOT_VALID = 1443 [BAD_REQUEST]
        "verifiers would reject the certificate because of the CA that signs: of its name \
         constraints, its extended key usage or an unknown critical extension"
        => "use a subject that the CA permits, or rotate the CA";
    QUOTA_REACHED = 1445 [FORBIDDEN]
        "the zone has as many certificates as the server's quota allows"
        => "raise the quota in the server's configuration";
    SUBJECT_EMPTY = 1446 [OK]
        "not an error: in `messages` of an issue, the subject of the CSR is empty"
        => "create requests with a subject, such as `-subj /CN=device-1`";
    NAMES_NOT_COPIED = 1447 [OK]
        "not an error: in `messages` of an issue, the CSR asks for names beside its subject, such \
         as DNS names, which the certificate does not have"
        => "put names that verifiers need into the subject";
    LIFETIME_SHORTENED = 1448 [OK]
        "a note, not an error: an issuance rule made the certificate end earlier than \
         `validity_days` says"
        => "renew it before it expires";
    SUBJECT_FOREIGN = 1449 [OK]
        "not an error: in `messages` of an issue, OpenSSL cannot read a name in the subject of the \
         CSR, and so most proxies reject the certificate"
        => "create the request again with a plain subject, such as `-subj /CN=device-1`";
    BUNDLE_MALFORMED = 1450 [BAD_REQUEST]
        "the certificates are not PEM, too long or malformed, or a CA is not of X.509 version 3"
        => "send the PEM file unchanged, with CAs of version 3";
    BUNDLE_NOT_PEM = 1451 [BAD_REQUEST]
        "the certificates are a DER or PKCS #12 file"
        => "convert them to PEM";
    BUNDLE_PRIVATE_KEY = 1452 [BAD_REQUEST]
        "a private key is among the certificates"
        => "send it in `private_key`";
    BUNDLE_PUBLIC_KEY = 1453 [BAD_REQUEST]
        "a public key is among the certificates"
        => "send the certificate";
    BUNDLE_REQUEST = 1454 [BAD_REQUEST]
        "a certificate signing request is among the certificates"
        => "send the certificate that a CA issued for it";
    BUNDLE_WRONG_LABEL = 1455 [BAD_REQUEST]
        "a PEM block of another kind is among the certificates"
        => "send only CERTIFICATE blocks";
    BUNDLE_TOO_MANY = 1457 [BAD_REQUEST]
        "the chain has more than ten certificates"
        => "send one chain";
    BUNDLE_SIGNATURE_ALGORITHM = 1458 [BAD_REQUEST]
        "a certificate has an unsupported signature algorithm"
        => "use RSA or ECDSA with SHA-2, or Ed25519";
    BUNDLE_KEY = 1459 [BAD_REQUEST]
        "a certificate's public key is not accepted, or is weak"
        => "use a strong key: RSA of 2048 to 8192 bits, P-256, P-384, P-521 or Ed25519";
    BUNDLE_NOT_AUTHORITY = 1460 [BAD_REQUEST]
        "a certificate in the place of a CA is not a CA"
        => "send the CA's certificate, or `ca: false` with the private key";
    BUNDLE_CHAIN = 1461 [BAD_REQUEST]
        "the certificates are not one chain, or there is one twice"
        => "send each certificate of one chain once, in any order";
    BUNDLE_SIGNATURE_INVALID = 1462 [BAD_REQUEST]
        "a certificate's signature does not verify"
        => "get the certificate again";
    BUNDLE_EXPIRED = 1463 [BAD_REQUEST]
        "a certificate has expired"
        => "send a valid certificate";
    PRIVATE_KEY_MALFORMED = 1464 [BAD_REQUEST]
        "the private key is not PEM, malformed or too long"
        => "send one private key in PEM";
    PRIVATE_KEY_ENCRYPTED = 1465 [BAD_REQUEST]
        "the private key is encrypted"
        => "decrypt it first";
    PRIVATE_KEY_SEVERAL = 1466 [BAD_REQUEST]
        "the request has several private keys"
        => "send the private key of the certificate, the first one of a chain";
    PRIVATE_KEY_UNSUPPORTED = 1467 [BAD_REQUEST]
        "the private key has an unsupported kind or size"
        => "use RSA of 2048 to 8192 bits, P-256, P-384, P-521 or Ed25519; for a CA to import \
            P-256, P-384, RSA-2048, RSA-3072, RSA-4096 or Ed25519";
    PRIVATE_KEY_MISMATCH = 1468 [BAD_REQUEST]
        "the private key does not belong to the certificate, the first one of a chain"
        => "send the private key of the certificate";
    PRIVATE_KEY_MISSING = 1469 [BAD_REQUEST]
        "a leaf certificate came without its private key"
        => "send `private_key`, or `ca: true` for a CA";
    MTLS_CERTIFICATE_EXISTS = 1471 [BAD_REQUEST]
        "the account already has the certificate"
        => "use the ID in the message";
    MTLS_CERTIFICATE_NOT_FOUND = 1472 [NOT_FOUND]
        "the account has no mTLS certificate with this ID"
        => "list them: `GET /accounts/{account_id}/mtls_certificates`";
    MTLS_CERTIFICATE_IN_USE = 1473 [BAD_REQUEST]
        "hostnames use the mTLS certificate"
        => "remove it from them first";
    HOSTNAME_INVALID = 1480 [BAD_REQUEST]
        "a hostname in the list is not a DNS name"
        => "correct it as the message says";
    HOSTNAME_WILDCARD = 1481 [BAD_REQUEST]
        "a hostname in the list has a wildcard"
        => "list each hostname";
    HOSTNAME_OUTSIDE_ZONE = 1482 [BAD_REQUEST]
        "a hostname in the list is not in the zone"
        => "list the zone's name or names below it";
    HOSTNAME_REPEATED = 1483 [BAD_REQUEST]
        "the list has a hostname twice, perhaps in different letter case"
        => "remove one of them";
    HOSTNAME_LISTED_ELSEWHERE = 1484 [BAD_REQUEST]
        "another zone lists the hostname"
        => "remove it from that list first";
    HOSTNAMES_TOO_MANY = 1485 [BAD_REQUEST]
        "the list has too many hostnames"
        => "split it over several CAs or zones";
    NOT_AN_AUTHORITY = 1486 [BAD_REQUEST]
        "the mTLS certificate of a list of hostnames has `ca` false"
        => "name one whose `ca` is true";
    MTLS_QUOTA_REACHED = 1489 [FORBIDDEN]
        "the account has as many mTLS certificates as its quota allows"
        => "delete one, or raise `account_mtls_certificates_max`";
    AUTHORITY_NO_PEM = 1500 [BAD_REQUEST]
        "the CA's certificate is not PEM"
        => "send a CERTIFICATE block";
    AUTHORITY_CHAIN = 1501 [BAD_REQUEST]
        "the CA's certificate came with others that are not one chain with it, or not acceptable"
        => "send its own certificate alone, or with the chain above it";
    AUTHORITY_PRIVATE_KEY = 1502 [BAD_REQUEST]
        "`certificate` is a private key"
        => "send it in `private_key`";
    AUTHORITY_WRONG_LABEL = 1503 [BAD_REQUEST]
        "the PEM block is not a certificate"
        => "send the CA's certificate";
    AUTHORITY_MALFORMED = 1504 [BAD_REQUEST]
        "the CA's certificate is malformed or does not verify"
        => "send the file unchanged";
    AUTHORITY_TOO_LARGE = 1505 [BAD_REQUEST]
        "the CA's certificate is larger than 16 KiB"
        => "send it alone";
    AUTHORITY_NOT_ONE = 1506 [BAD_REQUEST]
        "the certificate may not sign others (CA:TRUE, keyCertSign, a subject)"
        => "send the certificate of the key that signs";
    AUTHORITY_NO_CRL_SIGN = 1507 [BAD_REQUEST]
        "the certificate may not sign CRLs"
        => "renew it with cRLSign";
    AUTHORITY_NOT_FOR_CLIENTS = 1508 [BAD_REQUEST]
        "the certificate may not issue client certificates"
        => "renew it without extended key usage, or with clientAuth";
    AUTHORITY_EXPIRED = 1509 [BAD_REQUEST]
        "the CA's certificate has expired"
        => "renew it with the same key, or rotate";
    AUTHORITY_NOT_YET_VALID = 1510 [BAD_REQUEST]
        "the CA's certificate is not valid yet"
        => "import it later, or correct the server's clock";
    AUTHORITY_KNOWN = 1511 [BAD_REQUEST]
        "the account already has this CA"
        => "do nothing: the account did not change";
    AUTHORITIES_MAX = 1512 [FORBIDDEN]
        "the account has the largest number of managed CAs that have signed certificates"
        => "create another account";
    AUTHORITY_KEY_WEAK = 1513 [BAD_REQUEST]
        "anyone can compute the private key of the CA, or sign without it"
        => "create a new CA with a new key";
    AUTHORITY_PATH = 1514 [BAD_REQUEST]
        "verifiers would reject each certificate of the CA, because of its extensions or names, or \
         because of a CA above it that came with it"
        => "renew the certificate in the message; leave CAs above out if verifiers trust this one";
    ENFORCEMENT_POINT_NOT_FOUND = 1520 [NOT_FOUND]
        "the account has no enforcement point with this ID"
        => "register it again";
    EPOCH_AHEAD = 1521 [BAD_REQUEST]
        "an enforcement point acknowledges an epoch that does not exist: the server has not \
         reached it, or lost it when its database was restored from a backup"
        => "read all revoked certificates again, and acknowledge the epoch of that list";
    ENFORCEMENT_POINTS_MAX = 1522 [FORBIDDEN]
        "the account has the largest number of enforcement points"
        => "delete those that you do not use any more";
    ENFORCEMENT_POINT_OWNED = 1523 [FORBIDDEN]
        "another token registered the enforcement point"
        => "use that token; a token with Account Settings Write can delete the point";
    MATCHES_NOT_COUNTED = 1530 [OK]
        "not an error: in `messages` of a filtered list, more certificates match than \
         `total_count` says"
        => "read the others with `continue` of `result_info` if it is there, or narrow the filter";
    NOTHING_FOUND_YET = 1531 [BAD_REQUEST]
        "the search stopped at its limit of work, before its first match"
        => "send the same request with the `continue` of the error, or narrow the filter";
    BEYOND_MATCHES = 1532 [BAD_REQUEST]
        "the page of a filtered list begins after the first 10,000 matches"
        => "begin at page 1 and send `continue` of its `result_info`, or narrow the filter";
    TOO_MANY_TO_ORDER = 1533 [BAD_REQUEST]
        "more than 10,000 certificates match, too many for the `order`"
        => "narrow the filter, or leave `order` out";
    SEARCH_BUSY = 1534 [TOO_MANY_REQUESTS]
        "another search with `common_name.contains` runs on the server, which makes one at a time"
        => "wait as many seconds as `retry-after` says, or use `common_name.startswith`";
    NOT_INDEXED = 1535 [SERVICE_UNAVAILABLE]
        "the server does not have all certificates of an earlier version in its index yet"
        => "wait; the message says how many certificates are in it";
    NOT_COUNTED_YET = 1536 [OK]
        "not an error: in `messages` of a summary, the server has not counted all certificates of \
         an earlier version by CA and day yet"
        => "wait; the message says how many are missing";
    ISSUANCE_RULE = 1540 [FORBIDDEN]
        "an issuance rule of the zone or of the token does not permit the certificate. The message \
         names the rule, its owner and the value"
        => "change the request as the message says, or have the rule changed";
    ISSUANCE_RULES_CORRUPT = 1541 [INTERNAL_SERVER_ERROR]
        "the stored issuance rules of the zone or the token cannot be read, so nothing is issued"
        => "replace the rules, and find the cause with `certgate check`";
    LAST_TOKEN = 1542 [BAD_REQUEST]
        "without this token, no token could create tokens"
        => "create another one first, or confirm the change with `last_token=true` in the query";
    AUTHORITY_NOT_FOUND = 1550 [NOT_FOUND]
        "the account has no managed CA, or request of one, with this ID"
        => "list the CAs of the account";
    AUTHORITY_NOT_ACKNOWLEDGED = 1551 [BAD_REQUEST]
        "enforcement points have not acknowledged the CA to activate"
        => "wait for them, delete those that do not exist any more, or send `anyway`";
    AUTHORITY_ACTIVE = 1552 [BAD_REQUEST]
        "the active CA cannot be retired"
        => "activate another CA first";
    AUTHORITY_MAY_HAVE_VALID = 1553 [BAD_REQUEST]
        "certificates of the CA to retire can still be valid"
        => "replace them first, or send `anyway`";
    AUTHORITY_NO_KEY = 1554 [BAD_REQUEST]
        "a CA's certificate came without a private key, and no request of the account has its key"
        => "send `private_key`, or the certificate that was made from a request of the account";
    AUTHORITY_REQUESTS_MAX = 1555 [FORBIDDEN]
        "the account has the largest number of keys that wait for their certificates"
        => "delete those that you do not need";
    AUTHORITY_CANNOT_SIGN = 1556 [BAD_REQUEST]
        "the CA to activate has expired, or is not valid yet"
        => "activate another CA, or correct the server's clock";
    AUTHORITY_NOT_ACTIVATED = 1557 [BAD_REQUEST]
        "the account has a prepared CA, and none is active yet"
        => "activate the one in the message";
    ADOPTION_NOT_ONE = 1560 [BAD_REQUEST]
        "the text to adopt is not one certificate in PEM, or has a private key"
        => "send one certificate";
    ADOPTION_MALFORMED = 1561 [BAD_REQUEST]
        "the certificate to adopt is malformed"
        => "send the file unchanged";
    ADOPTION_UNSUPPORTED = 1562 [BAD_REQUEST]
        "the certificate to adopt has a key or signature of an algorithm that is not supported"
        => "replace the certificate";
    ADOPTION_NOT_CLIENT = 1563 [BAD_REQUEST]
        "the certificate to adopt is not one of a client"
        => "adopt only certificates that clients present";
    ADOPTION_OTHER_AUTHORITY = 1564 [BAD_REQUEST]
        "no managed CA of the account has the name of the certificate's issuer"
        => "import that CA first";
    ADOPTION_SIGNATURE = 1565 [BAD_REQUEST]
        "the signature of the certificate to adopt does not verify under the account's CA"
        => "send the file unchanged, or import the CA that signed it";
    ADOPTION_SERIAL_TAKEN = 1566 [BAD_REQUEST]
        "the CA has another certificate with the serial number, or another zone has the certificate"
        => "look for the serial number";
    ADOPTIONS_COUNT = 1567 [BAD_REQUEST]
        "a request has no certificate to adopt, or more than 1,000"
        => "split it";
    INVITE_NOT_FOUND = 1570 [NOT_FOUND]
        "the zone has no invite with this ID"
        => "list the invites of the zone";
    INVITES_MAX = 1571 [FORBIDDEN]
        "the zone has the largest number of invites, and none has expired"
        => "wait until one has";
    INVITE_TOKEN_RULES = 1572 [FORBIDDEN]
        "the token has issuance rules of its own, which do not apply to the certificates of an \
         invite"
        => "use a token without them, and set the rules of the zone";
    INVALID_HEADERS = 6003 [BAD_REQUEST]
        "a header is malformed"
        => "see the code in `error_chain`";
    MALFORMED_JSON = 6007 [BAD_REQUEST]
        "the body is not JSON"
        => "send JSON in UTF-8";
    BODY_INCOMPLETE = 6008 [BAD_REQUEST]
        "the connection ended before the body was complete"
        => "send the request again";
    EMAIL_FORMAT = 6102 [BAD_REQUEST]
        "in `error_chain` of 6003: `X-Auth-Email` is not an e-mail address"
        => "send the address of the user, see `GET /user`";
    KEY_FORMAT = 6103 [BAD_REQUEST]
        "in `error_chain` of 6003: `X-Auth-Key` does not have the form of an API key"
        => "send the key itself; a token belongs in `Authorization`";
    AUTHORIZATION_FORMAT = 6111 [BAD_REQUEST]
        "in `error_chain` of 6003: `Authorization` does not have the form `Bearer <token>`"
        => "send `Authorization: Bearer <token>`";
    IDEMPOTENCY_KEY_FORMAT = 6121 [BAD_REQUEST]
        "in `error_chain` of 6003: the request has several `Idempotency-Key` headers, or one that \
         is not 1 to 255 visible ASCII characters"
        => "send one, such as a UUID";
    REPEATED_HEADER = 6122 [BAD_REQUEST]
        "in `error_chain` of 6003: the request has several `Host`, `Authorization`, `X-Auth-Email` \
         or `X-Auth-Key` headers"
        => "send one of each; a proxy may have added the other one";
    NO_ROUTE = 7003 [NOT_FOUND]
        "the path is unknown, or an ID in it is malformed"
        => "check the path; IDs of zones and accounts are 32 hexadecimal digits";
    UNKNOWN_KEY = 9103 [FORBIDDEN]
        "`X-Auth-Key` is unknown, or belongs to another e-mail address"
        => "create a key with `certgate token api-key create`, or use a token";
    MISSING_CREDENTIALS = 9106 [BAD_REQUEST]
        "the request has no credentials"
        => "send `Authorization: Bearer <token>`";
    ACCESS = 9109 [FORBIDDEN]
        "the token is unknown, expired or disabled, does not allow the client's address, or has no \
         permission here; or the object in the path does not exist: the answer is the same"
        => "use a token whose policies name the permission and the zone or account";
    INVALID_MEMBER = 9207 [BAD_REQUEST]
        "a member of the body is missing, of the wrong type or out of bounds"
        => "correct the member at `source.pointer` as the message says";
    INVALID_PARAMETER = 9208 [BAD_REQUEST]
        "a query parameter is out of bounds"
        => "correct the parameter that `source.pointer` names, as the message says";
    TOKEN_VALID = 10000 [OK]
        "not an error: in `messages` of `/user/tokens/verify`, the token is valid"
        => "do nothing";
    MALFORMED_HEAD = 10400 [BAD_REQUEST]
        "the request line or a header line is malformed, the `Host` header is missing, or the \
         request is not HTTP/1.1"
        => "percent-encode the path and the query; check the scheme (`https://` or `http://`)";
    METHOD = 10405 [METHOD_NOT_ALLOWED]
        "the path does not have this method"
        => "use a method of the `allow` header";
    TIMEOUT = 10408 [REQUEST_TIMEOUT]
        "the request took longer than the server's limit"
        => "send it again";
    BODY_TOO_LARGE = 10413 [PAYLOAD_TOO_LARGE]
        "the body is too large"
        => "send less; 64 KiB is enough for every request";
    URI_TOO_LONG = 10414 [URI_TOO_LONG]
        "the request target is longer than 65,534 bytes"
        => "send a shorter query";
    BODY_ENCODED = 10415 [UNSUPPORTED_MEDIA_TYPE]
        "the body is compressed: it has a `Content-Encoding`, or another `Transfer-Encoding` than \
         chunked"
        => "send the body without compression";
    HEAD_TOO_LARGE = 10431 [REQUEST_HEADER_FIELDS_TOO_LARGE]
        "the head of the request is larger than 64 KiB or has more than 100 header lines"
        => "send fewer or shorter headers";
    INTERNAL = 10500 [INTERNAL_SERVER_ERROR]
        "the server failed"
        => "search the server's log for the answer's `certgate-request-id`";
    UNAVAILABLE = 10503 [SERVICE_UNAVAILABLE]
        "the server cannot answer now, for example because its disk or its queue is full"
        => "wait as many seconds as `retry-after` says; the server's log has the cause";
    IN_DOUBT = 10504 [SERVICE_UNAVAILABLE]
        "the database failed during the change, and the server does not know the outcome; \
         `x-should-retry` is `true` only with an `Idempotency-Key`"
        => "check if the change was made (the message of an issue names the certificate), then \
            send the request again; with an `Idempotency-Key` you need not check";
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;
    use std::ops::RangeInclusive;

    use super::*;

    /// A page of the reference.
    struct Page {
        path: &'static str,
        head: &'static str,
        /// Titles, each with the codes below it.
        sections: &'static [(&'static str, &'static [RangeInclusive<u32>])],
    }

    const PAGES: [Page; 3] = [
        Page {
            path: concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/errors.md"),
            head: "\
# Error codes

`cargo xtask docs` writes this page from `crates/api/src/code.rs`.
[errors-csr.md](errors-csr.md) has the codes of certificate requests, and
[errors-ca.md](errors-ca.md) those of CAs, hostnames and enforcement points.

A failed request gets this body:

```json
{\"success\": false, \"errors\": [{\"code\": 1420, \"message\": \"…\"}], \
\"messages\": [], \"result\": null}
```

Read the `message` first: it names the problem, the value and the remedy. `source.pointer` names the
input, as a JSON pointer into the body or as a query parameter. To find the request in the server's
log, search for the answer's header `certgate-request-id`.

Retry after 408, 429 and 5xx (after 10504, check first). After any other status, the same request
fails again.
",
            sections: &[
                ("Tokens, zones and accounts", &[0..=1099]),
                ("Client certificates", &[1400..=1419]),
                ("Filtered lists and summaries", &[1530..=1539]),
                ("Issuance rules and the last token", &[1540..=1549]),
                ("Invites", &[1570..=1579]),
                ("All requests", &[6000..=u32::MAX]),
            ],
        },
        Page {
            path: concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/errors-csr.md"),
            head: "\
# Error codes of certificate requests

`cargo xtask docs` writes this page from `crates/api/src/code.rs`. [errors.md](errors.md) explains
how to read an error. [certificates.md](certificates.md) describes the requests that certgate
accepts.
",
            sections: &[("Certificate requests", &[1420..=1449])],
        },
        Page {
            path: concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/errors-ca.md"),
            head: "\
# Error codes of CAs, hostnames and enforcement points

`cargo xtask docs` writes this page from `crates/api/src/code.rs`. [errors.md](errors.md) explains
how to read an error. [certificates.md](certificates.md) describes what certgate accepts.
",
            sections: &[
                ("Uploaded certificates", &[1450..=1479, 1489..=1499]),
                ("Hostnames", &[1480..=1488]),
                ("Imported CAs", &[1500..=1519]),
                ("Enforcement points", &[1520..=1529]),
                ("States of CAs", &[1550..=1559]),
                ("Adopted certificates", &[1560..=1569]),
            ],
        },
    ];

    /// Longest line of the pages, in characters.
    const COLUMNS: usize = 100;

    fn document(page: &Page) -> String {
        let mut document = page.head.to_owned();
        for (title, ranges) in page.sections {
            write!(document, "\n## {title}\n").unwrap();
            for entry in ALL
                .iter()
                .filter(|entry| holds(ranges, entry.code.number()))
            {
                let (number, status) = (entry.code.number(), entry.code.status.as_u16());
                let text = format!("{status}: {}. **Fix**: {}.", entry.when, entry.remedy);
                write!(document, "\n### {number}\n\n{}", wrapped(&text)).unwrap();
            }
        }
        document
    }

    fn holds(ranges: &[RangeInclusive<u32>], number: u32) -> bool {
        ranges.iter().any(|range| range.contains(&number))
    }

    /// Lines of at most [`COLUMNS`] characters, each with its end.
    fn wrapped(text: &str) -> String {
        let mut lines = String::new();
        let mut columns = 0;
        for word in text.split_whitespace() {
            let width = word.chars().count();
            if columns > 0 && columns + 1 + width > COLUMNS {
                lines.push('\n');
                columns = 0;
            } else if columns > 0 {
                lines.push(' ');
                columns += 1;
            }
            lines.push_str(word);
            columns += width;
        }
        lines + "\n"
    }

    #[test]
    fn the_error_reference_is_what_the_table_says() {
        for page in &PAGES {
            let wanted = document(page);
            if std::env::var_os("CERTGATE_WRITE_DOCS").is_some_and(|value| value == "1") {
                std::fs::write(page.path, &wanted).unwrap();
            }
            let found = std::fs::read_to_string(page.path).unwrap_or_default();
            assert!(
                found == wanted,
                "{} is not what code.rs says; write it with: cargo xtask docs",
                page.path
            );
        }
    }

    #[test]
    fn every_code_is_in_one_section() {
        for number in ALL.iter().map(|entry| entry.code.number()) {
            let sections = PAGES.iter().flat_map(|page| page.sections);
            let holding = sections.filter(|(_, ranges)| holds(ranges, number)).count();
            assert_eq!(
                holding, 1,
                "{number} is in {holding} sections of the reference"
            );
            let describes =
                |page: &&Page| page.path.ends_with(&format!("/{}", super::page(number)));
            let described = PAGES.iter().find(describes).unwrap();
            let mut sections = described.sections.iter();
            assert!(
                sections.any(|(_, ranges)| holds(ranges, number)),
                "{number}"
            );
        }
    }

    #[test]
    fn codes_ascend_and_have_their_texts() {
        assert!(
            ALL.is_sorted_by(|one, next| one.code.number() < next.code.number()),
            "a code twice, or out of order"
        );
        for CodeEntry { code, when, remedy } in ALL {
            for text in [when, remedy] {
                assert!(
                    !text.is_empty() && !text.contains(['|', '\n']),
                    "{}: {text:?} is not a cell of a table",
                    code.number()
                );
            }
        }
    }
}
