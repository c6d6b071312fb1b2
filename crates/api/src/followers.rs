//! The limits of clients that follow changes: of streams, and of requests that wait for a change.

use std::sync::Arc;

use certgate_model::{AccountId, TokenId};
use certgate_service::{AccountScope, FollowRevocations, Share, ShareLimits, ShareReached, Shares};

use crate::error::ApiError;

/// The most streams and waiting requests of a token. A follower needs one, and should have a token
/// of its own.
const FOLLOWERS_PER_TOKEN_MAX: usize = 100;

/// The most streams and waiting requests of an account.
const FOLLOWERS_PER_ACCOUNT_MAX: usize = 1_000;

/// Followers hold connections. The rest, 1 / 4, stays for other requests.
const CONNECTIONS_FOR_OTHERS: usize = 4;

/// The clients that follow changes.
pub(crate) struct Followers {
    of_tokens: Arc<Shares<TokenId>>,
    of_accounts: Arc<Shares<AccountId>>,
}

/// The place of a stream or a waiting request.
pub(crate) struct FollowerPlace {
    _of_token: Share<TokenId>,
    _of_account: Share<AccountId>,
}

impl Followers {
    pub(crate) fn new(connections_max: usize) -> Self {
        let total = (connections_max - connections_max / CONNECTIONS_FOR_OTHERS).max(1);
        Self {
            of_tokens: Shares::new(ShareLimits {
                each: FOLLOWERS_PER_TOKEN_MAX,
                total,
            }),
            of_accounts: Shares::new(ShareLimits {
                each: FOLLOWERS_PER_ACCOUNT_MAX,
                // Each place is also one of a token, which counts it.
                total: usize::MAX,
            }),
        }
    }

    /// Reserves a place for the caller.
    pub(crate) fn begin(
        &self,
        scope: &AccountScope<FollowRevocations>,
    ) -> Result<FollowerPlace, ApiError> {
        let token = scope.caller().principal().token().id;
        let of_token = self.of_tokens.begin(token);
        let of_token = of_token.map_err(|reached| too_many("This token", reached))?;
        let of_account = self.of_accounts.begin(scope.account().id);
        let of_account = of_account.map_err(|reached| too_many("The account", reached))?;
        Ok(FollowerPlace {
            _of_token: of_token,
            _of_account: of_account,
        })
    }
}

fn too_many(key: &str, reached: ShareReached) -> ApiError {
    let message = match reached {
        ShareReached::Each(max) => format!(
            "{key} has {max} streams and waiting requests open, the maximum: ask for \
             revocation_changes without wait_seconds, or try again later"
        ),
        ShareReached::Total(max) => format!(
            "All {max} streams and waiting requests of the server are open: ask for \
             revocation_changes without wait_seconds, or try again later"
        ),
    };
    ApiError::too_many(message)
}
