//! The part of DER (ITU-T X.690) that X.509 needs: a cursor that borrows, and a writer that
//! appends.
//!
//! No library does both: the reader must return the encoded form of parts that it does not
//! understand, because a subject is copied byte for byte, and the writer must encode a certificate
//! once, into one buffer.

/// Universal tags (X.680 §8.4) and the context tags that X.509 structures use.
pub(crate) mod tag {
    pub const BOOLEAN: u8 = 0x01;
    pub const INTEGER: u8 = 0x02;
    pub const BIT_STRING: u8 = 0x03;
    pub const OCTET_STRING: u8 = 0x04;
    pub const NULL: u8 = 0x05;
    pub const OID: u8 = 0x06;
    pub const UTF8_STRING: u8 = 0x0c;
    pub const NUMERIC_STRING: u8 = 0x12;
    pub const PRINTABLE_STRING: u8 = 0x13;
    pub const TELETEX_STRING: u8 = 0x14;
    pub const IA5_STRING: u8 = 0x16;
    pub const ENUMERATED: u8 = 0x0a;
    pub const UTC_TIME: u8 = 0x17;
    pub const GENERALIZED_TIME: u8 = 0x18;
    pub const VISIBLE_STRING: u8 = 0x1a;
    pub const GENERAL_STRING: u8 = 0x1b;
    pub const UNIVERSAL_STRING: u8 = 0x1c;
    pub const BMP_STRING: u8 = 0x1e;
    pub const SEQUENCE: u8 = 0x30;
    pub const SET: u8 = 0x31;
    /// `[0]`, primitive: a key identifier.
    pub const CONTEXT_0: u8 = 0x80;
    /// `[1]`, primitive: onlyContainsUserCerts of a CRL, issuerUniqueID of a certificate.
    pub const CONTEXT_1: u8 = 0x81;
    /// `[2]`, primitive: onlyContainsCACerts of a CRL, "unknown" in OCSP, subjectUniqueID of a
    /// certificate.
    pub const CONTEXT_2: u8 = 0x82;
    /// `[6]`, primitive: a URI in a GeneralName.
    pub const CONTEXT_6: u8 = 0x86;
    /// `[7]`, primitive.
    pub const CONTEXT_7: u8 = 0x87;
    /// `[0]`, constructed.
    pub const CONTEXT_0_CONSTRUCTED: u8 = 0xa0;
    /// `[1]`, constructed.
    pub const CONTEXT_1_CONSTRUCTED: u8 = 0xa1;
    /// `[2]`, constructed.
    pub const CONTEXT_2_CONSTRUCTED: u8 = 0xa2;
    /// `[3]`, constructed: the extensions of a certificate.
    pub const CONTEXT_3_CONSTRUCTED: u8 = 0xa3;
    /// `[4]`, constructed: a directoryName in a GeneralName.
    pub const CONTEXT_4_CONSTRUCTED: u8 = 0xa4;
}

/// Most levels of nested DER values. The deepest X.509 structures need about ten. The limit
/// protects the stack from hostile input.
const DEPTH_MAX: u8 = 32;

/// The error for bytes that are not DER, or not the expected value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NotDer;

/// One encoded value.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tlv<'a> {
    pub tag: u8,
    /// Tag, length and content.
    pub raw: &'a [u8],
    /// The content alone.
    pub content: &'a [u8],
}

/// A reader of consecutive values.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Returns true if the rest is exactly one NULL.
    pub fn is_null(&self) -> bool {
        self.rest == [tag::NULL, 0]
    }

    /// Checks that the cursor is at the end.
    pub fn end(&self) -> Result<(), NotDer> {
        if self.is_empty() { Ok(()) } else { Err(NotDer) }
    }

    /// Reads the next value.
    pub fn any(&mut self) -> Result<Tlv<'a>, NotDer> {
        let (&tag, after_tag) = self.rest.split_first().ok_or(NotDer)?;
        // Tag numbers from 31 on take several octets and do not occur in X.509. Tag 0 marks the
        // end of the indefinite form, which DER excludes (X.690 §10.1).
        if tag & 0x1f == 0x1f || tag == 0 {
            return Err(NotDer);
        }
        let (&first, after_length) = after_tag.split_first().ok_or(NotDer)?;
        let (length, body) = match first {
            0..=0x7f => (usize::from(first), after_length),
            // Up to four octets, because the CRL of a million certificates has 53 MB.
            0x81..=0x84 => {
                let octets = usize::from(first & 0x7f);
                let (number, body) = after_length.split_at_checked(octets).ok_or(NotDer)?;
                let length = number
                    .iter()
                    .fold(0, |sum, &octet| sum << 8 | usize::from(octet));
                // X.690 §10.1: the length is encoded in the minimum number of octets.
                if length < 0x80 || number[0] == 0 {
                    return Err(NotDer);
                }
                (length, body)
            }
            _ => return Err(NotDer),
        };
        let (content, rest) = body.split_at_checked(length).ok_or(NotDer)?;
        let raw = &self.rest[..self.rest.len() - rest.len()];
        self.rest = rest;
        Ok(Tlv { tag, raw, content })
    }

    /// Reads the next value. Its length may have any definite form of BER (X.690 §8.1.3), with more
    /// octets than necessary. For values that are neither copied nor interpreted.
    pub fn any_length(&mut self) -> Result<Tlv<'a>, NotDer> {
        let (&tag, after_tag) = self.rest.split_first().ok_or(NotDer)?;
        let (&first, after_length) = after_tag.split_first().ok_or(NotDer)?;
        let (length, body) = match first {
            0..=0x7f => (usize::from(first), after_length),
            0x81..=0xfe => {
                let octets = usize::from(first & 0x7f);
                let (number, body) = after_length.split_at_checked(octets).ok_or(NotDer)?;
                let length = number.iter().try_fold(0_usize, |sum, &octet| {
                    Some(sum.checked_mul(0x100)? | usize::from(octet))
                });
                (length.ok_or(NotDer)?, body)
            }
            // The indefinite form, and a reserved value.
            0x80 | 0xff => return Err(NotDer),
        };
        let (content, rest) = body.split_at_checked(length).ok_or(NotDer)?;
        let raw = &self.rest[..self.rest.len() - rest.len()];
        self.rest = rest;
        Ok(Tlv { tag, raw, content })
    }

    /// Reads the next value if it has this tag, with a length as in [`Cursor::any_length`].
    pub fn optional_any_length(&mut self, tag: u8) -> Result<Option<Tlv<'a>>, NotDer> {
        match self.rest.first() {
            Some(&first) if first == tag => self.any_length().map(Some),
            _ => Ok(None),
        }
    }

    /// Reads the next value, which must have this tag, with a length as in [`Cursor::any_length`].
    pub fn expect_any_length(&mut self, tag: u8) -> Result<Tlv<'a>, NotDer> {
        self.optional_any_length(tag)?.ok_or(NotDer)
    }

    /// Reads the next value, which must have this tag.
    pub fn expect(&mut self, tag: u8) -> Result<Tlv<'a>, NotDer> {
        let value = self.any()?;
        if value.tag == tag {
            Ok(value)
        } else {
            Err(NotDer)
        }
    }

    /// Reads the next value if it has this tag.
    pub fn optional(&mut self, tag: u8) -> Result<Option<Tlv<'a>>, NotDer> {
        if self.rest.first() == Some(&tag) {
            self.any().map(Some)
        } else {
            Ok(None)
        }
    }

    /// Reads the next value, which must have this tag, and returns a cursor over its content.
    pub fn inside(&mut self, tag: u8) -> Result<Cursor<'a>, NotDer> {
        Ok(Cursor::new(self.expect(tag)?.content))
    }

    /// Reads the octets of a BIT STRING without unused bits.
    pub fn bit_string(&mut self) -> Result<&'a [u8], NotDer> {
        match self.expect(tag::BIT_STRING)?.content.split_first() {
            Some((0, octets)) => Ok(octets),
            _ => Err(NotDer),
        }
    }

    /// Reads the content of an object identifier.
    pub fn oid(&mut self) -> Result<&'a [u8], NotDer> {
        let content = self.expect(tag::OID)?.content;
        if is_oid(content) {
            Ok(content)
        } else {
            Err(NotDer)
        }
    }

    /// Reads the magnitude of a positive INTEGER, without leading zeros.
    pub fn positive_integer(&mut self) -> Result<&'a [u8], NotDer> {
        let content = self.expect(tag::INTEGER)?.content;
        match content {
            _ if !is_minimal_integer(content) => Err(NotDer),
            [0] | [0x80..=0xff, ..] => Err(NotDer),
            [0, magnitude @ ..] => Ok(magnitude),
            _ => Ok(content),
        }
    }
}

/// Checks that `content` consists of well-formed values, at all levels.
pub(crate) fn check_values(content: &[u8]) -> Result<(), NotDer> {
    find_fault(content).map_err(|_| NotDer)
}

/// Checks like [`check_values`]. The error is a sentence about the certificate with these values.
pub(crate) fn find_fault(content: &[u8]) -> Result<(), &'static str> {
    fn find(content: &[u8], depth: u8) -> Result<(), &'static str> {
        if depth == DEPTH_MAX {
            return Err("its content is nested too deeply");
        }
        let mut cursor = Cursor::new(content);
        while !cursor.is_empty() {
            let mut same = cursor;
            let is_indefinite = cursor.rest.get(1) == Some(&0x80);
            let value = cursor.any().map_err(|_| match same.any_length() {
                _ if is_indefinite => "its content is not DER: a length is indefinite",
                Ok(value) if value.tag != 0 && value.tag & 0x1f != 0x1f => {
                    "its content is not DER: a length has more octets than necessary"
                }
                _ => "its content is not DER: it is cut off, or its lengths contradict each other",
            })?;
            let constructed = value.tag & 0x20 != 0;
            let universal = value.tag & 0xc0 == 0;
            // DER strings are primitive (X.690 §10.2). The constructed universal types are
            // EXTERNAL, EMBEDDED PDV, SEQUENCE, SET and CHARACTER STRING.
            if universal && constructed != matches!(value.tag & 0x1f, 8 | 11 | 16 | 17 | 29) {
                return Err("its content is not DER: a value has the wrong one of two forms");
            }
            let (is_well_formed, fault) = match (constructed, value.tag) {
                (true, _) => {
                    find(value.content, depth + 1)?;
                    continue;
                }
                (_, tag::BOOLEAN) => (
                    matches!(value.content, [0 | 0xff]),
                    "its content is not DER: a BOOLEAN is neither 00 nor FF",
                ),
                (_, tag::INTEGER) => (
                    is_minimal_integer(value.content),
                    "its content is not DER: a number, such as the serial number, is empty or has \
                     leading zeros",
                ),
                (_, tag::BIT_STRING) => (
                    matches!(value.content, [0] | [0..=7, _, ..]),
                    "its content is not DER: a BIT STRING has no count of unused bits",
                ),
                (_, tag::NULL) => (
                    value.content.is_empty(),
                    "its content is not DER: a NULL has content",
                ),
                (_, tag::OID) => (
                    is_oid(value.content),
                    "its content is not DER: an object identifier is cut off or padded",
                ),
                _ => continue,
            };
            if !is_well_formed {
                return Err(fault);
            }
        }
        Ok(())
    }
    find(content, 0)
}

/// Checks an INTEGER. X.690 §8.3.2: the first nine bits are neither all zero nor all one.
fn is_minimal_integer(content: &[u8]) -> bool {
    !matches!(content, [] | [0, 0..=0x7f, ..] | [0xff, 0x80..=0xff, ..])
}

/// Checks an object identifier. X.690 §8.19.2: the last arc ends, and no arc starts with the
/// padding octet 0x80.
fn is_oid(content: &[u8]) -> bool {
    let ends = content.last().is_some_and(|last| last & 0x80 == 0);
    let mut starts_arc = true;
    let unpadded = content.iter().all(|&octet| {
        let fine = !(starts_arc && octet == 0x80);
        starts_arc = octet & 0x80 == 0;
        fine
    });
    ends && unpadded
}

/// Appends a value. `body` appends its content.
pub(crate) fn write_with(out: &mut Vec<u8>, tag: u8, body: impl FnOnce(&mut Vec<u8>)) {
    out.extend_from_slice(&[tag, 0]);
    let start = out.len();
    body(out);
    let length = out.len() - start;
    set_length(out, start, length);
}

/// Appends tag, length and `content`.
pub(crate) fn write(out: &mut Vec<u8>, tag: u8, content: &[u8]) {
    write_header(out, tag, content.len());
    out.extend_from_slice(content);
}

/// Writes `length` into the octet before the content at `start`. The long form (X.690 §8.1.3.5)
/// needs more octets and moves the content.
fn set_length(out: &mut Vec<u8>, start: usize, length: usize) {
    if length < 0x80 {
        out[start - 1] = length as u8;
        return;
    }
    let octets = length.to_be_bytes();
    let zeros = octets.iter().take_while(|&&octet| octet == 0).count();
    let octets = &octets[zeros..];
    out[start - 1] = 0x80 | octets.len() as u8;
    out.splice(start..start, octets.iter().copied());
}

/// Appends tag and length of a value, without its content.
pub(crate) fn write_header(out: &mut Vec<u8>, tag: u8, length: usize) {
    out.extend_from_slice(&[tag, 0]);
    let start = out.len();
    set_length(out, start, length);
}

/// Appends an INTEGER with the value of an unsigned number, most significant octet first.
pub(crate) fn write_unsigned(out: &mut Vec<u8>, number: &[u8]) {
    let zeros = number.iter().take_while(|&&octet| octet == 0).count();
    write_with(out, tag::INTEGER, |out| {
        // X.690 §8.3.3: the top bit is the sign; zero has one octet.
        if number.get(zeros).is_none_or(|first| first & 0x80 != 0) {
            out.push(0);
        }
        out.extend_from_slice(&number[zeros..]);
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_have_the_shortest_form_and_read_back() {
        for (length, head) in [
            (0, &[0x04, 0][..]),
            (127, &[0x04, 0x7f]),
            (128, &[0x04, 0x81, 0x80]),
            (256, &[0x04, 0x82, 1, 0]),
            (70_000, &[0x04, 0x83, 1, 0x11, 0x70]),
        ] {
            let content = vec![7; length];
            let mut at_once = vec![];
            write(&mut at_once, tag::OCTET_STRING, &content);
            assert_eq!(&at_once[..head.len()], head);
            let mut by_body = vec![];
            write_with(&mut by_body, tag::OCTET_STRING, |out| {
                out.extend_from_slice(&content)
            });
            assert_eq!(at_once, by_body);
            let mut cursor = Cursor::new(&at_once);
            assert_eq!(cursor.expect(tag::OCTET_STRING).unwrap().content, content);
            assert_eq!(cursor.end(), Ok(()));
        }
    }

    #[test]
    fn check_values_rejects_ber_that_is_not_der() {
        for (bytes, why) in [
            (&[0x04, 0x81, 0x7f][..], "long form of a short length"),
            (&[0x04, 0x82, 0x00, 0x80], "leading zero in the length"),
            (&[0x30, 0x80, 0x00, 0x00], "indefinite length"),
            (&[0x24, 0x00], "constructed OCTET STRING"),
            (&[0x10, 0x00], "primitive SEQUENCE"),
            (&[0x01, 0x01, 0x01], "BOOLEAN neither 00 nor FF"),
            (&[0x02, 0x02, 0x00, 0x01], "padded INTEGER"),
            (&[0x02, 0x02, 0xff, 0x80], "padded negative INTEGER"),
            (&[0x02, 0x00], "empty INTEGER"),
            (&[0x03, 0x00], "BIT STRING without its first octet"),
            (&[0x03, 0x01, 0x03], "unused bits without an octet"),
            (&[0x05, 0x01, 0x00], "NULL with content"),
            (&[0x06, 0x00], "empty object identifier"),
            (&[0x06, 0x02, 0x2a, 0x80], "object identifier cut off"),
            (&[0x06, 0x03, 0x2a, 0x80, 0x01], "padded arc"),
            (&[0x1f, 0x1f, 0x00], "long tag"),
            (&[0x00, 0x00], "end of contents"),
            (&[0x04, 0x02, 0x00], "content cut off"),
        ] {
            let mut inside = vec![];
            write(&mut inside, tag::SEQUENCE, bytes);
            assert_eq!(check_values(bytes), Err(NotDer), "{why}");
            assert_eq!(check_values(&inside), Err(NotDer), "{why}");
        }
        assert_eq!(
            check_values(&[0x02, 0x01, 0x80, 0x03, 0x02, 0x07, 0x80, 0x05, 0x00]),
            Ok(())
        );
    }

    #[test]
    fn unsigned_numbers_are_positive_and_minimal() {
        for (number, written) in [
            (0_u64, &[0x02, 1, 0][..]),
            (0x7f, &[0x02, 1, 0x7f]),
            (0x80, &[0x02, 2, 0, 0x80]),
            (0x1_0000, &[0x02, 3, 1, 0, 0]),
            (
                u64::MAX,
                &[0x02, 9, 0, 255, 255, 255, 255, 255, 255, 255, 255],
            ),
        ] {
            let mut out = vec![];
            write_unsigned(&mut out, &number.to_be_bytes());
            assert_eq!(out, written, "{number}");
        }
    }

    #[test]
    fn check_values_rejects_deep_nesting() {
        let nested = |levels| {
            (0..levels).fold(vec![], |inside, _| {
                let mut out = vec![];
                write(&mut out, tag::SEQUENCE, &inside);
                out
            })
        };
        assert_eq!(check_values(&nested(31)), Ok(()));
        assert_eq!(check_values(&nested(5_000)), Err(NotDer));
    }

    #[test]
    fn positive_integer_returns_no_sign_octet() {
        let read = |bytes: &[u8]| Cursor::new(bytes).positive_integer().map(<[u8]>::to_vec);
        assert_eq!(read(&[0x02, 0x02, 0x00, 0x80]), Ok(vec![0x80]));
        assert_eq!(read(&[0x02, 0x01, 0x7f]), Ok(vec![0x7f]));
        assert_eq!(read(&[0x02, 0x01, 0x00]), Err(NotDer), "zero");
        assert_eq!(read(&[0x02, 0x01, 0x80]), Err(NotDer), "negative");
    }
}
