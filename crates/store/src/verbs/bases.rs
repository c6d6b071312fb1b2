//! The rights by which certificates are recorded: renewals and invites.
//!
//! Each is checked, and its use is written, in the transaction that records the certificate.

use certgate_model::{CertificateId, Timestamp, ZoneId};

use super::counters::Shifts;
use super::invites::InviteUses;
use super::replacements::Replacements;
use super::tallies::Tallies;
use crate::db::Db;
use crate::position::{Layout, Position};
use crate::{Basis, CertificateRecorded, StoreError};

/// The rights that a batch uses.
pub(super) struct Bases {
    replacements: Replacements,
    invites: InviteUses,
}

impl Bases {
    /// Reads the certificates that are to be replaced, and the invites.
    pub(super) async fn read<D: Db>(
        db: &D,
        bases: impl Iterator<Item = &Basis>,
    ) -> Result<Self, StoreError> {
        let (mut renewals, mut invites) = (Vec::new(), Vec::new());
        for basis in bases {
            match basis {
                Basis::Permission => {}
                Basis::Renewal(renewal) => renewals.push(renewal),
                Basis::Invite(id) => invites.push(*id),
            }
        }
        Ok(Self {
            replacements: Replacements::read(db, renewals.into_iter()).await?,
            invites: InviteUses::read(db, invites).await?,
        })
    }

    /// Returns the outcome for a certificate of a zone that cannot be recorded by this right.
    pub(super) fn refusal(
        &self,
        basis: &Basis,
        zone: ZoneId,
        at: Timestamp,
    ) -> Option<CertificateRecorded> {
        match basis {
            Basis::Permission => None,
            Basis::Renewal(renewal) => {
                let refused = self.replacements.refusal(renewal, zone, at);
                refused.map(CertificateRecorded::NotReplaced)
            }
            Basis::Invite(id) => {
                let refused = self.invites.refusal(*id, zone, at);
                refused.map(CertificateRecorded::NotInvited)
            }
        }
    }

    /// Notes that a certificate is recorded by this right at this position and time.
    pub(super) fn add(&mut self, basis: &Basis, id: CertificateId, place: Position, on: Timestamp) {
        match basis {
            Basis::Permission => {}
            Basis::Renewal(renewal) => self.replacements.add(renewal, id, place, on),
            Basis::Invite(invite) => self.invites.add(*invite, place),
        }
    }

    /// Counts the certificates that are replaced.
    pub(super) fn count(&self, layout: Layout, shifts: &mut Shifts, tallies: &mut Tallies) {
        self.replacements.count(layout, shifts, tallies);
    }

    /// Writes the uses of the rights, after the certificates.
    pub(super) async fn insert<D: Db>(&self, db: &D) -> Result<(), StoreError> {
        self.replacements.insert(db).await?;
        self.invites.insert(db).await
    }
}
