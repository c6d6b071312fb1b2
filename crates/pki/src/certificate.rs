//! The structure of certificates (RFC 5280 §4.1): reading their parts, writing times and
//! extensions.

use std::time::Duration;

use certgate_model::Timestamp;
use der::DateTime;

use crate::tlv::{self, Cursor, NotDer, tag};

/// Certificate ::= SEQUENCE { tbsCertificate, signatureAlgorithm, signature BIT STRING }
pub(crate) struct SignedParts<'a> {
    pub tbs: &'a [u8],
    pub algorithm: &'a [u8],
    pub signature: &'a [u8],
}

impl<'a> SignedParts<'a> {
    pub fn read(der: &'a [u8]) -> Result<Self, NotDer> {
        let mut outer = Cursor::new(der);
        let mut certificate = outer.inside(tag::SEQUENCE)?;
        outer.end()?;
        let parts = Self {
            tbs: certificate.expect(tag::SEQUENCE)?.raw,
            algorithm: certificate.expect(tag::SEQUENCE)?.raw,
            signature: certificate.bit_string()?,
        };
        certificate.end()?;
        Ok(parts)
    }
}

/// A TBSCertificate of version 3 with extensions and without unique identifiers.
pub(crate) struct TbsParts<'a> {
    /// Content octets of the serial number.
    pub serial: &'a [u8],
    pub algorithm: &'a [u8],
    pub issuer: &'a [u8],
    pub not_before: Timestamp,
    pub not_after: Timestamp,
    pub subject: &'a [u8],
    pub spki: &'a [u8],
    pub extensions: Extensions<'a>,
}

impl<'a> TbsParts<'a> {
    pub fn read(der: &'a [u8]) -> Result<Self, NotDer> {
        let mut outer = Cursor::new(der);
        let mut tbs = outer.inside(tag::SEQUENCE)?;
        outer.end()?;
        if tbs.expect(tag::CONTEXT_0_CONSTRUCTED)?.content != VERSION_3 {
            return Err(NotDer);
        }
        let serial = tbs.expect(tag::INTEGER)?.content;
        let algorithm = tbs.expect(tag::SEQUENCE)?.raw;
        let issuer = tbs.expect(tag::SEQUENCE)?.raw;
        let mut validity = tbs.inside(tag::SEQUENCE)?;
        let (not_before, not_after) = (read_time(&mut validity)?, read_time(&mut validity)?);
        validity.end()?;
        let subject = tbs.expect(tag::SEQUENCE)?.raw;
        let spki = tbs.expect(tag::SEQUENCE)?.raw;
        let mut wrapper = tbs.inside(tag::CONTEXT_3_CONSTRUCTED)?;
        let extensions = Extensions(wrapper.inside(tag::SEQUENCE)?);
        wrapper.end()?;
        tbs.end()?;
        Ok(Self {
            serial,
            algorithm,
            issuer,
            not_before,
            not_after,
            subject,
            spki,
            extensions,
        })
    }
}

/// Content of `version [0] EXPLICIT INTEGER { v3(2) }`.
const VERSION_3: &[u8] = &[tag::INTEGER, 1, 2];

/// Appends the version field.
pub(crate) fn write_version(out: &mut Vec<u8>) {
    tlv::write(out, tag::CONTEXT_0_CONSTRUCTED, VERSION_3);
}

/// One extension (RFC 5280 §4.1.2.9).
pub(crate) struct Extension<'a> {
    pub kind: &'a [u8],
    pub critical: bool,
    pub value: &'a [u8],
}

/// A cursor over extensions.
#[derive(Clone, Copy)]
pub(crate) struct Extensions<'a>(Cursor<'a>);

impl<'a> Extensions<'a> {
    /// Makes a cursor over the content of the sequence of extensions.
    pub fn over(content: Cursor<'a>) -> Self {
        Self(content)
    }

    /// Reads the next extension, `None` at the end.
    pub fn next(&mut self) -> Result<Option<Extension<'a>>, NotDer> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let mut extension = self.0.inside(tag::SEQUENCE)?;
        let kind = extension.oid()?;
        let critical = match extension.optional(tag::BOOLEAN)?.map(|value| value.content) {
            None => false,
            Some([0xff]) => true,
            // FALSE is the default, and X.690 §11.5 does not encode a default.
            Some(_) => return Err(NotDer),
        };
        let value = extension.expect(tag::OCTET_STRING)?.content;
        extension.end()?;
        Ok(Some(Extension {
            kind,
            critical,
            value,
        }))
    }
}

/// The criticality of an extension: verifiers reject a critical one that they do not understand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Criticality {
    Critical,
    NotCritical,
}

/// Appends an extension. `value` appends the content of its value.
pub(crate) fn write_extension(
    out: &mut Vec<u8>,
    kind: &[u8],
    criticality: Criticality,
    value: impl FnOnce(&mut Vec<u8>),
) {
    tlv::write_with(out, tag::SEQUENCE, |out| {
        tlv::write(out, tag::OID, kind);
        if criticality == Criticality::Critical {
            tlv::write(out, tag::BOOLEAN, &[0xff]);
        }
        tlv::write_with(out, tag::OCTET_STRING, value);
    });
}

/// Appends a Validity. The lint rejects instants outside of the years 1970 to 9999.
pub(crate) fn write_validity(out: &mut Vec<u8>, not_before: Timestamp, not_after: Timestamp) {
    tlv::write_with(out, tag::SEQUENCE, |out| {
        write_time(out, not_before);
        write_time(out, not_after);
    });
}

/// Appends a Time, with seconds and `Z`. RFC 5280 §4.1.2.5: dates through the year 2049 MUST be
/// UTCTime, dates in 2050 or later MUST be GeneralizedTime.
pub(crate) fn write_time(out: &mut Vec<u8>, at: Timestamp) {
    let after_2049 = date_of(at).is_some_and(|date| date.year() >= 2050);
    write_time_as(
        out,
        if after_2049 {
            tag::GENERALIZED_TIME
        } else {
            tag::UTC_TIME
        },
        at,
    );
}

/// Appends a GeneralizedTime with seconds and `Z`, OCSP's only form (RFC 6960 §4.2.1).
pub(crate) fn write_generalized_time(out: &mut Vec<u8>, at: Timestamp) {
    write_time_as(out, tag::GENERALIZED_TIME, at);
}

fn write_time_as(out: &mut Vec<u8>, time_tag: u8, at: Timestamp) {
    let Some(date) = date_of(at) else { return };
    let year = [
        date.year() / 1000,
        date.year() / 100 % 10,
        date.year() / 10 % 10,
        date.year() % 10,
    ];
    let year = year.map(|digit| b'0' + digit as u8);
    let year = if time_tag == tag::UTC_TIME {
        &year[2..]
    } else {
        &year[..]
    };
    tlv::write_with(out, time_tag, |out| {
        out.extend_from_slice(year);
        for part in [
            date.month(),
            date.day(),
            date.hour(),
            date.minutes(),
            date.seconds(),
        ] {
            out.extend_from_slice(&[b'0' + part / 10, b'0' + part % 10]);
        }
        out.push(b'Z');
    });
}

fn date_of(at: Timestamp) -> Option<DateTime> {
    DateTime::from_unix_duration(Duration::from_secs(at.unix().try_into().ok()?)).ok()
}

/// Reads a Time (RFC 5280 §4.1.2.5).
pub(crate) fn read_time(validity: &mut Cursor<'_>) -> Result<Timestamp, NotDer> {
    let time = validity.any()?;
    let (century_known, digits) = match (time.tag, time.content) {
        (tag::UTC_TIME, [digits @ .., b'Z']) if digits.len() == 12 => (false, digits),
        (tag::GENERALIZED_TIME, [digits @ .., b'Z']) if digits.len() == 14 => (true, digits),
        _ => return Err(NotDer),
    };
    let mut pairs = [0_u8; 7];
    for (pair, octets) in pairs[usize::from(!century_known)..]
        .iter_mut()
        .zip(digits.chunks_exact(2))
    {
        if !octets.iter().all(u8::is_ascii_digit) {
            return Err(NotDer);
        }
        *pair = (octets[0] - b'0') * 10 + (octets[1] - b'0');
    }
    let [century, year, month, day, hour, minute, second] = pairs;
    let century = match (century_known, year) {
        (true, _) => century,
        // RFC 5280 §4.1.2.5.1: YY of 50 and more is 19YY, below it is 20YY.
        (false, 50..) => 19,
        (false, _) => 20,
    };
    let date = DateTime::new(
        u16::from(century) * 100 + u16::from(year),
        month,
        day,
        hour,
        minute,
        second,
    )
    .map_err(|_| NotDer)?;
    let seconds = i64::try_from(date.unix_duration().as_secs()).map_err(|_| NotDer)?;
    Ok(Timestamp::from_unix(seconds))
}

/// Appends signatureAlgorithm and signature, which follow the signed part of certificates,
/// requests, CRLs and OCSP responses.
pub(crate) fn write_signature(out: &mut Vec<u8>, algorithm: &[u8], signature: &[u8]) {
    out.extend_from_slice(algorithm);
    tlv::write_with(out, tag::BIT_STRING, |out| {
        out.push(0);
        out.extend_from_slice(signature);
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_change_form_in_2050_and_read_back() {
        for (text, written) in [
            ("1970-01-01T00:00:00Z", "\x17\x0d700101000000Z"),
            ("2049-12-31T23:59:59Z", "\x17\x0d491231235959Z"),
            ("2050-01-01T00:00:00Z", "\x18\x0f20500101000000Z"),
            ("9999-12-31T23:59:59Z", "\x18\x0f99991231235959Z"),
        ] {
            let at: Timestamp = text.parse().unwrap();
            let mut out = vec![];
            write_time(&mut out, at);
            assert_eq!(out, written.as_bytes());
            assert_eq!(read_time(&mut Cursor::new(&out)), Ok(at));
        }
        for bad in [
            "\x17\x0b4912312359Z",
            "\x17\x0d491331235959Z",
            "\x17\x0d49123123595+Z",
            "\x17\x11491231235959+0000",
            "\x18\x0d491231235959Z",
            "\x16\x0d491231235959Z",
        ] {
            assert_eq!(
                read_time(&mut Cursor::new(bad.as_bytes())),
                Err(NotDer),
                "{bad}"
            );
        }
        let mut out = vec![];
        write_time(&mut out, Timestamp::from_unix(-1));
        assert!(out.is_empty(), "the lint rejects what cannot be written");
    }
}
