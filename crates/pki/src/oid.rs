//! Object identifiers as their content octets, and their text form.

use der::oid::ObjectIdentifier;

/// Most characters of an object identifier that a message shows.
const SHOWN_CHARS_MAX: usize = 80;

macro_rules! oids {
    ($($(#[$doc:meta])* $name:ident = $dotted:literal;)*) => {
        $($(#[$doc])* pub(crate) const $name: &[u8] = const {
            const ID: ObjectIdentifier = ObjectIdentifier::new_unwrap($dotted);
            ID.as_bytes()
        };)*
    };
}

oids! {
    // Attribute types, X.520.
    COMMON_NAME = "2.5.4.3";
    COUNTRY = "2.5.4.6";
    LOCALITY = "2.5.4.7";
    STATE = "2.5.4.8";
    ORGANIZATION = "2.5.4.10";
    ORGANIZATIONAL_UNIT = "2.5.4.11";
    STREET = "2.5.4.9";
    /// RFC 2985 §5.2.1.
    EMAIL_ADDRESS = "1.2.840.113549.1.9.1";
    // RFC 4519 §2.4 and §2.39.
    DOMAIN_COMPONENT = "0.9.2342.19200300.100.1.25";
    USER_ID = "0.9.2342.19200300.100.1.1";

    // Content types of CMS: RFC 5652 §4 and §5.1.
    CMS_DATA = "1.2.840.113549.1.7.1";
    CMS_SIGNED_DATA = "1.2.840.113549.1.7.2";
    // Attributes of signed messages: RFC 5652 §11.
    CONTENT_TYPE = "1.2.840.113549.1.9.3";
    MESSAGE_DIGEST = "1.2.840.113549.1.9.4";
    SIGNING_TIME = "1.2.840.113549.1.9.5";

    // Public keys: RFC 3279 §2.3, RFC 5480 §2.1.1, RFC 8410 §3.
    RSA_ENCRYPTION = "1.2.840.113549.1.1.1";
    EC_PUBLIC_KEY = "1.2.840.10045.2.1";
    P256 = "1.2.840.10045.3.1.7";
    P384 = "1.3.132.0.34";
    P521 = "1.3.132.0.35";
    ED25519 = "1.3.101.112";

    // Signatures: RFC 3279 §2.2, RFC 4055 §5, RFC 5758 §3.2.
    SHA1_WITH_RSA = "1.2.840.113549.1.1.5";
    ECDSA_WITH_SHA1 = "1.2.840.10045.4.1";
    SHA256_WITH_RSA = "1.2.840.113549.1.1.11";
    SHA384_WITH_RSA = "1.2.840.113549.1.1.12";
    SHA512_WITH_RSA = "1.2.840.113549.1.1.13";
    ECDSA_WITH_SHA256 = "1.2.840.10045.4.3.2";
    ECDSA_WITH_SHA384 = "1.2.840.10045.4.3.3";
    ECDSA_WITH_SHA512 = "1.2.840.10045.4.3.4";

    // RSASSA-PSS: RFC 4055 §2.1, §2.2 and §3.1.
    RSASSA_PSS = "1.2.840.113549.1.1.10";
    MGF1 = "1.2.840.113549.1.1.8";

    /// The extensions that a request asks for (RFC 2985 §5.4.2), and Microsoft's earlier form.
    EXTENSION_REQUEST = "1.2.840.113549.1.9.14";
    MICROSOFT_EXTENSIONS = "1.3.6.1.4.1.311.2.1.14";
    // Names of a device beside its subject (RFC 2985 §5.4.3 and §5.4.4).
    UNSTRUCTURED_NAME = "1.2.840.113549.1.9.2";
    UNSTRUCTURED_ADDRESS = "1.2.840.113549.1.9.8";
    /// Microsoft's user principal name, in an otherName.
    USER_PRINCIPAL_NAME = "1.3.6.1.4.1.311.20.2.3";

    // Certificate extensions, RFC 5280 §4.2.
    SUBJECT_KEY_IDENTIFIER = "2.5.29.14";
    KEY_USAGE = "2.5.29.15";
    SUBJECT_ALT_NAME = "2.5.29.17";
    BASIC_CONSTRAINTS = "2.5.29.19";
    NAME_CONSTRAINTS = "2.5.29.30";
    CRL_DISTRIBUTION_POINTS = "2.5.29.31";
    CERTIFICATE_POLICIES = "2.5.29.32";
    POLICY_MAPPINGS = "2.5.29.33";
    POLICY_CONSTRAINTS = "2.5.29.36";
    INHIBIT_ANY_POLICY = "2.5.29.54";
    NETSCAPE_CERTIFICATE_TYPE = "2.16.840.1.113730.1.1";
    AUTHORITY_KEY_IDENTIFIER = "2.5.29.35";
    EXTENDED_KEY_USAGE = "2.5.29.37";
    SERVER_AUTH = "1.3.6.1.5.5.7.3.1";
    CLIENT_AUTH = "1.3.6.1.5.5.7.3.2";
    AUTHORITY_INFO_ACCESS = "1.3.6.1.5.5.7.1.1";
    OCSP = "1.3.6.1.5.5.7.48.1";
    CA_ISSUERS = "1.3.6.1.5.5.7.48.2";
    // Internet addresses and numbers of autonomous systems, RFC 3779.
    ADDRESS_BLOCKS = "1.3.6.1.5.5.7.1.7";
    AUTONOMOUS_SYSTEMS = "1.3.6.1.5.5.7.1.8";

    // CRL and CRL entry extensions, RFC 5280 §5.2 and §5.3.
    CRL_NUMBER = "2.5.29.20";
    CRL_REASON = "2.5.29.21";
    ISSUING_DISTRIBUTION_POINT = "2.5.29.28";

    // OCSP: RFC 6960 §4.2.1, §4.2.2.2 and RFC 9654.
    OCSP_BASIC = "1.3.6.1.5.5.7.48.1.1";
    OCSP_NONCE = "1.3.6.1.5.5.7.48.1.2";
    OCSP_NO_CHECK = "1.3.6.1.5.5.7.48.1.5";
    OCSP_SIGNING = "1.3.6.1.5.5.7.3.9";
    SHA1 = "1.3.14.3.2.26";
    SHA256 = "2.16.840.1.101.3.4.2.1";
    SHA384 = "2.16.840.1.101.3.4.2.2";
    SHA512 = "2.16.840.1.101.3.4.2.3";
}

/// Writes the dotted form of an object identifier from outside, with arcs of up to 128 bits, as
/// those of UUIDs below 2.25 (X.667). No rule can name others.
pub(crate) fn dotted(content: &[u8]) -> String {
    let mut arcs: Vec<u128> = Vec::new();
    let mut arc = Some(0_u128);
    for octet in content {
        let shifted = arc.and_then(|arc| arc.checked_mul(0x80));
        arc = shifted.map(|arc| arc | u128::from(octet & 0x7f));
        if octet & 0x80 == 0 {
            let Some(complete) = arc.replace(0) else {
                return "an object identifier with a larger arc".to_owned();
            };
            arcs.push(complete);
        }
    }
    // The first two arcs are one number (X.690 §8.19.4).
    let Some((first, rest)) = arcs.split_first() else {
        return "an object identifier without arcs".to_owned();
    };
    let top = (*first / 40).min(2);
    let mut text = format!("{top}.{}", first - 40 * top);
    for arc in rest {
        text.push('.');
        text.push_str(&arc.to_string());
    }
    text
}

/// Writes the dotted form of an object identifier from outside, with its name if it is in the
/// table.
pub(crate) fn shown(content: &[u8]) -> String {
    let Ok(id) = ObjectIdentifier::<39>::from_bytes(content) else {
        return "an object identifier that is too long to show".to_owned();
    };
    let mut text: String = id.to_string().chars().take(SHOWN_CHARS_MAX).collect();
    let name = match text.as_str() {
        "1.2.840.113549.1.1.4" => "md5WithRSAEncryption",
        "1.2.840.113549.1.1.5" | "1.3.14.3.2.29" => "sha1WithRSAEncryption",
        "1.2.840.113549.1.1.7" => "RSAES-OAEP",
        "1.2.840.113549.1.1.10" => "RSASSA-PSS",
        "1.2.840.113549.1.1.14" => "sha224WithRSAEncryption",
        "1.2.840.10045.4.1" => "ecdsa-with-SHA1",
        "1.2.840.10045.4.3.1" => "ecdsa-with-SHA224",
        "1.2.840.10045.3.1.1" => "P-192",
        "1.3.132.0.33" => "P-224",
        "1.3.132.0.10" => "secp256k1",
        "1.3.36.3.3.2.8.1.1.7" => "brainpoolP256r1",
        "1.3.36.3.3.2.8.1.1.11" => "brainpoolP384r1",
        "1.3.36.3.3.2.8.1.1.13" => "brainpoolP512r1",
        "1.2.840.10040.4.1" => "DSA",
        "1.2.840.10040.4.3" => "dsa-with-SHA1",
        "2.16.840.1.101.3.4.3.2" => "dsa-with-SHA256",
        "1.3.101.110" => "X25519",
        "1.3.101.111" => "X448",
        "1.3.101.113" => "Ed448",
        "1.2.156.10197.1.301" => "SM2",
        "2.16.840.1.101.3.4.3.17" => "ML-DSA-44",
        "2.16.840.1.101.3.4.3.18" => "ML-DSA-65",
        "2.16.840.1.101.3.4.3.19" => "ML-DSA-87",
        _ => return text,
    };
    text.push_str(" (");
    text.push_str(name);
    text.push(')');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dotted_writes_arcs_of_uuids() {
        assert_eq!(dotted(COMMON_NAME), "2.5.4.3");
        assert_eq!(dotted(USER_ID), "0.9.2342.19200300.100.1.1");
        assert_eq!(dotted(&[0x69]), "2.25");
        assert_eq!(dotted(&[0x88, 0x37]), "2.999");
        // 2^32, and the largest UUID.
        assert_eq!(
            dotted(&[0x2a, 0x90, 0x80, 0x80, 0x80, 0x00]),
            "1.2.4294967296"
        );
        let uuid = [&[0x69, 0x83][..], &[0xff; 17], &[0x7f]].concat();
        assert_eq!(dotted(&uuid), format!("2.25.{}", u128::MAX));
        let larger = [&[0x69, 0x84][..], &[0x80; 17], &[0x00]].concat();
        assert!(dotted(&larger).contains("larger"));
    }

    #[test]
    fn shown_writes_the_dotted_form_and_a_name() {
        assert_eq!(shown(COMMON_NAME), "2.5.4.3");
        assert_eq!(
            shown(&[0x2b, 0x81, 0x04, 0x00, 0x0a]),
            "1.3.132.0.10 (secp256k1)"
        );
        assert!(shown(&[0x2a; 200]).chars().count() <= SHOWN_CHARS_MAX);
        assert!(!shown(&[0x2a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]).is_empty());
    }
}
