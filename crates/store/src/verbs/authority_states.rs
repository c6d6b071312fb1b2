//! The states of CAs: prepared, active, superseded, retired.

use certgate_model::{
    AccountId, AuditAction, AuditOwner, AuthorityId, AuthorityRecord, By, EnforcementPointRecord,
    ResourceType,
};

use super::authorities::{insert, make_room};
use super::stage::{Stage, Step};
use super::{account_epochs, audit, authority_requests, configuration, enforcement};
use crate::audit::AuditEvent;
use crate::db::{Db, Row, values};
use crate::{AuthorityActivated, AuthorityPrepared, AuthorityRetired, Confirmation, StoreError};

/// A CA whose state is to change.
struct Changing {
    number: i64,
    id: AuthorityId,
    account: AccountId,
    stage: Stage,
    has_signed: bool,
    is_active: bool,
}

/// `None`: the account does not exist, or has no such CA.
async fn find<D: Db>(
    db: &D,
    account: AccountId,
    id: AuthorityId,
) -> Result<Option<Changing>, StoreError> {
    let select = "SELECT authorities.number, authorities.state, authorities.has_signed, \
                  coalesce(authorities.number = accounts.managed_authority, FALSE) \
                  FROM authorities JOIN accounts ON accounts.id = authorities.account \
                  WHERE authorities.id = ?1 AND accounts.id = ?2 AND NOT authorities.retired \
                  AND accounts.deleted_at IS NULL";
    let read = |row: &dyn Row| {
        Ok(Changing {
            number: row.get(0)?,
            id,
            account,
            stage: Stage::read(row.get(1)?)?,
            has_signed: row.get(2)?,
            is_active: row.get(3)?,
        })
    };
    db.optional(select, &values![id, account], read).await
}

impl Changing {
    async fn store<D: Db>(
        &self,
        db: &D,
        stage: Stage,
        by: &By,
        detail: String,
    ) -> Result<(), StoreError> {
        let update = "UPDATE authorities SET state = ?2 WHERE number = ?1";
        db.execute(update, &values![self.number, stage.write()])
            .await?;
        let (action, kind) = (AuditAction::Update, ResourceType::ManagedAuthority);
        let event = AuditEvent::new(action, kind, self.id.as_bytes(), detail);
        audit::record(db, AuditOwner::Account(self.account), by, event).await
    }
}

/// Stores a CA that does not sign yet. `is_requested`: its key was that of a request, which ends.
pub(crate) async fn prepare<D: Db>(
    db: &D,
    authority: &AuthorityRecord,
    is_requested: bool,
    max: u64,
    by: &By,
) -> Result<AuthorityPrepared, StoreError> {
    let account = authority.account;
    let select = "SELECT managed_authority FROM accounts WHERE id = ?1 AND deleted_at IS NULL";
    let found: Option<Option<i64>> = db
        .optional(select, &values![account], |row| row.get(0))
        .await?;
    let Some(active) = found else {
        return Ok(AuthorityPrepared::NoAccount);
    };
    let same = "SELECT id FROM authorities WHERE account = ?1 AND NOT retired \
                AND certificate_der = ?2";
    let same_values = values![account, &authority.certificate_der];
    if let Some(id) = db.optional(same, &same_values, |row| row.get(0)).await? {
        return Ok(AuthorityPrepared::Known(id));
    }
    if is_requested && !authority_requests::remove(db, account, authority.id).await? {
        return Ok(AuthorityPrepared::NoRequest);
    }
    let Some(room) = make_room(db, account, max, active).await? else {
        return Ok(AuthorityPrepared::TooMany);
    };
    let taken = configuration::take_epoch(db, account).await?;
    let stage = Stage {
        step: Step::Prepared,
        published: taken.epoch.unsigned_abs(),
        activated: 0,
    };
    insert(db, authority, stage).await?;
    let discarded = room.use_up(db, account, by).await?;
    let detail = format!(
        "algorithm={} state=prepared epoch={}",
        authority.algorithm, taken.number
    );
    let (action, kind) = (AuditAction::Create, ResourceType::ManagedAuthority);
    let event = AuditEvent::new(action, kind, authority.id.as_bytes(), detail);
    audit::record(db, AuditOwner::Account(account), by, event).await?;
    Ok(AuthorityPrepared::Prepared { discarded })
}

/// Makes a CA the active one, unless an enforcement point has not acknowledged it.
pub(crate) async fn activate<D: Db>(
    db: &D,
    account: AccountId,
    id: AuthorityId,
    confirmation: Confirmation,
    by: &By,
) -> Result<AuthorityActivated, StoreError> {
    let Some(changing) = find(db, account, id).await? else {
        return Ok(AuthorityActivated::NotFound);
    };
    if changing.is_active {
        return Ok(AuthorityActivated::Unchanged);
    }
    let Stage {
        step, published, ..
    } = changing.stage;
    if confirmation == Confirmation::Missing {
        let published = account_epochs::number_of(db, account, published).await?;
        // A retired CA is not published, so that no point accepts its certificates.
        let knows = |point: &EnforcementPointRecord| {
            step != Step::Retired && point.acknowledged_epoch >= published
        };
        let mut late = enforcement::all(db, account).await?;
        late.retain(|point| !knows(point));
        if !late.is_empty() {
            return Ok(AuthorityActivated::Late(late));
        }
    }
    let current = "SELECT authorities.id FROM accounts JOIN authorities \
                   ON authorities.number = accounts.managed_authority WHERE accounts.id = ?1";
    let replaced: Option<AuthorityId> = db
        .optional(current, &values![account], |row| row.get(0))
        .await?;
    let update = "UPDATE accounts SET managed_authority = ?1 WHERE id = ?2";
    db.execute(update, &values![changing.number, account])
        .await?;
    let taken = configuration::take_epoch(db, account).await?;
    let activated = taken.epoch.unsigned_abs();
    let stage = Stage {
        step: Step::Signing,
        published: match step {
            Step::Retired => activated,
            Step::Prepared | Step::Signing => published,
        },
        activated,
    };
    let mut detail = format!("state=active epoch={}", taken.number);
    if let Some(replaced) = replaced {
        detail.push_str(&format!(" replaced={replaced}"));
    }
    changing.store(db, stage, by, detail).await?;
    Ok(AuthorityActivated::Activated { replaced })
}

/// Ends the acceptance of a CA's certificates.
pub(crate) async fn retire<D: Db>(
    db: &D,
    account: AccountId,
    id: AuthorityId,
    confirmation: Confirmation,
    by: &By,
) -> Result<AuthorityRetired, StoreError> {
    let Some(changing) = find(db, account, id).await? else {
        return Ok(AuthorityRetired::NotFound);
    };
    if changing.is_active {
        return Ok(AuthorityRetired::Active);
    }
    if changing.stage.step == Step::Retired {
        return Ok(AuthorityRetired::Unchanged);
    }
    let select = "SELECT expires_on > ?2 FROM authorities WHERE number = ?1";
    let is_valid: bool = db
        .one(select, &values![changing.number, by.at], |row| row.get(0))
        .await?;
    if confirmation == Confirmation::Missing && changing.has_signed && is_valid {
        return Ok(AuthorityRetired::HasSigned);
    }
    let taken = configuration::take_epoch(db, account).await?;
    let stage = Stage {
        step: Step::Retired,
        ..changing.stage
    };
    let detail = format!("state=retired epoch={}", taken.number);
    changing.store(db, stage, by, detail).await?;
    Ok(AuthorityRetired::Retired)
}
