//! Path validation (RFC 5280 §6.1): the rules of a CA's certificate for the certificates below it,
//! as verifiers apply them.

use certgate_model::AlternativeName;

use crate::certificate::Extensions;
use crate::name_constraints::NameConstraints;
use crate::oid;
use crate::tlv::{Cursor, NotDer, Tlv, tag};

/// The reasons for verifiers to reject a certificate because of its CA.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// No certificate of the CA is accepted.
    #[error("no verifier accepts a client certificate of this CA: {0}")]
    Authority(String),
    /// The CA's name constraints do not permit the subject.
    #[error("verifiers would reject the certificate by the name constraints of its CA: {0}")]
    Name(String),
}

/// The rules of a CA, read once from its certificate.
pub(crate) struct PathRules {
    /// The reason why no certificate of the CA is accepted.
    fault: Option<String>,
    name_constraints: Option<NameConstraints>,
}

impl PathRules {
    /// Reads the rules of the certificate with these extensions. `is_self_issued`: its issuer is
    /// its subject.
    pub fn read(extensions: Extensions<'_>, serial: &[u8], is_self_issued: bool) -> Self {
        let mut rules = Self {
            fault: None,
            name_constraints: None,
        };
        rules.fault = rules
            .read_extensions(extensions, serial, is_self_issued)
            .err();
        rules
    }

    fn read_extensions(
        &mut self,
        mut extensions: Extensions<'_>,
        serial: &[u8],
        is_self_issued: bool,
    ) -> Result<(), String> {
        let malformed = |_| "one of its extensions is malformed".to_owned();
        let mut seen: Vec<&[u8]> = Vec::new();
        let (mut own_key, mut issuer_key) = (None, AuthorityKey::default());
        while let Some(extension) = extensions.next().map_err(malformed)? {
            let (kind, value) = (extension.kind, extension.value);
            // RFC 5280 §4.2: a certificate MUST NOT include more than one instance.
            if seen.contains(&kind) {
                return Err(format!("it has the extension {} twice", oid::shown(kind)));
            }
            seen.push(kind);
            if extension.critical && !is_known(kind) {
                let shown = oid::shown(kind);
                return Err(format!(
                    "it has the critical extension {shown}, which they do not know"
                ));
            }
            check_form(kind, value)
                .map_err(|_| format!("its extension {} is malformed", oid::shown(kind)))?;
            match kind {
                oid::NAME_CONSTRAINTS => {
                    self.name_constraints = Some(NameConstraints::read(value)?);
                }
                // anyExtendedKeyUsage alone does not permit TLS clients for OpenSSL.
                oid::EXTENDED_KEY_USAGE if !permits_clients(value).map_err(malformed)? => {
                    return Err("its extended key usage does not include clientAuth".to_owned());
                }
                oid::SUBJECT_KEY_IDENTIFIER => {
                    let identifier = Cursor::new(value).expect(tag::OCTET_STRING);
                    own_key = Some(identifier.map_err(malformed)?.content);
                }
                oid::AUTHORITY_KEY_IDENTIFIER => {
                    issuer_key = AuthorityKey::read(value).map_err(malformed)?;
                }
                _ => {}
            }
        }
        let is_other = |named: Option<&[u8]>, own: Option<&[u8]>| {
            named.zip(own).is_some_and(|(named, own)| named != own)
        };
        if is_self_issued
            && (is_other(issuer_key.identifier, own_key)
                || is_other(issuer_key.serial, Some(serial)))
        {
            let reason = "it is self-signed, but its authority key identifier names another CA";
            return Err(reason.to_owned());
        }
        Ok(())
    }

    /// Checks that the CA can have certificates that verifiers accept.
    pub fn check_authority(&self) -> Result<(), PathError> {
        match &self.fault {
            Some(fault) => Err(PathError::Authority(fault.clone())),
            None => Ok(()),
        }
    }

    /// Checks that verifiers accept a certificate with this subject, a Name in DER.
    pub fn check(&self, subject: &[u8]) -> Result<(), PathError> {
        self.check_authority()?;
        match &self.name_constraints {
            Some(constraints) => constraints.check(subject).map_err(PathError::Name),
            None => Ok(()),
        }
    }

    /// Checks that verifiers accept a certificate with this subject, a Name in DER, and these
    /// subject alternative names.
    pub fn check_names(&self, subject: &[u8], names: &[AlternativeName]) -> Result<(), PathError> {
        self.check(subject)?;
        let Some(constraints) = &self.name_constraints else {
            return Ok(());
        };
        names
            .iter()
            .try_for_each(|name| constraints.check_alternative(name))
            .map_err(PathError::Name)
    }
}

/// Returns true for the extensions that OpenSSL processes: proxies reject a certificate with any
/// other critical one.
pub(crate) fn is_known(kind: &[u8]) -> bool {
    const KNOWN: [&[u8]; 11] = [
        oid::KEY_USAGE,
        oid::SUBJECT_ALT_NAME,
        oid::BASIC_CONSTRAINTS,
        oid::NAME_CONSTRAINTS,
        oid::CRL_DISTRIBUTION_POINTS,
        oid::CERTIFICATE_POLICIES,
        oid::POLICY_MAPPINGS,
        oid::POLICY_CONSTRAINTS,
        oid::EXTENDED_KEY_USAGE,
        oid::INHIBIT_ANY_POLICY,
        oid::NETSCAPE_CERTIFICATE_TYPE,
    ];
    KNOWN.contains(&kind)
}

/// Checks the form of the extensions that OpenSSL reads in each certificate: it rejects a CA if it
/// cannot read one of them, critical or not.
fn check_form(kind: &[u8], value: &[u8]) -> Result<(), NotDer> {
    let mut value = Cursor::new(value);
    match kind {
        oid::BASIC_CONSTRAINTS => {
            let mut constraints = value.inside(tag::SEQUENCE)?;
            constraints.optional(tag::BOOLEAN)?;
            match constraints.optional(tag::INTEGER)?.map(|path| path.content) {
                // A negative path length.
                Some([] | [0x80..=0xff, ..]) => Err(NotDer),
                _ => Ok(()),
            }
        }
        // GeneralName ::= CHOICE { otherName [0] SEQUENCE { type-id OBJECT IDENTIFIER, … }, … }
        oid::SUBJECT_ALT_NAME => each(&mut value, |name| match name.tag {
            tag::CONTEXT_0_CONSTRUCTED => name.content.first() == Some(&tag::OID),
            other => matches!(other, 0x81 | 0x82 | 0xa3..=0xa5 | 0x86..=0x88),
        }),
        // DistributionPoint ::= SEQUENCE { distributionPoint [0], reasons [1], cRLIssuer [2] }
        oid::CRL_DISTRIBUTION_POINTS => each(&mut value, |point| {
            let mut point = Cursor::new(point.raw);
            each(&mut point, |field| matches!(field.tag, 0xa0 | 0x81 | 0xa2)).is_ok()
        }),
        oid::NETSCAPE_CERTIFICATE_TYPE => value.expect_any_length(tag::BIT_STRING).map(|_| ()),
        // IPAddressFamily ::= SEQUENCE { addressFamily OCTET STRING, … }
        oid::ADDRESS_BLOCKS => each(&mut value, |family| {
            family.tag == tag::SEQUENCE && family.content.first() == Some(&tag::OCTET_STRING)
        }),
        // ASIdentifiers ::= SEQUENCE { asnum [0], rdi [1] }
        oid::AUTONOMOUS_SYSTEMS => each(&mut value, |field| matches!(field.tag, 0xa0 | 0xa1)),
        _ => Ok(()),
    }
}

/// Reads a sequence of values, each of which has the form.
fn each(outer: &mut Cursor<'_>, has_form: impl Fn(Tlv<'_>) -> bool) -> Result<(), NotDer> {
    let mut values = Cursor::new(outer.expect_any_length(tag::SEQUENCE)?.content);
    while !values.is_empty() {
        if !has_form(values.any_length()?) {
            return Err(NotDer);
        }
    }
    Ok(())
}

/// Returns true if an extended key usage includes clientAuth.
pub(crate) fn permits_clients(value: &[u8]) -> Result<bool, NotDer> {
    let mut purposes = Cursor::new(value).inside(tag::SEQUENCE)?;
    let mut permits = false;
    while !purposes.is_empty() {
        permits |= purposes.oid()? == oid::CLIENT_AUTH;
    }
    Ok(permits)
}

/// AuthorityKeyIdentifier ::= SEQUENCE { keyIdentifier [0], authorityCertIssuer [1],
/// authorityCertSerialNumber [2] }, each optional (RFC 5280 §4.2.1.1)
#[derive(Default)]
pub(crate) struct AuthorityKey<'a> {
    /// The subject key identifier of the issuer.
    pub identifier: Option<&'a [u8]>,
    /// The issuer of the issuer's certificate, a Name in DER.
    pub issuer: Option<&'a [u8]>,
    /// The content of the serial number of the issuer's certificate.
    pub serial: Option<&'a [u8]>,
}

impl<'a> AuthorityKey<'a> {
    pub fn read(value: &'a [u8]) -> Result<Self, NotDer> {
        let mut fields = Cursor::new(value).inside(tag::SEQUENCE)?;
        let identifier = fields.optional(tag::CONTEXT_0)?;
        let mut names = match fields.optional(tag::CONTEXT_1_CONSTRUCTED)? {
            Some(names) => Cursor::new(names.content),
            None => Cursor::new(&[]),
        };
        let mut issuer = None;
        while !names.is_empty() {
            let name = names.any()?;
            if name.tag == tag::CONTEXT_4_CONSTRUCTED {
                issuer.get_or_insert(name.content);
            }
        }
        let serial = fields.optional(tag::CONTEXT_2)?;
        Ok(Self {
            identifier: identifier.map(|value| value.content),
            issuer,
            serial: serial.map(|value| value.content),
        })
    }
}
