use std::net::IpAddr;
use std::sync::Arc;

use certgate_model::{
    AccountId, Actor, AddressBlock, By, Counted, Effect, PermissionGroup, Place, Policy, Resource,
    Scope, StoredRules, Timestamp, TokenHash, TokenId, TokenRecord, TokenState, UserRecord,
    Visible, ZoneId, allow_grant, allows, visible,
};
use ipnet::IpNet;

use super::permission::Permission;

/// A token as the cache stores it: its record, and its address blocks ready for comparison.
pub(super) struct CachedToken {
    pub(super) record: TokenRecord,
    allowed: Vec<IpNet>,
    refused: Vec<IpNet>,
}

/// The authenticated identity of a request.
///
/// It is a token that is known, active, within its dates and used from a permitted address, or the
/// API key of a user, which stands for a token with every permission.
#[derive(Clone)]
pub struct Principal {
    pub(super) token: Arc<CachedToken>,
    pub(super) actor: Actor,
}

/// A principal with the circumstances of its request.
#[derive(Clone)]
pub struct Caller {
    pub(super) principal: Principal,
    /// The client's address, if it is known.
    pub(super) address: Option<IpAddr>,
}

impl Caller {
    /// Returns the authenticated identity.
    pub fn principal(&self) -> &Principal {
        &self.principal
    }

    /// Returns the author of a change at `at`, for the audit log.
    pub(crate) fn by(&self, at: Timestamp) -> By {
        By {
            actor: self.principal.actor,
            address: self.address,
            at,
        }
    }
}

impl Principal {
    /// Returns the token's record.
    pub fn token(&self) -> &TokenRecord {
        &self.token.record
    }

    /// Returns the ID of the token; for an API key, that of its user.
    pub(crate) fn token_id(&self) -> TokenId {
        self.token.record.id
    }

    /// Returns true if the principal has permission to create accounts.
    pub fn may_make_accounts(&self) -> bool {
        self.may(PermissionGroup::AccountSettingsWrite, Place::EveryAccount)
    }

    /// Returns true if the principal has permission to create and delete every zone.
    pub(crate) fn may_manage_every_zone(&self) -> bool {
        self.may(PermissionGroup::ZoneWrite, Place::EveryAccount)
    }

    /// Returns true if the principal has permission to create and delete this zone of an account.
    pub(crate) fn may_manage_zone(&self, zone: ZoneId, account: AccountId) -> bool {
        self.may(PermissionGroup::ZoneWrite, Place::Zone(zone, Some(account)))
    }

    /// Returns true if the principal has permission `P` on the account; for a zone permission, on
    /// every zone of the account.
    pub fn has<P: Permission>(&self, account: AccountId) -> bool {
        self.may(P::GROUP, Place::of_account(P::GROUP, account))
    }

    /// Returns the author of the principal's changes.
    pub fn actor(&self) -> Actor {
        self.actor
    }

    /// Returns true if the principal has this permission on its user.
    pub fn may_as_user(&self, group: PermissionGroup) -> bool {
        self.may(group, Place::User(self.token.record.user))
    }

    /// Returns the accounts and zones on which the principal has this permission; `None` without
    /// the permission anywhere. A permission on accounts ignores the fields about zones.
    pub fn places_of(&self, group: PermissionGroup) -> Option<Visible> {
        visible(&self.token.record.policies, group)
    }

    /// Returns the visible part of a list that needs `P`; `None` without that permission anywhere.
    pub fn visible<P: Permission>(&self) -> Option<Visible> {
        visible(&self.token.record.policies, P::GROUP)
    }

    /// Returns true if the principal has every permission of the user, from anywhere and forever.
    pub(crate) fn may_do_everything(&self) -> bool {
        let user = Resource::User(self.token.record.user);
        let everywhere = |group: PermissionGroup| match group.scope() {
            Scope::User => self.may_grant(group, user, None),
            Scope::Account | Scope::Zone => self.may_grant(group, Resource::AllAccounts, None),
        };
        PermissionGroup::ALL.into_iter().all(everywhere)
            && self.may_pass_limits_on(&[], &[], None)
            && self.token.record.issuance_rules == StoredRules::Absent
    }

    /// Returns true if the principal has `group` on `resource` itself, so that it can grant it.
    /// `zones_of` is the account of a resource that is a zone, if it is known.
    pub(crate) fn may_grant(
        &self,
        group: PermissionGroup,
        resource: Resource,
        zones_of: Option<AccountId>,
    ) -> bool {
        allow_grant(&self.token.record.policies, group, resource, zones_of)
    }

    /// Returns true if a token with these limits could do nothing that the principal's own limits
    /// forbid.
    pub(crate) fn may_pass_limits_on(
        &self,
        allowed: &[AddressBlock],
        refused: &[AddressBlock],
        expires_on: Option<Timestamp>,
    ) -> bool {
        let own = &*self.token;
        let (allowed, refused) = (networks(allowed), networks(refused));
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

    /// Returns true if a token with these rules could issue no certificate that the principal's own
    /// rules forbid. `is_own`: it is the principal's own token.
    pub(crate) fn may_pass_rules_on(&self, rules: &StoredRules, is_own: bool) -> bool {
        let counted = match is_own {
            true => Counted::Together,
            false => Counted::Apart,
        };
        match (&self.token.record.issuance_rules, rules) {
            // Nothing is issued under corrupt rules.
            (StoredRules::Absent, _) | (_, StoredRules::Corrupt(_)) => true,
            (StoredRules::Known(own), StoredRules::Known(rules)) => rules.is_within(own, counted),
            (_, StoredRules::Absent) | (StoredRules::Corrupt(_), StoredRules::Known(_)) => false,
        }
    }

    pub(super) fn may(&self, needed: PermissionGroup, place: Place) -> bool {
        allows(&self.token.record.policies, needed, place)
    }
}

impl CachedToken {
    pub(super) fn new(record: TokenRecord) -> Self {
        Self {
            allowed: networks(&record.allowed_addresses),
            refused: networks(&record.refused_addresses),
            record,
        }
    }

    /// Returns the token that an API key stands for. Its ID is the user's, which no token has.
    pub(super) fn of_api_key(user: &UserRecord, hash: TokenHash) -> Self {
        let id = TokenId::from_bytes(*user.id.as_bytes());
        let record = token_with_everything(id, user, "API key", hash, String::new());
        Self::new(record)
    }

    /// Returns true if the token is active at `now` and permits requests from `address`.
    pub(super) fn is_valid(&self, now: Timestamp, address: Option<IpAddr>) -> bool {
        let record = &self.record;
        let in_time = record.not_before.is_none_or(|from| from <= now)
            && record.expires_on.is_none_or(|end| now < end);
        record.state == TokenState::Active && in_time && self.permits(address)
    }

    fn permits(&self, address: Option<IpAddr>) -> bool {
        let Some(address) = address.map(|address| address.to_canonical()) else {
            return self.record.allowed_addresses.is_empty()
                && self.record.refused_addresses.is_empty();
        };
        // An allowed block that cannot be read permits no address. A refused block that cannot be
        // read refuses every address.
        let anywhere = self.record.allowed_addresses.is_empty();
        (anywhere || self.allowed.iter().any(|block| block.contains(&address)))
            && self.refused.len() == self.record.refused_addresses.len()
            && !self.refused.iter().any(|block| block.contains(&address))
    }
}

/// Returns a token with every permission of the user on everything.
pub(crate) fn token_with_everything(
    id: TokenId,
    user: &UserRecord,
    name: &str,
    hash: TokenHash,
    policy_id: String,
) -> TokenRecord {
    let policy = Policy {
        id: policy_id,
        effect: Effect::Allow,
        permission_groups: PermissionGroup::ALL.to_vec(),
        resources: vec![Resource::AllAccounts, Resource::User(user.id)],
    };
    TokenRecord {
        id,
        user: user.id,
        account: None,
        name: name.to_owned(),
        hash,
        state: TokenState::Active,
        policies: vec![policy],
        allowed_addresses: Vec::new(),
        refused_addresses: Vec::new(),
        issuance_rules: StoredRules::Absent,
        not_before: None,
        expires_on: None,
        issued_on: user.created_on,
        modified_on: user.created_on,
        last_used_on: None,
    }
}

fn networks(blocks: &[AddressBlock]) -> Vec<IpNet> {
    blocks
        .iter()
        .filter_map(|block| IpNet::new(block.address, block.prefix_length).ok())
        .collect()
}
