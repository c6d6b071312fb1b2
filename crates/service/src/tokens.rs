//! Making, changing and deleting API tokens.

use std::fmt;

use certgate_model::{
    AddressBlock, Effect, Policy, Random, Resource, Timestamp, TokenId, TokenRecord, TokenState,
};
use zeroize::Zeroizing;

use crate::access::{ManageTokens, UserScope, token_hash};
use crate::tenants::checked_name;
use crate::{Authority, TokenError};

/// How many policies a token can have, and how many permission groups and resources each of them.
const POLICIES_MAX: usize = 100;

/// How many address blocks a token can allow, and how many it can refuse.
const ADDRESS_BLOCKS_MAX: usize = 100;

/// The characters of a token value: those of unpadded base64url (RFC 4648 §5), 6 random bits each.
const VALUE_ALPHABET: &[u8; 64] =
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Length of a token value, in characters: 240 random bits.
const VALUE_CHARACTERS: usize = 40;

/// The secret value of a token. Seen once, by whoever made it.
pub struct TokenValue(Zeroizing<String>);

impl TokenValue {
    pub(crate) fn generate(random: &dyn Random) -> Self {
        let mut bytes = Zeroizing::new([0; VALUE_CHARACTERS]);
        random.fill(&mut *bytes);
        let character = |byte: &u8| char::from(VALUE_ALPHABET[usize::from(byte & 63)]);
        Self(Zeroizing::new(bytes.iter().map(character).collect()))
    }

    /// The value, for the one answer that shows it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for TokenValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenValue(…)")
    }
}

/// What a token shall be; for a new one or to replace an old one's members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenDraft {
    /// Its name.
    pub name: String,
    /// Whether it is switched on.
    pub state: TokenState,
    /// What it may do; ids of policies are given anew where empty.
    pub policies: Vec<Policy>,
    /// Addresses it may come from; empty is anywhere.
    pub allowed_addresses: Vec<AddressBlock>,
    /// Addresses it must not come from.
    pub refused_addresses: Vec<AddressBlock>,
    /// Not valid before.
    pub not_before: Option<Timestamp>,
    /// Not valid from this instant on.
    pub expires_on: Option<Timestamp>,
}

impl Authority {
    /// Makes a token. It cannot grant what the caller does not have.
    pub async fn create_token(
        &self,
        scope: &UserScope<ManageTokens>,
        draft: TokenDraft,
    ) -> Result<(TokenRecord, TokenValue), TokenError> {
        let draft = self.checked(scope, draft)?;
        let now = self.clock.now();
        let value = TokenValue::generate(&*self.random);
        let record = TokenRecord {
            id: TokenId::time_ordered(now, &*self.random),
            user: scope.user().id,
            name: draft.name,
            hash: token_hash(value.expose()),
            state: draft.state,
            policies: draft.policies,
            allowed_addresses: draft.allowed_addresses,
            refused_addresses: draft.refused_addresses,
            not_before: draft.not_before,
            expires_on: draft.expires_on,
            issued_on: now,
            modified_on: now,
            last_used_on: None,
        };
        self.store
            .record_token(record.clone(), scope.by(now))
            .await?;
        tracing::info!(token = %record.id, by = %scope.principal().token().id, "API token made");
        Ok((record, value))
    }

    /// Replaces what a token may do; its value stays.
    pub async fn update_token(
        &self,
        scope: &UserScope<ManageTokens>,
        id: TokenId,
        draft: TokenDraft,
    ) -> Result<TokenRecord, TokenError> {
        let draft = self.checked(scope, draft)?;
        self.replace_token(scope, id, |old| TokenRecord {
            name: draft.name.clone(),
            state: draft.state,
            policies: draft.policies.clone(),
            allowed_addresses: draft.allowed_addresses.clone(),
            refused_addresses: draft.refused_addresses.clone(),
            not_before: draft.not_before,
            expires_on: draft.expires_on,
            modified_on: self.clock.now(),
            ..old
        })
        .await
    }

    /// Gives a token a new value; the old one stops working.
    pub async fn roll_token(
        &self,
        scope: &UserScope<ManageTokens>,
        id: TokenId,
    ) -> Result<TokenValue, TokenError> {
        let value = TokenValue::generate(&*self.random);
        let hash = token_hash(value.expose());
        self.replace_token(scope, id, |old| TokenRecord {
            hash,
            modified_on: self.clock.now(),
            ..old
        })
        .await?;
        Ok(value)
    }

    /// Deletes a token; it stops working at once.
    pub async fn delete_token(
        &self,
        scope: &UserScope<ManageTokens>,
        id: TokenId,
    ) -> Result<(), TokenError> {
        let record = self.weaker_token(scope, id).await?;
        let deleted = self
            .store
            .delete_token(record.id, scope.by(self.clock.now()))
            .await?;
        self.tokens.clear();
        if !deleted {
            return Err(TokenError::NotFound);
        }
        tracing::info!(token = %record.id, by = %scope.principal().token().id, "API token deleted");
        Ok(())
    }

    /// The token, if it is the user's and can do nothing that the caller's own token cannot: otherwise whoever may manage
    /// tokens could take over, or lock out, whoever may do more.
    async fn weaker_token(
        &self,
        scope: &UserScope<ManageTokens>,
        id: TokenId,
    ) -> Result<TokenRecord, TokenError> {
        let token = self
            .store
            .token(id)
            .await?
            .filter(|token| token.user == scope.user().id);
        let token = token.ok_or(TokenError::NotFound)?;
        may_grant_all(scope, &token.policies)?;
        within_own_limits(
            scope,
            &token.allowed_addresses,
            &token.refused_addresses,
            token.expires_on,
        )?;
        Ok(token)
    }

    /// Changes a token as it is now; if somebody else changes it meanwhile, as it is then.
    async fn replace_token(
        &self,
        scope: &UserScope<ManageTokens>,
        id: TokenId,
        change: impl Fn(TokenRecord) -> TokenRecord,
    ) -> Result<TokenRecord, TokenError> {
        loop {
            let old = self.weaker_token(scope, id).await?;
            let new = change(old.clone());
            let replaced = self
                .store
                .replace_token(old, new.clone(), scope.by(self.clock.now()))
                .await?;
            self.tokens.clear();
            if replaced {
                return Ok(new);
            }
        }
    }

    fn checked(
        &self,
        scope: &UserScope<ManageTokens>,
        mut draft: TokenDraft,
    ) -> Result<TokenDraft, TokenError> {
        let invalid = |pointer: &str, reason: String| {
            Err(TokenError::Invalid {
                pointer: pointer.to_owned(),
                reason,
            })
        };
        draft.name = match checked_name(&draft.name) {
            Ok(name) => name,
            Err(reason) => return invalid("/name", reason),
        };
        if draft.policies.is_empty() {
            return invalid("/policies", "a token needs at least one policy".to_owned());
        }
        if draft.policies.len() > POLICIES_MAX {
            return invalid("/policies", format!("use at most {POLICIES_MAX} policies"));
        }
        for (index, policy) in draft.policies.iter_mut().enumerate() {
            for (member, count) in [
                ("permission_groups", policy.permission_groups.len()),
                ("resources", policy.resources.len()),
            ] {
                if !(1..=POLICIES_MAX).contains(&count) {
                    let reason = format!("there are {count} {member}: use 1 to {POLICIES_MAX}");
                    return invalid(&format!("/policies/{index}/{member}"), reason);
                }
            }
            if policy.id.is_empty() {
                policy.id = new_policy_id(self.clock.now(), &*self.random);
            }
        }
        for (member, blocks) in [
            ("in", &draft.allowed_addresses),
            ("not_in", &draft.refused_addresses),
        ] {
            if blocks.len() > ADDRESS_BLOCKS_MAX {
                let reason = format!("use at most {ADDRESS_BLOCKS_MAX} address blocks");
                return invalid(&format!("/condition/request.ip/{member}"), reason);
            }
        }
        if let (Some(from), Some(end)) = (draft.not_before, draft.expires_on)
            && end <= from
        {
            return invalid(
                "/expires_on",
                format!("{end} is not after not_before, {from}"),
            );
        }
        may_grant_all(scope, &draft.policies)?;
        within_own_limits(
            scope,
            &draft.allowed_addresses,
            &draft.refused_addresses,
            draft.expires_on,
        )?;
        Ok(draft)
    }
}

fn within_own_limits(
    scope: &UserScope<ManageTokens>,
    allowed: &[AddressBlock],
    refused: &[AddressBlock],
    expires_on: Option<Timestamp>,
) -> Result<(), TokenError> {
    if scope
        .principal()
        .may_pass_limits_on(allowed, refused, expires_on)
    {
        return Ok(());
    }
    Err(TokenError::ExceedsOwn(
        "its own addresses and the end of its own validity must hold there too".to_owned(),
    ))
}

fn may_grant_all(scope: &UserScope<ManageTokens>, policies: &[Policy]) -> Result<(), TokenError> {
    for policy in policies
        .iter()
        .filter(|policy| policy.effect == Effect::Allow)
    {
        for group in &policy.permission_groups {
            for resource in &policy.resources {
                if !scope.principal().may_grant(*group, *resource) {
                    let zones = if matches!(resource, Resource::ZonesOfAccount(_)) {
                        " (its zones)"
                    } else {
                        ""
                    };
                    return Err(TokenError::ExceedsOwn(format!(
                        "{} on {resource}{zones}",
                        group.name()
                    )));
                }
            }
        }
    }
    Ok(())
}

pub(crate) fn new_policy_id(now: Timestamp, random: &dyn Random) -> String {
    // Any unique 32 hex digits do; a token's id has that form.
    TokenId::time_ordered(now, random).to_string()
}
