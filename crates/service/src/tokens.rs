use std::sync::Arc;

use certgate_model::{Resource, TokenId, TokenRecord};

use crate::access::{Access, token_hash};
use crate::environment::Environment;
use crate::error::TokenError;
use crate::generated_secret::GeneratedSecret;
use crate::token_draft::{TokenDraft, TokenOwner, check_is_weaker, not_of_account};

/// API tokens.
pub struct Tokens {
    pub(crate) environment: Environment,
    pub(crate) access: Arc<Access>,
}

impl Tokens {
    /// Creates a token. It grants at most the permissions of the caller.
    pub async fn create(
        &self,
        owner: TokenOwner<'_>,
        draft: TokenDraft,
    ) -> Result<(TokenRecord, GeneratedSecret), TokenError> {
        let Environment { store, random, .. } = &self.environment;
        let now = self.environment.now();
        self.check_zones(owner, &draft).await?;
        let draft = draft.checked(owner, now, &**random)?;
        let value = GeneratedSecret::token_value(&**random);
        let record = TokenRecord {
            id: TokenId::time_ordered(now, &**random),
            user: owner.user(),
            account: owner.account(),
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
        store
            .record_token(record.clone(), owner.caller().by(now))
            .await?;
        let by = owner.caller().principal().token().id;
        tracing::info!(token = %record.id, %by, "API token created");
        Ok((record, value))
    }

    /// Replaces the changeable members of a token. Its value stays the same.
    pub async fn update(
        &self,
        owner: TokenOwner<'_>,
        id: TokenId,
        draft: TokenDraft,
    ) -> Result<TokenRecord, TokenError> {
        let now = self.environment.now();
        self.check_zones(owner, &draft).await?;
        let draft = draft.checked(owner, now, &*self.environment.random)?;
        self.replace(owner, id, |old| TokenRecord {
            name: draft.name.clone(),
            state: draft.state,
            policies: draft.policies.clone(),
            allowed_addresses: draft.allowed_addresses.clone(),
            refused_addresses: draft.refused_addresses.clone(),
            not_before: draft.not_before,
            expires_on: draft.expires_on,
            modified_on: self.environment.now(),
            ..old
        })
        .await
    }

    /// Gives a token a new value. The old value stops working.
    pub async fn roll(
        &self,
        owner: TokenOwner<'_>,
        id: TokenId,
    ) -> Result<GeneratedSecret, TokenError> {
        let value = GeneratedSecret::token_value(&*self.environment.random);
        let hash = token_hash(value.expose());
        self.replace(owner, id, |old| TokenRecord {
            hash,
            modified_on: self.environment.now(),
            ..old
        })
        .await?;
        Ok(value)
    }

    /// Deletes a token. It stops working immediately.
    pub async fn delete(&self, owner: TokenOwner<'_>, id: TokenId) -> Result<(), TokenError> {
        let record = self.weaker_token(owner, id).await?;
        let by = owner.caller().by(self.environment.now());
        let deleted = self.environment.store.delete_token(record.id, by).await?;
        self.access.tokens_changed();
        if !deleted {
            return Err(TokenError::NotFound);
        }
        let by = owner.caller().principal().token().id;
        tracing::info!(token = %record.id, %by, "API token deleted");
        Ok(())
    }

    /// Checks that the zones of a token that an account owns belong to the account.
    async fn check_zones(
        &self,
        owner: TokenOwner<'_>,
        draft: &TokenDraft,
    ) -> Result<(), TokenError> {
        let Some(account) = owner.account() else {
            return Ok(());
        };
        for (index, policy) in draft.policies.iter().enumerate() {
            for resource in &policy.resources {
                let Resource::Zone(id) = *resource else {
                    continue;
                };
                let zone = self.environment.store.zone(id).await?;
                if zone.is_none_or(|zone| zone.account != account) {
                    return Err(not_of_account(index, *resource, account));
                }
            }
        }
        Ok(())
    }

    /// Returns the token if it belongs to the owner and exceeds the caller's own token in nothing.
    /// Otherwise a caller with permission to manage tokens could take over, or lock out, a token
    /// with more permissions.
    async fn weaker_token(
        &self,
        owner: TokenOwner<'_>,
        id: TokenId,
    ) -> Result<TokenRecord, TokenError> {
        let token = self.environment.store.token(id).await?;
        let token = token.filter(|token| owner.owns(token));
        let token = token.ok_or(TokenError::NotFound)?;
        check_is_weaker(
            owner,
            &token.policies,
            &token.allowed_addresses,
            &token.refused_addresses,
            token.expires_on,
        )?;
        Ok(token)
    }

    /// Changes the current record of a token, again if another request changes it meanwhile.
    async fn replace(
        &self,
        owner: TokenOwner<'_>,
        id: TokenId,
        change: impl Fn(TokenRecord) -> TokenRecord,
    ) -> Result<TokenRecord, TokenError> {
        let store = &self.environment.store;
        loop {
            let old = self.weaker_token(owner, id).await?;
            let new = change(old.clone());
            let by = owner.caller().by(self.environment.now());
            let replaced = store.replace_token(old, new.clone(), by).await?;
            self.access.tokens_changed();
            if replaced {
                return Ok(new);
            }
        }
    }
}
