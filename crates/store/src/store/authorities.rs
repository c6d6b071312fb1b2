//! CAs, their requests and uploaded certificates.

use async_trait::async_trait;
use certgate_model::{
    AccountAuthority, AccountId, AuthorityId, AuthorityRecord, AuthorityRequestRecord, By,
    EnforcedConfiguration, Enforcement, MtlsCertificateId, MtlsCertificateRecord, ZoneId,
};

use super::View::{Snapshot, Statement};
use super::{Engine, SqlStore};
use crate::traits::{Authorities, ReadAuthorities};
use crate::verbs::{
    authorities, authority_requests, authority_states, configuration, hostnames, mtls_certificates,
};
use crate::{
    AuthorityActivated, AuthorityPrepared, AuthorityReplaced, AuthorityRequested, AuthorityRetired,
    Confirmation, HostnamesReplaced, MtlsCertificateDeleted, MtlsCertificateRecorded, StoreError,
};

#[async_trait]
impl<E: Engine> ReadAuthorities for SqlStore<E> {
    async fn authority(&self, id: AuthorityId) -> Result<Option<AuthorityRecord>, StoreError> {
        self.read(Statement, id, |db, id| {
            Box::pin(authorities::authority(db, *id))
        })
        .await
    }

    async fn managed_authority(
        &self,
        account: AccountId,
    ) -> Result<Option<AuthorityRecord>, StoreError> {
        self.read(Statement, account, |db, account| {
            Box::pin(authorities::managed(db, *account))
        })
        .await
    }

    async fn managed_authorities(
        &self,
        account: AccountId,
    ) -> Result<Vec<AccountAuthority>, StoreError> {
        self.read(Statement, account, |db, account| {
            Box::pin(authorities::managed_all(db, *account))
        })
        .await
    }

    async fn authority_requests(
        &self,
        account: AccountId,
    ) -> Result<Vec<AuthorityRequestRecord>, StoreError> {
        self.read(Statement, account, |db, account| {
            Box::pin(authority_requests::all(db, *account))
        })
        .await
    }

    async fn latest_managed_authorities(
        &self,
        account: AccountId,
        limit: u32,
    ) -> Result<Vec<AuthorityId>, StoreError> {
        self.read(Statement, (account, limit), |db, (account, limit)| {
            Box::pin(authorities::latest(db, *account, *limit))
        })
        .await
    }

    async fn authority_certificates(&self) -> Result<Vec<(AuthorityId, Vec<u8>)>, StoreError> {
        self.read(Statement, (), |db, ()| {
            Box::pin(authorities::certificates(db))
        })
        .await
    }

    async fn mtls_certificate(
        &self,
        account: AccountId,
        id: MtlsCertificateId,
    ) -> Result<Option<MtlsCertificateRecord>, StoreError> {
        self.read(Statement, (account, id), |db, (account, id)| {
            Box::pin(mtls_certificates::mtls_certificate(db, *account, *id))
        })
        .await
    }

    async fn mtls_certificates(
        &self,
        account: AccountId,
    ) -> Result<Vec<MtlsCertificateRecord>, StoreError> {
        self.read(Statement, account, |db, account| {
            Box::pin(mtls_certificates::all(db, *account))
        })
        .await
    }

    async fn mtls_certificate_used_by(
        &self,
        account: AccountId,
        id: MtlsCertificateId,
    ) -> Result<Option<u64>, StoreError> {
        self.read(Snapshot, (account, id), |db, (account, id)| {
            Box::pin(mtls_certificates::used_by(db, *account, *id))
        })
        .await
    }

    async fn hostname_associations(
        &self,
        zone: ZoneId,
        authority: Option<MtlsCertificateId>,
    ) -> Result<Option<Vec<String>>, StoreError> {
        self.read(Snapshot, (zone, authority), |db, (zone, authority)| {
            Box::pin(hostnames::list(db, *zone, *authority))
        })
        .await
    }

    async fn enforcement(&self, hostname: &str) -> Result<Option<Enforcement>, StoreError> {
        self.read(Snapshot, hostname.to_owned(), |db, hostname| {
            Box::pin(hostnames::enforcement(db, hostname))
        })
        .await
    }

    async fn enforced_configuration(
        &self,
        account: AccountId,
    ) -> Result<EnforcedConfiguration, StoreError> {
        self.read(Snapshot, account, |db, account| {
            Box::pin(configuration::read(db, *account))
        })
        .await
    }
}

#[async_trait]
impl<E: Engine> Authorities for SqlStore<E> {
    async fn record_managed_authority(
        &self,
        authority: AuthorityRecord,
        by: By,
    ) -> Result<Option<AuthorityRecord>, StoreError> {
        self.write((authority, by), |db, (authority, by)| {
            Box::pin(authorities::record_managed(db, authority, by))
        })
        .await
    }

    async fn replace_managed_authority(
        &self,
        expected: Option<AuthorityId>,
        authority: AuthorityRecord,
        max: u64,
        by: By,
    ) -> Result<AuthorityReplaced, StoreError> {
        self.write(
            (expected, authority, max, by),
            |db, (expected, authority, max, by)| {
                Box::pin(authorities::replace_managed(
                    db, *expected, authority, *max, by,
                ))
            },
        )
        .await
    }

    async fn prepare_managed_authority(
        &self,
        authority: AuthorityRecord,
        is_requested: bool,
        max: u64,
        by: By,
    ) -> Result<AuthorityPrepared, StoreError> {
        self.write(
            (authority, is_requested, max, by),
            |db, (authority, is_requested, max, by)| {
                let prepared = authority_states::prepare(db, authority, *is_requested, *max, by);
                Box::pin(prepared)
            },
        )
        .await
    }

    async fn activate_managed_authority(
        &self,
        account: AccountId,
        id: AuthorityId,
        confirmation: Confirmation,
        by: By,
    ) -> Result<AuthorityActivated, StoreError> {
        self.write(
            (account, id, confirmation, by),
            |db, (account, id, confirmation, by)| {
                let activated = authority_states::activate(db, *account, *id, *confirmation, by);
                Box::pin(activated)
            },
        )
        .await
    }

    async fn retire_managed_authority(
        &self,
        account: AccountId,
        id: AuthorityId,
        confirmation: Confirmation,
        by: By,
    ) -> Result<AuthorityRetired, StoreError> {
        self.write(
            (account, id, confirmation, by),
            |db, (account, id, confirmation, by)| {
                let retired = authority_states::retire(db, *account, *id, *confirmation, by);
                Box::pin(retired)
            },
        )
        .await
    }

    async fn record_authority_request(
        &self,
        request: AuthorityRequestRecord,
        max: u64,
        by: By,
    ) -> Result<AuthorityRequested, StoreError> {
        self.write((request, max, by), |db, (request, max, by)| {
            Box::pin(authority_requests::record(db, request, *max, by))
        })
        .await
    }

    async fn delete_authority_request(
        &self,
        account: AccountId,
        id: AuthorityId,
        by: By,
    ) -> Result<bool, StoreError> {
        self.write((account, id, by), |db, (account, id, by)| {
            Box::pin(authority_requests::delete(db, *account, *id, by))
        })
        .await
    }

    async fn record_mtls_certificate(
        &self,
        certificate: MtlsCertificateRecord,
        quota: Option<u64>,
        by: By,
    ) -> Result<MtlsCertificateRecorded, StoreError> {
        self.write((certificate, quota, by), |db, (certificate, quota, by)| {
            Box::pin(mtls_certificates::record(db, certificate, *quota, by))
        })
        .await
    }

    async fn delete_mtls_certificate(
        &self,
        account: AccountId,
        id: MtlsCertificateId,
        by: By,
    ) -> Result<MtlsCertificateDeleted, StoreError> {
        self.write((account, id, by), |db, (account, id, by)| {
            Box::pin(mtls_certificates::delete(db, *account, *id, by))
        })
        .await
    }

    async fn replace_hostname_associations(
        &self,
        zone: ZoneId,
        authority: Option<MtlsCertificateId>,
        hostnames: Vec<String>,
        by: By,
    ) -> Result<HostnamesReplaced, StoreError> {
        self.write(
            (zone, authority, hostnames, by),
            |db, (zone, authority, hostnames, by)| {
                Box::pin(hostnames::replace(db, *zone, *authority, hostnames, by))
            },
        )
        .await
    }
}
