use std::sync::Arc;

use certgate_model::{
    Direction, PermissionGroup, Place, Resource, Slice, TokenId, TokenRecord, TokenState, allows,
};

use crate::access::{Access, token_hash};
use crate::environment::Environment;
use crate::error::TokenError;
use crate::generated_secret::GeneratedSecret;
use crate::token_draft::{TokenDraft, TokenOwner, check_is_weaker, check_rules, not_of_account};

/// Number of tokens that are read at a time.
const TOKENS_READ: u32 = 100;

/// The treatment of the last token that can create tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LastToken {
    /// It cannot be deleted, disabled or limited.
    Protected,
    /// The caller has confirmed the change.
    Confirmed,
}

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
            issuance_rules: draft.issuance_rules.unwrap_or_default(),
            not_before: draft.not_before,
            expires_on: draft.expires_on,
            issued_on: now,
            modified_on: now,
            last_used_on: None,
        };
        check_rules(owner, &record)?;
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
        last: LastToken,
    ) -> Result<TokenRecord, TokenError> {
        let now = self.environment.now();
        self.check_zones(owner, &draft).await?;
        let draft = draft.checked(owner, now, &*self.environment.random)?;
        self.replace(owner, id, last, |old| TokenRecord {
            name: draft.name.clone(),
            state: draft.state,
            policies: draft.policies.clone(),
            allowed_addresses: draft.allowed_addresses.clone(),
            refused_addresses: draft.refused_addresses.clone(),
            issuance_rules: match &draft.issuance_rules {
                Some(rules) => rules.clone(),
                None => old.issuance_rules.clone(),
            },
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
        self.replace(owner, id, LastToken::Protected, |old| TokenRecord {
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
        owner: TokenOwner<'_>,
        id: TokenId,
        last: LastToken,
    ) -> Result<(), TokenError> {
        let record = self.weaker_token(owner, id).await?;
        if last == LastToken::Protected {
            self.check_not_last(&record, None).await?;
        }
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

    /// Checks that a user's token can create tokens without this one. `after` is the token after
    /// the change; `None`: it is deleted.
    async fn check_not_last(
        &self,
        before: &TokenRecord,
        after: Option<&TokenRecord>,
    ) -> Result<(), TokenError> {
        let now = self.environment.now();
        let creates = |token: &TokenRecord| {
            token.account.is_none()
                && token.state == TokenState::Active
                && token.not_before.is_none_or(|from| from <= now)
                && token.expires_on.is_none_or(|end| now < end)
                && allows(
                    &token.policies,
                    PermissionGroup::ApiTokensWrite,
                    Place::User(token.user),
                )
        };
        let lasts = |token: &TokenRecord| token.expires_on.is_none();
        let loses_use = creates(before) && !after.is_some_and(creates);
        let gets_end = creates(before) && lasts(before) && !after.is_some_and(lasts);
        if !loses_use && !gets_end {
            return Ok(());
        }
        let mut first = 0;
        loop {
            let slice = Slice {
                first,
                size: TOKENS_READ,
            };
            let store = &self.environment.store;
            let page = store.tokens(None, Direction::Ascending, slice).await?;
            let mut others = page.items.iter().filter(|token| token.id != before.id);
            if others.any(|other| creates(other) && (lasts(other) || !lasts(before))) {
                return Ok(());
            }
            first += u64::from(TOKENS_READ);
            if first >= page.total {
                return Err(TokenError::LastOne);
            }
        }
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
        check_rules(owner, &token)?;
        Ok(token)
    }

    /// Changes the current record of a token, again if another request changes it meanwhile.
    async fn replace(
        &self,
        owner: TokenOwner<'_>,
        id: TokenId,
        last: LastToken,
        change: impl Fn(TokenRecord) -> TokenRecord,
    ) -> Result<TokenRecord, TokenError> {
        let store = &self.environment.store;
        loop {
            let old = self.weaker_token(owner, id).await?;
            let new = change(old.clone());
            check_rules(owner, &new)?;
            if last == LastToken::Protected {
                self.check_not_last(&old, Some(&new)).await?;
            }
            let by = owner.caller().by(self.environment.now());
            let replaced = store.replace_token(old, new.clone(), by).await?;
            self.access.tokens_changed();
            if replaced {
                return Ok(new);
            }
        }
    }
}
