//! What was done by whom: a chain of entries for each account and user, written by the transaction that does it.

use certgate_model::{
    AccountId, Actor, AuditAction, AuditEntry, AuditOwner, AuditQuery, By, Direction, ResourceType,
    Timestamp, UserId, ZoneId,
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
    let entry = deed.entry(owner, &end, by);
    let at = entry.by.at;
    let (actor_kind, actor) = by.actor.code();
    connection
        .prepare_cached(
            "INSERT INTO audit_entries (chain, at, number, actor_kind, actor, address, action, resource_type, \
             resource, zone, fingerprint_sha256, detail, hash) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
        )?
        .execute((
            end.chain,
            at.unix_microseconds(),
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
        .prepare_cached(
            "UPDATE audit_chains SET entries = ?2, last_at = ?3, head = ?4 WHERE number = ?1",
        )?
        .execute((
            end.chain,
            row::offset(entry.number),
            at.unix_microseconds(),
            &entry.hash,
        ))?;
    Ok(())
}

fn end_of_chain(connection: &Connection, owner: AuditOwner) -> Result<ChainEnd, StoreError> {
    if let Some(end) = find_end(connection, owner)? {
        return Ok(end);
    }
    let is_user = matches!(owner, AuditOwner::User(_));
    connection
        .prepare_cached(
            "INSERT INTO audit_chains (owner, is_user, entries, last_at, head) VALUES (?1, ?2, 0, ?3, ?4)",
        )?
        .execute((
            owner.as_bytes(),
            is_user,
            Timestamp::EARLIEST.unix_microseconds(),
            AuditEntry::FIRST_PREVIOUS,
        ))?;
    find_end(connection, owner)?.ok_or_else(|| corrupt("a chain that was just stored is missing"))
}

fn find_end(connection: &Connection, owner: AuditOwner) -> Result<Option<ChainEnd>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT number, entries, last_at, head FROM audit_chains WHERE owner = ?1",
    )?;
    let mut rows = statement.query((owner.as_bytes(),))?;
    let Some(row) = rows.next()? else {
        return Ok(None);
    };
    Ok(Some(ChainEnd {
        chain: row.get(0)?,
        entries: row::unsigned(row, 1)?,
        last_at: row::timestamp(row, 2)?,
        hash: row.get(3)?,
    }))
}

macro_rules! columns {
    () => {
        "number, at, actor_kind, actor, address, action, resource_type, resource, zone, fingerprint_sha256, detail, hash"
    };
}

// One bound at each end: of two at the same end SQLite takes one for the index and reads through to the other.
macro_rules! select {
    ($index:literal, $actor:literal, $end:literal, $after:literal, $order:literal) => {
        concat!(
            "SELECT ",
            columns!(),
            " FROM audit_entries ",
            $index,
            " WHERE chain = ?1 AND at ",
            $end,
            " ?2 AND (at, number) ",
            $after,
            " (?3, ?4)",
            $actor,
            " ORDER BY at ",
            $order,
            ", number ",
            $order,
            " LIMIT ?5"
        )
    };
}

/// Some entries of a log.
pub(super) fn entries(
    connection: &Connection,
    owner: AuditOwner,
    query: &AuditQuery,
) -> Result<Vec<AuditEntry>, StoreError> {
    let Some(ChainEnd { chain, .. }) = find_end(connection, owner)? else {
        return Ok(Vec::new());
    };
    let statement = statement(query);
    let (since, before) = (
        query.since.unix_microseconds(),
        query.before.unix_microseconds(),
    );
    let after = query
        .after
        .map(|(at, number)| (at.unix_microseconds(), row::offset(number)));
    // Numbers begin at 1, so that 0 is before all of an instant.
    let (end, (after_at, after_number)) = match query.direction {
        Direction::Descending => (since, after.unwrap_or((i64::MAX, 0)).min((before, 0))),
        Direction::Ascending => (before, after.unwrap_or((i64::MIN, 0)).max((since, 0))),
    };
    let mut statement = connection.prepare_cached(statement)?;
    let mut rows = match &query.actor {
        None => statement.query((chain, end, after_at, after_number, query.limit))?,
        Some(actor) => {
            let (kind, id) = actor.code();
            statement.query((chain, end, after_at, after_number, query.limit, kind, id))?
        }
    };
    let mut entries = Vec::new();
    while let Some(row) = rows.next()? {
        entries.push(entry(owner, row)?);
    }
    Ok(entries)
}

fn statement(query: &AuditQuery) -> &'static str {
    match (query.direction, query.actor) {
        (Direction::Descending, None) => select!("", "", ">=", "<", "DESC"),
        (Direction::Ascending, None) => select!("", "", "<", ">", "ASC"),
        (Direction::Descending, Some(_)) => {
            select!(
                "INDEXED BY audit_entries_by_actor",
                " AND actor_kind = ?6 AND actor IS ?7",
                ">=",
                "<",
                "DESC"
            )
        }
        (Direction::Ascending, Some(_)) => {
            select!(
                "INDEXED BY audit_entries_by_actor",
                " AND actor_kind = ?6 AND actor IS ?7",
                "<",
                ">",
                "ASC"
            )
        }
    }
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
    let mut chains = connection.prepare(
        "SELECT number, owner, is_user, entries, head FROM audit_chains ORDER BY is_user, owner",
    )?;
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

/// Notes in every log that the database was restored: what came after the backup is missing there.
pub(super) fn note_restore(
    connection: &Connection,
    epoch: u64,
    at: Timestamp,
) -> Result<(), StoreError> {
    let mut select = connection.prepare("SELECT owner, is_user FROM audit_chains")?;
    let owners: Vec<([u8; 16], bool)> = select
        .query_map((), |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    for (id, is_user) in owners {
        let detail = format!("database restored from a backup epoch={epoch}");
        let (owner, what) = match is_user {
            true => (AuditOwner::User(UserId::from_bytes(id)), ResourceType::User),
            false => (
                AuditOwner::Account(AccountId::from_bytes(id)),
                ResourceType::Account,
            ),
        };
        record(
            connection,
            owner,
            &By::system(at),
            Deed::new(AuditAction::Update, what, &id, detail),
        )?;
    }
    Ok(())
}

/// How many entries are in no chain that there is.
pub(super) fn strays(connection: &Connection) -> Result<u64, StoreError> {
    let select =
        "SELECT count(*) FROM audit_entries WHERE chain NOT IN (SELECT number FROM audit_chains)";
    Ok(connection.query_row(select, (), |row| row.get(0))?)
}

fn verify_chain(
    connection: &Connection,
    owner: AuditOwner,
    chain: i64,
) -> Result<ChainCheck, StoreError> {
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

#[cfg(test)]
mod tests {
    use certgate_model::TokenId;

    use super::*;
    use crate::sqlite::counters::Layout;
    use crate::sqlite::schema;

    /// Of a deep page no more is read than the page: both ends are bounds of the index.
    #[test]
    fn a_part_of_a_log_begins_where_it_begins() {
        let mut connection = Connection::open_in_memory().unwrap();
        schema::migrate(&mut connection, 0, Layout::DEFAULT).unwrap();
        for direction in [Direction::Ascending, Direction::Descending] {
            for actor in [None, Some(Actor::Token(TokenId::from_bytes([1; 16])))] {
                let query = AuditQuery {
                    since: Timestamp::EARLIEST,
                    before: Timestamp::LATEST,
                    actor,
                    direction,
                    after: None,
                    limit: 1,
                };
                let explain = format!("EXPLAIN QUERY PLAN {}", statement(&query));
                let mut explain = connection.prepare(&explain).unwrap();
                let count = explain.parameter_count();
                let nothing =
                    rusqlite::params_from_iter(std::iter::repeat_n(rusqlite::types::Null, count));
                let plan: Vec<String> = explain
                    .query_map(nothing, |row| row.get(3))
                    .unwrap()
                    .map(Result::unwrap)
                    .collect();
                let [plan] = &plan[..] else {
                    panic!("{plan:?}")
                };
                let cursor = if direction == Direction::Ascending {
                    "(at,number)>"
                } else {
                    "(at,number)<"
                };
                assert!(
                    plan.contains("chain=? AND") && plan.contains(cursor),
                    "{plan}"
                );
            }
        }
    }
}
