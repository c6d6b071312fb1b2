//! What was done by whom: a chain of entries for each account and user, written by the transaction that does it.

use certgate_model::{
    AccountId, Actor, AuditAction, AuditEntry, AuditOwner, AuditQuery, By, Direction, ResourceType, UserId,
    ZoneId,
};
use rusqlite::{Connection, OptionalExtension, Row};

use super::error::corrupt;
use super::row;
use crate::audit::ChainCheck;
pub(super) use crate::audit::{ChainEnd, Deed};
use crate::{AuditVerdict, StoreError};

/// Appends an entry to an owner's chain, which begins with it if there is none.
pub(super) fn record(
    connection: &Connection,
    owner: AuditOwner,
    by: &By,
    deed: Deed,
) -> Result<(), StoreError> {
    let end = end_of_chain(connection, owner)?;
    append(connection, owner, end, by, deed)
}

/// Appends an entry to a chain whose end is known.
pub(super) fn append(
    connection: &Connection,
    owner: AuditOwner,
    end: ChainEnd,
    by: &By,
    deed: Deed,
) -> Result<(), StoreError> {
    let entry = deed.entry(owner, end.entries + 1, &end.hash, by);
    let (actor_kind, actor) = by.actor.code();
    connection
        .prepare_cached(
            "INSERT INTO audit_entries (chain, at, number, actor_kind, actor, address, action, resource_type, \
             resource, zone, fingerprint_sha256, detail, hash) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
        )?
        .execute((
            end.chain,
            by.at.unix_microseconds(),
            row::offset(entry.number),
            actor_kind,
            actor,
            by.address.map(|address| address.to_string()),
            entry.action.code(),
            entry.resource_type.code(),
            &entry.resource,
            entry.zone.as_ref().map(ZoneId::as_bytes),
            &entry.fingerprint_sha256,
            &entry.detail,
            &entry.hash,
        ))?;
    connection
        .prepare_cached("UPDATE audit_chains SET entries = ?2, head = ?3 WHERE number = ?1")?
        .execute((end.chain, row::offset(entry.number), &entry.hash))?;
    Ok(())
}

fn end_of_chain(connection: &Connection, owner: AuditOwner) -> Result<ChainEnd, StoreError> {
    if let Some(end) = find_end(connection, owner)? {
        return Ok(end);
    }
    let is_user = matches!(owner, AuditOwner::User(_));
    connection
        .prepare_cached("INSERT INTO audit_chains (owner, is_user, entries, head) VALUES (?1, ?2, 0, ?3)")?
        .execute((owner.as_bytes(), is_user, AuditEntry::FIRST_PREVIOUS))?;
    find_end(connection, owner)?.ok_or_else(|| corrupt("a chain that was just stored is missing"))
}

fn find_end(connection: &Connection, owner: AuditOwner) -> Result<Option<ChainEnd>, StoreError> {
    let end = connection
        .prepare_cached("SELECT number, entries, head FROM audit_chains WHERE owner = ?1")?
        .query_row((owner.as_bytes(),), |row| {
            Ok(ChainEnd { chain: row.get(0)?, entries: row.get(1)?, hash: row.get(2)? })
        })
        .optional()?;
    Ok(end)
}

macro_rules! columns {
    () => {
        "number, at, actor_kind, actor, address, action, resource_type, resource, zone, fingerprint_sha256, detail, hash"
    };
}

macro_rules! select {
    ($index:literal, $actor:literal, $after:literal, $order:literal) => {
        concat!(
            "SELECT ",
            columns!(),
            " FROM audit_entries ",
            $index,
            " WHERE chain = ?1 AND at >= ?2 AND at < ?3 AND (at, number) ",
            $after,
            " (?4, ?5)",
            $actor,
            " ORDER BY at ",
            $order,
            ", number ",
            $order,
            " LIMIT ?6"
        )
    };
}

/// Some entries of a log.
pub(super) fn entries(
    connection: &Connection,
    owner: AuditOwner,
    query: &AuditQuery,
) -> Result<Vec<AuditEntry>, StoreError> {
    let Some(end) = find_end(connection, owner)? else { return Ok(Vec::new()) };
    let statement = match (query.direction, query.actor) {
        (Direction::Descending, None) => select!("", "", "<", "DESC"),
        (Direction::Ascending, None) => select!("", "", ">", "ASC"),
        (Direction::Descending, Some(_)) => {
            select!("INDEXED BY audit_entries_by_actor", " AND actor_kind = ?7 AND actor IS ?8", "<", "DESC")
        }
        (Direction::Ascending, Some(_)) => {
            select!("INDEXED BY audit_entries_by_actor", " AND actor_kind = ?7 AND actor IS ?8", ">", "ASC")
        }
    };
    let (after_at, after_number) = match (query.after, query.direction) {
        (Some((at, number)), _) => (at.unix_microseconds(), row::offset(number)),
        (None, Direction::Descending) => (i64::MAX, i64::MAX),
        (None, Direction::Ascending) => (i64::MIN, i64::MIN),
    };
    let mut statement = connection.prepare_cached(statement)?;
    let (since, before) = (query.since.unix_microseconds(), query.before.unix_microseconds());
    let mut rows = match &query.actor {
        None => statement.query((end.chain, since, before, after_at, after_number, query.limit))?,
        Some(actor) => {
            let (kind, id) = actor.code();
            statement.query((end.chain, since, before, after_at, after_number, query.limit, kind, id))?
        }
    };
    let mut entries = Vec::new();
    while let Some(row) = rows.next()? {
        entries.push(entry(owner, row)?);
    }
    Ok(entries)
}

fn entry(owner: AuditOwner, row: &Row<'_>) -> Result<AuditEntry, StoreError> {
    let (actor_kind, actor) = (row.get(2)?, row.get(3)?);
    let address: Option<String> = row.get(4)?;
    let address = address.map(|address| address.parse()).transpose();
    let (action, resource_type) = (row.get(5)?, row.get(6)?);
    Ok(AuditEntry {
        owner,
        number: row::unsigned(row, 0)?,
        by: By {
            actor: Actor::from_code(actor_kind, actor)
                .ok_or_else(|| corrupt(format!("no actor has the kind {actor_kind}")))?,
            address: address.map_err(|_| corrupt("the address of an actor is none"))?,
            at: row::timestamp(row, 1)?,
        },
        action: AuditAction::from_code(action)
            .ok_or_else(|| corrupt(format!("no action has the code {action}")))?,
        resource_type: ResourceType::from_code(resource_type)
            .ok_or_else(|| corrupt(format!("no type of resource has the code {resource_type}")))?,
        resource: row.get(7)?,
        zone: row.get::<_, Option<_>>(8)?.map(ZoneId::from_bytes),
        fingerprint_sha256: row.get(9)?,
        detail: row.get(10)?,
        hash: row.get(11)?,
    })
}

/// Reads every entry of every chain and tells what is wrong with it.
pub(super) fn verify(connection: &Connection) -> Result<Vec<AuditVerdict>, StoreError> {
    let mut verdicts = Vec::new();
    let mut chains = connection
        .prepare("SELECT number, owner, is_user, entries, head FROM audit_chains ORDER BY is_user, owner")?;
    let mut rows = chains.query(())?;
    while let Some(row) = rows.next()? {
        let owner = match row.get(2)? {
            true => AuditOwner::User(UserId::from_bytes(row.get(1)?)),
            false => AuditOwner::Account(AccountId::from_bytes(row.get(1)?)),
        };
        let check = verify_chain(connection, owner, row.get(0)?)?;
        verdicts.push(check.end(row::unsigned(row, 3)?, row.get(4)?));
    }
    Ok(verdicts)
}

/// The hash of an entry. Reads the whole log: only its order of time has an index.
pub(super) fn hash_of(
    connection: &Connection,
    owner: [u8; 16],
    number: u64,
) -> Result<Option<[u8; 32]>, StoreError> {
    let hash = connection
        .prepare(
            "SELECT hash FROM audit_entries WHERE chain = (SELECT number FROM audit_chains WHERE owner = ?1) AND number = ?2",
        )?
        .query_row((owner, row::offset(number)), |row| row.get(0))
        .optional()?;
    Ok(hash)
}

/// How many entries are in no chain that there is.
pub(super) fn strays(connection: &Connection) -> Result<u64, StoreError> {
    let select = "SELECT count(*) FROM audit_entries WHERE chain NOT IN (SELECT number FROM audit_chains)";
    Ok(connection.query_row(select, (), |row| row.get(0))?)
}

fn verify_chain(connection: &Connection, owner: AuditOwner, chain: i64) -> Result<ChainCheck, StoreError> {
    let mut check = ChainCheck::new(owner);
    let mut statement = connection.prepare(concat!(
        "SELECT ",
        columns!(),
        " FROM audit_entries WHERE chain = ?1 ORDER BY number"
    ))?;
    let mut rows = statement.query((chain,))?;
    while let Some(row) = rows.next()?.filter(|_| !check.is_enough()) {
        match entry(owner, row) {
            Ok(entry) => check.next(&entry),
            Err(StoreError::Corrupt(text)) => {
                let number: i64 = row.get(0)?;
                check.fault(format!("entry {number} cannot be read: {text}"));
            }
            Err(other) => return Err(other),
        }
    }
    Ok(check)
}
