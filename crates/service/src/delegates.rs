use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex};

use certgate_model::{AuthorityId, SerialNumber, Timestamp, lock, this_update};
use certgate_pki::{OcspResponder, RESPONDER_KEY, SigningKey, Validity, responder_certificate};

use crate::environment::Environment;
use crate::error::{Fault, internal};
use crate::issuers::ReadyIssuer;

/// Validity of a delegate's certificate, in days. It cannot be revoked.
const RESPONDER_VALIDITY_DAYS: u32 = 30;

/// A delegate's certificate is replaced this long before it expires, in days.
const RESPONDER_RENEWAL_DAYS: u32 = 7;

/// P-256 keys that sign OCSP answers for CAs with RSA or Ed25519 keys (RFC 6960 §4.2.2.2).
///
/// A delegate is created when it is needed, and never stored: a new one serves as well.
pub(crate) struct Delegates {
    environment: Environment,
    by_authority: Mutex<HashMap<AuthorityId, Arc<Delegate>>>,
    /// Held while a delegate is created.
    creating: tokio::sync::Mutex<()>,
}

pub(crate) struct Delegate {
    pub(crate) responder: OcspResponder<'static>,
    used: Range<Timestamp>,
}

impl Delegates {
    pub(crate) fn new(environment: Environment) -> Self {
        Self {
            environment,
            by_authority: Mutex::default(),
            creating: tokio::sync::Mutex::default(),
        }
    }

    /// Returns the delegate of a CA.
    pub(crate) async fn of(
        &self,
        ca: &Arc<ReadyIssuer>,
        now: Timestamp,
    ) -> Result<Arc<Delegate>, Fault> {
        let id = ca.authority.id;
        if let Some(current) = self.current(id, now) {
            return Ok(current);
        }
        let _one_at_a_time = self.creating.lock().await;
        if let Some(created_meanwhile) = self.current(id, now) {
            return Ok(created_meanwhile);
        }
        let mut octets = [0; 20];
        self.environment.random.fill(&mut octets);
        let serial = SerialNumber::from_random(octets);
        let ca = ca.clone();
        let created = self
            .environment
            .signers
            .run(move || create(&ca, serial, now));
        let created = Arc::new(created.await??);
        lock(&self.by_authority).insert(id, created.clone());
        Ok(created)
    }

    fn current(&self, id: AuthorityId, now: Timestamp) -> Option<Arc<Delegate>> {
        let by_authority = lock(&self.by_authority);
        let current = by_authority.get(&id)?;
        current.used.contains(&now).then(|| current.clone())
    }
}

fn create(ca: &ReadyIssuer, serial: SerialNumber, now: Timestamp) -> Result<Delegate, Fault> {
    let not_before = this_update(now).cut_to_minute();
    let not_after = not_before.plus_days(RESPONDER_VALIDITY_DAYS);
    let not_after = not_after.min(ca.issuer.expires_on().cut_to_minute());
    let key = SigningKey::generate(RESPONDER_KEY).map_err(internal)?;
    let validity = Validity {
        not_before,
        not_after,
    };
    let certificate =
        responder_certificate(&ca.issuer, &key, serial, validity).map_err(internal)?;
    let responder = OcspResponder::delegate(key, certificate).map_err(internal)?;
    let used_until = not_before.plus_days(RESPONDER_VALIDITY_DAYS - RESPONDER_RENEWAL_DAYS);
    Ok(Delegate {
        responder,
        used: not_before..used_until.min(not_after),
    })
}
