use std::sync::Arc;

use certgate_model::{TokenId, TokenRecord};

use crate::access::{Access, ManageTokens, UserScope, token_hash};
use crate::environment::Environment;
use crate::error::TokenError;
use crate::generated_secret::GeneratedSecret;
use crate::token_draft::{TokenDraft, check_is_weaker};

/// API tokens.
pub struct Tokens {
    pub(crate) environment: Environment,
    pub(crate) access: Arc<Access>,
}

impl Tokens {
    /// Creates a token. It grants at most the permissions of the caller.
    pub async fn create(
        &self,
        scope: &UserScope<ManageTokens>,
        draft: TokenDraft,
    ) -> Result<(TokenRecord, GeneratedSecret), TokenError> {
        let Environment { store, random, .. } = &self.environment;
        let now = self.environment.now();
        let draft = draft.checked(scope, now, &**random)?;
        let value = GeneratedSecret::token_value(&**random);
        let record = TokenRecord {
            id: TokenId::time_ordered(now, &**random),
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
        store.record_token(record.clone(), scope.by(now)).await?;
        let by = scope.caller().principal().token().id;
        tracing::info!(token = %record.id, %by, "API token created");
        Ok((record, value))
    }

    /// Replaces the changeable members of a token. Its value stays the same.
    pub async fn update(
        &self,
        scope: &UserScope<ManageTokens>,
        id: TokenId,
        draft: TokenDraft,
    ) -> Result<TokenRecord, TokenError> {
        let now = self.environment.now();
        let draft = draft.checked(scope, now, &*self.environment.random)?;
        self.replace(scope, id, |old| TokenRecord {
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
        scope: &UserScope<ManageTokens>,
        id: TokenId,
    ) -> Result<GeneratedSecret, TokenError> {
        let value = GeneratedSecret::token_value(&*self.environment.random);
        let hash = token_hash(value.expose());
        self.replace(scope, id, |old| TokenRecord {
            hash,
            modified_on: self.environment.now(),
            ..old
        })
        .await?;
        Ok(value)
    }

    /// Deletes a token. It stops working immediately.
    pub async fn delete(
        &self,
        scope: &UserScope<ManageTokens>,
        id: TokenId,
    ) -> Result<(), TokenError> {
        let record = self.weaker_token(scope, id).await?;
        let by = scope.by(self.environment.now());
        let deleted = self.environment.store.delete_token(record.id, by).await?;
        self.access.tokens_changed();
        if !deleted {
            return Err(TokenError::NotFound);
        }
        let by = scope.caller().principal().token().id;
        tracing::info!(token = %record.id, %by, "API token deleted");
        Ok(())
    }

    /// Returns the token if it belongs to the user and exceeds the caller's own token in nothing.
    /// Otherwise a caller with permission to manage tokens could take over, or lock out, a token
    /// with more permissions.
    async fn weaker_token(
        &self,
        scope: &UserScope<ManageTokens>,
        id: TokenId,
    ) -> Result<TokenRecord, TokenError> {
        let token = self.environment.store.token(id).await?;
        let token = token.filter(|token| token.user == scope.user().id);
        let token = token.ok_or(TokenError::NotFound)?;
        check_is_weaker(
            scope,
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
        scope: &UserScope<ManageTokens>,
        id: TokenId,
        change: impl Fn(TokenRecord) -> TokenRecord,
    ) -> Result<TokenRecord, TokenError> {
        let store = &self.environment.store;
        loop {
            let old = self.weaker_token(scope, id).await?;
            let new = change(old.clone());
            let by = scope.by(self.environment.now());
            let replaced = store.replace_token(old, new.clone(), by).await?;
            self.access.tokens_changed();
            if replaced {
                return Ok(new);
            }
        }
    }
}
