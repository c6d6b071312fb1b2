//! The rules: who may do what, issue, revoke, reactivate and settle.
//!
//! Every write passes here. Nothing here knows HTTP or SQL.

mod access;
mod authorities;
mod cache;
mod error;
mod installation;
mod issue;
mod master_key;
mod rate;
mod revocation;
mod rotation;
mod tenants;
mod tokens;

use std::collections::HashMap;
use std::sync::Arc;

use certgate_model::{AccountId, Clock, KeyAlgorithm, Random, TokenHash, ZoneId, ZoneRecord};
use certgate_store::{ReadStore, Store};
use rayon_core::ThreadPool;
use tokio::sync::{Mutex, Notify};

pub use access::{
    AccountScope, Credential, ManageAccounts, ManageTokens, ManageZones, Permission, Principal, ReadAccounts,
    ReadCertificates, ReadTokens, ReadUser, ReadZones, UserScope, WriteCertificates, ZoneScope,
};
pub use authorities::{AUTHORITY_VALIDITY_DAYS, ManagedAuthority};
pub use error::{AccessError, AuthorityError, Fault, IssueError, RevocationError, TenantError, TokenError};
pub use installation::{FirstInstallation, FirstNames, Initialised, OpenError};
pub use issue::{IssueRequest, VALIDITY_DAYS_MAX_DEFAULT};
pub use master_key::{MasterKey, MasterKeyError};
pub use rotation::{AuthorityImport, MANAGED_AUTHORITIES_MAX};
pub use tenants::{AccountDraft, ZoneDraft};
pub use tokens::{TokenDraft, TokenValue};

use access::ValidToken;
use authorities::LoadedIssuer;
use cache::Cache;
use rate::RateLimiter;

/// What an operator can set about the rules.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Base address of the public responder, such as `http://pki.example.com`; stands in every certificate of an
    /// authority made from now on. Default: the responder's listening address.
    pub public_url: String,
    /// Longest validity a certificate can be asked for, in days. Default 5,475 (15 years).
    pub validity_days_max: u32,
    /// How many certificates, of any status, a zone can have. Default: no quota.
    pub zone_certificates_max: Option<u64>,
    /// How many requests one token can make in a minute. Default: no limit.
    pub requests_per_minute: Option<u32>,
    /// The kind of key of the managed authority of an account made without naming one. Default P-256.
    pub authority_algorithm: KeyAlgorithm,
}

impl Settings {
    /// The defaults, with this base address.
    pub fn new(public_url: String) -> Self {
        Self {
            public_url,
            validity_days_max: VALIDITY_DAYS_MAX_DEFAULT,
            zone_certificates_max: None,
            requests_per_minute: None,
            authority_algorithm: KeyAlgorithm::default(),
        }
    }
}

/// The authority: the store and the keys, and the rules for changing them.
pub struct Authority {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    master_key: Arc<MasterKey>,
    settings: Settings,
    tokens: Cache<TokenHash, ValidToken>,
    zones: Cache<ZoneId, ZoneRecord>,
    /// The managed authorities that were in force when they were last used. Another process may have replaced one since:
    /// the store then refuses what it signs.
    issuers: std::sync::Mutex<HashMap<AccountId, Arc<LoadedIssuer>>>,
    /// Held while an account's authority is made, loaded or replaced.
    loading_issuer: Mutex<()>,
    /// As many threads as processors, for what takes computing rather than waiting.
    signers: ThreadPool,
    rate: Option<RateLimiter>,
    pending: Notify,
}

impl Authority {
    fn assemble(
        signers: ThreadPool,
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
        master_key: Arc<MasterKey>,
        settings: Settings,
    ) -> Self {
        Self {
            tokens: Cache::new(clock.clone()),
            zones: Cache::new(clock.clone()),
            issuers: std::sync::Mutex::default(),
            loading_issuer: Mutex::new(()),
            signers,
            rate: settings.requests_per_minute.map(RateLimiter::new),
            pending: Notify::new(),
            store,
            clock,
            random,
            master_key,
            settings,
        }
    }

    /// The reading half of the store.
    pub fn reads(&self) -> Arc<dyn ReadStore> {
        self.store.clone()
    }
}
