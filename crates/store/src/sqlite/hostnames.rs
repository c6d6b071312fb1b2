//! The hostnames for which client certificates are asked, and the authorities that apply to them.
//!
//! A list belongs to a zone and an authority. The managed authority has no id in it, because the account's changes:
//! an empty blob stands for whichever it is. A change of a list takes the next number of the store's counter
//! of deployments, which the hostnames that it adds carry.

use std::collections::HashMap;

use certgate_model::{
    AccountId, AuditAction, AuditOwner, AuthorityId, By, EnforcedAuthority, Enforcement,
    MtlsCertificateId, ResourceType, ZoneId,
};
use rusqlite::{Connection, OptionalExtension};

use super::audit::{self, Deed};
use super::error::corrupt;
use super::tenants::{self, folded};
use crate::{HostnamesReplaced, StoreError};

/// The hostnames of a zone for one authority.
pub(super) fn list(
    connection: &Connection,
    zone: ZoneId,
    authority: Option<MtlsCertificateId>,
) -> Result<Option<Vec<String>>, StoreError> {
    let Some(number) = tenants::zone_number(connection, zone)? else {
        return Ok(None);
    };
    if let Some(id) = authority
        && is_authority(connection, number, id)?.is_none()
    {
        return Ok(None);
    }
    let listed = listed(connection, number, authority)?;
    Ok(Some(
        listed.into_iter().map(|(hostname, _)| hostname).collect(),
    ))
}

/// Puts a list in the place of another.
pub(super) fn replace(
    connection: &Connection,
    zone: ZoneId,
    authority: Option<MtlsCertificateId>,
    hostnames: &[String],
    by: &By,
) -> Result<HostnamesReplaced, StoreError> {
    let Some(number) = tenants::zone_number(connection, zone)? else {
        return Ok(HostnamesReplaced::NoZone);
    };
    if let Some(id) = authority {
        match is_authority(connection, number, id)? {
            None => return Ok(HostnamesReplaced::NoCertificate),
            Some(false) => return Ok(HostnamesReplaced::NotAnAuthority),
            Some(true) => {}
        }
    }
    for (index, hostname) in hostnames.iter().enumerate() {
        let elsewhere = connection
            .prepare_cached(
                "SELECT 1 FROM hostname_associations WHERE folded_hostname = ?1 AND zone <> ?2",
            )?
            .exists((folded(hostname), number))?;
        if elsewhere {
            return Ok(HostnamesReplaced::ListedElsewhere { index });
        }
    }
    let old = listed(connection, number, authority)?;
    if old.iter().map(|(hostname, _)| hostname).eq(hostnames) {
        return Ok(HostnamesReplaced::Replaced);
    }
    let deployed: HashMap<_, _> = old
        .iter()
        .map(|(hostname, deployment)| (folded(hostname), *deployment))
        .collect();

    let next = connection
        .prepare_cached(
            "UPDATE store SET last_deployment = last_deployment + 1 WHERE only = 1 RETURNING last_deployment",
        )?
        .query_row((), |row| row.get::<_, i64>(0))?;
    connection
        .prepare_cached(
            "DELETE FROM hostname_associations WHERE zone = ?1 AND mtls_certificate = ?2",
        )?
        .execute((number, key(&authority)))?;
    let mut insert = connection.prepare_cached(
        "INSERT INTO hostname_associations (zone, mtls_certificate, place, hostname, folded_hostname, deployment) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?;
    for (place, hostname) in (0_i64..).zip(hostnames) {
        let folded = folded(hostname);
        let deployment = deployed.get(&folded).copied().unwrap_or(next);
        insert.execute((number, key(&authority), place, hostname, folded, deployment))?;
    }
    let Some(record) = tenants::zone(connection, zone)? else {
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
        connection,
        AuditOwner::Account(record.account),
        by,
        deed.in_zone(zone),
    )?;
    Ok(HostnamesReplaced::Replaced)
}

/// Deletes every list of a zone.
pub(super) fn delete_of_zone(connection: &Connection, zone: i64) -> Result<(), StoreError> {
    connection
        .prepare_cached("DELETE FROM hostname_associations WHERE zone = ?1")?
        .execute((zone,))?;
    Ok(())
}

/// The authorities that apply to a hostname, the most recently deployed first.
pub(super) fn enforcement(
    connection: &Connection,
    hostname: &str,
) -> Result<Option<Enforcement>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT zones.id, zones.account, hostname_associations.mtls_certificate \
         FROM hostname_associations JOIN zones ON zones.number = hostname_associations.zone \
         WHERE hostname_associations.folded_hostname = ?1 \
         ORDER BY hostname_associations.deployment DESC",
    )?;
    let mut rows = statement.query((folded(hostname),))?;
    let mut found: Option<Enforcement> = None;
    while let Some(row) = rows.next()? {
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
        match row
            .get_ref(2)?
            .as_blob()
            .map_err(|error| corrupt(error.to_string()))?
        {
            [] => managed(connection, account, &mut enforcement.authorities)?,
            _ => {
                let id = MtlsCertificateId::from_bytes(row.get(2)?);
                enforcement
                    .authorities
                    .push(brought(connection, account, id)?);
            }
        }
    }
    Ok(found)
}

/// Every managed authority that an account has or had, newest first: certificates of an earlier one stay valid.
fn managed(
    connection: &Connection,
    account: AccountId,
    authorities: &mut Vec<EnforcedAuthority>,
) -> Result<(), StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT id, certificate_der, last_epoch FROM authorities WHERE account = ?1 ORDER BY number DESC",
    )?;
    let mut rows = statement.query((account.as_bytes(),))?;
    while let Some(row) = rows.next()? {
        authorities.push(EnforcedAuthority::Managed {
            id: AuthorityId::from_bytes(row.get(0)?),
            certificate_der: row.get(1)?,
            last_epoch: row.get(2)?,
        });
    }
    Ok(())
}

fn brought(
    connection: &Connection,
    account: AccountId,
    id: MtlsCertificateId,
) -> Result<EnforcedAuthority, StoreError> {
    connection
        .prepare_cached(
            "SELECT certificates FROM mtls_certificates WHERE id = ?1 AND account = ?2 AND ca = 1",
        )?
        .query_row((id.as_bytes(), account.as_bytes()), |row| row.get(0))
        .optional()?
        .map(|certificates| EnforcedAuthority::Uploaded { id, certificates })
        .ok_or_else(|| {
            corrupt(format!(
                "hostnames name the authority {id}, which their account does not have"
            ))
        })
}

/// Whether a certificate that the zone's account brought is one of an authority; `None` if the account has no such
/// certificate.
fn is_authority(
    connection: &Connection,
    zone: i64,
    id: MtlsCertificateId,
) -> Result<Option<bool>, StoreError> {
    Ok(connection
        .prepare_cached(
            "SELECT ca FROM mtls_certificates \
             WHERE id = ?1 AND account = (SELECT account FROM zones WHERE number = ?2)",
        )?
        .query_row((id.as_bytes(), zone), |row| row.get(0))
        .optional()?)
}

/// The rows of a list in their order: spelling and deployment.
fn listed(
    connection: &Connection,
    zone: i64,
    authority: Option<MtlsCertificateId>,
) -> Result<Vec<(String, i64)>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT hostname, deployment FROM hostname_associations \
         WHERE zone = ?1 AND mtls_certificate = ?2 ORDER BY place",
    )?;
    let rows = statement.query_map((zone, key(&authority)), |row| {
        Ok((row.get(0)?, row.get(1)?))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// What stands for the authority in a key.
fn key(authority: &Option<MtlsCertificateId>) -> &[u8] {
    match authority {
        Some(id) => id.as_bytes(),
        None => &[],
    }
}
