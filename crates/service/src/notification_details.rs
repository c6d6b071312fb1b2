//! The details of events, read in a few requests to the store.

use std::collections::BTreeMap;
use std::sync::Arc;

use certgate_model::{
    AuthorityId, CertificateId, CertificateRecord, Condition, EnforcementPointId,
    NotificationEvent, NotificationKind, PendingEvent, RevocationReason, ZoneId,
};
use certgate_store::{Store, StoreError};

use crate::notification::{Notification, NotifiedCertificate, NotifiedZone, Subject};

/// The zones and certificates that events are about.
pub(crate) struct Details {
    zones: BTreeMap<ZoneId, Option<String>>,
    certificates: BTreeMap<CertificateId, CertificateRecord>,
}

impl Details {
    /// Reads the details of events.
    pub(crate) async fn read(
        store: &Arc<dyn Store>,
        events: &[&PendingEvent],
    ) -> Result<Self, StoreError> {
        let mut wanted = BTreeMap::<ZoneId, Vec<CertificateId>>::new();
        for PendingEvent { event, .. } in events {
            let Some(zone) = event.zone() else {
                continue;
            };
            let wanted = wanted.entry(zone).or_default();
            match event {
                NotificationEvent::Change(_) => {
                    wanted.push(CertificateId::from_bytes(event.object()));
                }
                NotificationEvent::Condition(condition) => {
                    wanted.extend(&condition.certificates);
                }
            }
        }
        let mut details = Self {
            zones: BTreeMap::new(),
            certificates: BTreeMap::new(),
        };
        for (zone, mut ids) in wanted {
            let name = store.zone(zone).await?.map(|zone| zone.name);
            details.zones.insert(zone, name);
            ids.sort_unstable();
            ids.dedup();
            // An answer ends where its octets reach a limit.
            while !ids.is_empty() {
                let found = store.certificates_by_ids(zone, ids.clone()).await?;
                let Some(last) = found.last().map(|record| record.id) else {
                    break;
                };
                ids.retain(|id| *id > last);
                let found = found.into_iter().map(|record| (record.id, record));
                details.certificates.extend(found);
            }
        }
        Ok(details)
    }

    /// Returns an event with its details; [`None`] if it is not one that is reported.
    pub(crate) fn notification(&self, pending: &PendingEvent) -> Option<Notification> {
        let event = &pending.event;
        let subject = match event {
            NotificationEvent::Change(entry) => {
                let mut words = entry.detail.split_whitespace();
                let reason = words.find_map(|word| word.strip_prefix("reason="));
                let reason = reason.and_then(RevocationReason::from_name);
                Subject::Certificate {
                    kind: event.kind()?,
                    actor: entry.by.actor,
                    reason: reason.map(|reason| reason.name().to_owned()),
                    zone: self.zone(event.zone()?),
                    certificate: self.certificate(CertificateId::from_bytes(entry.resource)),
                }
            }
            NotificationEvent::Condition(condition) => self.condition(condition)?,
        };
        Some(Notification {
            id: event.id(),
            at: event.at(),
            account: event.account(),
            subject,
        })
    }

    fn condition(&self, condition: &Condition) -> Option<Subject> {
        let name = condition.name.clone();
        Some(match condition.kind {
            NotificationKind::Issued | NotificationKind::Revoked | NotificationKind::Restored => {
                return None;
            }
            NotificationKind::Expiring => Subject::Expiring {
                zone: self.zone(ZoneId::from_bytes(condition.object)),
                count: condition.count,
                certificates: condition
                    .certificates
                    .iter()
                    .map(|id| self.certificate(*id))
                    .collect(),
            },
            NotificationKind::AuthorityExpiring => Subject::Authority {
                id: AuthorityId::from_bytes(condition.object),
                name,
                expires_on: condition.since,
            },
            NotificationKind::CrlOverdue => Subject::Crl {
                authority: AuthorityId::from_bytes(condition.object),
                name,
                next_update: condition.since,
            },
            NotificationKind::PointSilent => Subject::Point {
                id: EnforcementPointId::from_bytes(condition.object),
                name,
                lease_ended_on: condition.since,
            },
        })
    }

    fn zone(&self, id: ZoneId) -> NotifiedZone {
        NotifiedZone {
            id,
            name: self.zones.get(&id).cloned().flatten(),
        }
    }

    fn certificate(&self, id: CertificateId) -> NotifiedCertificate {
        NotifiedCertificate {
            id,
            record: self.certificates.get(&id).cloned().map(Box::new),
        }
    }
}
