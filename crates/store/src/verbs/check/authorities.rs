//! The states of CAs, which no digest covers because they change.

use std::collections::{BTreeMap, BTreeSet};

use certgate_model::{AccountId, AuthorityId, CrlKind};

use super::super::stage::{Stage, Step};
use super::reading::{everything, single};
use crate::StoreError;
use crate::db::{Db, Row};

/// Compares the state of each CA with its certificates, whose CAs are `signed`, and with its CRLs.
/// A restored database has lost certificates, so any of its CAs may have signed.
pub(super) async fn states<D: Db>(
    db: &D,
    signed: &BTreeSet<i64>,
) -> Result<Vec<String>, StoreError> {
    let mut lines = Vec::new();
    let all_crls = CrlKind::all().count() as u64;
    let is_restored = single::<_, u64>(db, "SELECT count(*) FROM epoch_gaps").await? > 0;
    let select = "SELECT id, number, has_signed, retired, (SELECT count(*) FROM crl_states \
                  WHERE crl_states.authority = authorities.number) FROM authorities";
    let states = everything(db, select, |row| {
        let crls: u64 = row.get(4)?;
        let flags: (bool, bool) = (row.get(2)?, row.get(3)?);
        Ok((row.get(0)?, row.get(1)?, flags, crls))
    });
    for (id, number, (has_signed, is_retired), crls) in states.await? {
        let id: AuthorityId = id;
        let has_certificates = signed.contains(&number);
        let expected = if is_retired { 0 } else { all_crls };
        let wrong = [
            (
                "has_signed",
                has_certificates != has_signed && !(is_restored && has_signed),
            ),
            (
                "retired",
                crls != expected || has_certificates && is_retired,
            ),
        ];
        for (column, _) in wrong.iter().filter(|(_, is_wrong)| *is_wrong) {
            lines.push(format!("\"authorities\" {id}: {column} is impossible"));
        }
    }
    Ok(lines)
}

/// A CA as a candidate for the active one of its account.
struct Candidate {
    number: i64,
    stage: Stage,
}

/// Finds CAs whose state cannot be read, and accounts whose active CA is not the one that was
/// activated last.
pub(super) async fn active<D: Db>(db: &D) -> Result<Vec<String>, StoreError> {
    let mut lines = Vec::new();
    let select = "SELECT account, id, number, state FROM authorities WHERE NOT retired";
    let read = |row: &dyn Row| {
        let (account, id, number) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let stage = Stage::read(row.get(3)?).ok();
        Ok((account, id, number, stage))
    };
    let last: u64 = single(db, "SELECT last_epoch FROM store").await?;
    let mut latest = BTreeMap::<AccountId, Candidate>::new();
    for (account, id, number, stage) in everything(db, select, read).await? {
        let (account, id): (AccountId, AuthorityId) = (account, id);
        let Some(stage) = stage.filter(|stage| stage.is_possible(last)) else {
            lines.push(format!("\"authorities\" {id}: state is impossible"));
            continue;
        };
        let candidate = Candidate { number, stage };
        let is_later = |known: &Candidate| candidate.order() > known.order();
        if stage.step == Step::Signing && latest.get(&account).is_none_or(is_later) {
            latest.insert(account, candidate);
        }
    }
    let select = "SELECT id, managed_authority FROM accounts";
    let accounts = everything(db, select, |row| Ok((row.get(0)?, row.get(1)?)));
    for (id, managed) in accounts.await? {
        let (id, managed): (AccountId, Option<i64>) = (id, managed);
        if managed != latest.get(&id).map(|candidate| candidate.number) {
            lines.push(format!(
                "\"accounts\" {id}: managed_authority is not the CA that was activated last"
            ));
        }
    }
    Ok(lines)
}

impl Candidate {
    /// A later activation is greater. Servers of earlier versions, which store no state, activate
    /// each new CA.
    const fn order(&self) -> (u64, i64) {
        (self.stage.activated, self.number)
    }
}

/// Finds rows of the index of adopted certificates that differ from their certificates.
pub(super) async fn adopted<D: Db>(db: &D) -> Result<Vec<String>, StoreError> {
    let select = "SELECT adopted_certificates.position FROM adopted_certificates \
                  JOIN certificates ON certificates.position = adopted_certificates.position \
                  WHERE certificates.serial <> adopted_certificates.serial \
                  OR certificates.authority <> adopted_certificates.authority";
    let wrong = everything(db, select, |row| row.get::<i64>(0)).await?;
    let line =
        |position| format!("\"adopted_certificates\" {position}: differs from its certificate");
    Ok(wrong.into_iter().map(line).collect())
}
