//! Certificates that accounts bring themselves. Their private keys arrive and stay sealed.

use certgate_model::{
    AccountId, AuditAction, AuditOwner, By, MtlsCertificateId, MtlsCertificateRecord, ResourceType,
};
use rusqlite::{Connection, OptionalExtension, Row};

use super::audit::{self, Deed};
use super::{row, tenants};
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
pub(super) fn mtls_certificate(
    connection: &Connection,
    account: AccountId,
    id: MtlsCertificateId,
) -> Result<Option<MtlsCertificateRecord>, StoreError> {
    let mut statement = connection.prepare_cached(concat!(
        "SELECT ",
        columns!(),
        " FROM mtls_certificates WHERE id = ?1 AND account = ?2"
    ))?;
    let mut rows = statement.query((id.as_bytes(), account.as_bytes()))?;
    rows.next()?.map(mtls_certificate_row).transpose()
}

/// Every certificate of an account, newest first.
pub(super) fn all(
    connection: &Connection,
    account: AccountId,
) -> Result<Vec<MtlsCertificateRecord>, StoreError> {
    let mut statement = connection.prepare_cached(concat!(
        "SELECT ",
        columns!(),
        " FROM mtls_certificates WHERE account = ?1 ORDER BY uploaded_on DESC, id DESC"
    ))?;
    let mut rows = statement.query((account.as_bytes(),))?;
    let mut records = Vec::new();
    while let Some(row) = rows.next()? {
        records.push(mtls_certificate_row(row)?);
    }
    Ok(records)
}

/// How many an account has. Quotas keep them few; unlike client certificates they may be counted.
pub(super) fn count(connection: &Connection, account: AccountId) -> Result<u64, StoreError> {
    Ok(connection
        .prepare_cached("SELECT count(*) FROM mtls_certificates WHERE account = ?1")?
        .query_row((account.as_bytes(),), |row| row.get(0))?)
}

/// Stores a new certificate, unless its account has it already or has as many as `quota` allows.
pub(super) fn record(
    connection: &Connection,
    certificate: &MtlsCertificateRecord,
    quota: Option<u64>,
    by: &By,
) -> Result<MtlsCertificateRecorded, StoreError> {
    if tenants::account(connection, certificate.account)?.is_none() {
        return Ok(MtlsCertificateRecorded::NoAccount);
    }
    let same: Option<[u8; 16]> = connection
        .prepare_cached(
            "SELECT id FROM mtls_certificates WHERE account = ?1 AND fingerprint_sha256 = ?2",
        )?
        .query_row(
            (
                certificate.account.as_bytes(),
                &certificate.fingerprint_sha256,
            ),
            |row| row.get(0),
        )
        .optional()?;
    if let Some(id) = same {
        return Ok(MtlsCertificateRecorded::Exists(
            MtlsCertificateId::from_bytes(id),
        ));
    }
    if let Some(quota) = quota
        && count(connection, certificate.account)? >= quota
    {
        return Ok(MtlsCertificateRecorded::QuotaReached);
    }
    connection
        .prepare_cached(
            "INSERT INTO mtls_certificates (id, account, name, ca, issuer, signature, serial_number, certificates, \
             fingerprint_sha256, sealed_key, uploaded_on, expires_on) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
        )?
        .execute((
            certificate.id.as_bytes(),
            certificate.account.as_bytes(),
            &certificate.name,
            certificate.ca,
            &certificate.issuer,
            &certificate.signature,
            &certificate.serial_number,
            &certificate.certificates,
            &certificate.fingerprint_sha256,
            &certificate.sealed_key,
            certificate.uploaded_on.unix_microseconds(),
            certificate.expires_on.unix_microseconds(),
        ))?;
    log(connection, AuditAction::Create, certificate, by)?;
    Ok(MtlsCertificateRecorded::Recorded)
}

fn log(
    connection: &Connection,
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
    audit::record(
        connection,
        AuditOwner::Account(certificate.account),
        by,
        deed,
    )
}

/// Deletes a certificate that no hostname uses; its sealed key goes with it.
pub(super) fn delete(
    connection: &Connection,
    account: AccountId,
    id: MtlsCertificateId,
    by: &By,
) -> Result<MtlsCertificateDeleted, StoreError> {
    let Some(record) = mtls_certificate(connection, account, id)? else {
        return Ok(MtlsCertificateDeleted::NotFound);
    };
    let used_by = hostname_count(connection, id)?;
    if used_by > 0 {
        let hostnames = connection
            .prepare_cached(
                "SELECT hostname FROM hostname_associations WHERE mtls_certificate = ?1 \
                 ORDER BY folded_hostname, zone, place LIMIT ?2",
            )?
            .query_map((id.as_bytes(), MTLS_HOSTNAMES_NAMED_MAX), |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        return Ok(MtlsCertificateDeleted::InUse {
            hostnames,
            count: used_by,
        });
    }
    connection
        .prepare_cached("DELETE FROM mtls_certificates WHERE id = ?1 AND account = ?2")?
        .execute((id.as_bytes(), account.as_bytes()))?;
    log(connection, AuditAction::Delete, &record, by)?;
    Ok(MtlsCertificateDeleted::Deleted(record))
}

/// How many hostnames use a certificate of an account; `None` if the account has no such certificate.
pub(super) fn used_by(
    connection: &Connection,
    account: AccountId,
    id: MtlsCertificateId,
) -> Result<Option<u64>, StoreError> {
    match mtls_certificate(connection, account, id)? {
        None => Ok(None),
        Some(_) => hostname_count(connection, id).map(Some),
    }
}

fn hostname_count(connection: &Connection, id: MtlsCertificateId) -> Result<u64, StoreError> {
    Ok(connection
        .prepare_cached("SELECT count(*) FROM hostname_associations WHERE mtls_certificate = ?1")?
        .query_row((id.as_bytes(),), |row| row.get(0))?)
}

fn mtls_certificate_row(row: &Row<'_>) -> Result<MtlsCertificateRecord, StoreError> {
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
