use std::net::IpAddr;
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use certgate_model::{Actor, TokenHash, ZoneId, ZoneRecord};

use super::last_use::LastUses;
use super::principal::{CachedToken, Caller, Principal};
use super::rate::RateLimiter;
use crate::cache::Cache;
use crate::environment::Environment;
use crate::error::{AccessError, Fault};

/// Longest token value that is looked up, in characters. Our own values have 40.
const TOKEN_VALUE_CHARACTERS_MAX: usize = 512;

/// The credential of a request, not checked yet.
pub struct Credential<'a> {
    /// The secret.
    pub secret: Secret<'a>,
    /// The client's address. [`None`]: it is unknown, so a token that is bound to addresses is
    /// refused.
    pub from: Option<IpAddr>,
}

/// The secret part of a credential.
#[derive(Clone, Copy)]
pub enum Secret<'a> {
    /// The value of a token.
    Token(&'a str),
    /// The API key of a user, and the user's e-mail address.
    ApiKey {
        /// E-mail address, in any letter case.
        email: &'a str,
        /// The key.
        key: &'a str,
    },
}

/// Authentication and authorisation.
pub struct Access {
    pub(super) environment: Environment,
    pub(super) zones: Cache<ZoneId, ZoneRecord>,
    tokens: Cache<TokenHash, CachedToken>,
    api_keys: Cache<TokenHash, ApiKeyOwner>,
    rate: RateLimiter,
    last_uses: Arc<LastUses>,
}

/// An API key as the cache stores it.
struct ApiKeyOwner {
    email: String,
    token: Arc<CachedToken>,
}

impl Access {
    pub(crate) fn new(environment: Environment, last_uses: Arc<LastUses>) -> Self {
        let clock = &environment.clock;
        Self {
            zones: Cache::new(clock.clone()),
            tokens: Cache::new(clock.clone()),
            api_keys: Cache::new(clock.clone()),
            rate: RateLimiter::new(),
            last_uses,
            environment,
        }
    }

    /// Returns the caller that a credential belongs to, if the credential is valid now and from
    /// that address. Counts the request against the rate limit and notes the use of a token.
    pub async fn authenticate(&self, credential: Credential<'_>) -> Result<Caller, AccessError> {
        let now = self.environment.now();
        let (token, actor) = match credential.secret {
            Secret::Token(value) => {
                if value.len() > TOKEN_VALUE_CHARACTERS_MAX {
                    return Err(AccessError::InvalidToken);
                }
                // The value is looked up by its hash, so response times reveal nothing about it.
                let token = self.valid_token(token_hash(value), credential.from).await?;
                let record = &token.record;
                self.last_uses.note(record.id, record.last_used_on, now);
                let actor = Actor::Token(record.id);
                (token, actor)
            }
            Secret::ApiKey { email, key } => {
                let owner = self.owner_of_api_key(token_hash(key)).await?;
                let owner = owner.filter(|owner| owner.email.eq_ignore_ascii_case(email));
                let token = owner.ok_or(AccessError::UnknownApiKey)?.token.clone();
                let actor = Actor::ApiKey(token.record.user);
                (token, actor)
            }
        };
        if let Some(per_minute) = self.environment.limits().requests_per_minute {
            self.rate
                .count(token.record.id, per_minute, now)
                .map_err(|retry_after_seconds| AccessError::TooManyRequests {
                    retry_after_seconds,
                })?;
        }
        Ok(Caller {
            principal: Principal { token, actor },
            address: credential.from.map(|address| address.to_canonical()),
        })
    }

    /// Returns the same caller if its credential is still valid. A long response checks again.
    pub async fn authenticate_again(&self, caller: &Caller) -> Result<Caller, AccessError> {
        let Caller { principal, address } = caller;
        let hash = principal.token.record.hash;
        let token = match principal.actor {
            Actor::Token(_) => self.valid_token(hash, *address).await?,
            Actor::ApiKey(_) => {
                let owner = self.owner_of_api_key(hash).await?;
                owner.ok_or(AccessError::UnknownApiKey)?.token.clone()
            }
            Actor::System
            | Actor::Offline
            | Actor::Certificate(_)
            | Actor::TrustedCa(_)
            | Actor::Invite(_) => {
                return Err(AccessError::Refused);
            }
        };
        Ok(Caller {
            principal: Principal {
                token,
                actor: principal.actor,
            },
            address: *address,
        })
    }

    /// Forgets the cached tokens after a change of one.
    pub(crate) fn tokens_changed(&self) {
        self.tokens.clear();
    }

    /// Forgets the cached API keys after a change of one.
    pub(crate) fn api_keys_changed(&self) {
        self.api_keys.clear();
    }

    /// Forgets the cached zones after a change of one.
    pub(crate) fn zones_changed(&self) {
        self.zones.clear();
    }

    async fn valid_token(
        &self,
        hash: TokenHash,
        from: Option<IpAddr>,
    ) -> Result<Arc<CachedToken>, AccessError> {
        let load = async {
            let found = self.environment.store.token_by_hash(hash).await;
            found.map(|found| found.map(CachedToken::new))
        };
        let token = self.tokens.get_or_load(hash, load).await?;
        token
            .filter(|token| token.is_valid(self.environment.now(), from))
            .ok_or(AccessError::InvalidToken)
    }

    async fn owner_of_api_key(
        &self,
        hash: TokenHash,
    ) -> Result<Option<Arc<ApiKeyOwner>>, AccessError> {
        let load = async {
            let user = self.environment.store.user_by_api_key(hash).await?;
            Ok::<_, Fault>(user.map(|user| ApiKeyOwner {
                token: Arc::new(CachedToken::of_api_key(&user, hash)),
                email: user.email,
            }))
        };
        Ok(self.api_keys.get_or_load(hash, load).await?)
    }
}

/// Returns the hash under which the store has a token value or an API key.
pub(crate) fn token_hash(value: &str) -> TokenHash {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, value.as_bytes()).as_ref());
    TokenHash(hash)
}
