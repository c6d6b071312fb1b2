//! Access: the caller of a request, its permissions, and the proofs that it has them.

mod authentication;
mod last_use;
mod permission;
mod principal;
mod rate;
mod scopes;

pub use authentication::{Access, Credential, Secret};
pub use last_use::LastUses;
pub use permission::{
    AdoptForeign, FollowRevocations, IssueCertificates, ManageAccountTokens, ManageAccounts,
    ManageEnforcementPoints, ManageTokens, ManageUser, ManageZones, Permission, ReadAccountTokens,
    ReadAccounts, ReadCertificates, ReadHostnames, ReadMtlsCertificates, ReadTokens, ReadUser,
    ReadZones, RestoreCertificates, RevokeCertificates, WriteHostnames, WriteMtlsCertificates,
};
pub use principal::{Caller, Principal};
pub use scopes::{AccountScope, UserScope, ZoneScope};

pub(crate) use authentication::token_hash;
pub(crate) use principal::token_with_everything;
