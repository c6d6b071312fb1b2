//! The full check: the only thing here that reads every row.

use std::collections::{BTreeMap, BTreeSet};

use certgate_model::{AccountId, AuthorityId, Status, TokenId, ZoneId};

use super::certificates::{self, Names};
use super::counters::{self, Layout, Level, Position};
use super::db::Db;
use super::row;
use super::tenants::folded;
use super::value::values;
use super::{audit, authorities, mtls_certificates, tenants, tokens};
use crate::StoreError;

/// After so many faults nobody reads on.
const LINES_MAX: usize = 100;

/// Which columns refer to which. PostgreSQL holds them, unless somebody has taken that away for a while.
const REFERENCES: [(&str, &str, &str, &str); 12] = [
    ("authorities", "account", "accounts", "id"),
    ("accounts", "managed_authority", "authorities", "number"),
    ("zones", "account", "accounts", "id"),
    ("tokens", "\"user\"", "users", "id"),
    ("certificates", "authority", "authorities", "number"),
    ("mtls_certificates", "account", "accounts", "id"),
    ("hostname_associations", "zone", "zones", "number"),
    ("lost_certificates", "authority", "authorities", "number"),
    ("revocations", "authority", "authorities", "number"),
    ("crl_states", "authority", "authorities", "number"),
    ("crls", "authority", "authorities", "number"),
    ("enforcement_points", "account", "accounts", "id"),
];

/// Everything that is wrong. In a snapshot, whose statements may take as long as they take.
pub(super) async fn all(db: &Db, layout: Layout) -> Result<Vec<String>, StoreError> {
    db.run("SET LOCAL statement_timeout = 0").await?;
    let mut lines = Vec::new();
    for part in Part::ALL {
        // Damage that stops the reading is what was looked for; the other parts may tell more.
        db.run("SAVEPOINT part").await?;
        match part.read(db, layout).await {
            Ok(found) => lines.extend(found),
            Err(StoreError::Corrupt(text)) => {
                db.go_back("ROLLBACK TO SAVEPOINT part").await?;
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

enum Part {
    References,
    Records,
    Certificates,
    Revocations,
    Hostnames,
    Audit,
}

impl Part {
    const ALL: [Self; 6] = [
        Self::References,
        Self::Records,
        Self::Certificates,
        Self::Revocations,
        Self::Hostnames,
        Self::Audit,
    ];

    async fn read(self, db: &Db, layout: Layout) -> Result<Vec<String>, StoreError> {
        let mut lines = match self {
            Self::References => references(db).await?,
            Self::Records => records(db).await?,
            Self::Certificates => all_certificates(db, layout).await?,
            Self::Revocations => revocations(db).await?,
            Self::Hostnames => hostnames(db).await?,
            Self::Audit => audit(db).await?,
        };
        lines.truncate(LINES_MAX);
        Ok(lines)
    }
}

/// Rows that refer to rows that are not there.
async fn references(db: &Db) -> Result<Vec<String>, StoreError> {
    let mut lines = Vec::new();
    for (table, column, parent, key) in REFERENCES {
        let count = format!(
            "SELECT count(*) FROM {table} child WHERE child.{column} IS NOT NULL \
             AND NOT EXISTS (SELECT 1 FROM {parent} parent WHERE parent.{key} = child.{column})"
        );
        let rows = db.rows_unhurried(&count, values![]).await?;
        let missing: u64 = rows.first().map_or(Ok(0), |row| row.get(0))?;
        if missing > 0 {
            lines.push(format!(
                "{missing} rows of \"{table}\" refer to a missing row of \"{parent}\""
            ));
        }
    }
    Ok(lines)
}

/// Rows that cannot be turned into the records they stand for: what the server would answer with an error.
async fn records(db: &Db) -> Result<Vec<String>, StoreError> {
    let mut lines = Vec::new();
    for id in ids(db, "SELECT id FROM tokens").await? {
        note(
            &mut lines,
            "token",
            &id,
            tokens::token(db, TokenId::from_bytes(id)).await,
        )?;
    }
    for id in ids(db, "SELECT id FROM accounts WHERE deleted_at IS NULL").await? {
        note(
            &mut lines,
            "account",
            &id,
            tenants::account(db, AccountId::from_bytes(id)).await,
        )?;
        let brought = mtls_certificates::all(db, AccountId::from_bytes(id))
            .await
            .map(Some);
        note(
            &mut lines,
            "account with brought certificates",
            &id,
            brought,
        )?;
    }
    for id in ids(db, "SELECT id FROM zones WHERE deleted_at IS NULL").await? {
        note(
            &mut lines,
            "zone",
            &id,
            tenants::zone(db, ZoneId::from_bytes(id)).await,
        )?;
    }
    for id in ids(db, "SELECT id FROM authorities").await? {
        note(
            &mut lines,
            "authority",
            &id,
            authorities::authority(db, AuthorityId::from_bytes(id)).await,
        )?;
    }
    Ok(lines)
}

async fn ids(db: &Db, select: &str) -> Result<Vec<[u8; 16]>, StoreError> {
    db.rows_unhurried(select, values![])
        .await?
        .iter()
        .map(|row| row.get(0))
        .collect()
}

fn note<T>(
    lines: &mut Vec<String>,
    kind: &str,
    id: &[u8; 16],
    read: Result<Option<T>, StoreError>,
) -> Result<(), StoreError> {
    match read {
        Ok(_) => Ok(()),
        Err(StoreError::Unavailable(text)) => Err(StoreError::Unavailable(text)),
        Err(error) => {
            lines.push(format!(
                "the {kind} {} cannot be read: {error}",
                TokenId::from_bytes(*id)
            ));
            Ok(())
        }
    }
}

/// Reads every certificate, once, in the order of positions: whether it can be read, both levels of counters, the density of the
/// sequence numbers, and the epochs. The memory needed is that of the counters.
async fn all_certificates(db: &Db, layout: Layout) -> Result<Vec<String>, StoreError> {
    let mut lines = Vec::new();
    let mut counted = [BTreeMap::<i64, [u64; 4]>::new(), BTreeMap::new()];
    let mut zones = BTreeMap::<i64, (i64, i64)>::new();
    let mut highest = BTreeMap::<i64, i64>::new();
    let mut names = Names::new(db);
    let mut after = i64::MIN;
    loop {
        let rows = certificates::stretch(db, after).await?;
        if rows.is_empty() {
            break;
        }
        for row in rows {
            let position = Position(row.get(0)?);
            after = position.0;
            // Which zone it is does not matter here.
            if let Err(error) = names.record(ZoneId::from_bytes([0; 16]), &row).await {
                lines.push(format!(
                    "the certificate at {} cannot be read: {error}",
                    position.0
                ));
                if lines.len() >= LINES_MAX {
                    return Ok(lines);
                }
            }
            if let (number, Some(epoch)) = (row.get(2)?, row.get::<Option<i64>>(21)?) {
                let highest = highest.entry(number).or_insert(epoch);
                *highest = epoch.max(*highest);
            }
            let (size, last) = zones.entry(position.zone()).or_default();
            *size += 1;
            *last = position.sequence().max(*last);
            let Ok(status) = row::status(&row, 3) else {
                continue;
            };
            for (level, counted) in Level::BOTH.into_iter().zip(&mut counted) {
                let counts = counted.entry(position.block(layout, level)).or_default();
                counts[usize::from(status.code())] += 1;
            }
        }
    }
    for (level, counted) in Level::BOTH.into_iter().zip(&counted) {
        compare(db, level, counted, &mut lines).await?;
    }
    density(db, &zones, &mut lines).await?;
    for row in db
        .rows_unhurried("SELECT authority, epoch FROM lost_certificates", values![])
        .await?
    {
        let (number, epoch): (i64, i64) = (row.get(0)?, row.get(1)?);
        let highest = highest.entry(number).or_insert(epoch);
        *highest = epoch.max(*highest);
    }
    epochs(db, &highest, &mut lines).await?;
    Ok(lines)
}

async fn compare(
    db: &Db,
    level: Level,
    counted: &BTreeMap<i64, [u64; Status::ALL.len()]>,
    lines: &mut Vec<String>,
) -> Result<(), StoreError> {
    let mut stored = BTreeMap::new();
    let mut rows = db.stream(counters::everything(level), values![]).await?;
    while let Some(row) = rows.next().await? {
        let (block, counts) = counters::block_row(&row)?;
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

/// Of each zone its number, how many certificates it has, and the last sequence number.
async fn density(
    db: &Db,
    zones: &BTreeMap<i64, (i64, i64)>,
    lines: &mut Vec<String>,
) -> Result<(), StoreError> {
    let rows = db
        .rows_unhurried("SELECT number FROM zones", values![])
        .await?;
    let known: BTreeSet<i64> = rows
        .iter()
        .map(|row| row.get(0))
        .collect::<Result<_, _>>()?;
    for (zone, (size, last)) in zones {
        if *size != last + 1 {
            lines.push(format!(
                "zone number {zone} has {size} certificates, but its last one has number {last}"
            ));
        }
        if !known.contains(zone) {
            lines.push(format!(
                "zone number {zone} has certificates, but does not exist"
            ));
        }
    }
    Ok(())
}

/// An authority's last epoch is that of a change of one of its certificates, or a later one.
async fn epochs(
    db: &Db,
    highest: &BTreeMap<i64, i64>,
    lines: &mut Vec<String>,
) -> Result<(), StoreError> {
    let newest: i64 = db
        .one("SELECT last_epoch FROM store", values![])
        .await?
        .get(0)?;
    for row in db
        .rows("SELECT number, last_epoch FROM authorities", values![])
        .await?
    {
        let (number, last): (i64, i64) = (row.get(0)?, row.get(1)?);
        let least = highest.get(&number).copied().unwrap_or(0);
        if !(least..=newest).contains(&last) {
            lines.push(format!(
                "authority number {number} has the last epoch {last}, but its certificates' highest is {least}, \
                 the store's {newest}"
            ));
        }
    }
    Ok(())
}

/// What the keys of the lists of hostnames cannot say: whose certificate they name, that the zone exists, that a hostname is
/// in one zone and once in a list, and that no deployment is later than the last.
async fn hostnames(db: &Db) -> Result<Vec<String>, StoreError> {
    let last: i64 = db
        .one("SELECT last_deployment FROM store", values![])
        .await?
        .get(0)?;
    let select = "SELECT hostname_associations.hostname, hostname_associations.folded_hostname, \
         hostname_associations.zone, hostname_associations.mtls_certificate, hostname_associations.deployment, \
         zones.deleted_at IS NULL, length(hostname_associations.mtls_certificate) = 0 \
         OR mtls_certificates.ca AND mtls_certificates.account = zones.account \
         FROM hostname_associations JOIN zones ON zones.number = hostname_associations.zone \
         LEFT JOIN mtls_certificates ON mtls_certificates.id = hostname_associations.mtls_certificate \
         ORDER BY hostname_associations.folded_hostname";
    let mut lines = Vec::new();
    let mut before: Option<(String, i64)> = None;
    let mut authorities = BTreeSet::<Vec<u8>>::new();
    let mut rows = db.stream(select, values![]).await?;
    while let Some(row) = rows.next().await? {
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
        if lines.len() >= LINES_MAX {
            break;
        }
    }
    Ok(lines)
}

/// What lists are made of, against the certificates: each that is revoked is there once, as it is, and nothing else.
async fn revocations(db: &Db) -> Result<Vec<String>, StoreError> {
    let count = async |select: &str| -> Result<i64, StoreError> {
        db.rows_unhurried(select, values![])
            .await?
            .first()
            .map_or(Ok(0), |row| row.get(0))
    };
    let mut lines = Vec::new();
    for (revoked, listed, of) in [
        (
            "SELECT count(*) FROM certificates WHERE status IN (2, 3)",
            "SELECT count(*) FROM revocations JOIN certificates ON certificates.position = revocations.position \
             WHERE certificates.status IN (2, 3) AND certificates.authority = revocations.authority \
             AND certificates.serial = revocations.serial AND certificates.revoked_on = revocations.revoked_on \
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
        let (revoked, listed) = (count(revoked).await?, count(listed).await?);
        if revoked != listed {
            lines.push(format!(
                "{revoked} {of} are revoked, but {listed} of them are on lists as they are"
            ));
        }
    }
    let known = "SELECT (SELECT count(*) FROM certificates WHERE status IN (2, 3)) + (SELECT count(*) FROM lost_certificates)";
    let (known, all) = (
        count(known).await?,
        count("SELECT count(*) FROM revocations").await?,
    );
    if known != all {
        lines.push(format!(
            "{all} revocations are on lists, but {known} certificates are revoked"
        ));
    }
    Ok(lines)
}

/// What is wrong with the logs of what was done.
async fn audit(db: &Db) -> Result<Vec<String>, StoreError> {
    let mut lines = Vec::new();
    let strays = audit::strays(db).await?;
    if strays > 0 {
        lines.push(format!("{strays} audit entries belong to no log"));
    }
    lines.extend(
        audit::verify(db)
            .await?
            .into_iter()
            .flat_map(|verdict| verdict.faults),
    );
    Ok(lines)
}
