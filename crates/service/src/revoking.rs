use certgate_model::{CertificateId, CertificateRecord, Event, RevocationReason};
use certgate_store::StatusChange;

use crate::access::{WriteCertificates, ZoneScope};
use crate::environment::Environment;
use crate::error::RevocationError;
use crate::measures;
use crate::signals::AnnounceOnDrop;

/// Revokes and reactivates client certificates.
pub struct Revoking {
    pub(crate) environment: Environment,
}

impl Revoking {
    /// Revokes a certificate. It is `pending_revocation` until the revocation has settled. Every
    /// reason except certificateHold is permanent.
    pub async fn revoke(
        &self,
        scope: &ZoneScope<WriteCertificates>,
        id: CertificateId,
        reason: RevocationReason,
    ) -> Result<CertificateRecord, RevocationError> {
        self.change(scope, id, Event::Revoke(reason)).await
    }

    /// Reactivates a revoked certificate. It is `pending_reactivation` until that has settled.
    pub async fn reactivate(
        &self,
        scope: &ZoneScope<WriteCertificates>,
        id: CertificateId,
    ) -> Result<CertificateRecord, RevocationError> {
        self.change(scope, id, Event::Reactivate).await
    }

    async fn change(
        &self,
        scope: &ZoneScope<WriteCertificates>,
        id: CertificateId,
        event: Event,
    ) -> Result<CertificateRecord, RevocationError> {
        let _announce = AnnounceOnDrop {
            signals: &self.environment.signals,
            account: scope.zone().account,
        };
        let by = scope.by(self.environment.now());
        let store = &self.environment.store;
        let change = store.change_status(scope.zone().id, id, event, by).await?;
        match change.ok_or(RevocationError::NotFound)? {
            StatusChange::Unchanged(certificate) => Ok(certificate),
            StatusChange::Refused if event == Event::Reactivate => Err(RevocationError::Permanent),
            StatusChange::Refused => Err(RevocationError::AlreadyRevoked),
            StatusChange::Changed(certificate) => {
                measures::status_changes(certificate.status, 1);
                Ok(certificate)
            }
        }
    }
}
