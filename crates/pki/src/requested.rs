//! The parts of a request that issuance rules limit.

use std::collections::HashSet;

use certgate_model::{AlternativeName, RequestedCertificate, SubjectAttribute};

use crate::alternative_name::alternative_name;
use crate::certificate::{SignedParts, TbsParts};
use crate::csr::CheckedCsr;
use crate::oid;
use crate::requested_names::for_each_alternative;
use crate::subject::{read_attribute, read_text};
use crate::tlv::{Cursor, NotDer, tag};

impl CheckedCsr {
    /// Returns the parts that issuance rules limit, for a certificate of so many days.
    pub fn requested(&self, days: u32) -> RequestedCertificate {
        let mut requested = RequestedCertificate {
            common_names: Vec::new(),
            attributes: Vec::new(),
            key: self.key_type(),
            days,
            alternative_names: alternative_names(self.attributes_der()),
        };
        // The subject was read before: it is a Name.
        let _ = read_subject(self.subject_der(), &mut requested);
        requested
    }
}

impl CheckedCsr {
    /// Returns true if the subject is this common name, and nothing else.
    pub fn is_only(&self, common_name: &str) -> bool {
        let requested = self.requested(0);
        requested.attributes == [SubjectAttribute::of_oid(oid::dotted(oid::COMMON_NAME))]
            && requested.common_names == [common_name]
    }
}

fn read_subject(subject: &[u8], requested: &mut RequestedCertificate) -> Result<(), NotDer> {
    let mut rdns = Cursor::new(subject).inside(tag::SEQUENCE)?;
    while !rdns.is_empty() {
        let mut rdn = rdns.inside(tag::SET)?;
        while !rdn.is_empty() {
            let (kind, value) = read_attribute(&mut rdn)?;
            if kind == oid::COMMON_NAME {
                let text = read_text(value).ok_or(NotDer)?;
                requested.common_names.push(text.into_owned());
            }
            let attribute = SubjectAttribute::of_oid(oid::dotted(kind));
            if !requested.attributes.contains(&attribute) {
                requested.attributes.push(attribute);
            }
        }
    }
    Ok(())
}

impl CheckedCsr {
    /// Returns true if a certificate (DER) has the subject of the request: the same attributes with
    /// the same texts. The types of strings may differ, because programs choose them anew.
    pub fn has_subject_of(&self, certificate: &[u8]) -> bool {
        let same = || {
            let signed = SignedParts::read(certificate)?;
            let tbs = TbsParts::read(signed.tbs).map_err(|_| NotDer)?;
            is_same_name(self.subject_der(), tbs.subject)
        };
        same().unwrap_or(false)
    }
}

fn is_same_name(one: &[u8], other: &[u8]) -> Result<bool, NotDer> {
    let mut one = Cursor::new(one).inside(tag::SEQUENCE)?;
    let mut other = Cursor::new(other).inside(tag::SEQUENCE)?;
    while !one.is_empty() && !other.is_empty() {
        let (mut one, mut other) = (one.inside(tag::SET)?, other.inside(tag::SET)?);
        while !one.is_empty() && !other.is_empty() {
            let (kind, value) = read_attribute(&mut one)?;
            let (other_kind, other_value) = read_attribute(&mut other)?;
            let is_same_text = match (read_text(value), read_text(other_value)) {
                (Some(text), Some(other)) => text == other,
                _ => value.raw == other_value.raw,
            };
            if kind != other_kind || !is_same_text {
                return Ok(false);
            }
        }
        if !one.is_empty() || !other.is_empty() {
            return Ok(false);
        }
    }
    Ok(one.is_empty() && other.is_empty())
}

/// Returns the subject alternative names of a certificate (DER); none if it is malformed.
pub fn certificate_alternative_names(der: &[u8]) -> Vec<AlternativeName> {
    let read = || {
        let signed = SignedParts::read(der)?;
        let mut extensions = TbsParts::read(signed.tbs).map_err(|_| NotDer)?.extensions;
        let mut read = Vec::new();
        while let Some(extension) = extensions.next()? {
            if extension.kind == oid::SUBJECT_ALT_NAME {
                let mut names = Cursor::new(extension.value).inside(tag::SEQUENCE)?;
                while !names.is_empty() {
                    read.push(alternative_name(names.any()?));
                }
            }
        }
        Ok::<_, NotDer>(read)
    };
    read().unwrap_or_default()
}

/// Lists the subject alternative names of a request, each once.
fn alternative_names(attributes: &[u8]) -> Vec<AlternativeName> {
    let (mut names, mut seen) = (Vec::new(), HashSet::new());
    for_each_alternative(attributes, &mut |name| {
        let name = match name {
            Some(name) => alternative_name(name),
            None => AlternativeName::Other("subjectAltName (it cannot be read)".to_owned()),
        };
        if seen.insert(name.clone()) {
            names.push(name);
        }
    });
    names
}
