//! The structure of certificates (RFC 5280 §4.1): reading their parts, writing times and
//! extensions.

use std::time::Duration;

use certgate_model::{SECONDS_PER_DAY, Timestamp};
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

/// A TBSCertificate, with all of its optional parts.
pub(crate) struct TbsParts<'a> {
    /// The version, counted from 1.
    pub version: u8,
    /// Content octets of the serial number.
    pub serial: &'a [u8],
    pub algorithm: &'a [u8],
    pub issuer: &'a [u8],
    pub not_before: Timestamp,
    pub not_after: Timestamp,
    pub subject: &'a [u8],
    pub spki: &'a [u8],
    /// True if it has the unique identifiers of version 2, which nothing uses.
    pub has_unique_ids: bool,
    pub extensions: Extensions<'a>,
}

impl<'a> TbsParts<'a> {
    /// Reads the parts. The error continues a sentence about the certificate.
    pub fn read(der: &'a [u8]) -> Result<Self, &'static str> {
        let malformed = |what: &'static str| move |_: NotDer| what;
        let structure = malformed("its content is not a certificate");
        let mut outer = Cursor::new(der);
        let mut tbs = outer.inside(tag::SEQUENCE).map_err(structure)?;
        outer.end().map_err(structure)?;
        let version = tbs
            .optional(tag::CONTEXT_0_CONSTRUCTED)
            .map_err(structure)?;
        let version = match version.map(|version| version.content) {
            None => 1,
            Some([tag::INTEGER, 1, number @ 0..=2]) => number + 1,
            Some(_) => return Err("its X.509 version is not 1, 2 or 3"),
        };
        let serial = tbs.expect(tag::INTEGER);
        let serial = serial.map_err(malformed("its serial number is not a number"))?;
        let algorithm = tbs.expect(tag::SEQUENCE);
        let algorithm = algorithm.map_err(malformed("it does not name a signature algorithm"))?;
        let issuer = tbs
            .expect(tag::SEQUENCE)
            .map_err(malformed("it has no issuer"))?;
        let times = malformed(
            "its validity is not two times in the forms YYMMDDHHMMSSZ or YYYYMMDDHHMMSSZ \
             (RFC 5280 section 4.1.2.5)",
        );
        let mut validity = tbs.inside(tag::SEQUENCE).map_err(times)?;
        let not_before = read_time(&mut validity).map_err(times)?;
        let not_after = read_time(&mut validity).map_err(times)?;
        validity.end().map_err(times)?;
        let subject = tbs
            .expect(tag::SEQUENCE)
            .map_err(malformed("it has no subject"))?;
        let spki = tbs
            .expect(tag::SEQUENCE)
            .map_err(malformed("it has no public key"))?;
        let mut has_unique_ids = false;
        for unique_id in [tag::CONTEXT_1, tag::CONTEXT_2] {
            has_unique_ids |= tbs.optional(unique_id).map_err(structure)?.is_some();
        }
        let extensions = malformed("its extensions are not a list");
        let content = match tbs
            .optional(tag::CONTEXT_3_CONSTRUCTED)
            .map_err(extensions)?
        {
            None => Cursor::new(&[]),
            Some(_) if version != 3 => {
                return Err("it has extensions, which only certificates of X.509 version 3 have");
            }
            Some(wrapper) => {
                let mut wrapper = Cursor::new(wrapper.content);
                let content = wrapper.inside(tag::SEQUENCE).map_err(extensions)?;
                wrapper.end().map_err(extensions)?;
                content
            }
        };
        tbs.end()
            .map_err(malformed("something follows its extensions"))?;
        Ok(Self {
            version,
            serial: serial.content,
            algorithm: algorithm.raw,
            issuer: issuer.raw,
            not_before,
            not_after,
            subject: subject.raw,
            spki: spki.raw,
            has_unique_ids,
            extensions: Extensions(content),
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
            // FALSE is the default, and X.690 §11.5 does not encode a default, but CAs do.
            None | Some([0]) => false,
            Some([0xff]) => true,
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
    let year = u16::from(century) * 100 + u16::from(year);
    // The library begins in 1970. The calendar repeats after 400 years, which are 146,097 days.
    let (shifted, days_before) = match year {
        ..1970 => (year + 400, 146_097),
        _ => (year, 0),
    };
    let date = DateTime::new(shifted, month, day, hour, minute, second).map_err(|_| NotDer)?;
    let seconds = i64::try_from(date.unix_duration().as_secs()).map_err(|_| NotDer)?;
    Ok(Timestamp::from_unix(
        seconds - days_before * SECONDS_PER_DAY,
    ))
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
        for (written, text) in [
            ("\x17\x0d500101000000Z", "1950-01-01T00:00:00Z"),
            ("\x17\x0d691231235959Z", "1969-12-31T23:59:59Z"),
            ("\x18\x0f16000229000000Z", "1600-02-29T00:00:00Z"),
        ] {
            let read = read_time(&mut Cursor::new(written.as_bytes())).unwrap();
            assert_eq!(read.to_string(), text);
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
