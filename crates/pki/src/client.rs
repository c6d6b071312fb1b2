use std::fmt;

use certgate_model::{KeyAlgorithm, SubjectFields};
use zeroize::Zeroizing;

use crate::certificate::write_signature;
use crate::key::{KeyError, SigningKey, algorithm_identifier};
use crate::oid;
use crate::pem::{pem_lines, write_pem};
use crate::subject::{NewAttribute, write_name};
use crate::tlv::{self, tag};

/// The reasons not to make a request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// An attribute is longer than RFC 5280 appendix A allows.
    #[error("the {attribute} has {characters} characters, at most {max} are allowed: shorten it")]
    TooLong {
        /// Name of the attribute.
        attribute: &'static str,
        /// Its length, in characters.
        characters: usize,
        /// The upper bound, in characters.
        max: usize,
    },
    /// The country is not a code of two letters (RFC 5280 appendix A, ISO 3166).
    #[error("the country is not a code of two letters: use one such as DE or US")]
    Country,
    /// The key cannot be used.
    #[error(transparent)]
    Key(#[from] KeyError),
}

/// Room for the BEGIN and the END line of a key file, in bytes. With three more characters for
/// every two octets, enough for Base64 and line ends, the text never moves to a larger buffer. A
/// move would leave a copy of the key in memory.
const PEM_FRAME_BYTES: usize = 80;

/// A client's private key, on the client's own machine.
///
/// `Debug` shows the algorithm only. Dropping the key wipes its octets.
pub struct ClientKey {
    key: SigningKey,
    pkcs8: Zeroizing<Vec<u8>>,
}

impl ClientKey {
    /// Generates a new key.
    pub fn generate(algorithm: KeyAlgorithm) -> Result<Self, KeyError> {
        let key = SigningKey::generate(algorithm)?;
        let pkcs8 = key.to_pkcs8()?;
        Ok(Self { key, pkcs8 })
    }

    /// Returns the key in PKCS #8, DER. The octets are secret.
    pub fn to_pkcs8_der(&self) -> Zeroizing<Vec<u8>> {
        self.pkcs8.clone()
    }

    /// Writes the content of a key file: PKCS #8 in PEM, with a line end after the END line.
    pub fn to_pkcs8_pem(&self) -> Zeroizing<String> {
        let mut out = Vec::with_capacity(self.pkcs8.len() * 3 / 2 + PEM_FRAME_BYTES);
        write_pem(&mut out, "PRIVATE KEY", &self.pkcs8);
        out.push(b'\n');
        Zeroizing::new(String::from_utf8(out).expect("PEM is ASCII"))
    }

    /// Makes a request (RFC 2986) for this key and subject, in PEM with a line end after the END
    /// line. The request omits empty attributes.
    pub fn request(&self, subject: &SubjectFields) -> Result<String, RequestError> {
        let algorithm = algorithm_identifier(self.key.algorithm().signature());
        let attributes = attributes_of(subject)?;
        let mut info = Vec::new();
        tlv::write_with(&mut info, tag::SEQUENCE, |out| {
            tlv::write(out, tag::INTEGER, &[0]);
            write_name(out, &attributes);
            out.extend_from_slice(self.key.public_key_spki());
            tlv::write(out, tag::CONTEXT_0_CONSTRUCTED, &[]);
        });
        let signature = self.key.sign(&info)?;
        let mut request = Vec::new();
        tlv::write_with(&mut request, tag::SEQUENCE, |out| {
            out.extend_from_slice(&info);
            write_signature(out, &algorithm, &signature);
        });
        let mut text = pem_lines("CERTIFICATE REQUEST", &request);
        text.push('\n');
        Ok(text)
    }
}

impl fmt::Debug for ClientKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientKey")
            .field("algorithm", &self.key.algorithm())
            .finish_non_exhaustive()
    }
}

/// Collects the non-empty attributes, from the country to the common name, and checks them against
/// the upper bounds of RFC 5280 appendix A.
fn attributes_of(subject: &SubjectFields) -> Result<Vec<NewAttribute<'_>>, RequestError> {
    // RFC 5280 appendix A: countryName is a PrintableString. Of the string types for the other
    // attributes, UTF8String can hold every name.
    let (printable, utf8) = (tag::PRINTABLE_STRING, tag::UTF8_STRING);
    let all = [
        (oid::COUNTRY, printable, "country", &subject.country, 2),
        (oid::STATE, utf8, "state", &subject.state, 128),
        (oid::LOCALITY, utf8, "location", &subject.location, 128),
        (
            oid::ORGANIZATION,
            utf8,
            "organization",
            &subject.organization,
            64,
        ),
        (
            oid::ORGANIZATIONAL_UNIT,
            utf8,
            "organizational unit",
            &subject.organizational_unit,
            64,
        ),
        (
            oid::COMMON_NAME,
            utf8,
            "common name",
            &subject.common_name,
            64,
        ),
    ];
    let mut attributes = Vec::new();
    for (kind, string_tag, attribute, text, max) in all {
        let characters = text.chars().count();
        if characters == 0 {
            continue;
        }
        if string_tag == printable
            && (characters != 2 || !text.bytes().all(|byte| byte.is_ascii_alphabetic()))
        {
            return Err(RequestError::Country);
        }
        if characters > max {
            return Err(RequestError::TooLong {
                attribute,
                characters,
                max,
            });
        }
        attributes.push(NewAttribute {
            kind,
            string_tag,
            text,
        });
    }
    Ok(attributes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::searched::read_csr;

    fn subject() -> SubjectFields {
        SubjectFields {
            common_name: "Zoë's laptop".into(),
            country: "DE".into(),
            state: "Bayern".into(),
            location: "München".into(),
            organization: "Example".into(),
            organizational_unit: "Ops".into(),
        }
    }

    #[test]
    fn every_algorithm_makes_acceptable_requests_and_a_key_file() {
        for algorithm in KeyAlgorithm::ALL {
            let key = ClientKey::generate(algorithm).unwrap();
            let pem = key.to_pkcs8_pem();
            assert!(pem.starts_with("-----BEGIN PRIVATE KEY-----\n"));
            assert!(pem.ends_with("\n-----END PRIVATE KEY-----\n"));
            let room = key.pkcs8.len() * 3 / 2 + PEM_FRAME_BYTES;
            assert!(pem.len() <= room, "{algorithm}: the buffer was too small");
            assert_eq!(
                format!("{key:?}"),
                format!("ClientKey {{ algorithm: {algorithm:?}, .. }}")
            );
            let csr = read_csr(&key.request(&subject()).unwrap()).unwrap();
            assert_eq!(csr.subject(), &subject(), "{algorithm}");
            assert_eq!(csr.spki_der(), key.key.public_key_spki());
            let again = SigningKey::from_pkcs8(algorithm, &key.to_pkcs8_der()).unwrap();
            assert_eq!(again.public_key_spki(), csr.spki_der());
        }
    }

    #[test]
    fn request_omits_empty_attributes() {
        let key = ClientKey::generate(KeyAlgorithm::P256).unwrap();
        let csr = read_csr(&key.request(&SubjectFields::default()).unwrap()).unwrap();
        assert_eq!(csr.subject_der(), [tag::SEQUENCE, 0]);
    }

    #[test]
    fn request_rejects_attributes_beyond_their_bounds() {
        let key = ClientKey::generate(KeyAlgorithm::Ed25519).unwrap();
        let refused = |change: fn(&mut SubjectFields)| {
            let mut fields = subject();
            change(&mut fields);
            key.request(&fields).err()
        };
        let too_long = |attribute, max| {
            Some(RequestError::TooLong {
                attribute,
                characters: max + 1,
                max,
            })
        };
        assert_eq!(refused(|fields| fields.common_name = "ä".repeat(64)), None);
        assert_eq!(
            refused(|fields| fields.common_name = "ä".repeat(65)),
            too_long("common name", 64)
        );
        assert_eq!(
            refused(|fields| fields.state = "s".repeat(129)),
            too_long("state", 128)
        );
        for country in ["D", "Germany", "é", "1e"] {
            let fields = SubjectFields {
                country: country.into(),
                ..subject()
            };
            assert_eq!(
                key.request(&fields).err(),
                Some(RequestError::Country),
                "{country}"
            );
        }
    }
}
