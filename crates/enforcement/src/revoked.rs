//! The revoked certificates of an account, as serial numbers of its CAs.
//!
//! A change copies one chunk, not everything: readers keep the earlier version until they finish.

use std::collections::HashMap;
use std::sync::Arc;

use certgate_model::AuthorityId;

/// A serial number, right-aligned in 20 octets.
pub type Serial = [u8; 20];

/// A change of a certificate's revocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Change {
    /// The CA that signed the certificate.
    pub authority: AuthorityId,
    /// Its serial number.
    pub serial: Serial,
    /// True if it is revoked now, false if it was restored.
    pub revoked: bool,
}

/// The most serial numbers in a chunk of the view: 20 kB, which a change copies within
/// microseconds. A million serial numbers have two thousand chunks.
const CHUNK_MAX: usize = 1_024;

/// The memory of a chunk is for a multiple of so many serial numbers. The memory of a copy that is
/// freed then suits the next one, and it is not scattered: each size is one of eight.
const CHUNK_STEP: usize = 128;

/// The revoked certificates of all CAs.
#[derive(Debug, Clone, Default)]
pub struct Revoked(HashMap<AuthorityId, RevokedSerials>);

impl Revoked {
    /// Returns true if the certificate of this CA with this serial number is revoked.
    pub fn contains(&self, authority: AuthorityId, serial: &Serial) -> bool {
        self.0
            .get(&authority)
            .is_some_and(|serials| serials.contains(serial))
    }

    /// Replaces the serial numbers of a CA.
    pub fn insert(&mut self, authority: AuthorityId, serials: RevokedSerials) {
        self.0.insert(authority, serials);
    }

    /// Records the last state of a certificate.
    pub fn change(&mut self, authority: AuthorityId, serial: Serial, revoked: bool) {
        let serials = self.0.entry(authority).or_default();
        match revoked {
            true => serials.add(serial),
            false => serials.remove(&serial),
        }
    }

    /// The number of revoked certificates.
    pub fn len(&self) -> usize {
        self.0.values().map(RevokedSerials::len).sum()
    }

    /// Returns true if no certificate is revoked.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Each CA with its serial numbers.
    pub fn authorities(&self) -> impl Iterator<Item = (AuthorityId, &RevokedSerials)> {
        self.0.iter().map(|(id, serials)| (*id, serials))
    }
}

/// A sorted set of serial numbers in chunks, which versions of the set share.
#[derive(Debug, Clone, Default)]
pub struct RevokedSerials {
    /// Not empty, each sorted, and in order.
    chunks: Arc<Vec<Arc<Vec<Serial>>>>,
    len: usize,
}

impl RevokedSerials {
    /// The number of serial numbers.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Returns true if there is none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Returns true if the set has this serial number.
    pub fn contains(&self, serial: &Serial) -> bool {
        self.chunk_of(serial)
            .is_some_and(|at| self.chunks[at].binary_search(serial).is_ok())
    }

    /// The serial numbers in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = &Serial> {
        self.chunks.iter().flat_map(|chunk| chunk.iter())
    }

    /// Appends serial numbers that are above all others and in ascending order. Returns false,
    /// and appends a part at most, if they are not.
    pub fn append(&mut self, serials: impl IntoIterator<Item = Serial>) -> bool {
        let chunks = Arc::make_mut(&mut self.chunks);
        let mut last = chunks.last().and_then(|chunk| chunk.last().copied());
        for serial in serials {
            if last.is_some_and(|last| last >= serial) {
                return false;
            }
            last = Some(serial);
            match chunks.last_mut() {
                Some(chunk) if chunk.len() < CHUNK_MAX => Arc::make_mut(chunk).push(serial),
                _ => {
                    let mut chunk = Vec::with_capacity(CHUNK_MAX);
                    chunk.push(serial);
                    chunks.push(Arc::new(chunk));
                }
            }
            self.len += 1;
        }
        true
    }

    /// Frees the memory that [`append`](Self::append) reserved.
    pub fn shrink(&mut self) {
        let chunks = Arc::make_mut(&mut self.chunks);
        if let Some(last) = chunks.last_mut() {
            Arc::make_mut(last).shrink_to_fit();
        }
        chunks.shrink_to_fit();
    }

    fn add(&mut self, serial: Serial) {
        let Some(at) = self.chunk_of(&serial) else {
            let chunks = Arc::make_mut(&mut self.chunks);
            match chunks.first_mut() {
                // It is below all others.
                Some(first) if first.len() < CHUNK_MAX => insert(first, 0, serial),
                _ => chunks.insert(0, chunk_of(&[serial])),
            }
            self.len += 1;
            return;
        };
        let Err(place) = self.chunks[at].binary_search(&serial) else {
            return;
        };
        let chunks = Arc::make_mut(&mut self.chunks);
        self.len += 1;
        if chunks[at].len() < CHUNK_MAX {
            insert(&mut chunks[at], place, serial);
            return;
        }
        let (lower, upper) = chunks[at].split_at(CHUNK_MAX / 2);
        let (mut lower, mut upper) = (chunk_of(lower), chunk_of(upper));
        match place.checked_sub(CHUNK_MAX / 2) {
            Some(place) => insert(&mut upper, place, serial),
            None => insert(&mut lower, place, serial),
        }
        chunks[at] = lower;
        chunks.insert(at + 1, upper);
    }

    fn remove(&mut self, serial: &Serial) {
        let Some(at) = self.chunk_of(serial) else {
            return;
        };
        let Ok(place) = self.chunks[at].binary_search(serial) else {
            return;
        };
        let chunks = Arc::make_mut(&mut self.chunks);
        self.len -= 1;
        match chunks[at].len() {
            1 => drop(chunks.remove(at)),
            _ => remove(&mut chunks[at], place),
        }
    }

    /// The chunk that has the serial number, if any has it.
    fn chunk_of(&self, serial: &Serial) -> Option<usize> {
        self.chunks
            .partition_point(|chunk| chunk.first().is_some_and(|first| first <= serial))
            .checked_sub(1)
    }
}

fn chunk_of(serials: &[Serial]) -> Arc<Vec<Serial>> {
    let mut chunk = with_room_for(serials.len());
    chunk.extend_from_slice(serials);
    Arc::new(chunk)
}

/// Inserts a serial number at `place` into a chunk, which is copied at most once.
fn insert(chunk: &mut Arc<Vec<Serial>>, place: usize, serial: Serial) {
    match Arc::get_mut(chunk) {
        Some(chunk) if chunk.len() < chunk.capacity() => chunk.insert(place, serial),
        // An earlier version has it, or it is full.
        _ => {
            let (before, after) = chunk.split_at(place);
            let mut copy = with_room_for(chunk.len() + 1);
            copy.extend_from_slice(before);
            copy.push(serial);
            copy.extend_from_slice(after);
            *chunk = Arc::new(copy);
        }
    }
}

/// Removes the serial number at `place` from a chunk, which is copied at most once.
fn remove(chunk: &mut Arc<Vec<Serial>>, place: usize) {
    match Arc::get_mut(chunk) {
        Some(chunk) => drop(chunk.remove(place)),
        None => {
            let (before, after) = (&chunk[..place], &chunk[place + 1..]);
            let mut copy = with_room_for(chunk.len() - 1);
            copy.extend_from_slice(before);
            copy.extend_from_slice(after);
            *chunk = Arc::new(copy);
        }
    }
}

/// Reserves memory for so many serial numbers, rounded up to a multiple of [`CHUNK_STEP`].
fn with_room_for(count: usize) -> Vec<Serial> {
    Vec::with_capacity(count.next_multiple_of(CHUNK_STEP))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn serial(number: u64) -> Serial {
        let mut serial = [0; 20];
        serial[12..].copy_from_slice(&number.to_be_bytes());
        serial
    }

    /// Numbers that look random, the same in each run (SplitMix64).
    fn numbers(seed: u64) -> impl Iterator<Item = u64> {
        (1..).map(move |step: u64| {
            let mut z = seed.wrapping_add(step.wrapping_mul(0x9e37_79b9_7f4a_7c15));
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^ (z >> 31)
        })
    }

    #[test]
    fn a_long_history_has_the_members_of_a_plain_set() {
        for (seed, range) in [(1, 50), (2, 5_000), (3, 1_000_000)] {
            let mut plain = BTreeSet::new();
            let mut ours = RevokedSerials::default();
            assert!(ours.append((0..3_000).map(|number| serial(number * 7))));
            plain.extend((0..3_000).map(|number| serial(number * 7)));
            let mut earlier = Vec::new();
            for (step, number) in numbers(seed).take(20_000).enumerate() {
                if step % 1_000 == 0 {
                    earlier.push((ours.clone(), plain.clone()));
                }
                let member = serial((number >> 8) % range);
                // Most steps add for a while, then most remove.
                match number % 8 < 5 {
                    true => {
                        plain.insert(member);
                        ours.add(member);
                    }
                    false => {
                        plain.remove(&member);
                        ours.remove(&member);
                    }
                }
                assert_eq!(ours.contains(&member), plain.contains(&member));
            }
            assert!(ours.iter().eq(plain.iter()));
            assert_eq!(ours.len(), plain.len());
            assert!(ours.chunks.iter().all(|chunk| chunk.len() <= CHUNK_MAX));
            for (ours, plain) in earlier {
                assert!(ours.iter().eq(plain.iter()), "later steps changed it");
            }
        }
    }

    #[test]
    fn an_earlier_version_keeps_its_members() {
        let mut now = RevokedSerials::default();
        assert!(now.append((0..5_000).map(serial)));
        let before = now.clone();
        now.remove(&serial(4_321));
        now.add(serial(9_999));
        assert!(before.contains(&serial(4_321)) && !before.contains(&serial(9_999)));
        assert!(!now.contains(&serial(4_321)) && now.contains(&serial(9_999)));
        let shared = now.chunks.iter().zip(before.chunks.iter());
        let copied = shared.filter(|(now, before)| !Arc::ptr_eq(now, before));
        assert_eq!(copied.count(), 1, "one removal copies one chunk");
    }

    /// Bytes of the serial numbers with their chunks, and with 16 bytes for each allocation.
    fn bytes(serials: &RevokedSerials) -> usize {
        let of_chunk = |chunk: &Arc<Vec<Serial>>| chunk.capacity() * 20 + 2 * 16 + 40;
        serials.chunks.iter().map(of_chunk).sum::<usize>() + serials.chunks.capacity() * 8
    }

    #[test]
    fn a_hundred_thousand_take_less_than_three_megabytes_also_after_changes() {
        for (count, changes, limit) in [(100_000, 20_000, 3 << 20), (1_000_000, 50_000, 30 << 20)] {
            let mut serials = RevokedSerials::default();
            assert!(serials.append((0..count).map(|number| serial(number << 40))));
            serials.shrink();
            assert!(bytes(&serials) < limit * 2 / 3, "{}", bytes(&serials));
            for number in numbers(7).take(changes) {
                // The earlier version is in use, as it is in the view.
                let _before = serials.clone();
                serials.add(serial(number >> 4));
            }
            assert!(bytes(&serials) < limit, "{}", bytes(&serials));
        }
    }

    #[test]
    fn a_hundred_thousand_one_by_one_take_a_third_more_than_their_octets() {
        let mut serials = RevokedSerials::default();
        for number in numbers(9).take(100_000) {
            let _before = serials.clone();
            serials.add(serial(number));
        }
        assert!(
            bytes(&serials) < 100_000 * 20 * 4 / 3,
            "{}",
            bytes(&serials)
        );
        let is_step = |chunk: &Arc<Vec<Serial>>| chunk.capacity().is_multiple_of(CHUNK_STEP);
        assert!(serials.chunks.iter().all(is_step), "the sizes are few");
    }

    #[test]
    fn append_refuses_what_is_not_in_order() {
        let mut serials = RevokedSerials::default();
        assert!(serials.append([serial(1), serial(2)]));
        assert!(!serials.append([serial(2)]));
        assert!(!serials.append([serial(4), serial(3)]));
    }
}
