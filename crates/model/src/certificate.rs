use std::fmt;

use crate::hex::write_hex;
use crate::{
    AuthorityId, CertificateId, Event, RevocationReason, SignatureAlgorithm, Status, Timestamp,
    Transition, ZoneId,
};

/// A serial number: 20 octets of a number that is not negative.
///
/// Those of certgate have a first octet from 0x40 to 0x7f (RFC 5280 §4.1.2.2), so that their DER
/// form has the same octets. Those of other CAs are padded with zeros at the beginning.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SerialNumber([u8; 20]);

impl SerialNumber {
    /// Makes a serial number from 20 random octets. Clears the top bit and sets the next one, so
    /// that the number is positive and its DER form has exactly 20 octets. 158 random bits remain;
    /// CAs must use at least 64.
    pub const fn from_random(mut octets: [u8; 20]) -> Self {
        octets[0] = octets[0] & 0x7f | 0x40;
        Self(octets)
    }

    /// Reads the serial number in the DER form of a certificate. [`None`]: the DER form is corrupt.
    pub fn of_certificate(der: &[u8]) -> Option<Self> {
        // Certificate and TBSCertificate, then the version unless it is 1.
        let tbs = after_header(after_header(der, 0x30)?, 0x30)?;
        let fields = tbs.strip_prefix(&[0xa0, 3, 2, 1, 2]).unwrap_or(tbs);
        let [0x02, length, rest @ ..] = fields else {
            return None;
        };
        Self::of_integer(rest.get(..usize::from(*length))?)
    }

    /// Reads the content of a DER INTEGER. [`None`]: it is negative, has leading zeros or is empty,
    /// or has more than 20 significant octets.
    pub fn of_integer(content: &[u8]) -> Option<Self> {
        let significant = match content {
            [] | [0x80..=0xff, ..] | [0, 0..=0x7f, ..] => return None,
            [0, rest @ ..] if !rest.is_empty() => rest,
            content => content,
        };
        let mut octets = [0; 20];
        let start = octets.len().checked_sub(significant.len())?;
        octets[start..].copy_from_slice(significant);
        Some(Self(octets))
    }

    /// Returns the content of the DER INTEGER: without leading zeros, except the one that keeps it
    /// positive.
    pub fn to_integer(self) -> SerialInteger {
        let mut octets = [0; 21];
        octets[1..].copy_from_slice(&self.0);
        let zeros = octets.iter().take_while(|octet| **octet == 0).count();
        let start = match octets.get(zeros) {
            None => octets.len() - 1,
            Some(0x80..) => zeros - 1,
            Some(_) => zeros,
        };
        SerialInteger { octets, start }
    }

    /// Returns the serial number with these stored octets.
    pub const fn from_bytes(octets: [u8; 20]) -> Self {
        Self(octets)
    }

    /// The 20 octets.
    pub const fn as_bytes(&self) -> &[u8; 20] {
        &self.0
    }

    /// Returns the CRL shard of its CA, of 128, that lists the certificate: the low 7 bits.
    pub const fn shard(&self) -> u8 {
        self.0[19] & 0x7f
    }
}

/// The content of a DER INTEGER: see [`SerialNumber::to_integer`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SerialInteger {
    octets: [u8; 21],
    start: usize,
}

impl SerialInteger {
    /// The octets.
    pub fn as_bytes(&self) -> &[u8] {
        &self.octets[self.start..]
    }
}

/// Returns the content after a header with this tag and any length.
fn after_header(der: &[u8], tag: u8) -> Option<&[u8]> {
    let (first, rest) = der.split_first()?;
    let (length, rest) = rest.split_first()?;
    let more = match length {
        0..=0x7f => 0,
        0x81..=0x84 => usize::from(length - 0x80),
        _ => return None,
    };
    (*first == tag).then(|| rest.get(more..))?
}

/// 40 lower-case hex digits.
impl fmt::Display for SerialNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, &self.0)
    }
}

impl fmt::Debug for SerialNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SerialNumber({self})")
    }
}

/// The subject attributes that the API shows: the first value of each kind, empty if the CSR has
/// none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SubjectFields {
    /// CN, 2.5.4.3.
    pub common_name: String,
    /// C, 2.5.4.6.
    pub country: String,
    /// ST, 2.5.4.8.
    pub state: String,
    /// L, 2.5.4.7.
    pub location: String,
    /// O, 2.5.4.10.
    pub organization: String,
    /// OU, 2.5.4.11.
    pub organizational_unit: String,
}

/// The CA in a certificate's record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthorityRef {
    /// Its ID.
    pub id: AuthorityId,
    /// Its display name.
    pub name: String,
}

/// The stored record of an issued certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateRecord {
    /// Its ID, ordered by time.
    pub id: CertificateId,
    /// The zone in which it was issued.
    pub zone: ZoneId,
    /// The CA that signed it.
    pub authority: AuthorityRef,
    /// Its place in the life cycle.
    pub status: Status,
    /// Its serial number, unique for its CA.
    pub serial: SerialNumber,
    /// Subject attributes to show.
    pub subject: SubjectFields,
    /// `notBefore`; a whole minute, unless another CA issued it.
    pub issued_on: Timestamp,
    /// `notAfter`; exactly `validity_days` days later, unless another CA issued it.
    pub expires_on: Timestamp,
    /// The requested validity, or the validity rounded up.
    pub validity_days: u32,
    /// The algorithm of its signature.
    pub signature: SignatureAlgorithm,
    /// SHA-256 of `der`.
    pub fingerprint_sha256: [u8; 32],
    /// Subject key identifier: SHA-1 of the public key bits (RFC 5280 §4.2.1.2, method 1).
    pub ski: [u8; 20],
    /// The certificate itself.
    pub der: Vec<u8>,
    /// The request exactly as it was sent; empty if the certificate was issued elsewhere.
    pub csr: String,
    /// The time at which the last revocation was accepted; `None` while active or being restored.
    pub revoked_on: Option<Timestamp>,
    /// The reason of that revocation; `None` while active or being restored.
    pub revocation_reason: Option<RevocationReason>,
    /// Its neighbours in its line.
    pub lineage: Lineage,
}

/// The neighbours of a certificate in its line: each renewal replaces the newest certificate of a
/// line with one more.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Lineage {
    /// The certificate that it replaced.
    pub replaces: Option<CertificateId>,
    /// The certificate that replaced it.
    pub replaced_by: Option<CertificateId>,
}

/// The part of a certificate that changes: its status, and the revocation that led to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CertificateState {
    /// The place in the life cycle.
    pub status: Status,
    /// The time at which the last revocation was accepted; `None` while active or being restored.
    pub revoked_on: Option<Timestamp>,
    /// The reason of that revocation; `None` while active or being restored.
    pub revocation_reason: Option<RevocationReason>,
}

impl CertificateState {
    /// Returns the state directly after a revocation for `reason` was accepted at `at`.
    pub const fn revoked(reason: RevocationReason, at: Timestamp) -> Self {
        Self {
            status: Status::PendingRevocation,
            revoked_on: Some(at),
            revocation_reason: Some(reason),
        }
    }

    /// Returns the state directly after a restoration was accepted.
    pub const fn reactivated() -> Self {
        Self {
            status: Status::PendingReactivation,
            revoked_on: None,
            revocation_reason: None,
        }
    }

    /// Applies an event that happens at `at`: sets the status, and the date and reason of the
    /// revocation. Only [`Transition::To`] changes anything.
    ///
    /// The status machine decides ([`Status::on`]), with two exceptions: a permanent revocation
    /// cannot be undone, and a hold can become a permanent revocation.
    pub fn apply(&mut self, event: Event, at: Timestamp) -> Transition {
        let transition = match (event, self.revocation_reason) {
            (Event::Reactivate, Some(reason)) if reason.is_permanent() => Transition::Refused,
            (Event::Revoke(reason), Some(before))
                if reason.is_permanent() && !before.is_permanent() =>
            {
                Transition::To(Status::PendingRevocation)
            }
            _ => self.status.on(event),
        };
        if let Transition::To(status) = transition {
            *self = match event {
                Event::Revoke(reason) => Self::revoked(reason, at),
                Event::Reactivate => Self::reactivated(),
                Event::Settle => Self { status, ..*self },
            };
        }
        transition
    }
}

impl CertificateRecord {
    /// Returns the part that changes.
    pub const fn state(&self) -> CertificateState {
        CertificateState {
            status: self.status,
            revoked_on: self.revoked_on,
            revocation_reason: self.revocation_reason,
        }
    }

    /// Applies an event that happens at `at`: see [`CertificateState::apply`].
    pub fn apply(&mut self, event: Event, at: Timestamp) -> Transition {
        let mut state = self.state();
        let transition = state.apply(event, at);
        self.status = state.status;
        self.revoked_on = state.revoked_on;
        self.revocation_reason = state.revocation_reason;
        transition
    }
}

/// The number of a zone's certificates in each status.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals([u64; 4]);

impl Totals {
    /// Makes totals from the numbers in the order of [`Status::ALL`].
    pub const fn new(counts: [u64; 4]) -> Self {
        Self(counts)
    }

    /// Returns the number of certificates in `status`.
    pub const fn of(&self, status: Status) -> u64 {
        self.0[status.code() as usize]
    }

    /// Returns the number of all certificates.
    pub const fn all(&self) -> u64 {
        self.0[0] + self.0[1] + self.0[2] + self.0[3]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn serial_numbers_have_the_integers_of_der() {
        for (content, digits) in [
            (&[0][..], "00".repeat(20)),
            (&[1], format!("{}01", "00".repeat(19))),
            (&[0, 0x80], format!("{}80", "00".repeat(19))),
            (&[0x7f; 20], "7f".repeat(20)),
            (&[0x01, 0x00], format!("{}0100", "00".repeat(18))),
        ] {
            let serial = SerialNumber::of_integer(content).unwrap();
            assert_eq!(serial.to_string(), digits);
            assert_eq!(serial.to_integer().as_bytes(), content);
        }
        let mut longest = [0xff; 21];
        longest[0] = 0;
        let serial = SerialNumber::of_integer(&longest).unwrap();
        assert_eq!(serial.to_integer().as_bytes(), longest);
        for bad in [&[][..], &[0x80], &[0, 0x7f], &[0, 0], &[1; 21]] {
            assert_eq!(SerialNumber::of_integer(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn the_serial_number_of_a_certificate_is_read_in_each_form() {
        let of = SerialNumber::of_certificate;
        let small = of(&[0x30, 9, 0x30, 7, 0xa0, 3, 2, 1, 2, 2, 1, 5]).unwrap();
        assert_eq!(small.as_bytes()[19], 5);
        let version_1 = of(&[0x30, 0x81, 0x90, 0x30, 0x82, 0, 0x90, 2, 2, 0, 0x80]).unwrap();
        assert_eq!(version_1.as_bytes()[19], 0x80);
        for bad in [
            &[][..],
            &[0x30],
            &[0x31, 0, 0x30, 0],
            &[0x30, 3, 0x30, 1, 2, 9, 1],
        ] {
            assert_eq!(of(bad), None, "{bad:?}");
        }
    }
}
