//! The rules: permissions, issue, revocation, reactivation and settling.
//!
//! Every write passes here. [`Service`] holds one part for each subject. Nothing here knows HTTP or
//! SQL. The files import in one direction, from `service` down to `error` and `environment`.

mod access;
mod adopting;
mod api_keys;
mod cache;
mod certificate_gauges;
mod conditions;
mod delegates;
mod enforcement_points;
mod enrolment;
mod environment;
mod error;
mod feed;
mod generated_secret;
mod guesses;
mod hostnames;
mod idempotency;
mod indexing;
mod installation;
mod invite_files;
mod invites;
mod issuance;
mod issuer_names;
mod issuers;
mod issuing;
mod judging;
mod key_searches;
mod managed_authorities;
mod master_key;
mod measures;
mod mtls_certificates;
mod names;
mod notification;
mod notification_details;
mod notifying;
mod offline;
mod pause;
mod publishing;
mod renewal;
mod responder;
mod revoking;
mod serial_texts;
mod serials;
mod service;
mod settings;
mod settling;
mod shares;
mod signals;
mod signers;
mod staged_authorities;
mod tenants;
mod token_draft;
mod tokens;
mod turn;

pub use access::{
    Access, AccountScope, AdoptForeign, Caller, Credential, FollowRevocations, IssueCertificates,
    LastUses, ManageAccountTokens, ManageAccounts, ManageEnforcementPoints, ManageTokens,
    ManageUser, ManageZones, Permission, Principal, ReadAccountTokens, ReadAccounts,
    ReadCertificates, ReadHostnames, ReadMtlsCertificates, ReadTokens, ReadUser, ReadZones,
    RestoreCertificates, RevokeCertificates, Secret, UserScope, WriteHostnames,
    WriteMtlsCertificates, ZoneScope,
};
pub use adopting::{ADOPTIONS_MAX, Adopting, AdoptionLines};
pub use api_keys::ApiKeys;
pub use certgate_pki::expires_on as certificate_expires_on;
pub use certgate_store::{InviteRefused, RenewalRefused};
pub use certificate_gauges::CertificateGauges;
pub use enforcement_points::{
    DeletePoints, ENFORCEMENT_POINTS_MAX, EnforcementPointDraft, EnforcementPoints,
    FORGET_SECONDS_MAX, LEASE_SECONDS, LEASE_SECONDS_DEFAULT,
};
pub use enrolment::Enrolment;
pub use error::{
    AccessError, AdoptionError, AdoptionLineError, AuthorityError, EnforcementPointError,
    EnrolError, Fault, HostnameFault, HostnamesError, InviteError, IssueError,
    MtlsCertificateError, RevocationError, TenantError, TokenError,
};
pub use feed::{CHANGES_MAX, Feed, RevocationChanges, RevokedCursor};
pub use generated_secret::GeneratedSecret;
pub use hostnames::Hostnames;
pub use idempotency::{IDEMPOTENCY_KEY_CHARACTERS_MAX, IdempotencyKey};
pub use indexing::Indexer;
pub use installation::{
    EMAIL_DEFAULT, FirstInstallation, FirstNames, Initialised, is_token_of, record_public_url,
    stored_public_url,
};
pub use invite_files::{
    FILE_DOWNLOADS_MAX, FILE_SECONDS, FILES_MAX, FileForm, InviteFile, InviteFiles, MadeFile,
    ProfileIdentity, ProfileSigner, key_for_devices,
};
pub use invites::{
    INVITE_SECONDS, INVITE_SECONDS_DEFAULT, INVITES_MAX, InviteDraft, Invites, PresentedInvite,
};
pub use issuers::AUTHORITY_VALIDITY_DAYS;
pub use issuing::{CsrRemarks, IssueRequest, Issued, Issuing};
pub use judging::DerJudge;
pub use managed_authorities::{
    AuthorityImport, ImportAim, MANAGED_AUTHORITIES_MAX, ManagedAuthorities, ManagedAuthority,
    ROTATIONS_PER_ACCOUNT_MAX, ROTATIONS_PER_HOUR_MAX,
};
pub use master_key::{MasterKey, MasterKeyError};
pub use mtls_certificates::{MtlsCertificateUpload, MtlsCertificates};
pub use notification::{
    NotDelivered, Notification, NotifiedCertificate, NotifiedZone, Outlet, Subject,
};
pub use notifying::{Notifier, NotifierSettings, TestedDestination};
pub use offline::OfflineToken;
pub use publishing::{CRL_VALIDITY_DAYS, FULL_CRL_ENTRIES_MAX};
pub use renewal::Renewal;
pub use responder::{NoncePolicy, OCSP_VALIDITY_SECONDS, OcspAnswer, Responder};
pub use revoking::{EarlierRevocation, Revocation, Revoking};
pub use serial_texts::SerialTexts;
pub use service::{OpenError, Service};
pub use settings::{
    BACKDATE_MINUTES_DEFAULT, BACKDATE_MINUTES_MAX, Limits, Settings, VALIDITY_DAYS_MAX_DEFAULT,
};
pub use settling::{Settler, Settling};
pub use shares::{Share, ShareLimits, ShareReached, Shares};
pub use signals::Signals;
pub use staged_authorities::{AUTHORITY_REQUESTS_MAX, AuthorityRequestDraft};
pub use tenants::{AccountDraft, Tenants, ZoneDraft};
pub use token_draft::{TokenDraft, TokenOwner};
pub use tokens::{LastToken, Tokens};
pub use turn::{Turn, Turns};
