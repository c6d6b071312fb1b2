//! Changes of statuses that clients ask for: all waiting changes together.
//!
//! Rows are read and written one by one, but no statement waits for the answer to the one before:
//! they follow each other on the wire. One UPDATE that joins a list of values would be fewer
//! statements, but the plan of a prepared statement can be older than the rows: a plan that was
//! made for a table of ten rows reads all of ten million.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use certgate_model::{
    AccountId, AuditAction, AuditOwner, AuthorityRef, By, CertificateId, CertificateRecord, Event,
    ResourceType, RevocationReason, SerialNumber, Timestamp, Transition, ZoneId,
};
use futures_util::future::{try_join, try_join5};

use super::account_epochs::{self, Stretch};
use super::audit;
use super::certificates::{self, Found};
use super::counters::Shifts;
use super::indexing::Uncounted;
use super::revocations::{self, Aged, Listed};
use super::tallies::{Counted, Standing, Tallies};
use crate::audit::{AuditEvent, reason_text};
use crate::db::{Db, values};
use crate::error::corrupt;
use crate::position::Position;
use crate::{StatusChange, StoreError};

/// An event to apply to a certificate.
pub(crate) struct RequestedChange {
    pub(crate) zone: ZoneId,
    pub(crate) id: CertificateId,
    pub(crate) event: Event,
    pub(crate) by: By,
}

/// A certificate while a batch changes it, possibly several times.
struct Changing {
    position: Position,
    authority: i64,
    account: AccountId,
    stored: Standing,
    uncounted: Uncounted,
    record: CertificateRecord,
    /// The epoch of its last change in this batch, except settling.
    epoch: Option<i64>,
    /// The time of its last settling in this batch.
    settled_on: Option<Timestamp>,
    is_changed: bool,
}

/// Applies events in their order. `None`: the zone has no such certificate.
pub(crate) async fn make<D: Db>(
    db: &D,
    changes: &[&RequestedChange],
) -> Result<Vec<Option<StatusChange>>, StoreError> {
    let mut certificates = read(db, changes).await?;
    // 1. Decide.
    let mut outcomes = Vec::with_capacity(changes.len());
    let (mut accepted, mut owners) = (Vec::new(), Vec::new());
    for change in changes {
        let Some(changing) = certificates.get_mut(&(change.zone, change.id)) else {
            outcomes.push(None);
            continue;
        };
        outcomes.push(Some(
            match changing.record.apply(change.event, change.by.at) {
                Transition::To(_) => {
                    changing.is_changed = true;
                    if change.event != Event::Settle {
                        owners.push((changing.account, changing.authority));
                        accepted.push(*change);
                    } else {
                        changing.settled_on = Some(change.by.at);
                    }
                    StatusChange::Changed(changing.record.clone())
                }
                Transition::Unchanged => StatusChange::Unchanged(changing.record.clone()),
                Transition::Refused => StatusChange::Refused,
            },
        ));
    }
    // 2. Each accepted change has an epoch, and an entry in the log of its account.
    let (mut aged, mut logs) = (Aged::default(), Logs::default());
    for (change, Taken { epoch, number }) in accepted
        .into_iter()
        .zip(Epochs::new(owners).take(db).await?)
    {
        let Some(changing) = certificates.get_mut(&(change.zone, change.id)) else {
            continue;
        };
        changing.epoch = Some(epoch);
        aged.add(changing.authority, changing.record.serial, epoch);
        let (action, reason) = match change.event {
            Event::Revoke(reason) => (AuditAction::Revoke, reason_text(reason)),
            _ => (AuditAction::Reactivate, String::new()),
        };
        let detail = format!("{reason}epoch={number}");
        logs.add(
            changing.account,
            &change.by,
            action,
            &changing.record,
            detail,
        );
    }
    // 3. Write the consequences.
    let changed: Vec<_> = certificates
        .into_values()
        .filter(|one| one.is_changed)
        .collect();
    let (mut shifts, mut listed) = (Shifts::default(), Vec::new());
    let mut tallies = Tallies::default();
    for Changing {
        position,
        authority,
        stored,
        uncounted,
        record,
        epoch,
        ..
    } in &changed
    {
        let (from, to) = (stored.status, record.status);
        shifts.shift(db.layout(), *position, from, to, stored.is_replaced);
        if uncounted.has(*position) {
            let counted = Counted {
                position: *position,
                authority: *authority,
                expires_on: record.expires_on,
            };
            tallies.change(counted, *stored, Standing::of(record, stored.is_replaced));
        }
        if epoch.is_some() {
            listed.push(Listed::new(*authority, *position, record));
        }
    }
    try_join5(
        update(db, &changed),
        revocations::list(db, &listed),
        aged.mark(db),
        try_join(shifts.make(db), tallies.make(db)),
        logs.write(db),
    )
    .await?;
    Ok(outcomes)
}

/// Reads the certificates to change, of zones that exist.
async fn read<D: Db>(
    db: &D,
    changes: &[&RequestedChange],
) -> Result<BTreeMap<(ZoneId, CertificateId), Changing>, StoreError> {
    let wanted: BTreeSet<_> = changes
        .iter()
        .map(|change| (change.zone, change.id))
        .collect();
    let zones: BTreeSet<_> = wanted.iter().map(|(zone, _)| *zone).collect();
    let zone_keys: Vec<_> = zones.iter().map(|zone| values![*zone].to_vec()).collect();
    let keys: Vec<_> = wanted.iter().map(|(_, id)| values![*id].to_vec()).collect();
    let zone_number = "SELECT zones.number, indexing.counted_below, replacement_counting.below \
                       FROM zones LEFT JOIN indexing ON indexing.zone = zones.number \
                       LEFT JOIN replacement_counting ON replacement_counting.zone = zones.number \
                       WHERE zones.id = ?1 AND zones.deleted_at IS NULL";
    let (numbers, found) = try_join(
        db.optional_each(zone_number, &zone_keys, |row| {
            let uncounted = Uncounted {
                below: row.get(1)?,
                replaced_below: row.get(2)?,
            };
            Ok((row.get::<i64>(0)?, uncounted))
        }),
        db.optional_each(certificates::FIND, &keys, Found::read),
    )
    .await?;
    let zones: BTreeMap<_, _> = zones.into_iter().zip(numbers).collect();
    let mut authorities = BTreeMap::<i64, (AccountId, AuthorityRef)>::new();
    let mut certificates = BTreeMap::new();
    for ((zone, id), found) in wanted.into_iter().zip(found) {
        let Some(found) = found else { continue };
        let (position, number) = (found.position, found.authority);
        let uncounted = match zones.get(&zone) {
            Some(Some((number, uncounted))) if *number == position.zone() => *uncounted,
            _ => continue,
        };
        let (account, name) = match authorities.entry(number) {
            Entry::Occupied(known) => known.get().clone(),
            Entry::Vacant(place) => place.insert(authority(db, number).await?).clone(),
        };
        let mut record = found.named(zone, name);
        // The lists name the certificate that verifiers see, even if the column is corrupt.
        if let Some(serial) = SerialNumber::of_certificate(&record.der) {
            record.serial = serial;
        }
        let is_replaced = record.lineage.replaced_by.is_some() && uncounted.has_replaced(position);
        let changing = Changing {
            position,
            authority: number,
            account,
            stored: Standing::of(&record, is_replaced),
            uncounted,
            record,
            epoch: None,
            settled_on: None,
            is_changed: false,
        };
        certificates.insert((zone, id), changing);
    }
    Ok(certificates)
}

async fn authority<D: Db>(db: &D, number: i64) -> Result<(AccountId, AuthorityRef), StoreError> {
    let select = "SELECT account, id, name FROM authorities WHERE number = ?1";
    let found = db
        .optional(select, &values![number], |row| {
            let name = AuthorityRef {
                id: row.get(1)?,
                name: row.get(2)?,
            };
            Ok((row.get(0)?, name))
        })
        .await?;
    found.ok_or_else(|| {
        corrupt(format!(
            "a certificate names the CA with number {number}, which is missing"
        ))
    })
}

async fn update<D: Db>(db: &D, changed: &[Changing]) -> Result<(), StoreError> {
    let update = "UPDATE statuses SET status = ?1, epoch = coalesce(?2, epoch), revoked_on = ?3, \
                  reason = ?4, settled_on = coalesce(?7, settled_on) \
                  WHERE position = ?5 AND status = ?6";
    let cells: Vec<_> = changed
        .iter()
        .map(|one| {
            values![
                one.record.status.code(),
                one.epoch,
                one.record.revoked_on,
                one.record.revocation_reason.map(RevocationReason::code),
                one.position.0,
                one.stored.status.code(),
                one.settled_on,
            ]
            .to_vec()
        })
        .collect();
    let updated = db.execute_each(update, &cells).await?;
    expect_one_each(updated, changed.iter().map(|one| one.position))
}

/// Checks a compare-and-set on rows that were read in the same transaction: nothing else can have
/// changed them.
pub(super) fn expect_one_each(
    updated: Vec<u64>,
    positions: impl Iterator<Item = Position>,
) -> Result<(), StoreError> {
    match updated
        .into_iter()
        .zip(positions)
        .find(|(updated, _)| *updated != 1)
    {
        None => Ok(()),
        Some((_, position)) => Err(corrupt(format!(
            "the certificate at {} is indexed in another status than it has",
            position.0
        ))),
    }
}

/// The epoch of a change, and the number that its account has for it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Taken {
    pub(super) epoch: i64,
    pub(super) number: i64,
}

/// The epochs that a batch takes, one for each accepted change: the accounts and the numbers of
/// their CAs.
pub(super) struct Epochs(Vec<(AccountId, i64)>);

impl Epochs {
    pub(super) fn new(owners: Vec<(AccountId, i64)>) -> Self {
        Self(owners)
    }

    /// Takes the next epochs, and stores the last one of each CA. Those of an account follow each
    /// other, in the order of its changes.
    pub(super) async fn take<D: Db>(self, db: &D) -> Result<Vec<Taken>, StoreError> {
        let Self(owners) = self;
        let count = owners.len() as i64;
        if count == 0 {
            return Ok(Vec::new());
        }
        let next = "UPDATE store SET last_epoch = last_epoch + ?1 WHERE \"only\" = 1 \
                    RETURNING last_epoch";
        let last: i64 = db.one(next, &values![count], |row| row.get(0)).await?;
        let mut counts = BTreeMap::<AccountId, i64>::new();
        for (account, _) in &owners {
            *counts.entry(*account).or_default() += 1;
        }
        let (mut stretches, mut next) = (Vec::new(), last - count + 1);
        for (account, count) in counts {
            stretches.push(Stretch {
                account,
                first: next,
                last: next + count - 1,
            });
            next += count;
        }
        let mut next_of: BTreeMap<_, _> = stretches
            .iter()
            .map(|stretch| (stretch.account, stretch.first))
            .collect();
        let mut epochs = Vec::with_capacity(owners.len());
        for (account, _) in &owners {
            let next = next_of.entry(*account).or_default();
            epochs.push(*next);
            *next += 1;
        }
        let authorities = owners.iter().map(|(_, authority)| *authority);
        let last_of_each: BTreeMap<_, _> = authorities.zip(epochs.iter().copied()).collect();
        let cells: Vec<_> = last_of_each
            .into_iter()
            .map(|(authority, epoch)| values![epoch, authority].to_vec())
            .collect();
        let update = "UPDATE authorities SET last_epoch = ?1 WHERE number = ?2";
        let (_, last_numbers) = try_join(
            db.execute_each(update, &cells),
            account_epochs::number(db, &stretches, 0),
        )
        .await?;
        // The epochs of an account and its numbers differ by the same value.
        let distances: BTreeMap<_, _> = stretches
            .iter()
            .zip(last_numbers)
            .map(|(stretch, number)| (stretch.account, stretch.last - number))
            .collect();
        let taken = owners
            .iter()
            .zip(epochs)
            .map(|((account, _), epoch)| Taken {
                epoch,
                number: epoch - distances.get(account).copied().unwrap_or_default(),
            });
        Ok(taken.collect())
    }
}

/// The entries that a batch adds to the logs of accounts.
#[derive(Default)]
pub(super) struct Logs<'b>(BTreeMap<AccountId, Vec<(&'b By, AuditEvent)>>);

impl<'b> Logs<'b> {
    pub(super) fn add(
        &mut self,
        account: AccountId,
        by: &'b By,
        action: AuditAction,
        certificate: &CertificateRecord,
        detail: String,
    ) {
        let id = certificate.id.as_bytes();
        let event = AuditEvent::new(action, ResourceType::ClientCertificate, id, detail)
            .in_zone(certificate.zone)
            .of_certificate(certificate.fingerprint_sha256);
        self.0.entry(account).or_default().push((by, event));
    }

    pub(super) async fn write<D: Db>(self, db: &D) -> Result<(), StoreError> {
        // One after another, because two logs that begin at the same time would get the same
        // number.
        for (account, events) in self.0 {
            audit::record_all(db, AuditOwner::Account(account), events).await?;
        }
        Ok(())
    }
}
