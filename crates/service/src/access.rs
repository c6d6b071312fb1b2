//! Who may do what. A [`Principal`] is a valid token; a scope is the proof that it may do one kind of thing in one place.

use std::marker::PhantomData;
use std::net::IpAddr;
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use certgate_model::{
    AccountId, AccountRecord, Actor, AddressBlock, By, Effect, PermissionGroup, Policy, Resource,
    Scope, Timestamp, TokenHash, TokenId, TokenRecord, TokenState, UserId, UserRecord, Visible,
    ZoneId, ZoneRecord,
};
use ipnet::IpNet;

use crate::{AccessError, Authority, Fault};

/// Longest token value that is looked up; ours have 40 characters.
const TOKEN_VALUE_CHARACTERS_MAX: usize = 512;

/// A token as the cache keeps it: its record, and its address blocks ready for comparison.
pub(crate) struct ValidToken {
    record: TokenRecord,
    allowed: Vec<IpNet>,
    refused: Vec<IpNet>,
}

/// An API key as the cache keeps it: whose it is, and what it may do, as a token that nobody has the value of.
pub(crate) struct ApiKeyOwner {
    email: String,
    token: Arc<ValidToken>,
}

/// A token that is known, switched on, within its dates and used from an address it may come from; or the API key of a
/// user, which stands for a token that may do everything.
#[derive(Clone)]
pub struct Principal {
    token: Arc<ValidToken>,
    caller: Caller,
}

/// Who calls, for the log of what was done.
#[derive(Clone, Copy)]
struct Caller {
    actor: Actor,
    address: Option<IpAddr>,
}

/// What a caller shows to say who it is.
pub struct Credential<'a> {
    /// What only it can know.
    pub secret: Secret<'a>,
    /// The address it comes from. [`None`]: nobody can tell, so that no token that is bound to addresses is good.
    pub from: Option<IpAddr>,
}

/// The secret part of a credential.
#[derive(Clone, Copy)]
pub enum Secret<'a> {
    /// The value of a token.
    Token(&'a str),
    /// A user's API key, with the e-mail address that must be the user's.
    ApiKey {
        /// E-mail address, in any letter case.
        email: &'a str,
        /// The key.
        key: &'a str,
    },
}

/// A permission, as a type: the scope that proves it can be asked for in a signature.
pub trait Permission: Send + Sync + 'static {
    /// The permission group that the token needs.
    const GROUP: PermissionGroup;
}

macro_rules! permissions {
    ($($(#[$doc:meta])* $name:ident = $group:ident;)+) => {$(
        $(#[$doc])*
        pub struct $name;
        impl Permission for $name {
            const GROUP: PermissionGroup = PermissionGroup::$group;
        }
    )+};
}
permissions! {
    /// List and get client certificates, and the hostnames that ask for them.
    ReadCertificates = SslAndCertificatesRead;
    /// Issue, revoke and reactivate client certificates, and list hostnames that ask for them.
    WriteCertificates = SslAndCertificatesWrite;
    /// List and get zones.
    ReadZones = ZoneRead;
    /// Make and delete zones.
    ManageZones = ZoneWrite;
    /// List and get accounts, and their authorities.
    ReadAccounts = AccountSettingsRead;
    /// Make and delete accounts, and replace their authority.
    ManageAccounts = AccountSettingsWrite;
    /// List and get the certificates that an account brought itself.
    ReadMtlsCertificates = AccountSslAndCertificatesRead;
    /// Bring and delete them.
    WriteMtlsCertificates = AccountSslAndCertificatesWrite;
    /// List and get tokens.
    ReadTokens = ApiTokensRead;
    /// Make, change and delete tokens.
    ManageTokens = ApiTokensWrite;
    /// Read what is revoked, and the enforcement points.
    FollowRevocations = EnforcementPointsRead;
    /// Register and delete enforcement points, and acknowledge changes for them.
    ManageEnforcementPoints = EnforcementPointsWrite;
    /// Get the user.
    ReadUser = UserDetailsRead;
}

/// Proof that the caller has permission `P` in this zone, which exists. Made only by [`Authority::zone_scope`].
pub struct ZoneScope<P> {
    zone: Arc<ZoneRecord>,
    caller: Caller,
    permission: PhantomData<P>,
}

impl<P> ZoneScope<P> {
    /// The zone.
    pub fn zone(&self) -> &ZoneRecord {
        &self.zone
    }

    pub(crate) fn by(&self, at: Timestamp) -> By {
        self.caller.by(at)
    }
}

/// Proof that the caller has permission `P` on this account, which exists. Made only by [`Authority::account_scope`].
pub struct AccountScope<P> {
    account: AccountRecord,
    principal: Principal,
    permission: PhantomData<P>,
}

impl<P> AccountScope<P> {
    /// The account.
    pub fn account(&self) -> &AccountRecord {
        &self.account
    }

    /// Who has it.
    pub fn principal(&self) -> &Principal {
        &self.principal
    }

    pub(crate) fn by(&self, at: Timestamp) -> By {
        self.principal.by(at)
    }
}

/// Proof that the caller has permission `P` on the user. Made only by [`Authority::user_scope`].
pub struct UserScope<P> {
    user: UserRecord,
    principal: Principal,
    permission: PhantomData<P>,
}

impl<P> UserScope<P> {
    /// The user.
    pub fn user(&self) -> &UserRecord {
        &self.user
    }

    pub(crate) fn principal(&self) -> &Principal {
        &self.principal
    }

    pub(crate) fn by(&self, at: Timestamp) -> By {
        self.principal.by(at)
    }
}

impl Caller {
    fn by(self, at: Timestamp) -> By {
        By {
            actor: self.actor,
            address: self.address,
            at,
        }
    }
}

impl Authority {
    /// The token of this value, or the user of this API key, if it is good now and from there. Counts the request against
    /// its limit, and notes the token's use.
    pub async fn authenticate(&self, credential: Credential<'_>) -> Result<Principal, AccessError> {
        let now = self.clock.now();
        let (token, actor) = match credential.secret {
            Secret::Token(value) => {
                if value.len() > TOKEN_VALUE_CHARACTERS_MAX {
                    return Err(AccessError::InvalidToken);
                }
                // The value itself is never compared: its hash is looked up, so the time taken tells nothing about a value.
                let token = self.good_token(token_hash(value), credential.from).await?;
                let record = &token.record;
                self.uses.note(record.id, record.last_used_on, now);
                let actor = Actor::Token(record.id);
                (token, actor)
            }
            Secret::ApiKey { email, key } => {
                let token = self.token_of_api_key(email, key).await?;
                let actor = Actor::ApiKey(token.record.user);
                (token, actor)
            }
        };
        if let Some(rate) = &self.rate {
            rate.count(token.record.id, now)
                .map_err(|retry_after_seconds| AccessError::TooManyRequests {
                    retry_after_seconds,
                })?;
        }
        let address = credential.from.map(|address| address.to_canonical());
        Ok(Principal {
            token,
            caller: Caller { actor, address },
        })
    }

    /// The same caller, if what it showed is still good: for an answer that goes on for long.
    pub async fn authenticate_again(
        &self,
        principal: &Principal,
    ) -> Result<Principal, AccessError> {
        let Principal { token, caller } = principal;
        let hash = token.record.hash;
        let token = match caller.actor {
            Actor::Token(_) => self.good_token(hash, caller.address).await?,
            Actor::ApiKey(_) => {
                let owner = self.owner_of_api_key(hash).await?;
                owner.ok_or(AccessError::UnknownApiKey)?.token.clone()
            }
            Actor::System => return Err(AccessError::Refused),
        };
        Ok(Principal {
            token,
            caller: *caller,
        })
    }

    async fn good_token(
        &self,
        hash: TokenHash,
        from: Option<IpAddr>,
    ) -> Result<Arc<ValidToken>, AccessError> {
        let load = async {
            self.store
                .token_by_hash(hash)
                .await
                .map(|found| found.map(ValidToken::new))
        };
        let token = self
            .tokens
            .get_or_load(hash, load)
            .await?
            .ok_or(AccessError::InvalidToken)?;
        let (now, record) = (self.clock.now(), &token.record);
        let in_time = record.not_before.is_none_or(|from| from <= now)
            && record.expires_on.is_none_or(|end| now < end);
        if record.state != TokenState::Active || !in_time || !token.may_come_from(from) {
            return Err(AccessError::InvalidToken);
        }
        Ok(token)
    }

    async fn token_of_api_key(
        &self,
        email: &str,
        key: &str,
    ) -> Result<Arc<ValidToken>, AccessError> {
        let owner = self.owner_of_api_key(token_hash(key)).await?;
        let owner = owner.filter(|owner| owner.email.eq_ignore_ascii_case(email));
        Ok(owner.ok_or(AccessError::UnknownApiKey)?.token.clone())
    }

    async fn owner_of_api_key(
        &self,
        hash: TokenHash,
    ) -> Result<Option<Arc<ApiKeyOwner>>, AccessError> {
        let load = async {
            let user = self.store.user_by_api_key(hash).await?;
            Ok::<_, Fault>(user.map(|user| ApiKeyOwner {
                token: Arc::new(ValidToken::new(everything_of(&user, hash))),
                email: user.email,
            }))
        };
        Ok(self.api_keys.get_or_load(hash, load).await?)
    }

    /// Whether the caller has permission `P` in the zone.
    pub async fn zone_scope<P: Permission>(
        &self,
        principal: &Principal,
        zone: ZoneId,
    ) -> Result<ZoneScope<P>, AccessError> {
        let zone = self
            .zones
            .get_or_load(zone, self.store.zone(zone))
            .await?
            .ok_or(AccessError::Refused)?;
        if !principal.may(P::GROUP, Place::Zone(zone.id, Some(zone.account))) {
            return Err(AccessError::Refused);
        }
        Ok(ZoneScope {
            zone,
            caller: principal.caller,
            permission: PhantomData,
        })
    }

    /// Whether the caller has permission `P` on the account; for a zone permission, on every zone of the account.
    pub async fn account_scope<P: Permission>(
        &self,
        principal: &Principal,
        account: AccountId,
    ) -> Result<AccountScope<P>, AccessError> {
        let account = self
            .store
            .account(account)
            .await?
            .ok_or(AccessError::Refused)?;
        let place = match P::GROUP.scope() {
            Scope::Zone => Place::ZonesOf(account.id),
            Scope::Account | Scope::User => Place::Account(account.id),
        };
        if !principal.may(P::GROUP, place) {
            return Err(AccessError::Refused);
        }
        Ok(AccountScope {
            account,
            principal: principal.clone(),
            permission: PhantomData,
        })
    }

    /// Whether the caller has permission `P` on the user its token belongs to.
    pub async fn user_scope<P: Permission>(
        &self,
        principal: &Principal,
    ) -> Result<UserScope<P>, AccessError> {
        let owner = principal.token.record.user;
        let user = self
            .store
            .user()
            .await?
            .filter(|user| user.id == owner)
            .ok_or(AccessError::Refused)?;
        if !principal.may(P::GROUP, Place::User(owner)) {
            return Err(AccessError::Refused);
        }
        Ok(UserScope {
            user,
            principal: principal.clone(),
            permission: PhantomData,
        })
    }
}

impl Principal {
    /// The token's record.
    pub fn token(&self) -> &TokenRecord {
        &self.token.record
    }

    pub(crate) fn by(&self, at: Timestamp) -> By {
        self.caller.by(at)
    }

    /// Whether the caller may do everything the user may, from anywhere and for ever.
    pub(crate) fn may_do_everything(&self) -> bool {
        let user = Resource::User(self.token.record.user);
        let everywhere = |group: PermissionGroup| match group.scope() {
            Scope::User => self.may_grant(group, user),
            Scope::Account | Scope::Zone => self.may_grant(group, Resource::AllAccounts),
        };
        PermissionGroup::ALL.into_iter().all(everywhere) && self.may_pass_limits_on(&[], &[], None)
    }

    /// Whether the caller may make accounts.
    pub fn may_make_accounts(&self) -> bool {
        self.may(PermissionGroup::AccountSettingsWrite, Place::EveryAccount)
    }

    /// What the caller sees in a list that needs `P`; `None` if it has that permission nowhere.
    pub fn visible<P: Permission>(&self) -> Option<Visible> {
        let mut all = false;
        let (mut accounts, mut zones) = (Vec::new(), Vec::new());
        let (mut except_accounts, mut except_zones) = (Vec::new(), Vec::new());
        for policy in &self.token.record.policies {
            let applies = match policy.effect {
                Effect::Allow => policy
                    .permission_groups
                    .iter()
                    .any(|group| group.includes(P::GROUP)),
                Effect::Deny => policy.permission_groups.contains(&P::GROUP),
            };
            if !applies {
                continue;
            }
            for resource in &policy.resources {
                let everything = match *resource {
                    Resource::AllAccounts => true,
                    Resource::AllZones => P::GROUP.scope() == Scope::Zone,
                    _ => false,
                };
                match (policy.effect, *resource) {
                    (Effect::Deny, _) if everything => return None,
                    (Effect::Allow, _) if everything => all = true,
                    // The zones of an account are not the account.
                    (_, Resource::ZonesOfAccount(_)) if P::GROUP.scope() != Scope::Zone => {}
                    (Effect::Allow, Resource::Account(id) | Resource::ZonesOfAccount(id)) => {
                        accounts.push(id)
                    }
                    (Effect::Allow, Resource::Zone(id)) => zones.push(id),
                    (Effect::Deny, Resource::Account(id) | Resource::ZonesOfAccount(id)) => {
                        except_accounts.push(id);
                    }
                    (Effect::Deny, Resource::Zone(id)) => except_zones.push(id),
                    _ => {}
                }
            }
        }
        let somewhere = all || !accounts.is_empty() || !zones.is_empty();
        somewhere.then_some(Visible {
            all,
            accounts,
            zones,
            except_accounts,
            except_zones,
        })
    }

    /// Whether the caller may pass on `group` on `resource`: it must have it there itself.
    pub(crate) fn may_grant(&self, group: PermissionGroup, resource: Resource) -> bool {
        let place = match (group.scope(), resource) {
            (Scope::User, Resource::User(id)) => Place::User(id),
            (Scope::Account, Resource::Account(id)) => Place::Account(id),
            (Scope::Account, Resource::AllAccounts) => Place::EveryAccount,
            (Scope::Zone, Resource::Account(id) | Resource::ZonesOfAccount(id)) => {
                Place::ZonesOf(id)
            }
            (Scope::Zone, Resource::AllAccounts | Resource::AllZones) => Place::EveryAccount,
            // The account is not looked up: passing on one zone needs the zone itself or everything.
            (Scope::Zone, Resource::Zone(id)) => Place::Zone(id, None),
            // The group does not apply to such a resource: it grants nothing.
            _ => return true,
        };
        // Whoever may write may read: both must be the caller's own.
        PermissionGroup::ALL
            .into_iter()
            .filter(|included| group.includes(*included))
            .all(|included| self.may(included, place))
    }

    /// Whether a token limited by these addresses and this end could do nothing that the caller's own limits refuse.
    pub(crate) fn may_pass_limits_on(
        &self,
        allowed: &[AddressBlock],
        refused: &[AddressBlock],
        expires_on: Option<Timestamp>,
    ) -> bool {
        let own = &*self.token;
        let (allowed, refused) = (blocks(allowed), blocks(refused));
        let in_time = own
            .record
            .expires_on
            .is_none_or(|end| expires_on.is_some_and(|theirs| theirs <= end));
        let from_there = own.record.allowed_addresses.is_empty()
            || !allowed.is_empty()
                && allowed
                    .iter()
                    .all(|block| own.allowed.iter().any(|mine| mine.contains(block)));
        let not_from_there = own
            .refused
            .iter()
            .all(|mine| refused.iter().any(|block| block.contains(mine)));
        in_time && from_there && not_from_there
    }

    fn may(&self, needed: PermissionGroup, place: Place) -> bool {
        let mut allowed = false;
        for policy in &self.token.record.policies {
            let (groups, resources) = (&policy.permission_groups, &policy.resources);
            match policy.effect {
                Effect::Allow => {
                    allowed |= groups.iter().any(|group| group.includes(needed))
                        && resources
                            .iter()
                            .any(|resource| place.lies_in(*resource, needed.scope()));
                }
                // Refusing the whole is refusing every part, and refusing a part is refusing the whole.
                Effect::Deny => {
                    if groups.contains(&needed)
                        && resources
                            .iter()
                            .any(|resource| place.touches(*resource, needed.scope()))
                    {
                        return false;
                    }
                }
            }
        }
        allowed
    }
}

/// Where something is to be done.
#[derive(Debug, Clone, Copy)]
enum Place {
    User(UserId),
    /// Accounts as such, those to come included; for a zone permission, every zone.
    EveryAccount,
    Account(AccountId),
    /// Every zone of the account, those to come included.
    ZonesOf(AccountId),
    /// One zone, and its account if it is known.
    Zone(ZoneId, Option<AccountId>),
}

impl Place {
    /// Whether `resource` covers this place for permissions of `scope`.
    fn lies_in(self, resource: Resource, scope: Scope) -> bool {
        let zones = scope == Scope::Zone;
        match (self, resource) {
            (Self::User(user), Resource::User(id)) => user == id,
            (Self::User(_), _) | (_, Resource::User(_)) => false,
            (_, Resource::AllAccounts) => true,
            (_, Resource::AllZones) => zones,
            (Self::EveryAccount, _) => false,
            (Self::Account(account), Resource::Account(id)) => account == id,
            (Self::Account(_), _) => false,
            (Self::ZonesOf(account), Resource::Account(id) | Resource::ZonesOfAccount(id)) => {
                zones && account == id
            }
            (Self::ZonesOf(_), Resource::Zone(_)) => false,
            (Self::Zone(_, account), Resource::Account(id) | Resource::ZonesOfAccount(id)) => {
                zones && account == Some(id)
            }
            (Self::Zone(zone, _), Resource::Zone(id)) => zones && zone == id,
        }
    }

    /// Whether `resource` covers this place or a part of it.
    fn touches(self, resource: Resource, scope: Scope) -> bool {
        match (self, resource) {
            (Self::EveryAccount, resource) => !matches!(resource, Resource::User(_)),
            // The zone may be one of the account: refuse rather than look it up.
            (Self::ZonesOf(_), Resource::Zone(_))
            | (Self::Zone(_, None), Resource::Account(_) | Resource::ZonesOfAccount(_)) => {
                scope == Scope::Zone
            }
            _ => self.lies_in(resource, scope),
        }
    }
}

impl ValidToken {
    fn new(record: TokenRecord) -> Self {
        Self {
            allowed: blocks(&record.allowed_addresses),
            refused: blocks(&record.refused_addresses),
            record,
        }
    }

    fn may_come_from(&self, address: Option<IpAddr>) -> bool {
        let Some(peer) = address.map(|address| address.to_canonical()) else {
            return self.record.allowed_addresses.is_empty()
                && self.record.refused_addresses.is_empty();
        };
        // A list that was given but of which nothing could be read allows nothing.
        let anywhere = self.record.allowed_addresses.is_empty();
        (anywhere || self.allowed.iter().any(|block| block.contains(&peer)))
            && self.refused.len() == self.record.refused_addresses.len()
            && !self.refused.iter().any(|block| block.contains(&peer))
    }
}

/// What an API key stands for. The id is the user's own, which no token has.
fn everything_of(user: &UserRecord, hash: TokenHash) -> TokenRecord {
    TokenRecord {
        id: TokenId::from_bytes(*user.id.as_bytes()),
        user: user.id,
        name: "API key".to_owned(),
        hash,
        state: TokenState::Active,
        policies: vec![everything(user.id, String::new())],
        allowed_addresses: Vec::new(),
        refused_addresses: Vec::new(),
        not_before: None,
        expires_on: None,
        issued_on: user.created_on,
        modified_on: user.created_on,
        last_used_on: None,
    }
}

/// The policy that grants a user every permission on everything.
pub(crate) fn everything(user: UserId, id: String) -> Policy {
    Policy {
        id,
        effect: Effect::Allow,
        permission_groups: PermissionGroup::ALL.to_vec(),
        resources: vec![Resource::AllAccounts, Resource::User(user)],
    }
}

fn blocks(blocks: &[AddressBlock]) -> Vec<IpNet> {
    blocks
        .iter()
        .filter_map(|block| IpNet::new(block.address, block.prefix_length).ok())
        .collect()
}

pub(crate) fn token_hash(value: &str) -> TokenHash {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, value.as_bytes()).as_ref());
    TokenHash(hash)
}
