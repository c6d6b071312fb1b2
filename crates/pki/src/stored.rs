//! Reading back what a CA signed and the store keeps, for the comparison with its record.

use aws_lc_rs::signature::ParsedPublicKey;
use certgate_model::{
    AuthorityRecord, CertificateRecord, KeyAlgorithm, MtlsCertificateRecord, Revocation,
    RevocationReason, SECONDS_PER_DAY, SerialNumber, SignedCrl, Timestamp,
};

use crate::certificate::{Extensions, SignedParts, TbsParts, read_time};
use crate::chain::{decimal, stored_certificates};
use crate::digest::{key_identifier, sha256};
use crate::distinguished_name::rfc_2253;
use crate::key::{algorithm_identifier, public_key_bits, verification};
use crate::oid;
use crate::public_key::PublicKeyKind;
use crate::subject::read_name;
use crate::tlv::{Cursor, NotDer, tag};
use crate::uploaded::StoredCertificate;

/// The certificate of a stored CA, with the key that verifies what the CA signed.
pub struct StoredAuthority {
    /// Subject, with its header.
    name: Vec<u8>,
    algorithm: KeyAlgorithm,
    verifier: ParsedPublicKey,
    not_before: Timestamp,
    not_after: Timestamp,
}

impl StoredAuthority {
    /// Reads the certificate of a CA whose key has this algorithm. [`None`]: it is corrupt, or the
    /// algorithm is.
    pub fn read(der: &[u8], algorithm: KeyAlgorithm) -> Option<Self> {
        let signed = SignedParts::read(der).ok()?;
        let tbs = TbsParts::read(signed.tbs).ok()?;
        let bits = public_key_bits(tbs.spki).ok()?;
        Some(Self {
            name: tbs.subject.to_vec(),
            algorithm,
            verifier: ParsedPublicKey::new(verification(algorithm), bits).ok()?,
            not_before: tbs.not_before,
            not_after: tbs.not_after,
        })
    }

    /// Returns true if both have the same name and key, so that they share their full list.
    pub fn is_same_issuer(&self, other: &Self) -> bool {
        self.name == other.name && self.verifier.as_ref() == other.verifier.as_ref()
    }

    /// Names the columns of a CA's record that its certificate contradicts.
    pub fn contradicts(&self, record: &AuthorityRecord) -> Vec<&'static str> {
        let read = StoredCertificate::read(&record.certificate_der);
        // The certificate of another issuer is not stored, so that its signature says nothing.
        let is_intact =
            read.is_some_and(|read| read.is_intact(kind(self.algorithm), self.verifier.as_ref()));
        wrong([
            ("certificate_der", !is_intact),
            ("created_on", record.created_on != self.not_before),
            ("expires_on", record.expires_on != self.not_after),
        ])
    }

    /// Names the columns of a client certificate's record that its DER form contradicts. It must be
    /// a certificate of this CA.
    pub fn contradicts_certificate(&self, record: &CertificateRecord) -> Vec<&'static str> {
        if sha256(&record.der) != record.fingerprint_sha256 {
            return vec!["fingerprint_sha256 or der"];
        }
        let read = || {
            let signed = SignedParts::read(&record.der)?;
            let tbs = TbsParts::read(signed.tbs).map_err(|_| NotDer)?;
            Ok::<_, NotDer>(tbs)
        };
        let Ok(tbs) = read() else {
            return vec!["der"];
        };
        let days = record.issued_on.until(record.expires_on).seconds();
        let name = Cursor::new(tbs.subject).expect(tag::SEQUENCE);
        let subject = name.ok().and_then(|name| read_name(name.content).ok());
        let ski = public_key_bits(tbs.spki).map(key_identifier);
        wrong([
            ("authority", tbs.issuer != self.name),
            (
                "serial",
                tbs.serial != record.serial.to_integer().as_bytes(),
            ),
            ("subject", subject.as_ref() != Some(&record.subject)),
            ("issued_on", tbs.not_before != record.issued_on),
            ("expires_on", tbs.not_after != record.expires_on),
            (
                "validity_days",
                days.div_euclid(SECONDS_PER_DAY) + i64::from(days % SECONDS_PER_DAY > 0)
                    != i64::from(record.validity_days),
            ),
            (
                "signature",
                // Elsewhere, a CA can have used another digest, or parameters in another form.
                signature_name(&record.der) != Some(record.signature.name()),
            ),
            ("ski", ski != Ok(record.ski)),
        ])
    }

    /// Returns true if the signature of a list verifies under the key of this CA.
    pub fn has_signed_crl(&self, der: &[u8]) -> bool {
        // The signature does not cover the algorithm that is named beside it.
        let algorithm = algorithm_identifier(self.algorithm.signature());
        SignedParts::read(der).is_ok_and(|list| {
            let verified = self.verifier.verify_sig(list.tbs, list.signature);
            list.algorithm == algorithm && verified.is_ok()
        })
    }

    /// Reads a list of this CA, or of one with the same name and key. [`None`]: it is corrupt.
    pub fn read_crl(&self, der: &[u8]) -> Option<SignedCrl> {
        if !self.has_signed_crl(der) {
            return None;
        }
        self.read_tbs(SignedParts::read(der).ok()?.tbs).ok()
    }

    fn read_tbs(&self, tbs: &[u8]) -> Result<SignedCrl, NotDer> {
        let mut outer = Cursor::new(tbs);
        let mut list = outer.inside(tag::SEQUENCE)?;
        list.expect(tag::INTEGER)?;
        list.expect(tag::SEQUENCE)?;
        if list.expect(tag::SEQUENCE)?.raw != self.name {
            return Err(NotDer);
        }
        let (this_update, next_update) = (read_time(&mut list)?, read_time(&mut list)?);
        let mut entries = Vec::new();
        if let Some(revoked) = list.optional(tag::SEQUENCE)? {
            let mut revoked = Cursor::new(revoked.content);
            while !revoked.is_empty() {
                entries.push(read_entry(revoked.inside(tag::SEQUENCE)?)?);
            }
        }
        let mut wrapper = list.inside(tag::CONTEXT_0_CONSTRUCTED)?;
        list.end()?;
        let mut extensions = Extensions::over(wrapper.inside(tag::SEQUENCE)?);
        let mut number = 0;
        while let Some(extension) = extensions.next()? {
            if extension.kind == oid::CRL_NUMBER {
                let magnitude = Cursor::new(extension.value).positive_integer()?;
                let octets = magnitude.iter();
                number = match magnitude.len() {
                    ..=8 => octets.fold(0, |number, octet| number << 8 | u64::from(*octet)),
                    _ => 0,
                };
            }
        }
        Ok(SignedCrl {
            number,
            this_update,
            next_update,
            entries,
        })
    }
}

fn read_entry(mut entry: Cursor<'_>) -> Result<Revocation, NotDer> {
    let serial = entry.expect(tag::INTEGER)?.content;
    let serial = SerialNumber::of_integer(serial).ok_or(NotDer)?;
    let revoked_on = read_time(&mut entry)?;
    let mut reason = RevocationReason::Unspecified;
    if let Some(extensions) = entry.optional(tag::SEQUENCE)? {
        let mut extensions = Extensions::over(Cursor::new(extensions.content));
        while let Some(extension) = extensions.next()? {
            let code = Cursor::new(extension.value).expect(tag::ENUMERATED)?;
            let known = <[u8; 1]>::try_from(code.content).ok();
            let known = known.and_then(|[code]| RevocationReason::from_code(code));
            reason = known.ok_or(NotDer)?;
        }
    }
    Ok(Revocation {
        serial,
        revoked_on,
        reason,
    })
}

fn signature_name(der: &[u8]) -> Option<&'static str> {
    Some(StoredCertificate::read(der)?.signature_name())
}

/// Returns the kind of the keys of an algorithm.
const fn kind(algorithm: KeyAlgorithm) -> PublicKeyKind {
    match algorithm {
        KeyAlgorithm::P256 => PublicKeyKind::P256,
        KeyAlgorithm::P384 => PublicKeyKind::P384,
        KeyAlgorithm::Rsa2048 | KeyAlgorithm::Rsa3072 | KeyAlgorithm::Rsa4096 => PublicKeyKind::Rsa,
        KeyAlgorithm::Ed25519 => PublicKeyKind::Ed25519,
    }
}

/// Names the columns of an uploaded certificate's record that its lowest certificate contradicts.
/// The digest of the row covers the others and their private key.
pub fn contradicts_uploaded(record: &MtlsCertificateRecord) -> Vec<&'static str> {
    let ders = stored_certificates(&record.certificates).unwrap_or_default();
    let read = ders.iter().map(|der| StoredCertificate::read(der));
    let Some(chain) = read.collect::<Option<Vec<_>>>() else {
        return vec!["certificates"];
    };
    // The lowest one has signed no other. With equal names, the digest tells which one it is.
    let is_lowest = |index: &usize| {
        let mut others = chain.iter().enumerate().filter(|(other, _)| other != index);
        others.all(|(_, other)| other.issuer() != chain[*index].subject())
    };
    let is_recorded = |der: &Vec<u8>| sha256(der) == record.fingerprint_sha256;
    let lowest = (0..chain.len()).find(is_lowest);
    let lowest = lowest.or_else(|| ders.iter().position(is_recorded));
    let Some((read, der)) = lowest.map(|index| (&chain[index], &ders[index])) else {
        return vec!["certificates"];
    };
    let issuer = Cursor::new(read.issuer()).expect(tag::SEQUENCE);
    let issuer = issuer.and_then(|issuer| rfc_2253(issuer.content));
    wrong([
        ("issuer", issuer.ok().as_ref() != Some(&record.issuer)),
        (
            "serial_number",
            decimal(read.serial()) != record.serial_number,
        ),
        ("signature", read.signature_name() != record.signature),
        ("expires_on", read.not_after() != record.expires_on),
        ("fingerprint_sha256", !is_recorded(der)),
    ])
}

fn wrong<const N: usize>(columns: [(&'static str, bool); N]) -> Vec<&'static str> {
    let wrong = columns.into_iter().filter(|(_, is_wrong)| *is_wrong);
    wrong.map(|(column, _)| column).collect()
}
