//! Certificates that TLS clients present, and those of the CAs above them: the properties that
//! OpenSSL checks and webpki does not.

use certgate_model::Timestamp;

use crate::certificate::{Extensions, SignedParts, TbsParts};
use crate::chain_error::ChainError;
use crate::csr_error::CsrError;
use crate::distinguished_name::{legacy, rfc_2253};
use crate::oid;
use crate::path::{AuthorityKey, PathRules, is_known, permits_clients};
use crate::public_key::PublicKey;
use crate::rights::AuthorityRights;
use crate::tlv::{self, Cursor, NotDer, tag};
use crate::uploaded::key_error;

/// Significant octets of the longest serial number (RFC 5280 §4.1.2.2).
const SERIAL_OCTETS: usize = 20;

/// A certificate from a TLS client, or one of a CA in its path. Reading it checks its structure
/// only: nothing proves yet that a trusted CA signed it.
pub struct PresentedCertificate<'a> {
    tbs: TbsParts<'a>,
    read: ReadExtensions<'a>,
    serial: [u8; SERIAL_OCTETS],
}

/// The extensions that this file compares or checks.
#[derive(Default)]
struct ReadExtensions<'a> {
    /// pathLenConstraint: the most CAs between this one and the client certificate.
    path_length: Option<usize>,
    /// The first octet of the key usage.
    key_usage: Option<u8>,
    permits_clients: Option<bool>,
    /// The first octet of Netscape's certificate type.
    netscape_type: Option<u8>,
    own_key: Option<&'a [u8]>,
    issuer_key: AuthorityKey<'a>,
    has_alternative_names: bool,
    constrains_directories: bool,
    /// The object identifier of a critical extension that verifiers do not know.
    unknown_critical: Option<String>,
}

impl<'a> PresentedCertificate<'a> {
    /// Reads a certificate in DER. The error continues a sentence about the certificate.
    pub fn read(der: &'a [u8]) -> Result<Self, &'static str> {
        let signed = SignedParts::read(der).map_err(|_| "its content is not a certificate")?;
        let tbs = TbsParts::read(signed.tbs)?;
        // RFC 5280 §4.1.1.2: both fields MUST contain the same algorithm identifier.
        if tbs.algorithm != signed.algorithm {
            return Err("it names two different signature algorithms");
        }
        let serial = read_serial(tbs.serial)?;
        let read = ReadExtensions::read(tbs.extensions)?;
        Ok(Self { tbs, read, serial })
    }

    /// The serial number, right-aligned in 20 octets. Zeros before it do not make another number.
    pub fn serial(&self) -> [u8; SERIAL_OCTETS] {
        self.serial
    }

    /// The issuer, a Name in DER.
    pub fn issuer(&self) -> &'a [u8] {
        self.tbs.issuer
    }

    /// The subject, a Name in DER.
    pub fn subject(&self) -> &'a [u8] {
        self.tbs.subject
    }

    /// The SubjectPublicKeyInfo in DER.
    pub fn spki(&self) -> &'a [u8] {
        self.tbs.spki
    }

    /// The issuer in the text form of RFC 2253; empty if it has none.
    pub fn issuer_text(&self) -> String {
        text_of(self.tbs.issuer, rfc_2253)
    }

    /// The subject in the text form of RFC 2253; empty if it has none.
    pub fn subject_text(&self) -> String {
        text_of(self.tbs.subject, rfc_2253)
    }

    /// The issuer in the form of old versions of OpenSSL: `/C=US/CN=name`.
    pub fn issuer_legacy(&self) -> String {
        text_of(self.tbs.issuer, legacy)
    }

    /// The subject in the form of old versions of OpenSSL: `/C=US/CN=name`.
    pub fn subject_legacy(&self) -> String {
        text_of(self.tbs.subject, legacy)
    }

    /// The subject key identifier (RFC 5280 §4.2.1.2).
    pub fn subject_key_identifier(&self) -> Option<&'a [u8]> {
        self.read.own_key
    }

    /// notBefore.
    pub fn not_before(&self) -> Timestamp {
        self.tbs.not_before
    }

    /// notAfter: the last second in which the certificate is valid.
    pub fn not_after(&self) -> Timestamp {
        self.tbs.not_after
    }

    /// Checks the key: RSA from 2,048 bits, P-256, P-384, P-521 or Ed25519. The error continues a
    /// sentence about the certificate.
    pub fn check_key(&self) -> Result<(), String> {
        let content = Cursor::new(self.tbs.spki).expect(tag::SEQUENCE);
        let key = content
            .map_err(|_| CsrError::malformed("its public key is not a SubjectPublicKeyInfo"))
            .and_then(|spki| PublicKey::read(spki.content));
        match key.map_err(|error| key_error(1, &error)) {
            Ok(_) => Ok(()),
            Err(ChainError::Key { reason, .. }) => Err(format!("its key: {reason}")),
            Err(_) => Err("its key is weak".to_owned()),
        }
    }

    /// Checks that the certificate may identify a TLS client, as OpenSSL's purpose `sslclient`
    /// does. The error continues a sentence about the certificate.
    pub fn check_client(&self) -> Result<(), String> {
        // digitalSignature is bit 0, keyAgreement is bit 4.
        const SIGNS_OR_AGREES: u8 = 0x80 | 0x08;
        const NETSCAPE_CLIENT: u8 = 0x80;
        let read = &self.read;
        if let Some(unknown) = &read.unknown_critical {
            return Err(format!(
                "it has the critical extension {unknown}, which is not known"
            ));
        }
        if read.permits_clients == Some(false) {
            return Err("its extended key usage does not include clientAuth".to_owned());
        }
        if read
            .key_usage
            .is_some_and(|usage| usage & SIGNS_OR_AGREES == 0)
        {
            return Err("its key usage does not include digitalSignature".to_owned());
        }
        match read.netscape_type {
            Some(kinds) if kinds & NETSCAPE_CLIENT == 0 => {
                Err("its Netscape certificate type is not that of a client".to_owned())
            }
            _ => Ok(()),
        }
    }

    /// Returns true if it has name constraints for directory names, which webpki does not read.
    pub fn constrains_directories(&self) -> bool {
        self.read.constrains_directories
    }

    /// Returns true if it has a subjectAltName.
    pub fn has_alternative_names(&self) -> bool {
        self.read.has_alternative_names
    }

    /// Checks that the certificate may belong to a CA above these certificates: that of the client,
    /// and of the CAs in between. Name constraints are applied to subjects only. The error
    /// continues a sentence about the CA.
    pub fn check_authority(
        &self,
        client: &PresentedCertificate<'_>,
        between: &[PresentedCertificate<'_>],
    ) -> Result<(), String> {
        if self.tbs.version != 3 {
            return Err("its certificate is not of X.509 version 3".to_owned());
        }
        let rights = AuthorityRights::read(self.tbs.extensions)
            .map_err(|NotDer| "one of its extensions is malformed".to_owned())?;
        let has_no_name = self.tbs.subject == [tag::SEQUENCE, 0];
        if let Some(lacks) = rights.lacks_as_authority(has_no_name) {
            return Err(lacks.to_owned());
        }
        let rules = self.path_rules(between.len())?;
        self.check_key()?;
        let mut below = [client].into_iter().chain(between);
        below
            .try_for_each(|certificate| rules.check(certificate.subject()))
            .map_err(|error| error.to_string())
    }

    /// Returns the rules of a CA with so many CAs below it. The error continues a sentence about
    /// the CA.
    pub(crate) fn path_rules(&self, below: usize) -> Result<PathRules, String> {
        if self.read.path_length.is_some_and(|most| below > most) {
            return Err("there are more CAs below it than it permits".to_owned());
        }
        let is_self_issued = self.tbs.issuer == self.tbs.subject;
        let (extensions, serial) = (self.tbs.extensions, self.tbs.serial);
        Ok(PathRules::read(extensions, serial, is_self_issued))
    }

    /// Checks that the authority key identifier (RFC 5280 §4.2.1.1) does not name another issuer.
    /// The error continues a sentence about the certificate.
    pub fn check_issued_by(&self, issuer: &Self) -> Result<(), String> {
        let named = &self.read.issuer_key;
        let differs = |named: Option<&[u8]>, own: Option<&[u8]>| {
            named.zip(own).is_some_and(|(named, own)| named != own)
        };
        if self.tbs.issuer != issuer.tbs.subject
            || differs(named.identifier, issuer.read.own_key)
            || differs(named.serial, Some(issuer.tbs.serial))
            || differs(named.issuer, Some(issuer.tbs.issuer))
        {
            return Err("its authority key identifier names another CA".to_owned());
        }
        Ok(())
    }
}

impl<'a> ReadExtensions<'a> {
    fn read(mut extensions: Extensions<'a>) -> Result<Self, &'static str> {
        const MALFORMED: &str = "one of its extensions is malformed";
        let malformed = |NotDer| MALFORMED;
        let mut read = Self::default();
        let mut seen: Vec<&[u8]> = Vec::new();
        while let Some(extension) = extensions.next().map_err(malformed)? {
            let (kind, value) = (extension.kind, extension.value);
            // RFC 5280 §4.2: a certificate MUST NOT include more than one instance.
            if seen.contains(&kind) {
                return Err("it has an extension twice");
            }
            seen.push(kind);
            if is_known(kind) {
                tlv::check_values(value).map_err(malformed)?;
            } else if extension.critical {
                read.unknown_critical.get_or_insert(oid::shown(kind));
            }
            read.remember(kind, value).map_err(malformed)?;
        }
        Ok(read)
    }

    fn remember(&mut self, kind: &[u8], value: &'a [u8]) -> Result<(), NotDer> {
        let mut content = Cursor::new(value);
        match kind {
            oid::BASIC_CONSTRAINTS => self.path_length = read_path_length(value)?,
            oid::KEY_USAGE => self.key_usage = Some(read_bits(&mut content)?),
            oid::NETSCAPE_CERTIFICATE_TYPE => {
                self.netscape_type = Some(read_bits(&mut content)?);
            }
            oid::EXTENDED_KEY_USAGE => self.permits_clients = Some(permits_clients(value)?),
            oid::SUBJECT_KEY_IDENTIFIER => {
                self.own_key = Some(content.expect(tag::OCTET_STRING)?.content);
                content.end()?;
            }
            oid::SUBJECT_ALT_NAME => self.has_alternative_names = true,
            oid::NAME_CONSTRAINTS => self.constrains_directories = has_directories(value)?,
            oid::AUTHORITY_KEY_IDENTIFIER => self.issuer_key = AuthorityKey::read(value)?,
            _ => {}
        }
        Ok(())
    }
}

/// BasicConstraints ::= SEQUENCE { cA BOOLEAN DEFAULT FALSE, pathLenConstraint INTEGER OPTIONAL }
fn read_path_length(value: &[u8]) -> Result<Option<usize>, NotDer> {
    let mut outer = Cursor::new(value);
    let mut constraints = outer.inside(tag::SEQUENCE)?;
    outer.end()?;
    let is_authority = constraints.optional(tag::BOOLEAN)?;
    let is_authority = is_authority.is_some_and(|value| value.content == [0xff]);
    let length = constraints.optional(tag::INTEGER)?;
    constraints.end()?;
    match length.map(|length| length.content) {
        None => Ok(None),
        // RFC 5280 §4.2.1.9: only with cA. A negative length is not one.
        Some(_) if !is_authority => Err(NotDer),
        Some([first, ..]) if first & 0x80 != 0 => Err(NotDer),
        Some([length]) => Ok(Some(usize::from(*length))),
        // No path is as long.
        Some(_) => Ok(None),
    }
}

/// NameConstraints ::= SEQUENCE { permittedSubtrees [0], excludedSubtrees [1] }, each a sequence of
/// subtrees that begin with a GeneralName.
fn has_directories(value: &[u8]) -> Result<bool, NotDer> {
    let mut constraints = Cursor::new(value).inside(tag::SEQUENCE)?;
    let mut found = false;
    while !constraints.is_empty() {
        let mut subtrees = Cursor::new(constraints.any()?.content);
        while !subtrees.is_empty() {
            let base = subtrees.inside(tag::SEQUENCE)?.any()?;
            found |= base.tag == tag::CONTEXT_4_CONSTRUCTED;
        }
    }
    Ok(found)
}

/// Reads the first octet of named bits. RFC 5280 §4.2.1.3: at least one of the bits MUST be set.
fn read_bits(content: &mut Cursor<'_>) -> Result<u8, NotDer> {
    let bits = content.expect(tag::BIT_STRING)?.content;
    content.end()?;
    let octets = bits.get(1..).ok_or(NotDer)?;
    match octets.iter().all(|octet| *octet == 0) {
        true => Err(NotDer),
        false => Ok(octets[0]),
    }
}

fn read_serial(content: &[u8]) -> Result<[u8; SERIAL_OCTETS], &'static str> {
    if content.first().is_none_or(|first| first & 0x80 != 0) {
        return Err("its serial number is negative");
    }
    if let [0, 0..=0x7f, ..] = content {
        // X.690 §8.3.2: OpenSSL refuses padding, and webpki accepts it.
        return Err("its serial number has leading zeros");
    }
    let zeros = content.iter().take_while(|octet| **octet == 0).count();
    let significant = &content[zeros..];
    let mut serial = [0; SERIAL_OCTETS];
    let start = SERIAL_OCTETS
        .checked_sub(significant.len())
        .ok_or("its serial number has more than 20 octets")?;
    serial[start..].copy_from_slice(significant);
    Ok(serial)
}

fn text_of(name: &[u8], write: fn(&[u8]) -> Result<String, NotDer>) -> String {
    Cursor::new(name)
        .expect(tag::SEQUENCE)
        .and_then(|name| write(name.content))
        .unwrap_or_default()
}
