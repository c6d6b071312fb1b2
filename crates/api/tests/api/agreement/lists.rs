//! The CRLs of the public responder.

use std::collections::BTreeMap;

use certgate_model::{AuthorityId, CrlKind, Timestamp};
use certgate_store::prelude::*;
use certgate_testkit::TestApp;
use http::Method;
use x509_cert::crl::CertificateList;
use x509_cert::der::Decode;
use x509_cert::der::oid::AssociatedOid;
use x509_cert::ext::pkix::{CrlNumber, CrlReason};

use super::model::{Certificate, Entries, Model, Revoked};
use super::ocsp::EARLY_SECONDS;

/// The remaining validity at which a CRL is renewed, in days.
const RENEWAL_DAYS: u32 = 3;

#[derive(Default)]
pub struct Lists(BTreeMap<(AuthorityId, CrlKind), List>);

struct List {
    /// The epoch up to which it claims to have the changes.
    epoch: u64,
    read: Read,
}

struct Read {
    der: Vec<u8>,
    number: u64,
    this_update: Timestamp,
    next_update: Timestamp,
    entries: Entries,
}

impl Lists {
    /// Reads the new lists of a CA. Checks that each has exactly the certificates that were revoked
    /// at the epoch that it claims.
    pub async fn look(&mut self, app: &TestApp, authority: AuthorityId, model: &Model) {
        for state in app.store.crl_states(authority).await.unwrap() {
            let key = (authority, state.kind);
            let before = self.0.get(&key);
            if before.is_some_and(|list| {
                list.read.number == state.number && list.read.entries.is_empty()
            }) {
                continue;
            }
            let read = read(app, authority, state.kind).await;
            assert_eq!(
                read.number, state.number,
                "{key:?}: the one that was published last is handed out"
            );
            if let Some(List { read: before, .. }) = before
                && before.number == read.number
            {
                assert!(
                    before.der == read.der,
                    "{key:?}: two lists have the number {}",
                    read.number
                );
                continue;
            }
            let epoch = app
                .store
                .crl(authority, state.kind)
                .await
                .unwrap()
                .unwrap()
                .epoch;
            // RFC 5280 §3.3: an entry stays until a list was made after the certificate had
            // expired, which the one before was.
            let mut live_from = Timestamp::EARLIEST;
            if let Some(before) = before {
                assert!(read.number > before.read.number, "{key:?}: numbers grow");
                assert!(
                    epoch >= before.epoch,
                    "{key:?}: the epoch {} was claimed before",
                    before.epoch
                );
                live_from = before.read.this_update;
            }
            assert_eq!(
                read.entries,
                model.entries(authority, state.kind, epoch, live_from),
                "{key:?} at {epoch}"
            );
            self.0.insert(key, List { epoch, read });
        }
    }

    /// Returns true if the lists allow what the API shows of a certificate with a settled change:
    /// each of them has it if it is revoked and has not expired, and none has it otherwise.
    pub fn allow(&self, certificate: &Certificate, now: Timestamp) -> bool {
        certificate.kinds().into_iter().all(|kind| {
            let list = self.0.get(&(certificate.authority, kind));
            let held = list.and_then(|list| list.read.entries.get(certificate.serial.as_bytes()));
            match certificate.revoked() {
                Some(_) if held.is_none() => certificate.expires_on < now && list.is_some(),
                revoked => held.copied() == revoked,
            }
        })
    }

    /// Checks the published lists, except those that `obstructed` names: each exists, is not due
    /// for renewal, and has the last change of every certificate.
    pub fn check_published(
        &self,
        authority: AuthorityId,
        model: &Model,
        now: Timestamp,
        obstructed: impl Fn(CrlKind) -> bool,
    ) {
        for kind in CrlKind::all().filter(|kind| !obstructed(*kind)) {
            let list = self
                .0
                .get(&(authority, kind))
                .unwrap_or_else(|| panic!("{authority} lacks {kind:?}"));
            let left = now.plus_days(RENEWAL_DAYS)..;
            assert!(
                left.contains(&list.read.next_update),
                "{authority} {kind:?} is not made again"
            );
            let of_it =
                |one: &&Certificate| one.authority == authority && one.kinds().contains(&kind);
            let changed = model
                .certificates
                .iter()
                .filter(of_it)
                .map(Certificate::epoch)
                .max();
            assert!(
                Some(list.epoch) >= changed,
                "{authority} {kind:?} lacks a change"
            );
        }
    }

    /// Checks that the bundle has every list except the full one, unchanged.
    pub async fn check_bundle(&self, app: &TestApp, authority: AuthorityId) {
        let bundle = app
            .public(Method::GET, &format!("/crl/{authority}/bundle.pem"))
            .await;
        let lists = self
            .0
            .range((authority, CrlKind::Shard(0))..(authority, CrlKind::Full));
        let pem = lists.map(|(_, list)| certgate_pki::pem_lines("X509 CRL", &list.read.der) + "\n");
        assert!(
            bundle.bytes == pem.collect::<String>().into_bytes(),
            "the bundle of {authority}"
        );
    }
}

async fn read(app: &TestApp, authority: AuthorityId, kind: CrlKind) -> Read {
    let file = match kind {
        CrlKind::Shard(shard) => shard.to_string(),
        CrlKind::AuthorityCertificates => "ca".to_owned(),
        CrlKind::Full => "full".to_owned(),
    };
    let answer = app
        .public(Method::GET, &format!("/crl/{authority}/{file}.crl"))
        .await;
    assert_eq!(answer.status, 200, "{authority}/{file}.crl");
    let list = <CertificateList>::from_der(&answer.bytes)
        .unwrap()
        .tbs_cert_list;
    let number = list
        .crl_extensions
        .iter()
        .flatten()
        .find(|one| one.extn_id == CrlNumber::OID)
        .unwrap();
    let number = CrlNumber::from_der(number.extn_value.as_bytes()).unwrap().0;
    let revoked = list.revoked_certificates.unwrap_or_default();
    let count = revoked.len();
    let entries: Entries = revoked
        .into_iter()
        .map(|entry| {
            // An entry has no other extension than its reason.
            let reason = entry.crl_entry_extensions.iter().flatten().next();
            let reason = reason.map_or(0, |reason| {
                CrlReason::from_der(reason.extn_value.as_bytes()).unwrap() as u8
            });
            let serial = entry.serial_number.as_bytes().try_into().unwrap();
            (
                serial,
                Revoked {
                    at: seconds(entry.revocation_date) + EARLY_SECONDS,
                    reason,
                },
            )
        })
        .collect();
    assert_eq!(
        entries.len(),
        count,
        "{authority}/{file}.crl holds nothing twice"
    );
    Read {
        number: number
            .as_bytes()
            .iter()
            .fold(0, |number, octet| number << 8 | u64::from(*octet)),
        this_update: Timestamp::from_unix(seconds(list.this_update)),
        next_update: Timestamp::from_unix(seconds(list.next_update.unwrap())),
        entries,
        der: answer.bytes,
    }
}

fn seconds(time: x509_cert::time::Time) -> i64 {
    i64::try_from(time.to_unix_duration().as_secs()).unwrap()
}
