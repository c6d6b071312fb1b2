//! The enforcement of changes on open connections.

use std::sync::Arc;

use super::config::Policy;
use super::shared::Gateway;
use super::table::{CutReason, Tracked};
use crate::{Applied, Change, Enforce, EnforceError};

/// Cuts the connections that a change concerns. The view has the change already.
pub struct Enforcer(Arc<Gateway>);

impl Enforce for Enforcer {
    async fn enforce(&self, applied: &Applied) -> Result<(), EnforceError> {
        match applied {
            Applied::Everything => self.follow_everything().await,
            Applied::Changes {
                certificates,
                configuration,
            } => {
                self.follow_certificates(certificates);
                match configuration {
                    true => self.follow_everything().await,
                    false => Ok(()),
                }
            }
        }
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

    /// Looks at all connections on a thread of its own. New paths need signatures: those of
    /// thousands of connections take seconds, in which the follower publishes further changes.
    async fn follow_everything(&self) -> Result<(), EnforceError> {
        let gateway = self.0.clone();
        let followed = tokio::task::spawn_blocking(move || follow_everything(&gateway));
        let followed = followed.await;
        followed.map_err(|error| EnforceError::new(error.to_string()))
    }
}

/// Makes new ticket keys where the CAs of a host have changed, and cuts the connections whose
/// certificates the view does not admit any more.
fn follow_everything(gateway: &Gateway) {
    let active = gateway.active().clone();
    active.follow_authorities(&gateway.view);
    gateway.table.cut_where(|connection| {
        let host = active.hosts.get(&connection.host)?;
        if host.config.client_certificates == Policy::Off || !connection.was_admitted() {
            return None;
        }
        let judged = gateway.judge(connection);
        if judged.verdict.is_admitted() {
            if let Some(tracked) = Tracked::of(&judged) {
                gateway.table.track(connection, tracked);
            }
            return None;
        }
        Some(match judged.is_revoked() {
            true => CutReason::Revoked,
            false => CutReason::Refused,
        })
    });
}
