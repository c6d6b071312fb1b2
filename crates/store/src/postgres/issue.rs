//! New certificates, as many in one stroke as wait to be recorded.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use certgate_model::{
    AccountId, AuditAction, AuthorityId, By, CertificateId, CertificateRecord, RevocationReason,
    Status, Timestamp, ZoneId,
};
use futures_util::future::{try_join_all, try_join5};

use super::changes::{Epochs, Logs};
use super::counters::{Layout, Position, Shifts};
use super::db::Db;
use super::revocations::{self, Aged};
use super::value::{Value, values};
use super::{certificates, row};
use crate::{CertificateRecorded, StoreError};

/// A certificate to record.
pub(super) struct New {
    pub(super) certificate: Arc<CertificateRecord>,
    pub(super) quota: Option<u64>,
    pub(super) by: By,
}

/// One that is recorded.
struct Placed<'n> {
    new: &'n New,
    account: AccountId,
    /// The number of its authority.
    authority: i64,
    position: Position,
    /// If it is not active from the start.
    epoch: Option<i64>,
}

/// Stores new certificates at the ends of their zones, in their order. The number of round trips is that of the zones, accounts and
/// blocks that they have, not that of the certificates. An error is that of one of them, nobody knows of which.
pub(super) async fn record(
    db: &Db,
    layout: Layout,
    news: &[&New],
) -> Result<Vec<CertificateRecorded>, StoreError> {
    // 1. Decide, and give numbers.
    let mut ends = Ends {
        db,
        ends: BTreeMap::new(),
        taken: taken(db, news).await?,
    };
    let (mut outcomes, mut placed) = (
        Vec::with_capacity(news.len()),
        Vec::with_capacity(news.len()),
    );
    for new in news {
        outcomes.push(match ends.place(new).await? {
            Ok(place) => {
                placed.push(place);
                CertificateRecorded::Recorded
            }
            Err(refused) => refused,
        });
    }
    if placed.is_empty() {
        return Ok(outcomes);
    }
    // 2. Those that are not active take an epoch each. Only what copies a store records such.
    let mut epochs = Epochs::default();
    for place in placed
        .iter()
        .filter(|place| place.new.certificate.status != Status::Active)
    {
        epochs.want(place.authority);
    }
    let mut epochs = epochs.take(db).await?;
    let (mut aged, mut shifts, mut lists) = (Aged::default(), Shifts::default(), Vec::new());
    for place in &mut placed {
        let certificate = &place.new.certificate;
        shifts.add(layout, place.position, certificate.status);
        if certificate.status != Status::Active {
            let epoch = epochs.next().unwrap_or_default();
            place.epoch = Some(epoch);
            aged.add(place.authority, certificate.serial, epoch);
            lists.push(revocations::change(
                db,
                place.authority,
                place.position,
                certificate,
            ));
        }
    }
    // 3. The log of each account.
    let mut logs = Logs::default();
    for Placed { new, account, .. } in &placed {
        let New {
            certificate, by, ..
        } = new;
        logs.add(*account, by, AuditAction::Issue, certificate, String::new());
    }
    // 4. All of it, without waiting for one after another.
    try_join5(
        insert(db, &placed),
        try_join_all(lists),
        aged.mark(db),
        shifts.make(db),
        logs.write(db),
    )
    .await?;
    Ok(outcomes)
}

/// The ids that are there already. Of random ones there is none.
async fn taken(db: &Db, news: &[&New]) -> Result<BTreeSet<[u8; 16]>, StoreError> {
    let select = "SELECT id FROM certificates WHERE id = $1";
    let named = news
        .iter()
        .map(|new| new.certificate.id)
        .filter(|id| !id.is_time_ordered());
    let look = async |id: CertificateId| db.optional(select, values![id.as_bytes()]).await;
    let rows = try_join_all(named.map(look)).await?;
    rows.into_iter().flatten().map(|row| row.get(0)).collect()
}

async fn insert(db: &Db, placed: &[Placed<'_>]) -> Result<(), StoreError> {
    fn column<'p, T: Into<Value<'p>>>(
        placed: &'p [Placed<'_>],
        value: impl Fn(&'p CertificateRecord) -> T,
    ) -> Value<'p> {
        Value::list(placed.iter().map(|place| value(&place.new.certificate)))
    }
    let inserted = db
        .execute(
            "INSERT INTO certificates (position, id, authority, status, epoch, revoked_on, serial, common_name, \
             country, state, location, organization, organizational_unit, issued_on, expires_on, validity_days, \
             signature, fingerprint_sha256, ski, der, csr, reason) \
             SELECT * FROM UNNEST($1::BIGINT[], $2::BYTEA[], $3::BIGINT[], $4::SMALLINT[], $5::BIGINT[], $6::BIGINT[], \
             $7::BYTEA[], $8::TEXT[], $9::TEXT[], $10::TEXT[], $11::TEXT[], $12::TEXT[], $13::TEXT[], $14::BIGINT[], \
             $15::BIGINT[], $16::BIGINT[], $17::TEXT[], $18::BYTEA[], $19::BYTEA[], $20::BYTEA[], $21::TEXT[], \
             $22::SMALLINT[])",
            values![
                Value::list(placed.iter().map(|place| place.position.0)),
                column(placed, |certificate| certificate.id.as_bytes()),
                Value::list(placed.iter().map(|place| place.authority)),
                column(placed, |certificate| certificate.status.code()),
                Value::list(placed.iter().map(|place| place.epoch)),
                column(placed, |certificate| certificate.revoked_on.map(Timestamp::unix_microseconds)),
                column(placed, |certificate| certificate.serial.as_bytes()),
                column(placed, |certificate| &certificate.subject.common_name),
                column(placed, |certificate| &certificate.subject.country),
                column(placed, |certificate| &certificate.subject.state),
                column(placed, |certificate| &certificate.subject.location),
                column(placed, |certificate| &certificate.subject.organization),
                column(placed, |certificate| &certificate.subject.organizational_unit),
                column(placed, |certificate| certificate.issued_on.unix_microseconds()),
                column(placed, |certificate| certificate.expires_on.unix_microseconds()),
                column(placed, |certificate| certificate.validity_days),
                column(placed, |certificate| certificate.signature.name()),
                column(placed, |certificate| &certificate.fingerprint_sha256),
                column(placed, |certificate| &certificate.ski),
                column(placed, |certificate| &certificate.der),
                column(placed, |certificate| &certificate.csr),
                column(placed, |certificate| certificate.revocation_reason.map(RevocationReason::code)),
            ],
        )
        .await?;
    if inserted != placed.len() as u64 {
        return Err(super::error::corrupt(
            "a certificate that was to be stored was not",
        ));
    }
    Ok(())
}

/// The ends of the zones that are written to, as they grow.
struct Ends<'d> {
    db: &'d Db,
    ends: BTreeMap<[u8; 16], Option<End>>,
    /// Ids that a certificate has.
    taken: BTreeSet<[u8; 16]>,
}

/// Where a new certificate of a zone goes.
struct End {
    zone: i64,
    account: AccountId,
    /// How many certificates the zone has.
    size: u64,
    /// The number and the id of the authority that is in force in the zone's account.
    in_force: Option<(i64, AuthorityId)>,
}

impl Ends<'_> {
    async fn place<'n>(
        &mut self,
        new: &'n New,
    ) -> Result<Result<Placed<'n>, CertificateRecorded>, StoreError> {
        let certificate = &new.certificate;
        let end = match self.ends.entry(*certificate.zone.as_bytes()) {
            Entry::Occupied(end) => end.into_mut(),
            Entry::Vacant(place) => place.insert(end_of_zone(self.db, certificate.zone).await?),
        };
        let Some(end) = end else {
            return Ok(Err(CertificateRecorded::NoZone));
        };
        if self.taken.contains(certificate.id.as_bytes()) {
            return Ok(Err(CertificateRecorded::Exists));
        }
        if new.quota.is_some_and(|quota| end.size >= quota) {
            return Ok(Err(CertificateRecorded::QuotaReached));
        }
        let position = Position(Position::first_of(end.zone).0 + row::offset(end.size));
        if position > Position::last_of(end.zone) {
            return Err(StoreError::Unavailable(
                "the zone has no number left for a certificate".into(),
            ));
        }
        let authority = match end.in_force {
            Some((number, id)) if id == certificate.authority.id => number,
            _ => match super::authorities::number(self.db, certificate.authority.id).await? {
                Some(_) => return Ok(Err(CertificateRecorded::AuthorityNotInForce)),
                None => {
                    return Err(StoreError::Conflict(
                        "the certificate's authority is not stored".into(),
                    ));
                }
            },
        };
        end.size += 1;
        if !certificate.id.is_time_ordered() {
            self.taken.insert(*certificate.id.as_bytes());
        }
        Ok(Ok(Placed {
            new,
            account: end.account,
            authority,
            position,
            epoch: None,
        }))
    }
}

/// `None`: there is no such zone.
async fn end_of_zone(db: &Db, zone: ZoneId) -> Result<Option<End>, StoreError> {
    let row = db
        .optional(
            "SELECT zones.number, accounts.id, authorities.number, authorities.id \
             FROM zones JOIN accounts ON accounts.id = zones.account \
             LEFT JOIN authorities ON authorities.number = accounts.managed_authority \
             WHERE zones.id = $1 AND zones.deleted_at IS NULL",
            values![zone.as_bytes()],
        )
        .await?;
    let Some(row) = row else { return Ok(None) };
    let (zone, account) = (row.get(0)?, AccountId::from_bytes(row.get(1)?));
    let in_force = row
        .get::<Option<i64>>(2)?
        .zip(row.get::<Option<_>>(3)?.map(AuthorityId::from_bytes));
    let size = certificates::size(db, zone).await?;
    Ok(Some(End {
        zone,
        account,
        size,
        in_force,
    }))
}
