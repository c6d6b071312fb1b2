//! Certificates.

use std::sync::Arc;

use async_trait::async_trait;
use certgate_model::{
    AuthorityId, By, CertificateId, CertificateRecord, CertificateSearch, Event,
    InstallationSummary, Page, SearchOutcome, SerialNumber, Timestamp, Totals, ZoneId, ZoneSummary,
};

use super::View::{Snapshot, Statement};
use super::{Engine, SqlStore};
use crate::traits::{Certificates, ReadCertificates};
use crate::verbs::changes::RequestedChange;
use crate::verbs::recording::{Circumstances, New};
use crate::verbs::{adopting, certificates, replacements, revocations, search, settling, summary};
use crate::writes::{Asked, Write};
use crate::{
    Adopted, Adoption, Basis, CertificatesPart, Issued, RecordedAnswer, RecordingLimits, Renewal,
    RenewalRefused, ReplacedCertificate, SearchLimits, Settled, StatusChange, StoreError,
};

#[async_trait]
impl<E: Engine> ReadCertificates for SqlStore<E> {
    async fn certificate(
        &self,
        zone: ZoneId,
        id: CertificateId,
    ) -> Result<Option<CertificateRecord>, StoreError> {
        self.read(Statement, (zone, id), |db, (zone, id)| {
            Box::pin(certificates::certificate(db, *zone, *id))
        })
        .await
    }

    async fn certificates_part(
        &self,
        zone: ZoneId,
        part: CertificatesPart,
    ) -> Result<Page<CertificateRecord>, StoreError> {
        let view = match part.query.status {
            None => Statement,
            Some(_) => Snapshot,
        };
        self.read(view, (zone, part), |db, (zone, part)| {
            Box::pin(certificates::part(db, *zone, *part))
        })
        .await
    }

    async fn search(
        &self,
        zone: ZoneId,
        search: CertificateSearch,
    ) -> Result<SearchOutcome, StoreError> {
        self.searched(zone, search, self.search_limits()).await
    }

    #[cfg(feature = "conformance")]
    async fn search_within(
        &self,
        zone: ZoneId,
        search: CertificateSearch,
        limits: SearchLimits,
    ) -> Result<SearchOutcome, StoreError> {
        self.searched(zone, search, limits).await
    }

    async fn certificates_by_ids(
        &self,
        zone: ZoneId,
        ids: Vec<CertificateId>,
    ) -> Result<Vec<CertificateRecord>, StoreError> {
        self.read(Snapshot, (zone, ids), |db, (zone, ids)| {
            Box::pin(search::by_ids(db, *zone, ids))
        })
        .await
    }

    async fn totals(&self, zone: ZoneId) -> Result<Totals, StoreError> {
        self.read(Snapshot, zone, |db, zone| {
            Box::pin(certificates::totals(db, *zone))
        })
        .await
    }

    async fn summary(&self, zone: ZoneId, today: i64) -> Result<Option<ZoneSummary>, StoreError> {
        self.read(Snapshot, (zone, today), |db, (zone, today)| {
            Box::pin(summary::of_zone(db, *zone, *today))
        })
        .await
    }

    async fn installation_summary(
        &self,
        today: i64,
        days: i64,
    ) -> Result<InstallationSummary, StoreError> {
        self.read(Snapshot, (today, days), |db, (today, days)| {
            Box::pin(summary::of_all(db, *today, *days))
        })
        .await
    }

    async fn renewal_refused(
        &self,
        zone: ZoneId,
        renewal: Renewal,
        at: Timestamp,
    ) -> Result<Option<RenewalRefused>, StoreError> {
        self.read(Statement, (zone, renewal, at), |db, (zone, renewal, at)| {
            Box::pin(replacements::refused(db, *zone, *renewal, *at))
        })
        .await
    }

    async fn replaced_due(
        &self,
        at: Timestamp,
        limit: u32,
    ) -> Result<Vec<ReplacedCertificate>, StoreError> {
        self.read(Statement, (at, limit), |db, (at, limit)| {
            Box::pin(replacements::due(db, *at, *limit))
        })
        .await
    }

    async fn next_replaced_due(&self) -> Result<Option<Timestamp>, StoreError> {
        self.read(Statement, (), |db, ()| Box::pin(replacements::next_due(db)))
            .await
    }

    async fn issued(
        &self,
        authority: AuthorityId,
        serial: SerialNumber,
        id: CertificateId,
    ) -> Result<Option<Issued>, StoreError> {
        self.read(
            Statement,
            (authority, serial, id),
            |db, (authority, serial, id)| {
                Box::pin(revocations::issued(db, *authority, *serial, *id))
            },
        )
        .await
    }
}

#[async_trait]
impl<E: Engine> Certificates for SqlStore<E> {
    fn hand_over_certificate(
        &self,
        certificate: Arc<CertificateRecord>,
        limits: RecordingLimits,
        basis: Basis,
        by: By,
        answer: RecordedAnswer,
    ) {
        let new = New {
            certificate,
            limits,
            basis,
            by,
            circumstances: Circumstances::Issued,
        };
        self.engine
            .push(Write::Certificate(Asked::new(new, answer)));
    }

    async fn adopt_certificates(
        &self,
        certificates: Vec<Adoption>,
        quota: Option<u64>,
        by: By,
    ) -> Result<Vec<Adopted>, StoreError> {
        self.write(
            (certificates, quota, by),
            |db, (certificates, quota, by)| Box::pin(adopting::adopt(db, certificates, *quota, by)),
        )
        .await
    }

    async fn change_status(
        &self,
        zone: ZoneId,
        id: CertificateId,
        event: Event,
        by: By,
    ) -> Result<Option<StatusChange>, StoreError> {
        let change = RequestedChange {
            zone,
            id,
            event,
            by,
        };
        self.answered(|answer| Write::Change(Box::new(Asked::new(change, answer))))
            .await
    }

    async fn leave_replaced(&self, certificates: Vec<CertificateId>) -> Result<(), StoreError> {
        self.write(certificates, |db, certificates| {
            Box::pin(replacements::leave(db, certificates))
        })
        .await
    }

    async fn settle_pending(
        &self,
        epoch: u64,
        at: Timestamp,
        except: &[AuthorityId],
        limit: u32,
    ) -> Result<Settled, StoreError> {
        self.write(
            (epoch, at, except.to_vec(), limit),
            |db, (epoch, at, except, limit)| {
                Box::pin(settling::settle(db, *epoch, *at, except, *limit))
            },
        )
        .await
    }
}
