use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex};

use certgate_model::lock;

/// The most uses of something at the same time: of one key, such as an account, and in total.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShareLimits {
    /// Of one key.
    pub each: usize,
    /// Of all keys.
    pub total: usize,
}

/// Uses of something that keys share, such as streams of accounts.
pub struct Shares<K: Eq + Hash> {
    limits: ShareLimits,
    used: Mutex<Used<K>>,
}

struct Used<K> {
    of_keys: HashMap<K, usize>,
    total: usize,
}

/// A use, until it is dropped.
pub struct Share<K: Eq + Hash> {
    shares: Arc<Shares<K>>,
    key: K,
}

/// The reached limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShareReached {
    /// That of the key.
    Each(usize),
    /// That of all keys.
    Total(usize),
}

impl<K: Eq + Hash + Copy> Shares<K> {
    /// Returns shares without a use.
    pub fn new(limits: ShareLimits) -> Arc<Self> {
        Arc::new(Self {
            limits,
            used: Mutex::new(Used {
                of_keys: HashMap::new(),
                total: 0,
            }),
        })
    }

    /// Begins a use, unless that would exceed a limit.
    pub fn begin(self: &Arc<Self>, key: K) -> Result<Share<K>, ShareReached> {
        let ShareLimits { each, total } = self.limits;
        let mut used = lock(&self.used);
        if used.of_keys.get(&key).is_some_and(|count| *count >= each) {
            return Err(ShareReached::Each(each));
        }
        if used.total >= total {
            return Err(ShareReached::Total(total));
        }
        used.total += 1;
        *used.of_keys.entry(key).or_default() += 1;
        Ok(Share {
            shares: self.clone(),
            key,
        })
    }
}

impl<K: Eq + Hash> Drop for Share<K> {
    fn drop(&mut self) {
        let mut used = lock(&self.shares.used);
        used.total -= 1;
        // The map holds keys with a use only, so that it stays small.
        if let Some(count) = used.of_keys.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                used.of_keys.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limits_of_a_key_and_of_all_keys_hold_until_uses_end() {
        let shares = Shares::new(ShareLimits { each: 2, total: 3 });
        let first = shares.begin('a').ok();
        let second = shares.begin('a').ok();
        assert!(first.is_some() && second.is_some());
        assert_eq!(shares.begin('a').err(), Some(ShareReached::Each(2)));
        let third = shares.begin('b').ok();
        assert!(third.is_some());
        assert_eq!(shares.begin('c').err(), Some(ShareReached::Total(3)));
        drop(first);
        let again = shares.begin('a').ok();
        assert!(again.is_some());
        assert_eq!(shares.begin('a').err(), Some(ShareReached::Each(2)));
        drop((second, third, again));
        let used = lock(&shares.used);
        assert!(used.total == 0 && used.of_keys.is_empty());
    }
}
