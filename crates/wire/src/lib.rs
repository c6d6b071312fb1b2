//! The JSON of the management API: one struct for each object, request body and path.
//!
//! The server writes answers and reads requests with these structs. The client does the opposite.
//! The OpenAPI document describes them. Texts are [`std::borrow::Cow`]: the server lends them from
//! its records, the client owns them (`'static`).

mod accounts;
mod address_block;
mod adoption;
mod audit;
mod client_certificates;
mod enforcement_points;
mod enforcement_view;
mod envelope;
mod history;
mod hostname_associations;
mod invite_page;
mod invites;
mod issuance_rules;
mod managed_cas;
mod mtls_certificates;
mod notifications;
mod paths;
mod permissions;
mod private_key;
mod queries;
mod scalars;
mod summary;
mod text;
mod tokens;
mod users;
mod words;
mod zones;

pub use accounts::{
    Account, AccountName, AccountReference, AccountSettings, CreateAccount, UpdateAccount,
    UpdateAccountSettings,
};
pub use address_block::AddressBlockText;
pub use adoption::{AdoptCertificates, AdoptedCertificate, AdoptionProblem};
pub use audit::{
    AuditActor, AuditChain, AuditEntryAction, AuditEntryActor, AuditEntryOwner, AuditEntryResource,
    AuditLog, AuditLogAction, AuditLogEntry, AuditPageAnswer, AuditPageInfo, AuditResource,
    AuditZone,
};
pub use client_certificates::{
    CertificateAuthority, CertificateLine, ClientCertificate, CreateClientCertificate,
    ReactivateClientCertificate, RevokeClientCertificate,
};
pub use enforcement_points::{
    AcknowledgeEpoch, ConfigurationFeedChange, EnforcementPoint, EnforcementPointStatus,
    FeedChange, RegisterEnforcementPoint, RevocationFeed, RevocationFeedChange, RevokedCertificate,
};
pub use enforcement_view::{
    EnforcedCa, EnforcedCaKind, EnforcedCaState, EnforcedHost, EnforcementView,
};
pub use envelope::{
    Answer, CursorInfo, Cursors, Deleted, ErrorCause, ErrorItem, ErrorSource, FailedAnswer,
    Message, PageAnswer, PartAnswer, ResultInfo,
};
pub use history::{CertificateEvent, EventActor};
pub use hostname_associations::{HostnameAssociations, ReplaceHostnameAssociations};
pub use invite_page::{
    CertifyInvited, InviteEnrolment, InviteFileForm, InviteFileMade, InvitedCertificate,
    MakeInviteFile, OpenInvite, OpenedInvite,
};
pub use invites::{CreateInvite, Invite, InviteCreator, NewInvite};
pub use issuance_rules::{
    AlternativeNameSet, BeyondName, EnrolmentRuleSet, IssuanceRuleSet, KeyTypeName, LifetimeValue,
    NamePatternText, SubjectAttributeName,
};
pub use managed_cas::{CaCrls, CaRequest, ChangeCaState, ManagedCa, NewCa, RequestCa, RotateCa};
pub use mtls_certificates::{CreateMtlsCertificate, MtlsCertificate, MtlsCertificateAssociation};
pub use notifications::{
    NotificationDestination, RetriedNotifications, TestedDestination, UndeliveredNotification,
};
pub use paths::{
    AccountPath, AccountTokenPath, ClientCertificatePath, EnforcementPointPath, InvitePath,
    ManagedAuthorityPath, ManagedAuthorityRequestPath, MembershipPath, MtlsCertificatePath,
    TokenPath, ZonePath,
};
pub use permissions::{CallerPermission, CallerPermissions};
pub use private_key::PrivateKeyText;
pub use queries::{
    AccountsQuery, AuditLogCertificateQuery, AuditLogExceptQuery, AuditLogQuery, AuditLogsQuery,
    ClientCertificatesQuery, HostnameAssociationsQuery, LastTokenQuery, MembershipsQuery,
    MtlsCertificatesQuery, PageQuery, PermissionGroupsQuery, RevocationChangesQuery,
    RevocationStreamQuery, TenantsPageQuery, TokensQuery, ZonesQuery,
};
pub use scalars::{Date, Id, Octets20, Sha256, Time, Uuid, WholeNumber};
pub use summary::{AuthorityTotals, DayCount, StatusTotals, ZoneSummary};
pub use text::write_string;
pub use tokens::{
    CreatePolicy, CreateToken, PermissionGroupEntry, PermissionGroupId, PermissionGroupName,
    PermissionGroupReference, ResourceName, ResourceValue, Star, Token, TokenAddresses,
    TokenCondition, TokenPolicy, TokenVerification,
};
pub use users::{Membership, MembershipPermissions, PermissionGrant, UpdateUser, User, UserApiKey};
pub use words::{
    AccountTypeName, CoverageName, DeviceName, EffectName, InviteStateName, KeyAlgorithmName,
    ReasonName, SignatureName, StatusName, TokenStateName, TokenStatus, WhenStaleName,
    ZoneTypeName,
};
pub use zones::{CreateZone, UpdateZone, Zone, ZoneMeta, ZoneOwner, ZonePlan};
