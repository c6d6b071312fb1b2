//! A user's API key: one secret that may do everything, for clients that know nothing better than e-mail and key.

use std::fmt;

use certgate_model::Random;
use zeroize::Zeroizing;

use crate::access::{ManageTokens, UserScope, token_hash};
use crate::{Authority, Fault, TokenError};

/// Length of a key, in hexadecimal digits: 256 random bits, more than the 240 for which a plain hash is enough to store.
const KEY_DIGITS: usize = 64;

/// A user's API key. Seen once, by whoever made it.
pub struct ApiKey(Zeroizing<String>);

impl ApiKey {
    fn generate(random: &dyn Random) -> Self {
        let mut bytes = Zeroizing::new([0; KEY_DIGITS]);
        random.fill(&mut *bytes);
        let digit = |byte: &u8| char::from(b"0123456789abcdef"[usize::from(byte & 15)]);
        Self(Zeroizing::new(bytes.iter().map(digit).collect()))
    }

    /// The key, for the one answer that shows it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey(…)")
    }
}

impl Authority {
    /// Gives the user an API key; one it had before stops working at once.
    pub async fn make_api_key(
        &self,
        scope: &UserScope<ManageTokens>,
    ) -> Result<ApiKey, TokenError> {
        if !scope.principal().may_do_everything() {
            return Err(TokenError::NotEverything);
        }
        let key = ApiKey::generate(&*self.random);
        let replaced = self
            .store
            .replace_api_key(
                scope.user().id,
                Some(token_hash(key.expose())),
                scope.by(self.clock.now()),
            )
            .await;
        self.api_keys.clear();
        if !replaced? {
            return Err(Fault::Internal("the user is gone".to_owned()).into());
        }
        tracing::info!(user = %scope.user().id, by = %scope.principal().token().id, "API key made");
        Ok(key)
    }

    /// Takes the user's API key away, if it has one; it stops working at once.
    pub async fn delete_api_key(&self, scope: &UserScope<ManageTokens>) -> Result<(), TokenError> {
        if !scope.principal().may_do_everything() {
            return Err(TokenError::NotEverything);
        }
        let deleted = self
            .store
            .replace_api_key(scope.user().id, None, scope.by(self.clock.now()))
            .await;
        self.api_keys.clear();
        if !deleted? {
            return Err(Fault::Internal("the user is gone".to_owned()).into());
        }
        tracing::info!(user = %scope.user().id, by = %scope.principal().token().id, "API key deleted");
        Ok(())
    }
}
