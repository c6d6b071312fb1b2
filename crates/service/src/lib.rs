//! The rules: who may do what, issue, revoke, reactivate and settle.
//!
//! Every write passes here. Nothing here knows HTTP or SQL.

mod access;
mod api_key;
mod authorities;
mod cache;
mod enforcement_points;
mod error;
mod hostnames;
mod installation;
mod issue;
mod last_use;
mod master_key;
mod measures;
mod mtls_certificates;
mod publication;
mod rate;
mod responder;
mod revocation;
mod rotation;
mod serials;
mod tenants;
mod tokens;
mod turn;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use certgate_model::{
    AccountId, AuthorityId, Clock, EnforcementPointId, KeyAlgorithm, Random, Timestamp, TokenHash,
    ZoneId, ZoneRecord,
};
use certgate_store::{Holder, ReadStore, Store};
use rayon_core::ThreadPool;
use tokio::sync::{Notify, watch};

pub use access::{
    AccountScope, Credential, FollowRevocations, ManageAccounts, ManageEnforcementPoints,
    ManageTokens, ManageZones, Permission, Principal, ReadAccounts, ReadCertificates,
    ReadMtlsCertificates, ReadTokens, ReadUser, ReadZones, Secret, UserScope, WriteCertificates,
    WriteMtlsCertificates, ZoneScope,
};
pub use api_key::ApiKey;
pub use authorities::{AUTHORITY_VALIDITY_DAYS, ManagedAuthority};
pub use enforcement_points::{
    CHANGES_MAX, ENFORCEMENT_POINTS_MAX, LEASE_SECONDS, LEASE_SECONDS_DEFAULT, RevocationChanges,
    RevokedCursor,
};
pub use error::{
    AccessError, AuthorityError, EnforcementPointError, Fault, HostnameFault, HostnamesError,
    IssueError, MtlsCertificateError, RevocationError, TenantError, TokenError,
};
pub use installation::{
    EMAIL_DEFAULT, FirstInstallation, FirstNames, Initialised, OpenError, is_token_of,
};
pub use issue::{
    IDEMPOTENCY_KEY_CHARACTERS_MAX, IdempotencyKey, IssueRequest, VALIDITY_DAYS_MAX_DEFAULT,
};
pub use master_key::{MasterKey, MasterKeyError};
pub use mtls_certificates::MtlsCertificateUpload;
pub use publication::{CRL_VALIDITY_DAYS, FULL_CRL_ENTRIES_MAX};
pub use responder::{NoncePolicy, OCSP_VALIDITY_SECONDS, OcspAnswer};
pub use revocation::Settling;
pub use rotation::{AuthorityImport, MANAGED_AUTHORITIES_MAX};
pub use tenants::{AccountDraft, ZoneDraft};
pub use tokens::{TokenDraft, TokenValue};

use access::{ApiKeyOwner, ValidToken};
use authorities::LoadedIssuer;
use cache::Cache;
use last_use::LastUses;
use rate::RateLimiter;
use responder::OcspState;
use serials::SerialCipher;
use turn::Turn;

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
    /// How many certificates an account can bring itself. Default: no quota.
    pub account_mtls_certificates_max: Option<u64>,
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
            account_mtls_certificates_max: None,
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
    api_keys: Cache<TokenHash, ApiKeyOwner>,
    zones: Cache<ZoneId, ZoneRecord>,
    /// The managed authorities that were in force when they were last used. Another process may have replaced one since:
    /// the store then refuses what it signs.
    issuers: std::sync::Mutex<HashMap<AccountId, Arc<LoadedIssuer>>>,
    /// The authorities that have published or answered since the start.
    issuers_by_id: std::sync::Mutex<HashMap<AuthorityId, Arc<LoadedIssuer>>>,
    /// Held while an account's authority is made, loaded or replaced.
    loading_issuer: Turn,
    /// As many threads as processors, for what takes computing rather than waiting.
    signers: ThreadPool,
    rate: Option<RateLimiter>,
    uses: LastUses,
    pending: Notify,
    /// What this process calls itself where only one of several may do something, and until when it is the one that settles.
    holder: Holder,
    settling_until: std::sync::Mutex<Option<Timestamp>>,
    /// Counts the changes that this process accepted, for those who wait for one.
    changed: watch::Sender<u64>,
    /// Whether nobody is to wait any more, because the process ends.
    ending: watch::Sender<bool>,
    /// The enforcement points whose silence was told.
    silent_points: std::sync::Mutex<HashSet<EnforcementPointId>>,
    serials: SerialCipher,
    ocsp: OcspState,
}

impl Authority {
    fn assemble(
        signers: ThreadPool,
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
        master_key: Arc<MasterKey>,
        settings: Settings,
        serials: SerialCipher,
    ) -> Self {
        let mut holder = Holder::default();
        random.fill(&mut holder);
        Self {
            holder,
            settling_until: std::sync::Mutex::default(),
            tokens: Cache::new(clock.clone()),
            api_keys: Cache::new(clock.clone()),
            zones: Cache::new(clock.clone()),
            issuers: std::sync::Mutex::default(),
            issuers_by_id: std::sync::Mutex::default(),
            loading_issuer: Turn::default(),
            signers,
            rate: settings.requests_per_minute.map(RateLimiter::new),
            uses: LastUses::default(),
            pending: Notify::new(),
            changed: watch::Sender::new(0),
            ending: watch::Sender::new(false),
            silent_points: std::sync::Mutex::default(),
            serials,
            ocsp: OcspState::default(),
            store,
            clock,
            random,
            master_key,
            settings,
        }
    }

    /// Lets nobody wait for a change any more, so that requests which do are answered before the process ends.
    pub fn end_waiting(&self) {
        self.ending.send_replace(true);
    }

    /// Whether nobody is to wait any more.
    pub fn is_ending(&self) -> bool {
        *self.ending.borrow()
    }

    /// The reading half of the store.
    pub fn reads(&self) -> Arc<dyn ReadStore> {
        self.store.clone()
    }
}
