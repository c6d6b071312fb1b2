use std::collections::HashMap;
use std::sync::Mutex;

use certgate_model::{Timestamp, TokenId, lock};

/// Counts the requests of each token in the current minute of the clock.
pub(crate) struct RateLimiter {
    minute: Mutex<(Timestamp, HashMap<TokenId, u32>)>,
}

impl RateLimiter {
    pub(crate) fn new() -> Self {
        Self {
            minute: Mutex::new((Timestamp::from_unix(0), HashMap::new())),
        }
    }

    /// Counts one request. Above the limit of `per_minute`, returns the seconds until the next
    /// minute.
    pub(crate) fn count(&self, token: TokenId, per_minute: u32, now: Timestamp) -> Result<(), u32> {
        let this_minute = now.cut_to_minute();
        let mut guard = lock(&self.minute);
        let (minute, counts) = &mut *guard;
        if *minute != this_minute {
            *minute = this_minute;
            // Only known tokens are counted, so the map is at most as large as the list of tokens.
            counts.clear();
        }
        let count = counts.entry(token).or_default();
        if *count >= per_minute {
            let left = now.until(this_minute.plus_seconds(60)).duration();
            return Err(u32::try_from(left.as_millis().div_ceil(1000)).unwrap_or(60));
        }
        *count += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_token_has_its_own_minute() {
        let limiter = RateLimiter::new();
        let (a, b) = (TokenId::from_bytes([1; 16]), TokenId::from_bytes([2; 16]));
        let now = Timestamp::from_unix(1_700_000_045); // 5 seconds into a minute
        assert_eq!(limiter.count(a, 2, now), Ok(()));
        assert_eq!(limiter.count(a, 2, now), Ok(()));
        assert_eq!(limiter.count(a, 2, now), Err(55));
        assert_eq!(limiter.count(b, 2, now), Ok(()));
        assert_eq!(limiter.count(a, 2, now.plus_seconds(55)), Ok(()));
    }
}
