//! The states of CAs, which no digest covers because they change.

use std::collections::BTreeSet;

use certgate_model::{AccountId, AuthorityId, CrlKind};

use super::reading::{everything, single};
use crate::StoreError;
use crate::db::Db;

/// Compares the state of each CA with its certificates, whose CAs are `signed`, and with its CRLs. A
/// restored database has lost certificates, so any of its CAs may have signed.
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

/// Finds accounts whose active CA is not their latest one: a new CA is active at once.
pub(super) async fn active<D: Db>(db: &D) -> Result<Vec<String>, StoreError> {
    let select = "SELECT id FROM accounts WHERE coalesce(managed_authority, 0) <> \
                  (SELECT coalesce(max(number), 0) FROM authorities \
                  WHERE authorities.account = accounts.id AND NOT authorities.retired)";
    let wrong = everything(db, select, |row| row.get(0)).await?;
    let line = |id: AccountId| format!("\"accounts\" {id}: managed_authority is not its latest CA");
    Ok(wrong.into_iter().map(line).collect())
}
