//! Shows records as the JSON objects of `certgate-wire`. Texts are borrowed from the records.

use std::borrow::Cow;
use std::collections::BTreeMap;

use certgate_model::{
    AccountRecord, AddressBlock, AuthorityRequestRecord, AuthorityState, CertificateRecord, Effect,
    Lineage, MtlsCertificateRecord, PermissionGroup, Policy, Resource, Timestamp, TokenRecord,
    TokenState, UserRecord, ZoneRecord,
};
use certgate_pki::pem_lines;
use certgate_service::{
    ManageAccounts, ManageZones, ManagedAuthority, Principal, ReadAccounts, ReadHostnames,
    ReadZones, WriteHostnames,
};
use certgate_wire::{
    Account, AccountName, AccountSettings, AccountTypeName, AddressBlockText, CaRequest,
    CertificateAuthority, CertificateLine, ClientCertificate, EffectName, Id, KeyAlgorithmName,
    ManagedCa, Membership, MembershipPermissions, MtlsCertificate, Octets20, PermissionGrant,
    PermissionGroupEntry, PermissionGroupName, ResourceName, ResourceValue, Sha256, SignatureName,
    Star, StatusName, Time, Token, TokenAddresses, TokenCondition, TokenPolicy, TokenStatus,
    TokenVerification, User, Zone, ZoneMeta, ZoneOwner, ZonePlan, ZoneTypeName,
};

use crate::enforcement_objects::ca_state;

pub(crate) fn client_certificate(record: &CertificateRecord) -> ClientCertificate<'_> {
    let subject = &record.subject;
    ClientCertificate {
        id: record.id.into(),
        certificate: pem_lines("CERTIFICATE", &record.der).into(),
        certificate_authority: CertificateAuthority {
            id: record.authority.id.into(),
            name: (&record.authority.name).into(),
        },
        common_name: (&subject.common_name).into(),
        country: (&subject.country).into(),
        csr: (&record.csr).into(),
        expires_on: Time(record.expires_on),
        fingerprint_sha256: Sha256(record.fingerprint_sha256),
        issued_on: Time(record.issued_on),
        location: (&subject.location).into(),
        organization: (&subject.organization).into(),
        organizational_unit: (&subject.organizational_unit).into(),
        serial_number: record.serial.into(),
        signature: SignatureName(record.signature),
        ski: Octets20(record.ski),
        state: (&subject.state).into(),
        status: StatusName(record.status),
        validity_days: record.validity_days,
        certgate: line(record.lineage),
    }
}

/// Shows the place of a certificate in its line; [`None`] if it is alone there.
pub(crate) fn line(lineage: Lineage) -> Option<CertificateLine> {
    (lineage != Lineage::default()).then(|| CertificateLine {
        replaces: lineage.replaces.map(Into::into),
        replaced_by: lineage.replaced_by.map(Into::into),
    })
}

pub(crate) fn mtls_certificate(record: &MtlsCertificateRecord) -> MtlsCertificate<'_> {
    MtlsCertificate {
        id: record.id.into(),
        name: (!record.name.is_empty()).then(|| (&record.name).into()),
        issuer: (&record.issuer).into(),
        signature: (&record.signature).into(),
        serial_number: (&record.serial_number).into(),
        certificates: (&record.certificates).into(),
        ca: record.ca,
        uploaded_on: Time(record.uploaded_on),
        expires_on: Time(record.expires_on),
        kind: "custom".into(),
        updated_at: None,
    }
}

pub(crate) fn managed_ca(ca: &ManagedAuthority) -> ManagedCa<'_> {
    let record = &ca.record;
    ManagedCa {
        id: record.id.into(),
        name: (&record.name).into(),
        algorithm: KeyAlgorithmName(record.algorithm),
        certificate: pem_lines("CERTIFICATE", &record.certificate_der).into(),
        fingerprint_sha256: Sha256(ca.fingerprint_sha256()),
        public_url: (&record.public_url).into(),
        state: ca_state(ca.state),
        in_force: ca.state == AuthorityState::Active,
        published_epoch: ca.published_epoch,
        created_on: Time(record.created_on),
        expires_on: Time(record.expires_on),
    }
}

pub(crate) fn ca_request(request: &AuthorityRequestRecord) -> CaRequest<'_> {
    CaRequest {
        id: request.id.into(),
        name: (&request.name).into(),
        algorithm: KeyAlgorithmName(request.algorithm),
        csr: (pem_lines("CERTIFICATE REQUEST", &request.csr_der) + "\n").into(),
        created_on: Time(request.created_on),
    }
}

pub(crate) fn zone(zone: &ZoneRecord) -> Zone<'_> {
    let id = zone.account.into();
    let name: Cow<'_, str> = (&zone.account_name).into();
    let vanity = &zone.properties.vanity_name_servers;
    Zone {
        id: zone.id.into(),
        name: (&zone.name).into(),
        status: "active".into(),
        paused: zone.properties.paused,
        kind: ZoneTypeName(zone.properties.kind),
        development_mode: 0,
        name_servers: Vec::new(),
        vanity_name_servers: (!vanity.is_empty()).then(|| vanity.iter().map(Into::into).collect()),
        original_name_servers: None,
        original_registrar: None,
        original_dnshost: None,
        modified_on: Time(zone.modified_on),
        created_on: Time(zone.created_on),
        activated_on: Time(zone.created_on),
        meta: ZoneMeta {
            step: 2,
            custom_certificate_quota: 0,
            page_rule_quota: 0,
            phishing_detected: false,
        },
        owner: ZoneOwner {
            id,
            kind: "organization".into(),
            name: name.clone(),
        },
        account: AccountName { id, name },
        permissions: vec!["#zone:read".into(), "#ssl:edit".into()],
        plan: ZonePlan {
            id: Id([0; 16]),
            name: "Self-hosted".into(),
            price: 0,
            currency: "USD".into(),
            frequency: "".into(),
            is_subscribed: true,
            can_subscribe: false,
            legacy_id: "self_hosted".into(),
            legacy_discount: false,
            externally_managed: false,
        },
    }
}

pub(crate) fn account(account: &AccountRecord) -> Account<'_> {
    Account {
        id: account.id.into(),
        name: (&account.name).into(),
        kind: AccountTypeName(account.kind),
        settings: AccountSettings {
            enforce_twofactor: account.settings.enforce_twofactor,
            abuse_contact_email: account
                .settings
                .abuse_contact_email
                .as_deref()
                .map(Into::into),
        },
        created_on: Time(account.created_on),
        authority_algorithm: KeyAlgorithmName(account.authority_algorithm),
    }
}

pub(crate) fn user(user: &UserRecord) -> User<'_> {
    let profile = &user.profile;
    User {
        id: user.id.into(),
        email: (&user.email).into(),
        first_name: profile.first_name.as_deref().map(Into::into),
        last_name: profile.last_name.as_deref().map(Into::into),
        telephone: profile.telephone.as_deref().map(Into::into),
        country: profile.country.as_deref().map(Into::into),
        zipcode: profile.zipcode.as_deref().map(Into::into),
        two_factor_authentication_enabled: false,
        two_factor_authentication_locked: false,
        suspended: false,
        created_on: Time(user.created_on),
        modified_on: Time(user.modified_on),
    }
}

use crate::issuance_rules;

/// Shows the membership of the user in an account, with the permissions of the caller.
pub(crate) fn membership<'a>(caller: &Principal, record: &'a AccountRecord) -> Membership<'a> {
    let id = record.id;
    Membership {
        id: id.into(),
        status: "accepted".into(),
        account: account(record),
        api_access_enabled: true,
        permissions: MembershipPermissions {
            organization: PermissionGrant {
                read: caller.has::<ReadAccounts>(id),
                write: caller.has::<ManageAccounts>(id),
            },
            ssl: PermissionGrant {
                read: caller.has::<ReadHostnames>(id),
                write: caller.has::<WriteHostnames>(id),
            },
            zones: PermissionGrant {
                read: caller.has::<ReadZones>(id),
                write: caller.has::<ManageZones>(id),
            },
        },
        roles: vec!["Super Administrator - All Privileges".into()],
    }
}

/// Shows the token as it is at `now`, without its value.
pub(crate) fn token(now: Timestamp, token: &TokenRecord) -> Token<'_> {
    Token {
        id: token.id.into(),
        name: (&token.name).into(),
        status: token_status(now, token),
        issued_on: Time(token.issued_on),
        modified_on: Time(token.modified_on),
        last_used_on: token.last_used_on.map(Time),
        not_before: token.not_before.map(Time),
        expires_on: token.expires_on.map(Time),
        policies: token.policies.iter().map(policy).collect(),
        condition: condition(token),
        issuance_rules: issuance_rules::shown(&token.issuance_rules),
        value: None,
    }
}

/// Shows the token of a request as it is at `now`.
pub(crate) fn token_verification(now: Timestamp, token: &TokenRecord) -> TokenVerification {
    TokenVerification {
        id: token.id.into(),
        status: token_status(now, token),
        not_before: token.not_before.map(Time),
        expires_on: token.expires_on.map(Time),
    }
}

fn token_status(now: Timestamp, token: &TokenRecord) -> TokenStatus {
    match token.state {
        TokenState::Disabled => TokenStatus::Disabled,
        TokenState::Active if token.expires_on.is_some_and(|end| end <= now) => {
            TokenStatus::Expired
        }
        TokenState::Active => TokenStatus::Active,
    }
}

fn policy(policy: &Policy) -> TokenPolicy<'_> {
    let group = |group: &PermissionGroup| PermissionGroupName {
        id: group.id().into(),
        name: group.name().into(),
    };
    let resource = |resource: &Resource| match *resource {
        Resource::ZonesOfAccount(account) => {
            let zones = BTreeMap::from([(ResourceName(Resource::AllZones), Star)]);
            let name = ResourceName(Resource::Account(account));
            (name, ResourceValue::Zones(zones))
        }
        resource => (ResourceName(resource), ResourceValue::Itself),
    };
    TokenPolicy {
        id: (&policy.id).into(),
        effect: match policy.effect {
            Effect::Allow => EffectName::Allow,
            Effect::Deny => EffectName::Deny,
        },
        permission_groups: policy.permission_groups.iter().map(group).collect(),
        resources: policy.resources.iter().map(resource).collect(),
    }
}

/// Shows the addresses of a token under both of their names; [`None`] if it has none.
fn condition(token: &TokenRecord) -> Option<TokenCondition<'_>> {
    fn texts(blocks: &[AddressBlock]) -> Option<Vec<AddressBlockText<'_>>> {
        let texts = blocks
            .iter()
            .map(|block| AddressBlockText(Cow::Borrowed(block)));
        (!blocks.is_empty()).then(|| texts.collect())
    }
    let addresses = TokenAddresses {
        allowed: texts(&token.allowed_addresses),
        refused: texts(&token.refused_addresses),
    };
    let is_anywhere = addresses.allowed.is_none() && addresses.refused.is_none();
    (!is_anywhere).then(|| TokenCondition {
        request_ip: Some(addresses.clone()),
        request_ip_of_sdks: Some(addresses),
    })
}

pub(crate) fn permission_group(group: PermissionGroup) -> PermissionGroupEntry<'static> {
    PermissionGroupEntry {
        id: group.id().into(),
        name: group.name().into(),
        scopes: vec![group.scope().name().into()],
    }
}
