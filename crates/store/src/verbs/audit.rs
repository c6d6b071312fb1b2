//! The audit log: a chain of entries for each account and user, written by the transaction that
//! makes the change.

use std::ops::ControlFlow;

use certgate_model::{
    AccountId, Actor, AuditAction, AuditEntry, AuditOwner, AuditQuery, By, Direction, ResourceType,
    Timestamp, UserId,
};
use futures_util::future::try_join3;

use super::{account_epochs, certificate_events};
use crate::audit::{AuditEvent, ChainCheck, ChainEnd};
use crate::db::{Db, Row, values};
use crate::error::corrupt;
use crate::schema::AUDIT_ENTRIES;
use crate::{AuditVerdict, StoreError};

/// Appends an entry to an owner's chain, which begins with it if there is none.
pub(crate) async fn record<D: Db>(
    db: &D,
    owner: AuditOwner,
    by: &By,
    event: AuditEvent,
) -> Result<(), StoreError> {
    record_all(db, owner, vec![(by, event)]).await
}

/// Appends entries in their order, in as many round trips as one.
pub(crate) async fn record_all<D: Db>(
    db: &D,
    owner: AuditOwner,
    events: Vec<(&By, AuditEvent)>,
) -> Result<(), StoreError> {
    let mut end = end_of_chain(db, owner).await?;
    let chain = end.chain;
    let mut entries = Vec::with_capacity(events.len());
    for (by, event) in events {
        let entry = event.entry(owner, &end, by);
        end = end.after(&entry);
        entries.push(entry);
    }
    let mut cells = Vec::with_capacity(entries.len() * AUDIT_ENTRIES.columns.len());
    for entry in &entries {
        let (actor_kind, actor) = entry.by.actor.code();
        cells.extend(values![
            chain,
            entry.by.at,
            entry.number,
            actor_kind,
            actor,
            entry.by.address.map(|address| address.to_string()),
            entry.action.code(),
            entry.resource_type.code(),
            entry.resource,
            entry.zone,
            entry.fingerprint_sha256.as_ref(),
            &entry.detail,
            &entry.hash,
        ]);
    }
    let update = "UPDATE audit_chains SET entries = ?2, last_at = ?3, head = ?4 WHERE number = ?1";
    let values = values![chain, end.entries, end.last_at, &end.hash];
    try_join3(
        db.insert(&AUDIT_ENTRIES, &cells),
        db.execute(update, &values),
        certificate_events::add(db, chain, &entries),
    )
    .await?;
    db.uncommitted().add(entries);
    Ok(())
}

/// Returns the number of the chain of an owner, if there is one.
pub(super) async fn chain<D: Db>(db: &D, owner: AuditOwner) -> Result<Option<i64>, StoreError> {
    Ok(find_end(db, owner).await?.map(|end| end.chain))
}

async fn end_of_chain<D: Db>(db: &D, owner: AuditOwner) -> Result<ChainEnd, StoreError> {
    if let Some(end) = find_end(db, owner).await? {
        return Ok(end);
    }
    let insert = "INSERT INTO audit_chains (number, owner, is_user, entries, last_at, head) \
                  VALUES ((SELECT coalesce(max(number), 0) + 1 FROM audit_chains), ?1, ?2, 0, \
                  ?3, ?4) RETURNING number";
    let first = values![
        *owner.as_bytes(),
        matches!(owner, AuditOwner::User(_)),
        Timestamp::EARLIEST,
        &AuditEntry::FIRST_PREVIOUS,
    ];
    Ok(ChainEnd::empty(
        db.one(insert, &first, |row| row.get(0)).await?,
    ))
}

async fn find_end<D: Db>(db: &D, owner: AuditOwner) -> Result<Option<ChainEnd>, StoreError> {
    let select = "SELECT number, entries, last_at, head FROM audit_chains WHERE owner = ?1";
    db.optional(select, &values![*owner.as_bytes()], |row| {
        Ok(ChainEnd {
            chain: row.get(0)?,
            entries: row.get(1)?,
            last_at: row.get(2)?,
            hash: row.get(3)?,
        })
    })
    .await
}

/// The columns of an entry, for [`entry`].
macro_rules! columns {
    () => {
        "audit_entries.number, audit_entries.at, audit_entries.actor_kind, audit_entries.actor, \
         audit_entries.address, audit_entries.action, audit_entries.resource_type, \
         audit_entries.resource, audit_entries.zone, audit_entries.fingerprint_sha256, \
         audit_entries.detail, audit_entries.hash"
    };
}
pub(super) use columns;

macro_rules! select {
    ($($rest:literal),+) => {
        concat!("SELECT ", $crate::verbs::audit::columns!(), " FROM audit_entries ", $($rest),+)
    };
}
pub(super) use select;

// One bound at each end of the index: of two bounds at the same end, SQLite uses one for the index
// and reads through to the other.
macro_rules! stretch {
    (descending, $index:literal, $actor:literal, $order:literal) => {
        select!(
            $index,
            " WHERE chain = ?1 AND at >= ?2 AND (at, number) < (?3, ?4)",
            $actor,
            " ORDER BY ",
            $order,
            "at DESC, number DESC LIMIT ?5"
        )
    };
    (ascending, $index:literal, $actor:literal, $order:literal) => {
        select!(
            $index,
            " WHERE chain = ?1 AND at < ?2 AND (at, number) > (?3, ?4)",
            $actor,
            " ORDER BY ",
            $order,
            "at ASC, number ASC LIMIT ?5"
        )
    };
}

// PostgreSQL sorts all entries of an actor that IS NULL, unless the order begins with the actor.
macro_rules! by_actor {
    (descending, $actor:literal) => {
        stretch!(
            descending,
            "INDEXED BY audit_entries_by_actor",
            $actor,
            "actor DESC, actor_kind DESC, "
        )
    };
    (ascending, $actor:literal) => {
        stretch!(
            ascending,
            "INDEXED BY audit_entries_by_actor",
            $actor,
            "actor ASC, actor_kind ASC, "
        )
    };
}

/// Returns a stretch of a log.
pub(crate) async fn entries<D: Db>(
    db: &D,
    owner: AuditOwner,
    query: &AuditQuery,
) -> Result<Vec<AuditEntry>, StoreError> {
    let Some(ChainEnd { chain, .. }) = find_end(db, owner).await? else {
        return Ok(Vec::new());
    };
    let actor = query.actor.as_ref().map(Actor::code);
    let select = match (query.direction, actor) {
        (Direction::Descending, None) => stretch!(descending, "", "", ""),
        (Direction::Ascending, None) => stretch!(ascending, "", "", ""),
        (Direction::Descending, Some((_, None))) => {
            by_actor!(descending, " AND actor_kind = ?6 AND actor IS NULL")
        }
        (Direction::Ascending, Some((_, None))) => {
            by_actor!(ascending, " AND actor_kind = ?6 AND actor IS NULL")
        }
        (Direction::Descending, Some(_)) => {
            by_actor!(descending, " AND actor_kind = ?6 AND actor = ?7")
        }
        (Direction::Ascending, Some(_)) => {
            by_actor!(ascending, " AND actor_kind = ?6 AND actor = ?7")
        }
    };
    let (end, (after_at, after_number)) = query.bounds();
    let mut values = values![chain, end, after_at, after_number, query.limit].to_vec();
    if let Some((kind, id)) = actor {
        values.push(kind.into());
        values.extend(id.map(Into::into));
    }
    db.rows(select, &values, |row| entry(owner, row)).await
}

/// Reads an entry from its [`columns`].
pub(super) fn entry(owner: AuditOwner, row: &dyn Row) -> Result<AuditEntry, StoreError> {
    let (actor_kind, actor) = (row.get(2)?, row.get(3)?);
    let address = row
        .get::<Option<String>>(4)?
        .map(|address| address.parse())
        .transpose();
    let (action, resource_type) = (row.get(5)?, row.get(6)?);
    Ok(AuditEntry {
        owner,
        number: row.get(0)?,
        by: By {
            actor: Actor::from_code(actor_kind, actor)
                .ok_or_else(|| corrupt(format!("no actor has the kind {actor_kind}")))?,
            address: address.map_err(|_| corrupt("the address of an actor is malformed"))?,
            at: row.get(1)?,
        },
        action: AuditAction::from_code(action)
            .ok_or_else(|| corrupt(format!("no action has the code {action}")))?,
        resource_type: ResourceType::from_code(resource_type)
            .ok_or_else(|| corrupt(format!("no resource type has the code {resource_type}")))?,
        resource: row.get(7)?,
        zone: row.get(8)?,
        fingerprint_sha256: row.get(9)?,
        detail: row.get(10)?,
        hash: row.get(11)?,
    })
}

fn owner(is_user: bool, id: [u8; 16]) -> AuditOwner {
    match is_user {
        true => AuditOwner::User(UserId::from_bytes(id)),
        false => AuditOwner::Account(AccountId::from_bytes(id)),
    }
}

/// Reads every entry of every chain and returns the faults of each chain.
pub(crate) async fn verify<D: Db>(db: &D) -> Result<Vec<AuditVerdict>, StoreError> {
    let select =
        "SELECT number, owner, is_user, entries, head FROM audit_chains ORDER BY is_user, owner";
    let chains = db
        .rows(select, &[], |row| {
            let owner = owner(row.get(2)?, row.get(1)?);
            Ok((owner, row.get::<i64>(0)?, row.get::<u64>(3)?, row.get(4)?))
        })
        .await?;
    let mut verdicts = Vec::with_capacity(chains.len());
    for (owner, chain, entries, head) in chains {
        let check = verify_chain(db, owner, chain).await?;
        verdicts.push(check.end(entries, head));
    }
    Ok(verdicts)
}

async fn verify_chain<D: Db>(
    db: &D,
    owner: AuditOwner,
    chain: i64,
) -> Result<ChainCheck, StoreError> {
    let mut check = ChainCheck::new(owner);
    let mut next = |row: &dyn Row| {
        match entry(owner, row) {
            Ok(entry) => check.next(&entry),
            Err(StoreError::Corrupt(text)) => {
                let number: i64 = row.get(0)?;
                check.fault(format!("entry {number} cannot be read: {text}"));
            }
            Err(other) => return Err(other),
        }
        Ok(match check.is_enough() {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        })
    };
    db.stream(
        select!("WHERE chain = ?1 ORDER BY number"),
        &values![chain],
        &mut next,
    )
    .await?;
    Ok(check)
}

/// Counts the entries that are in no chain.
pub(crate) async fn strays<D: Db>(db: &D) -> Result<u64, StoreError> {
    let count =
        "SELECT count(*) FROM audit_entries WHERE chain NOT IN (SELECT number FROM audit_chains)";
    let mut strays = 0;
    let mut read = |row: &dyn Row| {
        strays = row.get(0)?;
        Ok(ControlFlow::Break(()))
    };
    db.stream(count, &[], &mut read).await?;
    Ok(strays)
}

/// Returns the hash of an entry. Reads the whole log: only its order of time has an index.
pub(crate) async fn hash_of<D: Db>(
    db: &D,
    owner: [u8; 16],
    number: u64,
) -> Result<Option<[u8; 32]>, StoreError> {
    let select = "SELECT hash FROM audit_entries \
                  WHERE chain = (SELECT number FROM audit_chains WHERE owner = ?1) AND number = ?2";
    db.optional(select, &values![owner, number], |row| row.get(0))
        .await
}

/// Records in every log that the database was restored: entries after the backup are missing there.
pub(crate) async fn record_restore<D: Db>(db: &D, at: Timestamp) -> Result<(), StoreError> {
    let select = "SELECT is_user, owner FROM audit_chains";
    let owners = db
        .rows(select, &[], |row| Ok(owner(row.get(0)?, row.get(1)?)))
        .await?;
    for owner in owners {
        let mut detail = "database restored from a backup".to_owned();
        let kind = match owner {
            AuditOwner::User(_) => ResourceType::User,
            AuditOwner::Account(account) => {
                let last = account_epochs::last(db, account).await?;
                detail.push_str(&format!(" epoch={}", last.of_account));
                ResourceType::Account
            }
        };
        let event = AuditEvent::new(AuditAction::Update, kind, owner.as_bytes(), detail);
        record(db, owner, &By::system(at), event).await?;
    }
    Ok(())
}
