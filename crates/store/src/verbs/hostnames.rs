//! The hostnames that ask for client certificates, and the CAs that apply to them.
//!
//! A list belongs to a zone and a CA. The managed CA has no ID in the key, because an account's
//! managed CA changes: no octets stand for whichever is active. A change of a list takes the next
//! number of the store's counter of deployments, which the hostnames that it adds carry.

use std::collections::HashMap;

use certgate_model::{
    AccountId, AuditAction, AuditOwner, By, EnforcedAuthority, Enforcement, MtlsCertificateId,
    ResourceType, ZoneId,
};

use super::audit;
use super::configuration;
use super::names::folded;
use super::stage::{Stage, Step};
use super::tenants;
use crate::audit::AuditEvent;
use crate::db::{Db, Row, Value, values};
use crate::error::corrupt;
use crate::schema::HOSTNAME_ASSOCIATIONS;
use crate::{HostnamesReplaced, StoreError, seal};

/// Returns the hostnames of a zone for one CA.
pub(crate) async fn list<D: Db>(
    db: &D,
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
    let listed = listed(db, number, authority.as_ref()).await?;
    Ok(Some(
        listed.into_iter().map(|(hostname, _)| hostname).collect(),
    ))
}

/// Replaces a list with another one.
pub(crate) async fn replace<D: Db>(
    db: &D,
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
    let elsewhere =
        "SELECT 1 FROM hostname_associations WHERE folded_hostname = ?1 AND zone <> ?2 LIMIT 1";
    let names: Vec<_> = hostnames
        .iter()
        .map(|hostname| values![folded(hostname), number].to_vec())
        .collect();
    let found = db.optional_each(elsewhere, &names, |_| Ok(())).await?;
    if let Some(index) = found.iter().position(Option::is_some) {
        return Ok(HostnamesReplaced::ListedElsewhere { index });
    }
    let old = listed(db, number, authority.as_ref()).await?;
    if old.iter().map(|(hostname, _)| hostname).eq(hostnames) {
        return Ok(HostnamesReplaced::Replaced);
    }
    let deployed: HashMap<_, _> = old
        .iter()
        .map(|(hostname, deployment)| (folded(hostname), *deployment))
        .collect();

    let next = "UPDATE store SET last_deployment = last_deployment + 1 WHERE \"only\" = 1 \
                RETURNING last_deployment";
    let next: i64 = db.one(next, &[], |row| row.get(0)).await?;
    let delete = "DELETE FROM hostname_associations WHERE zone = ?1 AND mtls_certificate = ?2";
    db.execute(delete, &[number.into(), key(authority.as_ref())])
        .await?;
    let mut cells = Vec::new();
    for (place, hostname) in (0_i64..).zip(hostnames) {
        let folded = folded(hostname);
        let deployment = deployed.get(&folded).copied().unwrap_or(next);
        cells.extend([number.into(), key(authority.as_ref())]);
        cells.extend(values![place, hostname, folded, deployment]);
    }
    seal::insert(db, &HOSTNAME_ASSOCIATIONS, &cells).await?;

    let Some(record) = tenants::zone(db, zone).await? else {
        return Err(corrupt(
            "a zone whose hostnames were just replaced is missing",
        ));
    };
    let mut detail = authority.map_or_else(String::new, |id| format!("mtls_certificate_id={id} "));
    detail.push_str(&format!(
        "count={} epoch={} hostnames={}",
        hostnames.len(),
        configuration::take_epoch(db, record.account).await?.number,
        hostnames.join(",")
    ));
    let (action, kind) = (AuditAction::Update, ResourceType::HostnameAssociations);
    let event = AuditEvent::new(action, kind, zone.as_bytes(), detail).in_zone(zone);
    audit::record(db, AuditOwner::Account(record.account), by, event).await?;
    Ok(HostnamesReplaced::Replaced)
}

/// Deletes every list of a zone, whose account is `account`; returns the account's number of this
/// change. An empty zone changes nothing.
pub(crate) async fn delete_of_zone<D: Db>(
    db: &D,
    zone: i64,
    account: AccountId,
) -> Result<Option<i64>, StoreError> {
    let delete = "DELETE FROM hostname_associations WHERE zone = ?1";
    match db.execute(delete, &values![zone]).await? {
        0 => Ok(None),
        _ => Ok(Some(configuration::take_epoch(db, account).await?.number)),
    }
}

/// Returns the CAs that apply to a hostname, the most recently deployed first.
pub(crate) async fn enforcement<D: Db>(
    db: &D,
    hostname: &str,
) -> Result<Option<Enforcement>, StoreError> {
    let select = "SELECT zones.id, zones.account, hostname_associations.mtls_certificate \
                  FROM hostname_associations \
                  JOIN zones ON zones.number = hostname_associations.zone \
                  WHERE hostname_associations.folded_hostname = ?1 \
                  ORDER BY hostname_associations.deployment DESC";
    let rows = db
        .rows(select, &values![folded(hostname)], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get::<Vec<u8>>(2)?))
        })
        .await?;
    let mut found: Option<Enforcement> = None;
    for (zone, account, key) in rows {
        let enforcement = found.get_or_insert_with(|| Enforcement {
            zone,
            account,
            authorities: Vec::new(),
        });
        if enforcement.zone != zone {
            return Err(corrupt(format!("two zones list the hostname {hostname:?}")));
        }
        match <[u8; 16]>::try_from(key) {
            Ok(id) => {
                let id = MtlsCertificateId::from_bytes(id);
                enforcement
                    .authorities
                    .push(uploaded(db, account, id).await?);
            }
            Err(_) => enforcement.authorities.extend(managed(db, account).await?),
        }
    }
    Ok(found)
}

/// Returns every managed CA of an account that is not retired, newest first: certificates of an
/// earlier one stay valid.
async fn managed<D: Db>(db: &D, account: AccountId) -> Result<Vec<EnforcedAuthority>, StoreError> {
    let select = "SELECT id, certificate_der, last_epoch, state FROM authorities \
                  WHERE account = ?1 AND NOT retired \
                  ORDER BY number DESC";
    let read = |row: &dyn Row| {
        let authority = EnforcedAuthority::Managed {
            id: row.get(0)?,
            certificate_der: row.get(1)?,
            last_epoch: row.get(2)?,
        };
        Ok((Stage::read(row.get(3)?)?.step, authority))
    };
    let found = db.rows(select, &values![account], read).await?;
    let trusted = found.into_iter().filter(|(step, _)| *step != Step::Retired);
    Ok(trusted.map(|(_, authority)| authority).collect())
}

async fn uploaded<D: Db>(
    db: &D,
    account: AccountId,
    id: MtlsCertificateId,
) -> Result<EnforcedAuthority, StoreError> {
    let select = "SELECT certificates, ca FROM mtls_certificates WHERE id = ?1 AND account = ?2";
    let row = db
        .optional(select, &values![id, account], |row| {
            Ok((row.get(0)?, row.get::<bool>(1)?))
        })
        .await?;
    match row {
        Some((certificates, true)) => Ok(EnforcedAuthority::Uploaded { id, certificates }),
        _ => Err(corrupt(format!(
            "hostnames name the CA {id}, which their account does not have"
        ))),
    }
}

/// Returns whether an uploaded certificate of the zone's account is that of a CA; `None` if the
/// account has no such certificate.
async fn is_authority<D: Db>(
    db: &D,
    zone: i64,
    id: MtlsCertificateId,
) -> Result<Option<bool>, StoreError> {
    let select = "SELECT ca FROM mtls_certificates \
                  WHERE id = ?1 AND account = (SELECT account FROM zones WHERE number = ?2)";
    db.optional(select, &values![id, zone], |row| row.get(0))
        .await
}

/// Returns the rows of a list in their order: spelling and deployment.
async fn listed<D: Db>(
    db: &D,
    zone: i64,
    authority: Option<&MtlsCertificateId>,
) -> Result<Vec<(String, i64)>, StoreError> {
    let select = "SELECT hostname, deployment FROM hostname_associations \
                  WHERE zone = ?1 AND mtls_certificate = ?2 ORDER BY place";
    db.rows(select, &[zone.into(), key(authority)], |row| {
        Ok((row.get(0)?, row.get(1)?))
    })
    .await
}

/// The octets that stand for the CA in a key.
fn key(authority: Option<&MtlsCertificateId>) -> Value<'_> {
    match authority {
        Some(id) => Value::from(*id),
        None => Value::from(&[][..]),
    }
}
