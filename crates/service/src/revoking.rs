use certgate_model::{
    Actor, AuditAction, AuditOwner, AuditQuery, CertificateId, CertificateRecord, Direction, Event,
    RevocationReason, Timestamp,
};
use certgate_store::StatusChange;

use crate::access::{RestoreCertificates, RevokeCertificates, ZoneScope};
use crate::environment::Environment;
use crate::error::{Fault, RevocationError, internal};
use crate::measures;
use crate::signals::AnnounceOnDrop;

/// Entries of the audit log that are searched for the author of a revocation. They begin at the
/// time of the revocation, so few come before it.
const AUTHOR_ENTRIES_MAX: u32 = 256;

/// The outcome of a revocation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Revocation {
    /// The certificate is revoked from now on.
    Accepted(CertificateRecord),
    /// The certificate was revoked before. Nothing changed.
    Repeated(CertificateRecord, EarlierRevocation),
}

/// A revocation that was accepted before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EarlierRevocation {
    /// The time.
    pub at: Timestamp,
    /// The reason.
    pub reason: RevocationReason,
    /// The author, if the audit log has its entry.
    pub by: Option<Actor>,
}

/// Revokes and reactivates client certificates.
pub struct Revoking {
    pub(crate) environment: Environment,
}

impl Revoking {
    /// Revokes a certificate. It is `pending_revocation` until the revocation has settled. Every
    /// reason except certificateHold is permanent. A certificate that was revoked before does not
    /// change, unless it is on hold and the new reason is permanent.
    pub async fn revoke(
        &self,
        scope: &ZoneScope<RevokeCertificates>,
        id: CertificateId,
        reason: RevocationReason,
    ) -> Result<Revocation, RevocationError> {
        match self.change(scope, id, Event::Revoke(reason)).await? {
            StatusChange::Changed(certificate) => Ok(Revocation::Accepted(certificate)),
            StatusChange::Unchanged(certificate) => {
                let earlier = self.earlier(scope, &certificate).await?;
                Ok(Revocation::Repeated(certificate, earlier))
            }
            StatusChange::Refused => Err(internal("a revocation was refused").into()),
        }
    }

    /// Reactivates a revoked certificate. It is `pending_reactivation` until that has settled.
    pub async fn reactivate(
        &self,
        scope: &ZoneScope<RestoreCertificates>,
        id: CertificateId,
    ) -> Result<CertificateRecord, RevocationError> {
        match self.change(scope, id, Event::Reactivate).await? {
            StatusChange::Changed(certificate) | StatusChange::Unchanged(certificate) => {
                Ok(certificate)
            }
            StatusChange::Refused => Err(RevocationError::Permanent),
        }
    }

    async fn change<P>(
        &self,
        scope: &ZoneScope<P>,
        id: CertificateId,
        event: Event,
    ) -> Result<StatusChange, RevocationError> {
        let _announce = AnnounceOnDrop {
            signals: &self.environment.signals,
            account: scope.zone().account,
        };
        let by = scope.by(self.environment.now());
        let store = &self.environment.store;
        let change = store.change_status(scope.zone().id, id, event, by).await?;
        let change = change.ok_or(RevocationError::NotFound)?;
        if let StatusChange::Changed(certificate) = &change {
            measures::status_changes(certificate.status, 1);
        }
        Ok(change)
    }

    async fn earlier(
        &self,
        scope: &ZoneScope<RevokeCertificates>,
        certificate: &CertificateRecord,
    ) -> Result<EarlierRevocation, Fault> {
        let (Some(at), Some(reason)) = (certificate.revoked_on, certificate.revocation_reason)
        else {
            return Err(internal("a revoked certificate has no date of revocation"));
        };
        let query = AuditQuery {
            since: at,
            before: Timestamp::LATEST,
            actor: None,
            direction: Direction::Ascending,
            after: None,
            limit: AUTHOR_ENTRIES_MAX,
        };
        let owner = AuditOwner::Account(scope.zone().account);
        let entries = self.environment.store.audit_entries(owner, query).await?;
        let mut entries = entries.into_iter().filter(|entry| {
            entry.action == AuditAction::Revoke && entry.resource == *certificate.id.as_bytes()
        });
        let by = entries.next().map(|entry| entry.by.actor);
        Ok(EarlierRevocation { at, reason, by })
    }
}
