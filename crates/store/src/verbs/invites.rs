//! Invites. Each use is checked and written in the transaction that records its certificate, so
//! that requests at the same time cannot use an invite more often than it may be used.

use std::collections::BTreeMap;

use certgate_model::{
    AccountId, Actor, AuditAction, AuditOwner, By, CertificateId, Device, InviteId, InviteRecord,
    InviteState, Lifetime, Page, ResourceType, Slice, Timestamp, ZoneId,
};
use futures_util::future::try_join_all;

use super::{audit, tenants};
use crate::audit::AuditEvent;
use crate::db::{Db, Dialect, Row, Value, values};
use crate::error::corrupt;
use crate::position::Position;
use crate::schema::{INVITE_USES, INVITES};
use crate::{InviteRecorded, InviteRefused, StoreError, seal};

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, zone, name, device, lifetime, uses_max, hash, creator_kind, creator, \
             created_on, expires_on, withdrawn_on, wrong_secrets, \
             (SELECT count(*) FROM invite_uses WHERE invite_uses.invite = invites.id) \
             FROM invites ",
            $rest
        )
    };
}

/// Returns one invite.
pub(crate) async fn invite<D: Db>(
    db: &D,
    id: InviteId,
) -> Result<Option<InviteRecord>, StoreError> {
    let select = select!("WHERE id = ?1");
    let found = db.optional(select, &values![id], invite_row).await?;
    let found = with_certificates(db, Vec::from_iter(found)).await?;
    Ok(found.into_iter().next())
}

/// Returns a page of the invites of a zone, newest first.
pub(crate) async fn page<D: Db>(
    db: &D,
    zone: ZoneId,
    slice: Slice,
) -> Result<Page<InviteRecord>, StoreError> {
    let select = select!("WHERE zone = ?1 ORDER BY created_on DESC, id DESC LIMIT ?2 OFFSET ?3");
    let values = values![zone, slice.size, slice.first];
    let items = db.rows(select, &values, invite_row).await?;
    Ok(Page {
        items: with_certificates(db, items).await?,
        total: count(db, zone).await?,
    })
}

/// Counts the invites of a zone, which a limit keeps few.
async fn count<D: Db>(db: &D, zone: ZoneId) -> Result<u64, StoreError> {
    let count = "SELECT count(*) FROM invites WHERE zone = ?1";
    db.one(count, &values![zone], |row| row.get(0)).await
}

async fn with_certificates<D: Db>(
    db: &D,
    mut invites: Vec<InviteRecord>,
) -> Result<Vec<InviteRecord>, StoreError> {
    let used = invites.iter_mut().filter(|invite| invite.uses > 0);
    try_join_all(used.map(|invite| read_certificates(db, invite))).await?;
    Ok(invites)
}

/// Reads the certificates of an invite, the first use first. Uses have the numbers from 1 on.
async fn read_certificates<D: Db>(db: &D, invite: &mut InviteRecord) -> Result<(), StoreError> {
    // PostgreSQL would read all certificates for a join.
    let select = "SELECT invite_uses.number, (SELECT certificates.id FROM certificates \
                  WHERE certificates.position = invite_uses.position) FROM invite_uses \
                  WHERE invite_uses.invite = ?1 ORDER BY invite_uses.number";
    let read = |row: &dyn Row| Ok((row.get::<u32>(0)?, row.get::<Option<CertificateId>>(1)?));
    let uses = db.rows(select, &values![invite.id], read).await?;
    let numbers = uses.iter().map(|(number, _)| *number);
    let is_complete = numbers.eq(1..=invite.uses);
    let certificates: Option<Vec<_>> = uses.into_iter().map(|(_, id)| id).collect();
    invite.certificates = certificates
        .filter(|_| is_complete)
        .ok_or_else(|| corrupt(format!("a use of the invite {} is missing", invite.id)))?;
    Ok(())
}

/// Stores a new invite. If its zone has `max`, the one that expired first makes room.
pub(crate) async fn record<D: Db>(
    db: &D,
    invite: &InviteRecord,
    max: u64,
    by: &By,
) -> Result<InviteRecorded, StoreError> {
    let Some(zone) = tenants::zone(db, invite.zone).await? else {
        return Ok(InviteRecorded::NoZone);
    };
    if count(db, invite.zone).await? >= max {
        let select = "SELECT id FROM invites WHERE zone = ?1 AND expires_on <= ?2 \
                      ORDER BY expires_on, id LIMIT 1";
        let values = values![invite.zone, by.at];
        let expired = db.optional(select, &values, |row| row.get::<InviteId>(0));
        let Some(expired) = expired.await? else {
            return Ok(InviteRecorded::TooMany);
        };
        let delete = "DELETE FROM invite_uses WHERE invite = ?1";
        db.execute(delete, &values![expired]).await?;
        let delete = "DELETE FROM invites WHERE id = ?1";
        db.execute(delete, &values![expired]).await?;
    }
    let mut cells = cells(invite).to_vec();
    cells.push(0_i64.into());
    seal::insert(db, &INVITES, &cells).await?;
    log(db, AuditAction::Create, invite, zone.account, by).await?;
    Ok(InviteRecorded::Recorded)
}

/// Withdraws an invite of a zone, unless it was used up, withdrawn or expired before.
pub(crate) async fn withdraw<D: Db>(
    db: &D,
    zone: ZoneId,
    id: InviteId,
    by: &By,
) -> Result<Option<InviteRecord>, StoreError> {
    let (Some(found), Some(zone)) = (invite(db, id).await?, tenants::zone(db, zone).await?) else {
        return Ok(None);
    };
    if found.zone != zone.id {
        return Ok(None);
    }
    match found.state(by.at) {
        InviteState::Open | InviteState::Locked => {}
        InviteState::Used | InviteState::Withdrawn | InviteState::Expired => {
            return Ok(Some(found));
        }
    }
    let withdrawn = InviteRecord {
        withdrawn_on: Some(by.at),
        ..found
    };
    let digest = seal::of(&INVITES, &cells(&withdrawn));
    let update = "UPDATE invites SET withdrawn_on = ?2, digest = ?3 WHERE id = ?1";
    db.execute(update, &values![id, by.at, digest]).await?;
    log(db, AuditAction::Delete, &withdrawn, zone.account, by).await?;
    Ok(Some(withdrawn))
}

/// Counts a wrong secret, up to the number that locks an invite.
pub(crate) async fn note_wrong_secret<D: Db>(db: &D, id: InviteId) -> Result<(), StoreError> {
    let update = "UPDATE invites SET wrong_secrets = wrong_secrets + 1 \
                  WHERE id = ?1 AND wrong_secrets < ?2";
    let values = values![id, InviteRecord::WRONG_SECRETS_MAX];
    db.execute(update, &values).await?;
    Ok(())
}

/// Deletes the invites of a zone that is deleted.
pub(super) async fn delete_of_zone<D: Db>(db: &D, zone: ZoneId) -> Result<(), StoreError> {
    // PostgreSQL would read all uses for an IN.
    let delete = match D::DIALECT {
        Dialect::Sqlite => {
            "DELETE FROM invite_uses WHERE invite IN (SELECT id FROM invites WHERE zone = ?1)"
        }
        Dialect::Postgres => {
            "DELETE FROM invite_uses \
             WHERE invite = ANY (ARRAY(SELECT id FROM invites WHERE zone = ?1))"
        }
    };
    db.execute(delete, &values![zone]).await?;
    let delete = "DELETE FROM invites WHERE zone = ?1";
    db.execute(delete, &values![zone]).await?;
    Ok(())
}

async fn log<D: Db>(
    db: &D,
    action: AuditAction,
    invite: &InviteRecord,
    account: AccountId,
    by: &By,
) -> Result<(), StoreError> {
    let InviteRecord { name, device, .. } = invite;
    let detail = format!("device={device} uses={} name={name}", invite.uses_max);
    let event = AuditEvent::new(action, ResourceType::Invite, invite.id.as_bytes(), detail);
    let owner = AuditOwner::Account(account);
    audit::record(db, owner, by, event.in_zone(invite.zone)).await
}

/// The columns in the order of the table, without the number of wrong secrets.
fn cells(invite: &InviteRecord) -> [Value<'_>; 12] {
    let (creator_kind, creator) = invite.created_by.code();
    values![
        invite.id,
        invite.zone,
        &invite.name,
        invite.device.name(),
        invite.lifetime.map(Lifetime::seconds),
        invite.uses_max,
        &invite.hash,
        creator_kind,
        creator,
        invite.created_on,
        invite.expires_on,
        invite.withdrawn_on,
    ]
}

fn invite_row(row: &dyn Row) -> Result<InviteRecord, StoreError> {
    let impossible = |column: &str| corrupt(format!("the {column} of an invite is impossible"));
    let lifetime = row.get::<Option<u64>>(4)?.map(Lifetime::of_seconds);
    let device = row.get::<String>(3)?.parse::<Device>();
    let creator = Actor::from_code(row.get(7)?, row.get(8)?);
    Ok(InviteRecord {
        id: row.get(0)?,
        zone: row.get(1)?,
        name: row.get(2)?,
        device: device.map_err(|_| impossible("device"))?,
        lifetime: lifetime.transpose().map_err(|_| impossible("lifetime"))?,
        uses_max: row.get(5)?,
        hash: row.get(6)?,
        created_by: creator.ok_or_else(|| impossible("creator"))?,
        created_on: row.get(9)?,
        expires_on: row.get(10)?,
        withdrawn_on: row.get(11)?,
        wrong_secrets: row.get(12)?,
        uses: row.get(13)?,
        certificates: Vec::new(),
    })
}

/// The invites that a batch uses.
pub(super) struct InviteUses {
    invites: BTreeMap<InviteId, InviteRecord>,
    /// The rows to insert: invite, number and position.
    made: Vec<(InviteId, u32, Position)>,
}

impl InviteUses {
    /// Reads the invites.
    pub(super) async fn read<D: Db>(db: &D, mut ids: Vec<InviteId>) -> Result<Self, StoreError> {
        ids.sort_unstable();
        ids.dedup();
        let cells: Vec<_> = ids.iter().map(|id| values![*id].to_vec()).collect();
        let select = select!("WHERE id = ?1");
        let found = db.optional_each(select, &cells, invite_row).await?;
        let found = found.into_iter().flatten();
        Ok(Self {
            invites: found.map(|invite| (invite.id, invite)).collect(),
            made: Vec::new(),
        })
    }

    /// Returns the reason why a certificate of a zone cannot be recorded for an invite.
    pub(super) fn refusal(
        &self,
        id: InviteId,
        zone: ZoneId,
        at: Timestamp,
    ) -> Option<InviteRefused> {
        let invite = self.invites.get(&id).filter(|invite| invite.zone == zone);
        match invite.map(|invite| invite.state(at)) {
            None => Some(InviteRefused::NotFound),
            Some(InviteState::Open) => None,
            Some(closed) => Some(InviteRefused::NotOpen(closed)),
        }
    }

    /// Notes that the certificate of an invite is recorded at this position.
    pub(super) fn add(&mut self, id: InviteId, position: Position) {
        if let Some(invite) = self.invites.get_mut(&id) {
            invite.uses += 1;
            self.made.push((id, invite.uses, position));
        }
    }

    /// Writes the uses, after their certificates.
    pub(super) async fn insert<D: Db>(&self, db: &D) -> Result<(), StoreError> {
        if self.made.is_empty() {
            return Ok(());
        }
        let cells = self
            .made
            .iter()
            .flat_map(|(id, number, position)| values![*id, *number, position.0]);
        let cells: Vec<_> = cells.collect();
        seal::insert(db, &INVITE_USES, &cells).await
    }
}
