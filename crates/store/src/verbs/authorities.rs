//! CAs. Their private keys arrive and stay sealed.

use certgate_model::{
    AccountAuthority, AccountId, AuditAction, AuditOwner, AuthorityId, AuthorityRecord, By,
    ResourceType,
};

use super::stage::{Stage, Step};
use super::{account_epochs, audit, configuration, revocations};
use crate::audit::AuditEvent;
use crate::db::{Db, Row, Value, values};
use crate::schema::AUTHORITIES;
use crate::{AuthorityReplaced, StoreError, seal};

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT authorities.id, authorities.account, authorities.name, authorities.algorithm, \
             authorities.certificate_der, authorities.sealed_key, authorities.public_url, \
             authorities.created_on, authorities.expires_on FROM ",
            $rest
        )
    };
}

/// Returns one CA, also one of a deleted account, unless it was discarded.
pub(crate) async fn authority<D: Db>(
    db: &D,
    id: AuthorityId,
) -> Result<Option<AuthorityRecord>, StoreError> {
    db.optional(
        select!("authorities WHERE id = ?1 AND NOT retired"),
        &values![id],
        authority_row,
    )
    .await
}

/// Returns the certificates of every CA that was not discarded, oldest first.
pub(crate) async fn certificates<D: Db>(db: &D) -> Result<Vec<(AuthorityId, Vec<u8>)>, StoreError> {
    // In the order of the index that has only these.
    let select = "SELECT number, id, certificate_der FROM authorities WHERE NOT retired \
                  ORDER BY account, number";
    let read = |row: &dyn Row| Ok((row.get::<i64>(0)?, (row.get(1)?, row.get(2)?)));
    let mut all = db.rows(select, &[], read).await?;
    all.sort_unstable_by_key(|(number, _)| *number);
    Ok(all.into_iter().map(|(_, authority)| authority).collect())
}

/// Returns the IDs of the latest CAs that an account got, latest first, also of discarded ones.
pub(crate) async fn latest<D: Db>(
    db: &D,
    account: AccountId,
    limit: u32,
) -> Result<Vec<AuthorityId>, StoreError> {
    let select = "SELECT id FROM authorities WHERE account = ?1 ORDER BY number DESC LIMIT ?2";
    db.rows(select, &values![account, limit], |row| row.get(0))
        .await
}

/// Returns the small number that stands for a CA in other tables, unless it was discarded.
pub(crate) async fn number<D: Db>(db: &D, id: AuthorityId) -> Result<Option<i64>, StoreError> {
    let select = "SELECT number FROM authorities WHERE id = ?1 AND NOT retired";
    db.optional(select, &values![id], |row| row.get(0)).await
}

/// Returns the active CA of an account that is not deleted.
pub(crate) async fn managed<D: Db>(
    db: &D,
    account: AccountId,
) -> Result<Option<AuthorityRecord>, StoreError> {
    let select = select!(
        "accounts JOIN authorities ON authorities.number = accounts.managed_authority \
         WHERE accounts.id = ?1 AND accounts.deleted_at IS NULL"
    );
    db.optional(select, &values![account], authority_row).await
}

/// Returns every managed or imported CA of an account that is not deleted: the active one first,
/// then the others, latest first.
pub(crate) async fn managed_all<D: Db>(
    db: &D,
    account: AccountId,
) -> Result<Vec<AccountAuthority>, StoreError> {
    let select = "SELECT authorities.id, authorities.account, authorities.name, \
                  authorities.algorithm, authorities.certificate_der, authorities.sealed_key, \
                  authorities.public_url, authorities.created_on, authorities.expires_on, \
                  coalesce(authorities.number = accounts.managed_authority, FALSE) AS active, \
                  authorities.state \
                  FROM accounts JOIN authorities ON authorities.account = accounts.id \
                  WHERE accounts.id = ?1 AND accounts.deleted_at IS NULL \
                  AND NOT authorities.retired \
                  ORDER BY active DESC, authorities.number DESC";
    let read = |row: &dyn Row| {
        let stage = Stage::read(row.get(10)?)?;
        Ok(AccountAuthority {
            record: authority_row(row)?,
            state: stage.state(row.get(9)?),
            published_epoch: stage.published,
        })
    };
    let mut found = db.rows(select, &values![account], read).await?;
    let published: Vec<_> = found.iter().map(|one| one.published_epoch).collect();
    let numbers = account_epochs::numbers_of(db, account, &published).await?;
    for (one, number) in found.iter_mut().zip(numbers) {
        one.published_epoch = number;
    }
    Ok(found)
}

/// Returns true if the account has a prepared CA.
async fn has_prepared<D: Db>(db: &D, account: AccountId) -> Result<bool, StoreError> {
    let select = "SELECT state FROM authorities WHERE account = ?1 AND NOT retired";
    let read = |row: &dyn Row| Stage::read(row.get(0)?);
    let stages = db.rows(select, &values![account], read).await?;
    Ok(stages.iter().any(|stage| stage.step == Step::Prepared))
}

/// Makes a CA the active one of its account, unless the account has one or has prepared one;
/// returns the one that is active afterwards.
pub(crate) async fn record_managed<D: Db>(
    db: &D,
    authority: &AuthorityRecord,
    by: &By,
) -> Result<Option<AuthorityRecord>, StoreError> {
    if has_prepared(db, authority.account).await? {
        return managed(db, authority.account).await;
    }
    match replace_managed(db, None, authority, u64::MAX, by).await? {
        AuthorityReplaced::Replaced { .. } => Ok(Some(authority.clone())),
        AuthorityReplaced::NoAccount => Ok(None),
        AuthorityReplaced::NotExpected | AuthorityReplaced::TooMany => {
            managed(db, authority.account).await
        }
    }
}

/// Stores a CA and makes it active, if the active one is `expected`. If the account has `max`, the
/// oldest that never signed and is not prepared is discarded.
pub(crate) async fn replace_managed<D: Db>(
    db: &D,
    expected: Option<AuthorityId>,
    authority: &AuthorityRecord,
    max: u64,
    by: &By,
) -> Result<AuthorityReplaced, StoreError> {
    let current: Option<Option<AuthorityId>> = db
        .optional(
            "SELECT authorities.id FROM accounts \
             LEFT JOIN authorities ON authorities.number = accounts.managed_authority \
             WHERE accounts.id = ?1 AND accounts.deleted_at IS NULL",
            &values![authority.account],
            |row| row.get(0),
        )
        .await?;
    match current {
        None => return Ok(AuthorityReplaced::NoAccount),
        Some(current) if current != expected => return Ok(AuthorityReplaced::NotExpected),
        Some(_) => {}
    }
    // The active CA is not needed any more.
    let Some(room) = make_room(db, authority.account, max, None).await? else {
        return Ok(AuthorityReplaced::TooMany);
    };
    let taken = configuration::take_epoch(db, authority.account).await?;
    let stage = Stage {
        step: Step::Signing,
        published: taken.epoch.unsigned_abs(),
        activated: taken.epoch.unsigned_abs(),
    };
    let number = insert(db, authority, stage).await?;
    let activate = "UPDATE accounts SET managed_authority = ?1 WHERE id = ?2";
    db.execute(activate, &values![number, authority.account])
        .await?;
    let discarded = room.use_up(db, authority.account, by).await?;
    let mut detail = format!("algorithm={} epoch={}", authority.algorithm, taken.number);
    if let Some(replaced) = expected {
        detail.push_str(&format!(" replaced={replaced}"));
    }
    let (action, kind) = (AuditAction::Create, ResourceType::ManagedAuthority);
    let event = AuditEvent::new(action, kind, authority.id.as_bytes(), detail);
    audit::record(db, AuditOwner::Account(authority.account), by, event).await?;
    Ok(AuthorityReplaced::Replaced { discarded })
}

/// Inserts the row of a CA, and marks its CRLs as due. Returns its number.
pub(super) async fn insert<D: Db>(
    db: &D,
    authority: &AuthorityRecord,
    stage: Stage,
) -> Result<i64, StoreError> {
    let mut cells = cells(authority);
    cells.push(seal::of(&AUTHORITIES, &cells).into());
    cells.push(stage.write().into());
    let number: i64 = db
        .one(
            "INSERT INTO authorities (number, id, account, name, algorithm, certificate_der, \
             sealed_key, public_url, created_on, expires_on, has_signed, retired, last_epoch, \
             digest, state) \
             VALUES ((SELECT coalesce(max(number), 0) + 1 FROM authorities), ?1, ?2, ?3, ?4, ?5, \
             ?6, ?7, ?8, ?9, FALSE, FALSE, 0, ?10, ?11) RETURNING number",
            &cells[1..],
            |row| row.get(0),
        )
        .await?;
    revocations::begin_crls(db, number).await?;
    Ok(number)
}

/// Room for a new CA: perhaps that of one that never signed.
pub(super) struct Room(Option<(i64, AuthorityId)>);

/// Returns the room for a new CA of an account that may have `max`; `None` if there is none.
/// `kept`: the number of a CA that does not make room.
pub(super) async fn make_room<D: Db>(
    db: &D,
    account: AccountId,
    max: u64,
    kept: Option<i64>,
) -> Result<Option<Room>, StoreError> {
    let count = "SELECT count(*) FROM authorities WHERE account = ?1 AND NOT retired";
    let count: u64 = db.one(count, &values![account], |row| row.get(0)).await?;
    if count < max {
        return Ok(Some(Room(None)));
    }
    let select = "SELECT number, id, state FROM authorities WHERE account = ?1 AND NOT has_signed \
                  AND NOT retired ORDER BY number";
    let read = |row: &dyn Row| Ok((Stage::read(row.get(2)?)?, (row.get(0)?, row.get(1)?)));
    let unused = db.rows(select, &values![account], read).await?;
    // A prepared CA is to sign later.
    let mut unused = unused
        .into_iter()
        .filter(|(stage, (number, _))| stage.step != Step::Prepared && Some(*number) != kept);
    Ok(unused.next().map(|(_, first)| Room(Some(first))))
}

impl Room {
    /// Discards the CA that makes room, if there is one, and returns its ID.
    pub(super) async fn use_up<D: Db>(
        self,
        db: &D,
        account: AccountId,
        by: &By,
    ) -> Result<Option<AuthorityId>, StoreError> {
        let Self(Some((number, id))) = self else {
            return Ok(None);
        };
        discard(db, number, id).await?;
        let detail = "never signed".to_owned();
        let (action, kind) = (AuditAction::Delete, ResourceType::ManagedAuthority);
        let event = AuditEvent::new(action, kind, id.as_bytes(), detail);
        audit::record(db, AuditOwner::Account(account), by, event).await?;
        Ok(Some(id))
    }
}

/// Discards a CA that never signed: its CRLs, its certificate and its key are deleted.
async fn discard<D: Db>(db: &D, number: i64, id: AuthorityId) -> Result<(), StoreError> {
    for statement in [
        "DELETE FROM crls WHERE authority = ?1",
        "DELETE FROM crl_states WHERE authority = ?1",
    ] {
        db.execute(statement, &values![number]).await?;
    }
    let Some(mut authority) = authority(db, id).await? else {
        return Ok(());
    };
    authority.certificate_der.clear();
    authority.sealed_key.clear();
    let digest = seal::of(&AUTHORITIES, &cells(&authority));
    let update = "UPDATE authorities SET retired = TRUE, certificate_der = ?2, sealed_key = ?3, \
                  digest = ?4 WHERE number = ?1";
    let (none, no_key) = (&authority.certificate_der, &authority.sealed_key);
    db.execute(update, &values![number, none, no_key, digest])
        .await?;
    Ok(())
}

/// Returns the first columns of a CA's row, up to those that change.
fn cells(authority: &AuthorityRecord) -> Vec<Value<'_>> {
    values![
        None::<i64>,
        authority.id,
        authority.account,
        &authority.name,
        authority.algorithm.name(),
        &authority.certificate_der,
        &authority.sealed_key,
        &authority.public_url,
        authority.created_on,
        authority.expires_on,
    ]
    .to_vec()
}

fn authority_row(row: &dyn Row) -> Result<AuthorityRecord, StoreError> {
    Ok(AuthorityRecord {
        id: row.get(0)?,
        account: row.get(1)?,
        name: row.get(2)?,
        algorithm: row.get(3)?,
        certificate_der: row.get(4)?,
        sealed_key: row.get(5)?,
        public_url: row.get(6)?,
        created_on: row.get(7)?,
        expires_on: row.get(8)?,
    })
}
