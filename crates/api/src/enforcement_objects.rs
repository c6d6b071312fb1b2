//! Shows the JSON objects of enforcement points: their own, their configuration and the changes
//! that they follow.

use certgate_model::{
    AuthorityState, EnforcedCertificate, EnforcedConfiguration, EnforcedHostname,
    EnforcedManagedAuthority, EnforcedUploadedAuthority, EnforcementPointRecord, FollowedChange,
    Timestamp,
};
use certgate_pki::{is_self_signed_for, pem_lines, sha256, stored_certificates};
use certgate_service::RevocationChanges;
use certgate_wire::{
    ConfigurationFeedChange, CoverageName, EnforcedCa, EnforcedCaKind, EnforcedCaState,
    EnforcedHost, EnforcementPoint, EnforcementPointStatus, EnforcementView, FeedChange,
    RevocationFeed, RevocationFeedChange, RevokedCertificate, Sha256, Time, Uuid, WhenStaleName,
};

use crate::error::ApiError;

/// Shows the enforcement point as it is at `now`; `last_epoch` is its account's.
pub(crate) fn enforcement_point(
    now: Timestamp,
    last_epoch: u64,
    point: &EnforcementPointRecord,
) -> EnforcementPoint<'_> {
    let has_all = point.acknowledged_epoch >= last_epoch;
    EnforcementPoint {
        id: point.id.into(),
        name: (&point.name).into(),
        lease_seconds: point.lease_seconds,
        covers: point.covers.iter().copied().map(CoverageName).collect(),
        when_stale: WhenStaleName(point.when_stale),
        forget_seconds: point.forget_seconds,
        acknowledged_epoch: point.acknowledged_epoch,
        last_epoch,
        status: match (has_all, point.is_waited_for(now)) {
            (_, false) => EnforcementPointStatus::Silent,
            (true, true) => EnforcementPointStatus::Current,
            (false, true) => EnforcementPointStatus::Lagging,
        },
        seen_on: Time(point.seen_on),
        registered_on: Time(point.registered_on),
    }
}

pub(crate) fn revocation_feed(found: &RevocationChanges) -> RevocationFeed {
    let changes = found.changes.iter().map(|change| match change {
        FollowedChange::Certificate(change) => FeedChange::Certificate(RevocationFeedChange {
            epoch: change.epoch,
            revoked: change.revoked,
            certificate: revoked_certificate(&change.certificate),
        }),
        FollowedChange::Configuration { epoch } => {
            FeedChange::Configuration(ConfigurationFeedChange {
                epoch: *epoch,
                configuration: true,
            })
        }
    });
    RevocationFeed {
        epoch: found.epoch,
        changes: changes.collect(),
    }
}

pub(crate) fn revoked_certificate(certificate: &EnforcedCertificate) -> RevokedCertificate {
    RevokedCertificate {
        fingerprint_sha256: Sha256(certificate.fingerprint_sha256),
        serial_number: certificate.serial.into(),
        certificate_authority_id: certificate.authority.into(),
    }
}

/// Shows the configuration of an account.
pub(crate) fn enforcement_view(
    configuration: &EnforcedConfiguration,
) -> Result<EnforcementView<'_>, ApiError> {
    let managed: Vec<Uuid> = configuration
        .managed
        .iter()
        .filter(|ca| ca.state.is_trusted())
        .map(|ca| ca.id.into())
        .collect();
    let hostnames = configuration.hostnames.iter();
    let mut authorities: Vec<_> = configuration.managed.iter().map(managed_ca).collect();
    for ca in &configuration.uploaded {
        authorities.push(uploaded_ca(ca)?);
    }
    Ok(EnforcementView {
        epoch: configuration.epoch,
        hostnames: hostnames.map(|host| hostname(host, &managed)).collect(),
        certificate_authorities: authorities,
    })
}

fn hostname<'a>(host: &'a EnforcedHostname, managed: &[Uuid]) -> EnforcedHost<'a> {
    let mut authorities = Vec::new();
    for list in &host.lists {
        match list {
            Some(uploaded) => authorities.push(Uuid::from(*uploaded)),
            None => authorities.extend_from_slice(managed),
        }
    }
    EnforcedHost {
        hostname: (&host.hostname).into(),
        zone_id: host.zone.into(),
        certificate_authorities: authorities,
    }
}

fn managed_ca(ca: &EnforcedManagedAuthority) -> EnforcedCa<'_> {
    EnforcedCa {
        id: ca.id.into(),
        name: (&ca.name).into(),
        kind: match is_self_signed_for(&ca.certificate_der, ca.id) {
            true => EnforcedCaKind::Managed,
            false => EnforcedCaKind::Imported,
        },
        state: ca_state(ca.state),
        certificate: pem(&ca.certificate_der).into(),
        intermediates: Vec::new(),
        crl_bundle_url: Some(format!("{}/crl/{}/bundle.pem", ca.public_url, ca.id).into()),
    }
}

/// Shows the state of a CA.
pub(crate) const fn ca_state(state: AuthorityState) -> EnforcedCaState {
    match state {
        AuthorityState::Prepared => EnforcedCaState::Prepared,
        AuthorityState::Active => EnforcedCaState::Active,
        AuthorityState::Superseded => EnforcedCaState::Superseded,
        AuthorityState::Retired => EnforcedCaState::Retired,
    }
}

fn uploaded_ca(ca: &EnforcedUploadedAuthority) -> Result<EnforcedCa<'_>, ApiError> {
    let corrupt =
        || ApiError::internal(format!("the chain of the uploaded CA {} is corrupt", ca.id));
    let mut chain = stored_certificates(&ca.certificates).ok_or_else(corrupt)?;
    let mut is_lowest = chain.iter().map(|der| sha256(der) == ca.fingerprint_sha256);
    let lowest = is_lowest
        .position(|is_lowest| is_lowest)
        .ok_or_else(corrupt)?;
    let certificate = chain.remove(lowest);
    Ok(EnforcedCa {
        id: ca.id.into(),
        name: (&ca.name).into(),
        kind: EnforcedCaKind::Uploaded,
        state: EnforcedCaState::Active,
        certificate: pem(&certificate).into(),
        intermediates: chain.iter().map(|der| pem(der).into()).collect(),
        crl_bundle_url: None,
    })
}

/// Returns the PEM form of a certificate, with its last line break.
pub(crate) fn pem(der: &[u8]) -> String {
    pem_lines("CERTIFICATE", der) + "\n"
}
