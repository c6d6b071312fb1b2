//! Tokens for an operator on the server's machine, who has the master key and no token.

use certgate_model::{
    Actor, AddressBlock, By, Clock, Direction, Effect, Join, PermissionGroup, Policy, Random,
    Resource, Scope, Slice, StoredRules, TextMatch, Timestamp, TokenId, TokenRecord, TokenState,
    Visible, ZoneFilter, ZoneId, ZoneOrder,
};
use certgate_store::Store;

use crate::access::token_hash;
use crate::error::{Fault, TokenError};
use crate::generated_secret::GeneratedSecret;
use crate::master_key::MasterKey;
use crate::names::checked_name;
use crate::token_draft::new_policy_id;

/// A token to create without a credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfflineToken {
    /// Its name.
    pub name: String,
    /// Its permissions.
    pub permissions: Vec<PermissionGroup>,
    /// The zones of its zone permissions, by name or ID. Empty: every zone.
    pub zones: Vec<String>,
    /// The addresses from which callers may use it. Empty: all addresses.
    pub allowed_addresses: Vec<AddressBlock>,
    /// The end of its validity.
    pub expires_on: Option<Timestamp>,
}

impl OfflineToken {
    /// Creates the token in the store of the installation that has this master key. The audit log
    /// names no token as its author.
    pub async fn create(
        self,
        store: &dyn Store,
        master_key: &MasterKey,
        clock: &dyn Clock,
        random: &dyn Random,
    ) -> Result<(TokenRecord, GeneratedSecret), TokenError> {
        let installation = store.installation().await?;
        if !installation.is_some_and(|found| master_key.opens_check(&found.master_key_check)) {
            return Err(TokenError::WrongMasterKey);
        }
        let user = store.user().await?;
        let user = user.ok_or_else(|| Fault::Internal("the installation has no user".into()))?;
        let name = checked_name(&self.name).map_err(|reason| TokenError::Invalid {
            pointer: "/name".to_owned(),
            reason,
        })?;
        let now = clock.now();
        let mut zones = Vec::new();
        for zone in &self.zones {
            zones.push(Resource::Zone(named_zone(store, zone).await?));
        }
        let policy = |scope: Scope| {
            let groups = self.permissions.iter().copied();
            let permission_groups: Vec<_> = groups.filter(|one| one.scope() == scope).collect();
            let resources = match scope {
                Scope::Zone if !zones.is_empty() => zones.clone(),
                Scope::Zone => vec![Resource::AllZones],
                Scope::Account => vec![Resource::AllAccounts],
                Scope::User => vec![Resource::User(user.id)],
            };
            (!permission_groups.is_empty()).then(|| Policy {
                id: new_policy_id(now, random),
                effect: Effect::Allow,
                permission_groups,
                resources,
            })
        };
        let value = GeneratedSecret::token_value(random);
        let scopes = [Scope::Account, Scope::Zone, Scope::User];
        let record = TokenRecord {
            id: TokenId::time_ordered(now, random),
            user: user.id,
            account: None,
            name,
            hash: token_hash(value.expose()),
            state: TokenState::Active,
            policies: scopes.into_iter().filter_map(policy).collect(),
            allowed_addresses: self.allowed_addresses.clone(),
            refused_addresses: Vec::new(),
            issuance_rules: StoredRules::Absent,
            not_before: None,
            expires_on: self.expires_on,
            issued_on: now,
            modified_on: now,
            last_used_on: None,
        };
        let by = By {
            actor: Actor::Offline,
            address: None,
            at: now,
        };
        store.record_token(record.clone(), by).await?;
        tracing::warn!(token = %record.id, name = record.name, "API token created offline");
        Ok((record, value))
    }
}

/// Returns the zone with this name or ID.
async fn named_zone(store: &dyn Store, text: &str) -> Result<ZoneId, TokenError> {
    if let Ok(id) = text.parse::<ZoneId>()
        && store.zone(id).await?.is_some()
    {
        return Ok(id);
    }
    let filter = ZoneFilter {
        visible: Visible {
            all: true,
            ..Visible::default()
        },
        name: Some(TextMatch::Equal(text.to_owned())),
        account: None,
        account_name: None,
        join: Join::All,
        order: ZoneOrder::Name,
        direction: Direction::Ascending,
    };
    let page = store.zones(&filter, Slice { first: 0, size: 1 }).await?;
    let found = page.items.first().map(|zone| zone.id);
    found.ok_or_else(|| TokenError::Invalid {
        pointer: "/zones".to_owned(),
        reason: format!("cannot find the zone {text:?}: use the name or the ID of a zone"),
    })
}
