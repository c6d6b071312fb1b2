use crate::certificate::Extensions;
use crate::oid;
use crate::tlv::{Cursor, NotDer, tag};

/// The rights that the extensions of a certificate give it as a CA.
pub(crate) struct AuthorityRights<'a> {
    pub is_authority: bool,
    pub may_sign_certificates: bool,
    pub may_sign_crls: bool,
    /// Its extended key usage lets it issue client certificates.
    pub may_vouch_for_clients: bool,
    /// Its subject key identifier.
    pub key_identifier: Option<&'a [u8]>,
}

impl<'a> AuthorityRights<'a> {
    pub fn read(mut extensions: Extensions<'a>) -> Result<Self, NotDer> {
        // RFC 5280 §4.2.1.3 and §4.2.1.12 restrict the key only where the extension is present.
        let mut rights = Self {
            is_authority: false,
            may_sign_certificates: true,
            may_sign_crls: true,
            may_vouch_for_clients: true,
            key_identifier: None,
        };
        while let Some(extension) = extensions.next()? {
            let mut value = Cursor::new(extension.value);
            match extension.kind {
                oid::BASIC_CONSTRAINTS => {
                    let mut constraints = value.inside(tag::SEQUENCE)?;
                    let is_authority = constraints.optional(tag::BOOLEAN)?;
                    rights.is_authority = match is_authority.map(|value| value.content) {
                        None | Some([0]) => false,
                        Some([0xff]) => true,
                        Some(_) => return Err(NotDer),
                    };
                }
                oid::KEY_USAGE => {
                    // BIT STRING; keyCertSign is bit 5 of the first octet, cRLSign bit 6.
                    let bits = value.expect(tag::BIT_STRING)?.content;
                    rights.may_sign_certificates = bits.get(1).is_some_and(|bits| bits & 0x04 != 0);
                    rights.may_sign_crls = bits.get(1).is_some_and(|bits| bits & 0x02 != 0);
                }
                oid::EXTENDED_KEY_USAGE => {
                    let mut purposes = value.inside(tag::SEQUENCE)?;
                    rights.may_vouch_for_clients = false;
                    while !purposes.is_empty() {
                        // anyExtendedKeyUsage alone is not enough for OpenSSL.
                        rights.may_vouch_for_clients |= purposes.oid()? == oid::CLIENT_AUTH;
                    }
                }
                oid::SUBJECT_KEY_IDENTIFIER => {
                    rights.key_identifier = Some(value.expect(tag::OCTET_STRING)?.content);
                }
                _ => {}
            }
        }
        Ok(rights)
    }

    /// Names the first property that a CA must have and this certificate lacks. `subject_is_empty`
    /// is a property of the certificate that no extension shows.
    pub fn lacks_as_authority(&self, subject_is_empty: bool) -> Option<&'static str> {
        if !self.is_authority {
            // RFC 5280 §4.2.1.9: without cA the key MUST NOT be used to verify certificates.
            Some("it has no basic constraints with CA:TRUE")
        } else if !self.may_sign_certificates {
            Some("its key usage does not include keyCertSign")
        } else if subject_is_empty {
            // RFC 5280 §4.1.2.4: the issuer field MUST contain a non-empty distinguished name.
            Some("it has an empty subject")
        } else {
            None
        }
    }
}
