//! The numbers in `errors[].code`: the one table, from which docs/errors.md and docs/errors-ca.md are
//! written.
//!
//! Those below 1419, 1471, 1472, 1489 and those from 6003 on are Cloudflare's where its documentation or recorded answers
//! name one. 1419 is about repeating a request, 1420 to 1449 say what is wrong with a request for a certificate, 1450 to 1469 with a certificate that an account
//! brings, 1480 to 1486 with a list of hostnames, 1500 to 1512 with an authority to import, 1520 to
//! 1522 with an enforcement point.

/// A code as the error reference shows it.
pub(crate) struct Entry {
    pub(crate) number: u32,
    /// The HTTP statuses that it comes with; no answer has it with another, which debug builds assert.
    pub(crate) statuses: &'static [u16],
    /// When it comes. Half a sentence in Markdown, as is the next.
    #[cfg_attr(not(test), expect(dead_code, reason = "for the document"))]
    pub(crate) when: &'static str,
    /// What to do about it.
    #[cfg_attr(not(test), expect(dead_code, reason = "for the document"))]
    pub(crate) remedy: &'static str,
}

/// Makes a constant and an [`Entry`] of each row: no code without its text.
macro_rules! codes {
    ($($name:ident = $number:literal [$($status:literal),+] $when:literal => $remedy:literal;)+) => {
        $(#[doc = $when] pub(crate) const $name: u32 = $number;)+

        /// Every code, in ascending order.
        pub(crate) const ALL: &[Entry] = &[
            $(Entry { number: $number, statuses: &[$($status),+], when: $when, remedy: $remedy },)+
        ];
    };
}

codes! {
    RATE_LIMITED = 971 [429]
        "more requests came with the token than the server allows it in a minute"
        => "wait as many seconds as `retry-after` says";
    INVALID_API_TOKEN = 1000 [401]
        "`/user/tokens/verify` was asked with a token that is unknown, expired or disabled, or from an address that it does not allow"
        => "use another token";
    TOKEN_NOT_FOUND = 1003 [404]
        "the caller has no token with this id"
        => "list the tokens: `GET /user/tokens`";
    TOKEN_EXCEEDS_OWN = 1004 [403]
        "the token that is made, changed, rolled or deleted may do more than the one of the request"
        => "use a token that may do at least as much";
    ZONE_EXISTS = 1061 [400]
        "a zone has this name already"
        => "choose another name, or use the zone that is there: `GET /zones?name=…`";
    ACCOUNT_EXISTS = 1062 [400]
        "an account has this name already"
        => "choose another name, or use the account that is there: `GET /accounts?name=…`";
    ZONE_IN_USE = 1063 [400]
        "the zone that is to be deleted has certificates that are not revoked"
        => "revoke them first";
    ACCOUNT_IN_USE = 1064 [400]
        "the account that is to be deleted has zones or mTLS certificates"
        => "delete them first";
    NAME_INVALID = 1065 [400]
        "the name of the zone or account is not a good one"
        => "the message says which names are";
    ALREADY_REVOKED = 1407 [400]
        "the certificate that is to be revoked is revoked"
        => "nothing; PATCH restores it if it is on hold";
    REVOKED_FOR_GOOD = 1408 [400]
        "the certificate that is to be restored was revoked for a reason that cannot be undone (RFC 5280 §5.3.1)"
        => "issue another one";
    CERTIFICATE_NOT_FOUND = 1415 [404]
        "the zone has no client certificate with this id"
        => "check the id and the zone";
    IDEMPOTENCY_KEY_REUSED = 1419 [400]
        "the `Idempotency-Key` came before with another `csr` or `validity_days`"
        => "use a new key for each certificate, and the same one only to repeat its request";
    CSR_NO_PEM = 1420 [400]
        "`csr` has no PEM block"
        => "send the whole text that `openssl req -new` writes";
    CSR_SEVERAL_PEM_BLOCKS = 1421 [400]
        "`csr` has more than one PEM block"
        => "send one request per call";
    CSR_PRIVATE_KEY = 1422 [400]
        "`csr` is a private key"
        => "keep the key, send the request that is made with it, and consider a new key";
    CSR_WRONG_LABEL = 1423 [400]
        "the PEM block is something other than a certificate request"
        => "send the block that begins with `BEGIN CERTIFICATE REQUEST`";
    CSR_BAD_BASE64 = 1424 [400]
        "what is between the BEGIN and the END line is not base64"
        => "send the file as it is, without changes to its lines";
    CSR_MALFORMED = 1425 [400]
        "the request is not well-formed DER (RFC 2986)"
        => "make it again; the message says what could not be read";
    CSR_TRAILING_BYTES = 1426 [400]
        "something follows the request"
        => "remove it";
    CSR_SIGNATURE_INVALID = 1427 [400]
        "the request's signature does not verify under its own key"
        => "make the request again, with the key that it is for";
    CSR_SIGNATURE_ALGORITHM = 1428 [400]
        "the request is signed with an algorithm that is not accepted"
        => "sign it with SHA-256 or better";
    CSR_RSA_MODULUS = 1429 [400]
        "the RSA key is shorter or longer than is accepted"
        => "use 2048 to 8192 bits";
    CSR_RSA_EXPONENT = 1430 [400]
        "the public exponent of the RSA key is not a good one"
        => "use 65537, as every tool does by default";
    CSR_CURVE = 1431 [400]
        "the key is on a curve that is not accepted"
        => "use P-256, P-384 or P-521";
    CSR_KEY = 1432 [400]
        "the key is of a kind that is not accepted"
        => "use RSA, ECDSA or Ed25519";
    CSR_TOO_LARGE = 1433 [400]
        "`csr` is larger than is accepted"
        => "leave out what is not needed; 16 KiB is enough for any key";
    CSR_SUBJECT = 1434 [400]
        "the request's subject cannot be read"
        => "make it again with a plain subject, such as `-subj /CN=device-1`";
    CSR_POINT_COMPRESSED = 1435 [400]
        "the public key is written as a compressed point"
        => "write it uncompressed: `-pkeyopt ec_point_format:uncompressed` where your tool has it";
    CSR_KEY_INVALID = 1436 [400]
        "the public key is not a possible one, for example no point of its curve"
        => "make a new key";
    VALIDITY = 1440 [400]
        "`validity_days` is below 1 or over the server's maximum"
        => "choose a number within the bounds that the message names";
    OUTLIVES_AUTHORITY = 1441 [400]
        "the certificate would be valid longer than the authority that signs it"
        => "choose a shorter validity";
    QUOTA_REACHED = 1445 [403]
        "the zone has as many certificates as the server's quota allows"
        => "raise the quota in the server's configuration";
    BUNDLE_MALFORMED = 1450 [400]
        "the certificates have a PEM problem: no block, damaged Base64 or structure, too long; or one is not of X.509 version 3"
        => "send the PEM file unchanged; make certificates of version 3";
    BUNDLE_NOT_PEM = 1451 [400]
        "the certificates are a DER or PKCS #12 file"
        => "convert them to PEM";
    BUNDLE_PRIVATE_KEY = 1452 [400]
        "a private key is among the certificates"
        => "send it in `private_key`";
    BUNDLE_PUBLIC_KEY = 1453 [400]
        "a public key is among the certificates"
        => "send the certificate";
    BUNDLE_REQUEST = 1454 [400]
        "a certificate signing request is among the certificates"
        => "send the certificate that was made of it";
    BUNDLE_WRONG_LABEL = 1455 [400]
        "a PEM block of another kind is among the certificates"
        => "send only CERTIFICATE blocks";
    BUNDLE_TEXT_AFTER_END = 1456 [400]
        "there is text behind the last certificate"
        => "remove it";
    BUNDLE_TOO_MANY = 1457 [400]
        "there are more than ten certificates"
        => "send one chain";
    BUNDLE_SIGNATURE_ALGORITHM = 1458 [400]
        "a certificate's signature algorithm is not supported"
        => "use RSA or ECDSA with SHA-2, or Ed25519";
    BUNDLE_KEY = 1459 [400]
        "a certificate's public key is not accepted"
        => "use RSA of 2048 to 8192 bits, P-256, P-384, P-521 or Ed25519";
    BUNDLE_NOT_AUTHORITY = 1460 [400]
        "a certificate that must be an authority's is not"
        => "send the authority's, or `ca: false` with the key";
    BUNDLE_CHAIN = 1461 [400]
        "the chain is out of order, or a certificate is there twice"
        => "each must be signed by the next";
    BUNDLE_SIGNATURE_INVALID = 1462 [400]
        "a certificate's signature does not verify"
        => "get the certificate again";
    BUNDLE_EXPIRED = 1463 [400]
        "a certificate has expired"
        => "send one that is valid";
    PRIVATE_KEY_MALFORMED = 1464 [400]
        "the private key is no PEM, damaged, too long, or something else"
        => "send one private key in PEM";
    PRIVATE_KEY_ENCRYPTED = 1465 [400]
        "the private key is encrypted"
        => "decrypt it first";
    PRIVATE_KEY_SEVERAL = 1466 [400]
        "there are several private keys"
        => "send the one that belongs to the certificate, the first one of a chain";
    PRIVATE_KEY_UNSUPPORTED = 1467 [400]
        "the private key is of a kind or size that is not supported"
        => "use RSA of 2048 to 8192 bits, P-256, P-384, P-521 or Ed25519; for an authority to import P-256, P-384, RSA-2048, RSA-3072, RSA-4096 or Ed25519";
    PRIVATE_KEY_MISMATCH = 1468 [400]
        "the private key does not belong to the certificate, the first one of a chain"
        => "send the one that does";
    PRIVATE_KEY_MISSING = 1469 [400]
        "a leaf certificate came without its private key"
        => "send `private_key`, or `ca: true` for an authority";
    MTLS_CERTIFICATE_EXISTS = 1471 [400]
        "the account has the certificate already"
        => "the message names its id";
    MTLS_CERTIFICATE_NOT_FOUND = 1472 [404]
        "the account has no mTLS certificate with this id"
        => "list them: `GET /accounts/{account_id}/mtls_certificates`";
    MTLS_CERTIFICATE_IN_USE = 1473 [400]
        "hostnames use the mTLS certificate"
        => "take it off them first";
    HOSTNAME_INVALID = 1480 [400]
        "a hostname in the list is not a DNS name; the message says what is wrong with it"
        => "correct it";
    HOSTNAME_WILDCARD = 1481 [400]
        "a hostname in the list has a wildcard"
        => "list each hostname";
    HOSTNAME_OUTSIDE_ZONE = 1482 [400]
        "a hostname in the list is not in the zone"
        => "list the zone's name or names below it";
    HOSTNAME_REPEATED = 1483 [400]
        "a hostname is in the list twice, letter case aside"
        => "leave one out";
    HOSTNAME_LISTED_ELSEWHERE = 1484 [400]
        "another zone lists the hostname"
        => "take it out of that list first";
    HOSTNAMES_TOO_MANY = 1485 [400]
        "the list has too many hostnames"
        => "split it over several authorities or zones";
    NOT_AN_AUTHORITY = 1486 [400]
        "hostnames were to be listed for an mTLS certificate whose `ca` is false"
        => "name one whose `ca` is true";
    MTLS_QUOTA_REACHED = 1489 [403]
        "the account has as many mTLS certificates as its quota allows"
        => "delete one, or raise `account_mtls_certificates_max`";
    AUTHORITY_NO_PEM = 1500 [400]
        "the authority's certificate is not PEM"
        => "send a CERTIFICATE block";
    AUTHORITY_SEVERAL_PEM_BLOCKS = 1501 [400]
        "the authority's certificate has several PEM blocks"
        => "send its own certificate alone";
    AUTHORITY_PRIVATE_KEY = 1502 [400]
        "a private key stands in the certificate's place"
        => "send it in `private_key`";
    AUTHORITY_WRONG_LABEL = 1503 [400]
        "the PEM block is no certificate"
        => "send the authority's certificate";
    AUTHORITY_MALFORMED = 1504 [400]
        "the authority's certificate is damaged or does not verify"
        => "send the file unchanged";
    AUTHORITY_TOO_LARGE = 1505 [400]
        "the authority's certificate is over 16 KiB"
        => "send it alone";
    AUTHORITY_NOT_ONE = 1506 [400]
        "the certificate may not sign others (CA:TRUE, keyCertSign, a subject)"
        => "send the one that the key signs with";
    AUTHORITY_NO_CRL_SIGN = 1507 [400]
        "the certificate may not sign revocation lists"
        => "renew it with cRLSign";
    AUTHORITY_NOT_FOR_CLIENTS = 1508 [400]
        "the certificate may not vouch for clients"
        => "renew it without extended key usage";
    AUTHORITY_EXPIRED = 1509 [400]
        "the authority's certificate has expired"
        => "renew it with the same key, or rotate";
    AUTHORITY_NOT_YET_VALID = 1510 [400]
        "the authority's certificate is not valid yet"
        => "import it then, or set the clock right";
    AUTHORITY_KNOWN = 1511 [400]
        "the account has that very authority already"
        => "nothing was changed";
    AUTHORITIES_MAX = 1512 [403]
        "the account has had as many managed authorities as there can be"
        => "make another account";
    ENFORCEMENT_POINT_NOT_FOUND = 1520 [404]
        "the account has no enforcement point with this id"
        => "register it again";
    EPOCH_AHEAD = 1521 [400]
        "an enforcement point names an epoch that has not happened yet, or one from before the database was restored from a backup"
        => "read everything that is revoked again, and acknowledge its epoch";
    ENFORCEMENT_POINTS_MAX = 1522 [403]
        "the account has as many enforcement points as there can be"
        => "delete those that are gone";
    INVALID_HEADERS = 6003 [400]
        "a header is malformed; `error_chain` says which"
        => "see the code in `error_chain`";
    MALFORMED_JSON = 6007 [400]
        "the body is not JSON"
        => "send JSON in UTF-8";
    BODY_INCOMPLETE = 6008 [400]
        "the connection ended before the body did"
        => "send the request again";
    EMAIL_FORMAT = 6102 [400]
        "in `error_chain` of 6003: `X-Auth-Email` is no e-mail address"
        => "send the address of the user, see `GET /user`";
    KEY_FORMAT = 6103 [400]
        "in `error_chain` of 6003: `X-Auth-Key` has not the form of an API key"
        => "send the key itself; a token goes into `Authorization`";
    AUTHORIZATION_FORMAT = 6111 [400]
        "in `error_chain` of 6003: the Authorization header has not the form `Bearer <token>`"
        => "send `Authorization: Bearer <token>`";
    IDEMPOTENCY_KEY_FORMAT = 6121 [400]
        "in `error_chain` of 6003: there are several `Idempotency-Key` headers, or one that is not 1 to 255 visible ASCII characters"
        => "send one, such as a UUID";
    NO_ROUTE = 7003 [404]
        "there is nothing at this path, or an id in it has not the form of one"
        => "check the path; ids of zones and accounts are 32 hexadecimal digits";
    UNKNOWN_KEY = 9103 [403]
        "no user has this `X-Auth-Key`, or its e-mail address is another"
        => "make a key with `certgate token api-key create`, or use a token";
    MISSING_CREDENTIALS = 9106 [400]
        "the request has no credentials"
        => "send `Authorization: Bearer <token>`";
    ACCESS = 9109 [403]
        "the token is unknown, expired, disabled, or does not allow this address; or it lacks the permission; or what the path names is not there: the answer is the same"
        => "use a token whose policies name the permission and the zone or account";
    INVALID_MEMBER = 9207 [400]
        "a member of the body is missing, of the wrong type or out of bounds"
        => "`source.pointer` says which, the message what it must be";
    INVALID_PARAMETER = 9208 [400]
        "a query parameter is out of bounds"
        => "`source.pointer` says which, the message what it must be";
    TOKEN_VALID = 10000 [200]
        "no error: in `messages` of `/user/tokens/verify`, the token is valid"
        => "nothing";
    METHOD = 10405 [405]
        "the path has no such method"
        => "the `allow` header names those it has";
    TIMEOUT = 10408 [408]
        "the request took longer than the server gives it"
        => "send it again";
    BODY_TOO_LARGE = 10413 [413]
        "the body is larger than is accepted"
        => "send less; 64 KiB is enough for every request";
    INTERNAL = 10500 [500]
        "the server failed"
        => "look for the answer's `certgate-request-id` in the server's log";
    UNAVAILABLE = 10503 [503]
        "the server cannot answer for the moment, for example because its disk is full or its queue is"
        => "wait as many seconds as `retry-after` says; the server's log has the cause";
    IN_DOUBT = 10504 [503]
        "the database was lost while it made the change, and it is not known whether it did; `x-should-retry` tells SDKs whether to ask again by themselves: not without an `Idempotency-Key`"
        => "look whether the change was made (the message of an issue names the certificate), then ask again; with an `Idempotency-Key` nobody needs to look";
}

/// Whether an answer with this status may have this code.
pub(crate) fn comes_with(code: u32, status: u16) -> bool {
    ALL.iter()
        .any(|entry| entry.number == code && entry.statuses.contains(&status))
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

    const PAGES: [Page; 2] = [
        Page {
            path: concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/errors.md"),
            head: "\
# Error codes

`cargo xtask docs` writes this page from `crates/api/src/code.rs`.
[errors-ca.md](errors-ca.md) has the codes of uploaded certificates, hostnames and imported CAs.

A failed request gets this body:

```json
{\"success\": false, \"errors\": [{\"code\": 1420, \"message\": \"…\"}], \"messages\": [], \"result\": null}
```

Read the `message` first: it names the problem, the value and the remedy. `source.pointer` names the
input, as a JSON pointer into the body or as a query parameter. To find the request in the server's
log, search for the answer's header `certgate-request-id`.

Retry after 408, 429 and 5xx. After any other status, the same request fails again.
",
            sections: &[
                ("Tokens, zones and accounts", &[0..=1065]),
                ("Client certificates", &[1400..=1449]),
                ("Enforcement points", &[1520..=1529]),
                ("All requests", &[6000..=u32::MAX]),
            ],
        },
        Page {
            path: concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/errors-ca.md"),
            head: "\
# Error codes of CAs and hostnames

`cargo xtask docs` writes this page from `crates/api/src/code.rs`. [errors.md](errors.md) explains
how to read an error. [certificates.md](certificates.md) describes what certgate accepts.
",
            sections: &[
                ("Uploaded certificates", &[1450..=1479, 1489..=1499]),
                ("Hostnames", &[1480..=1488]),
                ("Imported CAs", &[1500..=1519]),
            ],
        },
    ];

    /// Longest line of the pages, in characters.
    const COLUMNS: usize = 100;

    fn document(page: &Page) -> String {
        let mut document = page.head.to_owned();
        for (title, ranges) in page.sections {
            write!(document, "\n## {title}\n").unwrap();
            for entry in ALL.iter().filter(|entry| holds(ranges, entry.number)) {
                let statuses: Vec<String> = entry.statuses.iter().map(u16::to_string).collect();
                let (statuses, number) = (statuses.join(", "), entry.number);
                let text = format!("{statuses}: {}. **Fix**: {}.", entry.when, entry.remedy);
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
        for Entry { number, .. } in ALL {
            let sections = PAGES.iter().flat_map(|page| page.sections);
            let holding = sections
                .filter(|(_, ranges)| holds(ranges, *number))
                .count();
            assert_eq!(
                holding, 1,
                "{number} is in {holding} sections of the reference"
            );
        }
    }

    #[test]
    fn codes_ascend_and_have_their_texts() {
        assert!(
            ALL.is_sorted_by(|one, next| one.number < next.number),
            "a code twice, or out of order"
        );
        for Entry {
            number,
            when,
            remedy,
            ..
        } in ALL
        {
            for text in [when, remedy] {
                assert!(
                    !text.is_empty() && !text.contains(['|', '\n']),
                    "{number}: {text:?} is no cell of a table"
                );
            }
        }
    }
}
