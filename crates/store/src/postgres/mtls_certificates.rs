//! Certificates that accounts bring themselves. Their private keys arrive and stay sealed.

use certgate_model::{
    AccountId, AuditAction, AuditOwner, By, MtlsCertificateId, MtlsCertificateRecord, ResourceType,
};

use super::audit::{self, Deed};
use super::db::Db;
use super::row::{self, Row};
use super::tenants;
use super::value::values;
use crate::{
    MTLS_HOSTNAMES_NAMED_MAX, MtlsCertificateDeleted, MtlsCertificateRecorded, StoreError,
};

macro_rules! columns {
    () => {
        "id, account, name, ca, issuer, signature, serial_number, certificates, fingerprint_sha256, sealed_key, \
         uploaded_on, expires_on"
    };
}

/// One certificate of an account.
pub(super) async fn mtls_certificate(
    db: &Db,
    account: AccountId,
    id: MtlsCertificateId,
) -> Result<Option<MtlsCertificateRecord>, StoreError> {
    let select = concat!(
        "SELECT ",
        columns!(),
        " FROM mtls_certificates WHERE id = $1 AND account = $2"
    );
    let row = db
        .optional(select, values![id.as_bytes(), account.as_bytes()])
        .await?;
    row.as_ref().map(mtls_certificate_row).transpose()
}

/// Every certificate of an account, newest first.
pub(super) async fn all(
    db: &Db,
    account: AccountId,
) -> Result<Vec<MtlsCertificateRecord>, StoreError> {
    let select = concat!(
        "SELECT ",
        columns!(),
        " FROM mtls_certificates WHERE account = $1 ORDER BY uploaded_on DESC, id DESC"
    );
    let rows = db.rows(select, values![account.as_bytes()]).await?;
    rows.iter().map(mtls_certificate_row).collect()
}

/// How many an account has. Quotas keep them few; unlike client certificates they may be counted.
pub(super) async fn count(db: &Db, account: AccountId) -> Result<u64, StoreError> {
    let count = "SELECT count(*) FROM mtls_certificates WHERE account = $1";
    db.one(count, values![account.as_bytes()]).await?.get(0)
}

/// Stores a new certificate, unless its account has it already or has as many as `quota` allows.
pub(super) async fn record(
    db: &Db,
    certificate: &MtlsCertificateRecord,
    quota: Option<u64>,
    by: &By,
) -> Result<MtlsCertificateRecorded, StoreError> {
    if tenants::account(db, certificate.account).await?.is_none() {
        return Ok(MtlsCertificateRecorded::NoAccount);
    }
    let same = "SELECT id FROM mtls_certificates WHERE account = $1 AND fingerprint_sha256 = $2";
    let same = db
        .optional(
            same,
            values![
                certificate.account.as_bytes(),
                &certificate.fingerprint_sha256
            ],
        )
        .await?;
    if let Some(row) = same {
        return Ok(MtlsCertificateRecorded::Exists(
            MtlsCertificateId::from_bytes(row.get(0)?),
        ));
    }
    if let Some(quota) = quota
        && count(db, certificate.account).await? >= quota
    {
        return Ok(MtlsCertificateRecorded::QuotaReached);
    }
    db.execute(
        "INSERT INTO mtls_certificates (id, account, name, ca, issuer, signature, serial_number, certificates, \
         fingerprint_sha256, sealed_key, uploaded_on, expires_on) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
        values![
            certificate.id.as_bytes(),
            certificate.account.as_bytes(),
            &certificate.name,
            certificate.ca,
            &certificate.issuer,
            &certificate.signature,
            &certificate.serial_number,
            &certificate.certificates,
            &certificate.fingerprint_sha256,
            certificate.sealed_key.as_ref(),
            certificate.uploaded_on.unix_microseconds(),
            certificate.expires_on.unix_microseconds(),
        ],
    )
    .await?;
    log(db, AuditAction::Create, certificate, by).await?;
    Ok(MtlsCertificateRecorded::Recorded)
}

async fn log(
    db: &Db,
    action: AuditAction,
    certificate: &MtlsCertificateRecord,
    by: &By,
) -> Result<(), StoreError> {
    let detail = format!("name={}", certificate.name);
    let deed = Deed::new(
        action,
        ResourceType::MtlsCertificate,
        certificate.id.as_bytes(),
        detail,
    )
    .of_certificate(certificate.fingerprint_sha256);
    audit::record(db, AuditOwner::Account(certificate.account), by, deed).await
}

/// Deletes a certificate that no hostname uses; its sealed key goes with it.
pub(super) async fn delete(
    db: &Db,
    account: AccountId,
    id: MtlsCertificateId,
    by: &By,
) -> Result<MtlsCertificateDeleted, StoreError> {
    let Some(record) = mtls_certificate(db, account, id).await? else {
        return Ok(MtlsCertificateDeleted::NotFound);
    };
    let used_by = hostname_count(db, id).await?;
    if used_by > 0 {
        let select = "SELECT hostname FROM hostname_associations WHERE mtls_certificate = $1 \
                      ORDER BY folded_hostname, zone, place LIMIT $2";
        let rows = db
            .rows(select, values![id.as_bytes(), MTLS_HOSTNAMES_NAMED_MAX])
            .await?;
        let hostnames = rows
            .iter()
            .map(|row| row.get(0))
            .collect::<Result<_, _>>()?;
        return Ok(MtlsCertificateDeleted::InUse {
            hostnames,
            count: used_by,
        });
    }
    db.execute(
        "DELETE FROM mtls_certificates WHERE id = $1 AND account = $2",
        values![id.as_bytes(), account.as_bytes()],
    )
    .await?;
    log(db, AuditAction::Delete, &record, by).await?;
    Ok(MtlsCertificateDeleted::Deleted(record))
}

/// How many hostnames use a certificate of an account; `None` if the account has no such certificate.
pub(super) async fn used_by(
    db: &Db,
    account: AccountId,
    id: MtlsCertificateId,
) -> Result<Option<u64>, StoreError> {
    match mtls_certificate(db, account, id).await? {
        None => Ok(None),
        Some(_) => hostname_count(db, id).await.map(Some),
    }
}

async fn hostname_count(db: &Db, id: MtlsCertificateId) -> Result<u64, StoreError> {
    let count = "SELECT count(*) FROM hostname_associations WHERE mtls_certificate = $1";
    db.one(count, values![id.as_bytes()]).await?.get(0)
}

fn mtls_certificate_row(row: &Row) -> Result<MtlsCertificateRecord, StoreError> {
    Ok(MtlsCertificateRecord {
        id: MtlsCertificateId::from_bytes(row.get(0)?),
        account: AccountId::from_bytes(row.get(1)?),
        name: row.get(2)?,
        ca: row.get(3)?,
        issuer: row.get(4)?,
        signature: row.get(5)?,
        serial_number: row.get(6)?,
        certificates: row.get(7)?,
        fingerprint_sha256: row.get(8)?,
        sealed_key: row.get(9)?,
        uploaded_on: row::timestamp(row, 10)?,
        expires_on: row::timestamp(row, 11)?,
    })
}
