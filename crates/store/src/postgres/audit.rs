//! What was done by whom: a chain of entries for each account and user, written by the transaction that does it.

use certgate_model::{
    AccountId, Actor, AuditAction, AuditEntry, AuditOwner, AuditQuery, By, Direction, ResourceType,
    Timestamp, UserId, ZoneId,
};

use super::db::Db;
use super::error::corrupt;
use super::row::{self, Row};
use super::value::{Value, values};
use crate::audit::ChainCheck;
pub(super) use crate::audit::{ChainEnd, Deed};
use crate::{AuditVerdict, StoreError};

/// Appends an entry to an owner's chain, which begins with it if there is none.
pub(super) async fn record(
    db: &Db,
    owner: AuditOwner,
    by: &By,
    deed: Deed,
) -> Result<(), StoreError> {
    record_all(db, owner, [(by, deed)]).await
}

/// Appends entries in their order, in as many round trips as one.
pub(super) async fn record_all<'b>(
    db: &Db,
    owner: AuditOwner,
    deeds: impl IntoIterator<Item = (&'b By, Deed)>,
) -> Result<(), StoreError> {
    let mut end = end_of_chain(db, owner).await?;
    let mut entries = Vec::new();
    for (by, deed) in deeds {
        let entry = deed.entry(owner, &end, by);
        end = end.after(&entry);
        entries.push(entry);
    }
    db.execute(
        "INSERT INTO audit_entries (chain, at, number, actor_kind, actor, address, action, resource_type, \
         resource, zone, fingerprint_sha256, detail, hash) \
         SELECT $1::BIGINT, entry.* FROM UNNEST($2::BIGINT[], $3::BIGINT[], $4::SMALLINT[], $5::BYTEA[], $6::TEXT[], \
         $7::SMALLINT[], $8::SMALLINT[], $9::BYTEA[], $10::BYTEA[], $11::BYTEA[], $12::TEXT[], $13::BYTEA[]) AS entry",
        values![
            end.chain,
            Value::list(entries.iter().map(|entry| entry.by.at.unix_microseconds())),
            Value::list(entries.iter().map(|entry| row::offset(entry.number))),
            Value::list(entries.iter().map(|entry| entry.by.actor.code().0)),
            Value::list(entries.iter().map(|entry| entry.by.actor.code().1)),
            Value::list(entries.iter().map(|entry| entry.by.address.map(|address| address.to_string()))),
            Value::list(entries.iter().map(|entry| entry.action.code())),
            Value::list(entries.iter().map(|entry| entry.resource_type.code())),
            Value::list(entries.iter().map(|entry| &entry.resource)),
            Value::list(entries.iter().map(|entry| entry.zone.as_ref().map(ZoneId::as_bytes))),
            Value::list(entries.iter().map(|entry| entry.fingerprint_sha256.as_ref())),
            Value::list(entries.iter().map(|entry| &entry.detail)),
            Value::list(entries.iter().map(|entry| &entry.hash)),
        ],
    )
    .await?;
    db.execute(
        "UPDATE audit_chains SET entries = $2, last_at = $3, head = $4 WHERE number = $1",
        values![
            end.chain,
            row::offset(end.entries),
            end.last_at.unix_microseconds(),
            &end.hash
        ],
    )
    .await?;
    Ok(())
}

async fn end_of_chain(db: &Db, owner: AuditOwner) -> Result<ChainEnd, StoreError> {
    if let Some(end) = find_end(db, owner).await? {
        return Ok(end);
    }
    let is_user = matches!(owner, AuditOwner::User(_));
    let row = db
        .one(
            "INSERT INTO audit_chains (number, owner, is_user, entries, last_at, head) \
             VALUES ((SELECT coalesce(max(number), 0) + 1 FROM audit_chains), $1, $2, 0, $3, $4) RETURNING number",
            values![
                owner.as_bytes(),
                is_user,
                Timestamp::EARLIEST.unix_microseconds(),
                &AuditEntry::FIRST_PREVIOUS
            ],
        )
        .await?;
    Ok(ChainEnd::empty(row.get(0)?))
}

async fn find_end(db: &Db, owner: AuditOwner) -> Result<Option<ChainEnd>, StoreError> {
    let row = db
        .optional(
            "SELECT number, entries, last_at, head FROM audit_chains WHERE owner = $1",
            values![owner.as_bytes()],
        )
        .await?;
    let end = |row: Row| {
        Ok(ChainEnd {
            chain: row.get(0)?,
            entries: row::unsigned(&row, 1)?,
            last_at: row::timestamp(&row, 2)?,
            hash: row.get(3)?,
        })
    };
    row.map(end).transpose()
}

macro_rules! columns {
    () => {
        "number, at, actor_kind, actor, address, action, resource_type, resource, zone, fingerprint_sha256, detail, hash"
    };
}

// One bound at each end of the index.
macro_rules! select {
    ($actor:literal, $end:literal, $after:literal, $order:literal) => {
        concat!(
            "SELECT ",
            columns!(),
            " FROM audit_entries WHERE chain = $1 AND at ",
            $end,
            " $2 AND (at, number) ",
            $after,
            " ($3, $4)",
            $actor,
            " ORDER BY at ",
            $order,
            ", number ",
            $order,
            " LIMIT $5"
        )
    };
}

/// Some entries of a log.
pub(super) async fn entries(
    db: &Db,
    owner: AuditOwner,
    query: &AuditQuery,
) -> Result<Vec<AuditEntry>, StoreError> {
    let Some(ChainEnd { chain, .. }) = find_end(db, owner).await? else {
        return Ok(Vec::new());
    };
    let actor = query.actor.as_ref().map(Actor::code);
    let statement = match (query.direction, actor) {
        (Direction::Descending, None) => select!("", ">=", "<", "DESC"),
        (Direction::Ascending, None) => select!("", "<", ">", "ASC"),
        (Direction::Descending, Some((_, None))) => {
            select!(" AND actor_kind = $6 AND actor IS NULL", ">=", "<", "DESC")
        }
        (Direction::Ascending, Some((_, None))) => {
            select!(" AND actor_kind = $6 AND actor IS NULL", "<", ">", "ASC")
        }
        (Direction::Descending, Some(_)) => {
            select!(" AND actor_kind = $6 AND actor = $7", ">=", "<", "DESC")
        }
        (Direction::Ascending, Some(_)) => {
            select!(" AND actor_kind = $6 AND actor = $7", "<", ">", "ASC")
        }
    };
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
    let values: &[Value<'_>] = values![chain, end, after_at, after_number, query.limit];
    let mut values = values.to_vec();
    if let Some((kind, id)) = actor {
        values.push(kind.into());
        values.extend(id.map(Value::from));
    }
    let rows = db.rows(statement, &values).await?;
    rows.iter().map(|row| entry(owner, row)).collect()
}

fn entry(owner: AuditOwner, row: &Row) -> Result<AuditEntry, StoreError> {
    let (actor_kind, actor) = (row.get(2)?, row.get(3)?);
    let address = row
        .get::<Option<String>>(4)?
        .map(|address| address.parse())
        .transpose();
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
        zone: row.get::<Option<_>>(8)?.map(ZoneId::from_bytes),
        fingerprint_sha256: row.get(9)?,
        detail: row.get(10)?,
        hash: row.get(11)?,
    })
}

/// Reads every entry of every chain and tells what is wrong with it.
pub(super) async fn verify(db: &Db) -> Result<Vec<AuditVerdict>, StoreError> {
    let mut verdicts = Vec::new();
    let chains =
        "SELECT number, owner, is_user, entries, head FROM audit_chains ORDER BY is_user, owner";
    for row in db.rows(chains, values![]).await? {
        let owner = match row.get(2)? {
            true => AuditOwner::User(UserId::from_bytes(row.get(1)?)),
            false => AuditOwner::Account(AccountId::from_bytes(row.get(1)?)),
        };
        let check = verify_chain(db, owner, row.get(0)?).await?;
        verdicts.push(check.end(row::unsigned(&row, 3)?, row.get(4)?));
    }
    Ok(verdicts)
}

/// How many entries are in no chain that there is.
pub(super) async fn strays(db: &Db) -> Result<u64, StoreError> {
    let select =
        "SELECT count(*) FROM audit_entries WHERE chain NOT IN (SELECT number FROM audit_chains)";
    db.rows_unhurried(select, values![])
        .await?
        .first()
        .map_or(Ok(0), |row| row.get(0))
}

async fn verify_chain(db: &Db, owner: AuditOwner, chain: i64) -> Result<ChainCheck, StoreError> {
    let mut check = ChainCheck::new(owner);
    let statement = concat!(
        "SELECT ",
        columns!(),
        " FROM audit_entries WHERE chain = $1 ORDER BY number"
    );
    let mut rows = db.stream(statement, values![chain]).await?;
    while let Some(row) = rows.next().await? {
        if check.is_enough() {
            break;
        }
        match entry(owner, &row) {
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
