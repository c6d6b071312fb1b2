use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Mutex;

use certgate_model::{Timestamp, lock};

/// Maximum number of wrong secrets from one address within ten minutes. Several people behind one
/// address can mistype a link.
pub const GUESSES_PER_ADDRESS_MAX: u32 = 30;

/// The time for which wrong secrets are counted, in seconds: ten minutes.
const WINDOW_SECONDS: i64 = 600;

/// Maximum number of addresses whose wrong secrets are counted. Further ones are not counted, so
/// that a flood from many addresses does not refuse other people. Ten wrong secrets lock an invite
/// from any address.
const ADDRESSES_MAX: usize = 10_000;

/// Counts the wrong secrets of each address in the current ten minutes of the clock.
pub(crate) struct Guesses {
    window: Mutex<(Timestamp, HashMap<IpAddr, u32>)>,
}

impl Guesses {
    pub(crate) fn new() -> Self {
        Self {
            window: Mutex::new((Timestamp::from_unix(0), HashMap::new())),
        }
    }

    /// Returns the seconds until the address may try again, if it has guessed too often.
    pub(crate) fn refused(&self, from: Option<IpAddr>, now: Timestamp) -> Option<u32> {
        let guard = lock(&self.window);
        let (begin, counts) = &*guard;
        let is_counted = counts.get(&network(from))? >= &GUESSES_PER_ADDRESS_MAX;
        let end = begin.plus_seconds(WINDOW_SECONDS);
        (is_counted && (*begin..end).contains(&now)).then(|| {
            let left = now.until(end).duration();
            u32::try_from(left.as_millis().div_ceil(1000)).unwrap_or(u32::MAX)
        })
    }

    /// Counts a wrong secret.
    pub(crate) fn note(&self, from: Option<IpAddr>, now: Timestamp) {
        let mut guard = lock(&self.window);
        let (begin, counts) = &mut *guard;
        if !(*begin..begin.plus_seconds(WINDOW_SECONDS)).contains(&now) {
            *begin = now;
            counts.clear();
        }
        let address = network(from);
        if counts.len() < ADDRESSES_MAX || counts.contains_key(&address) {
            let count = counts.entry(address).or_default();
            *count = count.saturating_add(1);
        }
    }
}

/// Returns the address under which a client is counted: that of its network of 64 bits for IPv6,
/// because a client can use any address there.
fn network(from: Option<IpAddr>) -> IpAddr {
    const UNKNOWN: IpAddr = IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED);
    match from.map(|address| address.to_canonical()) {
        None => UNKNOWN,
        Some(IpAddr::V6(address)) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::from([a, b, c, d, 0, 0, 0, 0])
        }
        Some(address) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_network_has_its_own_guesses() {
        let guesses = Guesses::new();
        let address = |text: &str| Some(text.parse().unwrap());
        let now = Timestamp::from_unix(1_700_000_000);
        for _ in 0..GUESSES_PER_ADDRESS_MAX {
            assert_eq!(guesses.refused(address("2001:db8::1"), now), None);
            guesses.note(address("2001:db8::1"), now);
        }
        let later = now.plus_seconds(100);
        assert_eq!(guesses.refused(address("2001:db8::2"), later), Some(500));
        assert_eq!(guesses.refused(address("2001:db8:0:1::1"), later), None);
        assert_eq!(guesses.refused(None, later), None);
        let end = now.plus_seconds(WINDOW_SECONDS);
        assert_eq!(guesses.refused(address("2001:db8::1"), end), None);
        guesses.note(address("192.0.2.1"), end);
        assert_eq!(guesses.refused(address("2001:db8::1"), end), None);
    }

    #[test]
    fn the_memory_is_bounded() {
        let guesses = Guesses::new();
        let now = Timestamp::from_unix(1_700_000_000);
        for n in 0..20_000_u32 {
            guesses.note(Some(IpAddr::from(n.to_be_bytes())), now);
        }
        let stranger = Some(IpAddr::from([192, 0, 2, 1]));
        for _ in 0..=GUESSES_PER_ADDRESS_MAX {
            guesses.note(stranger, now);
        }
        assert_eq!(guesses.refused(stranger, now), None);
        let (_, counts) = &*lock(&guesses.window);
        assert_eq!(counts.len(), ADDRESSES_MAX);
    }
}
