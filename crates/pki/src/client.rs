use std::fmt;

use certgate_model::{KeyAlgorithm, SerialNumber, SubjectFields};
use zeroize::Zeroizing;

use crate::authority::self_sign_server;
use crate::certificate::{Criticality, SignedParts, TbsParts, write_extension, write_signature};
use crate::key::{KeyError, SigningKey, algorithm_identifier};
use crate::oid;
use crate::pem::{pem_lines, write_pem};
use crate::private_key::PrivateKey;
use crate::profile::Validity;
use crate::signing::SignError;
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
    /// The certificate to renew cannot be read.
    #[error("the certificate to renew is malformed: check it with: openssl x509 -noout -text")]
    Certificate,
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

    /// Takes over a key from a file. [`None`]: its kind cannot sign requests here, which are P-521
    /// and RSA keys of other lengths than 2048, 3072 and 4096 bits.
    pub fn from_private_key(key: PrivateKey) -> Option<Self> {
        let pkcs8 = key.pkcs8().clone();
        let key = key.into_authority_key().ok()?;
        Some(Self { key, pkcs8 })
    }

    /// The algorithm.
    pub fn algorithm(&self) -> KeyAlgorithm {
        self.key.algorithm()
    }

    /// The public key, a SubjectPublicKeyInfo in DER.
    pub fn public_key_spki(&self) -> &[u8] {
        self.key.public_key_spki()
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

    /// Makes the certificate of a server with this DNS name, signed by this key itself, in PEM with
    /// a line end after the END line. Both instants must be whole minutes.
    pub fn server_certificate(
        &self,
        hostname: &str,
        serial: SerialNumber,
        validity: Validity,
    ) -> Result<String, SignError> {
        let der = self_sign_server(&self.key, hostname, serial, validity)?;
        let mut text = pem_lines("CERTIFICATE", &der);
        text.push('\n');
        Ok(text)
    }

    /// Makes a request (RFC 2986) for this key and subject, in PEM with a line end after the END
    /// line. The request omits empty attributes.
    pub fn request(&self, subject: &SubjectFields) -> Result<String, RequestError> {
        let mut text = pem_lines("CERTIFICATE REQUEST", &self.request_der(subject)?);
        text.push('\n');
        Ok(text)
    }

    /// Makes the same request in DER.
    pub fn request_der(&self, subject: &SubjectFields) -> Result<Vec<u8>, RequestError> {
        let mut name = Vec::new();
        write_name(&mut name, &attributes_of(subject)?);
        Ok(self.signed_request(&name, &[])?)
    }

    /// Makes a request in DER that renews a certificate, DER, for this key. RFC 7030 §4.2.2:
    /// subject and subjectAltName MUST be identical.
    pub fn renewal_request(&self, certificate: &[u8]) -> Result<Vec<u8>, RequestError> {
        let malformed = |_| RequestError::Certificate;
        let signed = SignedParts::read(certificate).map_err(malformed)?;
        let tbs = TbsParts::read(signed.tbs).map_err(|_| RequestError::Certificate)?;
        let mut wanted = Vec::new();
        let mut extensions = tbs.extensions;
        while let Some(extension) = extensions.next().map_err(malformed)? {
            if extension.kind == oid::SUBJECT_ALT_NAME {
                let criticality = match extension.critical {
                    true => Criticality::Critical,
                    false => Criticality::NotCritical,
                };
                write_extension(&mut wanted, extension.kind, criticality, |out| {
                    out.extend_from_slice(extension.value);
                });
            }
        }
        let mut attributes = Vec::new();
        if !wanted.is_empty() {
            // Attribute ::= SEQUENCE { type, values SET OF ANY } (RFC 2986 §4.1), with one value:
            // Extensions (RFC 2985 §5.4.2).
            tlv::write_with(&mut attributes, tag::SEQUENCE, |out| {
                tlv::write(out, tag::OID, oid::EXTENSION_REQUEST);
                tlv::write_with(out, tag::SET, |out| {
                    tlv::write(out, tag::SEQUENCE, &wanted);
                });
            });
        }
        Ok(self.signed_request(tbs.subject, &attributes)?)
    }

    fn signed_request(&self, name: &[u8], attributes: &[u8]) -> Result<Vec<u8>, KeyError> {
        let algorithm = algorithm_identifier(self.key.algorithm().signature());
        let mut info = Vec::new();
        tlv::write_with(&mut info, tag::SEQUENCE, |out| {
            tlv::write(out, tag::INTEGER, &[0]);
            out.extend_from_slice(name);
            out.extend_from_slice(self.key.public_key_spki());
            tlv::write(out, tag::CONTEXT_0_CONSTRUCTED, attributes);
        });
        let signature = self.key.sign(&info)?;
        let mut request = Vec::new();
        tlv::write_with(&mut request, tag::SEQUENCE, |out| {
            out.extend_from_slice(&info);
            write_signature(out, &algorithm, &signature);
        });
        Ok(request)
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
    fn renewal_copies_subject_and_alternative_names() {
        use crate::private_key::read_private_key;

        let (key, other) = (
            ClientKey::generate(KeyAlgorithm::P256).unwrap(),
            ClientKey::generate(KeyAlgorithm::Ed25519).unwrap(),
        );
        // dNSName a.example, in an extension that is critical.
        let names = [0x30, 11, 0x82, 9];
        let mut extensions = Vec::new();
        write_extension(
            &mut extensions,
            oid::SUBJECT_ALT_NAME,
            Criticality::Critical,
            |out| {
                out.extend(names);
                out.extend(b"a.example");
            },
        );
        write_extension(
            &mut extensions,
            oid::SUBJECT_KEY_IDENTIFIER,
            Criticality::NotCritical,
            |out| tlv::write(out, tag::OCTET_STRING, &[7]),
        );
        let mut name = Vec::new();
        write_name(&mut name, &attributes_of(&subject()).unwrap());
        let now = "2026-08-14T10:30:00Z".parse().unwrap();
        let certificate = |extensions: &[u8]| {
            let algorithm =
                algorithm_identifier(certgate_model::SignatureAlgorithm::EcdsaWithSha256);
            let mut out = Vec::new();
            tlv::write_with(&mut out, tag::SEQUENCE, |out| {
                tlv::write_with(out, tag::SEQUENCE, |out| {
                    crate::certificate::write_version(out);
                    tlv::write(out, tag::INTEGER, &[1]);
                    out.extend_from_slice(&algorithm);
                    out.extend_from_slice(&name);
                    crate::certificate::write_validity(out, now, now);
                    out.extend_from_slice(&name);
                    out.extend_from_slice(key.public_key_spki());
                    if !extensions.is_empty() {
                        tlv::write_with(out, tag::CONTEXT_3_CONSTRUCTED, |out| {
                            tlv::write(out, tag::SEQUENCE, extensions);
                        });
                    }
                });
                write_signature(out, &algorithm, &[0]);
            });
            out
        };
        let certificate_with_names = certificate(&extensions);
        let request = other.renewal_request(&certificate_with_names).unwrap();
        let csr = read_csr(&pem_lines("CERTIFICATE REQUEST", &request)).unwrap();
        assert_eq!(
            (csr.subject_der(), csr.spki_der()),
            (&name[..], other.public_key_spki())
        );
        let wanted: Vec<u8> = [&[0x01, 0x01, 0xff, 0x04, 13][..], &names, b"a.example"].concat();
        assert!(request.windows(wanted.len()).any(|part| part == wanted));
        // Without names, the attribute is absent. The key identifier is not copied.
        let request = other.renewal_request(&certificate(&[])).unwrap();
        assert!(
            !request
                .windows(9)
                .any(|part| part == oid::EXTENSION_REQUEST)
        );
        // A key from a file signs the same.
        let read = read_private_key(&key.to_pkcs8_pem()).unwrap();
        let again = ClientKey::from_private_key(read).unwrap();
        assert_eq!(again.algorithm(), KeyAlgorithm::P256);
        assert_eq!(again.public_key_spki(), key.public_key_spki());
        assert_eq!(
            other.renewal_request(b"\x30\x00"),
            Err(RequestError::Certificate)
        );
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
