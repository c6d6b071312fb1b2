//! The full check: the only thing here that reads every row.

use std::collections::{BTreeMap, BTreeSet};

use certgate_model::{AccountId, AuthorityId, Status, TokenId, ZoneId};
use rusqlite::Connection;

use super::counters::{self, Layout, Level, Position};
use super::tenants::folded;
use super::{audit, authorities, certificates, mtls_certificates, tenants, tokens};
use crate::StoreError;

/// After so many faults nobody reads on.
const LINES_MAX: usize = 100;

/// Everything that is wrong.
pub(super) fn all(connection: &Connection, layout: Layout) -> Result<Vec<String>, StoreError> {
    let mut lines = all_but_audit(connection, layout)?;
    lines.extend(found([audit(connection)])?);
    Ok(lines)
}

/// The same but for the logs of what was done.
pub(super) fn all_but_audit(
    connection: &Connection,
    layout: Layout,
) -> Result<Vec<String>, StoreError> {
    found([
        integrity(connection),
        references(connection),
        records(connection),
        counts(connection, layout),
        epochs(connection),
        hostnames(connection),
        revocations(connection),
    ])
}

fn found<const N: usize>(
    parts: [Result<Vec<String>, StoreError>; N],
) -> Result<Vec<String>, StoreError> {
    let mut lines = Vec::new();
    for part in parts {
        match part {
            Ok(found) => lines.extend(found),
            // Damage that stops the reading is what was looked for; the other parts may tell more.
            Err(StoreError::Corrupt(text)) => {
                let line = format!("not everything could be read: {text}");
                if !lines.contains(&line) {
                    lines.push(line);
                }
            }
            Err(other) => return Err(other),
        }
    }
    Ok(lines)
}

/// What the database itself finds wrong.
fn integrity(connection: &Connection) -> Result<Vec<String>, StoreError> {
    let mut lines = Vec::new();
    let mut statement = connection.prepare("PRAGMA integrity_check(100)")?;
    let mut rows = statement.query(())?;
    while let Some(row) = rows.next()? {
        let line: String = row.get(0)?;
        if line != "ok" {
            lines.push(format!("integrity: {line}"));
        }
    }
    Ok(lines)
}

/// Rows that refer to rows that are not there.
fn references(connection: &Connection) -> Result<Vec<String>, StoreError> {
    let mut lines = Vec::new();
    let mut statement = connection.prepare("PRAGMA foreign_key_check")?;
    let mut rows = statement.query(())?;
    while let Some(row) = rows.next()? {
        let (table, parent): (String, String) = (row.get(0)?, row.get(2)?);
        lines.push(format!(
            "a row of \"{table}\" refers to a missing row of \"{parent}\""
        ));
        if lines.len() >= LINES_MAX {
            break;
        }
    }
    Ok(lines)
}

/// Rows that cannot be turned into the records they stand for: what the server would answer with an error.
fn records(connection: &Connection) -> Result<Vec<String>, StoreError> {
    let mut lines = Vec::new();
    for id in ids(connection, "SELECT id FROM tokens")? {
        note(
            &mut lines,
            "token",
            &id,
            tokens::token(connection, TokenId::from_bytes(id)),
        );
    }
    for id in ids(
        connection,
        "SELECT id FROM accounts WHERE deleted_at IS NULL",
    )? {
        note(
            &mut lines,
            "account",
            &id,
            tenants::account(connection, AccountId::from_bytes(id)),
        );
        let brought = mtls_certificates::all(connection, AccountId::from_bytes(id)).map(Some);
        note(
            &mut lines,
            "account with brought certificates",
            &id,
            brought,
        );
    }
    for id in ids(connection, "SELECT id FROM zones WHERE deleted_at IS NULL")? {
        note(
            &mut lines,
            "zone",
            &id,
            tenants::zone(connection, ZoneId::from_bytes(id)),
        );
    }
    for id in ids(connection, "SELECT id FROM authorities")? {
        note(
            &mut lines,
            "authority",
            &id,
            authorities::authority(connection, AuthorityId::from_bytes(id)),
        );
    }
    lines.extend(certificates::unreadable(connection, LINES_MAX)?);
    lines.truncate(LINES_MAX);
    Ok(lines)
}

fn ids(connection: &Connection, select: &str) -> Result<Vec<[u8; 16]>, StoreError> {
    let mut statement = connection.prepare(select)?;
    let ids = statement.query_map((), |row| row.get(0))?;
    Ok(ids.collect::<Result<_, _>>()?)
}

fn note<T>(
    lines: &mut Vec<String>,
    kind: &str,
    id: &[u8; 16],
    read: Result<Option<T>, StoreError>,
) {
    if let Err(error) = read {
        lines.push(format!(
            "the {kind} {} cannot be read: {error}",
            TokenId::from_bytes(*id)
        ));
    }
}

/// Counts every certificate and compares both levels of counters and the density of the sequence numbers. Goes through
/// an index in its order, so that the memory needed is that of the counters.
fn counts(connection: &Connection, layout: Layout) -> Result<Vec<String>, StoreError> {
    let mut lines = Vec::new();
    let mut counted = [BTreeMap::<i64, [u64; 4]>::new(), BTreeMap::new()];
    let mut zones = BTreeMap::<i64, (i64, i64)>::new();
    let mut statement = connection
        .prepare("SELECT position, status FROM certificates ORDER BY status, position")?;
    let mut rows = statement.query(())?;
    while let Some(row) = rows.next()? {
        let (position, code) = (Position(row.get(0)?), row.get(1)?);
        let Some(status) = Status::from_code(code) else {
            lines.push(format!(
                "the certificate at {} has the unknown status {code}",
                position.0
            ));
            continue;
        };
        for (level, counted) in Level::BOTH.into_iter().zip(&mut counted) {
            let counts = counted.entry(position.block(layout, level)).or_default();
            counts[usize::from(status.code())] += 1;
        }
        let (size, last) = zones.entry(position.zone()).or_default();
        *size += 1;
        *last = position.sequence().max(*last);
    }
    for (level, counted) in Level::BOTH.into_iter().zip(&counted) {
        compare(connection, level, counted, &mut lines)?;
    }
    let known = zone_numbers(connection)?;
    for (zone, (size, last)) in zones {
        if size != last + 1 {
            lines.push(format!(
                "zone number {zone} has {size} certificates, but its last one has number {last}"
            ));
        }
        if !known.contains(&zone) {
            lines.push(format!(
                "zone number {zone} has certificates, but does not exist"
            ));
        }
    }
    lines.truncate(LINES_MAX);
    Ok(lines)
}

fn compare(
    connection: &Connection,
    level: Level,
    counted: &BTreeMap<i64, [u64; 4]>,
    lines: &mut Vec<String>,
) -> Result<(), StoreError> {
    let mut stored = BTreeMap::new();
    let mut statement = connection.prepare(counters::everything(level))?;
    let mut rows = statement.query(())?;
    while let Some(row) = rows.next()? {
        let (block, counts) = counters::block_row(row)?;
        stored.insert(block, counts);
    }
    let blocks: BTreeSet<_> = stored.keys().chain(counted.keys()).collect();
    for block in blocks {
        let (stored, counted) = (
            stored.get(block).copied().unwrap_or_default(),
            counted.get(block).copied().unwrap_or_default(),
        );
        if stored != counted {
            lines.push(format!(
                "{} {block} says {stored:?}, counted were {counted:?}",
                level.table()
            ));
        }
    }
    Ok(())
}

fn zone_numbers(connection: &Connection) -> Result<BTreeSet<i64>, StoreError> {
    let mut statement = connection.prepare("SELECT number FROM zones")?;
    let numbers = statement.query_map((), |row| row.get(0))?;
    Ok(numbers.collect::<Result<_, _>>()?)
}

/// An authority's last epoch is that of a change of one of its certificates or, after an upgrade, a later one.
fn epochs(connection: &Connection) -> Result<Vec<String>, StoreError> {
    let newest: i64 = connection.query_row("SELECT last_epoch FROM store", (), |row| row.get(0))?;
    let mut highest = BTreeMap::<i64, i64>::new();
    let mut statement = connection.prepare(
        "SELECT authority, epoch FROM certificates WHERE epoch IS NOT NULL \
             UNION ALL SELECT authority, epoch FROM lost_certificates",
    )?;
    let mut rows = statement.query(())?;
    while let Some(row) = rows.next()? {
        let (authority, epoch) = (row.get(0)?, row.get(1)?);
        let highest = highest.entry(authority).or_insert(epoch);
        *highest = epoch.max(*highest);
    }
    let mut lines = Vec::new();
    let mut statement = connection.prepare("SELECT number, last_epoch FROM authorities")?;
    let mut rows = statement.query(())?;
    while let Some(row) = rows.next()?.filter(|_| lines.len() < LINES_MAX) {
        let (number, last): (i64, i64) = (row.get(0)?, row.get(1)?);
        let least = highest.get(&number).copied().unwrap_or(0);
        if !(least..=newest).contains(&last) {
            lines.push(format!(
                "authority number {number} has the last epoch {last}, but its certificates' highest is {least}, \
                 the store's {newest}"
            ));
        }
    }
    Ok(lines)
}

/// What the keys of the lists of hostnames cannot say: whose certificate they name, that the zone exists, that a hostname is
/// in one zone and once in a list, and that no deployment is later than the last.
fn hostnames(connection: &Connection) -> Result<Vec<String>, StoreError> {
    let last: i64 =
        connection.query_row("SELECT last_deployment FROM store", (), |row| row.get(0))?;
    let mut statement = connection.prepare(
        "SELECT hostname_associations.hostname, hostname_associations.folded_hostname, \
         hostname_associations.zone, hostname_associations.mtls_certificate, hostname_associations.deployment, \
         zones.deleted_at IS NULL, length(hostname_associations.mtls_certificate) = 0 \
         OR mtls_certificates.ca = 1 AND mtls_certificates.account = zones.account \
         FROM hostname_associations JOIN zones ON zones.number = hostname_associations.zone \
         LEFT JOIN mtls_certificates ON mtls_certificates.id = hostname_associations.mtls_certificate \
         ORDER BY hostname_associations.folded_hostname",
    )?;
    let mut lines = Vec::new();
    let mut before: Option<(String, i64)> = None;
    let mut authorities = BTreeSet::<Vec<u8>>::new();
    let mut rows = statement.query(())?;
    while let Some(row) = rows.next()?.filter(|_| lines.len() < LINES_MAX) {
        let (hostname, key): (String, String) = (row.get(0)?, row.get(1)?);
        let (zone, authority, deployment): (i64, Vec<u8>, i64) =
            (row.get(2)?, row.get(3)?, row.get(4)?);
        let (zone_exists, authority_exists): (bool, Option<bool>) = (row.get(5)?, row.get(6)?);
        let mut note = |what: &str| lines.push(format!("the hostname {hostname:?} {what}"));
        if key != folded(&hostname) {
            note(&format!("is looked up as {key:?}"));
        }
        if !zone_exists {
            note("is listed in a zone that is deleted");
        }
        if authority_exists != Some(true) {
            note("is listed for an authority that its zone's account does not have");
        }
        if !(1..=last).contains(&deployment) {
            note(&format!(
                "has deployment {deployment}, but the last one is {last}"
            ));
        }
        match before.replace((key, zone)) {
            Some((name, other)) if before.as_ref().is_some_and(|(key, _)| *key == name) => {
                if other != zone {
                    note("is listed in two zones");
                } else if !authorities.insert(authority) {
                    note("is listed twice for one authority");
                }
            }
            _ => authorities = BTreeSet::from([authority]),
        }
    }
    Ok(lines)
}

/// What lists are made of, against the certificates: each that is revoked is there once, as it is, and nothing else.
fn revocations(connection: &Connection) -> Result<Vec<String>, StoreError> {
    let count = |select: &str| connection.query_row(select, (), |row| row.get::<_, i64>(0));
    let mut lines = Vec::new();
    for (revoked, listed, of) in [
        (
            "SELECT count(*) FROM certificates WHERE status IN (2, 3)",
            "SELECT count(*) FROM revocations JOIN certificates ON certificates.position = revocations.position \
             WHERE certificates.status IN (2, 3) AND certificates.authority = revocations.authority \
             AND certificates.serial = revocations.serial AND certificates.revoked_on IS revocations.revoked_on \
             AND certificates.reason = revocations.reason AND certificates.expires_on = revocations.expires_on",
            "certificates",
        ),
        (
            "SELECT count(*) FROM lost_certificates",
            "SELECT count(*) FROM revocations JOIN lost_certificates AS lost ON lost.position = revocations.position \
             WHERE lost.authority = revocations.authority AND lost.serial = revocations.serial \
             AND lost.revoked_on = revocations.revoked_on AND lost.reason = revocations.reason \
             AND lost.expires_on = revocations.expires_on",
            "lost certificates",
        ),
    ] {
        let (revoked, listed) = (count(revoked)?, count(listed)?);
        if revoked != listed {
            lines.push(format!(
                "{revoked} {of} are revoked, but {listed} of them are on lists as they are"
            ));
        }
    }
    let (known, all) = (
        count(
            "SELECT (SELECT count(*) FROM certificates WHERE status IN (2, 3)) + (SELECT count(*) FROM lost_certificates)",
        )?,
        count("SELECT count(*) FROM revocations")?,
    );
    if known != all {
        lines.push(format!(
            "{all} revocations are on lists, but {known} certificates are revoked"
        ));
    }
    Ok(lines)
}

/// What is wrong with the logs of what was done.
fn audit(connection: &Connection) -> Result<Vec<String>, StoreError> {
    let mut lines = Vec::new();
    let strays = audit::strays(connection)?;
    if strays > 0 {
        lines.push(format!("{strays} audit entries belong to no log"));
    }
    lines.extend(
        audit::verify(connection)?
            .into_iter()
            .flat_map(|verdict| verdict.faults),
    );
    lines.truncate(LINES_MAX);
    Ok(lines)
}
