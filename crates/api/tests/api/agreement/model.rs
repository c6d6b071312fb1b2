//! The expected state: every certificate with its accepted changes, in the order of their epochs.

use std::collections::{BTreeMap, BTreeSet};

use certgate_model::{AuthorityId, CrlKind, RevocationReason, SerialNumber, Timestamp};
use serde_json::Value;

/// Serial number, time and reason: an entry of a CRL.
pub type Entries = BTreeMap<[u8; 20], Revoked>;

/// The time of a revocation, in seconds, and the number of its reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Revoked {
    pub at: i64,
    pub reason: u8,
}

impl Revoked {
    pub fn is_permanent(self) -> bool {
        self.reason != RevocationReason::CertificateHold.code()
    }
}

pub struct Certificate {
    /// 0 or 1.
    pub account: usize,
    pub id: String,
    pub authority: AuthorityId,
    pub serial: SerialNumber,
    pub fingerprint: String,
    pub expires_on: Timestamp,
    /// The state after each accepted change.
    changes: Vec<(u64, Option<Revoked>)>,
    /// `true` while the API shows its last change as pending.
    pub is_pending: bool,
}

impl Certificate {
    pub fn new(account: usize, issued: &Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let serial = text(&issued["serial_number"]);
        let octets: Vec<_> = (0..20)
            .map(|at| u8::from_str_radix(&serial[2 * at..2 * at + 2], 16).unwrap())
            .collect();
        Self {
            account,
            id: text(&issued["id"]),
            authority: text(&issued["certificate_authority"]["id"])
                .parse()
                .unwrap(),
            serial: SerialNumber::from_bytes(octets.try_into().unwrap()),
            fingerprint: text(&issued["fingerprint_sha256"]),
            expires_on: text(&issued["expires_on"]).parse().unwrap(),
            changes: Vec::new(),
            is_pending: false,
        }
    }

    /// The epoch of its last change; 0 before there is one.
    pub fn epoch(&self) -> u64 {
        self.changes.last().map_or(0, |(epoch, _)| *epoch)
    }

    pub fn revoked(&self) -> Option<Revoked> {
        self.changes.last().and_then(|(_, revoked)| *revoked)
    }

    fn revoked_at(&self, epoch: u64) -> Option<Revoked> {
        let known = self
            .changes
            .iter()
            .rev()
            .find(|(changed, _)| *changed <= epoch);
        known.and_then(|(_, revoked)| *revoked)
    }

    /// The lists that hold it while it is revoked.
    pub fn kinds(&self) -> [CrlKind; 2] {
        [CrlKind::Shard(self.serial.shard()), CrlKind::Full]
    }
}

#[derive(Default)]
pub struct Model {
    pub certificates: Vec<Certificate>,
    /// The number of accepted changes of the whole installation. A new CA is one.
    pub epoch: u64,
}

impl Model {
    pub fn change(&mut self, certificate: usize, to: Option<Revoked>) {
        self.epoch += 1;
        let certificate = &mut self.certificates[certificate];
        certificate.changes.push((self.epoch, to));
        certificate.is_pending = true;
    }

    /// The entries of a CRL that claims `epoch`, without certificates that expired before
    /// `live_from`.
    pub fn entries(
        &self,
        authority: AuthorityId,
        kind: CrlKind,
        epoch: u64,
        live_from: Timestamp,
    ) -> Entries {
        self.certificates
            .iter()
            .filter(|one| {
                one.authority == authority
                    && one.kinds().contains(&kind)
                    && one.expires_on >= live_from
            })
            .filter_map(|one| Some((*one.serial.as_bytes(), one.revoked_at(epoch)?)))
            .collect()
    }

    /// The fingerprints of the certificates of an account that are revoked at `epoch`, without
    /// those that expired before `live_from`.
    pub fn fingerprints(
        &self,
        account: usize,
        epoch: u64,
        live_from: Timestamp,
    ) -> BTreeSet<String> {
        self.certificates
            .iter()
            .filter(|one| one.account == account && one.expires_on >= live_from)
            .filter(|one| one.revoked_at(epoch).is_some())
            .map(|one| one.fingerprint.clone())
            .collect()
    }
}
