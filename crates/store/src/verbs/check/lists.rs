//! The CRLs, and the rows of which they are made.

use std::collections::{BTreeMap, BTreeSet};

use certgate_model::{
    AuthorityId, CertificateId, CrlKind, Revocation, RevocationReason, SerialNumber, SignedCrl,
    Status, Timestamp, revocation_date,
};

use super::super::crl::aside_until;
use super::reading::{LINES_MAX, everything, single, until_enough};
use crate::db::{Db, Row, values};
use crate::{Judge, JudgedCrl, StoreError};

/// A row of `revocations`, and the certificate at its position.
struct Listed {
    position: i64,
    shard: u8,
    authority: i64,
    expires_on: Timestamp,
    revocation: Revocation,
    /// The same of the certificate. [`None`]: there is none, or it is not revoked.
    certificate: Option<(i64, Timestamp, Revocation)>,
    id: Option<CertificateId>,
}

const LISTED: &str = "SELECT revocations.position, revocations.shard, revocations.authority, \
     revocations.expires_on, revocations.serial, revocations.revoked_on, revocations.reason, \
     coalesce(certificates.authority, lost.authority), \
     coalesce(certificates.expires_on, lost.expires_on), \
     coalesce(certificates.serial, lost.serial), \
     coalesce(statuses.revoked_on, lost.revoked_on), coalesce(statuses.reason, lost.reason), \
     coalesce(certificates.id, lost.id), statuses.status \
     FROM revocations \
     LEFT JOIN certificates ON certificates.position = revocations.position \
     LEFT JOIN statuses ON statuses.position = revocations.position \
     LEFT JOIN lost_certificates AS lost ON lost.position = revocations.position";

impl Listed {
    fn read(row: &dyn Row) -> Result<Self, StoreError> {
        let revocation = |serial: usize| -> Result<Revocation, StoreError> {
            Ok(Revocation {
                serial: row.get(serial)?,
                revoked_on: row.get(serial + 1)?,
                reason: row.get(serial + 2)?,
            })
        };
        let status: Option<Status> = row.get(13)?;
        let is_revoked = !matches!(status, Some(Status::Active | Status::PendingReactivation));
        let certificate = match row.get::<Option<i64>>(7)? {
            Some(authority) if is_revoked => Some((authority, row.get(8)?, revocation(9)?)),
            _ => None,
        };
        Ok(Self {
            position: row.get(0)?,
            shard: row.get(1)?,
            authority: row.get(2)?,
            expires_on: row.get(3)?,
            revocation: revocation(4)?,
            certificate,
            id: row.get(12)?,
        })
    }

    fn is_right(&self) -> bool {
        self.certificate == Some((self.authority, self.expires_on, self.revocation))
            && self.shard == self.revocation.serial.shard()
    }
}

/// Compares the rows that CRLs are made of with the certificates: each revoked certificate has one
/// row with its data, and every row is one of these.
pub(super) async fn revocations<D: Db>(
    db: &D,
    judge: &mut dyn Judge,
) -> Result<Vec<String>, StoreError> {
    let (mut lines, mut rows) = (Vec::new(), 0_u64);
    let mut visit = |row: &dyn Row| {
        judge.progress(1);
        rows += 1;
        let line = match Listed::read(row) {
            Ok(listed) if listed.is_right() => None,
            Ok(listed) => {
                let id = listed.id.map(|id| id.to_string()).unwrap_or_default();
                let (position, serial) = (listed.position, listed.revocation.serial);
                Some(format!(
                    "\"revocations\" {position} {serial}: differs from the certificate {id}"
                ))
            }
            Err(error) => Some(format!(
                "\"revocations\" {}: cannot be read: {}",
                row.get::<i64>(0).unwrap_or_default(),
                error.into_detail()
            )),
        };
        lines.extend(line);
        Ok(until_enough(&lines))
    };
    db.stream(LISTED, &[], &mut visit).await?;
    let known = "SELECT (SELECT count(*) FROM statuses WHERE status IN (2, 3)) \
                 + (SELECT count(*) FROM lost_certificates)";
    let known: u64 = single(db, known).await?;
    if known != rows && lines.len() < LINES_MAX {
        lines.push(format!(
            "{rows} revocations are on CRLs, but {known} certificates are revoked"
        ));
        lines.extend(missing(db).await?);
    }
    Ok(lines)
}

/// Names the revoked certificates without a row.
async fn missing<D: Db>(db: &D) -> Result<Vec<String>, StoreError> {
    let listed = everything(db, "SELECT position FROM revocations", |row| row.get(0)).await?;
    let listed: BTreeSet<i64> = listed.into_iter().collect();
    let revoked = "SELECT statuses.position, certificates.id FROM statuses \
                   JOIN certificates ON certificates.position = statuses.position \
                   WHERE statuses.status IN (2, 3)";
    let mut lines = Vec::new();
    let mut visit = |row: &dyn Row| {
        if !listed.contains(&row.get::<i64>(0)?) {
            let id: CertificateId = row.get(1)?;
            lines.push(format!("\"revocations\": the certificate {id} is missing"));
        }
        Ok(until_enough(&lines))
    };
    db.stream(revoked, &[], &mut visit).await?;
    Ok(lines)
}

/// The state of a CRL.
struct State {
    authority: AuthorityId,
    number_of_authority: i64,
    kind: CrlKind,
    changed_epoch: i64,
    made_epoch: i64,
    number: u64,
    this_update: Timestamp,
    next_update: Timestamp,
    /// In microseconds, or the value of a CRL that is set aside.
    renew_on: i64,
    /// The end of the CA.
    expires_on: Timestamp,
    /// The last epoch of the CA and of the store.
    last_epochs: (i64, i64),
}

/// Verifies every stored CRL, and compares it with its state and with the revocations.
pub(super) async fn crls<D: Db>(db: &D, judge: &mut dyn Judge) -> Result<Vec<String>, StoreError> {
    let select = "SELECT authorities.id, authorities.number, crl_states.kind, \
                  crl_states.changed_epoch, crl_states.made_epoch, crl_states.number, \
                  crl_states.this_update, crl_states.next_update, crl_states.renew_on, \
                  authorities.last_epoch, (SELECT last_epoch FROM store), \
                  authorities.expires_on FROM crl_states \
                  JOIN authorities ON authorities.number = crl_states.authority";
    let states = everything(db, select, |row| {
        Ok(State {
            authority: row.get(0)?,
            number_of_authority: row.get(1)?,
            kind: row.get(2)?,
            changed_epoch: row.get(3)?,
            made_epoch: row.get(4)?,
            number: row.get(5)?,
            this_update: row.get(6)?,
            next_update: row.get(7)?,
            renew_on: row.get(8)?,
            last_epochs: (row.get(9)?, row.get(10)?),
            expires_on: row.get(11)?,
        })
    })
    .await?;
    let is_due = |state: &&State| state.changed_epoch > state.made_epoch;
    let due = states.iter().filter(is_due);
    let due = due.map(|state| (state.authority, state.kind)).collect();
    let mut lines = Vec::new();
    for state in states {
        judge.progress(1);
        for what in faults(db, judge, &state, &due).await? {
            let file = match state.kind {
                CrlKind::Shard(shard) => format!("{shard}.crl"),
                CrlKind::AuthorityCertificates => "ca.crl".to_owned(),
                CrlKind::Full => "full.crl".to_owned(),
            };
            lines.push(format!("\"crls\" {} {file}: {what}", state.authority));
        }
        if lines.len() >= LINES_MAX {
            break;
        }
    }
    Ok(lines)
}

async fn faults<D: Db>(
    db: &D,
    judge: &mut dyn Judge,
    state: &State,
    due: &BTreeSet<(AuthorityId, CrlKind)>,
) -> Result<Vec<&'static str>, StoreError> {
    let mut faults = Vec::new();
    let (of_authority, of_store) = state.last_epochs;
    if state.changed_epoch > of_authority || state.made_epoch > of_store {
        faults.push("its state has an epoch after the last one");
    }
    if state.made_epoch < 0 {
        return Ok(faults);
    }
    let select = "SELECT der FROM crls WHERE authority = ?1 AND kind = ?2";
    let key = values![state.number_of_authority, state.kind.code()];
    let der: Option<Vec<u8>> = db.optional(select, &key, |row| row.get(0)).await?;
    let Some(der) = der else {
        // Only a full list can be too long.
        if state.kind != CrlKind::Full {
            faults.push("it is missing");
        }
        return Ok(faults);
    };
    let crl = match judge.crl(state.authority, &der) {
        JudgedCrl::Intact(crl) => crl,
        JudgedCrl::Corrupt => {
            faults.push("its signature does not verify, or it is malformed");
            return Ok(faults);
        }
        #[cfg(feature = "conformance")]
        JudgedCrl::NotRead => return Ok(faults),
    };
    // A list has whole seconds.
    let is_same = |of_list: Timestamp, stored| of_list.until(stored).is_within(1);
    let is_its_state = crl.number == state.number
        && is_same(crl.this_update, state.this_update)
        && is_same(crl.next_update, state.next_update)
        && has_time_of_renewal(state);
    if !is_its_state {
        faults.push("its state has another number or time");
    }
    let owners = match state.kind {
        CrlKind::Full => judge.same_issuer(state.authority),
        _ => vec![state.authority],
    };
    // A list that is to be made again has not got every change.
    let is_due = owners
        .iter()
        .any(|owner| due.contains(&(*owner, state.kind)));
    if !is_due && !has_revocations(db, &owners, state, &crl).await? {
        faults.push("its entries differ from the revocations");
    }
    Ok(faults)
}

fn has_time_of_renewal(state: &State) -> bool {
    let [first, last] = [state.this_update, state.next_update].map(Timestamp::unix_microseconds);
    (first..=last).contains(&state.renew_on) || state.renew_on == aside_until(state.expires_on)
}

/// Compares the entries of a list with the rows.
async fn has_revocations<D: Db>(
    db: &D,
    owners: &[AuthorityId],
    state: &State,
    crl: &SignedCrl,
) -> Result<bool, StoreError> {
    let (first, last) = match state.kind {
        CrlKind::AuthorityCertificates => return Ok(crl.entries.is_empty()),
        CrlKind::Shard(shard) => (shard, shard),
        CrlKind::Full => (0, u8::MAX),
    };
    let select = "SELECT serial, revoked_on, reason, expires_on FROM revocations \
                  WHERE authority = (SELECT number FROM authorities WHERE id = ?1) \
                  AND shard >= ?2 AND shard <= ?3";
    let mut rows: BTreeMap<[u8; 20], (Timestamp, RevocationReason, Timestamp)> = BTreeMap::new();
    for owner in owners {
        let of_owner = db
            .rows(select, &values![*owner, first, last], |row| {
                let serial: SerialNumber = row.get(0)?;
                Ok((*serial.as_bytes(), (row.get(1)?, row.get(2)?, row.get(3)?)))
            })
            .await?;
        rows.extend(of_owner);
    }
    for entry in &crl.entries {
        let Some((revoked_on, reason, _)) = rows.remove(entry.serial.as_bytes()) else {
            return Ok(false);
        };
        // Lists of earlier versions have the time of the revocation itself.
        let is_dated = [revocation_date(revoked_on, crl.this_update), revoked_on]
            .iter()
            .any(|date| entry.revoked_on.until(*date).is_within(1));
        if reason != entry.reason || !is_dated {
            return Ok(false);
        }
    }
    // A list leaves out certificates that expired before it was made.
    Ok(rows
        .values()
        .all(|(.., expires_on)| *expires_on <= crl.next_update))
}
