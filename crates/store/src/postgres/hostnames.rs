//! The hostnames for which client certificates are asked, and the authorities that apply to them.
//!
//! A list belongs to a zone and an authority. The managed authority has no id in it, because the account's changes:
//! no octets stand for whichever it is. A change of a list takes the next number of the store's counter of deployments, which
//! the hostnames that it adds carry.

use std::collections::HashMap;

use certgate_model::{
    AccountId, AuditAction, AuditOwner, AuthorityId, By, EnforcedAuthority, Enforcement,
    MtlsCertificateId, ResourceType, ZoneId,
};

use super::audit::{self, Deed};
use super::db::Db;
use super::error::corrupt;
use super::tenants::{self, folded};
use super::value::values;
use crate::{HostnamesReplaced, StoreError};

/// The hostnames of a zone for one authority.
pub(super) async fn list(
    db: &Db,
    zone: ZoneId,
    authority: Option<MtlsCertificateId>,
) -> Result<Option<Vec<String>>, StoreError> {
    let Some(number) = tenants::zone_number(db, zone).await? else {
        return Ok(None);
    };
    if let Some(id) = authority
        && is_authority(db, number, id).await?.is_none()
    {
        return Ok(None);
    }
    let listed = listed(db, number, authority).await?;
    Ok(Some(
        listed.into_iter().map(|(hostname, _)| hostname).collect(),
    ))
}

/// Puts a list in the place of another.
pub(super) async fn replace(
    db: &Db,
    zone: ZoneId,
    authority: Option<MtlsCertificateId>,
    hostnames: &[String],
    by: &By,
) -> Result<HostnamesReplaced, StoreError> {
    let Some(number) = tenants::zone_number(db, zone).await? else {
        return Ok(HostnamesReplaced::NoZone);
    };
    if let Some(id) = authority {
        match is_authority(db, number, id).await? {
            None => return Ok(HostnamesReplaced::NoCertificate),
            Some(false) => return Ok(HostnamesReplaced::NotAnAuthority),
            Some(true) => {}
        }
    }
    for (index, hostname) in hostnames.iter().enumerate() {
        let elsewhere =
            "SELECT 1 FROM hostname_associations WHERE folded_hostname = $1 AND zone <> $2 LIMIT 1";
        if db
            .optional(elsewhere, values![folded(hostname), number])
            .await?
            .is_some()
        {
            return Ok(HostnamesReplaced::ListedElsewhere { index });
        }
    }
    let old = listed(db, number, authority).await?;
    if old.iter().map(|(hostname, _)| hostname).eq(hostnames) {
        return Ok(HostnamesReplaced::Replaced);
    }
    let deployed: HashMap<_, _> = old
        .iter()
        .map(|(hostname, deployment)| (folded(hostname), *deployment))
        .collect();

    let next: i64 = db
        .one(
            "UPDATE store SET last_deployment = last_deployment + 1 WHERE \"only\" = 1 RETURNING last_deployment",
            values![],
        )
        .await?
        .get(0)?;
    db.execute(
        "DELETE FROM hostname_associations WHERE zone = $1 AND mtls_certificate = $2",
        values![number, key(&authority)],
    )
    .await?;
    for (place, hostname) in (0_i64..).zip(hostnames) {
        let folded = folded(hostname);
        let deployment = deployed.get(&folded).copied().unwrap_or(next);
        db.execute(
            "INSERT INTO hostname_associations (zone, mtls_certificate, place, hostname, folded_hostname, deployment) \
             VALUES ($1, $2, $3, $4, $5, $6)",
            values![number, key(&authority), place, hostname, folded, deployment],
        )
        .await?;
    }
    let Some(record) = tenants::zone(db, zone).await? else {
        return Err(corrupt(
            "a zone whose hostnames were just replaced is missing",
        ));
    };
    let mut detail = authority.map_or_else(String::new, |id| format!("mtls_certificate_id={id} "));
    detail.push_str(&format!(
        "count={} hostnames={}",
        hostnames.len(),
        hostnames.join(",")
    ));
    let deed = Deed::new(
        AuditAction::Update,
        ResourceType::HostnameAssociations,
        zone.as_bytes(),
        detail,
    );
    audit::record(
        db,
        AuditOwner::Account(record.account),
        by,
        deed.in_zone(zone),
    )
    .await?;
    Ok(HostnamesReplaced::Replaced)
}

/// Deletes every list of a zone.
pub(super) async fn delete_of_zone(db: &Db, zone: i64) -> Result<(), StoreError> {
    db.execute(
        "DELETE FROM hostname_associations WHERE zone = $1",
        values![zone],
    )
    .await?;
    Ok(())
}

/// The authorities that apply to a hostname, the most recently deployed first.
pub(super) async fn enforcement(
    db: &Db,
    hostname: &str,
) -> Result<Option<Enforcement>, StoreError> {
    let rows = db
        .rows(
            "SELECT zones.id, zones.account, hostname_associations.mtls_certificate \
             FROM hostname_associations JOIN zones ON zones.number = hostname_associations.zone \
             WHERE hostname_associations.folded_hostname = $1 \
             ORDER BY hostname_associations.deployment DESC",
            values![folded(hostname)],
        )
        .await?;
    let mut found: Option<Enforcement> = None;
    for row in rows {
        let (zone, account) = (
            ZoneId::from_bytes(row.get(0)?),
            AccountId::from_bytes(row.get(1)?),
        );
        let enforcement = found.get_or_insert_with(|| Enforcement {
            zone,
            account,
            authorities: Vec::new(),
        });
        if enforcement.zone != zone {
            return Err(corrupt(format!("two zones list the hostname {hostname:?}")));
        }
        if row.get::<Vec<u8>>(2)?.is_empty() {
            managed(db, account, &mut enforcement.authorities).await?;
        } else {
            let id = MtlsCertificateId::from_bytes(row.get(2)?);
            enforcement
                .authorities
                .push(brought(db, account, id).await?);
        }
    }
    Ok(found)
}

/// Every managed authority that an account has or had, newest first: certificates of an earlier one stay valid.
async fn managed(
    db: &Db,
    account: AccountId,
    authorities: &mut Vec<EnforcedAuthority>,
) -> Result<(), StoreError> {
    let select = "SELECT id, certificate_der, last_epoch FROM authorities WHERE account = $1 ORDER BY number DESC";
    for row in db.rows(select, values![account.as_bytes()]).await? {
        authorities.push(EnforcedAuthority::Managed {
            id: AuthorityId::from_bytes(row.get(0)?),
            certificate_der: row.get(1)?,
            last_epoch: row.get(2)?,
        });
    }
    Ok(())
}

async fn brought(
    db: &Db,
    account: AccountId,
    id: MtlsCertificateId,
) -> Result<EnforcedAuthority, StoreError> {
    let select = "SELECT certificates FROM mtls_certificates WHERE id = $1 AND account = $2 AND ca";
    let row = db
        .optional(select, values![id.as_bytes(), account.as_bytes()])
        .await?
        .ok_or_else(|| {
            corrupt(format!(
                "hostnames name the authority {id}, which their account does not have"
            ))
        })?;
    Ok(EnforcedAuthority::Uploaded {
        id,
        certificates: row.get(0)?,
    })
}

/// Whether a certificate that the zone's account brought is one of an authority; `None` if the account has no such
/// certificate.
async fn is_authority(
    db: &Db,
    zone: i64,
    id: MtlsCertificateId,
) -> Result<Option<bool>, StoreError> {
    let select = "SELECT ca FROM mtls_certificates \
                  WHERE id = $1 AND account = (SELECT account FROM zones WHERE number = $2)";
    db.optional(select, values![id.as_bytes(), zone])
        .await?
        .map(|row| row.get(0))
        .transpose()
}

/// The rows of a list in their order: spelling and deployment.
async fn listed(
    db: &Db,
    zone: i64,
    authority: Option<MtlsCertificateId>,
) -> Result<Vec<(String, i64)>, StoreError> {
    let select = "SELECT hostname, deployment FROM hostname_associations \
                  WHERE zone = $1 AND mtls_certificate = $2 ORDER BY place";
    let rows = db.rows(select, values![zone, key(&authority)]).await?;
    rows.iter()
        .map(|row| Ok((row.get(0)?, row.get(1)?)))
        .collect()
}

/// What stands for the authority in a key.
fn key(authority: &Option<MtlsCertificateId>) -> &[u8] {
    match authority {
        Some(id) => id.as_bytes(),
        None => &[],
    }
}
