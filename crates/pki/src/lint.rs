//! The lint: reads a certificate that is about to be signed, and compares each field with the
//! profile.
//!
//! The lint shares the DER cursor with the code that built the certificate, but not the encoder. It
//! finds each expected value by reading.

use certgate_model::{AlternativeName, SerialNumber, Timestamp};

use crate::alternative_name::{alternative_name, is_well_formed};
use crate::certificate::{Extension, Extensions, TbsParts};
use crate::csr::CheckedCsr;
use crate::oid;
use crate::path::PathError;
use crate::profile::{IssuerParts, Profile, Validity};
use crate::tlv::{Cursor, NotDer, tag};

/// Longest address in a certificate, in bytes. Each client sends it in each TLS handshake.
pub const URL_BYTES_MAX: usize = 512;

/// First second of the year 10000, which no certificate can express (RFC 5280 §4.1.2.5.2).
const YEAR_10000: Timestamp = Timestamp::from_unix(253_402_300_800);

/// The reasons to reject a certificate before it is signed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LintError {
    /// RFC 5280 §4.1.2.2: serial numbers are positive. Those of certgate have exactly 20 octets.
    #[error("the serial number is not a positive number of exactly 20 octets")]
    Serial,
    /// `notBefore` is not earlier than `notAfter`.
    #[error("the validity ends at {not_after}, which is not after its start at {not_before}")]
    ValidityOrder {
        /// Its start.
        not_before: Timestamp,
        /// Its end.
        not_after: Timestamp,
    },
    /// An instant of the validity is not a whole minute.
    #[error("the validity has the instant {0}, which is not a whole minute")]
    ValidityMinute(Timestamp),
    /// An instant of the validity lies outside of the years 1970 to 9999.
    #[error("the validity is not within the years 1970 to 9999")]
    ValidityRange,
    /// The certificate would outlive its CA.
    #[error("the certificate would end at {not_after}, after its CA, which ends at {expires_on}")]
    OutlivesAuthority {
        /// End of the certificate.
        not_after: Timestamp,
        /// End of the CA.
        expires_on: Timestamp,
    },
    /// The certificate would begin before its CA.
    #[error("the certificate would begin at {not_before}, before its CA at {valid_from}")]
    PrecedesAuthority {
        /// Start of the certificate.
        not_before: Timestamp,
        /// Start of the CA.
        valid_from: Timestamp,
    },
    /// Verifiers would reject the certificate because of its CA.
    #[error(transparent)]
    Path(#[from] PathError),
    /// An address must not occur in a certificate.
    #[error(
        "the {0} address is not an http or https URL of at most {URL_BYTES_MAX} printable ASCII \
         characters"
    )]
    Url(&'static str),
    /// A subject alternative name is malformed, or of a kind that no certificate has.
    #[error("a subject alternative name is not a DNS name, e-mail address, URI or IP address")]
    AlternativeName,
    /// The certificate differs from the profile.
    #[error("the certificate to be signed has an unexpected {0}")]
    Content(&'static str),
}

/// Checks the arguments of [`prepare`](crate::prepare), before the certificate is built.
pub(crate) fn check_request(
    authority_valid_from: Timestamp,
    authority_expires_on: Timestamp,
    serial: SerialNumber,
    validity: Validity,
    profile: &Profile,
) -> Result<(), LintError> {
    check_serial(serial)?;
    check_validity(validity)?;
    // A CA may begin within a minute, a certificate only with one.
    if validity.not_before < authority_valid_from.cut_to_minute() {
        return Err(LintError::PrecedesAuthority {
            not_before: validity.not_before,
            valid_from: authority_valid_from,
        });
    }
    if validity.not_after > authority_expires_on {
        return Err(LintError::OutlivesAuthority {
            not_after: validity.not_after,
            expires_on: authority_expires_on,
        });
    }
    check_url("CRL", &profile.crl_url)?;
    check_url("OCSP", &profile.ocsp_url)?;
    check_url("CA certificate", &profile.ca_url)?;
    match profile.alternative_names.iter().all(is_well_formed) {
        true => Ok(()),
        false => Err(LintError::AlternativeName),
    }
}

pub(crate) fn check_serial(serial: SerialNumber) -> Result<(), LintError> {
    if matches!(serial.as_bytes()[0], 0x01..=0x7f) {
        Ok(())
    } else {
        Err(LintError::Serial)
    }
}

pub(crate) fn check_validity(
    Validity {
        not_before,
        not_after,
    }: Validity,
) -> Result<(), LintError> {
    if not_before >= not_after {
        return Err(LintError::ValidityOrder {
            not_before,
            not_after,
        });
    }
    if not_before < Timestamp::from_unix(0) || not_after >= YEAR_10000 {
        return Err(LintError::ValidityRange);
    }
    match [not_before, not_after]
        .into_iter()
        .find(|instant| instant.cut_to_minute() != *instant)
    {
        Some(instant) => Err(LintError::ValidityMinute(instant)),
        None => Ok(()),
    }
}

/// RFC 5280 §4.2.1.6: a URI is an IA5String, absolute, with scheme and host.
fn check_url(which: &'static str, url: &str) -> Result<(), LintError> {
    let rest = url
        .strip_prefix("http://")
        .or_else(|| url.strip_prefix("https://"));
    let has_host = rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'));
    let printable = url
        .bytes()
        .all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'<' | b'>' | b'\\'));
    if has_host && printable && url.len() <= URL_BYTES_MAX {
        Ok(())
    } else {
        Err(LintError::Url(which))
    }
}

/// Compares a TBSCertificate with the inputs from which it was built.
pub(crate) fn lint(
    tbs: &[u8],
    issuer: &IssuerParts,
    csr: &CheckedCsr,
    serial: SerialNumber,
    validity: Validity,
    profile: &Profile,
) -> Result<(), LintError> {
    let must = |holds: bool, what| {
        if holds {
            Ok(())
        } else {
            Err(LintError::Content(what))
        }
    };
    let parts = TbsParts::read(tbs).map_err(|_| LintError::Content("structure"))?;
    must(parts.version == 3 && !parts.has_unique_ids, "version")?;
    must(parts.serial == serial.as_bytes(), "serial number")?;
    must(parts.algorithm == issuer.algorithm, "signature algorithm")?;
    must(parts.issuer == issuer.name, "issuer")?;
    let found = Validity {
        not_before: parts.not_before,
        not_after: parts.not_after,
    };
    must(found == validity, "validity")?;
    must(parts.subject == csr.subject_der(), "subject")?;
    must(parts.spki == csr.spki_der(), "public key")?;
    lint_extensions(parts.extensions, issuer, csr, profile)
}

/// Compares the extensions of a certificate, in their order, with the inputs.
fn lint_extensions(
    mut extensions: Extensions<'_>,
    issuer: &IssuerParts,
    csr: &CheckedCsr,
    profile: &Profile,
) -> Result<(), LintError> {
    let mut next =
        |kind: &'static [u8], critical: bool, what, value_fits: &dyn Fn(&[u8]) -> bool| {
            let fits = |found: &Extension<'_>| {
                found.kind == kind && found.critical == critical && value_fits(found.value)
            };
            match extensions.next() {
                Ok(Some(extension)) if fits(&extension) => Ok(()),
                _ => Err(LintError::Content(what)),
            }
        };
    next(
        oid::EXTENDED_KEY_USAGE,
        false,
        "extended key usage",
        &|value| innermost(value, &[tag::SEQUENCE], tag::OID) == Ok(oid::CLIENT_AUTH),
    )?;
    next(
        oid::BASIC_CONSTRAINTS,
        true,
        "basic constraints",
        &|value| value == [tag::SEQUENCE, 0],
    )?;
    next(
        oid::SUBJECT_KEY_IDENTIFIER,
        false,
        "subject key identifier",
        &|value| {
            Cursor::new(value)
                .expect(tag::OCTET_STRING)
                .is_ok_and(|id| id.content == csr.ski())
        },
    )?;
    next(
        oid::AUTHORITY_KEY_IDENTIFIER,
        false,
        "authority key identifier",
        &|value| innermost(value, &[tag::SEQUENCE], tag::CONTEXT_0) == Ok(&issuer.key_identifier),
    )?;
    const POINT: &[u8] = &[
        tag::SEQUENCE,
        tag::SEQUENCE,
        tag::CONTEXT_0_CONSTRUCTED,
        tag::CONTEXT_0_CONSTRUCTED,
    ];
    next(
        oid::CRL_DISTRIBUTION_POINTS,
        false,
        "CRL distribution point",
        &|value| innermost(value, POINT, tag::CONTEXT_6) == Ok(profile.crl_url.as_bytes()),
    )?;
    next(oid::KEY_USAGE, true, "key usage", &|value| {
        innermost(value, &[], tag::BIT_STRING) == Ok(&[7, 0x80])
    })?;
    next(
        oid::AUTHORITY_INFO_ACCESS,
        false,
        "authority information access",
        &|value| read_access(value) == Ok([profile.ocsp_url.as_bytes(), profile.ca_url.as_bytes()]),
    )?;
    if !profile.alternative_names.is_empty() {
        next(
            oid::SUBJECT_ALT_NAME,
            csr.is_subject_empty(),
            "subject alternative name",
            &|value| read_alternative_names(value).as_ref() == Ok(&profile.alternative_names),
        )?;
    }
    match extensions.next() {
        Ok(None) => Ok(()),
        _ => Err(LintError::Content("extension after the last one")),
    }
}

/// Reads the content of the value with tag `inside`. Each value around it must hold only that
/// value.
fn innermost<'a>(value: &'a [u8], outside: &[u8], inside: u8) -> Result<&'a [u8], NotDer> {
    let mut content = value;
    for &tag in outside.iter().chain([&inside]) {
        let mut cursor = Cursor::new(content);
        content = cursor.expect(tag)?.content;
        cursor.end()?;
    }
    Ok(content)
}

/// Reads the names of a subjectAltName extension (RFC 5280 §4.2.1.6).
fn read_alternative_names(value: &[u8]) -> Result<Vec<AlternativeName>, NotDer> {
    let mut names = Cursor::new(innermost(value, &[], tag::SEQUENCE)?);
    let mut read = Vec::new();
    while !names.is_empty() {
        read.push(alternative_name(names.any()?));
    }
    Ok(read)
}

/// Reads the addresses of the OCSP responder and of the CA's certificate.
fn read_access(value: &[u8]) -> Result<[&[u8]; 2], NotDer> {
    let mut all = Cursor::new(innermost(value, &[], tag::SEQUENCE)?);
    let mut next = |method| {
        let mut access = all.inside(tag::SEQUENCE)?;
        if access.oid()? != method {
            return Err(NotDer);
        }
        let location = access.expect(tag::CONTEXT_6)?.content;
        access.end().map(|()| location)
    };
    let locations = [next(oid::OCSP)?, next(oid::CA_ISSUERS)?];
    all.end().map(|()| locations)
}

#[cfg(test)]
mod tests {
    use certgate_model::{KeyAlgorithm, SignatureAlgorithm, SubjectFields};

    use super::*;
    use crate::client::ClientKey;
    use crate::profile::write_tbs;
    use crate::searched::read_csr;

    const NOW: Timestamp = Timestamp::from_unix(1_785_542_400);
    const SERIAL: SerialNumber = SerialNumber::from_random([0x5a; 20]);

    fn issuer() -> IssuerParts {
        let name = vec![
            0x30, 0x0d, 0x31, 0x0b, 0x30, 0x09, 0x06, 3, 0x55, 4, 3, 0x0c, 2, b'C', b'A',
        ];
        IssuerParts::new(SignatureAlgorithm::EcdsaWithSha256, name, vec![0xab; 20])
    }

    fn profile() -> Profile {
        Profile {
            crl_url: "http://x/crl".into(),
            ocsp_url: "http://x/ocsp".into(),
            ca_url: "http://x/ca.crt".into(),
            alternative_names: Vec::new(),
        }
    }

    fn request(common_name: &str, key: &ClientKey) -> CheckedCsr {
        let subject = SubjectFields {
            common_name: common_name.into(),
            ..SubjectFields::default()
        };
        read_csr(&key.request(&subject).unwrap()).unwrap()
    }

    #[test]
    fn lint_rejects_each_changed_octet() {
        let issuer = issuer();
        let csr = request("client", &ClientKey::generate(KeyAlgorithm::P384).unwrap());
        // The start is a UTCTime, the end a GeneralizedTime.
        let validity = Validity {
            not_before: NOW,
            not_after: NOW.plus_days(9_000),
        };
        let profile = Profile {
            alternative_names: vec![
                AlternativeName::Dns("a.example".to_owned()),
                AlternativeName::Email("a@b.example".to_owned()),
                AlternativeName::Uri("spiffe://a/b".to_owned()),
                AlternativeName::Ip("192.0.2.1".parse().unwrap()),
                AlternativeName::Ip("2001:db8::1".parse().unwrap()),
            ],
            ..profile()
        };
        let judge = |tbs: &[u8]| lint(tbs, &issuer, &csr, SERIAL, validity, &profile);

        let tbs = write_tbs(&issuer, &csr, SERIAL, validity, &profile);
        assert_eq!(judge(&tbs), Ok(()));
        for at in 0..tbs.len() {
            for change in [0x01, 0x20, 0x80, 0xff] {
                let mut changed = tbs.clone();
                changed[at] ^= change;
                assert!(
                    judge(&changed).is_err(),
                    "octet {at} changed by {change:#04x}"
                );
            }
            assert!(judge(&tbs[..at]).is_err(), "cut off at {at}");
        }
        assert_eq!(
            judge(&[&tbs[..], &[0]].concat()),
            Err(LintError::Content("structure"))
        );
    }

    #[test]
    fn lint_rejects_the_certificate_of_another_request() {
        let issuer = issuer();
        let client = ClientKey::generate(KeyAlgorithm::P256).unwrap();
        let csr = request("client", &client);
        let validity = Validity {
            not_before: NOW,
            not_after: NOW.plus_days(365),
        };
        let profile = profile();
        let tbs = write_tbs(&issuer, &csr, SERIAL, validity, &profile);

        let differs = |csr: &CheckedCsr, serial, validity, profile: &Profile, what| {
            let found = lint(&tbs, &issuer, csr, serial, validity, profile);
            assert_eq!(found, Err(LintError::Content(what)));
        };
        let other_serial = SerialNumber::from_random([1; 20]);
        differs(&csr, other_serial, validity, &profile, "serial number");
        let longer = Validity {
            not_after: NOW.plus_days(366),
            ..validity
        };
        differs(&csr, SERIAL, longer, &profile, "validity");
        let other_name = request("another", &client);
        differs(&other_name, SERIAL, validity, &profile, "subject");
        let other_key = request("client", &ClientKey::generate(KeyAlgorithm::P256).unwrap());
        differs(&other_key, SERIAL, validity, &profile, "public key");
        let crl = Profile {
            crl_url: "http://y/crl".into(),
            ..profile.clone()
        };
        differs(&csr, SERIAL, validity, &crl, "CRL distribution point");
        let ocsp = Profile {
            ocsp_url: "http://y/ocsp".into(),
            ..profile.clone()
        };
        let access = "authority information access";
        differs(&csr, SERIAL, validity, &ocsp, access);
        let named = Profile {
            alternative_names: vec![AlternativeName::Dns("a.example".to_owned())],
            ..profile.clone()
        };
        differs(&csr, SERIAL, validity, &named, "subject alternative name");
        let ca = Profile {
            ca_url: "http://y/ca.crt".into(),
            ..profile.clone()
        };
        differs(&csr, SERIAL, validity, &ca, access);
    }
}
