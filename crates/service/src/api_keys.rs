use std::sync::Arc;

use certgate_model::TokenHash;

use crate::access::{Access, ManageTokens, UserScope, token_hash};
use crate::environment::Environment;
use crate::error::{Fault, TokenError};
use crate::generated_secret::GeneratedSecret;

/// API keys of users: one secret with every permission, for clients that support only e-mail
/// address and key.
pub struct ApiKeys {
    pub(crate) environment: Environment,
    pub(crate) access: Arc<Access>,
}

impl ApiKeys {
    /// Gives the user an API key. An earlier key stops working immediately.
    pub async fn create(
        &self,
        scope: &UserScope<ManageTokens>,
    ) -> Result<GeneratedSecret, TokenError> {
        let key = GeneratedSecret::api_key(&*self.environment.random);
        self.replace(scope, Some(token_hash(key.expose()))).await?;
        let by = scope.caller().principal().token().id;
        tracing::info!(user = %scope.user().id, %by, "API key created");
        Ok(key)
    }

    /// Removes the user's API key, if it has one. The key stops working immediately.
    pub async fn delete(&self, scope: &UserScope<ManageTokens>) -> Result<(), TokenError> {
        self.replace(scope, None).await?;
        let by = scope.caller().principal().token().id;
        tracing::info!(user = %scope.user().id, %by, "API key deleted");
        Ok(())
    }

    async fn replace(
        &self,
        scope: &UserScope<ManageTokens>,
        hash: Option<TokenHash>,
    ) -> Result<(), TokenError> {
        if !scope.caller().principal().may_do_everything() {
            return Err(TokenError::NotEverything);
        }
        let (user, by) = (scope.user().id, scope.by(self.environment.now()));
        let store = &self.environment.store;
        let replaced = store.replace_api_key(user, hash, by).await;
        self.access.api_keys_changed();
        match replaced? {
            true => Ok(()),
            false => Err(Fault::Internal("the user was deleted".to_owned()).into()),
        }
    }
}
