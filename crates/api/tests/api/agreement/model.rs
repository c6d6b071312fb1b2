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

/// An accepted change.
struct Change {
    /// The epoch in the store, which lists claim.
    epoch: u64,
    /// The epoch in the account, which clients see.
    number: u64,
    /// The state after it.
    revoked: Option<Revoked>,
}

pub struct Certificate {
    /// 0 or 1.
    pub account: usize,
    pub id: String,
    pub authority: AuthorityId,
    pub serial: SerialNumber,
    pub fingerprint: String,
    pub expires_on: Timestamp,
    changes: Vec<Change>,
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
        self.changes.last().map_or(0, |change| change.epoch)
    }

    /// The epoch of its last change in its account; 0 before there is one.
    pub fn number(&self) -> u64 {
        self.changes.last().map_or(0, |change| change.number)
    }

    pub fn revoked(&self) -> Option<Revoked> {
        self.changes.last().and_then(|change| change.revoked)
    }

    fn revoked_at(&self, is_known: impl Fn(&Change) -> bool) -> Option<Revoked> {
        let known = self.changes.iter().rev().find(|change| is_known(change));
        known.and_then(|change| change.revoked)
    }

    /// The lists that hold it while it is revoked.
    pub fn kinds(&self) -> [CrlKind; 2] {
        [CrlKind::Shard(self.serial.shard()), CrlKind::Full]
    }
}

#[derive(Default)]
pub struct Model {
    pub certificates: Vec<Certificate>,
    /// The number of accepted changes of the whole installation.
    epoch: u64,
    /// That of each account.
    numbers: [u64; 2],
}

impl Model {
    pub fn change(&mut self, certificate: usize, revoked: Option<Revoked>) {
        let account = self.certificates[certificate].account;
        self.change_of(account);
        let (epoch, number) = (self.epoch, self.numbers[account]);
        let certificate = &mut self.certificates[certificate];
        certificate.changes.push(Change {
            epoch,
            number,
            revoked,
        });
        certificate.is_pending = true;
    }

    /// Counts a change of an account. A new CA is one.
    pub fn change_of(&mut self, account: usize) {
        self.epoch += 1;
        self.numbers[account] += 1;
    }

    /// The last epoch that the clients of an account see.
    pub fn last_of(&self, account: usize) -> u64 {
        self.numbers[account]
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
            .filter_map(|one| {
                let revoked = one.revoked_at(|change| change.epoch <= epoch)?;
                Some((*one.serial.as_bytes(), revoked))
            })
            .collect()
    }

    /// The fingerprints of the certificates of an account that are revoked at its epoch `number`,
    /// without those that expired before `live_from`.
    pub fn fingerprints(
        &self,
        account: usize,
        number: u64,
        live_from: Timestamp,
    ) -> BTreeSet<String> {
        self.certificates
            .iter()
            .filter(|one| one.account == account && one.expires_on >= live_from)
            .filter(|one| {
                let revoked = one.revoked_at(|change| change.number <= number);
                revoked.is_some()
            })
            .map(|one| one.fingerprint.clone())
            .collect()
    }
}
