use std::fmt;

use crate::hex::write_hex;
use crate::{
    AuthorityId, CertificateId, Event, RevocationReason, SignatureAlgorithm, Status, Timestamp,
    Transition, ZoneId,
};

/// A serial number: exactly 20 octets, positive, top bit clear (RFC 5280 §4.1.2.2).
///
/// Stored as raw octets: without its leading zeros, a serial number is a different key in the
/// tables of other programs.
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

    /// Reads the serial number in the DER form of a certificate that certgate issued. [`None`]: the
    /// DER form is another one, or corrupt.
    pub fn of_certificate(der: &[u8]) -> Option<Self> {
        // Certificate and TBSCertificate, each with a length of two octets; version 3; an INTEGER
        // of 20 octets.
        let [0x30, 0x82, _, _, 0x30, 0x82, _, _, rest @ ..] = der else {
            return None;
        };
        let serial = rest.strip_prefix(&[0xa0, 3, 2, 1, 2, 2, 20])?;
        serial.first_chunk().copied().map(Self)
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
    /// `notBefore`; a whole minute.
    pub issued_on: Timestamp,
    /// `notAfter`; exactly `validity_days` days later.
    pub expires_on: Timestamp,
    /// The requested validity.
    pub validity_days: u32,
    /// The algorithm of its signature.
    pub signature: SignatureAlgorithm,
    /// SHA-256 of `der`.
    pub fingerprint_sha256: [u8; 32],
    /// Subject key identifier: SHA-1 of the public key bits (RFC 5280 §4.2.1.2, method 1).
    pub ski: [u8; 20],
    /// The certificate itself.
    pub der: Vec<u8>,
    /// The request exactly as it was sent.
    pub csr: String,
    /// The time at which the last revocation was accepted; `None` while active or being restored.
    pub revoked_on: Option<Timestamp>,
    /// The reason of that revocation; `None` while active or being restored.
    pub revocation_reason: Option<RevocationReason>,
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
