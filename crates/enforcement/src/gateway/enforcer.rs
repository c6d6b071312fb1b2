//! The enforcement of changes on open connections.

use std::sync::Arc;

use super::config::Policy;
use super::shared::Gateway;
use super::table::CutReason;
use crate::{Applied, Change, Enforce, EnforceError};

/// Cuts the connections that a change concerns. The view has the change already.
pub struct Enforcer(Arc<Gateway>);

impl Enforce for Enforcer {
    async fn enforce(&self, applied: &Applied) -> Result<(), EnforceError> {
        match applied {
            Applied::Everything => self.follow_everything(),
            Applied::Changes {
                certificates,
                configuration,
            } => {
                self.follow_certificates(certificates);
                if *configuration {
                    self.follow_everything();
                }
            }
        }
        Ok(())
    }
}

impl Enforcer {
    /// Makes the part of this gateway that enforces changes.
    pub(super) fn new(gateway: Arc<Gateway>) -> Self {
        Self(gateway)
    }

    /// Cuts the connections of exactly the revoked certificates.
    fn follow_certificates(&self, changes: &[Change]) {
        for change in changes.iter().filter(|change| change.revoked) {
            let key = (change.authority, change.serial);
            self.0.table.cut_certificate(&key, CutReason::Revoked);
        }
    }

    /// Makes new ticket keys where the CAs of a host have changed, and cuts the connections whose
    /// certificates the view does not admit any more.
    fn follow_everything(&self) {
        let gateway = &self.0;
        let active = gateway.active().clone();
        for host in active.hosts.values() {
            if host.config.client_certificates != Policy::Off {
                host.follow_authorities(&gateway.view);
            }
        }
        gateway.table.cut_where(|connection| {
            let host = active.hosts.get(&connection.host)?;
            if host.config.client_certificates == Policy::Off || !connection.was_admitted() {
                return None;
            }
            let judged = gateway.judge(connection);
            let reason = match judged.is_revoked() {
                true => CutReason::Revoked,
                false => CutReason::Refused,
            };
            (!judged.verdict.is_admitted()).then_some(reason)
        });
    }
}
