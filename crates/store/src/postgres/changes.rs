//! Changes of statuses that owners ask for, as many in one stroke as wait.
//!
//! The rows are read and written one by one, but nothing waits for the answer to the one before: statements follow each other
//! on the wire. So a batch takes as many round trips as one change. (One UPDATE that joins a list of values would be fewer statements. But
//! the plan of a prepared statement may be older than the rows: one that was made for a table of ten rows reads all
//! of ten million.)

use std::collections::BTreeMap;

use certgate_model::{
    AccountId, AuditAction, AuditOwner, AuthorityId, AuthorityRef, By, CertificateId,
    CertificateRecord, Event, ResourceType, RevocationReason, Status, Timestamp, Transition,
    ZoneId,
};
use futures_util::future::{try_join_all, try_join5};

use super::audit::{self, Deed};
use super::counters::{Layout, Position, Shifts};
use super::db::Db;
use super::error::corrupt;
use super::revocations::{self, Aged};
use super::statuses::expect_one;
use super::value::values;
use super::{certificates, tenants};
use crate::audit::reason_text;
use crate::{StatusChange, StoreError};

/// An event to apply to a certificate.
pub(super) struct Change {
    pub(super) zone: ZoneId,
    pub(super) id: CertificateId,
    pub(super) event: Event,
    pub(super) by: By,
}

/// A certificate while it is changed, maybe several times.
struct Subject {
    position: Position,
    authority: i64,
    account: AccountId,
    stored: Status,
    record: CertificateRecord,
    /// Of its last change in this batch, but for settling.
    epoch: Option<i64>,
    is_changed: bool,
}

/// Applies events in their order. `None`: the zone has no such certificate.
pub(super) async fn make(
    db: &Db,
    layout: Layout,
    changes: &[&Change],
) -> Result<Vec<Option<StatusChange>>, StoreError> {
    let mut subjects = subjects(db, changes).await?;
    // 1. Decide.
    let (mut outcomes, mut accepted) = (Vec::with_capacity(changes.len()), Vec::new());
    let mut epochs = Epochs::default();
    for change in changes {
        let Some(subject) = subjects.get_mut(&key(change)) else {
            outcomes.push(None);
            continue;
        };
        let next = match subject.record.on(change.event) {
            Transition::To(next) => next,
            Transition::Unchanged => {
                outcomes.push(Some(StatusChange::Unchanged(subject.record.clone())));
                continue;
            }
            Transition::Refused => {
                outcomes.push(Some(StatusChange::Refused));
                continue;
            }
        };
        subject.record.status = next;
        subject.is_changed = true;
        (subject.record.revoked_on, subject.record.revocation_reason) = match change.event {
            Event::Revoke(reason) => (Some(change.by.at), Some(reason)),
            Event::Reactivate => (None, None),
            Event::Settle => (subject.record.revoked_on, subject.record.revocation_reason),
        };
        if change.event != Event::Settle {
            epochs.want(subject.authority);
            accepted.push(*change);
        }
        outcomes.push(Some(StatusChange::Changed(subject.record.clone())));
    }
    // 2. Each change that was accepted has an epoch, and an entry in the log of its account.
    let (mut aged, mut logs) = (Aged::default(), Logs::default());
    for (change, epoch) in accepted.into_iter().zip(epochs.take(db).await?) {
        let Some(subject) = subjects.get_mut(&key(change)) else {
            continue;
        };
        subject.epoch = Some(epoch);
        aged.add(subject.authority, subject.record.serial, epoch);
        let (action, reason) = match change.event {
            Event::Revoke(reason) => (AuditAction::Revoke, reason_text(reason)),
            _ => (AuditAction::Reactivate, String::new()),
        };
        logs.add(
            subject.account,
            &change.by,
            action,
            &subject.record,
            format!("{reason}epoch={epoch}"),
        );
    }
    // 3. What has come of it.
    let mut shifts = Shifts::default();
    let (mut rows, mut lists) = (Vec::new(), Vec::new());
    for subject in subjects.values().filter(|subject| subject.is_changed) {
        shifts.shift(
            layout,
            subject.position,
            subject.stored,
            subject.record.status,
        );
        rows.push(update(db, subject));
        if subject.epoch.is_some() {
            lists.push(revocations::change(
                db,
                subject.authority,
                subject.position,
                &subject.record,
            ));
        }
    }
    try_join5(
        try_join_all(rows),
        try_join_all(lists),
        aged.mark(db),
        shifts.make(db),
        logs.write(db),
    )
    .await?;
    Ok(outcomes)
}

type Key = ([u8; 16], [u8; 16]);

fn key(change: &Change) -> Key {
    (*change.zone.as_bytes(), *change.id.as_bytes())
}

/// The certificates that are to be changed, of zones that exist.
async fn subjects(db: &Db, changes: &[&Change]) -> Result<BTreeMap<Key, Subject>, StoreError> {
    let wanted: BTreeMap<_, _> = changes
        .iter()
        .map(|change| (key(change), *change))
        .collect();
    let zones: BTreeMap<_, _> = wanted
        .values()
        .map(|change| (*change.zone.as_bytes(), change.zone))
        .collect();
    let numbers = try_join_all(zones.values().map(|zone| tenants::zone_number(db, *zone))).await?;
    let zones: BTreeMap<_, _> = zones.into_keys().zip(numbers).collect();
    let rows = try_join_all(
        wanted
            .values()
            .map(|change| certificates::row_of(db, change.id)),
    )
    .await?;
    let mut found = Vec::new();
    for ((key, change), row) in wanted.into_iter().zip(rows) {
        let Some((position, authority, row)) = row else {
            continue;
        };
        if zones.get(&key.0) == Some(&Some(position.zone())) {
            found.push((key, change.zone, position, authority, row));
        }
    }
    let mut authorities: BTreeMap<_, _> = found
        .iter()
        .map(|(.., authority, _)| (*authority, None))
        .collect();
    for (number, authority) in &mut authorities {
        *authority = Some(self::authority(db, *number).await?);
    }
    let mut subjects = BTreeMap::new();
    for (key, zone, position, authority, row) in found {
        let Some(Some((account, reference))) = authorities.get(&authority) else {
            continue;
        };
        let record = certificates::record(zone, reference.clone(), &row)?;
        let (account, stored) = (*account, record.status);
        let subject = Subject {
            position,
            authority,
            account,
            stored,
            record,
            epoch: None,
            is_changed: false,
        };
        subjects.insert(key, subject);
    }
    Ok(subjects)
}

async fn authority(db: &Db, number: i64) -> Result<(AccountId, AuthorityRef), StoreError> {
    let select = "SELECT account, id, name FROM authorities WHERE number = $1";
    let row = db.optional(select, values![number]).await?;
    let row = row.ok_or_else(|| {
        corrupt(format!(
            "a certificate names authority {number}, which is missing"
        ))
    })?;
    let id = AuthorityId::from_bytes(row.get(1)?);
    Ok((
        AccountId::from_bytes(row.get(0)?),
        AuthorityRef {
            id,
            name: row.get(2)?,
        },
    ))
}

async fn update(db: &Db, subject: &Subject) -> Result<(), StoreError> {
    let Subject {
        position,
        stored,
        record,
        epoch,
        ..
    } = subject;
    let changed = db
        .execute(
            "UPDATE certificates SET status = $1, epoch = coalesce($2, epoch), revoked_on = $3, reason = $4 \
             WHERE position = $5 AND status = $6",
            values![
                record.status.code(),
                *epoch,
                record.revoked_on.map(Timestamp::unix_microseconds),
                record.revocation_reason.map(RevocationReason::code),
                position.0,
                stored.code(),
            ],
        )
        .await?;
    expect_one(changed, *position)
}

/// The epochs that a batch takes, each for a change of a certificate of an authority.
#[derive(Default)]
pub(super) struct Epochs(Vec<i64>);

impl Epochs {
    /// One more, for a certificate of this authority.
    pub(super) fn want(&mut self, authority: i64) {
        self.0.push(authority);
    }

    /// The numbers of the next accepted changes, in the order in which they were wanted; the last one of each authority too.
    pub(super) async fn take(self, db: &Db) -> Result<std::ops::Range<i64>, StoreError> {
        let Self(authorities) = self;
        let count = authorities.len() as i64;
        if count == 0 {
            return Ok(0..0);
        }
        let next =
            "UPDATE store SET last_epoch = last_epoch + $1 WHERE \"only\" = 1 RETURNING last_epoch";
        let last: i64 = db.one(next, values![count]).await?.get(0)?;
        let epochs = last - count + 1..last + 1;
        let last_of_each: BTreeMap<_, _> = authorities.into_iter().zip(epochs.clone()).collect();
        let update = "UPDATE authorities SET last_epoch = $1 WHERE number = $2";
        let note = async |(authority, epoch)| db.execute(update, values![epoch, authority]).await;
        try_join_all(last_of_each.into_iter().map(note)).await?;
        Ok(epochs)
    }
}

/// What a batch does to certificates, for the logs of their accounts.
#[derive(Default)]
pub(super) struct Logs<'b>(BTreeMap<[u8; 16], (AccountId, Deeds<'b>)>);

type Deeds<'b> = Vec<(&'b By, Deed)>;

impl<'b> Logs<'b> {
    pub(super) fn add(
        &mut self,
        account: AccountId,
        by: &'b By,
        action: AuditAction,
        certificate: &CertificateRecord,
        detail: String,
    ) {
        let deed = Deed::new(
            action,
            ResourceType::ClientCertificate,
            certificate.id.as_bytes(),
            detail,
        )
        .in_zone(certificate.zone)
        .of_certificate(certificate.fingerprint_sha256);
        self.0
            .entry(*account.as_bytes())
            .or_insert_with(|| (account, Vec::new()))
            .1
            .push((by, deed));
    }

    pub(super) async fn write(self, db: &Db) -> Result<(), StoreError> {
        // One after another: two logs may both begin now, and take a number each.
        for (account, deeds) in self.0.into_values() {
            audit::record_all(db, AuditOwner::Account(account), deeds).await?;
        }
        Ok(())
    }
}
