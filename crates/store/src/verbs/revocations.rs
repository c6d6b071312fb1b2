//! The status of a certificate as its CA publishes it, and the rows that CRLs are made of.

use std::collections::BTreeMap;

use certgate_model::{
    AuthorityId, CertificateId, CertificateRecord, CrlKind, Revocation, RevocationReason,
    SerialNumber, Status, Timestamp,
};
use futures_util::future::try_join;

use crate::db::{Db, Row, Values, values};
use crate::position::Position;
use crate::schema::{CRL_STATES, INSTALLATION};
use crate::{Issued, StoreError, seal};

/// The data of a certificate that its CA's CRLs need.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Listed {
    /// The number of the CA.
    pub(crate) authority: i64,
    pub(crate) position: Position,
    pub(crate) serial: SerialNumber,
    pub(crate) expires_on: Timestamp,
    /// The time and reason of the revocation; `None` if it is not revoked.
    pub(crate) revoked: Option<(Timestamp, RevocationReason)>,
}

impl Listed {
    pub(crate) fn new(authority: i64, position: Position, certificate: &CertificateRecord) -> Self {
        Self {
            authority,
            position,
            serial: certificate.serial,
            expires_on: certificate.expires_on,
            revoked: certificate.revoked_on.zip(certificate.revocation_reason),
        }
    }
}

/// Adds certificates to their CAs' CRLs or removes them.
pub(crate) async fn list<D: Db>(db: &D, certificates: &[Listed]) -> Result<(), StoreError> {
    let upsert = "INSERT INTO revocations (authority, shard, expires_on, position, serial, \
                  revoked_on, reason) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) \
                  ON CONFLICT (authority, shard, expires_on, position) DO UPDATE \
                  SET revoked_on = excluded.revoked_on, reason = excluded.reason";
    let delete = "DELETE FROM revocations \
                  WHERE authority = ?1 AND shard = ?2 AND expires_on = ?3 AND position = ?4";
    let (mut revoked, mut restored) = (Vec::new(), Vec::new());
    for listed in certificates {
        let shard = listed.serial.shard();
        let mut cells: Values<'_> = values![
            listed.authority,
            shard,
            listed.expires_on,
            listed.position.0
        ]
        .to_vec();
        match listed.revoked {
            Some((revoked_on, reason)) => {
                cells.extend(values![&listed.serial, revoked_on, reason.code()]);
                revoked.push(cells);
            }
            None => restored.push(cells),
        }
    }
    try_join(
        db.execute_each(upsert, &revoked),
        db.execute_each(delete, &restored),
    )
    .await?;
    Ok(())
}

/// The CRLs that changes make old, each with the last epoch of them.
#[derive(Default)]
pub(crate) struct Aged(BTreeMap<(i64, u8), i64>);

impl Aged {
    /// Adds a change. Epochs come in ascending order.
    pub(crate) fn add(&mut self, authority: i64, serial: SerialNumber, epoch: i64) {
        for kind in [CrlKind::Shard(serial.shard()), CrlKind::Full] {
            self.0.insert((authority, kind.code()), epoch);
        }
    }

    /// Marks the CRLs as old.
    pub(crate) async fn mark<D: Db>(self, db: &D) -> Result<(), StoreError> {
        let update = "UPDATE crl_states SET changed_epoch = ?1 \
                      WHERE authority = ?2 AND kind = ?3 AND changed_epoch < ?1";
        let marks: Vec<_> = self
            .0
            .into_iter()
            .map(|((authority, kind), epoch)| values![epoch, authority, kind].to_vec())
            .collect();
        db.execute_each(update, &marks).await?;
        Ok(())
    }
}

/// Marks the CRLs of a new CA as due.
pub(crate) async fn begin_crls<D: Db>(db: &D, authority: i64) -> Result<(), StoreError> {
    let (never, none) = (-1_i64, 0_i64);
    let cells: Vec<_> = CrlKind::all()
        .flat_map(|kind| values![authority, kind.code(), none, never, none, none, none, none])
        .collect();
    db.insert(&CRL_STATES, &cells).await
}

/// Returns the published state of the certificate with this serial number and ID, if the CA issued
/// it. Certificates that were adopted, or that only the journal knew after a restore, are found by
/// the serial number.
pub(crate) async fn issued<D: Db>(
    db: &D,
    authority: AuthorityId,
    serial: SerialNumber,
    id: CertificateId,
) -> Result<Option<Issued>, StoreError> {
    let stored = "SELECT statuses.status, statuses.epoch, statuses.revoked_on, statuses.reason \
                  FROM certificates JOIN statuses ON statuses.position = certificates.position \
                  WHERE certificates.id = ?1 AND certificates.serial = ?3 \
                  AND certificates.authority = (SELECT number FROM authorities WHERE id = ?2)";
    let read = |row: &dyn Row| issued_row(serial, row);
    let found = db
        .optional(stored, &values![id, authority, &serial], read)
        .await?;
    if found.is_some() {
        return Ok(found);
    }
    let adopted = "SELECT statuses.status, statuses.epoch, statuses.revoked_on, statuses.reason \
                   FROM adopted_certificates JOIN statuses \
                   ON statuses.position = adopted_certificates.position \
                   WHERE adopted_certificates.authority = \
                   (SELECT number FROM authorities WHERE id = ?2) \
                   AND adopted_certificates.serial = ?1";
    let found = db
        .optional(adopted, &values![&serial, authority], read)
        .await?;
    if found.is_some() {
        return Ok(found);
    }
    // 3 is the code of `revoked`.
    let lost = "SELECT CAST(3 AS SMALLINT), epoch, revoked_on, reason FROM lost_certificates \
                WHERE serial = ?1 AND authority = (SELECT number FROM authorities WHERE id = ?2)";
    db.optional(lost, &values![&serial, authority], read).await
}

fn issued_row(serial: SerialNumber, row: &dyn Row) -> Result<Issued, StoreError> {
    let status = row.get(0)?;
    let revocation = match status {
        Status::Active | Status::PendingReactivation => None,
        Status::PendingRevocation | Status::Revoked => Some(Revocation {
            serial,
            revoked_on: row.get(2)?,
            reason: row.get(3)?,
        }),
    };
    Ok(Issued {
        status,
        epoch: row.get::<Option<u64>>(1)?.unwrap_or(0),
        revocation,
    })
}

/// Returns the epoch of the last change.
pub(crate) async fn last_epoch<D: Db>(db: &D) -> Result<u64, StoreError> {
    db.one(
        "SELECT last_epoch FROM store WHERE \"only\" = 1",
        &[],
        |row| row.get(0),
    )
    .await
}

/// Returns whether an epoch was skipped after a restore.
pub(crate) async fn is_skipped_epoch<D: Db>(db: &D, epoch: u64) -> Result<bool, StoreError> {
    let select = "SELECT until > ?1 FROM epoch_gaps WHERE after < ?1 ORDER BY after DESC LIMIT 1";
    let skipped = db
        .optional(select, &values![epoch], |row| row.get(0))
        .await?;
    Ok(skipped.unwrap_or(false))
}

/// Makes a sealed key that of serial numbers, unless there is one; returns the key that is used
/// afterwards (`None`: the store is not initialised).
pub(crate) async fn record_serial_key<D: Db>(
    db: &D,
    sealed: &[u8],
) -> Result<Option<Vec<u8>>, StoreError> {
    let select = "SELECT sealed_serial_key, master_key_check, created_on FROM installation \
                  WHERE \"only\" = 1";
    let installation = |row: &dyn Row| {
        let created_on: Timestamp = row.get(2)?;
        Ok((row.get(0)?, row.get(1)?, created_on))
    };
    let found: Option<(Option<Vec<u8>>, Vec<u8>, Timestamp)> =
        db.optional(select, &[], installation).await?;
    let Some((current, master_key_check, created_on)) = found else {
        return Ok(None);
    };
    if current.is_some() {
        return Ok(current);
    }
    // From now on, the row does not change.
    let digest = seal::of(
        &INSTALLATION,
        &values![1_i64, &master_key_check, created_on, sealed],
    );
    let update = "UPDATE installation SET sealed_serial_key = ?1, digest = ?2 WHERE \"only\" = 1";
    db.execute(update, &values![sealed, digest]).await?;
    Ok(Some(sealed.to_vec()))
}
