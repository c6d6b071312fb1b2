//! The configuration of an account's enforcement points: its hostnames and CAs.

use certgate_model::{
    AccountId, AuthorityState, EnforcedConfiguration, EnforcedHostname, EnforcedManagedAuthority,
    EnforcedUploadedAuthority, MtlsCertificateId, ZoneId,
};
use futures_util::future::try_join;

use super::account_epochs::{self, Stretch, select_number};
use super::changes::Taken;
use super::stage::Stage;
use crate::StoreError;
use crate::db::{Db, Row, values};
use crate::error::corrupt;

/// Returns the configuration. Runs in a snapshot.
pub(crate) async fn read<D: Db>(
    db: &D,
    account: AccountId,
) -> Result<EnforcedConfiguration, StoreError> {
    Ok(EnforcedConfiguration {
        epoch: account_epochs::last(db, account).await?.of_account,
        hostnames: hostnames(db, account).await?,
        managed: managed(db, account).await?,
        uploaded: uploaded(db, account).await?,
    })
}

/// Gives a change of the hostnames or CAs of an account the next epoch, and returns it, with its
/// number for the audit log.
pub(super) async fn take_epoch<D: Db>(db: &D, account: AccountId) -> Result<Taken, StoreError> {
    let next = "UPDATE store SET last_epoch = last_epoch + 1 WHERE \"only\" = 1 \
                RETURNING last_epoch";
    let epoch: i64 = db.one(next, &[], |row| row.get(0)).await?;
    let update = "UPDATE accounts SET configuration_epoch = ?1, configuration_check = ?2 \
                  WHERE id = ?3";
    let stretch = Stretch {
        account,
        first: epoch,
        last: epoch,
    };
    let cells = values![epoch, !epoch, account];
    let (_, numbers) = try_join(
        db.execute(update, &cells),
        account_epochs::number(db, &[stretch], 0),
    )
    .await?;
    let number = numbers.first().copied().unwrap_or_default();
    Ok(Taken { epoch, number })
}

/// Returns the account's number of the last change of its hostnames or CAs, if the epoch of the
/// change is after `after`.
pub(crate) async fn number_after<D: Db>(
    db: &D,
    account: AccountId,
    after: u64,
) -> Result<Option<u64>, StoreError> {
    let select = concat!(
        "SELECT ",
        select_number!("accounts.id", "accounts.configuration_epoch"),
        " FROM accounts WHERE id = ?1 AND configuration_epoch > ?2"
    );
    db.optional(select, &values![account, after], |row| row.get(0))
        .await
}

/// One row of a list.
struct Listed {
    hostname: String,
    zone: ZoneId,
    list: Option<MtlsCertificateId>,
    deployment: i64,
}

async fn hostnames<D: Db>(db: &D, account: AccountId) -> Result<Vec<EnforcedHostname>, StoreError> {
    let select = "SELECT hostname_associations.folded_hostname, zones.id, \
                  hostname_associations.mtls_certificate, hostname_associations.deployment \
                  FROM zones JOIN hostname_associations \
                  ON hostname_associations.zone = zones.number \
                  WHERE zones.account = ?1 AND zones.deleted_at IS NULL";
    let mut rows = db.rows(select, &values![account], listed_row).await?;
    rows.sort_unstable_by(|one, other| {
        let by_name = one.hostname.cmp(&other.hostname);
        by_name.then(other.deployment.cmp(&one.deployment))
    });
    let mut hostnames: Vec<EnforcedHostname> = Vec::new();
    for row in rows {
        match hostnames.last_mut() {
            Some(last) if last.hostname == row.hostname => {
                if last.zone != row.zone {
                    let hostname = &row.hostname;
                    return Err(corrupt(format!("two zones list the hostname {hostname:?}")));
                }
                last.lists.push(row.list);
            }
            _ => hostnames.push(EnforcedHostname {
                hostname: row.hostname,
                zone: row.zone,
                lists: vec![row.list],
            }),
        }
    }
    Ok(hostnames)
}

fn listed_row(row: &dyn Row) -> Result<Listed, StoreError> {
    // No octets stand for the managed CAs.
    let key: Vec<u8> = row.get(2)?;
    let list = match (key.is_empty(), <[u8; 16]>::try_from(key)) {
        (true, _) => None,
        (false, Ok(id)) => Some(MtlsCertificateId::from_bytes(id)),
        (false, Err(_)) => return Err(corrupt("a hostname names a CA without a valid ID")),
    };
    Ok(Listed {
        hostname: row.get(0)?,
        zone: row.get(1)?,
        list,
        deployment: row.get(3)?,
    })
}

async fn managed<D: Db>(
    db: &D,
    account: AccountId,
) -> Result<Vec<EnforcedManagedAuthority>, StoreError> {
    let select = "SELECT authorities.id, authorities.name, authorities.certificate_der, \
                  authorities.public_url, \
                  coalesce(authorities.number = accounts.managed_authority, FALSE), \
                  authorities.number, authorities.state \
                  FROM accounts JOIN authorities ON authorities.account = accounts.id \
                  WHERE accounts.id = ?1 AND accounts.deleted_at IS NULL \
                  AND NOT authorities.retired";
    let read = |row: &dyn Row| {
        let authority = EnforcedManagedAuthority {
            id: row.get(0)?,
            name: row.get(1)?,
            certificate_der: row.get(2)?,
            public_url: row.get(3)?,
            state: Stage::read(row.get(6)?)?.state(row.get(4)?),
        };
        Ok((row.get::<i64>(5)?, authority))
    };
    let mut found = db.rows(select, &values![account], read).await?;
    found.sort_unstable_by_key(|(number, authority)| {
        (authority.state != AuthorityState::Active, -number)
    });
    Ok(found.into_iter().map(|(_, authority)| authority).collect())
}

async fn uploaded<D: Db>(
    db: &D,
    account: AccountId,
) -> Result<Vec<EnforcedUploadedAuthority>, StoreError> {
    let select = "SELECT id, name, certificates, fingerprint_sha256 FROM mtls_certificates \
                  WHERE account = ?1 AND ca ORDER BY uploaded_on DESC, id DESC";
    let read = |row: &dyn Row| {
        Ok(EnforcedUploadedAuthority {
            id: row.get(0)?,
            name: row.get(1)?,
            certificates: row.get(2)?,
            fingerprint_sha256: row.get(3)?,
        })
    };
    db.rows(select, &values![account], read).await
}
