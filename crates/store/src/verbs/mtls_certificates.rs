//! Certificates that accounts upload. Their private keys arrive and stay sealed.

use certgate_model::{
    AccountId, AuditAction, AuditOwner, By, MtlsCertificateId, MtlsCertificateRecord, ResourceType,
};

use super::{audit, configuration, tenants};
use crate::audit::AuditEvent;
use crate::db::{Db, Row, values};
use crate::schema::MTLS_CERTIFICATES;
use crate::{
    MTLS_HOSTNAMES_NAMED_MAX, MtlsCertificateDeleted, MtlsCertificateRecorded, StoreError, seal,
};

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, account, name, ca, issuer, signature, serial_number, certificates, \
             fingerprint_sha256, sealed_key, uploaded_on, expires_on FROM mtls_certificates ",
            $rest
        )
    };
}

/// Returns one certificate of an account.
pub(crate) async fn mtls_certificate<D: Db>(
    db: &D,
    account: AccountId,
    id: MtlsCertificateId,
) -> Result<Option<MtlsCertificateRecord>, StoreError> {
    let select = select!("WHERE id = ?1 AND account = ?2");
    db.optional(select, &values![id, account], mtls_certificate_row)
        .await
}

/// Returns every certificate of an account, newest first.
pub(crate) async fn all<D: Db>(
    db: &D,
    account: AccountId,
) -> Result<Vec<MtlsCertificateRecord>, StoreError> {
    let select = select!("WHERE account = ?1 ORDER BY uploaded_on DESC, id DESC");
    db.rows(select, &values![account], mtls_certificate_row)
        .await
}

/// Counts the certificates of an account. Quotas keep them few, so unlike client certificates they
/// may be counted.
pub(crate) async fn count<D: Db>(db: &D, account: AccountId) -> Result<u64, StoreError> {
    let count = "SELECT count(*) FROM mtls_certificates WHERE account = ?1";
    db.one(count, &values![account], |row| row.get(0)).await
}

/// Stores a new certificate, unless its account has it already or has `quota` certificates.
pub(crate) async fn record<D: Db>(
    db: &D,
    certificate: &MtlsCertificateRecord,
    quota: Option<u64>,
    by: &By,
) -> Result<MtlsCertificateRecorded, StoreError> {
    if tenants::account(db, certificate.account).await?.is_none() {
        return Ok(MtlsCertificateRecorded::NoAccount);
    }
    let same = "SELECT id FROM mtls_certificates WHERE account = ?1 AND fingerprint_sha256 = ?2";
    let same_values = values![certificate.account, &certificate.fingerprint_sha256];
    if let Some(id) = db.optional(same, &same_values, |row| row.get(0)).await? {
        return Ok(MtlsCertificateRecorded::Exists(id));
    }
    if let Some(quota) = quota
        && count(db, certificate.account).await? >= quota
    {
        return Ok(MtlsCertificateRecorded::QuotaReached);
    }
    let cells = values![
        certificate.id,
        certificate.account,
        &certificate.name,
        certificate.ca,
        &certificate.issuer,
        &certificate.signature,
        &certificate.serial_number,
        &certificate.certificates,
        &certificate.fingerprint_sha256,
        certificate.sealed_key.as_ref(),
        certificate.uploaded_on,
        certificate.expires_on,
    ];
    seal::insert(db, &MTLS_CERTIFICATES, &cells).await?;
    log(db, AuditAction::Create, certificate, by).await?;
    Ok(MtlsCertificateRecorded::Recorded)
}

async fn log<D: Db>(
    db: &D,
    action: AuditAction,
    certificate: &MtlsCertificateRecord,
    by: &By,
) -> Result<(), StoreError> {
    // A leaf certificate is not part of the configuration of enforcement points.
    let epoch = match certificate.ca {
        true => {
            let taken = configuration::take_epoch(db, certificate.account).await?;
            format!("epoch={} ", taken.number)
        }
        false => String::new(),
    };
    let detail = format!("{epoch}name={}", certificate.name);
    let id = certificate.id.as_bytes();
    let event = AuditEvent::new(action, ResourceType::MtlsCertificate, id, detail)
        .of_certificate(certificate.fingerprint_sha256);
    audit::record(db, AuditOwner::Account(certificate.account), by, event).await
}

/// Deletes a certificate that no hostname uses; its sealed key goes with it.
pub(crate) async fn delete<D: Db>(
    db: &D,
    account: AccountId,
    id: MtlsCertificateId,
    by: &By,
) -> Result<MtlsCertificateDeleted, StoreError> {
    let Some(record) = mtls_certificate(db, account, id).await? else {
        return Ok(MtlsCertificateDeleted::NotFound);
    };
    let count = hostname_count(db, id).await?;
    if count > 0 {
        let select = "SELECT hostname FROM hostname_associations WHERE mtls_certificate = ?1 \
                      ORDER BY folded_hostname, zone, place LIMIT ?2";
        let limits = values![id, MTLS_HOSTNAMES_NAMED_MAX];
        let hostnames = db.rows(select, &limits, |row| row.get(0)).await?;
        return Ok(MtlsCertificateDeleted::InUse { hostnames, count });
    }
    let delete = "DELETE FROM mtls_certificates WHERE id = ?1 AND account = ?2";
    db.execute(delete, &values![id, account]).await?;
    log(db, AuditAction::Delete, &record, by).await?;
    Ok(MtlsCertificateDeleted::Deleted(record))
}

/// Counts the hostnames that use a certificate of an account; `None` if the account has no such
/// certificate.
pub(crate) async fn used_by<D: Db>(
    db: &D,
    account: AccountId,
    id: MtlsCertificateId,
) -> Result<Option<u64>, StoreError> {
    match mtls_certificate(db, account, id).await? {
        None => Ok(None),
        Some(_) => hostname_count(db, id).await.map(Some),
    }
}

async fn hostname_count<D: Db>(db: &D, id: MtlsCertificateId) -> Result<u64, StoreError> {
    let count = "SELECT count(*) FROM hostname_associations WHERE mtls_certificate = ?1";
    db.one(count, &values![id], |row| row.get(0)).await
}

fn mtls_certificate_row(row: &dyn Row) -> Result<MtlsCertificateRecord, StoreError> {
    Ok(MtlsCertificateRecord {
        id: row.get(0)?,
        account: row.get(1)?,
        name: row.get(2)?,
        ca: row.get(3)?,
        issuer: row.get(4)?,
        signature: row.get(5)?,
        serial_number: row.get(6)?,
        certificates: row.get(7)?,
        fingerprint_sha256: row.get(8)?,
        sealed_key: row.get(9)?,
        uploaded_on: row.get(10)?,
        expires_on: row.get(11)?,
    })
}
