//! The full check: the only verb that reads every row.

mod account_epochs;
mod authorities;
mod indexes;
mod lists;
mod reading;
mod seals;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;

use certgate_model::{
    AccountId, AuthorityId, AuthorityRef, CertificateId, EnforcementPointId, InviteId,
    InviteRecord, ResourceType, Status, StoredRules, Timestamp, TokenHash, TokenId, UserId, ZoneId,
};

use self::indexes::Search;
use self::reading::{LINES_MAX, everything, single, until_enough};
use super::certificates::{self, Found, NEXT};
use super::counters::BlockCounts;
use super::names::folded;
use super::{
    audit, authorities as authority_verbs, certificate_events, counters, enforcement, invites,
    mtls_certificates, tenants, tokens,
};
use crate::db::{Db, Row, Transaction};
use crate::error::corrupt;
use crate::position::{Level, Position};
use crate::schema::{CERTIFICATES, TABLES};
use crate::{Judge, StoreError, seal};

/// A part of the check. Corruption that stops one part leaves the others to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// The problems that the database itself finds.
    Storage,
    References,
    /// Rows that differ from their digests.
    Seals,
    Records,
    Certificates,
    Revocations,
    Crls,
    Hostnames,
    Audit,
}

impl Part {
    const ALL: [Self; 9] = [
        Self::Storage,
        Self::References,
        Self::Seals,
        Self::Records,
        Self::Certificates,
        Self::Revocations,
        Self::Crls,
        Self::Hostnames,
        Self::Audit,
    ];

    async fn read<D: Transaction>(
        self,
        db: &D,
        judge: &mut dyn Judge,
    ) -> Result<Vec<String>, StoreError> {
        let mut lines = match self {
            Self::Storage => db.check_storage().await?,
            Self::References => references(db).await?,
            Self::Seals => seals::all(db, judge).await?,
            Self::Records => records(db, judge).await?,
            Self::Certificates => all_certificates(db, judge).await?,
            Self::Revocations => lists::revocations(db, judge).await?,
            Self::Crls => lists::crls(db, judge).await?,
            Self::Hostnames => hostnames(db).await?,
            Self::Audit => audit(db).await?,
        };
        lines.truncate(LINES_MAX);
        Ok(lines)
    }
}

/// Returns every problem, a line each. Runs in a snapshot.
pub(crate) async fn all<D: Transaction>(
    db: &D,
    judge: &mut dyn Judge,
) -> Result<Vec<String>, StoreError> {
    let mut lines = Vec::new();
    for part in Part::ALL {
        db.savepoint().await?;
        match part.read(db, judge).await {
            Ok(found) => lines.extend(found),
            Err(StoreError::Corrupt(text)) => {
                db.roll_back_to_savepoint().await?;
                let line = format!("not everything could be read: {text}");
                if !lines.contains(&line) {
                    lines.push(line);
                }
            }
            Err(other) => return Err(other),
        }
        db.release().await?;
    }
    Ok(lines)
}

/// Finds rows that refer to missing rows.
async fn references<D: Db>(db: &D) -> Result<Vec<String>, StoreError> {
    let mut lines = Vec::new();
    for table in TABLES {
        for column in table.columns {
            let Some((parent, key)) = column.references else {
                continue;
            };
            let (table, column) = (table.name, column.name);
            let count = format!(
                "SELECT count(*) FROM \"{table}\" child WHERE child.\"{column}\" IS NOT NULL \
                 AND NOT EXISTS (SELECT 1 FROM \"{parent}\" parent \
                 WHERE parent.\"{key}\" = child.\"{column}\")"
            );
            let missing: u64 = single(db, &count).await?;
            if missing > 0 {
                lines.push(format!(
                    "{missing} rows of \"{table}\" refer to a missing row of \"{parent}\""
                ));
            }
        }
    }
    Ok(lines)
}

/// Notes issuance rules that cannot be read: nothing is issued under them.
fn corrupt_rules(lines: &mut Vec<String>, kind: &str, id: &impl Display, rules: &StoredRules) {
    if matches!(rules, StoredRules::Corrupt(_)) {
        lines.push(format!("the issuance rules of the {kind} {id} are corrupt"));
    }
}

/// Finds rows that cannot be turned into the records that they stand for: the server would answer
/// requests for them with an error.
async fn records<D: Db>(db: &D, judge: &mut dyn Judge) -> Result<Vec<String>, StoreError> {
    let mut lines = Vec::new();
    for id in ids(db, "SELECT id FROM tokens").await? {
        let read = tokens::token(db, TokenId::from_bytes(id)).await;
        if let Ok(Some(record)) = &read {
            corrupt_rules(&mut lines, "token", &record.id, &record.issuance_rules);
        }
        note(&mut lines, "token", &id, read)?;
    }
    for id in ids(db, "SELECT id FROM accounts WHERE deleted_at IS NULL").await? {
        let account = AccountId::from_bytes(id);
        note(
            &mut lines,
            "account",
            &id,
            tenants::account(db, account).await,
        )?;
        let uploaded = mtls_certificates::all(db, account).await;
        for record in uploaded.iter().flatten() {
            let columns = judge.uploaded(record);
            contradicted(&mut lines, "mtls_certificates", &record.id, &columns);
        }
        note(
            &mut lines,
            "account with uploaded certificates",
            &id,
            uploaded,
        )?;
    }
    for id in ids(db, "SELECT id FROM zones WHERE deleted_at IS NULL").await? {
        let read = tenants::zone(db, ZoneId::from_bytes(id)).await;
        if let Ok(Some(record)) = &read {
            corrupt_rules(&mut lines, "zone", &record.id, &record.issuance_rules);
        }
        note(&mut lines, "zone", &id, read)?;
    }
    for id in ids(db, "SELECT id FROM authorities WHERE NOT retired").await? {
        let read = authority_verbs::authority(db, AuthorityId::from_bytes(id)).await;
        if let Ok(Some(record)) = &read {
            let columns = judge.authority(record);
            contradicted(&mut lines, "authorities", &record.id, &columns);
        }
        note(&mut lines, "CA", &id, read)?;
    }
    lines.extend(authorities::active(db).await?);
    lines.extend(authorities::adopted(db).await?);
    lines.extend(api_keys(db).await?);
    points(db, &mut lines).await?;
    used_invites(db, &mut lines).await?;
    Ok(lines)
}

/// Compares each API key with the entry of the audit log that was made with it. Entries of earlier
/// versions name no key.
async fn api_keys<D: Db>(db: &D) -> Result<Vec<String>, StoreError> {
    let select = format!(
        "SELECT id, api_key_hash, (SELECT detail FROM audit_entries \
         WHERE audit_entries.chain = (SELECT number FROM audit_chains \
         WHERE audit_chains.owner = users.id) AND audit_entries.resource_type = {} \
         ORDER BY audit_entries.number DESC LIMIT 1) FROM users",
        ResourceType::ApiKey.code()
    );
    let keys = everything(db, &select, |row| {
        Ok((row.get(0)?, row.get(1)?, row.get::<Option<String>>(2)?))
    });
    let mut lines = Vec::new();
    for (id, hash, detail) in keys.await? {
        let (id, hash): (UserId, Option<TokenHash>) = (id, hash);
        let detail = detail.filter(|detail| !detail.is_empty());
        if detail.is_some_and(|detail| detail != tenants::api_key_detail(hash.as_ref())) {
            lines.push(format!(
                "\"users\" {id}: api_key_hash differs from the audit log"
            ));
        }
    }
    Ok(lines)
}

/// Checks what enforcement points have acknowledged and cover, and the ends of their leases.
async fn points<D: Db>(db: &D, lines: &mut Vec<String>) -> Result<(), StoreError> {
    let select = "SELECT id, lease_seconds, seen_on, live_until, \
                  acknowledged_epoch > (SELECT last_epoch FROM store), terms, forget_on \
                  FROM enforcement_points";
    let points = everything(db, select, |row| {
        let (lease, seen_on): (u32, Timestamp) = (row.get(1)?, row.get(2)?);
        let after = |seconds: u32| seen_on.plus_seconds(i64::from(seconds));
        let terms = enforcement::terms::read(row.get(5)?);
        let forget_on: Option<Timestamp> = row.get(6)?;
        // Earlier versions do not move it, so that it can be too early.
        let is_late = |seconds| forget_on.is_some_and(|on| on > after(seconds));
        let wrong = [
            ("live_until", row.get::<Timestamp>(3)? != after(lease)),
            ("acknowledged_epoch", row.get(4)?),
            ("terms", terms.is_err()),
            (
                "forget_on",
                terms.is_ok_and(|(.., seconds)| is_late(seconds)),
            ),
        ];
        Ok((row.get(0)?, wrong))
    });
    for (id, wrong) in points.await? {
        let id: EnforcementPointId = id;
        for (column, _) in wrong.iter().filter(|(_, is_wrong)| *is_wrong) {
            lines.push(format!(
                "\"enforcement_points\" {id}: {column} is impossible"
            ));
        }
    }
    Ok(())
}

/// Checks that each invite can be read, and that its certificates are of its zone and name, and not
/// more than it permits.
async fn used_invites<D: Db>(db: &D, lines: &mut Vec<String>) -> Result<(), StoreError> {
    for id in ids(db, "SELECT id FROM invites").await? {
        let read = invites::invite(db, InviteId::from_bytes(id)).await;
        if let Ok(Some(InviteRecord {
            id,
            uses,
            uses_max,
            wrong_secrets,
            ..
        })) = read
        {
            if uses > uses_max {
                lines.push(format!("the invite {id} has {uses} uses of {uses_max}"));
            }
            if wrong_secrets > InviteRecord::WRONG_SECRETS_MAX {
                lines.push(format!("\"invites\" {id}: wrong_secrets is impossible"));
            }
        }
        note(lines, "invite", &id, read)?;
    }
    let select = "SELECT invites.id FROM invite_uses \
                  JOIN invites ON invites.id = invite_uses.invite \
                  JOIN certificates ON certificates.position = invite_uses.position \
                  JOIN zones ON zones.number = certificates.position >> 36 \
                  WHERE zones.id <> invites.zone OR certificates.common_name <> invites.name";
    for id in everything(db, select, |row| row.get::<InviteId>(0)).await? {
        lines.push(format!(
            "the invite {id} has a certificate of another name or zone"
        ));
    }
    Ok(())
}

/// Notes the columns that a DER form contradicts.
fn contradicted(
    lines: &mut Vec<String>,
    table: &str,
    id: &dyn std::fmt::Display,
    columns: &[&'static str],
) {
    if !columns.is_empty() {
        let columns = columns.join(", ");
        lines.push(format!(
            "\"{table}\" {id}: its certificate contradicts {columns}"
        ));
    }
}

async fn ids<D: Db>(db: &D, select: &str) -> Result<Vec<[u8; 16]>, StoreError> {
    everything(db, select, |row| row.get(0)).await
}

fn note<T>(
    lines: &mut Vec<String>,
    kind: &str,
    id: &[u8; 16],
    read: Result<T, StoreError>,
) -> Result<(), StoreError> {
    match read {
        Ok(_) => Ok(()),
        Err(StoreError::Unavailable(text)) => Err(StoreError::Unavailable(text)),
        Err(error) => {
            let id = TokenId::from_bytes(*id);
            lines.push(format!("the {kind} {id} cannot be read: {error}"));
            Ok(())
        }
    }
}

/// The counts that the certificates themselves give. The memory needed is that of the counters.
#[derive(Default)]
struct Counted {
    blocks: [BTreeMap<i64, BlockCounts<u64>>; 2],
    /// The number of certificates and the last sequence number, by the number of the zone.
    zones: BTreeMap<i64, (i64, i64)>,
    /// The highest epoch, by the number of the CA.
    epochs: BTreeMap<i64, i64>,
    /// The numbers of the CAs.
    authorities: BTreeSet<i64>,
    search: Search,
}

/// Reads every certificate once: whether it can be read, both levels of counters, the density of
/// the sequence numbers, and the epochs.
async fn all_certificates<D: Db>(db: &D, judge: &mut dyn Judge) -> Result<Vec<String>, StoreError> {
    let mut lines = Vec::new();
    let mut counted = Counted {
        search: Search::begin(db).await?,
        ..Counted::default()
    };
    let names = "SELECT number, id FROM authorities";
    let names = everything(db, names, |row| Ok((row.get(0)?, row.get(1)?))).await?;
    let names: BTreeMap<i64, AuthorityId> = names.into_iter().collect();
    let mut visit = |row: &dyn Row| {
        judge.progress(1);
        let position = Position(row.get(0)?);
        let name = match row.get::<CertificateId>(1) {
            Ok(id) => format!("\"certificates\" {} {id}", position.0),
            Err(_) => format!("\"certificates\" {}", position.0),
        };
        match count_certificate(db, row, position, &mut counted) {
            Ok(found) => {
                if !seal::is_intact(&CERTIFICATES, row, NEXT + 2)? {
                    lines.push(format!("{name}: differs from its digest"));
                }
                let id = names.get(&found.authority).copied();
                let id = id.unwrap_or(AuthorityId::from_bytes([0; 16]));
                let authority = AuthorityRef {
                    id,
                    name: String::new(),
                };
                let (number, position) = (found.authority, found.position);
                let record = found.named(ZoneId::from_bytes([0; 16]), authority);
                counted.search.add::<D>(position, number, &record);
                let folded_name: Option<String> = row.get(NEXT + 3)?;
                if !counted
                    .search
                    .has_folded_name(position, &record, folded_name.as_deref())
                {
                    lines.push(format!("{name}: its common name contradicts folded_name"));
                }
                let columns = judge.certificate(&record).join(", ");
                if !columns.is_empty() {
                    lines.push(format!("{name}: its DER form contradicts {columns}"));
                }
            }
            Err(error) => lines.push(format!("{name}: cannot be read: {error}")),
        }
        Ok(until_enough(&lines))
    };
    db.stream(certificates::EVERYTHING, &[], &mut visit).await?;
    if lines.len() >= LINES_MAX {
        return Ok(lines);
    }
    let stray = "SELECT count(*) FROM statuses WHERE NOT EXISTS \
                 (SELECT 1 FROM certificates WHERE certificates.position = statuses.position)";
    let stray: u64 = single(db, stray).await?;
    if stray > 0 {
        lines.push(format!("{stray} statuses belong to no certificate"));
    }
    for (level, counted) in Level::BOTH.into_iter().zip(&counted.blocks) {
        compare(db, level, counted, &mut lines).await?;
    }
    density(db, &counted.zones, &mut lines).await?;
    let lost = "SELECT authority, epoch FROM lost_certificates";
    for (authority, epoch) in everything(db, lost, |row| Ok((row.get(0)?, row.get(1)?))).await? {
        raise(&mut counted.epochs, authority, epoch);
    }
    epochs(db, &counted.epochs, &mut lines).await?;
    lines.extend(account_epochs::stretches(db).await?);
    lines.extend(authorities::states(db, &counted.authorities).await?);
    counted.search.compare(db, &mut lines).await?;
    Ok(lines)
}

fn count_certificate<D: Db>(
    db: &D,
    row: &dyn Row,
    position: Position,
    counted: &mut Counted,
) -> Result<Found, StoreError> {
    let (size, last) = counted.zones.entry(position.zone()).or_default();
    *size += 1;
    *last = position.sequence().max(*last);
    if let (Some(authority), Some(epoch)) = (row.get(2)?, row.get(NEXT)?) {
        raise(&mut counted.epochs, authority, epoch);
    }
    counted.authorities.extend(row.get::<Option<i64>>(2)?);
    let status: Status = row.get(18)?;
    let successor: Option<CertificateId> = row.get(22)?;
    let is_replaced = successor.is_some() && counted.search.has_replaced(position);
    for (level, counted) in Level::BOTH.into_iter().zip(&mut counted.blocks) {
        let counts = counted
            .entry(position.block(db.layout(), level))
            .or_default();
        counts.all[usize::from(status.code())] += 1;
        if is_replaced {
            counts.replaced[usize::from(status.code())] += 1;
        }
    }
    let found = Found::read(row)?;
    match row.get::<i64>(NEXT + 1)? == found.authority {
        true => Ok(found),
        false => Err(corrupt("its status names another CA")),
    }
}

fn raise(epochs: &mut BTreeMap<i64, i64>, authority: i64, epoch: i64) {
    let highest = epochs.entry(authority).or_insert(epoch);
    *highest = epoch.max(*highest);
}

async fn compare<D: Db>(
    db: &D,
    level: Level,
    counted: &BTreeMap<i64, BlockCounts<u64>>,
    lines: &mut Vec<String>,
) -> Result<(), StoreError> {
    let table = level.table();
    let select = format!(
        "SELECT {} FROM {} ORDER BY block",
        table.column_names(),
        table.name
    );
    let stored = everything(db, &select, counters::block_row).await?;
    let stored: BTreeMap<_, _> = stored.into_iter().collect();
    let blocks: BTreeSet<_> = stored.keys().chain(counted.keys()).collect();
    for block in blocks {
        let stored = stored.get(block).copied().unwrap_or_default();
        let counted = counted.get(block).copied().unwrap_or_default();
        for (stored, counted, of) in [
            (stored.all, counted.all, ""),
            (
                stored.replaced,
                counted.replaced,
                " of replaced certificates",
            ),
        ] {
            if stored != counted {
                lines.push(format!(
                    "{} {block} has the counts {stored:?}{of}, but the certificates give \
                     {counted:?}",
                    table.name
                ));
            }
        }
    }
    Ok(())
}

/// Checks that the sequence numbers of each zone have no gap, and that the zone exists.
async fn density<D: Db>(
    db: &D,
    zones: &BTreeMap<i64, (i64, i64)>,
    lines: &mut Vec<String>,
) -> Result<(), StoreError> {
    let known = everything(db, "SELECT number FROM zones", |row| row.get(0)).await?;
    let known: BTreeSet<i64> = known.into_iter().collect();
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

/// Checks that a CA's last epoch is that of a change of one of its certificates, or a later one.
async fn epochs<D: Db>(
    db: &D,
    highest: &BTreeMap<i64, i64>,
    lines: &mut Vec<String>,
) -> Result<(), StoreError> {
    let newest: i64 = single(db, "SELECT last_epoch FROM store").await?;
    let skipped: Option<i64> = single(db, "SELECT max(until) FROM epoch_gaps").await?;
    let configured = "SELECT max(configuration_epoch) FROM accounts";
    let configured: Option<i64> = single(db, configured).await?;
    // Two complements have the sum -1.
    let wrong = "SELECT id FROM accounts WHERE configuration_epoch IS NOT NULL \
                 AND coalesce(configuration_epoch + configuration_check, 0) <> -1";
    for id in everything(db, wrong, |row| row.get::<AccountId>(0)).await? {
        lines.push(format!(
            "\"accounts\" {id}: configuration_epoch is impossible"
        ));
    }
    let highest_of_all = highest.values().copied().max();
    let last = highest_of_all.max(skipped).max(configured).unwrap_or(0);
    if newest != last {
        lines.push(format!(
            "\"store\": last_epoch is {newest}, but the last change has the epoch {last}"
        ));
    }
    let select = "SELECT number, last_epoch FROM authorities";
    for (number, last) in everything(db, select, |row| Ok((row.get(0)?, row.get(1)?))).await? {
        let least = highest.get(&number).copied().unwrap_or(0);
        if !(least..=newest).contains(&last) {
            lines.push(format!(
                "CA number {number} has the last epoch {last}, but its certificates' highest is \
                 {least}, the store's {newest}"
            ));
        }
    }
    Ok(())
}

/// One hostname of a list, for [`hostnames`].
struct ListedHostname {
    hostname: String,
    key: String,
    zone: i64,
    authority: Vec<u8>,
    deployment: i64,
    zone_exists: bool,
    authority_exists: bool,
}

/// Checks the rules of lists of hostnames that their keys cannot enforce: the certificate belongs
/// to the account, the zone exists, a hostname is in one zone and once in a list, and no deployment
/// is later than the last one.
async fn hostnames<D: Db>(db: &D) -> Result<Vec<String>, StoreError> {
    let last: i64 = single(db, "SELECT last_deployment FROM store").await?;
    let select = "SELECT hostname_associations.hostname, hostname_associations.folded_hostname, \
                  hostname_associations.zone, hostname_associations.mtls_certificate, \
                  hostname_associations.deployment, zones.deleted_at IS NULL, \
                  mtls_certificates.ca, mtls_certificates.account = zones.account \
                  FROM hostname_associations \
                  JOIN zones ON zones.number = hostname_associations.zone \
                  LEFT JOIN mtls_certificates \
                  ON mtls_certificates.id = hostname_associations.mtls_certificate \
                  ORDER BY hostname_associations.folded_hostname";
    let mut lines = Vec::new();
    let mut before: Option<ListedHostname> = None;
    let mut authorities = BTreeSet::<Vec<u8>>::new();
    let mut visit = |row: &dyn Row| {
        let authority: Vec<u8> = row.get(3)?;
        let is_uploaded =
            row.get::<Option<bool>>(6)? == Some(true) && row.get::<Option<bool>>(7)? == Some(true);
        let listed = ListedHostname {
            hostname: row.get(0)?,
            key: row.get(1)?,
            zone: row.get(2)?,
            authority_exists: authority.is_empty() || is_uploaded,
            authority,
            deployment: row.get(4)?,
            zone_exists: row.get(5)?,
        };
        check_hostname(&listed, last, before.as_ref(), &mut authorities, &mut lines);
        before = Some(listed);
        Ok(until_enough(&lines))
    };
    db.stream(select, &[], &mut visit).await?;
    Ok(lines)
}

fn check_hostname(
    listed: &ListedHostname,
    last_deployment: i64,
    before: Option<&ListedHostname>,
    authorities: &mut BTreeSet<Vec<u8>>,
    lines: &mut Vec<String>,
) {
    let ListedHostname {
        hostname,
        key,
        deployment,
        ..
    } = listed;
    let mut note = |what: &str| lines.push(format!("the hostname {hostname:?} {what}"));
    if *key != folded(hostname) {
        note(&format!("is looked up as {key:?}"));
    }
    if !listed.zone_exists {
        note("is listed in a zone that is deleted");
    }
    if !listed.authority_exists {
        note("is listed for a CA that its zone's account does not have");
    }
    if !(1..=last_deployment).contains(deployment) {
        note(&format!(
            "has deployment {deployment}, but the last one is {last_deployment}"
        ));
    }
    match before.filter(|before| before.key == *key) {
        Some(before) if before.zone != listed.zone => note("is listed in two zones"),
        Some(_) if !authorities.insert(listed.authority.clone()) => {
            note("is listed twice for one CA");
        }
        Some(_) => {}
        None => *authorities = BTreeSet::from([listed.authority.clone()]),
    }
}

/// Finds what is wrong with the audit logs.
async fn audit<D: Db>(db: &D) -> Result<Vec<String>, StoreError> {
    let mut lines = Vec::new();
    let strays = audit::strays(db).await?;
    if strays > 0 {
        lines.push(format!("{strays} audit entries belong to no log"));
    }
    let verdicts = audit::verify(db).await?;
    lines.extend(verdicts.into_iter().flat_map(|verdict| verdict.faults));
    lines.extend(certificate_events::compare(db).await?);
    Ok(lines)
}
