//! Recording new certificates: all waiting certificates together.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use certgate_model::{
    AccountId, AuditAction, AuthorityId, By, CertificateId, CertificateRecord, FoldedName,
    RevocationReason, Status, Timestamp, ZoneId,
};
use futures_util::future::{try_join, try_join3, try_join5};

use super::authorities;
use super::bases::Bases;
use super::certificates::{last_position, size_after};
use super::changes::{Epochs, Logs};
use super::counters::Shifts;
use super::indexing::{self, Indexed};
use super::issuance_counts::Counts;
use super::revocations::{self, Aged, Listed};
use super::tallies::{Counted, Standing, Tallies};
use crate::db::{Db, values};
use crate::position::Position;
use crate::schema::{ADOPTED_CERTIFICATES, CERTIFICATES, STATUSES};
use crate::{Basis, CertificateRecorded, RecordingLimits, StoreError, seal};

/// A certificate to record.
pub(crate) struct New {
    pub(crate) certificate: Arc<CertificateRecord>,
    pub(crate) limits: RecordingLimits,
    pub(crate) basis: Basis,
    pub(crate) by: By,
    pub(crate) circumstances: Circumstances,
}

/// The origin of a certificate to record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Circumstances {
    /// The active CA signed it here.
    Issued,
    /// A CA in any state signed it elsewhere.
    Adopted,
}

impl Circumstances {
    /// Returns the action in the audit log.
    fn action(self) -> AuditAction {
        match self {
            Self::Issued => AuditAction::Issue,
            Self::Adopted => AuditAction::Adopt,
        }
    }
}

/// A certificate that will be recorded.
struct Placed<'n> {
    new: &'n New,
    account: AccountId,
    /// The number of its CA.
    authority: i64,
    position: Position,
    /// The epoch, if it is not active from the start.
    epoch: Option<i64>,
}

impl Placed<'_> {
    fn indexed(&self) -> Indexed {
        let certificate = &self.new.certificate;
        Indexed {
            position: self.position,
            authority: self.authority,
            name: FoldedName::new(&certificate.subject.common_name),
            prefix: indexing::prefix(&certificate.fingerprint_sha256),
            issued_on: certificate.issued_on,
            expires_on: certificate.expires_on,
        }
    }
}

/// Stores new certificates at the ends of their zones, in their order.
///
/// The number of round trips depends on the zones, accounts and blocks, not on the number of
/// certificates. An error belongs to one of them, but does not name it.
pub(crate) async fn record<D: Db>(
    db: &D,
    news: &[&New],
) -> Result<Vec<CertificateRecorded>, StoreError> {
    // 1. Decide, and give positions.
    let mut ends = Ends {
        db,
        ends: BTreeMap::new(),
        taken: taken(db, news).await?,
        numbers: BTreeMap::new(),
    };
    let mut outcomes = Vec::with_capacity(news.len());
    let mut placed: Vec<Placed<'_>> = Vec::with_capacity(news.len());
    let mut counts = Counts::new(db);
    let mut bases = Bases::read(db, news.iter().map(|new| &new.basis)).await?;
    for new in news {
        // A repeated request gets its certificate, also if that was the last one of a limit.
        if ends.has(&new.certificate).await? {
            outcomes.push(CertificateRecorded::Exists);
            continue;
        }
        let at = new.by.at;
        if let Some(refused) = bases.refusal(&new.basis, new.certificate.zone, at) {
            outcomes.push(refused);
            continue;
        }
        let counted = new.limits.counted.as_deref();
        if let Some(counted) = counted {
            let before = placed.iter().map(|place| &*place.new.certificate);
            let refusal = counts.refusal(counted, &new.certificate, new.by.at, before);
            if let Some(refused) = refusal.await? {
                outcomes.push(refused);
                continue;
            }
        }
        outcomes.push(match ends.place(new).await? {
            Ok(place) => {
                if let Some(counted) = counted {
                    counts.add(counted);
                }
                bases.add(&new.basis, new.certificate.id, place.position, at);
                placed.push(place);
                CertificateRecorded::Recorded
            }
            Err(refused) => refused,
        });
    }
    if placed.is_empty() {
        return Ok(outcomes);
    }
    counts.write().await?;
    mark_signers(db, ends.first_signatures(), &placed).await?;
    // 2. Certificates that are not active take an epoch each. Only copies of a store have any.
    let is_changed = |place: &&Placed<'_>| place.new.certificate.status != Status::Active;
    let changed: Vec<_> = placed
        .iter()
        .filter(is_changed)
        .map(|place| (place.account, place.authority))
        .collect();
    let mut epochs = Epochs::new(changed).take(db).await?.into_iter();
    let (mut aged, mut shifts, mut listed) = (Aged::default(), Shifts::default(), Vec::new());
    let (mut logs, mut tallies) = (Logs::default(), Tallies::default());
    for place in &mut placed {
        let (certificate, by) = (&place.new.certificate, &place.new.by);
        shifts.add(db.layout(), place.position, certificate.status);
        let counted = Counted {
            position: place.position,
            authority: place.authority,
            expires_on: certificate.expires_on,
        };
        tallies.add(
            counted,
            certificate.issued_on,
            Standing::of(certificate, false),
        );
        if certificate.status != Status::Active {
            let epoch = epochs.next().map_or(0, |taken| taken.epoch);
            place.epoch = Some(epoch);
            aged.add(place.authority, certificate.serial, epoch);
            listed.push(Listed::new(place.authority, place.position, certificate));
        }
        let action = place.new.circumstances.action();
        logs.add(place.account, by, action, certificate, String::new());
    }
    bases.count(db.layout(), &mut shifts, &mut tallies);
    // 3. Write everything, without waiting for one after another.
    try_join5(
        insert(db, &placed, &bases),
        revocations::list(db, &listed),
        aged.mark(db),
        try_join(shifts.make(db), tallies.make(db)),
        logs.write(db),
    )
    .await?;
    Ok(outcomes)
}

/// Marks the CAs of first signatures, and those of adopted certificates, as having signed.
async fn mark_signers<D: Db>(
    db: &D,
    mut first: BTreeSet<i64>,
    placed: &[Placed<'_>],
) -> Result<(), StoreError> {
    let is_adopted = |place: &&Placed<'_>| place.new.circumstances == Circumstances::Adopted;
    let adopted = placed.iter().filter(is_adopted);
    first.extend(adopted.map(|place| place.authority));
    for number in first {
        let update = "UPDATE authorities SET has_signed = TRUE WHERE number = ?1";
        db.execute(update, &values![number]).await?;
    }
    Ok(())
}

/// Returns the wanted IDs that exist already. Time-ordered IDs are unique because they are random,
/// so they are not looked up.
async fn taken<D: Db>(db: &D, news: &[&New]) -> Result<BTreeSet<CertificateId>, StoreError> {
    let named: Vec<_> = news
        .iter()
        .map(|new| new.certificate.id)
        .filter(|id| !id.is_time_ordered())
        .map(|id| values![id].to_vec())
        .collect();
    let select = "SELECT id FROM certificates WHERE id = ?1";
    let found = db.optional_each(select, &named, |row| row.get(0)).await?;
    Ok(found.into_iter().flatten().collect())
}

async fn insert<D: Db>(db: &D, placed: &[Placed<'_>], bases: &Bases) -> Result<(), StoreError> {
    let mut rows = Vec::with_capacity(placed.len() * CERTIFICATES.columns.len());
    let mut statuses = Vec::with_capacity(placed.len() * STATUSES.columns.len());
    let mut adopted = Vec::new();
    let indexed: Vec<_> = placed.iter().map(Placed::indexed).collect();
    for (place, indexed) in placed.iter().zip(&indexed) {
        let certificate = &place.new.certificate;
        let subject = &certificate.subject;
        rows.extend(values![
            place.position.0,
            certificate.id,
            place.authority,
            &certificate.serial,
            &subject.common_name,
            &subject.country,
            &subject.state,
            &subject.location,
            &subject.organization,
            &subject.organizational_unit,
            certificate.issued_on,
            certificate.expires_on,
            certificate.validity_days,
            certificate.signature.name(),
            &certificate.fingerprint_sha256,
            &certificate.ski,
            &certificate.der,
            &certificate.csr,
            indexing::folded_column(&subject.common_name, &indexed.name),
        ]);
        if place.new.circumstances == Circumstances::Adopted {
            adopted.extend(values![
                &certificate.serial,
                place.authority,
                place.position.0
            ]);
        }
        statuses.extend(values![
            place.position.0,
            place.authority,
            certificate.status.code(),
            place.epoch,
            certificate.revoked_on,
            certificate.revocation_reason.map(RevocationReason::code),
            None::<Timestamp>,
        ]);
    }
    try_join3(
        seal::insert(db, &CERTIFICATES, &rows),
        db.insert(&STATUSES, &statuses),
        indexing::insert(db, &indexed),
    )
    .await?;
    bases.insert(db).await?;
    // One round trip less where nothing is adopted.
    match adopted.is_empty() {
        true => Ok(()),
        false => db.insert(&ADOPTED_CERTIFICATES, &adopted).await,
    }
}

/// The ends of the zones that are written to, as they grow.
struct Ends<'d, D> {
    db: &'d D,
    ends: BTreeMap<ZoneId, Option<End>>,
    /// IDs that a certificate has.
    taken: BTreeSet<CertificateId>,
    /// The numbers of CAs that need not be active.
    numbers: BTreeMap<AuthorityId, Option<i64>>,
}

/// The place for the next certificate of a zone.
struct End {
    zone: i64,
    account: AccountId,
    /// The number of certificates of the zone.
    size: u64,
    /// The number and the ID of the active CA of the zone's account.
    active: Option<(i64, AuthorityId)>,
    /// True if that CA has signed before.
    has_signed: bool,
    /// True if a certificate was placed here.
    is_written: bool,
}

impl<D: Db> Ends<'_, D> {
    /// Returns the numbers of the CAs whose first certificates are among those placed.
    fn first_signatures(&self) -> BTreeSet<i64> {
        let first = |end: &&End| end.is_written && !end.has_signed;
        let ends = self.ends.values().flatten().filter(first);
        ends.filter_map(|end| Some(end.active?.0)).collect()
    }

    /// Returns true if the zone exists, and a certificate with the same ID.
    async fn has(&mut self, certificate: &CertificateRecord) -> Result<bool, StoreError> {
        if !self.taken.contains(&certificate.id) {
            return Ok(false);
        }
        self.read(certificate.zone).await?;
        let end = self.ends.get(&certificate.zone);
        Ok(end.is_some_and(Option::is_some))
    }

    /// Reads the end of a zone, once.
    async fn read(&mut self, zone: ZoneId) -> Result<(), StoreError> {
        if let Entry::Vacant(place) = self.ends.entry(zone) {
            place.insert(end_of_zone(self.db, zone).await?);
        }
        Ok(())
    }

    async fn place<'n>(
        &mut self,
        new: &'n New,
    ) -> Result<Result<Placed<'n>, CertificateRecorded>, StoreError> {
        let certificate = &new.certificate;
        self.read(certificate.zone).await?;
        let Some(Some(end)) = self.ends.get_mut(&certificate.zone) else {
            return Ok(Err(CertificateRecorded::NoZone));
        };
        if new.limits.quota.is_some_and(|quota| end.size >= quota) {
            return Ok(Err(CertificateRecorded::QuotaReached));
        }
        let position = Position::in_zone(end.zone, end.size);
        if position > Position::last_of(end.zone) {
            return Err(StoreError::Unavailable(
                "the zone has no number left for a certificate".into(),
            ));
        }
        let wanted = certificate.authority.id;
        let authority = match (new.circumstances, end.active) {
            (Circumstances::Adopted, _) => match self.numbers.entry(wanted) {
                Entry::Occupied(number) => *number.get(),
                Entry::Vacant(place) => *place.insert(authorities::number(self.db, wanted).await?),
            },
            (Circumstances::Issued, Some((number, id))) if id == wanted => Some(number),
            // It was superseded, and perhaps deleted, because it had not signed before.
            (Circumstances::Issued, _) => None,
        };
        let Some(authority) = authority else {
            return Ok(Err(CertificateRecorded::AuthorityNotActive));
        };
        end.size += 1;
        end.is_written |= new.circumstances == Circumstances::Issued;
        if !certificate.id.is_time_ordered() {
            self.taken.insert(certificate.id);
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

/// `None`: the zone does not exist.
async fn end_of_zone<D: Db>(db: &D, zone: ZoneId) -> Result<Option<End>, StoreError> {
    let select = concat!(
        "SELECT zones.number, accounts.id, authorities.number, authorities.id, \
         coalesce(authorities.has_signed, FALSE), ",
        last_position!(),
        " FROM zones JOIN accounts ON accounts.id = zones.account \
         LEFT JOIN authorities ON authorities.number = accounts.managed_authority \
         WHERE zones.id = ?1 AND zones.deleted_at IS NULL"
    );
    db.optional(select, &values![zone], |row| {
        Ok(End {
            zone: row.get(0)?,
            account: row.get(1)?,
            size: size_after(row.get(5)?),
            active: row.get::<Option<i64>>(2)?.zip(row.get(3)?),
            has_signed: row.get(4)?,
            is_written: false,
        })
    })
    .await
}
