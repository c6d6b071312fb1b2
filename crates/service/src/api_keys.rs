use std::fmt;
use std::sync::Arc;

use certgate_model::{Random, TokenHash};
use zeroize::Zeroizing;

use crate::access::{Access, ManageTokens, UserScope, token_hash};
use crate::environment::Environment;
use crate::error::{Fault, TokenError};

/// Length of a key, in hexadecimal digits: 256 random bits. A plain hash is safe to store from 240
/// bits on.
const KEY_DIGITS: usize = 64;

/// The API key of a user. Only its creator sees it, once.
pub struct ApiKey(Zeroizing<String>);

impl ApiKey {
    fn generate(random: &dyn Random) -> Self {
        let mut bytes = Zeroizing::new([0; KEY_DIGITS]);
        random.fill(&mut *bytes);
        let digit = |byte: &u8| char::from(b"0123456789abcdef"[usize::from(byte & 15)]);
        Self(Zeroizing::new(bytes.iter().map(digit).collect()))
    }

    /// Returns the key, for the one answer that shows it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey(…)")
    }
}

/// API keys of users: one secret with every permission, for clients that support only e-mail
/// address and key.
pub struct ApiKeys {
    pub(crate) environment: Environment,
    pub(crate) access: Arc<Access>,
}

impl ApiKeys {
    /// Gives the user an API key. An earlier key stops working immediately.
    pub async fn create(&self, scope: &UserScope<ManageTokens>) -> Result<ApiKey, TokenError> {
        let key = ApiKey::generate(&*self.environment.random);
        self.replace(scope, Some(token_hash(key.expose()))).await?;
        let by = scope.caller().principal().token().id;
        tracing::info!(user = %scope.user().id, %by, "API key made");
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
